//! Reads the quantiser of a picture from the header of its first slice (H.264, 7.3.3), with the parameter sets of the
//! last key frame.
//!
//! The quantiser says at which precision the encoder spent the bytes of a picture. So the bytes of two pictures can be
//! compared although the encoder's rate control, or another bitrate, has moved the quantiser between them.
//!
//! Does not: decode, or support several slice groups or several picture parameter sets at a time.

use crate::sps::{Bits, PictureOrder, Sequence};
use mpegts::nal;

/// Bytes from the start of an access unit that are read: parameter sets, messages and the header of a slice.
const READ: usize = 1024;
/// Types of NAL units (H.264, table 7-1).
const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
/// The most reference pictures of a list (H.264, 7.4.3).
const REFERENCES: u32 = 32;
/// The most commands in one list of a slice header: two for each reference picture.
const COMMANDS: u32 = 66;

/// Reads the quantisers of one stream's pictures.
#[derive(Debug, Clone, Default)]
pub struct Quantisers {
    sequence: Option<Sequence>,
    picture: Option<PictureParameters>,
}

/// What a picture parameter set says about slice headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PictureParameters {
    id: u32,
    is_cabac: bool,
    has_bottom_order: bool,
    references: [u32; 2],
    is_weighted: bool,
    weighted_bi: u32,
    quantiser: i32,
    has_redundant: bool,
}

/// What an access unit says about its quantiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiser {
    /// The quantiser, 0 to 51; `None` if the header cannot be read.
    pub value: Option<u8>,
    /// The sequence parameters have changed, as after a change of size.
    pub is_changed: bool,
}

impl Quantisers {
    /// Reads an access unit (Annex B). Call it for all access units of a stream, as key frames have the parameters of
    /// those after them.
    pub fn on_access_unit(&mut self, bytes: &[u8]) -> Quantiser {
        let mut found = Quantiser::default();
        for unit in nal::units(bytes.get(..READ).unwrap_or(bytes)) {
            let Some((header, rest)) = unit.split_first() else { continue };
            match header & 0x1f {
                SPS => {
                    let sequence = Sequence::of_parameters(rest);
                    let before = std::mem::replace(&mut self.sequence, sequence);
                    found.is_changed = before.is_some() && before != sequence;
                }
                PPS => self.picture = PictureParameters::of_parameters(rest),
                SLICE | IDR_SLICE => {
                    let is_idr = header & 0x1f == IDR_SLICE;
                    let slice = Slice { is_idr, is_reference: header & 0x60 != 0 };
                    let sets = self.sequence.zip(self.picture);
                    let value = sets.and_then(|(sps, pps)| slice.quantiser(rest, sps, pps));
                    found.value = value.and_then(|value| u8::try_from(value).ok());
                    found.value = found.value.filter(|value| *value <= 51);
                    return found;
                }
                _ => {}
            }
        }
        found
    }
}

impl PictureParameters {
    fn of_parameters(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(bytes);
        let id = bits.unsigned()?;
        bits.unsigned()?; // seq_parameter_set_id
        let (is_cabac, has_bottom_order) = (bits.flag()?, bits.flag()?);
        if bits.unsigned()? != 0 {
            return None; // several slice groups
        }
        let references = [bits.unsigned()?, bits.unsigned()?];
        let is_weighted = bits.flag()?;
        let weighted_bi = bits.fixed(2)?;
        let quantiser = 26 + bits.signed()?;
        bits.signed()?; // pic_init_qs_minus26
        bits.signed()?; // chroma_qp_index_offset
        bits.fixed(2)?; // deblocking_filter_control_present_flag, constrained_intra_pred_flag
        let has_redundant = bits.flag()?;
        Some(Self {
            id,
            is_cabac,
            has_bottom_order,
            references,
            is_weighted,
            weighted_bi,
            quantiser,
            has_redundant,
        })
    }
}

/// The properties of a slice in the header of its NAL unit.
struct Slice {
    is_idr: bool,
    is_reference: bool,
}

impl Slice {
    fn quantiser(&self, bytes: &[u8], sps: Sequence, pps: PictureParameters) -> Option<i32> {
        let mut bits = Bits::new(bytes);
        bits.unsigned()?; // first_mb_in_slice
        let kind = bits.unsigned()? % 5;
        let (is_p, is_b) = (matches!(kind, 0 | 3), kind == 1);
        if bits.unsigned()? != pps.id {
            return None;
        }
        self.skip_order(&mut bits, sps, pps)?;
        if is_b {
            bits.fixed(1)?; // direct_spatial_mv_pred_flag
        }
        let mut references = pps.references;
        if (is_p || is_b) && bits.flag()? {
            for last in references.iter_mut().take(if is_b { 2 } else { 1 }) {
                *last = bits.unsigned()?;
            }
        }
        let lists = references.get(..if is_b { 2 } else { usize::from(is_p) })?;
        for _ in lists {
            skip_modification(&mut bits)?;
        }
        if (pps.is_weighted && is_p) || (pps.weighted_bi == 1 && is_b) {
            skip_weights(&mut bits, lists, sps.has_chroma)?;
        }
        if self.is_reference {
            self.skip_marking(&mut bits)?;
        }
        if pps.is_cabac && (is_p || is_b) {
            bits.unsigned()?; // cabac_init_idc
        }
        Some(pps.quantiser + bits.signed()?)
    }

    /// Skips the fields from `frame_num` to `redundant_pic_cnt`.
    fn skip_order(&self, bits: &mut Bits<'_>, sps: Sequence, pps: PictureParameters) -> Option<()> {
        bits.fixed(if sps.has_planes { 2 } else { 0 })?;
        bits.fixed(sps.frame_number_bits)?;
        let is_field = sps.shape.is_interlaced && bits.flag()?;
        if is_field {
            bits.fixed(1)?; // bottom_field_flag
        }
        if self.is_idr {
            bits.unsigned()?; // idr_pic_id
        }
        let has_bottom = pps.has_bottom_order && !is_field;
        match sps.order {
            PictureOrder::Counted(count) => {
                bits.fixed(count)?;
                if has_bottom {
                    bits.signed()?;
                }
            }
            PictureOrder::Deltas => {
                bits.signed()?;
                if has_bottom {
                    bits.signed()?;
                }
            }
            PictureOrder::Implied => {}
        }
        if pps.has_redundant {
            bits.unsigned()?;
        }
        Some(())
    }

    /// Skips `dec_ref_pic_marking` (H.264, 7.3.3.3).
    fn skip_marking(&self, bits: &mut Bits<'_>) -> Option<()> {
        if self.is_idr {
            return bits.fixed(2).map(drop);
        }
        if !bits.flag()? {
            return Some(());
        }
        for _ in 0..COMMANDS {
            match bits.unsigned()? {
                0 => return Some(()),
                3 => drop((bits.unsigned()?, bits.unsigned()?)),
                5 => {}
                _ => drop(bits.unsigned()?),
            }
        }
        None
    }
}

/// Skips `ref_pic_list_modification` of one list (H.264, 7.3.3.1).
fn skip_modification(bits: &mut Bits<'_>) -> Option<()> {
    if !bits.flag()? {
        return Some(());
    }
    for _ in 0..COMMANDS {
        if bits.unsigned()? == 3 {
            return Some(());
        }
        bits.unsigned()?;
    }
    None
}

/// Skips `pred_weight_table` (H.264, 7.3.3.2).
fn skip_weights(bits: &mut Bits<'_>, lists: &[u32], has_chroma: bool) -> Option<()> {
    bits.unsigned()?; // luma_log2_weight_denom
    if has_chroma {
        bits.unsigned()?; // chroma_log2_weight_denom
    }
    for last in lists {
        for _ in 0..=Some(*last).filter(|last| *last < REFERENCES)? {
            if bits.flag()? {
                bits.signed()?;
                bits.signed()?;
            }
            if has_chroma && bits.flag()? {
                for _ in 0..4 {
                    bits.signed()?;
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(hex: &str) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        [0, 0, 0, 1].into_iter().chain((0..hex.len()).step_by(2).map(byte)).collect()
    }

    /// Reads parameter sets and a key frame, then each of the other pictures, of which only the beginning is given. No
    /// truncated copy may give another quantiser.
    #[track_caller]
    fn check(sets: [&str; 2], pictures: &[(&str, u8)]) {
        let mut quantisers = Quantisers::default();
        for (nth, (picture, expected)) in pictures.iter().enumerate() {
            let sets: Vec<u8> = sets.iter().flat_map(|set| unit(set)).collect();
            let picture = unit(picture);
            let bytes = if nth == 0 { [sets, picture].concat() } else { picture };
            for end in 0..bytes.len() {
                let value = quantisers.clone().on_access_unit(&bytes[..end]).value;
                assert!(value.is_none_or(|value| value == *expected), "{nth}: {value:?} at {end}");
            }
            let found = quantisers.on_access_unit(&bytes);
            assert_eq!((found.value, found.is_changed), (Some(*expected), false), "{nth}");
        }
    }

    const WEIGHTS: [&str; 2] = ["6764000aacd9447b011000000300100000030140f1225960", "68ebe112c8b0"];

    #[test]
    fn the_quantiser_of_each_picture_is_that_which_the_encoder_has_logged() {
        // x264 with weighted prediction, several references, B frames and CABAC.
        check(
            WEIGHTS,
            &[
                ("65888400ffdae397d3c4073b52ba88e96765e28da11156c1", 27),
                ("419a21638881d94075058076051fc81b9788076e310c0130", 30),
                ("419a4449e1084321c440bc2202e808c02e808d02f180ffc6", 30),
                ("419e626a53d7fee831d15fdb6e7fff89ad7b8402c169ddee", 31),
                ("019e836a49ff7341", 32),
                ("419a874ba842105a2104450c80a202f00a202f450a00ff0e", 30),
            ],
        );
        // x264, baseline profile.
        check(
            ["6742c00ad9047b011000000300100000030140f1226480", "68cb82cb20"],
            &[
                ("6588843fc4222a00c0843f004536198c000201b5a830c001", 21),
                ("419a39fe1993199c20002a0a94840132201c000a80e09978", 24),
                ("419a547d5e19ac9e100022b7c20b3600078910990841cf67", 24),
            ],
        );
        // x264, interlaced.
        check(
            ["67640015ace4113f2e022000000300200000030283e2852240", "68fba0a4b22c"],
            &[
                ("6588822c3fcf1a7b4024a7e2f72d17ea2050d5a5a5259fa1", 33),
                ("419a2579ffd9fa475ee2d09f42b7d6ed07fd8cfcdbd9d09a", 36),
                ("019e437e49fffc5536628db2f2deb474105f467d0077ebda", 38),
            ],
        );
        // OpenH264.
        check(
            ["6742d00b8c8d423900f08846a0", "68ce3c80"],
            &[
                ("65b80004000078431400043c7fffc01847453333fb8c889f", 26),
                ("61e0004000be47f3f29825c11edfd879d26d1a0f1f511c1c", 26),
            ],
        );
    }

    #[test]
    fn a_picture_without_its_parameter_sets_has_no_quantiser() {
        let picture = unit("419a21638881d94075058076051fc81b9788076e310c0130");
        assert_eq!(Quantisers::default().on_access_unit(&picture), Quantiser::default());
        let mut quantisers = Quantisers::default();
        let _ = quantisers.on_access_unit(&unit(WEIGHTS[0]));
        assert_eq!(quantisers.on_access_unit(&picture), Quantiser::default());
        // A parameter set that cannot be read replaces the one before it.
        let _ = quantisers.on_access_unit(&unit(WEIGHTS[1]));
        assert_eq!(quantisers.on_access_unit(&picture).value, Some(30));
        let _ = quantisers.on_access_unit(&unit("68ff"));
        assert_eq!(quantisers.on_access_unit(&picture).value, None);
    }

    #[test]
    fn damaged_bytes_end_no_program() {
        let picture = unit("419a21638881d94075058076051fc81b9788076e310c0130");
        let whole = [unit(WEIGHTS[0]), unit(WEIGHTS[1]), picture].concat();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let value = Quantisers::default().on_access_unit(&bytes).value;
                assert!(value.is_none_or(|value| value <= 51));
            }
        }
    }

    #[test]
    fn other_sequence_parameters_are_noticed() {
        let mut quantisers = Quantisers::default();
        assert!(!quantisers.on_access_unit(&unit(WEIGHTS[0])).is_changed);
        assert!(!quantisers.on_access_unit(&unit(WEIGHTS[0])).is_changed);
        let other = unit("6742c00ad9047b011000000300100000030140f1226480");
        assert!(quantisers.on_access_unit(&other).is_changed);
    }
}
