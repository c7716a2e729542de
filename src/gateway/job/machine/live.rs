//! Decides whether a live job is still healthy, and when to ask its spares again.
//!
//! Health (protocol.md, section 5): an output segment and an event are due every 30 s, unless the camera is missing and
//! no video is sent.
//!
//! Does not: close or start jobs.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "an event that is not expected comes late or twice, and changes nothing"
)]

use std::time::{Duration, Instant};

use crate::http::Url;
use crate::job::{Loss, MachineEvent};
use crate::session::selection::{
    CandidateOrder, OfferRules, Selection, SelectionStep, Suspensions,
};

/// A job is lost after this long without an output segment (go-livepeer `ai_live_video.go`).
pub(super) const OUTPUT_DUE: Duration = Duration::from_secs(30);
/// A job is lost after this long without an event (protocol.md, section 5).
pub(super) const EVENT_DUE: Duration = Duration::from_secs(30);
/// Ask spares for their offers again after this time: their tokens are valid for 30 min, and prices change.
pub(super) const SPARES_EVERY: Duration = Duration::from_secs(10 * 60);
/// Without a spare, ask the other candidates again after this time.
pub(super) const NO_SPARE: Duration = Duration::from_secs(60);
/// Deadline for the answers of spares; those that miss it are rejected.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// A live job.
#[derive(Debug)]
pub(super) struct LiveJob<T> {
    /// The spares.
    pub(super) selection: Selection<T>,
    /// The orchestrator that runs the job.
    pub(super) url: Url,
    /// Whether the job has an output channel, and whether it has an events channel.
    has: [bool; 2],
    /// The orchestrator at which the next job is being started to take over from this one, and the time that its start
    /// prepays.
    pub(super) next: Option<(Url, Duration)>,
    output_due: Option<Instant>,
    /// When video was last sent; before the first video, the time of the job's start or of the camera's return.
    video_sent: Instant,
    event_due: Option<Instant>,
    spares_due: Instant,
}

impl<T> LiveJob<T> {
    /// A job that has just started. `has` says whether it has an output channel and an events channel.
    pub(super) fn new(selection: Selection<T>, url: Url, has: [bool; 2], now: Instant) -> Self {
        let pause = if selection.has_good() { SPARES_EVERY } else { ANSWER_TIME };
        let spares_due = now + pause;
        let (next, output_due, event_due) = (None, None, None);
        let video_sent = now;
        let mut live =
            Self { selection, url, has, next, output_due, video_sent, event_due, spares_due };
        live.await_signs(now);
        live
    }

    /// When to call `LiveJob::overdue` and `LiveJob::spares_to_ask` next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.output_due, self.event_due, Some(self.spares_due)].into_iter().flatten().min()
    }

    pub(super) fn on(&mut self, event: MachineEvent<T>, now: Instant) {
        match event {
            MachineEvent::VideoSent => self.video_sent = now,
            MachineEvent::Output => self.output_due = self.output_due.map(|_| now + OUTPUT_DUE),
            MachineEvent::JobEvent => self.event_due = self.event_due.map(|_| now + EVENT_DUE),
            MachineEvent::CameraLost => self.on_camera_lost(),
            MachineEvent::CameraBack => self.await_signs(now),
            MachineEvent::Offered { url, offer, answer_time, with } => {
                let _ = self.selection.on_offer(&url, offer, answer_time, with, now);
            }
            MachineEvent::NoAnswer(url, failure) => self.selection.on_no_answer(&url, failure),
            _ => {}
        }
    }

    /// Clears both deadlines: while no video is sent, no output or event is expected.
    pub(super) fn on_camera_lost(&mut self) {
        (self.output_due, self.event_due) = (None, None);
    }

    fn await_signs(&mut self, now: Instant) {
        let [has_output, has_events] = self.has;
        self.video_sent = now;
        self.output_due = has_output.then_some(now + OUTPUT_DUE);
        self.event_due = has_events.then_some(now + EVENT_DUE);
    }

    /// The loss of the job, if an output segment or an event is overdue.
    pub(super) fn overdue(&self, now: Instant) -> Option<Loss> {
        let is_over = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_over(self.output_due) {
            let unsent = now.saturating_duration_since(self.video_sent);
            // Video that was sent just before the connection broke may be lost too, so half of the time is enough.
            return Some(match unsent > OUTPUT_DUE / 2 {
                true => Loss::NoVideoSent(unsent),
                false => Loss::NoOutput(OUTPUT_DUE),
            });
        }
        is_over(self.event_due).then_some(Loss::NoEvent(EVENT_DUE))
    }

    /// The candidates of `known` to ask as spares now; empty if it is not time yet.
    pub(super) fn spares_to_ask(
        &mut self,
        known: &[Url],
        (rules, order): (OfferRules, CandidateOrder),
        suspensions: &Suspensions,
        now: Instant,
    ) -> Vec<Url> {
        if now < self.spares_due {
            return Vec::new();
        }
        if self.selection.is_asking() {
            self.selection.on_deadline();
            let pause = if self.selection.has_good() { SPARES_EVERY } else { NO_SPARE };
            self.spares_due = now + pause;
            return Vec::new();
        }
        let others = known.iter().filter(|url| **url != self.url).cloned();
        self.selection = Selection::new(rules, order, others, suspensions, now);
        match self.selection.step(now) {
            SelectionStep::Ask(urls) => {
                self.spares_due = now + ANSWER_TIME;
                urls
            }
            // No other candidate can be asked.
            SelectionStep::Wait(_) | SelectionStep::Try(_) | SelectionStep::None(_) => {
                self.spares_due = now + SPARES_EVERY;
                Vec::new()
            }
        }
    }
}
