//! The last readings of the queue before the uplink: whether something stands in it, and how fast it moves.
//!
//! A queue that fills and empties again is a key frame on its way; one whose *shortest* age within
//! [`STANDING`] is long does not empty, so the link is too narrow (the idea of CoDel, RFC 8289).
//!
//! Does not: decide what follows.

use std::time::{Duration, Instant};

use heapless::Deque;

/// How often a reading is taken.
pub const READING_EVERY: Duration = Duration::from_millis(250);
/// A queue that is not empty for so long stands.
const STANDING: Duration = Duration::from_millis(1000);
/// Readings that are kept: 3 s.
const KEPT: usize = 13;

/// What is seen of the way to the network at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// How long the access unit that goes next has waited; zero if none waits.
    pub queue_age: Duration,
    /// How long the answer to the oldest complete segment has been awaited; zero if none is awaited.
    pub unanswered: Duration,
    /// Bytes handed to the transport so far.
    pub handed: u64,
}

/// The last readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    kept: Deque<(Instant, Reading), KEPT>,
}

impl Readings {
    pub(super) fn add(&mut self, reading: Reading, now: Instant) {
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        // There is room.
        let _ = self.kept.push_back((now, reading));
    }

    /// The shortest age within [`STANDING`]; zero while readings do not reach back so far.
    pub(super) fn standing(&self, now: Instant) -> Duration {
        let is_recent = |at: &Instant| now.duration_since(*at) <= STANDING;
        let reaches_back =
            self.kept.front().is_some_and(|(at, _)| now.duration_since(*at) >= STANDING);
        let ages = self.kept.iter().filter(|(at, _)| is_recent(at)).map(|(_, r)| r.queue_age);
        ages.min().filter(|_| reaches_back).unwrap_or_default()
    }

    /// How long the access unit that goes next has waited.
    pub(super) fn age(&self) -> Duration {
        self.kept.back().map_or(Duration::ZERO, |(_, reading)| reading.queue_age)
    }

    /// Bytes handed to the transport so far.
    pub(super) fn handed(&self) -> u64 {
        self.kept.back().map_or(0, |(_, reading)| reading.handed)
    }

    /// How long an answer has been awaited.
    pub(super) fn unanswered(&self) -> Duration {
        self.kept.back().map_or(Duration::ZERO, |(_, reading)| reading.unanswered)
    }

    /// Bits per second that went out over all readings kept, or since the queue is not empty.
    pub(super) fn throughput(&self, while_queued: bool) -> Option<f64> {
        let (last_at, last) = self.kept.back()?;
        let queued =
            self.kept.iter().rev().take_while(|(_, r)| !while_queued || !r.queue_age.is_zero());
        let (first_at, first) = queued.last()?;
        let time = last_at.duration_since(*first_at);
        let bits = 8 * last.handed.saturating_sub(first.handed);
        (time >= STANDING / 2).then(|| float(bits) / time.as_secs_f64())
    }
}

/// Exact up to 2^53, far beyond any count of bits here.
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings every 250 ms of (age in ms, bytes handed in between): standing age in ms, and throughput
    /// in kbit/s over all and while queued.
    #[track_caller]
    fn check(readings: &[(u64, u64)], standing: u128, all: Option<f64>, queued: Option<f64>) {
        let mut now = Instant::now();
        let mut kept = Readings::default();
        let mut handed = 0;
        for (age, bytes) in readings {
            now += READING_EVERY;
            handed += bytes;
            let queue_age = Duration::from_millis(*age);
            kept.add(Reading { queue_age, unanswered: Duration::ZERO, handed }, now);
        }
        assert_eq!(kept.standing(now).as_millis(), standing);
        let kbit = |while_queued| kept.throughput(while_queued).map(|bits| bits / 1000.0);
        assert_eq!((kbit(false), kbit(true)), (all, queued));
    }

    #[test]
    fn nothing_is_known_at_first() {
        check(&[], 0, None, None);
        check(&[(900, 1)], 0, None, None);
        check(&[(900, 0), (900, 0), (900, 0), (900, 0)], 0, Some(0.0), Some(0.0));
    }

    #[test]
    fn a_queue_that_empties_now_and_then_does_not_stand() {
        let readings = [(100, 0), (400, 250), (0, 250), (200, 250), (300, 250), (200, 250)];
        check(&readings, 0, Some(8.0), Some(8.0));
    }

    #[test]
    fn the_shortest_age_of_a_second_stands() {
        check(
            &[(0, 0), (200, 250), (150, 250), (300, 250), (500, 250), (600, 250)],
            150,
            Some(8.0),
            Some(8.0),
        );
    }

    #[test]
    fn only_the_last_three_seconds_count() {
        let mut readings = vec![(0, 1_000_000); 20];
        readings.extend([(100, 250); 13]);
        check(&readings, 100, Some(8.0), Some(8.0));
    }
}
