//! Chapter 3: neural networks.

pub(super) mod activations;
pub(super) mod inference;
pub(super) mod matrix_network;
pub(super) mod mnist;
pub(super) mod softmax;
