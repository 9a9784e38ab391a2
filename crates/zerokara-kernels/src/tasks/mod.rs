//! Steps made ready: what each unit of a step's work does, in memory that was checked.

mod attention;
mod behind;
mod chain;
mod contract;
mod conv;
mod depthwise;
mod host;
mod index;
mod map;
mod pool;
mod random;
mod recurrent;
mod reduce;
mod softmax;
mod transpose;

pub(crate) use attention::{AttentionAccess, AttentionGradientTask, AttentionTask};
pub(crate) use behind::Behind;
pub(crate) use chain::ChainTask;
pub(crate) use contract::{GemmTask, PackMatrixTask, RightAccess};
pub(crate) use conv::{
    ConvPoolTask, ConvTask, ConvWeightGradientTask, OutputGradientAccess, PackFiltersTask,
};
pub(crate) use depthwise::{DepthwiseFiltersTask, DepthwiseTask};
pub(crate) use host::HostTask;
pub(crate) use index::{ArgReduceTask, GatherTask, OneHotTask};
pub(crate) use map::MapTask;
pub(crate) use pool::{PoolGradientTask, PoolTask};
pub(crate) use random::RandomTask;
pub(crate) use recurrent::{RecurrentGradientTask, RecurrentTask};
pub(crate) use reduce::{Parts, ReduceTask};
pub(crate) use softmax::SoftmaxTask;
pub(crate) use transpose::TransposeTask;

use crate::{access::Memory, map::compile::Compiler};

/// Work that one unit should have at least (in tenths of a nanosecond): large against the cost of handing it out.
const UNIT_WEIGHT: usize = 80_000;

/// How many parts that weigh so much each (in tenths of a nanosecond) make a unit: at least one, however heavy it is.
pub(crate) fn parts_of_unit(weight: usize) -> usize {
    (UNIT_WEIGHT / weight.max(1)).max(1)
}

/// A step made ready.
pub(crate) trait Task: Send + Sync {
    /// Number of units, from the step's shapes alone.
    fn units(&self) -> usize;

    /// Estimate of the work of all units, in tenths of a nanosecond.
    fn weight(&self) -> usize;

    /// Scratch that a unit needs, in bytes, on a 64-byte boundary.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Takes room for what it keeps from unit to unit of a run.
    fn reserve(&mut self, room: &mut Room) {
        let _ = room;
    }

    /// Makes machine code of elementwise code.
    fn compile(&mut self, compiler: &mut Compiler) {
        let _ = compiler;
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// The step was checked, `memory` is that of its plan and holds the room that was reserved, the CPU has the instruction
    /// set; the scratch is this call's alone; each unit runs once in a run, and no step that conflicts runs at the same time.
    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String>;
}

/// Room for what tasks keep from unit to unit of a run, taken by each task when it is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub(crate) counters: usize,
    pub(crate) partials: usize,
}

impl Room {
    /// Takes so many counters and numbers, and tells where the first of each is in [`Memory`].
    pub(crate) fn take(&mut self, counters: usize, partials: usize) -> (usize, usize) {
        let first = (self.counters, self.partials);
        self.counters = self.counters.saturating_add(counters);
        self.partials = self.partials.saturating_add(partials);
        first
    }
}
