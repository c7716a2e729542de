//! Privacy masks: areas of the picture, and the pixels that each of them covers.
//!
//! A mask is written as its corners, `x,y x,y …`, in parts of the picture's width and height from 0 to 1. Two corners
//! are opposite ones of a rectangle, three or more are those of a polygon. A polygon that crosses itself is filled
//! whole.
//!
//! Pixels are filled in blocks of 2×2, because two colour values belong to each block. A block that a mask touches is
//! filled, so a mask covers up to 2 pixels more than its area, and never less.
//!
//! Does not: map the memory of pictures; `io::masks` does.

use std::cmp::{max, min};
use std::ops::Range;
use std::str::FromStr;

/// The largest number of masks.
pub const MASKS: usize = 32;
/// The largest number of corners of one mask.
pub const CORNERS: usize = 64;

/// Width and height of the picture in the units of a [`Corner`]: a unit is less than a twentieth of a pixel of 4K.
const WHOLE: i64 = 100_000;
/// Pixels along a side of a block.
const BLOCK: i64 = 2;

/// An area that is filled with black. Parse it from its corners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Vec<Corner>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Corner {
    x: i64,
    y: i64,
}

/// What is wrong with the text of a mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// The number of corners.
    #[error(
        "has the wrong number of corners ({0}): write two opposite corners of a rectangle, or 3 to {CORNERS} of a \
         polygon, such as \"0,0 0.25,0.5\""
    )]
    Corners(usize),
    /// A word that is not a corner.
    #[error("has {0:?}, which is no corner: write x,y with numbers from 0 to 1, such as 0.25,0.5")]
    Corner(String),
    /// All corners are on a line along an edge of the picture, or are the same.
    #[error("has no area: its corners are all on one line")]
    Flat,
}

impl FromStr for Mask {
    type Err = MaskError;

    fn from_str(text: &str) -> Result<Self, MaskError> {
        let words = text.split_whitespace().take(CORNERS + 1);
        let corners: Vec<Corner> = words.map(corner).collect::<Result<_, _>>()?;
        let corners = match *corners {
            [from, to] => {
                let (right, left) = (Corner { x: to.x, ..from }, Corner { x: from.x, ..to });
                vec![from, right, to, left]
            }
            _ if (3..=CORNERS).contains(&corners.len()) => corners,
            _ => return Err(MaskError::Corners(text.split_whitespace().count())),
        };
        let is_flat =
            |of: fn(&Corner) -> i64| corners.iter().map(of).min() == corners.iter().map(of).max();
        if is_flat(|corner| corner.x) || is_flat(|corner| corner.y) {
            return Err(MaskError::Flat);
        }
        Ok(Self(corners))
    }
}

fn corner(word: &str) -> Result<Corner, MaskError> {
    let number = |text: &str| {
        // Neither an exponent nor a sign: 1e-9 is a mistake.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number: f64 = text.parse().ok().filter(|_| is_plain)?;
        (0.0..=1.0).contains(&number).then(|| (number * WHOLE as f64).round() as i64)
    };
    let pair = word.split_once(',').and_then(|(x, y)| number(x).zip(number(y)));
    let shown = || word.chars().take(32).collect();
    pair.map(|(x, y)| Corner { x, y }).ok_or_else(|| MaskError::Corner(shown()))
}

/// The blocks of a picture that masks cover: for each row of blocks, ranges of columns that do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Covered(Vec<Vec<Range<usize>>>);

impl Covered {
    /// The blocks that `masks` cover in a picture of this size in pixels.
    pub(crate) fn by(masks: &[Mask], width: u32, height: u32) -> Self {
        let rows = i64::from(height.div_ceil(2));
        let row = |row| {
            let spans = masks.iter().flat_map(|mask| mask.spans(row, width, height));
            merged(spans.filter_map(|span| columns(&span, width)).collect())
        };
        Self((0..rows).map(row).collect())
    }
}

/// A horizontal extent, in pixels times [`WHOLE`].
type Span = Range<i64>;

impl Mask {
    /// What the mask covers of the width of a row of blocks.
    ///
    /// The part of an area between two horizontal lines reaches across from end to end what its edges there cover, and
    /// what is inside on either line.
    fn spans(&self, row: i64, width: u32, height: u32) -> Vec<Span> {
        let corner = |corner: &Corner| Corner {
            x: corner.x * i64::from(width),
            y: corner.y * i64::from(height),
        };
        let corners: Vec<Corner> = self.0.iter().map(corner).collect();
        let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
        let (top, bottom) = (row * BLOCK * WHOLE, (row + 1) * BLOCK * WHOLE);
        let mut spans: Vec<Span> =
            edges().filter_map(|(from, to)| clipped(*from, *to, top, bottom)).collect();
        for (line, is_above) in [(top, false), (bottom, true)] {
            let mut crossings: Vec<(Span, i64)> =
                edges().filter_map(|(from, to)| crossing(*from, *to, line, is_above)).collect();
            crossings.sort_by_key(|(at, _)| at.start);
            let mut winding = 0;
            for pair in crossings.windows(2) {
                let [(from, turn), (to, _)] = pair else { continue };
                winding += turn;
                if winding != 0 {
                    spans.push(from.start..to.end);
                }
            }
        }
        spans
    }
}

/// The extent of the part of an edge that is between two lines; `None` if it only touches one of them or is outside.
fn clipped(from: Corner, to: Corner, top: i64, bottom: i64) -> Option<Span> {
    let (upper, lower) = if from.y <= to.y { (from, to) } else { (to, from) };
    if upper.y >= bottom || lower.y <= top {
        return None;
    }
    let first = if upper.y >= top { upper.x..upper.x } else { at(upper, lower, top) };
    let last = if lower.y <= bottom { lower.x..lower.x } else { at(upper, lower, bottom) };
    Some(min(first.start, last.start)..max(first.end, last.end))
}

/// Where an edge crosses a line, and in which direction; `None` if it does not. The line counts as just above itself,
/// or just below.
fn crossing(from: Corner, to: Corner, line: i64, is_above: bool) -> Option<(Span, i64)> {
    let is_crossed = |upper: Corner, lower: Corner| match is_above {
        true => upper.y < line && line <= lower.y,
        false => upper.y <= line && line < lower.y,
    };
    if is_crossed(from, to) {
        Some((at(from, to, line), 1))
    } else if is_crossed(to, from) {
        Some((at(to, from, line), -1))
    } else {
        None
    }
}

/// Where an edge is on a line, rounded outward to both sides. The line must be between its ends.
fn at(upper: Corner, lower: Corner, line: i64) -> Span {
    // At most 4·10^8 each, so the product fits.
    let (across, down) = ((lower.x - upper.x) * (line - upper.y), (lower.y - upper.y).max(1));
    let left = upper.x + across.div_euclid(down);
    left..left + i64::from(across.rem_euclid(down) > 0)
}

/// The columns of blocks that a span touches.
fn columns(span: &Span, width: u32) -> Option<Range<usize>> {
    let side = BLOCK * WHOLE;
    let most = i64::from(width.div_ceil(2));
    let (from, to) = (span.start / side, (span.end + side - 1) / side);
    let (from, to) = (from.clamp(0, most), to.clamp(0, most));
    Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?).filter(|range| !range.is_empty())
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// One plane of a picture, and how its blocks are stored.
#[derive(Debug)]
pub(crate) struct Plane<'a> {
    /// Its bytes, row by row.
    pub(crate) bytes: &'a mut [u8],
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
    /// Its rows in a block: 2, or 1 for colour.
    pub(crate) rows: usize,
    /// Bytes of a block in a row.
    pub(crate) block: usize,
    /// Two bytes of black, which repeat.
    pub(crate) black: [u8; 2],
}

impl Plane<'_> {
    /// Fills the blocks.
    pub(crate) fn fill(&mut self, covered: &Covered) {
        for (number, row) in self.bytes.chunks_mut(self.stride.max(1)).enumerate() {
            let Some(ranges) = covered.0.get(number / self.rows.max(1)) else { return };
            for range in ranges {
                let end = min(range.end * self.block, row.len());
                let bytes = row.get_mut(range.start * self.block..end).unwrap_or_default();
                for pair in bytes.chunks_mut(2) {
                    pair.iter_mut().zip(self.black).for_each(|(byte, black)| *byte = black);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture of `masks` in blocks: `#` is filled.
    fn drawn(masks: &[&str], width: u32, height: u32) -> String {
        let masks: Vec<Mask> = masks.iter().map(|mask| mask.parse().unwrap()).collect();
        let Covered(rows) = Covered::by(&masks, width, height);
        let columns = width.div_ceil(2) as usize;
        let is_filled = |row: &[Range<usize>], at| row.iter().any(|range| range.contains(&at));
        let row = |row: &Vec<Range<usize>>| -> String {
            (0..columns).map(|at| if is_filled(row, at) { '#' } else { '.' }).collect()
        };
        rows.iter().map(row).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(masks: &[&str], expected: &str) {
        assert_eq!(drawn(masks, 16, 8), expected, "{masks:?}");
    }

    #[test]
    fn a_rectangle_covers_the_blocks_that_it_touches() {
        check(&["0,0 1,1"], "######## ######## ######## ########");
        check(&["0.25,0.25 0.5,0.75"], "........ ..##.... ..##.... ........");
        check(&["0.5,0.75 0.25,0.25"], "........ ..##.... ..##.... ........");
        check(&["0.25,0.75 0.5,0.25"], "........ ..##.... ..##.... ........");
        check(&["0.24,0.24 0.51,0.76"], ".####... .####... .####... .####...");
        check(&["0.26,0.26 0.27,0.27"], "........ ..#..... ........ ........");
        check(&["0.99,0.99 1,1"], "........ ........ ........ .......#");
    }

    #[test]
    fn a_polygon_covers_the_blocks_that_it_touches() {
        check(&["0,0 1,0 0,1"], "######## ######.. ####.... ##......");
        check(&["0.5,0 1,0.5 0.5,1 0,0.5"], "..####.. ######## ######## ..####..");
        check(&["0,0 0.25,0 0.25,0.75 1,0.75 1,1 0,1"], "##...... ##...... ##...... ########");
        // A needle inside of a row of blocks, and one across all rows.
        check(&["0.3,0.3 0.9,0.35 0.3,0.4"], "........ ..###### ........ ........");
        check(&["0.49,0 0.51,0 0.5,1"], "...##... ...##... ...##... ...##...");
    }

    #[test]
    fn a_polygon_that_crosses_itself_is_filled_whole() {
        check(&["0,0 1,1 1,0 0,1"], "##....## ######## ######## ##....##");
        let twice_around = "0,0 1,0 1,1 0,1 0,0 0.25,0.25 0.75,0.25 0.75,0.75 0.25,0.75 0.25,0.25";
        check(&[twice_around], "######## ######## ######## ########");
    }

    #[test]
    fn masks_are_joined() {
        check(
            &["0,0 0.5,0.25", "0.25,0 0.75,0.25", "0.9,0 1,0.25"],
            "######.# ........ ........ ........",
        );
        check(&[], "........ ........ ........ ........");
    }

    #[test]
    fn a_picture_of_any_size_has_its_masks() {
        assert_eq!(drawn(&["0,0 1,1"], 3, 3), "## ##");
        assert_eq!(drawn(&["0.5,0.5 1,1"], 4, 2), ".#");
        assert_eq!(drawn(&["0,0 1,1"], 0, 0), "");
        let whole = Covered::by(&["0,0 1,1".parse().unwrap()], 3840, 2160);
        let is_whole = |row: &Vec<Range<usize>>| row.len() == 1 && row.first() == Some(&(0..1920));
        assert!(whole.0.len() == 1080 && whole.0.iter().all(is_whole));
    }

    #[track_caller]
    fn refused(text: &str, expected: &MaskError) {
        assert_eq!(text.parse::<Mask>().as_ref(), Err(expected), "{text}");
    }

    #[test]
    fn a_text_that_is_no_mask_is_refused_with_its_fault() {
        for (text, count) in [("", 0), (" ", 0), ("0,0", 1)] {
            refused(text, &MaskError::Corners(count));
        }
        refused(&"0,0 ".repeat(CORNERS + 1), &MaskError::Corners(CORNERS + 1));
        for word in [
            "0", "0,", ",", "0,0,0", "a,0", "0,1.1", "-0,1", "0,nan", "1e0,1", "inf,0", "0;1",
            "٣,0",
        ] {
            refused(&format!("0,0 {word}"), &MaskError::Corner(word.to_owned()));
        }
        let long = "9".repeat(1000);
        refused(&format!("{long},0 1,1"), &MaskError::Corner("9".repeat(32)));
        for flat in ["0,0 0,1", "0.5,0.5 0.5,0.5", "0,0.1 0.5,0.1 1,0.1"] {
            refused(flat, &MaskError::Flat);
        }
    }

    #[test]
    fn blocks_are_filled_in_every_row_and_nothing_else_is() {
        let covered = Covered::by(&["0.25,0 0.5,0.5".parse().unwrap()], 8, 4);
        let mut bytes = [7; 40];
        Plane { bytes: &mut bytes, stride: 10, rows: 2, block: 2, black: [16; 2] }.fill(&covered);
        let row = [7, 7, 16, 16, 7, 7, 7, 7, 7, 7];
        assert_eq!(bytes, [row, row, [7; 10], [7; 10]].concat()[..]);
        let mut packed = [7; 16];
        Plane { bytes: &mut packed, stride: 16, rows: 2, block: 4, black: [16, 128] }
            .fill(&covered);
        assert_eq!(packed, [[7; 4], [16, 128, 16, 128], [7; 4], [7; 4]].concat()[..]);
    }

    /// Compares with the plain way: every block of which a point of a fine grid is inside.
    #[test]
    fn no_point_inside_of_a_polygon_is_left_out() {
        let corners =
            [(0.13, 0.08), (0.91, 0.22), (0.55, 0.47), (0.83, 0.93), (0.3, 0.7), (0.42, 0.41)];
        let text: Vec<String> = corners.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let (width, height) = (64, 36);
        let Covered(rows) = Covered::by(&[text.join(" ").parse().unwrap()], width, height);
        let is_inside = |x: f64, y: f64| {
            let edges = corners.iter().zip(corners.iter().cycle().skip(1));
            let crossed = edges.filter(|((x0, y0), (x1, y1))| {
                (*y0 > y) != (*y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
            });
            crossed.count() % 2 == 1
        };
        let mut inside = 0;
        for (row, ranges) in rows.iter().enumerate() {
            for column in 0..width as usize / 2 {
                let touched = (0..64).any(|n| {
                    let x = (column as f64 + f64::from(n % 8) / 7.0) * 2.0 / f64::from(width);
                    let y = (row as f64 + f64::from(n / 8) / 7.0) * 2.0 / f64::from(height);
                    is_inside(x, y)
                });
                inside += usize::from(touched);
                let is_filled = ranges.iter().any(|range| range.contains(&column));
                assert!(is_filled || !touched, "block {column} of row {row}");
            }
        }
        let filled: usize = rows.iter().flatten().map(Range::len).sum();
        assert!(inside > 100 && filled < inside + inside / 5, "{filled} for {inside}");
    }
}
