//! Stores when frames entered the encoder, by their PTS in the channel, to measure the end-to-end latency.
//!
//! A frame enters the encoder before its PTS in the channel is known, so a stamp is stored by running time and gets
//! its PTS when the access unit leaves the encoder. New stamps replace the oldest ones.
//!
//! Does not: read the clock.

use std::time::{Duration, Instant};

use heapless::Deque;

use crate::limits::FRAME_STAMPS;
use mpegts::Ticks;

/// Stamps of the latest frames.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    frames: Deque<Stamp, FRAME_STAMPS>,
}

#[derive(Debug)]
struct Stamp {
    running: Duration,
    entered: Instant,
    pts: Option<Ticks>,
}

impl Stamps {
    /// Call when a frame with this running time enters the encoder.
    pub(crate) fn on_frame(&mut self, running: Duration, entered: Instant) {
        if self.frames.is_full() {
            self.frames.pop_front();
        }
        let _ = self.frames.push_back(Stamp { running, entered, pts: None });
    }

    /// Call when the frame's access unit left the encoder and got this PTS in the channel. Returns when the frame entered
    /// the encoder, if that is known.
    pub(crate) fn on_encoded(&mut self, running: Duration, pts: Ticks) -> Option<Instant> {
        let stamp = self.frames.iter_mut().rev().find(|stamp| stamp.running == running)?;
        stamp.pts = Some(pts);
        Some(stamp.entered)
    }

    /// When the frame with this PTS entered the encoder; `None` when it is unknown or its stamp was replaced.
    pub(crate) fn entered(&self, pts: Ticks) -> Option<Instant> {
        self.frames.iter().rev().find(|stamp| stamp.pts == Some(pts)).map(|stamp| stamp.entered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_by_pts_until_it_is_replaced() {
        let start = Instant::now();
        let mut stamps = Stamps::default();
        for n in 0..FRAME_STAMPS as u64 + 10 {
            let time = Duration::from_millis(n);
            stamps.on_frame(time, start + time);
            assert_eq!(stamps.entered(Ticks::new(n)), None);
            assert_eq!(stamps.on_encoded(time, Ticks::new(n)), Some(start + time));
            assert_eq!(stamps.entered(Ticks::new(n)), Some(start + time));
        }
        assert_eq!(stamps.on_encoded(Duration::ZERO, Ticks::new(9)), None, "its stamp is gone");
        assert_eq!(stamps.entered(Ticks::new(9)), None);
        assert_eq!(stamps.entered(Ticks::new(10)), Some(start + Duration::from_millis(10)));
    }
}
