//! Pooling of channels-last images, vectorised over the channels.

use crate::{
    access::{Access, Memory},
    executor::{Task, UNIT_WEIGHT},
    isa::{Isa, multiversion},
    map::{lanes::Lanes, prepared::Prepared},
    plan::Pooling,
};

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
    /// Padding around the input, above and below, left and right.
    pub padding: [usize; 2],
}

impl PoolGeometry {
    /// Whether the sizes belong together: nothing but the batch is zero, every window touches the image (the padding is
    /// smaller than the window), and the last one begins within the padded image. The output may be one larger than the
    /// windows that fit (rounding up).
    pub fn is_consistent(&self) -> bool {
        self.channels > 0
            && (0..2).all(|i| {
                let sizes = [
                    self.input[i],
                    self.output[i],
                    self.kernel[i],
                    self.stride[i],
                ];
                !sizes.contains(&0)
                    && self.padding[i] < self.kernel[i]
                    && (self.output[i] - 1)
                        .checked_mul(self.stride[i])
                        .is_some_and(|last| last < self.input[i] + self.padding[i])
            })
    }

    /// First position and the one after the last that window `at` covers on an axis, within the image.
    #[inline(always)]
    fn window(&self, axis: usize, at: usize) -> (usize, usize) {
        let start = at * self.stride[axis];
        let end = (start + self.kernel[axis]).saturating_sub(self.padding[axis]);
        (
            start.saturating_sub(self.padding[axis]),
            end.min(self.input[axis]),
        )
    }

    /// Whether no two windows share a position.
    fn is_disjoint(&self) -> bool {
        (0..2).all(|i| self.stride[i] >= self.kernel[i])
    }

    /// 1 / (number of positions that window `at` is averaged over): those in the image, or in the padded image.
    #[inline(always)]
    fn share(&self, count_padding: bool, at: [usize; 2]) -> f32 {
        let length = |axis: usize| {
            if count_padding {
                let start = at[axis] * self.stride[axis];
                let end = start + self.kernel[axis];
                end.min(self.input[axis] + 2 * self.padding[axis]) - start
            } else {
                let (start, end) = self.window(axis, at[axis]);
                end - start
            }
        };
        1.0 / (length(0) * length(1)) as f32
    }
}

/// Whether `x` is larger than the largest so far; the first NaN is the largest of all.
#[inline(always)]
unsafe fn beats<S: Lanes>(x: S::Vector, best: S::Vector) -> S::Mask {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::or(S::lt(best, x), S::and(S::ne(x, x), S::eq(best, best))) }
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

/// Pools one row of windows, `[X, C]`, of image `image` (`[H, W, C]`); values are picked from `values`.
#[inline(always)]
unsafe fn pool_row_body<S: Lanes>(
    g: &PoolGeometry,
    pooling: Pooling,
    image: *const f32,
    values: *const f32,
    y: usize,
    to: *mut f32,
    to_pitch: isize,
) {
    // SAFETY: the caller vouches for the CPU, the image and the row written; windows stay within the image.
    unsafe {
        let c = g.channels;
        let pitch = g.input[1] * c;
        let rows = g.window(0, y);
        for x in 0..g.output[1] {
            let columns = g.window(1, x);
            let start = rows.0 * pitch + columns.0 * c;
            let (height, width) = (rows.1 - rows.0, columns.1 - columns.0);
            let to = to.offset(x as isize * to_pitch);
            let small = height == 2 && width == 2;
            let mut channel = 0;
            while channel < c {
                let n = (c - channel).min(S::LANES);
                let p = image.add(start + channel);
                let result = match pooling {
                    Pooling::Max if small => {
                        let a = load::<S>(p, n);
                        let b = load::<S>(p.add(c), n);
                        let d = load::<S>(p.add(pitch), n);
                        let e = load::<S>(p.add(pitch + c), n);
                        let best = S::select(beats::<S>(b, a), b, a);
                        let best = S::select(beats::<S>(d, best), d, best);
                        S::select(beats::<S>(e, best), e, best)
                    }
                    Pooling::Max => {
                        let mut best = load::<S>(p, n);
                        for i in 0..height {
                            for j in 0..width {
                                let v = load::<S>(p.add(i * pitch + j * c), n);
                                best = S::select(beats::<S>(v, best), v, best);
                            }
                        }
                        best
                    }
                    Pooling::Average { count_padding } => {
                        let mut sum = S::zero();
                        for i in 0..height {
                            for j in 0..width {
                                sum = S::add(sum, load::<S>(p.add(i * pitch + j * c), n));
                            }
                        }
                        S::mul(sum, S::splat(g.share(count_padding, [y, x])))
                    }
                    Pooling::SelectAtMax => {
                        let q = values.add(start + channel);
                        let mut best = load::<S>(p, n);
                        let mut value = load::<S>(q, n);
                        for i in 0..height {
                            for j in 0..width {
                                let at = i * pitch + j * c;
                                let v = load::<S>(p.add(at), n);
                                let wins = beats::<S>(v, best);
                                best = S::select(wins, v, best);
                                value = S::select(wins, load::<S>(q.add(at), n), value);
                            }
                        }
                        value
                    }
                };
                store::<S>(to.add(channel), result, n);
                channel += S::LANES;
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
    ) = pool_row_body;
}

/// Adds (or, if windows share nothing, writes) the gradient of one row of windows to the image's.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn spread_row_body<S: Lanes>(
    g: &PoolGeometry,
    pooling: Pooling,
    image: *const f32,
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
            let mut channel = 0;
            while channel < c {
                let n = (c - channel).min(S::LANES);
                let gradient = load::<S>(from.add(channel), n);
                let to = to.add(start + channel);
                match pooling {
                    Pooling::Average { count_padding } => {
                        let share = S::splat(g.share(count_padding, [y, x]));
                        let share = S::mul(gradient, share);
                        for i in 0..height {
                            for j in 0..width {
                                let to = to.add(i * pitch + j * c);
                                let sum = if add {
                                    S::add(load::<S>(to, n), share)
                                } else {
                                    share
                                };
                                store::<S>(to, sum, n);
                            }
                        }
                    }
                    _ if !add && height == 2 && width == 2 => {
                        let p = image.add(start + channel);
                        let at = [0, c, pitch, pitch + c];
                        let v = at.map(|at| load::<S>(p.add(at), n));
                        let ahead = beats::<S>(v[1], v[0]);
                        let best = S::select(ahead, v[1], v[0]);
                        let (one, none) = (S::select(ahead, S::zero(), gradient), S::zero());
                        let two = S::select(ahead, gradient, none);
                        let ahead = beats::<S>(v[2], best);
                        let best = S::select(ahead, v[2], best);
                        let (one, two) = (S::select(ahead, none, one), S::select(ahead, none, two));
                        let three = S::select(ahead, gradient, none);
                        let ahead = beats::<S>(v[3], best);
                        store::<S>(to, S::select(ahead, none, one), n);
                        store::<S>(to.add(c), S::select(ahead, none, two), n);
                        store::<S>(to.add(pitch), S::select(ahead, none, three), n);
                        store::<S>(to.add(pitch + c), S::select(ahead, gradient, none), n);
                    }
                    _ => {
                        let p = image.add(start + channel);
                        let mut best = load::<S>(p, n);
                        let mut place = S::zero();
                        for i in 0..height {
                            for j in 0..width {
                                let v = load::<S>(p.add(i * pitch + j * c), n);
                                let wins = beats::<S>(v, best);
                                best = S::select(wins, v, best);
                                let here = S::splat((i * width + j) as f32);
                                place = S::select(wins, here, place);
                            }
                        }
                        for i in 0..height {
                            for j in 0..width {
                                let here = S::splat((i * width + j) as f32);
                                let part = S::select(S::eq(place, here), gradient, S::zero());
                                let to = to.add(i * pitch + j * c);
                                let sum = if add {
                                    S::add(load::<S>(to, n), part)
                                } else {
                                    part
                                };
                                store::<S>(to, sum, n);
                            }
                        }
                    }
                }
                channel += S::LANES;
            }
        }
    }
}
multiversion! {
    unsafe fn spread_row(
        g: &PoolGeometry,
        pooling: Pooling,
        image: *const f32,
        from: *const f32,
        from_pitch: isize,
        y: usize,
        to: *mut f32,
        add: bool,
    ) = spread_row_body;
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

/// A [`PoolStep`](crate::plan::PoolStep) made ready; a unit is some rows of windows.
pub(crate) struct PoolTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: PoolGeometry,
    pub(crate) pooling: Pooling,
    pub(crate) input: Access,
    pub(crate) values: Option<Access>,
    pub(crate) output: Access,
}

impl PoolTask {
    fn unit_rows(&self) -> usize {
        let g = &self.geometry;
        (UNIT_WEIGHT / (g.output[1] * g.channels * window_weight(g, self.pooling)).max(1)).max(1)
    }

    /// Whether channels lie side by side in the output.
    fn is_direct(&self) -> bool {
        self.output.strides[3] == 1 || self.geometry.channels == 1
    }
}

impl Task for PoolTask {
    fn units(&self) -> usize {
        (self.geometry.batch * self.geometry.output[0]).div_ceil(self.unit_rows())
    }

    fn weight(&self) -> usize {
        let g = &self.geometry;
        let windows = g.batch * g.output[0] * g.output[1] * g.channels;
        windows.saturating_mul(window_weight(g, self.pooling))
    }

    fn scratch_bytes(&self) -> usize {
        let g = &self.geometry;
        if self.is_direct() {
            0
        } else {
            (g.output[1] * g.channels * 4).next_multiple_of(64)
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let g = &self.geometry;
        let first = unit * self.unit_rows();
        let last = (first + self.unit_rows()).min(g.batch * g.output[0]);
        for row in first..last {
            let (n, y) = (row / g.output[0], row % g.output[0]);
            let image = n * g.input[0] * g.input[1] * g.channels;
            let &[down, right, across, over] = &self.output.strides[..] else {
                return Ok(());
            };
            // SAFETY: geometry and views were checked; the scratch holds a row of windows.
            unsafe {
                let input = memory.f32s(&self.input).add(image);
                let values = match &self.values {
                    Some(values) => memory.f32s(values).add(image),
                    None => input,
                };
                let to = memory
                    .f32s(&self.output)
                    .offset(n as isize * down + y as isize * right);
                if self.is_direct() {
                    pool_row(self.isa, g, self.pooling, input, values, y, to, across);
                    continue;
                }
                let own: *mut f32 = scratch.cast();
                let pitch = g.channels as isize;
                pool_row(self.isa, g, self.pooling, input, values, y, own, pitch);
                for c in 0..g.channels as isize {
                    for x in 0..g.output[1] as isize {
                        *to.offset(x * across + c * over) = *own.offset(x * pitch + c);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A [`PoolGradientStep`](crate::plan::PoolGradientStep) made ready; a unit is some images.
pub(crate) struct PoolGradientTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: PoolGeometry,
    pub(crate) pooling: Pooling,
    pub(crate) input: Option<Access>,
    pub(crate) output_gradient: Access,
    pub(crate) input_gradient: Access,
    pub(crate) epilogue: Option<Prepared>,
}

impl PoolGradientTask {
    fn image(&self) -> usize {
        self.geometry.input[0] * self.geometry.input[1] * self.geometry.channels
    }

    fn image_weight(&self) -> usize {
        let g = &self.geometry;
        let windows = g.output[0] * g.output[1] * g.channels;
        let epilogue = self.epilogue.as_ref().map_or(0, Prepared::weight);
        windows.saturating_mul(2 * window_weight(g, self.pooling)) + self.image() * (1 + epilogue)
    }

    fn unit_images(&self) -> usize {
        (UNIT_WEIGHT / self.image_weight().max(1)).max(1)
    }

    fn is_direct(&self) -> bool {
        self.output_gradient.strides[3] == 1 || self.geometry.channels == 1
    }

    fn row_bytes(&self) -> usize {
        let g = &self.geometry;
        if self.is_direct() {
            0
        } else {
            (g.output[1] * g.channels * 4).next_multiple_of(64)
        }
    }
}

impl Task for PoolGradientTask {
    fn units(&self) -> usize {
        self.geometry.batch.div_ceil(self.unit_images())
    }

    fn weight(&self) -> usize {
        self.geometry.batch.saturating_mul(self.image_weight())
    }

    fn scratch_bytes(&self) -> usize {
        self.row_bytes() + self.epilogue.as_ref().map_or(0, Prepared::scratch_bytes)
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let g = &self.geometry;
        let first = unit * self.unit_images();
        let last = (first + self.unit_images()).min(g.batch);
        let &[down, right, across, over] = &self.output_gradient.strides[..] else {
            return Ok(());
        };
        let disjoint = g.is_disjoint();
        let covered = disjoint
            && (0..2).all(|i| {
                g.stride[i] == g.kernel[i] && g.window(i, g.output[i] - 1).1 == g.input[i]
            });
        for n in first..last {
            let image = n * self.image();
            // SAFETY: geometry and views were checked; the scratch holds a row of windows before the epilogue's.
            unsafe {
                let to = memory.f32s(&self.input_gradient).add(image);
                let input = match &self.input {
                    Some(input) => memory.f32s(input).add(image).cast_const(),
                    None => to,
                };
                if !covered {
                    to.write_bytes(0, self.image());
                }
                for y in 0..g.output[0] {
                    let gradient = memory.f32s(&self.output_gradient);
                    let gradient = gradient.offset(n as isize * down + y as isize * right);
                    let (mut from, mut pitch) = (gradient.cast_const(), across);
                    if !self.is_direct() {
                        let own: *mut f32 = scratch.cast();
                        pitch = g.channels as isize;
                        for c in 0..pitch {
                            for x in 0..g.output[1] as isize {
                                *own.offset(x * pitch + c) =
                                    *gradient.offset(x * across + c * over);
                            }
                        }
                        from = own;
                    }
                    spread_row(
                        self.isa,
                        g,
                        self.pooling,
                        input,
                        from,
                        pitch,
                        y,
                        to,
                        !disjoint,
                    );
                }
            }
        }
        if let Some(map) = &self.epilogue {
            let (start, end) = (first * self.image(), last * self.image());
            // SAFETY: as the caller vouches; the scratch has room after the row.
            unsafe { map.run(memory, scratch.add(self.row_bytes()), start, end) };
        }
        Ok(())
    }
}
