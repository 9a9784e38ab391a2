//! The compiler: from a snapshot of the graph to a plan of kernel calls over one arena.
//!
//! 1. [`Graph::expanded`] takes the part that is needed, replaces composite operations by their definitions and
//!    merges duplicates;
//! 2. `rules` change it to a graph of the same values with less work;
//! 3. `schedule` decides which nodes run together and in which order: the [`Logical`] plan, the same for every device;
//! 4. `lower` writes the steps of this CPU's kernels, choosing layouts;
//! 5. `steps` joins steps that hand on values which nobody else reads;
//! 6. `memory` cuts the steps into stages and places the buffers.
//!
//! `oracle` holds what all of it is checked against.

pub(crate) mod dump;
mod lower;
mod memory;
mod ops;
pub(crate) mod oracle;
mod parts;
mod rewriting;
mod rules;
mod schedule;
mod steps;
mod target;

use crate::{
    Array, Error, Meta, Parameter, Result, Tensor,
    graph::{Graph, GraphNode, Source},
    limits,
    op::Kind,
    scope::Phase,
};
use lower::ExternalSource;
pub(crate) use oracle::fault;
pub use parts::Part;
use rewriting::Count;
use schedule::Logical;
use std::{
    collections::{HashMap, HashSet},
    panic::Location,
    sync::Arc,
};
pub(crate) use target::{Sizes, Target};
use zerokara_kernels::{executor::RunError, isa::Isa, plan::Arithmetic, plan::Plan};

/// What is wanted of a graph.
#[derive(Default)]
pub(crate) struct Request {
    /// The first so many outputs of the graph are wanted as arrays.
    outputs: usize,
    /// Nodes whose values replace those of parameters, by the parameter's identity.
    stores: HashMap<usize, u64>,
    /// Whether the plan is for a program: parameters are bound by identity, and known scalars become part of the code.
    /// In eager evaluation every leaf is bound by its place in the graph, since scalars change from call to call.
    is_program: bool,
    /// How convolutions multiply and sum.
    arithmetic: Arithmetic,
    sizes: Sizes,
}

/// A compiled graph: the plan, and what to bind to its externals.
pub(crate) struct Compiled {
    pub plan: Plan,
    pub bindings: Vec<Binding>,
    /// Metas of the outputs.
    pub outputs: Vec<Meta>,
    /// For each step, in the order of the stages, the operation and layer that it computes.
    pub labels: Vec<Label>,
    /// For a program, for each step in the same order, what belongs to which layer in it.
    pub parts: Vec<Vec<Part>>,
    /// For each step, in the same order, the node of the graph that it computes.
    pub nodes: Vec<usize>,
}

/// What a step computes, for dumps and profiles.
#[derive(Clone, Debug)]
pub struct Label {
    /// The operation's name.
    pub op: &'static str,
    /// The layer's path, if the operation was built in a layer.
    pub layer: Option<Arc<str>>,
    /// The part of the step that the operation was built for.
    pub phase: Phase,
    /// The line of the user's source that built the operation.
    pub location: &'static Location<'static>,
}

impl Label {
    /// What the step of this node computes.
    pub(crate) fn of(node: &GraphNode) -> Self {
        Self {
            op: match &node.source {
                Source::Op(op) => op.name(),
                _ => "parameter",
            },
            layer: node.path.clone(),
            phase: node.phase,
            location: node.location,
        }
    }

    /// An error of the step.
    pub(crate) fn error(&self, reason: String) -> Error {
        Error::run(self.op, reason, self.location, self.layer.clone())
    }
}

/// Why a plan did not run, with the line of the user's source that built what failed: `label` says what the step of this
/// stage computes.
pub(crate) fn explain(error: RunError, label: impl FnOnce(usize, usize) -> Option<Label>) -> Error {
    match error {
        RunError::Memory { bytes } => limits::no_memory(bytes, "the values between the operations"),
        RunError::Step {
            stage,
            step,
            message,
        } => match label(stage, step) {
            Some(label) => label.error(message),
            None => Error::new(message),
        },
        error => Error::new(error.to_string()),
    }
}

/// The number of a step counted through all stages.
pub(crate) fn step_number(plan: &Plan, stage: usize, step: usize) -> usize {
    let before = plan.stages.iter().take(stage);
    before.map(|stage| stage.steps.len()).sum::<usize>() + step
}

/// What is bound to an external storage of a plan.
pub(crate) enum Binding {
    /// In eager evaluation: the value of this leaf of the graph.
    Leaf(usize),
    /// A value that is part of the program.
    Value(Array),
    /// A parameter's current value; whether the plan replaces it.
    Parameter(Parameter, bool),
    /// The input that this tensor stands for.
    Input(Tensor),
    /// The i-th output.
    Output(usize),
}

/// The plan of a program: parameters bound by identity, known scalars folded.
pub(crate) fn program(
    outputs: &[&Tensor],
    updates: &[(Parameter, Tensor)],
    target: Target,
) -> Result<Compiled> {
    let mut count = Count::new()?;
    let logical = logical_program(outputs, updates, target, &mut count)?;
    for_cpu(&logical, target.isa, &mut count)
}

/// What a program computes, for any device.
fn logical_program(
    outputs: &[&Tensor],
    updates: &[(Parameter, Tensor)],
    target: Target,
    count: &mut Count,
) -> Result<Logical> {
    let roots: Vec<&Tensor> = outputs
        .iter()
        .copied()
        .chain(updates.iter().map(|(_, value)| value))
        .collect();
    let replaced = updates.iter().map(|(p, _)| p.id()).collect();
    let mut graph = rules::for_program(Graph::of_cells(&roots)?, replaced, count)?;
    let mut request = Request {
        outputs: outputs.len(),
        is_program: true,
        arithmetic: target.arithmetic,
        sizes: target.sizes,
        ..Request::default()
    };
    let read = graph.nodes.iter().filter_map(|node| match &node.source {
        Source::Parameter(parameter, _) => Some(parameter.id()),
        _ => None,
    });
    let mut bound: HashSet<u64> = read.collect();
    let mut seen = HashSet::new();
    for (i, (parameter, value)) in updates.iter().enumerate() {
        let meta = value.meta()?;
        if meta != parameter.meta() {
            return Err(Error::new(format!(
                "parameter {} is {} and cannot be updated by a value of {meta}",
                parameter.name(),
                parameter.meta()
            )));
        }
        if !seen.insert(parameter.id()) {
            return Err(Error::new(format!(
                "parameter {} is updated twice in one step",
                parameter.name()
            )));
        }
        // A parameter that is only written still needs its cell bound.
        if bound.insert(parameter.id()) {
            graph.nodes.push(leaf(
                Source::Parameter(parameter.clone(), parameter.value()),
                meta.clone(),
            ));
        }
        let value = graph.outputs[outputs.len() + i];
        let store = push_copy(&mut graph, value);
        request.stores.insert(store, parameter.id());
    }
    unalias_outputs(&mut graph, request.outputs);
    Logical::of(graph, request)
}

/// The plan of an eager evaluation: all leaves are bound, in the order of the graph's nodes.
pub(crate) fn eager(graph: Graph, target: Target) -> Result<Compiled> {
    let request = Request {
        outputs: graph.outputs.len(),
        arithmetic: target.arithmetic,
        sizes: target.sizes,
        ..Request::default()
    };
    let mut count = Count::new()?;
    let (mut graph, asked) = rules::for_evaluation(graph, &mut count)?;
    unalias_outputs(&mut graph, request.outputs);
    let mut logical = Logical::of(graph, request)?;
    for origin in &mut logical.origin {
        // Copies of outputs come last, and are nobody's.
        *origin = asked.get(*origin).copied().unwrap_or(usize::MAX);
    }
    for_cpu(&logical, target.isa, &mut count)
}

/// The plan of this CPU's kernels.
fn for_cpu(logical: &Logical, isa: Isa, count: &mut Count) -> Result<Compiled> {
    let Logical {
        graph,
        request,
        schedule,
        origin,
    } = logical;
    let lowered = lower::lower(graph, request, schedule, isa)?;
    let stored: HashSet<u64> = request.stores.values().copied().collect();
    let bind = |source: &ExternalSource| -> Result<Binding> {
        Ok(match source {
            ExternalSource::Output(i) => Binding::Output(*i),
            ExternalSource::Leaf(at) if !request.is_program => Binding::Leaf(origin[*at]),
            ExternalSource::Leaf(at) => match &graph.nodes[*at].source {
                Source::Parameter(p, _) => Binding::Parameter(p.clone(), stored.contains(&p.id())),
                Source::Value(value) => Binding::Value(value.clone()),
                Source::Input(tensor) => Binding::Input(tensor.clone()),
                Source::Op(op) => {
                    let what = format!("{} is no leaf: an error of the compiler", op.name());
                    return Err(Error::new(what));
                }
            },
        })
    };
    let bindings = lowered.externals.iter().map(bind).collect::<Result<_>>()?;
    let (plan, computed) = memory::place(
        steps::join(lowered, isa, request.sizes, count)?,
        request.sizes,
    );
    let outputs = graph.outputs[..request.outputs]
        .iter()
        .map(|&o| graph.nodes[o].meta.clone())
        .collect();
    let labels = computed
        .iter()
        .map(|(at, _)| Label::of(&graph.nodes[*at]))
        .collect();
    let parts = match request.is_program {
        true => computed
            .iter()
            .map(|(_, all)| parts::of(graph, all))
            .collect(),
        false => Vec::new(),
    };
    Ok(Compiled {
        plan,
        bindings,
        outputs,
        labels,
        parts,
        nodes: computed.into_iter().map(|(at, _)| origin[at]).collect(),
    })
}

/// Outputs that are leaves, views or named twice, or that a kernel writes in an order of its own, get a copy.
fn unalias_outputs(graph: &mut Graph, outputs: usize) {
    let mut seen = HashSet::new();
    for i in 0..outputs {
        let at = graph.outputs[i];
        let direct = seen.insert(at) && matches!(graph.nodes[at].kind(), Kind::Map(_));
        graph.outputs[i] = if direct { at } else { push_copy(graph, at) };
    }
}

fn leaf(source: Source, meta: Meta) -> GraphNode {
    GraphNode {
        source,
        inputs: Vec::new(),
        meta,
        location: Location::caller(),
        path: None,
        phase: Phase::default(),
    }
}

/// A node that copies another.
fn push_copy(graph: &mut Graph, at: usize) -> usize {
    let node = GraphNode {
        source: Source::Op(Arc::new(ops::Copy)),
        inputs: vec![at],
        ..graph.nodes[at].clone()
    };
    graph.nodes.push(node);
    graph.nodes.len() - 1
}

#[cfg(test)]
mod tests {
    use super::{rules, steps};

    #[test]
    fn the_table_of_rules_is_the_list_of_rules() {
        let page = include_str!("../../../../ARCHITECTURE.md");
        let (_, rest) = page.split_once("<!-- rules:begin -->\n").unwrap();
        let (found, _) = rest.split_once("<!-- rules:end -->").unwrap();
        let mut table = String::from("| rule | what it does |\n|---|---|\n");
        for (name, says) in rules::table().chain(steps::table()) {
            table += &format!("| `{name}` | {says} |\n");
        }
        assert_eq!(found, table, "the table of rules in ARCHITECTURE.md");
    }
}
