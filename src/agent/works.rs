//! Notes that the agent does what it is there for: processed video comes back, or, where a job returns none, video gets
//! through; and the camera works.
//!
//! Does not: know what that proves; who waits for [`Status::works`](crate::status::Status::works) does.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::agent::run::Loop;

impl Loop {
    /// A segment of processed video has begun.
    pub(super) fn on_output(&mut self) {
        // A job counts as good once something comes back.
        self.job_trouble.on_success(Instant::now());
        self.note_works();
    }

    /// The job wants a sign of life.
    pub(super) fn on_keep_alive(&mut self) {
        self.look_at_clock();
        let Some(held) = &self.held else { return };
        held.parts.keep_alive();
        let sent = self.status.publish.segments.load(Relaxed);
        let has_sent = std::mem::replace(&mut self.sent, sent) != sent;
        if has_sent && held.job.channels().output.is_none() {
            self.note_works();
        }
    }

    fn note_works(&self) {
        if !self.camera.is_lost() {
            self.status.works.notify_one();
        }
    }
}
