//! The operations, one file each: formula, shape rule, gradient, plain loop.
//!
//! Every operation is an elementwise map, a reduction, a view, a contraction, a window or one of a few more kinds
//! (see [`Kind`](crate::op::Kind)); the compiler knows these kinds and never asks which operation it is.

pub(crate) mod along;
pub(crate) mod argmax;
pub(crate) mod arithmetic;
pub(crate) mod avg_pool2d;
pub(crate) mod broadcast;
pub(crate) mod cast;
pub(crate) mod comparison;
pub(crate) mod concat;
pub(crate) mod conv1d;
pub(crate) mod conv2d;
pub(crate) mod conv3d;
pub(crate) mod conv_transpose;
pub(crate) mod cross_entropy;
pub(crate) mod cumsum;
pub(crate) mod elementwise;
pub(crate) mod erf;
pub(crate) mod exp;
pub(crate) mod extremes;
pub(crate) mod fields;
pub(crate) mod fill;
pub(crate) mod gather;
pub(crate) mod gelu;
pub(crate) mod im2col;
pub(crate) mod index_select;
pub(crate) mod indices;
pub(crate) mod leaf;
pub(crate) mod log;
pub(crate) mod log_softmax;
pub(crate) mod logical;
pub(crate) mod loops;
pub(crate) mod mask;
pub(crate) mod matmul;
pub(crate) mod max_pool2d;
pub(crate) mod negate;
pub(crate) mod normalize;
pub(crate) mod one_hot;
pub(crate) mod pad;
pub(crate) mod permute;
pub(crate) mod piecewise;
pub(crate) mod pool;
pub(crate) mod power;
pub(crate) mod prelude;
pub(crate) mod random;
pub(crate) mod rectifiers;
pub(crate) mod reduce;
pub(crate) mod relu;
pub(crate) mod reshape;
pub(crate) mod resize;
pub(crate) mod scalar;
pub(crate) mod sigmoid;
pub(crate) mod slice;
pub(crate) mod sliding;
pub(crate) mod sqrt;
pub(crate) mod stop_gradient;
pub(crate) mod tanh;
pub(crate) mod trigonometric;
pub(crate) mod uniform;
pub(crate) mod variance;
pub(crate) mod where_;

pub use sliding::conv2d_output_size;
