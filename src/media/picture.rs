//! Recognises a file with a still picture by its first bytes, and splits a GIF into its pictures.
//!
//! GStreamer's demuxer of GIF (`avdemux_gif` 1.22) never finishes reading at the end of the file, and the decoder gives
//! all pictures the timestamp zero and the duration of the first one.
//!
//! Does not: decode, or detect animation in WebP and PNG, of which the decoders give only the first picture.

use std::ops::Range;
use std::time::Duration;

/// How many bytes from the beginning of a file [`FileKind::of`] needs.
pub(crate) const BEGINNING: usize = 12;
/// Maximum number of pictures of a GIF that are shown.
const PICTURES: usize = 10_000;
/// The time for which a picture is shown if its time in the file is less than [`SHORTEST`]. Image viewers use the same
/// value.
const USUAL: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(20);

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Anything else, for example a video.
    Other,
    /// One picture.
    Still,
    /// One JPEG picture, which may contain its orientation.
    Jpeg,
    /// A GIF of one or more pictures, which [`parts`] finds.
    Gif,
}

impl FileKind {
    /// Recognises a file by its first bytes. A file with a sequence of JPEG pictures begins like a single picture; set
    /// `is_several` if the file's name says that it is such a sequence.
    pub(crate) fn of(beginning: &[u8], is_several: bool) -> Self {
        let is_webp = beginning.starts_with(b"RIFF") && beginning.get(8..12) == Some(b"WEBP");
        let is_jpeg = beginning.starts_with(b"\xff\xd8\xff") && !is_several;
        let is_still = [&b"\x89PNG\r\n\x1a\n"[..], b"BM", b"II*\0", b"MM\0*"];
        if beginning.starts_with(b"GIF8") {
            Self::Gif
        } else if is_jpeg {
            Self::Jpeg
        } else if is_webp || is_still.iter().any(|start| beginning.starts_with(start)) {
            Self::Still
        } else {
            Self::Other
        }
    }
}

/// A picture of a GIF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GifPicture {
    /// The place of the picture in the file, including the blocks before it that the decoder needs.
    pub bytes: Range<usize>,
    /// How long the picture is shown.
    pub length: Duration,
}

/// The pictures of a GIF, up to the first damage in the file; an empty list if its header is incomplete.
pub(crate) fn parts(gif: &[u8]) -> Vec<GifPicture> {
    let mut reader = GifReader { rest: gif };
    let mut parts: Vec<GifPicture> = Vec::new();
    if reader.header().is_none() {
        return parts;
    }
    let (mut start, mut next) = (0, None);
    while parts.len() < PICTURES {
        match reader.block() {
            Some(GifBlock::Control(length)) => next = Some(length),
            Some(GifBlock::Picture) => {
                let end = gif.len() - reader.rest.len();
                let length = next.take().filter(|length| *length >= SHORTEST);
                parts.push(GifPicture { bytes: start..end, length: length.unwrap_or(USUAL) });
                start = end;
            }
            Some(GifBlock::Other) => {}
            None => break,
        }
    }
    parts
}

enum GifBlock {
    /// The length of the next picture.
    Control(Duration),
    Picture,
    Other,
}

struct GifReader<'a> {
    rest: &'a [u8],
}

impl<'a> GifReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Skips the signature, the screen descriptor and the global colour table.
    fn header(&mut self) -> Option<()> {
        let packed = *self.take(13)?.get(10)?;
        self.colours(packed)
    }

    fn colours(&mut self, packed: u8) -> Option<()> {
        if packed & 0x80 != 0 {
            self.take(3 << ((packed & 7) + 1))?;
        }
        Some(())
    }

    /// Reads the next block; `None` at the end of the file, and where it is damaged.
    fn block(&mut self) -> Option<GifBlock> {
        match self.byte()? {
            0x21 => {
                let is_control = self.byte()? == 0xf9;
                let first = self.sub_block()?;
                if first.is_empty() {
                    return Some(GifBlock::Other);
                }
                while !self.sub_block()?.is_empty() {}
                match first {
                    [_, low, high, _] if is_control => {
                        let hundredths = u16::from_le_bytes([*low, *high]);
                        Some(GifBlock::Control(Duration::from_millis(u64::from(hundredths) * 10)))
                    }
                    _ => Some(GifBlock::Other),
                }
            }
            0x2c => {
                let packed = *self.take(9)?.get(8)?;
                self.colours(packed)?;
                self.byte()?;
                while !self.sub_block()?.is_empty() {}
                Some(GifBlock::Picture)
            }
            _ => None,
        }
    }

    fn sub_block(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A GIF with pictures of two colours. Each picture has its time in hundredths of a second, or `None` for no time.
    fn gif(pictures: &[Option<u16>]) -> Vec<u8> {
        let mut gif = b"GIF89a\x02\0\x02\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
        gif.extend_from_slice(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0");
        for hundredths in pictures {
            if let Some(hundredths) = hundredths {
                let [low, high] = hundredths.to_le_bytes();
                gif.extend_from_slice(&[0x21, 0xf9, 4, 0, low, high, 0, 0]);
            }
            gif.extend_from_slice(b"\x2c\0\0\0\0\x02\0\x02\0\0\x02\x02\x84\x51\0");
        }
        gif.push(0x3b);
        gif
    }

    fn millis(gif: &[u8]) -> Vec<u128> {
        parts(gif).iter().map(|part| part.length.as_millis()).collect()
    }

    #[test]
    fn each_picture_of_a_gif_has_its_own_duration() {
        assert_eq!(millis(&gif(&[Some(50), Some(150), Some(2)])), [500, 1500, 20]);
        assert_eq!(millis(&gif(&[Some(50), None, Some(0), Some(1)])), [500, 100, 100, 100]);
        assert_eq!(millis(&gif(&[])), []);
    }

    #[test]
    fn the_pictures_of_a_gif_cover_the_file_up_to_its_trailer() {
        let whole = gif(&[Some(50), Some(150), Some(2)]);
        let parts = parts(&whole);
        assert_eq!((parts[0].bytes.start, parts[2].bytes.end), (0, whole.len() - 1));
        assert!(parts.windows(2).all(|two| two[0].bytes.end == two[1].bytes.start));
    }

    #[test]
    fn a_damaged_gif_gives_its_undamaged_pictures() {
        let whole = gif(&[Some(50), Some(150), Some(2)]);
        for length in 0..whole.len() {
            let lengths = millis(&whole[..length]);
            assert!([500, 1500, 20].starts_with(&lengths), "{length}: {lengths:?}");
        }
        for at in 13..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            assert!(parts(&damaged).len() <= 3);
        }
    }

    #[test]
    fn a_still_picture_is_recognised_by_its_first_bytes() {
        for (beginning, kind) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\r"[..], FileKind::Still),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", FileKind::Jpeg),
            (b"BM\x9a\0\0\0\0\0\0\0\0\0", FileKind::Still),
            (b"RIFF\0\0\0\0WEBP", FileKind::Still),
            (b"RIFF\0\0\0\0AVI ", FileKind::Other),
            (b"GIF89a\x02\0\x02\0\x80\0", FileKind::Gif),
            (b"\0\0\0\x20ftypisom", FileKind::Other),
            (b"", FileKind::Other),
        ] {
            assert_eq!(FileKind::of(beginning, false), kind, "{beginning:?}");
        }
        assert_eq!(FileKind::of(b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", true), FileKind::Other);
    }
}
