//! Stores pinned certificates by host and port, within bounds.
//!
//! The pins of hosts that an orchestrator names (its channels and runners) are stored under that orchestrator. They
//! do not apply to the same host named by another orchestrator.
//!
//! | host | pins at most | when full |
//! |---|---|---|
//! | an orchestrator of the configuration | unlimited | never dropped |
//! | a host that an orchestrator names | [`PINS_UNDER`] per orchestrator | the oldest of that orchestrator is dropped |
//! | any host that does not belong to a configured orchestrator | [`PINS`] | the oldest is dropped |
//!
//! A line of the file is `host:port fingerprint` or `host:port authority`, followed by the `host:port` of the
//! orchestrator that named the host, if there is one.
//!
//! Does not: decide whether to trust a certificate; [`Trust`](super::Trust) does.

use std::collections::BTreeSet;
use std::fmt;

use crate::http::Fingerprint;
use crate::limits::{PINS, PINS_UNDER};

/// Why a peer's certificate was trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustBasis {
    /// A certificate authority signed the certificate.
    Vouched,
    /// The certificate has this fingerprint, which was pinned at first use or after a change.
    Pinned(Fingerprint),
}

impl fmt::Display for TrustBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vouched => f.write_str(AUTHORITY),
            Self::Pinned(print) => print.fmt(f),
        }
    }
}

/// The word in the file that stands for [`TrustBasis::Vouched`].
const AUTHORITY: &str = "authority";

/// The stored trust in one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The peer's `host:port`.
    pub peer: String,
    /// The `host:port` of the orchestrator that named the peer, unless the peer is the orchestrator.
    pub under: Option<String>,
    /// Why the peer was trusted.
    pub basis: TrustBasis,
}

impl Pin {
    /// Parses a line of the file.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (peer, basis, under) = (words.next()?, words.next()?, words.next());
        let basis = match basis {
            AUTHORITY => TrustBasis::Vouched,
            print => TrustBasis::Pinned(Fingerprint::parse(print)?),
        };
        let pin = Self { peer: peer.to_owned(), under: under.map(str::to_owned), basis };
        words.next().is_none().then_some(pin)
    }

    fn is_of(&self, peer: &str, under: Option<&str>) -> bool {
        self.peer == peer && self.under.as_deref() == under
    }

    /// The `host:port` of the orchestrator that the peer belongs to.
    fn orchestrator(&self) -> &str {
        self.under.as_deref().unwrap_or(&self.peer)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.peer, self.basis)?;
        self.under.iter().try_for_each(|under| write!(f, " {under}"))
    }
}

/// The stored pins, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pins {
    pins: Vec<Pin>,
    configured: BTreeSet<String>,
}

impl Pins {
    /// Creates an empty store. The pins of orchestrators whose `host:port` is in `configured` are never dropped.
    pub(crate) fn new(configured: BTreeSet<String>) -> Self {
        Self { pins: Vec::new(), configured }
    }

    /// Returns why `peer` was trusted. `under` is the orchestrator that named `peer`, if it is another host.
    pub(crate) fn get(&self, peer: &str, under: Option<&str>) -> Option<TrustBasis> {
        self.pins.iter().find(|pin| pin.is_of(peer, under)).map(|pin| pin.basis)
    }

    /// Stores a pin. A pin that replaces one of the same peer keeps its age.
    pub fn keep(&mut self, new: Pin) {
        if let Some(pin) =
            self.pins.iter_mut().find(|pin| pin.is_of(&new.peer, new.under.as_deref()))
        {
            pin.basis = new.basis;
            return;
        }
        if let Some(under) = new.under.as_deref() {
            self.make_room(PINS_UNDER, |pin| pin.under.as_deref() == Some(under));
        }
        if !self.is_configured(&new) {
            let configured = self.configured.clone();
            self.make_room(PINS, |pin| !configured.contains(pin.orchestrator()));
        }
        self.pins.push(new);
    }

    /// Removes all pins of `peer` and of the hosts it named. Returns whether there were any.
    pub(crate) fn forget(&mut self, peer: &str) -> bool {
        let before = self.pins.len();
        self.pins.retain(|pin| pin.peer != peer && pin.under.as_deref() != Some(peer));
        self.pins.len() < before
    }

    /// Iterates over the pins, the oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Pin> {
        self.pins.iter()
    }

    fn is_configured(&self, pin: &Pin) -> bool {
        self.configured.contains(pin.orchestrator())
    }

    /// Drops the oldest pins for which `is_one` holds until fewer than `most` are left.
    fn make_room(&mut self, most: usize, is_one: impl Fn(&Pin) -> bool) {
        while self.pins.iter().filter(|pin| is_one(pin)).count() >= most {
            match self.pins.iter().position(&is_one) {
                Some(oldest) => drop(self.pins.remove(oldest)),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: TrustBasis = TrustBasis::Pinned(Fingerprint([1; 32]));

    fn pin(peer: &str, under: Option<&str>) -> Pin {
        Pin { peer: peer.to_owned(), under: under.map(str::to_owned), basis: PRINT }
    }

    fn ours() -> Pins {
        let mut pins = Pins::new(BTreeSet::from(["ours:8935".to_owned()]));
        pins.keep(pin("ours:8935", None));
        pins
    }

    #[test]
    fn foreign_hosts_never_displace_configured_ones() {
        let mut pins = ours();
        pins.keep(pin("channel:1", Some("ours:8935")));
        pins.keep(pin("theirs:8935", None));
        pins.keep(pin("theirs:8935", Some("other:8935")));
        for n in 0..2 * PINS {
            // Channel hosts of a foreign orchestrator, and orchestrators from discovery lists.
            pins.keep(pin(&format!("c{n}:1"), Some("theirs:8935")));
            pins.keep(pin(&format!("a{n}:8935"), None));
        }
        assert_eq!(pins.get("ours:8935", None), Some(PRINT));
        assert_eq!(pins.get("channel:1", Some("ours:8935")), Some(PRINT));
        assert_eq!(pins.iter().count(), PINS + 2);
        for n in 0..2 * PINS {
            pins.keep(pin(&format!("c{n}:1"), Some("ours:8935")));
        }
        assert_eq!(pins.get("ours:8935", None), Some(PRINT));
        assert_eq!(pins.iter().count(), PINS + 1 + PINS_UNDER);
    }

    #[test]
    fn an_orchestrator_displaces_only_hosts_it_named() {
        let mut pins = Pins::default();
        pins.keep(pin("a:8935", None));
        pins.keep(pin("b:8935", None));
        pins.keep(pin("x:1", Some("a:8935")));
        for n in 0..2 * PINS_UNDER {
            pins.keep(pin(&format!("x{n}:1"), Some("b:8935")));
        }
        assert!(pins.get("a:8935", None).is_some() && pins.get("x:1", Some("a:8935")).is_some());
        assert_eq!(pins.get("x0:1", Some("b:8935")), None);
        assert_eq!(pins.iter().count(), 3 + PINS_UNDER);
    }

    #[test]
    fn a_pin_under_one_orchestrator_does_not_apply_under_another() {
        let mut pins = ours();
        pins.keep(pin("host:1", Some("theirs:8935")));
        assert_eq!(pins.get("host:1", Some("ours:8935")), None);
        assert_eq!(pins.get("host:1", None), None);
        assert_eq!(pins.get("theirs:8935", None), None);
    }

    #[test]
    fn removing_a_pin_removes_the_pins_under_it() {
        let mut pins = ours();
        pins.keep(pin("x:1", Some("ours:8935")));
        pins.keep(pin("x:1", Some("theirs:8935")));
        assert!(pins.forget("ours:8935") && !pins.forget("ours:8935"));
        assert_eq!(pins.iter().count(), 1);
        assert!(pins.forget("x:1"));
        assert_eq!(pins.iter().count(), 0);
    }

    #[test]
    fn a_line_reads_back() {
        for (peer, under, basis) in [
            ("[::1]:8935", None, PRINT),
            ("o:1", None, TrustBasis::Vouched),
            ("c:443", Some("o:1"), PRINT),
            ("c:443", Some("[::1]:1"), TrustBasis::Vouched),
        ] {
            let pin = Pin { basis, ..pin(peer, under) };
            assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
        }
        for bad in ["", "o:1", "o:1 0123", "torn line", "o:1 authority a:1 b:2", "\0\u{fffd}"] {
            assert_eq!(Pin::parse(bad), None, "{bad}");
        }
    }
}
