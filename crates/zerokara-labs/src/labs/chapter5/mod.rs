//! Chapter 5: backpropagation.

pub(super) mod computational_graph;
pub(super) mod gradient_check;
pub(super) mod layers;
pub(super) mod training;
