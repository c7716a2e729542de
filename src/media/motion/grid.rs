//! The grid of 64 × 36 cells to which a picture is reduced before it is compared: the mean brightness of each cell.
//!
//! Does not: read pictures from GStreamer.

/// Cells across.
pub const ACROSS: usize = 64;
/// Cells down.
pub const DOWN: usize = 36;
/// All cells.
pub const CELLS: usize = ACROSS * DOWN;
/// Rows of pixels that are read of each cell. A mean of 4 rows of 20 pixels, as in 1280×720, has a ninth of the noise of
/// one pixel; reading every row would cost 5 times as much memory traffic.
const ROWS: usize = 4;

/// The mean brightness of each cell, row by row, 0 to 255.
pub type Grid = [u8; CELLS];

/// Reduces a plane of `height` rows of `stride` bytes, of which the first `width` are its brightness. `None` if the
/// plane is smaller than the grid, or shorter than it says.
pub fn reduce(plane: &[u8], (width, height): (usize, usize), stride: usize) -> Option<Grid> {
    if width < ACROSS || height < DOWN || stride < width {
        return None;
    }
    let mut grid = [0; CELLS];
    for (down, cells) in grid.chunks_exact_mut(ACROSS).enumerate() {
        let (top, bottom) = (down * height / DOWN, (down + 1) * height / DOWN);
        let step = ((bottom - top) / ROWS).max(1);
        let (mut sums, mut rows) = ([0_u32; ACROSS], 0);
        for row in (top..bottom).step_by(step) {
            let pixels = plane.get(row * stride..)?.get(..width)?;
            for (across, sum) in sums.iter_mut().enumerate() {
                let cell = pixels.get(across * width / ACROSS..(across + 1) * width / ACROSS)?;
                *sum += cell.iter().map(|pixel| u32::from(*pixel)).sum::<u32>() * 64
                    / u32::try_from(cell.len()).ok()?;
            }
            rows += 1;
        }
        for (cell, sum) in cells.iter_mut().zip(sums) {
            *cell = u8::try_from(sum / (64 * rows)).ok()?;
        }
    }
    Some(grid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_is_the_mean_of_its_pixels() {
        // Cells of 2 × 2 pixels, and 3 bytes after each row.
        let (width, height, stride) = (ACROSS * 2, DOWN * 2, ACROSS * 2 + 3);
        let mut plane = vec![0; stride * height];
        for (row, pixels) in plane.chunks_exact_mut(stride).enumerate() {
            let brightness = |x: usize| u8::try_from((x / 2 + row / 2) * 2).unwrap();
            for (x, pixel) in pixels.iter_mut().enumerate() {
                *pixel = if x < width { brightness(x) + u8::from(x % 2 == 0) } else { 255 };
            }
        }
        let grid = reduce(&plane, (width, height), stride).unwrap();
        assert_eq!((grid[0], grid[5], grid[ACROSS], grid[CELLS - 1]), (0, 10, 2, 196));
        let bright = vec![255; 1920 * 1080];
        assert_eq!(reduce(&bright, (1920, 1080), 1920), Some([255; CELLS]));
    }

    #[test]
    fn a_plane_that_is_too_small_or_too_short_has_no_grid() {
        let plane = vec![0; 640 * 360];
        assert!(reduce(&plane, (640, 360), 640).is_some());
        for (size, stride) in
            [((640, 361), 640), ((63, 360), 640), ((640, 35), 640), ((640, 36), 639)]
        {
            assert_eq!(reduce(&plane, size, stride), None, "{size:?}");
        }
        assert_eq!(reduce(&[], (640, 360), 640), None);
    }
}
