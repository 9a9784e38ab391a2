//! Optimizers that scale the gradient of each element by its history (pages 172 to 176 of the book).

use super::{Optimizer, Scalars, decayed, optimizer};
use zerokara_core::Tensor;

optimizer!(
    /// AdaGrad (Duchi et al., 2011): `h <- h + g^2`, `p <- p - lr g / (sqrt(h) + eps)`.
    AdaGrad, "adagrad",
    {;
        /// What is added to the divisor so that it is not 0 (the book has 1e-7).
        eps: 1e-10,
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    ["square_sum"],
    |own, p, g, state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        let sum = &state[0] + &g * &g;
        (p - &scalars[0] * (g / (sum.sqrt() + own.eps)), vec![sum])
    }
);

optimizer!(
    /// RMSprop (Tieleman and Hinton, 2012): `h <- a h + (1 - a) g^2`, `p <- p - lr g / (sqrt(h) + eps)`.
    #[doc(alias = "RMSprop")]
    RmsProp, "rmsprop",
    {;
        /// The share of the mean square that is kept from step to step.
        alpha: 0.99,
        /// What is added to the divisor so that it is not 0.
        eps: 1e-8,
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    ["square_mean"],
    |own, p, g, state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        let mean = &state[0] * own.alpha + &g * &g * (1.0 - own.alpha);
        (p - &scalars[0] * (g / (mean.sqrt() + own.eps)), vec![mean])
    }
);

optimizer!(
    /// Adam (Kingma and Ba, 2015; page 174 of the book): `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
    /// `p <- p - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)`.
    Adam, "adam",
    {
        beta1: 0.9, beta2: 0.999;
        /// What is added to the divisor so that it is not 0.
        eps: 1e-8,
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    ["mean", "square_mean"],
    |own, p, g, state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        own.moments().update(p, &g, state, scalars)
    },
    |own, update, learning_rate| own.moments().scalars(update, learning_rate).into()
);

optimizer!(
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019): `p <- (1 - lr decay) p` before Adam's update,
    /// instead of a term in the gradient.
    AdamW, "adamw",
    {
        beta1: 0.9, beta2: 0.999;
        /// What is added to the divisor so that it is not 0.
        eps: 1e-8,
        /// Every step first shrinks the parameters by `learning_rate * weight_decay`.
        weight_decay: 0.01
    },
    ["mean", "square_mean"],
    |own, p, g, state, scalars| {
        let shrunk = p * &scalars[2];
        own.moments().update(&shrunk, g, state, scalars)
    },
    |own, update, learning_rate| {
        let [rate, root] = own.moments().scalars(update, learning_rate);
        [rate, root, 1.0 - learning_rate * own.weight_decay].into()
    }
);

optimizer!(
    /// Rectified Adam (Liu et al., 2020). In the first updates the mean square `v` rests on so few gradients that what Adam
    /// divides by means little. `rho` counts how many it rests on, `rho_inf = 2 / (1 - b2) - 1` in the end and
    /// `rho_t = rho_inf - 2 t b2^t / (1 - b2^t)` in update `t`; up to 5 the step is that of the mean alone, `lr m / (1 - b1^t)`,
    /// from then on it is Adam's, times
    /// `sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))`, which grows to 1.
    RAdam, "radam",
    {
        beta1: 0.9, beta2: 0.999;
        /// What is added to the divisor so that it is not 0.
        eps: 1e-8,
        /// Adds `weight_decay * parameter` to the gradient: L2 regularization.
        weight_decay: 0.0
    },
    ["mean", "square_mean"],
    |own, p, g, state, scalars| {
        let g = decayed(p, g, own.weight_decay);
        let (m, v) = own.moments().next(&g, state);
        let pace = &scalars[0] + &scalars[1] / (v.sqrt() + own.eps);
        (p - &m * pace, vec![m, v])
    },
    |own, update, learning_rate| {
        let [rate, root] = own.moments().scalars(update, learning_rate);
        let t = update.max(1) as f64;
        let last = 2.0 / (1.0 - own.beta2) - 1.0;
        let kept = own.beta2.powf(t);
        let now = last - 2.0 * t * kept / (1.0 - kept);
        match now > 5.0 {
            true => {
                let share = (now - 4.0) * (now - 2.0) * last / ((last - 4.0) * (last - 2.0) * now);
                [0.0, rate * share.sqrt() / root].into()
            }
            false => [rate, 0.0].into(),
        }
    }
);

optimizer!(
    /// LAMB (You et al., "Large Batch Optimization for Deep Learning", 2020): Adam's direction with decoupled decay,
    /// `r = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p`, in steps that are for each parameter tensor in proportion to its
    /// norm, `p <- p - lr |p| / |r| r`; where one of the norms is 0, `p <- p - lr r`. For batches of thousands.
    #[doc(alias = "LAMB")]
    Lamb, "lamb",
    {
        beta1: 0.9, beta2: 0.999;
        /// What is added to the divisor so that it is not 0.
        eps: 1e-6,
        /// The share of the parameter that is part of its direction.
        weight_decay: 0.01
    },
    ["mean", "square_mean"],
    |own, p, g, state, scalars| {
        let (m, v) = own.moments().next(g, state);
        let direction = &m * &scalars[1] / (v.sqrt() * &scalars[2] + own.eps);
        let direction = match own.weight_decay {
            0.0 => direction,
            decay => direction + p * decay,
        };
        let [size, length] = [p, &direction].map(Tensor::norm);
        let one = size.full_like(1.0);
        let [is_size, is_length] = [&size, &length].map(|norm| norm.greater(&norm.zeros_like()));
        let trust = is_size
            .logical_and(&is_length)
            .select(&(&size / is_length.select(&length, &one)), &one);
        (p - &scalars[0] * trust * direction, vec![m, v])
    },
    |own, update, learning_rate| {
        let [mean, root] = own.moments().scalars(update, 1.0);
        [learning_rate, mean, root].into()
    }
);

/// The part that Adam and its relatives share.
struct Moments {
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Moments {
    /// `lr / (1 - b1^t)` and `1 / sqrt(1 - b2^t)`: the moments start at 0, which these correct.
    fn scalars(&self, update: u64, learning_rate: f64) -> [f64; 2] {
        let t = update.max(1) as f64;
        [
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
        let (m, v) = self.next(g, state);
        let new = p - &scalars[0] * (&m / (v.sqrt() * &scalars[1] + self.eps));
        (new, vec![m, v])
    }

    /// The mean and the mean square with this gradient.
    fn next(&self, g: &Tensor, state: &[Tensor]) -> (Tensor, Tensor) {
        let m = &state[0] * self.beta1 + g * (1.0 - self.beta1);
        let v = &state[1] * self.beta2 + g * g * (1.0 - self.beta2);
        (m, v)
    }
}

macro_rules! moments {
    ($type:ty) => {
        impl $type {
            /// The shares of the mean and of the mean square that are kept from step to step.
            pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
                (self.beta1, self.beta2) = (beta1, beta2);
                self
            }

            fn moments(&self) -> Moments {
                Moments {
                    beta1: self.beta1,
                    beta2: self.beta2,
                    eps: self.eps,
                }
            }
        }
    };
}
moments!(Adam);
moments!(AdamW);
moments!(RAdam);
moments!(Lamb);
