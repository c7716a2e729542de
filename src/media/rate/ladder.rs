//! Chooses frame rate and picture size by the bitrate: a sharp small picture is better than a large one with
//! compression artefacts.
//!
//! The frame rate falls first, to 15 frames/s, below which the network's runners report degraded input. Then the size
//! falls, which the runners scale to 512×512 anyway (ai-runner). A step down follows after [`DOWN_AFTER`]. A step up
//! needs a surplus of bits for [`UP_AFTER`], because a change may restart the encoder.
//!
//! Does not: know what the encoder can change; a caller whose encoder cannot change the picture keeps the first one.

use std::time::{Duration, Instant};

use heapless::Vec;

use super::readings::float;

/// Thousandths of a bit that a pixel needs: about 900 kbit/s for x264 superfast at 720p24.
const MILLIBITS_PER_PIXEL: u64 = 40;
/// The lowest frame rate that the ladder chooses: ai-runner reports input below it as degraded.
const MIN_FPS: u32 = 15;
/// The lowest picture height that the ladder scales down to.
const MIN_HEIGHT: u32 = 240;
/// How long the bitrate is too low before a step down.
const DOWN_AFTER: Duration = Duration::from_secs(5);
/// How long the bitrate exceeds the need of the next larger picture by a third before a step up.
const UP_AFTER: Duration = Duration::from_secs(20);
/// The number of pictures: the full one, the full one with a lower frame rate, and two smaller ones.
const PICTURES: usize = 4;

/// Size and frame rate of the encoded video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

impl Picture {
    /// Bits per second below which a smaller picture looks better.
    fn min_bitrate(&self) -> f64 {
        let pixels = u64::from(self.width) * u64::from(self.height) * u64::from(self.fps);
        float(pixels.saturating_mul(MILLIBITS_PER_PIXEL)) / 1000.0
    }

    fn scaled(self, parts: u32, of: u32) -> Self {
        let scale = |pixels: u32| (pixels / of * parts) & !1;
        Self { width: scale(self.width), height: scale(self.height), ..self }
    }
}

/// The pictures to choose from, and the current choice.
#[derive(Debug, Clone)]
pub struct Ladder {
    /// From the best to the smallest; never empty.
    pictures: Vec<Picture, PICTURES>,
    chosen: usize,
    /// Another picture that fits the bitrate better, and the time since when it does.
    candidate: Option<(usize, Instant)>,
}

impl Ladder {
    /// A ladder of `full` and smaller pictures; `full` alone if it is already small.
    pub(crate) fn below(full: Picture) -> Self {
        let slow = Picture { fps: full.fps.min(MIN_FPS), ..full };
        let mut pictures: Vec<Picture, PICTURES> = Vec::new();
        for picture in [full, slow, slow.scaled(2, 3), slow.scaled(1, 2)] {
            let is_large_enough = picture.height >= MIN_HEIGHT || picture == full;
            if is_large_enough && pictures.last() != Some(&picture) {
                // This cannot fail: the list has room for `PICTURES` pictures.
                let _ = pictures.push(picture);
            }
        }
        Self { pictures, chosen: 0, candidate: None }
    }

    /// The chosen picture.
    pub(crate) fn picture(&self) -> Option<Picture> {
        self.pictures.get(self.chosen).copied()
    }

    /// Takes the encoder's present bitrate; returns whether that changes the chosen picture.
    pub(crate) fn on_bitrate(&mut self, bits: f64, now: Instant) -> bool {
        let wanted = self.wanted(bits);
        let since = match self.candidate {
            Some((candidate, since)) if (candidate < self.chosen) == (wanted < self.chosen) => {
                since
            }
            Some(_) | None => now,
        };
        self.candidate = (wanted != self.chosen).then_some((wanted, since));
        let delay = if wanted < self.chosen { UP_AFTER } else { DOWN_AFTER };
        if wanted == self.chosen || now.duration_since(since) < delay {
            return false;
        }
        self.chosen = wanted;
        self.candidate = None;
        true
    }

    /// The next larger picture if the bitrate has a third to spare for it, a smaller one if the bitrate is too low for
    /// the chosen one, else the chosen one.
    fn wanted(&self, bits: f64) -> usize {
        let min_bitrate =
            |nth: usize| self.pictures.get(nth).map_or(f64::INFINITY, Picture::min_bitrate);
        let lowest = self.pictures.len().saturating_sub(1);
        match self.chosen.checked_sub(1) {
            Some(up) if bits >= min_bitrate(up) * 4.0 / 3.0 => up,
            _ => (self.chosen..lowest).find(|nth| bits >= min_bitrate(*nth)).unwrap_or(lowest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Picture = Picture { width: 1280, height: 720, fps: 24 };

    fn names(ladder: &Ladder) -> std::vec::Vec<String> {
        let name = |p: &Picture| {
            format!("{}x{}@{} {:.0}", p.width, p.height, p.fps, p.min_bitrate() / 1000.0)
        };
        ladder.pictures.iter().map(name).collect()
    }

    #[track_caller]
    fn check(width: u32, height: u32, fps: u32, expected: &[&str]) {
        assert_eq!(names(&Ladder::below(Picture { width, height, fps })), expected);
    }

    #[test]
    fn the_frame_rate_falls_before_the_size() {
        let expected = ["1280x720@24 885", "1280x720@15 553", "852x480@15 245", "640x360@15 138"];
        check(1280, 720, 24, &expected);
        check(640, 480, 15, &["640x480@15 184", "426x320@15 82", "320x240@15 46"]);
        check(320, 240, 10, &["320x240@10 31"]);
        check(64, 64, 60, &["64x64@60 10"]);
    }

    /// Applies (kbit/s, seconds, expected picture afterwards) in turn.
    #[track_caller]
    fn climb(bitrates: &[(f64, u64, &str)]) {
        let mut ladder = Ladder::below(FULL);
        let mut now = Instant::now();
        for step @ (kbits, seconds, expected) in bitrates {
            for _ in 0..4 * seconds {
                now += Duration::from_millis(250);
                ladder.on_bitrate(kbits * 1000.0, now);
            }
            let name = names(&ladder).swap_remove(ladder.chosen);
            assert!(name.starts_with(expected), "{step:?}: {name}");
        }
    }

    #[test]
    fn a_bitrate_too_low_for_a_while_steps_down_as_far_as_needed() {
        climb(&[(2000.0, 60, "1280x720@24"), (600.0, 4, "1280x720@24"), (600.0, 2, "1280x720@15")]);
        climb(&[(100.0, 6, "640x360@15"), (100.0, 60, "640x360@15")]);
    }

    #[test]
    fn a_step_up_takes_longer_and_goes_up_by_one_picture() {
        climb(&[
            (100.0, 6, "640x360@15"),
            (2000.0, 19, "640x360@15"),
            (2000.0, 2, "852x480@15"),
            (2000.0, 21, "1280x720@15"),
            (2000.0, 21, "1280x720@24"),
        ]);
    }

    #[test]
    fn a_bitrate_between_two_pictures_changes_nothing() {
        climb(&[
            (600.0, 6, "1280x720@15"),
            (1000.0, 300, "1280x720@15"),
            (560.0, 300, "1280x720@15"),
        ]);
    }
}
