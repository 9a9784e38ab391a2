//! Models rebuilt from their record.

use crate::{
    Context, Forward, Mode, Module, ParameterSlot, Visitor,
    record::{GraphRecord, ModelRecord, NodeSource},
};
use std::{collections::HashMap, fmt, panic::Location};
use zerokara_core::{
    Attribute, Attributes, Budget, DType, Error, Meta, Parameter, Result, Tensor, registry, scope,
};

/// A model rebuilt from its [`ModelRecord`]: it computes, trains and is saved as the model that was recorded, without
/// that model's code.
#[derive(Clone)]
pub struct GraphModule {
    record: ModelRecord,
    slots: Vec<ParameterSlot>,
    /// The place of each parameter's slot.
    by_name: HashMap<String, usize>,
    /// Whether a pass may take no more work and memory than the runtime allows to graphs from files.
    is_limited: bool,
    location: &'static Location<'static>,
}

impl GraphModule {
    /// The model of a record.
    ///
    /// # Errors
    /// If the record contradicts itself, names operations that there are not, or takes more memory or work than
    /// [`Runtime::memory_limit`](zerokara_core::Runtime::memory_limit) and
    /// [`Runtime::work_limit`](zerokara_core::Runtime::work_limit) allow: the work for a batch as large as the record's, or
    /// of two. A pass for a larger batch may take so many times more.
    #[track_caller]
    pub fn new(record: ModelRecord) -> Result<Self> {
        let mut model = Self::unchecked(record)?;
        model.is_limited = true;
        for mode in [Mode::Evaluate, Mode::Train] {
            let mut shape = model.record.input.shape.clone();
            if let (true, Some(batch)) = (model.record.any_batch, shape.first_mut()) {
                *batch = (*batch).max(2);
            }
            let x = Tensor::input("x", shape, model.record.input.dtype);
            let mut cx = Context::new(mode, 0, Tensor::scalar(0.0, DType::I64));
            model.forward(&x, &mut cx).meta()?;
            cx.finish()?;
        }
        Ok(model)
    }

    /// The model of a record whose parts refer to each other as they should.
    #[track_caller]
    pub(crate) fn unchecked(record: ModelRecord) -> Result<Self> {
        let mut slots = Vec::new();
        let mut by_name = HashMap::new();
        for parameter in &record.parameters {
            if by_name
                .insert(parameter.name.clone(), slots.len())
                .is_some()
            {
                return Err(Error::new(format!(
                    "two parameters have the name {}",
                    parameter.name
                )));
            }
            let cell = Parameter::of_array(&*parameter.name, parameter.value.clone());
            slots.push(ParameterSlot::of(cell, parameter.trainable));
        }
        for graph in [&record.evaluate, &record.train] {
            check(graph, &by_name, record.constants.len())?;
        }
        Ok(Self {
            record,
            slots,
            by_name,
            is_limited: false,
            location: Location::caller(),
        })
    }

    /// Shape and element type of the input that the model was recorded with.
    pub fn input(&self) -> &Meta {
        &self.record.input
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

    /// What a pass for this input may take; `None` if any amount.
    fn budget(&self, x: &Tensor) -> Result<Option<Budget>> {
        if !self.is_limited {
            return Ok(None);
        }
        let recorded = self.record.input.shape.first().copied().unwrap_or(1).max(2);
        let batch = x.shape()?.first().copied().unwrap_or(1);
        Budget::new(batch as f64 / recorded as f64).map(Some)
    }

    fn slot(&self, name: &str) -> Option<&ParameterSlot> {
        self.by_name.get(name).map(|&at| &self.slots[at])
    }
}

/// An error unless every reference of a graph has its target.
fn check(graph: &GraphRecord, by_name: &HashMap<String, usize>, constants: usize) -> Result<()> {
    let bad = |at: usize, what: String| Err(Error::new(format!("node {at} of the graph {what}")));
    for (at, node) in graph.nodes.iter().enumerate() {
        match &node.source {
            NodeSource::Op { name, inputs, .. } => {
                if let Some(input) = inputs.iter().find(|&&i| i >= at) {
                    return bad(
                        at,
                        format!("({name}) has the input {input}, which comes later"),
                    );
                }
            }
            NodeSource::Parameter(name) if !by_name.contains_key(name) => {
                return bad(
                    at,
                    format!("names the parameter {name}, which there is not"),
                );
            }
            NodeSource::Constant(i) if *i >= constants => {
                return bad(at, format!("names the constant {i}, which there is not"));
            }
            _ => {}
        }
    }
    let roots = graph
        .updates
        .iter()
        .map(|(_, at)| at)
        .chain([&graph.output]);
    if let Some(at) = roots.into_iter().find(|&&at| at >= graph.nodes.len()) {
        return bad(*at, "is named but not there".into());
    }
    match graph.updates.iter().find(|(n, _)| !by_name.contains_key(n)) {
        Some((name, _)) => Err(Error::new(format!(
            "the graph updates {name}, which is no parameter"
        ))),
        None => Ok(()),
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
        let graph = match cx.mode() {
            Mode::Train => &self.record.train,
            Mode::Evaluate => &self.record.evaluate,
        };
        let mut budget = match self.budget(x) {
            Ok(budget) => budget,
            Err(error) => return Tensor::invalid(error),
        };
        let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let value = match &node.source {
                NodeSource::Input => x.clone(),
                NodeSource::Step => cx.step().clone(),
                NodeSource::Constant(i) => Tensor::from(self.record.constants[*i].clone()),
                NodeSource::Parameter(name) => match self.slot(name).and_then(|s| s.parameter()) {
                    Some(parameter) => parameter.tensor(),
                    None => Tensor::invalid(Error::new(format!("there is no parameter {name}"))),
                },
                NodeSource::Op {
                    name,
                    attributes,
                    inputs,
                } => {
                    let inputs: Vec<Tensor> = inputs.iter().map(|&i| values[i].clone()).collect();
                    let layer = node.layer.as_deref().unwrap_or("");
                    scope::in_layer(layer, Some(self.location), || {
                        // A draw belongs to the seed of this pass, not to that of the recorded one.
                        if name == "uniform" {
                            let key = cx.random_key();
                            registry::apply(name, &with_key(attributes, key), &inputs)
                        } else {
                            registry::apply(name, attributes, &inputs)
                        }
                    })
                }
            };
            // An invalid value says itself what is wrong.
            if let Some(Err(error)) = budget.as_mut().map(|budget| budget.spend(&value))
                && value.meta().is_ok()
            {
                return Tensor::invalid(error);
            }
            values.push(value);
        }
        for (name, at) in &graph.updates {
            if let Some(slot) = self.slot(name) {
                cx.update(slot, &values[*at]);
            }
        }
        values[graph.output].clone()
    }
}

/// The attributes with another key.
fn with_key(attributes: &Attributes, key: u64) -> Attributes {
    let mut found = Attributes::none();
    for (name, value) in attributes.iter() {
        let value = match name {
            "key" => Attribute::Int(key as i64),
            _ => value.clone(),
        };
        found = found.with(name.to_string(), value);
    }
    found
}

impl fmt::Debug for GraphModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphModule")
            .field("input", &self.record.input)
            .field("nodes", &self.record.evaluate.nodes.len())
            .field("parameters", &self.slots.len())
            .finish()
    }
}
