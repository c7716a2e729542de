//! Ends jobs: the one that runs, those that are being started, and all of them at the end of the program.
//!
//! Does not: decide when a job ends, or what comes after it; `job::Machine` does.

use std::time::Instant;

use super::Jobs;
use super::closing::Overdue;

impl Jobs {
    /// Closes the live job, but keeps the one that takes over.
    pub(in crate::agent) fn hand_over(&mut self, now: Instant) {
        self.closing.begin(now);
        self.end_parts(now);
    }

    /// Closes the live job and every job that was started beside it.
    pub(in crate::agent) fn close(&mut self, now: Instant) {
        self.starts.give_up(&self.plan.network);
        self.hand_over(now);
    }

    /// Closes every job for the end of the program. Stop capture before: frames in transit may still be sent and returned.
    pub(in crate::agent) fn leave(&mut self, now: Instant) {
        self.starts.give_up(&self.plan.network);
        self.closing.leave(now);
    }

    /// Call it when capture has stopped at the end of the program.
    pub(in crate::agent) fn on_capture_stopped(&mut self) {
        self.closing.on_capture_stopped();
    }

    pub(super) fn on_close_timeout(&mut self, now: Instant) {
        match self.closing.on_timeout(now) {
            Overdue::Nothing => {}
            Overdue::EndParts => self.end_parts(now),
            Overdue::Abort => {
                log::warn!("not all parts of the job ended in time: aborting them");
                // Each aborted task gives one more event; after these events no task is left.
                self.tasks.abort_all();
                if self.closing.is_leaving() {
                    self.starts.abort();
                }
            }
        }
    }

    /// Asks every part to end.
    pub(super) fn end_parts(&mut self, now: Instant) {
        let is_starting = self.closing.is_leaving() && !self.starts.are_over();
        let Some(time) = self.closing.end_parts(is_starting, now) else { return };
        if is_starting {
            log::info!("a job is being started; waiting up to {} s to end it", time.as_secs());
        }
        if let Some(live) = self.live.take() {
            live.end(&mut self.tasks);
        }
    }
}
