//! Decides when the service manager's watchdog is fed: only while frames move, or while a stated wait goes on.
//!
//! ```text
//!             wait(until)                       until has passed,
//!   Moving ───────────────▶ Waiting(until) ──── or progress ─────▶ Moving
//! ```
//!
//! | state | looked at, each third of the limit | then |
//! |---|---|---|
//! | Moving | something moved since the last look | feed |
//! | Moving | nothing moved | starve: the service manager acts at the limit |
//! | Waiting | its end has not come | feed |
//! | Waiting | its end has passed | as Moving, and its end counts as progress once |
//!
//! A third, so that one look that comes late or food that gets lost does not end a healthy program. A
//! program that stops moving is found between two thirds of the limit and the limit and a third later.
//!
//! Does not: know a clock or a socket; nor what moves.

use std::time::{Duration, Instant};

/// Parts of the limit between two looks.
const LOOKS: u32 = 3;

/// Whether to feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Feed {
    /// Say that the program is alive, now.
    Now,
    /// Say nothing.
    No,
}

/// The watchdog of one run.
#[derive(Debug, Clone)]
pub struct Watchdog {
    every: Duration,
    next: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Moving { moved: bool },
    Waiting { until: Instant },
}

impl Watchdog {
    /// A watchdog that bites `limit` after it was last fed. The start counts as progress.
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self { every: limit / LOOKS, next: now, state: State::Moving { moved: true } }
    }

    /// Frames moved; also ends a wait.
    pub fn on_progress(&mut self, now: Instant) -> Feed {
        self.state = State::Moving { moved: true };
        self.on_tick(now)
    }

    /// Nothing is going to move before `until`, for a reason that the program can name: a back-off, a
    /// start under way. It has to be an end that the program will see to.
    pub fn on_wait(&mut self, until: Instant, now: Instant) -> Feed {
        self.state = State::Waiting { until };
        self.on_tick(now)
    }

    /// The time of [`Self::poll_timeout`] may have come.
    pub fn on_tick(&mut self, now: Instant) -> Feed {
        if now < self.next {
            return Feed::No;
        }
        self.next = now + self.every;
        match self.state {
            State::Waiting { until } if now < until => Feed::Now,
            State::Waiting { .. } | State::Moving { moved: true } => {
                self.state = State::Moving { moved: false };
                Feed::Now
            }
            State::Moving { moved: false } => Feed::No,
        }
    }

    /// When it wants to look next.
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

    /// With a limit of 30 s: what is told at which second, and whether that feeds.
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
    fn a_standstill_starves_until_something_moves() {
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
    fn a_start_that_never_gets_anywhere_starves() {
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
    fn a_late_look_is_one_look() {
        check(&[(0, Tick, true), (3, Progress, false), (100, Tick, true), (101, Tick, false)]);
    }

    #[test]
    fn it_wants_to_look_before_it_bites() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_secs(30), start);
        assert_eq!(watchdog.poll_timeout(), start);
        assert_eq!(watchdog.on_tick(start), Feed::Now);
        assert_eq!(watchdog.poll_timeout(), start + Duration::from_secs(10));
    }
}
