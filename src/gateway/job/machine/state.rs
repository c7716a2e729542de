//! The states of a job, and the transitions that depend only on the present state.
//!
//! Does not: handle events; `Machine` does.

use std::time::{Duration, Instant};

use super::live::LiveJob;
use crate::http::Url;
use crate::job::{Command, Commands, Outcome, Stage};
use crate::session::selection::Selection;

/// The next state, and the commands that the caller must execute.
pub(super) type Transition<T> = (JobState<T>, Commands<T>);

#[derive(Debug)]
pub(super) enum JobState<T> {
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
    Live(LiveJob<T>),
    Closing {
        then: AfterClose<T>,
    },
    Waiting {
        until: Instant,
    },
    /// The best offer of `selection` is used once a job is wanted; at `until` offers are asked for again.
    Ready {
        selection: Selection<T>,
        until: Instant,
    },
    Dark,
    Ended,
}

impl<T> JobState<T> {
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
            Self::Dark | Self::Ready { .. } => Stage::Dark,
            Self::Waiting { until } => Stage::Waiting { until: *until },
            Self::Closing {
                then:
                    AfterClose::GoOn { .. }
                    | AfterClose::Switch { .. }
                    | AfterClose::Pause { .. }
                    | AfterClose::Dark,
            } => Stage::Leaving,
            Self::Closing { then: AfterClose::Finish(_) } | Self::Ended => Stage::Ending,
        }
    }
}

#[derive(Debug)]
pub(super) enum AfterClose<T> {
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

impl<T> AfterClose<T> {
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self, Self::Finish(_))
    }

    /// Whether another job is started after the close, at once or after a pause.
    pub(super) fn starts_again(&self) -> bool {
        matches!(self, Self::GoOn { .. } | Self::Pause { .. })
    }
}

/// Closes the job, if one runs, and waits until one may be started.
pub(super) fn darken<T>(state: JobState<T>) -> Transition<T> {
    match state {
        JobState::Finding
        | JobState::Selecting { .. }
        | JobState::Waiting { .. }
        | JobState::Ready { .. } => (JobState::Dark, Commands::new()),
        // This also closes a job that was started to take over.
        JobState::Starting { .. }
        | JobState::Live(_)
        | JobState::Closing { then: AfterClose::Switch { .. } } => {
            let then = AfterClose::Dark;
            (JobState::Closing { then }, one(Command::Close { for_good: false }))
        }
        JobState::Closing { then } if then.goes_on() => {
            (JobState::Closing { then: AfterClose::Dark }, Commands::new())
        }
        state @ (JobState::Closing { .. } | JobState::Dark | JobState::Ended) => {
            (state, Commands::new())
        }
    }
}

/// Searches for candidates.
pub(super) fn find<T>() -> Transition<T> {
    (JobState::Finding, one(Command::Find))
}

pub(super) fn finish<T>(outcome: Outcome) -> Transition<T> {
    (JobState::Ended, one(Command::Finish(outcome)))
}

pub(super) fn close<T>(outcome: Outcome) -> Transition<T> {
    let then = AfterClose::Finish(outcome);
    (JobState::Closing { then }, one(Command::Close { for_good: true }))
}

pub(super) fn one<T>(command: Command<T>) -> Commands<T> {
    let mut commands = Commands::new();
    // Cannot fail: the list is empty.
    let _ = commands.push(command);
    commands
}
