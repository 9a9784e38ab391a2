//! Vectorised CPU kernels, thread pool and plan executor of Zerokara. Slices in, slices out: this crate knows
//! nothing of tensors, and it is the only one with `unsafe` code.

mod access;
pub mod conv;
pub mod executor;
pub mod isa;
pub mod map;
pub mod plan;
pub mod pooling;
mod reduce;
pub mod simd;
pub mod storage;
pub mod threads;
