//! Decides about a job that is live: whether it still is, and when its spares are asked again.
//!
//! Health (protocol.md, section 5): an output segment and an event are due every 30 s, unless the camera is gone
//! and nothing goes in.
//!
//! Does not: close or start jobs.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "an event that is not expected comes late or twice, and changes nothing"
)]

use std::time::{Duration, Instant};

use crate::http::Url;
use crate::job::{Event, Loss};
use crate::session::selection::{
    CandidateOrder, OfferRules, Selection, SelectionStep, Suspensions,
};

/// No output segment for this long while video goes in: the job is dead (go-livepeer `ai_live_video.go`).
pub(super) const OUTPUT_DUE: Duration = Duration::from_secs(30);
/// No event for this long: the job is dead (protocol.md, section 5).
pub(super) const EVENT_DUE: Duration = Duration::from_secs(30);
/// What a spare offers is asked anew after this time: its token is good for 30 min, and prices move.
pub(super) const SPARES_EVERY: Duration = Duration::from_secs(10 * 60);
/// Where there is no spare, others are asked after this time.
pub(super) const NO_SPARE: Duration = Duration::from_secs(60);
/// Spares that have not answered by then are none.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// A job that is live.
#[derive(Debug)]
pub(super) struct Live<T> {
    /// The spares.
    pub(super) selection: Selection<T>,
    /// Where it runs.
    pub(super) url: Url,
    /// It has an output channel, and an events channel.
    has: [bool; 2],
    /// Where the job is being started that takes over from this one, and what that prepays.
    pub(super) next: Option<(Url, Duration)>,
    output_due: Option<Instant>,
    /// When video was sent last; what counts as never is the start, or the camera's return.
    video_sent: Instant,
    event_due: Option<Instant>,
    spares_due: Instant,
}

impl<T> Live<T> {
    /// A job that has just started; whether it `has` an output and an events channel.
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

    /// When something is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.output_due, self.event_due, Some(self.spares_due)].into_iter().flatten().min()
    }

    pub(super) fn on(&mut self, event: Event<T>, now: Instant) {
        match event {
            Event::VideoSent => self.video_sent = now,
            Event::Output => self.output_due = self.output_due.map(|_| now + OUTPUT_DUE),
            Event::JobEvent => self.event_due = self.event_due.map(|_| now + EVENT_DUE),
            Event::CameraLost => self.on_camera_lost(),
            Event::CameraBack => self.await_signs(now),
            Event::Offered { url, offer, answer_time, with } => {
                let _ = self.selection.on_offer(&url, offer, answer_time, with, now);
            }
            Event::NoAnswer(url, failure) => self.selection.on_no_answer(&url, failure),
            _ => {}
        }
    }

    /// Nothing goes in, so nothing needs to come out.
    pub(super) fn on_camera_lost(&mut self) {
        (self.output_due, self.event_due) = (None, None);
    }

    fn await_signs(&mut self, now: Instant) {
        let [has_output, has_events] = self.has;
        self.video_sent = now;
        self.output_due = has_output.then_some(now + OUTPUT_DUE);
        self.event_due = has_events.then_some(now + EVENT_DUE);
    }

    /// What has not come in time.
    pub(super) fn overdue(&self, now: Instant) -> Option<Loss> {
        let is_over = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_over(self.output_due) {
            let unsent = now.saturating_duration_since(self.video_sent);
            // What was sent just before the link broke was lost, too.
            return Some(match unsent > OUTPUT_DUE / 2 {
                true => Loss::NoVideoSent(unsent),
                false => Loss::NoOutput(OUTPUT_DUE),
            });
        }
        is_over(self.event_due).then_some(Loss::NoEvent(EVENT_DUE))
    }

    /// Those of `known` that are to be asked as spares now.
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
            // Nobody else is known.
            SelectionStep::Wait(_) | SelectionStep::Try(_) | SelectionStep::None(_) => {
                self.spares_due = now + SPARES_EVERY;
                Vec::new()
            }
        }
    }
}
