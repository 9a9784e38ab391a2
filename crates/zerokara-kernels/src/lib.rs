//! Vectorised CPU kernels, thread pool and plan executor of Zerokara. Slices in, slices out: this crate knows
//! nothing of tensors, and it is the only one with `unsafe` code.

mod access;
pub mod arithmetic;
pub mod conv;
mod cost;
pub mod executor;
mod gather;
pub mod gemm;
pub mod isa;
pub mod machine;
pub mod map;
pub mod padding;
pub mod peak;
pub mod plan;
pub mod pooling;
pub mod random;
mod reduce;
#[cfg(any(test, feature = "testing"))]
pub mod rounding;
mod share;
pub mod simd;
mod softmax;
pub mod storage;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
mod transpose;
mod unroll;

/// Whether the compiler was told to optimise this crate. Without, kernels are some hundred times slower.
pub const OPTIMISED: bool = !cfg!(unoptimised);
