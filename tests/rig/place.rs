//! An orchestrator in this process that can be stopped, and started again at its address.
//!
//! Does not: take signals; a process of `livepeer-edge sandbox` does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sandbox::{Failure, Handle, Options, Sandbox, Target};

use super::until;

/// An orchestrator, running or stopped.
pub(crate) struct Place {
    options: Options,
    sandbox: Option<Handle>,
}

/// The violations of clients at a place.
pub(crate) struct Wrong {
    pub(crate) count: u64,
    pub(crate) first: Option<String>,
}

impl Place {
    /// Starts one with the default options.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// Starts one with these options.
    pub(crate) fn with(mut options: Options) -> Self {
        let sandbox = Sandbox::start(options.clone()).unwrap();
        options.listen = sandbox.address();
        Self { options, sandbox: Some(sandbox) }
    }

    /// Its address, which it keeps.
    pub(crate) fn address(&self) -> SocketAddr {
        self.options.listen
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        match &self.options.host {
            Some(host) => format!("https://{host}:{}", self.address().port()),
            None => format!("https://{}", self.address()),
        }
    }

    /// Stops it: connections end at once, and its port is closed.
    pub(crate) fn die(&mut self) {
        self.sandbox.take().unwrap().stop();
    }

    /// Starts it again at its address, without its earlier jobs and channels.
    pub(crate) fn come_back(&mut self) -> Instant {
        self.sandbox = Some(Sandbox::start(self.options.clone()).unwrap());
        Instant::now()
    }

    /// Whether it runs.
    pub(crate) fn is_there(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Its sandbox. Call only while it runs.
    pub(crate) fn sandbox(&self) -> &Handle {
        self.sandbox.as_ref().unwrap()
    }

    /// Fails in this way from now on.
    pub(crate) fn always(&self, failure: Failure) {
        self.sandbox().always(failure);
    }

    /// Fails in this way once.
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

    /// Waits for so many more frames. Returns the time of the last one.
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
