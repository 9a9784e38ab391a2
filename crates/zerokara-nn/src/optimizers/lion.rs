//! Steps of one length for all elements, in the direction of their signs.

use super::{Optimizer, Scalars, optimizer};
use zerokara_core::Tensor;

optimizer!(
    /// Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023):
    /// `p <- p - lr (sign(b1 m + (1 - b1) g) + decay p)`, then `m <- b2 m + (1 - b2) g`. It remembers half of what Adam does. Every
    /// element moves by the learning rate, which for that reason is chosen three to ten times smaller than Adam's, and the decay as
    /// many times larger.
    Lion, "lion",
    {
        beta1: 0.9, beta2: 0.99;
        /// Every step also shrinks the parameters by `learning_rate * weight_decay`.
        weight_decay: 0.0
    },
    ["mean"],
    |own, p, g, state, scalars| {
        let direction = (&state[0] * own.beta1 + g * (1.0 - own.beta1)).sign();
        let mean = &state[0] * own.beta2 + g * (1.0 - own.beta2);
        (p * &scalars[1] - &scalars[0] * direction, vec![mean])
    },
    |own, update, learning_rate| {
        let _ = update;
        [learning_rate, 1.0 - learning_rate * own.weight_decay].into()
    }
);

impl Lion {
    /// The shares of the mean that are kept: for the direction of a step, and from step to step.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }
}
