//! `call`: sends one request to a single-shot runner, and copies the answer to standard output as it arrives.
//!
//! Does not: interpret the answer, or try another runner after an answer has begun.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use super::Error;
use super::budgets::payments;
use super::reach::{Counted, Reach};
use crate::config::Config;
use livepeer_gateway::job::runner::{
    CallOptions, RunnerError, RunnerOptions, RunnerSelection, SingleShotCall, call_path,
    find_runners,
};
use livepeer_gateway::orchestrator::{DiscoveryQuery, RunnerMode};
use livepeer_gateway::session::selection::CandidateOrder;
use livepeer_gateway::session::{Network, NetworkOptions};
use resilience::fault::Fault;
use resilience::stop::Stop;

/// The largest file sent to a single-shot runner; it is sent twice where it has to be paid.
const CALL_BODY: u64 = 32 << 20;

/// Why a call failed before the end of its answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No app is configured.
    #[error("no app to call; use --app NAME")]
    NoApp,
    /// The request body cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The request body is longer than 32 MiB.
    #[error("{} is longer than {CALL_BODY} bytes", .0.display())]
    TooLong(PathBuf),
    /// The content type is malformed.
    #[error("--type: `{}` is not a media type; write one such as image/png", .0.escape_debug())]
    Type(String),
    /// The path is malformed.
    #[error("--path: `{}` is not a path; write one such as /v1/images", resilience::sanitize::message(.0))]
    Path(String),
    /// No runner answered, or the answer broke off.
    #[error(transparent)]
    Runner(RunnerError),
    /// The answer cannot be written.
    #[error("cannot write the answer")]
    Write(#[source] io::Error),
}

/// The arguments of a call.
#[derive(Debug)]
pub struct CallArguments {
    /// The file with the request body; `-` for standard input.
    pub data: PathBuf,
    /// The content type of the request body.
    pub content_type: String,
    /// The path below the runner's URL.
    pub path: Option<String>,
}

impl CallArguments {
    fn options(self) -> Result<CallOptions, CallError> {
        let Self { data, content_type, path } = self;
        let content_type = HeaderValue::try_from(content_type.as_str())
            .map_err(|_| CallError::Type(content_type))?;
        let path = path.map(|text| call_path(&text).map_err(|_| CallError::Path(text)));
        Ok(CallOptions { path: path.transpose()?, body: read(&data)?.into(), content_type })
    }
}

/// Calls the app of the configuration.
pub async fn run(config: Config, arguments: CallArguments, mut stop: Stop) -> Result<(), Error> {
    let failed = |error| Error::Call(error);
    let runner = config.runner.as_ref().ok_or(failed(CallError::NoApp))?;
    let options = arguments.options().map_err(failed)?;
    let purse = payments(&config);
    let counted = Counted::new(None, &purse, &config);
    let reach = Reach::keeping(&config, counted, &Arc::default()).map_err(Error::Reach)?;
    let policy = NetworkOptions {
        trust: config.trust.clone(),
        state: config.state_directory.as_deref(),
        configured: &reach.endpoints.orchestrators,
        clock: Arc::default(),
    };
    let network = Network::with_options(policy, reach.payments.clone());
    let called = async {
        let mut answer = call(&config, &reach, &network, &runner.options, options).await?;
        copy(&mut answer).await
    };
    let ended = tokio::select! {
        biased;
        () = stop.wait() => Err(Error::Interrupted),
        called = called => called.map_err(failed),
    };
    purse.close().await;
    ended
}

/// The answer of the first runner that gives one, in the order of preference.
async fn call(
    config: &Config,
    reach: &Reach,
    network: &Network,
    options: &RunnerOptions,
    call: CallOptions,
) -> Result<SingleShotCall, CallError> {
    let wanted = DiscoveryQuery { capabilities: Vec::new(), apps: vec![options.app.clone()] };
    let mut finder = reach.finder(config, wanted);
    let mut last = RunnerError::NoRunner(options.app.clone());
    while let Some(listed) = finder.next().await {
        let (order, mut list) = match listed {
            Ok(listed) => {
                (config.order.unwrap_or_else(|| CandidateOrder::usual(&listed.source)), listed.list)
            }
            Err(error) => {
                log::warn!("{}", resilience::fault::chain(&error));
                continue;
            }
        };
        let _ = find_runners(network, &mut list).await;
        let mut runners =
            RunnerSelection::new(&list, options, RunnerMode::SingleShot, order, Instant::now());
        loop {
            let runner = match runners.best() {
                Ok(runner) => runner,
                Err(error) => {
                    last = error;
                    break;
                }
            };
            log::info!("{}: calling app {}", runner.url.authority(), runner.app);
            match SingleShotCall::start(network, &runner, call.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.fault() == Fault::NextPeer => {
                    log::info!("{error}");
                    runners.on_failed(&runner, error.failure());
                }
                Err(error) => return Err(CallError::Runner(error)),
            }
        }
    }
    Err(CallError::Runner(last))
}

async fn copy(answer: &mut SingleShotCall) -> Result<(), CallError> {
    let mut stdout = io::stdout();
    while let Some(piece) = answer.next().await.map_err(CallError::Runner)? {
        match stdout.write_all(&piece).and_then(|()| stdout.flush()) {
            Ok(()) => {}
            // The reader of standard output has closed it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(CallError::Write(error)),
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, CallError> {
    let failed = |error| CallError::Read(path.to_owned(), error);
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().lock().take(CALL_BODY + 1).read_to_end(&mut bytes),
        false => {
            let file = File::open(path).map_err(failed)?;
            file.take(CALL_BODY + 1).read_to_end(&mut bytes)
        }
    };
    read.map_err(failed)?;
    if bytes.len() as u64 > CALL_BODY {
        return Err(CallError::TooLong(path.to_owned()));
    }
    Ok(bytes)
}
