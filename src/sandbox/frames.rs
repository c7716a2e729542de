//! The frames that the network's runner takes: times as libav reads them, then the runner's own rule.
//!
//! libav sets times of 33 bits right over the wrap only as far as [`WRAP`] after a minute before the first
//! time it saw, and not below zero (`libavformat/demux.c`, `update_wrap_reference` and `wrap_timestamp`):
//!
//! | first time seen | times read |
//! |---|---|
//! | in the first minute | as they come: after the wrap they begin at 0 again |
//! | later | those before that minute are one wrap higher, so it breaks 26.5 h less a minute after the start |
//! | in the last minute before the wrap | those from that minute to the wrap are one wrap lower: below 0 |
//!
//! The runner (ai-runner `runner/src/runner/live/trickle/decoder.py:12`, `:83` and `:110-121`) drops a frame below
//! the next time that is due, which begins at 0 and goes up by 1/24 s at least. So it drops what is above
//! 24 frames/s, and, once libav lets time go back, everything.
//!
//! Does not: decode; it sees frames in the order of decoding.

use mpegts::Ticks;

/// One wrap, in ticks.
const WRAP: i64 = 1 << 33;
/// How far before the first time libav sets its reference, in ticks.
const MARGIN: i64 = 60 * Ticks::PER_SECOND as i64;
/// Ticks between two frames at 24 frames/s.
const INTERVAL: i64 = Ticks::PER_SECOND as i64 / 24;

/// The times of one program, as libav reads them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock(Option<Reference>);

/// What libav makes of the first time it sees.
#[derive(Debug, Clone, Copy)]
enum Reference {
    /// Times below this are one wrap higher.
    AddBelow(i64),
    /// Times from this on are one wrap lower.
    SubtractFrom(i64),
}

impl Clock {
    /// The time that libav shows for `time`; the first one it is asked for sets its reference.
    pub(crate) fn read(&mut self, time: Ticks) -> i64 {
        let time = time.value() as i64;
        let reference = *self.0.get_or_insert(if time < WRAP - MARGIN {
            Reference::AddBelow(time - MARGIN)
        } else {
            Reference::SubtractFrom(time - MARGIN)
        });
        match reference {
            Reference::AddBelow(limit) if time < limit => time + WRAP,
            Reference::SubtractFrom(limit) if time >= limit => time - WRAP,
            Reference::AddBelow(_) | Reference::SubtractFrom(_) => time,
        }
    }
}

/// Which frames of a job's video are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameRule {
    /// No frame before this time, in ticks.
    due: i64,
    behind: bool,
}

impl FrameRule {
    /// Whether the runner takes the frame with this time, as libav reads it.
    pub(crate) fn takes(&mut self, pts: i64) -> bool {
        self.behind = pts < self.due - Ticks::PER_SECOND as i64;
        if pts < self.due {
            return false;
        }
        self.due = INTERVAL + if pts > self.due + INTERVAL { pts } else { self.due };
        true
    }

    /// Whether the last frame was more than a second too early: time went back, and no frame is taken until
    /// it is where it was.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 90_000;

    /// Times that come, each this long after the first, and those that libav shows (ffprobe 6.1 shows the same).
    #[track_caller]
    fn check_clock(first: i64, later: &[(i64, i64)]) {
        let mut clock = Clock::default();
        let mut read = |after: i64| clock.read(Ticks::new((first + after) as u64));
        read(0);
        let found: Vec<(i64, i64)> =
            later.iter().map(|(after, _)| (*after, read(*after))).collect();
        assert_eq!(found, later);
    }

    #[test]
    fn a_wrap_is_forgiven_for_26_hours_and_a_half_after_the_first_time() {
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
    fn what_is_above_24_frames_a_second_is_dropped() {
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
    fn after_time_went_back_all_are_dropped() {
        check_rule([180_000, 183_750, 0, 3750, 7500], 2, true);
        check_rule([90_000, 93_750, 90_100], 2, false);
        check_rule([-90_000 * 20, 0], 1, false);
        check_rule([-90_000 * 20], 0, true);
    }
}
