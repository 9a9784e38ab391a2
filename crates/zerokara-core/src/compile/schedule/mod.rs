//! What runs together, and in which order.

pub mod fusion;
pub mod recompute;
mod times;
