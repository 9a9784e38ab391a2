//! In which order a loader takes samples.

use super::Loader;
use crate::error::{Error, Result};
use crate::order::Bucket;
use std::{collections::BTreeMap, sync::Arc};

impl Loader {
    /// A new order for every epoch, without replacement. Seed and epoch fix the order, in every version of this crate
    /// and on every platform.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.order.seed = Some(seed);
        self.arrange();
        self
    }

    /// Puts samples of like lengths together, so that little is padded: of so many batches at a time, the samples are
    /// sorted by their lengths in this column; if the loader shuffles, these batches come in an order by chance. Each sample
    /// still comes once an epoch, and seed and epoch fix the order.
    ///
    /// # Errors
    ///
    /// There is no such column; how long samples are is not known without making them ([`Source::length`](crate::Source::length));
    /// the number of batches is 0.
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_core::{Array, DType, Port};
    /// use zerokara_data::{Columns, Loader, Pad, Split};
    ///
    /// let texts = (0..100usize).map(|i| Array::new([1 + i * 37 % 50], vec![1i64; 1 + i * 37 % 50]));
    /// let columns = Columns::new().ragged(Port::new("tokens", DType::I64, ["length"]), texts);
    /// let loader = Loader::new(&Split::of(columns)?, 10)?.pad("tokens", Pad::with(0.0))?.shuffle(1);
    /// let total = |loader: &Loader| -> usize {
    ///     let feeds = (0..10).filter_map(|at| loader.feed(at).ok());
    ///     feeds.map(|feed| feed.inputs.values().map(|x| x.len()).sum::<usize>()).sum()
    /// };
    /// assert!(total(&loader.clone().bucket("tokens", 10)?) * 10 < total(&loader) * 7);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn bucket(mut self, column: &str, batches: usize) -> Result<Self> {
        if batches == 0 {
            return Err(Error::new(
                "samples of 0 batches cannot be sorted by length; the number of batches must be at least 1",
            ));
        }
        let columns = self.split.source().columns();
        if !columns.iter().any(|port| &*port.name == column) {
            return Err(Error::new(format!(
                "there is no column {column:?}; there are {}",
                crate::source::list(columns)
            )));
        }
        let lengths: Option<Arc<[usize]>> = (0..self.split.len())
            .map(|index| self.split.length(index, column))
            .collect();
        let Some(lengths) = lengths else {
            return Err(Error::new(format!(
                "how long samples are in the column {column:?} is not known without making them; a source says it by its `length`, `Lazy` by `lengths`"
            )));
        };
        self.order.bucket = Some(Bucket { lengths, batches });
        self.arrange();
        Ok(self)
    }

    /// Takes all classes equally often: an epoch has as many samples as before, equally many of each class. Of a large class
    /// some are left out, others each time; those of a small class come several times.
    ///
    /// # Errors
    ///
    /// The samples have no classes.
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_data::{Loader, Split};
    ///
    /// let labels = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    /// let split = Split::new(vec![0.0; 10], &[1], labels)?;
    /// let loader = Loader::new(&split, 10)?.shuffle(1).balanced()?;
    /// let ones = loader.batch(0)?.labels.iter().filter(|&&label| label == 1).count();
    /// assert_eq!(ones, 5);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("WeightedRandomSampler", "oversampling", "class_balance"))]
    pub fn balanced(mut self) -> Result<Self> {
        let labels = self.split.labels();
        if labels.is_empty() {
            return Err(Error::new(
                "classes cannot be taken equally often: the samples have none",
            ));
        }
        let mut classes: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (index, &label) in labels.iter().enumerate() {
            classes.entry(label).or_default().push(index);
        }
        self.order.classes = Some(classes.into_values().collect());
        self.arrange();
        Ok(self)
    }

    /// Takes the samples as they lie, in as many lanes as a batch has samples: place i of each batch goes on where place i of the batch
    /// before ended, for models that carry states from batch to batch. What is left over at the end comes in no batch; there is no
    /// shuffling.
    ///
    /// ```
    /// use zerokara_data::{Loader, Split};
    ///
    /// let split = Split::new(vec![0u8; 11], &[1], vec![0; 11])?;
    /// let loader = Loader::new(&split, 3)?.in_lanes();
    /// let batches: Vec<&[usize]> = (0..loader.len()).map(|at| loader.indices(at)).collect::<Result<_, _>>()?;
    /// assert_eq!(batches, [[0, 3, 6], [1, 4, 7], [2, 5, 8]]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("truncated backpropagation", "stateful"))]
    pub fn in_lanes(mut self) -> Self {
        self.order.lanes = true;
        self.order.seed = None;
        self.drop_last = true;
        self.arrange();
        self
    }
}
