//! Decides how long the end of a job may take, step by step.
//!
//! ```text
//!           begin, leave             end_parts               nothing runs
//! ┌───────┐       ┌──────────┐ time, or output ended ┌────────┐        ┌───────┐
//! │ Open  ├──────▶│ Draining ├──────────────────────▶│ Ending ├───────▶│ Open  │
//! └───────┘       └──────────┘                       └──┬──▲──┘        └───────┘
//!                                                  time └──┘ what still runs is cut short
//! ```
//!
//! At the end of the program, starts under way and the end of capture are waited for too.
//!
//! Does not: end anything.

use std::time::{Duration, Instant};

/// After capture has stopped: for the last segment to go out and the last processed video to come back.
pub const DRAIN_TIME: Duration = Duration::from_millis(1000);
/// After that: for every part to end, its channel deleted. Both together stay below 2 s.
pub const END_TIME: Duration = Duration::from_millis(500);

/// At the end of the program, the answer to a start under way is waited for at most so long: without it nobody
/// knows the job that may have been started. The real gateway gives a start 5 s too (protocol.md, section 5).
const START_END_TIME: Duration = Duration::from_secs(5);

/// How far the end of a job has come.
#[derive(Debug, Default)]
pub(super) struct Closing {
    step: Step,
    /// The end of the program has begun.
    is_leaving: bool,
    /// It waits for the end of capture.
    awaits_capture: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Step {
    /// It has not begun.
    #[default]
    Open,
    /// Capture has stopped; what is on its way may still go out and come back, until then.
    Draining { until: Instant },
    /// Every part was told to end, and is cut short then.
    Ending { until: Instant },
}

/// What to do when a step has taken as long as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Overdue {
    /// Nothing.
    Nothing,
    /// Tell every part to end.
    EndParts,
    /// Cut short what still runs.
    CutShort,
}

impl Closing {
    /// The end of one job begins; nothing is waited for before its parts are told to end.
    pub(super) fn begin(&mut self, now: Instant) {
        self.step = Step::Draining { until: now };
    }

    /// The end of the program begins. Capture has been told to stop.
    pub(super) fn leave(&mut self, now: Instant) {
        self.is_leaving = true;
        self.awaits_capture = true;
        self.step = Step::Draining { until: now + DRAIN_TIME };
    }

    /// Capture has stopped for good.
    pub(super) fn on_capture_stopped(&mut self) {
        self.awaits_capture = false;
    }

    /// The parts are told to end: how long that may take, unless they were told before. At the end of the program,
    /// a job that `is_starting` has a longer time.
    pub(super) fn end_parts(&mut self, is_starting: bool, now: Instant) -> Option<Duration> {
        let Step::Draining { .. } = self.step else { return None };
        let time = if self.is_leaving && is_starting { START_END_TIME } else { END_TIME };
        self.step = Step::Ending { until: now + time };
        Some(time)
    }

    /// The time of [`Closing::deadline`] has come.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Overdue {
        match self.step {
            Step::Open => Overdue::Nothing,
            Step::Draining { .. } => Overdue::EndParts,
            Step::Ending { .. } => {
                if self.is_leaving {
                    self.awaits_capture = false;
                }
                self.step = Step::Ending { until: now + END_TIME };
                Overdue::CutShort
            }
        }
    }

    /// The end is over.
    pub(super) fn finish(&mut self) {
        self.step = Step::Open;
    }

    /// Whether the end has begun, and is not over.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.step, Step::Open)
    }

    /// Whether the end of the program has begun.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// When the step has taken as long as it may.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Open => None,
            Step::Draining { until } | Step::Ending { until } => Some(until),
        }
    }

    /// Whether the end is over, where parts may still run, and a job may be starting or ending beside it.
    pub(super) fn is_over(&self, has_parts: bool, is_starting: bool) -> bool {
        let waits = self.is_leaving && (is_starting || self.awaits_capture);
        self.is_on() && !has_parts && !waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_jobs_end_waits_for_its_parts_alone() {
        let now = Instant::now();
        let mut closing = Closing::default();
        assert!(!closing.is_over(false, false), "it has not begun");
        closing.begin(now);
        assert_eq!(closing.end_parts(true, now), Some(END_TIME));
        assert_eq!(closing.end_parts(true, now), None, "they were told");
        assert!(!closing.is_over(true, false));
        assert!(closing.is_over(false, true));
        closing.finish();
        assert!(!closing.is_on() && closing.deadline().is_none());
    }

    #[test]
    fn the_programs_end_waits_for_capture_and_for_starts_too() {
        let now = Instant::now();
        let mut closing = Closing::default();
        closing.leave(now);
        assert_eq!(closing.deadline(), Some(now + DRAIN_TIME));
        assert!(!closing.is_over(false, false), "capture still stops");
        closing.on_capture_stopped();
        assert!(!closing.is_over(false, true), "a job is being started");
        assert!(closing.is_over(false, false));
    }

    #[test]
    fn a_step_that_takes_too_long_is_followed_by_the_next() {
        let now = Instant::now();
        let mut closing = Closing::default();
        assert_eq!(closing.on_timeout(now), Overdue::Nothing);
        closing.leave(now);
        assert_eq!(closing.on_timeout(now), Overdue::EndParts);
        assert_eq!(closing.end_parts(true, now), Some(START_END_TIME));
        assert_eq!(closing.deadline(), Some(now + START_END_TIME));
        let now = now + START_END_TIME;
        assert_eq!(closing.on_timeout(now), Overdue::CutShort);
        assert_eq!(closing.deadline(), Some(now + END_TIME));
        assert!(closing.is_over(false, false), "capture is waited for no longer");
    }
}
