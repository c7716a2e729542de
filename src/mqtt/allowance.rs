//! How much may be read from the broker: a rate, with a burst of what the rate allows in one second.
//!
//! An amount is spent after it was read, so the balance may become negative. Reading then waits until the balance is
//! positive again.
//!
//! Does not: read the clock, or wait.

use std::time::{Duration, Instant};

/// A limit on the rate of something countable, such as bytes.
#[derive(Debug)]
pub(super) struct Allowance {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    /// Allows `per_second` on average, with a burst of the same amount.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second, at: now }
    }

    /// Spends this amount.
    pub(super) fn spend(&mut self, amount: usize, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        let amount = f64::from(u32::try_from(amount).unwrap_or(u32::MAX));
        self.left = (self.left + gained).min(self.per_second) - amount;
        self.at = now;
    }

    /// When more may be spent; a time in the past if more may be spent now.
    pub(super) fn ready_at(&self) -> Instant {
        let missing = (-self.left / self.per_second).max(0.0);
        self.at + Duration::try_from_secs_f64(missing).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_a_flood_waits() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut allowance = Allowance::new(100, start);
        allowance.spend(100, start);
        assert_eq!(allowance.ready_at(), start);
        allowance.spend(50, start);
        assert_eq!(allowance.ready_at(), after(500));
        // At most the amount of one second is saved up.
        allowance.spend(0, after(60_000));
        allowance.spend(200, after(60_000));
        assert_eq!(allowance.ready_at(), after(61_000));
    }
}
