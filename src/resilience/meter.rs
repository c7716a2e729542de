//! Counts frames, segments or bytes: a total, the time of the last increment, and one-second slots for the present
//! rate.
//!
//! A meter changes only when it is incremented, so it needs no timer: a reader computes the rate from the slots. One
//! increment is a short lock and an addition. The slots cover [`WINDOW`] and the current second.
//!
//! Does not: read the clock; the caller passes the time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time over which the rate is computed.
pub const WINDOW: Duration = Duration::from_secs(5);
/// One slot for each full second of [`WINDOW`], and one for the current second.
const SLOTS: usize = 6;

/// A counter of frames, segments or bytes, shared between the part that increments it and its readers.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    count: u64,
    /// The first and the last increment.
    span: Option<(Instant, Instant)>,
    /// The longest recent time between two increments.
    gap: Duration,
    /// The slot of second `n` after the first increment is `n % SLOTS`.
    slots: [u64; SLOTS],
}

/// The state of a [`Meter`] at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// The total.
    pub count: u64,
    /// The time of the last increment; `None` before the first.
    pub last: Option<Instant>,
    /// The longest recent time between two increments: a longer one counts at once, and fades by an eighth with each
    /// increment after it. Zero before the second increment.
    pub gap: Duration,
    /// The mean rate over [`WINDOW`], in units per second.
    pub per_second: f64,
}

impl Meter {
    /// Adds `amount` at the time `now`.
    pub fn add(&self, amount: u64, now: Instant) {
        self.lock().add(amount, now);
    }

    /// The total.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// The state at `now`.
    pub fn read(&self, now: Instant) -> Reading {
        self.lock().read(now)
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        // A poisoned lock is safe to use: a panic cannot leave the numbers half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, amount: u64, now: Instant) {
        self.count = self.count.saturating_add(amount);
        let (first, last) = self.span.unwrap_or((now, now));
        let (old, new) = (second(first, last), second(first, now));
        for passed in old.saturating_add(1)..=new.min(old.saturating_add(SLOTS as u64)) {
            self.set(passed, 0);
        }
        self.set(new, self.at(new).saturating_add(amount));
        self.gap = now.saturating_duration_since(last).max(self.gap - self.gap / 8);
        self.span = Some((first, now.max(last)));
    }

    fn read(&self, now: Instant) -> Reading {
        let Some((first, last)) = self.span else { return Reading::default() };
        let (newest, current) = (second(first, last), second(first, now));
        // Slots of seconds after the last increment hold old amounts.
        let oldest = current.saturating_sub(SLOTS as u64 - 1);
        let amount: u64 = (oldest..=newest.min(current)).map(|second| self.at(second)).sum();
        let passed = now.saturating_duration_since(first) - Duration::from_secs(oldest);
        let per_second = amount as f64 / passed.as_secs_f64().max(1.0);
        Reading { count: self.count, last: Some(last), gap: self.gap, per_second }
    }

    fn at(&self, second: u64) -> u64 {
        slot(second).and_then(|slot| self.slots.get(slot)).copied().unwrap_or_default()
    }

    fn set(&mut self, second: u64, amount: u64) {
        if let Some(slot) = slot(second).and_then(|slot| self.slots.get_mut(slot)) {
            *slot = amount;
        }
    }
}

impl Reading {
    /// Whether the last increment was at most `within` before `now`.
    pub fn moves(&self, within: Duration, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) <= within)
    }
}

/// The full seconds from `first` to `at`.
fn second(first: Instant, at: Instant) -> u64 {
    at.saturating_duration_since(first).as_secs()
}

fn slot(second: u64) -> Option<usize> {
    usize::try_from(second % SLOTS as u64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds 10 at each of these times in ms, and checks total and rate at `read` ms.
    #[track_caller]
    fn check(adds: &[u64], read: u64, count: u64, per_second: f64) {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let meter = Meter::default();
        for ms in adds {
            meter.add(10, at(*ms));
        }
        let reading = meter.read(at(read));
        assert_eq!((reading.count, meter.count()), (count, count));
        let is_near = (reading.per_second - per_second).abs() < 0.001;
        assert!(is_near, "{} instead of {per_second}", reading.per_second);
    }

    #[test]
    fn the_rate_is_the_mean_of_the_last_seconds() {
        check(&[], 0, 0, 0.0);
        check(&[0], 0, 10, 10.0);
        check(&[0, 500], 1000, 20, 20.0);
        check(&[0, 500, 1000, 1500], 2000, 40, 20.0);
        let steady: Vec<u64> = (0..200).map(|n| n * 100).collect();
        check(&steady, 19_999, 2000, 600.0 / 5.999);
    }

    #[test]
    fn after_a_window_without_increments_the_rate_is_zero() {
        let steady: Vec<u64> = (0..50).map(|n| n * 100).collect();
        check(&steady, 6000, 500, 400.0 / 5.0);
        check(&steady, 9900, 500, 100.0 / 5.9);
        check(&steady, 10_000, 500, 0.0);
        check(&steady, 3_600_000, 500, 0.0);
    }

    #[test]
    fn old_seconds_do_not_count_again_after_a_pause() {
        for pause in [6000, 7000, 60_000, 86_400_000] {
            check(&[0, 500, 900, pause + 900], pause + 900, 40, 10.0 / 5.9);
        }
    }

    #[test]
    fn a_time_before_the_last_one_changes_only_the_total() {
        let start = Instant::now();
        let meter = Meter::default();
        meter.add(1, start + Duration::from_secs(9));
        meter.add(1, start);
        let reading = meter.read(start);
        assert_eq!((reading.count, reading.last), (2, Some(start + Duration::from_secs(9))));
        assert!(reading.moves(Duration::ZERO, start));
    }

    #[test]
    fn a_meter_moves_while_its_last_increment_is_recent() {
        let start = Instant::now();
        let meter = Meter::default();
        let second = Duration::from_secs(1);
        assert!(!meter.read(start).moves(second, start));
        meter.add(1, start);
        meter.add(1, start + 2 * second);
        let reading = meter.read(start + 2 * second);
        assert_eq!(reading.gap, 2 * second);
        assert!(reading.moves(second, start + 3 * second));
        assert!(!reading.moves(second, start + 4 * second));
    }

    #[test]
    fn a_long_gap_counts_at_once_and_fades() {
        let (meter, start) = (Meter::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let gap = |ms| meter.read(at(ms)).gap;
        meter.add(1, start);
        assert_eq!(gap(0), Duration::ZERO);
        meter.add(1, at(8000));
        assert_eq!(gap(8000), Duration::from_millis(8000));
        meter.add(1, at(8040));
        assert_eq!(gap(8040), Duration::from_millis(7000));
        (2..50).for_each(|nth| meter.add(1, at(8000 + 40 * nth)));
        assert_eq!(gap(9960), Duration::from_millis(40));
    }
}
