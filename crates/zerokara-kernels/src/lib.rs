//! Vectorised CPU kernels, thread pool and plan executor of Zerokara. Slices in, slices out: this crate knows
//! nothing of tensors, and it is the only one with `unsafe` code.

pub mod conv;
pub mod isa;
pub mod map;
pub mod plan;
pub mod pooling;
pub mod simd;
pub mod storage;
pub mod threads;
