//! Parses `Retry-After`, in seconds or as an HTTP date (RFC 9110, 10.2.3).
//!
//! A date is compared with the `Date` of the same response, because this computer's clock may be wrong. A date is
//! ignored if the response has no `Date`.
//!
//! Does not: limit the delay; the caller does.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The delay that these response headers request.
pub(super) fn retry_after(headers: &HeaderMap<HeaderValue>) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, sent) = (seconds_of(asked)?, seconds_of(text(DATE)?)?);
    Some(Duration::from_secs(until.saturating_sub(sent)))
}

/// The seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of(date: &str) -> Option<u64> {
    let mut words = date.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_sound = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && hour < 24
        && minute < 60
        && second < 61;
    if words.next() != Some("GMT") || !is_sound {
        return None;
    }
    let days = days_before(year, u64::try_from(month).ok()?) + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// The days from 1970 to the first of a month, which counts from 0.
fn days_before(year: u64, month: u64) -> u64 {
    // Years begin in March in this computation, so that the leap day is the last day of a year.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (153 * month + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &str, date: Option<&str>, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, asked.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{asked}");
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        check("600", None, Some(600));
        check(" 7 ", date, Some(7));
        check("Sun, 06 Nov 1994 08:59:37 GMT", date, Some(600));
        check("Mon, 07 Nov 1994 08:49:38 GMT", date, Some(86_401));
        check("Sun, 06 Nov 1994 08:49:00 GMT", date, Some(0));
        check("Sun, 06 Nov 1994 08:59:37 GMT", None, None);
    }

    #[test]
    fn malformed_values_are_ignored() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for odd in [
            "soon",
            "-1",
            "1.5",
            "",
            "Sun, 06 Nov 1994",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 0 08:49:37 GMT",
            "Sun, 06 Nov 18446744073709551615 08:49:37 GMT",
        ] {
            check(odd, date, None);
        }
        check("Sun, 06 Nov 1994 08:59:37 GMT", Some("yesterday"), None);
    }

    #[test]
    fn dates_are_converted_by_the_calendar() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:60 GMT", 951_868_800),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(seconds_of(date), Some(seconds), "{date}");
        }
    }
}
