//! Elementwise code, written line by line: each line gives the number of its value.

use super::prelude::*;

/// The instructions so far.
#[derive(Default)]
pub struct Coder(Vec<Instruction>);

impl Coder {
    /// One more instruction.
    pub fn push(&mut self, instruction: Instruction) -> usize {
        self.0.push(instruction);
        self.0.len() - 1
    }

    /// The element of an input.
    pub fn load(&mut self, input: usize) -> usize {
        self.push(Instruction::Load(input))
    }

    /// A number, rounded to single precision.
    pub fn number(&mut self, number: f64) -> usize {
        self.push(Instruction::Constant(number as f32))
    }

    /// A function of one value.
    pub fn unary(&mut self, function: Unary, x: usize) -> usize {
        self.push(Instruction::Unary(function, x))
    }

    /// A function of two values.
    pub fn binary(&mut self, function: Binary, a: usize, b: usize) -> usize {
        self.push(Instruction::Binary(function, a, b))
    }

    /// A function of a value and a number.
    pub fn with(&mut self, function: Binary, a: usize, number: f64) -> usize {
        let b = self.number(number);
        self.binary(function, a, b)
    }

    /// `if condition { yes } else { no }`
    pub fn select(&mut self, condition: usize, yes: usize, no: usize) -> usize {
        self.push(Instruction::Select { condition, yes, no })
    }

    /// `c[0] x^n + .. + c[n]`
    pub fn polynomial(&mut self, coefficients: &[f64], x: usize) -> usize {
        let (first, rest) = match coefficients {
            [first, rest @ ..] => (*first, rest),
            [] => (0.0, &[][..]),
        };
        let first = self.number(first);
        rest.iter().fold(first, |sum, &c| {
            let product = self.binary(Binary::Multiply, sum, x);
            self.with(Binary::Add, product, c)
        })
    }

    /// `ln(1 + u)`, to full accuracy near 0: what rounding adds to `1 + u` is taken out of the quotient again (Kahan).
    pub fn log_1p(&mut self, u: usize) -> usize {
        let sum = self.with(Binary::Add, u, 1.0);
        let rounded = self.with(Binary::Subtract, sum, 1.0);
        let quotient = self.binary(Binary::Divide, u, rounded);
        // Of a large u the quotient is 1, and of an infinite one it would be NaN.
        let is_large = self.with(Binary::Greater, u, 1e9);
        let one = self.number(1.0);
        let quotient = self.select(is_large, one, quotient);
        let logarithm = self.unary(Unary::Log, sum);
        let product = self.binary(Binary::Multiply, logarithm, quotient);
        let nothing = self.with(Binary::Equal, rounded, 0.0);
        self.select(nothing, u, product)
    }

    /// The code whose result is the last value.
    pub fn kind(self) -> Kind {
        map(self.0)
    }
}
