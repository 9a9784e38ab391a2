//! Models rebuilt from their record.

use crate::{Context, Forward, Module, ParameterSlot, Visitor};
use std::{collections::HashMap, fmt, panic::Location};
use zerokara_core::{
    Error, Metas, Parameter, Port, Result, Signature, Tensor, Tensors,
    record::{ModelRecord, Pass},
};

/// A model rebuilt from its [`ModelRecord`]: it computes, trains and is saved as the model that was recorded, without
/// that model's code.
///
/// It is a [`Model`](crate::Model) of the record's signature, and [`Forward`] where that has one input and one output.
#[derive(Clone)]
pub struct GraphModule {
    record: ModelRecord,
    slots: Vec<ParameterSlot>,
    /// The place of each parameter's slot.
    by_name: HashMap<String, usize>,
    location: &'static Location<'static>,
}

impl GraphModule {
    /// The model of a record.
    ///
    /// # Errors
    /// If the record contradicts itself, names operations that there are not, or takes more memory or work than
    /// [`Runtime::memory_limit`](zerokara_core::Runtime::memory_limit) and
    /// [`Runtime::work_limit`](zerokara_core::Runtime::work_limit) allow: the work for inputs of the record's lengths, of
    /// two samples at least. A pass for larger inputs may take so many times more.
    #[track_caller]
    pub fn new(record: ModelRecord) -> Result<Self> {
        record.check()?;
        record.check_passes()?;
        let mut slots = Vec::new();
        let mut by_name = HashMap::new();
        for parameter in &record.parameters {
            by_name.insert(parameter.name.clone(), slots.len());
            let cell = Parameter::of_array(&*parameter.name, parameter.value.clone());
            slots.push(ParameterSlot::of(cell, parameter.trainable));
        }
        Ok(Self {
            record,
            slots,
            by_name,
            location: Location::caller(),
        })
    }

    /// What the model takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.record.signature
    }

    /// The states among the inputs, which begin as zeros where they are not given.
    pub(crate) fn state_ports(&self) -> Vec<Port> {
        let signature = self.signature();
        let is_state = |port: &&Port| signature.states.iter().any(|(name, _)| *name == port.name);
        signature.inputs.iter().filter(is_state).cloned().collect()
    }

    /// The inputs with zeros for states, if none of these is given; whether that is so.
    fn begun(&self, inputs: &Tensors) -> Result<Option<Tensors>> {
        let states = self.state_ports();
        if states.is_empty() || states.iter().any(|port| inputs.get(&port.name).is_some()) {
            return Ok(None);
        }
        let mut known = self.signature().clone();
        known
            .inputs
            .retain(|port| !states.iter().any(|state| state.name == port.name));
        let mut given = Tensors::new();
        let mut metas = Metas::new();
        for (at, (name, tensor)) in inputs.iter().enumerate() {
            // One input alone is what the model takes, whatever it is called.
            let name = match (&known.inputs[..], at) {
                ([only], 0) if inputs.len() == 1 => only.name.clone(),
                _ => name.into(),
            };
            metas.insert(name.clone(), tensor.meta()?.clone());
            given.insert(name, tensor.clone());
        }
        let lengths = known.lengths(&metas)?;
        for port in states {
            let meta = port.meta(|name| lengths.get(name).copied())?;
            given.insert(port.name, Tensor::full(meta.shape, 0.0, meta.dtype));
        }
        Ok(Some(given))
    }

    /// Shapes and element types of inputs such as the model was recorded with.
    pub fn sample(&self) -> Metas {
        // Of a record that was checked, all lengths are known.
        let lengths = &self.record.lengths;
        self.record.signature.metas(lengths).unwrap_or_default()
    }

    /// The record with the current values of the parameters.
    pub fn record(&self) -> ModelRecord {
        let mut record = self.record.clone();
        for (entry, slot) in record.parameters.iter_mut().zip(&self.slots) {
            if let Some(parameter) = slot.parameter() {
                entry.value = parameter.value();
            }
        }
        record
    }

    fn slot(&self, name: &str) -> Option<&ParameterSlot> {
        self.by_name.get(name).map(|&at| &self.slots[at])
    }

    /// The outputs for these inputs.
    pub(crate) fn pass(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        match self.begun(inputs) {
            Ok(None) => self.pass_of(inputs, cx),
            Ok(Some(begun)) => {
                let all = self.pass_of(&begun, cx);
                let states = &self.signature().states;
                let is_next = |name: &str| states.iter().any(|(_, output)| &**output == name);
                all.iter()
                    .filter(|(name, _)| !is_next(name))
                    .map(|(name, tensor)| (std::sync::Arc::from(name), tensor.clone()))
                    .collect()
            }
            Err(error) => self.invalid(&error),
        }
    }

    /// Outputs that carry an error.
    fn invalid(&self, error: &Error) -> Tensors {
        let names = self.record.signature.outputs.iter();
        names
            .map(|port| (port.name.clone(), Tensor::invalid(error.clone())))
            .collect()
    }

    /// The outputs for all inputs.
    fn pass_of(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let step = cx.step().clone();
        let parameter = |name: &str| match self.slot(name).and_then(|s| s.parameter()) {
            Some(parameter) => parameter.tensor(),
            None => Tensor::invalid(Error::new(format!("there is no parameter {name}"))),
        };
        let applied = self.record.apply(
            inputs,
            Pass {
                training: cx.is_training(),
                parameter: &parameter,
                step: &step,
                key: Some(&mut || cx.random_key()),
                is_limited: true,
                location: Some(self.location),
            },
        );
        match applied {
            Ok(applied) => {
                for (name, value) in &applied.updates {
                    if let Some(slot) = self.slot(name) {
                        cx.update(slot, value);
                    }
                }
                applied.outputs
            }
            Err(error) => self.invalid(&error),
        }
    }
}

impl Module for GraphModule {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        for (entry, slot) in self.record.parameters.iter().zip(&self.slots) {
            visitor.part(&entry.name, slot);
        }
    }
}

impl Forward for GraphModule {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let name = match self.record.signature.inputs.first() {
            Some(port) => port.name.clone(),
            None => crate::model::INPUT.into(),
        };
        self.pass(&Tensors::one(name, x.clone()), cx).single()
    }

    fn as_graph(&self) -> Option<&GraphModule> {
        Some(self)
    }
}

impl fmt::Debug for GraphModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphModule")
            .field("signature", &self.record.signature.to_string())
            .field("nodes", &self.record.evaluate.nodes.len())
            .field("parameters", &self.slots.len())
            .finish()
    }
}
