//! The states of a job, and the transitions that depend only on the present state.
//!
//! Does not: handle events; `Machine` does.

use std::time::{Duration, Instant};

use super::live::Live;
use crate::http::Url;
use crate::job::{Command, Commands, Outcome, Stage};
use crate::session::selection::Selection;

/// The next state, and the commands that the caller must execute.
pub(super) type Next<T> = (State<T>, Commands<T>);

#[derive(Debug)]
pub(super) enum State<T> {
    Finding,
    Selecting {
        selection: Selection<T>,
        until: Instant,
    },
    /// A job is being started at `url`; its start prepays the time `prepaid`.
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
    /// Whether a job runs or is being started.
    pub(super) fn has_job(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Live(_))
    }

    /// The stage of the job, for status and logs.
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
    /// Start a job at a spare of `selection`, or search again if there is none.
    GoOn {
        selection: Selection<T>,
    },
    /// Run the job that was started beside the closed one. `has` says whether it has an output channel and an events
    /// channel.
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

    /// Whether another job is started after the close, at once or after a pause.
    pub(super) fn starts_anew(&self) -> bool {
        matches!(self, Self::GoOn { .. } | Self::Pause { .. })
    }
}

/// Closes the job, if one runs, and waits for the camera.
pub(super) fn darken<T>(state: State<T>) -> Next<T> {
    match state {
        State::Finding | State::Selecting { .. } | State::Waiting { .. } => {
            (State::Dark, Commands::new())
        }
        // This also closes a job that was started to take over.
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

/// Searches for candidates.
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
    // Cannot fail: the list is empty.
    let _ = commands.push(command);
    commands
}
