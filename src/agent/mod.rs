//! The running program: builds the parts, owns their queues and their end, and turns what happens into
//! what `job::Machine` wants done.
//!
//! ```text
//!  cameras ─┐                                          ┌─▶ cameras: play, stop
//!  jobs    ─┼─▶ Event ─▶ owner's on() ─▶ job::Machine ─┼─▶ jobs: find, ask, start, run, close
//!  clock   ─┤                                          └─▶ finish
//!  changes, signals, time ─┘
//! ```
//!
//! Every task is in a set of its owner, so a panic is an event and leaving the loop ends them all. `run` has the loop.
//!
//! Does not: decide when to go on or give up; the machine does.

mod cameras;
mod clock;
mod error;
mod event;
mod jobs;
mod output;
mod run;
mod systemd;
mod throttled_log;
mod wait;

pub use error::AgentError;
pub use jobs::{DRAIN_TIME, END_TIME};
pub use jobs::{Finding, MediaFlow, Work};

use serde_json::{Map, Value};
use std::time::Duration;
use tokio::sync::mpsc;

use crate::status::Status;
use livepeer_gateway::job::Recovery;
use livepeer_gateway::session::Network;
use livepeer_gateway::session::selection::OfferRules;
use livepeer_gateway::trickle::io::SegmentSink;
use media::MediaError;
use media::io::AccessUnits;
use resilience::fault::Fault;
use resilience::stop::Stop;

/// For the store to write what it has yet, at the end: seconds of video are nothing to a disk that works.
const STORE_TIME: Duration = Duration::from_millis(300);

/// What an agent is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to capture.
    pub media: media::Options,
    /// What to run.
    pub work: Work,
    /// Where candidates are found.
    pub finding: Finding,
    /// What they must keep to.
    pub rules: OfferRules,
    /// What a lost job leads to.
    pub recovery: Recovery,
}

/// A change of what an agent is to do, while it runs.
pub enum Change {
    /// Other parameters: for the job that is live, and for every one that starts from now on.
    Params(Map<String, Value>),
    /// Another camera, another shape; the job goes on.
    Media(Box<media::Options>),
    /// Another job, or other places to find one; the camera goes on.
    Place(Box<Place>),
    /// What a lost job leads to.
    Recovery(Recovery),
    /// Other outputs.
    Outputs(Vec<Box<dyn SegmentSink>>),
}

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct Place {
    /// What to run.
    pub work: Work,
    /// Where candidates are found.
    pub finding: Finding,
    /// What they must keep to.
    pub rules: OfferRules,
    /// How they are reached.
    pub network: Network,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Params(_) => "parameters",
            Self::Media(_) => "camera",
            Self::Place(_) => "job",
            Self::Recovery(_) => "recovery",
            Self::Outputs(_) => "outputs",
        })
    }
}

/// An agent, ready to run.
pub struct Agent {
    options: Options,
    network: Network,
    units: AccessUnits,
    status: Status,
    outputs: Vec<Box<dyn SegmentSink>>,
    changes: Option<mpsc::Receiver<Change>>,
}

impl Agent {
    /// An agent that counts in `status` and hands what comes back to `outputs`.
    pub fn new(
        options: Options,
        network: Network,
        status: Status,
        outputs: Vec<Box<dyn SegmentSink>>,
    ) -> Self {
        Self { options, network, units: AccessUnits::new(), status, outputs, changes: None }
    }

    /// The same agent, which takes these changes while it runs.
    #[must_use]
    pub fn with_changes(self, changes: mpsc::Receiver<Change>) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// The same agent, whose captured video passes through `units`: for a caller that reads what these count.
    #[must_use]
    pub fn with_units(self, units: AccessUnits) -> Self {
        Self { units, ..self }
    }

    /// Runs until `stop`, the end of the input, or a failure. The camera is opened at once, so that what
    /// is wrong with it is said before a job costs anything; it gives frames once a job is live, or at once if
    /// they are stored. One that is not there, but may come, is waited for without a job, unless a loss is to
    /// be the end.
    pub async fn run(self, mut stop: Stop) -> Result<(), AgentError> {
        let units = self.units.clone();
        units.set_store(self.options.media.store.as_ref());
        units.await_next(self.options.recovery == Recovery::Retry);
        let open = cameras::open(self.options.media.clone(), units.clone());
        let capture = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            capture = open => capture,
        };
        let waits = |error: &MediaError| {
            self.options.recovery == Recovery::Retry && error.fault() == Fault::Retry
        };
        let capture = match capture {
            Err(error) if !waits(&error) => return Err(AgentError::Capture(error)),
            capture => capture,
        };
        let endings = self.network.endings.clone();
        let result = run::run(self, capture, stop).await;
        // The list that is left is for the next life of the program.
        let written = tokio::task::spawn_blocking(move || endings.write());
        let _ = tokio::time::timeout(STORE_TIME, written).await;
        units.end_store(STORE_TIME).await;
        result
    }
}
