//! Why a session could not be opened, or a call in it failed.
//!
//! Does not: retry.

use crate::http::io::CallError;
use crate::http::{RefusedUrl, Url, UrlError};
use crate::orchestrator::io::InfoError;
use crate::payment::PaymentError;
use crate::payment::io::PaymentOutcome;
use resilience::fault::{Failure, Fault, Scope, chain};

/// Why a session could not be opened, or a call in it failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The orchestrator's info could not be fetched.
    #[error(transparent)]
    Info(InfoError),
    /// A call got no response.
    #[error(transparent)]
    Call(CallError),
    /// The info names no usable base URL for calls.
    #[error("{orchestrator}: orchestrator names no usable address for calls")]
    Transcoder {
        /// The orchestrator.
        orchestrator: Url,
        /// What is wrong with the URL.
        #[source]
        reason: UrlError,
    },
    /// The `OrchestratorInfo` names an address for calls that must not be followed.
    #[error("{orchestrator}: orchestrator's address for calls {stray}")]
    Stray {
        /// The orchestrator.
        orchestrator: Url,
        /// The URL.
        stray: RefusedUrl,
    },
    /// The payment failed.
    #[error(transparent)]
    Payment(PaymentError),
    /// The signer makes no first payment, and the orchestrator starts no job without one.
    #[error("the signer makes no first payment, without which no job starts")]
    NothingDue,
    /// The info has no auth token, without which no job starts.
    #[error("{0}: orchestrator gave no auth token, so no job can start")]
    NoToken(Url),
}

impl SessionError {
    /// How the caller must react.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Info(error) => error.fault(),
            Self::Call(error) => error.fault(),
            Self::Payment(error) => error.fault(),
            Self::NothingDue => Fault::Retry,
            Self::Transcoder { .. } | Self::Stray { .. } | Self::NoToken(_) => Fault::NextPeer,
        }
    }

    /// The error as a [`Failure`], with its scope and retry delay.
    pub fn failure(&self) -> Failure {
        let (scope, retry_after) = match self {
            Self::Payment(error) => (error.scope(), error.retry_after()),
            Self::Info(_)
            | Self::Call(_)
            | Self::Transcoder { .. }
            | Self::Stray { .. }
            | Self::NothingDue
            | Self::NoToken(_) => (Scope::Peer, None),
        };
        Failure { text: chain(self), fault: self.fault(), scope, retry_after }
    }

    /// Converts the outcome of a first payment that was not made.
    pub(super) fn of_outcome(outcome: PaymentOutcome) -> Self {
        match outcome {
            PaymentOutcome::Later(error)
            | PaymentOutcome::Leave(error)
            | PaymentOutcome::Failed(error) => Self::Payment(error),
            PaymentOutcome::NotYet | PaymentOutcome::Paid | PaymentOutcome::Skipped => {
                Self::NothingDue
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::payment::Refusal;

    #[test]
    fn a_signers_refusal_keeps_its_scope_and_retry_delay() {
        let url = Url::parse("https://signer.example").unwrap();
        let minutes = Some(Duration::from_secs(600));
        let refused = |status, retry_after| {
            SessionError::Payment(PaymentError::Refused {
                signer: url.authority().clone(),
                refusal: Refusal::of_status(status),
                status,
                message: String::new(),
                retry_after,
            })
            .failure()
        };
        let limited = refused(429, minutes);
        assert_eq!((limited.scope, limited.retry_after), (Scope::Everyone, minutes));
        assert_eq!(refused(401, minutes).scope, Scope::Everyone);
        assert_eq!(refused(503, minutes).scope, Scope::Everyone);
        // A price that is too high concerns only that orchestrator.
        let dear = refused(481, None);
        assert_eq!((dear.scope, dear.fault), (Scope::Peer, Fault::NextPeer));
    }
}
