//! Decides where an access unit stands: it begins a segment, goes on with it, or is worth nothing.
//!
//! A segment begins at a key and nowhere else. Of the keys that come, the one nearest to the wanted
//! length cuts, so a camera with a key every 0.5 s still gives segments of 2 s, and one with a key
//! every 1.5 s gives segments of 1.5 s. None is shorter than `SHORTEST`.
//!
//! | | key, near or past the wanted length | key, early | no key |
//! |---|---|---|---|
//! | before the first key, and after a loss | `Begin` | `Begin` | `Discard` |
//! | in a segment | `Begin` | `Continue` | `Continue` |
//!
//! Does not: ask the encoder for keys, and does not see the bytes.

use std::time::Duration;

use mpegts::Ticks;

/// No segment is shorter (protocol.md, section 2: `LIVE_AI_MIN_SEG_DUR`), save the one before a loss.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);

/// Where an access unit stands.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// It begins a segment.
    Begin,
    /// It belongs to the segment that has begun.
    Continue,
    /// It cannot be decoded, for want of the key before it.
    Discard,
}

/// Places the access units of one channel, in decoding order.
#[derive(Debug, Clone)]
pub(crate) struct Segmenter {
    wanted: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    AwaitKey,
    InSegment { began: Ticks, last_key: Ticks },
}

impl Segmenter {
    /// Segments of about `wanted`.
    pub(crate) fn new(wanted: Duration) -> Self {
        Self { wanted, state: State::AwaitKey }
    }

    /// Segments of about `wanted` from the next key on.
    pub(crate) fn set_wanted(&mut self, wanted: Duration) {
        self.wanted = wanted;
    }

    /// An access unit, with its DTS.
    pub(crate) fn place(&mut self, is_key: bool, at: Ticks) -> Placement {
        match (self.state, is_key) {
            (State::AwaitKey, false) => Placement::Discard,
            (State::InSegment { .. }, false) => Placement::Continue,
            (State::InSegment { began, last_key }, true) if !self.cuts(began, last_key, at) => {
                self.state = State::InSegment { began, last_key: at };
                Placement::Continue
            }
            (State::AwaitKey | State::InSegment { .. }, true) => {
                self.state = State::InSegment { began: at, last_key: at };
                Placement::Begin
            }
        }
    }

    /// No access unit follows for a while: whether a segment was under way, which is complete now.
    pub(crate) fn on_pause(&mut self) -> bool {
        matches!(std::mem::replace(&mut self.state, State::AwaitKey), State::InSegment { .. })
    }

    /// Access units before the next one are lost, or the segment under way is.
    pub(crate) fn on_loss(&mut self) {
        self.state = State::AwaitKey;
    }

    /// Whether this key is nearer to the wanted length than the next will be, if that comes after as
    /// long as this one did. A time that goes back cuts: nothing can be measured against it.
    fn cuts(&self, began: Ticks, last_key: Ticks, at: Ticks) -> bool {
        match (at.duration_since(began), at.duration_since(last_key)) {
            (Some(length), Some(gop)) => length >= SHORTEST && length + gop / 2 >= self.wanted,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys at these times, ms, among frames every 50 ms: the times at which segments begin.
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
    fn keys_at_the_wanted_length_cut() {
        check(2000, &[0, 2000, 4000], &[0, 2000, 4000]);
        check(2000, &[0, 1990, 4010, 6001], &[0, 1990, 4010, 6001]);
        check(1000, &[0, 1000, 2000], &[0, 1000, 2000]);
    }

    #[test]
    fn an_early_key_does_not_cut() {
        check(2000, &[0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000], &[0, 2000, 4000]);
        check(2000, &[0, 480, 960, 1440, 1920, 2400], &[0, 1920]);
        check(2000, &[0, 300, 2000], &[0, 2000]);
    }

    #[test]
    fn a_natural_length_near_the_wanted_one_is_taken() {
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
    fn nothing_goes_out_before_the_first_key() {
        check(2000, &[150, 2150], &[150, 2150]);
        let mut segmenter = Segmenter::new(Duration::from_secs(2));
        assert_eq!(segmenter.place(false, Ticks::new(1)), Placement::Discard);
        assert_eq!(segmenter.place(true, Ticks::new(2)), Placement::Begin);
        assert_eq!(segmenter.place(false, Ticks::new(3)), Placement::Continue);
    }

    #[test]
    fn after_a_loss_the_next_key_begins_however_early() {
        let mut segmenter = Segmenter::new(Duration::from_secs(2));
        assert_eq!(segmenter.place(true, Ticks::new(0)), Placement::Begin);
        segmenter.on_loss();
        assert_eq!(segmenter.place(false, Ticks::new(3000)), Placement::Discard);
        assert_eq!(segmenter.place(true, Ticks::new(6000)), Placement::Begin);
    }

    #[test]
    fn time_that_wraps_is_measured_and_time_that_goes_back_cuts() {
        let mut segmenter = Segmenter::new(Duration::from_secs(2));
        let end = Ticks::new(0).minus(90_000);
        assert_eq!(segmenter.place(true, end), Placement::Begin);
        assert_eq!(segmenter.place(true, end.plus(45_000)), Placement::Continue);
        assert_eq!(segmenter.place(true, end.plus(180_000)), Placement::Begin);
        assert_eq!(segmenter.place(true, end), Placement::Begin);
    }
}
