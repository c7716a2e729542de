//! Everything the parts of a sandbox share: its options, channels, jobs, script, and record.
//!
//! One lock, held for a moment and never over a wait. The outside reads through [`crate::Handle`].
//!
//! Does not: act by itself.

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
use crate::pipeline::{Pipeline, RefusedParams};
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

/// Jobs that may wait for their app to be started.
const JOBS: usize = 16;
/// Updates that may wait for an app.
const UPDATES: usize = 8;

/// An app that is to be started.
#[derive(Debug)]
pub(crate) struct AppLaunch {
    pub(crate) job: Job,
    /// New parameters that do not come over a control channel.
    pub(crate) updates: mpsc::Receiver<Map<String, Value>>,
}

/// What changes while a sandbox runs.
#[derive(Debug, Default)]
pub(crate) struct WorldState {
    pub(crate) channels: Channels,
    pub(crate) script: Script,
    pub(crate) record: Record,
    pub(crate) violations: Violations,
    pub(crate) jobs: RunningJobs,
    /// The processes of the models; as many as there were jobs at a time.
    pipelines: Vec<Pipeline>,
    /// Where the apps that run take updates.
    updates: HashMap<String, mpsc::Sender<Map<String, Value>>>,
    pub(crate) sessions: Sessions,
    pub(crate) ledger: Ledger,
    /// What live video costs now, in wei per pixel.
    pub(crate) price: Option<u32>,
    pub(crate) signer: SignerOptions,
    /// The number of the signer's key.
    pub(crate) signer_key: u8,
    pub(crate) order: StateOrder,
    pub(crate) listed: Vec<String>,
    /// How far the clock was put forward.
    ahead: Duration,
}

/// A sandbox from the inside.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    /// Where the signer listens, if there is one.
    pub(crate) signer: Option<SocketAddr>,
    pub(crate) tokens: Tokens,
    pub(crate) ticket_issuer: TicketIssuer,
    began: Duration,
    apps: mpsc::Sender<AppLaunch>,
    state: Mutex<WorldState>,
    changed: watch::Sender<()>,
}

impl World {
    /// A fresh world that listens on `address`, and the jobs that will need an app.
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

    /// The state; hold it for a moment only.
    pub(crate) fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since 1970 by the sandbox's clock.
    pub(crate) fn now(&self) -> Duration {
        let now = if self.options.is_frozen { self.began } else { system_time() };
        now.saturating_add(self.lock().ahead)
    }

    /// Puts the clock forward; what is due then is debited at once.
    pub(crate) fn advance(&self, time: Duration) {
        {
            let mut state = self.lock();
            state.ahead = state.ahead.saturating_add(time);
        }
        self.debit();
    }

    /// Something happened that somebody may wait for.
    pub(crate) fn note(&self) {
        self.changed.send_replace(());
    }

    /// Tells of everything that is noted.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The host in URLs and certificate.
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

    /// The same for another port.
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

    /// The channel of this name, made if need be.
    pub(crate) fn create(&self, name: &str, content_type: &str) -> Result<SharedChannel, TooMany> {
        self.lock().channels.create(name, content_type, Instant::now())
    }

    /// Closes a channel; false if there is none.
    pub(crate) fn delete(&self, name: &str) -> bool {
        let deleted = self.lock().channels.delete(name);
        self.note();
        deleted
    }

    /// Looks at what is on offer now.
    pub(crate) fn offer<T>(&self, url: &str, look: impl FnOnce(Offer<'_>) -> T) -> T {
        let in_use = self.lock().jobs.count();
        look(Offer {
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

    /// A job begins; its app is started soon.
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

    /// The app of a job is started soon.
    pub(crate) fn launch(&self, job: Job) -> Result<(), NoCapacity> {
        let (updates, taken) = mpsc::channel(UPDATES);
        let (manifest, request) = (job.manifest.clone(), job.request.clone());
        let mut state = self.lock();
        self.apps.try_send(AppLaunch { job, updates: taken }).map_err(|_| NoCapacity)?;
        if let Some(request) = request {
            let idle = state.pipelines.iter().position(Pipeline::is_idle);
            let at = idle.unwrap_or_else(|| {
                state.pipelines.push(Pipeline::default());
                state.pipelines.len() - 1
            });
            if let Some(pipeline) = state.pipelines.get_mut(at) {
                pipeline.begin(&manifest, &request, Instant::now());
            }
        }
        state.updates.insert(manifest, updates);
        Ok(())
    }

    /// New parameters for the model of a job; where it has none, whatever is asked for is taken.
    pub(crate) fn set(
        &self,
        manifest: &str,
        params: &Map<String, Value>,
    ) -> Result<(), RefusedParams> {
        let mut state = self.lock();
        let pipeline = state.pipelines.iter_mut().find(|pipeline| pipeline.runs(manifest));
        pipeline.map_or(Ok(()), |pipeline| pipeline.update(params))
    }

    /// New parameters for the app of a job; false if there is none, or it is too slow.
    pub(crate) fn update(&self, manifest: &str, params: Map<String, Value>) -> bool {
        let updates = self.lock().updates.get(manifest).cloned();
        updates.is_some_and(|updates| updates.try_send(params).is_ok())
    }

    /// The app of a job has ended.
    pub(crate) fn app_ended(&self, manifest: &str) {
        let mut state = self.lock();
        state.jobs.end(manifest);
        if let Some(pipeline) = state.pipelines.iter_mut().find(|one| one.runs(manifest)) {
            pipeline.end(Instant::now());
        }
        state.updates.remove(manifest);
        // A session stays, and costs, until it is stopped.
        if state.sessions.runner(manifest).is_none() {
            state.ledger.end(manifest);
        }
        drop(state);
        self.note();
    }

    /// A publisher wants to write this segment: nobody may have written it before.
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
