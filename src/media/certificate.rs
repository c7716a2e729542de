//! Decides whether the certificate of a network camera is trusted.
//!
//! | `source.pin` | signed by an authority of this system | the pinned certificate | another certificate |
//! |---|---|---|---|
//! | not set | trusted | – | refused |
//! | set | has no effect | trusted | refused |
//!
//! With a pin, the certificate's names and validity are not checked, because cameras' names and clocks are often wrong.
//!
//! Does not: check signatures or chains; GLib does.

use std::fmt;

use heapless::Deque;

use crate::limits::CAMERAS_MEASURED;
use resilience::fingerprint::Fingerprint;

/// The certificate that a camera presents in the TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The SHA-256 of its DER form.
    pub fingerprint: Fingerprint,
    /// The subject in the certificate; `None` with GLib before 2.70.
    pub subject: Option<String>,
}

/// Why GLib rejects a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// No certificate authority of this system signed the certificate.
    UnknownAuthority,
    /// The certificate is for another host.
    OtherHost,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate has expired.
    Expired,
    /// Its authority revoked the certificate.
    Revoked,
    /// The certificate uses an insecure algorithm.
    Insecure,
    /// Another reason, which GLib does not name.
    Unusable,
}

impl Flaw {
    /// Whether a wrong clock of this computer can cause this flaw.
    fn is_of_time(self) -> bool {
        matches!(self, Self::NotYetValid | Self::Expired)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAuthority => "no authority of this system signed it",
            Self::OtherHost => "it is for another host",
            Self::NotYetValid => "it is not valid yet by this computer's clock",
            Self::Expired => "it has expired by this computer's clock",
            Self::Revoked => "its authority has revoked it",
            Self::Insecure => "it uses an insecure algorithm",
            Self::Unusable => "it is not usable",
        })
    }
}

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The certificate is not the one that `source.pin` names.
    NotPinned {
        /// The certificate of `source.pin`.
        pinned: Fingerprint,
    },
    /// No authority of this system vouches for the certificate.
    NotVouched(Vec<Flaw>),
}

impl Refusal {
    /// Whether a wrong clock of this computer can be the only cause, so that the certificate may be trusted later.
    pub(crate) fn is_of_time(&self) -> bool {
        match self {
            Self::NotPinned { .. } => false,
            Self::NotVouched(flaws) => !flaws.is_empty() && flaws.iter().all(|f| f.is_of_time()),
        }
    }
}

/// Decides whether to trust the certificate `shown`, in which GLib found `flaws`.
pub(crate) fn judge(
    pin: Option<Fingerprint>,
    shown: &Certificate,
    flaws: Vec<Flaw>,
) -> Result<(), Refusal> {
    match pin {
        Some(pinned) if pinned == shown.fingerprint => Ok(()),
        Some(pinned) => Err(Refusal::NotPinned { pinned }),
        None if flaws.is_empty() => Ok(()),
        None => Err(Refusal::NotVouched(flaws)),
    }
}

/// The cameras that were trusted, with the pins that decided it (`None`: an authority did).
///
/// TLS resumes sessions without presenting a certificate, so a camera that was trusted once stays trusted while the
/// process runs, and a changed pin cannot be checked for it.
#[derive(Debug, Default)]
pub(crate) struct Trusted {
    cameras: Deque<(String, Option<Fingerprint>), CAMERAS_MEASURED>,
}

impl Trusted {
    /// No camera was trusted.
    pub(crate) const fn new() -> Self {
        Self { cameras: Deque::new() }
    }

    /// Whether the camera at `place` can be checked by this pin: it was not trusted yet, or by the same pin.
    #[must_use]
    pub(crate) fn allows(&self, place: &str, pin: Option<Fingerprint>) -> bool {
        self.cameras.iter().find(|(known, _)| known == place).is_none_or(|(_, known)| *known == pin)
    }

    /// Notes that a TLS session was made with the camera at `place` under this pin. False, and not noted, if the
    /// camera was trusted by another pin: the session may be a resumed one, so the caller must not use it.
    #[must_use]
    pub(crate) fn note(&mut self, place: &str, pin: Option<Fingerprint>) -> bool {
        if self.cameras.iter().any(|(known, _)| known == place) {
            return self.allows(place, pin);
        }
        if self.cameras.is_full() {
            self.cameras.pop_front();
        }
        // There is room.
        self.cameras.push_back((place.to_owned(), pin)).is_ok()
    }

    /// Notes that the camera at `place` was refused: it may be checked by another pin.
    pub(crate) fn refuse(&mut self, place: &str) {
        for _ in 0..self.cameras.len() {
            if let Some(camera) = self.cameras.pop_front().filter(|(known, _)| known != place) {
                let _ = self.cameras.push_back(camera);
            }
        }
    }
}

/// The host and port of a camera's address, for people.
pub(crate) fn place(url: &str) -> String {
    let (scheme, behind) = url.split_once("://").unwrap_or(("rtsp", url));
    let host = behind.split(['/', '?']).next().unwrap_or(behind);
    let names_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    match (names_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "rtsps") => format!("{host}:322"),
        (false, _) => format!("{host}:554"),
    }
}

/// A camera of the network whose certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// The camera's host and port.
    pub place: String,
    /// The certificate that it presents.
    pub shown: Certificate,
    /// Why the certificate is refused.
    pub refusal: Refusal,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, shown: Certificate { fingerprint, subject }, refusal } = self;
        let subject = |f: &mut fmt::Formatter<'_>| match subject {
            Some(subject) => write!(f, ", its subject {subject:?}"),
            None => Ok(()),
        };
        match refusal {
            Refusal::NotPinned { pinned } => {
                write!(
                    f,
                    "the camera {place} shows another certificate than the one in source.pin: pinned is {pinned}, \
                     shown is {fingerprint}"
                )?;
                subject(f)?;
                f.write_str("; if the camera has a new certificate, change source.pin")
            }
            Refusal::NotVouched(flaws) => {
                write!(f, "the camera {place} shows a certificate that is not trusted")?;
                for (n, flaw) in flaws.iter().enumerate() {
                    write!(f, "{} {flaw}", if n == 0 { ":" } else { " and" })?;
                }
                write!(f, "; its SHA-256 is {fingerprint}")?;
                subject(f)?;
                f.write_str("; ")?;
                if refusal.is_of_time() {
                    f.write_str("check this computer's clock, or ")?;
                }
                f.write_str(
                    "compare the SHA-256 with that of the camera's own pages, then set source.pin to it",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Fingerprint = Fingerprint([0xaa; 32]);
    const B: Fingerprint = Fingerprint([0xbb; 32]);

    fn shown(fingerprint: Fingerprint) -> Certificate {
        Certificate { fingerprint, subject: Some("CN=camera".into()) }
    }

    #[test]
    fn a_pin_alone_decides_where_there_is_one() {
        use Flaw::{Expired, OtherHost, UnknownAuthority};
        let not_pinned = || Err(Refusal::NotPinned { pinned: A });
        for flaws in [vec![], vec![UnknownAuthority], vec![Expired, OtherHost]] {
            assert_eq!(judge(Some(A), &shown(A), flaws.clone()), Ok(()));
            assert_eq!(judge(Some(A), &shown(B), flaws.clone()), not_pinned());
            let expected =
                if flaws.is_empty() { Ok(()) } else { Err(Refusal::NotVouched(flaws.clone())) };
            assert_eq!(judge(None, &shown(A), flaws), expected);
        }
    }

    #[test]
    fn another_pin_counts_until_the_camera_is_trusted_and_once_it_was_refused() {
        let mut trusted = Trusted::new();
        assert!(trusted.allows("a:1", Some(B)) && trusted.allows("a:1", None));
        assert!(trusted.note("a:1", None) && trusted.note("a:1", None));
        assert!(trusted.note("b:1", Some(B)));
        assert!(!trusted.allows("a:1", Some(A)) && !trusted.allows("b:1", None));
        assert!(!trusted.note("a:1", Some(A)) && trusted.allows("a:1", None));
        trusted.refuse("a:1");
        assert!(trusted.allows("a:1", Some(A)) && trusted.note("a:1", Some(A)));
        assert!(!trusted.allows("a:1", Some(B)) && !trusted.allows("b:1", None));
        for n in 0..CAMERAS_MEASURED {
            assert!(trusted.note(&format!("c:{n}"), None));
        }
    }

    #[test]
    fn a_place_has_a_port() {
        let check = |url: &str, expected: &str| assert_eq!(place(url), expected);
        check("rtsps://cam:8322/a:b", "cam:8322");
        check("rtsps://cam/a", "cam:322");
        check("rtsps://[fe80::1]/a", "[fe80::1]:322");
        check("rtsps://[fe80::1]:1/a", "[fe80::1]:1");
        check("rtsp://cam?a=b:c", "cam:554");
    }

    #[test]
    fn only_a_wrong_time_may_pass() {
        use Flaw::{Expired, NotYetValid, UnknownAuthority};
        assert!(Refusal::NotVouched(vec![NotYetValid]).is_of_time());
        assert!(Refusal::NotVouched(vec![Expired]).is_of_time());
        assert!(!Refusal::NotVouched(vec![UnknownAuthority, NotYetValid]).is_of_time());
        assert!(!Refusal::NotVouched(vec![]).is_of_time());
        assert!(!Refusal::NotPinned { pinned: A }.is_of_time());
    }
}
