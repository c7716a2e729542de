//! Why a command ended, and with which exit code.
//!
//! Does not: print the error; `main` prints an error with its causes, once.

use std::io;

use super::call::CallError;
use super::parse::UsageError;
use super::reach::ReachError;
use super::remote::RemoteError;
use super::setup::SetupError;
use super::spend::SpendError;
use super::trust::TrustError;
use crate::agent::AgentError;
use crate::config;
use crate::outputs::OutputError;
use livepeer_gateway::orchestrator::io::FindError;
use media::MediaError;
#[cfg(feature = "sandbox")]
use sandbox::StartError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The configuration is wrong or cannot be read.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The runtime or the signal handlers could not be set up.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// A signal came before the end of the answer.
    #[error("interrupted before the end of the answer")]
    Interrupted,
    /// A second signal came before the end of a graceful stop.
    #[error("stopped at once by a second signal")]
    StoppedAtOnce,
    /// The agent ended without a request to stop.
    #[error(transparent)]
    Agent(AgentError),
    /// The credentials or authorities of the configuration cannot be used.
    #[error(transparent)]
    Reach(ReachError),
    /// No list of orchestrators was found.
    #[error(transparent)]
    Discover(FindError),
    /// A call failed before the end of its answer.
    #[error(transparent)]
    Call(CallError),
    /// A running agent could not be asked.
    #[error(transparent)]
    Remote(RemoteError),
    /// The pins could not be shown or removed.
    #[error(transparent)]
    Trust(TrustError),
    /// The payments cannot be shown.
    #[error(transparent)]
    Spend(SpendError),
    /// This many checks failed.
    #[error("{0} of the checks failed; the report says what to do")]
    Checks(usize),
    /// This computer's devices cannot be listed.
    #[error(transparent)]
    Devices(MediaError),
    /// `setup` did not write a configuration.
    #[error(transparent)]
    Setup(SetupError),
    /// The returned video cannot be written.
    #[error(transparent)]
    Output(OutputError),
    /// The sandbox does not start.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Sandbox(StartError),
    /// The demo lost frames or violated the protocol.
    #[cfg(feature = "sandbox")]
    #[error("demo: {0}")]
    Demo(String),
}

impl Error {
    /// 2 for wrong usage and configuration, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Output(error) if error.is_usage() => 2,
            Self::Remote(error) if error.is_usage() => 2,
            Self::Setup(SetupError::Exists(_) | SetupError::Left) => 2,
            // The command line is wrong; nothing was sent.
            Self::Call(CallError::NoApp | CallError::Type(_) | CallError::Path(_)) => 2,
            Self::Start(_)
            | Self::Reach(_)
            | Self::Discover(_)
            | Self::Call(_)
            | Self::Remote(_)
            | Self::Trust(_)
            | Self::Spend(_)
            | Self::Checks(_)
            | Self::Interrupted
            | Self::StoppedAtOnce
            | Self::Agent(_)
            | Self::Output(_)
            | Self::Devices(_)
            | Self::Setup(SetupError::Write(..)) => 1,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(_) | Self::Demo(_) => 1,
        }
    }
}
