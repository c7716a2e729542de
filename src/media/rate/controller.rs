//! Decides the bitrate after each reading of the way to the network.
//!
//! ```text
//!                 something stands: link := what it carries
//! ┌──────────┐ ─────────────────────────────────────────────▶ ┌──────────┐  nothing arrives   ┌──────┐
//! │ Climbing │   along the curve, or so far below the link,   │ Draining ├───────────────────▶│ Gone │
//! │          │   that what stands is emptied                  │          │◀───────────────────┤      │
//! └──────────┘ ◀───────────────────────────────────────────── └──────────┘   something does   └──────┘
//!                nothing stands: link := what was carried then, if more
//! ```
//!
//! The curve is that of CUBIC (RFC 9438), for a bitrate instead of a window: from [`SHARE`] of the [`TOP`] that is
//! used of the link as it was last measured, flat around that at [`PLATEAU`], then steeper, and from twice that
//! time on doubled every [`DOUBLED_WITHIN`], until the link fills or the maximum is reached. So it stays near a
//! limit that is still there, and leaves one that is gone.
//!
//! | seen | then |
//! |---|---|
//! | the link begins to fill behind the curve's flat part | that is its width: back to the flat part, before anything stands or is lost |
//! | it fills on the flat part | back along the curve, until it does no more |
//! | nothing arrives at all | the link is gone, not narrow: half of its last rate is used, and soon more |
//! | little is sent, and round trips stay as long | that is the path; a link that was not full meanwhile is what it was |
//! | the encoder makes much less than it may | the curve waits: more would prove nothing |
//! | less is carried than the link was thought to, but not by much | it moves there by half: TCP has its moods |
//!
//! The numbers below were found on the links of `tests/rate.rs`, and on those of `tests/links`.
//!
//! Does not: drop what waits; the queue does.

use std::time::{Duration, Instant};

use super::ladder::{Ladder, Picture};
use super::readings::{Reading, Readings};

/// A key frame should fit.
const LEAST_SEND_BUFFER: usize = 32 << 10;
/// What is used of the measured link for long: a full one has a queue, and packets around the media take 5 %.
const TOP: f64 = 0.92;
/// What of that is used right after it was measured.
const SHARE: f64 = 0.88;
/// When the curve is back at the measured link.
const PLATEAU: Duration = Duration::from_secs(6);
/// And at one that was not measured, as it was gone or its path became another.
const RETURN_PLATEAU: Duration = Duration::from_secs(3);
/// Behind the curve, a limit that is gone: doubled within this time.
const DOUBLED_WITHIN: Duration = Duration::from_secs(16);
/// Nothing that stands should take longer: a key frame's way at the link's own rate, or half a round trip where that
/// is more, as what was lost on a long path costs one.
const STANDS: Duration = Duration::from_millis(150);
/// A link on which this stands begins to fill: the bitrate goes back along the curve.
const FILLS: Duration = Duration::from_millis(60);
/// Nothing at all in the queue should be older: half of what makes video stale.
const OLD: Duration = Duration::from_millis(500);
/// What stands is to be gone within about this time.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);
/// What takes as long as before after this time is no queue that drains.
const DRAINED: Duration = Duration::from_secs(4);
/// But the picture is not starved below this part of the link.
const LEAST_SHARE: f64 = 0.4;
/// The part of a lost link's last rate that is used when it returns.
const RETURN_SHARE: f64 = 0.5;
/// The part of the bitrate by which it rises within a second at most: the transport's window grows with what is
/// sent, and a step that it is not up to stands like a queue.
const STEEPEST: f64 = 0.12;
/// The encoder must make this part of the bitrate for it to climb.
const PROOF: f64 = 0.6;
/// Measurements that differ less are of the same link.
const SAME_LINK: f64 = 0.3;
/// What stands for so long is measured anew.
const MEASURED_OVER: Duration = Duration::from_secs(4);
/// And after this time already, if less is carried than the encoder may make: so nothing drains.
const MEASURED_LEAST: Duration = Duration::from_secs(1);
/// The encoder is left alone for smaller changes.
const STEP: f64 = 0.04;
/// Upward, it is told no more often.
const UP_EVERY: Duration = Duration::from_secs(1);

/// Between what the bitrate stays, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least; below it the picture is worth nothing.
    pub least: u32,
    /// What it starts with.
    pub start: u32,
    /// The most.
    pub most: u32,
}

impl Bounds {
    /// Bytes that the transport should take before it says that it is full: what it holds is neither seen in
    /// the queue nor dropped when it is old. 0.45 s at the most bits, which carry them over a round trip of that.
    pub fn send_buffer(&self) -> usize {
        let bytes = usize::try_from(self.most / 8 * 9 / 20).unwrap_or(usize::MAX);
        bytes.max(LEAST_SEND_BUFFER)
    }
}

/// What the encoder is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Bits per second.
    pub bitrate: u32,
    /// Frame rate and size.
    pub picture: Picture,
}

/// The adaptive bitrate of one encoder.
#[derive(Debug, Clone)]
pub struct Controller {
    bounds: Bounds,
    ladder: Ladder,
    readings: Readings,
    /// Bits per second that the link carried when it was last seen to be full.
    link: f64,
    bitrate: f64,
    phase: Phase,
    last_reading: Option<Instant>,
    /// When the curve is back at the link.
    plateau: Duration,
    told: Setting,
    told_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Along the curve.
    Climbing { progress: Duration },
    /// `best` was measured since then; the link was `before` when nothing stood yet, at `began`. The transport was
    /// seen to be full since, or not.
    Draining { began: Instant, since: Instant, best: f64, before: f64, was_full: bool },
    /// Nothing arrives.
    Gone,
}

impl Controller {
    /// A controller that starts with the full picture.
    pub fn new(bounds: Bounds, full: Picture) -> Self {
        let start = bounds.start.min(bounds.most).max(bounds.least);
        let first = f64::from(start);
        Self {
            bounds,
            ladder: Ladder::below(full),
            readings: Readings::default(),
            link: first,
            bitrate: first,
            // No limit is known.
            phase: Phase::Climbing { progress: 2 * PLATEAU },
            plateau: PLATEAU,
            last_reading: None,
            told: Setting { bitrate: start, picture: full },
            told_at: None,
        }
    }

    /// What the encoder is to make now.
    pub fn setting(&self) -> Setting {
        self.told
    }

    /// A reading, every [`READING_EVERY`](super::READING_EVERY): a new setting for the encoder, if there is one.
    pub fn on_reading(&mut self, reading: Reading, now: Instant) -> Option<Setting> {
        let elapsed = self.last_reading.map_or(Duration::ZERO, |last| now.duration_since(last));
        self.last_reading = Some(now);
        let acknowledged = self.readings.acknowledged();
        self.readings.add(reading, now);
        let path = self.readings.path(now).unwrap_or_default();
        let is_queued =
            self.readings.standing(now) > STANDS.max(path / 2) || reading.queue_age > OLD;
        if let Phase::Draining { was_full, .. } = &mut self.phase {
            *was_full |= self.readings.is_full();
        }
        match self.phase {
            Phase::Climbing { .. } if is_queued => {
                self.drain(self.readings.carried_while_waiting(), now);
            }
            Phase::Climbing { .. } => self.climb(elapsed, now),
            Phase::Draining { began, before, was_full, .. }
                if now.duration_since(began) >= DRAINED && self.readings.relearn(now) =>
            {
                // Little is sent, and still it takes this long: that is the path.
                if !was_full {
                    self.link = before;
                }
                self.plateau = RETURN_PLATEAU;
                self.phase = Phase::Climbing { progress: Duration::ZERO };
                self.climb(Duration::ZERO, now);
            }
            Phase::Draining { since, best, .. } if is_queued => {
                let carried = self.readings.carried_while_waiting();
                if let Some(carried) = carried.filter(|bits| self.tells(*bits, best, since, now)) {
                    self.drain(Some(carried), now);
                }
            }
            Phase::Draining { before, .. } => {
                // A stall is no width: what went through when it was over counts.
                let carried = self.readings.carried_of_late().unwrap_or_default();
                self.link = self.link.max(carried.min(before));
                self.phase = Phase::Climbing { progress: Duration::ZERO };
                self.climb(Duration::ZERO, now);
            }
            Phase::Gone if reading.acknowledged != acknowledged => {
                // What is measured from here on is the link that returned.
                self.readings = Readings::default();
                self.readings.add(reading, now);
                self.phase = Phase::Draining {
                    began: now,
                    since: now,
                    best: 0.0,
                    before: self.link,
                    was_full: true,
                };
            }
            Phase::Gone => {}
        }
        self.tell(now)
    }

    /// Another publication begins, perhaps to another peer: what stood in the last one says nothing of it.
    pub fn on_new_publication(&mut self) {
        self.readings = Readings::default();
        let link = match self.phase {
            Phase::Climbing { .. } => return,
            Phase::Draining { before, .. } => self.link.max(before * RETURN_SHARE),
            Phase::Gone => self.link,
        };
        self.link = link;
        self.plateau = RETURN_PLATEAU;
        self.phase = Phase::Climbing { progress: Duration::ZERO };
        self.set(TOP * SHARE * self.link);
    }

    /// Whether what is carried now says more of the link than the `best` that was measured `since` then. A link that
    /// has just narrowed loses much at first: what it carries in its best moment counts.
    fn tells(&self, carried: f64, best: f64, since: Instant, now: Instant) -> bool {
        let since = now.duration_since(since);
        carried > 1.1 * best
            || since >= MEASURED_OVER
            || since >= MEASURED_LEAST && carried < self.bitrate
    }

    /// Something stands, and so many bits per second are carried meanwhile.
    fn drain(&mut self, carried: Option<f64>, now: Instant) {
        let (began, before, was_full) = match self.phase {
            Phase::Climbing { .. } | Phase::Gone => (now, self.link, false),
            Phase::Draining { began, before, was_full, .. } => (began, before, was_full),
        };
        let was_full = was_full || self.readings.is_full();
        let best = carried.unwrap_or_default();
        self.phase = Phase::Draining { began, since: now, best, before, was_full };
        let Some(carried) = carried else { return };
        if carried < 1.0 {
            self.phase = Phase::Gone;
            self.link = self.within(before * RETURN_SHARE);
            self.plateau = RETURN_PLATEAU;
            self.set(self.link);
            return;
        }
        let is_same = (carried - self.link).abs() < SAME_LINK * self.link;
        self.plateau = PLATEAU;
        self.link = if is_same { (self.link + carried) / 2.0 } else { carried };
        self.link = self.within(self.link);
        let drain = self.readings.wait().as_secs_f64() / DRAINED_WITHIN.as_secs_f64();
        self.set(self.link.min(carried) * (SHARE - drain).max(LEAST_SHARE));
    }

    /// Nothing stands, and so much time has passed.
    fn climb(&mut self, elapsed: Duration, now: Instant) {
        let Phase::Climbing { progress } = &mut self.phase else { return };
        let made = self.readings.carried().unwrap_or_default();
        if self.readings.standing(now) > FILLS {
            let carried = self.readings.carried_while_waiting();
            if let Some(carried) = carried.filter(|_| *progress > self.plateau) {
                // The limit is found again, before it hurts.
                self.link = self.link.max(carried);
                *progress = self.plateau;
            }
            *progress = progress.saturating_sub(elapsed);
        } else if made >= PROOF * self.bitrate {
            *progress += elapsed;
        }
        let bitrate = TOP * self.link * curve(*progress, self.plateau);
        let steepest = self.bitrate * (1.0 + STEEPEST * elapsed.as_secs_f64());
        self.set(bitrate.min(steepest));
    }

    fn set(&mut self, bitrate: f64) {
        self.bitrate = self.within(bitrate);
    }

    /// Not `clamp`, which panics where bounds contradict each other.
    fn within(&self, bitrate: f64) -> f64 {
        bitrate.min(f64::from(self.bounds.most)).max(f64::from(self.bounds.least))
    }

    /// The setting, if it differs enough from the last one told.
    fn tell(&mut self, now: Instant) -> Option<Setting> {
        let moved = self.ladder.on_bitrate(self.bitrate, now);
        let bitrate = whole(self.bitrate);
        let told = f64::from(self.told.bitrate);
        let change = (self.bitrate - told) / told.max(1.0);
        let at_bound = bitrate == self.bounds.most || bitrate == self.bounds.least;
        let is_worth = change.abs() >= STEP || at_bound && bitrate != self.told.bitrate;
        let may_rise = self.told_at.is_none_or(|at| now.duration_since(at) >= UP_EVERY);
        if !moved && !(is_worth && (change < 0.0 || may_rise)) {
            return None;
        }
        self.told =
            Setting { bitrate, picture: self.ladder.picture().unwrap_or(self.told.picture) };
        self.told_at = Some(now);
        Some(self.told)
    }
}

/// The part of the measured link that is used so long after it was measured.
fn curve(progress: Duration, plateau: Duration) -> f64 {
    let along = progress.as_secs_f64() / plateau.as_secs_f64() - 1.0;
    let beyond = progress.saturating_sub(2 * plateau).as_secs_f64();
    let doublings = beyond / DOUBLED_WITHIN.as_secs_f64();
    (1.0 + (1.0 - SHARE) * along.min(1.0).powi(3)) * doublings.exp2()
}

/// Bits per second within the bounds, which are whole.
fn whole(bits: f64) -> u32 {
    // A cast from float keeps to the range of the target.
    bits.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::READING_EVERY;

    const FULL: Picture = Picture { width: 1280, height: 720, fps: 24 };
    const BOUNDS: Bounds = Bounds { least: 100_000, start: 2_000_000, most: 2_000_000 };

    /// A controller and its time.
    struct Run {
        controller: Controller,
        now: Instant,
        reading: Reading,
    }

    impl Run {
        fn new() -> Self {
            let round_trip = Some(Duration::from_millis(50));
            Self {
                controller: Controller::new(BOUNDS, FULL),
                now: Instant::now(),
                reading: Reading { round_trip, ..Reading::default() },
            }
        }

        /// Readings for so many seconds: a queue of this age, kbit/s that are carried. The last bitrate, in kbit/s.
        fn read(&mut self, seconds: u64, age_ms: u64, kbits: u64) -> u32 {
            self.reading.queue_age = Duration::from_millis(age_ms);
            for _ in 0..seconds * 4 {
                self.now += READING_EVERY;
                self.reading.acknowledged += kbits * 1000 / 8 / 4;
                let _ = self.controller.on_reading(self.reading, self.now);
                let Setting { bitrate, .. } = self.controller.setting();
                assert!((BOUNDS.least..=BOUNDS.most).contains(&bitrate));
            }
            self.controller.setting().bitrate / 1000
        }
    }

    #[test]
    fn a_wide_link_leaves_the_bitrate_alone() {
        assert_eq!(Run::new().read(60, 0, 2000), 2000);
        assert_eq!(Run::new().read(60, 40, 2000), 2000);
    }

    #[test]
    fn a_standing_queue_takes_it_below_what_goes_out() {
        let bitrate = Run::new().read(2, 400, 1000);
        assert!((800..=860).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn the_more_stands_the_lower_it_goes_but_not_to_nothing() {
        assert_eq!(Run::new().read(3, 1500, 1000), 580);
        assert_eq!(Run::new().read(3, 9000, 1000), 400);
    }

    #[test]
    fn an_empty_queue_lets_it_climb_slowly_by_the_limit_and_fast_behind_it() {
        let mut run = Run::new();
        run.read(2, 400, 1000);
        run.read(1, 0, 1000);
        let after = [2, 5, 8, 10, 15].map(|seconds| run.read(seconds, 0, 1900));
        assert!(
            matches!(after, [860..=890, 900..=920, 1100..=1300, 1750..=1900, 2000]),
            "{after:?}"
        );
    }

    #[test]
    fn a_link_that_fills_is_left_before_anything_stands() {
        let mut run = Run::new();
        run.read(2, 400, 1000);
        run.read(1, 0, 1000);
        let before = run.read(16, 0, 1200);
        assert!((1200..=1300).contains(&before), "{before}");
        // Now the packets on their way begin to queue.
        run.reading.round_trip = Some(Duration::from_millis(130));
        let filled = [2, 1, 3, 20].map(|seconds| run.read(seconds, 0, 1200));
        assert!(
            matches!(filled, [1050..=1110, 1050..=1110, 1000..=1080, 950..=1010]),
            "{filled:?}, of a link of 1200"
        );
    }

    #[test]
    fn a_stall_is_not_taken_for_a_narrow_link() {
        let mut run = Run::new();
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
    fn a_lost_link_is_not_taken_for_a_narrow_one() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        assert_eq!(run.read(30, 5000, 0), 1000);
        let back = [3, 20].map(|seconds| run.read(seconds, 0, 2000));
        assert!(matches!(back, [850..=920, 1700..=2000]), "{back:?}");
    }

    #[test]
    fn what_stood_in_another_publication_says_little() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        assert_eq!(run.read(6, 3000, 150), 100, "hardly anything went out");
        run.controller.on_new_publication();
        let after = [1, 20].map(|seconds| run.read(seconds, 0, 2000));
        assert!(matches!(after, [810..=920, 1700..=2000]), "{after:?}");
    }

    #[test]
    fn it_does_not_climb_on_a_still_picture() {
        let mut run = Run::new();
        run.read(2, 400, 1000);
        let before = run.read(5, 0, 100);
        assert_eq!(run.read(120, 0, 100), before);
    }

    #[test]
    fn what_waits_behind_the_queue_counts_too() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        run.reading.unsent = 40_000;
        let in_the_kernel = run.read(2, 0, 1000);
        assert!((800..=880).contains(&in_the_kernel), "{in_the_kernel}");

        let mut run = Run::new();
        run.read(10, 0, 2000);
        run.reading.round_trip = Some(Duration::from_millis(450));
        let on_the_way = run.read(2, 0, 1000);
        assert!((800..=880).contains(&on_the_way), "{on_the_way}");
    }

    #[test]
    fn a_path_that_became_longer_is_no_queue() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        run.reading.round_trip = Some(Duration::from_millis(350));
        let after = [3, 20].map(|seconds| run.read(seconds, 0, 1700));
        assert!(matches!(after, [1200..=1750, 1900..=2000]), "{after:?}");
    }

    #[test]
    fn a_link_that_got_narrow_with_its_path_stays_narrow() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        run.reading.round_trip = Some(Duration::from_millis(350));
        run.reading.unsent = 40_000;
        run.read(2, 0, 1000);
        run.reading.unsent = 0;
        let after = [6, 6].map(|seconds| run.read(seconds, 0, 850));
        assert!(matches!(after, [750..=1000, 850..=1250]), "{after:?}");
    }

    #[test]
    fn without_the_kernel_the_queue_alone_tells() {
        let mut run = Run::new();
        run.reading.round_trip = None;
        assert_eq!(run.read(20, 0, 2000), 2000);
        let bitrate = run.read(2, 400, 1000);
        assert!((800..=880).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn a_long_shortage_of_bits_makes_the_picture_smaller() {
        let mut run = Run::new();
        run.read(10, 400, 200);
        assert_eq!(run.controller.setting().picture, Picture { width: 640, height: 360, fps: 15 });
    }

    #[test]
    fn bounds_that_contradict_each_other_are_one_bitrate() {
        let mut controller = Controller::new(Bounds { least: 5, start: 4, most: 4 }, FULL);
        let reading = Reading { queue_age: Duration::from_secs(9), ..Reading::default() };
        let _ = controller.on_reading(reading, Instant::now());
        assert_eq!(controller.setting().bitrate, 5);
    }
}
