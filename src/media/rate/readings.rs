//! Keeps the recent readings of the uplink; computes the standing queue delay and the delivery rate from them.
//!
//! The delay of a bit is the sum of the time in the queue before the transport, the time to send what the transport
//! has not sent, and the excess of the round trip over the base round trip (the shortest recent one). A delay that
//! comes and goes is a key frame in flight. The *minimum* delay within [`STANDING`] is the standing queue delay:
//! where it is long, the link is congested (as in CoDel, RFC 8289).
//!
//! Does not: decide the bitrate.

use std::time::{Duration, Instant};

use heapless::Deque;

/// Interval of readings.
pub const READING_EVERY: Duration = Duration::from_millis(250);
/// A delay that lasts this long is a standing queue.
const STANDING: Duration = Duration::from_millis(1000);
/// Period whose shortest round trip is the base round trip.
const BASE_WINDOW: Duration = Duration::from_secs(30);
/// Maximum period over which the delivery rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(3);
/// Shorter delays count as zero.
const NEGLIGIBLE: Duration = Duration::from_millis(50);
/// A round trip that changes by less within two seconds is steady: a draining queue changes it by more.
const STEADY: Duration = Duration::from_millis(60);
/// Readings of [`BASE_WINDOW`].
const CAPACITY: usize = 121;

/// State of the uplink at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Age of the oldest access unit in the queue; zero if the queue is empty.
    pub queue_age: Duration,
    /// Bytes that the peer has acknowledged since the start.
    pub acknowledged: u64,
    /// Bytes that the transport has accepted but not sent.
    pub unsent: u64,
    /// The smoothed round trip time, if the kernel reports it.
    pub round_trip: Option<Duration>,
}

/// A reading, its time and the delays derived from it.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    reading: Reading,
    /// Time until a new bit is sent.
    backlog: Duration,
    /// Time until a new bit arrives, without the base round trip.
    delay: Duration,
}

/// The recent readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    kept: Deque<Sample, CAPACITY>,
    /// Ignore round trips before this time, which belong to another path.
    base_since: Option<Instant>,
}

impl Readings {
    pub(super) fn add(&mut self, reading: Reading, now: Instant) {
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        let (backlog, delay) = (Duration::ZERO, Duration::ZERO);
        let kept = Sample { at: now, reading, backlog, delay };
        // The list has room, because the oldest reading was removed above.
        let _ = self.kept.push_back(kept);
        let backlog = self.backlog_of(&reading);
        let excess = reading.round_trip.zip(self.base_round_trip(now));
        let excess = excess.map(|(round_trip, base)| round_trip.saturating_sub(base));
        if let Some(last) = self.kept.back_mut() {
            (last.backlog, last.delay) = (backlog, backlog + excess.unwrap_or_default());
        }
    }

    fn backlog_of(&self, reading: &Reading) -> Duration {
        let max = STANDING.as_secs_f64();
        let unsent = match self.delivery_rate() {
            Some(rate) if reading.unsent > 0 => (float(8 * reading.unsent) / rate).min(max),
            _ => 0.0,
        };
        reading.queue_age + Duration::from_secs_f64(unsent)
    }

    /// The base round trip: that of the path without queues.
    pub(super) fn base_round_trip(&self, now: Instant) -> Option<Duration> {
        self.min_round_trip(BASE_WINDOW, Duration::ZERO, now)
    }

    /// The shortest round trip between two ages of readings.
    fn min_round_trip(&self, from: Duration, to: Duration, now: Instant) -> Option<Duration> {
        self.kept
            .iter()
            .filter(|kept| {
                let ago = now.duration_since(kept.at);
                to <= ago && ago <= from && self.base_since.is_none_or(|since| kept.at >= since)
            })
            .filter_map(|kept| kept.reading.round_trip)
            .min()
    }

    /// Raises the base round trip to the recent one if that stayed the same for 4 s. Returns whether it did.
    pub(super) fn relearn_base(&mut self, now: Instant) -> bool {
        let (two, four) = (Duration::from_secs(2), Duration::from_secs(4));
        let shortest = [(four, two), (two, Duration::ZERO)]
            .map(|(from, to)| self.min_round_trip(from, to, now));
        let [Some(before), Some(last)] = shortest else { return false };
        let is_steady = before.abs_diff(last) <= STEADY.max(last / 8);
        if is_steady && self.base_round_trip(now).is_some_and(|base| base + NEGLIGIBLE < last) {
            self.base_since = Some(now.checked_sub(two).unwrap_or(now));
            return true;
        }
        false
    }

    /// The minimum delay within [`STANDING`]; zero until the readings span that time.
    pub(super) fn standing_delay(&self, now: Instant) -> Duration {
        let reaches_back =
            self.kept.front().is_some_and(|kept| now.duration_since(kept.at) >= STANDING);
        let recent =
            self.kept.iter().rev().take_while(|kept| now.duration_since(kept.at) <= STANDING);
        recent.map(|kept| kept.delay).min().filter(|_| reaches_back).unwrap_or_default()
    }

    /// The latest delay.
    pub(super) fn delay(&self) -> Duration {
        self.kept.back().map_or(Duration::ZERO, |kept| kept.delay)
    }

    /// Bytes that the peer has acknowledged since the start.
    pub(super) fn acknowledged(&self) -> u64 {
        self.kept.back().map_or(0, |kept| kept.reading.acknowledged)
    }

    /// Whether the transport is backlogged: it sends less than it receives from the encoder.
    pub(super) fn is_backlogged(&self) -> bool {
        self.kept.back().is_some_and(|kept| kept.backlog > NEGLIGIBLE)
    }

    /// Bits per second that the peer acknowledged within [`RATE_WINDOW`].
    pub(super) fn delivery_rate(&self) -> Option<f64> {
        self.rate(|_| true)
    }

    /// The delivery rate since a queue exists.
    pub(super) fn delivery_rate_while_queued(&self) -> Option<f64> {
        self.rate(|kept| kept.delay > NEGLIGIBLE)
    }

    /// The delivery rate over the last second.
    pub(super) fn recent_delivery_rate(&self) -> Option<f64> {
        let last = self.kept.back()?;
        self.rate(|kept| last.at.duration_since(kept.at) <= STANDING)
    }

    fn rate(&self, counts: impl Fn(&Sample) -> bool) -> Option<f64> {
        let last = self.kept.back()?;
        let is_recent = |kept: &&Sample| last.at.duration_since(kept.at) <= RATE_WINDOW;
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

    /// Adds readings every 250 ms.
    struct TestRun {
        readings: Readings,
        now: Instant,
        acknowledged: u64,
    }

    impl TestRun {
        fn new() -> Self {
            Self { readings: Readings::default(), now: Instant::now(), acknowledged: 0 }
        }

        /// Adds `count` readings with this queue age in ms, bytes acknowledged in each, bytes unsent, and round trip in
        /// ms.
        fn add(mut self, count: usize, age: u64, bytes: u64, unsent: u64, round_trip: u64) -> Self {
            for _ in 0..count {
                self.now += READING_EVERY;
                self.acknowledged += bytes;
                let reading = Reading {
                    queue_age: Duration::from_millis(age),
                    acknowledged: self.acknowledged,
                    unsent,
                    round_trip: Some(Duration::from_millis(round_trip)),
                };
                self.readings.add(reading, self.now);
            }
            self
        }

        /// Standing queue delay in ms; delivery rate in kbit/s over all readings and while queued.
        #[track_caller]
        fn check(&self, standing: u128, rate: Option<f64>, queued: Option<f64>) {
            assert_eq!(self.readings.standing_delay(self.now).as_millis(), standing);
            let kbit = |bits: Option<f64>| bits.map(|bits| (bits / 1000.0).round());
            let found = [self.readings.delivery_rate(), self.readings.delivery_rate_while_queued()]
                .map(kbit);
            assert_eq!(found, [rate, queued]);
        }
    }

    #[test]
    fn rates_need_half_a_second_of_readings() {
        TestRun::new().check(0, None, None);
        TestRun::new().add(1, 900, 250, 0, 20).check(0, None, None);
        TestRun::new().add(4, 900, 250, 0, 20).check(0, Some(8.0), Some(8.0));
    }

    #[test]
    fn queue_unsent_bytes_and_round_trip_add_up() {
        // 25 kB take 200 ms at 1 Mbit/s, and the round trip is 100 ms above the base.
        let run = TestRun::new().add(8, 0, 31_250, 0, 50).add(5, 120, 31_250, 25_000, 150);
        run.check(420, Some(1000.0), Some(1000.0));
    }

    #[test]
    fn a_queue_that_empties_now_and_then_is_not_standing() {
        let run =
            TestRun::new().add(4, 300, 250, 0, 20).add(1, 0, 250, 0, 20).add(3, 300, 250, 0, 20);
        run.check(0, Some(8.0), Some(8.0));
    }

    #[test]
    fn the_minimum_delay_of_a_second_is_the_standing_delay() {
        let run = TestRun::new().add(4, 900, 250, 0, 20).add(1, 150, 250, 0, 20);
        run.add(4, 600, 250, 0, 20).check(150, Some(8.0), Some(8.0));
    }

    #[test]
    fn the_rate_is_that_of_the_last_three_seconds() {
        let run = TestRun::new().add(20, 0, 1_000_000, 0, 20).add(13, 100, 250, 0, 20);
        run.check(100, Some(8.0), Some(8.0));
    }

    #[test]
    fn a_stopped_link_delivers_zero() {
        let run = TestRun::new().add(12, 0, 1000, 0, 20).add(13, 500, 0, 0, 20);
        run.check(500, Some(0.0), Some(0.0));
    }

    #[test]
    fn unsent_bytes_without_delivery_count_as_a_second() {
        let run = TestRun::new().add(12, 0, 1000, 0, 20).add(13, 500, 0, 9000, 20);
        run.check(1500, Some(0.0), Some(0.0));
        TestRun::new().add(1, 0, 0, 9000, 20).check(0, None, None);
    }

    /// Whether the base is relearned after these round trips in ms, two seconds each.
    #[track_caller]
    fn check_relearn(round_trips: &[u64], relearned: bool) {
        let run = round_trips.iter().fold(TestRun::new(), |run, ms| run.add(8, 0, 1000, 0, *ms));
        let (mut readings, now) = (run.readings, run.now);
        assert_eq!(readings.relearn_base(now), relearned);
        let last = round_trips.last().map(|ms| Duration::from_millis(*ms));
        assert_eq!(readings.base_round_trip(now) == last, relearned);
    }

    #[test]
    fn a_steady_longer_round_trip_becomes_the_new_base() {
        check_relearn(&[40, 300, 310, 305], true);
        check_relearn(&[40, 900, 700, 500], false);
        check_relearn(&[40, 300], false);
        // The base round trip is already known.
        let run = TestRun::new().add(24, 0, 1000, 0, 40);
        assert!(!run.readings.clone().relearn_base(run.now));
    }
}
