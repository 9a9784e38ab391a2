//! Chapter 7: convolutional networks.

pub(super) mod convolution;
pub(super) mod filters;
pub(super) mod flattening;
pub(super) mod im2col;
pub(super) mod pooling;
pub(super) mod simple_convnet;
