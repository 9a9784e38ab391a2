//! Chapter 8: deep learning.

pub(super) mod deep_convnet;
pub(super) mod depth;
pub(super) mod half_precision;
