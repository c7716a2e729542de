//! Draws a line of digits into a picture: the test source shows its frame number and clock with it.
//!
//! GStreamer's text elements are in a package that brings X11; thirteen glyphs are less.
//!
//! Does not: draw letters, or colour; it writes luma only.

use std::time::Duration;

/// Pixels of a glyph across and down, before scaling; a column between two stays dark.
const GLYPH: (usize, usize) = (5, 7);
const DARK: u8 = 16;
const LIGHT: u8 = 235;

/// A picture's luma, one byte per pixel.
#[derive(Debug)]
pub struct Luma<'a> {
    /// Its rows, `stride` bytes apart.
    pub rows: &'a mut [u8],
    /// Bytes from a row to the next.
    pub stride: usize,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

impl Luma<'_> {
    /// Writes `text` on a dark bar at the top left, as large as lets 32 glyphs fit across. Characters
    /// without a glyph stay dark, what does not fit is cut off.
    pub fn write(&mut self, text: &str) {
        let scale = (self.width / (32 * (GLYPH.0 + 1))).max(1);
        let bar = (text.len() * (GLYPH.0 + 1) + 1) * scale;
        let height = ((GLYPH.1 + 2) * scale).min(self.height);
        for (y, row) in self.rows.chunks_mut(self.stride.max(1)).take(height).enumerate() {
            let width = self.width.min(bar).min(row.len());
            let line = (y / scale).checked_sub(1);
            for (x, pixel) in row.iter_mut().take(width).enumerate() {
                let column = (x / scale).checked_sub(1);
                let lit = line.zip(column).is_some_and(|(line, column)| is_lit(text, line, column));
                *pixel = if lit { LIGHT } else { DARK };
            }
        }
    }
}

/// Number of the frame, and the time of day in UTC.
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

    fn draw(width: usize, height: usize, stride: usize, text: &str) -> Vec<String> {
        let mut rows = vec![100; stride * height];
        Luma { rows: &mut rows, stride, width, height }.write(text);
        let shown = |pixel: &u8| match *pixel {
            DARK => '.',
            LIGHT => '@',
            _ => ' ',
        };
        rows.chunks(stride).map(|row| row.iter().map(shown).collect()).collect()
    }

    #[test]
    fn digits_are_legible() {
        assert_eq!(
            draw(14, 10, 15, "17"),
            [
                ".............  ",
                "...@...@@@@@.  ",
                "..@@.......@.  ",
                "...@......@..  ",
                "...@.....@...  ",
                "...@....@....  ",
                "...@....@....  ",
                "..@@@...@....  ",
                ".............  ",
                "               ",
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
        for (width, height, stride) in
            [(0, 0, 1), (1, 1, 1), (7, 3, 8), (64, 64, 64), (300, 5, 300)]
        {
            assert_eq!(
                draw(width, height, stride, "#123456 12:34:56.789 and more than fits").len(),
                height
            );
        }
    }

    #[test]
    fn a_wide_picture_has_large_digits() {
        let rows = draw(1280, 60, 1280, "1");
        assert_eq!(rows[6].find('@'), Some(18), "6 times as large");
        assert_eq!(rows.iter().filter(|row| row.contains('.')).count(), 54);
    }
}
