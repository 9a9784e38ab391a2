//! The context of a forward pass: its mode, its randomness and its updates.

use crate::{ParameterSlot, key::stream_key};
use std::collections::{HashMap, HashSet};
use zerokara_core::{DType, Error, Parameter, Result, Tensor, scope};

/// Whether a forward pass is part of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Dropout drops, batch normalization uses and records the batch's statistics.
    Train,
    /// Nothing is random, nothing is updated.
    Evaluate,
}

/// What layers may know of the pass that they are part of, and where they leave what the pass is to change.
///
/// One context serves one forward pass: it counts the draws of each layer, and allows one update of each cell.
#[derive(Debug)]
pub struct Context {
    mode: Mode,
    seed: u64,
    step: Tensor,
    updates: Vec<(Parameter, Tensor)>,
    /// The identities of the parameters that are updated.
    updated: HashSet<u64>,
    error: Option<Error>,
    /// Number of draws made so far at each path.
    draws: HashMap<String, u64>,
    /// While a model is built, the parameters made so far.
    building: Option<Made>,
}

/// The parameters made while a model is built, each with its slot, by the identity of the slot.
#[derive(Debug, Default)]
pub(crate) struct Made(HashMap<usize, (ParameterSlot, Parameter)>);

impl Made {
    /// The parameter of a slot.
    pub fn get(&self, slot: &ParameterSlot) -> Option<&Parameter> {
        self.0.get(&slot.identity()).map(|(_, made)| made)
    }

    /// Gives every slot its parameter.
    pub fn fill(self) {
        for (slot, parameter) in self.0.into_values() {
            slot.fill(parameter);
        }
    }
}

impl Context {
    /// A context of this mode. Random draws are a function of the seed, the drawing layer's path and the step, an i64
    /// scalar: a constant, or the input of a program.
    pub fn new(mode: Mode, seed: u64, step: Tensor) -> Self {
        Self {
            mode,
            seed,
            step,
            updates: Vec::new(),
            updated: HashSet::new(),
            error: None,
            draws: HashMap::new(),
            building: None,
        }
    }

    /// A context of training, at step 0.
    pub fn train(seed: u64) -> Self {
        Self::new(Mode::Train, seed, Tensor::scalar(0.0, DType::I64))
    }

    /// A context of evaluation.
    pub fn evaluate() -> Self {
        Self::new(Mode::Evaluate, 0, Tensor::scalar(0.0, DType::I64))
    }

    pub(crate) fn build(mode: Mode, seed: u64, made: Made) -> Self {
        Self {
            building: Some(made),
            ..Self::new(mode, seed, Tensor::scalar(0.0, DType::I64))
        }
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the pass is part of training.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Train
    }

    /// The step's number, an i64 scalar, which random draws take.
    pub fn step(&self) -> &Tensor {
        &self.step
    }

    /// The key of the next random draw of the layer that is being applied: a hash of the seed, the layer's path and the
    /// number of draws that it has made in this pass.
    pub fn random_key(&mut self) -> u64 {
        let path = scope::path().to_string();
        let draw = self.draws.entry(path.clone()).or_insert(0);
        let key = stream_key(self.seed, &path, *draw);
        *draw += 1;
        key
    }

    /// Uniform random numbers in `[0, 1)`, f32, in the shape of `like`, anew at each step.
    #[track_caller]
    pub fn uniform_like(&mut self, like: &Tensor) -> Tensor {
        let key = self.random_key();
        Tensor::uniform_like(key, &self.step, like)
    }

    /// Lets the cell take this value when the pass is done, as batch normalization does with its running statistics.
    /// A second update of one cell in one pass is an error, which [`Context::finish`] returns.
    pub fn update(&mut self, cell: &ParameterSlot, value: &Tensor) {
        let Some(parameter) = self.find(cell) else {
            let message = format!("{} cannot be updated: it has no value yet", cell.label());
            return self.fail(Error::new(message));
        };
        if self.updated.contains(&parameter.id()) {
            return self.fail(Error::new(format!(
                "{} was updated twice in one step; a layer that keeps statistics can be used once in a forward pass",
                parameter.name()
            )));
        }
        match value.meta() {
            Err(error) => self.fail(error),
            Ok(meta) if meta != parameter.meta() => self.fail(Error::new(format!(
                "{} is {} and cannot take an update of {meta}",
                parameter.name(),
                parameter.meta()
            ))),
            Ok(_) => {
                self.updated.insert(parameter.id());
                self.updates.push((parameter, value.clone()));
            }
        }
    }

    /// The updates of the pass, in the order in which they were made.
    ///
    /// # Errors
    /// The first update that was not possible.
    pub fn finish(self) -> Result<Vec<(Parameter, Tensor)>> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.updates),
        }
    }

    /// The parameters made while building, or the first error.
    pub(crate) fn finish_building(self) -> Result<Made> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.building.unwrap_or_default()),
        }
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// The parameter of a slot, also of one that is being built.
    pub(crate) fn find(&self, slot: &ParameterSlot) -> Option<Parameter> {
        slot.parameter()
            .or_else(|| self.building.as_ref()?.get(slot).cloned())
    }

    /// The seed, if a model is being built.
    pub(crate) fn build_seed(&self) -> Option<u64> {
        self.building.as_ref().map(|_| self.seed)
    }

    pub(crate) fn made(&mut self, slot: ParameterSlot, parameter: Parameter) {
        if let Some(made) = &mut self.building {
            made.0.insert(slot.identity(), (slot, parameter));
        }
    }
}
