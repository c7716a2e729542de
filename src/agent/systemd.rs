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
use livepeer_gateway::limits::{CALL_TIME, CONNECT_TIME, JOB_START_TIME};

/// What the service manager was told.
#[derive(Debug)]
pub(super) struct Watch {
    service: Service,
    is_ready: bool,
    stage: Option<Stage>,
    /// The job went on without a camera when last looked at.
    was_held: bool,
    /// Until when the camera that was being opened may take, when last looked at.
    opening_until: Option<Instant>,
    /// What was wrong with the model when last looked at.
    model: Option<String>,
    /// Segments out and back when last looked at.
    moved: u64,
}

/// What the service manager may see of the agent.
pub(super) struct View<'a> {
    /// How far the job has come.
    pub(super) stage: Stage,
    /// The camera is gone, and the job goes on without it until then.
    pub(super) held_until: Option<Instant>,
    /// Where the job was started last.
    pub(super) place: Option<&'a Url>,
    /// Why no job ran when there was none.
    pub(super) no_job: &'a str,
    /// Why the camera gave nothing when it was lost last.
    pub(super) camera: &'a str,
    /// Until when the try to open a camera may take that was begun last.
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

    /// When it wants to look next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.service.poll_timeout()
    }

    /// Something happened, or the time of [`Self::poll_timeout`] has come.
    pub(super) fn look(
        &mut self,
        View { stage, held_until, place, no_job, camera, opening_until }: View<'_>,
        status: &Status,
        now: Instant,
    ) {
        if let Some(until) = opening_until.filter(|_| self.opening_until != opening_until) {
            self.opening_until = opening_until;
            self.service.wait(until, now);
        }
        self.service.notice(status.notice.get());
        let is_held = held_until.is_some();
        let was_held = std::mem::replace(&mut self.was_held, is_held);
        let is_new = self.stage.replace(stage) != Some(stage) || was_held != is_held;
        let place = place.map(|url| url.authority().to_string()).unwrap_or_default();
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
                self.service.status(&format!("no job: {no_job}"));
                self.service.wait(until, now);
            }
            Stage::Dark => {
                self.ready();
                let text = format!("waiting for video: {camera}");
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
                    self.say_live(&place, camera, is_held);
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

    fn say_live(&mut self, place: &str, camera: &str, is_held: bool) {
        let mut text = format!("live at {place}");
        if is_held {
            text.push_str(&format!(", without video: {camera}"));
        }
        if let Some(words) = &self.model {
            text.push_str(&format!("; {words}"));
        }
        self.service.status(&text);
    }

    fn ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.service.ready();
        }
    }
}
