//! Compares the motion that was noticed with the motion that there was.
//!
//! A motion is found if it is noticed while it lasts. What is noticed at another time is a false motion, except shortly
//! after a motion, and while somebody stands in the picture, who may move a little.
//!
//! Does not: decide what moves.

use std::ops::Range;
use std::time::{Duration, Instant};

use media::motion::{END_AFTER, MotionEvent};

/// The time in seconds after a motion in which its end may be noticed.
const GRACE: f32 = 3.0;

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Score {
    /// Motions, and how many of them were found.
    pub(crate) motions: u32,
    pub(crate) found: u32,
    /// Motions that were noticed, but were none.
    pub(crate) false_ones: u32,
    /// The sum of the times from the begin of a motion to its notice, in seconds.
    pub(crate) delay: f32,
}

impl Score {
    /// Adds another score.
    pub(crate) fn add(&mut self, other: Self) {
        self.motions += other.motions;
        self.found += other.found;
        self.false_ones += other.false_ones;
        self.delay += other.delay;
    }

    /// As a cell of a table: found motions, false ones, the mean delay.
    pub(crate) fn cell(self) -> String {
        let Self { motions, found, false_ones, delay } = self;
        match found {
            0 => format!("{found}/{motions}, {false_ones} false"),
            _ => format!("{found}/{motions}, {false_ones} false, {:.1} s", delay / found as f32),
        }
    }
}

/// The times of motion, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// When something moves.
    pub(crate) moves: Vec<Range<f32>>,
    /// When something may move a little.
    pub(crate) may_move: Vec<Range<f32>>,
}

/// The motions that were noticed: the time of the notice and of the last motion, in seconds from `start`.
#[derive(Debug)]
pub(crate) struct Noticed {
    start: Instant,
    all: Vec<(f32, f32)>,
    since: Option<f32>,
}

impl Noticed {
    /// Before the first event.
    pub(crate) fn from(start: Instant) -> Self {
        Self { start, all: Vec::new(), since: None }
    }

    /// Takes the event that came `now`.
    pub(crate) fn on(&mut self, event: Option<MotionEvent>, now: Instant) {
        let seconds = |at: Instant| at.duration_since(self.start).as_secs_f32();
        match event {
            Some(MotionEvent::Began(_)) => self.since = Some(seconds(now)),
            Some(MotionEvent::Ended(last)) => {
                let since = self.since.take().expect("a motion that ends has begun");
                self.all.push((since, seconds(last)));
            }
            Some(MotionEvent::GoesOn(_)) | None => {}
        }
    }

    /// Compares with the truth.
    pub(crate) fn score(mut self, truth: &Truth) -> Score {
        self.all.extend(self.since.map(|since| (since, f32::MAX)));
        let mut score = Score::default();
        for range in &truth.moves {
            score.motions += 1;
            let last = END_AFTER.as_secs_f32().min(range.end - range.start);
            let during = self
                .all
                .iter()
                .find(|(since, until)| *until > range.start && *since < range.end + last);
            if let Some((since, _)) = during {
                score.found += 1;
                score.delay += (since - range.start).max(0.0);
            }
        }
        let is_true = |(since, until): &(f32, f32)| {
            let mut all = truth.moves.iter().chain(&truth.may_move);
            all.any(|range| *until > range.start - 0.5 && *since < range.end + GRACE)
        };
        score.false_ones = self.all.iter().filter(|motion| !is_true(motion)).count() as u32;
        score
    }
}

/// The time of the frame with this number.
pub(crate) fn at(start: Instant, frame: usize, fps: f64) -> Instant {
    start + Duration::from_secs_f64(frame as f64 / fps)
}
