//! Depthwise convolutions and their gradients.

use super::{
    Behind, Room, Task,
    conv::{bytes, strides},
};
use crate::{
    access::{Access, Memory},
    conv::depthwise::{self, Cut, Operands},
    isa::Isa,
    map::compile::Compiler,
    plan::{ConvGeometry, ConvPass},
};
use std::slice;

/// A pass over images of any strides. What is finished in registers is written where it is wanted, as it is to lie; other epilogues
/// and statistics follow each unit.
pub(crate) struct DepthwiseTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: ConvGeometry,
    pub(crate) pass: ConvPass,
    pub(crate) cut: Cut,
    pub(crate) source: Access,
    pub(crate) packed: Access,
    /// A number for each channel.
    pub(crate) bias: Option<Access>,
    pub(crate) rectify: bool,
    pub(crate) target: Access,
    pub(crate) behind: Behind,
    /// Numbers of the kernel's own scratch.
    pub(crate) scratch: usize,
}

/// Estimate of a pass, in tenths of a nanosecond.
fn weight(g: &ConvGeometry) -> usize {
    let outputs = g.batch * g.out_channels * g.output[0] * g.output[1];
    outputs.saturating_mul(g.kernel[0] * g.kernel[1] / 4 + 4)
}

impl Task for DepthwiseTask {
    fn units(&self) -> usize {
        depthwise::units(self.isa.lanes(), &self.geometry, self.pass, self.cut)
    }

    fn weight(&self) -> usize {
        weight(&self.geometry).saturating_add(self.behind.weight())
    }

    fn scratch_bytes(&self) -> usize {
        bytes(self.scratch) + self.behind.scratch_bytes()
    }

    fn reserve(&mut self, room: &mut Room) {
        self.behind.reserve(room);
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        self.behind.compile(compiler);
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let (isa, g, pass) = (self.isa, &self.geometry, self.pass);
        // SAFETY: geometry and views were checked; the unit's part of the target is its own.
        unsafe {
            let operands = Operands {
                source: memory.f32s(&self.source),
                source_strides: strides(&self.source),
                packed: memory.f32s(&self.packed),
                bias: match &self.bias {
                    Some(bias) => (memory.f32s(bias), bias.strides[0]),
                    None => (std::ptr::null(), 0),
                },
                rectify: self.rectify,
                target: memory.f32s(&self.target),
                target_strides: strides(&self.target),
            };
            let own = slice::from_raw_parts_mut(scratch.cast(), self.scratch);
            depthwise::run_unit(isa, g, pass, self.cut, unit, &operands, own);
            let scratch = scratch.add(bytes(self.scratch));
            if let Some(map) = &self.behind.epilogue {
                let range = depthwise::unit_range(isa.lanes(), g, pass, unit);
                map.run(memory, scratch, range.start, range.end);
            }
            if let Some(statistics) = &self.behind.statistics {
                statistics.run_part(unit, memory, scratch);
            }
        }
        Ok(())
    }
}

/// Partial gradients with respect to the filters.
pub(crate) struct DepthwiseFiltersTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: ConvGeometry,
    pub(crate) input: Access,
    pub(crate) output_gradient: Access,
    pub(crate) partials: Access,
    /// Numbers of scratch.
    pub(crate) scratch: usize,
}

impl Task for DepthwiseFiltersTask {
    fn units(&self) -> usize {
        depthwise::filters_units(self.isa.lanes(), &self.geometry)
    }

    fn weight(&self) -> usize {
        weight(&self.geometry)
    }

    fn scratch_bytes(&self) -> usize {
        bytes(self.scratch)
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        // SAFETY: geometry and views were checked; the unit's part of the partial gradients is its own.
        unsafe {
            let of = |access| (memory.f32s(access).cast_const(), strides(access));
            let own = slice::from_raw_parts_mut(scratch.cast(), self.scratch);
            let (input, gradient) = (of(&self.input), of(&self.output_gradient));
            let to = memory.f32s(&self.partials);
            depthwise::run_filters_unit(self.isa, &self.geometry, unit, input, gradient, to, own);
        }
        Ok(())
    }
}
