//! Computes the H.264 level for a picture size, a frame rate and a bitrate.
//!
//! Some encoders need the level in the caps after them: without it, the Raspberry Pi's encoder starts and then fails on
//! its first frame.
//!
//! Does not: check reference frames; every level here allows one, and the encoders use one.

use crate::Video;

/// Level, macroblocks per second, macroblocks per picture, kbit/s in the Main profile (H.264, table A-1).
const LEVELS: &[(&str, u64, u64, u64)] = &[
    ("1", 1_485, 99, 64),
    ("1.1", 3_000, 396, 192),
    ("1.2", 6_000, 396, 384),
    ("1.3", 11_880, 396, 768),
    ("2", 11_880, 396, 2_000),
    ("2.1", 19_800, 792, 4_000),
    ("2.2", 20_250, 1_620, 4_000),
    ("3", 40_500, 1_620, 10_000),
    ("3.1", 108_000, 3_600, 14_000),
    ("3.2", 216_000, 5_120, 20_000),
    ("4", 245_760, 8_192, 20_000),
    ("4.1", 245_760, 8_192, 50_000),
    ("4.2", 522_240, 8_704, 50_000),
    ("5", 589_824, 22_080, 135_000),
    ("5.1", 983_040, 36_864, 240_000),
    ("5.2", 2_073_600, 36_864, 240_000),
];

/// The lowest level that allows `video`, as GStreamer writes it; the highest level if no level allows it.
pub(crate) fn level(video: &Video) -> &'static str {
    let (across, down) =
        (u64::from(video.width.div_ceil(16)), u64::from(video.height.div_ceil(16)));
    let picture = across * down;
    let fits = |&&(_, rate, size, kilobits): &&(&str, u64, u64, u64)| {
        // Neither side may exceed the square root of 8 × MaxFS (A.3.1).
        let longest = across.max(down);
        picture <= size
            && longest * longest <= 8 * size
            && picture * u64::from(video.fps) <= rate
            && u64::from(video.bitrate) <= kilobits * 1000
    };
    LEVELS.iter().find(fits).or(LEVELS.last()).map_or("4", |(level, ..)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(width: u32, height: u32, fps: u32, bitrate: u32, expected: &str) {
        let video = Video { width, height, fps, bitrate, ..Video::default() };
        assert_eq!(level(&video), expected);
    }

    #[test]
    fn size_and_rate_decide() {
        check(176, 144, 15, 64_000, "1");
        check(320, 240, 10, 100_000, "1.1");
        check(352, 288, 30, 500_000, "1.3");
        check(352, 480, 30, 1_000_000, "2.1");
        check(512, 512, 24, 1_000_000, "3");
        check(640, 480, 30, 2_000_000, "3");
        check(1280, 720, 24, 2_000_000, "3.1");
        check(1280, 720, 30, 2_000_000, "3.1");
        check(1280, 720, 60, 2_000_000, "3.2");
        check(1280, 1024, 42, 2_000_000, "3.2");
        check(1920, 1080, 30, 4_000_000, "4");
        check(1920, 1080, 60, 4_000_000, "4.2");
        check(3840, 2160, 30, 20_000_000, "5.1");
        check(3840, 2160, 60, 20_000_000, "5.2");
    }

    #[test]
    fn sizes_count_in_whole_macroblocks() {
        check(1280, 720, 30, 2_000_000, "3.1");
        check(1282, 720, 30, 2_000_000, "3.2");
    }

    #[test]
    fn a_high_bitrate_needs_a_higher_level() {
        check(320, 240, 10, 2_000_000, "2");
        check(1280, 720, 24, 14_000_001, "3.2");
        check(1280, 720, 24, 50_000_000, "4.1");
    }

    #[test]
    fn a_very_long_picture_needs_a_higher_level_than_its_area() {
        check(1920, 64, 5, 200_000, "3.1");
    }

    #[test]
    fn video_beyond_every_level_gets_the_highest() {
        check(3840, 2160, 240, 20_000_000, "5.2");
    }
}
