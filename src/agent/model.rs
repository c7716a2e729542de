//! Tells log and status what the model of the job says of itself.
//!
//! Does not: decide what is trouble; `job::ModelHealth` does.

use std::time::Instant;

use crate::agent::run::Loop;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobEvent, ModelHealth, Verdict};

impl Loop {
    /// An event came from the job.
    pub(super) fn on_job_event(&mut self, event: &JobEvent) {
        self.status.returned.add_event();
        log::debug!("event {event}");
        let now = Instant::now();
        match self.model.on_event(event) {
            Verdict::Nothing => return,
            Verdict::Trouble(what) => {
                let place = self.orchestrator.as_ref().map(Url::authority);
                let place = place.map(ToString::to_string).unwrap_or_default();
                self.model_trouble.on_failure(&format!("{place}: {what}"), now);
            }
            Verdict::Works => {
                self.model_trouble.on_success(now);
            }
        }
        self.status.model.set(self.model.known());
    }

    /// Another job begins.
    pub(super) fn forget_model(&mut self) {
        self.model = ModelHealth::default();
        self.status.model.set(None);
    }

    /// The job has other parameters.
    pub(super) fn on_parameters(&mut self) {
        self.model.on_parameters();
        self.status.model.set(None);
    }
}
