//! Stores which orchestrators a job left, until when, and how the next selection treats them.
//!
//! | stored as | in the next selection |
//! |---|---|
//! | suspended | tried after all others: an unreliable orchestrator is better than none |
//! | barred | not tried: it would refuse the same request again |
//!
//! Does not: decide how long; the job machine does, depending on the cause.

use std::time::{Duration, Instant};

use crate::http::Authority;
use crate::limits::CANDIDATES;

/// Orchestrators that are suspended or barred, each until some time.
#[derive(Debug, Default)]
pub(crate) struct Suspensions(Vec<Suspension>);

#[derive(Debug)]
struct Suspension {
    peer: Authority,
    until: Instant,
    is_barred: bool,
}

impl Suspensions {
    /// Suspends `peer` until `until`. If the store is full, the entry that ends first is dropped.
    pub(crate) fn suspend(&mut self, peer: Authority, until: Instant) {
        self.keep(Suspension { peer, until, is_barred: false });
    }

    /// Bars `peer` until `until`, or until [`Suspensions::lift_bars`].
    pub(crate) fn bar(&mut self, peer: Authority, until: Instant) {
        self.keep(Suspension { peer, until, is_barred: true });
    }

    /// Removes all bars. Call this when the request changes: a peer that refused may accept now.
    pub(crate) fn lift_bars(&mut self) {
        self.0.retain(|known| !known.is_barred);
    }

    /// The end of `peer`'s suspension, if it is suspended.
    pub(crate) fn suspended(&self, peer: &Authority, now: Instant) -> Option<Instant> {
        let known = self.0.iter().find(|known| known.peer == *peer && !known.is_barred)?;
        Some(known.until).filter(|until| *until > now)
    }

    /// The time for which `peer` is still barred, if it is.
    pub(crate) fn barred(&self, peer: &Authority, now: Instant) -> Option<Duration> {
        let bar = self.0.iter().find(|known| known.peer == *peer && known.is_barred)?;
        bar.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn keep(&mut self, new: Suspension) {
        self.0.retain(|known| known.peer != new.peer);
        self.0.push(new);
        self.0.sort_by_key(|known| std::cmp::Reverse(known.until));
        self.0.truncate(CANDIDATES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    fn peer(name: &str) -> Authority {
        Url::parse_base(name, 8935).unwrap().authority().clone()
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn suspensions_are_bounded_and_the_last_one_counts() {
        let now = Instant::now();
        let mut suspensions = Suspensions::default();
        for n in 0..1000 {
            suspensions.suspend(peer(&format!("h{n}")), now + s(n + 1));
        }
        assert_eq!(suspensions.0.len(), CANDIDATES);
        assert!(suspensions.suspended(&peer("h999"), now + s(999)).is_some());
        suspensions.suspend(peer("h999"), now + s(5));
        assert!(suspensions.suspended(&peer("h999"), now + s(4)).is_some());
        assert!(suspensions.suspended(&peer("h999"), now + s(5)).is_none());
        assert!(suspensions.suspended(&peer("h0"), now).is_none());
    }

    #[test]
    fn a_bar_ends_at_its_time_or_when_it_is_lifted() {
        let now = Instant::now();
        let mut suspensions = Suspensions::default();
        suspensions.bar(peer("a"), now + s(600));
        suspensions.suspend(peer("b"), now + s(600));
        assert_eq!(suspensions.barred(&peer("a"), now + s(60)), Some(s(540)));
        assert_eq!(suspensions.barred(&peer("a"), now + s(600)), None);
        assert_eq!(suspensions.barred(&peer("b"), now), None);
        suspensions.lift_bars();
        assert_eq!(suspensions.barred(&peer("a"), now), None);
        assert!(suspensions.suspended(&peer("b"), now).is_some());
    }
}
