//! Decides whether an orchestrator's certificate is believed, and which certificates stay pinned.
//!
//! go-livepeer makes a new self-signed certificate at every start, so the default is trust on first use:
//!
//! | policy | authority vouches | first seen | same as pinned | another than pinned |
//! |---|---|---|---|---|
//! | `ca` | accept | refuse | refuse | refuse |
//! | `tofu`, follow | accept | pin | accept | changed: the new one is pinned, with a warning |
//! | `tofu`, refuse | accept | pin | accept | refuse |
//! | `pin` | by fingerprint only | refuse | accept | refuse |
//! | `insecure` | accept | accept | accept | accept |
//!
//! Does not: read or write the state directory (`io::PinFile` does), and does not check signatures: the
//! verifier in `http` always does.

use std::collections::BTreeMap;

use crate::capacity::PINS;
use crate::http::{Authority, CaVerdict, Distrust, Fingerprint};

/// How certificates of orchestrators are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// Only what an authority of this system vouches for.
    Ca,
    /// That, or the certificate seen first at this host and port.
    #[default]
    Tofu,
    /// Only these certificates, whatever an authority says.
    Pin(Vec<Fingerprint>),
    /// Everything. Loud at every start.
    Insecure,
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

/// The user's choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustOptions {
    /// How certificates are believed.
    pub policy: Policy,
    /// What happens when one changes.
    pub on_change: OnChange,
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
        match (&self.options.policy, ca) {
            (Policy::Insecure, _) | (Policy::Ca | Policy::Tofu, CaVerdict::Valid) => {
                Judgement::Accept
            }
            (Policy::Ca, CaVerdict::Invalid(reason)) => {
                Judgement::Refuse(Distrust::NoAuthority(reason.clone()))
            }
            (Policy::Ca, CaVerdict::WrongTime(reason)) => {
                Judgement::Refuse(Distrust::WrongTime(reason.clone()))
            }
            (Policy::Pin(pins), _) if pins.contains(seen) => Judgement::Accept,
            (Policy::Pin(pins), _) => Judgement::Refuse(match pins.first() {
                Some(wanted) => Distrust::Pinned { wanted: *wanted, seen: *seen },
                None => Distrust::NoAuthority("no certificate is pinned".to_owned()),
            }),
            (Policy::Tofu, CaVerdict::Invalid(_) | CaVerdict::WrongTime(_)) => {
                self.judge_by_pin(peer, seen)
            }
        }
    }

    fn judge_by_pin(&self, peer: &Authority, seen: &Fingerprint) -> Judgement {
        match (self.pins.get(&peer.to_string()), self.options.on_change) {
            (None, _) => Judgement::Pin,
            (Some(pinned), _) if pinned == seen => Judgement::Accept,
            (Some(pinned), OnChange::Follow) => Judgement::Changed { pinned: *pinned },
            (Some(pinned), OnChange::Refuse) => {
                Judgement::Refuse(Distrust::Pinned { wanted: *pinned, seen: *seen })
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
    fn check(
        policy: Policy,
        on_change: OnChange,
        pinned: Option<Fingerprint>,
        ca: bool,
        expected: Judgement,
    ) {
        let url = Url::parse("https://orch:8935").unwrap();
        let mut trust = Trust::new(TrustOptions { policy, on_change }, BTreeMap::new());
        if let Some(pinned) = pinned {
            trust.pin(url.authority(), pinned);
        }
        let ca = if ca { CaVerdict::Valid } else { CaVerdict::Invalid("self-signed".into()) };
        assert_eq!(trust.judge(url.authority(), &NEW, &ca), expected);
    }

    #[test]
    fn the_table_holds() {
        use Judgement::{Accept, Changed, Pin, Refuse};
        use OnChange::{Follow, Refuse as No};
        let unknown = || Refuse(Distrust::NoAuthority("self-signed".into()));
        let other = || Refuse(Distrust::Pinned { wanted: OLD, seen: NEW });
        check(Policy::Ca, Follow, None, true, Accept);
        check(Policy::Ca, Follow, None, false, unknown());
        check(Policy::Ca, Follow, Some(NEW), false, unknown());
        check(Policy::Tofu, Follow, Some(OLD), true, Accept);
        check(Policy::Tofu, Follow, None, false, Pin);
        check(Policy::Tofu, Follow, Some(NEW), false, Accept);
        check(Policy::Tofu, Follow, Some(OLD), false, Changed { pinned: OLD });
        check(Policy::Tofu, No, Some(OLD), false, other());
        check(Policy::Tofu, No, None, false, Pin);
        check(Policy::Pin(vec![NEW]), Follow, None, false, Accept);
        check(Policy::Pin(vec![OLD]), Follow, None, true, other());
        check(Policy::Insecure, No, Some(OLD), false, Accept);
    }

    #[test]
    fn a_wrong_clock_is_told_apart_from_a_wrong_certificate() {
        let url = Url::parse("https://orch:8935").unwrap();
        let trust = Trust::new(
            TrustOptions { policy: Policy::Ca, ..TrustOptions::default() },
            BTreeMap::new(),
        );
        let ca = CaVerdict::WrongTime("expired".into());
        assert_eq!(
            trust.judge(url.authority(), &NEW, &ca),
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
