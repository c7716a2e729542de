//! Finds the NAL units of an H.264 byte stream (Annex B) by their start codes and gives their types.
//!
//! `Scanner` takes the stream byte by byte; `types` and [`is_idr`] take a whole access unit.
//!
//! Does not: parse the contents of NAL units.

/// Type of a NAL unit (H.264, table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nal {
    /// A slice or slice partition of a non-IDR picture: types 1 to 4.
    Slice,
    /// A slice of an IDR picture: decoding can begin here.
    Idr,
    /// Supplemental information.
    Sei,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Access unit delimiter.
    Delimiter,
    /// Another type.
    Other(u8),
}

impl Nal {
    /// The type in the first byte of a NAL unit.
    pub(crate) const fn from_header(header: u8) -> Self {
        match header & 0x1f {
            1..=4 => Self::Slice,
            5 => Self::Idr,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            other => Self::Other(other),
        }
    }
}

/// Finds NAL units in a byte stream; remembers the last three bytes.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    last: u32,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { last: u32::MAX }
    }
}

impl Scanner {
    /// Takes the next byte; returns the NAL unit type if that byte is a NAL unit header.
    pub(crate) fn step(&mut self, byte: u8) -> Option<Nal> {
        let begins = self.last & 0x00ff_ffff == 1;
        self.last = (self.last << 8) | u32::from(byte);
        begins.then(|| Nal::from_header(byte))
    }
}

/// The types of the NAL units in `bytes`, in order.
pub(crate) fn types(bytes: &[u8]) -> impl Iterator<Item = Nal> + '_ {
    let mut scanner = Scanner::default();
    bytes.iter().filter_map(move |&byte| scanner.step(byte))
}

/// The NAL units of an access unit, without start codes.
pub fn units(access_unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(access_unit);
    std::iter::from_fn(move || {
        let unit = rest?;
        let end = start_code(unit).unwrap_or(unit.len());
        rest = after_start_code(unit);
        let unit = unit.get(..end).unwrap_or_default();
        // Zeros before a start code belong to it.
        let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        unit.get(..length)
    })
    .filter(|unit| !unit.is_empty())
}

/// Where the next start code of three bytes begins.
fn start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|three| three == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(start_code(bytes)? + 3..)
}

/// Whether the access unit is an IDR picture; reads only up to the first slice.
pub fn is_idr(access_unit: &[u8]) -> bool {
    types(access_unit).find(|nal| matches!(nal, Nal::Slice | Nal::Idr)) == Some(Nal::Idr)
}

/// Whether the access unit begins with an access unit delimiter, which a transport stream requires.
pub(crate) fn has_delimiter(access_unit: &[u8]) -> bool {
    // A start code has 3 or 4 bytes, so the header of the first NAL unit is among the first 5.
    types(access_unit.get(..5).unwrap_or(access_unit)).next() == Some(Nal::Delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Nal]) {
        assert_eq!(types(bytes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nal_units_are_found_by_both_start_codes() {
        check(
            &[0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x67, 3, 0, 0, 1, 0x68, 0, 0, 1, 0x65],
            &[Nal::Delimiter, Nal::Sps, Nal::Pps, Nal::Idr],
        );
        check(&[0, 0, 1, 0x41, 0, 0, 3, 1, 0, 0, 1, 0x1c], &[Nal::Slice, Nal::Other(28)]);
        check(&[0, 0, 1], &[]);
        check(&[0, 1, 0x65], &[]);
        check(&[], &[]);
    }

    #[test]
    fn start_codes_separate_units() {
        let found: Vec<&[u8]> = units(&[
            7, 0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0, 0, 1, 0x65, 0, 0, 3, 1, 0,
        ])
        .collect();
        assert_eq!(found, [&[9, 0xf0][..], &[0x67, 1], &[0x65, 0, 0, 3, 1]]);
        assert_eq!(units(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn the_first_slice_shows_whether_a_picture_is_idr() {
        assert!(is_idr(&[0, 0, 1, 0x67, 9, 0, 0, 1, 0x65, 1]));
        assert!(!is_idr(&[0, 0, 1, 0x67, 9, 0, 0, 1, 0x41, 1, 0, 0, 1, 0x65]));
        assert!(!is_idr(&[0, 0, 1, 0x67]));
    }

    #[test]
    fn a_delimiter_counts_only_at_the_start() {
        assert!(has_delimiter(&[0, 0, 1, 9]));
        assert!(has_delimiter(&[0, 0, 0, 1, 9, 0xf0]));
        assert!(!has_delimiter(&[0, 0, 0, 1, 0x67, 0, 0, 1, 9]));
        assert!(!has_delimiter(&[0]));
    }
}
