//! Chapter 8: deep learning.

pub(super) mod deep_convnet;
