//! Pooling of channels-last images, vectorised over the channels.

mod forward;
mod gradient;

pub(crate) use forward::PoolTask;
pub(crate) use gradient::PoolGradientTask;

use crate::{isa::Isa, padding::Padding, plan::Pooling, simd::Lanes, transpose::transpose};

/// The place of a window that chose none.
pub const NOWHERE: u8 = 255;

/// Sizes and options of a two-dimensional pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolGeometry {
    /// Images in the batch, N.
    pub batch: usize,
    /// Channels, C.
    pub channels: usize,
    /// Height and width of the input, H and W.
    pub input: [usize; 2],
    /// Height and width of the output, Y and X.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window, down and across.
    pub stride: [usize; 2],
    /// Padding around the input.
    pub padding: Padding,
}

impl PoolGeometry {
    /// Whether the sizes belong together: nothing but the batch is zero, every window touches the image (the padding is
    /// smaller than the window), and the last one begins within the padded image. The output may be one larger than the
    /// windows that fit (rounding up).
    pub fn is_consistent(&self) -> bool {
        let countable = |images: [usize; 2]| {
            crate::plan::countable(&[self.batch, self.channels, images[0], images[1]])
        };
        self.channels > 0
            && countable(self.input)
            && countable(self.output)
            && (0..2).all(|i| {
                let sizes = [
                    self.input[i],
                    self.output[i],
                    self.kernel[i],
                    self.stride[i],
                ];
                !sizes.contains(&0)
                    && self.padding.before[i].max(self.padding.behind[i]) < self.kernel[i]
                    && (self.output[i] - 1)
                        .checked_mul(self.stride[i])
                        .filter(|last| last.checked_add(self.kernel[i]).is_some())
                        .is_some_and(|last| {
                            last < self.input[i].saturating_add(self.padding.before[i])
                        })
            })
    }

    /// First position and the one after the last that window `at` covers on an axis, within the image.
    #[inline(always)]
    fn window(&self, axis: usize, at: usize) -> (usize, usize) {
        let start = at * self.stride[axis];
        let end = (start + self.kernel[axis]).saturating_sub(self.padding.before[axis]);
        (
            start.saturating_sub(self.padding.before[axis]),
            end.min(self.input[axis]),
        )
    }

    /// Whether the place of each window's largest element fits a byte.
    pub fn has_byte_places(&self) -> bool {
        self.kernel[0].saturating_mul(self.kernel[1]) <= 256
    }

    /// Numbers in one image of the input, and of the output.
    fn image_lens(&self) -> (usize, usize) {
        let len = |[height, width]: [usize; 2]| height * width * self.channels;
        (len(self.input), len(self.output))
    }

    /// Whether no two windows share a position.
    fn is_disjoint(&self) -> bool {
        (0..2).all(|i| self.stride[i] >= self.kernel[i])
    }

    /// The number of positions that window `at` is averaged over: those in the image, or in the padded image.
    #[inline(always)]
    fn averaged(&self, count_padding: bool, at: [usize; 2]) -> usize {
        let length = |axis: usize| {
            if count_padding {
                let start = at[axis] * self.stride[axis];
                let end = start + self.kernel[axis];
                let Padding { before, behind } = self.padding;
                end.min(self.input[axis] + before[axis] + behind[axis]) - start
            } else {
                let (start, end) = self.window(axis, at[axis]);
                end - start
            }
        };
        length(0) * length(1)
    }
}

/// Whether `x` is larger than the largest so far; the first NaN is the largest of all.
#[inline(always)]
pub(crate) unsafe fn beats<S: Lanes>(x: S::Vector, best: S::Vector) -> S::Mask {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::and(S::not_le(x, best), S::eq(best, best)) }
}

/// The largest of the elements at these distances from `p`, and the number of the first of them that is it.
#[inline(always)]
unsafe fn largest<S: Lanes>(
    p: *const f32,
    n: usize,
    places: impl Iterator<Item = usize>,
) -> (S::Vector, S::Ints) {
    // SAFETY: the caller vouches for the CPU and the elements.
    unsafe {
        let (mut best, mut place) = (load::<S>(p, n), S::int(0));
        for (number, at) in places.enumerate().skip(1) {
            let x = load::<S>(p.add(at), n);
            let wins = beats::<S>(x, best);
            best = S::select(wins, x, best);
            place = S::int_select(wins, S::int(number as i32), place);
        }
        (best, place)
    }
}

/// All lanes, or the first `n`.
#[inline(always)]
unsafe fn load<S: Lanes>(p: *const f32, n: usize) -> S::Vector {
    // SAFETY: the caller vouches for the CPU and the pointer.
    unsafe {
        if n >= S::LANES {
            S::load(p)
        } else {
            S::load_partial(p, n)
        }
    }
}

#[inline(always)]
unsafe fn store<S: Lanes>(p: *mut f32, x: S::Vector, n: usize) {
    // SAFETY: the caller vouches for the CPU and the pointer.
    unsafe {
        if n >= S::LANES {
            S::store(p, x)
        } else {
            S::store_partial(p, x, n)
        }
    }
}

/// Where the vectors of `c` channels begin: where there is more than one, the last overlaps its neighbour instead of
/// being cut short. Only for what may be computed twice.
#[inline(always)]
fn starts<S: Lanes>(c: usize) -> impl Iterator<Item = usize> {
    let last = c.saturating_sub(S::LANES);
    (0..c).step_by(S::LANES).map(move |start| start.min(last))
}

/// Work for one window and channel, in tenths of a nanosecond.
fn window_weight(g: &PoolGeometry, pooling: Pooling) -> usize {
    let positions = g.kernel[0] * g.kernel[1];
    positions
        * if pooling == Pooling::SelectAtMax {
            4
        } else {
            3
        }
        + 2
}

/// Between an image of windows `[Y, X, C]` without gaps and one in a view: which of them is written.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The view.
    Out,
    /// The one without gaps.
    In,
}

/// Copies an image of windows; `strides` are the view's along Y, X and C.
///
/// # Safety
///
/// The CPU must have `isa`; both images must be valid, and must not overlap.
unsafe fn exchange(
    isa: Isa,
    g: &PoolGeometry,
    [right, across, over]: [isize; 3],
    dense: *mut f32,
    view: *mut f32,
    way: Way,
) {
    let [height, width] = g.output;
    let (positions, channels) = (height * width, g.channels);
    // SAFETY: the caller vouches for both.
    unsafe {
        // Where each channel has its own plane, the two are transposes of one another.
        if across == 1 && right == width as isize {
            let pitch = channels as isize;
            match way {
                Way::Out => transpose(isa, positions, channels, dense, pitch, view, over),
                Way::In => transpose(isa, channels, positions, view, over, dense, pitch),
            }
            return;
        }
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let dense = dense.add((y * width + x) * channels);
            let view = view.offset(y as isize * right + x as isize * across);
            for c in 0..channels {
                let (dense, view) = (dense.add(c), view.offset(c as isize * over));
                match way {
                    Way::Out => *view = *dense,
                    Way::In => *dense = *view,
                }
            }
        }
    }
}
