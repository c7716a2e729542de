//! The state machine of a live video job: takes events, and returns the commands to execute.
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
//! | failure | `Recovery::Exit` | `Recovery::Retry` |
//! |---|---|---|
//! | a price or payment that requires another orchestrator, a session that is over | next candidate | next candidate |
//! | any other loss of a live job | end | next candidate |
//! | no candidate left | end | wait (`pauses`), find again |
//! | too much prepaid for starts that failed (`prepaid`) | end | wait, find again |
//!
//! An orchestrator that was left is suspended for a time that depends on the cause. The untried orchestrators with good
//! offers are spares. While a job is live, the spares are asked again from time to time, because offers expire; an
//! offer costs nothing. An orchestrator that refuses the model or its parameters is barred until these change, or for
//! 10 min to 2 h. A job that has run for a day is handed over to a new one (`renew`). Without a camera, no job is
//! started. A job that runs when the camera is lost is kept for `hold`, then closed; the next one starts once the
//! camera is back. While no job is wanted ([`MachineEvent::Pause`]), no job is started either, and a job that runs is
//! closed at once. If a job may be wanted at any moment ([`MachineEvent::Standby`]), candidates are asked all the same,
//! and the best offer is kept for the start (`Ready`). Health (protocol.md, section 5): while live, an output segment
//! and an event are due every 30 s.
//!
//! Does not: execute commands, read the clock, or look at the caller's data of an offer.

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
use state::{AfterClose, JobState, Transition, darken, find, finish, one};

use crate::http::Url;
use crate::job::swap_limit::SwapLimit;
use crate::job::{Command, Commands, MachineEvent, Outcome, Stage};
use crate::session::selection::{CandidateOrder, OfferRules, Suspensions};

/// What to do after the loss of a live job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recovery {
    /// Finish with the reason. Use this where a user reads it.
    #[default]
    Exit,
    /// Go on with another orchestrator, or later with the same one.
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
    /// The candidates of the last search, and how to order their offers.
    known: Vec<Url>,
    order: CandidateOrder,
    /// How long to keep a job without a camera.
    hold: Duration,
    /// The end of the time for which the present job is kept; `None` unless the camera is missing.
    held_until: Option<Instant>,
    /// No job is wanted.
    is_paused: bool,
    /// While none is wanted, candidates are prepared.
    stands_by: bool,
    /// Whether a peer became reachable while others were tried: if the others fail, search again without a pause.
    came_back: bool,
    state: JobState<T>,
}

impl<T> Machine<T> {
    /// A state machine, and the commands to execute first. A job whose camera is lost is kept for `hold`.
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
            is_paused: false,
            stands_by: false,
            came_back: false,
            state: JobState::Finding,
        };
        (machine, one(Command::Find))
    }

    /// A state machine for a camera that could not be opened: it returns no commands before [`MachineEvent::CameraBack`],
    /// except to finish.
    pub fn without_camera(
        rules: OfferRules,
        recovery: Recovery,
        hold: Duration,
        now: Instant,
    ) -> Self {
        let (machine, _) = Self::new(rules, recovery, hold);
        Self { held_until: Some(now + hold), state: JobState::Dark, ..machine }
    }

    /// Handles `event`. Execute the returned commands in their order. `jitter` from 0 to 1 spreads pauses.
    pub fn on(&mut self, event: MachineEvent<T>, now: Instant, jitter: f64) -> Commands<T> {
        match &event {
            MachineEvent::CameraLost => {
                self.held_until.get_or_insert(now + self.hold);
            }
            MachineEvent::CameraBack => self.held_until = None,
            MachineEvent::Pause => (self.is_paused, self.stands_by) = (true, false),
            MachineEvent::Standby => (self.is_paused, self.stands_by) = (true, true),
            MachineEvent::Resume => (self.is_paused, self.stands_by) = (false, false),
            MachineEvent::Recover(recovery) => self.recovery = *recovery,
            MachineEvent::Hold(hold) => self.hold = *hold,
            MachineEvent::NewParams => {
                self.suspensions.lift_bars();
                self.pauses.on_new_params();
            }
            _ => {}
        }
        let hold_is_over = self.held_until.is_some_and(|until| until <= now);
        let (state, commands) = match std::mem::replace(&mut self.state, JobState::Ended) {
            state
                if matches!(event, MachineEvent::CameraLost)
                    && (hold_is_over || !state.has_job()) =>
            {
                darken(state)
            }
            state if matches!(event, MachineEvent::Timeout) && hold_is_over => darken(state),
            state if matches!(event, MachineEvent::Pause) => darken(state),
            state if matches!(event, MachineEvent::Standby) => match darken(state) {
                (JobState::Dark, _) if self.may_prepare() => find(),
                transition => transition,
            },
            state if matches!(event, MachineEvent::Replace(_)) => self.replace(event, state, now),
            JobState::Finding => self.finding(event, now, jitter),
            JobState::Selecting { selection, .. } => self.selecting(event, selection, now, jitter),
            JobState::Starting { selection, url, prepaid } => {
                self.starting(event, (selection, url, prepaid), now, jitter)
            }
            JobState::Live(live) => self.live(event, live, now, jitter),
            JobState::Closing { then } => self.closing(event, then, now),
            JobState::Dark => {
                let may_prepare = self.may_prepare();
                at_rest(JobState::Dark, event, |event| may_prepare && is_restart(event))
            }
            JobState::Waiting { until } => {
                at_rest(JobState::Waiting { until }, event, |event| match event {
                    MachineEvent::Timeout => until <= now,
                    MachineEvent::Reachable | MachineEvent::NewParams | MachineEvent::Resume => {
                        true
                    }
                    _ => false,
                })
            }
            JobState::Ready { selection, until } => {
                self.ready(event, (selection, until), now, jitter)
            }
            JobState::Ended => (JobState::Ended, Commands::new()),
        };
        self.state = match state {
            // A job would be started after the close, but none may be started now: wait.
            JobState::Closing { then } if !self.may_start() && then.starts_again() => {
                JobState::Closing { then: AfterClose::Dark }
            }
            state => state,
        };
        commands
    }

    /// When to pass [`MachineEvent::Timeout`] to [`Machine::on`]. Ask again after each event.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            JobState::Selecting { until, .. }
            | JobState::Waiting { until }
            | JobState::Ready { until, .. } => Some(*until),
            JobState::Live(live) => live.poll_timeout(),
            JobState::Finding | JobState::Starting { .. } => None,
            JobState::Closing { .. } | JobState::Dark | JobState::Ended => return None,
        };
        [own, self.held_until].into_iter().flatten().min()
    }

    /// The candidates of the last search.
    pub fn known(&self) -> &[Url] {
        &self.known
    }

    /// Whether the camera is missing, according to the events so far.
    pub fn is_without_camera(&self) -> bool {
        self.held_until.is_some()
    }

    /// Whether no job is wanted.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether candidates are prepared while no job is wanted.
    pub fn stands_by(&self) -> bool {
        self.stands_by
    }

    /// Whether a job may be started: the camera is there, and a job is wanted.
    fn may_start(&self) -> bool {
        !self.is_without_camera() && !self.is_paused
    }

    /// Whether candidates may be asked: the camera is there, and a job is wanted or may be at any moment.
    fn may_prepare(&self) -> bool {
        !self.is_without_camera() && (!self.is_paused || self.stands_by)
    }

    /// The end of the time for which a job is kept without its camera; `None` unless the camera is missing.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// The stage of the job, for status and logs.
    pub fn stage(&self) -> Stage {
        match self.state.stage() {
            Stage::Finding | Stage::Selecting { .. } | Stage::Waiting { .. } if self.stands_by => {
                Stage::Dark
            }
            stage => stage,
        }
    }
}

/// Whether this event ends a time in which no job could be started.
fn is_restart<T>(event: &MachineEvent<T>) -> bool {
    matches!(event, MachineEvent::CameraBack | MachineEvent::Resume)
}

/// Handles `event` while no job runs: searches for candidates if `is_reason` returns true for the event.
fn at_rest<T>(
    state: JobState<T>,
    event: MachineEvent<T>,
    is_reason: impl FnOnce(&MachineEvent<T>) -> bool,
) -> Transition<T> {
    match event {
        MachineEvent::Stop | MachineEvent::CaptureDone => finish(Outcome::Done),
        MachineEvent::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
        event if is_reason(&event) => find(),
        _ => (state, Commands::new()),
    }
}
