//! Why candidates were rejected, and when to ask them again.
//!
//! Does not: decide which candidates are rejected.

use std::fmt;
use std::time::Duration;

use crate::http::Url;
use crate::price::{MaxPrice, Price, PriceError};
use resilience::fault::{Failure, Fault, Scope};

/// Why a candidate was rejected.
#[derive(Debug, Clone, PartialEq)]
pub enum RejectionReason {
    /// The candidate refused the request before, and is not asked again until this time has passed.
    Barred(Duration),
    /// The candidate gave no usable answer.
    NoAnswer(Failure),
    /// The candidate gave no answer in time.
    Silent,
    /// The candidate does not have the pipeline.
    NoPipeline,
    /// The candidate does not have the model.
    NoModel,
    /// All capacity of the candidate is in use.
    Full,
    /// The candidate names no price, so the signer cannot pay it.
    NoPrice,
    /// The candidate's price is invalid.
    BadPrice(PriceError),
    /// The candidate costs more than the maximum.
    TooExpensive(Price, MaxPrice),
    /// The candidate's price has another unit than the maximum, so the two cannot be compared.
    OtherUnit(Price, MaxPrice),
    /// The job did not start at the candidate.
    NotStarted(Failure),
    /// The candidate was not tried, because failed starts have prepaid too much.
    PaidAhead,
}

impl RejectionReason {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NoAnswer(failure) | Self::NotStarted(failure) => Some(failure),
            Self::Barred(_)
            | Self::Silent
            | Self::NoPipeline
            | Self::NoModel
            | Self::Full
            | Self::NoPrice
            | Self::BadPrice(_)
            | Self::TooExpensive(..)
            | Self::OtherUnit(..)
            | Self::PaidAhead => None,
        }
    }

    fn retry_after(&self) -> Duration {
        if let Self::Barred(left) = self {
            return *left;
        }
        self.failure().and_then(|failure| failure.retry_after).unwrap_or_default()
    }
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Barred(left) => {
                let left = left.as_secs();
                write!(
                    f,
                    "refused the model or its parameters; asked again in {left} s, or when they change"
                )
            }
            Self::NoAnswer(failure) | Self::NotStarted(failure) => failure.fmt(f),
            Self::Silent => f.write_str("no answer in time"),
            Self::NoPipeline => f.write_str("does not have the pipeline"),
            Self::NoModel => f.write_str("does not have the model"),
            Self::Full => f.write_str("has no capacity left"),
            Self::NoPrice => f.write_str("names no price, so the signer cannot pay it"),
            Self::BadPrice(error) => error.fmt(f),
            Self::TooExpensive(price, max) => write!(f, "costs {price}, over max-price {max}"),
            Self::OtherUnit(price, max) => {
                write!(f, "costs {price}, which cannot be compared with max-price {max}")
            }
            Self::PaidAhead => {
                f.write_str("not tried, because failed starts have already prepaid too much")
            }
        }
    }
}

/// A rejected candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The candidate's URL.
    pub candidate: Url,
    /// Why it was rejected.
    pub reason: RejectionReason,
}

impl fmt::Display for Rejection {
    /// Writes the reason, prefixed by the candidate unless the reason contains it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (candidate, reason) = (self.candidate.authority().to_string(), self.reason.to_string());
        if reason.contains(&candidate) {
            f.write_str(&reason)
        } else {
            write!(f, "{candidate}: {reason}")
        }
    }
}

/// No candidate is left.
#[derive(Debug, Clone, PartialEq)]
pub struct NoCandidateLeft {
    /// Every candidate that was considered, with its reason.
    pub(crate) rejected: Vec<Rejection>,
    /// The number of candidates that were not considered.
    pub(crate) beyond: usize,
}

impl NoCandidateLeft {
    /// How the caller must react: `GiveUp` if only a person can help.
    pub fn fault(&self) -> Fault {
        let gives_up = |failure: &Failure| failure.fault == Fault::GiveUp;
        match self.of_everyone() {
            Some(failure) => failure.fault,
            None if self.failures().count() == self.rejected.len()
                && self.failures().all(gives_up) =>
            {
                Fault::GiveUp
            }
            None => Fault::Retry,
        }
    }

    /// The delay before asking again: that of the signer, or else the shortest of the candidates.
    pub(crate) fn retry_after(&self) -> Duration {
        match self.of_everyone() {
            Some(failure) => failure.retry_after.unwrap_or_default(),
            None => {
                let all = self.rejected.iter().map(|rejection| rejection.reason.retry_after());
                all.min().unwrap_or_default()
            }
        }
    }

    /// The failure that would be the same with every candidate.
    fn of_everyone(&self) -> Option<&Failure> {
        let mut failures = self.failures().filter(|failure| failure.scope == Scope::Everyone);
        failures.next()
    }

    fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.rejected.iter().filter_map(|rejection| rejection.reason.failure())
    }
}

impl fmt::Display for NoCandidateLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rejected.is_empty() {
            return f.write_str("no orchestrator is known; name one, or a discovery endpoint");
        }
        // A failure of the signer or of this computer: the other candidates do not matter.
        if let Some(failure) = self.of_everyone() {
            return failure.fmt(f);
        }
        if let ([only], 0) = (self.rejected.as_slice(), self.beyond) {
            return only.fmt(f);
        }
        write!(f, "none of {} orchestrators can take the job", self.rejected.len())?;
        for (at, rejection) in self.rejected.iter().enumerate() {
            write!(f, "{} {rejection}", if at == 0 { ":" } else { ";" })?;
        }
        match self.beyond {
            0 => Ok(()),
            beyond => write!(f, "; {beyond} more were not considered"),
        }
    }
}

impl std::error::Error for NoCandidateLeft {}
