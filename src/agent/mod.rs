//! The running program: builds the parts, owns their queues and their shutdown, reports events to `job::Machine` and
//! carries out its commands.
//!
//! ```text
//!  cameras ─┐                                              ┌─▶ cameras: play, stop
//!  jobs    ─┼─▶ LoopEvent ─▶ owner's on() ─▶ job::Machine ─┼─▶ jobs: find, ask, start, run, close
//!  clock   ─┤                                              └─▶ finish
//!  switch  ─┤
//!  motion  ─┤
//!  changes, signals, time ─┘
//! ```
//!
//! Every task belongs to a `JoinSet` of its owner: a panic is an event, and the end of the loop ends all tasks. The
//! loop is in `run`.
//!
//! Does not: decide when to retry or give up; the machine does.

mod cameras;
mod clock;
mod control;
mod error;
mod event;
mod jobs;
mod kept_params;
mod kept_wish;
mod local_time;
mod motion;
mod output;
mod run;
mod schedule;
mod spending;
mod switch;
mod systemd;
mod traffic;
mod traffic_budget;
mod trigger;
mod wait;
mod wanted;

pub use control::{
    Asked, Control, ControlError, Edit, JobAnswer, PARAMS_BYTES, Parameters, ParamsState,
};
pub use error::AgentError;
pub use jobs::{DRAIN_TIME, DiscoveryOptions, END_TIME, JobSpec, MediaFlow};
pub use kept_params::KeptParams;
pub use kept_wish::KeptWish;
pub(crate) use local_time::local_offset;
pub use output::{Attached, Outputs};
pub use schedule::{Schedule, ScheduleError};
pub use spending::follow_budget;
pub use traffic_budget::{Interfaces, Steered, follow_data};
pub use wanted::{Hold, JobWish, LINGER, WantedOptions, When};

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::events::Bus;
use crate::status::Status;
use livepeer_gateway::job::Recovery;
use livepeer_gateway::session::Network;
use livepeer_gateway::session::selection::OfferRules;
use livepeer_gateway::trickle::io::SegmentSink;
use media::MediaError;
use media::io::AccessUnits;
use resilience::fault::Fault;
use resilience::stop::Stop;

/// The time that the store and other files get at the end to be written: a working disk writes seconds of video in less.
const STORE_TIME: Duration = Duration::from_millis(300);

/// What an agent captures and runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The source, the encoder and the store.
    pub media: media::Options,
    /// The job, and where it may run.
    pub job: JobPlan,
    /// What the agent does when the job or the camera is lost: start again, or end.
    pub recovery: Recovery,
}

/// A change of the options while the agent runs. Send it to the receiver of [`Agent::with_changes`].
pub enum Change {
    /// New parameters of the configuration: for the live job, and for every later start. The new ones replace those
    /// that a [`Control`] set.
    Params(Map<String, Value>),
    /// A request of a [`Control`].
    Control(Asked),
    /// New media options. The camera is opened again if the new options need that; the job goes on.
    Media(Box<media::Options>),
    /// Another job, or other candidates. The live job is closed and the next one started; the camera goes on.
    Job(Box<JobPlan>),
    /// What the agent does when the job or the camera is lost.
    Recovery(Recovery),
    /// When a job is wanted.
    Wanted(WantedOptions),
    /// The highest bitrate for now, where the encoder's can be set; `None` for the configuration's alone.
    BitrateLimit(Option<u32>),
    /// New outputs, in place of those of the configuration; attached outputs stay.
    Outputs(Vec<Box<dyn SegmentSink>>),
}

/// The job to run, and where it may run.
#[derive(Debug, Clone)]
pub struct JobPlan {
    /// The job.
    pub spec: JobSpec,
    /// Where candidates are found.
    pub discovery: DiscoveryOptions,
    /// The rules that candidates must keep to.
    pub rules: OfferRules,
    /// How candidates are reached, trusted and paid.
    pub network: Network,
    /// Keeps parameters that a [`Control`] sets. Start the job with [`KeptParams::params`].
    pub kept: KeptParams,
}

impl JobPlan {
    /// Sets in `status` what the plan says about the job and its payments.
    fn describe(&self, status: &Status) {
        let [model, capability] = self.spec.names();
        status.set_job(&model, &capability);
        let signers = self.network.payments.as_ref().map(|payments| &payments.signers);
        status.payment.follow(signers.map(|signers| Arc::clone(signers.spent())));
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Params(_) => "parameters",
            Self::Control(_) => "request",
            Self::Media(_) => "camera",
            Self::Job(_) => "job",
            Self::Recovery(_) => "recovery",
            Self::Wanted(_) => "when a job runs",
            Self::Outputs(_) => "outputs",
            Self::BitrateLimit(_) => "bitrate limit",
        })
    }
}

/// An agent, ready to run.
pub struct Agent {
    options: Options,
    units: AccessUnits,
    status: Status,
    outputs: Outputs,
    changes: Option<mpsc::Receiver<Change>>,
    bus: Bus,
    wanted: (WantedOptions, KeptWish),
}

impl Agent {
    /// Creates an agent that counts in `status` and writes processed video to `outputs`. Outputs must not block.
    /// Call [`Agent::run`] to start it.
    pub fn new(options: Options, status: Status, outputs: Vec<Box<dyn SegmentSink>>) -> Self {
        let (outputs, bus) = (Outputs::new(outputs), Bus::default());
        let (units, wanted) = (AccessUnits::new(), Default::default());
        Self { options, units, status, outputs, changes: None, bus, wanted }
    }

    /// The same agent; a job runs when `options`, or the owner's wish in `kept`, say so. Without this call, a job
    /// always runs.
    #[must_use]
    pub fn with_wanted(self, options: WantedOptions, kept: KeptWish) -> Self {
        Self { wanted: (options, kept), ..self }
    }

    /// The same agent; it applies the `changes` that it receives while it runs.
    #[must_use]
    pub fn with_changes(self, changes: mpsc::Receiver<Change>) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// The same agent; captured video passes through `units`, whose counters the caller may read.
    #[must_use]
    pub fn with_units(self, units: AccessUnits) -> Self {
        Self { units, ..self }
    }

    /// The outputs, to attach others while the agent runs.
    pub fn outputs(&self) -> Outputs {
        self.outputs.clone()
    }

    /// The same agent; it publishes its events on `bus`.
    #[must_use]
    pub fn with_events(self, bus: Bus) -> Self {
        Self { bus, ..self }
    }

    /// Runs until `stop`, the end of the input, or a failure. The camera is opened first, so that a fault of the camera
    /// is reported before a job costs anything. The camera plays once a job is live, or at once if input is stored or
    /// no job is wanted. A camera that is absent but may come is waited for without a job; with [`Recovery::Exit`] it
    /// is an error.
    pub async fn run(self, mut stop: Stop) -> Result<(), AgentError> {
        let units = self.units.clone();
        units.time_frames();
        self.status.begin(Instant::now());
        self.status.set_units(units.clone());
        units.set_store(self.options.media.store.as_ref());
        units.await_next(self.options.recovery == Recovery::Retry);
        let open = cameras::open(self.options.media.clone(), units.clone());
        let capture = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            capture = open => capture,
        };
        let retries = |error: &MediaError| {
            self.options.recovery == Recovery::Retry && error.fault() == Fault::Retry
        };
        let capture = match capture {
            Err(error) if !retries(&error) => return Err(AgentError::Capture(error)),
            capture => capture,
        };
        let endings = self.options.job.network.endings.clone();
        let result = run::run(self, capture, stop).await;
        // The next run of the program asks for the ends that are still outstanding.
        let written = tokio::task::spawn_blocking(move || endings.write());
        let _ = tokio::time::timeout(STORE_TIME, written).await;
        units.end_store(STORE_TIME).await;
        units.end_outputs(STORE_TIME).await;
        result
    }
}
