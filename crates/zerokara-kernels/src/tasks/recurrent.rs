//! Recurrent networks and their gradients.

use super::{Room, Task};
use crate::{
    access::{Access, Memory},
    isa::Isa,
    plan::RecurrentGeometry,
    recurrent::{
        GradientOperands, Mask, Sequence, StatesOperands, gradient_scratch, run_gradient,
        run_states, states_scratch, team, units,
    },
};
use std::{ptr, slice};

/// A view `[T, N, ..]` whose last axis is dense.
unsafe fn read(memory: Memory<'_>, access: &Access) -> Sequence<*const f32> {
    // SAFETY: the caller vouches for the view.
    let Sequence { start, strides } = unsafe { write(memory, access) };
    Sequence { start, strides }
}

/// The same, to be written.
unsafe fn write(memory: Memory<'_>, access: &Access) -> Sequence<*mut f32> {
    Sequence {
        // SAFETY: the caller vouches for the view.
        start: unsafe { memory.f32s(access) },
        strides: [access.strides[0], access.strides[1]],
    }
}

unsafe fn mask(memory: Memory<'_>, access: &Option<Access>) -> Option<Mask> {
    access.as_ref().map(|access| Mask {
        // SAFETY: the caller vouches for the view.
        start: unsafe { memory.at(access) },
        strides: [access.strides[0], access.strides[1]],
    })
}

/// Estimate of the work of all steps.
fn weight(g: &RecurrentGeometry) -> usize {
    let each = g.cell.products() * g.hidden * (g.hidden / 4 + 20);
    g.steps.saturating_mul(g.batch).saturating_mul(each)
}

/// The states of sequences.
pub(crate) struct RecurrentTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: RecurrentGeometry,
    pub(crate) inputs: Access,
    pub(crate) weight: Access,
    pub(crate) bias: Option<Access>,
    /// With the distance from row to row.
    pub(crate) initial: Vec<Access>,
    pub(crate) mask: Option<Access>,
    pub(crate) states: Access,
    pub(crate) given: bool,
    pub(crate) gates: Option<Access>,
    /// Where the first of a team's counters is.
    pub(crate) counters: usize,
}

impl Task for RecurrentTask {
    fn units(&self) -> usize {
        units(self.isa, &self.geometry)
    }

    fn reserve(&mut self, room: &mut Room) {
        (self.counters, _) = room.take(team::COUNTERS, 0);
    }

    fn weight(&self) -> usize {
        weight(&self.geometry)
    }

    fn scratch_bytes(&self) -> usize {
        states_scratch(&self.geometry) * size_of::<f32>()
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let g = &self.geometry;
        // SAFETY: the views were checked for these sizes; the unit's samples are its own.
        unsafe {
            let mut initial = [(ptr::null(), 0); 2];
            for (to, access) in initial.iter_mut().zip(&self.initial) {
                *to = (memory.f32s(access).cast_const(), access.strides[0]);
            }
            let operands = StatesOperands {
                inputs: read(memory, &self.inputs),
                panels: memory.f32s(&self.weight),
                bias: match &self.bias {
                    Some(bias) => memory.f32s(bias),
                    None => ptr::null(),
                },
                initial,
                mask: mask(memory, &self.mask),
                states: write(memory, &self.states),
                given: self.given,
                gates: self.gates.as_ref().map(|gates| write(memory, gates)),
            };
            let own = slice::from_raw_parts_mut(scratch.cast(), states_scratch(g));
            let counters = &memory.counters[self.counters..][..team::COUNTERS];
            run_states(self.isa, g, unit, &operands, counters, own);
        }
        Ok(())
    }
}

/// Their gradients.
pub(crate) struct RecurrentGradientTask {
    pub(crate) isa: Isa,
    pub(crate) geometry: RecurrentGeometry,
    pub(crate) weight: Access,
    pub(crate) states: Access,
    pub(crate) gates: Option<Access>,
    pub(crate) mask: Option<Access>,
    pub(crate) given: Access,
    pub(crate) gradient: Access,
    /// Where the first of a team's counters is.
    pub(crate) counters: usize,
}

impl Task for RecurrentGradientTask {
    fn units(&self) -> usize {
        units(self.isa, &self.geometry)
    }

    fn reserve(&mut self, room: &mut Room) {
        (self.counters, _) = room.take(team::COUNTERS, 0);
    }

    fn weight(&self) -> usize {
        weight(&self.geometry)
    }

    fn scratch_bytes(&self) -> usize {
        gradient_scratch() * size_of::<f32>()
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let g = &self.geometry;
        // SAFETY: the views were checked for these sizes; the unit's samples are its own.
        unsafe {
            let operands = GradientOperands {
                panels: memory.f32s(&self.weight),
                states: read(memory, &self.states),
                gates: self.gates.as_ref().map(|gates| read(memory, gates)),
                mask: mask(memory, &self.mask),
                given: read(memory, &self.given),
                gradient: write(memory, &self.gradient),
            };
            let own = slice::from_raw_parts_mut(scratch.cast(), gradient_scratch());
            let counters = &memory.counters[self.counters..][..team::COUNTERS];
            run_gradient(self.isa, g, unit, &operands, counters, own);
        }
        Ok(())
    }
}
