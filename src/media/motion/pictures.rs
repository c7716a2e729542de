//! Decides from reduced pictures whether something moves: by the cells whose structure changes more than it usually does.
//!
//! The structure of a cell is its brightness against that of the cells around it, as a ratio. So light that changes in
//! the whole picture or in a large part of it, as from headlights or clouds, changes no structure, but the edges of a
//! thing that moves do. Each cell has its own usual change, learned over [`LEARNING`] pictures: leaves that sway, rain and
//! the noise of the sensor at night raise it. Something moves if enough changed cells touch each other, and few others
//! have changed. If most of the picture changes at once, the camera was moved or its exposure jumped.
//!
//! The constants were tuned on the scenes and clips of `tests/motion`.
//!
//! Does not: see how far or whereto a thing moves.

use super::grid::{ACROSS, CELLS, DOWN, Grid};

/// Pictures over which the usual change of a cell is learned: 10 s at 2 pictures/s.
const LEARNING: f32 = 20.0;
/// Pictures before the first decision: 3 s.
const FIRST: u32 = 6;
/// A cell has changed if its change is this many times its usual one.
const FACTOR: f32 = 3.5;
/// The change of a cell that is ignored at any noise, as a natural logarithm of the ratio, at a sensitivity of 50.
const FLOOR: f32 = 0.035;
/// This is added to the brightness, so that the noise of a dark cell is not a large ratio.
const DARK: f32 = 24.0;
/// Changed cells that touch, at a sensitivity of 50.
const TOUCHING: f32 = 3.0;
/// The fewest changed cells that touch, at any sensitivity: single cells change by noise.
const LEAST_TOUCHING: f32 = 2.0;
/// At most so many changed cells for each of the largest group: more are rain or noise.
const SCATTER: usize = 3;
/// If more cells than this have changed, the cause is not a thing that moves.
const MOST: usize = CELLS / 3;
/// The number of cells on each side with which a cell is compared.
const AROUND: usize = 2;

/// Compares each picture with the one before it.
#[derive(Debug, Clone)]
pub(super) struct PictureMotion {
    structure: Vec<f32>,
    usual: Vec<f32>,
    seen: u32,
}

impl PictureMotion {
    /// Before the first picture.
    pub(super) fn new() -> Self {
        Self { structure: Vec::new(), usual: vec![0.0; CELLS], seen: 0 }
    }

    /// Takes the next picture. Returns whether something moves; `scale` is 1 at a sensitivity of 50, more where less is
    /// to be noticed.
    pub(super) fn on_picture(&mut self, grid: &Grid, scale: f32) -> bool {
        let structure = structure(grid);
        let before = std::mem::replace(&mut self.structure, structure);
        let rate = 1.0 / (self.seen as f32).clamp(1.0, LEARNING);
        let is_learned = self.seen > FIRST;
        let changes = self.structure.iter().zip(&before).map(|(now, before)| (now - before).abs());
        let changed: Vec<bool> = changes
            .zip(&mut self.usual)
            .map(|(change, usual)| {
                let limit = (*usual * FACTOR).max(FLOOR * scale);
                // A thing that passes must not raise what is usual much.
                let learned = if is_learned { change.min(limit) } else { change };
                *usual += (learned - *usual) * rate;
                change > limit
            })
            .collect();
        self.seen = self.seen.saturating_add(1);
        let all = changed.iter().filter(|changed| **changed).count();
        if self.seen <= FIRST || all > MOST {
            return false;
        }
        let largest = largest_group(changed);
        largest as f32 >= (TOUCHING * scale).max(LEAST_TOUCHING) && largest * SCATTER >= all
    }
}

/// The logarithm of the brightness of each cell, against the mean of the cells around it.
fn structure(grid: &Grid) -> Vec<f32> {
    let logs: Vec<f32> = grid.iter().map(|cell| (f32::from(*cell) + DARK).ln()).collect();
    let across: Vec<f32> = logs.chunks_exact(ACROSS).flat_map(means).collect();
    // Each column as a row, and back.
    let columns: Vec<f32> =
        transposed(&across, ACROSS).chunks_exact(DOWN).flat_map(means).collect();
    let around = transposed(&columns, DOWN);
    logs.iter().zip(around).map(|(log, mean)| log - mean).collect()
}

/// The mean of each value with those up to [`AROUND`] places beside it.
fn means(line: &[f32]) -> impl Iterator<Item = f32> + '_ {
    (0..line.len()).map(|at| {
        let end = (at + AROUND + 1).min(line.len());
        let near = line.get(at.saturating_sub(AROUND)..end).unwrap_or_default();
        near.iter().sum::<f32>() / near.len().max(1) as f32
    })
}

/// The columns of `cells`, which has rows of `width`, one after the other.
fn transposed(cells: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|x| cells.iter().skip(x).step_by(width).copied()).collect()
}

/// The size of the largest group of changed cells, each of which touches another of the group.
fn largest_group(mut changed: Vec<bool>) -> usize {
    let mut largest = 0;
    let mut open = Vec::new();
    for start in 0..CELLS {
        let mut size = 0;
        open.extend(take(&mut changed, start));
        while let Some(cell) = open.pop() {
            size += 1;
            let (x, y) = (cell % ACROSS, cell / ACROSS);
            for y in y.saturating_sub(1)..(y + 2).min(DOWN) {
                for x in x.saturating_sub(1)..(x + 2).min(ACROSS) {
                    open.extend(take(&mut changed, y * ACROSS + x));
                }
            }
        }
        largest = largest.max(size);
    }
    largest
}

/// The number of this cell if it is in `changed`, which it then leaves.
fn take(changed: &mut [bool], cell: usize) -> Option<usize> {
    changed.get_mut(cell).is_some_and(std::mem::take).then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of structure, at a brightness in percent, with a dark thing of so many cells at `at`.
    fn picture(light: u32, thing: Option<(usize, usize)>) -> Grid {
        let mut grid = [0; CELLS];
        for (cell, value) in grid.iter_mut().enumerate() {
            let (x, y) = (cell % ACROSS, cell / ACROSS);
            let is_thing = thing.is_some_and(|(left, size)| {
                (left..left + size).contains(&x) && (10..10 + size).contains(&y)
            });
            let bright = if is_thing { 40 } else { 100 + ((x * 7 + y * 13) % 11) as u32 };
            *value = u8::try_from((bright * light / 100).min(255)).unwrap();
        }
        grid
    }

    /// Ten still pictures, then these: which of them show motion, as `x` or `-`.
    #[track_caller]
    fn check(scale: f32, pictures: impl IntoIterator<Item = Grid>, expected: &str) {
        let mut motion = PictureMotion::new();
        for _ in 0..10 {
            assert!(!motion.on_picture(&picture(100, None), scale));
        }
        let moves = |grid: Grid| if motion.on_picture(&grid, scale) { 'x' } else { '-' };
        assert_eq!(pictures.into_iter().map(moves).collect::<String>(), expected);
    }

    #[test]
    fn a_thing_that_crosses_the_picture_moves_until_it_stands_still() {
        let walk = [0, 3, 6, 9, 9, 9].map(|left| picture(100, Some((left, 3))));
        check(1.0, walk, "xxxx--");
    }

    #[test]
    fn a_small_thing_needs_a_high_sensitivity() {
        let walk = || [10, 12, 14].map(|left| picture(100, Some((left, 1))));
        check(1.0, walk(), "---");
        check(0.25, walk(), "xxx");
    }

    #[test]
    fn light_that_changes_everywhere_and_a_camera_that_is_pushed_are_no_motion() {
        check(1.0, [150, 200, 100, 60, 100].map(|light| picture(light, None)), "-----");
        let mut pushed = picture(100, None);
        pushed.rotate_left(5);
        check(1.0, [pushed, pushed], "--");
    }

    #[test]
    fn cells_that_always_change_are_usual_and_a_thing_elsewhere_still_moves() {
        let mut motion = PictureMotion::new();
        let flicker = |nth: usize| [(20, 4), (21, 4)][nth % 2];
        let late: Vec<bool> =
            (0..60).map(|nth| motion.on_picture(&picture(100, Some(flicker(nth))), 1.0)).collect();
        assert!(late.iter().skip(30).all(|moves| !moves));
        let mut with_thing = picture(100, Some(flicker(60)));
        for cell in with_thing.iter_mut().skip(ACROSS * 30 + 40).take(4) {
            *cell = 30;
        }
        assert!(motion.on_picture(&with_thing, 1.0));
    }
}
