//! Decides when the next start may be paid, so that failing starts do not prepay faster than real time.
//!
//! The first payment of a job pays for time in advance (60 s of live video), and the orchestrator keeps the payment if
//! the start fails afterwards. So prepaid time must pass before more time is prepaid. An allowance of [`AHEAD`] lets a
//! start and two failovers happen without a pause (`swap_limit`).
//!
//! ```text
//!  total prepaid time ≤ time that has passed + AHEAD
//! ```
//!
//! Does not: count the payments of a live job for time that has passed.

use std::time::{Duration, Instant};

/// Maximum time prepaid beyond the time that has passed: three starts of live video.
const AHEAD: Duration = Duration::from_secs(180);

/// The time that starts have prepaid.
#[derive(Debug, Default)]
pub(super) struct Prepaid {
    /// The time at which all prepaid time will have passed.
    covered: Option<Instant>,
}

impl Prepaid {
    /// How long a start that prepays `time` must wait; `None` if it may be made now.
    pub(super) fn wait(&self, time: Duration, now: Instant) -> Option<Duration> {
        let covered = self.covered.filter(|_| !time.is_zero())?;
        let owed = covered.saturating_duration_since(now) + time;
        owed.checked_sub(AHEAD).filter(|wait| !wait.is_zero())
    }

    /// Call when a start that prepays `time` is made.
    pub(super) fn on_start(&mut self, time: Duration, now: Instant) {
        self.covered = Some(self.covered.map_or(now, |covered| covered.max(now)) + time);
    }

    /// Call when a start failed before its payment for `time` was taken: that payment no longer counts.
    pub(super) fn on_not_taken(&mut self, time: Duration) {
        self.covered = self.covered.and_then(|covered| covered.checked_sub(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(700);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn three_starts_do_not_wait_and_later_ones_wait_for_real_time() {
        let start = Instant::now();
        let mut prepaid = Prepaid::default();
        for _ in 0..3 {
            assert_eq!(prepaid.wait(s(60), start), None);
            prepaid.on_start(s(60), start);
        }
        assert_eq!(prepaid.wait(s(60), start + s(10)), Some(s(50)));
        assert_eq!(prepaid.wait(s(10), start + s(10)), None, "a cheaper one may be made sooner");
        assert_eq!(prepaid.wait(s(60), start + s(60)), None);
        assert_eq!(prepaid.wait(Duration::ZERO, start), None, "what costs nothing never waits");
    }

    #[test]
    fn a_payment_that_was_not_taken_does_not_count() {
        let now = Instant::now();
        let mut prepaid = Prepaid::default();
        for _ in 0..100 {
            assert_eq!(prepaid.wait(s(60), now), None);
            prepaid.on_start(s(60), now);
            prepaid.on_not_taken(s(60));
        }
    }

    #[test]
    fn a_day_of_failures_prepays_a_day_and_three_minutes_at_most() {
        for time in [10, 60] {
            let start = Instant::now();
            let (mut prepaid, mut now, mut paid) = (Prepaid::default(), start, Duration::ZERO);
            while now < start + s(24 * 3600) {
                match prepaid.wait(s(time), now) {
                    None => {
                        prepaid.on_start(s(time), now);
                        paid += s(time);
                    }
                    Some(wait) => assert!(wait <= s(time), "{wait:?}"),
                }
                assert!(paid <= now - start + AHEAD, "{paid:?} after {:?}", now - start);
                now += STEP;
            }
            assert!(paid > s(23 * 3600), "real time is allowed: {paid:?}");
        }
    }
}
