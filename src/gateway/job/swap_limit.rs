//! Limits how often a job swaps orchestrators: the first swaps are immediate, later ones wait.
//!
//! More than `SWAPS` swaps within `WINDOW` point to the input or the model rather than to the orchestrators. The Go
//! gateway then stops the job (protocol.md, section 5). This gateway only delays the swaps, because nobody restarts the
//! job on an unattended device.
//!
//! | swaps within the window, this one included | delay |
//! |---|---|
//! | up to 2 | none |
//! | the 3rd | 10 s |
//! | each further one | twice the last delay, up to 60 s |
//!
//! Does not: wait, choose orchestrators (`session::selection` does), or stop a job.

use std::time::{Duration, Instant};

use heapless::Deque;

use resilience::backoff::Backoff;

/// Swaps without a delay within [`WINDOW`] (go-livepeer `ai_live_video.go`).
pub(crate) const SWAPS: usize = 2;
/// The time over which swaps are counted (go-livepeer `ai_live_video.go`).
pub(crate) const WINDOW: Duration = Duration::from_secs(180);
/// The delay of the first swap beyond the limit.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest delay. Shorter than the time for which the agent keeps the camera open between jobs.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When a swap may take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum SwapTiming {
    /// Immediately.
    AtOnce,
    /// After this delay; report that the input or the model is probably at fault.
    After(Duration),
}

/// The times of the last [`SWAPS`] swaps, and the delay of the next one beyond the limit.
#[derive(Debug, Clone)]
pub(crate) struct SwapLimit {
    recent: Deque<Instant, SWAPS>,
    pauses: Backoff,
}

impl Default for SwapLimit {
    fn default() -> Self {
        Self { recent: Deque::new(), pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) }
    }
}

impl SwapLimit {
    /// Counts a swap that is about to happen, and returns when it may. `jitter` from 0 to 1 spreads the delay.
    pub(crate) fn on_swap(&mut self, now: Instant, jitter: f64) -> SwapTiming {
        while self.recent.front().is_some_and(|swap| now.duration_since(*swap) >= WINDOW) {
            self.recent.pop_front();
        }
        let timing = if self.recent.is_full() {
            self.recent.pop_front();
            SwapTiming::After(self.pauses.on_failure(jitter))
        } else {
            self.pauses.on_success();
            SwapTiming::AtOnce
        };
        // The queue has room, because a full queue lost its first entry above.
        let _ = self.recent.push_back(now);
        timing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the delay in seconds before each of the swaps at these seconds.
    #[track_caller]
    fn check(swaps: &[u64], expected: &[u64]) {
        let start = Instant::now();
        let mut limit = SwapLimit::default();
        let pauses: Vec<u64> = swaps
            .iter()
            .map(|at| match limit.on_swap(start + Duration::from_secs(*at), 1.0) {
                SwapTiming::AtOnce => 0,
                SwapTiming::After(pause) => pause.as_secs(),
            })
            .collect();
        assert_eq!(pauses, expected);
    }

    #[test]
    fn two_swaps_in_three_minutes_are_immediate() {
        check(&[0, 10], &[0, 0]);
        check(&[0, 10, 180, 190, 360], &[0; 5]);
    }

    #[test]
    fn further_swaps_wait_longer_and_longer_up_to_a_minute() {
        check(&[0, 1, 2, 13, 34, 75, 136, 197], &[0, 0, 10, 20, 40, 60, 60, 60]);
        check(&[0, 100, 179], &[0, 0, 10]);
    }

    #[test]
    fn three_minutes_without_a_swap_reset_the_delay() {
        check(&[0, 1, 2, 13, 300, 301, 302], &[0, 0, 10, 20, 0, 0, 10]);
    }

    #[test]
    fn a_thousand_swaps_wait_half_a_minute_each_on_average() {
        let mut now = Instant::now();
        let start = now;
        let mut limit = SwapLimit::default();
        for _ in 0..1000 {
            if let SwapTiming::After(pause) = limit.on_swap(now, 0.0) {
                now += pause;
            }
        }
        assert!(now.duration_since(start) > Duration::from_secs(990 * 30));
    }
}
