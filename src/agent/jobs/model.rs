//! Reports the health of the job's model to log, status and events.
//!
//! Does not: decide what is a failure; `job::ModelHealth` does.

use std::time::Instant;

use crate::events::{Bus, Kind, bounded};
use crate::status::Status;
use livepeer_gateway::job::{JobEvent, ModelHealth, Verdict};
use resilience::log_throttle::ThrottledLog;

/// The health of the model, with its log lines.
pub(super) struct ModelReport {
    health: ModelHealth,
    failures: ThrottledLog,
    bus: Bus,
    /// Whether the last published event about the model's health reported a failure.
    is_failing: bool,
}

impl ModelReport {
    pub(super) fn new(bus: Bus) -> Self {
        let failures = ThrottledLog::new(module_path!(), "the model works again");
        Self { health: ModelHealth::default(), failures, bus, is_failing: false }
    }

    /// Handles an event of the job at `host`.
    pub(super) fn on_event(&mut self, event: &JobEvent, host: &str, status: &Status, now: Instant) {
        status.returned.events.add(1, now);
        log::debug!("event {event}");
        self.bus.publish(|| Kind::Model { event: bounded(event.body()) });
        match self.health.on_event(event) {
            Verdict::Nothing => return,
            Verdict::Trouble(what) => {
                self.failures.on_failure(&format!("{host}: {what}"), now);
                self.is_failing = true;
                self.bus.publish(|| Kind::ModelTrouble { reason: what });
            }
            Verdict::Works => {
                self.failures.on_success(now);
                if std::mem::take(&mut self.is_failing) {
                    self.bus.publish(|| Kind::ModelWorks);
                }
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
