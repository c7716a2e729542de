//! What a candidate offers, what it must keep to, and what a start there is paid ahead.
//!
//! Does not: compare candidates; `order` does.

use std::time::Duration;

use super::RejectionReason;
use crate::orchestrator::proto::OrchestratorInfo;
use crate::orchestrator::{Capability, Fit};
use crate::payment::PaymentKind;
use crate::price::{MaxPrice, Price, PriceError};

/// A start that is paid once, and not by time, is worth as much of video: no such payment is made faster.
const FIXED: Duration = Duration::from_secs(60);

/// Who pays for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pays {
    /// Nobody: there is no signer.
    #[default]
    Nobody,
    /// A signer, if a price is asked.
    IfAsked,
    /// A signer, which pays nobody who names no price.
    Always,
}

/// What a candidate must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OfferRules {
    /// The most that it may cost.
    pub max_price: Option<MaxPrice>,
    /// Who pays.
    pub pays: Pays,
}

/// What a candidate offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Whether it has what the job needs.
    pub fit: Fit,
    /// What it costs; `None` where it names no price.
    pub price: Result<Option<Price>, PriceError>,
}

impl Offer {
    /// What the orchestrator with this info offers for `capability`. The price is the one that a signer
    /// pays: that of the info itself, which the orchestrator makes for the capabilities it was asked for.
    pub fn of_info(info: &OrchestratorInfo, capability: &Capability) -> Self {
        let price = info.price_info.as_ref();
        let price = price.map(|p| Price::per_pixels(p.price_per_unit, p.pixels_per_unit));
        Self { fit: capability.fit(info.capabilities.as_ref()), price: price.transpose() }
    }
}

impl OfferRules {
    /// What speaks against an offer.
    pub fn against(&self, offer: &Offer) -> Option<RejectionReason> {
        match offer.fit {
            Fit::NoPipeline => return Some(RejectionReason::NoPipeline),
            Fit::NoModel => return Some(RejectionReason::NoModel),
            Fit::Full => return Some(RejectionReason::Full),
            Fit::Has { .. } | Fit::Unsaid => {}
        }
        let price = match &offer.price {
            Err(error) => return Some(RejectionReason::BadPrice(error.clone())),
            Ok(None) => return (self.pays == Pays::Always).then_some(RejectionReason::NoPrice),
            Ok(Some(price)) => *price,
        };
        let max = self.max_price?;
        match max.allows(&price) {
            Some(true) => None,
            Some(false) => Some(RejectionReason::TooExpensive(price, max)),
            None => Some(RejectionReason::OtherUnit(price, max)),
        }
    }

    /// The time that a start there is paid ahead; zero for what costs nothing.
    pub(crate) fn prepaid(&self, offer: &Offer) -> Duration {
        match (self.pays, &offer.price) {
            (Pays::Nobody, _) | (_, Err(_) | Ok(None)) => Duration::ZERO,
            (Pays::IfAsked | Pays::Always, Ok(Some(price))) => match price.wei_per_hour() {
                Some(0) => Duration::ZERO,
                Some(_) | None => PaymentKind::of_unit(price.unit()).preload().unwrap_or(FIXED),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Unit;

    #[track_caller]
    fn check(pays: Pays, price: Option<(&str, Unit)>, seconds: u64) {
        let price = price.map(|(wei, unit)| Price::parse(wei, unit)).transpose();
        let rules = OfferRules { pays, ..OfferRules::default() };
        let prepaid = rules.prepaid(&Offer { fit: Fit::Unsaid, price });
        assert_eq!(prepaid, Duration::from_secs(seconds));
    }

    #[test]
    fn a_start_is_paid_ahead_as_its_unit_says() {
        check(Pays::Nobody, Some(("5", Unit::PixelSeconds720p)), 0);
        check(Pays::IfAsked, None, 0);
        check(Pays::IfAsked, Some(("0", Unit::Seconds)), 0);
        check(Pays::IfAsked, Some(("5", Unit::Seconds)), 10);
        check(Pays::IfAsked, Some(("5", Unit::Fixed)), 60);
        check(Pays::Always, Some(("5", Unit::PixelSeconds720p)), 60);
    }
}
