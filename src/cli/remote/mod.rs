//! The commands that ask a running agent: `status`, `snapshot`, `params`, `job`, `budget`.
//!
//! Where the agent's API is:
//!
//! 1. the address of `api.listen`, if the configuration has one;
//! 2. else the address in the file that the running agent wrote: in the state directory, or in the directories of the
//!    service whose configuration `--config` names;
//! 3. else `http://127.0.0.1:8787`, the first one that an agent takes.
//!
//! Does not: start an agent, or change its configuration.

mod budget;
mod http;
mod job;
mod params;
mod running;
mod screen;
mod snapshot;
mod status;

use budget::budget;
use job::job;
use params::params;
pub(super) use running::{RunningAgent, running};
use snapshot::snapshot;
use status::status;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Error, Question, Settings};
use crate::api::{KeptAddress, Listen, kept_address};
use crate::config::Config;
use http::{Answer, Place, Request};
use resilience::secret::Secret;
use resilience::secret::io::{SecretError, read};

/// The address that an agent takes first.
const FIRST: &str = "http://127.0.0.1:8787";
/// The service whose configuration has the same name. The names of the other services begin with this one.
const SERVICE: &str = "livepeer-edge";
/// Where systemd keeps the directories of services.
const SERVICE_DIRECTORIES: [&str; 2] = ["/run", "/var/lib"];

/// Why a running agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The configuration has no API.
    #[error("api.listen is \"off\" in this configuration: the agent cannot be asked")]
    Off,
    /// Nothing listens at the address.
    #[error(
        "no agent answers at {0}: is it running? `systemctl status livepeer-edge` shows it; name its configuration with --config"
    )]
    NoAgent(String),
    /// The file with the address belongs to somebody else.
    #[error("{}: not allowed to read where the agent is: run this command as root", .0.display())]
    Denied(PathBuf),
    /// The connection failed before the end of the answer.
    #[error("the agent at {0} does not answer")]
    Broken(String, #[source] io::Error),
    /// The answer is not one of this program.
    #[error("{0} is not livepeer-edge: its answer is not understood; set api.listen or --config")]
    Foreign(String),
    /// The agent refused the request.
    #[error("the agent refuses: {message}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The agent's words.
        message: String,
    },
    /// The token cannot be read.
    #[error("api.token")]
    Token(#[source] SecretError),
    /// The parameters are not a JSON object.
    #[error("the parameters are not a JSON object, such as '{{\"prompt\": \"a forest\"}}'")]
    NotAnObject,
    /// The picture cannot be written.
    #[error("{}: the picture cannot be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// Something forbids the job that was asked for.
    #[error("the job is not started: {0}")]
    NotStarted(String),
    /// The model refused the parameters.
    #[error("the model refuses the parameters: {0}")]
    ParamsRefused(String),
}

impl RemoteError {
    /// Whether the command line or the configuration is at fault.
    pub(super) fn is_usage(&self) -> bool {
        matches!(self, Self::Off | Self::NotAnObject)
    }
}

/// Asks the running agent of this configuration, and prints its answer.
pub fn ask(config: &Config, settings: &Settings, question: &Question) -> Result<(), Error> {
    let asked = match question {
        Question::Status { watch, json } => status(config, settings, *watch, *json),
        Question::Snapshot { path, stream } => snapshot(config, settings, path, stream),
        Question::Job(wish) => job(config, settings, *wish),
        Question::Params { params: new, replace } => {
            params(config, settings, new.as_deref(), *replace)
        }
        Question::Budget { add } => budget(config, settings, add.as_deref()),
    };
    asked.map_err(Error::Remote)
}

/// A running agent.
struct Agent {
    place: Place,
    token: Option<Secret>,
}

impl Agent {
    /// Finds the agent of this configuration.
    fn find(config: &Config, settings: &Settings) -> Result<Self, RemoteError> {
        Self::at(&address(config, settings.file.as_deref())?.address, config)
    }

    /// The agent at this address.
    fn at(address: &str, config: &Config) -> Result<Self, RemoteError> {
        let foreign = || RemoteError::Foreign(address.to_owned());
        let place = Place::parse(address).ok_or_else(foreign)?;
        let token = config.api.token.as_ref().map(read).transpose().map_err(RemoteError::Token)?;
        Ok(Self { place, token })
    }

    fn ask(&self, request: Request<'_>, limit: Duration) -> Result<Answer, RemoteError> {
        let answer = http::ask(&self.place, self.token.as_ref(), request, limit)?;
        if answer.status < 400 {
            return Ok(answer);
        }
        let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        match body.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => {
                Err(RemoteError::Refused { status: answer.status, message: message.to_owned() })
            }
            None => Err(RemoteError::Foreign(self.place.to_string())),
        }
    }

    fn json(&self, request: Request<'_>, limit: Duration) -> Result<Value, RemoteError> {
        let answer = self.ask(request, limit)?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| RemoteError::Foreign(self.place.to_string()))
    }
}

/// Where an agent of a configuration should be.
struct Found {
    address: String,
    /// How the address was found.
    how: How,
    process: Option<u32>,
}

/// How the address of an agent was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// An agent of this configuration wrote it.
    Kept,
    /// The configuration names it.
    Configured,
    /// It is the usual one.
    Guessed,
}

fn address(config: &Config, file: Option<&Path>) -> Result<Found, RemoteError> {
    let kept = match kept(config, file) {
        Ok(Some(KeptAddress { address, process })) => {
            Ok(Found { address, how: How::Kept, process })
        }
        Ok(None) => Ok(Found { address: FIRST.to_owned(), how: How::Guessed, process: None }),
        Err(path) => Err(RemoteError::Denied(path)),
    };
    let configured = match &config.api.listen {
        Listen::Off => return Err(RemoteError::Off),
        Listen::Address(address) if address.port() != 0 => format!("http://{address}"),
        Listen::Socket(path) => format!("unix:{}", path.display()),
        Listen::Address(_) | Listen::FreePort => return kept,
    };
    match kept {
        Ok(kept) if kept.address == configured => Ok(kept),
        Ok(_) | Err(_) => Ok(Found { address: configured, how: How::Configured, process: None }),
    }
}

/// The address that the agent of this configuration wrote. The error is the path of a file that may not be read.
fn kept(config: &Config, file: Option<&Path>) -> Result<Option<KeptAddress>, PathBuf> {
    let own = config.state_directory.clone();
    let of_service = SERVICE_DIRECTORIES.map(|directory| Path::new(directory).join(service(file)));
    let mut denied = None;
    for directory in own.into_iter().chain(of_service) {
        match kept_address(&directory) {
            Ok(Some(address)) => return Ok(Some(address)),
            Ok(None) => {}
            Err(path) => denied = denied.or(Some(path)),
        }
    }
    denied.map_or(Ok(None), Err)
}

/// The state directory of the service that has this configuration.
pub(super) fn state_of_service(file: Option<&Path>) -> PathBuf {
    let [_, state] = SERVICE_DIRECTORIES;
    Path::new(state).join(service(file))
}

/// The name of the service that has this configuration.
fn service(file: Option<&Path>) -> String {
    match file.and_then(Path::file_stem).and_then(|stem| stem.to_str()) {
        Some(stem) if stem != SERVICE => format!("{SERVICE}-{stem}"),
        Some(_) | None => SERVICE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_its_service() {
        assert_eq!(service(None), "livepeer-edge");
        assert_eq!(
            service(Some(Path::new("/etc/livepeer-edge/livepeer-edge.toml"))),
            "livepeer-edge"
        );
        assert_eq!(
            service(Some(Path::new("/etc/livepeer-edge/front.toml"))),
            "livepeer-edge-front"
        );
    }
}
