//! `run`: the job of a configuration, until a signal.
//!
//! SIGHUP reads the configuration and the credentials again: changed `job.params` go to the running job, and
//! a changed credential pays from then on. A configuration that is broken by then is reported, and the one
//! before it stays.
//!
//! Does not: come back from every loss; what `job::Machine` cannot go on with is the end, with its reason.

use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::access::{access, options};
use super::output::Outlet;
use super::{Error, Settings};
use crate::agent::Agent;
use crate::config::{Config, Purpose, io::load};
use crate::fault::chain;
use crate::job::Recovery;
use crate::session::Payments;
use crate::status::Status;
use crate::stop::Stop;

/// Runs until `stop`, the end of the input, or until something fails. `settings` are where `config` came
/// from.
pub async fn run(config: Config, settings: Settings, stop: Stop) -> Result<(), Error> {
    let reached = access(&config)?;
    let outlet = Outlet::open(&config.output)?;
    let (tell, params) = watch::channel(config.job.params.clone());
    let payments = reached.network.payments.clone();
    let options = options(config, reached.finding, Recovery::Exit);
    let agent = Agent::new(options, reached.network, Status::default(), outlet.sinks());
    let ended = tokio::select! {
        ended = agent.with_params(params).run(stop) => ended.map_err(Error::Agent),
        error = reload(&settings, payments.as_ref(), &tell) => Err(error),
    };
    let closed = outlet.close().await;
    ended.and(closed)
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
