//! Random numbers made of uniform ones: normal, and coins.

use super::prelude::*;
use std::f64::consts::TAU;

/// What is added to a stream's key to have a second, independent stream (2^64 over the golden ratio).
const SECOND: u64 = 0x9E37_79B9_7F4A_7C15;

impl Tensor {
    /// Standard normal random numbers, f32, of the stream `key` at a step (an i64 scalar), by the method of Box and
    /// Muller (1958): `sqrt(-2 ln(1 - u)) cos(2 pi v)` for independent uniform u and v.
    #[track_caller]
    pub fn normal(key: u64, step: &Tensor, shape: impl Into<Vec<usize>>) -> Tensor {
        let shape = shape.into();
        box_muller(
            &Tensor::uniform(key, step, shape.clone()),
            &Tensor::uniform(key.wrapping_add(SECOND), step, shape),
        )
    }

    /// [`Tensor::normal`] in the shape of `like`.
    #[track_caller]
    pub fn normal_like(key: u64, step: &Tensor, like: &Tensor) -> Tensor {
        box_muller(
            &Tensor::uniform_like(key, step, like),
            &Tensor::uniform_like(key.wrapping_add(SECOND), step, like),
        )
    }

    /// Truth values in the shape of `like`, each true with this probability, of the stream `key` at a step.
    #[track_caller]
    pub fn bernoulli_like(key: u64, step: &Tensor, like: &Tensor, probability: f64) -> Tensor {
        let uniform = Tensor::uniform_like(key, step, like);
        uniform.less(&uniform.full_like(probability))
    }

    /// The numbers `start, start + step, ..` below `stop` (above it, for a negative step), i64 `[n]`. A step of 0
    /// gives none.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::arange(0, 7, 3).to_vec::<i64>()?, [0, 3, 6]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn arange(start: i64, stop: i64, step: i64) -> Tensor {
        let mut numbers = Vec::new();
        let mut next = Some(start);
        while let Some(n) = next
            && ((step > 0 && n < stop) || (step < 0 && n > stop))
        {
            numbers.push(n);
            next = n.checked_add(step);
        }
        Tensor::from(numbers)
    }

    /// The identity matrix `[n, n]`, f32.
    #[track_caller]
    pub fn eye(n: usize) -> Tensor {
        Tensor::arange(0, n as i64, 1).one_hot(n)
    }
}

/// Of u and v, uniform in `[0, 1)`.
#[track_caller]
fn box_muller(u: &Tensor, v: &Tensor) -> Tensor {
    // 1 - u is never 0, and exact.
    let radius = ((u.full_like(1.0) - u).log() * u.full_like(-2.0)).sqrt();
    radius * (v * v.full_like(TAU)).cos()
}
