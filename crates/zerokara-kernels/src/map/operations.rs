//! What elementwise code is made of when its values have places: calls of kernels.

use super::{Binary, Unary, kernels::Kernel};

/// What an operation computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    Unary(Unary),
    Binary(Binary),
    Select,
    /// One number to all places.
    Splat,
    Copy,
    /// Bytes to numbers.
    Widen,
}

/// One kernel call; operands are numbers of slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) op: Op,
    pub(super) kernel: Kernel,
    pub(super) to: u32,
    pub(super) from: [u32; 3],
}
