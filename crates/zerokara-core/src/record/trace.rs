//! Tracing: a forward pass that was built as a graph of tensors, read as nodes.

use super::{BATCH, Lengths, ModelRecord, ParameterRecord, fit::Points, merge, merge::Constants};
use crate::{
    Array, Attributes, DType, Error, Meta, Parameter, Port, Result, Signature, Tensor, Tensors,
    op::Kind,
};
use std::{
    collections::{HashMap, HashSet},
    panic::Location,
    sync::Arc,
};

/// A parameter or buffer of a model that is traced.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its path in the model.
    pub name: String,
    /// Whether gradients change it.
    pub trainable: bool,
    /// The cell.
    pub parameter: Parameter,
}

/// What a forward pass gave.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Its outputs.
    pub outputs: Tensors,
    /// What cells are to take when the pass is done.
    pub updates: Vec<(Parameter, Tensor)>,
}

/// The lengths with which a model is traced where they may be any: more than most kernels, then more than most layers.
const LEAST: [usize; 2] = [11, 101];
/// Traces that are enough if nothing but whole axes follows from the lengths.
const FEW: usize = 3;
/// The most lengths that may be any.
const MOST_LENGTHS: usize = 6;

impl ModelRecord {
    /// Traces a forward pass for inputs of these ports. `forward` builds it from tensors of the inputs and of the step's
    /// number, for training if its first argument is true.
    ///
    /// Where lengths may be any, the pass is traced with several of them. What differs from trace to trace must follow from
    /// them: integers of attributes and shapes as sums of products, constants as numbers that are evenly spaced along their
    /// axes (the same everywhere, or positions). `lengths` says how long they usually are, if that is known.
    ///
    /// # Errors
    /// If the inputs do not fit the model, or what is computed differs with a length in another way.
    pub fn trace(
        inputs: &[Port],
        lengths: &Lengths,
        states: Vec<(Arc<str>, Arc<str>)>,
        cells: &[Cell],
        forward: &mut dyn FnMut(bool, &Tensors, &Tensor) -> Result<Passed>,
    ) -> Result<Self> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for axis in inputs.iter().flat_map(|port| &port.axes) {
            if let crate::Axis::Any(name) = axis
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        if names.len() > MOST_LENGTHS {
            return Err(Error::new(format!(
                "{} lengths may be any, and a model is recorded for at most {MOST_LENGTHS}",
                names.len()
            )));
        }
        let mut by_id = HashMap::new();
        let mut parameters = Vec::new();
        for cell in cells {
            let id = cell.parameter.id();
            if by_id.contains_key(&id) {
                continue;
            }
            by_id.insert(id, cell.name.clone());
            parameters.push(ParameterRecord {
                name: cell.name.clone(),
                trainable: cell.trainable,
                value: cell.parameter.value(),
            });
        }
        let mut tracer = Tracer {
            inputs,
            by_id,
            forward,
        };
        let mut failed = None;
        for least in LEAST {
            let points = Points::new(&names, least);
            match tracer.at(&points) {
                Ok((graphs, outputs, constants)) => {
                    let [evaluate, train] = graphs;
                    let usual = points.lengths[0].iter().zip(points.names);
                    let usual = usual.map(|(&traced, name)| {
                        let length = match &**name {
                            BATCH => 1,
                            _ => traced,
                        };
                        (name.clone(), lengths.get(name).copied().unwrap_or(length))
                    });
                    let record = Self {
                        signature: Signature {
                            inputs: inputs.to_vec(),
                            outputs,
                            states,
                        },
                        lengths: usual.collect(),
                        evaluate,
                        train,
                        parameters,
                        constants,
                    };
                    record.check()?;
                    return Ok(record);
                }
                Err(error) if names.is_empty() => return Err(error),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let why = failed.map(|error| error.to_string()).unwrap_or_default();
        Err(Error::new(format!(
            "the model does not hold for any {}: {why}",
            names.join(" and ")
        )))
    }
}

struct Tracer<'a> {
    inputs: &'a [Port],
    /// The names of parameters.
    by_id: HashMap<u64, String>,
    forward: &'a mut dyn FnMut(bool, &Tensors, &Tensor) -> Result<Passed>,
}

type Merged = ([super::GraphRecord; 2], Vec<Port>, Vec<Array>);

impl Tracer<'_> {
    /// The graphs of evaluation and training, the outputs and the constants.
    fn at(&mut self, points: &Points<'_>) -> Result<Merged> {
        let mut traces = [Vec::new(), Vec::new()];
        let all = points.lengths.len();
        let mut wanted = all.min(FEW);
        loop {
            while traces[0].len() < wanted {
                let at = traces[0].len();
                for (mode, traces) in traces.iter_mut().enumerate() {
                    traces.push(self.trace(mode == 1, points, at)?);
                }
            }
            let mut constants = Constants::default();
            let mut graphs = Vec::new();
            for traces in &traces {
                match merge::merge(traces, points, &mut constants)? {
                    Some(graph) => graphs.push(graph),
                    None => break,
                }
            }
            if let [evaluate, train] = &graphs[..] {
                let kinds = |ports: &[Port]| -> Vec<(Arc<str>, DType)> {
                    ports.iter().map(|p| (p.name.clone(), p.dtype)).collect()
                };
                if kinds(&evaluate.1) != kinds(&train.1) {
                    return Err(Error::new(
                        "the model gives other outputs when it is trained than when it is evaluated",
                    ));
                }
                let outputs = evaluate.1.clone();
                let graphs = [evaluate.0.clone(), train.0.clone()];
                return Ok((graphs, outputs, constants.list));
            }
            if wanted == all {
                return Err(Error::new("what is computed cannot be said for any length"));
            }
            wanted = all;
        }
    }

    fn trace(&mut self, training: bool, points: &Points<'_>, at: usize) -> Result<Trace> {
        let length = |name: &str| {
            let place = points.names.iter().position(|known| &**known == name)?;
            Some(points.lengths[at][place])
        };
        let mut inputs = Tensors::new();
        for port in self.inputs {
            let meta = port.meta(length)?;
            let tensor = Tensor::input(&*port.name, meta.shape, meta.dtype);
            inputs.insert(port.name.clone(), tensor);
        }
        let step = Tensor::input("step", [], DType::I64);
        let passed = (self.forward)(training, &inputs, &step)?;
        self.read(&inputs, &step, &passed)
    }

    fn read(&self, inputs: &Tensors, step: &Tensor, passed: &Passed) -> Result<Trace> {
        for output in passed.outputs.values() {
            output.meta()?;
        }
        let updated = passed.updates.iter().map(|(_, value)| value);
        let roots: Vec<&Tensor> = passed.outputs.values().chain(updated).collect();
        let mut found = Trace::default();
        let mut positions = HashMap::new();
        let mut given = inputs.iter().map(|(name, t)| (t.node_view().id, name));
        let given: HashMap<u64, &str> = given.by_ref().collect();
        for tensor in in_order(&roots) {
            let node = tensor.node_view();
            let name = node.parameter.and_then(|p| self.by_id.get(&p.id()));
            let source = if let Some(name) = given.get(&node.id) {
                TracedSource::Input(name.to_string())
            } else if tensor.is(step) {
                TracedSource::Step
            } else if let Some(name) = name {
                TracedSource::Parameter(name.clone())
            } else if let Some(value) = node.value {
                TracedSource::Constant(value.clone())
            } else if node.op.kind() == Kind::Leaf {
                return Err(Error::new(format!(
                    "{tensor:?} is an input of the forward pass, which has only {}",
                    inputs.list()
                )));
            } else {
                let positions = node.inputs.iter().map(|t| positions[&t.node_view().id]);
                TracedSource::Op {
                    name: node.op.name(),
                    attributes: node.op.attributes(),
                    inputs: positions.collect(),
                }
            };
            // Leaves are shared between layers.
            let layer = match source {
                TracedSource::Op { .. } => node.path.map(str::to_string),
                _ => None,
            };
            positions.insert(node.id, found.nodes.len());
            found.nodes.push(TracedNode {
                source,
                layer,
                location: node.location,
            });
        }
        for (name, output) in passed.outputs.iter() {
            let meta = output.meta()?.clone();
            let at = positions[&output.node_view().id];
            found.outputs.push((name.into(), at, meta));
        }
        for (parameter, value) in &passed.updates {
            let name = self.by_id.get(&parameter.id()).ok_or_else(|| {
                Error::new(format!(
                    "{} is updated but is not part of the model",
                    parameter.name()
                ))
            })?;
            let at = positions[&value.node_view().id];
            found.updates.push((name.clone(), at));
        }
        Ok(found)
    }
}

/// A forward pass with lengths that are numbers.
#[derive(Default)]
pub(super) struct Trace {
    pub nodes: Vec<TracedNode>,
    pub outputs: Vec<(Arc<str>, usize, Meta)>,
    pub updates: Vec<(String, usize)>,
}

pub(super) struct TracedNode {
    pub source: TracedSource,
    pub layer: Option<String>,
    pub location: &'static Location<'static>,
}

#[derive(PartialEq)]
pub(super) enum TracedSource {
    Input(String),
    Step,
    Parameter(String),
    Constant(Array),
    Op {
        name: &'static str,
        attributes: Attributes,
        inputs: Vec<usize>,
    },
}

/// All nodes that the roots are computed from, in the order in which they were made.
pub fn nodes(roots: &[&Tensor]) -> Vec<Tensor> {
    let mut found: HashMap<u64, Tensor> = HashMap::new();
    let mut stack: Vec<Tensor> = roots.iter().map(|&t| t.clone()).collect();
    while let Some(tensor) = stack.pop() {
        let node = tensor.node_view();
        if found.contains_key(&node.id) {
            continue;
        }
        if node.value.is_none() {
            stack.extend(node.inputs.iter().cloned());
        }
        found.insert(node.id, tensor);
    }
    let mut nodes: Vec<Tensor> = found.into_values().collect();
    nodes.sort_unstable_by_key(|t| t.node_view().id);
    nodes
}

/// As [`nodes`], but leaves directly before the first node that takes them: one may be older in one trace than in another,
/// since whoever holds a parameter's tensor keeps it.
fn in_order(roots: &[&Tensor]) -> Vec<Tensor> {
    let mut found = Vec::new();
    let mut placed = HashSet::new();
    let mut place = |tensor: &Tensor| {
        if placed.insert(tensor.node_view().id) {
            found.push(tensor.clone());
        }
    };
    let is_leaf = |tensor: &Tensor| {
        let node = tensor.node_view();
        node.value.is_some() || node.op.kind() == Kind::Leaf
    };
    for tensor in nodes(roots) {
        if !is_leaf(&tensor) {
            for input in tensor.node_view().inputs {
                place(input);
            }
            place(&tensor);
        }
    }
    roots.iter().for_each(|root| place(root));
    found
}
