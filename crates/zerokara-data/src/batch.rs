//! Batches of labelled samples as plain numbers.

use crate::error::Result;
use crate::labels;

/// Labelled samples gathered for one step, as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Normalized values, row-major in [`shape`](Self::shape).
    pub images: Vec<f32>,
    /// `[N, ...]`: the number of samples, then the shape of one, `[N, C, H, W]` for images.
    pub shape: Vec<usize>,
    /// `N` labels.
    pub labels: Vec<i64>,
    /// The `N` samples' numbers in the split.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The same values as rows `[N, C·H·W]`.
    pub fn flatten(mut self) -> Self {
        self.shape = labels::flatten(&self.shape);
        self
    }

    /// The labels as rows `[N, classes]` of zeros and a one.
    ///
    /// # Errors
    ///
    /// A label is not below `classes`.
    pub fn one_hot(&self, classes: usize) -> Result<Vec<f32>> {
        labels::one_hot(&self.labels, classes)
    }
}
