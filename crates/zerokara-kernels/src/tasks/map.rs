//! Elementwise steps.

use super::{Task, parts_of_unit};
use crate::{
    access::{Access, Memory},
    code::{Code, Instruction},
    isa::Isa,
    map::{
        compile::Compiler,
        prepared::{Prepared, Use},
    },
    plan::Element,
};

/// A [`MapStep`](crate::plan::MapStep), cut into ranges of its flattened space.
pub(crate) struct MapTask {
    map: Prepared,
    /// A truth value that is the same everywhere, and what to run instead where it does not hold.
    otherwise: Option<(Access, Prepared)>,
    unit: usize,
}

/// A truth value by which the code chooses, the same for all elements: which input it is.
fn condition(code: &Code, inputs: &[Access]) -> Option<usize> {
    code.instructions.iter().find_map(|instruction| {
        let Instruction::Select { condition, .. } = *instruction else {
            return None;
        };
        match code.instructions[condition] {
            Instruction::Load(i) if inputs[i].is_uniform() => Some(i),
            _ => None,
        }
    })
}

/// The code where input `known` is true, or false: what was chosen by it is no more a choice.
fn decided(code: &Code, known: usize, truth: bool) -> Code {
    // What to name instead of each value.
    let mut named: Vec<usize> = Vec::with_capacity(code.instructions.len());
    let mut instructions = code.instructions.clone();
    for (number, instruction) in instructions.iter_mut().enumerate() {
        let mut own = number;
        match instruction {
            Instruction::Load(_) | Instruction::Constant(_) => {}
            Instruction::Unary(_, x) => *x = named[*x],
            Instruction::Binary(_, x, y) => (*x, *y) = (named[*x], named[*y]),
            Instruction::Select { condition, yes, no } => {
                (*condition, *yes, *no) = (named[*condition], named[*yes], named[*no]);
                if code.instructions[*condition] == Instruction::Load(known) {
                    own = if truth { *yes } else { *no };
                }
            }
        }
        named.push(own);
    }
    let results = code.results.iter().map(|&r| named[r]).collect();
    Code {
        instructions,
        results,
    }
}

impl MapTask {
    pub(crate) fn new(
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
        let inputs: Vec<Access> = inputs.into_iter().map(permute).collect();
        let outputs: Vec<Access> = outputs.into_iter().map(permute).collect();
        let prepare = |code: &Code| {
            let (inputs, outputs) = (inputs.clone(), outputs.clone());
            Prepared::new(isa, &shape, inputs, outputs, code, Use::Store)
        };
        let (map, otherwise) = match condition(code, &inputs) {
            Some(known) => {
                let otherwise = prepare(&decided(code, known, false))?;
                let map = prepare(&decided(code, known, true))?;
                (map, Some((inputs[known].clone(), otherwise)))
            }
            None => (prepare(code)?, None),
        };
        let unit = parts_of_unit(map.weight()).next_multiple_of(map.granularity());
        Ok(MapTask {
            map,
            otherwise,
            unit,
        })
    }
}

/// Whether a truth value holds.
///
/// # Safety
/// The view was checked, and is of one element.
unsafe fn holds(memory: Memory<'_>, condition: &Access) -> bool {
    // SAFETY: as the caller vouches.
    unsafe {
        match condition.element {
            Element::U8 | Element::Bool => *memory.at(condition) != 0,
            _ => *memory.f32s(condition) != 0.0,
        }
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
        let otherwise = self.otherwise.iter().map(|(_, map)| map.scratch_bytes());
        otherwise.fold(self.map.scratch_bytes(), usize::max)
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        self.map.compile(compiler);
        if let Some((_, map)) = &mut self.otherwise {
            map.compile(compiler);
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let start = unit * self.unit;
        let end = (start + self.unit).min(self.map.total());
        // SAFETY: as the caller vouches; the condition has one element.
        unsafe {
            let map = match &self.otherwise {
                Some((condition, otherwise)) if !holds(memory, condition) => otherwise,
                _ => &self.map,
            };
            map.run(memory, scratch, start, end);
        }
        Ok(())
    }
}
