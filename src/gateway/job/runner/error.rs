//! Why a job on a runner failed, and how the caller must react.
//!
//! | error | reaction |
//! |---|---|
//! | no runner is known or left | retry later |
//! | a payment that the signer cannot make now (down, credential, balance) | retry later |
//! | unusable signer settings, a maximum price in an unfit unit, parameters that the app refuses (400, 422) or cannot change | give up: the configuration has to change |
//! | everything else | try the next runner |
//!
//! Does not: contain the URL of a session or a channel; those are credentials.

use std::fmt;

use super::api::UpdateTarget;
use super::moved::RedirectError;
use crate::http::io::CallError;
use crate::http::{Authority, RefusedUrl};
use crate::payment::{PaymentError, WireError};
use crate::session::SessionError;
use crate::session::selection::NoCandidateLeft;
use resilience::fault::{Failure, Fault, Scope, chain};

/// The step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reserving a session.
    Reserve,
    /// Starting the application.
    Start,
    /// Changing the application's parameters.
    Update,
    /// Calling a single-shot runner.
    Call,
    /// Starting a scope.
    Scope,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserve => "reservation",
            Self::Start => "start of the app",
            Self::Update => "update of the parameters",
            Self::Call => "call",
            Self::Scope => "start of the scope",
        })
    }
}

/// Why a job on a runner failed.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No listed runner has this application.
    #[error(
        "no runner of app `{0}` is known; check its name, or name an orchestrator or a discovery endpoint that has it"
    )]
    NoRunner(String),
    /// No candidate is left; the error names each one with the reason against it.
    #[error(transparent)]
    NoCandidateLeft(NoCandidateLeft),
    /// This step got no answer.
    #[error("{0} failed")]
    NoAnswer(Step, #[source] CallError),
    /// The session with the orchestrator cannot be used.
    #[error(transparent)]
    Session(SessionError),
    /// The runner refused.
    #[error("{peer}: {step} refused: {} ({status}{})", meaning(*.step, *.status), behind_colon(.message))]
    Refused {
        /// The step that the runner refused.
        step: Step,
        /// The runner.
        peer: Authority,
        /// The runner's HTTP status.
        status: u16,
        /// The runner's reason, made safe for a log line.
        message: String,
    },
    /// The answer is unusable, for this reason.
    #[error("{1}: unusable answer to the {0}: {2}")]
    Nonsense(Step, Authority, String),
    /// The runner asks for a payment, but no signer is configured.
    #[error("{0}: requires a payment; set signer.urls")]
    NeedsSigner(Authority),
    /// The runner asks for a payment, but its list entry names no price.
    #[error("{0}: requires a payment, but its list entry names no price")]
    NoPrice(Authority),
    /// The runner's payment challenge cannot be parsed.
    #[error("{0}: payment challenge: {1}")]
    Challenge(Authority, WireError),
    /// This field of the runner's payment challenge is a URL that must not be followed.
    #[error("{0}: payment challenge: `{1}` {2}")]
    Stray(Authority, &'static str, RefusedUrl),
    /// The runner redirects the request, and the redirect must not be followed.
    #[error("{1}: the {0} {2}")]
    Redirected(Step, Authority, RedirectError),
    /// The payment took too many challenges of the runner.
    #[error("{0}: answers each payment with another payment challenge")]
    NoEnd(Authority),
    /// The runner asks for a payment, but the signer says that none is needed.
    #[error("{0}: requires a payment, but the signer says that none is needed")]
    NothingToPay(Authority),
    /// The payment failed.
    #[error(transparent)]
    NotPaid(PaymentError),
    /// The application does not accept parameters while it runs, according to this part of its API.
    #[error("{}", no_update(.0.is_some()))]
    NoUpdate(Option<UpdateTarget>),
}

impl RunnerError {
    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoRunner(_) | Self::NoCandidateLeft(_) => Fault::Retry,
            Self::NotPaid(error) => match error.fault() {
                Fault::Refresh => Fault::NextPeer,
                fault @ (Fault::Retry | Fault::NextPeer | Fault::GiveUp) => fault,
            },
            Self::NoUpdate(_) => Fault::GiveUp,
            // The parameters are wrong, so every runner would refuse them.
            Self::Refused { step: Step::Start, status: 400 | 422, .. } => Fault::GiveUp,
            Self::NoAnswer(..)
            | Self::Session(_)
            | Self::Refused { .. }
            | Self::Nonsense(..)
            | Self::NeedsSigner(_)
            | Self::NoPrice(_)
            | Self::Challenge(..)
            | Self::Stray(..)
            | Self::Redirected(..)
            | Self::NoEnd(_)
            | Self::NothingToPay(_) => Fault::NextPeer,
        }
    }
}

impl RunnerError {
    /// Whether the first payment may have been taken, if one was due: a runner takes it with the reservation
    /// (go-livepeer `server/ai_http.go`), before its application starts.
    pub(crate) fn is_paid(&self) -> bool {
        match self {
            Self::NoAnswer(Step::Reserve | Step::Scope, error) => {
                !matches!(error, CallError::Connect(_))
            }
            Self::NoAnswer(step, _) | Self::Refused { step, .. } => *step == Step::Start,
            Self::Nonsense(..) | Self::Redirected(..) => true,
            Self::NoRunner(_)
            | Self::NoCandidateLeft(_)
            | Self::Session(_)
            | Self::NeedsSigner(_)
            | Self::NoPrice(_)
            | Self::Challenge(..)
            | Self::Stray(..)
            | Self::NoEnd(_)
            | Self::NothingToPay(_)
            | Self::NotPaid(_)
            | Self::NoUpdate(_) => false,
        }
    }

    /// Everything that decides how the caller must react.
    pub fn failure(&self) -> Failure {
        let (scope, retry_after) = match self {
            Self::NotPaid(error) => (error.scope(), error.retry_after()),
            Self::Session(error) => {
                let Failure { scope, retry_after, .. } = error.failure();
                (scope, retry_after)
            }
            Self::NoRunner(_)
            | Self::NoCandidateLeft(_)
            | Self::NoAnswer(..)
            | Self::Refused { .. }
            | Self::Nonsense(..)
            | Self::NeedsSigner(_)
            | Self::NoPrice(_)
            | Self::Challenge(..)
            | Self::Stray(..)
            | Self::NoEnd(_)
            | Self::NothingToPay(_)
            | Self::Redirected(..)
            | Self::NoUpdate(_) => (Scope::Peer, None),
        };
        Failure { text: chain(self), fault: self.fault(), scope, retry_after }
    }
}

/// What a status means as the answer to `step` (protocol.md, section 6).
fn meaning(step: Step, status: u16) -> &'static str {
    match (status, step) {
        (400, _) => "bad request",
        (401 | 403, _) => "not allowed",
        (404, Step::Reserve) => "no such runner",
        (404, Step::Start) => "the app has no such path; check runner.start",
        (404, Step::Update) => "the app has no such path, or has ended; check runner.update",
        (404, Step::Call) => "no such runner, or no such path in it",
        (404, Step::Scope) => "it starts no scopes",
        (409, _) => "in use",
        (481, _) => "price too high",
        (503, _) => "no capacity",
        (500..=599, _) => "it failed",
        _ => "no success",
    }
}

fn behind_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn no_update(is_in_answer: bool) -> &'static str {
    match is_in_answer {
        true => "the app did not say where parameters go while it runs",
        false => "the app takes no parameters while it runs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Url;

    #[test]
    fn a_missing_path_of_an_app_is_not_called_a_missing_runner() {
        let refused = |step, status, message: &str| {
            let peer = Url::parse("https://r.example").unwrap().authority().clone();
            RunnerError::Refused { step, peer, status, message: message.to_owned() }.to_string()
        };
        assert_eq!(
            refused(Step::Start, 404, ""),
            "r.example:443: start of the app refused: the app has no such path; check runner.start (404)"
        );
        assert_eq!(
            refused(Step::Reserve, 404, "x"),
            "r.example:443: reservation refused: no such runner (404: x)"
        );
        for step in [Step::Update, Step::Call, Step::Scope] {
            assert!(!refused(step, 404, "").contains("session"), "{step}");
        }
    }
}
