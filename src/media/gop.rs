//! Decides by measuring a stream of H.264 whether it may pass through without being encoded again.
//!
//! | it may not pass if | because |
//! |---|---|
//! | its IDR pictures are more than 2 s apart, or it has none | a segment would be too long for the network's runners |
//! | it has B-frames | B-frames need timestamps that go back, and receivers of RTP do not keep those |
//! | its size or bitrate is larger than configured | the uplink would carry more than configured |
//! | it is 4:2:2, 4:4:4 or has more than 8 bits | few hardware decoders take that |
//! | it is interlaced | the network's runners scale fields as if they were pictures |
//!
//! B-frames are recognised by the types of their slices, not by their timestamps. Some cameras refresh the picture in
//! stripes (recovery points) and send no IDR picture; decoding can begin at IDR pictures only.
//!
//! Does not: re-encode a stream that becomes unfit while it passes through; `GopWatch` only reports it. Some cameras
//! lengthen their GOP when nothing moves; that should be switched off in the camera.

use std::fmt;
use std::time::Duration;

use crate::sps::{Bits, Shape};

/// The longest time between IDR pictures: 2 s (field-facts, ai-runner), plus one frame at 24/s because the camera's
/// clock is not exact.
pub(crate) const LONGEST: Duration = Duration::from_millis(2042);
/// The accepted maximum, in quarters of the configured value: cameras offer only certain sizes and rates.
const TOLERANCE: u64 = 5;
/// The time over which the bitrate of a stream is measured while it passes through: several GOPs.
const WINDOW: Duration = Duration::from_secs(10);

/// The limits that a stream must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
    /// Maximum bits per second.
    pub(crate) max_bitrate: u32,
}

/// Whether a stream may pass through; if not, why.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// The stream may pass through.
    Passes,
    /// The stream has B-frames.
    HasBFrames,
    /// The stream's IDR pictures are too far apart.
    LongGop,
    /// The picture is larger than configured.
    TooLarge(Shape, Wanted),
    /// The stream has more bits per second than configured.
    TooManyBits(u64, Wanted),
    /// The stream is not 4:2:0 with 8 bits.
    NotPlain,
    /// The stream is interlaced.
    Interlaced,
}

impl fmt::Display for Fitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passes => f.write_str("it may pass through"),
            Self::HasBFrames => f.write_str("it has B-frames"),
            Self::LongGop => f.write_str("its IDR pictures are more than 2 s apart"),
            Self::TooLarge(is, wanted) => write!(
                f,
                "it is {}x{}, and video.width and video.height ask for {}x{}",
                is.width, is.height, wanted.width, wanted.height
            ),
            Self::TooManyBits(is, wanted) => write!(
                f,
                "it has {} kbit/s, and video.max-bitrate is {} kbit/s",
                is / 1000,
                wanted.max_bitrate / 1000
            ),
            Self::NotPlain => f.write_str("it is not 4:2:0 with 8 bits"),
            Self::Interlaced => f.write_str("it is interlaced"),
        }
    }
}

impl Wanted {
    /// Why a stream of this shape may not pass through; `None` if its shape is accepted.
    fn against_shape(self, shape: Shape) -> Option<Fitness> {
        let pixels = |width, height| u64::from(width) * u64::from(height);
        let (is, most) =
            (pixels(shape.width, shape.height), pixels(self.width, self.height) * TOLERANCE / 4);
        if !shape.is_plain {
            Some(Fitness::NotPlain)
        } else if shape.is_interlaced {
            Some(Fitness::Interlaced)
        } else {
            (is > most).then_some(Fitness::TooLarge(shape, self))
        }
    }

    /// Why a stream with so many bytes in this time may not pass through; `None` if its bitrate is accepted.
    fn against_rate(self, bytes: u64, time: Duration) -> Option<Fitness> {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let bits = bytes.saturating_mul(8000) / millis;
        let is_over = bits > u64::from(self.max_bitrate) * TOLERANCE / 4;
        is_over.then_some(Fitness::TooManyBits(bits, self))
    }
}

/// The properties of an access unit that decide whether its stream may pass through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitFacts {
    /// Whether the access unit is an IDR picture.
    pub(crate) is_key: bool,
    /// Whether the access unit has slices of type B.
    pub(crate) has_b: bool,
    /// When the picture is shown.
    pub(crate) shown: Duration,
    /// The length of the access unit.
    pub(crate) bytes: usize,
    /// The shape of its stream, once that is known.
    pub(crate) shape: Option<Shape>,
}

/// A measurement in progress.
#[derive(Debug, Clone)]
pub(crate) struct Gop {
    wanted: Wanted,
    /// When the first access unit of the measurement is shown.
    began: Option<Duration>,
    first_key: Option<Duration>,
    /// Bytes since the first key.
    bytes: u64,
}

impl Gop {
    /// Starts to measure a stream that must keep these limits.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, began: None, first_key: None, bytes: 0 }
    }

    /// Call for each access unit. Returns the result as soon as it is known.
    pub(crate) fn on_unit(&mut self, unit: UnitFacts) -> Option<Fitness> {
        let unfit = unit.shape.and_then(|shape| self.wanted.against_shape(shape));
        if unfit.is_some() {
            return unfit;
        }
        if unit.has_b {
            return Some(Fitness::HasBFrames);
        }
        let began = *self.began.get_or_insert(unit.shown);
        let bytes = u64::try_from(unit.bytes).unwrap_or(u64::MAX);
        let since = unit.shown.saturating_sub(self.first_key.unwrap_or(began));
        if since > LONGEST {
            return Some(Fitness::LongGop);
        }
        match (self.first_key, unit.is_key) {
            (None, true) => (self.first_key, self.bytes) = (Some(unit.shown), bytes),
            // Units before the first key are not counted, because their GOP is incomplete.
            (None, false) => {}
            (Some(_), false) => self.bytes = self.bytes.saturating_add(bytes),
            (Some(_), true) => {
                let over = self.wanted.against_rate(self.bytes, since);
                return Some(over.unwrap_or(Fitness::Passes));
            }
        }
        None
    }
}

/// Watches a stream that passes through, until it breaks a limit.
#[derive(Debug, Clone)]
pub(crate) struct GopWatch {
    gop: Gop,
    last: Option<Duration>,
    /// The time from which bytes are counted, and their number.
    window: Option<(Duration, u64)>,
    is_over: bool,
}

/// After a longer gap between access units, the measurement starts again: a gap of the network or of the camera does
/// not show how far apart the keys are.
const GAP: Duration = Duration::from_secs(1);

impl GopWatch {
    /// Starts to watch a stream that must keep these limits.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { gop: Gop::new(wanted), last: None, window: None, is_over: false }
    }

    /// Call for each access unit. Returns why the stream is not fit, once; `None` at all other times.
    pub(crate) fn on_unit(&mut self, unit: UnitFacts) -> Option<Fitness> {
        if self.is_over {
            return None;
        }
        let last = self.last.replace(unit.shown);
        if last.is_some_and(|last| unit.shown.saturating_sub(last) > GAP) {
            self.gop = Gop::new(self.gop.wanted);
            self.window = None;
        }
        let rate = self.rate(unit);
        let unfit = match self.gop.on_unit(unit) {
            // One GOP may be larger than the others, so the bitrate is measured over several.
            Some(Fitness::Passes | Fitness::TooManyBits(..)) => {
                self.gop = Gop::new(self.gop.wanted);
                let _ = self.gop.on_unit(unit);
                rate
            }
            Some(unfit) => Some(unfit),
            None => rate,
        };
        self.is_over = unfit.is_some();
        unfit
    }

    /// Counts the unit's bytes. After each ten seconds, returns why their bitrate is not accepted, if so.
    fn rate(&mut self, unit: UnitFacts) -> Option<Fitness> {
        let bytes = u64::try_from(unit.bytes).unwrap_or(u64::MAX);
        let (since, before) = self.window.unwrap_or((unit.shown, 0));
        let time = unit.shown.saturating_sub(since);
        if time < WINDOW {
            self.window = Some((since, before.saturating_add(bytes)));
            return None;
        }
        self.window = Some((unit.shown, bytes));
        self.gop.wanted.against_rate(before, time)
    }

    /// Whether the stream was found unfit; nothing is measured from then on.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Whether a picture in Annex B has slices of type B.
pub(crate) fn has_b_slices(access_unit: &[u8]) -> bool {
    let starts = access_unit.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]);
    starts.map(|(at, _)| access_unit.get(at + 3..).unwrap_or_default()).any(|nal| {
        let Some((header, slice)) = nal.split_first() else { return false };
        // NAL units of pictures other than IDR that begin with a slice header: a whole slice, or data partition A.
        matches!(header & 0x1f, 1 | 2) && slice_type(slice).is_some_and(|kind| kind % 5 == 1)
    })
}

/// Reads `slice_type`, the second number of a slice header, after `first_mb_in_slice`.
fn slice_type(slice: &[u8]) -> Option<u32> {
    let mut bits = Bits::new(slice);
    bits.unsigned()?;
    bits.unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { width: 1280, height: 720, max_bitrate: 2_000_000 };
    const SHAPE: Shape = Shape { width: 1280, height: 720, is_plain: true, is_interlaced: false };

    /// Each word is a time in ms, with `!` for a key frame and `b` for a picture with B slices. 10 kB at 24/s are 1.92
    /// Mbit/s.
    fn unit(text: &str) -> UnitFacts {
        UnitFacts {
            is_key: text.ends_with('!'),
            has_b: text.ends_with('b'),
            shown: Duration::from_millis(text.trim_end_matches(['!', 'b']).parse().unwrap()),
            bytes: 1000,
            shape: Some(SHAPE),
        }
    }

    #[track_caller]
    fn check(units: &str, expected: Option<Fitness>) {
        let mut gop = Gop::new(WANTED);
        let answer = units.split_whitespace().find_map(|text| gop.on_unit(unit(text)));
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_short_gop_without_b_frames_passes() {
        check("0! 40 80 1000!", Some(Fitness::Passes));
        check("40 80 120! 160 2120!", Some(Fitness::Passes));
        check("500! 600!", Some(Fitness::Passes));
    }

    #[test]
    fn a_long_gop_is_found_before_its_end() {
        check("0! 40 2000 2043", Some(Fitness::LongGop));
        check("0! 2043!", Some(Fitness::LongGop));
    }

    #[test]
    fn a_stream_without_idr_pictures_is_found_after_2_s() {
        check("0 40 2000", None);
        check("0 40 2000 2043", Some(Fitness::LongGop));
    }

    #[test]
    fn b_frames_are_found_at_once() {
        check("0! 120 120b 240", Some(Fitness::HasBFrames));
        check("0b", Some(Fitness::HasBFrames));
    }

    #[test]
    fn the_result_needs_a_whole_gop() {
        check("", None);
        check("0 40 80", None);
        check("0! 40 80", None);
    }

    #[track_caller]
    fn check_shape(shape: Shape, expected: Option<Fitness>) {
        let mut gop = Gop::new(WANTED);
        assert_eq!(gop.on_unit(UnitFacts { shape: Some(shape), ..unit("0!") }), expected);
    }

    #[test]
    fn sizes_up_to_a_quarter_larger_pass_and_other_chroma_and_fields_do_not() {
        check_shape(SHAPE, None);
        check_shape(Shape { width: 1280, height: 800, ..SHAPE }, None);
        let large = Shape { width: 1280, height: 960, ..SHAPE };
        check_shape(large, Some(Fitness::TooLarge(large, WANTED)));
        check_shape(Shape { is_plain: false, ..SHAPE }, Some(Fitness::NotPlain));
        check_shape(Shape { is_interlaced: true, ..SHAPE }, Some(Fitness::Interlaced));
        let text = "it is 1280x960, and video.width and video.height ask for 1280x720";
        assert_eq!(Fitness::TooLarge(large, WANTED).to_string(), text);
    }

    #[test]
    fn the_bitrate_is_measured_over_a_whole_gop() {
        // 24 pictures a second.
        let of = |bytes| {
            let mut gop = Gop::new(WANTED);
            let mut last = None;
            for at in 0..=24 {
                let shown = Duration::from_millis(at * 1000 / 24);
                last = gop.on_unit(UnitFacts { is_key: at % 24 == 0, shown, bytes, ..unit("0") });
            }
            last
        };
        assert_eq!(of(10_000), Some(Fitness::Passes));
        assert_eq!(of(12_500), Some(Fitness::Passes));
        let over = Fitness::TooManyBits(2_688_000, WANTED);
        assert_eq!(of(14_000), Some(over));
        let text = "it has 2688 kbit/s, and video.max-bitrate is 2000 kbit/s";
        assert_eq!(over.to_string(), text);
    }

    /// Like `check`, for a watch: the word of the unit that ends it, and the reason.
    #[track_caller]
    fn check_watch(units: &str, expected: Option<(&str, Fitness)>) {
        let mut watch = GopWatch::new(WANTED);
        let mut answers = Vec::new();
        for text in units.split_whitespace() {
            answers.extend(watch.on_unit(unit(text)).map(|answer| (text, answer)));
        }
        assert_eq!(answers, expected.into_iter().collect::<Vec<_>>());
        assert_eq!(watch.is_over(), expected.is_some());
    }

    #[test]
    fn a_stream_is_watched_until_it_breaks_a_limit() {
        check_watch("", None);
        check_watch("0! 1000! 2000 3000! 4000 5042! 6000", None);
        check_watch("0! 1000! 2000 3000 3043 3044 4000", Some(("3043", Fitness::LongGop)));
        check_watch("0! 1000! 2000! 3000 4000 4100! 5000!", Some(("4100!", Fitness::LongGop)));
        check_watch("0! 1000! 5000 6000! 9000 10000 11000! 12000 13000", None);
        check_watch("0! 1000! 1040 1080b 1120b", Some(("1080b", Fitness::HasBFrames)));
    }

    #[test]
    fn one_large_gop_is_accepted_but_ten_seconds_of_them_are_not() {
        // Keys each second; the pictures of these seconds are too large.
        let answers = |large: fn(u64) -> bool| {
            let mut watch = GopWatch::new(WANTED);
            let units = (0..=24 * 11).filter_map(|at| {
                let shown = Duration::from_millis(at * 1000 / 24);
                let bytes = if large(at / 24) { 20_000 } else { 8_000 };
                watch.on_unit(UnitFacts { is_key: at % 24 == 0, shown, bytes, ..unit("0") })
            });
            units.count()
        };
        assert_eq!(answers(|second| second == 3), 0);
        assert_eq!(answers(|second| second >= 3), 1);
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
