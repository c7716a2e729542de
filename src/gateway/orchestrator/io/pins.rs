//! Stores pinned certificates in a file of the state directory, and judges certificates by them.
//!
//! The file has one line per pin. A damaged file is moved aside; the pins on its valid lines are kept.
//!
//! Does not: decide; [`Trust`] does.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::http::{Authority, CaVerdict, Distrust, Fingerprint, TrustPolicy, Url};
use crate::limits::{CANDIDATES, PINS, PINS_UNDER};
use crate::orchestrator::trust::{Judgement, Trust, TrustOptions};
use crate::orchestrator::{Pin, Pins, TrustBasis};
use resilience::state_file::io::StateFile;

/// The largest accepted pin file: the maximum number of pins, at 600 bytes per line.
const FILE_LIMIT: u64 = (PINS + CANDIDATES * (1 + PINS_UNDER)) as u64 * 600;

/// A [`Trust`] whose pins are stored in a file.
#[derive(Debug)]
pub struct PinFile {
    file: Option<StateFile>,
    trust: Mutex<Trust>,
}

impl PinFile {
    /// Creates the trust of policy `options`, with the pins stored in `directory`; without a directory, pins last as
    /// long as the process. Pins of `configured` orchestrators are never dropped for others.
    pub fn open(options: TrustOptions, directory: Option<&Path>, configured: &[Url]) -> Self {
        if options == TrustOptions::Insecure {
            log::warn!(
                "trust = \"insecure\": certificates of orchestrators are NOT checked; anybody on the network path can read and change the video"
            );
        }
        let open = |directory| {
            StateFile::new(directory, "certificates", "pinned certificates", FILE_LIMIT)
        };
        let file = directory.map(open);
        let configured = configured.iter().map(|url| url.authority().to_string()).collect();
        let pins = match &file {
            Some(file) => read(file, configured),
            None => Pins::new(configured),
        };
        Self { file, trust: Mutex::new(Trust::new(options, pins)) }
    }

    /// A copy of the stored pins.
    pub fn pins(&self) -> Pins {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).pins().clone()
    }

    /// Removes the pins of `peer` (`host:port`). Returns whether there were any.
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

impl TrustPolicy for PinFile {
    fn judge(
        &self,
        peer: &Authority,
        under: Option<&Authority>,
        seen: &Fingerprint,
        ca: &CaVerdict,
    ) -> Result<(), Distrust> {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match trust.judge(peer, under, seen, ca) {
            Judgement::Accept => return Ok(()),
            Judgement::Refuse(distrust) => return Err(distrust),
            Judgement::Keep(known) => {
                match known {
                    TrustBasis::Vouched => {
                        log::debug!("{peer}: certificate is signed by a known authority")
                    }
                    TrustBasis::Pinned(_) => {
                        log::info!("{peer}: first certificate {seen}, pinned")
                    }
                }
                known
            }
            Judgement::Changed { before: TrustBasis::Pinned(before) } => {
                log::warn!(
                    "{peer}: certificate changed from {before} to {seen}; pinned the new one"
                );
                TrustBasis::Pinned(*seen)
            }
            Judgement::Changed { before: TrustBasis::Vouched } => {
                log::warn!(
                    "{peer}: certificate changed from one that an authority signed to {seen}, which no known authority signed; pinned the new one"
                );
                TrustBasis::Pinned(*seen)
            }
        };
        trust.keep(peer, under, known);
        self.keep(&trust);
        Ok(())
    }
}

fn read(file: &StateFile, configured: BTreeSet<String>) -> Pins {
    let bytes = file.read().unwrap_or_default();
    let (mut pins, mut torn) = (Pins::new(configured), 0_usize);
    for line in String::from_utf8_lossy(&bytes).lines() {
        match Pin::parse(line) {
            Some(pin) => pins.keep(pin),
            None => torn += 1,
        }
    }
    if torn > 0 {
        file.set_aside(&format!("{torn} bad lines, {} good ones", pins.iter().count()));
        file.write(text(&pins).as_bytes());
    }
    pins
}

fn text(pins: &Pins) -> String {
    let mut text = String::new();
    for pin in pins.iter() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{pin}");
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
    fn pins_survive_a_restart_and_a_damaged_file() {
        let directory = std::env::temp_dir().join(format!("le-pins-{}", std::process::id()));
        let url = Url::parse("https://[::1]:8935").unwrap();
        let (old, new) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let ca = CaVerdict::Invalid("self-signed".into());
        let first = PinFile::open(TrustOptions::default(), Some(&directory), &[]);
        first.judge(url.authority(), None, &old, &ca).unwrap();
        let path = directory.join("certificates");
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"torn line\n\xff\xfe").unwrap();
        let refuse = TrustOptions::Tofu { on_change: crate::orchestrator::OnChange::Refuse };
        let second = PinFile::open(refuse, Some(&directory), &[]);
        let aside = fs::read(directory.join("certificates.torn")).unwrap();
        assert!(aside.ends_with(b"torn line\n\xff\xfe"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("[::1]:8935 {old}\n"));
        second.judge(url.authority(), None, &old, &ca).unwrap();
        let refused = second.judge(url.authority(), None, &new, &ca).unwrap_err();
        assert_eq!(refused, Distrust::Pinned { wanted: old, seen: new });
        assert!(second.forget("[::1]:8935"));
        assert!(
            PinFile::open(TrustOptions::default(), Some(&directory), &[])
                .pins()
                .iter()
                .next()
                .is_none()
        );
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_peer_once_vouched_for_is_not_trusted_on_first_use() {
        let directory = std::env::temp_dir().join(format!("le-vouched-{}", std::process::id()));
        let refuse = TrustOptions::Tofu { on_change: crate::orchestrator::OnChange::Refuse };
        let url = Url::parse("https://o.example:8935").unwrap();
        let open = || PinFile::open(refuse.clone(), Some(&directory), std::slice::from_ref(&url));
        let (good, own) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let unknown = || CaVerdict::Invalid("self-signed".into());
        open().judge(url.authority(), None, &good, &CaVerdict::Valid).unwrap();
        // A man in the middle shows another certificate.
        let refused = open().judge(url.authority(), None, &own, &unknown()).unwrap_err();
        assert_eq!(refused, Distrust::VouchedBefore { seen: own, reason: "self-signed".into() });
        assert!(refused.to_string().contains("trust forget"), "{refused}");
        // Many unconfigured hosts do not displace the record.
        let file = open();
        for port in 1..=u16::try_from(2 * PINS).unwrap() {
            let foreign = Url::parse(&format!("https://a.example:{port}")).unwrap();
            file.judge(foreign.authority(), None, &own, &unknown()).unwrap();
        }
        assert!(open().judge(url.authority(), None, &own, &unknown()).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn pins_work_in_memory_if_the_directory_is_not_writable() {
        let file = PinFile::open(TrustOptions::default(), Some(Path::new("/proc/nowhere")), &[]);
        let url = Url::parse("https://h:1").unwrap();
        let ca = CaVerdict::Invalid("self-signed".into());
        file.judge(url.authority(), None, &Fingerprint([1; 32]), &ca).unwrap();
        assert_eq!(file.pins().iter().count(), 1);
    }
}
