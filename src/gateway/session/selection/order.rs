//! Decides which of two good candidates is tried first.
//!
//! | order | first |
//! |---|---|
//! | listed | the candidate that the list names first |
//! | price | the lowest price of an hour; a model that is not loaded counts as a quarter more expensive. A candidate that reports no models comes last |
//! | fastest | the candidate that answered first |
//!
//! Equal candidates are ordered by these, one after the other: a loaded model, known free capacity, the answer time,
//! the list. In every order, suspended candidates come last.
//!
//! Does not: reject candidates; `offer` does.

use std::cmp::Ordering;
use std::time::Instant;

use super::{Candidate, Offer};
use crate::orchestrator::Fit;
use crate::orchestrator::io::ListSource;

/// A model that is not loaded counts as its price times [`COLD`] / [`WARM`], because loading it may take minutes
/// that are paid for.
const COLD: u128 = 5;
const WARM: u128 = 4;

/// Which of several good candidates is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CandidateOrder {
    /// The first of the list.
    #[default]
    Listed,
    /// The cheapest.
    Price,
    /// The candidate that answers first.
    Fastest,
}

impl CandidateOrder {
    /// The default order: as listed if the configuration names the candidates, by price otherwise.
    pub fn usual(way: &ListSource) -> Self {
        match way {
            ListSource::Named => Self::Listed,
            ListSource::Discovery(_) | ListSource::Signer(_) | ListSource::Cache => Self::Price,
        }
    }

    /// `Less` if `a` is tried first.
    pub(super) fn compare<T>(self, a: &Candidate<T>, b: &Candidate<T>) -> Ordering {
        let own = match self {
            Self::Listed => a.place.cmp(&b.place),
            Self::Price => cheaper_first(&a.offer, &b.offer),
            Self::Fastest => a.answer_time.cmp(&b.answer_time),
        };
        a.place
            .suspended
            .cmp(&b.place.suspended)
            .then(own)
            .then_with(|| is_cold(&a.offer).cmp(&is_cold(&b.offer)))
            .then_with(|| is_capacity_unknown(&a.offer).cmp(&is_capacity_unknown(&b.offer)))
            .then(a.answer_time.cmp(&b.answer_time))
            .then(a.place.cmp(&b.place))
    }
}

/// A candidate's rank before it has made an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CandidateRank {
    /// The end of the candidate's suspension, if it is suspended. An earlier end ranks first.
    pub(super) suspended: Option<Instant>,
    /// The candidate's position in the list.
    pub(super) nth: usize,
}

impl CandidateRank {
    /// Whether a candidate of this rank is tried before one of rank `other`, whatever the other offers.
    pub(super) fn precedes(self, other: Self, order: CandidateOrder) -> bool {
        match order {
            CandidateOrder::Listed => self < other,
            CandidateOrder::Price => self.suspended < other.suspended,
            // The candidate has answered first.
            CandidateOrder::Fastest => self.suspended <= other.suspended,
        }
    }
}

fn cheaper_first(a: &Offer, b: &Offer) -> Ordering {
    let is_unsaid = |offer: &Offer| offer.fit == Fit::Unsaid;
    let price = |offer: &Offer| offer.price.clone().ok().flatten();
    let hour = |offer: &Offer| {
        let factor = if is_cold(offer) { COLD } else { WARM };
        let wei = price(offer).map(|price| price.wei_per_hour().unwrap_or(u128::MAX));
        wei.unwrap_or_default().saturating_mul(factor)
    };
    let exactly = match (price(a), price(b)) {
        (Some(a), Some(b)) => a.cheaper_first(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    let is_said = is_unsaid(a).cmp(&is_unsaid(b));
    is_said.then(hour(a).cmp(&hour(b))).then(is_cold(a).cmp(&is_cold(b))).then(exactly)
}

fn is_cold(offer: &Offer) -> bool {
    !matches!(offer.fit, Fit::Has { warm: true, .. })
}

fn is_capacity_unknown(offer: &Offer) -> bool {
    !matches!(offer.fit, Fit::Has { free: Some(_), .. })
}
