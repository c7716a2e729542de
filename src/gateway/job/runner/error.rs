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

use super::api::Update;
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
#[derive(Debug)]
pub enum RunnerError {
    /// No listed runner has this application.
    NoRunner(String),
    /// No candidate is left; the error names each one with the reason against it.
    NoCandidateLeft(NoCandidateLeft),
    /// This step got no answer.
    NoAnswer(Step, CallError),
    /// The session with the orchestrator cannot be used.
    Session(SessionError),
    /// The runner refused.
    Refused {
        /// The step that it refused.
        step: Step,
        /// The runner.
        peer: Authority,
        /// Its HTTP status.
        status: u16,
        /// Its reason, made safe for a log line.
        message: String,
    },
    /// The answer is unusable, for this reason.
    Nonsense(Step, Authority, String),
    /// The runner asks for a payment, but no signer is configured.
    NeedsSigner(Authority),
    /// The runner asks for a payment, but its list entry names no price.
    NoPrice(Authority),
    /// The runner's payment challenge cannot be parsed.
    Challenge(Authority, WireError),
    /// This field of the runner's payment challenge is a URL that must not be followed.
    Stray(Authority, &'static str, RefusedUrl),
    /// The runner redirects the request, and the redirect must not be followed.
    Redirected(Step, Authority, RedirectError),
    /// The payment took too many challenges of the runner.
    NoEnd(Authority),
    /// The runner asks for a payment, but the signer says that none is needed.
    NothingToPay(Authority),
    /// The payment failed.
    NotPaid(PaymentError),
    /// The application does not accept parameters while it runs, according to this part of its API.
    NoUpdate(Option<Update>),
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

impl fmt::Display for RunnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRunner(app) => write!(
                f,
                "no runner of app `{app}` is known; check its name, or name an orchestrator or a discovery endpoint that has it"
            ),
            Self::NoCandidateLeft(none) => none.fmt(f),
            Self::NoAnswer(step, error) => write!(f, "{step}: {error}"),
            Self::Session(error) => error.fmt(f),
            Self::Refused { step, peer, status, message } => {
                write!(f, "{peer}: {step} refused: {} ({status}", meaning(*status))?;
                if message.is_empty() { f.write_str(")") } else { write!(f, ": {message})") }
            }
            Self::Nonsense(step, peer, reason) => {
                write!(f, "{peer}: unusable answer to the {step}: {reason}")
            }
            Self::NeedsSigner(peer) => {
                write!(f, "{peer}: wants to be paid; set signer.urls")
            }
            Self::NoPrice(peer) => {
                write!(f, "{peer}: wants to be paid, but its runner names no price")
            }
            Self::Challenge(peer, error) => write!(f, "{peer}: demand for payment: {error}"),
            Self::Stray(peer, name, stray) => {
                write!(f, "{peer}: demand for payment: `{name}` {stray}")
            }
            Self::Redirected(step, peer, elsewhere) => write!(f, "{peer}: the {step} {elsewhere}"),
            Self::NoEnd(peer) => {
                write!(f, "{peer}: answers payments with ever new demands for payment")
            }
            Self::NothingToPay(peer) => {
                write!(f, "{peer}: wants to be paid, but the signer sees nothing to pay")
            }
            Self::NotPaid(error) => error.fmt(f),
            Self::NoUpdate(None) => f.write_str("the app takes no parameters while it runs"),
            Self::NoUpdate(Some(_)) => {
                f.write_str("the app did not say where parameters go while it runs")
            }
        }
    }
}

/// What a status of a runner means (protocol.md, section 6).
fn meaning(status: u16) -> &'static str {
    match status {
        400 => "bad request",
        401 | 403 => "not allowed",
        404 => "no such runner or session",
        409 => "in use",
        481 => "price too high",
        503 => "no capacity",
        500..=599 => "it failed",
        _ => "no success",
    }
}

impl std::error::Error for RunnerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoAnswer(_, error) => error.source(),
            Self::Session(error) => error.source(),
            Self::NotPaid(error) => error.source(),
            Self::NoRunner(_)
            | Self::NoCandidateLeft(_)
            | Self::Refused { .. }
            | Self::Nonsense(..)
            | Self::NeedsSigner(_)
            | Self::NoPrice(_)
            | Self::Challenge(..)
            | Self::Stray(..)
            | Self::Redirected(..)
            | Self::NoEnd(_)
            | Self::NothingToPay(_)
            | Self::NoUpdate(_) => None,
        }
    }
}
