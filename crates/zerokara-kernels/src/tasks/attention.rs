//! Attention and its gradient.

use super::Task;
use crate::{
    access::{Access, Memory},
    attention::{
        Gradients, Heads, Inputs, Mask, Target, forward_scratch, forward_units, gradient_scratch,
        gradient_units, run_forward, run_gradient,
    },
    isa::Isa,
    plan::{AttentionGeometry, Element},
};
use std::slice;

/// What attention reads, of a step that was checked.
pub(crate) struct AttentionAccess {
    pub(crate) geometry: AttentionGeometry,
    pub(crate) query: Access,
    pub(crate) key: Access,
    pub(crate) value: Access,
    pub(crate) mask: Option<Access>,
}

/// The first strides of a view that was checked to have as many axes.
fn strides<const N: usize>(access: &Access) -> [isize; N] {
    std::array::from_fn(|axis| access.strides.get(axis).copied().unwrap_or(0))
}

/// A view `[N, L, H, D]`.
unsafe fn heads(memory: Memory<'_>, access: &Access) -> Heads {
    Heads {
        // SAFETY: the caller vouches for the view.
        start: unsafe { memory.f32s(access) },
        strides: strides(access),
    }
}

/// A view `[N, L, H, D]` that is written, the last axis dense.
unsafe fn target(memory: Memory<'_>, access: &Access) -> Target {
    Target {
        // SAFETY: the caller vouches for the view.
        start: unsafe { memory.f32s(access) },
        strides: strides(access),
    }
}

impl AttentionAccess {
    unsafe fn inputs(&self, memory: Memory<'_>) -> Inputs<'_> {
        // SAFETY: the views were checked for these sizes.
        unsafe {
            Inputs {
                geometry: &self.geometry,
                query: heads(memory, &self.query),
                key: heads(memory, &self.key),
                value: heads(memory, &self.value),
                mask: self.mask.as_ref().map(|mask| match mask.element {
                    Element::F32 => Mask::Added(memory.f32s(mask), strides(mask)),
                    _ => Mask::Seen(memory.at(mask), strides(mask)),
                }),
            }
        }
    }

    /// Estimate of so many products over keys and values, and of a softmax.
    fn weight(&self, products: usize) -> usize {
        let g = &self.geometry;
        let pairs = g.batch.saturating_mul(g.heads).saturating_mul(g.queries);
        let pairs = pairs.saturating_mul(g.keys);
        pairs.saturating_mul(products * (g.width + g.values) / 8 + 14)
    }
}

/// Attention forward.
pub(crate) struct AttentionTask {
    pub(crate) isa: Isa,
    pub(crate) inputs: AttentionAccess,
    pub(crate) output: Access,
}

impl Task for AttentionTask {
    fn units(&self) -> usize {
        forward_units(&self.inputs.geometry)
    }

    fn weight(&self) -> usize {
        self.inputs.weight(1)
    }

    fn scratch_bytes(&self) -> usize {
        forward_scratch(self.isa, &self.inputs.geometry) * size_of::<f32>()
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let length = forward_scratch(self.isa, &self.inputs.geometry);
        // SAFETY: the views were checked for these sizes; the unit's part of the output is its own.
        unsafe {
            let inputs = self.inputs.inputs(memory);
            let Target { start, strides } = target(memory, &self.output);
            let own = slice::from_raw_parts_mut(scratch.cast(), length);
            run_forward(self.isa, unit, &inputs, start, strides, own);
        }
        Ok(())
    }
}

/// The gradients of attention.
pub(crate) struct AttentionGradientTask {
    pub(crate) isa: Isa,
    pub(crate) inputs: AttentionAccess,
    pub(crate) given: Access,
    pub(crate) query: Access,
    pub(crate) key: Access,
    pub(crate) value: Access,
}

impl Task for AttentionGradientTask {
    fn units(&self) -> usize {
        gradient_units(&self.inputs.geometry)
    }

    fn weight(&self) -> usize {
        self.inputs.weight(3)
    }

    fn scratch_bytes(&self) -> usize {
        gradient_scratch(self.isa, &self.inputs.geometry) * size_of::<f32>()
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let length = gradient_scratch(self.isa, &self.inputs.geometry);
        // SAFETY: the views were checked for these sizes; the unit's parts of the gradients are its own.
        unsafe {
            let inputs = self.inputs.inputs(memory);
            let given = heads(memory, &self.given);
            let to = Gradients {
                query: target(memory, &self.query),
                key: target(memory, &self.key),
                value: target(memory, &self.value),
            };
            let own = slice::from_raw_parts_mut(scratch.cast(), length);
            run_gradient(self.isa, unit, &inputs, given, &to, own);
        }
        Ok(())
    }
}
