//! Gradient descent, with and without momentum (pages 168 to 172 of the book).

use super::{Optimizer, decayed, weight_decay};
use zerokara_core::Tensor;

/// Stochastic gradient descent: `p <- p - lr g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    learning_rate: f64,
    weight_decay: f64,
}

impl Sgd {
    /// With this learning rate.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            weight_decay: 0.0,
        }
    }
}

weight_decay!(Sgd);

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn scalars(&self, _: u64, learning_rate: f64) -> Vec<f64> {
        vec![learning_rate]
    }

    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        _: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let g = decayed(parameter, gradient, self.weight_decay);
        (parameter - &scalars[0] * g, Vec::new())
    }
}

macro_rules! momentum {
    ($type:ident, $name:literal, $doc:literal, |$velocity:ident, $g:ident, $momentum:ident| $direction:expr) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type {
            learning_rate: f64,
            momentum: f64,
            weight_decay: f64,
        }

        impl $type {
            /// With this learning rate, and momentum 0.9.
            pub fn new(learning_rate: f64) -> Self {
                Self {
                    learning_rate,
                    momentum: 0.9,
                    weight_decay: 0.0,
                }
            }

            /// The share of the velocity that is kept from step to step.
            pub fn momentum(mut self, momentum: f64) -> Self {
                self.momentum = momentum;
                self
            }
        }

        weight_decay!($type);

        impl Optimizer for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn state(&self) -> Vec<(&'static str, f64)> {
                vec![("velocity", 0.0)]
            }

            fn scalars(&self, _: u64, learning_rate: f64) -> Vec<f64> {
                vec![learning_rate]
            }

            fn update(
                &self,
                parameter: &Tensor,
                gradient: &Tensor,
                state: &[Tensor],
                scalars: &[Tensor],
            ) -> (Tensor, Vec<Tensor>) {
                let $g = decayed(parameter, gradient, self.weight_decay);
                let $momentum = self.momentum;
                let $velocity = &state[0] * $momentum + &$g;
                let new = parameter - &scalars[0] * $direction;
                (new, vec![$velocity])
            }
        }
    };
}

momentum!(
    Momentum,
    "momentum",
    "Gradient descent with momentum: `v <- m v + g`, `p <- p - lr v`. The book (page 170) keeps `-lr v` instead, which \
     is the same while the learning rate stays.",
    |velocity, g, momentum| &velocity
);
momentum!(
    Nesterov,
    "nesterov",
    "Gradient descent with Nesterov's momentum, which looks ahead: `v <- m v + g`, `p <- p - lr (g + m v)`.",
    |velocity, g, momentum| (&g + &velocity * momentum)
);
