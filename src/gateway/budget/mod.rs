//! A limit on what may be spent in each hour, day or month, and what is left of it: wei of payments, bytes of traffic.
//!
//! A payment is not asked for once the limit is reached, so the limit is exceeded by one payment at most.
//!
//! Does not: count (`resilience::ledger` does), or stop a job.

pub mod io;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use resilience::ledger::{LocalTime, Period};

/// The share of the limit from which it is nearly spent, in percent.
const NEAR: u128 = 80;
/// A millionth of an ETH in wei; below it, an amount is shown in wei.
const MICRO_ETH: u128 = 1_000_000_000_000;

/// What a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Payments, in wei.
    Wei,
    /// Traffic, in bytes.
    Bytes,
}

impl Unit {
    /// The names of amounts, each with its number of decimal places. A name that ends with another one comes first.
    fn names(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Wei => &[("gwei", 9), ("wei", 0), ("ETH", 18)],
            Self::Bytes => &[("kB", 3), ("MB", 6), ("GB", 9), ("TB", 12)],
        }
    }

    fn form(self) -> &'static str {
        match self {
            Self::Wei => "`20000 wei` or `0.01 ETH`",
            Self::Bytes => "`500 MB` or `5 GB`",
        }
    }

    /// The amount of a text such as `20000 wei`, `0.01ETH` or `5 GB`; more than 0.
    pub fn parse(self, text: &str) -> Result<u128, BudgetError> {
        let mut names = self.names().iter();
        let split =
            names.find_map(|(name, places)| Some((text.trim().strip_suffix(name)?, *places)));
        let (number, places) = split.ok_or(BudgetError::Amount(self))?;
        let (whole, part) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
        let has_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !has_digits(whole) || !has_digits(part) || part.len() > places {
            return Err(BudgetError::Amount(self));
        }
        match format!("{whole}{part:0<places$}").parse() {
            Ok(0) => Err(BudgetError::Nothing),
            Ok(amount) => Ok(amount),
            Err(_) => Err(BudgetError::Amount(self)),
        }
    }

    /// An amount with a unit that makes it short: wei without loss (`20000 wei`, `0.01 ETH`), bytes with three
    /// decimals (`1.25 GB`).
    pub fn shown(self, amount: u128) -> String {
        match self {
            Self::Wei if amount < MICRO_ETH => format!("{amount} wei"),
            Self::Wei => format!("{} ETH", decimal(amount, 18)),
            Self::Bytes => {
                let (name, places) = match amount {
                    0..1_000_000 => ("kB", 3),
                    1_000_000..1_000_000_000 => ("MB", 6),
                    _ => ("GB", 9),
                };
                // The digits behind the third decimal are left out.
                let cut = 10_u128.pow(places - 3);
                format!("{} {name}", decimal(amount / cut * cut, places))
            }
        }
    }
}

/// `amount` with a decimal point before the last `places` digits, and without zeros at its end.
fn decimal(amount: u128, places: u32) -> String {
    let one = 10_u128.pow(places);
    let part = format!("{:0width$}", amount % one, width = places as usize);
    match part.trim_end_matches('0') {
        "" => format!("{}", amount / one),
        part => format!("{}.{part}", amount / one),
    }
}

/// A limit in each period: `20000 wei per hour`, `0.01 ETH per month`, `5 GB per month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The limit in each period, in the smallest unit.
    pub amount: u128,
    /// The unit.
    pub unit: Unit,
    /// The period, by the local calendar.
    pub period: Period,
}

/// Why a text is not a budget or an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// It has another form than a budget.
    #[error("must be an amount such as {} and a period: per hour, per day or per month", .0.form())]
    Form(Unit),
    /// It has another form than an amount.
    #[error("must be an amount such as {}", .0.form())]
    Amount(Unit),
    /// The period is none of hour, day and month.
    #[error("must be per hour, per day or per month")]
    Period,
    /// The amount is 0: leave the key out to pay nothing, or to pay without a limit.
    #[error("must be more than 0")]
    Nothing,
}

impl Budget {
    /// The budget in `text`.
    pub fn parse(text: &str, unit: Unit) -> Result<Self, BudgetError> {
        let (amount, period) = text.split_once(" per ").ok_or(BudgetError::Form(unit))?;
        let amount = unit.parse(amount)?;
        let period = Period::named(period.trim()).ok_or(BudgetError::Period)?;
        Ok(Self { amount, unit, period })
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    /// A budget of payments.
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        Self::parse(text, Unit::Wei)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.unit.shown(self.amount), self.period.name())
    }
}

/// How much of a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Less than 80 %.
    Free,
    /// 80 % or more.
    Near,
    /// All: nothing is paid until the next period or an addition.
    Spent,
}

impl Level {
    /// The level of `spent` out of `limit`.
    pub fn of(spent: u128, limit: u128) -> Self {
        // A limit whose hundredfold is too large for the type is compared by hundredths.
        let near = limit / 100 * NEAR + (limit % 100 * NEAR).div_ceil(100);
        match spent {
            spent if spent >= limit => Self::Spent,
            spent if spent >= near => Self::Near,
            _ => Self::Free,
        }
    }
}

/// A budget and what is spent of it in the present period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetUse {
    /// The budget of the configuration.
    pub budget: Budget,
    /// What is spent in this period.
    pub spent: u128,
    /// What was added to the limit for this period only.
    pub added: u128,
    /// The present local time; `None` while the clock is not confirmed, so that no new period begins.
    pub now: Option<LocalTime>,
}

impl BudgetUse {
    /// The limit of this period.
    pub fn limit(&self) -> u128 {
        self.budget.amount.saturating_add(self.added)
    }

    /// What is left in this period.
    pub fn left(&self) -> u128 {
        self.limit().saturating_sub(self.spent)
    }

    /// How much is spent.
    pub fn level(&self) -> Level {
        Level::of(self.spent, self.limit())
    }

    /// When the budget is spent at this rate for an hour, if that is before the next period.
    pub fn lasts_until(&self, per_hour: u128) -> Option<LocalTime> {
        let now = self.now?;
        let seconds = self.left().checked_mul(3600)?.checked_div(per_hour)?;
        let left = Duration::from_secs(u64::try_from(seconds).ok()?);
        (left < now.until_next(self.budget.period)).then(|| now.after(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_an_amount_and_a_period() {
        #[track_caller]
        fn check(text: &str, expected: Result<(u128, Period), BudgetError>) {
            let budget = text.parse().map(|Budget { amount, period, .. }| (amount, period));
            assert_eq!(budget, expected, "{text}");
        }
        check("20000 wei per day", Ok((20_000, Period::Day)));
        check("3 gwei per hour", Ok((3_000_000_000, Period::Hour)));
        check("0.01 ETH per month", Ok((10_000_000_000_000_000, Period::Month)));
        check("2gwei per day", Ok((2_000_000_000, Period::Day)));
        check("1 ETH per day", Ok((1_000_000_000_000_000_000, Period::Day)));
        check("0.000000000000000001 ETH per day", Ok((1, Period::Day)));
        check("0.0000000000000000001 ETH per day", Err(BudgetError::Amount(Unit::Wei)));
        check("1.5 wei per day", Err(BudgetError::Amount(Unit::Wei)));
        for text in
            ["-1 wei per day", "1e3 wei per day", "1 eth per day", ".5 ETH per day", "wei per day"]
        {
            check(text, Err(BudgetError::Amount(Unit::Wei)));
        }
        check("999999999999999999999999 ETH per day", Err(BudgetError::Amount(Unit::Wei)));
        check("0 wei per day", Err(BudgetError::Nothing));
        check("1 wei per week", Err(BudgetError::Period));
        check("1 wei", Err(BudgetError::Form(Unit::Wei)));
    }

    #[test]
    fn an_amount_is_shown_as_it_can_be_read_back() {
        for (amount, expected) in [
            (1, "1 wei"),
            (999_999_999_999, "999999999999 wei"),
            (1_000_000_000_000, "0.000001 ETH"),
            (1_500_000_000_000_000_001, "1.500000000000000001 ETH"),
            (2_000_000_000_000_000_000, "2 ETH"),
        ] {
            assert_eq!(Unit::Wei.shown(amount), expected);
            assert_eq!(Unit::Wei.parse(expected), Ok(amount));
        }
    }

    #[test]
    fn traffic_is_counted_in_bytes() {
        let budget = Budget::parse("5 GB per month", Unit::Bytes).unwrap();
        assert_eq!((budget.amount, budget.to_string().as_str()), (5_000_000_000, "5 GB per month"));
        let parse = |text| Unit::Bytes.parse(text);
        assert_eq!(parse("1.5MB"), Ok(1_500_000));
        let error = Budget::parse("5 wei per day", Unit::Bytes).unwrap_err();
        assert_eq!(error.to_string(), "must be an amount such as `500 MB` or `5 GB`");
        for (bytes, expected) in [
            (0, "0 kB"),
            (999, "0.999 kB"),
            (1_234_567, "1.234 MB"),
            (5_250_000_000, "5.25 GB"),
            (2_000_000_000_000, "2000 GB"),
        ] {
            assert_eq!(Unit::Bytes.shown(bytes), expected);
        }
    }

    #[test]
    fn the_level_is_near_from_four_fifths_and_spent_from_all() {
        for (spent, limit, expected) in [
            (0, 1, Level::Free),
            (0, 10, Level::Free),
            (7, 10, Level::Free),
            (8, 10, Level::Near),
            (9, 10, Level::Near),
            (10, 10, Level::Spent),
            (11, 10, Level::Spent),
            (u128::MAX / 2, u128::MAX, Level::Free),
            (u128::MAX / 10 * 9, u128::MAX, Level::Near),
        ] {
            assert_eq!(Level::of(spent, limit), expected, "{spent} of {limit}");
        }
    }

    #[test]
    fn the_end_of_a_budget_is_named_only_before_the_end_of_its_period() {
        // 2026-11-30 12:00.
        let noon = LocalTime::new(Duration::from_secs(1_796_040_000), 0);
        let budget: Budget = "1000 wei per day".parse().unwrap();
        let used = BudgetUse { budget, spent: 400, added: 100, now: Some(noon) };
        let end = |per_hour| used.lasts_until(per_hour).map(|end| end.shown(noon));
        assert_eq!(end(300), Some("14:20".to_owned()));
        assert_eq!(end(58), None);
        assert_eq!(end(59), Some("23:51".to_owned()));
        assert_eq!(end(0), None);
        assert_eq!(BudgetUse { now: None, ..used }.lasts_until(300), None);
    }
}
