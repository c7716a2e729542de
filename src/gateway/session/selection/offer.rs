//! A candidate's offer, the rules that it must satisfy, and the time that a first payment covers.
//!
//! Does not: compare candidates; `order` does.

use std::time::Duration;

use super::RejectionReason;
use crate::orchestrator::proto::OrchestratorInfo;
use crate::orchestrator::{Capability, Fit};
use crate::payment::PaymentKind;
use crate::price::{MaxPrice, Price, PriceError};

/// The video time that a fixed payment counts as when the cost of starts is limited.
const FIXED: Duration = Duration::from_secs(60);

/// Whether and how a job is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaymentPolicy {
    /// The job is not paid, because no signer is configured.
    #[default]
    Never,
    /// A signer pays, if the candidate names a price.
    IfPriced,
    /// A signer pays. The signer cannot pay a candidate without a price, so such candidates are rejected.
    Always,
}

/// The rules that an offer must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OfferRules {
    /// The maximum price.
    pub max_price: Option<MaxPrice>,
    /// Whether and how the job is paid.
    pub pays: PaymentPolicy,
}

/// The offer of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Whether the candidate can run the job.
    pub fit: Fit,
    /// The candidate's price; `None` if the candidate names no price.
    pub price: Result<Option<Price>, PriceError>,
}

impl Offer {
    /// Reads the offer for `capability` from an `OrchestratorInfo`. The price is the one in the `OrchestratorInfo`
    /// itself, which the orchestrator computes for the requested capabilities and a signer pays.
    pub fn of_info(info: &OrchestratorInfo, capability: &Capability) -> Self {
        let price = info.price_info.as_ref();
        let price = price.map(|p| Price::per_pixels(p.price_per_unit, p.pixels_per_unit));
        Self { fit: capability.fit(info.capabilities.as_ref()), price: price.transpose() }
    }
}

impl OfferRules {
    /// Returns the reason to reject an offer, if there is one.
    pub fn against(&self, offer: &Offer) -> Option<RejectionReason> {
        match offer.fit {
            Fit::NoPipeline => return Some(RejectionReason::NoPipeline),
            Fit::NoModel => return Some(RejectionReason::NoModel),
            Fit::Full => return Some(RejectionReason::Full),
            Fit::Has { .. } | Fit::Unsaid => {}
        }
        let price = match &offer.price {
            Err(error) => return Some(RejectionReason::BadPrice(error.clone())),
            Ok(None) => {
                return (self.pays == PaymentPolicy::Always).then_some(RejectionReason::NoPrice);
            }
            Ok(Some(price)) => *price,
        };
        let max = self.max_price?;
        match max.allows(&price) {
            Some(true) => None,
            Some(false) => Some(RejectionReason::TooExpensive(price, max)),
            None => Some(RejectionReason::OtherUnit(price, max)),
        }
    }

    /// The time that the first payment for this offer covers; zero if it is free.
    pub(crate) fn prepaid(&self, offer: &Offer) -> Duration {
        match (self.pays, &offer.price) {
            (PaymentPolicy::Never, _) | (_, Err(_) | Ok(None)) => Duration::ZERO,
            (PaymentPolicy::IfPriced | PaymentPolicy::Always, Ok(Some(price))) => {
                match price.wei_per_hour() {
                    Some(0) => Duration::ZERO,
                    Some(_) | None => PaymentKind::of_unit(price.unit()).preload().unwrap_or(FIXED),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::PriceUnit;

    #[track_caller]
    fn check(pays: PaymentPolicy, price: Option<(&str, PriceUnit)>, seconds: u64) {
        let price = price.map(|(wei, unit)| Price::parse(wei, unit)).transpose();
        let rules = OfferRules { pays, ..OfferRules::default() };
        let prepaid = rules.prepaid(&Offer { fit: Fit::Unsaid, price });
        assert_eq!(prepaid, Duration::from_secs(seconds));
    }

    #[test]
    fn the_first_payment_covers_a_time_by_its_unit() {
        check(PaymentPolicy::Never, Some(("5", PriceUnit::PixelSeconds720p)), 0);
        check(PaymentPolicy::IfPriced, None, 0);
        check(PaymentPolicy::IfPriced, Some(("0", PriceUnit::Seconds)), 0);
        check(PaymentPolicy::IfPriced, Some(("5", PriceUnit::Seconds)), 10);
        check(PaymentPolicy::IfPriced, Some(("5", PriceUnit::Fixed)), 60);
        check(PaymentPolicy::Always, Some(("5", PriceUnit::PixelSeconds720p)), 60);
    }
}
