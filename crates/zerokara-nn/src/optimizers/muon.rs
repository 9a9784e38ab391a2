//! Steps of matrices that are as long in every direction.

use super::{AdamW, Optimizer, ParameterSpec, Scalars, StateSpec, alike};
use zerokara_core::Tensor;

/// Coefficients of the iteration: `s -> a s + b s^3 + c s^5` brings singular values from 0 to 1 near 1 in a few rounds (Jordan, 2024).
const ROUND: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ROUNDS: usize = 5;
/// What is added to the norm of a step so that it is not 0.
const LEAST: f64 = 1e-7;

/// Muon (Jordan et al., 2024; Liu et al., "Muon is Scalable for LLM Training", 2025). A gradient of a matrix is mostly of a few
/// directions. Muon makes the step along the others as long: `v <- m v + g` as with Nesterov's momentum, then of `g + m v = U S V^T` the
/// step goes along `U V^T`, `p <- p - lr (0.2 sqrt(max(n, k)) U V^T + decay p)` for a matrix `[n, k]`. The factor makes its elements as
/// large as Adam's steps are, so that both take the same learning rates.
///
/// `U V^T` is found without singular values, by five rounds of `X <- a X + (b X X^T + c (X X^T)^2) X` from `X / |X|` on, after which
/// all singular values are between about 0.7 and 1.2.
///
/// Filters `[F, C, H, W]` are matrices `[F, C H W]`. Biases and gains, which are none, are updated by [`AdamW`] with the same learning
/// rate, beta1 0.9, beta2 0.95; so should embeddings and the last layer be ([`ParameterGroup`](crate::ParameterGroup)).
///
/// ```
/// use zerokara_nn::{Muon, Optimizer};
/// let muon = Muon::new(1e-3).momentum(0.9);
/// assert_eq!(muon.settings()[0], ("momentum", 0.9));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon {
    learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Muon {
    /// With this learning rate, momentum 0.95, weight_decay 0.1.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            momentum: 0.95,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
        }
    }

    /// With these settings, the others as usual; `None` if one of them is none of this optimizer's.
    pub(super) fn with(learning_rate: f64, settings: &[(String, f64)]) -> Option<Self> {
        let mut made = Self::new(learning_rate);
        for (name, value) in settings {
            let place = match name.as_str() {
                "momentum" => &mut made.momentum,
                "weight_decay" => &mut made.weight_decay,
                "beta1" => &mut made.beta1,
                "beta2" => &mut made.beta2,
                "eps" => &mut made.eps,
                _ => return None,
            };
            *place = *value;
        }
        Some(made)
    }

    /// The share of the velocity that is kept from step to step.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Every step first shrinks the parameters by `learning_rate * weight_decay`.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// How what is no matrix is updated.
    fn others(&self) -> AdamW {
        AdamW::new(self.learning_rate)
            .betas(self.beta1, self.beta2)
            .eps(self.eps)
            .weight_decay(self.weight_decay)
    }
}

impl Optimizer for Muon {
    fn name(&self) -> &'static str {
        "muon"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("momentum", self.momentum),
            ("weight_decay", self.weight_decay),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("eps", self.eps),
        ]
    }

    /// Those of a matrix.
    fn state(&self) -> Vec<(&'static str, f64)> {
        vec![("velocity", 0.0)]
    }

    fn states(&self, of: &ParameterSpec<'_>) -> Vec<StateSpec> {
        match of.meta.shape.len() < 2 {
            true => self.others().states(of),
            false => alike(self.state(), of),
        }
    }

    /// Those of AdamW, then the learning rate; a matrix takes the last two.
    fn scalars(&self, update: u64, learning_rate: f64) -> Scalars {
        let adam = self.others().scalars(update, learning_rate);
        [adam[0], adam[1], adam[2], learning_rate].into()
    }

    /// The update of a matrix.
    fn update(
        &self,
        p: &Tensor,
        g: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let v = &state[0] * self.momentum + g;
        let step = even(&(g + &v * self.momentum));
        (p * &scalars[2] - &scalars[3] * step, vec![v])
    }

    fn update_of(
        &self,
        of: &ParameterSpec<'_>,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        match of.meta.shape.len() < 2 {
            true => self.others().update(parameter, gradient, state, scalars),
            false => self.update(parameter, gradient, state, scalars),
        }
    }
}

/// Of a matrix `U S V^T`, as good as `0.2 sqrt(max(n, k)) U V^T`; what has more axes is taken as the matrix of its first and all others.
fn even(x: &Tensor) -> Tensor {
    let Ok(shape @ [n, rest @ ..]) = x.shape() else {
        return x.clone();
    };
    let (n, k) = (*n, rest.iter().product::<usize>());
    let matrix = x.reshape([n as i64, k as i64]);
    // The products are as large as the smaller side.
    let is_tall = n > k;
    let wide = if is_tall { matrix.t() } else { matrix };
    let mut even = &wide / (wide.norm() + LEAST);
    let [a, b, c] = ROUND;
    for _ in 0..ROUNDS {
        let square = even.matmul(&even.t());
        let factor = &square * b + square.matmul(&square) * c;
        even = &even * a + factor.matmul(&even);
    }
    let matrix = if is_tall { even.t() } else { even };
    let shape: Vec<i64> = shape.iter().map(|&length| length as i64).collect();
    matrix.reshape(shape) * (0.2 * (n.max(k) as f64).sqrt())
}
