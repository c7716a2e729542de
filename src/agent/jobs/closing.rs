//! Times the steps in which a job is closed.
//!
//! ```text
//!           begin, leave             end_parts               nothing runs
//! ┌───────┐       ┌──────────┐ time, or output ended ┌────────┐        ┌───────┐
//! │ Open  ├──────▶│ Draining ├──────────────────────▶│ Ending ├───────▶│ Open  │
//! └───────┘       └──────────┘                       └──┬──▲──┘        └───────┘
//!                                                  time └──┘ running tasks are aborted
//! ```
//!
//! At the end of the program, the close also waits for starts in progress and for the end of capture.
//!
//! Does not: end parts or jobs; the caller does.

use std::time::{Duration, Instant};

/// The time for the last segment to be sent and the last processed video to return, after capture has stopped.
pub const DRAIN_TIME: Duration = Duration::from_millis(1000);
/// The time for every part to end and to delete its channel, after [`DRAIN_TIME`]. [`DRAIN_TIME`] and [`END_TIME`]
/// together stay below 2 s.
pub const END_TIME: Duration = Duration::from_millis(500);

/// The longest wait for a start in progress at the end of the program: only the answer to the start names the job that
/// has to be stopped. The real gateway gives a start 5 s too (protocol.md, section 5).
const START_END_TIME: Duration = Duration::from_secs(5);

/// The progress of a close.
#[derive(Debug, Default)]
pub(super) struct Closing {
    step: CloseStep,
    /// The end of the program has begun.
    is_leaving: bool,
    /// The close waits for the end of capture.
    awaits_capture: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum CloseStep {
    /// No close has begun.
    #[default]
    Open,
    /// Capture has stopped; until this time, frames in transit may still be sent and returned.
    Draining { until: Instant },
    /// Every part was asked to end; parts that still run at this time are aborted.
    Ending { until: Instant },
}

/// What to do when a step has reached its time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Overdue {
    /// Nothing.
    Nothing,
    /// Ask every part to end.
    EndParts,
    /// Abort the tasks that still run.
    Abort,
}

impl Closing {
    /// Begins the close of one job. Call [`Closing::end_parts`] next.
    pub(super) fn begin(&mut self, now: Instant) {
        self.step = CloseStep::Draining { until: now };
    }

    /// Begins the end of the program. Stop capture before you call it.
    pub(super) fn leave(&mut self, now: Instant) {
        self.is_leaving = true;
        self.awaits_capture = true;
        self.step = CloseStep::Draining { until: now + DRAIN_TIME };
    }

    /// Call it when capture has stopped at the end of the program.
    pub(super) fn on_capture_stopped(&mut self) {
        self.awaits_capture = false;
    }

    /// Call it before asking the parts to end. Returns the time limit for their end, or `None` if the parts were asked
    /// before. At the end of the program the limit is longer while a job `is_starting`.
    pub(super) fn end_parts(&mut self, is_starting: bool, now: Instant) -> Option<Duration> {
        let CloseStep::Draining { .. } = self.step else { return None };
        let time = if self.is_leaving && is_starting { START_END_TIME } else { END_TIME };
        self.step = CloseStep::Ending { until: now + time };
        Some(time)
    }

    /// Call it when the time of [`Closing::deadline`] has come.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Overdue {
        match self.step {
            CloseStep::Open => Overdue::Nothing,
            CloseStep::Draining { .. } => Overdue::EndParts,
            CloseStep::Ending { .. } => {
                if self.is_leaving {
                    self.awaits_capture = false;
                }
                self.step = CloseStep::Ending { until: now + END_TIME };
                Overdue::Abort
            }
        }
    }

    /// Call it when the close is over.
    pub(super) fn finish(&mut self) {
        self.step = CloseStep::Open;
    }

    /// Whether a close is in progress.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.step, CloseStep::Open)
    }

    /// Whether the end of the program has begun.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// The time limit of the present step.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.step {
            CloseStep::Open => None,
            CloseStep::Draining { until } | CloseStep::Ending { until } => Some(until),
        }
    }

    /// Whether a close is in progress and nothing is left to wait for. `has_parts`: parts still run; `is_starting`:
    /// another job is being started or ended.
    pub(super) fn is_over(&self, has_parts: bool, is_starting: bool) -> bool {
        let waits = self.is_leaving && (is_starting || self.awaits_capture);
        self.is_on() && !has_parts && !waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_of_one_job_waits_for_its_parts_alone() {
        let now = Instant::now();
        let mut closing = Closing::default();
        assert!(!closing.is_over(false, false), "no close has begun");
        closing.begin(now);
        assert_eq!(closing.end_parts(true, now), Some(END_TIME));
        assert_eq!(closing.end_parts(true, now), None, "they were asked before");
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
        assert_eq!(closing.on_timeout(now), Overdue::Abort);
        assert_eq!(closing.deadline(), Some(now + END_TIME));
        assert!(closing.is_over(false, false), "the wait for capture is over");
    }
}
