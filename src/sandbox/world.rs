//! The state that the parts of a sandbox share: options, channels, jobs, script, and record.
//!
//! One lock guards the state that changes; a caller must not hold the lock over an await. [`crate::Handle`] is the
//! public interface.
//!
//! Does not: run tasks; `io` does.

mod list;
mod money;
mod sessions;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use crate::check::{Violation, Violations};
use crate::money::{Ledger, TicketIssuer};
use crate::offer::{NoCapacity, Offer};
use crate::options::SignerOptions;
use crate::pipeline::{ModelProcess, RefusedParams};
use crate::record::Record;
use crate::runner::Sessions;
use crate::running_jobs::RunningJobs;
use crate::script::{Role, Script};
use crate::signer::StateOrder;
use crate::start::Job;
use crate::token::Tokens;
use crate::trickle::{Channels, Segment, SharedChannel, TooMany};
use crate::{Options, route, token};

pub(crate) use money::InfoTerms;
pub(crate) use sessions::Admission;

/// Maximum number of jobs that wait for their app to be started.
const JOBS: usize = 16;
/// Maximum number of parameter updates that wait for an app.
const UPDATES: usize = 8;

/// A job whose app must be started.
#[derive(Debug)]
pub(crate) struct AppLaunch {
    pub(crate) job: Job,
    /// Parameter updates from calls, for an app without a control channel.
    pub(crate) updates: mpsc::Receiver<Map<String, Value>>,
}

/// The part of the sandbox's state that changes while it runs.
#[derive(Debug, Default)]
pub(crate) struct WorldState {
    pub(crate) channels: Channels,
    pub(crate) script: Script,
    pub(crate) record: Record,
    pub(crate) violations: Violations,
    pub(crate) jobs: RunningJobs,
    /// The processes of the models. A new job uses an idle process, or adds one.
    pipelines: Vec<ModelProcess>,
    /// The senders of parameter updates to running apps, by manifest id.
    updates: HashMap<String, mpsc::Sender<Map<String, Value>>>,
    pub(crate) sessions: Sessions,
    pub(crate) ledger: Ledger,
    /// The present price of live video, in wei per pixel.
    pub(crate) price: Option<u32>,
    pub(crate) signer: SignerOptions,
    /// The number of the signer's key.
    pub(crate) signer_key: u8,
    pub(crate) order: StateOrder,
    pub(crate) listed: Vec<String>,
    /// The time by which the clock was advanced.
    ahead: Duration,
}

/// The state of one sandbox.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    /// The address of the signer, if there is one.
    pub(crate) signer: Option<SocketAddr>,
    pub(crate) tokens: Tokens,
    pub(crate) ticket_issuer: TicketIssuer,
    began: Duration,
    apps: mpsc::Sender<AppLaunch>,
    state: Mutex<WorldState>,
    changed: watch::Sender<()>,
}

impl World {
    /// Makes the state of a sandbox that listens on `address`, and a queue of jobs. The caller must start an app for
    /// each job from the queue.
    pub(crate) fn new(
        options: Options,
        address: SocketAddr,
        signer: Option<SocketAddr>,
    ) -> (Self, mpsc::Receiver<AppLaunch>) {
        let (apps, jobs) = mpsc::channel(JOBS);
        let state = WorldState {
            price: options.price,
            signer: options.signer.clone().unwrap_or_default(),
            listed: options.listed.clone(),
            ..WorldState::default()
        };
        let world = Self {
            signer,
            ticket_issuer: TicketIssuer::new(&token::random()),
            began: system_time(),
            options,
            address,
            tokens: Tokens::new(&token::random()),
            apps,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        };
        (world, jobs)
    }

    /// The state; the caller must drop the guard before it awaits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since 1970 by the sandbox's clock.
    pub(crate) fn now(&self) -> Duration {
        let now = if self.options.is_frozen { self.began } else { system_time() };
        now.saturating_add(self.lock().ahead)
    }

    /// Advances the clock, and debits at once the amounts that are then due.
    pub(crate) fn advance(&self, time: Duration) {
        {
            let mut state = self.lock();
            state.ahead = state.ahead.saturating_add(time);
        }
        self.debit();
    }

    /// Call after a change that a test may wait for.
    pub(crate) fn note(&self) {
        self.changed.send_replace(());
    }

    /// A receiver that is notified by every call of [`World::note`].
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The host in URLs and in the certificate.
    pub(crate) fn host(&self) -> String {
        match &self.options.host {
            Some(host) => host.clone(),
            None if self.address.ip().is_unspecified() => "127.0.0.1".to_owned(),
            None => self.address.ip().to_string(),
        }
    }

    /// The base of all URLs.
    pub(crate) fn url(&self, plain: bool) -> String {
        self.url_at(plain, self.address.port())
    }

    /// The base of all URLs on another port.
    pub(crate) fn url_at(&self, plain: bool, port: u16) -> String {
        let host = self.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let scheme = if plain { "http" } else { "https" };
        format!("{scheme}://{host}:{port}")
    }

    /// The URL of a channel.
    pub(crate) fn channel_url(&self, plain: bool, name: &str) -> String {
        format!("{}{}{name}", self.url(plain), route::TRICKLE)
    }

    /// The channel of this name.
    pub(crate) fn channel(&self, name: &str) -> Option<SharedChannel> {
        self.lock().channels.find(name)
    }

    /// The channel of this name, created if there is none.
    pub(crate) fn create(&self, name: &str, content_type: &str) -> Result<SharedChannel, TooMany> {
        self.lock().channels.create(name, content_type, Instant::now())
    }

    /// Closes and removes a channel. Returns false if the channel does not exist.
    pub(crate) fn delete(&self, name: &str) -> bool {
        let deleted = self.lock().channels.delete(name);
        self.note();
        deleted
    }

    /// Calls `read` with the present offer under this base URL.
    pub(crate) fn offer<T>(&self, url: &str, read: impl FnOnce(Offer<'_>) -> T) -> T {
        let in_use = self.lock().jobs.count();
        read(Offer {
            url,
            models: &self.options.models,
            warm: self.options.warm,
            capacity: self.options.capacity,
            in_use,
        })
    }

    /// Whether a job with this model can start.
    pub(crate) fn admit(&self, model: &str) -> Result<(), NoCapacity> {
        self.offer("", |offer| offer.admit(model))
    }

    /// Begins a job and queues the start of its app.
    pub(crate) fn begin(&self, job: Job) -> Result<(), NoCapacity> {
        let manifest = job.manifest.clone();
        self.launch(job)?;
        let mut state = self.lock();
        state.jobs.begin(&manifest, Instant::now());
        state.record.counters.jobs += 1;
        drop(state);
        self.note();
        Ok(())
    }

    /// Queues the start of a job's app.
    pub(crate) fn launch(&self, job: Job) -> Result<(), NoCapacity> {
        let (updates, taken) = mpsc::channel(UPDATES);
        let (manifest, request) = (job.manifest.clone(), job.request.clone());
        let mut state = self.lock();
        self.apps.try_send(AppLaunch { job, updates: taken }).map_err(|_| NoCapacity)?;
        if let Some(request) = request {
            let idle = state.pipelines.iter().position(ModelProcess::is_idle);
            let at = idle.unwrap_or_else(|| {
                state.pipelines.push(ModelProcess::default());
                state.pipelines.len() - 1
            });
            if let Some(pipeline) = state.pipelines.get_mut(at) {
                pipeline.begin(&manifest, &request, Instant::now());
            }
        }
        state.updates.insert(manifest, updates);
        Ok(())
    }

    /// Applies parameters to the process of a job's model. A job without a model accepts everything.
    pub(crate) fn set(
        &self,
        manifest: &str,
        params: &Map<String, Value>,
    ) -> Result<(), RefusedParams> {
        let mut state = self.lock();
        let pipeline = state.pipelines.iter_mut().find(|pipeline| pipeline.runs(manifest));
        pipeline.map_or(Ok(()), |pipeline| pipeline.update(params))
    }

    /// Sends parameters to the app of a job. Returns false if no app runs, or its queue is full.
    pub(crate) fn update(&self, manifest: &str, params: Map<String, Value>) -> bool {
        let updates = self.lock().updates.get(manifest).cloned();
        updates.is_some_and(|updates| updates.try_send(params).is_ok())
    }

    /// Call when the app of a job has ended.
    pub(crate) fn app_ended(&self, manifest: &str) {
        let mut state = self.lock();
        state.jobs.end(manifest);
        if let Some(pipeline) = state.pipelines.iter_mut().find(|one| one.runs(manifest)) {
            pipeline.end(Instant::now());
        }
        state.updates.remove(manifest);
        // A session stays open, and is debited, until it is stopped.
        if state.sessions.runner(manifest).is_none() {
            state.ledger.end(manifest);
        }
        drop(state);
        self.note();
    }

    /// Call when a publisher begins this segment: records a violation if its seq was written before.
    pub(crate) fn check_seq(&self, name: &str, channel: &SharedChannel, segment: &Segment) {
        self.lock().ledger.moved(name);
        let (next, closed) = {
            let channel = channel.lock();
            (channel.next(), channel.is_closed())
        };
        if !closed && (segment.seq < next || segment.is_begun()) {
            let violation = Violation::ReusedSeq { role: Role::of(name), seq: segment.seq };
            self.lock().violations.add(violation);
            self.note();
        }
    }
}

fn system_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
