//! The description of a machine.

use crate::isa::Isa;

/// A machine as choices see it: which algorithm, how work is cut, how operands are packed, what a plan looks like.
///
/// A choice asks this value and the shapes, and never the CPU that it happens to run on: so the plan of a machine is the
/// same wherever it is made, and can be tested wherever its code, or the twin of its code, runs. What a choice wants to know
/// beyond this (the sizes of caches, what an operation costs) is to become a field here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// The instruction set; that which a twin stands for.
    pub isa: Isa,
    /// Numbers in a vector.
    pub lanes: usize,
    /// Vectors that fit in registers at once.
    pub registers: usize,
    /// Whether there may be products of bf16 in pairs of vectors: an instruction, or portable code that does the same. A
    /// CPU need not have the instruction; [`Arithmetic::check`](crate::plan::Arithmetic::check) tells.
    pub bf16: bool,
}

impl Machine {
    /// That of an instruction set. A twin has the description of what it stands for.
    pub const fn of(isa: Isa) -> Machine {
        let isa = isa.stands_for();
        let (lanes, registers, bf16) = match isa {
            // Sixteen 128-bit registers on the oldest x86-64 hold eight vectors of 8.
            Isa::Portable => (8, 8, true),
            Isa::Avx2 => (8, 16, false),
            _ => (16, 32, true),
        };
        Machine {
            isa,
            lanes,
            registers,
            bf16,
        }
    }

    /// Those of all instruction sets.
    pub fn all() -> impl Iterator<Item = Machine> {
        Isa::ALL.into_iter().map(Machine::of)
    }
}
