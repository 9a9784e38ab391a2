//! The table of operations: a name and attributes give the operation back. Saved models, tests and documents read it.

use crate::ops::{
    argmax, arithmetic, broadcast, cast, comparison, conv2d, exp, fill, log, log_softmax, matmul,
    max_pool2d, negate, one_hot, permute, reduce, relu, reshape, sigmoid, sqrt, stop_gradient,
    tanh, uniform, where_,
};
use crate::{Attributes, op::Op};
use std::sync::Arc;
use zerokara_kernels::plan::Reduction;

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
    "add" => |_a| arithmetic::Add;
    "argmax" => |a| argmax::ArgReduce::from_attributes(false, a)?;
    "argmin" => |a| argmax::ArgReduce::from_attributes(true, a)?;
    "broadcast" => |a| broadcast::Broadcast::from_attributes(a)?;
    "cast" => |a| cast::Cast::from_attributes(a)?;
    "conv2d" => |a| conv2d::Conv2d::from_attributes(a)?;
    "conv2d_input_gradient" => |a| conv2d::Conv2dInputGradient::from_attributes(a)?;
    "conv2d_weight_gradient" => |a| conv2d::Conv2dWeightGradient::from_attributes(a)?;
    "divide" => |_a| arithmetic::Divide;
    "equal" => |_a| comparison::Equal;
    "exp" => |_a| exp::Exp;
    "fill" => |a| fill::Fill::from_attributes(a)?;
    "greater" => |_a| comparison::Greater;
    "greater_equal" => |_a| comparison::GreaterEqual;
    "less" => |_a| comparison::Less;
    "less_equal" => |_a| comparison::LessEqual;
    "log" => |_a| log::Log;
    "log_softmax" => |_a| log_softmax::Softmax { log: true };
    "matmul" => |_a| matmul::MatMul;
    "max" => |a| reduce::Reduce::from_attributes(Reduction::Max, a)?;
    "max_pool2d" => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Forward, a)?;
    "max_pool2d_gradient" => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Gradient, a)?;
    "max_pool2d_select" => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Select, a)?;
    "mean" => |a| reduce::Mean::from_attributes(a)?;
    "min" => |a| reduce::Reduce::from_attributes(Reduction::Min, a)?;
    "multiply" => |_a| arithmetic::Multiply;
    "negate" => |_a| negate::Negate;
    "not_equal" => |_a| comparison::NotEqual;
    "one_hot" => |a| one_hot::OneHot::from_attributes(a)?;
    "permute" => |a| permute::Permute::from_attributes(a)?;
    "relu" => |_a| relu::Relu;
    "reshape" => |a| reshape::Reshape::from_attributes(a)?;
    "sigmoid" => |_a| sigmoid::Sigmoid;
    "softmax" => |_a| log_softmax::Softmax { log: false };
    "sqrt" => |_a| sqrt::Sqrt;
    "stop_gradient" => |_a| stop_gradient::StopGradient;
    "subtract" => |_a| arithmetic::Subtract;
    "sum" => |a| reduce::Reduce::from_attributes(Reduction::Sum, a)?;
    "tanh" => |_a| tanh::Tanh;
    "uniform" => |a| uniform::Uniform::from_attributes(a)?;
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
