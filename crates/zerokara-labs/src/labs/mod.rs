//! The labs, a folder for each chapter of the book. A lab is a file there, with its explanations beside it (`.en.md`,
//! `.ja.md`), and a line in the list below.

mod beyond;
mod chapter1;
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
pub static LABS: &[&Lab] = &[
    // Chapter 1: from NumPy's arrays to tensors.
    &chapter1::arrays::LAB,
    // Chapter 2: perceptrons.
    &chapter2::perceptron::LAB,
    // Chapter 3: neural networks.
    &chapter3::activations::LAB,
    &chapter3::matrix_network::LAB,
    &chapter3::softmax::LAB,
    &chapter3::mnist::LAB,
    &chapter3::inference::LAB,
    // Chapter 4: learning.
    &chapter4::loss::LAB,
    &chapter4::numerical_differentiation::LAB,
    &chapter4::gradient::LAB,
    &chapter4::network_gradient::LAB,
    // Chapter 5: backpropagation.
    &chapter5::computational_graph::LAB,
    &chapter5::layers::LAB,
    &chapter5::gradient_check::LAB,
    &chapter5::training::LAB,
    // Chapter 6: techniques of learning.
    &chapter6::optimizers::LAB,
    &chapter6::initial_values::LAB,
    &chapter6::batch_norm::LAB,
    &chapter6::overfitting::LAB,
    &chapter6::hyperparameters::LAB,
    // Chapter 7: convolutional networks.
    &chapter7::flattening::LAB,
    &chapter7::convolution::LAB,
    &chapter7::pooling::LAB,
    &chapter7::im2col::LAB,
    &chapter7::simple_convnet::LAB,
    &chapter7::filters::LAB,
    // Chapter 8: deep learning.
    &chapter8::deep_convnet::LAB,
    &chapter8::depth::LAB,
    &chapter8::half_precision::LAB,
    // Beyond the book.
    &beyond::residual::LAB,
    &beyond::embedding::LAB,
    &beyond::saliency::LAB,
    &beyond::landscape::LAB,
    &beyond::recurrent::LAB,
    &beyond::attention::LAB,
    &beyond::gpt::LAB,
];
