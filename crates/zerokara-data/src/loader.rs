//! Batches of samples, ready for a network.

use crate::augment::Augment;
use crate::error::{Error, Result};
use crate::labels;
use crate::normalization::Normalization;
use crate::random::{Purpose, Random};
use crate::split::Split;
use std::sync::{Mutex, PoisonError};

/// Runs `work(unit)` for every unit below a number, each once, in any order and on any threads.
pub type Spread<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'a;

/// Parts that [`Loader::gather_parallel`] cuts a batch into at most.
const PARTS: usize = 16;

/// Values that a part has at least: fewer are copied sooner than handed to another thread.
const PART_VALUES: usize = 1 << 13;

/// Samples gathered for one step.
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

/// Cuts a split into batches.
///
/// Samples come in order, or in a new order for every epoch with [`shuffle`](Self::shuffle): each sample exactly once an
/// epoch. The last batch holds what is left, unless [`drop_last`](Self::drop_last) is set. Values are normalized as
/// [`Normalization::for_values`] says, unless another [`normalization`](Self::normalization) is given.
///
/// # Example
///
/// ```
/// use zerokara_data::{Loader, Split};
///
/// let split = Split::new((0..10).collect::<Vec<u8>>(), &[1], (0..10).collect())?;
/// let mut loader = Loader::new(&split, 4)?.shuffle(1);
/// for epoch in 0..3 {
///     loader.set_epoch(epoch);
///     let sizes: Vec<usize> = loader.iter().map(|batch| batch.len()).collect();
///     assert_eq!(sizes, [4, 4, 2]);
/// }
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[doc(alias("mini_batch", "DataLoader"))]
#[derive(Clone, Debug)]
pub struct Loader {
    split: Split,
    batch_size: usize,
    shuffle: Option<u64>,
    drop_last: bool,
    /// A last batch of fewer samples joins the one before.
    least: usize,
    normalization: Normalization,
    augment: Option<Augment>,
    epoch: u64,
    order: Vec<usize>,
}

impl Loader {
    /// Batches of `batch_size` samples, in order; a size beyond the split's makes one batch of all samples. The loader
    /// shares the split's samples.
    ///
    /// # Errors
    ///
    /// The batch size is 0, or the split is empty.
    pub fn new(split: &Split, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::new("the batch size is 0; it must be at least 1"));
        }
        if split.is_empty() {
            return Err(Error::new(
                "there are no samples to make batches of: the split is empty",
            ));
        }
        Ok(Loader {
            split: split.clone(),
            batch_size: batch_size.min(split.len()),
            shuffle: None,
            drop_last: false,
            least: 1,
            normalization: Normalization::for_values(split),
            augment: None,
            epoch: 0,
            order: (0..split.len()).collect(),
        })
    }

    /// A new order for every epoch, without replacement. Seed and epoch fix the order, in every version of this crate
    /// and on every platform.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self.set_epoch(self.epoch);
        self
    }

    /// Leaves the last batch of an epoch out if it is not full.
    pub fn drop_last(mut self, drop: bool) -> Self {
        self.drop_last = drop;
        self
    }

    /// Lets a last batch of fewer than `least` samples join the one before it, which then holds more than the others; an
    /// epoch of one batch stays as it is. For models that cannot be trained on so few, such as one sample alone with
    /// batch normalization of rows.
    ///
    /// ```
    /// use zerokara_data::{Loader, Split};
    ///
    /// let split = Split::new(vec![0.0; 9], &[1], vec![0; 9])?;
    /// let loader = Loader::new(&split, 4)?.join_last(2);
    /// let sizes: Vec<usize> = loader.iter().map(|batch| batch.len()).collect();
    /// assert_eq!(sizes, [4, 5]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn join_last(mut self, least: usize) -> Self {
        self.least = least;
        self
    }

    /// Number of samples in the last batch if it holds more than the others ([`Loader::join_last`]).
    pub fn joined(&self) -> Option<usize> {
        let last = self.split.len() - (self.len().max(1) - 1) * self.batch_size;
        (!self.drop_last && last > self.batch_size).then_some(last)
    }

    /// Another normalization, such as [`Dataset::normalization`](crate::Dataset::normalization).
    ///
    /// # Errors
    ///
    /// It has a mean for each of several channels, and the samples have another number of channels.
    pub fn normalization(mut self, normalization: Normalization) -> Result<Self> {
        normalization.check(self.split.shape()[0])?;
        self.normalization = normalization;
        Ok(self)
    }

    /// Changes each image by chance, anew in every epoch.
    ///
    /// # Errors
    ///
    /// The samples are not images `[C, H, W]`.
    pub fn augment(mut self, augment: Augment) -> Result<Self> {
        Augment::check(self.split.shape())?;
        self.augment = Some(augment);
        Ok(self)
    }

    /// Starts an epoch: sets the order of the samples, and what [`augment`](Self::augment) does to them.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        if let Some(seed) = self.shuffle {
            // From the plain order, so that an epoch's order does not depend on those before it.
            for (place, index) in self.order.iter_mut().enumerate() {
                *index = place;
            }
            Random::new(seed, Purpose::Shuffle, epoch, 0).shuffle(&mut self.order);
        }
    }

    /// The epoch that was set last; 0 at first.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The split that batches are taken from.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Number of samples in a full batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Number of batches in an epoch, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        let full = self.split.len() / self.batch_size;
        let rest = self.split.len() % self.batch_size;
        // The batch size is at most the number of samples, so that there is a batch to join.
        match self.drop_last || rest == 0 || rest < self.least {
            true => full,
            false => full + 1,
        }
    }

    /// The numbers of the samples of a batch, in the current epoch.
    ///
    /// # Errors
    ///
    /// There is no such batch.
    pub fn indices(&self, batch: usize) -> Result<&[usize]> {
        if batch >= self.len() {
            return Err(Error::new(format!(
                "batch {batch} is out of range: an epoch has {} batches, numbered from 0",
                self.len()
            )));
        }
        let start = batch * self.batch_size;
        let end = match batch + 1 == self.len() && !self.drop_last {
            true => self.order.len(),
            false => start + self.batch_size,
        };
        Ok(&self.order[start..end])
    }

    /// Fills buffers with a batch of the current epoch and returns its number of samples `n`: the first
    /// `n · sample_len` values of `images` and the first `n` of `labels`. Buffers for a full batch fit every batch, save one that
    /// [`join_last`](Self::join_last) made larger.
    /// Allocates nothing, save a plane's room where images are augmented.
    ///
    /// # Errors
    ///
    /// There is no such batch, or a buffer is too small.
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_data::{Loader, Split};
    ///
    /// let split = Split::new(vec![0u8, 51, 102, 255], &[1], vec![0, 1, 2, 3])?;
    /// let loader = Loader::new(&split, 3)?;
    /// let (mut images, mut labels) = ([0.0; 3], [0; 3]);
    /// assert_eq!(loader.gather(0, &mut images, &mut labels)?, 3);
    /// assert_eq!((images, labels), ([0.0, 0.2, 0.4], [0, 1, 2]));
    /// assert_eq!(loader.gather(1, &mut images, &mut labels)?, 1);
    /// assert_eq!((images[0], labels[0]), (1.0, 3));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn gather(&self, batch: usize, images: &mut [f32], labels: &mut [i64]) -> Result<usize> {
        self.gather_indices(self.indices(batch)?, images, labels)
    }

    /// As [`gather`](Self::gather), for samples of one's own choice.
    ///
    /// # Errors
    ///
    /// A number is not one of a sample, or a buffer is too small.
    pub fn gather_indices(
        &self,
        indices: &[usize],
        images: &mut [f32],
        labels: &mut [i64],
    ) -> Result<usize> {
        self.gather_parallel(indices, images, labels, &|units, work| {
            (0..units).for_each(work)
        })
    }

    /// As [`gather_indices`](Self::gather_indices), in parts that `spread` gives to several threads.
    ///
    /// # Errors
    ///
    /// As [`gather_indices`](Self::gather_indices).
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_data::{Loader, Split};
    ///
    /// let split = Split::new((0..200u8).collect::<Vec<u8>>(), &[2], vec![0; 100])?;
    /// let loader = Loader::new(&split, 100)?;
    /// let (mut images, mut labels) = ([0.0; 6], [0; 3]);
    /// // A pool of threads would share the units; here one thread runs them all.
    /// loader.gather_parallel(&[9, 0, 9], &mut images, &mut labels, &|units, work| {
    ///     (0..units).for_each(work)
    /// })?;
    /// assert_eq!(images.map(|x| (x * 255.0f32).round()), [18.0, 19.0, 0.0, 1.0, 18.0, 19.0]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn gather_parallel(
        &self,
        indices: &[usize],
        images: &mut [f32],
        labels: &mut [i64],
        spread: &Spread<'_>,
    ) -> Result<usize> {
        let shape = self.split.shape();
        let length = self.split.sample_len();
        let needed = indices.len() * length;
        if images.len() < needed || labels.len() < indices.len() {
            return Err(Error::new(format!(
                "the buffers are too small for {} samples of shape {shape:?}: {needed} values and {} labels are \
                 needed, there is room for {} and {}",
                indices.len(),
                indices.len(),
                images.len(),
                labels.len()
            )));
        }
        let images = &mut images[..needed];
        if let Some(index) = indices.iter().find(|&&index| index >= self.split.len()) {
            return Err(Error::new(format!(
                "sample {index} is out of range: there are {} samples, numbered from 0",
                self.split.len()
            )));
        }
        let labels = &mut labels[..indices.len()];
        let parts = (needed / PART_VALUES).clamp(1, PARTS);
        let part = indices.len().div_ceil(parts).max(1);
        let mut left = images
            .chunks_mut((part * length).max(1))
            .zip(labels.chunks_mut(part))
            .zip(indices.chunks(part));
        let parts = indices.len().div_ceil(part);
        // Each part is taken by the one unit of its number.
        let cells: [_; PARTS] = std::array::from_fn(|_| Mutex::new(left.next()));
        spread(parts, &|unit| {
            let mut cell = cells[unit].lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(((images, labels), indices)) = cell.take() {
                self.fill(indices, images, labels);
            }
        });
        if let Some(augment) = &self.augment {
            augment.apply_with(images, shape, indices, self.epoch, |channel| {
                self.normalization.background(channel)
            })?;
        }
        Ok(indices.len())
    }

    /// Writes samples that are there into room that is there.
    fn fill(&self, indices: &[usize], images: &mut [f32], labels: &mut [i64]) {
        let channels = self.split.shape()[0];
        let outs = images.chunks_exact_mut(self.split.sample_len());
        for ((out, label), &index) in outs.zip(labels).zip(indices) {
            if let Some(values) = self.split.values(index) {
                self.normalization.write(values, channels, out);
                *label = self.split.labels()[index];
            }
        }
    }

    /// A batch of the current epoch, in buffers of its own.
    ///
    /// # Errors
    ///
    /// There is no such batch.
    pub fn batch(&self, batch: usize) -> Result<Batch> {
        self.batch_of(self.indices(batch)?)
    }

    /// As [`batch`](Self::batch), for samples of one's own choice.
    ///
    /// # Errors
    ///
    /// A number is not one of a sample.
    pub fn batch_of(&self, indices: &[usize]) -> Result<Batch> {
        let mut batch = Batch {
            images: vec![0.0; indices.len() * self.split.sample_len()],
            shape: [&[indices.len()], self.split.shape()].concat(),
            labels: vec![0; indices.len()],
            indices: indices.to_vec(),
        };
        self.gather_indices(indices, &mut batch.images, &mut batch.labels)?;
        Ok(batch)
    }

    /// A mini-batch drawn by chance with replacement, as the book does with `np.random.choice`: `draw` is the number of
    /// the step. Seed and draw fix the samples.
    ///
    /// # Errors
    ///
    /// None is known: a loader has samples to draw from.
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_data::{Loader, Split};
    ///
    /// let split = Split::new(vec![0u8; 100], &[1], vec![0; 100])?;
    /// let loader = Loader::new(&split, 10)?;
    /// assert_eq!(loader.random_batch(1, 0)?.len(), 10);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn random_batch(&self, seed: u64, draw: u64) -> Result<Batch> {
        self.batch_of(&self.split.random_indices(self.batch_size, seed, draw))
    }

    /// The batches of the current epoch.
    pub fn iter(&self) -> Batches<'_> {
        Batches {
            loader: self,
            next: 0,
        }
    }
}

impl<'a> IntoIterator for &'a Loader {
    type Item = Batch;
    type IntoIter = Batches<'a>;

    fn into_iter(self) -> Batches<'a> {
        self.iter()
    }
}

/// The batches of an epoch, from [`Loader::iter`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    loader: &'a Loader,
    next: usize,
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let batch = self.loader.batch(self.next).ok()?;
        self.next += 1;
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.loader.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}
