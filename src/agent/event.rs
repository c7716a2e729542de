//! All events of a running agent: one closed enum per owner.
//!
//! Does not: decide what an event leads to; `job::Machine` does.

use std::time::Duration;

use crate::agent::Change;
use crate::agent::clock::ClockSample;
use crate::agent::jobs::{Candidates, Offered, Sending};
use crate::agent::trigger::TriggerReading;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobError, JobEvent, StartedJob};
use livepeer_gateway::payment::io::PayerReport;
use livepeer_gateway::session::selection::Offer;
use livepeer_gateway::trickle::{ChannelEnd, TrickleError};
use media::MediaError;
use media::io::{Capture, End as CaptureEnd};
use media::motion::MotionEvent;
use resilience::fault::Failure;

/// An event of the loop.
#[derive(Debug)]
pub(super) enum LoopEvent {
    /// A stop was requested.
    Stop,
    /// The timeout of `job::Machine` has expired.
    Timeout,
    /// The time for another decision whether a job is wanted.
    Wanted,
    /// The trigger was read.
    Trigger(TriggerReading),
    /// The options have changed.
    Change(Change),
    /// An event of the camera or its slate.
    Cameras(Box<CameraEvent>),
    /// The next reading of the network for the bitrate controller is due.
    Reading,
    /// An event of the live job, a start, or the search.
    Jobs(Box<JobsEvent>),
    /// An event of the motion in front of the camera.
    Motion(MotionEvent),
    /// This computer's clock was sampled.
    Clock(ClockSample),
    /// The watchdog of the service manager is due.
    Watchdog,
}

/// An event of the camera, or of the slate that replaces a lost one.
#[derive(Debug)]
pub(super) enum CameraEvent {
    /// Capture has ended without a stop.
    Ended(CaptureEnd),
    /// The camera delivered its first frame.
    Frame,
    /// The capture of a camera that was lost, or that will be opened again, has stopped.
    Stopped,
    /// The next attempt to open the camera is due.
    Due,
    /// An attempt to open the camera has ended.
    Opened(Result<Capture, MediaError>),
    /// An attempt to open the slate has ended.
    SlateOpened(Result<Capture, MediaError>),
    /// A slate, or a camera that is not wanted any more, has stopped.
    SlateStopped,
    /// Capture has stopped for the end of the program.
    StoppedForGood,
}

/// An event of the live job, of a start, or of the search for candidates.
#[derive(Debug)]
pub(super) enum JobsEvent {
    /// Candidates were found, or the search failed.
    Found(Result<Candidates, Failure>),
    /// A candidate answered the request for its offer after this time, or failed.
    Asked(Url, Duration, Result<(Offer, Offered), Failure>),
    /// An unreachable peer has become reachable.
    Reachable,
    /// The start with this number has ended.
    Started(u64, Result<Box<StartedJob>, JobError>),
    /// The call that gives a runner's app parameters has ended.
    Updated(Sending, Result<(), JobError>),
    /// Parameters were sent on the control channel, or the channel ended before.
    ParamsSent(Sending, bool),
    /// The time for a confirmation of the parameters is over.
    ParamsTimeout,
    /// A part has ended.
    PartEnded(Part, Result<ChannelEnd, TrickleError>),
    /// The outcome of a payment.
    Payment(PayerReport),
    /// The payer has ended.
    PayerEnded,
    /// A segment of processed video has begun.
    Output,
    /// An event came on the job's events channel.
    Model(JobEvent),
    /// The next keep-alive is due.
    KeepAlive,
    /// A task panicked, with this message.
    Panicked(String),
    /// A job has been stopped at its orchestrator or runner.
    Stopped,
    /// A step of the close has reached its time limit.
    CloseTimeout,
    /// Every part has ended.
    Closed,
}

/// A part of a live job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Publishes the captured video.
    Publisher,
    /// Receives the processed video.
    Output,
    /// Receives the job's events.
    Events,
    /// Publishes parameters and keep-alives.
    Control,
}

impl Part {
    /// The name of the part's channel.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publish",
            Self::Output => "output",
            Self::Events => "events",
            Self::Control => "control",
        }
    }
}
