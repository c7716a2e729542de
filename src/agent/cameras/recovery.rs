//! Decides when a lost camera is opened again, and whether it is back.
//!
//! ```text
//! ┌─────────┐ lost  ┌──────────┐ stopped ┌─────────┐ time ┌─────────┐ opened ┌─────────┐
//! │ Playing ├──────▶│ Stopping ├────────▶│ Resting ├─────▶│ Opening ├───────▶│ Proving │
//! └────▲────┘       └────▲─────┘         └────▲────┘      └────┬────┘        └──┬──┬───┘
//!      │                 │                    └── not opened ──┘                │  │
//!      │                 └────────────────────────────────────────────── lost ──┘  │
//!      └─────────────────────────────────────────────────────────────── a frame ───┘
//! ```
//!
//! The first try follows at once, for it may have been the encoder; the pauses then grow to [`LONGEST_PAUSE`],
//! so that a camera that is plugged in again is back within 2 s. A camera that has given frames for
//! [`CALM`] starts over with them.
//!
//! Does not: open or stop anything.

use std::time::{Duration, Instant};

use resilience::backoff::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Frames for so long mean that the camera works.
const CALM: Duration = Duration::from_secs(10);

/// The state of the camera. The rest of the agent asks here, and nowhere else, whether there is one.
#[derive(Debug, Clone)]
pub(super) struct CameraRecovery {
    state: State,
    pauses: Backoff,
    gap: Gap,
}

/// Why there are no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// There are frames.
    None,
    /// The camera is opened again on purpose; it counts as lost only if that fails.
    Planned,
    /// The camera has been lost since then.
    Lost { since: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Playing { since: Instant },
    Stopping,
    Resting { until: Instant },
    Opening,
    Proving,
}

impl CameraRecovery {
    /// A camera that was opened.
    pub(super) fn playing(now: Instant) -> Self {
        let pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { state: State::Playing { since: now }, pauses, gap: Gap::None }
    }

    /// A camera that could not be opened at the start. `jitter` from 0 to 1 spreads the pause before the next try.
    pub(super) fn missing(now: Instant, jitter: f64) -> Self {
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let until = now + pauses.on_failure(jitter);
        Self { state: State::Resting { until }, pauses, gap: Gap::Lost { since: now } }
    }

    /// The camera has to be opened again with another configuration. The caller stops it.
    pub(super) fn reopen(&mut self) {
        if self.gap == Gap::None {
            self.gap = Gap::Planned;
        }
        self.state = State::Stopping;
    }

    /// It gives no frames: the caller stops it. Returns whether it gave frames until now.
    pub(super) fn on_lost(&mut self, now: Instant) -> bool {
        let played = if let State::Playing { since } = self.state {
            Some(now.duration_since(since))
        } else {
            None
        };
        if played >= Some(CALM) {
            self.pauses.on_success();
        }
        self.lose(now);
        self.state = State::Stopping;
        played.is_some()
    }

    /// It has stopped. `jitter` from 0 to 1 spreads the pause.
    pub(super) fn on_stopped(&mut self, now: Instant, jitter: f64) {
        if self.state == State::Stopping {
            self.rest(now, jitter);
        }
    }

    /// It could not be opened.
    pub(super) fn on_not_opened(&mut self, now: Instant, jitter: f64) {
        if self.state == State::Opening {
            self.lose(now);
            self.rest(now, jitter);
        }
    }

    /// It was opened, and is let play.
    pub(super) fn on_opened(&mut self) {
        self.state = State::Proving;
    }

    /// It gave a frame: for how long it had been lost.
    pub(super) fn on_frame(&mut self, now: Instant) -> Duration {
        self.state = State::Playing { since: now };
        match std::mem::replace(&mut self.gap, Gap::None) {
            Gap::Lost { since } => now.duration_since(since),
            Gap::None | Gap::Planned => Duration::ZERO,
        }
    }

    /// Whether it is to be opened now.
    pub(super) fn opens(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, State::Resting { until } if until <= now);
        if is_due {
            self.state = State::Opening;
        }
        is_due
    }

    /// When it is to be opened.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Playing { .. } | State::Stopping | State::Opening | State::Proving => None,
        }
    }

    /// Whether its first frame is awaited.
    pub(super) fn is_proving(&self) -> bool {
        self.state == State::Proving
    }

    /// Whether there is no camera. False while it is opened again on purpose.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.gap, Gap::Lost { .. })
    }

    fn lose(&mut self, now: Instant) {
        if !self.is_lost() {
            self.gap = Gap::Lost { since: now };
        }
    }

    fn rest(&mut self, now: Instant, jitter: f64) {
        self.state = State::Resting { until: now + self.pauses.on_failure(jitter) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r` opened again on purpose, `l` lost, `s` stopped, `o` opened, `n` not opened, `f` a frame; a number waits so many ms, and `!` until it is
    /// to be opened, which it must be.
    #[track_caller]
    fn check(story: &str, waits: &[u128], is_lost: bool) {
        let mut now = Instant::now();
        let mut camera = CameraRecovery::playing(now);
        let mut waited = Vec::new();
        for word in story.split_whitespace() {
            match word {
                "r" => camera.reopen(),
                "l" => drop(camera.on_lost(now)),
                "s" => camera.on_stopped(now, 1.0),
                "o" => camera.on_opened(),
                "n" => camera.on_not_opened(now, 1.0),
                "f" => drop(camera.on_frame(now)),
                "!" => {
                    let until = camera.poll_timeout().expect("it is to be opened");
                    waited.push(until.duration_since(now).as_millis());
                    assert!(!camera.opens(until - Duration::from_millis(1)));
                    now = until;
                    assert!(camera.opens(now) && !camera.opens(now));
                }
                ms => now += Duration::from_millis(ms.parse().unwrap()),
            }
        }
        assert_eq!((waited.as_slice(), camera.is_lost()), (waits, is_lost), "{story}");
    }

    #[test]
    fn a_camera_that_returns_is_met_within_a_second() {
        check("l s ! n ! n ! n ! n ! n ! o", &[100, 200, 400, 800, 1000, 1000], true);
        check("l s ! n ! o f", &[100, 200], false);
    }

    #[test]
    fn one_that_has_worked_for_a_while_is_opened_again_at_once() {
        check("l s ! n ! n ! o f 10000 l s !", &[100, 200, 400, 100], true);
        check("l s ! o f 9999 l s !", &[100, 200], true);
    }

    #[test]
    fn one_that_opens_and_gives_no_frames_is_no_camera() {
        check("l s ! o l s ! o l s ! o", &[100, 200, 400], true);
    }

    #[test]
    fn one_that_is_opened_again_on_purpose_is_lost_once_that_fails() {
        check("r s ! o f", &[100], false);
        check("r s !", &[100], false);
        check("r s ! n ! n", &[100, 200], true);
        check("r s ! o l", &[100], true);
        check("l r s ! o", &[100], true);
        check("r s ! n ! o f", &[100, 200], false);
    }

    #[test]
    fn one_that_is_missing_at_the_start_is_tried_as_one_that_was_lost() {
        let start = Instant::now();
        let mut camera = CameraRecovery::missing(start, 1.0);
        assert!(camera.is_lost() && !camera.is_proving());
        let first = start + FIRST_PAUSE;
        assert_eq!(camera.poll_timeout(), Some(first));
        assert!(camera.opens(first));
        camera.on_not_opened(first, 1.0);
        assert_eq!(camera.poll_timeout(), Some(first + 2 * FIRST_PAUSE));
        camera.on_opened();
        assert_eq!(camera.on_frame(start + CALM), CALM);
        assert!(!camera.is_lost());
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        check("s n l n s s ! s n", &[100], true);
    }

    #[test]
    fn it_tells_how_long_it_was_lost_over_all_tries() {
        let start = Instant::now();
        let mut camera = CameraRecovery::playing(start);
        assert!(camera.on_lost(start));
        camera.on_opened();
        assert!(camera.is_proving() && !camera.on_lost(start + CALM));
        let back = start + Duration::from_secs(60);
        assert_eq!(camera.on_frame(back), Duration::from_secs(60));
        assert!(!camera.is_lost() && !camera.is_proving());
    }
}
