//! Tensors, gradients, compiler and interpreter of Zerokara.
//!
//! A [`Tensor`] is a cheap handle on a node of a lazy computational graph. [`grad()`] walks the graph backwards and
//! gives a graph again. Looking at a tensor compiles and runs what it needs.

mod array;
mod attributes;
mod compile;
mod display;
mod error;
pub mod grad;
pub mod gradient_check;
mod graph;
mod infer;
pub mod interpreter;
mod limits;
mod named;
pub mod op;
mod ops;
mod parameter;
mod printable;
mod program;
pub mod record;
pub mod registry;
mod runtime;
pub mod scope;
pub mod shape;
mod signature;
mod tensor;

pub use array::{Array, Scalar};
pub use attributes::{Attribute, Attributes};
pub use compile::{Label, Part};
pub use error::{Error, Result};
pub use grad::{grad, gradients, value_and_grad};
pub use interpreter::{Interpreter, Precision, interpret};
pub use limits::Budget;
pub use named::{Arrays, Metas, Named, Tensors};
pub use ops::{
    Blocks, Fourier, Labels, LossReduction, Reducer, Suppression, Unique,
    attention::AttentionOptions, conv2d_output_size, same_padding,
};
pub use parameter::Parameter;
pub use printable::printable;
pub use program::{Program, Runner, StepTime, StepTimes, eval, eval_in, plan_text};
pub use runtime::Runtime;
pub use shape::Meta;
pub use signature::{Axis, Port, Signature};
pub use tensor::{NodeView, Tensor};
#[cfg(feature = "testing")]
pub use zerokara_kernels::testing;
pub use zerokara_kernels::{
    isa::Isa,
    plan::Arithmetic,
    plan::{Element as DType, Elements, ElementsMut},
};
