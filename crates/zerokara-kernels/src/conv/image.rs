//! The part of an image that a unit of work reads, with zeros around it where it reaches beyond the image.

use std::ops::Range;

/// A region of a channels-last image: `rows` and `columns` may reach beyond the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// First row, and number of rows.
    pub rows: (isize, usize),
    /// First column, and number of columns.
    pub columns: (isize, usize),
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Channels of the image.
    pub channels: usize,
}

/// The part of `first .. first + count` that lies in `0 .. length`.
#[inline(always)]
pub(super) fn inside((first, count): (isize, usize), length: usize) -> Range<usize> {
    let start = first.clamp(0, length as isize);
    let end = (first + count as isize).clamp(start, length as isize);
    start as usize..end as usize
}

/// An image as the kernels read it: position `[y, x]` of the image at `start + y * pitch + x * channels`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readable {
    pub start: *const f32,
    pub pitch: isize,
}

impl Region {
    /// Whether all of it lies within the image.
    pub fn is_inside(&self) -> bool {
        let inside = |(first, count): (isize, usize), len: usize| {
            first >= 0 && first as usize + count <= len
        };
        inside(self.rows, self.image[0]) && inside(self.columns, self.image[1])
    }

    /// Numbers that a copy takes; none if the image is read in place.
    pub fn len(&self) -> usize {
        if self.is_inside() {
            0
        } else {
            self.rows.1 * self.columns.1 * self.channels
        }
    }

    /// Makes the region readable: the image itself where that does, else a copy in `scratch`.
    ///
    /// # Safety
    ///
    /// `image` must be valid for reading the image, `scratch` for writing [`Region::len`] numbers.
    #[inline(always)]
    pub unsafe fn read(&self, image: *const f32, scratch: *mut f32) -> Readable {
        let [height, width] = self.image;
        if self.is_inside() {
            return Readable {
                start: image,
                pitch: (width * self.channels) as isize,
            };
        }
        let pitch = self.columns.1 * self.channels;
        // Of each row: zeros, columns of the image, zeros.
        let inside = inside(self.columns, width);
        let before = if inside.is_empty() {
            pitch
        } else {
            (inside.start as isize - self.columns.0) as usize * self.channels
        };
        let middle = inside.len() * self.channels;
        // SAFETY: rows and columns copied are those inside the image; each row of the copy has `pitch` numbers.
        unsafe {
            for r in 0..self.rows.1 {
                let y = self.rows.0 + r as isize;
                let to = scratch.add(r * pitch);
                if y < 0 || y >= height as isize {
                    to.write_bytes(0, pitch);
                    continue;
                }
                let from = image.add((y as usize * width + inside.start) * self.channels);
                to.write_bytes(0, before);
                to.add(before).copy_from_nonoverlapping(from, middle);
                to.add(before + middle)
                    .write_bytes(0, pitch - before - middle);
            }
        }
        let pitch = pitch as isize;
        let start =
            scratch.wrapping_offset(-self.rows.0 * pitch - self.columns.0 * self.channels as isize);
        Readable { start, pitch }
    }
}
