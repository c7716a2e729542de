//! Reads the local time zone, by GLib.
//!
//! Does not: read the clock.

use std::time::Duration;

use gstreamer::glib::{DateTime, TimeZone};

/// The local zone's offset in seconds east of Greenwich at a time since 1970; 0 if the zone is not known. The zone is
/// read again at each call, so a change of `/etc/localtime` counts at once.
pub fn local_offset(since_1970: Duration) -> i32 {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    let time =
        DateTime::from_unix_utc(seconds).and_then(|time| time.to_timezone(&TimeZone::local()));
    let offset = time.map(|time| time.utc_offset().as_seconds()).unwrap_or_default();
    i32::try_from(offset).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_less_than_a_day_at_any_time() {
        for seconds in [0, 1_800_000_000, u64::MAX] {
            assert!(local_offset(Duration::from_secs(seconds)).abs() < 86_400, "{seconds}");
        }
    }
}
