//! Some rows of an image as the sums read them: of a block of channels one vector for each position, with zeros around the image.

use crate::{conv::image::inside, simd::Simd, transpose::transpose_body};
use std::ops::Range;

/// Columns below which planes are transposed many rows at a time.
const NARROW: usize = 8;

/// The rows and columns that a tile has; they may reach beyond the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// First row, and number of rows.
    pub rows: (isize, usize),
    /// First column, and number of columns.
    pub columns: (isize, usize),
    /// Height and width of the image.
    pub image: [usize; 2],
}

impl Tile {
    /// Numbers in it.
    pub fn len(&self, lanes: usize) -> usize {
        self.rows.1 * self.columns.1 * lanes
    }

    /// Numbers of scratch that filling takes.
    pub fn spare_len(&self, lanes: usize) -> usize {
        let [_, width] = self.image;
        match width < NARROW {
            true => inside(self.rows, self.image[0]).len() * width * lanes,
            false => 0,
        }
    }

    /// Copies `channels` channels, at most a vector of them, of the image at `image` to `tile`; lanes beyond are zero.
    ///
    /// # Safety
    ///
    /// `image` must be valid for reading these channels at the strides (down, across, from channel to channel), `tile` for writing
    /// [`len`](Self::len) numbers, `spare` for [`spare_len`](Self::spare_len).
    #[inline(always)]
    pub unsafe fn fill<S: Simd>(
        &self,
        image: *const f32,
        [down, across, deep]: [isize; 3],
        channels: usize,
        tile: *mut f32,
        spare: *mut f32,
    ) {
        let width = self.image[1];
        let Range {
            start: top,
            end: bottom,
        } = inside(self.rows, self.image[0]);
        let columns = inside(self.columns, width);
        let (left, count) = (columns.start, columns.len());
        let pitch = self.columns.1 * S::LANES;
        let before = match count {
            0 => pitch,
            _ => (left as isize - self.columns.0) as usize * S::LANES,
        };
        // SAFETY: rows and columns that are read are those inside the image; each row of the tile has `pitch` numbers.
        unsafe {
            for row in 0..self.rows.1 {
                let y = self.rows.0 + row as isize;
                let to = tile.add(row * pitch);
                if y < top as isize || y >= bottom as isize || count == 0 {
                    to.write_bytes(0, pitch);
                    continue;
                }
                let behind = before + count * S::LANES;
                to.write_bytes(0, before);
                to.add(behind).write_bytes(0, pitch - behind);
                if channels < S::LANES {
                    to.add(before).write_bytes(0, count * S::LANES);
                }
            }
            let rows = Rows {
                count: bottom - top,
                columns: count,
                from: image.offset(top as isize * down + left as isize * across),
                down,
                across,
                deep,
                to: tile.wrapping_offset(
                    (top as isize - self.rows.0) * pitch as isize + before as isize,
                ),
                pitch,
            };
            if rows.count == 0 || count == 0 {
                return;
            }
            if deep == 1 {
                rows.copy::<S>(channels);
            } else if across == 1 && width < NARROW && down == width as isize && count == width {
                // As one long row, and from there.
                let (all, to) = (rows.count * width, S::LANES as isize);
                transpose_body::<S>(channels, all, rows.from, deep, spare, to);
                let lain = Rows {
                    from: spare,
                    down: (width * S::LANES) as isize,
                    across: S::LANES as isize,
                    deep: 1,
                    ..rows
                };
                lain.copy::<S>(channels);
            } else if across == 1 {
                rows.transpose::<S>(channels);
            } else {
                rows.gather::<S>(channels);
            }
        }
    }
}

/// The part of a tile that lies in the image.
struct Rows {
    count: usize,
    columns: usize,
    from: *const f32,
    down: isize,
    across: isize,
    deep: isize,
    to: *mut f32,
    pitch: usize,
}

impl Rows {
    /// Channels that are neighbours.
    #[inline(always)]
    unsafe fn copy<S: Simd>(&self, channels: usize) {
        for row in 0..self.count {
            // SAFETY: as the caller of `fill` vouches.
            unsafe {
                let from = self.from.offset(row as isize * self.down);
                let to = self.to.add(row * self.pitch);
                for x in 0..self.columns {
                    let from = from.offset(x as isize * self.across);
                    let vector = match channels == S::LANES {
                        true => S::load(from),
                        false => S::load_partial(from, channels),
                    };
                    S::store(to.add(x * S::LANES), vector);
                }
            }
        }
    }

    /// Planes: some at a time, so that few lines of memory are followed at once.
    #[inline(always)]
    unsafe fn transpose<S: Simd>(&self, channels: usize) {
        for first in (0..channels).step_by(PLANES) {
            let planes = PLANES.min(channels - first);
            for row in 0..self.count {
                // SAFETY: as the caller of `fill` vouches.
                unsafe {
                    let from = self
                        .from
                        .offset(row as isize * self.down + first as isize * self.deep);
                    let to = self.to.add(row * self.pitch + first);
                    transpose_body::<S>(
                        planes,
                        self.columns,
                        from,
                        self.deep,
                        to,
                        S::LANES as isize,
                    );
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn gather<S: Simd>(&self, channels: usize) {
        for row in 0..self.count {
            for (x, c) in (0..self.columns).flat_map(|x| (0..channels).map(move |c| (x, c))) {
                let at =
                    row as isize * self.down + x as isize * self.across + c as isize * self.deep;
                // SAFETY: as the caller of `fill` vouches.
                unsafe {
                    *self.to.add(row * self.pitch + x * S::LANES + c) = *self.from.offset(at)
                };
            }
        }
    }
}

/// Planes that are transposed at a time.
const PLANES: usize = 8;

/// Copies `rows` rows of `columns` positions, one vector each, to `channels` channels of an image of any strides (down, across,
/// from channel to channel).
///
/// # Safety
///
/// `tile` must be valid for reading as many vectors, `image` for writing.
#[inline(always)]
pub(super) unsafe fn write_out<S: Simd>(
    tile: *const f32,
    [rows, columns]: [usize; 2],
    image: *mut f32,
    [down, across, deep]: [isize; 3],
    channels: usize,
) {
    // SAFETY: passed on.
    unsafe {
        if across != 1 {
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                for c in 0..channels {
                    let to = y as isize * down + x as isize * across + c as isize * deep;
                    *image.offset(to) = *tile.add((y * columns + x) * S::LANES + c);
                }
            }
            return;
        }
        // Rows that follow one another are one.
        let (rows, columns) = match down == columns as isize {
            true => (1, rows * columns),
            false => (rows, columns),
        };
        for y in 0..rows {
            let from = tile.add(y * columns * S::LANES);
            let to = image.offset(y as isize * down);
            for first in (0..channels).step_by(PLANES) {
                let planes = PLANES.min(channels - first);
                let (from, to) = (from.add(first), to.offset(first as isize * deep));
                transpose_body::<S>(columns, planes, from, S::LANES as isize, to, deep);
            }
        }
    }
}
