//! Notifies the service manager: ready, status and watchdog, by the stage of the job.
//!
//! | stage | ready | status | watchdog |
//! |---|---|---|---|
//! | finding, selecting, starting | not yet | the present step | a wait with a limit |
//! | live | yes | the orchestrator, and the failure of the model | fed when a segment was sent or returned |
//! | live without camera | yes | the failure of the camera | a wait for as long as the job is held |
//! | waiting | yes | why no job runs | a wait to the next attempt |
//! | dark | yes | the failure of the camera | a wait for each attempt to open it |
//! | leaving, ending | unchanged | stopping, at the end | unchanged |
//!
//! While another configuration runs than the present file, every status begins with a notice of that.
//!
//! Does not: decide whether the agent is well; `service::Watchdog` does.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::service::Service;
use crate::status::Status;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::Stage;
use livepeer_gateway::limits::{CALL_TIME, CONNECT_TIME, JOB_START_TIME};

/// The notifications so far.
#[derive(Debug)]
pub(super) struct Watch {
    service: Service,
    is_ready: bool,
    stage: Option<Stage>,
    /// At the last update, the job was held without a camera.
    was_held: bool,
    /// The time limit of the attempt to open the camera, at the last update.
    opening_until: Option<Instant>,
    /// The failure of the model, at the last update.
    model: Option<String>,
    /// Segments sent and returned, at the last update.
    moved: u64,
}

/// The state of the agent that is reported to the service manager.
pub(super) struct View<'a> {
    /// The stage of the job.
    pub(super) stage: Stage,
    /// While the camera is lost: until when the job is held without it.
    pub(super) held_until: Option<Instant>,
    /// Where the last job was started.
    pub(super) orchestrator: Option<&'a Url>,
    /// Why no job ran the last time that none did.
    pub(super) no_job: &'a str,
    /// Why the camera was lost the last time.
    pub(super) camera_failure: &'a str,
    /// The time limit of the last attempt to open the camera.
    pub(super) opening_until: Option<Instant>,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        let service = Service::from_environment(now);
        Self {
            service,
            is_ready: false,
            stage: None,
            was_held: false,
            opening_until: None,
            model: None,
            moved: 0,
        }
    }

    /// When the next update is due for the watchdog.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.service.poll_timeout()
    }

    /// Call it after every event, and at the time of [`Self::poll_timeout`].
    pub(super) fn update(
        &mut self,
        View { stage, held_until, orchestrator, no_job, camera_failure, opening_until }: View<'_>,
        status: &Status,
        now: Instant,
    ) {
        if let Some(until) = opening_until.filter(|_| self.opening_until != opening_until) {
            self.opening_until = opening_until;
            self.service.wait(until, now);
        }
        self.service.notice(status.notice.get());
        self.service.remark(status.api.get());
        let is_held = held_until.is_some();
        let was_held = std::mem::replace(&mut self.was_held, is_held);
        let is_new = self.stage.replace(stage) != Some(stage) || was_held != is_held;
        let host = orchestrator.map(|url| url.authority().to_string()).unwrap_or_default();
        match stage {
            Stage::Finding if is_new => {
                self.service.status("looking for orchestrators");
                self.service.wait(now + CALL_TIME, now);
            }
            Stage::Selecting { until } if is_new => {
                self.service.status("asking orchestrators");
                self.service.wait(until, now);
            }
            Stage::Starting if is_new => {
                self.service.status(&format!("starting the job at {host}"));
                self.service.wait(now + CONNECT_TIME + JOB_START_TIME, now);
            }
            Stage::Waiting { until } if is_new => {
                self.ready();
                self.service.status(&format!("no job: {no_job}"));
                self.service.wait(until, now);
            }
            Stage::Dark => {
                self.ready();
                let text = format!("waiting for video: {camera_failure}");
                self.service.status(&text);
            }
            Stage::Ending if is_new => {
                self.service.status("stopping");
                self.service.stopping();
            }
            Stage::Live => {
                if is_new {
                    self.ready();
                }
                let model = status.model.get();
                if is_new || model != self.model {
                    self.model = model;
                    self.live_status(&host, camera_failure, is_held);
                }
                if is_new {
                    match held_until {
                        None => self.service.alive(now),
                        Some(until) => self.service.wait(until, now),
                    }
                }
                let moved =
                    status.publish.segments.load(Relaxed) + status.returned.segments.load(Relaxed);
                if std::mem::replace(&mut self.moved, moved) != moved {
                    self.service.alive(now);
                }
            }
            Stage::Finding
            | Stage::Selecting { .. }
            | Stage::Starting
            | Stage::Waiting { .. }
            | Stage::Leaving
            | Stage::Ending => {}
        }
        self.service.tick(now);
    }

    fn live_status(&mut self, host: &str, camera_failure: &str, is_held: bool) {
        let mut text = format!("live at {host}");
        if is_held {
            text.push_str(&format!(", without video: {camera_failure}"));
        }
        if let Some(failure) = &self.model {
            text.push_str(&format!("; {failure}"));
        }
        self.service.status(&text);
    }

    fn ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.service.ready();
        }
    }
}
