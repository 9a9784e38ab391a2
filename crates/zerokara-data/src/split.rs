//! A list of labelled samples, and the ways to cut it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::random::{Purpose, Random};

/// The values of all samples of a set, one sample after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Bytes from 0 to 255, as pixels are stored.
    U8(Vec<u8>),
    /// Numbers, as tables hold them.
    F32(Vec<f32>),
}

impl Samples {
    /// Number of values, of all samples together.
    pub fn len(&self) -> usize {
        match self {
            Samples::U8(values) => values.len(),
            Samples::F32(values) => values.len(),
        }
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<u8>> for Samples {
    fn from(values: Vec<u8>) -> Self {
        Samples::U8(values)
    }
}

impl From<Vec<f32>> for Samples {
    fn from(values: Vec<f32>) -> Self {
        Samples::F32(values)
    }
}

/// How much to set aside, for [`Split::validation`]: a number of samples or a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// This many samples.
    Count(usize),
    /// This share of the samples, from 0 to 1.
    Fraction(f64),
}

impl From<usize> for Amount {
    fn from(count: usize) -> Self {
        Amount::Count(count)
    }
}

impl From<f64> for Amount {
    fn from(fraction: f64) -> Self {
        Amount::Fraction(fraction)
    }
}

/// Labelled samples of one shape: the training set, the test set, or a part of one.
///
/// Pixels stay bytes until a batch is gathered. The values are shared: cloning a split, or cutting it with
/// [`subset`](Split::subset), [`take`](Split::take) or [`validation`](Split::validation), copies no sample.
///
/// # Example
///
/// ```
/// use zerokara_data::Split;
///
/// // Three images of 1 × 2 × 2 pixels.
/// let pixels: Vec<u8> = (0..12).collect();
/// let split = Split::new(pixels, &[1, 2, 2], vec![0, 1, 0])?;
/// assert_eq!(split.len(), 3);
/// assert_eq!(split.sample(1), [4.0, 5.0, 6.0, 7.0]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone)]
pub struct Split {
    samples: Arc<Samples>,
    shape: Arc<[usize]>,
    labels: Arc<[i64]>,
    /// For a part of a set, the place of each of its samples in `samples`.
    places: Option<Arc<[usize]>>,
}

impl Split {
    /// Makes a split of samples of the given shape, such as `[1, 28, 28]` for grey images (channels, height, width) or
    /// `[4]` for rows of a table, with one label each.
    ///
    /// # Errors
    ///
    /// The number of values is not the number of labels times the product of the shape, a size in the shape is 0, or
    /// a label is negative.
    pub fn new(samples: impl Into<Samples>, shape: &[usize], labels: Vec<i64>) -> Result<Self> {
        let samples = samples.into();
        let values = shape
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size))
            .filter(|&values| values > 0 && !shape.is_empty())
            .ok_or_else(|| {
                Error::new(format!(
                    "a sample cannot have the shape {shape:?}; every size must be at least 1"
                ))
            })?;
        if labels.len().checked_mul(values) != Some(samples.len()) {
            return Err(Error::new(format!(
                "{} values make {} samples of shape {shape:?} ({values} values each){}, but there are {} labels",
                samples.len(),
                samples.len() / values,
                match samples.len() % values {
                    0 => String::new(),
                    rest => format!(" with {rest} values left over"),
                },
                labels.len()
            )));
        }
        if let Some(at) = labels.iter().position(|&label| label < 0) {
            return Err(Error::new(format!(
                "label {} of sample {at} is negative; labels count from 0",
                labels[at]
            )));
        }
        Ok(Split {
            samples: Arc::new(samples),
            shape: shape.into(),
            labels: labels.into(),
            places: None,
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of one sample, `[C, H, W]` for images.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values of one sample: the product of [`shape`](Split::shape).
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The labels, in the order of the samples.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// Whether the values are bytes, as pixels are.
    pub fn is_u8(&self) -> bool {
        matches!(*self.samples, Samples::U8(_))
    }

    /// The number that sample `index` of this split had in the set that was loaded; `None` if there is no such sample.
    ///
    /// ```
    /// let split = zerokara_data::Split::new(vec![0u8; 5], &[1], vec![0; 5])?;
    /// assert_eq!(split.subset(&[4, 2])?.subset(&[1])?.origin(0), Some(2));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn origin(&self, index: usize) -> Option<usize> {
        (index < self.len()).then(|| self.place(index))
    }

    fn place(&self, index: usize) -> usize {
        match &self.places {
            None => index,
            Some(places) => places[index],
        }
    }

    /// The values of sample `index` as they are stored, not normalized; empty if there is no such sample.
    pub fn sample(&self, index: usize) -> Vec<f32> {
        match self.values(index) {
            Some(Values::U8(values)) => values.iter().map(|&value| f32::from(value)).collect(),
            Some(Values::F32(values)) => values.to_vec(),
            None => Vec::new(),
        }
    }

    /// The bytes of sample `index`; `None` if the values are not bytes or there is no such sample.
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        match self.values(index) {
            Some(Values::U8(values)) => Some(values),
            _ => None,
        }
    }

    pub(crate) fn values(&self, index: usize) -> Option<Values<'_>> {
        let length = self.sample_len();
        let start = self.origin(index)? * length;
        Some(match &*self.samples {
            Samples::U8(values) => Values::U8(&values[start..start + length]),
            Samples::F32(values) => Values::F32(&values[start..start + length]),
        })
    }

    /// The samples with these numbers, in this order; a number may appear more than once.
    ///
    /// # Errors
    ///
    /// A number is not below [`len`](Split::len).
    pub fn subset(&self, indices: &[usize]) -> Result<Split> {
        if let Some(bad) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(Error::new(format!(
                "sample {bad} is out of range: there are {} samples, numbered from 0",
                self.len()
            )));
        }
        Ok(Split {
            samples: Arc::clone(&self.samples),
            shape: Arc::clone(&self.shape),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
            places: Some(indices.iter().map(|&index| self.place(index)).collect()),
        })
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn take(&self, n: usize) -> Split {
        let n = n.min(self.len());
        Split {
            samples: Arc::clone(&self.samples),
            shape: Arc::clone(&self.shape),
            labels: self.labels[..n].into(),
            places: Some((0..n).map(|index| self.place(index)).collect()),
        }
    }

    /// Sets samples aside by chance: returns the samples to train on and those to validate on. Both keep the order that
    /// the samples have here. The same seed gives the same parts.
    ///
    /// `amount` is a number of samples (`5000`) or a share (`0.1`, rounded to the nearest number of samples).
    ///
    /// # Errors
    ///
    /// A count above [`len`](Split::len), or a share that is not between 0 and 1.
    ///
    /// # Example
    ///
    /// ```
    /// let split = zerokara_data::Split::new(vec![0u8; 100], &[1], vec![0; 100])?;
    /// let (train, validation) = split.validation(0.2, 1)?;
    /// assert_eq!((train.len(), validation.len()), (80, 20));
    /// let (train, validation) = split.validation(5, 1)?;
    /// assert_eq!((train.len(), validation.len()), (95, 5));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias = "shuffle_dataset")]
    pub fn validation(&self, amount: impl Into<Amount>, seed: u64) -> Result<(Split, Split)> {
        let count = match amount.into() {
            Amount::Count(count) if count <= self.len() => count,
            Amount::Count(count) => {
                return Err(Error::new(format!(
                    "cannot set {count} samples aside for validation: there are only {}",
                    self.len()
                )));
            }
            Amount::Fraction(share) if (0.0..=1.0).contains(&share) => {
                (share * self.len() as f64).round() as usize
            }
            Amount::Fraction(share) => {
                return Err(Error::new(format!(
                    "cannot set a share of {share} aside for validation: give a share from 0 to 1, \
                     or a whole number of samples"
                )));
            }
        };
        let mut order: Vec<usize> = (0..self.len()).collect();
        Random::new(seed, Purpose::Validation, 0, 0).shuffle(&mut order);
        let (validation, train) = order.split_at_mut(count);
        validation.sort_unstable();
        train.sort_unstable();
        Ok((self.subset(train)?, self.subset(validation)?))
    }

    /// Numbers of `n` samples drawn by chance with replacement, as the book's `np.random.choice(train_size, n)` does:
    /// a sample may come twice. Empty if the split is. `draw` tells one draw from the next.
    ///
    /// ```
    /// let split = zerokara_data::Split::new(vec![0u8; 100], &[1], vec![0; 100])?;
    /// assert_eq!(split.random_indices(10, 1, 0), split.random_indices(10, 1, 0));
    /// assert_ne!(split.random_indices(10, 1, 0), split.random_indices(10, 1, 1));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("choice", "mini_batch"))]
    pub fn random_indices(&self, n: usize, seed: u64, draw: u64) -> Vec<usize> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut random = Random::new(seed, Purpose::Choice, draw, 0);
        (0..n).map(|_| random.below(self.len())).collect()
    }
}

/// The values of one sample.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    U8(&'a [u8]),
    F32(&'a [f32]),
}

impl<'a> Values<'a> {
    /// A part of the sample; `range` must lie within it.
    pub(crate) fn slice(self, range: Range<usize>) -> Values<'a> {
        match self {
            Values::U8(values) => Values::U8(&values[range]),
            Values::F32(values) => Values::F32(&values[range]),
        }
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Split({} samples of {} {:?})",
            self.len(),
            if self.is_u8() { "u8" } else { "f32" },
            self.shape
        )
    }
}
