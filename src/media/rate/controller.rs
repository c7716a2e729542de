//! Decides the bitrate after each reading of the uplink.
//!
//! ```text
//!              standing queue: capacity := delivery rate
//! ┌──────────┐ ──────────────────────────────────────────▶ ┌──────────┐  no delivery     ┌────────┐
//! │ Climbing │                                             │ Draining ├─────────────────▶│ Outage │
//! │          │ queue drained:                              │          │◀─────────────────┤        │
//! └──────────┘ ◀────────────────────────────────────────── └──────────┘  delivery again  └────────┘
//!              capacity := recent delivery rate, if higher
//! ```
//!
//! The bitrate follows the curve while `Climbing`; while `Draining` it is so far below the capacity that the queue
//! drains within about [`DRAIN_TIME`]; in an `Outage` it is [`RETURN_FACTOR`] of the last capacity.
//!
//! The curve is CUBIC's (RFC 9438, equation 1) with a bitrate in place of the window. `W_max` is [`TARGET_UTILISATION`]
//! of the capacity estimate. The curve starts at [`BETA`] × `W_max`, is flat around `W_max` at time [`K`], then
//! steepens. After 2 × `K` the bitrate doubles every [`DOUBLING_TIME`], until the link is congested or the maximum is
//! reached. So the bitrate stays near a lasting limit, and rises fast where the limit has disappeared.
//!
//! | observation | response |
//! |---|---|
//! | congestion onset after the curve's flat part | the delivery rate is the capacity: return to the flat part before a queue stands or packets are lost |
//! | congestion onset before or on the flat part | go back along the curve while it lasts |
//! | no delivery at all | an outage, not a narrow link: use half of the last capacity, and soon more |
//! | little is sent, and round trips stay long | the path became longer; if the transport was not backlogged, the capacity is unchanged |
//! | the encoder makes much less than its bitrate | the curve pauses: application-limited traffic says nothing about capacity |
//! | the delivery rate is near the capacity estimate | move the estimate halfway: TCP throughput is noisy |
//!
//! The constants were tuned on the links of `tests/rate.rs` and `tests/links`.
//!
//! Does not: drop queued access units; the queue does.

use std::time::{Duration, Instant};

use super::ladder::{Ladder, Picture};
use super::readings::{Reading, Readings};

/// Lower limit of the send buffer, in bytes: room for a key frame.
const MIN_SEND_BUFFER: usize = 32 << 10;
/// Share of the capacity that is used in the long run. The headroom keeps queues empty; packet overhead takes 5 %.
const TARGET_UTILISATION: f64 = 0.92;
/// Share of the target that is used right after a measurement: CUBIC's decrease factor.
const BETA: f64 = 0.88;
/// Time in which the curve returns to the measured capacity: CUBIC's `K`.
const K: Duration = Duration::from_secs(6);
/// `K` after an outage or a change of path, when the capacity has not been measured.
const RETURN_K: Duration = Duration::from_secs(3);
/// Time in which the bitrate doubles beyond the curve, where the old limit no longer applies.
const DOUBLING_TIME: Duration = Duration::from_secs(16);
/// Maximum standing queue delay: the time to send a key frame at the link's rate. On long paths half an RTT is allowed,
/// because one loss costs an RTT.
const MAX_STANDING_DELAY: Duration = Duration::from_millis(150);
/// Standing queue delay at which the link begins to congest: the bitrate goes back along the curve.
const CONGESTION_ONSET: Duration = Duration::from_millis(60);
/// Maximum age of the queue's oldest access unit: half the age at which video is stale.
const MAX_QUEUE_AGE: Duration = Duration::from_millis(500);
/// Time in which a standing queue should drain.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// A round trip that is still as long after this time is a longer path, not a draining queue.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Lowest share of the capacity that is used while a queue drains.
const MIN_DRAIN_FACTOR: f64 = 0.4;
/// Share of the last capacity that is used after an outage.
const RETURN_FACTOR: f64 = 0.5;
/// Maximum growth of the bitrate per second, as a share of it. The transport's congestion window grows with the
/// traffic; a faster rise would look like a standing queue.
const MAX_GROWTH: f64 = 0.12;
/// Minimum utilisation: the delivered share of the bitrate that lets it rise.
const MIN_UTILISATION: f64 = 0.6;
/// Relative difference below which a delivery rate confirms the capacity estimate.
const SAME_CAPACITY: f64 = 0.3;
/// Time after which a queue that still stands is measured again.
const REMEASURE_AFTER: Duration = Duration::from_secs(4);
/// The same time where the delivery rate is below the bitrate, so that the queue cannot drain.
const REMEASURE_MIN: Duration = Duration::from_secs(1);
/// Smallest relative change of bitrate that is passed to the encoder.
const MIN_CHANGE: f64 = 0.04;
/// Shortest interval between two increases that are passed to the encoder.
const RAISE_INTERVAL: Duration = Duration::from_secs(1);

/// Limits of the bitrate, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lowest bitrate. Below it the picture is useless.
    pub min: u32,
    /// Bitrate at the start.
    pub start: u32,
    /// Highest bitrate.
    pub max: u32,
}

impl Bounds {
    /// The send buffer in bytes to set on the transport's socket: 0.45 s at the highest bitrate, enough for a round trip
    /// of 0.45 s. Bytes in this buffer do not count in the queue's age and cannot be dropped when they are stale.
    pub fn send_buffer(&self) -> usize {
        let bytes = usize::try_from(self.max / 8 * 9 / 20).unwrap_or(usize::MAX);
        bytes.max(MIN_SEND_BUFFER)
    }
}

/// Target for the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Bits per second.
    pub bitrate: u32,
    /// Size and frame rate.
    pub picture: Picture,
}

/// The adaptive bitrate of one encoder.
#[derive(Debug, Clone)]
pub struct Controller {
    bounds: Bounds,
    /// The highest bitrate that the caller allows for now.
    limit: u32,
    ladder: Ladder,
    readings: Readings,
    /// Estimate of the link's capacity in bits per second: its delivery rate when it was last congested.
    capacity: f64,
    bitrate: f64,
    phase: ControlPhase,
    last_reading: Option<Instant>,
    /// Time in which the curve returns to the capacity.
    k: Duration,
    setting: Setting,
    set_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum ControlPhase {
    /// The bitrate follows the curve.
    Climbing { progress: Duration },
    /// A standing queue drains. `best` is the delivery rate that was measured at `measured_at`; `before` is the
    /// capacity estimate before the queue, which began at `began`; `was_backlogged` if the transport was backlogged
    /// since.
    Draining { began: Instant, measured_at: Instant, best: f64, before: f64, was_backlogged: bool },
    /// The peer acknowledges no bytes.
    Outage,
}

impl Controller {
    /// A controller that starts with the full picture.
    pub fn new(bounds: Bounds, full: Picture) -> Self {
        let start = bounds.start.min(bounds.max).max(bounds.min);
        let first = f64::from(start);
        Self {
            bounds,
            limit: u32::MAX,
            ladder: Ladder::below(full),
            readings: Readings::default(),
            capacity: first,
            bitrate: first,
            // The capacity is not known yet.
            phase: ControlPhase::Climbing { progress: 2 * K },
            k: K,
            last_reading: None,
            setting: Setting { bitrate: start, picture: full },
            set_at: None,
        }
    }

    /// Limits the bitrate until the next call; `None` for the bounds alone. A limit below the lowest bitrate counts as that.
    pub fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit.unwrap_or(u32::MAX);
    }

    /// The highest bitrate for now.
    fn max(&self) -> u32 {
        self.bounds.max.min(self.limit).max(self.bounds.min)
    }

    /// The present target for the encoder.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// Takes a reading; call it every [`READING_EVERY`](super::READING_EVERY). Returns a new setting to apply to the
    /// encoder, if it changed.
    pub fn on_reading(&mut self, reading: Reading, now: Instant) -> Option<Setting> {
        let elapsed = self.last_reading.map_or(Duration::ZERO, |last| now.duration_since(last));
        self.last_reading = Some(now);
        let acknowledged = self.readings.acknowledged();
        self.readings.add(reading, now);
        let base = self.readings.base_round_trip(now).unwrap_or_default();
        let is_queued = self.readings.standing_delay(now) > MAX_STANDING_DELAY.max(base / 2)
            || reading.queue_age > MAX_QUEUE_AGE;
        if let ControlPhase::Draining { was_backlogged, .. } = &mut self.phase {
            *was_backlogged |= self.readings.is_backlogged();
        }
        match self.phase {
            ControlPhase::Climbing { .. } if is_queued => {
                self.drain(self.readings.delivery_rate_while_queued(), now);
            }
            ControlPhase::Climbing { .. } => self.climb(elapsed, now),
            ControlPhase::Draining { began, before, was_backlogged, .. }
                if now.duration_since(began) >= DRAIN_TIMEOUT
                    && self.readings.relearn_base(now) =>
            {
                // Little is sent, but the round trip is still as long, so the path became longer.
                if !was_backlogged {
                    self.capacity = before;
                }
                self.k = RETURN_K;
                self.phase = ControlPhase::Climbing { progress: Duration::ZERO };
                self.climb(Duration::ZERO, now);
            }
            ControlPhase::Draining { measured_at, best, .. } if is_queued => {
                let rate = self.readings.delivery_rate_while_queued();
                if let Some(rate) =
                    rate.filter(|bits| self.is_better_estimate(*bits, best, measured_at, now))
                {
                    self.drain(Some(rate), now);
                }
            }
            ControlPhase::Draining { before, .. } => {
                // A stall says nothing about capacity; use the rate measured afterwards.
                let rate = self.readings.recent_delivery_rate().unwrap_or_default();
                self.capacity = self.capacity.max(rate.min(before));
                self.phase = ControlPhase::Climbing { progress: Duration::ZERO };
                self.climb(Duration::ZERO, now);
            }
            ControlPhase::Outage if reading.acknowledged != acknowledged => {
                // Measure the link after the outage only.
                self.readings = Readings::default();
                self.readings.add(reading, now);
                self.phase = ControlPhase::Draining {
                    began: now,
                    measured_at: now,
                    best: 0.0,
                    before: self.capacity,
                    was_backlogged: true,
                };
            }
            ControlPhase::Outage => {}
        }
        self.changed_setting(now)
    }

    /// Forgets the readings and ends a drain or outage. Call when another publication begins: it may go to another peer.
    pub fn on_new_publication(&mut self) {
        self.readings = Readings::default();
        let capacity = match self.phase {
            ControlPhase::Climbing { .. } => return,
            ControlPhase::Draining { before, .. } => self.capacity.max(before * RETURN_FACTOR),
            ControlPhase::Outage => self.capacity,
        };
        self.capacity = capacity;
        self.k = RETURN_K;
        self.phase = ControlPhase::Climbing { progress: Duration::ZERO };
        self.set(TARGET_UTILISATION * BETA * self.capacity);
    }

    /// Whether the delivery `rate` is a better estimate of the capacity than `best` of `measured_at`. A link that has just
    /// narrowed loses many packets at first, so the highest rate counts.
    fn is_better_estimate(&self, rate: f64, best: f64, measured_at: Instant, now: Instant) -> bool {
        let age = now.duration_since(measured_at);
        rate > 1.1 * best || age >= REMEASURE_AFTER || age >= REMEASURE_MIN && rate < self.bitrate
    }

    /// Lowers the bitrate below the delivery `rate` so that the standing queue drains.
    fn drain(&mut self, rate: Option<f64>, now: Instant) {
        let (began, before, was_backlogged) = match self.phase {
            ControlPhase::Climbing { .. } | ControlPhase::Outage => (now, self.capacity, false),
            ControlPhase::Draining { began, before, was_backlogged, .. } => {
                (began, before, was_backlogged)
            }
        };
        let was_backlogged = was_backlogged || self.readings.is_backlogged();
        let best = rate.unwrap_or_default();
        self.phase =
            ControlPhase::Draining { began, measured_at: now, best, before, was_backlogged };
        let Some(rate) = rate else { return };
        if rate < 1.0 {
            self.phase = ControlPhase::Outage;
            self.capacity = self.within(before * RETURN_FACTOR);
            self.k = RETURN_K;
            self.set(self.capacity);
            return;
        }
        let is_same = (rate - self.capacity).abs() < SAME_CAPACITY * self.capacity;
        self.k = K;
        self.capacity = if is_same { (self.capacity + rate) / 2.0 } else { rate };
        self.capacity = self.within(self.capacity);
        let drain = self.readings.delay().as_secs_f64() / DRAIN_TIME.as_secs_f64();
        self.set(self.capacity.min(rate) * (BETA - drain).max(MIN_DRAIN_FACTOR));
    }

    /// Moves the bitrate along the curve by the `elapsed` time.
    fn climb(&mut self, elapsed: Duration, now: Instant) {
        let ControlPhase::Climbing { progress } = &mut self.phase else { return };
        let delivered = self.readings.delivery_rate().unwrap_or_default();
        if self.readings.standing_delay(now) > CONGESTION_ONSET {
            let rate = self.readings.delivery_rate_while_queued();
            if let Some(rate) = rate.filter(|_| *progress > self.k) {
                // The link congests before a queue stands, so the delivery rate is the capacity.
                self.capacity = self.capacity.max(rate);
                *progress = self.k;
            }
            *progress = progress.saturating_sub(elapsed);
        } else if delivered >= MIN_UTILISATION * self.bitrate {
            *progress += elapsed;
        }
        let bitrate = TARGET_UTILISATION * self.capacity * curve(*progress, self.k);
        let max = self.bitrate * (1.0 + MAX_GROWTH * elapsed.as_secs_f64());
        self.set(bitrate.min(max));
    }

    fn set(&mut self, bitrate: f64) {
        self.bitrate = self.within(bitrate);
    }

    /// `bitrate` limited to the bounds. Unlike `clamp` this cannot panic where the bounds contradict each other.
    fn within(&self, bitrate: f64) -> f64 {
        bitrate.min(f64::from(self.max())).max(f64::from(self.bounds.min))
    }

    /// The setting, if it differs enough from the encoder's present one.
    fn changed_setting(&mut self, now: Instant) -> Option<Setting> {
        // The limit may have been lowered since the bitrate was set.
        self.bitrate = self.within(self.bitrate);
        let is_new_picture = self.ladder.on_bitrate(self.bitrate, now);
        let bitrate = whole(self.bitrate);
        let current = f64::from(self.setting.bitrate);
        let change = (self.bitrate - current) / current.max(1.0);
        let at_bound = bitrate == self.max() || bitrate == self.bounds.min;
        let is_significant =
            change.abs() >= MIN_CHANGE || at_bound && bitrate != self.setting.bitrate;
        let may_rise = self.set_at.is_none_or(|at| now.duration_since(at) >= RAISE_INTERVAL);
        if !is_new_picture && !(is_significant && (change < 0.0 || may_rise)) {
            return None;
        }
        self.setting =
            Setting { bitrate, picture: self.ladder.picture().unwrap_or(self.setting.picture) };
        self.set_at = Some(now);
        Some(self.setting)
    }
}

/// The bitrate as a share of `W_max`, `progress` after the measurement.
fn curve(progress: Duration, k: Duration) -> f64 {
    let along = progress.as_secs_f64() / k.as_secs_f64() - 1.0;
    let beyond = progress.saturating_sub(2 * k).as_secs_f64();
    let doublings = beyond / DOUBLING_TIME.as_secs_f64();
    (1.0 + (1.0 - BETA) * along.min(1.0).powi(3)) * doublings.exp2()
}

/// Rounds a bitrate that is within the bounds.
fn whole(bits: f64) -> u32 {
    // A cast from float saturates.
    bits.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::READING_EVERY;

    const FULL: Picture = Picture { width: 1280, height: 720, fps: 24 };
    const BOUNDS: Bounds = Bounds { min: 100_000, start: 2_000_000, max: 2_000_000 };

    /// Runs a controller over time.
    struct TestRun {
        controller: Controller,
        now: Instant,
        reading: Reading,
    }

    impl TestRun {
        fn new() -> Self {
            let round_trip = Some(Duration::from_millis(50));
            Self {
                controller: Controller::new(BOUNDS, FULL),
                now: Instant::now(),
                reading: Reading { round_trip, ..Reading::default() },
            }
        }

        /// Adds readings for `seconds` with this queue age in ms and delivery rate in kbit/s; returns the last bitrate
        /// in kbit/s.
        fn read(&mut self, seconds: u64, age_ms: u64, kbits: u64) -> u32 {
            self.reading.queue_age = Duration::from_millis(age_ms);
            for _ in 0..seconds * 4 {
                self.now += READING_EVERY;
                self.reading.acknowledged += kbits * 1000 / 8 / 4;
                let _ = self.controller.on_reading(self.reading, self.now);
                let Setting { bitrate, .. } = self.controller.setting();
                assert!((BOUNDS.min..=BOUNDS.max).contains(&bitrate));
            }
            self.controller.setting().bitrate / 1000
        }
    }

    #[test]
    fn a_wide_link_leaves_the_bitrate_alone() {
        assert_eq!(TestRun::new().read(60, 0, 2000), 2000);
        assert_eq!(TestRun::new().read(60, 40, 2000), 2000);
    }

    #[test]
    fn a_limit_holds_until_it_is_lifted_but_not_below_the_lowest_bitrate() {
        let mut run = TestRun::new();
        assert_eq!(run.read(10, 0, 2000), 2000);
        run.controller.set_limit(Some(600_000));
        assert_eq!(run.read(1, 0, 2000), 600);
        assert_eq!(run.read(60, 0, 600), 600);
        assert_eq!(run.controller.setting().picture.fps, 15);
        run.controller.set_limit(Some(1));
        assert_eq!(run.read(1, 0, 600), 100);
        run.controller.set_limit(None);
        assert!(run.read(60, 0, 2000) > 1900);
    }

    #[test]
    fn a_standing_queue_takes_the_bitrate_below_the_delivery_rate() {
        let bitrate = TestRun::new().read(2, 400, 1000);
        assert!((800..=860).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn a_longer_queue_means_a_lower_bitrate_down_to_a_limit() {
        assert_eq!(TestRun::new().read(3, 1500, 1000), 580);
        assert_eq!(TestRun::new().read(3, 9000, 1000), 400);
    }

    #[test]
    fn an_empty_queue_lets_the_bitrate_rise_slowly_near_the_limit_and_fast_beyond() {
        let mut run = TestRun::new();
        run.read(2, 400, 1000);
        run.read(1, 0, 1000);
        let after = [2, 5, 8, 10, 15].map(|seconds| run.read(seconds, 0, 1900));
        assert!(
            matches!(after, [860..=890, 900..=920, 1100..=1300, 1750..=1900, 2000]),
            "{after:?}"
        );
    }

    #[test]
    fn congestion_onset_lowers_the_bitrate_before_a_queue_stands() {
        let mut run = TestRun::new();
        run.read(2, 400, 1000);
        run.read(1, 0, 1000);
        let before = run.read(16, 0, 1200);
        assert!((1200..=1300).contains(&before), "{before}");
        // Now packets in flight begin to queue.
        run.reading.round_trip = Some(Duration::from_millis(130));
        let congested = [2, 1, 3, 20].map(|seconds| run.read(seconds, 0, 1200));
        assert!(
            matches!(congested, [1050..=1110, 1050..=1110, 1000..=1080, 950..=1010]),
            "{congested:?}, of a link of 1200"
        );
    }

    #[test]
    fn a_stall_does_not_lower_the_capacity() {
        let mut run = TestRun::new();
        run.read(2, 400, 1000);
        let before = run.read(8, 0, 1000);
        run.reading.unsent = 40_000;
        let stalled = run.read(2, 300, 100);
        assert!(stalled < before / 2, "{stalled}, as it may be a narrow link");
        run.read(2, 200, 1000);
        run.reading.unsent = 0;
        let after = [1, 4].map(|seconds| run.read(seconds, 0, 900));
        assert!(after[1] > before * 3 / 4, "{after:?} of {before}");
    }

    #[test]
    fn an_outage_halves_the_capacity_only() {
        let mut run = TestRun::new();
        run.read(10, 0, 2000);
        assert_eq!(run.read(30, 5000, 0), 1000);
        let back = [3, 20].map(|seconds| run.read(seconds, 0, 2000));
        assert!(matches!(back, [850..=920, 1700..=2000]), "{back:?}");
    }

    #[test]
    fn a_new_publication_ends_the_drain() {
        let mut run = TestRun::new();
        run.read(10, 0, 2000);
        assert_eq!(run.read(6, 3000, 150), 100, "little was delivered");
        run.controller.on_new_publication();
        let after = [1, 20].map(|seconds| run.read(seconds, 0, 2000));
        assert!(matches!(after, [810..=920, 1700..=2000]), "{after:?}");
    }

    #[test]
    fn the_bitrate_does_not_rise_below_the_minimum_utilisation() {
        let mut run = TestRun::new();
        run.read(2, 400, 1000);
        let before = run.read(5, 0, 100);
        assert_eq!(run.read(120, 0, 100), before);
    }

    #[test]
    fn unsent_bytes_and_long_round_trips_count_as_queue() {
        let mut run = TestRun::new();
        run.read(10, 0, 2000);
        run.reading.unsent = 40_000;
        let in_the_kernel = run.read(2, 0, 1000);
        assert!((800..=880).contains(&in_the_kernel), "{in_the_kernel}");

        let mut run = TestRun::new();
        run.read(10, 0, 2000);
        run.reading.round_trip = Some(Duration::from_millis(450));
        let in_flight = run.read(2, 0, 1000);
        assert!((800..=880).contains(&in_flight), "{in_flight}");
    }

    #[test]
    fn a_longer_path_is_not_a_queue() {
        let mut run = TestRun::new();
        run.read(10, 0, 2000);
        run.reading.round_trip = Some(Duration::from_millis(350));
        let after = [3, 20].map(|seconds| run.read(seconds, 0, 1700));
        assert!(matches!(after, [1200..=1750, 1900..=2000]), "{after:?}");
    }

    #[test]
    fn a_link_that_narrowed_as_its_path_became_longer_stays_narrow() {
        let mut run = TestRun::new();
        run.read(10, 0, 2000);
        run.reading.round_trip = Some(Duration::from_millis(350));
        run.reading.unsent = 40_000;
        run.read(2, 0, 1000);
        run.reading.unsent = 0;
        let after = [6, 6].map(|seconds| run.read(seconds, 0, 850));
        assert!(matches!(after, [750..=1000, 850..=1250]), "{after:?}");
    }

    #[test]
    fn without_kernel_readings_the_queue_age_decides() {
        let mut run = TestRun::new();
        run.reading.round_trip = None;
        assert_eq!(run.read(20, 0, 2000), 2000);
        let bitrate = run.read(2, 400, 1000);
        assert!((800..=880).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn a_low_bitrate_for_long_makes_the_picture_smaller() {
        let mut run = TestRun::new();
        run.read(10, 400, 200);
        assert_eq!(run.controller.setting().picture, Picture { width: 640, height: 360, fps: 15 });
    }

    #[test]
    fn contradicting_bounds_give_the_minimum() {
        let mut controller = Controller::new(Bounds { min: 5, start: 4, max: 4 }, FULL);
        let reading = Reading { queue_age: Duration::from_secs(9), ..Reading::default() };
        let _ = controller.on_reading(reading, Instant::now());
        assert_eq!(controller.setting().bitrate, 5);
    }
}
