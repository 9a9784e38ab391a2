//! The gradient of each window, given to the elements it came from.

use super::{PoolGeometry, Way, exchange, largest, load, starts, store, window_weight};
use crate::{
    access::{Access, Memory},
    executor::{Task, parts_of_unit},
    isa::Isa,
    map::{compile::Compiler, prepared::Prepared},
    plan::Pooling,
    simd::{Lanes, MAX_LANES, multiversion},
};

/// Where the largest element of each window is.
#[derive(Clone, Copy)]
enum Largest {
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
    unsafe fn spread_row(
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

/// A [`PoolGradientStep`](crate::plan::PoolGradientStep) made ready; a unit is some images.
pub(crate) struct PoolGradientTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: PoolGeometry,
    pub(crate) pooling: Pooling,
    pub(crate) input: Option<Access>,
    pub(crate) places: Option<Access>,
    pub(crate) output_gradient: Access,
    pub(crate) input_gradient: Access,
    pub(crate) epilogue: Option<Prepared>,
}

impl PoolGradientTask {
    fn image(&self) -> usize {
        self.geometry.image_lens().0
    }

    fn image_weight(&self) -> usize {
        let g = &self.geometry;
        let windows = g.image_lens().1;
        let epilogue = self.epilogue.as_ref().map_or(0, Prepared::weight);
        windows.saturating_mul(2 * window_weight(g, self.pooling)) + self.image() * (1 + epilogue)
    }

    fn unit_images(&self) -> usize {
        parts_of_unit(self.image_weight())
    }

    fn is_direct(&self) -> bool {
        self.output_gradient.strides[3] == 1 || self.geometry.channels == 1
    }

    /// Bytes of an image of windows that is to be transposed.
    fn windows_bytes(&self) -> usize {
        if self.is_direct() {
            0
        } else {
            (self.geometry.image_lens().1 * 4).next_multiple_of(64)
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
        self.windows_bytes() + self.epilogue.as_ref().map_or(0, Prepared::scratch_bytes)
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        if let Some(map) = &mut self.epilogue {
            map.compile(compiler);
        }
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
        let (own, own_pitch) = (scratch.cast::<f32>(), g.channels as isize);
        for n in first..last {
            // SAFETY: geometry and views were checked; the scratch holds an image of windows before the epilogue's.
            unsafe {
                let to = memory.f32s(&self.input_gradient).add(n * self.image());
                let largest = match (&self.places, &self.input) {
                    (Some(places), _) => {
                        Largest::Places(memory.at(places).add(n * g.image_lens().1))
                    }
                    (None, Some(input)) => Largest::Image(memory.f32s(input).add(n * self.image())),
                    (None, None) => Largest::None,
                };
                if !covered {
                    to.write_bytes(0, self.image());
                }
                let gradient = memory.f32s(&self.output_gradient).offset(n as isize * down);
                if !self.is_direct() {
                    exchange(self.isa, g, [right, across, over], own, gradient, Way::In);
                }
                for y in 0..g.output[0] {
                    let (from, pitch) = if self.is_direct() {
                        (gradient.offset(y as isize * right), across)
                    } else {
                        (own.add(y * g.output[1] * g.channels), own_pitch)
                    };
                    spread_row(
                        self.isa,
                        g,
                        self.pooling,
                        largest,
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
            // SAFETY: as the caller vouches; the scratch has room after the windows.
            unsafe { map.run(memory, scratch.add(self.windows_bytes()), start, end) };
        }
        Ok(())
    }
}
