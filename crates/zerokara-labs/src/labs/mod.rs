//! The labs, a folder for each chapter of the book. A lab is a file there, with its explanations beside it (`.en.md`,
//! `.ja.md`), and a line in the list below.

mod beyond;
mod chapter2;
mod chapter3;
mod chapter4;
mod chapter5;
mod chapter6;
mod chapter7;
mod chapter8;

use crate::Lab;

/// All labs, in the order of the book.
#[rustfmt::skip]
pub const LABS: &[&Lab] = &[
    // Chapter 2: perceptrons.
    // Chapter 3: neural networks.
    &chapter3::softmax::LAB,
    // Chapter 4: learning.
    // Chapter 5: backpropagation.
    // Chapter 6: techniques of learning.
    &chapter6::optimizers::LAB,
    &chapter6::initial_values::LAB,
    &chapter6::batch_norm::LAB,
    &chapter6::overfitting::LAB,
    &chapter6::hyperparameters::LAB,
    // Chapter 7: convolutional networks.
    // Chapter 8: deep learning.
    // Beyond the book.
];
