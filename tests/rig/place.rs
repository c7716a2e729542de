//! An orchestrator in this process that can be stopped, and started again at the same address.
//!
//! Does not: react to signals; for that, start `livepeer-edge sandbox` as a process with `Scene::orchestrator`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sandbox::{Failure, Handle, Options, Sandbox, Target};

use super::until;

/// An orchestrator, running or stopped.
pub(crate) struct Place {
    options: Options,
    sandbox: Option<Handle>,
}

/// The protocol violations that an orchestrator has recorded.
pub(crate) struct Wrong {
    pub(crate) count: u64,
    pub(crate) first: Option<String>,
}

impl Place {
    /// Starts an orchestrator with the default options.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// Starts an orchestrator with these options.
    pub(crate) fn with(mut options: Options) -> Self {
        let sandbox = Sandbox::start(options.clone()).unwrap();
        options.listen = sandbox.address();
        Self { options, sandbox: Some(sandbox) }
    }

    /// The address of the orchestrator, which never changes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.options.listen
    }

    /// The URL of the orchestrator.
    pub(crate) fn url(&self) -> String {
        match &self.options.host {
            Some(host) => format!("https://{host}:{}", self.address().port()),
            None => format!("https://{}", self.address()),
        }
    }

    /// Stops the orchestrator: connections end at once, and the port is closed.
    pub(crate) fn die(&mut self) {
        self.sandbox.take().unwrap().stop();
    }

    /// Starts the orchestrator again at the same address, without the earlier jobs and channels. Returns the time.
    pub(crate) fn come_back(&mut self) -> Instant {
        self.sandbox = Some(Sandbox::start(self.options.clone()).unwrap());
        Instant::now()
    }

    /// Whether the orchestrator runs.
    pub(crate) fn is_there(&self) -> bool {
        self.sandbox.is_some()
    }

    /// The sandbox that is the orchestrator. Call only while the orchestrator runs; panics otherwise.
    pub(crate) fn sandbox(&self) -> &Handle {
        self.sandbox.as_ref().unwrap()
    }

    /// Makes the orchestrator fail in this way from now on.
    pub(crate) fn always(&self, failure: Failure) {
        self.sandbox().always(failure);
    }

    /// Makes the orchestrator fail in this way once.
    pub(crate) fn once(&self, failure: Failure) {
        self.sandbox().once(failure);
    }

    /// Frames that arrived so far.
    pub(crate) fn frames(&self) -> u64 {
        self.sandbox().counters().access_units
    }

    /// Jobs that were started so far.
    pub(crate) fn jobs(&self) -> u64 {
        self.sandbox().counters().jobs
    }

    /// Waits for the next frame. Returns its time.
    pub(crate) fn next_frame(&self, limit: Duration) -> Option<Instant> {
        let before = self.frames();
        until(limit, || self.frames() > before)
    }

    /// Waits for `frames` more frames. Returns the time of the last one.
    pub(crate) fn more_frames(&self, frames: u64, limit: Duration) -> Option<Instant> {
        let before = self.frames();
        until(limit, || self.frames() >= before + frames)
    }

    /// Waits for the next job. Returns its start.
    pub(crate) fn next_job(&self, limit: Duration) -> Option<Instant> {
        let before = self.jobs();
        until(limit, || self.jobs() > before)
    }

    /// Measures for `time`. Returns the longest time without a frame.
    pub(crate) fn longest_gap(&self, time: Duration) -> Duration {
        let end = Instant::now() + time;
        let (mut longest, mut last, mut frames) = (Duration::ZERO, Instant::now(), self.frames());
        while Instant::now() < end {
            std::thread::sleep(super::ms(5));
            let now = self.frames();
            if now > frames {
                (frames, last) = (now, Instant::now());
            }
            longest = longest.max(last.elapsed());
        }
        longest
    }

    /// The parameters of the last start of a job.
    pub(crate) fn params(&self) -> serde_json::Value {
        let body = self.sandbox().look(|record| {
            let starts = record.requests().filter(|request| request.target == Target::Start);
            starts.last().map(|start| start.body.clone())
        });
        let body: serde_json::Value =
            serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        body["params"].clone()
    }

    /// The number of violations, and the first one.
    pub(crate) fn violations(&self) -> Wrong {
        let violations = self.sandbox().violations();
        Wrong {
            count: violations.count(),
            first: violations.list().first().map(ToString::to_string),
        }
    }

    /// Requests of this kind so far.
    pub(crate) fn requests(&self, target: &Target) -> usize {
        self.sandbox()
            .look(|record| record.requests().filter(|request| request.target == *target).count())
    }
}
