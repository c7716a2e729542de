//! Periods of the local calendar: hours, days, months.
//!
//! A time is a [`Stamp`]: the digits `YYYYMMDDhh` of the local clock. Two stamps are in the same period if their leading
//! digits are equal, so a change of the clock for summer gives an hour of 3600 s more or less to a period, and no
//! period twice.
//!
//! Does not: know time zones; the caller adds the offset.

use std::fmt;
use std::time::Duration;

use crate::utc::digits;

const DAY: u64 = 86_400;
const HOUR: u64 = 3600;

/// A period of the local calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A full hour of the local clock.
    Hour,
    /// A day of the local calendar.
    Day,
    /// A month of the local calendar.
    Month,
}

impl Period {
    /// `hour`, `day` or `month`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The period of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hour, Self::Day, Self::Month].into_iter().find(|period| period.name() == name)
    }

    fn divisor(self) -> u64 {
        match self {
            Self::Hour => 1,
            Self::Day => 100,
            Self::Month => 10_000,
        }
    }
}

/// A time of the local clock, in seconds since 1970-01-01 00:00 of that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(u64);

impl LocalTime {
    /// The local time at `since_1970` (UTC), with the zone's offset in seconds east of Greenwich.
    pub fn new(since_1970: Duration, offset: i32) -> Self {
        Self(since_1970.as_secs().saturating_add_signed(offset.into()))
    }

    /// The hour of this time.
    pub fn stamp(self) -> Stamp {
        Stamp(digits(self.0) / 10_000)
    }

    /// The time until the next `period` begins, by the clock's present offset.
    pub fn until_next(self, period: Period) -> Duration {
        let Self(seconds) = self;
        let left = match period {
            Period::Hour => HOUR - seconds % HOUR,
            Period::Day => DAY - seconds % DAY,
            Period::Month => {
                let today = seconds - seconds % DAY;
                let day = digits(seconds) / 1_000_000 % 100;
                // The first of the next month is at most 31 days away.
                let days = (1..=32 - day.min(31)).find(|days| {
                    let later = digits(today.saturating_add(days * DAY));
                    later / 100_000_000 != digits(seconds) / 100_000_000
                });
                today.saturating_add(days.unwrap_or(31) * DAY) - seconds
            }
        };
        Duration::from_secs(left)
    }

    /// `hh:mm`, after the date if that is not the date of `now`.
    pub fn shown(self, now: Self) -> String {
        let of = |time: Self| (digits(time.0) / 1_000_000, digits(time.0) / 100 % 10_000);
        let ((date, time), (today, _)) = (of(self), of(now));
        let time = format!("{:02}:{:02}", time / 100, time % 100);
        if date == today {
            return time;
        }
        format!("{:04}-{:02}-{:02} {time}", date / 10_000, date / 100 % 100, date % 100)
    }

    /// This time `later`.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later.as_secs()))
    }
}

/// An hour of the local clock, as the digits `YYYYMMDDhh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp of these digits, as written by `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_stamp = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_stamp).map(Self)
    }

    /// Whether this is in the same `period` as `now`, or later.
    pub(super) fn counts(self, period: Period, now: Self) -> bool {
        self.0 / period.divisor() >= now.0 / period.divisor()
    }

    /// Whether this is in the same `period` as `now`.
    pub fn is_in(self, period: Period, now: Self) -> bool {
        self.0 / period.divisor() == now.0 / period.divisor()
    }

    /// The last hour that this hour is counted with: its own today, that of its day in this month, that of its month
    /// before. A later stamp counts in every period that the hours themselves count in.
    pub(super) fn merged(self, today: Self) -> Self {
        match (self.counts(Period::Day, today), self.counts(Period::Month, today)) {
            (true, _) => self,
            (false, true) => Self(self.0 / 100 * 100 + 23),
            (false, false) => Self(self.0 / 10_000 * 10_000 + 3123),
        }
    }

    /// The number of months since the year 0.
    pub(super) fn months(self) -> u64 {
        self.0 / 1_000_000 * 12 + self.0 / 10_000 % 100
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30 23:30:00 UTC.
    const LAST_EVENING: u64 = 1_796_081_400;

    fn local(seconds: u64, offset: i32) -> LocalTime {
        LocalTime::new(Duration::from_secs(seconds), offset)
    }

    #[test]
    fn a_stamp_is_the_hour_of_the_local_clock() {
        for (offset, expected) in [(0, "2026113023"), (3600, "2026120100"), (-19_800, "2026113018")]
        {
            let stamp = local(LAST_EVENING, offset).stamp();
            assert_eq!(stamp.to_string(), expected);
            assert_eq!(Stamp::parse(expected), Some(stamp));
        }
        assert_eq!(local(0, -3600), local(0, 0));
    }

    #[test]
    fn the_next_period_begins_at_the_local_hour_midnight_or_first_of_the_month() {
        #[track_caller]
        fn check(seconds: u64, period: Period, expected: u64) {
            assert_eq!(local(seconds, 0).until_next(period), Duration::from_secs(expected));
        }
        for period in [Period::Hour, Period::Day, Period::Month] {
            check(LAST_EVENING, period, 1800);
        }
        check(LAST_EVENING + 1800, Period::Hour, HOUR);
        check(LAST_EVENING + 1800, Period::Month, 31 * DAY);
        check(LAST_EVENING - DAY, Period::Month, DAY + 1800);
        // 2024-02-28 12:00:00, in a leap year.
        check(1_709_121_600, Period::Month, DAY + DAY / 2);
    }

    #[test]
    fn a_period_counts_its_own_stamps_and_later_ones() {
        #[track_caller]
        fn check(stamp: &str, period: Period, now: &str, expected: bool) {
            let [stamp, now] = [stamp, now].map(|text| Stamp::parse(text).unwrap());
            assert_eq!(stamp.counts(period, now), expected, "{stamp} {now}");
        }
        check("2026113022", Period::Hour, "2026113023", false);
        check("2026113022", Period::Day, "2026113023", true);
        check("2026113023", Period::Day, "2026120100", false);
        check("2026113023", Period::Month, "2026120100", false);
        check("2026110100", Period::Month, "2026113023", true);
        check("2027010100", Period::Hour, "2026113023", true);
    }

    #[test]
    fn merged_hours_count_in_every_period_that_they_counted_in() {
        let stamps = ["2026093023", "2026100100", "2026112905", "2026113000", "2026113014"];
        let stamps = stamps.map(|text| Stamp::parse(text).unwrap());
        for today in stamps {
            for (stamp, now) in stamps.iter().flat_map(|s| stamps.iter().map(move |n| (*s, *n))) {
                for period in [Period::Hour, Period::Day, Period::Month] {
                    let kept = stamp.merged(today).counts(period, now);
                    assert!(!stamp.counts(period, now) || kept, "{stamp} {now} {period:?}");
                }
            }
        }
        let merged = |text: &str| Stamp::parse(text).unwrap().merged(stamps[4]).to_string();
        assert_eq!(merged("2026113003"), "2026113003");
        assert_eq!(merged("2026112905"), "2026112923");
        assert_eq!(merged("2026093000"), "2026093123");
    }

    #[test]
    fn only_ten_digits_are_a_stamp() {
        for text in ["", "1", "202611302", "20261130233", "202611302x", "+026113023"] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_shown_with_its_date_if_that_is_another_day() {
        let now = local(LAST_EVENING, 0);
        assert_eq!(now.after(Duration::from_secs(60)).shown(now), "23:31");
        assert_eq!(now.after(Duration::from_secs(7200)).shown(now), "2026-12-01 01:30");
    }
}
