//! Sends parameters to the live job, follows their delivery, and keeps them for every later start.
//!
//! Does not: decide which parameters; the configuration and `Control` do.

use std::time::Instant;

use serde_json::{Map, Value};

use super::delivery::Sending;
use super::{Jobs, reports};
use crate::agent::STORE_TIME;
use crate::agent::control::{ControlError, Edit, Parameters, edited};
use livepeer_gateway::job::{JobError, JobEvent};
use resilience::fault::chain;

impl Jobs {
    /// Changes the parameters as a user asks, keeps them, and sends them to the live job.
    pub(in crate::agent) fn edit_params(
        &mut self,
        new: Map<String, Value>,
        edit: Edit,
    ) -> Result<Parameters, ControlError> {
        let params = edited(&self.plan.spec.params(), new, edit)?;
        self.plan.kept.keep(params.clone());
        self.write_kept();
        self.set_params(params);
        Ok(self.parameters())
    }

    /// Sets the parameters that the configuration has now, in place of those that a user set.
    pub(in crate::agent) fn configure_params(&mut self, params: Map<String, Value>) {
        self.plan.kept.configure(params.clone());
        self.write_kept();
        self.set_params(params);
    }

    /// The present parameters.
    pub(in crate::agent) fn parameters(&self) -> Parameters {
        self.delivery.parameters(self.plan.spec.params())
    }

    fn set_params(&mut self, params: Map<String, Value>) {
        self.delivery.change(&params);
        self.plan.spec.set_params(params);
        self.send_params();
        if self.live.is_none() {
            log::info!("no job runs: the next one gets the parameters");
        }
    }

    /// Sends the present parameters to the live job.
    pub(super) fn send_params(&mut self) {
        if let Some(live) = &self.live {
            match self.delivery.send() {
                Some(sending) => {
                    if !live.set_params(&self.plan.spec.params(), sending, &mut self.tasks) {
                        self.delivery.on_no_job();
                    }
                }
                None => log::debug!("the parameters wait for those on the way to the job"),
            }
        }
        self.reports.model.on_parameters(&self.status);
    }

    /// Writes the kept parameters in a task.
    fn write_kept(&mut self) {
        while self.writes.try_join_next().is_some() {}
        let kept = self.plan.kept.clone();
        self.writes.spawn_blocking(move || kept.write());
    }

    /// Waits a short time until kept parameters are written. Call it before the agent ends.
    pub(in crate::agent) async fn end_writes(&mut self) {
        let written = async { while self.writes.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STORE_TIME, written).await;
    }

    /// Handles an event of the job's model.
    pub(super) fn on_model_event(&mut self, event: &JobEvent, now: Instant) {
        let host = self.reports.host();
        self.reports.model.on_event(event, &host, &self.status, now);
        let confirmed = self.delivery.on_job_event(event, now);
        self.reports.publish(confirmed);
    }

    /// Handles the end of an attempt to send parameters on the control channel.
    pub(super) fn on_params_sent(&mut self, sending: Sending, is_sent: bool, now: Instant) {
        if !is_sent {
            return self.delivery.on_unsent(sending);
        }
        let sent = self.delivery.on_sent(sending, now);
        self.reports.publish(sent);
        self.send_due();
    }

    /// Handles the answer of a runner's app to parameters.
    pub(super) fn on_app_answer(&mut self, sending: Sending, answer: Result<(), JobError>) {
        reports::updated(&answer);
        let answer = answer.map_err(|error| chain(&error));
        let kinds = self.delivery.on_answer(sending, answer);
        self.reports.publish(kinds);
        self.send_due();
    }

    /// Sends parameters that had to wait.
    fn send_due(&mut self) {
        if self.delivery.are_due() {
            self.send_params();
        }
    }

    /// Call it at the time of `Delivery::poll_timeout`.
    pub(super) fn on_params_timeout(&mut self, now: Instant) {
        let overdue = self.delivery.on_timeout(now);
        self.reports.publish(overdue);
    }
}
