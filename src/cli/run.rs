//! `run`: the job of a configuration, until a signal.
//!
//! SIGHUP reads the configuration and the credentials again: changed `job.params` go to the running job, and
//! a changed credential pays from then on. A configuration that is broken by then is reported, and the one
//! before it stays.
//!
//! Does not: decide what a loss leads to; `job::Machine` does.

use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::output::Outlet;
use super::reach::Reach;
use super::{Error, Settings};
use crate::agent::{Agent, Finding, Options, Work};
use crate::config::{Config, Purpose, io::load};
use crate::fault::chain;
use crate::session::selection::Rules;
use crate::session::{Network, Payments};
use crate::status::Status;
use crate::stop::Stop;

/// Runs until `stop`, the end of the input, or until something fails. `settings` are where `config` came
/// from.
pub async fn run(config: Config, settings: Settings, stop: Stop) -> Result<(), Error> {
    let reach = Reach::new(&config).map_err(Error::Reach)?;
    let (payments, finding) = (reach.payments.clone(), reach.finding(&config));
    let state = config.state_directory.as_deref();
    let network = Network::new(config.trust.clone(), state, payments.clone());
    let outlet = Outlet::open(&config.output)?;
    let (tell, params) = watch::channel(config.job.params.clone());
    let options = options(config, finding);
    let agent = Agent::new(options, network, Status::default(), outlet.sinks());
    let ended = tokio::select! {
        ended = agent.with_params(params).run(stop) => ended.map_err(Error::Agent),
        error = reload(&settings, payments.as_ref(), &tell) => Err(error),
    };
    let closed = outlet.close().await;
    ended.and(closed)
}

/// What the agent is to do.
fn options(config: Config, finding: Finding) -> Options {
    let is_paid = !finding.endpoints.signers.is_empty();
    let work = match config.runner {
        Some(runner) => {
            Work::Runner { options: runner.options, api: runner.api, params: config.job.params }
        }
        None => Work::LiveVideo(config.job),
    };
    let rules = Rules {
        max_price: config.access.max_price,
        // A runner may cost nothing; an orchestrator that is to be paid has to say what.
        needs_price: is_paid && matches!(work, Work::LiveVideo(_)),
    };
    Options { media: config.media, work, finding, rules, recovery: config.recovery }
}

/// Reads everything again at each SIGHUP.
async fn reload(
    settings: &Settings,
    payments: Option<&Payments>,
    params: &watch::Sender<Map<String, Value>>,
) -> Error {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return Error::Start(error),
    };
    while hangup.recv().await.is_some() {
        match load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run) {
            Ok(new) => {
                let changed = params.send_if_modified(|old| {
                    let changed = *old != new.job.params;
                    *old = new.job.params;
                    changed
                });
                if !changed {
                    log::info!("SIGHUP: job.params are the same as before");
                }
            }
            Err(error) => {
                log::warn!("SIGHUP: the configuration before it stays: {}", chain(&error))
            }
        }
        match payments.map(|payments| payments.signers.reread()) {
            Some(Ok(false)) => log::info!("SIGHUP: the signer's credential is the same as before"),
            Some(Err(error)) => log::warn!("SIGHUP: the old one stays: {}", chain(&error)),
            Some(Ok(true)) | None => {}
        }
    }
    std::future::pending().await
}
