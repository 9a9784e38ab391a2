//! Rules on steps.

pub mod conv_pool;
pub mod slices;
pub mod windows;
