//! A record's forward pass, built again for the inputs at hand.

use super::{Body, Lengths, ModelRecord, NodeRecord, NodeSource, RecordedAttribute};
use crate::{
    Array, Arrays, Attribute, Attributes, Axis, Budget, DType, Error, Meta, Metas, Result, Runtime,
    Tensor, Tensors, registry, scope,
};
use std::{collections::HashMap, panic::Location};

/// What a pass takes from outside of the record.
pub struct Pass<'a> {
    /// Whether the pass is part of training.
    pub training: bool,
    /// The parameter or buffer of this name.
    pub parameter: &'a dyn Fn(&str) -> Tensor,
    /// The number of the step, an i64 scalar.
    pub step: &'a Tensor,
    /// The key of a random draw, asked for while its layer is applied; as it was recorded if there is none.
    pub key: Option<&'a mut dyn FnMut() -> u64>,
    /// Whether the pass may take no more work and memory than the runtime allows to graphs from files.
    pub is_limited: bool,
    /// The line that errors name.
    pub location: Option<&'static Location<'static>>,
}

/// What a pass gave.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The outputs, as the signature names them.
    pub outputs: Tensors,
    /// Names of buffers with the values that they take after the step.
    pub updates: Vec<(String, Tensor)>,
}

impl ModelRecord {
    /// The forward pass for these inputs, as a graph of tensors.
    ///
    /// # Errors
    /// If an input is not as the signature says, or the pass takes more memory or work than it may. An operation that cannot
    /// apply gives an invalid tensor.
    pub fn apply(&self, inputs: &Tensors, mut pass: Pass<'_>) -> Result<Applied> {
        let mut metas = Metas::new();
        for (name, tensor) in inputs.iter() {
            metas.insert(name, tensor.meta()?.clone());
        }
        let lengths = self.signature.lengths(&metas)?;
        let graph = match pass.training {
            true => &self.train,
            false => &self.evaluate,
        };
        let mut passing = Passing {
            record: self,
            inputs,
            budget: match pass.is_limited {
                true => Some(Budget::new(self.times(&lengths)?)?),
                false => None,
            },
            lengths,
            pass: &mut pass,
            repeated: 0,
        };
        let values = passing.values(&graph.nodes, &[], &[])?;
        let names = self.signature.outputs.iter().map(|port| port.name.clone());
        let outputs = graph.outputs.iter().map(|&at| values[at].tensor());
        let updates = graph.updates.iter();
        let updates = updates.map(|(name, at)| (name.clone(), values[*at].tensor()));
        Ok(Applied {
            outputs: names.zip(outputs).collect(),
            updates: updates.collect(),
        })
    }

    /// The outputs of evaluation for these inputs, with the parameters of the record.
    ///
    /// # Errors
    /// If an input is not as the signature says, or the pass takes more memory or work than graphs from files may.
    pub fn run(&self, inputs: &Arrays) -> Result<Arrays> {
        let outputs = self.run_graph(inputs)?;
        let tensors: Vec<&Tensor> = outputs.values().collect();
        let values = crate::eval(&tensors)?;
        let names = outputs.names().map(str::to_string);
        Ok(names.zip(values).collect())
    }

    fn run_graph(&self, inputs: &Arrays) -> Result<Tensors> {
        let inputs = inputs.map(|_, array| Tensor::from(array.clone()));
        Ok(self.pass(&inputs, false)?.outputs)
    }

    /// A pass with the parameters of the record, within the limits for graphs from files.
    fn pass(&self, inputs: &Tensors, training: bool) -> Result<Applied> {
        self.check()?;
        let parameters: HashMap<&str, &Array> = self
            .parameters
            .iter()
            .map(|p| (p.name.as_str(), &p.value))
            .collect();
        let tensors = std::cell::RefCell::new(HashMap::<String, Tensor>::new());
        self.apply(
            inputs,
            Pass {
                training,
                parameter: &|name| match parameters.get(name) {
                    Some(value) => tensors
                        .borrow_mut()
                        .entry(name.into())
                        .or_insert_with(|| Tensor::from((*value).clone()))
                        .clone(),
                    None => Tensor::invalid(Error::new(format!("there is no parameter {name}"))),
                },
                step: &Tensor::scalar(0.0, DType::I64),
                key: None,
                is_limited: true,
                location: None,
            },
        )
    }

    /// Runs both passes on paper for inputs like those that were recorded: nothing is computed.
    ///
    /// # Errors
    /// If an operation cannot apply, an output is not as the signature says, or a pass takes more memory or work than graphs
    /// from files may.
    pub fn check_passes(&self) -> Result<()> {
        let lengths = self.sample_lengths();
        for training in [false, true] {
            let applied = self.on_paper(&lengths, training)?;
            for (_, value) in &applied.updates {
                value.meta()?;
            }
            for (port, output) in self.signature.outputs.iter().zip(applied.outputs.values()) {
                let meta = output.meta()?;
                let fits = |(axis, &length): (&Axis, &usize)| match axis {
                    Axis::Fixed(fixed) => *fixed == length,
                    Axis::Any(name) => lengths.get(name).is_none_or(|&known| known == length),
                };
                let fits =
                    meta.rank() == port.axes.len() && port.axes.iter().zip(&meta.shape).all(fits);
                // In training an output may have other lengths, but not another type.
                if meta.dtype != port.dtype || (!fits && !training) {
                    return Err(Error::new(format!(
                        "the output {port} of the signature is {meta} in the graph"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Writes the outputs of the signature as the graph of evaluation gives them: under these names, with the axes that
    /// follow from `batch` or another length alone found by two passes on paper.
    ///
    /// # Errors
    /// As [`ModelRecord::check_passes`].
    pub fn infer_outputs(&mut self, names: &[&str]) -> Result<()> {
        let placeholder = |name: &&str| crate::Port::new(*name, DType::F32, [0usize; 0]);
        self.signature.outputs = names.iter().map(placeholder).collect();
        let first = self.sample_lengths();
        let mut other = Lengths::new();
        for (at, (name, length)) in first.iter().enumerate() {
            other.insert(name, length.saturating_add(1 + at));
        }
        let mut found: Vec<(Meta, Meta)> = Vec::new();
        let a = self.on_paper(&first, false)?.outputs;
        let b = self.on_paper(&other, false)?.outputs;
        for (a, b) in a.values().zip(b.values()) {
            found.push((a.meta()?.clone(), b.meta()?.clone()));
        }
        for (port, (a, b)) in self.signature.outputs.iter_mut().zip(found) {
            port.dtype = a.dtype;
            let axes = a.shape.iter().zip(&b.shape).enumerate();
            let axes = axes.map(|(at, (&one, &two))| {
                let mut lengths = first.iter().zip(other.values());
                match lengths.find(|&((_, &a), &b)| (a, b) == (one, two)) {
                    _ if one == two => Axis::Fixed(one),
                    Some(((name, _), _)) => Axis::Any(name.into()),
                    None => Axis::Any(format!("{}.{at}", port.name).into()),
                }
            });
            port.axes = axes.collect();
        }
        Ok(())
    }

    fn on_paper(&self, lengths: &Lengths, training: bool) -> Result<Applied> {
        let metas = self.signature.metas(lengths)?;
        let inputs = metas.map(|name, meta| Tensor::input(name, meta.shape.clone(), meta.dtype));
        self.pass(&inputs, training)
    }

    /// How many times as many elements inputs of these lengths have as those that were recorded.
    fn times(&self, lengths: &Lengths) -> Result<f64> {
        let count = |lengths: &Lengths| -> Result<f64> {
            let metas = self.signature.metas(lengths)?;
            let elements = |meta: &Meta| meta.shape.iter().map(|&n| n as f64).product::<f64>();
            Ok(metas.values().map(elements).sum())
        };
        let recorded = count(&self.sample_lengths())?;
        Ok(count(lengths)? / recorded.max(1.0))
    }
}

/// What a node gives.
pub(super) enum Value {
    One(Tensor),
    /// The results of a branch or loop.
    Many(Vec<Tensor>),
}

impl Value {
    /// What is used of it.
    pub(super) fn tensor(&self) -> Tensor {
        self.result(0)
    }

    fn result(&self, number: usize) -> Tensor {
        let found = match self {
            Value::One(tensor) => Some(tensor),
            Value::Many(results) => results.get(number),
        };
        let missing = || Tensor::invalid(Error::new(format!("there is no result {number}")));
        found.map_or_else(missing, Tensor::clone)
    }
}

/// A pass while it is built.
pub(super) struct Passing<'a, 'p> {
    record: &'a ModelRecord,
    inputs: &'a Tensors,
    lengths: Lengths,
    budget: Option<Budget>,
    pass: &'a mut Pass<'p>,
    /// Nodes of repeated bodies so far.
    pub(super) repeated: usize,
}

impl Passing<'_, '_> {
    /// The values of the nodes of a graph, or of a body that is given something, within a graph of these values.
    fn values(
        &mut self,
        nodes: &[NodeRecord],
        given: &[Tensor],
        outer: &[Value],
    ) -> Result<Vec<Value>> {
        let mut values: Vec<Value> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let value = match &node.source {
                NodeSource::Control(control) => Value::Many(self.control(control, &values)?),
                NodeSource::Result { of, number } => Value::One(values[*of].result(*number)),
                NodeSource::Given(at) => Value::One(given[*at].clone()),
                NodeSource::Outer(at) => Value::One(outer[*at].tensor()),
                _ => Value::One(self.node(node, &values)?),
            };
            // An invalid value says itself what is wrong.
            if let (Some(budget), Value::One(value)) = (&mut self.budget, &value)
                && value.meta().is_ok()
            {
                budget.spend(value)?;
            }
            values.push(value);
        }
        Ok(values)
    }

    /// What a body of the graph around gives.
    ///
    /// # Errors
    /// If bodies come to too many nodes.
    pub(super) fn body(
        &mut self,
        body: &Body,
        given: &[Tensor],
        outer: &[Value],
    ) -> Result<Vec<Tensor>> {
        self.count(body)?;
        let values = self.values(&body.nodes, given, outer)?;
        let outputs = body.outputs.iter().map(|&at| values[at].tensor());
        Ok(outputs.collect())
    }

    /// A node that is neither control flow nor comes from around.
    fn node(&mut self, node: &NodeRecord, values: &[Value]) -> Result<Tensor> {
        let (record, inputs, pass) = (self.record, self.inputs, &mut *self.pass);
        Ok(match &node.source {
            NodeSource::Input(name) => match record.signature.inputs.len() {
                1 => inputs
                    .only()
                    .map_or_else(|| inputs.tensor(name), Tensor::clone),
                _ => inputs.tensor(name),
            },
            NodeSource::Step => pass.step.clone(),
            NodeSource::Constant(at) => Tensor::from(record.constants[*at].clone()),
            NodeSource::Series(series) => {
                let shape = series.shape.iter().map(|size| size.length(&self.lengths));
                let shape = shape.collect::<Result<Vec<_>>>()?;
                let meta = Meta::new(shape, DType::F64);
                Runtime::current()?.limits().check_value(&meta)?;
                Tensor::from(series.array(&meta.shape)?)
            }
            NodeSource::Parameter(name) => (pass.parameter)(name),
            NodeSource::Op {
                name,
                attributes,
                inputs,
            } => {
                let attributes = attributes.at(&self.lengths)?;
                let inputs: Vec<Tensor> = inputs.iter().map(|&i| values[i].tensor()).collect();
                let layer = node.layer.as_deref().unwrap_or("");
                scope::in_layer(layer, pass.location, || match &mut pass.key {
                    // A draw belongs to the seed of this pass, not to that of the recorded one.
                    Some(key) if name == "uniform" => {
                        registry::apply(name, &with_key(&attributes, key()), &inputs)
                    }
                    // Nor do trips of a loop draw the same.
                    None if name == "uniform" && self.repeated > 0 => {
                        let recorded = attributes.int("key").unwrap_or(0) as u64;
                        let turn = (self.repeated as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        registry::apply(name, &with_key(&attributes, recorded ^ turn), &inputs)
                    }
                    _ => registry::apply(name, &attributes, &inputs),
                })
            }
            NodeSource::Control(_)
            | NodeSource::Result { .. }
            | NodeSource::Given(_)
            | NodeSource::Outer(_) => {
                Tensor::invalid(Error::new("a node of control flow stands for no tensor"))
            }
        })
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

impl RecordedAttribute {
    /// The attribute, if it is the same for all lengths.
    pub fn known(&self) -> Option<&Attribute> {
        match self {
            RecordedAttribute::Known(attribute) => Some(attribute),
            _ => None,
        }
    }
}
