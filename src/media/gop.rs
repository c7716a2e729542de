//! Measures a stream of H.264 to say whether it may pass through as it is: keys at most two seconds apart, and
//! no B-frames.
//!
//! With keys further apart a segment would be too long for the network's runners; B-frames need times that
//! go back, which receivers of RTP straighten out. So they are known by their slices, not by their times.
//!
//! Does not: act on what changes later on; some cameras stretch their GOP when nothing moves, and are better
//! told not to.

use std::fmt;
use std::time::Duration;

/// The longest distance of keys (field-facts, ai-runner), and a frame of 24/s for the camera's clock.
pub const LONGEST: Duration = Duration::from_millis(2042);

/// What a stream is good for.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It may pass through.
    Passes,
    /// It has B-frames.
    HasBFrames,
    /// Its keys are too far apart.
    LongGop,
}

impl fmt::Display for Fitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passes => "it may pass through",
            Self::HasBFrames => "it has B-frames",
            Self::LongGop => "its keys are more than 2 s apart",
        })
    }
}

/// A measurement under way.
#[derive(Debug, Clone, Default)]
pub struct Gop {
    first_key: Option<Duration>,
}

impl Gop {
    /// The next access unit, with the time at which it is shown; an answer as soon as there is one.
    pub fn on_unit(&mut self, is_key: bool, has_b: bool, shown: Duration) -> Option<Fitness> {
        if has_b {
            return Some(Fitness::HasBFrames);
        }
        // What comes before the first key cannot be judged.
        let Some(first) = self.first_key else {
            self.first_key = is_key.then_some(shown);
            return None;
        };
        if shown.saturating_sub(first) > LONGEST {
            return Some(Fitness::LongGop);
        }
        is_key.then_some(Fitness::Passes)
    }
}

/// Watches a stream that passes through, for as long as it is fit for it.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    gop: Gop,
    last: Option<Duration>,
    is_over: bool,
}

/// A gap of the link or of the camera says nothing of its keys.
const GAP: Duration = Duration::from_secs(1);

impl Watch {
    /// The next access unit; an answer when the stream is not fit, once.
    pub fn on_unit(&mut self, is_key: bool, has_b: bool, shown: Duration) -> Option<Fitness> {
        if self.is_over {
            return None;
        }
        let last = self.last.replace(shown);
        if last.is_some_and(|last| shown.saturating_sub(last) > GAP) {
            self.gop = Gop::default();
        }
        match self.gop.on_unit(is_key, has_b, shown)? {
            Fitness::Passes => {
                self.gop = Gop { first_key: Some(shown) };
                None
            }
            unfit @ (Fitness::HasBFrames | Fitness::LongGop) => {
                self.is_over = true;
                Some(unfit)
            }
        }
    }

    /// Whether it has answered.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Whether a picture in Annex B has slices of type B.
pub fn has_b_slices(access_unit: &[u8]) -> bool {
    let starts = access_unit.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]);
    starts.map(|(at, _)| access_unit.get(at + 3..).unwrap_or_default()).any(|nal| {
        let Some((header, slice)) = nal.split_first() else { return false };
        // Slices of a picture that is no IDR, whole or its first partition (H.264, 7.3.3).
        matches!(header & 0x1f, 1 | 2) && slice_type(slice).is_some_and(|kind| kind % 5 == 1)
    })
}

/// The second number of a slice header; the first says where the slice begins.
fn slice_type(slice: &[u8]) -> Option<u32> {
    let mut bits = slice.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    unsigned(&mut bits)?;
    unsigned(&mut bits)
}

/// A number in Exp-Golomb code (H.264, 9.1).
fn unsigned(bits: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut zeros = 0;
    while bits.next()? == 0 {
        zeros += 1;
        if zeros > 20 {
            return None; // more macroblocks than any picture has
        }
    }
    let mut number = 1_u32;
    for _ in 0..zeros {
        number = number << 1 | u32::from(bits.next()?);
    }
    Some(number - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times in ms; keys have an exclamation mark, pictures with slices of type B a b.
    #[track_caller]
    fn check(units: &str, expected: Option<Fitness>) {
        let mut gop = Gop::default();
        let answer = units.split_whitespace().find_map(|unit| {
            let shown = unit.trim_end_matches(['!', 'b']).parse().unwrap();
            gop.on_unit(unit.ends_with('!'), unit.ends_with('b'), Duration::from_millis(shown))
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_short_gop_without_b_frames_passes() {
        check("0! 40 80 1000!", Some(Fitness::Passes));
        check("40 80 120! 160 2120!", Some(Fitness::Passes));
        check("0! 0!", Some(Fitness::Passes));
        check("500! 0!", Some(Fitness::Passes));
    }

    #[test]
    fn a_long_gop_is_known_before_its_end() {
        check("0! 40 2000 2043", Some(Fitness::LongGop));
        check("0! 2043!", Some(Fitness::LongGop));
    }

    #[test]
    fn b_frames_are_known_at_once() {
        check("0! 120 120b 240", Some(Fitness::HasBFrames));
        check("0b", Some(Fitness::HasBFrames));
    }

    #[test]
    fn it_takes_a_gop_to_know() {
        check("", None);
        check("0 40 80", None);
        check("0! 40 80", None);
    }

    /// As above; the time of the unit that gives the answer, and how many answers there are.
    #[track_caller]
    fn check_watch(units: &str, expected: Option<(&str, Fitness)>) {
        let mut watch = Watch::default();
        let mut answers = Vec::new();
        for unit in units.split_whitespace() {
            let shown = Duration::from_millis(unit.trim_end_matches(['!', 'b']).parse().unwrap());
            let answer = watch.on_unit(unit.ends_with('!'), unit.ends_with('b'), shown);
            answers.extend(answer.map(|answer| (unit, answer)));
        }
        assert_eq!(answers, expected.into_iter().collect::<Vec<_>>());
        assert_eq!(watch.is_over(), expected.is_some());
    }

    #[test]
    fn a_stream_is_watched_until_it_is_not_fit() {
        check_watch("", None);
        check_watch("0! 1000! 2000 3000! 4000 5042! 6000", None);
        check_watch("0! 1000! 2000 3000 3043 3044 4000", Some(("3043", Fitness::LongGop)));
        check_watch("0! 1000! 2000! 3000 4000 4100! 5000!", Some(("4100!", Fitness::LongGop)));
        check_watch("0! 1000! 5000 6000! 9000 10000 11000! 12000 13000", None);
        check_watch("0! 1000! 1040 1080b 1120b", Some(("1080b", Fitness::HasBFrames)));
    }

    #[track_caller]
    fn check_slices(bytes: &[u8], expected: bool) {
        assert_eq!(has_b_slices(bytes), expected, "{bytes:x?}");
        for end in 0..bytes.len() {
            let _ = has_b_slices(&bytes[..end]);
        }
    }

    #[test]
    fn slices_of_type_b_are_found() {
        // First macroblock 0 is the bit 1; then the type: 0 is 1, 1 is 010, 5 is 00110, 6 is 00111.
        check_slices(&[0, 0, 0, 1, 0x41, 0b1010_0000, 0], true);
        check_slices(&[0, 0, 1, 0x01, 0b1001_1100, 0], true);
        check_slices(&[0, 0, 1, 0x41, 0b1100_0000, 0], false);
        check_slices(&[0, 0, 1, 0x41, 0b1001_1000, 0], false);
        check_slices(&[0, 0, 1, 0x65, 0b1010_0000, 0], false);
        // A second slice, which begins at macroblock 40: 40 + 1 in 11 bits.
        check_slices(&[0, 0, 1, 0x41, 0xc0, 0, 0, 1, 0x41, 0b0000_0101, 0b0010_1000], true);
        check_slices(&[0, 0, 1, 0x41, 0, 0, 0, 0, 0], false);
        check_slices(&[], false);
    }
}
