//! Elementwise code: a straight line of instructions run over tiles that fit the first-level cache.

mod assembler;
pub(crate) mod compile;
pub(crate) mod functions;
pub(crate) mod kernels;
mod operations;
pub(crate) mod prepare;
pub(crate) mod prepared;
#[cfg(test)]
mod tests;

/// One instruction; the i-th instruction defines value i, and names earlier values by their number.
/// Truth values are 0.0 and 1.0.
#[derive(Clone, Copy, Debug)]
pub enum Instruction {
    /// The element of an input.
    Load(usize),
    /// The same number everywhere.
    Constant(f32),
    /// A function of one value.
    Unary(Unary, usize),
    /// A function of two values.
    Binary(Binary, usize, usize),
    /// `if condition != 0 { yes } else { no }`.
    Select {
        /// Truth value.
        condition: usize,
        /// Taken where it holds.
        yes: usize,
        /// Taken elsewhere.
        no: usize,
    },
}

impl PartialEq for Instruction {
    /// Constants are equal if their bits are: 0 differs from -0, and a NaN is itself.
    fn eq(&self, other: &Self) -> bool {
        use Instruction::*;
        match (*self, *other) {
            (Load(a), Load(b)) => a == b,
            (Constant(a), Constant(b)) => a.to_bits() == b.to_bits(),
            (Unary(f, a), Unary(g, b)) => (f, a) == (g, b),
            (Binary(f, a, b), Binary(g, c, d)) => (f, a, b) == (g, c, d),
            (
                Select { condition, yes, no },
                Select {
                    condition: c,
                    yes: y,
                    no: n,
                },
            ) => (condition, yes, no) == (c, y, n),
            _ => false,
        }
    }
}

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are the functions
pub enum Unary {
    Negate,
    Absolute,
    /// -1, 0 or 1; NaN stays NaN.
    Sign,
    Reciprocal,
    Square,
    Sqrt,
    /// 1 / sqrt(x), exactly rounded steps, no estimate.
    Rsqrt,
    Exp,
    /// e^x - 1, to full accuracy near 0.
    ExpM1,
    Log,
    Sin,
    Cos,
    Tanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// ln(1 + e^x), without overflow.
    Softplus,
    Erf,
    /// 1 - erf(x), to full accuracy where that is small.
    Erfc,
    Floor,
    /// 1 where x is 0, else 0.
    Not,
    /// 1 where x is finite, else 0.
    IsFinite,
}

/// Functions of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are the functions
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// x^y as IEEE `pow`.
    Power,
    /// NaN if either is NaN.
    Maximum,
    /// NaN if either is NaN.
    Minimum,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
}

/// A straight line of instructions.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Code {
    /// The instructions, each defining the value of its own number.
    pub instructions: Vec<Instruction>,
    /// The values that are stored, one for each output.
    pub results: Vec<usize>,
}
