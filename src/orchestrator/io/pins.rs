//! Keeps the pinned certificates in a file of the state directory, and judges by them.
//!
//! One line for each pin, `host:port fingerprint`. A torn file is set aside; the pins on its good lines are kept.
//!
//! Does not: know the policy; [`Trust`] does.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::capacity::PINS;
use crate::http::{Authority, CaVerdict, Distrust, Fingerprint, Judge};
use crate::orchestrator::trust::{Judgement, Trust, TrustOptions};
use crate::state_file::io::StateFile;

/// The largest file of pins that is read: [`PINS`] lines of at most 330 bytes.
const FILE_LIMIT: u64 = PINS as u64 * 330;

/// Trust, kept in a file.
#[derive(Debug)]
pub struct PinFile {
    file: Option<StateFile>,
    trust: Mutex<Trust>,
}

impl PinFile {
    /// Trust by `options`, with the pins kept in `directory`; with none, pins last as long as the process.
    pub fn open(options: TrustOptions, directory: Option<&Path>) -> Self {
        if options == TrustOptions::Insecure {
            log::warn!(
                "trust = \"insecure\": certificates of orchestrators are NOT checked; anybody on the way can read and change the video"
            );
        }
        let open = |directory| {
            StateFile::new(directory, "certificates", "pinned certificates", FILE_LIMIT)
        };
        let file = directory.map(open);
        let pins = file.as_ref().map(read).unwrap_or_default();
        Self { file, trust: Mutex::new(Trust::new(options, pins)) }
    }

    /// The pins, by `host:port`.
    pub fn pins(&self) -> BTreeMap<String, Fingerprint> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).pins().clone()
    }

    /// Forgets the pin of `peer` (`host:port`); whether there was one.
    pub fn forget(&self, peer: &str) -> bool {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let known = trust.forget(peer);
        if known {
            self.keep(&trust);
        }
        known
    }

    fn keep(&self, trust: &Trust) {
        if let Some(file) = &self.file {
            file.write(text(trust.pins()).as_bytes());
        }
    }
}

impl Judge for PinFile {
    fn judge(&self, peer: &Authority, seen: &Fingerprint, ca: &CaVerdict) -> Result<(), Distrust> {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        match trust.judge(peer, seen, ca) {
            Judgement::Accept => return Ok(()),
            Judgement::Refuse(distrust) => return Err(distrust),
            Judgement::Pin => log::info!("{peer}: certificate {seen} seen first, pinned"),
            Judgement::Changed { pinned } => {
                log::warn!("{peer}: certificate changed from {pinned} to {seen}; following it");
            }
        }
        trust.pin(peer, *seen);
        self.keep(&trust);
        Ok(())
    }
}

fn read(file: &StateFile) -> BTreeMap<String, Fingerprint> {
    let bytes = file.read().unwrap_or_default();
    let (mut pins, mut torn) = (BTreeMap::new(), 0_usize);
    for line in String::from_utf8_lossy(&bytes).lines() {
        match line.split_once(' ').and_then(|(p, f)| Some((p, Fingerprint::parse(f.trim())?))) {
            Some((peer, print)) if pins.len() < PINS => {
                pins.insert(peer.to_owned(), print);
            }
            Some(_) => {}
            None => torn += 1,
        }
    }
    if torn > 0 {
        file.set_aside(&format!("{torn} bad lines, {} good ones", pins.len()));
        file.write(text(&pins).as_bytes());
    }
    pins
}

fn text(pins: &BTreeMap<String, Fingerprint>) -> String {
    let mut text = String::new();
    for (peer, print) in pins {
        // A text takes whatever is written to it.
        let _ = writeln!(text, "{peer} {print}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::http::Url;

    #[test]
    fn pins_outlive_the_process_and_a_torn_file() {
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
        let aside = fs::read(directory.join("certificates.torn")).unwrap();
        assert!(aside.ends_with(b"torn line\n\xff\xfe"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("[::1]:8935 {old}\n"));
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
