//! Batches of samples, ready for a network.

mod arranged;

use crate::ahead::Ahead;
use crate::augment::{Augment, Levels};
use crate::batch::Batch;
use crate::collate::{Pad, in_parts};
use crate::error::{Error, Result};
use crate::feed::{Feed, Feeder};
use crate::gather::{FedArray, Items, write_normalized};
use crate::normalization::Normalization;
use crate::order::Order;
use crate::source::{Draw, is_fixed, make};
use crate::split::Split;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zerokara_core::{Arrays, Axis, DType, Elements, Port};

/// Runs `work(unit)` for every unit below a number, each once, in any order and on any threads.
pub type Spread<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'a;

/// A place between two batches: what a loader gives next. Kept and put back ([`Loader::seek`]), exactly the same batches
/// follow.
///
/// ```
/// use zerokara_data::{Loader, Position, Split};
///
/// let split = Split::new(vec![0u8; 10], &[1], vec![0; 10])?;
/// let mut loader = Loader::new(&split, 4)?.shuffle(1);
/// loader.seek(Position { epoch: 2, batch: 1 })?;
/// assert_eq!(loader.iter().len(), 2);
/// assert!(loader.seek(Position { epoch: 2, batch: 4 }).is_err());
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The batch in the epoch, from 0; the number of batches at its end.
    pub batch: u64,
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
    pub(crate) split: Split,
    batch_size: usize,
    drop_last: bool,
    /// A last batch of fewer samples joins the one before.
    least: usize,
    /// Of each input; none where it is fed as it is stored.
    pub(crate) normalizations: Vec<Option<Normalization>>,
    pub(crate) augment: Option<Augment>,
    /// 0 where it was not said.
    pub(crate) classes: usize,
    pub(crate) raw: bool,
    /// By the column's number.
    pub(crate) pads: Vec<(usize, Pad)>,
    workers: usize,
    position: Position,
    order: Order,
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
        let inputs = split.input_ports();
        let unit = |port: &Port| (port.dtype == DType::U8).then(Normalization::unit);
        Ok(Loader {
            split: split.clone(),
            batch_size: batch_size.min(split.len()),
            drop_last: false,
            least: 1,
            normalizations: inputs.iter().map(unit).collect(),
            augment: None,
            classes: 0,
            raw: false,
            pads: Vec::new(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            position: Position::default(),
            order: Order::plain(split.len()),
        })
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

    /// Another normalization of the first input, such as [`Dataset::normalization`](crate::Dataset::normalization).
    ///
    /// # Errors
    ///
    /// It has a mean for each of several channels, and the samples have another number of channels; they are neither bytes
    /// nor f32.
    pub fn normalization(mut self, normalization: Normalization) -> Result<Self> {
        self.set_normalization(0, normalization)?;
        Ok(self)
    }

    /// Another normalization of the input of this name.
    ///
    /// # Errors
    ///
    /// As [`normalization`](Self::normalization); there is no such input.
    pub fn normalize(mut self, input: &str, normalization: Normalization) -> Result<Self> {
        let inputs = self.split.input_ports();
        let Some(at) = inputs.iter().position(|port| &*port.name == input) else {
            return Err(Error::new(format!(
                "there is no input {input:?} to normalize; there are {}",
                crate::source::list(&inputs)
            )));
        };
        self.set_normalization(at, normalization)?;
        Ok(self)
    }

    fn set_normalization(&mut self, input: usize, normalization: Normalization) -> Result<()> {
        let inputs = self.split.input_ports();
        let Some(port) = inputs.get(input) else {
            return Err(Error::new("there is no input to normalize"));
        };
        if !matches!(port.dtype, DType::U8 | DType::F32) {
            // What changes nothing fits everything.
            return match normalization == Normalization::none() {
                true => Ok(()),
                false => Err(Error::new(format!(
                    "the input {port} cannot be normalized; bytes and f32 can"
                ))),
            };
        }
        normalization.check(channels(port))?;
        self.normalizations[input] = Some(normalization);
        Ok(())
    }

    /// Feeds inputs as they are stored: bytes stay bytes, to be widened and normalized in the compiled step
    /// ([`Normalization::tensor`]). Images that are changed by chance ([`augment`](Self::augment)) are f32 of the stored scale.
    /// [`Batch`]es are normalized all the same.
    ///
    /// ```
    /// use zerokara_core::DType;
    /// use zerokara_data::{Loader, Split};
    ///
    /// let split = Split::new(vec![0u8; 40], &[1, 2, 2], vec![0; 10])?;
    /// let feed = Loader::new(&split, 10)?.raw().feed(0)?;
    /// assert_eq!(feed.inputs.find("x")?.dtype(), DType::U8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    /// Changes each image of the first input by chance, anew in every epoch.
    ///
    /// Where samples are mixed ([`Augment::mixup`], [`Augment::cutmix`]), targets are fed as shares of classes, f32
    /// `[N, classes]`; [`classes`](Self::classes) must say of how many. [`Batch`]es, whose labels are whole classes, are not
    /// mixed.
    ///
    /// # Errors
    ///
    /// The samples are not images `[C, H, W]` of bytes or f32; they are to be mixed, and the image is not the only input or a
    /// class not the only target.
    pub fn augment(mut self, augment: Augment) -> Result<Self> {
        Augment::check(self.split.shape())?;
        let inputs = self.split.input_ports();
        let port = &inputs[0];
        if !matches!(port.dtype, DType::U8 | DType::F32) || !is_fixed(port) {
            return Err(Error::new(format!(
                "only images of one size, of bytes or f32, can be changed by chance, not {port}"
            )));
        }
        let targets = self.split.target_ports();
        let mixable = matches!(&targets[..], [target] if is_class(target)) && inputs.len() == 1;
        if augment.mixes() && !mixable {
            return Err(Error::new(format!(
                "only samples of one image and one class can be mixed, not inputs {} with targets {}",
                crate::source::list(&inputs),
                crate::source::list(&targets)
            )));
        }
        self.augment = Some(augment);
        Ok(self)
    }

    /// How many classes the target has: the length of the rows of shares that samples have which are mixed
    /// ([`augment`](Self::augment)). Without mixing it says nothing, and labels are fed as they are.
    ///
    /// ```
    /// use zerokara_data::{Augment, Loader, Split};
    ///
    /// let split = Split::new(vec![0u8; 40], &[1, 2, 2], (0..10).collect())?;
    /// let loader = Loader::new(&split, 5)?.augment(Augment::new(1).cutmix(1.0)?)?.classes(10);
    /// assert_eq!(loader.target_ports()[0].to_string(), "t: f32 [batch, 10]");
    /// let feed = loader.feed(0)?;
    /// let shares = feed.targets.find("t")?.as_slice::<f32>()?;
    /// assert!(shares.chunks(10).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Whether samples are mixed.
    pub(crate) fn mixes(&self) -> bool {
        self.augment.as_ref().is_some_and(Augment::mixes)
    }

    /// How samples of a column that differ in size become one array. Without a rule, the samples of a batch must be of one
    /// size.
    ///
    /// # Errors
    ///
    /// There is no such column among inputs and targets, or its samples do not differ in size; the value is none of its element
    /// type; a column whose lengths are the same by name has another rule; the name of the mask is taken.
    pub fn pad(mut self, column: &str, pad: Pad) -> Result<Self> {
        let (inputs, targets) = self.split.columns();
        let columns = self.split.source().columns();
        let mut used = inputs.iter().chain(targets);
        let Some(&at) = used.find(|&&at| &*columns[at].name == column) else {
            return Err(Error::new(format!(
                "there is no input or target {column:?} to pad; there are {}",
                crate::source::list(columns)
            )));
        };
        let port = &columns[at];
        pad.check(port.dtype)?;
        if is_fixed(port) {
            return Err(Error::new(format!(
                "samples of the column {port} are of one size; there is nothing to pad"
            )));
        }
        if let Some(mask) = pad.mask_name(column)
            && columns.iter().any(|other| *other.name == *mask)
        {
            return Err(Error::new(format!(
                "the mask of {column:?} would be named as the column {mask:?} is; rename that column"
            )));
        }
        for (other, rule) in &self.pads {
            let shared = port
                .axes
                .iter()
                .find(|axis| matches!(axis, Axis::Any(_)) && columns[*other].axes.contains(axis));
            if let (true, Some(axis)) = (*other != at && !rule.is_as_long_as(&pad), shared) {
                return Err(Error::new(format!(
                    "the columns {:?} and {column:?} have the length {axis} in common, but their rules give other lengths",
                    columns[*other].name
                )));
            }
        }
        self.pads.retain(|(other, _)| *other != at);
        self.pads.push((at, pad));
        Ok(self)
    }

    /// How many threads make samples ahead of the step where they are made on demand; one for each core unless told
    /// otherwise. With 0, samples are made when their batch is asked for. Two batches ahead are made at most, or as many
    /// samples as there are threads if that is more.
    pub fn workers(mut self, threads: usize) -> Self {
        self.workers = threads;
        self
    }

    /// Starts an epoch: sets the order of the samples, and what [`augment`](Self::augment) does to them.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.position = Position { epoch, batch: 0 };
        self.arrange();
    }

    /// Puts the samples in the order of the epoch.
    fn arrange(&mut self) {
        self.order.arrange(self.position.epoch, self.batch_size);
    }

    /// The epoch that was set last; 0 at first.
    pub fn epoch(&self) -> u64 {
        self.position.epoch
    }

    /// The batch that comes next: what was set by [`set_epoch`](Self::set_epoch) and [`seek`](Self::seek), and where a
    /// [`Feeder`] has come to.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes to a position. From it on, the batches of [`iter`](Self::iter) and [`feeder`](Self::feeder) are those that came
    /// when the position was kept, if samples, batch size, seed and all else are the same.
    ///
    /// # Errors
    ///
    /// An epoch does not have so many batches.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        if position.batch > self.len() as u64 {
            return Err(Error::new(format!(
                "there is no batch {}: an epoch has {} batches; do samples and batch size differ from before?",
                position.batch,
                self.len()
            )));
        }
        self.position = position;
        self.arrange();
        Ok(())
    }

    pub(crate) fn advance(&mut self) {
        self.position.batch += 1;
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
            true => self.order.indices.len(),
            false => start + self.batch_size,
        };
        Ok(&self.order.indices[start..end])
    }

    /// Fills buffers with a batch of the current epoch and returns its number of samples `n`: the first
    /// `n · sample_len` values of `images` and the first `n` of `labels`. Buffers for a full batch fit every batch, save one that
    /// [`join_last`](Self::join_last) made larger.
    /// Allocates nothing, save room for an image or a few where images are augmented. Samples are not mixed
    /// ([`augment`](Self::augment)).
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
        for &index in indices {
            self.split.check_index(index)?;
        }
        let (&[column, ..], targets) = self.split.columns() else {
            return Err(Error::new("the samples have no input"));
        };
        let port = &self.split.source().columns()[column];
        if !matches!(port.dtype, DType::U8 | DType::F32) || !is_fixed(port) {
            return Err(Error::new(format!(
                "samples of the column {port} are no plain numbers of one size; take them as `feed`"
            )));
        }
        let images = &mut images[..needed];
        let labels = &mut labels[..indices.len()];
        let class = match *targets {
            [target] if is_class(&self.split.source().columns()[target]) => Some(target),
            _ => None,
        };
        let gather = |items: Items<'_>, images: &mut [f32], labels: &mut [i64]| {
            let plain = Normalization::none();
            let normalization = self.normalizations[0].as_ref().unwrap_or(&plain);
            let fill = |first: usize, room: &mut [f32]| {
                write_normalized(items, first, column, normalization, room, length);
            };
            in_parts(images, items.len(), spread, &fill);
            for (at, label) in labels.iter_mut().enumerate() {
                let found = class.and_then(|target| items.get(at, target));
                if let Some((Elements::I64(&[class]), _)) = found {
                    *label = class;
                }
            }
        };
        match self.split.source().in_memory() {
            Some(_) => gather(Items::Stored(&self.split, indices), images, labels),
            None => {
                let made = self.make(indices)?;
                gather(Items::Made(&self.split, &made), images, labels);
            }
        }
        if let Some(augment) = &self.augment {
            let levels = Levels::new(self.normalizations[0].as_ref(), port.dtype == DType::U8);
            augment.apply_with(images, shape, indices, self.epoch(), levels, spread)?;
        }
        Ok(indices.len())
    }

    fn make(&self, indices: &[usize]) -> Result<Vec<Arrays>> {
        let each = indices.iter().map(|&index| {
            self.split.check_index(index)?;
            make(&**self.split.source(), self.split.place(index), self.draw())
        });
        each.collect()
    }

    /// What samples of the current epoch are drawn by, if they are.
    fn draw(&self) -> Option<Draw> {
        let epoch = self.position.epoch;
        self.order.seed.map(|seed| Draw { seed, epoch })
    }

    /// Begins to make the samples of the epoch from this batch on.
    pub(crate) fn ahead(&self, batch: usize) -> Ahead {
        let start = (batch * self.batch_size).min(self.order.indices.len());
        let end = match self.drop_last {
            true => (self.len() * self.batch_size).min(self.order.indices.len()),
            false => self.order.indices.len(),
        };
        let room = self.batch_size.saturating_mul(2).max(self.workers);
        Ahead::new(
            &self.split,
            self.order.indices[start..end].to_vec(),
            self.draw(),
            self.workers,
            room,
        )
    }

    /// Name, element type and axes of each input as it is fed, masks included: `[batch, ...]`.
    pub fn input_ports(&self) -> Vec<Port> {
        self.fed_ports(&self.fed().inputs)
    }

    /// Name, element type and axes of each target as it is fed, masks included: `[batch, ...]`.
    pub fn target_ports(&self) -> Vec<Port> {
        self.fed_ports(&self.fed().targets)
    }

    fn fed_ports(&self, fed: &[FedArray]) -> Vec<Port> {
        let columns = self.split.source().columns();
        let port = |fed: &FedArray| {
            let own = &columns[fed.column].axes;
            let axes = own
                .iter()
                .filter(|axis| !fed.is_mask || matches!(axis, Axis::Any(_)));
            let batch = std::iter::once(Axis::from("batch"));
            let axes = batch.chain(axes.cloned()).chain(fed.shares.map(Axis::from));
            Port::new(Arc::clone(&fed.name), fed.dtype, axes)
        };
        fed.iter().map(port).collect()
    }

    /// A batch of the current epoch as named arrays.
    ///
    /// # Errors
    ///
    /// There is no such batch; a sample cannot be made; samples of different sizes have no rule by which they become one array.
    pub fn feed(&self, batch: usize) -> Result<Feed> {
        self.feed_of(self.indices(batch)?)
    }

    /// As [`feed`](Self::feed), for samples of one's own choice.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed); a number is not one of a sample.
    pub fn feed_of(&self, indices: &[usize]) -> Result<Feed> {
        for &index in indices {
            self.split.check_index(index)?;
        }
        let mut feed = Feed {
            indices: indices.to_vec(),
            ..Feed::default()
        };
        let made;
        let items = match self.split.source().in_memory() {
            Some(_) => Items::Stored(&self.split, indices),
            None => {
                made = self.make(indices)?;
                Items::Made(&self.split, &made)
            }
        };
        self.fill_feed(&self.fed(), items, &mut feed, &|units, work| {
            (0..units).for_each(work)
        })?;
        Ok(feed)
    }

    /// The batches of this loader as named arrays, from its position on.
    pub fn feeder(&self) -> Feeder {
        Feeder::new(self.clone())
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

    /// The batches of the current epoch from the position on.
    pub fn iter(&self) -> Batches<'_> {
        Batches {
            loader: self,
            next: self.position.batch as usize,
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

/// The step along the first axis of a sample's shape is a channel.
fn channels(port: &Port) -> usize {
    match port.axes.first() {
        Some(Axis::Fixed(channels)) => *channels,
        _ => 1,
    }
}

/// A whole number for each sample.
pub(crate) fn is_class(port: &Port) -> bool {
    port.dtype == DType::I64 && port.axes.is_empty()
}
