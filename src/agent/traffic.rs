//! Decides what a data budget leaves for the video: the highest bitrate, or no job.
//!
//! | of the budget is spent | the video |
//! |---|---|
//! | less than 80 % | is not limited |
//! | 80 % or more | gets the bitrate with which the rest lasts until the next period |
//! | all | the job pauses |
//!
//! The bitrate follows the ratio of what may be used in a second to what is used, both on the wire, so that what comes
//! back and what others use counts.
//!
//! Does not: count bytes, or set the bitrate.

use std::time::{Duration, Instant};

use livepeer_gateway::budget::{BudgetUse, Level};

/// The time over which the rate of traffic is measured.
const MEASURED_OVER: Duration = Duration::from_secs(60);
/// Readings within that time, and one more.
const READINGS: usize = 32;

/// The rate of traffic, from the latest readings.
#[derive(Debug, Default)]
pub(super) struct TrafficRate {
    readings: heapless::Deque<(Instant, u64), READINGS>,
}

impl TrafficRate {
    /// Adds bytes that were counted until `now`.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        while self.readings.is_full()
            || self.readings.front().is_some_and(|(at, _)| now.duration_since(*at) > MEASURED_OVER)
        {
            if self.readings.pop_front().is_none() {
                break;
            }
        }
        // This cannot fail: there is room for one.
        let _ = self.readings.push_back((now, bytes));
    }

    /// Whether the readings cover about a minute.
    pub(super) fn is_settled(&self) -> bool {
        let ends = self.readings.front().zip(self.readings.back());
        ends.is_some_and(|(first, last)| last.0.duration_since(first.0) >= MEASURED_OVER * 4 / 5)
    }

    /// Bytes per second; `None` before two readings.
    pub(super) fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.readings.front()?, self.readings.back()?);
        let time = last.0.duration_since(first.0).as_secs_f64();
        // The bytes of the first reading were counted before its time.
        let bytes: u64 = self.readings.iter().skip(1).map(|(_, bytes)| *bytes).sum();
        (time > 0.0).then(|| bytes as f64 / time)
    }
}

/// The highest bitrate of the video in bit/s; `None` for no limit. `bitrate` is the encoder's present one, `rate` the
/// bytes per second on the wire while it is used.
pub(super) fn bitrate_limit(used: &BudgetUse, bitrate: u32, rate: Option<f64>) -> Option<u32> {
    if used.level() == Level::Free {
        return None;
    }
    // Without a confirmed clock, no next period can be waited for: the rest has to last for long.
    let left = used.now.map_or(Duration::MAX, |now| now.until_next(used.budget.period));
    let may = used.left() as f64 / left.as_secs_f64();
    let rate = rate.filter(|rate| *rate > 0.0)?;
    // A conversion to an integer saturates.
    Some((f64::from(bitrate) * may / rate) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepeer_gateway::budget::{Budget, Unit};
    use resilience::ledger::LocalTime;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let (mut rate, start) = (TrafficRate::default(), Instant::now());
        assert_eq!(rate.per_second(), None);
        for second in [0, 10, 20, 30] {
            rate.add(1000, start + Duration::from_secs(second));
        }
        assert_eq!((rate.per_second(), rate.is_settled()), (Some(100.0), false));
        for second in (40..=200).step_by(10) {
            rate.add(50, start + Duration::from_secs(second));
        }
        assert_eq!((rate.per_second(), rate.is_settled()), (Some(5.0), true));
    }

    /// It is 12:00, of a budget of 100 MB a day, at 2 Mbit/s.
    #[track_caller]
    fn check(spent_mb: u128, rate: Option<f64>, expected: Option<u32>) {
        let now = LocalTime::new(Duration::from_secs(1_796_040_000), 0);
        let budget = Budget::parse("100 MB per day", Unit::Bytes).unwrap();
        let used = BudgetUse { budget, spent: spent_mb * 1_000_000, added: 0, now: Some(now) };
        assert_eq!(bitrate_limit(&used, 2_000_000, rate), expected, "{spent_mb} {rate:?}");
    }

    #[test]
    fn a_budget_that_is_nearly_spent_limits_the_bitrate_so_that_the_rest_lasts() {
        check(0, Some(500_000.0), None);
        check(79, Some(500_000.0), None);
        // 20 MB for 12 h are 463 bytes a second, and 250 000 are used.
        check(80, Some(250_000.0), Some(3703));
        check(80, Some(463.0), Some(1_999_840));
        check(80, Some(100.0), Some(9_259_259));
        check(100, Some(250_000.0), Some(0));
        check(80, None, None);
        check(80, Some(0.0), None);
    }

    #[test]
    fn without_a_confirmed_clock_the_rest_has_to_last_for_long() {
        let budget = Budget::parse("100 MB per day", Unit::Bytes).unwrap();
        let used = BudgetUse { budget, spent: 90_000_000, added: 0, now: None };
        assert_eq!(bitrate_limit(&used, 2_000_000, Some(1000.0)), Some(0));
    }
}
