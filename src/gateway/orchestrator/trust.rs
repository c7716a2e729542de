//! Decides whether to trust an orchestrator's certificate, and which certificates to pin.
//!
//! go-livepeer creates a new self-signed certificate at every start, so the default is trust on first use:
//!
//! | policy | vouched for by a CA | first seen | same as pinned | differs from the pin | vouched for before, not now |
//! |---|---|---|---|---|---|
//! | `ca` | accept | refuse | refuse | refuse | refuse |
//! | `tofu`, follow | accept | pin | accept | pin the new one, with a warning | pin it, with a warning |
//! | `tofu`, refuse | accept | pin | accept | refuse | refuse |
//! | `pin` | refuse, unless pinned | refuse | accept | refuse | refuse |
//! | `insecure` | accept | accept | accept | accept | accept |
//!
//! Under `tofu`, the pin file records that a CA vouched for a peer. A chain whose only fault is its validity period
//! does not change that record. `tofu` with follow accepts such a chain. `tofu` with refuse, and `ca`, refuse such a
//! chain until the clock is doubted for this peer.
//!
//! Does not: read or write the state directory (`io::PinFile` does), or check signatures (the verifier in `http`
//! always does).

use std::collections::BTreeMap;

use crate::http::{Authority, CaVerdict, Distrust, Fingerprint};
use crate::orchestrator::pins::{Pin, Pins, TrustBasis};

/// Which certificates of orchestrators are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustOptions {
    /// Certificates that a CA of this system signed, or else the certificate first seen at a host and port.
    Tofu {
        /// What happens when a pinned certificate changes.
        on_change: OnChange,
    },
    /// Only certificates that a CA of this system signed.
    Ca,
    /// Only these certificates, by the orchestrator's host and port. A CA's signature does not matter.
    Pin(BTreeMap<Authority, Fingerprint>),
    /// Any certificate. Each start logs a warning.
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
    /// Pin the new certificate and log a warning: orchestrators create a certificate at each start.
    #[default]
    Follow,
    /// Refuse the connection until the pin is removed.
    Refuse,
}

/// What the caller must do with a connection and its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Judgement {
    /// Use the connection.
    Accept,
    /// Use the connection and store this record for the peer, with `Trust::keep`.
    Keep(TrustBasis),
    /// Use the connection, log a warning, and pin the new certificate with `Trust::keep`.
    Changed {
        /// The record of the peer so far.
        before: TrustBasis,
    },
    /// Close the connection.
    Refuse(Distrust),
}

/// A policy and the stored pins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    options: TrustOptions,
    pins: Pins,
}

impl Trust {
    /// Creates the trust of policy `options`, with the pins of earlier runs.
    pub fn new(options: TrustOptions, pins: Pins) -> Self {
        Self { options, pins }
    }

    /// Judges the certificate `seen` at `peer`. `under` is the orchestrator that named `peer`, if it is another host.
    pub fn judge(
        &self,
        peer: &Authority,
        under: Option<&Authority>,
        seen: &Fingerprint,
        ca: &CaVerdict,
    ) -> Judgement {
        match &self.options {
            TrustOptions::Insecure => Judgement::Accept,
            TrustOptions::Ca => match ca {
                CaVerdict::Valid | CaVerdict::Doubtful(_) => Judgement::Accept,
                CaVerdict::Invalid(reason) => {
                    Judgement::Refuse(Distrust::NoAuthority(reason.clone()))
                }
                CaVerdict::WrongTime(reason) => {
                    Judgement::Refuse(Distrust::WrongTime(reason.clone()))
                }
            },
            TrustOptions::Pin(pins) => match pins.get(peer) {
                Some(wanted) if wanted == seen => Judgement::Accept,
                Some(wanted) => differs_from_pin(wanted, seen),
                None => Judgement::Refuse(Distrust::NotPinned { seen: *seen }),
            },
            TrustOptions::Tofu { on_change } => {
                let under = under.map(ToString::to_string);
                let known = self.pins.get(&peer.to_string(), under.as_deref());
                by_first_use(*on_change, known, seen, ca)
            }
        }
    }

    /// Stores `known` for `peer`. `under` is the orchestrator that named `peer`, if it is another host.
    pub(crate) fn keep(&mut self, peer: &Authority, under: Option<&Authority>, known: TrustBasis) {
        let (peer, under) = (peer.to_string(), under.map(ToString::to_string));
        self.pins.keep(Pin { peer, under, basis: known });
    }

    /// Removes the pins of `peer` (`host:port`). Returns whether there were any.
    pub(crate) fn forget(&mut self, peer: &str) -> bool {
        self.pins.forget(peer)
    }

    /// The stored pins.
    pub(crate) fn pins(&self) -> &Pins {
        &self.pins
    }
}

fn by_first_use(
    on_change: OnChange,
    known: Option<TrustBasis>,
    seen: &Fingerprint,
    ca: &CaVerdict,
) -> Judgement {
    let refuses = on_change == OnChange::Refuse;
    match (known, ca) {
        (Some(TrustBasis::Vouched), CaVerdict::Valid | CaVerdict::Doubtful(_)) => Judgement::Accept,
        (Some(TrustBasis::Pinned(_)) | None, CaVerdict::Valid) => {
            Judgement::Keep(TrustBasis::Vouched)
        }
        (None, CaVerdict::Invalid(_) | CaVerdict::WrongTime(_) | CaVerdict::Doubtful(_)) => {
            Judgement::Keep(TrustBasis::Pinned(*seen))
        }
        (Some(TrustBasis::Pinned(pinned)), _) if pinned == *seen => Judgement::Accept,
        (Some(TrustBasis::Pinned(pinned)), _) if refuses => differs_from_pin(&pinned, seen),
        (Some(TrustBasis::Vouched), CaVerdict::Invalid(reason)) if refuses => {
            Judgement::Refuse(Distrust::VouchedBefore { seen: *seen, reason: reason.clone() })
        }
        (Some(TrustBasis::Vouched), CaVerdict::WrongTime(reason)) if refuses => {
            Judgement::Refuse(Distrust::WrongTime(reason.clone()))
        }
        (Some(TrustBasis::Vouched), CaVerdict::WrongTime(_)) => Judgement::Accept,
        (Some(before), _) => Judgement::Changed { before },
    }
}

fn differs_from_pin(wanted: &Fingerprint, seen: &Fingerprint) -> Judgement {
    Judgement::Refuse(Distrust::Pinned { wanted: *wanted, seen: *seen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    const OLD: Fingerprint = Fingerprint([1; 32]);
    const NEW: Fingerprint = Fingerprint([2; 32]);

    fn peer() -> Authority {
        Url::parse("https://orch:8935").unwrap().authority().clone()
    }

    fn follow() -> TrustOptions {
        TrustOptions::Tofu { on_change: OnChange::Follow }
    }

    fn refuse() -> TrustOptions {
        TrustOptions::Tofu { on_change: OnChange::Refuse }
    }

    fn unknown() -> CaVerdict {
        CaVerdict::Invalid("self-signed".into())
    }

    /// Checks the judgement on [`NEW`], given this record of the peer.
    #[track_caller]
    fn check(options: TrustOptions, known: Option<TrustBasis>, ca: CaVerdict, expected: Judgement) {
        let mut trust = Trust::new(options, Pins::default());
        if let Some(known) = known {
            trust.keep(&peer(), None, known);
        }
        assert_eq!(trust.judge(&peer(), None, &NEW, &ca), expected);
    }

    #[test]
    fn each_policy_judges_as_its_row_says() {
        use Judgement::{Accept, Changed, Keep, Refuse};
        use TrustBasis::{Pinned, Vouched};
        use TrustOptions::{Ca, Insecure};
        let pin = |print| TrustOptions::Pin(BTreeMap::from([(peer(), print)]));
        let (old, new) = (Some(Pinned(OLD)), Some(Pinned(NEW)));
        let nobody = || Refuse(Distrust::NoAuthority("self-signed".into()));
        let other = || Refuse(Distrust::Pinned { wanted: OLD, seen: NEW });
        check(Ca, None, CaVerdict::Valid, Accept);
        check(Ca, None, unknown(), nobody());
        check(Ca, new, unknown(), nobody());
        for options in [follow(), refuse()] {
            check(options.clone(), None, CaVerdict::Valid, Keep(Vouched));
            check(options.clone(), Some(Vouched), CaVerdict::Valid, Accept);
            check(options.clone(), old, CaVerdict::Valid, Keep(Vouched));
            check(options.clone(), None, unknown(), Keep(Pinned(NEW)));
            check(options, new, unknown(), Accept);
        }
        check(follow(), old, unknown(), Changed { before: Pinned(OLD) });
        check(follow(), Some(Vouched), unknown(), Changed { before: Vouched });
        check(refuse(), old, unknown(), other());
        let before = Distrust::VouchedBefore { seen: NEW, reason: "self-signed".into() };
        check(refuse(), Some(Vouched), unknown(), Refuse(before));
        check(pin(NEW), None, unknown(), Accept);
        check(pin(OLD), None, CaVerdict::Valid, other());
        let none = TrustOptions::Pin(BTreeMap::new());
        check(none, None, CaVerdict::Valid, Refuse(Distrust::NotPinned { seen: NEW }));
        check(Insecure, old, unknown(), Accept);
    }

    #[test]
    fn a_wrong_clock_differs_from_a_wrong_certificate() {
        let late = || CaVerdict::WrongTime("expired".into());
        let refused = || Judgement::Refuse(Distrust::WrongTime("expired".into()));
        check(TrustOptions::Ca, None, late(), refused());
        check(refuse(), Some(TrustBasis::Vouched), late(), refused());
        // The policy `follow` accepts this change too, and keeps its record.
        check(follow(), Some(TrustBasis::Vouched), late(), Judgement::Accept);
        check(refuse(), None, late(), Judgement::Keep(TrustBasis::Pinned(NEW)));
        let doubtful = || CaVerdict::Doubtful("expired".into());
        check(TrustOptions::Ca, None, doubtful(), Judgement::Accept);
        check(refuse(), Some(TrustBasis::Vouched), doubtful(), Judgement::Accept);
        let other = Distrust::Pinned { wanted: OLD, seen: NEW };
        check(refuse(), Some(TrustBasis::Pinned(OLD)), doubtful(), Judgement::Refuse(other));
    }

    #[test]
    fn a_host_is_judged_under_the_orchestrator_that_named_it() {
        let mut trust = Trust::new(refuse(), Pins::default());
        let theirs = Url::parse("https://theirs:8935").unwrap().authority().clone();
        trust.keep(&peer(), None, TrustBasis::Pinned(OLD));
        let judged = |under: Option<&Authority>| trust.judge(&peer(), under, &NEW, &unknown());
        assert_eq!(judged(Some(&theirs)), Judgement::Keep(TrustBasis::Pinned(NEW)));
        assert_eq!(judged(None), Judgement::Refuse(Distrust::Pinned { wanted: OLD, seen: NEW }));
    }
}
