//! Counts durations in a fixed number of buckets, and computes percentiles.
//!
//! Buckets are 0.1 ms wide up to 100 ms and 1 ms up to 10 s, with one bucket beyond: 43 KiB for any number of durations.
//!
//! Does not: measure time.

use std::time::Duration;

/// Buckets of 0.1 ms, up to 100 ms.
const FINE: usize = 1000;
/// Buckets of 1 ms, from 100 ms to 10 s, and one for all beyond.
const COARSE: usize = 9901;

/// A histogram of durations.
#[derive(Debug, Clone)]
pub struct Latency {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: vec![0; FINE + COARSE], count: 0 }
    }
}

impl Latency {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let micros = usize::try_from(duration.as_micros()).unwrap_or(usize::MAX);
        let nth = if micros < 100_000 {
            micros / 100
        } else {
            (FINE + micros / 1000 - 100).min(FINE + COARSE - 1)
        };
        if let Some(bucket) = self.buckets.get_mut(nth) {
            *bucket = bucket.saturating_add(1);
            self.count += 1;
        }
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration that `percent` (0 to 100) of all durations do not exceed, rounded up to the edge of its bucket.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.count * percent.min(100)).div_ceil(100).max(1);
        let mut seen = 0;
        for (nth, bucket) in self.buckets.iter().enumerate() {
            seen += u64::from(*bucket);
            if seen >= wanted {
                let nth = u64::try_from(nth).unwrap_or(u64::MAX);
                let fine = u64::try_from(FINE).unwrap_or(u64::MAX);
                return Some(if nth < fine {
                    Duration::from_micros((nth + 1) * 100)
                } else {
                    Duration::from_millis(nth - fine + 101)
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_upper_edges_of_their_buckets() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(50), None);
        for ms in 1..=100 {
            latency.add(Duration::from_millis(ms));
        }
        latency.add(Duration::from_secs(3600));
        assert_eq!(latency.count(), 101);
        assert_eq!(latency.percentile(0), Some(Duration::from_micros(1100)));
        assert_eq!(latency.percentile(50), Some(Duration::from_micros(51_100)));
        assert_eq!(latency.percentile(99), Some(Duration::from_millis(101)));
        assert_eq!(latency.percentile(100), Some(Duration::from_millis(10_001)));
    }
}
