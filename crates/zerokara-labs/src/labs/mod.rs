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
    // Chapter 7: convolutional networks.
    &chapter7::flattening::LAB,
    &chapter7::convolution::LAB,
    &chapter7::pooling::LAB,
    &chapter7::im2col::LAB,
    &chapter7::simple_convnet::LAB,
    &chapter7::filters::LAB,
    // Chapter 8: deep learning.
    &chapter8::depth::LAB,
    &chapter8::half_precision::LAB,
    // Beyond the book.
];
