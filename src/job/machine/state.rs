//! The states of a job, and the steps from one to the next that depend on nothing else.
//!
//! Does not: look at events; the machine does.

use std::time::{Duration, Instant};

use super::live::Live;
use crate::http::Url;
use crate::job::{Command, Commands, Outcome, Stage};
use crate::session::selection::{Candidate, NoneLeft, Rounds, Step};

/// The longest wait for the candidates that were asked together; connecting and answering have limits of
/// their own below it.
pub(super) const ASK_TIME: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) enum State<T> {
    Finding,
    Selecting { rounds: Rounds<T>, until: Instant, had_offer: bool },
    Starting { rounds: Rounds<T>, url: Url },
    Live(Live<T>),
    Closing { then: Then<T> },
    Waiting { until: Instant },
    Dark,
    Ended,
}

impl<T> State<T> {
    /// Whether there is a job, or one is being started.
    pub(super) fn has_job(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Live(_))
    }

    /// How far the job has come, for those who look from outside.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Finding => Stage::Finding,
            Self::Selecting { until, .. } => Stage::Selecting { until: *until },
            Self::Starting { .. } => Stage::Starting,
            Self::Live(_) => Stage::Live,
            Self::Dark => Stage::Dark,
            Self::Waiting { until } => Stage::Waiting { until: *until },
            Self::Closing { then: Then::GoOn { .. } | Then::Pause { .. } | Then::Dark } => {
                Stage::Leaving
            }
            Self::Closing { then: Then::Finish(_) } | Self::Ended => Stage::Ending,
        }
    }
}

#[derive(Debug)]
pub(super) enum Then<T> {
    Finish(Outcome),
    GoOn { rounds: Rounds<T>, left: Url, why: String },
    Pause { until: Instant },
    Dark,
}

impl<T> Then<T> {
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self, Self::Finish(_))
    }
}

/// The camera has been gone for too long.
pub(super) fn darken<T>(state: State<T>) -> (State<T>, Commands<T>) {
    match state {
        State::Finding | State::Selecting { .. } | State::Waiting { .. } => {
            (State::Dark, Commands::new())
        }
        State::Starting { .. } | State::Live(_) => {
            let then = Then::Dark;
            (State::Closing { then }, one(Command::Close { for_good: false }))
        }
        State::Closing { then } if then.goes_on() => {
            (State::Closing { then: Then::Dark }, Commands::new())
        }
        state @ (State::Closing { .. } | State::Dark | State::Ended) => (state, Commands::new()),
    }
}

/// Where `rounds` go on; who is out, where they do not.
pub(super) fn next_of<T>(
    mut rounds: Rounds<T>,
    now: Instant,
) -> Result<(State<T>, Commands<T>), NoneLeft> {
    let waiting = |rounds| State::Selecting { rounds, until: now + ASK_TIME, had_offer: false };
    Ok(match rounds.step() {
        Step::Ask(urls) => (waiting(rounds), one(Command::Ask(urls))),
        Step::Wait => (waiting(rounds), Commands::new()),
        Step::Try(Candidate { url, answer, .. }) => {
            let start = one(Command::Start(url.clone(), answer));
            (State::Starting { rounds, url }, start)
        }
        Step::None(none) => return Err(none),
    })
}

pub(super) fn finish<T>(outcome: Outcome) -> (State<T>, Commands<T>) {
    (State::Ended, one(Command::Finish(outcome)))
}

pub(super) fn close<T>(outcome: Outcome) -> (State<T>, Commands<T>) {
    let then = Then::Finish(outcome);
    (State::Closing { then }, one(Command::Close { for_good: true }))
}

pub(super) fn one<T>(command: Command<T>) -> Commands<T> {
    let mut commands = Commands::new();
    // A fresh list has room for one.
    let _ = commands.push(command);
    commands
}
