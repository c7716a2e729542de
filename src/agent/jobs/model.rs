//! Tells log and status what the model of the job says of itself.
//!
//! Does not: decide what is a failure; `job::ModelHealth` does.

use std::time::Instant;

use crate::agent::throttled_log::ThrottledLog;
use crate::status::Status;
use livepeer_gateway::job::{JobEvent, ModelHealth, Verdict};

/// What is known of the model, and what was said of it.
pub(super) struct ModelReport {
    health: ModelHealth,
    failures: ThrottledLog,
}

impl ModelReport {
    pub(super) fn new() -> Self {
        let failures = ThrottledLog::new("the model works again");
        Self { health: ModelHealth::default(), failures }
    }

    /// An event came from the job at `place`.
    pub(super) fn on_event(
        &mut self,
        event: &JobEvent,
        place: &str,
        status: &Status,
        now: Instant,
    ) {
        status.returned.add_event();
        log::debug!("event {event}");
        match self.health.on_event(event) {
            Verdict::Nothing => return,
            Verdict::Trouble(what) => self.failures.on_failure(&format!("{place}: {what}"), now),
            Verdict::Works => {
                self.failures.on_success(now);
            }
        }
        status.model.set(self.health.known());
    }

    /// Another job begins.
    pub(super) fn forget(&mut self, status: &Status) {
        self.health = ModelHealth::default();
        status.model.set(None);
    }

    /// The job has other parameters.
    pub(super) fn on_parameters(&mut self, status: &Status) {
        self.health.on_parameters();
        status.model.set(None);
    }
}
