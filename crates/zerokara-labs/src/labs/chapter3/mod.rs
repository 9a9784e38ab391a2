//! Chapter 3: neural networks.

pub(super) mod softmax;
