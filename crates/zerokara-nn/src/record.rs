//! Models as data: the traced forward graph in both modes, with the parameters.

use crate::{Context, Forward, GraphModule, Mode, Sample, module::slots, replay::nodes};
use std::collections::HashMap;
use zerokara_core::{
    Array, Attributes, DType, Error, Meta, Result, Tensor, op::Kind, scope::in_container,
};

/// A model as data, whatever its `forward` was written in: what is saved, exported and rebuilt.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, GraphModule, Sequential, record::ModelRecord};
/// let model = Sequential::new().linear(4).relu().linear(2);
/// let x = Tensor::from([[1.0, 2.0, 3.0]]);
/// model.build(&x, 1)?;
/// let record = ModelRecord::trace(&model, &x)?;
/// let rebuilt = GraphModule::new(record)?;
/// let mut cx = Context::evaluate();
/// let (a, b) = (model.forward(&x, &mut cx), rebuilt.forward(&x, &mut cx));
/// assert_eq!(a.to_vec::<f32>()?, b.to_vec::<f32>()?);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRecord {
    /// Shape and element type of the input; the first axis is the batch of the sample.
    pub input: Meta,
    /// Whether the graph holds for any batch; else only for that of `input`.
    pub any_batch: bool,
    /// The forward pass of evaluation.
    pub evaluate: GraphRecord,
    /// The forward pass of training, with the updates of running statistics.
    pub train: GraphRecord,
    /// Parameters and buffers, in the order of the model's parts.
    pub parameters: Vec<ParameterRecord>,
    /// The constants that nodes name by number.
    pub constants: Vec<Array>,
}

/// A forward pass as data.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphRecord {
    /// The nodes, inputs before those that use them.
    pub nodes: Vec<NodeRecord>,
    /// The position of the output.
    pub output: usize,
    /// Names of buffers, each with the position of the value that it takes after a step.
    pub updates: Vec<(String, usize)>,
}

/// A node of a forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRecord {
    /// Where its value comes from.
    pub source: NodeSource,
    /// The path of the layer that it belongs to.
    pub layer: Option<String>,
}

/// Where a node's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeSource {
    /// The model's input.
    Input,
    /// The number of the step, which random draws take.
    Step,
    /// The parameter or buffer of this name.
    Parameter(String),
    /// The constant of this number.
    Constant(usize),
    /// An operation of the registry.
    Op {
        /// Its name.
        name: String,
        /// Its attributes.
        attributes: Attributes,
        /// The positions of its inputs.
        inputs: Vec<usize>,
    },
}

/// A parameter or buffer as data.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterRecord {
    /// Its path in the model.
    pub name: String,
    /// Whether gradients change it.
    pub trainable: bool,
    /// Its value.
    pub value: Array,
}

/// The batch that graphs are traced with: no length that images or layers have, so that a shape that agrees with
/// another does so by rule and not by chance.
const BATCH: usize = 7;

impl ModelRecord {
    /// Traces a model that has been built, for inputs like the sample.
    ///
    /// # Errors
    /// If the model has not been built or does not take the sample.
    pub fn trace<M: Forward + ?Sized>(model: &M, sample: &dyn Sample) -> Result<Self> {
        let input = sample.sample_meta()?;
        if input.rank() > 0 {
            // A forward pass that reads the batch's length as a number holds for no other.
            let free = Self::trace_at(model, &input, BATCH, true);
            if let Ok(record) = free
                && record.holds_for_any_batch()
            {
                return Ok(record);
            }
        }
        let batch = input.shape.first().copied().unwrap_or(1);
        Self::trace_at(model, &input, batch, false)
    }

    fn trace_at<M: Forward + ?Sized>(
        model: &M,
        input: &Meta,
        batch: usize,
        any_batch: bool,
    ) -> Result<Self> {
        let mut names = HashMap::new();
        let mut parameters = Vec::new();
        for (path, slot) in slots(model)? {
            let parameter = slot.parameter().ok_or_else(|| {
                Error::new(format!(
                    "the model has not been built: {path} has no value yet; call build(&sample, seed) first"
                ))
            })?;
            if names.contains_key(&parameter.id()) {
                continue;
            }
            names.insert(parameter.id(), path.clone());
            parameters.push(ParameterRecord {
                name: path,
                trainable: slot.is_trainable(),
                value: parameter.value(),
            });
        }
        let mut traced = input.clone();
        if let Some(first) = traced.shape.first_mut() {
            *first = batch;
        }
        let mut constants = Vec::new();
        let mut trace = |mode| trace_graph(model, &traced, mode, &names, &mut constants);
        Ok(Self {
            evaluate: trace(Mode::Evaluate)?,
            train: trace(Mode::Train)?,
            input: input.clone(),
            any_batch,
            parameters,
            constants,
        })
    }

    /// Whether both graphs can be rebuilt for other batches and give as many outputs.
    fn holds_for_any_batch(&self) -> bool {
        let Ok(model) = GraphModule::unchecked(self.clone()) else {
            return false;
        };
        [2, 5].into_iter().all(|batch| {
            [Mode::Evaluate, Mode::Train].into_iter().all(|mode| {
                let mut shape = self.input.shape.clone();
                shape[0] = batch;
                let x = Tensor::input("x", shape, self.input.dtype);
                let mut cx = Context::new(mode, 0, Tensor::scalar(0.0, DType::I64));
                let y = model.forward(&x, &mut cx);
                let fits = y.shape().is_ok_and(|s| s.first() == Some(&batch));
                fits && cx.finish().is_ok()
            })
        })
    }
}

fn trace_graph<M: Forward + ?Sized>(
    model: &M,
    input: &Meta,
    mode: Mode,
    names: &HashMap<u64, String>,
    constants: &mut Vec<Array>,
) -> Result<GraphRecord> {
    let x = Tensor::input("x", input.shape.clone(), input.dtype);
    let step = Tensor::input("step", [], DType::I64);
    let mut cx = Context::new(mode, 0, step.clone());
    let output = in_container("", || model.forward(&x, &mut cx));
    output.meta()?;
    let updates = cx.finish()?;
    let roots: Vec<&Tensor> = std::iter::once(&output)
        .chain(updates.iter().map(|(_, value)| value))
        .collect();
    let mut positions = HashMap::new();
    let mut found = Vec::new();
    for tensor in nodes(&roots) {
        let node = tensor.node_view();
        let name = node.parameter.and_then(|p| names.get(&p.id()));
        let source = if tensor.is(&x) {
            NodeSource::Input
        } else if tensor.is(&step) {
            NodeSource::Step
        } else if let Some(name) = name {
            NodeSource::Parameter(name.clone())
        } else if let Some(value) = node.value {
            NodeSource::Constant(constant(constants, value))
        } else if node.op.kind() == Kind::Leaf {
            return Err(Error::new(format!(
                "{tensor:?} is an input of the forward pass, which has only x"
            )));
        } else {
            NodeSource::Op {
                name: node.op.name().to_string(),
                attributes: node.op.attributes(),
                inputs: node
                    .inputs
                    .iter()
                    .map(|t| positions[&t.node_view().id])
                    .collect(),
            }
        };
        // Leaves are shared between layers.
        let layer = match source {
            NodeSource::Op { .. } => node.path.map(str::to_string),
            _ => None,
        };
        positions.insert(node.id, found.len());
        found.push(NodeRecord { source, layer });
    }
    let position = |t: &Tensor| positions[&t.node_view().id];
    let updates = updates
        .iter()
        .map(|(parameter, value)| match names.get(&parameter.id()) {
            Some(name) => Ok((name.clone(), position(value))),
            None => Err(Error::new(format!(
                "{} is updated but is not part of the model",
                parameter.name()
            ))),
        })
        .collect::<Result<_>>()?;
    Ok(GraphRecord {
        output: position(&output),
        updates,
        nodes: found,
    })
}

/// The number of a constant; small ones of the same bits share one.
fn constant(constants: &mut Vec<Array>, value: &Array) -> usize {
    let known = (value.len() <= 16)
        .then(|| constants.iter().position(|c| c.is_identical(value)))
        .flatten();
    known.unwrap_or_else(|| {
        constants.push(value.clone());
        constants.len() - 1
    })
}
