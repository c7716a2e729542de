//! How long to wait before the next try: doubling from a first pause to a limit, jittered, reset by success.
//!
//! The random part is an argument, so that tests are exact; [`jitter`] draws it.
//!
//! Does not: sleep, or count attempts for its owner.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Draws a random number from 0 to 1 for [`Backoff::on_failure`]. Not for cryptography.
pub fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u16::try_from(random & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
}

/// A bounded, jittered exponential back-off.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with a pause of `first`; no pause is longer than `limit`.
    pub const fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0 }
    }

    /// Counts a failure and returns the pause before the next try. `jitter` from 0 to 1 picks a point in the upper
    /// half of the pause, so that a thousand devices do not return at once.
    pub fn on_failure(&mut self, jitter: f64) -> Duration {
        let whole = self
            .first
            .saturating_mul(1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX))
            .min(self.limit);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }

    /// Call after a success: after the next failure the first pause is returned again.
    pub fn on_success(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_limit_and_a_success_resets_them() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
        let full: Vec<u128> = (0..8).map(|_| backoff.on_failure(1.0).as_millis()).collect();
        assert_eq!(full, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        backoff.on_success();
        assert_eq!(backoff.on_failure(0.0), Duration::from_millis(125));
    }

    #[test]
    fn ten_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for _ in 0..10_000 {
            assert!(backoff.on_failure(2.0) <= Duration::from_secs(10));
        }
    }
}
