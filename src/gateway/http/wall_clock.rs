//! Records what certificates show about this computer's clock. All connections of the process share one record.
//!
//! The record has the newest time that is certainly in the past: the time of this program's build, or the time of the
//! newest signature of an authority. It also has the peers whose certificates were refused for their validity period,
//! and the peers for which the clock is doubted; `clock` decides when to doubt it.
//!
//! Each change of the trusted peers begins a new epoch. TLS sessions of an earlier epoch are not resumed.
//!
//! Does not: read the clock, or decide whether to doubt it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::UnixTime;

use crate::clock::BUILT;
use crate::http::Authority;
use crate::limits::DOUBTS;

/// The record; share it by `Arc`.
#[derive(Debug)]
pub struct WallClock {
    state: Mutex<WallClockState>,
    epoch: AtomicU64,
}

#[derive(Debug)]
struct WallClockState {
    newest: UnixTime,
    /// Peers refused for their validity period since the last [`WallClock::take_late`]; whether the clock may be doubted
    /// for them.
    refused: BTreeMap<Authority, bool>,
    /// Peers whose validity period is ignored.
    doubted: BTreeSet<Authority>,
}

/// A peer whose certificate was refused for its validity period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeRefusal {
    /// The peer.
    pub(crate) peer: Authority,
    /// Whether the clock may be doubted for it: `false` for signers and discovery endpoints.
    pub(crate) may_be_doubted: bool,
}

impl Default for WallClock {
    /// A record with the build time as the newest time.
    fn default() -> Self {
        let state =
            WallClockState { newest: built(), refused: BTreeMap::new(), doubted: BTreeSet::new() };
        Self { state: Mutex::new(state), epoch: AtomicU64::new(0) }
    }
}

impl WallClock {
    /// The newest time that is certainly in the past.
    pub(crate) fn newest(&self) -> UnixTime {
        self.state().newest
    }

    /// Records that an authority signed a certificate at this time.
    pub(crate) fn saw(&self, signed: UnixTime) {
        let mut state = self.state();
        state.newest = state.newest.max(signed);
    }

    /// Records that a certificate was refused for its validity period.
    pub(crate) fn on_late(&self, late: TimeRefusal) {
        let mut state = self.state();
        if state.refused.len() < DOUBTS {
            state.refused.insert(late.peer, late.may_be_doubted);
        }
    }

    /// The certificates refused for their validity period since the last call.
    pub fn take_late(&self) -> Vec<TimeRefusal> {
        let refused = std::mem::take(&mut self.state().refused);
        refused
            .into_iter()
            .map(|(peer, may_be_doubted)| TimeRefusal { peer, may_be_doubted })
            .collect()
    }

    /// Doubts the clock for these peers from now on: their validity periods are ignored. Returns the peers for which this
    /// is new.
    pub fn doubt(&self, peers: &[Authority]) -> Vec<Authority> {
        let mut state = self.state();
        let mut new = Vec::new();
        for peer in peers {
            if state.doubted.len() < DOUBTS && state.doubted.insert(peer.clone()) {
                new.push(peer.clone());
            }
        }
        if !new.is_empty() {
            self.begin_epoch();
        }
        new
    }

    /// Whether the clock is doubted for this peer.
    pub(crate) fn is_doubted(&self, peer: &Authority) -> bool {
        self.state().doubted.contains(peer)
    }

    /// Ends the doubt for this peer, whose certificate is valid by the clock.
    pub(crate) fn settle(&self, peer: &Authority) {
        if self.state().doubted.remove(peer) {
            self.begin_epoch();
        }
    }

    /// Ends all doubts and resets the newest time. Call once the clock is synchronised.
    pub fn trust(&self) {
        let mut state = self.state();
        state.newest = built();
        if !std::mem::take(&mut state.doubted).is_empty() {
            self.begin_epoch();
        }
    }

    /// The number of the current epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    fn begin_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, WallClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn built() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(BUILT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    fn peer(host: &str) -> Authority {
        Url::parse(&format!("https://{host}")).unwrap().authority().clone()
    }

    fn seconds(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn the_newest_signed_time_counts_until_the_clock_is_right() {
        let clock = WallClock::default();
        assert_eq!(clock.newest(), seconds(BUILT));
        clock.saw(seconds(5));
        assert_eq!(clock.newest(), seconds(BUILT));
        clock.saw(seconds(BUILT + 5));
        clock.saw(seconds(BUILT + 1));
        assert_eq!(clock.newest(), seconds(BUILT + 5));
        clock.trust();
        assert_eq!(clock.newest(), seconds(BUILT));
    }

    #[test]
    fn a_doubt_belongs_to_one_peer_and_each_change_begins_an_epoch() {
        let clock = WallClock::default();
        assert_eq!(clock.doubt(&[peer("a")]), [peer("a")]);
        assert!(clock.is_doubted(&peer("a")) && !clock.is_doubted(&peer("b")));
        assert_eq!((clock.doubt(&[peer("a")]), clock.epoch()), (Vec::new(), 1));
        clock.settle(&peer("b"));
        assert_eq!(clock.epoch(), 1);
        clock.settle(&peer("a"));
        assert_eq!((clock.is_doubted(&peer("a")), clock.epoch()), (false, 2));
        clock.trust();
        assert_eq!(clock.epoch(), 2);
        let _ = clock.doubt(&[peer("a"), peer("b")]);
        clock.trust();
        assert_eq!((clock.is_doubted(&peer("b")), clock.epoch()), (false, 4));
    }

    #[test]
    fn refusals_are_returned_once_and_bounded() {
        let clock = WallClock::default();
        for n in 0..2 * DOUBTS {
            clock.on_late(TimeRefusal { peer: peer(&format!("h{n}")), may_be_doubted: true });
        }
        let late = clock.take_late();
        assert_eq!(late.len(), DOUBTS);
        assert!(clock.take_late().is_empty());
        let peers: Vec<Authority> = (0..2 * DOUBTS).map(|n| peer(&format!("h{n}"))).collect();
        assert_eq!(clock.doubt(&peers).len(), DOUBTS);
    }
}
