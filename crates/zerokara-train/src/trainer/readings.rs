//! A look at weights, gradients and activations at the ends of epochs, which must not slow the training down.

use super::session::Session;
use crate::{
    bytes::as_stored,
    error::Result,
    readings::{self, Histogram, Readings, VERSION},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use zerokara_core::{Tensor, eval, gradients, op::Kind, record::nodes};
use zerokara_data::Feed;
use zerokara_nn::{Context, TrainStep};

/// Samples that are looked at.
const SAMPLES: usize = 32;
/// The most lines of a run, about.
const MOST_LINES: u64 = 100;
/// A look is taken while all of them have taken less than this share of the time, and so many seconds, which short runs have.
const SHARE: f64 = 0.02;
const GRACE: f64 = 0.05;

/// What is kept between the looks of a run.
#[derive(Default)]
pub(super) struct Looks {
    feed: Option<Feed>,
    taken: Duration,
}

impl Session<'_> {
    /// Takes a look, if the run has a folder and a look is due: at the last epoch, and before as often as it costs next to
    /// nothing. What goes wrong with it is said, and is no reason to end a training.
    pub(super) fn read(&mut self, step: &TrainStep, is_last: bool) {
        let Some(folder) = &self.folder else {
            return;
        };
        let path = folder.readings();
        let every = self.trainer.epochs.div_ceil(MOST_LINES).max(1);
        let most = GRACE + SHARE * self.started.elapsed().as_secs_f64();
        let is_affordable = self.looks.taken.as_secs_f64() < most;
        let is_due = self.reached.epochs.is_multiple_of(every) || self.reached.epochs == 1;
        if !(is_last || is_due && is_affordable) {
            return;
        }
        let started = Instant::now();
        let looked = look(self, step);
        let written = match looked {
            Ok(line) => readings::append(&path, &line).map_err(Into::into),
            Err(error) => Err(error),
        };
        self.looks.taken += started.elapsed();
        self.tell(written);
    }
}

fn look(session: &mut Session<'_>, step: &TrainStep) -> Result<Readings> {
    let trainer = session.trainer;
    let feed = match session.looks.feed.take() {
        Some(feed) => feed,
        None => {
            // In the order of the data, as they are stored: the same ones each time.
            let samples = SAMPLES.max(session.least).min(session.train.len());
            let loader = trainer.loader(session.data, &session.train, samples)?;
            as_stored(loader, &session.train).feed(0)?
        }
    };
    let constant = |_: &str, array: &zerokara_core::Array| Tensor::from(array.clone());
    // As in training; what the pass would change in the model is not taken from it.
    let mut cx = Context::train(trainer.seed);
    let outputs = step.model().apply(&feed.inputs.map(constant), &mut cx);
    let loss = trainer
        .task
        .objective(&outputs, &feed.targets.map(constant));
    loss.meta()?;
    let parameters = trainer.model.named_parameters()?;
    let leaves: Vec<Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
    let slopes = gradients(&loss, &leaves.iter().collect::<Vec<_>>());
    let all: Vec<&Tensor> = outputs.values().collect();
    let layers = ends_of_layers(&all);
    let asked: Vec<&Tensor> = slopes.iter().chain(layers.values()).collect();
    let found = eval(&asked)?;
    let histogram = |array: &zerokara_core::Array| Histogram::of(&array.to_f64s());
    let mut line = Readings {
        version: VERSION,
        epoch: session.reached.epochs,
        step: session.steps,
        memory: crate::system::memory(),
        ..Readings::default()
    };
    for ((path, parameter), slope) in parameters.iter().zip(&found) {
        line.weights
            .insert(path.clone(), histogram(&parameter.value()));
        line.gradients.insert(path.clone(), histogram(slope));
    }
    for (path, values) in layers.into_keys().zip(&found[parameters.len()..]) {
        line.activations.insert(path, histogram(values));
    }
    session.looks.feed = Some(feed);
    Ok(line)
}

/// The last value of each layer that has a path.
fn ends_of_layers(outputs: &[&Tensor]) -> BTreeMap<String, Tensor> {
    let mut ends = BTreeMap::new();
    for tensor in nodes(outputs) {
        let node = tensor.node_view();
        let is_computed = node.op.kind() != Kind::Leaf && node.value.is_none();
        let path = node
            .path
            .filter(|path| !path.is_empty() && is_computed)
            .map(String::from);
        let is_float = tensor.meta().is_ok_and(|meta| meta.is_float());
        if let Some(path) = path.filter(|_| is_float) {
            ends.insert(path, tensor);
        }
    }
    ends
}
