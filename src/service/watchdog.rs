//! Decides when the service manager's watchdog is fed: only while frames move, or during a wait with a limit.
//!
//! ```text
//!             wait(until)                       until has passed,
//!   Moving ───────────────▶ Waiting(until) ──── or progress ─────▶ Moving
//! ```
//!
//! | state | check, each third of the limit | then |
//! |---|---|---|
//! | Moving | frames moved since the last check | feed |
//! | Moving | no frames moved | do not feed: the service manager acts at the limit |
//! | Waiting | its end has not come | feed |
//! | Waiting | its end has passed | feed once, and change to Moving |
//!
//! The check runs three times per limit, so that one late check or lost notification does not end a healthy program. A
//! stall is detected after two thirds to four thirds of the limit.
//!
//! Does not: read a clock or send; nor observe the frames.

use std::time::{Duration, Instant};

/// The number of checks per limit.
const CHECKS: u32 = 3;

/// Whether to feed the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Feed {
    /// Feed the watchdog now.
    Now,
    /// Do not feed it.
    No,
}

/// The watchdog of one run.
#[derive(Debug, Clone)]
pub struct Watchdog {
    every: Duration,
    next: Instant,
    state: WatchdogState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchdogState {
    Moving { moved: bool },
    Waiting { until: Instant },
}

impl Watchdog {
    /// A watchdog with this `limit`. The start counts as progress.
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self { every: limit / CHECKS, next: now, state: WatchdogState::Moving { moved: true } }
    }

    /// Call it when frames moved. Ends a wait.
    pub fn on_progress(&mut self, now: Instant) -> Feed {
        self.state = WatchdogState::Moving { moved: true };
        self.on_tick(now)
    }

    /// Call it when no frames will move before `until`, for a known reason: a back-off, a start in progress. The program
    /// must act by `until`.
    pub fn on_wait(&mut self, until: Instant, now: Instant) -> Feed {
        self.state = WatchdogState::Waiting { until };
        self.on_tick(now)
    }

    /// Call it at the time of [`Self::poll_timeout`], or earlier.
    pub fn on_tick(&mut self, now: Instant) -> Feed {
        if now < self.next {
            return Feed::No;
        }
        self.next = now + self.every;
        match self.state {
            WatchdogState::Waiting { until } if now < until => Feed::Now,
            WatchdogState::Waiting { .. } | WatchdogState::Moving { moved: true } => {
                self.state = WatchdogState::Moving { moved: false };
                Feed::Now
            }
            WatchdogState::Moving { moved: false } => Feed::No,
        }
    }

    /// When [`Self::on_tick`] has to be called next.
    pub fn poll_timeout(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Told {
        Progress,
        WaitUntil(u64),
        Tick,
    }
    use Told::{Progress, Tick, WaitUntil};

    /// Runs events at these seconds with a limit of 30 s, and checks after which the watchdog is fed.
    #[track_caller]
    fn check(steps: &[(u64, Told, bool)]) {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut watchdog = Watchdog::new(Duration::from_secs(30), start);
        for (second, told, feeds) in steps {
            let now = at(*second);
            let feed = match told {
                Progress => watchdog.on_progress(now),
                WaitUntil(until) => watchdog.on_wait(at(*until), now),
                Tick => watchdog.on_tick(now),
            };
            assert_eq!(feed == Feed::Now, *feeds, "at {second} s: {told:?}");
        }
    }

    #[test]
    fn moving_frames_feed_each_third_of_the_limit() {
        check(&[
            (0, Tick, true),
            (1, Progress, false),
            (9, Progress, false),
            (10, Tick, true),
            (19, Progress, false),
            (20, Progress, true),
            (29, Progress, false),
            (31, Tick, true),
            (40, Progress, false),
            (41, Progress, true),
        ]);
    }

    #[test]
    fn a_standstill_is_not_fed_until_progress() {
        check(&[
            (0, Tick, true),
            (1, Progress, false),
            (10, Tick, true),
            (20, Tick, false),
            (30, Tick, false),
            (40, Tick, false),
            (45, Progress, false),
            (50, Tick, true),
            (60, Tick, false),
        ]);
    }

    #[test]
    fn a_start_without_progress_is_not_fed() {
        check(&[(0, Tick, true), (10, Tick, false), (20, Tick, false)]);
    }

    #[test]
    fn a_stated_wait_feeds_until_its_end_and_no_longer() {
        check(&[
            (0, Tick, true),
            (5, WaitUntil(45), false),
            (10, Tick, true),
            (20, Tick, true),
            (30, Tick, true),
            (40, Tick, true),
            (50, Tick, true),
            (60, Tick, false),
            (70, Tick, false),
        ]);
    }

    #[test]
    fn a_wait_can_be_prolonged_or_ended_by_progress() {
        check(&[
            (0, WaitUntil(12), true),
            (10, WaitUntil(25), true),
            (20, Tick, true),
            (21, Progress, false),
            (30, Tick, true),
            (40, Tick, false),
        ]);
    }

    #[test]
    fn a_late_tick_counts_once() {
        check(&[(0, Tick, true), (3, Progress, false), (100, Tick, true), (101, Tick, false)]);
    }

    #[test]
    fn the_watchdog_is_checked_before_its_limit() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_secs(30), start);
        assert_eq!(watchdog.poll_timeout(), start);
        assert_eq!(watchdog.on_tick(start), Feed::Now);
        assert_eq!(watchdog.poll_timeout(), start + Duration::from_secs(10));
    }
}
