//! The states of a job, and the steps from one to the next that depend on nothing else.
//!
//! Does not: look at events; the machine does.

use std::time::{Duration, Instant};

use super::live::Live;
use crate::http::Url;
use crate::job::{Command, Commands, Outcome, Stage};
use crate::session::selection::Selection;

/// What an event leads to.
pub(super) type Next<T> = (State<T>, Commands<T>);

#[derive(Debug)]
pub(super) enum State<T> {
    Finding,
    Selecting {
        selection: Selection<T>,
        until: Instant,
    },
    /// A job that prepays so much is being started there.
    Starting {
        selection: Selection<T>,
        url: Url,
        prepaid: Duration,
    },
    Live(Live<T>),
    Closing {
        then: Then<T>,
    },
    Waiting {
        until: Instant,
    },
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
            Self::Closing {
                then: Then::GoOn { .. } | Then::Switch { .. } | Then::Pause { .. } | Then::Dark,
            } => Stage::Leaving,
            Self::Closing { then: Then::Finish(_) } | Self::Ended => Stage::Ending,
        }
    }
}

#[derive(Debug)]
pub(super) enum Then<T> {
    Finish(Outcome),
    /// On a spare of these, or whoever is found.
    GoOn {
        selection: Selection<T>,
    },
    /// To the job that has started beside the one that is closed; whether it `has` an output and an events channel.
    Switch {
        selection: Selection<T>,
        url: Url,
        has: [bool; 2],
    },
    Pause {
        until: Instant,
    },
    Dark,
}

impl<T> Then<T> {
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self, Self::Finish(_))
    }

    /// Whether a job is started after the close, now or once it is time.
    pub(super) fn starts_anew(&self) -> bool {
        matches!(self, Self::GoOn { .. } | Self::Pause { .. })
    }
}

/// The camera has been gone for too long.
pub(super) fn darken<T>(state: State<T>) -> Next<T> {
    match state {
        State::Finding | State::Selecting { .. } | State::Waiting { .. } => {
            (State::Dark, Commands::new())
        }
        // A job that has started to take over is closed with the others.
        State::Starting { .. } | State::Live(_) | State::Closing { then: Then::Switch { .. } } => {
            let then = Then::Dark;
            (State::Closing { then }, one(Command::Close { for_good: false }))
        }
        State::Closing { then } if then.goes_on() => {
            (State::Closing { then: Then::Dark }, Commands::new())
        }
        state @ (State::Closing { .. } | State::Dark | State::Ended) => (state, Commands::new()),
    }
}

/// A job is looked for.
pub(super) fn find<T>() -> Next<T> {
    (State::Finding, one(Command::Find))
}

pub(super) fn finish<T>(outcome: Outcome) -> Next<T> {
    (State::Ended, one(Command::Finish(outcome)))
}

pub(super) fn close<T>(outcome: Outcome) -> Next<T> {
    let then = Then::Finish(outcome);
    (State::Closing { then }, one(Command::Close { for_good: true }))
}

pub(super) fn one<T>(command: Command<T>) -> Commands<T> {
    let mut commands = Commands::new();
    // A fresh list has room for one.
    let _ = commands.push(command);
    commands
}
