//! What is said to the machine of a job, and what it answers.
//!
//! Does not: decide.

use std::time::{Duration, Instant};

use heapless::Vec as Bounded;

use crate::http::Url;
use crate::job::{Loss, Recovery};
use crate::session::selection::{CandidateOrder, NoCandidateLeft, Offer, OfferRules};
use resilience::fault::Failure;

/// What happened. `T` is what came with an offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<T> {
    /// These may take the job.
    Found {
        /// Who, as they are listed.
        urls: Vec<Url>,
        /// Who of those that fit is tried first.
        order: CandidateOrder,
    },
    /// Nobody could be found.
    FindFailed(Failure),
    /// One that was asked offers this.
    Offered {
        /// Who.
        url: Url,
        /// What.
        offer: Offer,
        /// How long the answer took.
        answer_time: Duration,
        /// What came with it.
        with: T,
    },
    /// One that was asked gave no usable answer.
    NoAnswer(Url, Failure),
    /// The job has started and its channels exist. Which of the two health rules apply is known now.
    Started {
        /// The job has an output channel.
        has_output: bool,
        /// The job has an events channel.
        has_events: bool,
    },
    /// The job did not start.
    StartFailed {
        /// Why; the text names the orchestrator.
        failure: Failure,
        /// The orchestrator may have taken the first payment.
        is_paid: bool,
    },
    /// The job was sent media of this length so far, and nothing goes wrong at the moment.
    Sent(Duration),
    /// Some video was sent since this was said last.
    VideoSent,
    /// A segment of processed video came back.
    Output,
    /// An event came.
    JobEvent,
    /// The job cannot go on.
    Lost(Loss),
    /// Capture came to its end: nothing is left to send.
    CaptureDone,
    /// Capture broke for good; the reason in one line.
    CaptureFailed(String),
    /// The camera gives no frames any more, and is looked for.
    CameraLost,
    /// It gives frames again.
    CameraBack,
    /// A peer that could not be reached, or was refused for this machine's clock, may be asked again.
    Reachable,
    /// The next start has other parameters: who refused the last ones may take these.
    NewParams,
    /// From now on a loss leads to this.
    Recover(Recovery),
    /// From now on a job goes on without a camera for this long.
    Hold(Duration),
    /// From now on other candidates are looked for, which must keep to these rules.
    Replace(OfferRules),
    /// Somebody asked to stop.
    Stop,
    /// All parts of the job have ended and it is closed at the orchestrator.
    Closed,
    /// The time that [`Machine::poll_timeout`](super::Machine::poll_timeout) named has come.
    Timeout,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is being found out who may take the job.
    Finding,
    /// Orchestrators are asked.
    Selecting {
        /// They have until then.
        until: Instant,
    },
    /// One of them was asked for the job.
    Starting,
    /// The job runs.
    Live,
    /// Nobody took the job; there is a next try.
    Waiting {
        /// It begins then.
        until: Instant,
    },
    /// The camera has been gone for too long for a job.
    Dark,
    /// The job is being closed here, to go on elsewhere.
    Leaving,
    /// The job is being closed, or all is over.
    Ending,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Command<T> {
    /// Find out who may take the job.
    Find,
    /// Ask these, all at once, what they offer. While a job is live, as spares.
    Ask(Vec<Url>),
    /// Start the job there.
    Start(Url, T),
    /// Start the job there beside the one that runs; answer as for [`Command::Start`].
    StartNext(Url, T),
    /// Say that the job is handed over to a new one, because its times would wrap.
    Renew,
    /// End the parts of the job that runs and close it, but keep the one that was started beside it: the next
    /// [`Command::Run`] is for that. Answer with [`Event::Closed`].
    HandOver,
    /// Run the job's parts: publisher, output, events, control, payments.
    Run,
    /// End the job's parts and close the job, and one that was started beside it; answer with [`Event::Closed`].
    Close {
        /// Nothing comes after it: capture stops first.
        for_good: bool,
    },
    /// Say that this job was lost, and that the next one is looked for.
    Left(Loss),
    /// Say why the next start comes after this pause only.
    SlowDown(Slowness, Duration),
    /// Say why there is no job now. The next try comes by itself, or with [`Event::Reachable`].
    TryLater(Outcome),
    /// Leave the loop.
    Finish(Outcome),
}

/// Why the next start has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slowness {
    /// Jobs are lost too often: the input or the model is probably at fault.
    Losses,
    /// Starts that failed have prepaid more time than has passed.
    PaidAhead,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// As was asked: a stop, or the end of the input.
    Done,
    /// Nobody could be found.
    FindFailed(Failure),
    /// No orchestrator took the job.
    NoCandidateLeft(NoCandidateLeft),
    /// The job was lost.
    Lost(Loss),
    /// Capture broke; the reason in one line.
    Capture(String),
}

/// At most this many commands follow one event.
pub type Commands<T> = Bounded<Command<T>, 3>;
