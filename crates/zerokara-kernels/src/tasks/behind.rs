//! What runs behind the units of a kernel.

use super::{ReduceTask, Room, Task};
use crate::map::{compile::Compiler, prepared::Prepared};

/// Elementwise code, and then a reduction, on what each unit of a kernel has written, while that is near.
pub(crate) struct Behind {
    pub(crate) epilogue: Option<Prepared>,
    pub(crate) statistics: Option<ReduceTask>,
}

impl Behind {
    /// Its work in all units, in tenths of a nanosecond.
    pub(crate) fn weight(&self) -> usize {
        let epilogue = self.epilogue.as_ref();
        let epilogue = epilogue.map_or(0, |map| map.total().saturating_mul(map.weight()));
        let statistics = self.statistics.as_ref().map_or(0, Task::weight);
        epilogue.saturating_add(statistics)
    }

    /// Scratch that it needs beside the kernel's, in bytes.
    pub(crate) fn scratch_bytes(&self) -> usize {
        let epilogue = self.epilogue.as_ref().map_or(0, Prepared::scratch_bytes);
        let statistics = self.statistics.as_ref().map_or(0, Task::scratch_bytes);
        epilogue.max(statistics)
    }

    pub(crate) fn reserve(&mut self, room: &mut Room) {
        if let Some(statistics) = &mut self.statistics {
            statistics.reserve(room);
        }
    }

    pub(crate) fn compile(&mut self, compiler: &mut Compiler) {
        if let Some(map) = &mut self.epilogue {
            map.compile(compiler);
        }
        if let Some(statistics) = &mut self.statistics {
            statistics.compile(compiler);
        }
    }
}
