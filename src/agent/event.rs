//! Everything that can happen to a running agent, in one closed list.
//!
//! Does not: decide; `job::Machine` does.

use std::time::Duration;

use crate::agent::Change;
use crate::agent::work::{Candidates, With};
use livepeer_gateway::clock::Look;
use livepeer_gateway::http::Late;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobError, JobEvent, StartedJob};
use livepeer_gateway::payment::io::Turn;
use livepeer_gateway::session::selection::Offer;
use livepeer_gateway::trickle::{End as ChannelEnd, TrickleError};
use media::MediaError;
use media::io::{Capture, End as CaptureEnd};
use resilience::fault::Failure;

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

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// It is known who may take the job, or why nobody is.
    Found(Result<Candidates, Failure>),
    /// A candidate was asked for its offer, and took this long.
    Asked(Url, Duration, Result<(Offer, With), Failure>),
    /// The candidate of the start with this number was asked for the job.
    Started(u64, Result<Box<StartedJob>, JobError>),
    /// The app of a runner was told of them.
    Updated(Result<(), JobError>),
    /// A part has ended.
    PartEnded(Part, Result<ChannelEnd, TrickleError>),
    /// How a payment went.
    Payment(Turn),
    /// Nothing pays any more.
    PayerEnded,
    /// A task panicked; what it said.
    Panicked(String),
    /// The job is closed at the orchestrator.
    JobStopped,
    /// Capture has ended.
    CaptureEnded(CaptureEnd),
    /// Capture was stopped by us, for good.
    CaptureStopped,
    /// A camera that was lost has stopped.
    CameraStopped,
    /// It is time to open it again.
    CameraDue,
    /// It was opened, or not.
    CameraOpened(Result<Capture, MediaError>),
    /// It gave its first frame.
    CameraFrame,
    /// The slate in its place was opened, or not.
    SlateOpened(Result<Capture, MediaError>),
    /// The way to the network is to be looked at.
    Reading,
    /// This machine's clock was looked at; whose certificates were refused for their time.
    Clock(Look, Vec<Late>),
    /// A peer that could not be reached can be reached again.
    Reachable,
    /// There is another configuration.
    Change(Change),
    /// A segment of processed video has begun.
    Output,
    /// An event came from the job.
    Job(JobEvent),
    /// Somebody asked to stop.
    Stop,
    /// The machine's time has come.
    Timeout,
    /// A step of the close has taken as long as it may.
    CloseTimeout,
    /// Every part has ended.
    Closed,
    /// The service manager wants to hear something.
    Look,
    /// The job wants a sign of life.
    KeepAlive,
}
