//! Gradient descent, with and without momentum (pages 168 to 172 of the book).

use super::{Optimizer, decayed, optimizer};
use zerokara_core::Tensor;

optimizer!(
    /// Stochastic gradient descent: `p <- p - lr g`.
    #[doc(alias("SGD", "gradient_descent"))]
    Sgd, "sgd",
    {;
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    [],
    |own, p, g, _state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        (p - &scalars[0] * g, vec![])
    }
);

optimizer!(
    /// Gradient descent with momentum: `v <- m v + g`, `p <- p - lr v`. The book (page 170) keeps `-lr v` instead, which is
    /// the same while the learning rate stays.
    Momentum, "momentum",
    {;
        /// The share of the velocity that is kept from step to step.
        momentum: 0.9,
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    ["velocity"],
    |own, p, g, state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        let v = &state[0] * own.momentum + &g;
        (p - &scalars[0] * &v, vec![v])
    }
);

optimizer!(
    /// Gradient descent with Nesterov's momentum, which looks ahead: `v <- m v + g`, `p <- p - lr (g + m v)`.
    Nesterov, "nesterov",
    {;
        /// The share of the velocity that is kept from step to step.
        momentum: 0.9,
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    ["velocity"],
    |own, p, g, state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        let v = &state[0] * own.momentum + &g;
        (p - &scalars[0] * (&g + &v * own.momentum), vec![v])
    }
);
