//! Elementwise steps.

use super::{Task, UNIT_WEIGHT};
use crate::{
    access::{Access, Memory},
    isa::Isa,
    map::{
        Code,
        prepared::{Prepared, Use},
    },
};

/// A [`MapStep`](crate::plan::MapStep), cut into ranges of its flattened space.
pub(super) struct MapTask {
    map: Prepared,
    unit: usize,
}

impl MapTask {
    pub(super) fn new(
        isa: Isa,
        shape: &[usize],
        inputs: Vec<Access>,
        outputs: Vec<Access>,
        code: &Code,
    ) -> Result<MapTask, String> {
        // Any order of the axes will do: that of the first output in memory makes its stores dense.
        let mut order: Vec<usize> = (0..shape.len()).collect();
        if let Some(output) = outputs.first() {
            order.sort_by_key(|&axis| std::cmp::Reverse(output.strides[axis].unsigned_abs()));
        }
        let permute = |mut access: Access| {
            access.strides = order.iter().map(|&axis| access.strides[axis]).collect();
            access
        };
        let shape: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let inputs = inputs.into_iter().map(permute).collect();
        let outputs = outputs.into_iter().map(permute).collect();
        let map = Prepared::new(isa, &shape, inputs, outputs, code, Use::Store)?;
        let unit = (UNIT_WEIGHT / map.weight()).next_multiple_of(map.granularity());
        Ok(MapTask { map, unit })
    }
}

impl Task for MapTask {
    fn units(&self) -> usize {
        self.map.total().div_ceil(self.unit)
    }

    fn weight(&self) -> usize {
        self.map.total().saturating_mul(self.map.weight())
    }

    fn scratch_bytes(&self) -> usize {
        self.map.scratch_bytes()
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let start = unit * self.unit;
        let end = (start + self.unit).min(self.map.total());
        // SAFETY: as the caller vouches.
        unsafe { self.map.run(memory, scratch, start, end) };
        Ok(())
    }
}
