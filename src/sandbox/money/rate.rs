//! Converts time to wei at a price, and back.
//!
//! Live video of any size and rate is billed as 1280 × 720 pixels 30 times a second (go-livepeer
//! `server/ai_live_video.go`).
//!
//! Does not: compare prices; `livepeer_gateway::price` does.

use std::time::Duration;

use livepeer_gateway::orchestrator::proto::PriceInfo;
use livepeer_gateway::price::PriceUnit;

const PIXELS_PER_SECOND: u128 = 1280 * 720 * 30;
const NANOS: u128 = 1_000_000_000;

/// The cost of a second in wei, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    wei: u128,
    per: u128,
}

impl Rate {
    /// The rate at a price; `None` for a fixed price, and for a price that is not positive.
    pub(crate) fn of(unit: PriceUnit, price: &PriceInfo) -> Option<Self> {
        let (wei, per) = positive(price)?;
        match unit {
            PriceUnit::PixelSeconds720p => Some(Self { wei: wei * PIXELS_PER_SECOND, per }),
            PriceUnit::Seconds => Some(Self { wei, per }),
            PriceUnit::Fixed => None,
        }
    }

    /// The cost of this time in wei, rounded down.
    pub(crate) fn wei(self, time: Duration) -> u128 {
        self.wei.saturating_mul(time.as_nanos()) / (self.per * NANOS)
    }

    /// The time that these wei pay for, rounded down.
    pub(crate) fn time(self, wei: u128) -> Duration {
        let nanos = wei.saturating_mul(NANOS).saturating_mul(self.per) / self.wei;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The cost of this number of units in wei; `None` if the price is not positive.
pub(crate) fn fee(price: &PriceInfo, units: u128) -> Option<u128> {
    let (wei, per) = positive(price)?;
    units.checked_mul(wei).map(|wei| wei / per)
}

/// The billed pixels of live video in this time.
pub(crate) fn pixels(time: Duration) -> u128 {
    PIXELS_PER_SECOND.saturating_mul(time.as_nanos()) / NANOS
}

fn positive(price: &PriceInfo) -> Option<(u128, u128)> {
    let wei = u128::try_from(price.price_per_unit).ok().filter(|wei| *wei > 0)?;
    let per = u128::try_from(price.pixels_per_unit).ok().filter(|per| *per > 0)?;
    Some((wei, per))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(price_per_unit: i64, pixels_per_unit: i64) -> PriceInfo {
        PriceInfo { price_per_unit, pixels_per_unit, ..PriceInfo::default() }
    }

    #[track_caller]
    fn check(unit: PriceUnit, price: &PriceInfo, seconds: u64, expected: Option<u128>) {
        let time = Duration::from_secs(seconds);
        let rate = Rate::of(unit, price);
        assert_eq!(rate.map(|rate| rate.wei(time)), expected);
        assert_eq!(rate.map(|rate| rate.time(rate.wei(time))), expected.map(|_| time));
    }

    #[test]
    fn the_cost_of_time_equals_the_charge_of_the_signer() {
        check(PriceUnit::PixelSeconds720p, &price(1, 1), 60, Some(1_658_880_000));
        check(PriceUnit::PixelSeconds720p, &price(3, 2), 2, Some(82_944_000));
        check(PriceUnit::Seconds, &price(7, 1), 10, Some(70));
        check(PriceUnit::Fixed, &price(7, 1), 10, None);
        for none in [price(0, 1), price(1, 0), price(-1, 1), price(1, -1)] {
            check(PriceUnit::Seconds, &none, 1, None);
            assert_eq!(fee(&none, 1), None);
        }
        assert_eq!(fee(&price(3, 2), 3), Some(4));
        assert_eq!(pixels(Duration::from_secs(2)), 55_296_000);
    }
}
