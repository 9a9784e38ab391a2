//! Random numbers.

use super::{Task, parts_of_unit};
use crate::{
    access::{Access, Memory},
    isa::Isa,
    random::{GROUP, blocks},
};

/// A [`RandomStep`](crate::plan::RandomStep) made ready.
pub(crate) struct RandomTask {
    pub(crate) isa: Isa,
    pub(crate) key: u64,
    pub(crate) total: usize,
    pub(crate) counter: Access,
    pub(crate) output: Access,
}

/// Work per element, in tenths of a nanosecond.
const WEIGHT: usize = 8;

impl RandomTask {
    fn unit(&self) -> usize {
        parts_of_unit(WEIGHT).next_multiple_of(GROUP)
    }
}

impl Task for RandomTask {
    fn units(&self) -> usize {
        self.total.div_ceil(self.unit())
    }

    fn weight(&self) -> usize {
        self.total.saturating_mul(WEIGHT)
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let start = unit * self.unit();
        let n = self.unit().min(self.total - start);
        // SAFETY: the views were checked; the output is dense.
        unsafe {
            let counter = *memory.at(&self.counter).cast::<i64>() as u64;
            let to = memory.f32s(&self.output).add(start);
            let groups = n / GROUP;
            blocks(self.isa, to, self.key, counter, start as u64 / 4, groups);
            let done = groups * GROUP;
            if done < n {
                let mut rest = [0.0f32; GROUP];
                let block = (start + done) as u64 / 4;
                blocks(self.isa, rest.as_mut_ptr(), self.key, counter, block, 1);
                to.add(done)
                    .copy_from_nonoverlapping(rest.as_ptr(), n - done);
            }
        }
        Ok(())
    }
}
