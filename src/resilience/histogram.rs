//! Counts durations in buckets of fixed widths: all of them for a histogram, and the recent ones for percentiles.
//!
//! Each bucket is 9 % wide: `PER_OCTAVE` buckets cover a factor of two. They reach from 1 ms to 65 s; a shorter
//! duration counts in the first bucket, a longer one in the last. Percentiles cover the last one to two [`RECENT`]
//! periods, because a median since the start says nothing about the present.
//!
//! Does not: read the clock; the caller passes the time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Buckets per factor of two.
const PER_OCTAVE: usize = 8;
/// Factors of two from 1 ms on: the last bound is 65.536 s.
const OCTAVES: usize = 16;
/// All buckets, the last for what is longer than every bound.
const BUCKETS: usize = PER_OCTAVE * OCTAVES + 1;
/// The time after which the recent durations are replaced.
pub const RECENT: Duration = Duration::from_secs(60);

/// A histogram, shared between the part that measures and its readers.
#[derive(Debug, Default)]
pub struct Histogram(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    /// Durations of each factor of two, and longer ones, since the start.
    octaves: [u64; OCTAVES + 1],
    sum: Duration,
    /// The recent durations since `began`.
    present: [u32; BUCKETS],
    began: Option<Instant>,
    /// The durations of the [`RECENT`] period that ended at `began`.
    before: [u32; BUCKETS],
}

/// The state of a [`Histogram`] at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Durations {
    /// All durations.
    pub count: u64,
    /// The sum of all durations.
    pub sum: Duration,
    /// Upper bounds, ascending, each with the count of all durations up to it.
    pub buckets: Vec<(Duration, u64)>,
    /// The bounds that 50, 95 and 99 % of the recent durations do not exceed; `None` without recent ones.
    pub percentiles: Option<[Duration; 3]>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            octaves: [0; OCTAVES + 1],
            sum: Duration::ZERO,
            present: [0; BUCKETS],
            began: None,
            before: [0; BUCKETS],
        }
    }
}

impl Histogram {
    /// Counts a duration that was measured `now`.
    pub fn add(&self, duration: Duration, now: Instant) {
        self.lock().add(duration, now);
    }

    /// The state at `now`.
    pub fn read(&self, now: Instant) -> Durations {
        let mut counted = self.lock();
        counted.turn(now);
        counted.read()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        // A poisoned lock is safe to use: a panic cannot leave the numbers half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, duration: Duration, now: Instant) {
        self.turn(now);
        self.began.get_or_insert(now);
        self.sum = self.sum.saturating_add(duration);
        let nth = bucket(duration);
        if let Some(count) = self.present.get_mut(nth) {
            *count = count.saturating_add(1);
        }
        if let Some(count) = self.octaves.get_mut(nth / PER_OCTAVE) {
            *count = count.saturating_add(1);
        }
    }

    /// Moves `present` to `before` once it is [`RECENT`] old.
    fn turn(&mut self, now: Instant) {
        let Some(began) = self.began else { return };
        let age = now.saturating_duration_since(began);
        if age < RECENT {
            return;
        }
        let present = std::mem::replace(&mut self.present, [0; BUCKETS]);
        self.before = if age < 2 * RECENT { present } else { [0; BUCKETS] };
        self.began = Some(now);
    }

    fn read(&self) -> Durations {
        let mut up_to = 0;
        let buckets = self.octaves.iter().take(OCTAVES).enumerate();
        let buckets = buckets.map(|(octave, count)| {
            up_to += count;
            (bound((octave + 1) * PER_OCTAVE - 1), up_to)
        });
        Durations {
            buckets: buckets.collect(),
            count: self.octaves.iter().sum(),
            sum: self.sum,
            percentiles: self.percentiles(),
        }
    }

    fn percentiles(&self) -> Option<[Duration; 3]> {
        let recent = self.present.iter().zip(&self.before);
        let recent: Vec<u64> = recent.map(|(a, b)| u64::from(*a) + u64::from(*b)).collect();
        let count: u64 = recent.iter().sum();
        let nth = |percent: u64| {
            let wanted = (count * percent).div_ceil(100);
            let mut seen = 0;
            let found = recent.iter().position(|bucket| {
                seen += bucket;
                seen >= wanted
            });
            bound(found.unwrap_or(BUCKETS - 1))
        };
        (count > 0).then(|| [50, 95, 99].map(nth))
    }
}

/// The bucket of a duration.
fn bucket(duration: Duration) -> usize {
    let octaves = (duration.as_secs_f64() * 1000.0).log2();
    // The first bound is above 1 ms; what does not fit a `usize` is negative or beyond all bounds.
    let nth = (octaves * PER_OCTAVE as f64).max(0.0) as usize;
    nth.min(BUCKETS - 1)
}

/// The upper bound of a bucket. The last bucket has no upper bound: its lower bound.
fn bound(nth: usize) -> Duration {
    let octaves = (nth.min(BUCKETS - 2) + 1) as f64 / PER_OCTAVE as f64;
    Duration::from_secs_f64(octaves.exp2() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: impl IntoIterator<Item = u64>, expected: Option<[f64; 3]>) {
        let (histogram, now) = (Histogram::default(), Instant::now());
        for ms in millis {
            histogram.add(Duration::from_millis(ms), now);
        }
        let found = histogram.read(now).percentiles;
        let is_near = |(a, b): (&Duration, &f64)| {
            let over = a.as_secs_f64() * 1000.0 / b;
            (1.0..1.0906).contains(&over)
        };
        assert_eq!(found.is_some(), expected.is_some());
        if let (Some(found), Some(expected)) = (found, expected) {
            assert!(found.iter().zip(&expected).all(is_near), "{found:?}");
        }
    }

    #[test]
    fn percentiles_are_at_most_a_bucket_too_long() {
        check([], None);
        check([40], Some([40.0; 3]));
        check(1..=1000, Some([500.0, 950.0, 990.0]));
    }

    #[test]
    fn durations_outside_the_bounds_count_at_the_ends() {
        let (histogram, now) = (Histogram::default(), Instant::now());
        for duration in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            histogram.add(duration, now);
        }
        let read = histogram.read(now);
        assert_eq!((read.count, read.buckets.len()), (3, OCTAVES));
        assert_eq!(read.buckets.first(), Some(&(Duration::from_millis(2), 2)));
        assert_eq!(read.buckets.last(), Some(&(Duration::from_millis(65_536), 2)));
        assert_eq!(read.percentiles.map(|all| all[2]), Some(Duration::from_millis(65_536)));
    }

    #[test]
    fn old_durations_leave_the_percentiles_and_stay_in_the_histogram() {
        let (histogram, start) = (Histogram::default(), Instant::now());
        histogram.add(Duration::from_secs(9), start);
        let median = |at| histogram.read(at).percentiles.map(|all| all[0].as_secs());
        assert_eq!(median(start + RECENT), Some(9));
        histogram.add(Duration::from_secs(1), start + RECENT);
        assert_eq!(median(start + 2 * RECENT), Some(1));
        assert_eq!(median(start + 4 * RECENT), None);
        assert_eq!(histogram.read(start + 4 * RECENT).count, 2);
    }

    #[test]
    fn each_bound_counts_all_shorter_durations() {
        let (histogram, now) = (Histogram::default(), Instant::now());
        for ms in [1, 3, 5, 9, 17, 33] {
            histogram.add(Duration::from_millis(ms), now);
        }
        let counts: Vec<u64> =
            histogram.read(now).buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6]);
        assert_eq!(histogram.read(now).sum, Duration::from_millis(68));
    }
}
