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

use crate::code::{Binary, Code, Instruction, Unary};
