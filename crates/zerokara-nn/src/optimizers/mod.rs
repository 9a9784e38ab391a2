//! Optimizers: how a gradient changes a parameter.
//!
//! An optimizer is a pure formula on tensors. What it remembers of a parameter are state tensors of the parameter's
//! shape; what changes from step to step (the learning rate, bias corrections) are scalars that are computed on the
//! host in double precision and given to the compiled step as inputs.

mod adaptive;
mod schedules;
mod sgd;

pub use adaptive::{AdaGrad, Adam, AdamW, RmsProp};
pub use schedules::Schedule;
pub use sgd::{Momentum, Nesterov, Sgd};

use zerokara_core::Tensor;

/// How a gradient changes a parameter.
pub trait Optimizer: Send + Sync {
    /// The name, as reports show it.
    fn name(&self) -> &'static str;

    /// The learning rate that schedules scale.
    fn learning_rate(&self) -> f64;

    /// The names of the state tensors that each parameter has, with the number that they are filled with at the start.
    fn state(&self) -> Vec<(&'static str, f64)>;

    /// The numbers that [`Optimizer::update`] takes as scalars in update number `update`, counted from 1. There are as
    /// many in every update.
    fn scalars(&self, update: u64, learning_rate: f64) -> Vec<f64>;

    /// The new value of the parameter, and its new state.
    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>);
}

/// `gradient + decay * parameter`: the gradient of the loss with the penalty `decay / 2 * |parameter|^2` (page 193 of
/// the book).
fn decayed(parameter: &Tensor, gradient: &Tensor, decay: f64) -> Tensor {
    if decay == 0.0 {
        gradient.clone()
    } else {
        gradient + parameter * decay
    }
}

/// `weight_decay`, as every optimizer but AdamW has it.
macro_rules! weight_decay {
    ($type:ty) => {
        impl $type {
            /// Adds `decay * parameter` to the gradient: L2 regularization.
            pub fn weight_decay(mut self, decay: f64) -> Self {
                self.weight_decay = decay;
                self
            }
        }
    };
}
use weight_decay;
