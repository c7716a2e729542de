//! The reasons for which a job does not start or is lost.
//!
//! Does not: decide how to recover; `Machine` does, from [`JobError::failure`] and `Loss::suspension`.

use std::fmt;
use std::time::Duration;

use crate::http::Url;
use crate::http::io::CallError;
use crate::job::machine::{BRIEFLY, SUSPENSION};
use crate::job::runner::RunnerError;
use crate::session::SessionError;
use resilience::fault::{Failure, Fault, chain};

/// Why a job does not start.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The session could not be used, or the call got no answer.
    #[error(transparent)]
    Session(SessionError),
    /// The orchestrator has no capacity for the model (503).
    #[error("{0}: orchestrator has no capacity for this model (503): {1}")]
    NoCapacity(Url, String),
    /// The orchestrator refused the payment that it got (402, 403).
    #[error("{0}: orchestrator refused the payment ({1}): {2}")]
    Payment(Url, u16, String),
    /// The orchestrator requires a payment (402, 403), and no signer is configured.
    #[error("{0}: orchestrator starts no job without a payment ({1}); set signer.urls: {2}")]
    NeedsSigner(Url, u16, String),
    /// The runner behind the orchestrator refuses the model or its parameters, after the payment.
    #[error(
        "{0}: the runner refuses the model or its parameters; check job.model and job.params: {1}"
    )]
    Params(Url, String),
    /// The orchestrator answered with another status.
    #[error("{0}: orchestrator refused the job ({1}): {2}")]
    Refused(Url, u16, String),
    /// The start of a job on a runner, or of a scope, failed.
    #[error(transparent)]
    Runner(Box<RunnerError>),
    /// The orchestrator accepted the job, but its answer is unusable.
    #[error("{0}: orchestrator's answer to the job is unusable: {1}")]
    Nonsense(Url, String),
}

impl JobError {
    /// How to react: retry, refresh the orchestrator's data, try the next peer, or give up.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Session(error) => error.fault(),
            Self::Runner(error) => error.fault(),
            // A full orchestrator may have capacity later.
            Self::NoCapacity(..) => Fault::Retry,
            Self::Params(..) => Fault::GiveUp,
            Self::Payment(..) | Self::NeedsSigner(..) | Self::Refused(..) | Self::Nonsense(..) => {
                Fault::NextPeer
            }
        }
    }
}

impl JobError {
    /// The error with everything that the choice of the next step depends on; pass it to `Machine`.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Session(error) => error.failure(),
            Self::Runner(error) => error.failure(),
            Self::NoCapacity(..)
            | Self::Payment(..)
            | Self::NeedsSigner(..)
            | Self::Params(..)
            | Self::Refused(..)
            | Self::Nonsense(..) => Failure::of_peer(chain(self), self.fault()),
        }
    }

    /// Whether the orchestrator may have taken the first payment: the payment was sent, and no answer says that it was
    /// refused or not processed. An orchestrator checks its capacity (503) before it processes the payment, and calls
    /// its worker afterwards (protocol.md, section 5).
    pub fn is_paid(&self) -> bool {
        match self {
            Self::Session(SessionError::Call(error)) => !matches!(error, CallError::Connect(_)),
            Self::Session(_) | Self::NoCapacity(..) | Self::Payment(..) | Self::NeedsSigner(..) => {
                false
            }
            Self::Runner(error) => error.is_paid(),
            Self::Params(..) | Self::Refused(..) | Self::Nonsense(..) => true,
        }
    }
}

/// Why a live job was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The orchestrator ended a channel, or cannot serve it: the channel's name, and how it ended.
    Channel(&'static str, String),
    /// The connection of a channel broke: the channel's name, and how it broke.
    Link(&'static str, String),
    /// Video was sent, but no processed video was received for this long.
    NoOutput(Duration),
    /// No processed video was received, and no video could be sent for this long.
    NoVideoSent(Duration),
    /// No event was received for this long.
    NoEvent(Duration),
    /// A part of the agent itself failed: the part's name, and how it failed.
    Part(&'static str, String),
    /// The orchestrator must not, or cannot, be paid any more: the reason.
    Payment(String),
    /// The orchestrator closed an unpaid job: how it was closed, and why it was not paid.
    Unpaid(String, String),
    /// The orchestrator reports that the session is over, in these words.
    SessionOver(String),
}

impl Loss {
    /// Whether the loss requires another orchestrator or session. If so, continue there even under `Recovery::Exit`,
    /// where any other loss ends the agent.
    pub(crate) fn asks_for_another(&self) -> bool {
        match self {
            Self::Payment(_) | Self::SessionOver(_) => true,
            Self::Channel(..)
            | Self::Link(..)
            | Self::NoOutput(_)
            | Self::NoVideoSent(_)
            | Self::NoEvent(_)
            | Self::Part(..)
            | Self::Unpaid(..) => false,
        }
    }

    /// How long to suspend the orchestrator that was left. A suspended orchestrator is tried after all others.
    ///
    /// | cause of the loss | suspension |
    /// |---|---|
    /// | no processed video although video was sent; must not or cannot be paid | 30 min: likely to happen again |
    /// | the orchestrator ended the job, sends no events, or received no video | 5 min: it may recover soon |
    /// | a connection broke, our signer is down, a part of the agent failed | none: the orchestrator is not at fault |
    pub(crate) fn suspension(&self) -> Duration {
        match self {
            Self::NoOutput(_) | Self::Payment(_) => SUSPENSION,
            Self::Channel(..) | Self::NoVideoSent(_) | Self::NoEvent(_) | Self::SessionOver(_) => {
                BRIEFLY
            }
            Self::Link(..) | Self::Part(..) | Self::Unpaid(..) => Duration::ZERO,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(name, how) => write!(f, "the {name} channel ended: {how}"),
            Self::Link(name, how) => write!(f, "the {name} channel failed: {how}"),
            Self::NoOutput(time) => {
                write!(f, "no processed video for {} s while video was sent", time.as_secs())
            }
            Self::NoVideoSent(time) => {
                let time = time.as_secs();
                write!(f, "no video was sent for {time} s, and no processed video came")
            }
            Self::NoEvent(time) => write!(f, "no event for {} s", time.as_secs()),
            Self::Part(name, how) => write!(f, "{name} broke: {how}"),
            Self::Payment(why) => write!(f, "it can no longer be paid: {why}"),
            Self::Unpaid(how, why) => {
                write!(f, "the orchestrator closed the unpaid job ({how}); not paid because {why}")
            }
            Self::SessionOver(why) => write!(f, "the session is over: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Authority;
    use crate::http::io::ConnectError;
    use crate::job::runner::Step;

    fn url() -> Url {
        Url::parse("https://o.example:8935").unwrap()
    }

    #[track_caller]
    fn check(error: JobError, is_paid: bool, fault: Fault) {
        assert_eq!((error.is_paid(), error.failure().fault), (is_paid, fault), "{error}");
    }

    fn call(error: CallError) -> JobError {
        JobError::Session(SessionError::Call(error))
    }

    fn runner(error: RunnerError) -> JobError {
        JobError::Runner(Box::new(error))
    }

    fn refused(step: Step, status: u16) -> JobError {
        let (peer, message): (Authority, _) = (url().authority().clone(), String::new());
        runner(RunnerError::Refused { step, peer, status, message })
    }

    #[test]
    fn a_failed_start_counts_as_paid_unless_it_certainly_was_not() {
        let time = Duration::from_secs(90);
        let words = || "no".to_owned();
        check(call(CallError::Timeout(url(), time)), true, Fault::Retry);
        check(call(CallError::Broken(url(), words())), true, Fault::Retry);
        let no_connection = || CallError::Connect(ConnectError::Timeout(url().authority().clone()));
        check(call(no_connection()), false, Fault::Retry);
        check(JobError::NoCapacity(url(), words()), false, Fault::Retry);
        check(JobError::Payment(url(), 402, words()), false, Fault::NextPeer);
        check(JobError::NeedsSigner(url(), 402, words()), false, Fault::NextPeer);
        check(JobError::Refused(url(), 500, words()), true, Fault::NextPeer);
        check(JobError::Nonsense(url(), words()), true, Fault::NextPeer);
        check(JobError::Params(url(), words()), true, Fault::GiveUp);
        // A runner takes the payment with the reservation.
        check(refused(Step::Reserve, 503), false, Fault::NextPeer);
        check(refused(Step::Start, 503), true, Fault::NextPeer);
        check(refused(Step::Start, 422), true, Fault::GiveUp);
        check(
            runner(RunnerError::NoAnswer(Step::Reserve, no_connection())),
            false,
            Fault::NextPeer,
        );
        check(runner(RunnerError::NoAnswer(Step::Start, no_connection())), true, Fault::NextPeer);
    }

    #[test]
    fn only_the_orchestrators_own_faults_suspend_it_for_long() {
        let words = || "how".to_owned();
        let minutes = |loss: Loss| loss.suspension().as_secs() / 60;
        assert_eq!(minutes(Loss::NoOutput(Duration::from_secs(30))), 30);
        assert_eq!(minutes(Loss::Payment(words())), 30);
        assert_eq!(minutes(Loss::Channel("output", words())), 5);
        assert_eq!(minutes(Loss::NoVideoSent(Duration::from_secs(30))), 5);
        assert_eq!(minutes(Loss::NoEvent(Duration::from_secs(30))), 5);
        for ours in [
            Loss::Link("publish", words()),
            Loss::Unpaid(words(), words()),
            Loss::Part("output", words()),
        ] {
            assert_eq!(ours.suspension(), Duration::ZERO, "{ours}");
        }
    }
}
