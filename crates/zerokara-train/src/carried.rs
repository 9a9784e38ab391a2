//! States that go on from batch to batch while training.

use crate::error::{Error, Result};
use std::sync::Arc;
use zerokara_core::{Array, Parameter, Tensors, record::BATCH};
use zerokara_nn::{Context, Model, Module, ParameterSlot, Visitor};

/// What the names of the states' cells begin with.
const NAME: &str = "carried";

/// A model whose states begin, in training, as the batch before left them: truncated backpropagation through time, for gradients do
/// not go back into the batch before. The states lie in cells as running statistics do, so that a step that is not finite leaves
/// them alone. In evaluation it is the model itself.
pub(crate) struct Carried {
    model: Arc<dyn Model>,
    /// Each state: its name, that of the output which is its next value, and its cell.
    cells: Vec<(Arc<str>, Arc<str>, ParameterSlot)>,
}

impl Carried {
    /// With zeros for states, for batches of so many samples.
    pub fn new(model: Arc<dyn Model>, samples: usize) -> Result<Self> {
        let states = model.states();
        let mut cells = Vec::new();
        for port in model.state_ports() {
            let next = states.iter().find(|(name, _)| *name == port.name);
            let Some((_, output)) = next else { continue };
            let meta = port.meta(|name| (name == BATCH).then_some(samples))?;
            let zeros = Array::try_zeros(&meta)?;
            let cell = Parameter::of_array(format!("{NAME}.{}", port.name), zeros);
            cells.push((port.name, output.clone(), ParameterSlot::of(cell, false)));
        }
        match cells.is_empty() {
            true => Err(Error::new(
                "sampling is \"stream\", which carries states from batch to batch, and the model has none; lstm and gru have",
            )),
            false => Ok(Self { model, cells }),
        }
    }
}

impl Module for Carried {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.model.visit(visitor);
        for (name, _, cell) in &self.cells {
            visitor.part(&format!("{NAME}.{name}"), cell);
        }
    }
}

impl Model for Carried {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        if !cx.is_training() {
            return self.model.apply(inputs, cx);
        }
        let mut given = inputs.clone();
        for (name, _, cell) in &self.cells {
            if let Some(cell) = cell.parameter() {
                given.insert(name.clone(), cell.tensor());
            }
        }
        let outputs = self.model.apply(&given, cx);
        let mut rest = Tensors::new();
        for (name, output) in outputs.iter() {
            match self.cells.iter().find(|(_, next, _)| &**next == name) {
                Some((_, _, cell)) => cx.update(cell, output),
                None => rest.insert(name, output.clone()),
            }
        }
        rest
    }
}

/// The cells of states that a model carries, if it does; their values are those behind the last batch.
pub(crate) fn cells(model: &dyn Model) -> Result<Vec<Parameter>> {
    let mut buffers = model.buffers()?;
    buffers.retain(|cell| {
        let name = cell.name();
        name.strip_prefix(NAME)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    Ok(buffers)
}

/// Makes all states zeros, as before the first batch of a text.
pub(crate) fn reset(model: &dyn Model) -> Result<()> {
    for cell in cells(model)? {
        let zeros = Array::try_zeros(cell.meta())?;
        cell.set_array(zeros)?;
    }
    Ok(())
}
