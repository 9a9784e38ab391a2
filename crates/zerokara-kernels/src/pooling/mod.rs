//! Pooling of channels-last images, vectorised over the channels.

mod forward;
mod gradient;

pub(crate) use forward::{pool_row, pool_row_by_sums};
pub(crate) use gradient::{Largest, spread_row};

use crate::{
    isa::Isa,
    plan::{PoolGeometry, Pooling},
    simd::Lanes,
    transpose::transpose,
};

/// The place of a window that chose none.
pub const NOWHERE: u8 = 255;

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
pub(crate) fn window_weight(g: &PoolGeometry, pooling: Pooling) -> usize {
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
pub(crate) enum Way {
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
pub(crate) unsafe fn exchange(
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
