//! What the files of operations use.

pub(crate) use super::{
    fields::{attributes, words},
    loops,
};
pub(crate) use crate::{
    Array, Attributes, DType, Meta, Tensor, infer,
    op::{Call, Gradient, Kind, Op, binary, map, unary},
    shape,
};
pub(crate) use zerokara_kernels::code::{Binary, Instruction, Unary};
