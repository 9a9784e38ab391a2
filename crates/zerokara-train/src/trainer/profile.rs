//! Where the time of a training step goes, by layer.

use super::Trainer;
use crate::{
    error::Result,
    profile::{LayerCost, by_layer},
    report::LayerTime,
};
use zerokara_data::{Dataset, Feed};
use zerokara_nn::TrainStep;

/// Steps that are timed; the median counts.
const RUNS: usize = 7;

/// Milliseconds of each layer in a step on this batch, forward and backward, in the order of `names`. Layers that take no
/// time of their own are left out.
///
/// The steps are those of the training, and change the model, which is given its values back.
pub(super) fn layer_times(
    trainer: &Trainer,
    data: &Dataset,
    names: &[String],
    feed: &Feed,
) -> Result<Vec<LayerTime>> {
    let state = trainer.model.state()?;
    let timed = trainer
        .step(data)
        .and_then(|step| time(step, trainer, names, feed));
    trainer.model.load_state(&state)?;
    let runs = timed?;
    let median = |name: &str, pass: usize| {
        let of = |run: &Vec<LayerCost>| {
            let layer = run.iter().find(|layer| *layer.name == *name);
            layer.map_or(0.0, |layer| layer.passes[pass].seconds * 1e3)
        };
        let mut times: Vec<f64> = runs.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let layers = runs.first().into_iter().flatten();
    Ok(layers
        .map(|layer| LayerTime {
            forward: median(&layer.name, 0),
            backward: median(&layer.name, 1),
            name: layer.name.to_string(),
        })
        .collect())
}

fn time(
    mut step: TrainStep,
    trainer: &Trainer,
    names: &[String],
    feed: &Feed,
) -> Result<Vec<Vec<LayerCost>>> {
    // So small that nothing grows, and the step is the one that trains.
    let rate = trainer.optimizer.learning_rate() * 1e-6;
    let (x, t) = (&feed.inputs, &feed.targets);
    step.step(x, t, rate)?;
    (0..RUNS)
        .map(|_| Ok(by_layer(&step.step_timed(x, t, rate)?.1, names)))
        .collect()
}
