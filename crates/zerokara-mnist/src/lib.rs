//! The MNIST data set, compressed, inside the crate.
