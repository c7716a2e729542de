//! Reports the health of the job's model to log and status.
//!
//! Does not: decide what is a failure; `job::ModelHealth` does.

use std::time::Instant;

use crate::status::Status;
use livepeer_gateway::job::{JobEvent, ModelHealth, Verdict};
use resilience::log_throttle::ThrottledLog;

/// The health of the model, with its log lines.
pub(super) struct ModelReport {
    health: ModelHealth,
    failures: ThrottledLog,
}

impl ModelReport {
    pub(super) fn new() -> Self {
        let failures = ThrottledLog::new(module_path!(), "the model works again");
        Self { health: ModelHealth::default(), failures }
    }

    /// Handles an event of the job at `host`.
    pub(super) fn on_event(&mut self, event: &JobEvent, host: &str, status: &Status, now: Instant) {
        status.returned.events.add(1, now);
        log::debug!("event {event}");
        match self.health.on_event(event) {
            Verdict::Nothing => return,
            Verdict::Trouble(what) => self.failures.on_failure(&format!("{host}: {what}"), now),
            Verdict::Works => {
                self.failures.on_success(now);
            }
        }
        status.model.set(self.health.known());
    }

    /// Call it when another job begins.
    pub(super) fn forget(&mut self, status: &Status) {
        self.health = ModelHealth::default();
        status.model.set(None);
    }

    /// Call it when the job gets new parameters.
    pub(super) fn on_parameters(&mut self, status: &Status) {
        self.health.on_parameters();
        status.model.set(None);
    }
}
