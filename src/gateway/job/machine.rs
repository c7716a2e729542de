//! Decides what has to run for a live video job: told what happened, it answers with commands.
//!
//! ```text
//!          Found                Try                  Started
//! ┌─────────┐    ┌───────────┐ Start ┌──────────┐  ok    ┌──────┐
//! │ Finding ├───▶│ Selecting ├──────▶│ Starting ├───────▶│ Live │
//! └──▲──▲───┘    └──┬─────▲──┘       └──┬────▲──┘  Run   └──┬───┘
//!    │  │ wait over │     │ refused     │    │              │ lost, input over, stop
//!    │ ┌┴────────┐  │     ├─────────────┘    │              ▼
//!    │ │ Waiting │◀─┤     │                  │ spare   ┌─────────┐ Closed ┌───────┐
//!    │ └───▲─────┘  │ none left              └─────────┤ Closing ├───────▶│ Ended │
//!    │     │        │ too much prepaid                 └─┬──┬────┘        └───────┘
//!    │     └────────┴──── too many losses ───────────────┤  │ camera gone
//!    ├──────────────────────────── no spare ─────────────┘  ▼
//!    │                                                   ┌──────┐
//!    └──────────────────────────── camera back ──────────┤ Dark │
//!                                                        └──────┘
//! ```
//!
//! | what is lost | `Recovery::Exit` | `Recovery::Retry` |
//! |---|---|---|
//! | a price or payment that asks for another orchestrator, a session that is over | next candidate | next candidate |
//! | anything else of a live job | end | next candidate |
//! | no candidate left | end | wait (`pauses`), find again |
//! | too much prepaid for starts that failed (`prepaid`) | end | wait, find again |
//!
//! An orchestrator that was left is suspended for a time that follows the cause; the good ones that were not tried
//! are spares. While a job is live they are asked again now and then, as what they offer grows old; that costs
//! nothing. One that refuses the model or its parameters is barred until these change, or for minutes.
//! A job that has run for a day is handed over to a new one (`renew`).
//! Without a camera no job is started. A job that runs is kept for `hold`, then closed until the camera is back.
//! Health (protocol.md, section 5): while live, an output segment and an event are due every 30 s.
//!
//! Does not: carry anything out, read the clock, or know what came with an offer.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "an event that a state does not expect comes late or twice, and changes nothing"
)]

use std::time::{Duration, Instant};

mod leave;
mod live;
mod pauses;
mod prepaid;
mod renew;
mod select;
mod state;
#[cfg(test)]
mod tests;

pub(in crate::job) use leave::{BRIEFLY, SUSPENSION};
use pauses::Pauses;
use prepaid::Prepaid;
pub use renew::RENEW_AFTER;
use state::{Next, State, Then, darken, find, finish, one};

use crate::http::Url;
use crate::job::swap_limit::SwapLimit;
use crate::job::{Command, Commands, Event, Outcome, Stage};
use crate::session::selection::{CandidateOrder, OfferRules, Suspensions};

/// What a loss leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recovery {
    /// The end, with the reason: somebody is there to read it.
    #[default]
    Exit,
    /// Another orchestrator, or the same one later.
    Retry,
}

/// The state machine of one job, on one orchestrator after the other.
#[derive(Debug)]
pub struct Machine<T> {
    rules: OfferRules,
    recovery: Recovery,
    suspensions: Suspensions,
    pauses: Pauses,
    swaps: SwapLimit,
    prepaid: Prepaid,
    /// Who may take the job, as was found last, and who of them is tried first.
    known: Vec<Url>,
    order: CandidateOrder,
    /// How long a job goes on without a camera.
    hold: Duration,
    /// Until when it does, while the camera is gone.
    held_until: Option<Instant>,
    /// A peer that was gone came back while others were tried: if they fail, it is tried at once.
    came_back: bool,
    state: State<T>,
}

impl<T> Machine<T> {
    /// A machine, and what to do first. A job goes on without a camera for `hold`.
    pub fn new(rules: OfferRules, recovery: Recovery, hold: Duration) -> (Self, Commands<T>) {
        let machine = Self {
            rules,
            recovery,
            suspensions: Suspensions::default(),
            pauses: Pauses::default(),
            swaps: SwapLimit::default(),
            prepaid: Prepaid::default(),
            known: Vec::new(),
            order: CandidateOrder::default(),
            hold,
            held_until: None,
            came_back: false,
            state: State::Finding,
        };
        (machine, one(Command::Find))
    }

    /// A machine that waits for the camera, which could not be opened: it has nothing to do before
    /// [`Event::CameraBack`].
    pub fn without_camera(
        rules: OfferRules,
        recovery: Recovery,
        hold: Duration,
        now: Instant,
    ) -> Self {
        let (machine, _) = Self::new(rules, recovery, hold);
        Self { held_until: Some(now + hold), state: State::Dark, ..machine }
    }

    /// What to do now that `event` has happened. `jitter` from 0 to 1 spreads pauses.
    pub fn on(&mut self, event: Event<T>, now: Instant, jitter: f64) -> Commands<T> {
        match &event {
            Event::CameraLost => {
                self.held_until.get_or_insert(now + self.hold);
            }
            Event::CameraBack => self.held_until = None,
            Event::Recover(recovery) => self.recovery = *recovery,
            Event::Hold(hold) => self.hold = *hold,
            Event::NewParams => {
                self.suspensions.lift_bars();
                self.pauses.on_new_params();
            }
            _ => {}
        }
        let hold_is_over = self.held_until.is_some_and(|until| until <= now);
        let (state, commands) = match std::mem::replace(&mut self.state, State::Ended) {
            state if matches!(event, Event::CameraLost) && (hold_is_over || !state.has_job()) => {
                darken(state)
            }
            state if matches!(event, Event::Timeout) && hold_is_over => darken(state),
            state if matches!(event, Event::Replace(_)) => self.replace(event, state, now),
            State::Finding => self.finding(event, now, jitter),
            State::Selecting { selection, .. } => self.selecting(event, selection, now, jitter),
            State::Starting { selection, url, prepaid } => {
                self.starting(event, (selection, url, prepaid), now, jitter)
            }
            State::Live(live) => self.live(event, live, now, jitter),
            State::Closing { then } => self.closing(event, then, now),
            State::Dark => at_rest(State::Dark, event, |event| matches!(event, Event::CameraBack)),
            State::Waiting { until } => {
                at_rest(State::Waiting { until }, event, |event| match event {
                    Event::Timeout => until <= now,
                    Event::Reachable | Event::NewParams => true,
                    _ => false,
                })
            }
            State::Ended => (State::Ended, Commands::new()),
        };
        self.state = match state {
            // What was to come after the close would be the start of a job without a camera.
            State::Closing { then } if self.is_without_camera() && then.starts_anew() => {
                State::Closing { then: Then::Dark }
            }
            state => state,
        };
        commands
    }

    /// When [`Event::Timeout`] is due, if it is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Selecting { until, .. } | State::Waiting { until } => Some(*until),
            State::Live(live) => live.poll_timeout(),
            State::Finding | State::Starting { .. } => None,
            State::Closing { .. } | State::Dark | State::Ended => return None,
        };
        [own, self.held_until].into_iter().flatten().min()
    }

    /// Who may take the job, as was found last.
    pub fn known(&self) -> &[Url] {
        &self.known
    }

    /// Whether the camera is gone, as far as the machine was told.
    pub fn is_without_camera(&self) -> bool {
        self.held_until.is_some()
    }

    /// The camera is gone, and the job goes on without it until then.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// How far the job has come, for those who look from outside.
    pub fn stage(&self) -> Stage {
        self.state.stage()
    }
}

/// There is no job: it is looked for one where `event` is a reason to.
fn at_rest<T>(
    state: State<T>,
    event: Event<T>,
    is_reason: impl FnOnce(&Event<T>) -> bool,
) -> Next<T> {
    match event {
        Event::Stop | Event::CaptureDone => finish(Outcome::Done),
        Event::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
        event if is_reason(&event) => find(),
        _ => (state, Commands::new()),
    }
}
