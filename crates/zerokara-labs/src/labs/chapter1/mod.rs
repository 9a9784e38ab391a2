//! Chapter 1: from NumPy's arrays to tensors.

pub(super) mod arrays;
