//! Decides which frames the network's runner accepts, by the timestamps that libav reads and the runner's frame rate
//! limit.
//!
//! libav extends 33-bit timestamps over one [`WRAP`]. It compares them with a reference, which is one minute before the
//! first timestamp, but not below zero (`libavformat/demux.c`, `update_wrap_reference` and `wrap_timestamp`):
//!
//! | first timestamp | timestamps read |
//! |---|---|
//! | in the first minute | all are unchanged, so they start at 0 again after the wrap |
//! | later | those below the reference are one wrap higher, so time goes back 26 h 29 min after the start |
//! | in the last minute before the wrap | those from the reference to the wrap are one wrap lower, which is below 0 |
//!
//! The runner (ai-runner `runner/src/runner/live/trickle/decoder.py:12`, `:83` and `:110-121`) drops a frame whose time
//! is before the next due time, which begins at 0 and rises by at least 1/24 s per frame. So the runner drops frames
//! above 24 frames/s, and every frame after libav's time has gone back.
//!
//! Does not: decode; frames come in decoding order.

use mpegts::Ticks;

/// One wrap, in ticks.
const WRAP: i64 = 1 << 33;
/// Ticks from libav's reference to the first timestamp.
const MARGIN: i64 = 60 * Ticks::PER_SECOND as i64;
/// Ticks between two frames at 24 frames/s.
const INTERVAL: i64 = Ticks::PER_SECOND as i64 / 24;

/// Reads the timestamps of one program as libav does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LibavClock(Option<WrapReference>);

/// libav's wrap reference, set by the first timestamp.
#[derive(Debug, Clone, Copy)]
enum WrapReference {
    /// Timestamps below this are one wrap higher.
    AddBelow(i64),
    /// Timestamps from this on are one wrap lower.
    SubtractFrom(i64),
}

impl LibavClock {
    /// The time that libav reads for `time`. The first call sets the reference.
    pub(crate) fn read(&mut self, time: Ticks) -> i64 {
        let time = time.value() as i64;
        let reference = *self.0.get_or_insert(if time < WRAP - MARGIN {
            WrapReference::AddBelow(time - MARGIN)
        } else {
            WrapReference::SubtractFrom(time - MARGIN)
        });
        match reference {
            WrapReference::AddBelow(limit) if time < limit => time + WRAP,
            WrapReference::SubtractFrom(limit) if time >= limit => time - WRAP,
            WrapReference::AddBelow(_) | WrapReference::SubtractFrom(_) => time,
        }
    }
}

/// The runner's frame rate limit for the video of one job.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameRule {
    /// Frames before this time are dropped, in ticks.
    due: i64,
    behind: bool,
}

impl FrameRule {
    /// Whether the runner accepts a frame with this time, which must come from [`LibavClock::read`].
    pub(crate) fn takes(&mut self, pts: i64) -> bool {
        self.behind = pts < self.due - Ticks::PER_SECOND as i64;
        if pts < self.due {
            return false;
        }
        self.due = INTERVAL + if pts > self.due + INTERVAL { pts } else { self.due };
        true
    }

    /// Whether the last frame was more than a second too early. Then time has gone back, and the runner drops every
    /// frame until the due time is reached again.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 90_000;

    /// Compares the times read for timestamps at these distances from the first one (ffprobe 6.1 shows the same times).
    #[track_caller]
    fn check_clock(first: i64, later: &[(i64, i64)]) {
        let mut clock = LibavClock::default();
        let mut read = |after: i64| clock.read(Ticks::new((first + after) as u64));
        read(0);
        let found: Vec<(i64, i64)> =
            later.iter().map(|(after, _)| (*after, read(*after))).collect();
        assert_eq!(found, later);
    }

    #[test]
    fn timestamps_are_extended_over_the_wrap_until_26_5_hours_after_the_first() {
        let start = 90_000;
        check_clock(start, &[(26 * HOUR, start + 26 * HOUR), (WRAP - start, 0)]);
        let start = 95_354 * 90_000;
        let last = WRAP - MARGIN - 1;
        check_clock(
            start,
            &[(50 * 90_000, start + 50 * 90_000), (100 * 90_000, start + 9_000_000)],
        );
        check_clock(start, &[(last, start + last), (last + 1, start - MARGIN)]);
        let start = 95_424 * 90_000;
        check_clock(start, &[(0, start - WRAP), (40 * 90_000, start + 40 * 90_000 - WRAP)]);
    }

    #[track_caller]
    fn check_rule(times: impl IntoIterator<Item = i64>, taken: usize, is_behind: bool) {
        let mut rule = FrameRule::default();
        assert_eq!(times.into_iter().filter(|time| rule.takes(*time)).count(), taken);
        assert_eq!(rule.is_behind(), is_behind);
    }

    #[test]
    fn frames_above_24_per_second_are_dropped() {
        let second = 90_000;
        let seconds = |rate: i64| (0..10 * rate).map(move |n| second + n * second / rate);
        check_rule(seconds(24), 240, false);
        check_rule(seconds(10), 100, false);
        check_rule(seconds(30), 240, false);
        check_rule(seconds(60), 240, false);
        let jitter =
            |ticks: [i64; 3]| (0..240).map(move |n| second + n * 3750 + ticks[n as usize % 3]);
        check_rule(jitter([0, 1000, 500]), 240, false);
        check_rule(jitter([0, 0, -500]), 239, false);
    }

    #[test]
    fn every_frame_is_dropped_after_time_went_back() {
        check_rule([180_000, 183_750, 0, 3750, 7500], 2, true);
        check_rule([90_000, 93_750, 90_100], 2, false);
        check_rule([-90_000 * 20, 0], 1, false);
        check_rule([-90_000 * 20], 0, true);
    }
}
