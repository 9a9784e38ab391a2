//! Snapshots: the part of the graph that is needed, as an arena of nodes in topological order.

use crate::compile::fault::{Fault, planted};
use crate::{
    Array, Attributes, Meta, Parameter, Result, Tensor,
    op::{Kind, Op},
    scope,
};
use std::{collections::HashMap, panic::Location, sync::Arc};

/// A node of a snapshot.
#[derive(Clone)]
pub(crate) struct GraphNode {
    pub source: Source,
    /// Positions of the inputs in the arena, all smaller than the node's own.
    pub inputs: Vec<usize>,
    pub meta: Meta,
    pub location: &'static Location<'static>,
    pub path: Option<Arc<str>>,
    pub phase: scope::Phase,
}

/// Where a node's value comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// A value that is known.
    Value(Array),
    /// The value of a parameter: at compile time the one given, later the one that is current.
    Parameter(Parameter, Array),
    /// A value given when the program runs.
    Input(Tensor),
    /// An operation on the inputs.
    Op(Arc<dyn Op>),
}

impl GraphNode {
    /// `" (in layer conv1, at src/main.rs:7:5)"`.
    pub fn place(&self) -> String {
        let line = format!(
            "at {}:{}:{}",
            self.location.file(),
            self.location.line(),
            self.location.column()
        );
        match &self.path {
            Some(path) => format!(" (in layer {path}, {line})"),
            None => format!(" ({line})"),
        }
    }

    pub fn kind(&self) -> Kind {
        match &self.source {
            Source::Op(op) => op.kind(),
            _ => Kind::Leaf,
        }
    }
}

/// The nodes that some tensors are computed from, and their positions.
#[derive(Clone)]
pub(crate) struct Graph {
    pub nodes: Vec<GraphNode>,
    pub outputs: Vec<usize>,
}

impl Graph {
    /// The graph as it was written. Values that are already known are leaves.
    pub fn unfused(tensors: &[&Tensor]) -> Result<Self> {
        Self::snapshot(tensors, Builder::default())
    }

    /// The graph with composite operations replaced by their definitions and duplicates merged.
    pub fn expanded(tensors: &[&Tensor]) -> Result<Self> {
        let expand = true;
        Self::snapshot(
            tensors,
            Builder {
                expand,
                ..Builder::default()
            },
        )
    }

    /// As [`Graph::expanded`], for a program, which reads cells: leaves of one parameter are one node, also if it had other
    /// values when they were made.
    pub fn of_cells(tensors: &[&Tensor]) -> Result<Self> {
        let (expand, cells) = (true, Some(HashMap::new()));
        Self::snapshot(
            tensors,
            Builder {
                expand,
                cells,
                ..Builder::default()
            },
        )
    }

    fn snapshot(tensors: &[&Tensor], mut builder: Builder) -> Result<Self> {
        for tensor in tensors {
            tensor.meta()?;
        }
        for tensor in tensors {
            builder.visit(tensor)?;
        }
        let outputs = tensors
            .iter()
            .map(|t| builder.position[&t.node.id])
            .collect();
        Ok(Self {
            nodes: builder.nodes,
            outputs,
        })
    }
}

#[derive(Default)]
struct Builder {
    expand: bool,
    nodes: Vec<GraphNode>,
    /// From the ids of tensors to positions in the arena.
    position: HashMap<u64, usize>,
    /// Expansions by the id of the composite tensor.
    expansions: HashMap<u64, Tensor>,
    /// From name, attributes and inputs to positions, to merge duplicates.
    known: HashMap<Identity, usize>,
    /// From the identities of parameters to positions, to merge their leaves.
    cells: Option<HashMap<u64, usize>>,
}

/// What a node computes: name, attributes, inputs. Nodes of which these are the same have the same value.
pub(crate) type Identity = (&'static str, Attributes, Vec<usize>);

/// What an operation on these inputs computes.
pub(crate) fn identity(op: &dyn Op, meta: &Meta, inputs: &[usize]) -> Identity {
    let mut attributes = op.attributes();
    if planted(Fault::MergeIgnoresAttributes) {
        attributes = Attributes::none();
    }
    if matches!(
        op.kind(),
        Kind::Fill(_) | Kind::View(_) | Kind::Random { .. }
    ) {
        // The shape may have come from an input that is no longer there.
        attributes = attributes
            .with("output", meta.shape.as_slice())
            .with("dtype", meta.dtype);
    }
    let mut operands = inputs.to_vec();
    if planted(Fault::MergeIgnoresInputOrder) {
        operands.sort_unstable();
    }
    (op.name(), attributes, operands)
}

impl Builder {
    fn visit(&mut self, root: &Tensor) -> Result<()> {
        let mut stack = vec![root.clone()];
        while let Some(top) = stack.last().cloned() {
            let node = &top.node;
            if self.position.contains_key(&node.id) {
                stack.pop();
                continue;
            }
            let meta = top.meta()?.clone();
            if let Some(value) = node.value.get() {
                let source = match &node.parameter {
                    Some(parameter) => Source::Parameter(parameter.clone(), value.clone()),
                    None => Source::Value(value.clone()),
                };
                self.push(&top, source, Vec::new(), meta);
                stack.pop();
                continue;
            }
            let kind = node.op.kind();
            if kind == Kind::Leaf {
                self.push(&top, Source::Input(top.clone()), Vec::new(), meta);
                stack.pop();
                continue;
            }
            if self.expand && kind == Kind::Composite {
                let definition = match self.expansions.get(&node.id) {
                    Some(definition) => definition.clone(),
                    None => {
                        let definition = scope::in_place_of(
                            node.path.as_ref(),
                            node.location,
                            Some(node.phase),
                            || node.op.expand(&node.inputs),
                        );
                        let definition = definition.ok_or_else(|| {
                            crate::Error::new(format!(
                                "{} has no definition to compile",
                                node.op.name()
                            ))
                        })?;
                        self.expansions.insert(node.id, definition.clone());
                        definition
                    }
                };
                match self.position.get(&definition.node.id) {
                    Some(&at) => {
                        self.position.insert(node.id, at);
                        stack.pop();
                    }
                    None => stack.push(definition),
                }
                continue;
            }
            // An input that only gives its shape is not needed when shapes are fixed.
            let needed = match kind {
                _ if !self.expand => node.inputs.len(),
                Kind::Fill(_) => 0,
                Kind::View(_) | Kind::Random { .. } => 1,
                _ => node.inputs.len(),
            };
            let inputs = &node.inputs[..needed.min(node.inputs.len())];
            let before = stack.len();
            stack.extend(
                inputs
                    .iter()
                    .rev()
                    .filter(|t| !self.position.contains_key(&t.node.id))
                    .cloned(),
            );
            if stack.len() == before {
                let inputs = inputs.iter().map(|t| self.position[&t.node.id]).collect();
                self.push(&top, Source::Op(node.op.clone()), inputs, meta);
                stack.pop();
            }
        }
        Ok(())
    }

    fn push(&mut self, tensor: &Tensor, source: Source, inputs: Vec<usize>, meta: Meta) {
        if self.expand
            && let Source::Op(op) = &source
        {
            let key = identity(&**op, &meta, &inputs);
            if let Some(&at) = self.known.get(&key) {
                self.position.insert(tensor.node.id, at);
                return;
            }
            self.known.insert(key, self.nodes.len());
        }
        if let (Some(cells), Source::Parameter(parameter, _)) = (&mut self.cells, &source) {
            let at = *cells.entry(parameter.id()).or_insert(self.nodes.len());
            if at < self.nodes.len() {
                self.position.insert(tensor.node.id, at);
                return;
            }
        }
        self.position.insert(tensor.node.id, self.nodes.len());
        let (location, path) = (tensor.node.location, tensor.node.path.clone());
        self.nodes.push(GraphNode {
            source,
            inputs,
            meta,
            location,
            path,
            phase: tensor.node.phase,
        });
    }
}
