//! What each window is summed up to.

use super::{beats, largest, load, starts, store};
use crate::{
    plan::{PoolGeometry, Pooling},
    simd::{Lanes, MAX_LANES, multiversion},
};

/// [`largest`] of a window of two by two, whose rows are compared first: shorter chains.
#[inline(always)]
unsafe fn largest_of_four<S: Lanes>(
    p: *const f32,
    n: usize,
    right: usize,
    down: usize,
) -> (S::Vector, S::Ints) {
    // SAFETY: the caller vouches for the CPU and the elements.
    unsafe {
        let (a, b) = (load::<S>(p, n), load::<S>(p.add(right), n));
        let (c, d) = (load::<S>(p.add(down), n), load::<S>(p.add(down + right), n));
        let (upper, lower) = (beats::<S>(b, a), beats::<S>(d, c));
        let (above, below) = (S::select(upper, b, a), S::select(lower, d, c));
        let wins = beats::<S>(below, above);
        let place = S::int_select(
            wins,
            S::int_select(lower, S::int(3), S::int(2)),
            S::int_select(upper, S::int(1), S::int(0)),
        );
        (S::select(wins, below, above), place)
    }
}

/// The sums of the elements at these distances from `p` divided by `count`, such that the mean of equal numbers is that
/// number, to the bit, however large.
#[inline(always)]
unsafe fn mean<S: Lanes>(
    p: *const f32,
    n: usize,
    window: impl Iterator<Item = usize> + Clone,
    count: usize,
) -> S::Vector {
    // SAFETY: the caller vouches for the CPU and the elements.
    unsafe {
        // Sums of up to four equal numbers are those numbers times two or four, to the bit, and so are these shares of them.
        if matches!(count, 1 | 2 | 4) {
            let mut sum = S::zero();
            for at in window.clone() {
                sum = S::add(sum, load::<S>(p.add(at), n));
            }
            let mean = S::mul(sum, S::splat(1.0 / count as f32));
            // Else a sum may have been too large where its share is not.
            if !S::any_nan(S::note(mean, S::zero())) {
                return mean;
            }
        }
        wide_mean::<S>(p, n, window, count)
    }
}

/// [`mean`] in double precision.
#[inline(always)]
unsafe fn wide_mean<S: Lanes>(
    p: *const f32,
    n: usize,
    window: impl Iterator<Item = usize>,
    count: usize,
) -> S::Vector {
    // SAFETY: the caller vouches for the CPU and the elements; the arrays hold the widest vector.
    unsafe {
        let mut sums = [0.0; MAX_LANES];
        for at in window {
            let p = p.add(at);
            if n == S::LANES {
                for (lane, sum) in sums[..S::LANES].iter_mut().enumerate() {
                    *sum += f64::from(*p.add(lane));
                }
            } else {
                for (lane, sum) in sums[..n].iter_mut().enumerate() {
                    *sum += f64::from(*p.add(lane));
                }
            }
        }
        let (share, mut means) = (1.0 / count as f64, [0.0; MAX_LANES]);
        for (mean, sum) in means[..S::LANES].iter_mut().zip(sums) {
            *mean = (sum * share) as f32;
        }
        S::load(means.as_ptr())
    }
}

/// Writes the first `n` lanes as bytes.
#[inline(always)]
unsafe fn store_places<S: Lanes>(to: *mut u8, place: S::Ints, n: usize) {
    // SAFETY: the caller vouches for the CPU and `n` bytes.
    unsafe {
        if n >= S::LANES {
            S::store_low_bytes(to, place);
        } else {
            let mut bytes = [0; MAX_LANES];
            S::store_low_bytes(bytes.as_mut_ptr(), place);
            to.copy_from_nonoverlapping(bytes.as_ptr(), n);
        }
    }
}

/// Pools one row of windows, `[X, C]`, of image `image` (`[H, W, C]`); values are picked from `values`. Places are
/// written, `[X, C]`, if there is where to.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn pool_row_body<S: Lanes>(
    g: &PoolGeometry,
    pooling: Pooling,
    image: *const f32,
    values: *const f32,
    y: usize,
    to: *mut f32,
    to_pitch: isize,
    places: *mut u8,
) {
    // SAFETY: the caller vouches for the CPU, the image and the row written; windows stay within the image.
    unsafe {
        let c = g.channels;
        let n = c.min(S::LANES);
        let pitch = g.input[1] * c;
        let rows = g.window(0, y);
        // Windows of two by two are the most common by far: those that are whole come first.
        let mut done = 0;
        if pooling == Pooling::Max
            && g.kernel == [2, 2]
            && g.padding.before == [0, 0]
            && rows.1 - rows.0 == 2
        {
            if g.input[1] >= 2 {
                done = ((g.input[1] - 2) / g.stride[1] + 1).min(g.output[1]);
            }
            let mut p = image.add(rows.0 * pitch);
            let mut to = to;
            for x in 0..done {
                for channel in starts::<S>(c) {
                    let (best, place) = largest_of_four::<S>(p.add(channel), n, c, pitch);
                    if !places.is_null() {
                        store_places::<S>(places.add(x * c + channel), place, n);
                    }
                    store::<S>(to.add(channel), best, n);
                }
                p = p.wrapping_add(g.stride[1] * c);
                to = to.wrapping_offset(to_pitch);
            }
        }
        for x in done..g.output[1] {
            let columns = g.window(1, x);
            let start = rows.0 * pitch + columns.0 * c;
            let (height, width) = (rows.1 - rows.0, columns.1 - columns.0);
            let to = to.offset(x as isize * to_pitch);
            let window = || (0..height).flat_map(|i| (0..width).map(move |j| i * pitch + j * c));
            for channel in starts::<S>(c) {
                let p = image.add(start + channel);
                let result = match pooling {
                    Pooling::Max => {
                        let (best, place) = largest::<S>(p, n, window());
                        if !places.is_null() {
                            store_places::<S>(places.add(x * c + channel), place, n);
                        }
                        best
                    }
                    Pooling::Average { count_padding } => {
                        mean::<S>(p, n, window(), g.averaged(count_padding, [y, x]))
                    }
                    Pooling::SelectAtMax => {
                        let q = values.add(start + channel);
                        let (mut best, mut value) = (load::<S>(p, n), load::<S>(q, n));
                        for at in window() {
                            let v = load::<S>(p.add(at), n);
                            let wins = beats::<S>(v, best);
                            best = S::select(wins, v, best);
                            value = S::select(wins, load::<S>(q.add(at), n), value);
                        }
                        value
                    }
                };
                store::<S>(to.add(channel), result, n);
            }
        }
    }
}
multiversion! {
    pub(crate) unsafe fn pool_row(
        g: &PoolGeometry,
        pooling: Pooling,
        image: *const f32,
        values: *const f32,
        y: usize,
        to: *mut f32,
        to_pitch: isize,
        places: *mut u8,
    ) = pool_row_body;
}

/// Pools one row of windows as [`pool_row`] does, where the first largest of the sums with what is added, of channel `c` at
/// `added + c * step`, tells the element.
#[cold]
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn pool_row_by_sums(
    g: &PoolGeometry,
    image: *const f32,
    (added, step): (*const f32, isize),
    y: usize,
    to: *mut f32,
    to_pitch: isize,
    places: *mut u8,
) {
    let rows = g.window(0, y);
    for (x, c) in (0..g.output[1]).flat_map(|x| (0..g.channels).map(move |c| (x, c))) {
        let columns = g.window(1, x);
        let window = (rows.0..rows.1).flat_map(|i| (columns.0..columns.1).map(move |j| (i, j)));
        // SAFETY: the caller vouches for the image, what is added, and the row written; windows stay within the image.
        unsafe {
            let added = *added.offset(c as isize * step);
            let (mut best, mut element, mut place) = (0.0, 0.0, 0);
            for (number, (i, j)) in window.enumerate() {
                let own = *image.add((i * g.input[1] + j) * g.channels + c);
                let sum: f32 = own + added;
                if number == 0 || sum > best || (sum.is_nan() && !best.is_nan()) {
                    (best, element, place) = (sum, own, number);
                }
            }
            *to.offset(x as isize * to_pitch).add(c) = element;
            if !places.is_null() {
                *places.add(x * g.channels + c) = place as u8;
            }
        }
    }
}
