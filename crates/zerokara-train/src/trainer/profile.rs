//! Where the time of a training step goes, by layer.

use super::Trainer;
use crate::{error::Result, report::LayerTime};
use std::{collections::HashMap, time::Duration};
use zerokara_core::{Array, DType, Parameter, Program, Tensor, gradients};
use zerokara_nn::{Context, Mode};

/// Runs that are timed; the median counts.
const RUNS: usize = 7;

/// Milliseconds of each layer in a step on this batch, forward and backward, in the order of `names`. Layers that run as
/// part of a neighbour are left out.
///
/// The step's program is compiled again with copies of the parameters to write to, so that the model stays as it is. The
/// forward part is timed alone; what a layer takes longer in the whole step is its backward part.
pub(super) fn layer_times(
    trainer: &Trainer,
    names: &[String],
    x: &Array,
    t: &Array,
) -> Result<Vec<LayerTime>> {
    let input = Tensor::input("x", x.shape().to_vec(), x.dtype());
    let target = Tensor::input("t", t.shape().to_vec(), t.dtype());
    let step = Tensor::input("step", [], DType::I64);
    let mut cx = Context::new(Mode::Train, trainer.seed, step.clone());
    let output = trainer.model.forward(&input, &mut cx);
    let loss = trainer.loss.loss(&output, &target);
    let inputs = [&input, &target, &step];
    let values = [x.clone(), t.clone(), Array::scalar(0.0, DType::I64)];
    let forward = time(Program::compile(&inputs, &[&loss], &[])?, &values)?;

    let parameters = trainer.model.parameters()?;
    let leaves: Vec<Tensor> = parameters.iter().map(Parameter::tensor).collect();
    let wrt: Vec<&Tensor> = leaves.iter().collect();
    let learning_rate = trainer.optimizer.learning_rate();
    let scalars: Vec<Tensor> = trainer
        .optimizer
        .scalars(1, learning_rate)
        .into_iter()
        .map(|s| Tensor::scalar(s, DType::F32))
        .collect();
    let mut updates = Vec::new();
    for (leaf, gradient) in leaves.iter().zip(gradients(&loss, &wrt)) {
        let meta = leaf.meta()?;
        let copies: Vec<Parameter> = trainer
            .optimizer
            .state()
            .iter()
            .map(|(name, _)| Parameter::of_array(*name, Array::zeros(meta)))
            .collect();
        let state: Vec<Tensor> = copies.iter().map(Parameter::tensor).collect();
        let (new, new_state) = trainer.optimizer.update(leaf, &gradient, &state, &scalars);
        updates.push((Parameter::of_array("copy", Array::zeros(meta)), new));
        updates.extend(copies.into_iter().zip(new_state));
    }
    let whole = time(Program::compile(&inputs, &[&loss], &updates)?, &values)?;

    Ok(order(names, &whole)
        .into_iter()
        .map(|name| {
            let sum = |times: &[(Option<String>, f64)]| -> f64 {
                let own = times.iter().filter(|(layer, _)| name_of(layer) == name);
                own.map(|(_, t)| t).sum()
            };
            let (all, forward) = (sum(&whole), sum(&forward));
            LayerTime {
                forward: forward.min(all),
                backward: (all - forward).max(0.0),
                name,
            }
        })
        .collect())
}

/// What is outside of layers: loss, norm, update.
const OUTSIDE: &str = "loss and optimizer";

fn name_of(layer: &Option<String>) -> &str {
    layer.as_deref().unwrap_or(OUTSIDE)
}

/// The layers that have times: the known ones in their order, others, and last what is outside of them.
fn order(known: &[String], times: &[(Option<String>, f64)]) -> Vec<String> {
    let found: Vec<&String> = times
        .iter()
        .filter_map(|(layer, _)| layer.as_ref())
        .collect();
    let known_found = known.iter().filter(|name| found.contains(name));
    let others = found.iter().copied().filter(|name| !known.contains(name));
    let mut names: Vec<String> = known_found.chain(others).cloned().collect();
    names.push(OUTSIDE.to_string());
    names
}

/// Milliseconds of each layer: for each, the median over several runs.
fn time(mut program: Program, values: &[Array]) -> Result<Vec<(Option<String>, f64)>> {
    program.run(values)?;
    let mut order: Vec<Option<String>> = Vec::new();
    let mut found: HashMap<Option<String>, Vec<Duration>> = HashMap::new();
    for run in 0..RUNS {
        let (_, steps) = program.run_timed(values)?;
        for step in steps {
            let layer = step.label.layer.map(|l| l.to_string());
            if !order.contains(&layer) {
                order.push(layer.clone());
            }
            let runs = found
                .entry(layer)
                .or_insert_with(|| vec![Duration::ZERO; RUNS]);
            runs[run] += step.duration;
        }
    }
    let median = |layer: &Option<String>| {
        let mut runs = found.get(layer).cloned().unwrap_or_default();
        runs.sort_unstable();
        runs.get(RUNS / 2).map_or(0.0, |d| d.as_secs_f64() * 1e3)
    };
    Ok(order
        .into_iter()
        .map(|layer| {
            let milliseconds = median(&layer);
            (layer, milliseconds)
        })
        .collect())
}
