//! Remembers what is known of certificates, by host and port, within bounds.
//!
//! What an orchestrator names, its channels and runners, is remembered under that orchestrator: what it names has no
//! bearing on others.
//!
//! | who | remembered at most | when full |
//! |---|---|---|
//! | orchestrators of the configuration | all | never forgotten |
//! | hosts that an orchestrator names | [`PINS_UNDER`] for each orchestrator | its oldest makes room |
//! | all that does not belong to an orchestrator of the configuration | [`PINS`] | the oldest makes room |
//!
//! A line of the file: `host:port fingerprint`, `host:port authority`, either with the orchestrator's `host:port` behind.
//!
//! Does not: decide whether a certificate is believed; [`Trust`](super::Trust) does.

use std::collections::BTreeSet;
use std::fmt;

use crate::http::Fingerprint;
use crate::limits::{PINS, PINS_UNDER};

/// What is known of a peer's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustBasis {
    /// An authority vouched for it.
    Vouched,
    /// It is this one: seen first, or followed.
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

/// The word for [`TrustBasis::Vouched`] in the file.
const AUTHORITY: &str = "authority";

/// What is known of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its `host:port`.
    pub peer: String,
    /// The `host:port` of the orchestrator that named it, if it is another one.
    pub under: Option<String>,
    /// What is known.
    pub known: TrustBasis,
}

impl Pin {
    /// Reads a line of the file.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (peer, known, under) = (words.next()?, words.next()?, words.next());
        let known = match known {
            AUTHORITY => TrustBasis::Vouched,
            print => TrustBasis::Pinned(Fingerprint::parse(print)?),
        };
        let pin = Self { peer: peer.to_owned(), under: under.map(str::to_owned), known };
        words.next().is_none().then_some(pin)
    }

    fn is_of(&self, peer: &str, under: Option<&str>) -> bool {
        self.peer == peer && self.under.as_deref() == under
    }

    /// The orchestrator that it belongs to.
    fn orchestrator(&self) -> &str {
        self.under.as_deref().unwrap_or(&self.peer)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.peer, self.known)?;
        self.under.iter().try_for_each(|under| write!(f, " {under}"))
    }
}

/// All that is known, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pins {
    pins: Vec<Pin>,
    configured: BTreeSet<String>,
}

impl Pins {
    /// Nothing is known yet; `configured` are the `host:port`s of the configuration's own orchestrators.
    pub(crate) fn new(configured: BTreeSet<String>) -> Self {
        Self { pins: Vec::new(), configured }
    }

    /// What is known of `peer`, which the orchestrator `under` named.
    pub(crate) fn get(&self, peer: &str, under: Option<&str>) -> Option<TrustBasis> {
        self.pins.iter().find(|pin| pin.is_of(peer, under)).map(|pin| pin.known)
    }

    /// Remembers this. What is known already keeps its age.
    pub fn keep(&mut self, new: Pin) {
        if let Some(pin) =
            self.pins.iter_mut().find(|pin| pin.is_of(&new.peer, new.under.as_deref()))
        {
            pin.known = new.known;
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

    /// Forgets `peer`, whoever named it, with all that it named; whether anything was known.
    pub(crate) fn forget(&mut self, peer: &str) -> bool {
        let before = self.pins.len();
        self.pins.retain(|pin| pin.peer != peer && pin.under.as_deref() != Some(peer));
        self.pins.len() < before
    }

    /// All, the oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Pin> {
        self.pins.iter()
    }

    fn is_configured(&self, pin: &Pin) -> bool {
        self.configured.contains(pin.orchestrator())
    }

    /// Leaves room for one more of at most `most` of these.
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
        Pin { peer: peer.to_owned(), under: under.map(str::to_owned), known: PRINT }
    }

    fn ours() -> Pins {
        let mut pins = Pins::new(BTreeSet::from(["ours:8935".to_owned()]));
        pins.keep(pin("ours:8935", None));
        pins
    }

    #[test]
    fn foreign_hosts_never_push_out_ours() {
        let mut pins = ours();
        pins.keep(pin("channel:1", Some("ours:8935")));
        pins.keep(pin("theirs:8935", None));
        pins.keep(pin("theirs:8935", Some("other:8935")));
        for n in 0..2 * PINS {
            // The channel URLs of one orchestrator, also ours; and orchestrators out of lists.
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
    fn one_orchestrator_pushes_out_its_own_hosts_alone() {
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
    fn what_one_orchestrator_named_says_nothing_of_the_same_host_elsewhere() {
        let mut pins = ours();
        pins.keep(pin("host:1", Some("theirs:8935")));
        assert_eq!(pins.get("host:1", Some("ours:8935")), None);
        assert_eq!(pins.get("host:1", None), None);
        assert_eq!(pins.get("theirs:8935", None), None);
    }

    #[test]
    fn what_is_forgotten_is_so_with_all_under_it() {
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
        for (peer, under, known) in [
            ("[::1]:8935", None, PRINT),
            ("o:1", None, TrustBasis::Vouched),
            ("c:443", Some("o:1"), PRINT),
            ("c:443", Some("[::1]:1"), TrustBasis::Vouched),
        ] {
            let pin = Pin { known, ..pin(peer, under) };
            assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
        }
        for bad in ["", "o:1", "o:1 0123", "torn line", "o:1 authority a:1 b:2", "\0\u{fffd}"] {
            assert_eq!(Pin::parse(bad), None, "{bad}");
        }
    }
}
