//! Measures how far apart the frames of a source are, so that a slow camera is not taken for a dead one.
//!
//! Two measures, and the larger counts: the time between arrivals, and the time between the frames' own times, as a
//! camera of the network may send its first frames in one burst. Buffers that share a time are parts of one frame.
//!
//! Does not: read the clock, or decide that a source has stopped, which `stall` does.

use std::time::{Duration, Instant};

use heapless::Deque;

/// How many of the last gaps are kept. The longest of them is the interval, because one gap may be short by accident.
const GAPS: usize = 4;
/// How many gaps have to be measured before the interval is known.
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

    /// Frames as arrival and own time in ms, and the interval after the last one.
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
    fn a_burst_of_slow_frames_is_known_by_their_own_times() {
        check(&[(0, Some(0)), (1, Some(2500)), (2, Some(5000))], Some(2500));
    }

    #[test]
    fn parts_of_one_frame_are_one() {
        check(&[(0, Some(0)), (1, Some(0)), (2, Some(0)), (3, Some(0)), (40, Some(40))], None);
    }

    #[test]
    fn an_accident_is_soon_forgotten() {
        let frames: Vec<_> = [0, 40, 1940, 1980, 2020, 2060].map(|at| (at, Some(at))).to_vec();
        check(&frames, Some(1900));
        let frames: Vec<_> =
            [0, 40, 1940, 1980, 2020, 2060, 2100].map(|at| (at, Some(at))).to_vec();
        check(&frames, Some(40));
    }

    #[test]
    fn times_that_go_back_do_no_harm() {
        check(&[(0, Some(9000)), (40, Some(0)), (80, Some(40))], Some(40));
    }
}
