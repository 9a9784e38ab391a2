//! Chapter 6: techniques of learning.

pub(super) mod batch_norm;
pub(super) mod hyperparameters;
pub(super) mod initial_values;
pub(super) mod optimizers;
pub(super) mod overfitting;
