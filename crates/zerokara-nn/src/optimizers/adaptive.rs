//! Optimizers that scale the gradient of each element by its history (pages 172 to 176 of the book).

use super::{Optimizer, decayed, weight_decay};
use zerokara_core::Tensor;

/// AdaGrad (Duchi et al., 2011): `h <- h + g^2`, `p <- p - lr g / (sqrt(h) + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaGrad {
    learning_rate: f64,
    eps: f64,
    weight_decay: f64,
}

impl AdaGrad {
    /// With this learning rate, and eps 1e-10 (the book has 1e-7).
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            eps: 1e-10,
            weight_decay: 0.0,
        }
    }

    /// What is added to the divisor so that it is not 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }
}

weight_decay!(AdaGrad);

impl Optimizer for AdaGrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        vec![("square_sum", 0.0)]
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
        let g = decayed(parameter, gradient, self.weight_decay);
        let sum = &state[0] + &g * &g;
        let new = parameter - &scalars[0] * (g / (sum.sqrt() + self.eps));
        (new, vec![sum])
    }
}

/// RMSprop (Tieleman and Hinton, 2012): `h <- a h + (1 - a) g^2`, `p <- p - lr g / (sqrt(h) + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    learning_rate: f64,
    alpha: f64,
    eps: f64,
    weight_decay: f64,
}

impl RmsProp {
    /// With this learning rate, alpha 0.99 and eps 1e-8.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }

    /// The share of the mean square that is kept from step to step.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// What is added to the divisor so that it is not 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }
}

weight_decay!(RmsProp);

impl Optimizer for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        vec![("square_mean", 0.0)]
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
        let g = decayed(parameter, gradient, self.weight_decay);
        let mean = &state[0] * self.alpha + &g * &g * (1.0 - self.alpha);
        let new = parameter - &scalars[0] * (g / (mean.sqrt() + self.eps));
        (new, vec![mean])
    }
}

/// What Adam and AdamW share.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    learning_rate: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Moments {
    fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        }
    }

    /// `lr / (1 - b1^t)` and `1 / sqrt(1 - b2^t)`: the moments start at 0, which these correct.
    fn scalars(&self, update: u64, learning_rate: f64) -> Vec<f64> {
        let t = update.max(1) as f64;
        vec![
            learning_rate / (1.0 - self.beta1.powf(t)),
            1.0 / (1.0 - self.beta2.powf(t)).sqrt(),
        ]
    }

    fn update(
        &self,
        p: &Tensor,
        g: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let m = &state[0] * self.beta1 + g * (1.0 - self.beta1);
        let v = &state[1] * self.beta2 + g * g * (1.0 - self.beta2);
        let new = p - &scalars[0] * (&m / (v.sqrt() * &scalars[1] + self.eps));
        (new, vec![m, v])
    }
}

macro_rules! adam {
    ($type:ident, $decay:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type {
            moments: Moments,
            weight_decay: f64,
        }

        impl $type {
            #[doc = concat!("With this learning rate, betas 0.9 and 0.999, eps 1e-8, and weight decay ", stringify!($decay), ".")]
            pub fn new(learning_rate: f64) -> Self {
                Self {
                    moments: Moments::new(learning_rate),
                    weight_decay: $decay,
                }
            }

            /// The shares of the mean and of the mean square that are kept from step to step.
            pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
                (self.moments.beta1, self.moments.beta2) = (beta1, beta2);
                self
            }

            /// What is added to the divisor so that it is not 0.
            pub fn eps(mut self, eps: f64) -> Self {
                self.moments.eps = eps;
                self
            }
        }
    };
}

adam!(
    Adam,
    0.0,
    "Adam (Kingma and Ba, 2015; page 174 of the book): `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`, \
     `p <- p - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)`."
);
adam!(
    AdamW,
    0.01,
    "Adam with decoupled weight decay (Loshchilov and Hutter, 2019): `p <- (1 - lr decay) p` before Adam's update, \
     instead of a term in the gradient."
);

weight_decay!(Adam);

impl AdamW {
    /// Every step first shrinks the parameters by `learning_rate * decay`.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn learning_rate(&self) -> f64 {
        self.moments.learning_rate
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        vec![("mean", 0.0), ("square_mean", 0.0)]
    }

    fn scalars(&self, update: u64, learning_rate: f64) -> Vec<f64> {
        self.moments.scalars(update, learning_rate)
    }

    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let g = decayed(parameter, gradient, self.weight_decay);
        self.moments.update(parameter, &g, state, scalars)
    }
}

impl Optimizer for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn learning_rate(&self) -> f64 {
        self.moments.learning_rate
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        vec![("mean", 0.0), ("square_mean", 0.0)]
    }

    fn scalars(&self, update: u64, learning_rate: f64) -> Vec<f64> {
        let mut scalars = self.moments.scalars(update, learning_rate);
        scalars.push(1.0 - learning_rate * self.weight_decay);
        scalars
    }

    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let shrunk = parameter * &scalars[2];
        self.moments.update(&shrunk, gradient, state, scalars)
    }
}
