//! Vectorised CPU kernels, thread pool and plan executor of Zerokara. Slices in, slices out: this crate knows
//! nothing of tensors, and it is the only one with `unsafe` code.

mod access;
mod arg;
pub mod arithmetic;
mod attention;
pub mod code;
pub mod conv;
pub mod executor;
pub mod gemm;
pub mod isa;
pub mod machine;
pub mod map;
pub mod peak;
pub mod plan;
pub mod pooling;
pub mod random;
mod recurrent;
#[cfg(any(test, feature = "testing"))]
pub mod rounding;
mod scratch;
mod share;
pub mod simd;
mod softmax;
pub mod storage;
mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
mod transpose;
mod unroll;

/// Whether the compiler was told to optimise this crate. Without, kernels are some hundred times slower.
pub const OPTIMISED: bool = !cfg!(unoptimised);
