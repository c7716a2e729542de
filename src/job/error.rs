//! Why a job does not start, why it is lost, and why no orchestrator is left.
//!
//! Does not: decide what comes next; `Machine` does, by [`JobError::fault`].

use std::fmt;
use std::time::Duration;

use crate::fault::Fault;
use crate::http::Url;
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
    /// The answer makes no job.
    Nonsense(Url, String),
}

impl JobError {
    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Session(error) => error.fault(),
            Self::NoCapacity(..) | Self::Payment(..) | Self::Refused(..) | Self::Nonsense(..) => {
                Fault::NextPeer
            }
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
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
        }
    }
}

/// A candidate and why it was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The orchestrator.
    pub url: Url,
    /// The reason, in one line that names it.
    pub reason: String,
}

/// No orchestrator is left; each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoneLeft(pub Vec<Rejection>);

impl fmt::Display for NoneLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("no orchestrator is known; name one in `orchestrator.urls`"),
            [only] => f.write_str(&only.reason),
            all => {
                write!(f, "none of {} orchestrators took the job", all.len())?;
                all.iter().try_for_each(|r| write!(f, "; {}", r.reason))
            }
        }
    }
}

impl std::error::Error for NoneLeft {}
