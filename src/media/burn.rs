//! Draws a line of digits into a picture. The test source shows its frame number and the clock in this way.
//!
//! GStreamer's text elements could draw it too, but their package depends on X11.
//!
//! Does not: draw letters.

use std::time::Duration;

/// Width and height of a glyph in pixels, before scaling; a dark column separates glyphs.
const GLYPH: (usize, usize) = (5, 7);
const DARK: u8 = 16;
const LIGHT: u8 = 235;
const COLOURLESS: u8 = 128;

/// A picture in GStreamer's layout of I420: a luma plane and two chroma planes of half the size, rows padded to
/// 4 bytes.
#[derive(Debug)]
pub struct I420Picture<'a> {
    /// All three planes.
    pub bytes: &'a mut [u8],
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

impl I420Picture<'_> {
    /// Writes `text` on a dark bar at the top left; 32 glyphs fill the width. Characters without a glyph stay dark; text
    /// that does not fit is cut off.
    pub fn write(&mut self, text: &str) {
        let scale = (self.width / (32 * (GLYPH.0 + 1))).max(1);
        let bar_width = ((text.len() * (GLYPH.0 + 1) + 1) * scale).min(self.width);
        let bar_height = ((GLYPH.1 + 2) * scale).min(self.height);

        let stride = self.width.next_multiple_of(4).max(4);
        let colour_stride = self.width.div_ceil(2).next_multiple_of(4).max(4);
        let (luma, colour) = self
            .bytes
            .split_at_mut((stride * self.height.next_multiple_of(2)).min(self.bytes.len()));
        for (y, row) in luma.chunks_mut(stride).take(bar_height).enumerate() {
            for (x, pixel) in row.iter_mut().take(bar_width).enumerate() {
                let (line, column) = ((y / scale).checked_sub(1), (x / scale).checked_sub(1));
                let lit = line.zip(column).is_some_and(|(line, column)| is_lit(text, line, column));
                *pixel = if lit { LIGHT } else { DARK };
            }
        }
        for plane in colour.chunks_mut((colour_stride * self.height.div_ceil(2)).max(1)) {
            for row in plane.chunks_mut(colour_stride).take(bar_height.div_ceil(2)) {
                row.iter_mut().take(bar_width.div_ceil(2)).for_each(|pixel| *pixel = COLOURLESS);
            }
        }
    }
}

/// The frame number and the time of day in UTC.
pub fn caption(frame: u64, since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs() % 86_400;
    format!(
        "#{frame:06} {:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since_epoch.subsec_millis()
    )
}

fn is_lit(text: &str, line: usize, column: usize) -> bool {
    let glyph =
        text.as_bytes().get(column / (GLYPH.0 + 1)).map_or([0; 7], |character| glyph(*character));
    let bits = glyph.get(line).copied().unwrap_or(0);
    let column = column % (GLYPH.0 + 1);
    column < GLYPH.0 && bits >> (GLYPH.0 - 1 - column) & 1 == 1
}

/// Seven lines of five pixels, the leftmost in the highest bit.
const fn glyph(character: u8) -> [u8; 7] {
    match character {
        b'0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        b'1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        b'2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        b'3' => [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
        b'4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        b'5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        b'6' => [0b01110, 0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        b'7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
        b'8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        b'9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001, 0b01110],
        b':' => [0, 0b00100, 0b00100, 0, 0b00100, 0b00100, 0],
        b'.' => [0, 0, 0, 0, 0, 0b00100, 0b00100],
        b'#' => [0b01010, 0b01010, 0b11111, 0b01010, 0b11111, 0b01010, 0b01010],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(width: usize, height: usize, text: &str) -> Vec<String> {
        let (stride, colour_stride) =
            (width.next_multiple_of(4), width.div_ceil(2).next_multiple_of(4));
        let luma_len = stride * height.next_multiple_of(2);
        let mut bytes = vec![100; luma_len + 2 * colour_stride * height.div_ceil(2)];
        I420Picture { bytes: &mut bytes, width, height }.write(text);
        let (luma, colour) = bytes.split_at(luma_len);
        assert!(luma.iter().all(|pixel| [100, DARK, LIGHT].contains(pixel)));
        assert!(colour.iter().all(|pixel| [100, COLOURLESS].contains(pixel)));
        let (u, v) = colour.split_at(colour.len() / 2);
        assert_eq!(u, v);
        let shown = |pixel: &u8| match *pixel {
            DARK => '.',
            LIGHT => '@',
            _ => ' ',
        };
        luma.chunks(stride.max(1)).map(|row| row.iter().map(shown).collect()).collect()
    }

    #[test]
    fn digits_are_legible() {
        assert_eq!(
            draw(14, 10, "17"),
            [
                ".............   ",
                "...@...@@@@@.   ",
                "..@@.......@.   ",
                "...@......@..   ",
                "...@.....@...   ",
                "...@....@....   ",
                "...@....@....   ",
                "..@@@...@....   ",
                ".............   ",
                "                ",
            ]
        );
    }

    #[test]
    fn the_caption_has_number_and_time_of_day() {
        assert_eq!(
            caption(7, Duration::from_millis(86_400_000 + 45_296_007)),
            "#000007 12:34:56.007"
        );
    }

    #[test]
    fn small_pictures_and_long_texts_are_cut() {
        for (width, height) in [(0, 0), (1, 1), (7, 3), (64, 64), (300, 5)] {
            let rows = draw(width, height, "#123456 12:34:56.789 and more than fits");
            assert!(rows.len() <= height.next_multiple_of(2));
        }
    }

    #[test]
    fn a_wide_picture_has_large_digits() {
        let rows = draw(1280, 60, "1");
        assert_eq!(rows[6].find('@'), Some(18), "6 times as large");
        assert_eq!(rows.iter().filter(|row| row.contains('.')).count(), 54);
    }
}
