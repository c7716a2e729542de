//! Why a job does not start, and why it is lost.
//!
//! Does not: decide what comes next; `Machine` does, by [`JobError::fault`].

use std::fmt;
use std::time::Duration;

use crate::fault::{Failure, Fault, chain};
use crate::http::Url;
use crate::job::runner::RunnerError;
use crate::session::SessionError;

/// Why a job does not start.
#[derive(Debug)]
pub enum JobError {
    /// There is no session, or the call brought no answer.
    Session(SessionError),
    /// The orchestrator has no capacity for the model (503).
    NoCapacity(Url, String),
    /// The orchestrator wants a payment, or refused the one it got (402, 403, 400 with payment words).
    Payment(Url, u16, String),
    /// The orchestrator answered with another status.
    Refused(Url, u16, String),
    /// A runner or a scope does not do it.
    Runner(Box<RunnerError>),
    /// The answer makes no job.
    Nonsense(Url, String),
}

impl JobError {
    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Session(error) => error.fault(),
            Self::Runner(error) => error.fault(),
            Self::NoCapacity(..) | Self::Payment(..) | Self::Refused(..) | Self::Nonsense(..) => {
                Fault::NextPeer
            }
        }
    }
}

impl JobError {
    /// All that decides what comes next.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Session(error) => error.failure(),
            Self::Runner(error) => error.failure(),
            Self::NoCapacity(..) | Self::Payment(..) | Self::Refused(..) | Self::Nonsense(..) => {
                Failure::of_peer(chain(self), self.fault())
            }
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
            Self::Runner(error) => error.fmt(f),
            Self::NoCapacity(url, words) => {
                write!(f, "{url}: orchestrator has no capacity for this model (503): {words}")
            }
            Self::Payment(url, status, words) => {
                write!(f, "{url}: orchestrator refused the payment ({status}): {words}")
            }
            Self::Refused(url, status, words) => {
                write!(f, "{url}: orchestrator refused the job ({status}): {words}")
            }
            Self::Nonsense(url, reason) => {
                write!(f, "{url}: orchestrator's answer to the job is unusable: {reason}")
            }
        }
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Session(error) => error.source(),
            Self::Runner(error) => error.source(),
            Self::NoCapacity(..) | Self::Payment(..) | Self::Refused(..) | Self::Nonsense(..) => {
                None
            }
        }
    }
}

/// Why a job that was live is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// A channel ended; which one, and how.
    Channel(&'static str, String),
    /// Video went in, and for this long none came out.
    NoOutput(Duration),
    /// For this long no event came.
    NoEvent(Duration),
    /// A part of the agent itself broke.
    Part(&'static str, String),
    /// The orchestrator is not to be paid any more, or cannot be; why.
    Payment(String),
    /// The orchestrator closed a job that was not paid; how it closed, and why it was not.
    Unpaid(String, String),
    /// The session is over at the orchestrator, as it says.
    SessionOver(String),
}

impl Loss {
    /// Whether this loss alone asks for another orchestrator or session, also where losses end the agent.
    pub fn asks_for_another(&self) -> bool {
        match self {
            Self::Payment(_) | Self::SessionOver(_) => true,
            Self::Channel(..)
            | Self::NoOutput(_)
            | Self::NoEvent(_)
            | Self::Part(..)
            | Self::Unpaid(..) => false,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(name, how) => write!(f, "the {name} channel ended: {how}"),
            Self::NoOutput(time) => {
                write!(f, "no processed video for {} s while video was sent", time.as_secs())
            }
            Self::NoEvent(time) => write!(f, "no event for {} s", time.as_secs()),
            Self::Part(name, how) => write!(f, "{name} broke: {how}"),
            Self::Payment(why) => write!(f, "left for its payment: {why}"),
            Self::Unpaid(how, why) => {
                write!(f, "the orchestrator closed the unpaid job ({how}); not paid because {why}")
            }
            Self::SessionOver(why) => write!(f, "the session is over: {why}"),
        }
    }
}
