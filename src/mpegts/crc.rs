//! CRC-32 of PSI tables (polynomial 0x04C11DB7, not reflected, initial value all ones).
//!
//! Computed bit by bit: a lookup table is not worth its memory for a few dozen bytes per segment.
//!
//! Does not: compare with a stored CRC; over a section that includes its CRC the result is 0.

/// The CRC of `bytes`; 0 for a section that ends with its correct CRC.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x04c1_1db7 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value_matches() {
        // CRC-32/MPEG-2 of "123456789", from the catalogue of CRC algorithms.
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn a_section_with_its_crc_gives_zero() {
        let mut section = b"a table".to_vec();
        section.extend(crc32(b"a table").to_be_bytes());
        assert_eq!(crc32(&section), 0);
    }
}
