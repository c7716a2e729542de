//! Decides whether an orchestrator's certificate is believed, and which certificates stay pinned.
//!
//! go-livepeer makes a new self-signed certificate at every start, so the default is trust on first use:
//!
//! | policy | authority vouches | first seen | same as pinned | another than pinned |
//! |---|---|---|---|---|
//! | `ca` | accept | refuse | refuse | refuse |
//! | `tofu`, follow | accept | pin | accept | changed: the new one is pinned, with a warning |
//! | `tofu`, refuse | accept | pin | accept | refuse |
//! | `pin` | refuse, unless pinned | refuse | accept | refuse |
//! | `insecure` | accept | accept | accept | accept |
//!
//! Does not: read or write the state directory (`io::PinFile` does), and does not check signatures: the
//! verifier in `http` always does.

use std::collections::BTreeMap;

use crate::capacity::PINS;
use crate::http::{Authority, CaVerdict, Distrust, Fingerprint};

/// Which certificates of orchestrators are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustOptions {
    /// What an authority of this system vouches for, or the certificate seen first at this host and port.
    Tofu {
        /// What happens when that certificate changes.
        on_change: OnChange,
    },
    /// Only what an authority of this system vouches for.
    Ca,
    /// Only these, by the orchestrator's host and port, whatever an authority says.
    Pin(BTreeMap<Authority, Fingerprint>),
    /// Any. Loud at every start.
    Insecure,
}

impl Default for TrustOptions {
    fn default() -> Self {
        Self::Tofu { on_change: OnChange::Follow }
    }
}

/// What happens under `tofu` when a pinned certificate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// The new one is pinned, with a warning: orchestrators make a new one at each start.
    #[default]
    Follow,
    /// The connection is refused until the pin is forgotten.
    Refuse,
}

/// What is to be done with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Judgement {
    /// Go on.
    Accept,
    /// Go on, and keep this certificate for this peer.
    Pin,
    /// Go on with a warning, and keep the new certificate instead of the old.
    Changed {
        /// The certificate that was pinned.
        pinned: Fingerprint,
    },
    /// Do not go on.
    Refuse(Distrust),
}

/// The certificates that are pinned, by host and port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    options: TrustOptions,
    pins: BTreeMap<String, Fingerprint>,
}

impl Trust {
    /// Trust by `options`, with the pins kept from earlier runs.
    pub fn new(options: TrustOptions, pins: BTreeMap<String, Fingerprint>) -> Self {
        Self { options, pins }
    }

    /// Judges the certificate `seen` at `peer`.
    pub fn judge(&self, peer: &Authority, seen: &Fingerprint, ca: &CaVerdict) -> Judgement {
        match (&self.options, ca) {
            (TrustOptions::Insecure, _)
            | (TrustOptions::Ca | TrustOptions::Tofu { .. }, CaVerdict::Valid) => Judgement::Accept,
            (TrustOptions::Ca, CaVerdict::Invalid(reason)) => {
                Judgement::Refuse(Distrust::NoAuthority(reason.clone()))
            }
            (TrustOptions::Ca, CaVerdict::WrongTime(reason)) => {
                Judgement::Refuse(Distrust::WrongTime(reason.clone()))
            }
            (TrustOptions::Pin(pins), _) => match pins.get(peer) {
                Some(wanted) if wanted == seen => Judgement::Accept,
                Some(wanted) => {
                    Judgement::Refuse(Distrust::Pinned { wanted: *wanted, seen: *seen })
                }
                None => Judgement::Refuse(Distrust::NotPinned { seen: *seen }),
            },
            (TrustOptions::Tofu { on_change }, CaVerdict::Invalid(_) | CaVerdict::WrongTime(_)) => {
                match (self.pins.get(&peer.to_string()), on_change) {
                    (None, _) => Judgement::Pin,
                    (Some(pinned), _) if pinned == seen => Judgement::Accept,
                    (Some(pinned), OnChange::Follow) => Judgement::Changed { pinned: *pinned },
                    (Some(pinned), OnChange::Refuse) => {
                        Judgement::Refuse(Distrust::Pinned { wanted: *pinned, seen: *seen })
                    }
                }
            }
        }
    }

    /// Keeps `seen` for `peer`. With [`PINS`] pins kept, the first by name makes room.
    pub fn pin(&mut self, peer: &Authority, seen: Fingerprint) {
        let key = peer.to_string();
        if self.pins.len() >= PINS && !self.pins.contains_key(&key) {
            self.pins.pop_first();
        }
        self.pins.insert(key, seen);
    }

    /// Forgets the certificate of `peer` (`host:port`); whether there was one.
    pub fn forget(&mut self, peer: &str) -> bool {
        self.pins.remove(peer).is_some()
    }

    /// The pins, by `host:port`.
    pub fn pins(&self) -> &BTreeMap<String, Fingerprint> {
        &self.pins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    const OLD: Fingerprint = Fingerprint([1; 32]);
    const NEW: Fingerprint = Fingerprint([2; 32]);

    #[track_caller]
    fn check(options: TrustOptions, pinned: Option<Fingerprint>, ca: bool, expected: Judgement) {
        let mut trust = Trust::new(options, BTreeMap::new());
        if let Some(pinned) = pinned {
            trust.pin(&peer(), pinned);
        }
        let ca = if ca { CaVerdict::Valid } else { CaVerdict::Invalid("self-signed".into()) };
        assert_eq!(trust.judge(&peer(), &NEW, &ca), expected);
    }

    fn peer() -> Authority {
        Url::parse("https://orch:8935").unwrap().authority().clone()
    }

    #[test]
    fn the_table_holds() {
        use Judgement::{Accept, Changed, Pin, Refuse};
        use TrustOptions::{Ca, Insecure};
        let follow = || TrustOptions::Tofu { on_change: OnChange::Follow };
        let refuse = || TrustOptions::Tofu { on_change: OnChange::Refuse };
        let pin = |print| TrustOptions::Pin(BTreeMap::from([(peer(), print)]));
        let unknown = || Refuse(Distrust::NoAuthority("self-signed".into()));
        let other = || Refuse(Distrust::Pinned { wanted: OLD, seen: NEW });
        check(Ca, None, true, Accept);
        check(Ca, None, false, unknown());
        check(Ca, Some(NEW), false, unknown());
        check(follow(), Some(OLD), true, Accept);
        check(follow(), None, false, Pin);
        check(follow(), Some(NEW), false, Accept);
        check(follow(), Some(OLD), false, Changed { pinned: OLD });
        check(refuse(), Some(OLD), false, other());
        check(refuse(), None, false, Pin);
        check(pin(NEW), None, false, Accept);
        check(pin(OLD), None, true, other());
        check(
            TrustOptions::Pin(BTreeMap::new()),
            None,
            true,
            Refuse(Distrust::NotPinned { seen: NEW }),
        );
        check(Insecure, Some(OLD), false, Accept);
    }

    #[test]
    fn a_wrong_clock_is_told_apart_from_a_wrong_certificate() {
        let trust = Trust::new(TrustOptions::Ca, BTreeMap::new());
        assert_eq!(
            trust.judge(&peer(), &NEW, &CaVerdict::WrongTime("expired".into())),
            Judgement::Refuse(Distrust::WrongTime("expired".into()))
        );
    }

    #[test]
    fn pins_are_bounded_and_can_be_forgotten() {
        let mut trust = Trust::default();
        for port in 1..=u16::try_from(PINS + 50).unwrap() {
            trust.pin(Url::parse(&format!("https://h:{port}")).unwrap().authority(), NEW);
        }
        assert_eq!(trust.pins().len(), PINS);
        assert!(trust.forget("h:99"));
        assert!(!trust.forget("h:99"));
    }
}
