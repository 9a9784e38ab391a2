//! Initial values of parameters (chapter 6.2 of the book).

use crate::key::stream_key;
use zerokara_core::{Array, DType, Meta, Precision, Result, Tensor, interpret};

/// A rule for the initial values of a parameter.
///
/// `fan_in` and `fan_out` are the numbers of inputs that a neuron reads and of neurons that read an input: for a
/// weight `[O, I]` they are I and O, for filters `[O, C, KH, KW]` they are `C KH KW` and `O KH KW`.
#[doc(alias("weight_init_std", "Xavier", "He"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// One number everywhere.
    Constant(f64),
    /// The normal distribution with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform between `-bound` and `bound`.
    Uniform {
        /// Largest absolute value.
        bound: f64,
    },
    /// Normal with variance `1 / fan_in` (LeCun): what the book calls the Xavier initial value (page 182).
    #[doc(alias = "Xavier")]
    LeCunNormal,
    /// Normal with variance `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010), for sigmoid and tanh.
    XavierNormal,
    /// Uniform with variance `2 / (fan_in + fan_out)`.
    XavierUniform,
    /// Normal with variance `2 / fan_in` (He et al., 2015), for ReLU (page 184 of the book).
    HeNormal,
    /// Uniform with variance `2 / fan_in`.
    HeUniform,
}

/// `(fan_in, fan_out)` of a weight of this shape; of a vector, its length twice.
fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [outputs, inputs, field @ ..] => {
            let field = field.iter().product::<usize>() as f64;
            (*inputs as f64 * field, *outputs as f64 * field)
        }
    }
}

impl Initializer {
    /// Values of this shape and element type, drawn from the stream that belongs to the seed and the parameter's path:
    /// the same seed and path give the same values on every machine.
    ///
    /// # Errors
    /// If the element type is not f32 or f64, or a number of the rule is not finite or, for a spread, negative.
    pub fn sample(&self, meta: &Meta, seed: u64, path: &str) -> Result<Array> {
        if !meta.is_float() {
            return Err(zerokara_core::Error::new(format!(
                "a parameter holds floating-point numbers, not {meta}"
            )));
        }
        let (what, number, least) = match *self {
            Initializer::Constant(value) => ("value", value, f64::NEG_INFINITY),
            Initializer::Normal { std } => ("standard deviation", std, 0.0),
            Initializer::Uniform { bound } => ("bound", bound, 0.0),
            _ => ("", 0.0, 0.0),
        };
        if !(number.is_finite() && number >= least) {
            return Err(zerokara_core::Error::new(format!(
                "the {what} of its initial values is {number}; it must be a finite number{}",
                if least == 0.0 { " from 0 on" } else { "" }
            )));
        }
        let meta = &meta.clone().countable()?;
        let (fan_in, fan_out) = fans(&meta.shape);
        let key = stream_key(seed, path, 0);
        let he = (2.0 / fan_in.max(1.0)).sqrt();
        let xavier = (2.0 / (fan_in + fan_out).max(1.0)).sqrt();
        // A uniform distribution of bound b has the standard deviation b / sqrt(3).
        let wide = 3.0f64.sqrt();
        let values = match *self {
            Initializer::Constant(value) => {
                let mut array = Array::try_zeros(meta)?;
                array.fill(value)?;
                return Ok(array);
            }
            Initializer::Normal { std } => normal(meta.len(), std, key)?,
            Initializer::Uniform { bound } => uniform(meta.len(), bound, key)?,
            Initializer::LeCunNormal => normal(meta.len(), (1.0 / fan_in.max(1.0)).sqrt(), key)?,
            Initializer::XavierNormal => normal(meta.len(), xavier, key)?,
            Initializer::XavierUniform => uniform(meta.len(), xavier * wide, key)?,
            Initializer::HeNormal => normal(meta.len(), he, key)?,
            Initializer::HeUniform => uniform(meta.len(), he * wide, key)?,
        };
        Ok(Array::new(meta.shape.clone(), values.as_slice()).cast(meta.dtype))
    }
}

/// `n` draws of `[0, 1)`.
fn unit(n: usize, key: u64) -> Result<Vec<f64>> {
    let step = Tensor::scalar(0.0, DType::I64);
    // Interpreted, since a program for one use is not worth compiling; the numbers are the same.
    let draws = Tensor::uniform(key, &step, [n]);
    let values = interpret(&[&draws], &[], Precision::AsWritten)?;
    Ok(values.into_iter().flat_map(|v| v.to_f64s()).collect())
}

fn uniform(n: usize, bound: f64, key: u64) -> Result<Vec<f64>> {
    Ok(unit(n, key)?
        .into_iter()
        .map(|u| (2.0 * u - 1.0) * bound)
        .collect())
}

/// Box and Muller's transform: two uniform draws make two normal ones. The functions are those of `libm`, which give
/// the same bits on every machine.
fn normal(n: usize, std: f64, key: u64) -> Result<Vec<f64>> {
    let draws = unit(n.next_multiple_of(2), key)?;
    let mut values = Vec::with_capacity(n + 1);
    for pair in draws.chunks_exact(2) {
        // 1 - u is never 0, so that the logarithm is finite.
        let radius = std * (-2.0 * libm::log(1.0 - pair[0])).sqrt();
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * pair[1]);
        values.extend([radius * cos, radius * sin]);
    }
    values.truncate(n);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, standard deviation and fourth moment over the squared variance (3 for a normal, 1.8 for a uniform).
    fn moments(values: &[f64]) -> (f64, f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let fourth = values.iter().map(|v| (v - mean).powi(4)).sum::<f64>() / n;
        (mean, variance.sqrt(), fourth / variance.powi(2))
    }

    #[test]
    fn distributions_have_their_moments() {
        // fan_in = 4 * 9 = 36, fan_out = 600 * 9.
        let meta = Meta::new([600, 4, 3, 3], DType::F32);
        let cases = [
            (Initializer::Normal { std: 0.01 }, 0.01, 3.0),
            (
                Initializer::Uniform { bound: 0.3 },
                0.3 / 3f64.sqrt(),
                9.0 / 5.0,
            ),
            (Initializer::LeCunNormal, 1.0 / 6.0, 3.0),
            (
                Initializer::XavierNormal,
                (2.0f64 / (36.0 + 5400.0)).sqrt(),
                3.0,
            ),
            (
                Initializer::XavierUniform,
                (2.0f64 / (36.0 + 5400.0)).sqrt(),
                1.8,
            ),
            (Initializer::HeNormal, (2.0f64 / 36.0).sqrt(), 3.0),
            (Initializer::HeUniform, (2.0f64 / 36.0).sqrt(), 1.8),
        ];
        for (initializer, expected, kurtosis) in cases {
            let values = initializer.sample(&meta, 7, "conv1.weight").unwrap();
            let (mean, std, fourth) = moments(&values.to_f64s());
            assert!(mean.abs() < 0.03 * expected, "{initializer:?}: mean {mean}");
            assert!(
                (std / expected - 1.0).abs() < 0.03,
                "{initializer:?}: std {std}"
            );
            assert!(
                (fourth / kurtosis - 1.0).abs() < 0.1,
                "{initializer:?}: {fourth}"
            );
        }
    }

    #[test]
    fn constants_and_odd_sizes() {
        let meta = Meta::new([3], DType::F64);
        let ones = Initializer::Constant(1.0).sample(&meta, 0, "x").unwrap();
        assert_eq!(ones.to_f64s(), [1.0; 3]);
        assert_eq!(ones.dtype(), DType::F64);
        let normal = Initializer::Normal { std: 1.0 }
            .sample(&meta, 0, "x")
            .unwrap();
        assert_eq!(normal.len(), 3);
        let labels = Meta::new([3], DType::I64);
        assert!(Initializer::HeNormal.sample(&labels, 0, "x").is_err());
    }
}
