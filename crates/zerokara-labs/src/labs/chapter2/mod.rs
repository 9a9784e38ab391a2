//! Chapter 2: perceptrons.

pub(super) mod perceptron;
