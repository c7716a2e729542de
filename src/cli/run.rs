//! `run`: the job of a configuration, until a signal.
//!
//! SIGHUP reads the configuration and the credentials again, and restarts only what is configured in another way:
//!
//! | changed | then |
//! |---|---|
//! | `job.params` | they are sent to the job |
//! | source, video, encoder, audio | the camera is opened again; the job goes on |
//! | output, log level, what a loss leads to | set at once |
//! | anything about the job and where it runs | the job is closed, and the next one found; the camera goes on |
//! | a credential | it pays from then on |
//!
//! Signers that are set up as before keep their pauses, so a reload does not ask them sooner.
//!
//! A configuration that is broken by then is reported, and the one before it stays.
//!
//! Does not: decide what a loss leads to; `job::Machine` does.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::output::Outlet;
use super::reach::Reach;
use super::{Error, Settings};
use crate::agent::{Agent, Change, Options, Place, Work};
use crate::config::{Config, Purpose, io::load};
use crate::fault::chain;
use crate::job::JobOptions;
use crate::payment::io::Signers;
use crate::session::selection::Rules;
use crate::session::{Network, Payments};
use crate::status::Status;
use crate::stop::Stop;

/// Runs until `stop`, the end of the input, or until something fails. `settings` are where `config` came
/// from.
pub async fn run(config: Config, settings: Settings, stop: Stop) -> Result<(), Error> {
    let (place, payments) = place(&config, None)?;
    let outlet = Outlet::open(&config.output)?;
    let (tell, changes) = mpsc::channel(1);
    let Place { work, finding, rules, network } = place;
    let (media, recovery) = (config.media.clone(), config.recovery);
    let options = Options { media, work, finding, rules, recovery };
    let agent = Agent::new(options, network, Status::default(), outlet.sinks());
    let mut reloading = Reloading { config, settings, payments, outlet, tell };
    let ended = tokio::select! {
        ended = agent.with_changes(changes).run(stop) => ended.map_err(Error::Agent),
        error = reloading.run() => Err(error),
    };
    let closed = reloading.outlet.close().await;
    ended.and(closed)
}

/// What to run and where, with who pays for it: these `signers`, if they are set up in the same way.
fn place(
    config: &Config,
    signers: Option<Arc<Signers>>,
) -> Result<(Place, Option<Payments>), Error> {
    let reach = Reach::keeping(config, signers).map_err(Error::Reach)?;
    let payments = reach.payments.clone();
    let state = config.state_directory.as_deref();
    let orchestrators = &reach.endpoints.orchestrators;
    let network =
        Network::with_orchestrators(config.trust.clone(), state, payments.clone(), orchestrators);
    let params = config.job.params.clone();
    let work = match config.runner.clone() {
        Some(runner) => Work::Runner { options: runner.options, api: runner.api, params },
        None => Work::LiveVideo(config.job.clone()),
    };
    let rules = Rules {
        max_price: config.access.max_price,
        // A runner may cost nothing; an orchestrator that is to be paid has to say what.
        needs_price: payments.is_some() && matches!(work, Work::LiveVideo(_)),
    };
    Ok((Place { work, finding: reach.finding(config), rules, network }, payments))
}

/// Reads everything again at each SIGHUP.
struct Reloading {
    /// What runs.
    config: Config,
    settings: Settings,
    payments: Option<Payments>,
    outlet: Outlet,
    tell: mpsc::Sender<Change>,
}

impl Reloading {
    async fn run(&mut self) -> Error {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return Error::Start(error),
        };
        while hangup.recv().await.is_some() {
            let settings = &self.settings;
            match load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run) {
                Ok(new) if new == self.config => {
                    log::info!("SIGHUP: the configuration is the same as before");
                }
                Ok(new) => self.change_to(new).await,
                Err(error) => stays(&error),
            }
            match self.payments.as_ref().map(|payments| payments.signers.reread()) {
                Some(Ok(false)) => {
                    log::info!("SIGHUP: the signer's credential is the same as before");
                }
                Some(Err(error)) => log::warn!("SIGHUP: the old one stays: {}", chain(&error)),
                Some(Ok(true)) | None => {}
            }
        }
        std::future::pending().await
    }

    /// Changes what differs. What is not possible changes nothing at all.
    async fn change_to(&mut self, new: Config) {
        let is_trusted_alike = self.config.access.services == new.access.services;
        let payments = self.payments.as_ref().filter(|_| is_trusted_alike);
        let signers = payments.map(|payments| Arc::clone(&payments.signers));
        let has_moved = place_of(&self.config) != place_of(&new);
        let place = has_moved.then(|| place(&new, signers)).transpose();
        let has_other_output = self.config.output != new.output;
        let outlet = has_other_output.then(|| Outlet::open(&new.output)).transpose();
        let (place, outlet) = match (place, outlet) {
            (Ok(place), Ok(outlet)) => (place, outlet),
            (Err(error), _) | (_, Err(error)) => return stays(&error),
        };
        let old = std::mem::replace(&mut self.config, new.clone());
        log::set_max_level(new.log);
        if let Some(outlet) = outlet {
            // The one before it is closed once the agent lets go of it.
            self.send(Change::Outputs(outlet.sinks())).await;
            self.outlet = outlet;
        }
        if old.recovery != new.recovery {
            self.send(Change::Recovery(new.recovery)).await;
        }
        if old.media != new.media {
            self.send(Change::Media(Box::new(new.media))).await;
        }
        if let Some((place, payments)) = place {
            self.payments = payments;
            self.send(Change::Place(Box::new(place))).await;
        } else if old.job.params != new.job.params {
            self.send(Change::Params(new.job.params)).await;
        }
    }

    async fn send(&self, change: Change) {
        log::info!("SIGHUP: {change:?} changed");
        // Without an agent, nobody needs it.
        let _ = self.tell.send(change).await;
    }
}

fn stays(error: &dyn std::error::Error) {
    log::warn!("SIGHUP: the configuration before it stays: {}", chain(error));
}

/// The part of a configuration that says what runs where; parameters are changed in a job that runs.
fn place_of(config: &Config) -> impl PartialEq {
    let job = JobOptions { params: serde_json::Map::new(), ..config.job.clone() };
    (
        (job, config.runner.clone(), config.orchestrators.clone()),
        (config.trust.clone(), config.access.clone(), config.state_directory.clone()),
    )
}
