//! Deep learning from zero: train, inspect and ship neural networks.
