//! The order in which an epoch takes samples.

use crate::random::{Purpose, Random};
use std::sync::Arc;

/// Which samples an epoch takes, and in which order. It is a function of the seed and the epoch alone, in every version of
/// this crate and on every platform.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// A new order for every epoch.
    pub seed: Option<u64>,
    pub bucket: Option<Bucket>,
    /// The samples of each class, where all classes are taken equally often.
    pub classes: Option<Arc<[Vec<usize>]>>,
    /// Place i of each batch goes on where place i of the one before ended.
    pub lanes: bool,
    /// The samples of the epoch.
    pub indices: Vec<usize>,
}

/// Batches of samples of like lengths.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub lengths: Arc<[usize]>,
    pub batches: usize,
}

impl Order {
    /// As the samples lie.
    pub fn plain(samples: usize) -> Self {
        Self {
            seed: None,
            bucket: None,
            classes: None,
            lanes: false,
            indices: (0..samples).collect(),
        }
    }

    /// Puts the samples in the order of an epoch.
    pub fn arrange(&mut self, epoch: u64, batch_size: usize) {
        let indices = &mut self.indices;
        if self.lanes {
            let lane = indices.len() / batch_size;
            for (place, index) in indices[..lane * batch_size].iter_mut().enumerate() {
                *index = place % batch_size * lane + place / batch_size;
            }
            return;
        }
        // From the plain order, so that an epoch's order does not depend on those before it.
        if self.seed.is_some() || self.bucket.is_some() || self.classes.is_some() {
            for (place, index) in indices.iter_mut().enumerate() {
                *index = place;
            }
        }
        if let Some(classes) = &self.classes {
            balance(indices, classes, self.seed.unwrap_or(0), epoch);
        }
        if let Some(seed) = self.seed {
            Random::new(seed, Purpose::Shuffle, epoch, 0).shuffle(indices);
        }
        let Some(bucket) = &self.bucket else {
            return;
        };
        let full = indices.len() / batch_size * batch_size;
        let pool = bucket.batches.saturating_mul(batch_size);
        for pool in indices[..full].chunks_mut(pool) {
            pool.sort_by_key(|&index| bucket.lengths[index]);
        }
        if let Some(seed) = self.seed {
            let mut batches: Vec<usize> = (0..full / batch_size).collect();
            Random::new(seed, Purpose::Bucket, epoch, 0).shuffle(&mut batches);
            let sorted = indices.clone();
            for (batch, to) in batches.iter().zip(indices.chunks_exact_mut(batch_size)) {
                let start = batch * batch_size;
                to.copy_from_slice(&sorted[start..start + batch_size]);
            }
        }
    }
}

/// Fills an epoch with equally many samples of each class (one more of some, by chance), each class going round its
/// samples: of a large class some are left out, of a small one all come several times.
fn balance(indices: &mut [usize], classes: &[Vec<usize>], seed: u64, epoch: u64) {
    let mut turns: Vec<usize> = (0..classes.len()).collect();
    Random::new(seed, Purpose::Balance, epoch, 0).shuffle(&mut turns);
    let mut rounds: Vec<Vec<usize>> = Vec::with_capacity(classes.len());
    for (class, samples) in classes.iter().enumerate() {
        let mut round = samples.clone();
        Random::new(seed, Purpose::Balance, epoch, 1 + class as u64).shuffle(&mut round);
        rounds.push(round);
    }
    for (place, index) in indices.iter_mut().enumerate() {
        let round = &rounds[turns[place % turns.len()]];
        *index = round[(place / turns.len()) % round.len()];
    }
}
