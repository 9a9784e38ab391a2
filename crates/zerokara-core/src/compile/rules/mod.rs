//! Rules on the graph: the same values with less work.

pub mod flatten;
pub mod pooled;
pub mod rewrite;
