//! The last readings of the way to the network: whether something stands in it, and how much it carries.
//!
//! What a bit waits for is the queue before the transport, what the transport has not sent, and what the round
//! trip takes longer than the path itself needs. Something that comes and goes is a key frame on its way; where
//! the *shortest* wait within [`STANDING`] is long, something stands, so the link is too narrow (the idea of
//! CoDel, RFC 8289). The path is the shortest round trip of late.
//!
//! Does not: decide what follows.

use std::time::{Duration, Instant};

use heapless::Deque;

/// How often a reading is taken.
pub const READING_EVERY: Duration = Duration::from_millis(250);
/// What is not gone for so long stands.
const STANDING: Duration = Duration::from_millis(1000);
/// How long a round trip counts as the path.
const PATH_KEPT: Duration = Duration::from_secs(30);
/// Over how long what goes out is measured at most.
const MEASURED_OVER: Duration = Duration::from_secs(3);
/// Waits that are shorter are none.
const SHORT: Duration = Duration::from_millis(50);
/// A round trip that changes by less within two seconds stays as it is: a queue that drains changes it by more.
const STEADY: Duration = Duration::from_millis(60);
/// Readings that are kept: 30 s.
const KEPT: usize = 121;

/// What is seen of the way to the network at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// How long the access unit that goes next has waited; zero if none waits.
    pub queue_age: Duration,
    /// Bytes that the peer has acknowledged so far.
    pub acknowledged: u64,
    /// Bytes that the transport has taken and not sent.
    pub unsent: u64,
    /// What the last round trips took, if that is known.
    pub round_trip: Option<Duration>,
}

/// A reading and its time.
#[derive(Debug, Clone, Copy)]
struct Kept {
    at: Instant,
    reading: Reading,
    /// How long a bit waits before it is sent.
    backlog: Duration,
    /// The same until it arrives.
    wait: Duration,
}

/// The last readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    kept: Deque<Kept, KEPT>,
    /// Round trips of before say nothing of the path as it is.
    path_since: Option<Instant>,
}

impl Readings {
    pub(super) fn add(&mut self, reading: Reading, now: Instant) {
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        let (backlog, wait) = (Duration::ZERO, Duration::ZERO);
        let kept = Kept { at: now, reading, backlog, wait };
        // There is room.
        let _ = self.kept.push_back(kept);
        let backlog = self.backlog_of(&reading);
        let on_the_way = reading.round_trip.zip(self.path(now));
        let on_the_way = on_the_way.map(|(took, path)| took.saturating_sub(path));
        if let Some(last) = self.kept.back_mut() {
            (last.backlog, last.wait) = (backlog, backlog + on_the_way.unwrap_or_default());
        }
    }

    fn backlog_of(&self, reading: &Reading) -> Duration {
        let most = STANDING.as_secs_f64();
        let unsent = match self.carried() {
            Some(rate) if reading.unsent > 0 => (float(8 * reading.unsent) / rate).min(most),
            _ => 0.0,
        };
        reading.queue_age + Duration::from_secs_f64(unsent)
    }

    /// What the path itself needs for a round trip.
    pub(super) fn path(&self, now: Instant) -> Option<Duration> {
        self.least_round_trip(PATH_KEPT, Duration::ZERO, now)
    }

    /// The shortest round trip between two times ago.
    fn least_round_trip(&self, from: Duration, to: Duration, now: Instant) -> Option<Duration> {
        self.kept
            .iter()
            .filter(|kept| {
                let ago = now.duration_since(kept.at);
                to <= ago && ago <= from && self.path_since.is_none_or(|since| kept.at >= since)
            })
            .filter_map(|kept| kept.reading.round_trip)
            .min()
    }

    /// Takes the round trip for the path, if it stayed the same over the last 4 s. Whether it did.
    pub(super) fn relearn(&mut self, now: Instant) -> bool {
        let (two, four) = (Duration::from_secs(2), Duration::from_secs(4));
        let least = [(four, two), (two, Duration::ZERO)]
            .map(|(from, to)| self.least_round_trip(from, to, now));
        let [Some(before), Some(last)] = least else { return false };
        let is_steady = before.abs_diff(last) <= STEADY.max(last / 8);
        if is_steady && self.path(now).is_some_and(|path| path + SHORT < last) {
            self.path_since = Some(now.checked_sub(two).unwrap_or(now));
            return true;
        }
        false
    }

    /// The shortest wait within [`STANDING`]; zero while readings do not reach back so far.
    pub(super) fn standing(&self, now: Instant) -> Duration {
        let reaches_back =
            self.kept.front().is_some_and(|kept| now.duration_since(kept.at) >= STANDING);
        let recent =
            self.kept.iter().rev().take_while(|kept| now.duration_since(kept.at) <= STANDING);
        recent.map(|kept| kept.wait).min().filter(|_| reaches_back).unwrap_or_default()
    }

    /// How long a bit waits now.
    pub(super) fn wait(&self) -> Duration {
        self.kept.back().map_or(Duration::ZERO, |kept| kept.wait)
    }

    /// Bytes that the peer has acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.kept.back().map_or(0, |kept| kept.reading.acknowledged)
    }

    /// Whether the transport takes less than it is given.
    pub(super) fn is_full(&self) -> bool {
        self.kept.back().is_some_and(|kept| kept.backlog > SHORT)
    }

    /// Bits per second that the peer acknowledged of late.
    pub(super) fn carried(&self) -> Option<f64> {
        self.rate(|_| true)
    }

    /// The same since something waits.
    pub(super) fn carried_while_waiting(&self) -> Option<f64> {
        self.rate(|kept| kept.wait > SHORT)
    }

    /// The same over the last second.
    pub(super) fn carried_of_late(&self) -> Option<f64> {
        let last = self.kept.back()?;
        self.rate(|kept| last.at.duration_since(kept.at) <= STANDING)
    }

    fn rate(&self, counts: impl Fn(&Kept) -> bool) -> Option<f64> {
        let last = self.kept.back()?;
        let is_recent = |kept: &&Kept| last.at.duration_since(kept.at) <= MEASURED_OVER;
        let first =
            self.kept.iter().rev().take_while(is_recent).take_while(|k| counts(k)).last()?;
        let time = last.at.duration_since(first.at);
        let bytes = last.reading.acknowledged.saturating_sub(first.reading.acknowledged);
        (time >= STANDING / 2).then(|| float(8 * bytes) / time.as_secs_f64())
    }
}

/// Exact up to 2^53, far beyond any count of bits here.
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings every 250 ms, of one kind after the other.
    struct Run {
        readings: Readings,
        now: Instant,
        acknowledged: u64,
    }

    impl Run {
        fn new() -> Self {
            Self { readings: Readings::default(), now: Instant::now(), acknowledged: 0 }
        }

        /// So many readings of: queue age in ms, bytes acknowledged in each, bytes unsent, round trip in ms.
        fn add(mut self, count: usize, age: u64, bytes: u64, unsent: u64, took: u64) -> Self {
            for _ in 0..count {
                self.now += READING_EVERY;
                self.acknowledged += bytes;
                let reading = Reading {
                    queue_age: Duration::from_millis(age),
                    acknowledged: self.acknowledged,
                    unsent,
                    round_trip: Some(Duration::from_millis(took)),
                };
                self.readings.add(reading, self.now);
            }
            self
        }

        /// What stands, in ms; kbit/s carried at all and while something waits.
        #[track_caller]
        fn check(&self, standing: u128, carried: Option<f64>, waiting: Option<f64>) {
            assert_eq!(self.readings.standing(self.now).as_millis(), standing);
            let kbit = |bits: Option<f64>| bits.map(|bits| (bits / 1000.0).round());
            let found = [self.readings.carried(), self.readings.carried_while_waiting()].map(kbit);
            assert_eq!(found, [carried, waiting]);
        }
    }

    #[test]
    fn nothing_is_known_at_first() {
        Run::new().check(0, None, None);
        Run::new().add(1, 900, 250, 0, 20).check(0, None, None);
        Run::new().add(4, 900, 250, 0, 20).check(0, Some(8.0), Some(8.0));
    }

    #[test]
    fn what_waits_is_added_up() {
        // 25 kB at 1 Mbit/s, and 100 ms more than the path needs.
        let run = Run::new().add(8, 0, 31_250, 0, 50).add(5, 120, 31_250, 25_000, 150);
        run.check(420, Some(1000.0), Some(1000.0));
    }

    #[test]
    fn a_queue_that_empties_now_and_then_does_not_stand() {
        let run = Run::new().add(4, 300, 250, 0, 20).add(1, 0, 250, 0, 20).add(3, 300, 250, 0, 20);
        run.check(0, Some(8.0), Some(8.0));
    }

    #[test]
    fn the_shortest_wait_of_a_second_stands() {
        let run = Run::new().add(4, 900, 250, 0, 20).add(1, 150, 250, 0, 20);
        run.add(4, 600, 250, 0, 20).check(150, Some(8.0), Some(8.0));
    }

    #[test]
    fn only_the_last_three_seconds_are_measured() {
        let run = Run::new().add(20, 0, 1_000_000, 0, 20).add(13, 100, 250, 0, 20);
        run.check(100, Some(8.0), Some(8.0));
    }

    #[test]
    fn what_stops_has_carried_nothing() {
        let run = Run::new().add(12, 0, 1000, 0, 20).add(13, 500, 0, 0, 20);
        run.check(500, Some(0.0), Some(0.0));
    }

    #[test]
    fn what_is_not_sent_at_all_waits_for_a_second() {
        let run = Run::new().add(12, 0, 1000, 0, 20).add(13, 500, 0, 9000, 20);
        run.check(1500, Some(0.0), Some(0.0));
        Run::new().add(1, 0, 0, 9000, 20).check(0, None, None);
    }

    /// Whether the path is learned after round trips of so many ms, two seconds each.
    #[track_caller]
    fn check_relearn(took: &[u64], learned: bool) {
        let run = took.iter().fold(Run::new(), |run, took| run.add(8, 0, 1000, 0, *took));
        let (mut readings, now) = (run.readings, run.now);
        assert_eq!(readings.relearn(now), learned);
        let last = took.last().map(|took| Duration::from_millis(*took));
        assert_eq!(readings.path(now) == last, learned);
    }

    #[test]
    fn a_round_trip_that_stays_longer_is_the_path() {
        check_relearn(&[40, 300, 310, 305], true);
        check_relearn(&[40, 900, 700, 500], false);
        check_relearn(&[40, 300], false);
        // As it is known already.
        let run = Run::new().add(24, 0, 1000, 0, 40);
        assert!(!run.readings.clone().relearn(run.now));
    }
}
