//! Random numbers made of uniform ones: normal, and coins.

use super::prelude::*;
use std::f64::consts::TAU;

/// What is added to a stream's key to have a second, independent stream (2^64 over the golden ratio).
const SECOND: u64 = 0x9E37_79B9_7F4A_7C15;

impl Tensor {
    /// Standard normal random numbers, f32, of the stream `key` at a step (an i64 scalar), by the method of Box and
    /// Muller (1958): `sqrt(-2 ln(1 - u)) cos(2 pi v)` for independent uniform u and v.
    #[doc(alias = "randn")]
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
    /// gives none. If there is no memory for so many, the tensor is invalid.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::arange(0, 7, 3).to_vec::<i64>()?, [0, 3, 6]);
    /// assert!(Tensor::arange(0, i64::MAX, 1).eval().is_err());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn arange(start: i64, stop: i64, step: i64) -> Tensor {
        let distance = i128::from(stop) - i128::from(start);
        let steps = match step {
            0 => 0,
            // Rounded up.
            _ => (distance * i128::from(step.signum()) + i128::from(step.unsigned_abs()) - 1)
                .div_euclid(i128::from(step.unsigned_abs()))
                .max(0),
        };
        let meta = Meta::new([usize::try_from(steps).unwrap_or(usize::MAX)], DType::I64);
        match Array::try_zeros(&meta) {
            Ok(mut numbers) => {
                for (i, number) in numbers.slice_mut::<i64>().iter_mut().enumerate() {
                    // Between start and stop, whatever wraps around on the way.
                    *number = start.wrapping_add((i as i64).wrapping_mul(step));
                }
                Tensor::from(numbers)
            }
            Err(error) => Tensor::refuse("arange", &[], error.to_string()),
        }
    }

    /// The identity matrix `[n, n]`, f32. If there is no memory for it, the tensor is invalid, or its evaluation an
    /// error.
    #[track_caller]
    pub fn eye(n: usize) -> Tensor {
        match Meta::new([n, n], DType::F32).countable() {
            Ok(_) => Tensor::arange(0, n as i64, 1).one_hot(n),
            Err(reason) => Tensor::refuse("eye", &[], reason),
        }
    }
}

/// Of u and v, uniform in `[0, 1)`.
#[track_caller]
fn box_muller(u: &Tensor, v: &Tensor) -> Tensor {
    // 1 - u is never 0, and exact.
    let radius = ((u.full_like(1.0) - u).log() * u.full_like(-2.0)).sqrt();
    radius * (v * v.full_like(TAU)).cos()
}
