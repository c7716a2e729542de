//! Why an agent ended without a request to stop.
//!
//! Does not: decide when the agent ends; `job::Machine` does.

use std::fmt;

use livepeer_gateway::http::Url;
use livepeer_gateway::job::Loss;
use livepeer_gateway::session::selection::NoCandidateLeft;
use media::MediaError;

/// Why an agent ended without a request to stop.
#[derive(Debug)]
pub enum AgentError {
    /// Capture did not start, or failed.
    Capture(MediaError),
    /// No candidate was found; the reason in one line.
    FindFailed(String),
    /// No orchestrator took the job.
    NoCandidateLeft(NoCandidateLeft),
    /// The job was lost.
    Lost {
        /// The orchestrator or runner that ran the job.
        orchestrator: Option<Url>,
        /// The reason.
        loss: Loss,
    },
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(f),
            Self::FindFailed(reason) => write!(f, "no orchestrator found: {reason}"),
            Self::NoCandidateLeft(none) => none.fmt(f),
            Self::Lost { orchestrator: Some(url), loss } => {
                write!(f, "{url}: the job was lost: {loss}")
            }
            Self::Lost { orchestrator: None, loss } => write!(f, "the job was lost: {loss}"),
        }
    }
}

impl std::error::Error for AgentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Capture(error) => error.source(),
            Self::FindFailed(_) | Self::NoCandidateLeft(_) | Self::Lost { .. } => None,
        }
    }
}
