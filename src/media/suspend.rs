//! Detects that the computer was suspended: the time since boot includes a suspend, the monotonic clock does not.
//!
//! A device may fail once or twice while the computer resumes, without being defective.
//!
//! Does not: read the clocks.

use std::time::{Duration, Instant};

/// Smallest difference that counts as a suspend: the clocks are read one after the other, and the time since boot has
/// steps of 10 ms.
const MIN_SUSPEND: Duration = Duration::from_millis(500);
/// Time after a resume in which failures are attributed to the suspend. A USB device and its driver need some seconds.
const WAKING: Duration = Duration::from_secs(30);

/// Detects suspends from readings of both clocks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Suspends {
    /// The last reading: monotonic clock and time since boot.
    last: Option<(Instant, Duration)>,
    /// When the last suspend was noticed.
    noticed: Option<Instant>,
}

impl Suspends {
    /// A detector before its first reading.
    pub(crate) const fn new() -> Self {
        Self { last: None, noticed: None }
    }

    /// Takes a reading of both clocks. Call it every few seconds, and before [`Self::is_waking`]. Where the system does
    /// not report the time since boot (`None`), suspends are not noticed.
    pub(crate) fn on_clocks(&mut self, now: Instant, since_boot: Option<Duration>) {
        let Some(since_boot) = since_boot else { return };
        if let Some((then, before)) = self.last.replace((now, since_boot)) {
            let awake = now.saturating_duration_since(then);
            if since_boot.saturating_sub(before) > awake + MIN_SUSPEND {
                self.noticed = Some(now);
            }
        }
    }

    /// Whether the computer resumed within the last `WAKING` time.
    pub(crate) fn is_waking(&self, now: Instant) -> bool {
        self.noticed.is_some_and(|at| now.saturating_duration_since(at) < WAKING)
    }
}

/// Parses the time since boot from the text of `/proc/uptime`.
pub(crate) fn since_boot(uptime: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(uptime.split_whitespace().next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each reading has the seconds awake and the seconds since boot. After the last one, a recent suspend must be
    /// reported if `is_waking`.
    #[track_caller]
    fn check(readings: &[(f64, f64)], is_waking: bool) {
        let start = Instant::now();
        let mut suspends = Suspends::new();
        let mut now = start;
        for (awake, booted) in readings {
            now = start + Duration::from_secs_f64(*awake);
            suspends.on_clocks(now, Some(Duration::from_secs_f64(*booted)));
        }
        assert_eq!(suspends.is_waking(now), is_waking, "{readings:?}");
    }

    #[test]
    fn a_suspend_is_reported_until_devices_have_recovered() {
        check(&[(0.0, 1000.0)], false);
        check(&[(0.0, 1000.0), (2.0, 1002.0), (4.0, 1004.01)], false);
        check(&[(0.0, 1000.0), (2.0, 1002.5)], false);
        check(&[(0.0, 1000.0), (2.0, 1602.0)], true);
        check(&[(0.0, 1000.0), (2.0, 1602.0), (31.9, 1631.9)], true);
        check(&[(0.0, 1000.0), (2.0, 1602.0), (32.0, 1632.0)], false);
        check(&[(0.0, 1000.0), (2.0, 900.0)], false);
    }

    #[test]
    fn without_the_time_since_boot_no_suspend_is_reported() {
        let now = Instant::now();
        let mut suspends = Suspends::new();
        suspends.on_clocks(now, None);
        suspends.on_clocks(now + Duration::from_secs(9), None);
        assert!(!suspends.is_waking(now + Duration::from_secs(9)));
    }

    #[test]
    fn the_time_since_boot_is_parsed() {
        assert_eq!(since_boot("1234.56 7890.12\n"), Some(Duration::from_millis(1_234_560)));
        for wrong in ["", "\n", "x 1", "-1 2", "NaN 1"] {
            assert_eq!(since_boot(wrong), None, "{wrong}");
        }
    }
}
