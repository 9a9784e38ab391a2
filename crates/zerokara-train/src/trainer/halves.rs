//! A step of training: whole, or in two halves where parts of the batch are accumulated or somebody looks at the gradients.

use super::{
    Callback,
    session::{Failure, Session, ask},
};
use std::ops::Range;
use zerokara_core::{Array, Arrays, Elements};
use zerokara_data::Feed;
use zerokara_nn::{StepOutput, TrainStep};

/// Takes a step on a batch.
pub(super) fn step(
    session: &Session<'_>,
    step: &mut TrainStep,
    feed: &Feed,
    learning_rate: f64,
    callbacks: &mut [Box<dyn Callback>],
) -> Result<StepOutput, Failure> {
    let samples = feed.len();
    // No part is of fewer samples than the model takes.
    let most = samples / session.least.max(1);
    let parts = session.trainer.accumulate.min(most).max(1);
    let is_looked_at = callbacks.iter().any(|callback| callback.wants_gradients());
    if parts == 1 && !is_looked_at {
        return Ok(step.step(&feed.inputs, &feed.targets, learning_rate)?);
    }
    for part in 0..parts {
        let range = part * samples / parts..(part + 1) * samples / parts;
        let share = range.len() as f64 / samples as f64;
        let of = |arrays: &Arrays| arrays.map(|_, array| rows(array, samples, &range));
        match parts {
            1 => step.accumulate(&feed.inputs, &feed.targets, share)?,
            _ => step.accumulate(&of(&feed.inputs), &of(&feed.targets), share)?,
        };
    }
    for callback in callbacks.iter_mut().filter(|c| c.wants_gradients()) {
        ask(|| callback.on_gradients(step))??;
    }
    Ok(step.update(learning_rate)?)
}

/// These samples of a batch `[N, ...]`; what is none of the batch's samples stays whole.
fn rows(array: &Array, samples: usize, range: &Range<usize>) -> Array {
    if array.shape().first() != Some(&samples) {
        return array.clone();
    }
    let each = array.len() / samples;
    let part = range.start * each..range.end * each;
    let mut shape = array.shape().to_vec();
    shape[0] = range.len();
    match array.elements() {
        Elements::F32(all) => Array::new(shape, &all[part]),
        Elements::F64(all) => Array::new(shape, &all[part]),
        Elements::I64(all) => Array::new(shape, &all[part]),
        Elements::U8(all) => Array::new(shape, &all[part]),
        Elements::Bool(all) => {
            let truths: Vec<bool> = all[part].iter().map(|&truth| truth != 0).collect();
            Array::new(shape, truths)
        }
    }
}
