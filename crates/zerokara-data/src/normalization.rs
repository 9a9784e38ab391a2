//! From stored values to the numbers that a network sees.

use crate::columns::part;
use crate::error::{Error, Result};
use crate::split::Split;
use serde::{Deserialize, Serialize};
use zerokara_core::{Array, DType, Elements, Tensor};

/// `x ↦ (x / divisor − mean) / std`, with one mean and deviation for all values or one for each channel.
///
/// A channel is a step along the first axis of the sample's shape: a colour of `[C, H, W]`, a column of `[columns]`.
///
/// # Example
///
/// ```
/// use zerokara_data::Normalization;
///
/// let mut pixels = [0.0, 51.0, 255.0];
/// Normalization::unit().apply(&mut pixels, 1)?;
/// assert_eq!(pixels, [0.0, 0.2, 1.0]);
///
/// let mut pixels = [0.0, 255.0];
/// Normalization::unit().standard(&[0.5], &[0.25])?.apply(&mut pixels, 1)?;
/// assert_eq!(pixels, [-2.0, 2.0]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Normalization {
    divisor: f32,
    /// Empty for no mean and deviation; else of the same length, 1 or the number of channels.
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// As files have it. The numbers are those of f32, written as f64, so that reading gives the same bits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    divisor: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mean: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    std: Vec<f64>,
}

impl From<Normalization> for Record {
    fn from(normalization: Normalization) -> Self {
        let numbers = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        Record {
            divisor: f64::from(normalization.divisor),
            mean: numbers(normalization.mean),
            std: numbers(normalization.std),
        }
    }
}

impl TryFrom<Record> for Normalization {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        let numbers = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<_>>();
        let base = Normalization::divided_by(record.divisor as f32)?;
        match record.mean.is_empty() && record.std.is_empty() {
            true => Ok(base),
            false => base.standard(&numbers(record.mean), &numbers(record.std)),
        }
    }
}

impl Normalization {
    /// `x ↦ x / 255`: bytes to numbers from 0 to 1.
    pub fn unit() -> Self {
        Normalization::divide(255.0)
    }

    /// `x ↦ x`.
    pub fn none() -> Self {
        Normalization::divide(1.0)
    }

    /// `x ↦ x / divisor`: 255 for bytes, 65535 for numbers of 16 bits.
    ///
    /// # Errors
    ///
    /// The divisor is not a finite number above 0.
    pub fn divided_by(divisor: f32) -> Result<Self> {
        match divisor > 0.0 && divisor.is_finite() {
            true => Ok(Normalization::divide(divisor)),
            false => Err(Error::new(format!(
                "values cannot be divided by {divisor}; a number above 0 is needed"
            ))),
        }
    }

    fn divide(divisor: f32) -> Self {
        Normalization {
            divisor,
            mean: Vec::new(),
            std: Vec::new(),
        }
    }

    /// What fits the values if nothing else is known: [`unit`](Self::unit) for bytes, [`none`](Self::none) for numbers.
    pub fn for_values(split: &Split) -> Self {
        if split.is_u8() {
            Normalization::unit()
        } else {
            Normalization::none()
        }
    }

    /// Then `x ↦ (x − mean) / std`, with means and deviations of the divided values: one for all, or one for each
    /// channel. MNIST's are 0.1307 and 0.3081.
    ///
    /// # Errors
    ///
    /// The two lists are empty or differ in length, a mean is not finite, or a deviation is not above 0.
    pub fn standard(self, mean: &[f32], std: &[f32]) -> Result<Self> {
        if mean.is_empty() || mean.len() != std.len() {
            return Err(Error::new(format!(
                "{} means and {} deviations given; one of each is needed, or one of each for every channel",
                mean.len(),
                std.len()
            )));
        }
        if let Some(bad) = mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::new(format!("the mean {bad} is not a finite number")));
        }
        if let Some(bad) = std.iter().find(|&&std| !(std > 0.0 && std.is_finite())) {
            return Err(Error::new(format!("the deviation {bad} is not above 0")));
        }
        Ok(Normalization {
            divisor: self.divisor,
            mean: mean.to_vec(),
            std: std.to_vec(),
        })
    }

    /// The normalization that gives each channel of `split` the mean 0 and the deviation 1 (a constant channel becomes 0
    /// throughout). Take it from the training set and use it for all parts.
    ///
    /// # Errors
    ///
    /// The split is empty, or holds numbers that are not finite.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "mnist")] {
    /// use zerokara_data::{Mnist, Normalization};
    ///
    /// let mnist = Mnist::load()?;
    /// let normalization = Normalization::of(&mnist.train)?;
    /// assert!((normalization.mean()[0] - 0.1307).abs() < 1e-4);
    /// assert!((normalization.std()[0] - 0.3081).abs() < 1e-4);
    /// # }
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn of(split: &Split) -> Result<Self> {
        let channels = split.shape().first().copied().unwrap_or(1);
        let base = Normalization::for_values(split);
        if split.is_empty() {
            return Err(Error::new(
                "an empty split has no mean and no deviation to normalize by",
            ));
        }
        if split.sample_len() == 0
            || !matches!(split.first(0), Some(Elements::U8(_) | Elements::F32(_)))
        {
            return Err(Error::new(format!(
                "{split:?}: only bytes or f32 of one size, held in memory, have a mean and a deviation to normalize by"
            )));
        }
        let plane = split.sample_len() / channels;
        let count = (split.len() * plane) as f64;
        let planes = |channel: usize| {
            let range = channel * plane..(channel + 1) * plane;
            (0..split.len())
                .filter_map(|index| split.first(index))
                .map(move |values| part(values, range.clone()))
        };
        let (means, variances): (Vec<f64>, Vec<f64>) = (0..channels)
            .map(|channel| {
                if split.is_u8() {
                    // Sums of whole numbers are exact, so one pass is enough.
                    let (mut sum, mut squares) = (0, 0);
                    for values in planes(channel) {
                        if let Elements::U8(values) = values {
                            let (s, q) = sums(values);
                            sum += s;
                            squares += q;
                        }
                    }
                    let mean = sum as f64 / count;
                    (mean, (squares as f64 / count - mean * mean).max(0.0))
                } else {
                    let mean_of = |term: &dyn Fn(&[f32]) -> f64| {
                        planes(channel)
                            .map(|values| match values {
                                Elements::F32(values) => term(values),
                                _ => 0.0,
                            })
                            .sum::<f64>()
                            / count
                    };
                    let mean = mean_of(&|values| values.iter().map(|&x| f64::from(x)).sum());
                    let variance = mean_of(&|values| {
                        values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum()
                    });
                    (mean, variance)
                }
            })
            .unzip();
        let divisor = f64::from(base.divisor);
        let mean: Vec<f32> = means.iter().map(|mean| (mean / divisor) as f32).collect();
        let std: Vec<f32> = variances
            .iter()
            .zip(&means)
            .map(|(&variance, &mean)| {
                let std = variance.sqrt();
                // A deviation that f32 cannot tell from 0 beside its mean is rounding.
                let constant = std <= f64::from(f32::EPSILON) * mean.abs();
                if constant {
                    1.0
                } else {
                    (std / divisor) as f32
                }
            })
            .collect();
        base.standard(&mean, &std)
    }

    /// What values are divided by first: 255 for [`unit`](Self::unit), 1 for [`none`](Self::none).
    pub fn divisor(&self) -> f32 {
        self.divisor
    }

    /// The means of the divided values; empty where none are subtracted.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The deviations of the divided values; empty where none are divided by.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// Whether this fits samples with this number of channels.
    ///
    /// # Errors
    ///
    /// There are several means, and their number is not that of the channels.
    pub fn check(&self, channels: usize) -> Result<()> {
        if self.mean.len() > 1 && self.mean.len() != channels {
            return Err(Error::new(format!(
                "the normalization has {} means, but the samples have {channels} channels",
                self.mean.len()
            )));
        }
        Ok(())
    }

    /// Normalizes one sample with `channels` channels in place.
    ///
    /// # Errors
    ///
    /// The number of values is no multiple of `channels`, or [`check`](Self::check) fails.
    pub fn apply(&self, values: &mut [f32], channels: usize) -> Result<()> {
        self.check(channels)?;
        if channels == 0 || !values.len().is_multiple_of(channels) {
            return Err(Error::new(format!(
                "{} values cannot be cut into {channels} channels",
                values.len()
            )));
        }
        let plane = (values.len() / channels).max(1);
        for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
            let map = self.channel(channel);
            values.iter_mut().for_each(|value| *value = map.at(*value));
        }
        Ok(())
    }

    /// The same in a graph, so that bytes are widened and normalized in the compiled step: of `[N, C, ...]` in bytes or f32,
    /// the normalized f32, with the bits that [`apply`](Self::apply) gives. An invalid tensor where the number of channels
    /// does not fit.
    ///
    /// ```
    /// use zerokara_core::{Array, Tensor};
    /// use zerokara_data::Normalization;
    ///
    /// let normalization = Normalization::unit().standard(&[0.5], &[0.25])?;
    /// let pixels = Tensor::from(Array::new([1, 1, 1, 2], vec![0u8, 255]));
    /// assert_eq!(normalization.tensor(&pixels).to_vec::<f32>()?, [-2.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn tensor(&self, x: &Tensor) -> Tensor {
        let Ok(meta) = x.meta() else {
            return x.clone();
        };
        let channels = meta.shape.get(1).copied().unwrap_or(1);
        if let Err(error) = self.check(channels) {
            return Tensor::invalid(zerokara_core::Error::new(error.to_string()));
        }
        let mut x = x.cast(DType::F32);
        if self.divisor != 1.0 {
            x = x / f64::from(self.divisor);
        }
        // One number stands beside the tensor; of several, each belongs to a channel.
        let along = |values: &[f32]| {
            let mut shape = vec![1; meta.shape.len()];
            if let Some(length) = shape.get_mut(1) {
                *length = values.len();
            }
            Tensor::from(Array::new(shape, values))
        };
        match (&self.mean[..], &self.std[..]) {
            ([], _) | (_, []) => x,
            (&[mean], &[std]) => (x - f64::from(mean)) / f64::from(std),
            (mean, std) => (x - along(mean)) / along(std),
        }
    }

    /// Writes a sample's normalized values; lengths are equal and [`check`](Self::check) has passed.
    pub(crate) fn write(&self, values: Elements<'_>, channels: usize, out: &mut [f32]) {
        if out.is_empty() || channels == 0 {
            return;
        }
        let plane = out.len() / channels;
        for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
            let map = self.channel(channel);
            let range = channel * plane..(channel + 1) * plane;
            match values {
                Elements::U8(values) => map.fill(out, &values[range], f32::from),
                Elements::F32(values) => map.fill(out, &values[range], |x| x),
                // Nothing else is normalized.
                _ => {}
            }
        }
    }

    /// What a stored value becomes in this channel.
    pub(crate) fn value(&self, channel: usize, stored: f32) -> f32 {
        self.channel(channel).at(stored)
    }

    fn channel(&self, channel: usize) -> Map {
        let at = |values: &[f32]| match values {
            [] => None,
            [one] => Some(*one),
            many => many.get(channel).copied(),
        };
        Map {
            divisor: self.divisor,
            standard: at(&self.mean).zip(at(&self.std)),
        }
    }
}

/// The map of one channel. Divisions are divisions, not products with reciprocals: `x / 255` is the nearest float.
#[derive(Clone, Copy)]
struct Map {
    divisor: f32,
    standard: Option<(f32, f32)>,
}

impl Map {
    fn at(self, x: f32) -> f32 {
        match self.standard {
            None => x / self.divisor,
            Some((mean, std)) => (x / self.divisor - mean) / std,
        }
    }

    fn fill<T: Copy>(self, out: &mut [f32], values: &[T], float: impl Fn(T) -> f32) {
        let pairs = out.iter_mut().zip(values);
        match self.standard {
            // The same numbers, as fast as memory allows.
            None if self.divisor == 1.0 => pairs.for_each(|(out, &x)| *out = float(x)),
            None => pairs.for_each(|(out, &x)| *out = float(x) / self.divisor),
            Some((mean, std)) => {
                pairs.for_each(|(out, &x)| *out = (float(x) / self.divisor - mean) / std);
            }
        }
    }
}

/// Sum and sum of squares of bytes.
fn sums(values: &[u8]) -> (u64, u64) {
    // 4096 squares of at most 255² fit into 32 bits.
    values.chunks(4096).fold((0, 0), |(sum, squares), chunk| {
        let (s, q) = chunk.iter().fold((0u32, 0u32), |(s, q), &x| {
            (s + u32::from(x), q + u32::from(x) * u32::from(x))
        });
        (sum + u64::from(s), squares + u64::from(q))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_many_bright_bytes_do_not_overflow() {
        assert_eq!(sums(&[255; 1_000_000]), (255_000_000, 65_025 * 1_000_000));
    }

    /// Two channels of two pixels in two samples: 0, 2 | 4, 6 have the mean 3 and the variance 5.
    #[test]
    fn bytes_and_numbers_have_the_same_statistics() {
        let bytes = vec![0u8, 2, 10, 10, 4, 6, 10, 10];
        let floats: Vec<f32> = bytes.iter().map(|&x| f32::from(x) / 255.0).collect();
        for split in [
            Split::new(bytes, &[2, 1, 2], vec![0, 0]).unwrap(),
            Split::new(floats, &[2, 1, 2], vec![0, 0]).unwrap(),
        ] {
            let found = Normalization::of(&split).unwrap();
            assert!((found.mean[0] * 255.0 - 3.0).abs() < 1e-5);
            assert!((found.std[0] * 255.0 - 5f32.sqrt()).abs() < 1e-5);
            assert!((found.mean[1] * 255.0 - 10.0).abs() < 1e-5);
            assert_eq!(found.std[1], 1.0);
        }
    }
}
