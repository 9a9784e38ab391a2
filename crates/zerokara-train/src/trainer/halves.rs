//! A step of training: whole, or in two halves where parts of the batch are accumulated or somebody looks at the gradients.

use super::{
    Callback,
    session::{Failure, Session, ask},
};
use zerokara_core::Arrays;
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
        // What is none of the batch's samples stays whole.
        let of = |arrays: &Arrays| {
            arrays.map(|_, array| match array.shape().first() == Some(&samples) {
                true => array.rows(range.clone()),
                false => array.clone(),
            })
        };
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
