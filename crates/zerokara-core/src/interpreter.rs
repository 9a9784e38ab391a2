//! The interpreter: runs the graph as it was written, one reference loop after another. It is the oracle that the
//! compiled engine is checked against, and it can rerun any f32 graph in double precision.

use crate::{
    Array, DType, Error, Meta, Result, Tensor,
    graph::{Graph, GraphNode, Source},
    op::{Kind, Op},
};
use std::collections::{HashMap, HashSet};

/// The precision that floats are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As the graph says.
    AsWritten,
    /// Every f32 as f64: constants, inputs and parameters are widened, and all that follows.
    Double,
}

impl Precision {
    fn of(self, dtype: DType) -> DType {
        if self == Precision::Double && dtype == DType::F32 {
            DType::F64
        } else {
            dtype
        }
    }

    fn widen(self, value: &Array) -> Array {
        value.cast(self.of(value.dtype()))
    }

    /// The value given for a leaf.
    fn given(self, leaf: &Tensor, value: &Array) -> Result<Array> {
        let meta = leaf.meta()?;
        let value = self.widen(value.valid()?);
        if value.is_like(&Meta::new(meta.shape.clone(), self.of(meta.dtype))) {
            return Ok(value);
        }
        let (what, found) = (leaf.node.op.attributes(), value.meta());
        Err(Error::new(format!(
            "the input {what} must be {meta}, not {found}"
        )))
    }
}

/// The values of these tensors, by the reference loops. `inputs` gives the values of `Tensor::input`s.
///
/// Values that are already known are not computed again; [`Interpreter`] does.
///
/// # Errors
/// The error of an invalid tensor, a missing input, or a value that an operation rejects (a label out of range).
pub fn interpret(
    tensors: &[&Tensor],
    inputs: &[(&Tensor, Array)],
    precision: Precision,
) -> Result<Vec<Array>> {
    let graph = Graph::unfused(tensors)?;
    let given: HashMap<u64, &Array> = inputs
        .iter()
        .map(|(tensor, value)| (tensor.node.id, value))
        .collect();

    let mut values: Vec<Option<Array>> = vec![None; graph.nodes.len()];
    let mut uses = vec![0usize; graph.nodes.len()];
    for node in &graph.nodes {
        node.inputs.iter().for_each(|&i| uses[i] += 1);
    }
    graph.outputs.iter().for_each(|&i| uses[i] += 1);

    for (at, node) in graph.nodes.iter().enumerate() {
        let value = match &node.source {
            Source::Value(array) => precision.widen(array),
            Source::Parameter(_, array) => precision.widen(array),
            Source::Input(tensor) => match given.get(&tensor.node.id) {
                Some(value) => precision.given(tensor, value)?,
                None => return Err(missing(tensor)),
            },
            Source::Op(op) => {
                let arguments: Vec<&Array> = node
                    .inputs
                    .iter()
                    .filter_map(|&i| values[i].as_ref())
                    .collect();
                apply(&**op, &node.meta, &arguments, precision, || {
                    GraphNode::place(node)
                })?
            }
        };
        values[at] = Some(value);
        // Free what nobody will read again.
        for &i in &node.inputs {
            uses[i] -= 1;
            if uses[i] == 0 {
                values[i] = None;
            }
        }
    }
    Ok(graph
        .outputs
        .iter()
        .filter_map(|&i| values[i].clone())
        .collect())
}

fn missing(input: &Tensor) -> Error {
    Error::new(format!(
        "no value was given for the input {}",
        input.node.op.attributes()
    ))
}

/// What an operation gives, by its reference loop.
pub(crate) fn apply(
    op: &dyn Op,
    meta: &Meta,
    arguments: &[&Array],
    precision: Precision,
    place: impl Fn() -> String,
) -> Result<Array> {
    let meta = Meta::new(meta.shape.clone(), precision.of(meta.dtype));
    let mut output = Array::try_zeros(&meta)?;
    op.reference(arguments, &mut output)
        .map_err(|reason| Error::new(format!("{}: {reason}{}", op.name(), place())))?;
    Ok(output)
}

/// All values of a graph, computed from its leaves, kept so that the results for other values of some leaves can be
/// had by computing again only what depends on them.
pub struct Interpreter {
    /// Every tensor that the results need, inputs before what is computed from them.
    tensors: Vec<Tensor>,
    values: Vec<Array>,
    position: HashMap<u64, usize>,
    outputs: Vec<usize>,
    precision: Precision,
    hold_detached: bool,
}

impl Interpreter {
    /// Computes these tensors from their leaves, also where values are already known.
    ///
    /// # Errors
    /// As [`interpret`].
    pub fn new(
        outputs: &[&Tensor],
        inputs: &[(&Tensor, Array)],
        precision: Precision,
    ) -> Result<Self> {
        let mut seen = HashSet::new();
        let mut tensors = Vec::new();
        let mut stack: Vec<Tensor> = outputs.iter().map(|&t| t.clone()).collect();
        while let Some(tensor) = stack.pop() {
            tensor.meta()?;
            if seen.insert(tensor.node.id) {
                stack.extend(tensor.node.inputs.iter().cloned());
                tensors.push(tensor);
            }
        }
        tensors.sort_unstable_by_key(|t| t.node.id);
        let position: HashMap<u64, usize> = tensors
            .iter()
            .enumerate()
            .map(|(at, t)| (t.node.id, at))
            .collect();
        let outputs = outputs.iter().map(|t| position[&t.node.id]).collect();
        let mut this = Self {
            values: Vec::with_capacity(tensors.len()),
            tensors,
            position,
            outputs,
            precision,
            hold_detached: false,
        };
        let given: HashMap<u64, &Array> = inputs.iter().map(|(t, v)| (t.node.id, v)).collect();
        for tensor in &this.tensors {
            let node = &tensor.node;
            let value = if node.op.kind() == Kind::Leaf {
                match (given.get(&node.id), node.value.get()) {
                    (Some(value), _) => precision.given(tensor, value)?,
                    (None, Some(value)) => precision.widen(value),
                    (None, None) => return Err(missing(tensor)),
                }
            } else {
                this.compute(tensor, &HashMap::new())?
            };
            this.values.push(value);
        }
        Ok(this)
    }

    /// Lets detached tensors keep their values when others change, as they do for gradients.
    pub fn hold_detached(mut self) -> Self {
        self.hold_detached = true;
        self
    }

    /// The values of the outputs.
    pub fn outputs(&self) -> Vec<Array> {
        self.outputs
            .iter()
            .map(|&i| self.values[i].clone())
            .collect()
    }

    /// The values that the outputs would have if these tensors had other values.
    ///
    /// # Errors
    /// If a value has another shape or element type than its tensor (up to the precision), or an operation rejects
    /// it.
    pub fn with(&self, substitutions: &[(&Tensor, Array)]) -> Result<Vec<Array>> {
        let mut changed: HashMap<usize, Array> = HashMap::new();
        for (tensor, value) in substitutions {
            let Some(&at) = self.position.get(&tensor.node.id) else {
                continue;
            };
            let value = self.precision.widen(value.valid()?);
            if value.meta() != self.values[at].meta() {
                return Err(Error::new(format!(
                    "a value of {} cannot stand for {}",
                    value.meta(),
                    self.values[at].meta()
                )));
            }
            changed.insert(at, value);
        }
        for (at, tensor) in self.tensors.iter().enumerate() {
            let node = &tensor.node;
            let depends = node
                .inputs
                .iter()
                .any(|t| changed.contains_key(&self.position[&t.node.id]));
            let held = self.hold_detached && node.op.name() == "stop_gradient";
            if depends && !held && !changed.contains_key(&at) {
                let value = self.compute(tensor, &changed)?;
                changed.insert(at, value);
            }
        }
        Ok(self
            .outputs
            .iter()
            .map(|i| changed.get(i).unwrap_or(&self.values[*i]).clone())
            .collect())
    }

    fn compute(&self, tensor: &Tensor, changed: &HashMap<usize, Array>) -> Result<Array> {
        let node = &tensor.node;
        let arguments: Vec<&Array> = node
            .inputs
            .iter()
            .map(|t| {
                let at = self.position[&t.node.id];
                changed.get(&at).unwrap_or_else(|| &self.values[at])
            })
            .collect();
        apply(
            &*node.op,
            tensor.meta()?,
            &arguments,
            self.precision,
            || {
                let (l, path) = (node.location, node.path.as_deref());
                let layer = path.map(|p| format!("in layer {p}, ")).unwrap_or_default();
                format!(" ({layer}at {}:{}:{})", l.file(), l.line(), l.column())
            },
        )
    }
}
