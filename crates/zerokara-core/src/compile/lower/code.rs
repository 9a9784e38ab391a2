//! Builds the straight-line code of a fused group, simplifying as it goes.

use crate::compile::fault::{Fault, planted};
use std::collections::HashMap;
use zerokara_kernels::code::{Binary, Code, Instruction, Unary};

/// Code under construction: duplicates are merged, and what is known at compile time is folded.
#[derive(Default)]
pub(super) struct CodeBuilder {
    instructions: Vec<Instruction>,
    known: HashMap<Key, usize>,
}

/// An instruction as a key: constants by their bits.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Load(usize),
    Constant(u32),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Select(usize, usize, usize),
}

impl CodeBuilder {
    pub fn load(&mut self, input: usize) -> usize {
        self.push(Instruction::Load(input))
    }

    pub fn constant(&mut self, value: f32) -> usize {
        let sign = if planted(Fault::NegatesConstants) {
            -1.0
        } else {
            1.0
        };
        self.push(Instruction::Constant(sign * value))
    }

    /// Splices an operation's code in, whose `Load(i)` are the values `arguments[i]`; gives its result.
    pub fn splice(&mut self, code: &Code, arguments: &[usize]) -> usize {
        let mut values = Vec::with_capacity(code.instructions.len());
        for &instruction in &code.instructions {
            let value = match instruction {
                Instruction::Load(i) => arguments[i],
                Instruction::Constant(c) => self.constant(c),
                Instruction::Unary(f, a) => self.unary(f, values[a]),
                Instruction::Binary(f, a, b) => self.binary(f, values[a], values[b]),
                Instruction::Select { condition, yes, no } => {
                    let (yes, no) = if planted(Fault::SwapsSelect) {
                        (no, yes)
                    } else {
                        (yes, no)
                    };
                    self.push(Instruction::Select {
                        condition: values[condition],
                        yes: values[yes],
                        no: values[no],
                    })
                }
            };
            values.push(value);
        }
        code.results.first().map_or(0, |&r| values[r])
    }

    fn constant_at(&self, at: usize) -> Option<f32> {
        match self.instructions[at] {
            Instruction::Constant(c) => Some(c),
            _ => None,
        }
    }

    fn unary(&mut self, f: Unary, a: usize) -> usize {
        match (f, self.constant_at(a)) {
            (Unary::Negate, Some(c)) => self.constant(-c),
            (Unary::Negate, None) => match self.instructions[a] {
                Instruction::Unary(Unary::Negate, x) => x,
                _ => self.push(Instruction::Unary(f, a)),
            },
            _ => self.push(Instruction::Unary(f, a)),
        }
    }

    fn binary(&mut self, f: Binary, a: usize, b: usize) -> usize {
        // Only rewrites that give the same bits: x * 1, x / 1, x - 0 (x + 0 would turn -0 into 0).
        match (f, self.constant_at(a), self.constant_at(b)) {
            (Binary::Multiply | Binary::Divide, _, Some(1.0)) => a,
            (Binary::Multiply, Some(1.0), _) => b,
            (Binary::Multiply, Some(-1.0), _) => self.unary(Unary::Negate, b),
            (Binary::Multiply, _, Some(-1.0)) => self.unary(Unary::Negate, a),
            (Binary::Subtract, _, Some(c))
                if c.to_bits() == 0 || planted(Fault::DropsSubtractedConstant) =>
            {
                a
            }
            (Binary::Add, _, Some(_)) if planted(Fault::DropsAddedConstant) => a,
            (Binary::Add, Some(x), Some(y)) => self.constant(x + y),
            (Binary::Subtract, Some(x), Some(y)) => self.constant(x - y),
            (Binary::Multiply, Some(x), Some(y)) => self.constant(x * y),
            (Binary::Divide, Some(x), Some(y)) => self.constant(x / y),
            _ => self.push(Instruction::Binary(f, a, b)),
        }
    }

    fn push(&mut self, instruction: Instruction) -> usize {
        let key = match instruction {
            Instruction::Load(i) => Key::Load(i),
            Instruction::Constant(c) => Key::Constant(c.to_bits()),
            Instruction::Unary(f, a) => Key::Unary(f, a),
            Instruction::Binary(f, a, b)
                if planted(Fault::MergesOppositeComparisons) && f == Binary::Less =>
            {
                Key::Binary(Binary::Greater, a, b)
            }
            Instruction::Binary(f, a, b) => Key::Binary(f, a, b),
            Instruction::Select { condition, yes, no } => Key::Select(condition, yes, no),
        };
        *self.known.entry(key).or_insert_with(|| {
            self.instructions.push(instruction);
            self.instructions.len() - 1
        })
    }

    /// The code with these results; instructions that no result needs are left out.
    pub fn finish(self, results: &[usize]) -> Code {
        let mut needed = vec![false; self.instructions.len()];
        results.iter().for_each(|&r| needed[r] = true);
        // Operands stand before their users, so one walk from the back marks all.
        for at in (0..self.instructions.len()).rev() {
            if needed[at] {
                mark(&self.instructions[at], &mut needed);
            }
        }
        let mut place = vec![0; self.instructions.len()];
        let mut instructions = Vec::new();
        for (at, instruction) in self.instructions.into_iter().enumerate() {
            if needed[at] {
                place[at] = instructions.len();
                instructions.push(match instruction {
                    Instruction::Unary(f, a) => Instruction::Unary(f, place[a]),
                    Instruction::Binary(f, a, b) => Instruction::Binary(f, place[a], place[b]),
                    Instruction::Select { condition, yes, no } => Instruction::Select {
                        condition: place[condition],
                        yes: place[yes],
                        no: place[no],
                    },
                    leaf => leaf,
                });
            }
        }
        Code {
            instructions,
            results: results.iter().map(|&r| place[r]).collect(),
        }
    }
}

fn mark(instruction: &Instruction, needed: &mut [bool]) {
    match *instruction {
        Instruction::Load(_) | Instruction::Constant(_) => {}
        Instruction::Unary(_, a) => needed[a] = true,
        Instruction::Binary(_, a, b) => [a, b].iter().for_each(|&i| needed[i] = true),
        Instruction::Select { condition, yes, no } => {
            [condition, yes, no].iter().for_each(|&i| needed[i] = true)
        }
    }
}
