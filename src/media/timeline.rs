//! Maps GStreamer's running time to the PTS and DTS of a channel, whose DTS always increases.
//!
//! Where running time goes back (a restarted pipeline, a camera that resets its clock, a repeated file), media time
//! continues one frame after the last. A forward jump (a camera that paused) is kept, because media time is real time.
//!
//! Does not: reorder; access units must arrive in decoding order.

use std::time::Duration;

use mpegts::Ticks;

/// DTS of a channel's first unit: 1 s, so that the PCR, which precedes it, is positive.
pub(crate) const ORIGIN: Duration = Duration::from_secs(1);
/// Frame interval assumed until two frames have arrived: 24 frames/s.
const DEFAULT_STEP: u64 = 41_666_667;
/// Longest frame interval that is assumed where time goes back.
const MAX_STEP: u64 = 1_000_000_000;
/// 33 bits of 90 kHz, in nanoseconds.
const WRAP: u64 = (1 << 33) * 100_000 / 9;
/// The minute before a wrap, in which libav reads timestamps as negative (`update_wrap_reference`), and 10 s for the
/// start of a job.
const LAST_MINUTE: u64 = 70 * 1_000_000_000;
/// Times that differ by fewer nanoseconds than this may be the same tick of 90 kHz.
const TICK: u64 = 11_112;

/// The times of an access unit in its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Presentation time.
    pub(crate) pts: Ticks,
    /// Decoding time; greater than that of the previous unit.
    pub(crate) dts: Ticks,
}

/// The time mapping of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    /// Media time of the next unit if it is the first, or if running time goes back.
    next: u64,
    step: u64,
    /// Running time and media time of the last unit.
    last: Option<(u64, u64)>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::beginning_at(ORIGIN)
    }
}

impl Timeline {
    /// A timeline whose first access unit has this DTS.
    pub(crate) fn beginning_at(first: Duration) -> Self {
        Self { next: nanos(first), step: DEFAULT_STEP, last: None }
    }

    /// Maps the next access unit's PTS and DTS from running time. Without a DTS the PTS is used, which is right for
    /// streams without B-frames.
    pub(crate) fn place(&mut self, pts: Duration, dts: Option<Duration>) -> Times {
        let pts = nanos(pts);
        let dts = dts.map_or(pts, nanos).min(pts);
        let media = match self.last {
            Some((running, media)) if dts >= running.saturating_add(TICK) => {
                self.step = (dts - running).min(MAX_STEP);
                media.saturating_add(dts - running)
            }
            _ => self.next,
        };
        self.last = Some((dts, media));
        self.next = media.saturating_add(self.step);
        Times { pts: ticks(media.saturating_add(pts - dts)), dts: ticks(media) }
    }

    /// Shifts the following access units by `time`, for example after a pause of the camera. Before the first unit it
    /// shifts the start.
    pub(crate) fn skip(&mut self, time: Duration) {
        let time = nanos(time);
        self.next = self.next.saturating_add(time);
        if let Some((_, media)) = &mut self.last {
            *media = media.saturating_add(time);
        }
    }

    /// Call before a channel begins: it must not begin in the last minute before the 33-bit wrap, where decoders built on
    /// libav give negative times, which the network's runner drops (ai-runner `trickle/decoder.py`). Returns whether the
    /// time was moved, to a second after the wrap.
    pub(crate) fn leave_last_minute(&mut self) -> bool {
        let left = WRAP - self.next % WRAP;
        let is_last = left < LAST_MINUTE;
        if is_last {
            self.skip(Duration::from_nanos(left) + ORIGIN);
        }
        is_last
    }

    /// The unwrapped DTS of the last unit; `None` before the first unit.
    pub(crate) fn media_time(&self) -> Option<Duration> {
        self.last.map(|(_, media)| Duration::from_nanos(media))
    }

    /// Maps the running time of another stream, such as audio; `None` before the first unit.
    pub(crate) fn at(&self, running: Duration) -> Option<Ticks> {
        let (last, media) = self.last?;
        let at = (media.saturating_add(nanos(running))).checked_sub(last)?;
        Some(ticks(at))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn ticks(nanos: u64) -> Ticks {
    Ticks::from_duration(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry is a DTS in running time, in ms, and the expected DTS in the channel, in ticks.
    #[track_caller]
    fn check(running: &[u64], expected: &[u64]) {
        let mut timeline = Timeline::default();
        let placed: Vec<u64> = running
            .iter()
            .map(|ms| timeline.place(Duration::from_millis(*ms), None).dts.value())
            .collect();
        assert_eq!(placed, expected);
    }

    #[test]
    fn media_time_begins_at_the_origin_at_any_running_time() {
        check(&[0, 40, 80], &[90_000, 93_600, 97_200]);
        check(&[7000, 7040], &[90_000, 93_600]);
    }

    #[test]
    fn running_time_that_goes_back_continues_by_one_frame() {
        check(&[0, 40, 0, 40], &[90_000, 93_600, 97_200, 100_800]);
        check(&[0, 50, 50, 100], &[90_000, 94_500, 99_000, 103_500]);
        check(&[9000, 0], &[90_000, 93_750]);
        check(&[0, 10_000, 0], &[90_000, 990_000, 1_080_000]);
    }

    #[test]
    fn a_pause_of_the_camera_is_kept() {
        check(&[0, 40, 5000], &[90_000, 93_600, 540_000]);
    }

    #[test]
    fn a_skip_shifts_later_units_or_the_start() {
        let ms = Duration::from_millis;
        let value = |timeline: &mut Timeline, at| timeline.place(ms(at), None).dts.value();
        let mut timeline = Timeline::default();
        timeline.skip(ms(1000));
        assert_eq!(value(&mut timeline, 500), 180_000);
        timeline.skip(ms(2000));
        assert_eq!(value(&mut timeline, 540), 363_600);
        assert_eq!(value(&mut timeline, 580), 367_200);
        timeline.skip(ms(1000));
        assert_eq!(value(&mut timeline, 0), 460_800, "also where running time goes back");
    }

    #[test]
    fn a_channel_does_not_begin_in_the_last_minute_before_the_wrap() {
        let begin = |before_wrap: Duration| {
            let mut timeline = Timeline::beginning_at(Duration::from_nanos(WRAP) - before_wrap);
            (timeline.leave_last_minute(), timeline.place(Duration::ZERO, None).dts.value())
        };
        let minute = Duration::from_secs(60);
        assert_eq!(begin(2 * minute), (false, (1 << 33) - 2 * 60 * 90_000));
        for before in [minute, minute / 2, Duration::from_millis(1)] {
            assert_eq!(begin(before), (true, 90_000));
        }
        assert!(!Timeline::default().leave_last_minute());
    }

    #[test]
    fn pts_keeps_its_offset_and_is_never_before_dts() {
        let mut timeline = Timeline::default();
        let ms = Duration::from_millis;
        let times = timeline.place(ms(80), Some(ms(0)));
        assert_eq!((times.dts.value(), times.pts.value()), (90_000, 97_200));
        let times = timeline.place(ms(40), Some(ms(50)));
        assert_eq!(times.dts, times.pts);
    }

    #[test]
    fn other_streams_keep_their_offset_to_the_last_unit() {
        let ms = Duration::from_millis;
        let mut timeline = Timeline::default();
        assert_eq!(timeline.at(ms(0)), None);
        let _ = timeline.place(ms(7000), None);
        let value = |timeline: &Timeline, at| timeline.at(ms(at)).map(Ticks::value);
        assert_eq!(value(&timeline, 7000), Some(90_000));
        assert_eq!(value(&timeline, 7100), Some(99_000));
        assert_eq!(value(&timeline, 6500), Some(45_000));
        assert_eq!(value(&timeline, 5999), None, "before the channel");
        // When the running time goes back, other streams are mapped by the same offset.
        let _ = timeline.place(ms(1000), None);
        assert_eq!(value(&timeline, 1000), Some(93_750));
    }

    #[test]
    fn the_largest_times_do_not_panic() {
        let mut timeline = Timeline::beginning_at(Duration::MAX);
        for time in [Duration::MAX, Duration::ZERO, Duration::MAX] {
            timeline.skip(time);
            let _ = timeline.place(time, Some(Duration::ZERO));
            let _ = timeline.place(time, None);
        }
    }
}
