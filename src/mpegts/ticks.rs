//! Media time: 90 kHz in 33 bits, which wrap after 26.5 hours.
//!
//! Does not: order times by their number, because after a wrap the later time has the smaller number. Use
//! [`Ticks::since`].

use std::fmt;
use std::time::Duration;

/// A PTS or DTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ticks(u64);

impl Ticks {
    /// Ticks in a second.
    pub const PER_SECOND: u64 = 90_000;
    const MASK: u64 = (1 << 33) - 1;

    /// The time `ticks` after zero, wrapped to 33 bits.
    pub const fn new(ticks: u64) -> Self {
        Self(ticks & Self::MASK)
    }

    /// The time `span` after zero, rounded to the nearest tick.
    pub fn from_duration(span: Duration) -> Self {
        // u128: u64 nanoseconds × 9 would overflow after 65 years; the result wraps at 33 bits anyway.
        let ticks = (span.as_nanos() * 9 + 50_000) / 100_000;
        Self((ticks & u128::from(Self::MASK)) as u64)
    }

    /// The 33-bit number.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The duration since zero or since the last wrap.
    pub const fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0 * 100_000 / 9)
    }

    /// This time plus `ticks`.
    #[must_use]
    pub const fn plus(self, ticks: u64) -> Self {
        Self::new(self.0.wrapping_add(ticks))
    }

    /// This time less `ticks`.
    #[must_use]
    pub const fn minus(self, ticks: u64) -> Self {
        Self::new(self.0.wrapping_sub(ticks))
    }

    /// Ticks from `earlier` to this time in the shorter direction around the wrap; negative when this time is earlier.
    pub const fn since(self, earlier: Self) -> i64 {
        // With the 33 bits at the top of an i64, the sign bit gives the shorter direction.
        ((self.0.wrapping_sub(earlier.0) << 31) as i64) >> 31
    }

    /// The duration from `earlier` to this time; `None` when this time is earlier.
    pub fn duration_since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.since(earlier)).ok().map(|ticks| Self(ticks).as_duration())
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(later: u64, earlier: u64, expected: i64) {
        assert_eq!(Ticks::new(later).since(Ticks::new(earlier)), expected);
    }

    #[test]
    fn differences_take_the_shorter_direction() {
        check(10, 4, 6);
        check(4, 10, -6);
        check(3, (1 << 33) - 2, 5);
        check((1 << 33) - 2, 3, -5);
        check(1 << 33, 0, 0);
    }

    #[test]
    fn a_duration_survives_the_round_trip_within_a_tick() {
        for millis in [0, 1, 41, 1000, 40_000_000] {
            let span = Duration::from_millis(millis);
            let back = Ticks::from_duration(span).duration_since(Ticks::default()).unwrap();
            assert!(span.abs_diff(back) < Duration::from_micros(12), "{span:?} {back:?}");
        }
        assert_eq!(Ticks::new(1).duration_since(Ticks::new(2)), None);
    }
}
