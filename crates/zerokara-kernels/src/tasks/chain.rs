//! Runs of steps over slices of the batch.

use super::{Room, Task};
use crate::{
    access::Memory,
    map::compile::Compiler,
    plan::{Buffer, Region},
    storage::ALIGNMENT,
};

/// A [`ChainStep`](crate::plan::ChainStep) made ready; a unit is a slice.
///
/// The scratch of a unit holds a table of the buffers' addresses with the local ones filled in, then the local buffers,
/// then the scratch of the step at hand.
pub(crate) struct ChainTask {
    slices: Vec<Vec<Box<dyn Task>>>,
    /// Number of buffers in the plan.
    buffers: usize,
    /// Local buffers, and where they start.
    local: Vec<(usize, usize)>,
    local_bytes: usize,
}

impl ChainTask {
    pub(crate) fn new(slices: Vec<Vec<Box<dyn Task>>>, buffers: &[Buffer]) -> ChainTask {
        let (mut local, mut local_bytes) = (Vec::new(), 0);
        for (number, buffer) in buffers.iter().enumerate() {
            if let Region::Local(offset) = buffer.region {
                local.push((number, offset));
                local_bytes = local_bytes.max(offset + buffer.len * buffer.element.size());
            }
        }
        ChainTask {
            slices,
            buffers: buffers.len(),
            local,
            local_bytes: local_bytes.next_multiple_of(ALIGNMENT),
        }
    }

    fn table_bytes(&self) -> usize {
        (self.buffers * size_of::<*mut u8>()).next_multiple_of(ALIGNMENT)
    }

    fn tasks(&self) -> impl Iterator<Item = &dyn Task> {
        self.slices.iter().flatten().map(|task| &**task)
    }
}

impl Task for ChainTask {
    fn units(&self) -> usize {
        self.slices.len()
    }

    fn weight(&self) -> usize {
        self.tasks()
            .fold(0, |sum, task| sum.saturating_add(task.weight()))
    }

    fn scratch_bytes(&self) -> usize {
        let most = self.tasks().map(|task| task.scratch_bytes()).max();
        self.table_bytes() + self.local_bytes + most.unwrap_or(0)
    }

    fn reserve(&mut self, room: &mut Room) {
        let tasks = self.slices.iter_mut().flatten();
        tasks.for_each(|task| task.reserve(room));
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        let tasks = self.slices.iter_mut().flatten();
        tasks.for_each(|task| task.compile(compiler));
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let table: *mut *mut u8 = scratch.cast();
        // SAFETY: the scratch has room for table and local buffers, and is this call's alone; it starts on a cache line.
        // The steps of a slice run one after another, so no two of them conflict.
        unsafe {
            let local = scratch.add(self.table_bytes());
            table.copy_from_nonoverlapping(memory.buffers.as_ptr(), self.buffers);
            for &(number, offset) in &self.local {
                table.add(number).write(local.add(offset));
            }
            let memory = Memory {
                buffers: std::slice::from_raw_parts(table, self.buffers),
                ..memory
            };
            let scratch = local.add(self.local_bytes);
            for task in &self.slices[unit] {
                for unit in 0..task.units() {
                    task.run(unit, memory, scratch)?;
                }
            }
        }
        Ok(())
    }
}
