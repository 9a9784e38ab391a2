//! What each window is summed up to.

use super::{PoolGeometry, Way, beats, exchange, largest, load, starts, store, window_weight};
use crate::{
    access::{Access, Memory},
    executor::{Task, parts_of_unit},
    isa::Isa,
    map::{compile::Compiler, prepared::Prepared},
    plan::Pooling,
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
    unsafe fn pool_row(
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
unsafe fn pool_row_by_sums(
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

/// A [`PoolStep`](crate::plan::PoolStep) made ready; a unit is some rows of windows, or some images.
pub(crate) struct PoolTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: PoolGeometry,
    pub(crate) pooling: Pooling,
    pub(crate) input: Access,
    pub(crate) values: Option<Access>,
    /// As [`PoolStep::added`](crate::plan::PoolStep::added).
    pub(crate) added: Option<Access>,
    pub(crate) output: Access,
    pub(crate) places: Option<Access>,
    pub(crate) epilogue: Option<Prepared>,
}

impl PoolTask {
    /// Rows of windows in a unit: whole images where the output is written transposed, or an epilogue follows.
    fn unit_rows(&self) -> usize {
        let g = &self.geometry;
        let epilogue = self.epilogue.as_ref().map_or(0, Prepared::weight);
        let row = g.output[1] * g.channels * (window_weight(g, self.pooling) + epilogue);
        let rows = parts_of_unit(row);
        if self.is_direct() && self.epilogue.is_none() {
            rows
        } else {
            (rows / g.output[0]).max(1) * g.output[0]
        }
    }

    /// Whether channels lie side by side in the output.
    fn is_direct(&self) -> bool {
        self.output.strides[3] == 1 || self.geometry.channels == 1
    }

    /// What is added to the windows of an image, and from channel to channel, if it is not finite for all.
    unsafe fn order(&self, memory: Memory<'_>, n: usize) -> Option<(*const f32, isize)> {
        let added = self.added.as_ref()?;
        let step = added.strides[3];
        // SAFETY: the view was checked.
        unsafe {
            let first = memory.f32s(added).offset(n as isize * added.strides[0]);
            let is_finite = |c: usize| (*first.offset(c as isize * step)).is_finite();
            let all = (0..self.geometry.channels).all(is_finite);
            (!all).then_some((first.cast_const(), step))
        }
    }

    /// Bytes of an image that is to be transposed.
    fn image_bytes(&self) -> usize {
        if self.is_direct() {
            0
        } else {
            (self.geometry.image_lens().1 * 4).next_multiple_of(64)
        }
    }
}

impl Task for PoolTask {
    fn units(&self) -> usize {
        (self.geometry.batch * self.geometry.output[0]).div_ceil(self.unit_rows())
    }

    fn weight(&self) -> usize {
        let g = &self.geometry;
        let windows = g.batch * g.image_lens().1;
        let epilogue = self.epilogue.as_ref().map_or(0, Prepared::weight);
        windows.saturating_mul(window_weight(g, self.pooling) + epilogue)
    }

    fn scratch_bytes(&self) -> usize {
        self.image_bytes() + self.epilogue.as_ref().map_or(0, Prepared::scratch_bytes)
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        if let Some(map) = &mut self.epilogue {
            map.compile(compiler);
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let g = &self.geometry;
        let first = unit * self.unit_rows();
        let last = (first + self.unit_rows()).min(g.batch * g.output[0]);
        let &[down, right, across, over] = &self.output.strides[..] else {
            return Ok(());
        };
        let (own, own_pitch) = (scratch.cast::<f32>(), g.channels as isize);
        let mut order = None;
        for row in first..last {
            let (n, y) = (row / g.output[0], row % g.output[0]);
            if row == first || y == 0 {
                // SAFETY: views were checked.
                order = unsafe { self.order(memory, n) };
            }
            let image = n * g.image_lens().0;
            // SAFETY: geometry and views were checked; the scratch holds an image of windows.
            unsafe {
                let input = memory.f32s(&self.input).add(image);
                let values = match &self.values {
                    Some(values) => memory.f32s(values).add(image),
                    None => input,
                };
                let places = match &self.places {
                    Some(places) => memory.at(places).add(row * g.output[1] * g.channels),
                    None => std::ptr::null_mut(),
                };
                let (to, to_pitch) = if self.is_direct() {
                    let to = memory.f32s(&self.output);
                    (to.offset(n as isize * down + y as isize * right), across)
                } else {
                    (own.add(y * g.output[1] * g.channels), own_pitch)
                };
                match order {
                    Some(added) => pool_row_by_sums(g, input, added, y, to, to_pitch, places),
                    None => pool_row(
                        self.isa,
                        g,
                        self.pooling,
                        input,
                        values,
                        y,
                        to,
                        to_pitch,
                        places,
                    ),
                }
                if self.is_direct() || y + 1 < g.output[0] {
                    continue;
                }
                // The image is complete: from [Y, X, C] to where each channel has its own plane.
                let view = memory.f32s(&self.output).offset(n as isize * down);
                exchange(self.isa, g, [right, across, over], own, view, Way::Out);
            }
        }
        if let Some(map) = &self.epilogue {
            let row = g.output[1] * g.channels;
            // SAFETY: the unit's images are its own; the scratch has room after the image.
            unsafe {
                map.run(
                    memory,
                    scratch.add(self.image_bytes()),
                    first * row,
                    last * row,
                );
            }
        }
        Ok(())
    }
}
