//! This computer's local time, by GLib, which reads the system's time zones and is linked for GStreamer anyway.
//!
//! Does not: decide anything by it; [`Schedule`] does.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gio::glib::{TimeType, TimeZone};

use crate::agent::schedule::Schedule;

/// The system's time zone. `g_time_zone_new_local` would keep the first one for the life of the program.
const LOCAL: &str = "/etc/localtime";

/// A time zone.
#[derive(Debug)]
pub(super) struct LocalTime(TimeZone);

impl LocalTime {
    /// The zone of `TZ`, else the system's as it is now; UTC if neither can be read.
    pub(super) fn new() -> Self {
        Self::of(&env::var("TZ").ok().filter(|zone| !zone.is_empty()).unwrap_or(LOCAL.to_owned()))
    }

    /// The zone of an identifier, a file, or a rule as in `TZ`; UTC if there is none.
    pub(super) fn of(zone: &str) -> Self {
        Self(TimeZone::new(Some(zone)))
    }

    /// The seconds that local time is ahead of UTC at a time in Unix seconds.
    pub(super) fn offset(&self, unix: i64) -> i32 {
        self.0.offset(self.0.find_interval(TimeType::Universal, unix))
    }
}

impl Schedule {
    /// Whether the schedule is open now by this computer's clock and time zone, in one line.
    pub fn describe_now(&self) -> String {
        let zone = LocalTime::new();
        self.describe(unix_now(), |unix| zone.offset(unix))
    }
}

/// The offset of the local time, in seconds east of Greenwich, at a time since 1970. The zone is read at each call, so
/// that a change of the zone counts at once.
pub(crate) fn local_offset(since_1970: Duration) -> i32 {
    LocalTime::new().offset(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX))
}

/// The time of this computer's clock in Unix seconds.
pub(super) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
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
