//! Convolutions and their gradients.

use std::slice;

use super::{Behind, Room, Task};
use crate::{
    access::{Access, Memory},
    conv::{
        self,
        conv_pool::{self, ConvPool},
        over_windows::{self, PlacedGradient},
    },
    isa::Isa,
    map::{compile::Compiler, prepared::Prepared},
    plan::{Arithmetic, ConvGeometry, ConvPass, PoolGeometry},
    storage::ALIGNMENT,
};

/// Bytes of so many numbers, as whole cache lines.
pub(super) fn bytes(numbers: usize) -> usize {
    (numbers * 4).next_multiple_of(ALIGNMENT)
}

/// Estimate of a pass, in tenths of a nanosecond.
fn pass_weight(g: &ConvGeometry) -> usize {
    let taps = g.in_channels / g.groups * g.kernel[0] * g.kernel[1];
    let outputs = g.batch * g.out_channels * g.output[0] * g.output[1];
    outputs.saturating_mul(taps / 4 + 2)
}

/// Packing of filters.
pub(crate) struct PackFiltersTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: ConvGeometry,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) pass: ConvPass,
    pub(crate) filters: Access,
    pub(crate) packed: Access,
}

impl Task for PackFiltersTask {
    fn units(&self) -> usize {
        conv::pack_units(self.isa, &self.geometry, self.pass)
    }

    fn weight(&self) -> usize {
        5 * conv::packed_len(self.isa, &self.geometry, self.pass)
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let &[a, b, c, d] = &self.filters.strides[..] else {
            return Ok(());
        };
        // SAFETY: geometry and views were checked.
        unsafe {
            let (from, to) = (memory.f32s(&self.filters), memory.f32s(&self.packed));
            conv::pack_unit(
                self.isa,
                self.arithmetic,
                &self.geometry,
                self.pass,
                unit,
                from,
                [a, b, c, d],
                to,
            );
        }
        Ok(())
    }
}

/// A pass over images, each unit followed by its part of the epilogue and of the statistics.
pub(crate) struct ConvTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: ConvGeometry,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) pass: ConvPass,
    pub(crate) source: Access,
    pub(crate) packed: Access,
    pub(crate) target: Access,
    pub(crate) behind: Behind,
}

impl Task for ConvTask {
    fn units(&self) -> usize {
        conv::units(self.isa, &self.geometry, self.pass)
    }

    fn weight(&self) -> usize {
        pass_weight(&self.geometry).saturating_add(self.behind.weight())
    }

    fn scratch_bytes(&self) -> usize {
        bytes(conv::scratch_len(self.isa, &self.geometry, self.pass)) + self.behind.scratch_bytes()
    }

    fn reserve(&mut self, room: &mut Room) {
        self.behind.reserve(room);
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        self.behind.compile(compiler);
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let (g, pass) = (&self.geometry, self.pass);
        // SAFETY: geometry and views were checked; the unit's part of the target is its own.
        unsafe {
            let (source, packed) = (memory.f32s(&self.source), memory.f32s(&self.packed));
            let target = memory.f32s(&self.target);
            let length = conv::scratch_len(self.isa, g, pass);
            let own = slice::from_raw_parts_mut(scratch.cast(), length);
            conv::run_unit(
                self.isa,
                self.arithmetic,
                g,
                pass,
                unit,
                source,
                packed,
                target,
                own,
            );
            if let Some(map) = &self.behind.epilogue {
                let range = conv::unit_range(self.isa, g, pass, unit);
                map.run(memory, scratch.add(bytes(length)), range.start, range.end);
            }
            if let Some(statistics) = &self.behind.statistics {
                statistics.run_part(unit, memory, scratch.add(bytes(length)));
            }
        }
        Ok(())
    }
}

/// The four strides of a view that was checked to have as many axes.
pub(super) fn strides(access: &Access) -> [isize; 4] {
    std::array::from_fn(|axis| access.strides.get(axis).copied().unwrap_or(0))
}

/// A convolution with its pooling, each image followed by its part of the epilogue.
pub(crate) struct ConvPoolTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: ConvGeometry,
    pub(crate) pool: PoolGeometry,
    pub(crate) source: Access,
    pub(crate) filters: Access,
    pub(crate) output: Access,
    pub(crate) places: Option<Access>,
    /// One number for each channel, added to what is pooled.
    pub(crate) bias: Option<Access>,
    /// As [`PoolStep::added`](crate::plan::PoolStep::added).
    pub(crate) added: Option<Access>,
    /// Whether negative results become zero.
    pub(crate) rectify: bool,
    /// Whether windows with nothing above zero have no place.
    pub(crate) marks: bool,
    pub(crate) epilogue: Option<Prepared>,
}

impl Task for ConvPoolTask {
    fn units(&self) -> usize {
        conv_pool::units(self.isa, &self.geometry, &self.pool)
    }

    fn weight(&self) -> usize {
        let epilogue = self
            .epilogue
            .as_ref()
            .map_or(0, |map| map.total() * map.weight());
        let images = conv_pool::image_weight(self.isa, &self.geometry, &self.pool);
        images
            .saturating_mul(self.geometry.batch)
            .saturating_add(epilogue)
    }

    fn scratch_bytes(&self) -> usize {
        let epilogue = self.epilogue.as_ref().map_or(0, Prepared::scratch_bytes);
        bytes(conv_pool::scratch_len(self.isa, &self.geometry, &self.pool)) + epilogue
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        if let Some(map) = &mut self.epilogue {
            map.compile(compiler);
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let (isa, g, pool) = (self.isa, &self.geometry, &self.pool);
        let length = conv_pool::scratch_len(isa, g, pool);
        // SAFETY: geometry and views were checked; the unit's images are its own.
        unsafe {
            let operands = ConvPool {
                conv: g,
                pool,
                input: memory.f32s(&self.source),
                filters: memory.f32s(&self.filters),
                filter_strides: strides(&self.filters),
                bias: match &self.bias {
                    Some(bias) => (memory.f32s(bias), bias.strides[0]),
                    None => (std::ptr::null(), 0),
                },
                added: match &self.added {
                    Some(added) => (memory.f32s(added), [added.strides[0], added.strides[3]]),
                    None => (std::ptr::null(), [0; 2]),
                },
                rectify: self.rectify,
                marks: self.marks,
                output: memory.f32s(&self.output),
                output_strides: strides(&self.output),
                places: match &self.places {
                    Some(places) => memory.at(places),
                    None => std::ptr::null_mut(),
                },
                place_strides: self.places.as_ref().map_or([0; 4], strides),
            };
            let own = slice::from_raw_parts_mut(scratch.cast(), length);
            conv_pool::prepare(isa, &operands, own);
            let windows = pool.output[0] * pool.output[1] * pool.channels;
            for image in conv_pool::unit_images(isa, g, pool, unit) {
                conv_pool::run_image(isa, &operands, image, own);
                if let Some(map) = &self.epilogue {
                    let scratch = scratch.add(bytes(length));
                    map.run(memory, scratch, image * windows, (image + 1) * windows);
                }
            }
        }
        Ok(())
    }
}

/// Where a [`ConvWeightGradientTask`] finds the gradient of the output.
pub(crate) enum OutputGradientAccess {
    Stored(Access),
    Pooled {
        pool: Box<PoolGeometry>,
        gradient: Access,
        places: Access,
        totals: Option<Access>,
    },
}

/// Partial gradients with respect to the filters.
pub(crate) struct ConvWeightGradientTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: ConvGeometry,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) input: Access,
    pub(crate) output_gradient: OutputGradientAccess,
    pub(crate) partials: Access,
}

impl ConvWeightGradientTask {
    /// Numbers of scratch.
    fn scratch_len(&self) -> usize {
        match &self.output_gradient {
            OutputGradientAccess::Stored(_) => {
                conv::weight_gradient_scratch_len(self.isa, &self.geometry)
            }
            OutputGradientAccess::Pooled { pool, .. } => {
                over_windows::scratch_len(self.isa, &self.geometry, pool)
            }
        }
    }
}

impl Task for ConvWeightGradientTask {
    fn units(&self) -> usize {
        match &self.output_gradient {
            OutputGradientAccess::Stored(_) => {
                conv::weight_gradient_units(self.isa, &self.geometry)
            }
            OutputGradientAccess::Pooled { .. } => over_windows::units(&self.geometry),
        }
    }

    fn weight(&self) -> usize {
        let all = pass_weight(&self.geometry);
        match &self.output_gradient {
            OutputGradientAccess::Stored(_) => all,
            // A window costs about twice what a position does.
            OutputGradientAccess::Pooled { pool, .. } => {
                all / (pool.kernel[0] * pool.kernel[1]).max(1) * 2
            }
        }
    }

    fn scratch_bytes(&self) -> usize {
        bytes(self.scratch_len())
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let g = &self.geometry;
        // SAFETY: geometry and views were checked; the unit's part of the partial gradients is its own.
        unsafe {
            let input = memory.f32s(&self.input);
            let to = memory.f32s(&self.partials);
            let own = slice::from_raw_parts_mut(scratch.cast(), self.scratch_len());
            match &self.output_gradient {
                OutputGradientAccess::Stored(gradient) => {
                    let gradient = memory.f32s(gradient);
                    conv::run_weight_gradient_unit(
                        self.isa,
                        self.arithmetic,
                        g,
                        unit,
                        input,
                        gradient,
                        to,
                        own,
                    );
                }
                OutputGradientAccess::Pooled {
                    pool,
                    gradient,
                    places,
                    totals,
                } => {
                    let placed = PlacedGradient {
                        pool,
                        gradient: memory.f32s(gradient),
                        strides: strides(gradient),
                        places: memory.at(places),
                        place_strides: strides(places),
                    };
                    let totals = totals.as_ref().map(|totals| memory.f32s(totals));
                    over_windows::run_unit(self.isa, g, placed, unit, input, to, totals, own);
                }
            }
        }
        Ok(())
    }
}
