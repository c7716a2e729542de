//! Decides the bitrate after each reading of the queue and each upload of a segment.
//!
//! ```text
//!                      something stands
//! ┌──────────┐ ────────────────────────────────▶ ┌──────────┐
//! │ Climbing │  link := what goes out now        │ Draining │ the bitrate stays below the link by as much as
//! └──────────┘ ◀──────────────────────────────── └──────────┘ it takes to empty what stands
//!    along the curve     nothing stands
//! ```
//!
//! The curve is that of CUBIC (RFC 9438), for a bitrate instead of a window: from [`SHARE`] of the link as it
//! was last measured, flat around the measured value at [`PLATEAU`], then steeper and steeper, until
//! something stands again or the maximum is reached. So it stays near a limit that is still there, and has
//! left one that is gone within a minute.
//!
//! | nothing goes out at all | the link is gone, not narrow: its last rate is kept, half of it is used |
//! |---|---|
//! | the encoder makes much less than it may | the curve waits: more would prove nothing |
//!
//! Does not: drop what waits; the queue does.

use std::time::{Duration, Instant};

use super::ladder::{Ladder, Picture};
use super::readings::{Reading, Readings};
use super::uploads::{Upload, Uploads};

/// What of the measured link is used right after it was measured.
const SHARE: f64 = 0.85;
/// When the curve is back at the measured link.
const PLATEAU: Duration = Duration::from_secs(15);
/// Nothing that stands in the queue should be older: a key frame's way at the link's own rate.
const STANDS: Duration = Duration::from_millis(150);
/// Nothing at all in the queue should be older: half of what makes video stale.
const OLD: Duration = Duration::from_millis(500);
/// Segments should not take so much longer than the path itself needs.
const LATE: Duration = Duration::from_millis(300);
/// What stands is to be gone within about this time.
const DRAINED_WITHIN: Duration = Duration::from_secs(4);
/// But the picture is not starved below this part of the link.
const LEAST_SHARE: f64 = 0.4;
/// The part of a lost link's last rate that is used when it returns.
const RETURN_SHARE: f64 = 0.5;
/// The encoder must make this part of the bitrate for it to climb.
const PROOF: f64 = 0.6;
/// Measurements that differ less are of the same link, and averaged.
const SAME_LINK: f64 = 0.3;
/// The encoder is left alone for smaller changes.
const STEP: f64 = 0.04;
/// Upward, it is told no more often.
const UP_EVERY: Duration = Duration::from_secs(1);

/// Between what the bitrate stays, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least; below it the picture is worth nothing.
    pub least: u32,
    /// The most; also what it starts with.
    pub most: u32,
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
    uploads: Uploads,
    /// Bits per second that the link carried when it was last seen to be full.
    link: f64,
    bitrate: f64,
    phase: Phase,
    last_reading: Option<Instant>,
    told: Setting,
    told_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Climbing { progress: Duration },
    Draining { measured: Instant },
}

impl Controller {
    /// A controller that starts with the most bits and the full picture.
    pub fn new(bounds: Bounds, full: Picture) -> Self {
        let most = f64::from(bounds.most.max(bounds.least));
        Self {
            bounds,
            ladder: Ladder::below(full),
            readings: Readings::default(),
            uploads: Uploads::default(),
            link: most,
            bitrate: most,
            phase: Phase::Climbing { progress: PLATEAU },
            last_reading: None,
            told: Setting { bitrate: bounds.most.max(bounds.least), picture: full },
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
        self.readings.add(reading, now);
        let stands = self.readings.standing(now) > STANDS || reading.queue_age > OLD;
        let is_late = self.uploads.standing() > LATE;
        match self.phase {
            Phase::Climbing { .. } if stands => self.measure(self.readings.throughput(true), now),
            Phase::Draining { measured } if stands && now.duration_since(measured) >= UP_EVERY => {
                self.measure(self.readings.throughput(true), now);
            }
            Phase::Draining { .. } if !stands && !is_late => {
                self.phase = Phase::Climbing { progress: Duration::ZERO };
                self.climb(Duration::ZERO);
            }
            Phase::Climbing { .. } => self.climb(elapsed),
            Phase::Draining { .. } => {}
        }
        self.tell(now)
    }

    /// A segment was answered: a new setting for the encoder, if there is one.
    pub fn on_upload(&mut self, upload: Upload, now: Instant) -> Option<Setting> {
        self.uploads.add(upload);
        if self.uploads.standing() > LATE {
            self.measure(self.uploads.throughput(), now);
        }
        self.tell(now)
    }

    /// Something stands, and so many bits per second go out meanwhile.
    fn measure(&mut self, throughput: Option<f64>, now: Instant) {
        self.phase = Phase::Draining { measured: now };
        let Some(throughput) = throughput else { return };
        if throughput < 1.0 {
            self.set(self.link * RETURN_SHARE);
            return;
        }
        let is_same = (throughput - self.link).abs() < SAME_LINK * self.link;
        self.link = if is_same { (throughput + self.link) / 2.0 } else { throughput };
        self.link = self.within(self.link);
        let stands = self.readings.age().max(self.uploads.standing());
        let drain = stands.as_secs_f64() / DRAINED_WITHIN.as_secs_f64();
        self.set(self.link * (SHARE - drain).max(LEAST_SHARE));
    }

    fn climb(&mut self, elapsed: Duration) {
        let Phase::Climbing { progress } = &mut self.phase else { return };
        let made = self.readings.throughput(false).unwrap_or_default();
        if made >= PROOF * self.bitrate {
            *progress += elapsed;
        }
        let along = progress.as_secs_f64() / PLATEAU.as_secs_f64() - 1.0;
        let bitrate = self.link * (1.0 + (1.0 - SHARE) * along.powi(3));
        self.set(bitrate);
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
    const BOUNDS: Bounds = Bounds { least: 100_000, most: 2_000_000 };

    /// A controller and its time.
    struct Run {
        controller: Controller,
        now: Instant,
        handed: u64,
    }

    impl Run {
        fn new() -> Self {
            Self { controller: Controller::new(BOUNDS, FULL), now: Instant::now(), handed: 0 }
        }

        /// Readings for so many seconds: a queue of this age, kbit/s that go out. The last bitrate, in kbit/s.
        fn read(&mut self, seconds: u64, age_ms: u64, kbits: u64) -> u32 {
            for _ in 0..seconds * 4 {
                self.now += READING_EVERY;
                self.handed += kbits * 1000 / 8 / 4;
                let queue_age = Duration::from_millis(age_ms);
                let reading = Reading { queue_age, handed: self.handed };
                let _ = self.controller.on_reading(reading, self.now);
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
        assert!((700..=800).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn the_more_stands_the_lower_it_goes_but_not_to_nothing() {
        assert_eq!(Run::new().read(3, 3000, 1000), 400);
    }

    #[test]
    fn an_empty_queue_lets_it_climb_slowly_by_the_limit_and_fast_behind_it() {
        let mut run = Run::new();
        run.read(2, 400, 1000);
        let after = [3, 12, 15, 15].map(|seconds| run.read(seconds, 0, 1900));
        assert!(matches!(after, [850..=950, 960..=1040, 1100..=1200, 1900..=2000]), "{after:?}");
    }

    #[test]
    fn a_lost_link_is_not_taken_for_a_narrow_one() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        assert_eq!(run.read(30, 5000, 0), 1000);
        let back = run.read(3, 0, 2000);
        assert!((1600..=1800).contains(&back), "{back}");
    }

    #[test]
    fn it_does_not_climb_on_a_still_picture() {
        let mut run = Run::new();
        run.read(2, 400, 1000);
        let before = run.read(5, 0, 100);
        assert_eq!(run.read(120, 0, 100), before);
    }

    #[test]
    fn late_segments_take_it_down_though_the_queue_is_empty() {
        let mut run = Run::new();
        run.read(10, 0, 2000);
        for took in [2100, 2900, 3700] {
            let length = Duration::from_secs(2);
            let upload = Upload { took: Duration::from_millis(took), length, bytes: 350_000 };
            let _ = run.controller.on_upload(upload, run.now);
        }
        let bitrate = run.controller.setting().bitrate / 1000;
        assert!((600..=700).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn a_long_shortage_of_bits_makes_the_picture_smaller() {
        let mut run = Run::new();
        run.read(10, 400, 300);
        assert_eq!(run.controller.setting().picture, Picture { width: 640, height: 360, fps: 15 });
    }

    #[test]
    fn bounds_that_contradict_each_other_are_one_bitrate() {
        let mut controller = Controller::new(Bounds { least: 5, most: 4 }, FULL);
        let reading = Reading { queue_age: Duration::from_secs(9), handed: 0 };
        let _ = controller.on_reading(reading, Instant::now());
        assert_eq!(controller.setting().bitrate, 5);
    }
}
