//! The server of the API: listens, and answers each request on the agent's own thread.
//!
//! An address that is taken, or a token that cannot be read, never stops the agent: the agent logs it once, runs
//! without the API, and tries again with a growing pause.
//!
//! Does not: decide who may ask, or which paths there are; [`Gate`](super::gate::Gate) and
//! [`Route`](super::route::Route) do.

mod answers;
mod body;
mod connection;
mod events;
mod listener;
mod live;
mod pictures;
mod place;
mod steer;

use std::convert::Infallible;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::gate::Gate;
use super::limits::{ACCEPT_PAUSE, CONNECTIONS, LISTEN_PAUSE, LISTEN_PAUSE_LIMIT, TOKEN_BYTES};
use super::{Listen, Options, Times};
use crate::agent::{Control, Outputs};
use crate::events::Bus;
use crate::status::Status;
use answers::SharedParts;
use connection::{converse, turn_away};
use listener::Listener;
use livepeer_gateway::budget::io::Purse;
use media::io::AccessUnits;
pub use pictures::Pictures;
use place::AddressFile;
pub(crate) use place::{KeptAddress, kept_address};
use resilience::backoff::{Backoff, jitter};
use resilience::fault::chain;
use resilience::log_throttle::ThrottledLog;
use resilience::secret::Secret;
use resilience::secret::io::{SecretError, read};
use resilience::wait::with_options;

/// What the API shows of the agent.
#[derive(Clone)]
pub struct Sources {
    /// The agent's state.
    pub status: Status,
    /// The video that the camera gives.
    pub units: AccessUnits,
    /// The video that the model gives back.
    pub outputs: Outputs,
    /// Steers the agent.
    pub control: Control,
    /// Where payments and traffic are counted, with their budgets.
    pub purses: [Purse; 2],
    /// The agent's events.
    pub events: Bus,
    /// Where the file with the API's address is written, besides `$RUNTIME_DIRECTORY`.
    pub state_directory: Option<PathBuf>,
}

/// The API of one agent. Call [`Api::run`] beside the agent.
pub struct Api {
    options: watch::Receiver<Options>,
    sources: Sources,
    times: Times,
}

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The address cannot be listened on.
    #[error("api.listen: {0} cannot be listened on")]
    Address(Listen, #[source] std::io::Error),
    /// The token cannot be read.
    #[error("api.token")]
    Token(#[source] SecretError),
    /// The token is too short.
    #[error("api.token: the token has less than {TOKEN_BYTES} bytes: make a longer one")]
    ShortToken,
}

impl Api {
    /// An API with the options in `options`, which follows their changes.
    pub fn new(options: watch::Receiver<Options>, sources: Sources) -> Self {
        Self { options, sources, times: Times::default() }
    }

    /// The same API with other time limits, for tests.
    #[must_use]
    pub fn with_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// Serves until the future is dropped.
    pub async fn run(self) -> Infallible {
        let (sources, times) = (&self.sources, self.times);
        with_options(self.options, |options| serve(options, sources, times)).await
    }
}

/// Tries to listen until that succeeds, then serves.
async fn serve(options: Options, sources: &Sources, times: Times) -> Infallible {
    if options.listen == Listen::Off {
        return pending().await;
    }
    let mut backoff = Backoff::new(LISTEN_PAUSE, LISTEN_PAUSE_LIMIT);
    let mut failing =
        ThrottledLog::new(module_path!(), "the API listens again").without_reminders();
    let (listener, gate) = loop {
        match open(&options).await {
            Ok(opened) => break opened,
            Err(error) => {
                let what = format!("{}; the agent runs without the API meanwhile", chain(&error));
                failing.on_failure(&what, Instant::now());
                tokio::time::sleep(backoff.on_failure(jitter())).await;
            }
        }
    };
    failing.on_success(Instant::now());
    let address = listener.address();
    let _announced = Announced::new(sources, &address);
    log::info!("API: {address}");
    let shared = Arc::new(SharedParts::new(gate, sources, times));
    accept(listener, &shared).await
}

/// Publishes the API's address in the status and in a file. Dropping this value removes the address from both.
struct Announced<'a> {
    status: &'a Status,
    _file: Option<AddressFile>,
}

impl<'a> Announced<'a> {
    fn new(sources: &'a Sources, address: &str) -> Self {
        let file = AddressFile::write(sources.state_directory.as_deref(), address);
        sources.status.api.set(Some(&format!("API: {address}")));
        Self { status: &sources.status, _file: file }
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.status.api.set(None);
    }
}

async fn open(options: &Options) -> Result<(Listener, Gate), ListenError> {
    let token = match &options.token {
        Some(source) => Some(token(read(source).map_err(ListenError::Token)?)?),
        None => None,
    };
    let listener = Listener::open(&options.listen).await;
    let listener = listener.map_err(|error| ListenError::Address(options.listen.clone(), error))?;
    Ok((listener, Gate::new(place::host_name().as_deref(), token)))
}

/// Listens as the options want it, for a moment; returns the address. An address that the running agent has cannot be
/// listened on.
pub(crate) async fn try_to_listen(options: &Options) -> Result<String, ListenError> {
    open(options).await.map(|(listener, _)| listener.address())
}

fn token(token: Secret) -> Result<Secret, ListenError> {
    match token.expose().len() >= TOKEN_BYTES {
        true => Ok(token),
        false => Err(ListenError::ShortToken),
    }
}

/// Accepts connections. Each connection has a task; dropping this future ends all tasks.
async fn accept(listener: Listener, shared: &Arc<SharedParts>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(socket) if connections.len() < CONNECTIONS => {
                connections.spawn(converse(socket, Arc::clone(shared)));
            }
            Ok(socket) => turn_away(&socket),
            Err(error) => {
                log::debug!("API: a connection cannot be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
