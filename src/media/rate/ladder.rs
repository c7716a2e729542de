//! Chooses frame rate and size by the bitrate: a small picture that is sharp beats a large one of blocks.
//!
//! First the frame rate goes down to 15, below which the network's runners call the input degraded, then the
//! size, which they scale to 512×512 anyway (field-facts, ai-runner). The way down is taken after
//! [`DOWN_AFTER`], the way up after [`UP_AFTER`] with bits to spare, since a change may cost a restart of the
//! encoder.
//!
//! Does not: know which encoder can change what; an owner whose encoder cannot keeps to the first picture.

use std::time::{Duration, Instant};

use heapless::Vec;

use super::readings::float;

/// Bits that a pixel needs, in thousandths; x264 superfast at 720p24 gets 900 kbit/s by it.
const MILLIBITS: u64 = 40;
/// The lowest frame rate (field-facts, ai-runner).
const LEAST_FPS: u32 = 15;
/// The smallest picture has at least so many pixels down.
const LEAST_HEIGHT: u32 = 240;
/// The bitrate was too low for so long.
const DOWN_AFTER: Duration = Duration::from_secs(5);
/// The bitrate is enough for the next one up, and a third more, for so long.
const UP_AFTER: Duration = Duration::from_secs(20);
/// A full picture, fewer frames, and two smaller ones.
const PICTURES: usize = 4;

/// Shape and rate of the encoded video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

impl Picture {
    /// Bits per second below which it is not worth its size.
    fn needs(&self) -> f64 {
        let pixels = u64::from(self.width) * u64::from(self.height) * u64::from(self.fps);
        float(pixels.saturating_mul(MILLIBITS)) / 1000.0
    }

    fn scaled(self, parts: u32, of: u32) -> Self {
        let scale = |pixels: u32| (pixels / of * parts) & !1;
        Self { width: scale(self.width), height: scale(self.height), ..self }
    }
}

/// The pictures to choose from, and the one that is chosen.
#[derive(Debug, Clone)]
pub struct Ladder {
    /// The best first; never empty.
    pictures: Vec<Picture, PICTURES>,
    chosen: usize,
    /// Since when the bitrate asks for another one, and for which.
    asked: Option<(usize, Instant)>,
}

impl Ladder {
    /// A ladder down from `full`, which is its only picture if that is small already.
    pub(crate) fn below(full: Picture) -> Self {
        let slow = Picture { fps: full.fps.min(LEAST_FPS), ..full };
        let mut pictures: Vec<Picture, PICTURES> = Vec::new();
        for picture in [full, slow, slow.scaled(2, 3), slow.scaled(1, 2)] {
            let is_large_enough = picture.height >= LEAST_HEIGHT || picture == full;
            if is_large_enough && pictures.last() != Some(&picture) {
                // There are no more than fit.
                let _ = pictures.push(picture);
            }
        }
        Self { pictures, chosen: 0, asked: None }
    }

    /// The picture that is chosen.
    pub(crate) fn picture(&self) -> Option<Picture> {
        self.pictures.get(self.chosen).copied()
    }

    /// The encoder makes so many bits per second now: whether another picture is chosen by it.
    pub(crate) fn on_bitrate(&mut self, bits: f64, now: Instant) -> bool {
        let wanted = self.wanted(bits);
        let since = match self.asked {
            Some((asked, since)) if (asked < self.chosen) == (wanted < self.chosen) => since,
            Some(_) | None => now,
        };
        self.asked = (wanted != self.chosen).then_some((wanted, since));
        let patience = if wanted < self.chosen { UP_AFTER } else { DOWN_AFTER };
        if wanted == self.chosen || now.duration_since(since) < patience {
            return false;
        }
        self.chosen = wanted;
        self.asked = None;
        true
    }

    /// The next one up if there are bits to spare for it, the one that fits if there are too few, else the
    /// chosen one.
    fn wanted(&self, bits: f64) -> usize {
        let needs = |nth: usize| self.pictures.get(nth).map_or(f64::INFINITY, Picture::needs);
        let lowest = self.pictures.len().saturating_sub(1);
        match self.chosen.checked_sub(1) {
            Some(up) if bits >= needs(up) * 4.0 / 3.0 => up,
            _ => (self.chosen..lowest).find(|nth| bits >= needs(*nth)).unwrap_or(lowest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Picture = Picture { width: 1280, height: 720, fps: 24 };

    fn names(ladder: &Ladder) -> std::vec::Vec<String> {
        let name =
            |p: &Picture| format!("{}x{}@{} {:.0}", p.width, p.height, p.fps, p.needs() / 1000.0);
        ladder.pictures.iter().map(name).collect()
    }

    #[track_caller]
    fn check(width: u32, height: u32, fps: u32, expected: &[&str]) {
        assert_eq!(names(&Ladder::below(Picture { width, height, fps })), expected);
    }

    #[test]
    fn frames_go_first_then_size() {
        let expected = ["1280x720@24 885", "1280x720@15 553", "852x480@15 245", "640x360@15 138"];
        check(1280, 720, 24, &expected);
        check(640, 480, 15, &["640x480@15 184", "426x320@15 82", "320x240@15 46"]);
        check(320, 240, 10, &["320x240@10 31"]);
        check(64, 64, 60, &["64x64@60 10"]);
    }

    /// Bitrates in kbit/s, each for so many seconds: the picture after each.
    #[track_caller]
    fn climb(bitrates: &[(f64, u64, &str)]) {
        let mut ladder = Ladder::below(FULL);
        let mut now = Instant::now();
        for told @ (kbits, seconds, expected) in bitrates {
            for _ in 0..4 * seconds {
                now += Duration::from_millis(250);
                ladder.on_bitrate(kbits * 1000.0, now);
            }
            let name = names(&ladder).swap_remove(ladder.chosen);
            assert!(name.starts_with(expected), "{told:?}: {name}");
        }
    }

    #[test]
    fn too_few_bits_for_a_while_step_down_as_far_as_it_takes() {
        climb(&[(2000.0, 60, "1280x720@24"), (600.0, 4, "1280x720@24"), (600.0, 2, "1280x720@15")]);
        climb(&[(100.0, 6, "640x360@15"), (100.0, 60, "640x360@15")]);
    }

    #[test]
    fn the_way_up_takes_longer_and_goes_step_by_step() {
        climb(&[
            (100.0, 6, "640x360@15"),
            (2000.0, 19, "640x360@15"),
            (2000.0, 2, "852x480@15"),
            (2000.0, 21, "1280x720@15"),
            (2000.0, 21, "1280x720@24"),
        ]);
    }

    #[test]
    fn a_bitrate_between_two_pictures_moves_nothing() {
        climb(&[
            (600.0, 6, "1280x720@15"),
            (1000.0, 300, "1280x720@15"),
            (560.0, 300, "1280x720@15"),
        ]);
    }
}
