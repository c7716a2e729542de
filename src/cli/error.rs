//! Why a command ended, and with which exit code.
//!
//! Does not: say it; `main` prints an error with its causes, once.

use std::fmt;
use std::io;

use super::call::CallError;
use super::output::OutputError;
use super::parse::UsageError;
use super::reach::ReachError;
use super::setup::SetupError;
use super::trust::TrustError;
use crate::agent::AgentError;
use crate::config;
use livepeer_gateway::orchestrator::io::FindError;
use media::MediaError;
#[cfg(feature = "sandbox")]
use sandbox::StartError;

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong.
    Usage(UsageError),
    /// The configuration is wrong or can't be read.
    Config(config::Error),
    /// The system has no runtime for us, or no signals.
    Start(io::Error),
    /// A signal came before there was an answer.
    Interrupted,
    /// A second signal came before the end of a graceful stop.
    StoppedAtOnce,
    /// The agent ended without having been asked to.
    Agent(AgentError),
    /// The network cannot be reached as configured.
    Reach(ReachError),
    /// No list of orchestrators was found.
    Discover(FindError),
    /// A call has no whole answer.
    Call(CallError),
    /// No pin was shown or forgotten.
    Trust(TrustError),
    /// This machine's devices cannot be looked for.
    Devices(MediaError),
    /// No first configuration was written.
    Setup(SetupError),
    /// The returned video cannot be written.
    Output(OutputError),
    /// The sandbox does not start.
    #[cfg(feature = "sandbox")]
    Sandbox(StartError),
    /// A demo lost or violated something.
    #[cfg(feature = "sandbox")]
    Demo(String),
}

impl Error {
    /// 2 for wrong usage and configuration, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => 2,
            Self::Output(error) if error.is_usage() => 2,
            Self::Setup(SetupError::Exists(_) | SetupError::Left) => 2,
            // Nothing was tried: what was said makes no call.
            Self::Call(CallError::NoApp | CallError::Type(_) | CallError::Path(_)) => 2,
            Self::Start(_)
            | Self::Reach(_)
            | Self::Discover(_)
            | Self::Call(_)
            | Self::Trust(_)
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => fmt::Display::fmt(error, f),
            Self::Config(error) => fmt::Display::fmt(error, f),
            Self::Start(_) => f.write_str("cannot start"),
            Self::Interrupted => f.write_str("interrupted before the end of the answer"),
            Self::StoppedAtOnce => f.write_str("stopped at once by a second signal"),
            Self::Reach(error) => fmt::Display::fmt(error, f),
            Self::Discover(error) => fmt::Display::fmt(error, f),
            Self::Call(error) => fmt::Display::fmt(error, f),
            Self::Trust(error) => fmt::Display::fmt(error, f),
            Self::Agent(error) => fmt::Display::fmt(error, f),
            Self::Output(error) => fmt::Display::fmt(error, f),
            Self::Devices(error) => fmt::Display::fmt(error, f),
            Self::Setup(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "sandbox")]
            Self::Sandbox(error) => fmt::Display::fmt(error, f),
            #[cfg(feature = "sandbox")]
            Self::Demo(faults) => write!(f, "demo: {faults}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // These two speak for themselves; their causes are ours.
            Self::Usage(error) => error.source(),
            Self::Config(error) => error.source(),
            Self::Start(error) => Some(error),
            Self::Reach(error) => error.source(),
            Self::Discover(error) => error.source(),
            Self::Call(error) => error.source(),
            Self::Trust(error) => error.source(),
            Self::Agent(error) => error.source(),
            Self::Devices(error) => error.source(),
            Self::Setup(error) => error.source(),
            Self::Output(_) | Self::Interrupted | Self::StoppedAtOnce => None,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(error) => error.source(),
            #[cfg(feature = "sandbox")]
            Self::Demo(_) => None,
        }
    }
}

impl From<UsageError> for Error {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<config::Error> for Error {
    fn from(error: config::Error) -> Self {
        Self::Config(error)
    }
}
