//! Softmax of rows.

use super::{Task, parts_of_unit};
use crate::{
    access::{Access, Memory},
    isa::Isa,
    softmax::softmax,
};

/// A [`SoftmaxStep`](crate::plan::SoftmaxStep) made ready.
pub(crate) struct SoftmaxTask {
    pub(crate) isa: Isa,
    pub(crate) log: bool,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) input: Access,
    pub(crate) output: Access,
}

impl SoftmaxTask {
    fn row_weight(&self) -> usize {
        60 + 14 * self.columns
    }

    fn unit_rows(&self) -> usize {
        parts_of_unit(self.row_weight())
    }
}

impl Task for SoftmaxTask {
    fn units(&self) -> usize {
        if self.columns == 0 {
            0
        } else {
            self.rows.div_ceil(self.unit_rows())
        }
    }

    fn weight(&self) -> usize {
        self.rows.saturating_mul(self.row_weight())
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let first = unit * self.unit_rows();
        let rows = self.unit_rows().min(self.rows - first);
        // SAFETY: both views are dense and hold these rows.
        unsafe {
            let x = memory.f32s(&self.input).add(first * self.columns);
            let y = memory.f32s(&self.output).add(first * self.columns);
            softmax(self.isa, x, y, rows, self.columns, self.log);
        }
        Ok(())
    }
}
