//! Prices as the network states them, compared exactly with integers.
//!
//! A price is wei per unit, stored as a fraction of two `u64`, so that the cross product of two prices
//! fits `u128`. A number that does not fit (more than 19 digits) is rejected, not rounded. The price in
//! an `OrchestratorInfo` is wei per pixel. For live video the orchestrator counts 1280 × 720 pixels 30
//! times a second, whatever the video's real size; runners call this unit
//! `720p-pixel-seconds` (go-livepeer `server/ai_live_video.go`, `ai/runner/live_runner.go`).
//!
//! Does not: pay, or know exchange rates.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Pixels billed for one second of live video: 1280 × 720 × 30.
const PIXELS_PER_SECOND: u128 = 1280 * 720 * 30;
/// The longest text that is parsed as a number.
const NUMBER_CHARS: usize = 48;
/// One ETH is this power of ten in wei.
const ETH_DIGITS: usize = 18;
/// Significant digits of an amount in ETH.
const SHOWN_DIGITS: usize = 3;

/// The unit that a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceUnit {
    /// A second of the session.
    Seconds,
    /// A pixel of live video at 1280 × 720 and 30 frames/s.
    PixelSeconds720p,
    /// The whole call.
    Fixed,
}

impl PriceUnit {
    /// The unit's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::PixelSeconds720p => "720p-pixel-seconds",
            Self::Fixed => "fixed",
        }
    }

    /// The unit with this name on the wire.
    pub fn from_wire(name: &str) -> Option<Self> {
        match name {
            "seconds" => Some(Self::Seconds),
            "720p-pixel-seconds" => Some(Self::PixelSeconds720p),
            "fixed" => Some(Self::Fixed),
            _ => None,
        }
    }

    fn per_hour(self) -> Option<u128> {
        match self {
            Self::Seconds => Some(3600),
            Self::PixelSeconds720p => Some(3600 * PIXELS_PER_SECOND),
            Self::Fixed => None,
        }
    }
}

/// Why a text or a pair of numbers is not a price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a number, or a negative one.
    #[error("price `{0}` is not a number of wei")]
    Number(String),
    /// More digits than can be compared exactly.
    #[error("price `{0}` needs more than 19 digits")]
    TooPrecise(String),
    /// Wei and pixels of a negative price, or of a price for no pixels.
    #[error("price of {0} wei for {1} pixels is invalid")]
    Fraction(i64, i64),
    /// A unit other than `seconds`, `720p-pixel-seconds` and `fixed`.
    #[error("price unit `{0}` is not seconds, 720p-pixel-seconds or fixed")]
    PriceUnit(String),
    /// A currency other than wei.
    #[error("price in `{0}`; only wei is supported")]
    Currency(String),
    /// Not of the form of a maximum price.
    #[error(
        "`{0}` is not a price; write `<number> wei per second`, `… per 720p-pixel-second` or `… per call`"
    )]
    Syntax(String),
}

/// An exact price in wei per unit. Prices of different units cannot be compared.
#[derive(Debug, Clone, Copy)]
pub struct Price {
    wei: u64,
    units: u64,
    unit: PriceUnit,
}

impl Price {
    /// The price in an orchestrator's `PriceInfo` for live video: `wei` for `pixels` pixels.
    pub fn per_pixels(wei: i64, pixels: i64) -> Result<Self, PriceError> {
        let wrong = || PriceError::Fraction(wei, pixels);
        let (wei, units) =
            (u64::try_from(wei).map_err(|_| wrong())?, u64::try_from(pixels).map_err(|_| wrong())?);
        if units == 0 {
            return Err(wrong());
        }
        Ok(Self { wei, units, unit: PriceUnit::PixelSeconds720p })
    }

    /// Parses the text of a JSON number: an integer, a decimal, or either with an exponent.
    pub fn parse(number: &str, unit: PriceUnit) -> Result<Self, PriceError> {
        let (wei, units) = decimal(number)?;
        Ok(Self { wei, units, unit })
    }

    /// The unit that the price is for.
    pub(crate) fn unit(&self) -> PriceUnit {
        self.unit
    }

    /// The price of an hour in wei, rounded up; `None` for a fixed price.
    pub fn wei_per_hour(&self) -> Option<u128> {
        let wei = u128::from(self.wei).checked_mul(self.unit.per_hour()?)?;
        Some(wei.div_ceil(u128::from(self.units)))
    }

    /// The price of an hour as text for a person; a fixed price as it is.
    pub fn shown_per_hour(&self) -> String {
        match self.wei_per_hour() {
            Some(wei) => format!("{} ETH an hour ({self})", eth(wei)),
            None => self.to_string(),
        }
    }

    /// The price of one unit in wei as an exact decimal number; `None` for a fraction such as 1/3.
    pub(crate) fn decimal(&self) -> Option<String> {
        let places = (0..=19).find(|places| 10_u64.checked_pow(*places) == Some(self.units))?;
        let (whole, part) = (self.wei / self.units, self.wei % self.units);
        let width = usize::try_from(places).ok()?;
        Some(if places == 0 { whole.to_string() } else { format!("{whole}.{part:0width$}") })
    }

    /// Orders prices of any unit by the price of an hour, fixed prices last.
    pub(crate) fn cheaper_first(&self, other: &Self) -> Ordering {
        let hour = |price: &Self| price.wei_per_hour().unwrap_or(u128::MAX);
        hour(self)
            .cmp(&hour(other))
            .then(self.unit.cmp(&other.unit))
            .then_with(|| self.partial_cmp(other).unwrap_or(Ordering::Equal))
    }
}

impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let cross = |a: u64, b: u64| u128::from(a) * u128::from(b);
        (self.unit == other.unit)
            .then(|| cross(self.wei, other.units).cmp(&cross(other.wei, self.units)))
    }
}

impl PartialEq for Price {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decimal() {
            Some(number) => f.write_str(&number)?,
            None => write!(f, "{}/{}", self.wei, self.units)?,
        }
        match self.unit {
            PriceUnit::Seconds => f.write_str(" wei per second"),
            PriceUnit::PixelSeconds720p => f.write_str(" wei per 720p-pixel-second"),
            PriceUnit::Fixed => f.write_str(" wei per call"),
        }
    }
}

/// The maximum price, parsed from `<number> wei per second`, `… per 720p-pixel-second` or `… per call`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct MaxPrice(Price);

impl MaxPrice {
    /// The maximum as a price.
    pub(crate) fn price(&self) -> &Price {
        &self.0
    }

    /// Whether `price` is within the limit; `None` if the units differ.
    pub(crate) fn allows(&self, price: &Price) -> Option<bool> {
        price.partial_cmp(&self.0).map(|order| order != Ordering::Greater)
    }

    /// The number of wei as the text of a JSON number.
    pub(crate) fn number(&self) -> String {
        // A maximum is parsed from decimal text, so it always has a decimal form.
        self.0.decimal().unwrap_or_default()
    }
}

impl FromStr for MaxPrice {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let syntax = || PriceError::Syntax(cut(text));
        let words: Vec<&str> = text.split_whitespace().take(5).collect();
        let [number, currency, "per", unit] = words.as_slice() else { return Err(syntax()) };
        if *currency != "wei" {
            return Err(PriceError::Currency(cut(currency)));
        }
        let unit = match *unit {
            "second" | "seconds" => PriceUnit::Seconds,
            "720p-pixel-second" | "720p-pixel-seconds" => PriceUnit::PixelSeconds720p,
            "call" => PriceUnit::Fixed,
            _ => return Err(syntax()),
        };
        Price::parse(number, unit).map(Self)
    }
}

impl fmt::Display for MaxPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Formats wei as a number of ETH without an exponent, rounded up to three significant digits.
pub fn eth(wei: u128) -> String {
    let digits = wei.to_string().len();
    let step = 10_u128.checked_pow(u32::try_from(digits.saturating_sub(SHOWN_DIGITS)).unwrap_or(0));
    let rounded = step.and_then(|step| wei.div_ceil(step).checked_mul(step)).unwrap_or(wei);
    let text = format!("{rounded:0>width$}", width = ETH_DIGITS + 1);
    let (whole, part) = text.split_at(text.len() - ETH_DIGITS);
    let number = format!("{whole}.{part}");
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Parses a non-negative JSON number into a fraction whose denominator is a power of ten, in lowest decimal form.
fn decimal(text: &str) -> Result<(u64, u64), PriceError> {
    let number = || PriceError::Number(cut(text));
    let precise = || PriceError::TooPrecise(cut(text));
    if text.len() > NUMBER_CHARS {
        return Err(precise());
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| number())?),
        None => (text, 0),
    };
    let (whole, part) = match mantissa.split_once('.') {
        Some((_, "")) => return Err(number()),
        Some(split) => split,
        None => (mantissa, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
        return Err(number());
    }
    let digits = format!("{whole}{part}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Ok((0, 1));
    }
    let zeros = i32::try_from(digits.len() - kept.len()).map_err(|_| precise())?;
    let places = i32::try_from(part.len()).map_err(|_| precise())?;
    let power = exponent.checked_add(zeros - places).ok_or_else(precise)?;
    let value: u64 = kept.parse().map_err(|_| precise())?;
    let ten = 10_u64.checked_pow(power.unsigned_abs()).ok_or_else(precise)?;
    if power < 0 {
        return Ok((value, ten));
    }
    Ok((value.checked_mul(ten).ok_or_else(precise)?, 1))
}

fn cut(text: &str) -> String {
    text.chars().take(NUMBER_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, expected: Result<&str, PriceError>) {
        let price = Price::parse(number, PriceUnit::Seconds);
        assert_eq!(price.map(|p| p.decimal().expect("a decimal")), expected.map(str::to_owned));
    }

    #[test]
    fn eth_is_written_without_an_exponent() {
        let check = |wei: u128, expected: &str| assert_eq!(eth(wei), expected, "{wei}");
        check(0, "0");
        check(1, "0.000000000000000001");
        check(4320, "0.00000000000000432");
        check(99_990, "0.0000000000001");
        check(1_000_000_000_000_000_000, "1");
        check(1_234_567_890_123_456_789, "1.24");
        check(u128::MAX, "340282366920938463463.374607431768211455");
    }

    #[test]
    fn json_numbers_are_read_exactly() {
        check("0", Ok("0"));
        check("0.000", Ok("0"));
        check("1200", Ok("1200"));
        check("1200.00", Ok("1200"));
        check("0.1", Ok("0.1"));
        check("100.25", Ok("100.25"));
        check("1.5e3", Ok("1500"));
        check("12E-3", Ok("0.012"));
        check("18446744073709551615", Ok("18446744073709551615"));
        check("0.0000000000000000001", Ok("0.0000000000000000001"));
        check("0e999999999", Ok("0"));
    }

    #[test]
    fn inexact_and_malformed_prices_are_rejected() {
        for text in
            ["", "-1", "+1", "1.", ".5", "1e", "1e1.5", "abc", "1 2", "0x1", "NaN", "1e99999999999"]
        {
            check(text, Err(PriceError::Number(text.to_owned())));
        }
        for text in
            ["18446744073709551616", "1e20", "1e-20", "0.12345678901234567891", "1e2147483647"]
        {
            check(text, Err(PriceError::TooPrecise(text.to_owned())));
        }
        let long = "1".repeat(1 << 20);
        check(&long, Err(PriceError::TooPrecise("1".repeat(NUMBER_CHARS))));
    }

    #[test]
    fn fractions_of_an_orchestrator_are_checked() {
        for (wei, pixels) in [(1, 0), (1, -1), (-1, 1), (i64::MIN, i64::MIN)] {
            assert_eq!(Price::per_pixels(wei, pixels), Err(PriceError::Fraction(wei, pixels)));
        }
        assert_eq!(Price::per_pixels(0, 1).expect("free").wei_per_hour(), Some(0));
    }

    #[test]
    fn prices_that_floats_would_confuse_compare_exactly() {
        let price = |wei, pixels| Price::per_pixels(wei, pixels).expect("a price");
        assert!(price(i64::MAX - 1, i64::MAX) < price(1, 1));
        assert!(price(9_007_199_254_740_993, 1) > price(9_007_199_254_740_992, 1));
        assert_eq!(price(1, 3), price(2, 6));
        assert_eq!(
            price(1, 1).partial_cmp(&Price::parse("1", PriceUnit::Seconds).expect("a price")),
            None
        );
    }

    #[track_caller]
    fn check_max(text: &str, expected: Result<&str, PriceError>) {
        assert_eq!(text.parse::<MaxPrice>().map(|p| p.to_string()), expected.map(str::to_owned));
    }

    #[test]
    fn a_maximum_is_a_number_and_a_unit() {
        check_max("1200 wei per second", Ok("1200 wei per second"));
        check_max(" 0.05  wei per 720p-pixel-seconds", Ok("0.05 wei per 720p-pixel-second"));
        check_max("7 wei per call", Ok("7 wei per call"));
        check_max("7 usd per call", Err(PriceError::Currency("usd".into())));
        check_max("-7 wei per call", Err(PriceError::Number("-7".into())));
        for text in ["", "1200", "1200 wei", "1200 wei per day", "1 wei per second please"] {
            check_max(text, Err(PriceError::Syntax(text.into())));
        }
    }

    #[test]
    fn a_maximum_allows_up_to_itself_and_only_its_own_unit() {
        let max: MaxPrice = "0.5 wei per 720p-pixel-second".parse().expect("a maximum");
        let price = |wei, pixels| Price::per_pixels(wei, pixels).expect("a price");
        assert_eq!(max.allows(&price(1, 2)), Some(true));
        assert_eq!(
            max.allows(&price(500_000_000_000_000_001, 1_000_000_000_000_000_000)),
            Some(false)
        );
        assert_eq!(max.allows(&Price::parse("0", PriceUnit::Seconds).expect("a price")), None);
        assert_eq!(max.number(), "0.5");
    }

    #[test]
    fn the_price_of_an_hour_is_rounded_up() {
        let hour = |text: &str, unit| Price::parse(text, unit).expect("a price").wei_per_hour();
        assert_eq!(hour("2", PriceUnit::Seconds), Some(7200));
        assert_eq!(hour("0.001", PriceUnit::Seconds), Some(4));
        assert_eq!(hour("10", PriceUnit::PixelSeconds720p), Some(995_328_000_000));
        assert_eq!(
            hour("18446744073709551615", PriceUnit::PixelSeconds720p).map(|w| w > 0),
            Some(true)
        );
        assert_eq!(hour("5", PriceUnit::Fixed), None);
    }

    #[test]
    fn cheaper_first_orders_across_units() {
        let p = |text: &str, unit| Price::parse(text, unit).expect("a price");
        let mut prices = [
            p("1", PriceUnit::Fixed),
            p("3", PriceUnit::Seconds),
            p("0.0000001", PriceUnit::PixelSeconds720p),
            p("2.9", PriceUnit::Seconds),
        ];
        prices.sort_by(Price::cheaper_first);
        let shown: Vec<String> = prices.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "0.0000001 wei per 720p-pixel-second",
                "2.9 wei per second",
                "3 wei per second",
                "1 wei per call"
            ]
        );
    }
}
