//! Measures the frame interval of a source, so that a slow camera is not mistaken for a dead one.
//!
//! The interval is the larger of two: the time between arrivals, and the difference of the frames' timestamps. Arrivals
//! alone do not suffice, because a network camera may send its first frames in one burst. Buffers with the same
//! timestamp are parts of one frame.
//!
//! Does not: read the clock, or decide that a source has stopped, which `stall` does.

use std::time::{Duration, Instant};

use heapless::Deque;

/// The number of gaps that are kept. The longest of them is the interval, because a single gap may be too short by
/// chance.
const GAPS: usize = 4;
/// The number of gaps after which the interval is known.
const ENOUGH: usize = 2;

/// The gaps between the last frames of a source.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    last: Option<(Instant, Option<Duration>)>,
    gaps: Deque<Duration, GAPS>,
}

impl Rhythm {
    /// Records a frame that arrived at `at`; `own` is the frame's own timestamp, if it has one.
    pub(crate) fn on_frame(&mut self, at: Instant, own: Option<Duration>) {
        let Some((before, own_before)) = self.last else {
            self.last = Some((at, own));
            return;
        };
        if own.is_some() && own == own_before {
            return;
        }
        self.last = Some((at, own));
        let between = own.zip(own_before).map(|(own, before)| own.saturating_sub(before));
        if self.gaps.is_full() {
            self.gaps.pop_front();
        }
        let gap = at.saturating_duration_since(before).max(between.unwrap_or_default());
        let _ = self.gaps.push_back(gap);
    }

    /// The longest time between two of the last frames; `None` until three have come.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.gaps.iter().max().copied().filter(|_| self.gaps.len() >= ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each frame is its arrival and timestamp in ms; `expected` is the interval after the last one.
    #[track_caller]
    fn check(frames: &[(u64, Option<u64>)], expected: Option<u64>) {
        let start = Instant::now();
        let mut rhythm = Rhythm::default();
        for (at, own) in frames {
            rhythm.on_frame(start + Duration::from_millis(*at), own.map(Duration::from_millis));
        }
        assert_eq!(rhythm.interval(), expected.map(Duration::from_millis));
    }

    #[test]
    fn the_interval_is_known_from_the_third_frame_on() {
        check(&[], None);
        check(&[(0, Some(0)), (2500, Some(2500))], None);
        check(&[(0, Some(0)), (2500, Some(2500)), (5000, Some(5000))], Some(2500));
        check(&[(0, None), (40, None), (90, None)], Some(50));
    }

    #[test]
    fn a_burst_of_slow_frames_is_recognised_by_timestamps() {
        check(&[(0, Some(0)), (1, Some(2500)), (2, Some(5000))], Some(2500));
    }

    #[test]
    fn buffers_of_one_frame_count_as_one() {
        check(&[(0, Some(0)), (1, Some(0)), (2, Some(0)), (3, Some(0)), (40, Some(40))], None);
    }

    #[test]
    fn a_single_long_gap_is_soon_forgotten() {
        let frames: Vec<_> = [0, 40, 1940, 1980, 2020, 2060].map(|at| (at, Some(at))).to_vec();
        check(&frames, Some(1900));
        let frames: Vec<_> =
            [0, 40, 1940, 1980, 2020, 2060, 2100].map(|at| (at, Some(at))).to_vec();
        check(&frames, Some(40));
    }

    #[test]
    fn times_that_go_back_do_not_panic() {
        check(&[(0, Some(9000)), (40, Some(0)), (80, Some(40))], Some(40));
    }
}
