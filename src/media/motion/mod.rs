//! Decides whether something moves in front of the camera, from what is at hand without a decoder.
//!
//! | what is at hand | decided by |
//! |---|---|
//! | raw pictures, where this program encodes | `pictures`: cells of a 64 × 36 picture whose structure changes |
//! | only H.264, where the camera encodes, or where pictures stay in the encoder's memory | `sizes`: access units that are larger than usual at their quantiser |
//!
//! `pictures` found every motion of the check's scenes and clips without a false one, at 0.1 % of a core; `sizes` find
//! most of them in calm weather (the table is in tests/README.md). So once a picture has come, `sizes` do not count.
//!
//! ```text
//! ┌───────┐ moves  ┌──────────┐ has moved for `minimum` ┌────────┐
//! │ Still ├───────▶│ Beginning├────────────────────────▶│ Moving │
//! └─▲──▲──┘        └────┬─────┘                         └───┬────┘
//!   │  └─── still ──────┘                                   │
//!   └──────────────── still for `END_AFTER` ────────────────┘
//! ```
//!
//! Does not: tell what moves, or start a job; the agent does.

pub mod grid;
mod pictures;
mod sizes;

use std::time::{Duration, Instant};

use crate::slice::Quantisers;
use grid::Grid;
use pictures::PictureMotion;
use sizes::SizeMotion;

/// A motion has ended when nothing has moved for this time: longer than a person stands still between two steps, and
/// shorter than any linger time.
pub const END_AFTER: Duration = Duration::from_secs(2);
/// How often a picture is compared: twice a second, so that something that moves is seen in two pictures within a second.
pub const PICTURE_EVERY: Duration = Duration::from_millis(500);
/// If no picture has come for this time, for example because the camera was replaced by one that encodes, none will
/// come.
const NO_PICTURES: Duration = Duration::from_secs(5);

/// How motion is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MotionOptions {
    /// From 1 (only large motion) to 100 (small motion too, and more false alarms).
    pub sensitivity: u32,
    /// How long something must move.
    pub minimum: Duration,
}

impl Default for MotionOptions {
    fn default() -> Self {
        Self { sensitivity: 50, minimum: Duration::from_millis(500) }
    }
}

impl MotionOptions {
    /// The factor of all thresholds: 1 at a sensitivity of 50, half at 75, twice at 25.
    fn scale(self) -> f32 {
        ((50.0 - self.sensitivity as f32) / 25.0).exp2()
    }
}

/// An event of the motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MotionEvent {
    /// Something has moved for the minimum time, since this time.
    Began(Instant),
    /// Something still moves; reported about twice a second.
    GoesOn(Instant),
    /// Nothing has moved since this time.
    Ended(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MotionState {
    Still,
    Beginning { since: Instant },
    Moving { last: Instant },
}

/// The motion in one camera's video. Pass it each access unit, and each picture where there are any.
#[derive(Debug, Clone)]
pub struct Motion {
    options: MotionOptions,
    quantisers: Quantisers,
    sizes: SizeMotion,
    pictures: PictureMotion,
    pictured: Option<Instant>,
    state: MotionState,
}

impl Motion {
    /// Nothing moves until the usual level is known, which takes 3 s with pictures and 6 s without.
    pub fn new(options: MotionOptions) -> Self {
        Self {
            options,
            quantisers: Quantisers::default(),
            sizes: SizeMotion::default(),
            pictures: PictureMotion::new(),
            pictured: None,
            state: MotionState::Still,
        }
    }

    /// Changes the options.
    pub fn set_options(&mut self, options: MotionOptions) {
        self.options = options;
    }

    /// Takes an access unit (Annex B) that came `now`. It may be passed while pictures come, and does nothing then.
    pub fn on_access_unit(
        &mut self,
        bytes: &[u8],
        is_key: bool,
        now: Instant,
    ) -> Option<MotionEvent> {
        if self.pictured.is_some_and(|at| now < at + NO_PICTURES) {
            return None;
        }
        let quantiser = self.quantisers.on_access_unit(bytes);
        if quantiser.is_changed {
            self.sizes = SizeMotion::default();
        }
        self.on_size(bytes.len(), quantiser.value, is_key, now)
    }

    /// Takes an access unit of this size, whose quantiser is known or not.
    pub fn on_size(
        &mut self,
        bytes: usize,
        quantiser: Option<u8>,
        is_key: bool,
        now: Instant,
    ) -> Option<MotionEvent> {
        let moves = self.sizes.on_unit(bytes, quantiser, is_key, self.options.scale(), now)?;
        self.on_sign(moves, now)
    }

    /// Whether a picture is wanted `now`. If so, reduce one and pass it.
    pub fn wants_picture(&self, now: Instant) -> bool {
        // With a margin, as frames are some milliseconds early or late.
        self.pictured.is_none_or(|last| now + PICTURE_EVERY / 25 >= last + PICTURE_EVERY)
    }

    /// Takes a picture that came `now`.
    pub fn on_picture(&mut self, grid: &Grid, now: Instant) -> Option<MotionEvent> {
        self.pictured = Some(now);
        let moves = self.pictures.on_picture(grid, self.options.scale());
        self.on_sign(moves, now)
    }

    fn on_sign(&mut self, moves: bool, now: Instant) -> Option<MotionEvent> {
        let (state, event) = match self.state {
            MotionState::Still if moves => (MotionState::Beginning { since: now }, None),
            MotionState::Still => (MotionState::Still, None),
            MotionState::Beginning { since } if moves && now >= since + self.options.minimum => {
                (MotionState::Moving { last: now }, Some(MotionEvent::Began(since)))
            }
            MotionState::Beginning { since } if moves => (MotionState::Beginning { since }, None),
            MotionState::Beginning { .. } => (MotionState::Still, None),
            MotionState::Moving { .. } if moves => {
                (MotionState::Moving { last: now }, Some(MotionEvent::GoesOn(now)))
            }
            MotionState::Moving { last } if now >= last + END_AFTER => {
                (MotionState::Still, Some(MotionEvent::Ended(last)))
            }
            MotionState::Moving { last } => (MotionState::Moving { last }, None),
        };
        self.state = state;
        event
    }
}

#[cfg(test)]
mod tests {
    use super::grid::{ACROSS, CELLS};
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// Passes a sign each 250 ms: `x` something moves, `-` nothing does. Returns the events as times in ms.
    fn events(minimum: u64, signs: &str) -> Vec<(&'static str, u64)> {
        let minimum = Duration::from_millis(minimum);
        let mut motion = Motion::new(MotionOptions { minimum, ..MotionOptions::default() });
        let start = Instant::now();
        let ms = |at: Instant| u64::try_from(at.duration_since(start).as_millis()).unwrap();
        let each = (0_u64..).zip(signs.chars());
        each.filter_map(|(nth, sign)| motion.on_sign(sign == 'x', after(start, 250 * nth)))
            .filter_map(|event| match event {
                MotionEvent::Began(since) => Some(("began", ms(since))),
                MotionEvent::Ended(at) => Some(("ended", ms(at))),
                MotionEvent::GoesOn(_) => None,
            })
            .collect()
    }

    #[test]
    fn motion_begins_after_the_minimum_time_and_ends_after_two_seconds_without() {
        assert_eq!(events(500, "-xx-xx--"), [], "250 ms at a time");
        assert_eq!(events(500, "-xxx--------x"), [("began", 250), ("ended", 750)]);
        assert_eq!(events(500, "-xxx-------x---------"), [("began", 250), ("ended", 2750)]);
        assert_eq!(events(2000, "-xxxxxxxx-"), []);
        assert_eq!(events(2000, "-xxxxxxxxx"), [("began", 250)]);
        assert_eq!(events(0, "-xx"), [("began", 250)]);
    }

    fn grid(thing: Option<usize>) -> Grid {
        let mut grid = [100; CELLS];
        for (cell, value) in grid.iter_mut().enumerate() {
            let (x, y) = (cell % ACROSS, cell / ACROSS);
            if thing.is_some_and(|left| (left..left + 4).contains(&x)) && y < 8 {
                *value = 20;
            }
        }
        grid
    }

    #[test]
    fn pictures_decide_where_they_come_and_sizes_where_they_do_not() {
        let start = Instant::now();
        let mut motion = Motion::new(MotionOptions::default());
        assert!(motion.wants_picture(start));
        for n in 0..20 {
            assert_eq!(motion.on_picture(&grid(None), after(start, 500 * n)), None);
        }
        assert!(
            !motion.wants_picture(after(start, 9900)) && motion.wants_picture(after(start, 9990))
        );
        // Large access units do not count, as the picture does not move.
        let unit = |motion: &mut Motion, bytes: usize, n: u64, from: u64| {
            let nal = if n.is_multiple_of(25) { 0x65 } else { 0x41 };
            let unit = [vec![0, 0, 0, 1, nal], vec![0x55; bytes]].concat();
            motion.on_access_unit(&unit, n.is_multiple_of(25), after(start, from + 40 * n))
        };
        assert!((0..100).all(|n| unit(&mut motion, 100 * n as usize, n, 9_500).is_none()));
        let walk: Vec<_> = (20..24)
            .filter_map(|n| {
                motion.on_picture(&grid(Some(4 * n as usize - 80)), after(start, 500 * n))
            })
            .collect();
        assert_eq!(walk.first(), Some(&MotionEvent::Began(after(start, 10_000))));
        // The camera is replaced by one that encodes.
        let from = 30_000;
        let still = (0..300).filter_map(|n| unit(&mut motion, 500, n, from)).collect::<Vec<_>>();
        assert!(matches!(still[..], [MotionEvent::Ended(_)]), "{still:?}");
        let began = (300..400).find_map(|n| unit(&mut motion, 5000, n, from));
        assert!(matches!(began, Some(MotionEvent::Began(_))));
    }
}
