//! Everything that can happen to a running agent, in one closed list for each part that it happens to.
//!
//! Does not: decide; `job::Machine` does.

use std::time::Duration;

use crate::agent::Change;
use crate::agent::clock::ClockSample;
use crate::agent::jobs::{Candidates, Offered};
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobError, JobEvent, StartedJob};
use livepeer_gateway::payment::io::PayerReport;
use livepeer_gateway::session::selection::Offer;
use livepeer_gateway::trickle::{ChannelEnd, TrickleError};
use media::MediaError;
use media::io::{Capture, End as CaptureEnd};
use resilience::fault::Failure;

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody asked to stop.
    Stop,
    /// The machine's time has come.
    Timeout,
    /// There is another configuration.
    Change(Change),
    /// To the camera, or what stands in for it.
    Cameras(Box<CameraEvent>),
    /// A reading of the network is due.
    Reading,
    /// To the job that runs, one that is started, or the search for the next.
    Jobs(Box<JobsEvent>),
    /// This machine's clock was sampled.
    Clock(ClockSample),
    /// The service manager wants to hear something.
    Watchdog,
}

/// What happened to the camera, or to what stands in for it.
#[derive(Debug)]
pub(super) enum CameraEvent {
    /// Capture has ended by itself.
    Ended(CaptureEnd),
    /// The camera gave its first frame.
    Frame,
    /// A camera that was lost, or is to be opened again, has stopped.
    Stopped,
    /// It is time to open the camera.
    Due,
    /// It was opened, or not.
    Opened(Result<Capture, MediaError>),
    /// The slate in its place was opened, or not.
    SlateOpened(Result<Capture, MediaError>),
    /// What nobody waits for has stopped.
    SlateStopped,
    /// Capture was stopped by us, for good.
    StoppedForGood,
}

/// What happened to the job that runs, to one that is started, or to the search for the next.
#[derive(Debug)]
pub(super) enum JobsEvent {
    /// It is known who may take the job, or why nobody is.
    Found(Result<Candidates, Failure>),
    /// A candidate was asked for its offer, and took this long.
    Asked(Url, Duration, Result<(Offer, Offered), Failure>),
    /// A peer that could not be reached can be reached again.
    Reachable,
    /// The candidate of the start with this number was asked for the job.
    Started(u64, Result<Box<StartedJob>, JobError>),
    /// The app of a runner was told of the parameters.
    Updated(Result<(), JobError>),
    /// A part has ended.
    PartEnded(Part, Result<ChannelEnd, TrickleError>),
    /// How a payment went.
    Payment(PayerReport),
    /// Nothing pays any more.
    PayerEnded,
    /// A segment of processed video has begun.
    Output,
    /// An event came from the job.
    Model(JobEvent),
    /// The job wants a sign of life.
    KeepAlive,
    /// A task panicked; what it said.
    Panicked(String),
    /// A job is closed at its orchestrator.
    Stopped,
    /// A step of the close has taken as long as it may.
    CloseTimeout,
    /// Every part has ended.
    Closed,
}

/// A part that runs while a job is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Our video to the orchestrator.
    Publisher,
    /// The processed video back.
    Output,
    /// The job's events.
    Events,
    /// Parameters and keep-alives.
    Control,
}

impl Part {
    /// The name of its channel.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publish",
            Self::Output => "output",
            Self::Events => "events",
            Self::Control => "control",
        }
    }
}
