//! Keeps the pinned certificates in a file of the state directory, and judges by them.
//!
//! One line for each pin, `host:port fingerprint`. Written whole, to a new file that then takes the
//! old one's name, and only when something changed. A file that cannot be read is no reason to stop: its
//! bad lines are left out, and a directory that cannot be written is reported once.
//!
//! Does not: know the policy; [`Trust`] does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::capacity::PINS;
use crate::http::{Authority, CaVerdict, Distrust, Fingerprint, Judge};
use crate::orchestrator::trust::{Judgement, Trust, TrustOptions};

/// The largest file of pins that is read: [`PINS`] lines of at most 320 bytes.
const FILE_LIMIT: u64 = PINS as u64 * 320;

/// Trust, kept in a file.
#[derive(Debug)]
pub struct PinFile {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    trust: Trust,
    write_failed: bool,
}

impl PinFile {
    /// Trust by `options`, with the pins kept in `directory`; with none, pins last as long as the process.
    pub fn open(options: TrustOptions, directory: Option<&Path>) -> Self {
        if options == TrustOptions::Insecure {
            log::warn!(
                "trust = \"insecure\": certificates of orchestrators are NOT checked; anybody on the way can read and change the video"
            );
        }
        let path = directory.map(|d| d.join("certificates"));
        let pins = path.as_deref().map(read).unwrap_or_default();
        let trust = Trust::new(options, pins);
        Self { path, inner: Mutex::new(Inner { trust, write_failed: false }) }
    }

    /// The pins, by `host:port`.
    pub fn pins(&self) -> BTreeMap<String, Fingerprint> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).trust.pins().clone()
    }

    /// Forgets the pin of `peer` (`host:port`); whether there was one.
    pub fn forget(&self, peer: &str) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let known = inner.trust.forget(peer);
        if known {
            self.keep(&mut inner);
        }
        known
    }

    fn keep(&self, inner: &mut Inner) {
        let Some(path) = &self.path else { return };
        match write(path, inner.trust.pins()) {
            Ok(()) => inner.write_failed = false,
            Err(error) if !inner.write_failed => {
                inner.write_failed = true;
                log::warn!(
                    "{}: pinned certificates cannot be kept ({error}); they last until the agent stops",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }
}

impl Judge for PinFile {
    fn judge(&self, peer: &Authority, seen: &Fingerprint, ca: &CaVerdict) -> Result<(), Distrust> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.trust.judge(peer, seen, ca) {
            Judgement::Accept => return Ok(()),
            Judgement::Refuse(distrust) => return Err(distrust),
            Judgement::Pin => log::info!("{peer}: certificate {seen} seen first, pinned"),
            Judgement::Changed { pinned } => {
                log::warn!("{peer}: certificate changed from {pinned} to {seen}; following it");
            }
        }
        inner.trust.pin(peer, *seen);
        self.keep(&mut inner);
        Ok(())
    }
}

fn read(path: &Path) -> BTreeMap<String, Fingerprint> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Ok(meta) if meta.len() > FILE_LIMIT => {
            log::warn!("{}: too long for pinned certificates, not read", path.display());
            return BTreeMap::new();
        }
        Ok(_) | Err(_) => {}
    }
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            log::warn!("{}: pinned certificates cannot be read ({error})", path.display());
            return BTreeMap::new();
        }
    };
    let mut pins = BTreeMap::new();
    for line in text.lines() {
        match line.split_once(' ').and_then(|(p, f)| Some((p, Fingerprint::parse(f.trim())?))) {
            Some((peer, print)) if pins.len() < PINS => {
                pins.insert(peer.to_owned(), print);
            }
            Some(_) => {}
            None => log::warn!("{}: a line is torn and left out", path.display()),
        }
    }
    pins
}

fn write(path: &Path, pins: &BTreeMap<String, Fingerprint>) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    for (peer, print) in pins {
        writeln!(file, "{peer} {print}")?;
    }
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    #[test]
    fn pins_outlive_the_process_and_torn_lines_are_left_out() {
        let directory = std::env::temp_dir().join(format!("le-pins-{}", std::process::id()));
        let url = Url::parse("https://[::1]:8935").unwrap();
        let (old, new) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let ca = CaVerdict::Invalid("self-signed".into());
        let first = PinFile::open(TrustOptions::default(), Some(&directory));
        first.judge(url.authority(), &old, &ca).unwrap();
        let path = directory.join("certificates");
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"torn line\n\xff\xfe").unwrap();
        let refuse = TrustOptions::Tofu { on_change: crate::orchestrator::OnChange::Refuse };
        let second = PinFile::open(refuse, Some(&directory));
        second.judge(url.authority(), &old, &ca).unwrap();
        let refused = second.judge(url.authority(), &new, &ca).unwrap_err();
        assert_eq!(refused, Distrust::Pinned { wanted: old, seen: new });
        assert!(second.forget("[::1]:8935"));
        assert!(PinFile::open(TrustOptions::default(), Some(&directory)).pins().is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_reason_to_stop() {
        let file = PinFile::open(TrustOptions::default(), Some(Path::new("/proc/nowhere")));
        let url = Url::parse("https://h:1").unwrap();
        let ca = CaVerdict::Invalid("self-signed".into());
        file.judge(url.authority(), &Fingerprint([1; 32]), &ca).unwrap();
        assert_eq!(file.pins().len(), 1);
    }
}
