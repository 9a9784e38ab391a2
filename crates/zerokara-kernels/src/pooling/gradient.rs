//! The gradient of each window, given to the elements it came from.

use super::{largest, load, starts, store};
use crate::{
    plan::{PoolGeometry, Pooling},
    simd::{Lanes, MAX_LANES, multiversion},
};

/// Where the largest element of each window is.
#[derive(Clone, Copy)]
pub(crate) enum Largest {
    /// As the pooling wrote it down, `[Y, X, C]`.
    Places(*const u8),
    /// To be found in the image, `[H, W, C]`.
    Image(*const f32),
    /// Nowhere: the gradient is spread evenly.
    None,
}

/// The number of the window's element that takes it all.
#[inline(always)]
unsafe fn place<S: Lanes>(
    source: Largest,
    at: usize,
    start: usize,
    n: usize,
    window: impl Iterator<Item = usize>,
) -> S::Ints {
    // SAFETY: the caller vouches for the CPU, the places and the image.
    unsafe {
        match source {
            Largest::Places(places) if n >= S::LANES => S::load_byte_ints(places.add(at)),
            Largest::Places(places) => {
                let mut bytes = [0; MAX_LANES];
                bytes
                    .as_mut_ptr()
                    .copy_from_nonoverlapping(places.add(at), n);
                S::load_byte_ints(bytes.as_ptr())
            }
            Largest::Image(image) => largest::<S>(image.add(start), n, window).1,
            Largest::None => S::int(-1),
        }
    }
}

/// Writes the gradient of one row of windows that share nothing to the image's gradient, or adds it.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn spread_row_body<S: Lanes>(
    g: &PoolGeometry,
    pooling: Pooling,
    largest: Largest,
    from: *const f32,
    from_pitch: isize,
    y: usize,
    to: *mut f32,
    add: bool,
) {
    // SAFETY: the caller vouches for the CPU, the images and the row read; windows stay within the image.
    unsafe {
        let c = g.channels;
        let pitch = g.input[1] * c;
        let rows = g.window(0, y);
        for x in 0..g.output[1] {
            let columns = g.window(1, x);
            let start = rows.0 * pitch + columns.0 * c;
            let (height, width) = (rows.1 - rows.0, columns.1 - columns.0);
            let from = from.offset(x as isize * from_pitch);
            let at = (y * g.output[1] + x) * c;
            let window = || (0..height).flat_map(|i| (0..width).map(move |j| i * pitch + j * c));
            if !add {
                let n = c.min(S::LANES);
                for channel in starts::<S>(c) {
                    let gradient = load::<S>(from.add(channel), n);
                    let to = to.add(start + channel);
                    if let Pooling::Average { count_padding } = pooling {
                        let count = S::splat(g.averaged(count_padding, [y, x]) as f32);
                        let share = S::div(gradient, count);
                        for at in window() {
                            store::<S>(to.add(at), share, n);
                        }
                        continue;
                    }
                    let place = place::<S>(largest, at + channel, start + channel, n, window());
                    if height == 2 && width == 2 {
                        let places = [0, c, pitch, pitch + c];
                        for (number, at) in places.into_iter().enumerate() {
                            let here = S::int_eq(place, S::int(number as i32));
                            store::<S>(to.add(at), S::select(here, gradient, S::zero()), n);
                        }
                        continue;
                    }
                    for (number, at) in window().enumerate() {
                        let here = S::int_eq(place, S::int(number as i32));
                        store::<S>(to.add(at), S::select(here, gradient, S::zero()), n);
                    }
                }
                continue;
            }
            // What is added to must be visited once: no overlapping vectors.
            for channel in (0..c).step_by(S::LANES) {
                let n = (c - channel).min(S::LANES);
                let gradient = load::<S>(from.add(channel), n);
                let to = to.add(start + channel);
                let (place, share) = match pooling {
                    Pooling::Average { count_padding } => {
                        let count = S::splat(g.averaged(count_padding, [y, x]) as f32);
                        (S::int(0), S::div(gradient, count))
                    }
                    _ => {
                        let place = place::<S>(largest, at + channel, start + channel, n, window());
                        (place, gradient)
                    }
                };
                for (number, at) in window().enumerate() {
                    let to = to.add(at);
                    let part = if let Pooling::Average { .. } = pooling {
                        share
                    } else {
                        let here = S::int_eq(place, S::int(number as i32));
                        S::select(here, share, S::zero())
                    };
                    store::<S>(to, S::add(load::<S>(to, n), part), n);
                }
            }
        }
    }
}
multiversion! {
    pub(crate) unsafe fn spread_row(
        g: &PoolGeometry,
        pooling: Pooling,
        largest: Largest,
        from: *const f32,
        from_pitch: isize,
        y: usize,
        to: *mut f32,
        add: bool,
    ) = spread_row_body;
}
