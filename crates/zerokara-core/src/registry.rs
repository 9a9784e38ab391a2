//! The table of operations: a name and attributes give the operation back. Saved models, tests and documents read it.

use crate::ops::*;
use crate::{Attributes, Error, Tensor, op::Op};
use std::sync::Arc;

/// An operation's entry.
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// The operation with these attributes.
    pub build: fn(&Attributes) -> Result<Arc<dyn Op>, String>,
}

/// One line per operation: `name => constructor(attributes)`.
macro_rules! registry {
    ($($name:literal => |$attributes:ident| $build:expr;)*) => {
        /// All operations, sorted by name.
        pub static REGISTRY: &[Entry] = &[$(Entry {
            name: $name,
            build: |$attributes| Ok(Arc::new($build)),
        }),*];
    };
}

registry! {
    "abs" => |_a| piecewise::Abs;
    "add" => |_a| arithmetic::Add;
    "argmax" => |a| argmax::ArgReduce::from_attributes(false, a)?;
    "argmin" => |a| argmax::ArgReduce::from_attributes(true, a)?;
    "avg_pool2d" => |a| avg_pool2d::AvgPool2d::from_attributes(a)?;
    "avg_pool2d_gradient" => |a| avg_pool2d::AvgPool2dGradient::from_attributes(a)?;
    "batch_norm" => |a| normalize::BatchNorm::from_attributes(a)?;
    "broadcast" => |a| broadcast::Broadcast::from_attributes(a)?;
    "cast" => |a| cast::Cast::from_attributes(a)?;
    "clamp" => |a| extremes::Clamp::from_attributes(a)?;
    "col2im" => |a| im2col::Col2im::from_attributes(a)?;
    "concat" => |a| concat::Concat::from_attributes(a)?;
    "conv2d" => |a| conv2d::Conv2d::from_attributes(a)?;
    "conv2d_input_gradient" => |a| conv2d::Conv2dInputGradient::from_attributes(a)?;
    "conv2d_weight_gradient" => |a| conv2d::Conv2dWeightGradient::from_attributes(a)?;
    "cos" => |_a| trigonometric::Cos;
    "cross_entropy" => |a| cross_entropy::CrossEntropy::from_attributes(a)?;
    "cumsum" => |a| cumsum::Cumsum::from_attributes(a)?;
    "divide" => |_a| arithmetic::Divide;
    "elu" => |a| rectifiers::Elu::from_attributes(a)?;
    "equal" => |_a| comparison::Equal;
    "erf" => |_a| erf::Erf;
    "erfc" => |_a| erf::Erfc;
    "exp" => |_a| exp::Exp;
    "fill" => |a| fill::Fill::from_attributes(a)?;
    "floor" => |_a| piecewise::Floor;
    "gather" => |a| gather::Gather::from_attributes(a)?;
    "gelu" => |_a| gelu::Gelu;
    "gelu_tanh" => |_a| gelu::GeluTanh;
    "greater" => |_a| comparison::Greater;
    "greater_equal" => |_a| comparison::GreaterEqual;
    "im2col" => |a| im2col::Im2col::from_attributes(a)?;
    "index_add" => |a| index_select::IndexAdd::from_attributes(a)?;
    "index_select" => |a| index_select::IndexSelect::from_attributes(a)?;
    "is_finite" => |_a| logical::IsFinite;
    "layer_norm" => |a| normalize::LayerNorm::from_attributes(a)?;
    "leaky_relu" => |a| rectifiers::LeakyRelu::from_attributes(a)?;
    "less" => |_a| comparison::Less;
    "less_equal" => |_a| comparison::LessEqual;
    "log" => |_a| log::Log;
    "log_softmax" => |_a| log_softmax::Softmax { log: true };
    "logical_and" => |_a| logical::Logical { or: false };
    "logical_not" => |_a| logical::LogicalNot;
    "logical_or" => |_a| logical::Logical { or: true };
    "matmul" => |_a| matmul::MatMul;
    "max" => |a| reduce::Reduce::from_attributes(reduce::Combine::Max, a)?;
    "max_pool2d" => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Forward, a)?;
    "max_pool2d_gradient" => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Gradient, a)?;
    "max_pool2d_select" => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Select, a)?;
    "maximum" => |_a| extremes::Maximum;
    "mean" => |a| reduce::Mean::from_attributes(a)?;
    "min" => |a| reduce::Reduce::from_attributes(reduce::Combine::Min, a)?;
    "minimum" => |_a| extremes::Minimum;
    "multiply" => |_a| arithmetic::Multiply;
    "negate" => |_a| negate::Negate;
    "not_equal" => |_a| comparison::NotEqual;
    "one_hot" => |a| one_hot::OneHot::from_attributes(a)?;
    "pad" => |a| pad::Pad::from_attributes(a)?;
    "permute" => |a| permute::Permute::from_attributes(a)?;
    "pow" => |_a| power::Pow;
    "powf" => |a| power::Powf::from_attributes(a)?;
    "reciprocal" => |_a| power::Reciprocal;
    "relu" => |_a| relu::Relu;
    "reshape" => |a| reshape::Reshape::from_attributes(a)?;
    "rsqrt" => |_a| power::Rsqrt;
    "scatter_add" => |a| gather::ScatterAdd::from_attributes(a)?;
    "sigmoid" => |_a| sigmoid::Sigmoid;
    "sign" => |_a| piecewise::Sign;
    "silu" => |_a| gelu::Silu;
    "sin" => |_a| trigonometric::Sin;
    "slice" => |a| slice::Slice::from_attributes(a)?;
    "softmax" => |_a| log_softmax::Softmax { log: false };
    "softplus" => |_a| rectifiers::Softplus;
    "sqrt" => |_a| sqrt::Sqrt;
    "square" => |_a| power::Square;
    "step" => |_a| piecewise::Step;
    "stop_gradient" => |_a| stop_gradient::StopGradient;
    "subtract" => |_a| arithmetic::Subtract;
    "sum" => |a| reduce::Reduce::from_attributes(reduce::Combine::Sum, a)?;
    "tanh" => |_a| tanh::Tanh;
    "uniform" => |a| uniform::Uniform::from_attributes(a)?;
    "var" => |a| variance::Variance::from_attributes(a)?;
    "where" => |_a| where_::Where;
}

/// The operation of this name with these attributes.
///
/// # Errors
/// If there is no such operation, or an attribute is missing or wrong.
pub fn build(name: &str, attributes: &Attributes) -> Result<Arc<dyn Op>, String> {
    match REGISTRY.binary_search_by_key(&name, |entry| entry.name) {
        Ok(at) => (REGISTRY[at].build)(attributes).map_err(|e| format!("operation {name}: {e}")),
        Err(_) => Err(format!("there is no operation named {name}")),
    }
}

/// The operation of this name with these attributes, applied to tensors: an invalid tensor if there is no such
/// operation or it cannot apply.
#[doc(hidden)]
#[track_caller]
pub fn apply(name: &str, attributes: &Attributes, inputs: &[Tensor]) -> Tensor {
    match build(name, attributes) {
        Ok(op) => Tensor::apply_shared(op, inputs.to_vec()),
        Err(reason) => Tensor::invalid(Error::new(reason)),
    }
}
