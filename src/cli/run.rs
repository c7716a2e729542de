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
//! A configuration that is broken by then is reported in the log and, until it is mended, in the status; the one
//! before it stays. What has worked (`Proof`) is kept for a start of the service with one that is refused.
//!
//! Does not: decide what a loss leads to; `job::Machine` does.

use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::choose::{Chosen, notice, warn_of_removed};
use super::output::{self, Outlet};
use super::proof::Proof;
use super::reach::Reach;
use super::{Error, Settings};
use crate::agent::{Agent, Change, JobPlan, JobSpec, Options};
use crate::config::{Config, Kept, Purpose, Resolved, io::load};
use crate::service::is_service;
use crate::status::Status;
use livepeer_gateway::endings::io::Endings;
use livepeer_gateway::http::WallClock;
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::payment::io::Signers;
use livepeer_gateway::session::selection::{OfferRules, Pays};
use livepeer_gateway::session::{Network, NetworkOptions, PaymentSetup};
use media::MediaError;
use resilience::fault::chain;
use resilience::stop::Stop;

/// Runs until `stop`, the end of the input, or until something fails. `settings` say where the configuration at hand
/// is.
pub async fn run(chosen: Chosen, settings: Settings, stop: Stop) -> Result<(), Error> {
    let Chosen { resolved, notice, kept } = chosen;
    let config = &resolved.config;
    let clock = Arc::default();
    let (mut job, payments) = job_plan(config, None, &clock)?;
    // A device that nobody attends goes on without the output.
    let ends = |error: &MediaError| {
        config.recovery == Recovery::Exit || (is_unfit(error) && !is_service())
    };
    let outlet = Outlet::open(config, &settings, ends)?;
    let (tell, changes) = mpsc::channel(1);
    if let Some(state) = &config.state_directory {
        job.network.endings = Endings::open(job.network.client.clone(), state);
    }
    let (media, recovery) = (config.media.clone(), config.recovery);
    let options = Options { media, job, recovery };
    let status = Status::default();
    status.notice.set(notice.as_deref());
    let agent = Agent::new(options, status.clone(), outlet.sinks());
    // What runs in the place of a configuration that is refused is kept already.
    let proof = if notice.is_none() { Proof::AtOnce } else { Proof::Given };
    let running = Running { resolved, proof, kept };
    let mut reloading = Reloading { running, settings, payments, clock, outlet, tell, status };
    let ended = tokio::select! {
        ended = agent.with_changes(changes).run(stop) => ended.map_err(Error::Agent),
        error = reloading.run() => Err(error),
    };
    let closed = reloading.outlet.close().await;
    ended.and(closed)
}

/// Whether the output holds what must not be written to.
fn is_unfit(error: &MediaError) -> bool {
    matches!(error, MediaError::NotAnOutput(_))
}

/// What to run and where, with who pays for it: these `signers`, if they are set up in the same way.
fn job_plan(
    config: &Config,
    signers: Option<Arc<Signers>>,
    clock: &Arc<WallClock>,
) -> Result<(JobPlan, Option<PaymentSetup>), Error> {
    let reach = Reach::keeping(config, signers, clock).map_err(Error::Reach)?;
    let payments = reach.payments.clone();
    let policy = NetworkOptions {
        trust: config.trust.clone(),
        state: config.state_directory.as_deref(),
        configured: &reach.endpoints.orchestrators,
        clock: Arc::clone(clock),
    };
    let network = Network::with_options(policy, payments.clone());
    let params = config.job.params.clone();
    let spec = match config.runner.clone() {
        Some(runner) => JobSpec::Runner { options: runner.options, api: runner.api, params },
        None => JobSpec::LiveVideo(config.job.clone()),
    };
    let rules = OfferRules {
        max_price: config.access.max_price,
        pays: match (&payments, &spec) {
            (None, _) => Pays::Nobody,
            (Some(_), JobSpec::Runner { .. }) => Pays::IfAsked,
            (Some(_), JobSpec::LiveVideo(_)) => Pays::Always,
        },
    };
    Ok((JobPlan { spec, discovery: reach.discovery(config), rules, network }, payments))
}

/// The configuration that runs.
struct Running {
    resolved: Resolved,
    /// Whether it has worked.
    proof: Proof,
    /// Where it is kept then, if anywhere.
    kept: Option<Kept>,
}

/// Reads everything again at each SIGHUP, and keeps what has worked.
struct Reloading {
    running: Running,
    settings: Settings,
    payments: Option<PaymentSetup>,
    clock: Arc<WallClock>,
    outlet: Outlet,
    tell: mpsc::Sender<Change>,
    status: Status,
}

impl Running {
    /// From now on this one runs; the one before it.
    fn change_to(&mut self, resolved: Resolved) -> Config {
        if resolved != self.resolved {
            self.proof = Proof::of_reload(Instant::now());
        }
        std::mem::replace(&mut self.resolved, resolved).config
    }

    /// Processed video came back.
    fn on_output(&mut self, now: Instant) {
        if let Some(kept) = self.kept.as_ref().filter(|_| self.proof.on_output(now)) {
            kept.keep(&self.resolved);
        }
    }
}

impl Reloading {
    async fn run(&mut self) -> Error {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return Error::Start(error),
        };
        let works = Arc::clone(&self.status.works);
        loop {
            let waits = self.running.proof.is_open() && self.running.kept.is_some();
            tokio::select! {
                Some(()) = hangup.recv() => self.reload().await,
                () = works.notified(), if waits => self.running.on_output(Instant::now()),
                else => std::future::pending().await,
            }
        }
    }

    async fn reload(&mut self) {
        let settings = &self.settings;
        match load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run) {
            Ok(new) => {
                warn_of_removed(&new);
                if let Err(error) = self.change_to(new).await {
                    self.stays(&error, &chain(&error));
                }
            }
            Err(error) => self.stays(&error, &error.first()),
        }
        match self.payments.as_ref().map(|payments| payments.signers.reread()) {
            Some(Ok(false)) => {
                log::info!("SIGHUP: the signer's credential is the same as before");
            }
            Some(Err(error)) => log::warn!("SIGHUP: the old one stays: {}", chain(&error)),
            Some(Ok(true)) | None => {}
        }
    }

    /// Changes what differs. What is not possible changes nothing at all.
    async fn change_to(&mut self, resolved: Resolved) -> Result<(), Error> {
        let new = resolved.config.clone();
        let now = &self.running.resolved.config;
        if new == *now {
            log::info!("SIGHUP: the configuration is the same as before");
        }
        let is_trusted_alike = now.access.services == new.access.services;
        let payments = self.payments.as_ref().filter(|_| is_trusted_alike);
        let signers = payments.map(|payments| Arc::clone(&payments.signers));
        let has_moved = job_keys(now) != job_keys(&new);
        let plan = has_moved.then(|| job_plan(&new, signers, &self.clock)).transpose();
        let outlet = match now.output == new.output {
            true => output::check(&new, &self.settings).map(|()| None).map_err(Error::Output),
            false => Outlet::open(&new, &self.settings, is_unfit).map(Some),
        };
        let (plan, outlet) = (plan?, outlet?);
        let old = self.running.change_to(resolved);
        self.status.notice.set(None);
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
        if let Some((plan, payments)) = plan {
            self.payments = payments;
            self.send(Change::Job(Box::new(plan))).await;
        } else if old.job.params != new.job.params {
            self.send(Change::Params(new.job.params)).await;
        }
        Ok(())
    }

    /// The configuration at hand is of no use, and the one before it runs on.
    fn stays(&self, error: &dyn std::error::Error, reason: &str) {
        log::warn!("SIGHUP: the configuration before it stays: {}", chain(error));
        self.status.notice.set(Some(&notice("the one before it", reason)));
    }

    async fn send(&self, change: Change) {
        log::info!("SIGHUP: {change:?} changed");
        // Without an agent, nobody needs it.
        let _ = self.tell.send(change).await;
    }
}

/// The part of a configuration that says what runs where; parameters are changed in a job that runs.
fn job_keys(config: &Config) -> impl PartialEq {
    let job = JobOptions { params: serde_json::Map::new(), ..config.job.clone() };
    (
        (job, config.runner.clone(), config.orchestrators.clone(), config.order),
        (config.trust.clone(), config.access.clone(), config.state_directory.clone()),
    )
}
