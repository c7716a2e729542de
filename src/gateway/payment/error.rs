//! Why a payment failed: what each status of a signer means, and how to react.
//!
//! | status | means | reaction |
//! |---|---|---|
//! | 400 | the session cannot go on (price missing, state mismatch, …) | fail |
//! | 480 | terms expired | refresh them, at most 3 times in a row |
//! | 481 | price too high | leave the orchestrator |
//! | 482 | no ticket is needed now; most requests get this answer | skip this time |
//! | 402, 483 | no balance | a long pause, or another credential |
//! | 401, 403 | credential refused | a long pause, or another credential |
//! | 429 | too many requests | wait for `Retry-After`, else a pause |
//! | 5xx, no connection | the signer is down | a short pause; prepaid time runs down meanwhile |
//! | other | not the answer of a signer | a pause |
//!
//! The last five rows concern every session that the signer pays, so the whole process shares one pause (`gate`).
//!
//! If an orchestrator does not accept a payment, 404 means that the session is over, and 5xx that the orchestrator
//! is down. Any other status is treated as expired terms, because fresh terms may solve the problem.
//!
//! Statuses: protocol.md section 4; 483, 401 and 403: field facts.
//!
//! Does not: count or wait; the gate and the schedule do.

use std::sync::Arc;
use std::time::Duration;

use crate::budget::Budget;
use crate::http::io::CallError;
use crate::http::{Authority, Url};
use crate::limits::SIGNERS;
use crate::payment::WireError;
use crate::price::{MaxPrice, PriceUnit};
use resilience::fault::{Failure, Fault, Scope};
use resilience::secret::io::SecretError;

/// How often the credential is read again while a signer is not asked because it refused the credential.
const LOOK: Duration = Duration::from_secs(15);

/// What a signer's refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: this session cannot go on.
    BadRequest,
    /// 401, 403: the credential is not accepted.
    Credential,
    /// 429: too many requests.
    Limited,
    /// 480: the terms have expired.
    Expired,
    /// 481: the orchestrator is too expensive.
    PriceTooHigh,
    /// 482: enough has been paid for now.
    NoTicketNeeded,
    /// 402, 483: the account behind the credential is empty.
    NoBalance,
    /// 5xx, or no connection.
    Down,
    /// Any other status.
    Strange,
}

impl Refusal {
    /// The meaning of `status`, which must not be 200.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 => Self::BadRequest,
            401 | 403 => Self::Credential,
            429 => Self::Limited,
            480 => Self::Expired,
            481 => Self::PriceTooHigh,
            482 => Self::NoTicketNeeded,
            402 | 483 => Self::NoBalance,
            500..=599 => Self::Down,
            _ => Self::Strange,
        }
    }

    /// How the caller must react.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Expired => Fault::Refresh,
            Self::BadRequest | Self::PriceTooHigh => Fault::NextPeer,
            Self::Credential
            | Self::Limited
            | Self::NoTicketNeeded
            | Self::NoBalance
            | Self::Down
            | Self::Strange => Fault::Retry,
        }
    }

    /// Whether the signer would refuse every session, or only this one.
    pub(super) fn scope(self) -> Scope {
        match self {
            Self::Credential | Self::Limited | Self::NoBalance | Self::Down | Self::Strange => {
                Scope::Everyone
            }
            Self::BadRequest | Self::Expired | Self::PriceTooHigh | Self::NoTicketNeeded => {
                Scope::Peer
            }
        }
    }

    /// Whether another credential may lead to another answer.
    pub(super) fn is_of_credential(self) -> bool {
        matches!(self, Self::Credential | Self::NoBalance)
    }

    fn advice(self) -> &'static str {
        match self {
            Self::BadRequest => "cannot pay this session",
            Self::Credential => "refuses the credential, or wants one; check signer.headers",
            Self::Limited => "limits the rate of requests",
            Self::Expired => "finds the orchestrator's terms expired",
            Self::PriceTooHigh => "finds the orchestrator too expensive",
            Self::NoTicketNeeded => "sees no need to pay now",
            Self::NoBalance => "has no balance left for this credential; fill it up",
            Self::Down => "is down",
            Self::Strange => "gave an answer that signers do not give; check its address",
        }
    }
}

/// Why a payment failed.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// No signer is configured.
    #[error("no signer is configured, so nothing can be paid; set signer.urls")]
    NoSigner,
    /// More signers are configured, this many, than are allowed.
    #[error("{0} signers are configured; at most {SIGNERS} are allowed")]
    TooManySigners(usize),
    /// The URL of a signer uses plain HTTP to another computer, which the configuration does not allow.
    #[error(
        "{0}: a signer on another computer needs https; or set services.allow-plain-http = true"
    )]
    PlainHttp(Url),
    /// The maximum price has a unit that does not fit the payment, which needs the given unit; `None` for pixels.
    #[error("max-price `{0}` does not fit this job, which is paid by {unit}", unit = unit(*.1))]
    MaxPriceUnit(MaxPrice, Option<PriceUnit>),
    /// This orchestrator is on-chain and asks no price, so a signer signs nothing for it.
    #[error(
        "orchestrator {0} asks no price, and a signer signs nothing for free; \
         name another orchestrator, or one that is off-chain and no signer"
    )]
    Free(String),
    /// The signer headers cannot be read.
    #[error(transparent)]
    Credential(SecretError),
    /// No signer gave an answer.
    #[error("the request to the signer failed")]
    NoAnswer {
        /// The error of the signer that was asked first.
        #[source]
        error: Arc<CallError>,
        /// The time until a signer is asked again.
        retry_after: Duration,
    },
    /// The signer refused.
    #[error("signer {signer} {} ({})", .refusal.advice(), answered(*.status, .message))]
    Refused {
        /// The signer.
        signer: Authority,
        /// The meaning of the signer's status.
        refusal: Refusal,
        /// The HTTP status of the answer.
        status: u16,
        /// The reason in the answer, made safe for a log line.
        message: String,
        /// The time until any session asks the signer again; `None` if the signer refused only this session.
        retry_after: Option<Duration>,
    },
    /// The signer's answer is invalid.
    #[error("signer {signer}: {error}")]
    Answer {
        /// The signer.
        signer: Authority,
        /// What is wrong with the answer.
        error: WireError,
        /// The time until the signer is asked again.
        retry_after: Duration,
    },
    /// The signer's key is no longer the one with which this session began.
    #[error("signer {0} has another key now; the job has to start again")]
    OtherKey(Authority),
    /// The request for a payment cannot be serialized.
    #[error("the request for a payment cannot be made: {0}")]
    Request(WireError),
    /// A later payment needs the id of the job, which is not known yet.
    #[error("a further payment needs the job's manifest id")]
    NoManifest,
    /// The id of the job changed during the session.
    #[error("the job's manifest id changed during the session")]
    ManifestChanged,
    /// The payment did not reach the orchestrator, or its answer did not arrive.
    #[error("the payment got no answer")]
    NotDelivered(#[source] CallError),
    /// The orchestrator refused the payment.
    #[error("orchestrator {orchestrator} refuses the payment ({})", answered(*.status, .message))]
    NotAccepted {
        /// The orchestrator.
        orchestrator: Authority,
        /// The HTTP status of the answer.
        status: u16,
        /// The reason in the answer, made safe for a log line.
        message: String,
    },
    /// The budget of this period is spent, so no signer was asked.
    #[error("the budget of {budget} is spent; it begins again with the next {period}, or use `livepeer-edge budget add`", period = .budget.period.name())]
    BudgetSpent {
        /// The budget.
        budget: Box<Budget>,
        /// The time until it may be another period.
        retry_after: Duration,
    },
    /// The value of the payment cannot be read, so it cannot be counted against the budget, and was not sent.
    #[error(
        "the value of the signer's payment cannot be read, so it cannot be counted; \
         update livepeer-edge, or remove payment.budget"
    )]
    Uncounted,
    /// The orchestrator gave no fresh terms.
    #[error("orchestrator gave no fresh terms: {0}")]
    NoFreshTerms(Failure),
}

/// A status, with the reason if one was given.
fn answered(status: u16, message: &str) -> String {
    match message {
        "" => format!("status {status}"),
        message => format!("status {status}: {message}"),
    }
}

fn unit(unit: Option<PriceUnit>) -> String {
    unit.map_or_else(|| "the pixel".to_owned(), |unit| format!("`{}`", unit.as_str()))
}

impl PaymentError {
    /// What the error means for the schedule.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Refused { refusal, .. } => *refusal,
            Self::NoAnswer { .. }
            | Self::Answer { .. }
            | Self::NotDelivered(_)
            | Self::NoFreshTerms(_)
            | Self::NotAccepted { status: 500.., .. } => Refusal::Down,
            Self::Credential(_) => Refusal::Credential,
            Self::BudgetSpent { .. } => Refusal::NoBalance,
            Self::NoSigner
            | Self::TooManySigners(_)
            | Self::PlainHttp(_)
            | Self::MaxPriceUnit(..)
            | Self::Free(_)
            | Self::OtherKey(_)
            | Self::Request(_)
            | Self::NoManifest
            | Self::ManifestChanged
            | Self::Uncounted
            | Self::NotAccepted { status: 404, .. } => Refusal::BadRequest,
            // Orchestrators refuse tickets for expired terms like any other bad ticket.
            Self::NotAccepted { .. } => Refusal::Expired,
        }
    }

    /// The time after which to ask the signers again, if it is known: an earlier request gets the same error at once,
    /// without a call. If a new credential may help, this is less than the signer's pause, because each request
    /// reads the credential again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { refusal, retry_after, .. } if refusal.is_of_credential() => {
                retry_after.map(|time| time.min(LOOK))
            }
            Self::Refused { retry_after, .. } => *retry_after,
            Self::NoAnswer { retry_after, .. } | Self::Answer { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Credential(_) => Some(LOOK),
            Self::BudgetSpent { retry_after, .. } => Some(*retry_after),
            Self::NoFreshTerms(failure) => failure.retry_after,
            Self::NoSigner
            | Self::TooManySigners(_)
            | Self::PlainHttp(_)
            | Self::MaxPriceUnit(..)
            | Self::Free(_)
            | Self::OtherKey(_)
            | Self::Request(_)
            | Self::NoManifest
            | Self::ManifestChanged
            | Self::Uncounted
            | Self::NotDelivered(_)
            | Self::NotAccepted { .. } => None,
        }
    }

    /// Whether the error concerns every session, or only the one that was to be paid.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::NoSigner
            | Self::TooManySigners(_)
            | Self::PlainHttp(_)
            | Self::MaxPriceUnit(..)
            | Self::Credential(_)
            | Self::OtherKey(_)
            | Self::BudgetSpent { .. }
            | Self::Uncounted
            | Self::NoAnswer { .. }
            | Self::Answer { .. } => Scope::Everyone,
            Self::Refused { refusal, .. } => refusal.scope(),
            Self::Free(_)
            | Self::Request(_)
            | Self::NoManifest
            | Self::ManifestChanged
            | Self::NotDelivered(_)
            | Self::NotAccepted { .. }
            | Self::NoFreshTerms(_) => Scope::Peer,
        }
    }

    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSigner
            | Self::TooManySigners(_)
            | Self::PlainHttp(_)
            | Self::MaxPriceUnit(..)
            | Self::Uncounted => Fault::GiveUp,
            // The next session begins with the new key.
            Self::OtherKey(_) => Fault::Retry,
            Self::Free(_)
            | Self::Credential(_)
            | Self::BudgetSpent { .. }
            | Self::NoAnswer { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Request(_)
            | Self::NoManifest
            | Self::ManifestChanged
            | Self::NotDelivered(_)
            | Self::NotAccepted { .. }
            | Self::NoFreshTerms(_) => self.refusal().fault(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::io::ConnectError;
    use resilience::fault::chain;

    fn url() -> Url {
        Url::parse("https://s.example").unwrap()
    }

    #[track_caller]
    fn check(error: &PaymentError, expected: &str) {
        assert_eq!(chain(error), expected);
    }

    #[test]
    fn a_refusal_shows_the_reason_where_one_was_given() {
        let refused = |status, message: &str| PaymentError::Refused {
            signer: url().authority().clone(),
            refusal: Refusal::of_status(status),
            status,
            message: message.to_owned(),
            retry_after: None,
        };
        check(
            &refused(401, ""),
            "signer s.example:443 refuses the credential, or wants one; check signer.headers (status 401)",
        );
        check(
            &refused(481, "2 wei"),
            "signer s.example:443 finds the orchestrator too expensive (status 481: 2 wei)",
        );
        check(
            &PaymentError::NotAccepted {
                orchestrator: url().authority().clone(),
                status: 404,
                message: String::new(),
            },
            "orchestrator s.example:443 refuses the payment (status 404)",
        );
    }

    #[test]
    fn a_failed_call_names_its_peer_and_cause_once() {
        let no_connection = || CallError::Connect(ConnectError::NotTls(url().authority().clone()));
        let cause = "s.example:443: does not speak TLS on this port; check the port";
        let (error, retry_after) = (Arc::new(no_connection()), Duration::ZERO);
        check(
            &PaymentError::NoAnswer { error, retry_after },
            &format!("the request to the signer failed: {cause}"),
        );
        check(
            &PaymentError::NotDelivered(no_connection()),
            &format!("the payment got no answer: {cause}"),
        );
    }

    #[test]
    fn the_unit_that_fits_is_named() {
        let max = || "1 wei per second".parse().unwrap();
        let text = "max-price `1 wei per second` does not fit this job, which is paid by ";
        check(&PaymentError::MaxPriceUnit(max(), None), &format!("{text}the pixel"));
        let fixed = PaymentError::MaxPriceUnit(max(), Some(PriceUnit::Fixed));
        check(&fixed, &format!("{text}`fixed`"));
    }
}
