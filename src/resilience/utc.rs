//! Times of day in UTC as text and digits, from the time since 1970. Leap seconds do not count, as in the system clock.
//!
//! Does not: read the clock, or know time zones.

use std::time::Duration;

/// The time in the format of RFC 3339, with milliseconds: `2026-11-21T08:03:12.345Z`.
pub fn rfc3339(since_1970: Duration) -> String {
    let (digits, millis) = (digits(since_1970.as_secs()), since_1970.subsec_millis());
    let (date, time) = (digits / 1_000_000, digits % 1_000_000);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        date / 10_000,
        date / 100 % 100,
        date % 100,
        time / 10_000,
        time / 100 % 100,
        time % 100
    )
}

/// The digits `YYYYMMDDhhmmss` in UTC, for `seconds` since the Unix epoch.
pub fn digits(seconds: u64) -> u64 {
    // Years begin in March in this computation, so that a leap day is the last day of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let date = (era * 400 + year + carry) * 10_000 + month * 100 + day;
    let time = seconds % 86_400;
    date * 1_000_000 + time / 3600 * 10_000 + time / 60 % 60 * 100 + time % 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // `date -u -d @SECONDS +%Y%m%d%H%M%S`
        for (seconds, expected) in [
            (0, 19_700_101_000_000),
            (951_782_399, 20_000_228_235_959),
            (951_782_400, 20_000_229_000_000),
            (951_868_800, 20_000_301_000_000),
            (1_795_248_192, 20_261_121_080_312),
            (4_107_542_400, 21_000_301_000_000),
        ] {
            assert_eq!(digits(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_time_is_written_with_its_milliseconds() {
        let check = |millis, expected| assert_eq!(rfc3339(Duration::from_millis(millis)), expected);
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_795_248_192_007, "2026-11-21T08:03:12.007Z");
        check(951_782_400_999, "2000-02-29T00:00:00.999Z");
    }
}
