//! Why a command ended, and with which exit code.
//!
//! Does not: say it; `main` prints an error with its causes, once.

use std::fmt;
use std::io;

use super::parse::UsageError;
use super::setup::SetupError;
use crate::agent::AgentError;
use crate::config;
use crate::http::io::CaFileError;
use crate::media::MediaError;
use crate::orchestrator::TokenError;
use crate::payment::PaymentError;
#[cfg(feature = "sandbox")]
use crate::sandbox::StartError;
use crate::secret::io::SecretError;

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong.
    Usage(UsageError),
    /// The configuration is wrong or can't be read.
    Config(config::Error),
    /// The system has no runtime for us, or no signals.
    Start(io::Error),
    /// A second signal came before the end of a graceful stop.
    StoppedAtOnce,
    /// The agent ended without having been asked to.
    Agent(AgentError),
    /// No first configuration was written.
    Setup(SetupError),
    /// A credential cannot be read.
    Secret(SecretError),
    /// The access token makes no sense.
    Token(TokenError),
    /// Nothing can be paid.
    Payment(PaymentError),
    /// The authorities for services cannot be read.
    CaFile(CaFileError),
    /// The returned video cannot be written.
    Output(MediaError),
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
            Self::Start(_)
            | Self::StoppedAtOnce
            | Self::Agent(_)
            | Self::Secret(_)
            | Self::Token(_)
            | Self::Payment(_)
            | Self::CaFile(_)
            | Self::Output(_)
            | Self::Setup(_) => 1,
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
            Self::StoppedAtOnce => f.write_str("stopped at once by a second signal"),
            Self::Agent(error) => fmt::Display::fmt(error, f),
            Self::Secret(error) => fmt::Display::fmt(error, f),
            Self::Token(error) => fmt::Display::fmt(error, f),
            Self::Payment(error) => fmt::Display::fmt(error, f),
            Self::CaFile(error) => fmt::Display::fmt(error, f),
            Self::Output(error) => fmt::Display::fmt(error, f),
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
            Self::Agent(error) => error.source(),
            Self::Secret(error) => error.source(),
            Self::Token(error) => error.source(),
            Self::Payment(error) => error.source(),
            Self::CaFile(error) => error.source(),
            Self::Output(error) => error.source(),
            Self::Setup(error) => error.source(),
            Self::StoppedAtOnce => None,
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
