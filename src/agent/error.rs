//! Why an agent ended without a request to stop.
//!
//! Does not: decide when the agent ends; `job::Machine` does.

use livepeer_gateway::http::Url;
use livepeer_gateway::job::Loss;
use livepeer_gateway::session::selection::NoCandidateLeft;
use media::MediaError;

/// Why an agent ended without a request to stop.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Capture did not start, or failed.
    #[error(transparent)]
    Capture(MediaError),
    /// No candidate was found; the reason in one line.
    #[error("no orchestrator found: {0}")]
    FindFailed(String),
    /// No orchestrator took the job.
    #[error("{0}")]
    NoCandidateLeft(NoCandidateLeft),
    /// The job was lost.
    #[error("{}the job was lost: {loss}", .orchestrator.as_ref().map(|url| format!("{url}: ")).unwrap_or_default())]
    Lost {
        /// The orchestrator or runner that ran the job.
        orchestrator: Option<Url>,
        /// The reason.
        loss: Loss,
    },
}
