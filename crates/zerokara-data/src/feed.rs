//! What a step is fed: batches of named arrays, one after the other.

use crate::ahead::Ahead;
use crate::error::Result;
use crate::gather::{FedArrays, Items};
use crate::loader::{Loader, Position};
use zerokara_core::{Arrays, Runtime};

/// The inputs and targets of one step, `[N, ...]` each, and which samples they are.
///
/// ```
/// use zerokara_data::{Loader, Split};
///
/// let split = Split::new(vec![0u8, 51, 102], &[1], vec![2, 0, 1])?;
/// let feed = Loader::new(&split, 2)?.feed(0)?;
/// assert_eq!(feed.inputs.find("x")?.as_slice::<f32>()?, [0.0, 0.2]);
/// assert_eq!(feed.targets.find("t")?.as_slice::<i64>()?, [2, 0]);
/// assert_eq!(feed.indices, [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    /// What a model is given.
    pub inputs: Arrays,
    /// What it is to learn.
    pub targets: Arrays,
    /// The `N` samples' numbers in the split.
    pub indices: Vec<usize>,
}

impl Feed {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// The batches of a loader, one after the other, from its position on, without allocating in a steady state: two sets of
/// arrays take turns, since a step keeps its inputs until the next.
///
/// Samples that are made on demand are made by several threads ahead of the step ([`Loader::workers`]); batches are the same
/// and in the same order, however many threads there are. A sample that cannot be made is an error at its batch, and the
/// position stays before that batch.
///
/// # Example
///
/// ```
/// use zerokara_data::{Loader, Split};
///
/// let split = Split::new((0..10).collect::<Vec<u8>>(), &[1], vec![0; 10])?;
/// let loader = Loader::new(&split, 4)?.shuffle(1);
/// let mut feeder = loader.feeder();
/// let mut seen = Vec::new();
/// for epoch in 0..2 {
///     feeder.set_epoch(epoch);
///     while let Some(feed) = feeder.next_feed()? {
///         seen.push(feed.indices.clone());
///     }
/// }
/// // From a position that was kept, the same batches follow.
/// let mut again = loader.feeder();
/// again.seek(zerokara_data::Position { epoch: 1, batch: 1 })?;
/// assert_eq!(again.next_feed()?.map(|feed| &feed.indices), Some(&seen[4]));
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub struct Feeder {
    loader: Loader,
    fed: FedArrays,
    slots: [Feed; 2],
    next: usize,
    made: Vec<Arrays>,
    ahead: Option<Ahead>,
}

impl Feeder {
    pub(crate) fn new(loader: Loader) -> Self {
        Feeder {
            fed: loader.fed(),
            loader,
            slots: Default::default(),
            next: 0,
            made: Vec::new(),
            ahead: None,
        }
    }

    /// The batch at the position, which then is that of the batch after it; `None` at the end of the epoch.
    ///
    /// # Errors
    ///
    /// A sample cannot be made, or samples of different sizes have no rule by which they become one array.
    pub fn next_feed(&mut self) -> Result<Option<&Feed>> {
        let position = self.loader.position();
        if position.batch >= self.loader.len() as u64 {
            return Ok(None);
        }
        let made = self.make(position.batch as usize);
        if made.is_err() {
            // Whoever asks again has the batch made again.
            self.ahead = None;
        }
        made?;
        self.loader.advance();
        Ok(Some(&self.slots[self.next]))
    }

    fn make(&mut self, batch: usize) -> Result<()> {
        let runtime = Runtime::current()?;
        let indices = self.loader.indices(batch)?;
        self.next = 1 - self.next;
        let feed = &mut self.slots[self.next];
        feed.indices.clear();
        feed.indices.extend_from_slice(indices);
        let items = match self.loader.split().source().in_memory() {
            Some(_) => Items::Stored(self.loader.split(), indices),
            None => {
                let loader = &self.loader;
                let ahead = self.ahead.get_or_insert_with(|| loader.ahead(batch));
                self.made.clear();
                for _ in indices {
                    self.made.extend(ahead.take().transpose()?);
                }
                Items::Made(loader.split(), &self.made)
            }
        };
        self.loader
            .fill_feed(&self.fed, items, feed, &|units, work| {
                runtime.parallel(units, work)
            })
    }

    /// The loader that batches are taken from.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The batch that comes next ([`Loader::position`]).
    pub fn position(&self) -> Position {
        self.loader.position()
    }

    /// Goes to a position ([`Loader::seek`]).
    ///
    /// # Errors
    ///
    /// The epoch does not have so many batches.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        self.ahead = None;
        self.loader.seek(position)
    }

    /// Goes to the beginning of an epoch.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.ahead = None;
        self.loader.set_epoch(epoch);
    }
}
