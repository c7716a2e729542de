//! `run`: runs the job of a configuration until a signal.
//!
//! SIGHUP reads the configuration and the credentials again, and applies only the differences:
//!
//! | changed | then |
//! |---|---|
//! | `job.params` | the new parameters are sent to the job, in place of those that were set while the job ran |
//! | source, video, encoder, audio | the camera is opened again; the job goes on |
//! | an output | it is opened, closed or replaced; the others go on |
//! | name and labels, log level, `job.on-loss`, when a job runs, API, events, MQTT | set at once |
//! | the job, or where it may run | the job is closed, and the next one started; the camera goes on |
//! | a credential | it is used from then on |
//!
//! Signers with unchanged options keep their pauses, so a reload does not ask them sooner.
//!
//! A configuration that is refused is reported in the log and, until it is valid again, in the status; the previous one
//! stays. A configuration that has worked (`Proof`) is kept: the service runs it if it is started with a configuration
//! that is refused.
//!
//! Does not: decide what happens after a loss; `job::Machine` does.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::budgets::Budgets;
use super::choose::{Chosen, notice, warn_of_removed};
use super::proof::Proof;
use super::reach::{Counted, Reach, work};
use super::{Error, Settings};
use crate::agent::{Agent, Change, Control, JobPlan, JobSpec, KeptParams, KeptWish, Options};
use crate::api::{self, Api, Pictures};
use crate::config::{Access, Config, KeptConfig, Purpose, Resolved, io::load};
use crate::events::{Bus, Kind, Sinks};
use crate::mqtt::{self, Mqtt};
use crate::outputs::Outlets;
use crate::service::is_service;
use crate::status::Status;
use livepeer_gateway::endings::io::Endings;
use livepeer_gateway::http::WallClock;
use livepeer_gateway::http::io::Client;
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::session::selection::{OfferRules, PaymentPolicy};
use livepeer_gateway::session::{Network, NetworkOptions, PaymentSetup};
use media::MediaError;
use media::io::AccessUnits;
use resilience::fault::chain;
use resilience::stop::Stop;

/// Runs until `stop`, the end of the input, or a failure. `settings` name the sources to read again at SIGHUP.
pub async fn run(chosen: Chosen, settings: Settings, stop: Stop) -> Result<(), Error> {
    let Chosen { resolved, notice, kept } = chosen;
    let config = &resolved.config;
    let clock = Arc::default();
    let file = settings.file.as_deref();
    let status = Status::default();
    let budgets = Arc::new(Budgets::new(config, &status));
    let counted = Counted::new(None, &budgets.payments, config);
    let (mut job, payments) = job_plan(config, file, counted, &clock)?;
    // An unattended device runs without the output.
    let ends = |error: &MediaError| {
        config.recovery == Recovery::Exit || (is_unfit(error) && !is_service())
    };
    let outlets = Outlets::open(config, file, ends).map_err(Error::Output)?;
    if job.kept.are_kept() {
        log::info!("the job starts with the parameters that were set last while the agent ran");
    }
    let (sender, changes) = mpsc::channel(1);
    if let Some(state) = &config.state_directory {
        job.network.endings = Endings::open(job.network.client.clone(), state);
    }
    let (media, recovery) = (config.media.clone(), config.recovery);
    let options = Options { media, job, recovery };
    status.set_identity(&config.status, file);
    status.set_outputs(outlets.reports());
    status.notice.set(notice.as_deref());
    let (bus, services) =
        (Bus::new(&status.identity().instance), options.job.discovery.services.clone());
    let sinks = Sinks::open(&config.events, &bus, &services);
    notice.iter().for_each(|notice| refused(&bus, notice));
    let units = AccessUnits::new();
    units.set_outputs(&outlets.of_input());
    let agent = Agent::new(options, status.clone(), outlets.sinks()).with_units(units.clone());
    let wish = KeptWish::open(config.state_directory.as_deref(), &own_name(file));
    let agent = agent.with_events(bus.clone()).with_wanted(config.wanted.clone(), wish);
    let (api, api_options) = watch::channel(config.api.clone());
    let sources = api::Sources {
        status: status.clone(),
        units: units.clone(),
        outputs: agent.outputs(),
        control: Control::new(sender.clone()),
        purses: budgets.purses(),
        events: bus.clone(),
        state_directory: config.state_directory.clone(),
    };
    let served = Api::new(api_options, sources);
    let (mqtt, mqtt_options) = watch::channel(config.mqtt.clone());
    let sources = mqtt::Sources {
        status: status.clone(),
        events: bus.clone(),
        pictures: Pictures::new(units.clone(), agent.outputs()),
        control: Control::new(sender.clone()),
        clock: Arc::clone(&clock),
    };
    let published = Mqtt::new(mqtt_options, sources);
    // A configuration that runs in place of a refused one is kept already.
    let proof = if notice.is_none() { Proof::AtOnce } else { Proof::Given };
    let running = RunningConfig { resolved, proof, kept };
    let followed = budgets.follow(sender.clone(), status.clone(), bus.clone(), units.clone());
    let events = Events { bus, sinks, services };
    let mut reloading = Reloading {
        running,
        settings,
        payments,
        budgets: Arc::clone(&budgets),
        clock,
        outlets,
        units,
        changes: sender,
        status,
        api,
        mqtt,
        events,
    };
    let (reporting, reported) = (reloading.outlets.clone(), reloading.events.bus.clone());
    let ended = tokio::select! {
        ended = agent.with_changes(changes).run(stop) => ended.map_err(Error::Agent),
        error = reloading.run() => Err(error),
        never = served.run() => match never {},
        never = published.run() => match never {},
        never = followed => match never {},
        never = reporting.publish_changes(&reported) => match never {},
    };
    // The outputs are closed by their last owner, and the sinks end with the last bus.
    drop((reporting, reported));
    budgets.close().await;
    let Reloading { events: Events { sinks, .. }, outlets, .. } = reloading;
    let closed = outlets.close().await;
    // Nothing else runs now, so the call may block for a short time.
    sinks.close();
    ended.and(closed.map_err(Error::Output))
}

/// Publishes that the configuration is refused, with the notice that says why.
fn refused(bus: &Bus, notice: &str) {
    bus.publish(|| Kind::ConfigurationRefused { reason: notice.to_owned() });
}

/// Whether the output is a file that must not be written.
fn is_unfit(error: &MediaError) -> bool {
    matches!(error, MediaError::NotAnOutput(_))
}

/// The job of the configuration in `file`, and how it is paid.
fn job_plan(
    config: &Config,
    file: Option<&Path>,
    counted: Counted,
    clock: &Arc<WallClock>,
) -> Result<(JobPlan, Option<PaymentSetup>), Error> {
    let reach = Reach::keeping(config, counted, clock).map_err(Error::Reach)?;
    let payments = reach.payments.clone();
    let policy = NetworkOptions {
        trust: config.trust.clone(),
        state: config.state_directory.as_deref(),
        configured: &reach.endpoints.orchestrators,
        clock: Arc::clone(clock),
    };
    let network = Network::with_options(policy, payments.clone());
    let configured = config.job.params.clone();
    let state = config.state_directory.as_deref();
    let kept = KeptParams::open(state, &own_name(file), work(config), configured);
    let params = kept.params();
    let spec = match config.runner.clone() {
        Some(runner) => JobSpec::Runner { options: runner.options, api: runner.api, params },
        None => JobSpec::LiveVideo(JobOptions { params, ..config.job.clone() }),
    };
    let rules = OfferRules {
        max_price: config.access.max_price,
        pays: match (&payments, &spec) {
            (None, _) => PaymentPolicy::Never,
            (Some(_), JobSpec::Runner { .. }) => PaymentPolicy::IfPriced,
            (Some(_), JobSpec::LiveVideo(_)) => PaymentPolicy::Always,
        },
    };
    let discovery = reach.discovery(config);
    Ok((JobPlan { spec, discovery, rules, network, kept }, payments))
}

/// The name in the files that this agent keeps: each agent that shares a state directory has a configuration `file` of
/// its own.
fn own_name(file: Option<&Path>) -> String {
    let name = file.and_then(Path::file_stem).unwrap_or(OsStr::new("livepeer-edge"));
    name.to_string_lossy().into_owned()
}

/// The running configuration.
struct RunningConfig {
    resolved: Resolved,
    /// Whether the configuration has worked.
    proof: Proof,
    /// The file that keeps a working configuration, if any.
    kept: Option<KeptConfig>,
}

/// Reads the configuration again at each SIGHUP, and keeps one that has worked.
struct Reloading {
    running: RunningConfig,
    settings: Settings,
    payments: Option<PaymentSetup>,
    budgets: Arc<Budgets>,
    clock: Arc<WallClock>,
    outlets: Outlets,
    units: AccessUnits,
    changes: mpsc::Sender<Change>,
    status: Status,
    api: watch::Sender<api::Options>,
    mqtt: watch::Sender<mqtt::Options>,
    events: Events,
}

/// The events and where they are written.
struct Events {
    bus: Bus,
    sinks: Sinks,
    /// Posts events to a web server.
    services: Client,
}

impl Events {
    /// Opens the sinks again if they have other options now, or a secret that may have changed.
    async fn change(&mut self, old: &Config, new: &Config) {
        let has_secret = new.events.webhook.iter().any(|webhook| webhook.secret.is_some());
        let is_same = old.events == new.events && old.access.services == new.access.services;
        if is_same && !has_secret {
            return;
        }
        let old = std::mem::take(&mut self.sinks);
        // Nothing is published between these two lines, as nothing is awaited.
        old.end();
        self.sinks = Sinks::open(&new.events, &self.bus, &self.services);
        // The call fails only if the thread panics.
        let _ = tokio::task::spawn_blocking(move || old.close()).await;
    }
}

impl RunningConfig {
    /// Replaces the configuration. Returns the previous one.
    fn change_to(&mut self, resolved: Resolved) -> Config {
        if resolved != self.resolved {
            self.proof = Proof::of_reload(Instant::now());
        }
        std::mem::replace(&mut self.resolved, resolved).config
    }

    /// Call it when processed video returns: keeps the configuration once it has worked.
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
        self.outlets.reopen();
        let settings = &self.settings;
        match load(settings.file.as_deref(), settings.keys.clone(), Purpose::Run) {
            Ok(new) => {
                warn_of_removed(&new);
                if let Err(error) = self.change_to(new).await {
                    self.report_refused(&error, &chain(&error));
                }
            }
            Err(error) => self.report_refused(&error, &error.first()),
        }
        match self.payments.as_ref().map(|payments| payments.signers.reread()) {
            Some(Ok(false)) => {
                log::info!("SIGHUP: the signer's credential is the same as before");
            }
            Some(Err(error)) => log::warn!("SIGHUP: the old credential stays: {}", chain(&error)),
            Some(Ok(true)) | None => {}
        }
    }

    /// Applies the differences to the running agent. On an error, nothing is changed.
    async fn change_to(&mut self, resolved: Resolved) -> Result<(), Error> {
        let new = resolved.config.clone();
        let now = &self.running.resolved.config;
        let is_same = new == *now;
        if is_same {
            log::info!("SIGHUP: the configuration is the same as before");
        }
        let is_trusted_alike = now.access.services == new.access.services;
        let payments = self.payments.as_ref().filter(|_| is_trusted_alike);
        let signers = payments.map(|payments| Arc::clone(&payments.signers));
        let counted = Counted::new(signers, &self.budgets.payments, &new);
        let has_moved = job_keys(now) != job_keys(&new);
        let plan = has_moved
            .then(|| job_plan(&new, self.settings.file.as_deref(), counted, &self.clock))
            .transpose();
        let plan = plan?;
        let outputs = self.outlets.change(&new, self.settings.file.as_deref(), is_unfit);
        let has_other_outputs = outputs.map_err(Error::Output)?;
        let old = self.running.change_to(resolved);
        let was_refused = self.status.notice.get().is_some();
        self.status.notice.set(None);
        if was_refused || !is_same {
            self.events.bus.publish(|| Kind::ConfigurationApplied);
        }
        self.budgets.apply(&new);
        log::set_max_level(new.log);
        self.status.set_identity(&new.status, self.settings.file.as_deref());
        if let Some((plan, _)) = &plan {
            self.events.services = plan.discovery.services.clone();
        }
        self.events.change(&old, &new).await;
        if has_other_outputs {
            // An output that is left closes when the agent drops it.
            self.units.set_outputs(&self.outlets.of_input());
            self.send(Change::Outputs(self.outlets.sinks())).await;
        }
        if old.api != new.api {
            log::info!("SIGHUP: API changed");
            self.api.send_replace(new.api.clone());
        }
        if old.mqtt != new.mqtt {
            log::info!("SIGHUP: MQTT changed");
            self.mqtt.send_replace(new.mqtt.clone());
        }
        if old.recovery != new.recovery {
            self.send(Change::Recovery(new.recovery)).await;
        }
        if old.wanted != new.wanted {
            self.send(Change::Wanted(new.wanted)).await;
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

    /// Reports that the new configuration is refused and the previous one stays.
    fn report_refused(&self, error: &dyn std::error::Error, reason: &str) {
        log::warn!("SIGHUP: the previous configuration stays: {}", chain(error));
        let notice = notice("the previous one", reason);
        self.status.notice.set(Some(&notice));
        refused(&self.events.bus, &notice);
    }

    async fn send(&self, change: Change) {
        log::info!("SIGHUP: {change:?} changed");
        // The send fails only after the end of the agent.
        let _ = self.changes.send(change).await;
    }
}

/// The keys whose change needs another job; parameters are changed in the live job.
fn job_keys(config: &Config) -> impl PartialEq {
    let job = JobOptions { params: serde_json::Map::new(), ..config.job.clone() };
    let access = Access { budget: None, ..config.access.clone() };
    (
        (job, config.runner.clone(), config.orchestrators.clone(), config.order),
        (config.trust.clone(), access, config.state_directory.clone()),
    )
}
