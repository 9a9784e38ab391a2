//! Minimal filtering of lines: F(4, 3) and F(4, 5) along the rows, plain sums down the columns.
//!
//! Four neighbouring outputs read a line of `KW + 3` inputs. Seen as the values of a polynomial at as many points, each row
//! of the filter takes one product for each point: 8 in place of 20 with five elements, 6 in place of 12 with three
//! (S. Winograd, "Arithmetic Complexity of Computations", 1980; in two directions: `winograd/`). The
//! products of all rows and input channels are added up before they are made outputs again:
//!
//! ```text
//! y = Aᵀ [ Σ over c, kh (G g[c, kh]) ⊙ (Bᵀ d[c, y + kh]) ]
//! ```
//!
//! A vector holds lines, not channels: so it serves first layers, whose few channels `winograd/` cannot
//! use, and filters of 5 x 5. Even and odd rows lie apart, so that the lines of all windows of 2 x 2 begin one after another,
//! and what was a window's position in a row becomes one of the four outputs. A max pooling is then a maximum of vectors
//! (`images/conv_pool.rs`), and its gradient needs no position beside the four (`filters/lines.rs`).
//!
//! The error of five elements is 2.6e-7 of the root mean square, against 1.0e-7 of the plain sum in f32; it is of the size of
//! the whole line's terms. Where an infinity or NaN is in what a line reads, or comes up on its way, its outputs are computed
//! anew by direct sums (`conv/plain.rs`).

use crate::plan::ConvGeometry;
pub(super) mod transform;

use crate::simd::Simd;
use transform::{Filtering, MOST_POINTS, OUTPUTS};

/// How much larger an error is than that of a plain sum.
#[cfg(test)]
pub(crate) const ERROR: f64 = 2.6;

/// How the lines of an image lie in the scratch: value `[c, point, parity of the row, row / 2, line]`.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Lines in a row, each of two windows.
    pub lines: usize,
    /// Vectors of lines.
    pub groups: usize,
    /// Rows of each parity.
    pub rows: usize,
    /// Numbers from one point and parity to the next.
    pub pitch: usize,
    pub points: usize,
    /// Numbers of all lines.
    pub len: usize,
    /// Numbers of a row that the transform of its lines reads.
    pub reach: usize,
    /// Numbers of one row of the image with its border, and what is read beyond it.
    pub row: usize,
}

impl Layout {
    /// That of so many rows of windows, and windows in a row.
    #[inline(always)]
    pub fn new(lanes: usize, g: &ConvGeometry, windows: [usize; 2]) -> Layout {
        let taps = g.kernel[0];
        let points = taps + OUTPUTS - 1;
        let lines = (2 * windows[1]).div_ceil(OUTPUTS);
        let rows = (2 * windows[0] + taps - 1).div_ceil(2);
        let groups = (windows[0] * lines).div_ceil(lanes);
        // Lines beyond the last are read and written by whole vectors.
        let pitch = (rows * lines).max(groups * lanes + taps / 2 * lines) + lanes;
        let pitch = pitch.next_multiple_of(8);
        let reach = OUTPUTS * lines.next_multiple_of(lanes) + MOST_POINTS;
        Layout {
            lines,
            groups,
            rows,
            pitch,
            points,
            len: g.in_channels * points * 2 * pitch,
            reach,
            row: reach.max(g.input[1] + g.padding.before[1] + g.padding.behind[1]),
        }
    }

    /// Where the values at a point of the first line of the first row of a parity are.
    #[inline(always)]
    pub fn at(&self, channel: usize, point: usize, parity: usize) -> usize {
        ((channel * self.points + point) * 2 + parity) * self.pitch
    }

    /// Whether planes of windows with these distances are whole vectors of lines without gaps.
    #[inline(always)]
    pub fn fills(&self, lanes: usize, windows: [usize; 2], strides: [isize; 4]) -> bool {
        let ([height, width], [_, down, across, _]) = (windows, strides);
        width == 2 * self.lines
            && height * width == 2 * self.groups * lanes
            && (down, across) == (width as isize, 1)
    }

    /// Half cycles of an image where a pooling follows: two multiplications of vectors are one cycle.
    pub fn half_cycles(&self, g: &ConvGeometry) -> usize {
        let taps = g.kernel[0] * g.in_channels;
        self.groups * g.out_channels * (2 * self.points * taps + 80)
    }

    /// Numbers that [`transform_image`] takes beside the lines.
    pub fn working(&self, lanes: usize) -> usize {
        self.row + MOST_POINTS * lanes
    }
}

/// The values of all lines of an image at the points. What lies beyond the lines must be zero before the first image, and
/// so must the working memory.
///
/// # Safety
///
/// The CPU must have `S`; `image` must be valid for reading `[H, W, C]`, `lines` for writing [`Layout::len`] numbers and
/// `working` for [`Layout::working`].
#[inline(always)]
pub(super) unsafe fn transform_image<S: Simd, F: Filtering>(
    g: &ConvGeometry,
    layout: &Layout,
    image: *const f32,
    lines: *mut f32,
    working: *mut f32,
) {
    let [height, width] = g.input;
    let columns = working.wrapping_add(layout.row);
    // Rows of one channel without a border, behind which there is enough of the image.
    let in_place = |y: usize| {
        g.in_channels == 1
            && g.padding.along(1) == Some(0)
            && y * width + layout.reach <= height * width
    };
    for c in 0..g.in_channels {
        for y in 0..2 * layout.rows {
            let source = y.wrapping_sub(g.padding.before[0]);
            let to = layout.at(c, 0, y % 2) + y / 2 * layout.lines;
            // SAFETY: rows, lines and vectors lie within what the caller vouches for.
            unsafe {
                let mut row = working.cast_const();
                if source < height {
                    let image = image.add(source * width * g.in_channels + c);
                    let to = working.add(g.padding.before[1]);
                    if in_place(source) {
                        row = image;
                    } else if g.in_channels == 1 {
                        to.copy_from_nonoverlapping(image, width);
                    } else {
                        (0..width).for_each(|x| *to.add(x) = *image.add(x * g.in_channels));
                    }
                }
                for first in (0..layout.lines).step_by(S::LANES) {
                    let mut x = [S::zero(); MOST_POINTS];
                    if source < height {
                        for eight in (0..S::LANES).step_by(8) {
                            S::transpose8(
                                row.add(OUTPUTS * (first + eight)),
                                OUTPUTS as isize,
                                columns.add(eight),
                                S::LANES as isize,
                            );
                        }
                        for (i, x) in x.iter_mut().enumerate() {
                            *x = S::load(columns.add(i * S::LANES));
                        }
                        x = F::input::<S>(&x);
                    }
                    for (point, &x) in x.iter().enumerate().take(F::POINTS) {
                        S::store(lines.add(to + point * 2 * layout.pitch + first), x);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
