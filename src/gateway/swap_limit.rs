//! Decides how fast one orchestrator may be left for the next: at once, until it happens too often.
//!
//! More than [`SWAPS`] swaps within [`WINDOW`] mean that orchestrators are not at fault but the input or the
//! model. Where the Go gateway stops then (protocol.md, section 5), this one slows down: a device in the
//! field has nobody to start it again.
//!
//! | swaps within the window, this one included | then |
//! |---|---|
//! | up to 2 | at once |
//! | the 3rd | wait 10 s |
//! | each further one | wait twice as long, up to 60 s |
//!
//! Does not: wait, choose orchestrators (`session::selection` does), or ever stop.

use std::time::{Duration, Instant};

use heapless::Deque;

use resilience::backoff::Backoff;

/// Swaps that may happen at once (go-livepeer `ai_live_video.go`).
pub(crate) const SWAPS: usize = 2;
/// Within this time (go-livepeer `ai_live_video.go`).
pub(crate) const WINDOW: Duration = Duration::from_secs(180);
/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest one: still within the time that the camera is held for a job.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When to swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pace {
    /// At once.
    AtOnce,
    /// After this pause; say that the input or the model is probably at fault.
    After(Duration),
}

/// Remembers the last swaps.
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
    /// One orchestrator is to be left for another. `jitter` from 0 to 1 spreads the pause.
    pub(crate) fn on_swap(&mut self, now: Instant, jitter: f64) -> Pace {
        while self.recent.front().is_some_and(|swap| now.duration_since(*swap) >= WINDOW) {
            self.recent.pop_front();
        }
        let pace = if self.recent.is_full() {
            self.recent.pop_front();
            Pace::After(self.pauses.on_failure(jitter))
        } else {
            self.pauses.on_success();
            Pace::AtOnce
        };
        // There is room: one was taken out where it was full.
        let _ = self.recent.push_back(now);
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Swaps at these seconds: the seconds of pause before each, 0 for none.
    #[track_caller]
    fn check(swaps: &[u64], expected: &[u64]) {
        let start = Instant::now();
        let mut limit = SwapLimit::default();
        let pauses: Vec<u64> = swaps
            .iter()
            .map(|at| match limit.on_swap(start + Duration::from_secs(*at), 1.0) {
                Pace::AtOnce => 0,
                Pace::After(pause) => pause.as_secs(),
            })
            .collect();
        assert_eq!(pauses, expected);
    }

    #[test]
    fn two_swaps_in_three_minutes_are_free() {
        check(&[0, 10], &[0, 0]);
        check(&[0, 10, 180, 190, 360], &[0; 5]);
    }

    #[test]
    fn more_are_slower_and_slower_but_never_the_end() {
        check(&[0, 1, 2, 13, 34, 75, 136, 197], &[0, 0, 10, 20, 40, 60, 60, 60]);
        check(&[0, 100, 179], &[0, 0, 10]);
    }

    #[test]
    fn a_calm_time_makes_it_fast_again() {
        check(&[0, 1, 2, 13, 300, 301, 302], &[0, 0, 10, 20, 0, 0, 10]);
    }

    #[test]
    fn a_thousand_swaps_take_no_more_than_one_a_half_minute() {
        let mut now = Instant::now();
        let start = now;
        let mut limit = SwapLimit::default();
        for _ in 0..1000 {
            if let Pace::After(pause) = limit.on_swap(now, 0.0) {
                now += pause;
            }
        }
        assert!(now.duration_since(start) > Duration::from_secs(990 * 30));
    }
}
