//! Poolings and their gradients.

use super::{Task, parts_of_unit};
use crate::{
    access::{Access, Memory},
    isa::Isa,
    map::{compile::Compiler, prepared::Prepared},
    plan::{PoolGeometry, Pooling},
    pooling::{Largest, Way, exchange, pool_row, pool_row_by_sums, spread_row, window_weight},
};

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
