//! Everything the parts of a sandbox share: its options, channels, jobs, script, and record.
//!
//! One lock, held for a moment and never over a wait. The outside reads through [`crate::sandbox::Handle`].
//!
//! Does not: act by itself.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use crate::sandbox::check::{Violation, Violations};
use crate::sandbox::offer::{NoCapacity, Offer};
use crate::sandbox::record::Record;
use crate::sandbox::script::{Role, Script};
use crate::sandbox::start::Job;
use crate::sandbox::token::Tokens;
use crate::sandbox::trickle::{Channels, Segment, Shared, TooMany};
use crate::sandbox::{Options, route, token};

/// Jobs that may wait for their app to be started.
const JOBS: usize = 16;

/// What changes while a sandbox runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) channels: Channels,
    pub(crate) script: Script,
    pub(crate) record: Record,
    pub(crate) violations: Violations,
    /// The manifest ids of the jobs that run.
    pub(crate) jobs: Vec<String>,
}

/// A sandbox from the inside.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    pub(crate) tokens: Tokens,
    apps: mpsc::Sender<Job>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl World {
    /// A fresh world that listens on `address`, and the jobs that will need an app.
    pub(crate) fn new(options: Options, address: SocketAddr) -> (Self, mpsc::Receiver<Job>) {
        let (apps, jobs) = mpsc::channel(JOBS);
        let world = Self {
            options,
            address,
            tokens: Tokens::new(&token::random()),
            apps,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        };
        (world, jobs)
    }

    /// The state; hold it for a moment only.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened that somebody may wait for.
    pub(crate) fn note(&self) {
        self.changed.send_replace(());
    }

    /// Tells of everything that is noted.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The host and port in URLs and certificate.
    pub(crate) fn host(&self) -> String {
        match &self.options.host {
            Some(host) => host.clone(),
            None if self.address.ip().is_unspecified() => "127.0.0.1".to_owned(),
            None => self.address.ip().to_string(),
        }
    }

    /// The base of all URLs.
    pub(crate) fn url(&self, plain: bool) -> String {
        let host = self.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let scheme = if plain { "http" } else { "https" };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// The URL of a channel.
    pub(crate) fn channel_url(&self, plain: bool, name: &str) -> String {
        format!("{}{}{name}", self.url(plain), route::TRICKLE)
    }

    /// The channel of this name.
    pub(crate) fn channel(&self, name: &str) -> Option<Shared> {
        self.lock().channels.find(name)
    }

    /// The channel of this name, made if need be.
    pub(crate) fn create(&self, name: &str, content_type: &str) -> Result<Shared, TooMany> {
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
        let in_use = u32::try_from(self.lock().jobs.len()).unwrap_or(u32::MAX);
        look(Offer { url, models: &self.options.models, capacity: self.options.capacity, in_use })
    }

    /// Whether a job with this model can start.
    pub(crate) fn admit(&self, model: &str) -> Result<(), NoCapacity> {
        self.offer("", |offer| offer.admit(model))
    }

    /// A job begins; its app is started soon.
    pub(crate) fn begin(&self, job: Job) -> Result<(), NoCapacity> {
        let manifest = job.manifest.clone();
        self.apps.try_send(job).map_err(|_| NoCapacity)?;
        let mut state = self.lock();
        state.jobs.push(manifest);
        state.record.counters.jobs += 1;
        drop(state);
        self.note();
        Ok(())
    }

    /// A publisher wants to write this segment: nobody may have written it before.
    pub(crate) fn check_seq(&self, name: &str, channel: &Shared, segment: &Segment) {
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
