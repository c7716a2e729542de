//! Decides for each access unit whether it begins a segment, continues it, or is discarded.
//!
//! Segments begin only at key frames. The key frame nearest to the target length begins the next segment, so a camera
//! with a key frame every 0.5 s gives segments of 2 s, and one with a key frame every 1.5 s gives segments of 1.5 s.
//! Segments are never shorter than `MIN_LENGTH`.
//!
//! | | key frame, near or past the target length | early key frame | other frame |
//! |---|---|---|---|
//! | before the first key frame, and after a loss | `Begin` | `Begin` | `Discard` |
//! | in a segment | `Begin` | `Continue` | `Continue` |
//!
//! Does not: request key frames from the encoder, or parse the bytes.

use std::time::Duration;

use mpegts::Ticks;

/// Minimum length of a segment, except for the segment before a loss (the network's `LIVE_AI_MIN_SEG_DUR`).
pub(crate) const MIN_LENGTH: Duration = Duration::from_secs(1);

/// What the caller must do with an access unit.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Begin a segment with it.
    Begin,
    /// Append it to the current segment.
    Continue,
    /// Drop it: the key frame that it depends on is missing.
    Discard,
}

/// Places the access units of one channel, in decoding order.
#[derive(Debug, Clone)]
pub(crate) struct Segmenter {
    target: Duration,
    state: SegmenterState,
}

#[derive(Debug, Clone, Copy)]
enum SegmenterState {
    AwaitKey,
    InSegment { began: Ticks, last_key: Ticks },
}

impl Segmenter {
    /// A segmenter with the target length `target`.
    pub(crate) fn new(target: Duration) -> Self {
        Self { target, state: SegmenterState::AwaitKey }
    }

    /// Sets the target length from the next key frame on.
    pub(crate) fn set_target(&mut self, target: Duration) {
        self.target = target;
    }

    /// Places the next access unit, whose DTS is `at`.
    pub(crate) fn place(&mut self, is_key: bool, at: Ticks) -> Placement {
        match (self.state, is_key) {
            (SegmenterState::AwaitKey, false) => Placement::Discard,
            (SegmenterState::InSegment { .. }, false) => Placement::Continue,
            (SegmenterState::InSegment { began, last_key }, true)
                if !self.cuts(began, last_key, at) =>
            {
                self.state = SegmenterState::InSegment { began, last_key: at };
                Placement::Continue
            }
            (SegmenterState::AwaitKey | SegmenterState::InSegment { .. }, true) => {
                self.state = SegmenterState::InSegment { began: at, last_key: at };
                Placement::Begin
            }
        }
    }

    /// Call when no access unit follows for a while. Returns whether this completes a segment.
    pub(crate) fn on_pause(&mut self) -> bool {
        matches!(
            std::mem::replace(&mut self.state, SegmenterState::AwaitKey),
            SegmenterState::InSegment { .. }
        )
    }

    /// Call when access units before the next one, or the current segment, are lost.
    pub(crate) fn on_loss(&mut self) {
        self.state = SegmenterState::AwaitKey;
    }

    /// Whether this key frame is nearer to the target length than the next one will be, assuming the same GOP length.
    /// If the DTS goes back, a new segment always begins, because the length cannot be measured.
    fn cuts(&self, began: Ticks, last_key: Ticks, at: Ticks) -> bool {
        match (at.duration_since(began), at.duration_since(last_key)) {
            (Some(length), Some(gop)) => length >= MIN_LENGTH && length + gop / 2 >= self.target,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places frames every 50 ms, with key frames at the times `keys` in ms, and compares the times at which segments
    /// begin.
    #[track_caller]
    fn check(wanted_ms: u64, keys: &[u64], expected: &[u64]) {
        let mut segmenter = Segmenter::new(Duration::from_millis(wanted_ms));
        let last = keys.last().copied().unwrap_or(0);
        let begun: Vec<u64> = (0..=last + 100)
            .filter(|ms| ms % 50 == 0 || keys.contains(ms))
            .filter(|ms| {
                let at = Ticks::from_duration(Duration::from_millis(*ms));
                segmenter.place(keys.contains(ms), at) == Placement::Begin
            })
            .collect();
        assert_eq!(begun, expected);
    }

    #[test]
    fn a_key_frame_at_the_target_length_begins_a_segment() {
        check(2000, &[0, 2000, 4000], &[0, 2000, 4000]);
        check(2000, &[0, 1990, 4010, 6001], &[0, 1990, 4010, 6001]);
        check(1000, &[0, 1000, 2000], &[0, 1000, 2000]);
    }

    #[test]
    fn an_early_key_frame_does_not_begin_a_segment() {
        check(2000, &[0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000], &[0, 2000, 4000]);
        check(2000, &[0, 480, 960, 1440, 1920, 2400], &[0, 1920]);
        check(2000, &[0, 300, 2000], &[0, 2000]);
    }

    #[test]
    fn a_gop_length_near_the_target_is_used() {
        check(2000, &[0, 1500, 3000, 4500], &[0, 1500, 3000, 4500]);
        check(2000, &[0, 3000, 6000], &[0, 3000, 6000]);
        check(2000, &[0, 800, 1600, 2400], &[0, 1600]);
    }

    #[test]
    fn no_segment_is_shorter_than_a_second() {
        check(1000, &[0, 600, 1200, 1800, 2400], &[0, 1200, 2400]);
        check(1000, &[0, 950, 1900], &[0, 1900]);
    }

    #[test]
    fn frames_before_the_first_key_frame_are_discarded() {
        check(2000, &[150, 2150], &[150, 2150]);
        let mut segmenter = Segmenter::new(Duration::from_secs(2));
        assert_eq!(segmenter.place(false, Ticks::new(1)), Placement::Discard);
        assert_eq!(segmenter.place(true, Ticks::new(2)), Placement::Begin);
        assert_eq!(segmenter.place(false, Ticks::new(3)), Placement::Continue);
    }

    #[test]
    fn after_a_loss_the_next_key_frame_begins_a_segment() {
        let mut segmenter = Segmenter::new(Duration::from_secs(2));
        assert_eq!(segmenter.place(true, Ticks::new(0)), Placement::Begin);
        segmenter.on_loss();
        assert_eq!(segmenter.place(false, Ticks::new(3000)), Placement::Discard);
        assert_eq!(segmenter.place(true, Ticks::new(6000)), Placement::Begin);
    }

    #[test]
    fn a_wrap_is_measured_and_a_backward_step_begins_a_segment() {
        let mut segmenter = Segmenter::new(Duration::from_secs(2));
        let end = Ticks::new(0).minus(90_000);
        assert_eq!(segmenter.place(true, end), Placement::Begin);
        assert_eq!(segmenter.place(true, end.plus(45_000)), Placement::Continue);
        assert_eq!(segmenter.place(true, end.plus(180_000)), Placement::Begin);
        assert_eq!(segmenter.place(true, end), Placement::Begin);
    }
}
