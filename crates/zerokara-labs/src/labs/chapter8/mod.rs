//! Chapter 8: deep learning.

pub(super) mod depth;
pub(super) mod half_precision;
