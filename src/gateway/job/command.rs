//! The events that a job's state machine takes, and the commands that it returns.
//!
//! Does not: decide which command follows an event; `Machine` does.

use std::time::{Duration, Instant};

use heapless::Vec as Bounded;

use crate::http::Url;
use crate::job::{Loss, Recovery};
use crate::session::selection::{CandidateOrder, NoCandidateLeft, Offer, OfferRules};
use resilience::fault::Failure;

/// Something that happened, to be passed to [`Machine::on`](super::Machine::on). `T` is the caller's data of an offer,
/// which comes back in the command that starts the job there.
#[derive(Debug, Clone, PartialEq)]
pub enum MachineEvent<T> {
    /// The search found these candidates for the job.
    Found {
        /// The candidates, in the order of their list.
        urls: Vec<Url>,
        /// How to order the candidates whose offers fit.
        order: CandidateOrder,
    },
    /// The search found no candidate.
    FindFailed(Failure),
    /// A candidate answered with an offer.
    Offered {
        /// The candidate.
        url: Url,
        /// What the candidate offers.
        offer: Offer,
        /// How long the answer took.
        answer_time: Duration,
        /// The caller's data of this offer.
        with: T,
    },
    /// A candidate gave no usable answer.
    NoAnswer(Url, Failure),
    /// The job has started and its channels exist. The two fields say which health rules apply to the job.
    Started {
        /// The job has an output channel.
        has_output: bool,
        /// The job has an events channel.
        has_events: bool,
    },
    /// The job did not start.
    StartFailed {
        /// The reason; its text must name the orchestrator.
        failure: Failure,
        /// The orchestrator may have taken the first payment.
        is_paid: bool,
    },
    /// The length of the media that was sent to the job so far. In response the state machine may hand the job over to
    /// a new one, so report the length only while video gets through, or once the hand-over is urgent.
    Sent(Duration),
    /// Video was sent since the last event of this kind.
    VideoSent,
    /// A segment of processed video came back.
    Output,
    /// An event of the job was received.
    JobEvent,
    /// The job cannot continue.
    Lost(Loss),
    /// Capture reached the end of the input: nothing is left to send.
    CaptureDone,
    /// Capture failed permanently; the reason in one line.
    CaptureFailed(String),
    /// The camera delivers no frames any more; the agent tries to reopen it.
    CameraLost,
    /// The camera delivers frames again.
    CameraBack,
    /// Try peers again now: a peer that was down is reachable, or a peer that was refused because of this computer's
    /// clock can be accepted.
    Reachable,
    /// The next start has other parameters: a peer that refused the previous ones may accept these.
    NewParams,
    /// From now on, handle losses this way.
    Recover(Recovery),
    /// From now on, keep a job for this long after its camera is lost.
    Hold(Duration),
    /// From now on, search for other candidates, whose offers must comply with these rules.
    Replace(OfferRules),
    /// No job is wanted until [`MachineEvent::Resume`]: the one that runs is closed, and none is started.
    Pause,
    /// As [`MachineEvent::Pause`], but a job may be wanted at any moment: candidates are searched for, asked and ranked, and
    /// asked again before their offers expire. That costs nothing, and [`MachineEvent::Resume`] then starts a job at once.
    Standby,
    /// A job is wanted again.
    Resume,
    /// The user or the system asked the agent to stop.
    Stop,
    /// All parts of the job have ended, and the job is closed at the orchestrator.
    Closed,
    /// The time returned by [`Machine::poll_timeout`](super::Machine::poll_timeout) is reached.
    Timeout,
}

/// The stage of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The agent searches for candidates.
    Finding,
    /// The agent asks candidates for their offers.
    Selecting {
        /// The deadline for their answers.
        until: Instant,
    },
    /// One of the candidates was asked to start the job.
    Starting,
    /// The job runs.
    Live,
    /// No job runs; the agent searches again after a pause.
    Waiting {
        /// The end of the pause.
        until: Instant,
    },
    /// There is no camera, or no job is wanted: no job runs until that changes. During [`MachineEvent::Standby`],
    /// candidates are prepared.
    Dark,
    /// The job is being closed; another job may follow.
    Leaving,
    /// The job is being closed and no other follows, or the machine has finished.
    Ending,
}

/// What the caller must do now. Execute the commands in their order.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Command<T> {
    /// Search for candidates. Answer with [`MachineEvent::Found`] or [`MachineEvent::FindFailed`].
    Find,
    /// Ask these candidates for their offers, all in parallel. Answer for each with [`MachineEvent::Offered`] or
    /// [`MachineEvent::NoAnswer`]. While a job is live, they are asked as spares.
    Ask(Vec<Url>),
    /// Start the job at this URL. Answer with [`MachineEvent::Started`] or [`MachineEvent::StartFailed`].
    Start(Url, T),
    /// Start a second job at this URL beside the one that runs. Answer as for [`Command::Start`].
    StartNext(Url, T),
    /// Report that the job is handed over to a new one because its timestamps would wrap.
    Renew,
    /// End the parts of the job that runs and close that job, but keep the job that was started beside it: the next
    /// [`Command::Run`] is for the kept job. Answer with [`MachineEvent::Closed`].
    HandOver,
    /// Run the job's parts: publisher, output, events, control, payments.
    Run,
    /// End the job's parts and close the job, and also a job that was started beside it. Answer with
    /// [`MachineEvent::Closed`].
    Close {
        /// No other job follows: stop capture first.
        for_good: bool,
    },
    /// Report that the job was lost for this reason and that another one is searched for.
    Left(Loss),
    /// Report that the next start is delayed by this pause, and why.
    SlowDown(Slowness, Duration),
    /// Report why no job runs now. The state machine tries again after a pause, or on [`MachineEvent::Reachable`] or
    /// [`MachineEvent::NewParams`].
    TryLater(Outcome),
    /// The state machine has finished with this outcome: leave the event loop.
    Finish(Outcome),
}

/// Why the next start has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slowness {
    /// Jobs are lost too often: the input or the model is probably at fault.
    Losses,
    /// Failed starts have prepaid too much time in advance.
    PaidAhead,
}

/// How the search for a job, or the whole state machine, ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Ended as requested, or at the end of the input.
    Done,
    /// The search found no candidate.
    FindFailed(Failure),
    /// No orchestrator took the job.
    NoCandidateLeft(NoCandidateLeft),
    /// The job was lost.
    Lost(Loss),
    /// Capture failed; the reason in one line.
    Capture(String),
}

/// The commands that follow one event, in the order of execution; at most three.
pub type Commands<T> = Bounded<Command<T>, 3>;
