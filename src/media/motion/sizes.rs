//! Decides from the sizes of P frames whether something moves: by their cost against the usual cost of this video.
//!
//! The cost of a frame is its bits, weighted by its quantiser: an encoder spends about 12 % fewer bits for each step
//! that the quantiser goes up. So a quantiser that rate control, or another bitrate, has moved changes the cost little.
//! Key frames say nothing about motion, and the first frames after one pay for what it left out. The cost of half a
//! second is compared with the costs of the last minute: the level is what a quarter of them stayed below, so that a
//! scene may move most of the time.
//!
//! The constants were tuned on the scenes and clips of `tests/motion`.
//!
//! Does not: notice anything in video without P frames, or of an encoder that fills a fixed bitrate whatever it shows.

use std::time::{Duration, Instant};

/// The length of a slot, whose frames are taken together; two slots are compared at a time.
const SLOT: Duration = Duration::from_millis(250);
/// Slots that make the usual level: a minute.
const USUAL: usize = 240;
/// Slots before the first decision: 6 s.
const FIRST: usize = 24;
/// Frames after a key frame that do not count.
const AFTER_KEY: u32 = 3;
/// The weight of a step of the quantiser: it doubles the step size each 6, and the bits shrink a little slower.
const WEIGHT: f32 = 0.115;
/// Added to the cost of a frame, so that a still picture, of which almost nothing is sent, has no small level that any
/// noise exceeds: 15 bytes at a quantiser of 20.
const LEAST: f32 = 1000.0;
/// How far the cost is above its level if something moves, as a natural logarithm, at a sensitivity of 50: 57 %.
const RISE: f32 = 0.45;

/// Compares the costs of frames with their usual level.
#[derive(Debug, Clone, Default)]
pub(super) struct SizeMotion {
    /// Frames since the last key frame; `None` before the first key frame.
    since_key: Option<u32>,
    /// The sum of the costs in the present slot, their number, and its begin.
    slot: (f32, u32, Option<Instant>),
    before: Option<(f32, u32)>,
    /// The last costs, the oldest first.
    usual: std::collections::VecDeque<f32>,
}

impl SizeMotion {
    /// Takes an access unit. Returns whether something moves, at the end of each slot.
    pub(super) fn on_unit(
        &mut self,
        bytes: usize,
        quantiser: Option<u8>,
        is_key: bool,
        scale: f32,
        now: Instant,
    ) -> Option<bool> {
        if is_key {
            self.since_key = Some(0);
            return None;
        }
        let since_key = self.since_key.as_mut()?;
        *since_key = since_key.saturating_add(1);
        if *since_key <= AFTER_KEY {
            return None;
        }
        let weight = (WEIGHT * f32::from(quantiser.unwrap_or(0))).exp();
        let (sum, count, began) = &mut self.slot;
        *sum += bytes as f32 * 8.0 * weight + LEAST;
        *count += 1;
        let began = *began.get_or_insert(now);
        if now < began + SLOT {
            return None;
        }
        let (sum, count, _) = std::mem::take(&mut self.slot);
        let (sum_before, count_before) = self.before.replace((sum, count))?;
        let cost = ((sum + sum_before) / (count + count_before) as f32).ln();
        let moves = self.limit(scale).is_some_and(|limit| cost > limit);
        if self.usual.len() == USUAL {
            self.usual.pop_front();
        }
        self.usual.push_back(cost);
        Some(moves)
    }

    /// The cost above which something moves; `None` while the level is not known.
    fn limit(&self, scale: f32) -> Option<f32> {
        if self.usual.len() < FIRST {
            return None;
        }
        let mut costs: Vec<f32> = self.usual.iter().copied().collect();
        costs.sort_unstable_by(f32::total_cmp);
        let level = *costs.get(costs.len() / 4)?;
        let spread = level - *costs.get(costs.len() / 20)?;
        Some(level + spread.max(RISE) * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FPS: u64 = 20;

    /// A story of seconds of 20 frames/s, each with the bytes of a P frame and its quantiser, after 20 s of `still`. A
    /// key frame comes each 2 s. Returns for each second whether something moved in most of it.
    fn seconds(still: (usize, u8), story: &[(usize, u8)], scale: f32) -> Vec<bool> {
        let mut motion = SizeMotion::default();
        let start = Instant::now();
        let all: Vec<_> = std::iter::repeat_n(still, 20).chain(story.iter().copied()).collect();
        let mut moved = Vec::new();
        for (second, (bytes, quantiser)) in (0_u64..).zip(all) {
            let mut signs = Vec::new();
            for frame in 0..FPS {
                let at = start + Duration::from_millis((second * FPS + frame) * 1000 / FPS);
                let is_key = second % 2 == 0 && frame == 0;
                let bytes = if is_key { 20 * bytes } else { bytes + (frame % 3) as usize };
                signs.extend(motion.on_unit(bytes, Some(quantiser), is_key, scale, at));
            }
            moved.push(signs.iter().filter(|moves| **moves).count() * 2 > signs.len());
        }
        moved.split_off(20)
    }

    #[test]
    fn frames_that_cost_more_than_usual_are_motion_until_the_cost_is_usual_again() {
        let story = [(500, 28), (1500, 28), (1500, 28), (500, 28), (500, 28)];
        assert_eq!(seconds((500, 28), &story, 1.0), [false, true, true, false, false]);
        // Rate control keeps the bitrate, and raises the quantiser instead.
        let story = [(500, 28), (520, 36), (520, 36), (500, 28)];
        assert_eq!(seconds((500, 28), &story, 1.0), [false, true, true, false]);
    }

    #[test]
    fn another_bitrate_is_no_motion_and_neither_are_key_frames() {
        // Half and twice the bitrate: the quantiser moves by about 6.
        let story = [(500, 28), (250, 34), (250, 34), (1000, 22), (1000, 22), (500, 28)];
        assert_eq!(seconds((500, 28), &story, 1.0), [false; 6]);
    }

    #[test]
    fn a_higher_sensitivity_notices_a_smaller_rise() {
        let story = [(1000, 28), (1550, 28), (1550, 28), (1000, 28)];
        assert_eq!(seconds((1000, 28), &story, 1.0), [false; 4]);
        assert_eq!(seconds((1000, 28), &story, 0.5), [false, true, true, false]);
    }

    #[test]
    fn a_still_picture_of_which_almost_nothing_is_sent_has_no_level_that_noise_exceeds() {
        assert_eq!(seconds((15, 20), &[(30, 20), (15, 20), (30, 20)], 1.0), [false; 3]);
        assert_eq!(seconds((15, 20), &[(600, 20), (600, 20)], 1.0), [true; 2]);
    }

    #[test]
    fn nothing_is_noticed_before_the_level_is_known_or_without_p_frames() {
        let mut motion = SizeMotion::default();
        let start = Instant::now();
        let mut signs = Vec::new();
        for frame in 0..100 {
            let at = start + Duration::from_millis(50 * frame);
            signs.extend(motion.on_unit(100 << (frame / 10), Some(26), frame == 0, 1.0, at));
        }
        assert!(!signs.is_empty() && signs.iter().all(|moves| !moves));
        let keys = (0..200).map(|n| motion.on_unit(n, None, true, 1.0, start + SLOT));
        assert!(keys.flatten().next().is_none());
    }
}
