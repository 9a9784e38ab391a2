//! Copies that exchange axes, such as from channels-last to channels-first.

use super::{Task, parts_of_unit};
use crate::{
    access::{Access, Memory, merge_axes},
    isa::Isa,
    transpose::transpose,
};

/// Work for one element, in tenths of a nanosecond.
const WEIGHT: usize = 10;

/// Longer columns are cut, so that few long ones are units enough for all threads.
const MOST_ROWS: usize = 8000;

/// A copy between an input that is dense on one axis and an output that is dense on another.
pub(crate) struct TransposeTask {
    isa: Isa,
    /// The axes besides the two, slowest first: (length, input's stride, output's stride).
    outer: Vec<(usize, isize, isize)>,
    /// Length of the output's dense axis, and the input's stride on it.
    rows: (usize, isize),
    /// Length of the input's dense axis, and the output's stride on it.
    columns: (usize, isize),
    /// Rows and columns of one unit.
    block: (usize, usize),
    input: Access,
    output: Access,
}

impl TransposeTask {
    /// None if the two are dense on the same axis, or on none.
    pub(crate) fn new(
        isa: Isa,
        shape: &[usize],
        input: &Access,
        output: &Access,
    ) -> Option<TransposeTask> {
        let mut both = [input.clone(), output.clone()];
        let (shape, _) = merge_axes(shape, &mut both, |_, _| true);
        let [input, output] = both;
        let dense = |access: &Access| access.strides.iter().position(|&s| s == 1);
        let (j, i) = (dense(&input)?, dense(&output)?);
        if i == j || input.strides[i] == 0 || shape[i] < 4 || shape[j] < 4 {
            return None;
        }
        let outer = (0..shape.len()).filter(|&axis| axis != i && axis != j);
        let outer = outer.map(|axis| (shape[axis], input.strides[axis], output.strides[axis]));
        let rows = shape[i].min(MOST_ROWS);
        let block = (rows, parts_of_unit(WEIGHT * rows).next_multiple_of(16));
        Some(TransposeTask {
            isa,
            outer: outer.collect(),
            rows: (shape[i], input.strides[i]),
            columns: (shape[j], output.strides[j]),
            block,
            input,
            output,
        })
    }

    /// Blocks of a matrix, along its rows and its columns.
    fn blocks(&self) -> (usize, usize) {
        let (rows, columns) = self.block;
        (self.rows.0.div_ceil(rows), self.columns.0.div_ceil(columns))
    }

    fn matrices(&self) -> usize {
        self.outer.iter().map(|&(length, ..)| length).product()
    }
}

impl Task for TransposeTask {
    fn units(&self) -> usize {
        let (rows, columns) = self.blocks();
        self.matrices() * rows * columns
    }

    fn weight(&self) -> usize {
        self.matrices() * self.rows.0 * self.columns.0 * WEIGHT
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let blocks = self.blocks();
        let column = unit % blocks.1 * self.block.1;
        let row = unit / blocks.1 % blocks.0 * self.block.0;
        let mut matrix = unit / blocks.1 / blocks.0;
        let columns = self.block.1.min(self.columns.0 - column);
        let rows = self.block.0.min(self.rows.0 - row);
        let mut from = column as isize + row as isize * self.rows.1;
        let mut to = row as isize + column as isize * self.columns.1;
        for &(length, input, output) in self.outer.iter().rev() {
            let index = (matrix % length) as isize;
            matrix /= length;
            from += index * input;
            to += index * output;
        }
        // SAFETY: both views cover the shape.
        unsafe {
            let from = memory.f32s(&self.input).offset(from);
            let to = memory.f32s(&self.output).offset(to);
            transpose(
                self.isa,
                rows,
                columns,
                from,
                self.rows.1,
                to,
                self.columns.1,
            );
        }
        Ok(())
    }
}
