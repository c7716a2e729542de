//! Detects that frames no longer arrive: cameras and encoders may stop without reporting an error.
//!
//! | last out of the encoder | last into it | decision |
//! |---|---|---|
//! | not long ago | | judge again when it would be long ago |
//! | long ago | not long ago | the encoder has stopped |
//! | long ago | long ago | the source has stopped |
//!
//! "Long ago" means three frame intervals, but at least two seconds, after which the network's runners report degraded
//! input (field-facts, ai-runner). The frame interval is that of the configured rate, or the one measured at the source
//! if that is longer: a time-lapse camera may send a frame only every few seconds. Until the interval is known, and
//! before the first frame, "long ago" means at least `FIRST`.
//!
//! Does not: read the clock, or know what frames are.

use std::time::{Duration, Instant};

/// The shortest time without frames that counts as long.
pub(crate) const LONG: Duration = Duration::from_secs(2);
/// Time limit for the first frame: a network camera needs a few seconds to answer and to send a key frame.
pub(crate) const FIRST: Duration = Duration::from_secs(10);
/// The longest wait for the next frame, even for a slow source.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
/// The number of frame intervals without a frame that count as a stall.
const FRAMES: u32 = 3;

/// The times at which frames were seen. Times before `played` are ignored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameTimes {
    /// When the pipeline was set to play.
    pub(crate) played: Instant,
    /// When the last frame went into the encoder.
    pub(crate) last_in: Option<Instant>,
    /// When the last frame came out of the encoder.
    pub(crate) last_out: Option<Instant>,
    /// The time between two frames of the source; `None` while it is not known.
    pub(crate) interval: Option<Duration>,
}

/// What has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stall {
    /// The source.
    Source,
    /// The encoder.
    Encoder,
}

/// What the caller must do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StallJudgement {
    /// Judge again at this time.
    Wait(Instant),
    /// Frames no longer arrive.
    Stalled {
        /// What has stopped.
        at: Stall,
        /// The time since the last frame came out of the encoder, or since `played`.
        after: Duration,
    },
}

/// The time limits for missing frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    long: Duration,
}

impl Limits {
    /// The limits for a wanted rate of `fps` frames per second.
    pub(crate) fn new(fps: u32) -> Self {
        Self { long: LONG.max(Duration::from_secs(1) * FRAMES / fps.max(1)) }
    }

    /// Decides whether frames have stopped, or when to judge again.
    pub(crate) fn judge(&self, seen: FrameTimes, now: Instant) -> StallJudgement {
        let counts = |at: Option<Instant>| at.filter(|at| *at >= seen.played);
        let last_out = counts(seen.last_out);
        let long = self.long.max(match seen.interval {
            Some(interval) => (interval * FRAMES).min(LONGEST),
            None => FIRST,
        });
        let (since, limit) = match last_out {
            Some(last) => (last, long),
            None => (seen.played, FIRST.max(long)),
        };
        let until = since + limit;
        if now < until {
            // Judge again before `until`, because frames may begin in that time and stop again.
            return StallJudgement::Wait(until.min(now + self.long));
        }
        let flows_in = counts(seen.last_in).is_some_and(|last| now < last + long);
        let at = if flows_in { Stall::Encoder } else { Stall::Source };
        StallJudgement::Stalled { at, after: now.duration_since(since) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each argument is a time in ms since play: the last frame in, the last frame out, and now.
    #[track_caller]
    fn check(
        fps: u32,
        last_in: Option<u64>,
        last_out: Option<u64>,
        now: u64,
        expected: Result<u64, (Stall, u64)>,
    ) {
        let before = Instant::now();
        let played = before + Duration::from_secs(100);
        let at = |ms: u64| played + Duration::from_millis(ms);
        let interval = Some(Duration::from_secs(1) / fps);
        let seen =
            FrameTimes { played, last_in: last_in.map(at), last_out: last_out.map(at), interval };
        let expected = match expected {
            Ok(until) => StallJudgement::Wait(at(until)),
            Err((stall, after)) => {
                StallJudgement::Stalled { at: stall, after: Duration::from_millis(after) }
            }
        };
        assert_eq!(Limits::new(fps).judge(seen, at(now)), expected);
        // Frames of an earlier capture do not count.
        if last_in.is_none() && last_out.is_none() {
            let old = FrameTimes { last_in: Some(before), last_out: Some(before), ..seen };
            assert_eq!(Limits::new(fps).judge(old, at(now)), expected);
        }
    }

    #[test]
    fn flowing_frames_are_not_a_stall() {
        check(24, Some(5000), Some(5000), 5001, Ok(7000));
        check(24, Some(5000), Some(5000), 6999, Ok(7000));
        check(1, Some(5000), Some(5000), 7999, Ok(8000));
    }

    #[test]
    fn a_stopped_source_differs_from_a_stopped_encoder() {
        check(24, Some(5000), Some(5000), 7000, Err((Stall::Source, 2000)));
        check(24, Some(6900), Some(5000), 7000, Err((Stall::Encoder, 2000)));
        check(24, Some(4990), Some(5000), 9000, Err((Stall::Source, 4000)));
        check(1, Some(5000), Some(5000), 8000, Err((Stall::Source, 3000)));
    }

    #[test]
    fn the_first_frame_may_take_longer() {
        check(24, None, None, 0, Ok(2000));
        check(24, None, None, 9999, Ok(10_000));
        check(24, None, None, 10_000, Err((Stall::Source, 10_000)));
        check(24, Some(9500), None, 10_000, Err((Stall::Encoder, 10_000)));
        check(24, Some(100), None, 10_000, Err((Stall::Source, 10_000)));
    }

    /// The frame interval of the source in ms, and the time without frames in ms that counts as a stall at 24 frames/s.
    #[track_caller]
    fn check_interval(interval: Option<u64>, limit: u64) {
        let played = Instant::now();
        let last = played + Duration::from_secs(100);
        let interval = interval.map(Duration::from_millis);
        let seen = FrameTimes { played, last_in: Some(last), last_out: Some(last), interval };
        let judge = |ms| Limits::new(24).judge(seen, last + Duration::from_millis(ms));
        assert!(matches!(judge(limit - 1), StallJudgement::Wait(_)));
        let after = Duration::from_millis(limit);
        assert_eq!(judge(limit), StallJudgement::Stalled { at: Stall::Source, after });
    }

    #[test]
    fn a_slow_source_has_three_of_its_own_intervals() {
        check_interval(Some(42), 2000);
        check_interval(Some(666), 2000);
        check_interval(Some(2500), 7500);
        check_interval(Some(60_000), 30_000);
        check_interval(None, 10_000);
    }
}
