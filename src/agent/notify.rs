//! Tells the service manager how far the job has come, and that it is alive.
//!
//! | stage | ready | status | watchdog |
//! |---|---|---|---|
//! | finding, selecting, starting | not yet | who is asked | a stated wait, with its limit |
//! | live | yes | where, and what is wrong with the model | fed when a segment went out or came back |
//! | live, but the camera is gone | yes | so | a stated wait, for as long as the job is held |
//! | waiting | yes | why no job runs | a stated wait, to its end |
//! | dark | yes | the camera is gone | a stated wait for each try to open it |
//! | leaving, ending | as before | stopping, at the end | as before |
//!
//! Before each status stands that another configuration runs than the one at hand, as long as one does.
//!
//! Does not: decide whether the agent is well; `service::Watchdog` does.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::service::Service;
use crate::status::Status;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::Stage;
use resilience::capacity::{CALL_TIME, CONNECT_TIME, JOB_START_TIME};

/// What the service manager was told.
#[derive(Debug)]
pub(super) struct Watch {
    service: Service,
    is_ready: bool,
    stage: Option<Stage>,
    /// The job went on without a camera when last looked at.
    was_held: bool,
    /// Why the camera gives nothing, while it does not.
    camera: String,
    /// Why no job runs, while none does.
    no_job: String,
    /// What was wrong with the model when last looked at.
    model: Option<String>,
    /// Segments out and back when last looked at.
    moved: u64,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        let service = Service::from_environment(now);
        Self {
            service,
            is_ready: false,
            stage: None,
            was_held: false,
            camera: String::new(),
            no_job: String::new(),
            model: None,
            moved: 0,
        }
    }

    /// When it wants to look next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.service.poll_timeout()
    }

    /// Something happened, or the time of [`Self::poll_timeout`] has come.
    pub(super) fn look(
        &mut self,
        stage: Stage,
        held_until: Option<Instant>,
        at: Option<&Url>,
        status: &Status,
        now: Instant,
    ) {
        self.service.notice(status.notice.get());
        let is_held = held_until.is_some();
        let was_held = std::mem::replace(&mut self.was_held, is_held);
        let is_new = self.stage.replace(stage) != Some(stage) || was_held != is_held;
        let place = at.map(|url| url.authority().to_string()).unwrap_or_default();
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
                self.service.status(&format!("starting the job at {place}"));
                self.service.wait(now + CONNECT_TIME + JOB_START_TIME, now);
            }
            Stage::Waiting { until } if is_new => {
                self.ready();
                self.service.status(&format!("no job: {}", self.no_job));
                self.service.wait(until, now);
            }
            Stage::Dark => {
                self.ready();
                let text = format!("waiting for the camera: {}", self.camera);
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
                    self.say_live(&place, is_held);
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

    fn say_live(&mut self, place: &str, is_held: bool) {
        let mut text = format!("live at {place}");
        if is_held {
            text.push_str(&format!(", without video: {}", self.camera));
        }
        if let Some(words) = &self.model {
            text.push_str(&format!("; {words}"));
        }
        self.service.status(&text);
    }

    /// Nothing is going to move before `until`, for a reason that the agent can name.
    pub(super) fn wait(&mut self, until: Instant, now: Instant) {
        self.service.wait(until, now);
    }

    /// No job runs for a while; why.
    pub(super) fn on_no_job(&mut self, why: &str) {
        why.clone_into(&mut self.no_job);
    }

    /// The camera gives nothing; why.
    pub(super) fn on_camera(&mut self, why: &str) {
        why.clone_into(&mut self.camera);
    }

    fn ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.service.ready();
        }
    }
}
