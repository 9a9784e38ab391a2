//! Layers, losses, optimizers and models of Zerokara.
//!
//! A model is a struct of layers, or a [`Sequential`] of them. It is built once, on a sample that tells the sizes of
//! inputs; from then on it can be applied, trained, saved.
//!
//! ```
//! use zerokara_core::{DType, Meta, Tensor};
//! use zerokara_nn::{Context, Forward, Module, Sequential};
//!
//! let model = Sequential::new().conv2d(4, 3).relu().max_pool2d(2).flatten().linear(10);
//! model.build(&Meta::new([1, 1, 8, 8], DType::F32), 1)?;
//! let logits = model.forward(&Tensor::zeros([5, 1, 8, 8]), &mut Context::evaluate());
//! assert_eq!(logits.shape()?, [5, 10]);
//! assert_eq!(model.named_parameters()?[0].0, "conv1.weight");
//! # Ok::<(), zerokara_core::Error>(())
//! ```

extern crate self as zerokara_nn;

mod activation;
mod bounds;
mod clipping;
mod context;
mod eval_step;
mod finite;
mod given;
mod graph_module;
mod initializers;
mod key;
pub mod layers;
pub mod losses;
pub mod metrics;
mod model;
pub mod models;
mod module;
mod nonfinite;
pub mod optimizers;
mod place;
pub mod record;
mod replay;
mod slot;
mod stream;
mod summary;
pub mod tasks;
mod train_step;

pub use activation::Activation;
pub use clipping::{Clipping, check_penalty};
pub use context::{Context, Mode};
pub use eval_step::{EvalOutput, EvalStep, Predictor, is_answer};
pub use given::Given;
pub use graph_module::GraphModule;
pub use initializers::Initializer;
pub use key::stream_key;
pub use layers::*;
pub use losses::{
    BinaryCrossEntropy, CosineEmbedding, Ctc, Huber, KullbackLeibler, Loss, MeanAbsoluteError,
    MeanSquaredError, NegativeLogLikelihood, SoftmaxCrossEntropy, TokenCrossEntropy, TripletMargin,
};
pub use model::Model;
pub use module::{Forward, Module, Part, Sample, Visitor};
pub use nonfinite::NonFinite;
pub use optimizers::*;
pub use place::Place;
pub use slot::ParameterSlot;
pub use stream::Stream;
pub use summary::{Summary, SummaryRow};
pub use tasks::{Answer, Goal, Measure, Task, Totals};
pub use train_step::{GradientOutput, StepOutput, TrainStep, groups::ParameterGroup};
pub use zerokara_derive::Module;
