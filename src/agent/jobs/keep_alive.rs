//! Does what is due with each keep-alive: sends the message, notes whether the job works, and reports the length of the
//! media sent.
//!
//! Does not: decide when; the interval of [`Jobs`] does.

use std::time::Duration;

use super::{Jobs, Offered};
use livepeer_gateway::job::{self, RENEW_AFTER};

/// A hand-over that has waited this long for working video is done even if no video works.
const URGENT: Duration = Duration::from_secs(2 * 3600);

impl Jobs {
    /// Sends a keep-alive, and reports whether a job without output works.
    pub(super) fn keep_alive(&mut self, has_camera: bool) {
        let Some(live) = &self.live else { return };
        live.keep_alive();
        let sent = self.status.publish.segments.count();
        let has_sent = std::mem::replace(&mut self.sent, sent) != sent;
        if has_sent && live.job.channels().output.is_none() {
            self.note_works(has_camera);
        }
    }

    /// Notifies the status that the agent works: the camera works and processed video returns, or, if the job returns
    /// none, video is sent.
    pub(super) fn note_works(&self, has_camera: bool) {
        if has_camera {
            self.status.works.notify_one();
        }
    }

    /// Reports the length of the media sent, while video gets through or once a hand-over is urgent.
    pub(super) fn sent(&self) -> Option<job::MachineEvent<Offered>> {
        let length = self.units.span();
        let is_quiet = !self.reports.is_link_failing();
        (is_quiet || length > RENEW_AFTER + URGENT).then_some(job::MachineEvent::Sent(length))
    }
}
