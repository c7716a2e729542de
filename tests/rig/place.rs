//! An orchestrator in this process that can go and come back at its address.
//!
//! Does not: take signals; a process of `livepeer-edge sandbox` does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sandbox::{Failure, Handle, Options, Sandbox, Target};

use super::until;

/// An orchestrator, there or gone.
pub(crate) struct Place {
    options: Options,
    sandbox: Option<Handle>,
}

/// What clients did wrong at a place.
pub(crate) struct Wrong {
    pub(crate) count: u64,
    pub(crate) first: Option<String>,
}

impl Place {
    /// One that runs, with the usual options.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// One that runs.
    pub(crate) fn with(mut options: Options) -> Self {
        let sandbox = Sandbox::start(options.clone()).unwrap();
        options.listen = sandbox.address();
        Self { options, sandbox: Some(sandbox) }
    }

    /// Where it is, or was.
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

    /// It dies: connections end at once, and nothing listens any more.
    pub(crate) fn die(&mut self) {
        self.sandbox.take().unwrap().stop();
    }

    /// It is back at its address, and knows nothing of before.
    pub(crate) fn come_back(&mut self) -> Instant {
        self.sandbox = Some(Sandbox::start(self.options.clone()).unwrap());
        Instant::now()
    }

    /// Whether it is there.
    pub(crate) fn is_there(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Its sandbox, while it is there.
    pub(crate) fn sandbox(&self) -> &Handle {
        self.sandbox.as_ref().unwrap()
    }

    /// Goes wrong so from now on.
    pub(crate) fn always(&self, failure: Failure) {
        self.sandbox().always(failure);
    }

    /// Goes wrong so once.
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

    /// Waits for the next frame: when it came.
    pub(crate) fn next_frame(&self, limit: Duration) -> Option<Instant> {
        let before = self.frames();
        until(limit, || self.frames() > before)
    }

    /// Waits until so many frames more have come.
    pub(crate) fn more_frames(&self, frames: u64, limit: Duration) -> Option<Instant> {
        let before = self.frames();
        until(limit, || self.frames() >= before + frames)
    }

    /// Waits for the next job: when it began.
    pub(crate) fn next_job(&self, limit: Duration) -> Option<Instant> {
        let before = self.jobs();
        until(limit, || self.jobs() > before)
    }

    /// The longest time without a frame from now on, looked at for `time`.
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

    /// The parameters that the last job was started with.
    pub(crate) fn params(&self) -> serde_json::Value {
        let body = self.sandbox().look(|record| {
            let starts = record.requests().filter(|request| request.target == Target::Start);
            starts.last().map(|start| start.body.clone())
        });
        let body: serde_json::Value =
            serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        body["params"].clone()
    }

    /// What was done wrong there, by number and by the first of it.
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
