//! Reads the sequence parameters of H.264: size, chroma, bit depth, interlacing (H.264, 7.3.2.1.1).
//!
//! Does not: read the parameters after the size, such as timing.

/// The properties of a stream that its sequence parameters state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
    /// Whether it is 4:2:0 with 8 bits.
    pub(crate) is_plain: bool,
    /// Whether it may have fields instead of frames.
    pub(crate) is_interlaced: bool,
}

/// The sequence parameters that the headers of slices depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The properties of the stream.
    pub(crate) shape: Shape,
    /// Whether the colour planes are coded as pictures of their own.
    pub(crate) has_planes: bool,
    /// Whether pictures have chroma that is coded with their luma.
    pub(crate) has_chroma: bool,
    /// Bits of a frame's number.
    pub(crate) frame_number_bits: u32,
    /// How a slice header states the order of pictures.
    pub(crate) order: PictureOrder,
}

/// How a slice header states the order in which pictures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureOrder {
    /// By a count of so many bits.
    Counted(u32),
    /// By differences from an expected count.
    Deltas,
    /// Not at all.
    Implied,
}

/// The profiles whose parameters contain chroma and bit depth (H.264, 7.3.2.1.1).
const HIGH: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// The type of a NAL unit with sequence parameters.
const SPS: u8 = 7;
/// The highest `num_ref_frames_in_pic_order_cnt_cycle` (H.264, 7.4.2.1.1).
const CYCLE: u32 = 255;
/// The highest `log2_max_frame_num_minus4` and `log2_max_pic_order_cnt_lsb_minus4` (H.264, 7.4.2.1.1).
const COUNT: u32 = 12;
/// Maximum macroblocks across or down: 16,384 pixels.
const MACROBLOCKS: u32 = 1024;

impl Shape {
    /// The shape that an access unit in Annex B announces; `None` if it has no valid sequence parameters.
    pub(crate) fn of_access_unit(bytes: &[u8]) -> Option<Self> {
        let starts = bytes.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]);
        starts
            .filter_map(|(at, _)| bytes.get(at + 3..)?.split_first())
            .find(|(header, _)| *header & 0x1f == SPS)
            .and_then(|(_, parameters)| Sequence::of_parameters(parameters))
            .map(|sequence| sequence.shape)
    }
}

impl Sequence {
    /// Reads sequence parameters; `bytes` begin after the header of the NAL unit.
    pub(crate) fn of_parameters(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(bytes);
        let profile = bits.fixed(8)?;
        bits.fixed(16)?; // constraint flags, level_idc
        bits.unsigned()?; // seq_parameter_set_id
        let (mut chroma, mut has_planes, mut is_8_bit) = (1, false, true);
        if HIGH.contains(&profile) {
            chroma = bits.unsigned()?;
            has_planes = chroma == 3 && bits.flag()?;
            is_8_bit = (bits.unsigned()?, bits.unsigned()?) == (0, 0);
            bits.fixed(1)?; // qpprime_y_zero_transform_bypass_flag
            if bits.fixed(1)? == 1 {
                bits.skip_scaling(if chroma == 3 { 12 } else { 8 })?;
            }
        }
        let frame_number_bits = 4 + Some(bits.unsigned()?).filter(|bits| *bits <= COUNT)?;
        let order = bits.order()?;
        bits.unsigned()?; // max_num_ref_frames
        bits.fixed(1)?; // gaps_in_frame_num_value_allowed_flag
        let width = bits.macroblocks()?;
        let units = bits.macroblocks()?;
        let is_interlaced = bits.fixed(1)? == 0;
        if is_interlaced {
            bits.fixed(1)?; // mb_adaptive_frame_field_flag
        }
        bits.fixed(1)?; // direct_8x8_inference_flag
        let height = units * if is_interlaced { 2 } else { 1 };
        let (mut across, mut down) = (0, 0);
        if bits.fixed(1)? == 1 {
            let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
            let unit_y = if chroma == 1 { 2 } else { 1 } * if is_interlaced { 2 } else { 1 };
            across = (bits.unsigned()?.checked_add(bits.unsigned()?)?).checked_mul(unit_x)?;
            down = (bits.unsigned()?.checked_add(bits.unsigned()?)?).checked_mul(unit_y)?;
        }
        let shape = Shape {
            width: (width * 16).checked_sub(across)?,
            height: (height * 16).checked_sub(down)?,
            is_plain: chroma == 1 && is_8_bit,
            is_interlaced,
        };
        let has_chroma = chroma != 0 && !has_planes;
        Some(Self { shape, has_planes, has_chroma, frame_number_bits, order })
    }
}

/// Reads the bits of a NAL unit, without its emulation prevention bytes.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u8,
    byte: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    /// Starts at the first bit of `bytes`, which begin after the header of the NAL unit.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, zeros: 0, byte: 0, left: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let mut byte = *self.bytes.get(self.at)?;
            if self.zeros >= 2 && byte == 3 {
                self.at += 1;
                self.zeros = 0;
                byte = *self.bytes.get(self.at)?;
            }
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
            (self.byte, self.left) = (byte, 8);
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    /// Reads a number of `count` bits, at most 32.
    pub(crate) fn fixed(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0_u32, |number, _| Some(number << 1 | self.bit()?))
    }

    /// Reads a number in Exp-Golomb code (H.264, 9.1). `None` above about two million, which no field here can reach.
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 20 {
                return None;
            }
        }
        Some((1 << zeros | self.fixed(zeros)?) - 1)
    }

    /// Reads a flag.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.bit().map(|bit| bit == 1)
    }

    /// Reads a signed number in Exp-Golomb code (H.264, 9.1.1).
    pub(crate) fn signed(&mut self) -> Option<i32> {
        let code = i32::try_from(self.unsigned()?).ok()?;
        Some(if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 })
    }

    fn macroblocks(&mut self) -> Option<u32> {
        Some(self.unsigned()? + 1).filter(|count| *count <= MACROBLOCKS)
    }

    /// Skips lists of scaling factors (H.264, 7.3.2.1.1.1); the first six have 16 factors, the others 64.
    fn skip_scaling(&mut self, lists: u32) -> Option<()> {
        for list in 0..lists {
            if self.fixed(1)? == 0 {
                continue;
            }
            let (mut last, mut next) = (8_i32, 8_i32);
            for _ in 0..if list < 6 { 16 } else { 64 } {
                if next != 0 {
                    next = (last + self.signed()?).rem_euclid(256);
                }
                if next != 0 {
                    last = next;
                }
            }
        }
        Some(())
    }

    /// Reads the fields of the picture order count (from `pic_order_cnt_type` on).
    fn order(&mut self) -> Option<PictureOrder> {
        match self.unsigned()? {
            0 => {
                let count = Some(self.unsigned()?).filter(|bits| *bits <= COUNT)?;
                Some(PictureOrder::Counted(4 + count))
            }
            1 => {
                let is_always_zero = self.flag()?;
                self.signed()?;
                self.signed()?;
                let cycle = self.unsigned()?;
                for _ in 0..Some(cycle).filter(|cycle| *cycle <= CYCLE)? {
                    self.signed()?;
                }
                Some(if is_always_zero { PictureOrder::Implied } else { PictureOrder::Deltas })
            }
            _ => Some(PictureOrder::Implied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Shape = Shape { width: 320, height: 240, is_plain: true, is_interlaced: false };

    /// Parses parameters that x264 wrote, without the NAL header, and checks that every truncated copy is refused.
    #[track_caller]
    fn check(hex: &str, expected: Option<Shape>) {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let mut unit = vec![0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x67];
        unit.extend_from_slice(&bytes);
        assert_eq!(Shape::of_access_unit(&unit), expected);
        for end in 0..unit.len() {
            let _ = Shape::of_access_unit(&unit[..end]);
        }
    }

    #[test]
    fn size_chroma_and_fields_are_read() {
        let interlaced = Shape { is_interlaced: true, ..PLAIN };
        check("4d4015f40a087e5c05a830303528000003000800000301e4f8a155", Some(interlaced));
        check("42c015d90141fb016a0c0c0d4a000003000200000300611e2c5c90", Some(PLAIN));
        // 330 and 250 are not multiples of 16, so the picture is cropped.
        let odd = Shape { width: 330, height: 250, ..PLAIN };
        check("42c015d9015087924c05a8303035280000030008000003018478b17240", Some(odd));
        check("640014acd9415087924c05a8303035280000030008000003018478a14cb0", Some(odd));
        let fine = Shape { is_plain: false, ..odd };
        check("7a000dbcd9415087927c05a8303032000003000200000300611e28532c", Some(fine));
        check("6e000da6cd9415087924c05a83030352800000030080000018478a14cb", Some(fine));
    }

    #[test]
    fn invalid_parameters_are_refused() {
        check("", None);
        check("ffffffff", None);
        check("42c00d0000000000000000", None);
        assert_eq!(Shape::of_access_unit(&[0, 0, 1, 0x65, 0x88]), None);
    }

    #[test]
    fn emulation_prevention_bytes_are_skipped() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!((bits.fixed(16), bits.fixed(8), bits.fixed(16)), (Some(0), Some(1), Some(0)));
        assert_eq!(bits.fixed(8), None);
    }

    #[test]
    fn numbers_of_variable_length_are_read() {
        // 1, 010, 011, 00100, 00101, then their signed twins.
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        let read: Vec<_> = (0..5).map(|_| bits.unsigned().unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&bytes);
        let read: Vec<_> = (0..5).map(|_| bits.signed().unwrap()).collect();
        assert_eq!(read, [0, 1, -1, 2, -2]);
        assert_eq!(Bits::new(&[0; 4]).unsigned(), None);
    }
}
