//! Decides when a lost camera is opened again, and when it has recovered.
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
//! The first attempt follows at once, because the encoder may have failed; the pauses then grow to [`LONGEST_PAUSE`], so
//! that a camera that is plugged in again is back within 2 s. After frames for [`STABLE`], the pauses start from the
//! shortest again.
//!
//! Does not: open or stop anything.

use std::time::{Duration, Instant};

use resilience::backoff::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A camera that has delivered frames for this long counts as working.
const STABLE: Duration = Duration::from_secs(10);

/// The state of the camera. No other part decides whether the camera counts as lost.
#[derive(Debug, Clone)]
pub(super) struct CameraRecovery {
    state: CameraState,
    pauses: Backoff,
    gap: Gap,
}

/// Why there are no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Frames come.
    None,
    /// The camera is opened again for new options; it counts as lost only if that fails.
    Planned,
    /// The camera is lost.
    Lost { since: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameraState {
    Playing { since: Instant },
    Stopping,
    Resting { until: Instant },
    Opening,
    Proving,
}

impl CameraRecovery {
    /// The state of an opened camera.
    pub(super) fn playing(now: Instant) -> Self {
        let pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { state: CameraState::Playing { since: now }, pauses, gap: Gap::None }
    }

    /// The state of a camera that could not be opened at the start. `jitter` from 0 to 1 spreads the pause before the next
    /// attempt.
    pub(super) fn missing(now: Instant, jitter: f64) -> Self {
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let until = now + pauses.on_failure(jitter);
        Self { state: CameraState::Resting { until }, pauses, gap: Gap::Lost { since: now } }
    }

    /// Call it to open the camera again with new options; then stop the camera.
    pub(super) fn reopen(&mut self) {
        if self.gap == Gap::None {
            self.gap = Gap::Planned;
        }
        self.state = CameraState::Stopping;
    }

    /// Call it when the camera has failed; then stop the camera. Returns whether it delivered frames before.
    pub(super) fn on_lost(&mut self, now: Instant) -> bool {
        let played = if let CameraState::Playing { since } = self.state {
            Some(now.duration_since(since))
        } else {
            None
        };
        if played >= Some(STABLE) {
            self.pauses.on_success();
        }
        self.lose(now);
        self.state = CameraState::Stopping;
        played.is_some()
    }

    /// Call it when the camera has stopped. `jitter` from 0 to 1 spreads the pause.
    pub(super) fn on_stopped(&mut self, now: Instant, jitter: f64) {
        if self.state == CameraState::Stopping {
            self.rest(now, jitter);
        }
    }

    /// Call it when opening the camera has failed.
    pub(super) fn on_not_opened(&mut self, now: Instant, jitter: f64) {
        if self.state == CameraState::Opening {
            self.lose(now);
            self.rest(now, jitter);
        }
    }

    /// Call it when the camera is open and plays.
    pub(super) fn on_opened(&mut self) {
        self.state = CameraState::Proving;
    }

    /// Call it at the first frame. Returns for how long the camera was lost.
    pub(super) fn on_frame(&mut self, now: Instant) -> Duration {
        self.state = CameraState::Playing { since: now };
        match std::mem::replace(&mut self.gap, Gap::None) {
            Gap::Lost { since } => now.duration_since(since),
            Gap::None | Gap::Planned => Duration::ZERO,
        }
    }

    /// Whether the caller has to open the camera now.
    pub(super) fn opens(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, CameraState::Resting { until } if until <= now);
        if is_due {
            self.state = CameraState::Opening;
        }
        is_due
    }

    /// When the camera has to be opened.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            CameraState::Resting { until } => Some(until),
            CameraState::Playing { .. }
            | CameraState::Stopping
            | CameraState::Opening
            | CameraState::Proving => None,
        }
    }

    /// Whether the camera is open and its first frame has not come yet.
    pub(super) fn is_proving(&self) -> bool {
        self.state == CameraState::Proving
    }

    /// Whether the camera is lost. False while it is opened again for new options.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.gap, Gap::Lost { .. })
    }

    fn lose(&mut self, now: Instant) {
        if !self.is_lost() {
            self.gap = Gap::Lost { since: now };
        }
    }

    fn rest(&mut self, now: Instant, jitter: f64) {
        self.state = CameraState::Resting { until: now + self.pauses.on_failure(jitter) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r` opened again for new options, `l` lost, `s` stopped, `o` opened, `n` not opened, `f` a frame. A number waits so
    /// many ms; `!` waits until the camera has to be opened, and checks that.
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
                    let until = camera.poll_timeout().expect("the camera has to be opened");
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
    fn a_camera_that_returns_is_opened_within_a_second() {
        check("l s ! n ! n ! n ! n ! n ! o", &[100, 200, 400, 800, 1000, 1000], true);
        check("l s ! n ! o f", &[100, 200], false);
    }

    #[test]
    fn a_camera_that_has_worked_for_a_while_is_opened_again_at_once() {
        check("l s ! n ! n ! o f 10000 l s !", &[100, 200, 400, 100], true);
        check("l s ! o f 9999 l s !", &[100, 200], true);
    }

    #[test]
    fn a_camera_that_opens_without_frames_stays_lost() {
        check("l s ! o l s ! o l s ! o", &[100, 200, 400], true);
    }

    #[test]
    fn a_camera_that_is_opened_for_new_options_is_lost_once_that_fails() {
        check("r s ! o f", &[100], false);
        check("r s !", &[100], false);
        check("r s ! n ! n", &[100, 200], true);
        check("r s ! o l", &[100], true);
        check("l r s ! o", &[100], true);
        check("r s ! n ! o f", &[100, 200], false);
    }

    #[test]
    fn a_camera_that_is_missing_at_the_start_is_opened_as_a_lost_one() {
        let start = Instant::now();
        let mut camera = CameraRecovery::missing(start, 1.0);
        assert!(camera.is_lost() && !camera.is_proving());
        let first = start + FIRST_PAUSE;
        assert_eq!(camera.poll_timeout(), Some(first));
        assert!(camera.opens(first));
        camera.on_not_opened(first, 1.0);
        assert_eq!(camera.poll_timeout(), Some(first + 2 * FIRST_PAUSE));
        camera.on_opened();
        assert_eq!(camera.on_frame(start + STABLE), STABLE);
        assert!(!camera.is_lost());
    }

    #[test]
    fn late_events_change_nothing() {
        check("s n l n s s ! s n", &[100], true);
    }

    #[test]
    fn the_time_without_frames_covers_all_attempts() {
        let start = Instant::now();
        let mut camera = CameraRecovery::playing(start);
        assert!(camera.on_lost(start));
        camera.on_opened();
        assert!(camera.is_proving() && !camera.on_lost(start + STABLE));
        let back = start + Duration::from_secs(60);
        assert_eq!(camera.on_frame(back), Duration::from_secs(60));
        assert!(!camera.is_lost() && !camera.is_proving());
    }
}
