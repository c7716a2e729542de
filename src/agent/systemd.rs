//! Notifies the service manager: ready, status and watchdog, by the stage of the job.
//!
//! | stage | ready | watchdog |
//! |---|---|---|
//! | finding, selecting, starting | not yet | a wait with a limit |
//! | live | yes | fed when a segment was sent or returned |
//! | live without camera | yes | a wait for as long as the job is held |
//! | waiting | yes | a wait to the next attempt |
//! | dark (no camera, or no job is wanted) | yes | a wait for each attempt to open the camera; fed when a frame was captured |
//! | dark, and the source waits for the job | yes | fed: nothing has to move |
//! | leaving, ending | unchanged | unchanged |
//!
//! The status is the line of [`Status::summary`], so it follows from the same facts as every other report. While a
//! configuration runs that is not the one in the file, every status begins with a notice about it.
//!
//! Does not: decide whether the agent is well; `service::Watchdog` does.

use std::time::Instant;

use crate::service::Service;
use crate::status::Status;
use livepeer_gateway::job::Stage;
use livepeer_gateway::limits::{CALL_TIME, CONNECT_TIME, JOB_START_TIME};

/// The state of the notifications.
#[derive(Debug)]
pub(super) struct Watch {
    service: Service,
    is_ready: bool,
    stage: Option<Stage>,
    /// At the last update, the job was held without a camera.
    was_held: bool,
    /// The time limit of the attempt to open the camera, at the last update.
    opening_until: Option<Instant>,
    /// Segments sent and returned, at the last update.
    moved: u64,
    /// Frames captured, at the last update.
    captured: u64,
}

/// The state of the agent that is reported to the service manager.
pub(super) struct View {
    /// The stage of the job.
    pub(super) stage: Stage,
    /// While the camera is lost: until when the job is held without it.
    pub(super) held_until: Option<Instant>,
    /// The time limit of the last attempt to open the camera.
    pub(super) opening_until: Option<Instant>,
    /// The source is open and gives no frames before a job is live.
    pub(super) awaits_job: bool,
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
            moved: 0,
            captured: 0,
        }
    }

    /// When the next update is due for the watchdog.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.service.poll_timeout()
    }

    /// Call it after every event, and at the time of [`Self::poll_timeout`].
    pub(super) fn update(
        &mut self,
        View { stage, held_until, opening_until, awaits_job }: View,
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
        let text = status.summary(now);
        match stage {
            Stage::Finding if is_new => {
                self.service.status(&text);
                self.service.wait(now + CALL_TIME, now);
            }
            Stage::Selecting { until } if is_new => {
                self.service.status(&text);
                self.service.wait(until, now);
            }
            Stage::Starting if is_new => {
                self.service.status(&text);
                self.service.wait(now + CONNECT_TIME + JOB_START_TIME, now);
            }
            Stage::Waiting { until } if is_new => {
                self.ready();
                self.service.status(&text);
                self.service.wait(until, now);
            }
            Stage::Dark => {
                self.ready();
                self.service.status(&text);
                let captured = status.captured(now);
                if std::mem::replace(&mut self.captured, captured) != captured || awaits_job {
                    self.service.alive(now);
                }
            }
            Stage::Ending if is_new => {
                self.service.status(&text);
                self.service.stopping();
            }
            Stage::Live => {
                if is_new {
                    self.ready();
                }
                self.service.status(&text);
                if is_new {
                    match held_until {
                        None => self.service.alive(now),
                        Some(until) => self.service.wait(until, now),
                    }
                }
                let moved = status.publish.segments.count() + status.returned.segments.count();
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

    fn ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.service.ready();
        }
    }
}
