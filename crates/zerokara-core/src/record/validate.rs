//! Whether a record's parts refer to each other as they should, and whether inputs are as its signature says.

use super::{
    Control, GraphRecord, Lengths, ModelRecord, NodeRecord, NodeSource, RecordedAttribute, Size,
};
use crate::{Axis, Error, Metas, Port, Result};
use std::{collections::HashSet, sync::Arc};

impl ModelRecord {
    /// Looks at every name and every reference, without computing anything.
    ///
    /// # Errors
    /// If two inputs, outputs or parameters have one name, a node refers to one that comes later or to what there is not, or
    /// a size takes a length that no input has.
    pub fn check(&self) -> Result<()> {
        let signature = &self.signature;
        for (what, count) in [
            ("inputs", signature.inputs.len()),
            ("outputs", signature.outputs.len()),
            ("states", signature.states.len()),
            ("lengths", self.lengths.len()),
        ] {
            if count > Self::MOST_PORTS {
                return Err(Error::new(format!(
                    "there are {count} {what}; a record has at most {}",
                    Self::MOST_PORTS
                )));
            }
        }
        for (what, ports) in [
            ("inputs", &signature.inputs),
            ("outputs", &signature.outputs),
        ] {
            unique(what, ports.iter().map(|port| &*port.name))?;
        }
        let names = unique("parameters", self.parameters.iter().map(|p| &*p.name))?;
        let mut lengths = HashSet::new();
        for axis in signature.inputs.iter().flat_map(|port| &port.axes) {
            if let Axis::Any(name) = axis {
                lengths.insert(&**name);
                if self.lengths.get(name).is_none() {
                    return Err(Error::new(format!(
                        "the length {name:?} may be any, but the record does not say what it was"
                    )));
                }
            }
        }
        let inputs: HashSet<&str> = signature.inputs.iter().map(|port| &*port.name).collect();
        for graph in [&self.evaluate, &self.train] {
            let known = Known {
                inputs: &inputs,
                parameters: &names,
                constants: self.constants.len(),
                lengths: &lengths,
            };
            known.check(graph, signature.outputs.len())?;
        }
        unique("states", signature.states.iter().map(|(name, _)| &**name))?;
        for (input, output) in &signature.states {
            let port = |ports: &[Port], name: &Arc<str>| {
                let found = ports.iter().find(|port| port.name == *name).cloned();
                found.ok_or_else(|| Error::new(format!("the state {name:?} is no port")))
            };
            let from = port(&signature.outputs, output)?;
            let to = port(&signature.inputs, input)?;
            if from.dtype != to.dtype || from.axes != to.axes {
                return Err(Error::new(format!(
                    "the state {to} cannot take the output {from} as its next value"
                )));
            }
        }
        Ok(())
    }
}

/// The names as a set; an error if one is there twice.
fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<HashSet<&'a str>> {
    let mut found = HashSet::new();
    for name in names {
        if !found.insert(name) {
            return Err(Error::new(format!("two {what} have the name {name}")));
        }
    }
    Ok(found)
}

/// What a body may refer to beside its own nodes.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    /// The nodes before it in the graph around it.
    nodes: &'a [NodeRecord],
    /// How many it is given.
    given: usize,
    /// In how many bodies it lies.
    depth: usize,
}

/// Whether the node is there and stands for one tensor.
fn is_tensor(nodes: &[NodeRecord], at: usize) -> bool {
    let node = nodes.get(at);
    node.is_some_and(|node| !matches!(node.source, NodeSource::Control(_)))
}

/// What a graph may refer to.
struct Known<'a> {
    inputs: &'a HashSet<&'a str>,
    parameters: &'a HashSet<&'a str>,
    constants: usize,
    lengths: &'a HashSet<&'a str>,
}

impl Known<'_> {
    fn check(&self, graph: &GraphRecord, outputs: usize) -> Result<()> {
        self.check_nodes(&graph.nodes, Around::default(), "the graph")?;
        if graph.outputs.len() != outputs {
            return Err(Error::new(format!(
                "the graph has {} outputs, and the signature {outputs}",
                graph.outputs.len()
            )));
        }
        let updates = graph.updates.iter().map(|(_, at)| at);
        if let Some(at) = updates
            .chain(&graph.outputs)
            .find(|&&at| !is_tensor(&graph.nodes, at))
        {
            return Err(Error::new(format!(
                "node {at} of the graph is named but not there, or no tensor"
            )));
        }
        let mut updated = HashSet::new();
        for (name, _) in &graph.updates {
            if !self.parameters.contains(&**name) {
                return Err(Error::new(format!(
                    "the graph updates {name}, which is no parameter"
                )));
            }
            if !updated.insert(name) {
                return Err(Error::new(format!("the graph updates {name:?} twice")));
            }
        }
        Ok(())
    }

    /// Looks at the nodes of a graph or a body.
    fn check_nodes(&self, nodes: &[NodeRecord], around: Around<'_>, place: &str) -> Result<()> {
        let fault = |at: usize, what: &str| Error::new(format!("node {at} of {place} {what}"));
        for (at, node) in nodes.iter().enumerate() {
            let before = &nodes[..at];
            if let Some(what) = self.wrong(before, around, &node.source) {
                return Err(fault(at, &what));
            }
            let NodeSource::Control(control) = &node.source else {
                continue;
            };
            if around.depth == Control::MOST_DEPTH {
                return Err(fault(at, "lies within too many loops and branches"));
            }
            for (body, given) in control.bodies() {
                let inner = Around {
                    nodes: before,
                    given,
                    depth: around.depth + 1,
                };
                let place = format!("a body of node {at} of {place}");
                self.check_nodes(&body.nodes, inner, &place)?;
                let mut outputs = body.outputs.iter();
                if let Some(wrong) = outputs.find(|&&out| !is_tensor(&body.nodes, out)) {
                    let what = format!("gives node {wrong} of its body, which is no tensor of it");
                    return Err(fault(at, &what));
                }
            }
        }
        Ok(())
    }

    fn wrong(
        &self,
        before: &[NodeRecord],
        around: Around<'_>,
        source: &NodeSource,
    ) -> Option<String> {
        match source {
            NodeSource::Control(control) => {
                let mut inputs = control.inputs().into_iter();
                match inputs.find(|&at| !is_tensor(before, at)) {
                    Some(at) => Some(format!("takes node {at}, which is no tensor before it")),
                    None => control.wrong().map(str::to_string),
                }
            }
            NodeSource::Result { of, number } => match before.get(*of).map(|node| &node.source) {
                Some(NodeSource::Control(control)) if *number < control.results() => None,
                _ => Some(format!(
                    "is result {number} of node {of}, which does not have it"
                )),
            },
            NodeSource::Given(at) if *at >= around.given => {
                Some(format!("takes what is given {at}, and there is no such"))
            }
            NodeSource::Outer(at) if !is_tensor(around.nodes, *at) => Some(format!(
                "takes node {at} from around it, which is no tensor there"
            )),
            NodeSource::Op {
                name,
                attributes,
                inputs,
            } => {
                if let Some(input) = inputs.iter().find(|&&i| i >= before.len()) {
                    return Some(format!("({name}) has the input {input}, which comes later"));
                }
                if let Some(input) = inputs.iter().find(|&&i| !is_tensor(before, i)) {
                    return Some(format!(
                        "({name}) has the input {input}, which is no tensor"
                    ));
                }
                attributes.iter().find_map(|(_, value)| match value {
                    RecordedAttribute::Known(_) => None,
                    RecordedAttribute::Size(size) => self.unknown(std::slice::from_ref(size)),
                    RecordedAttribute::Sizes(sizes) => self.unknown(sizes),
                })
            }
            NodeSource::Parameter(name) if !self.parameters.contains(&**name) => {
                Some(format!("names the parameter {name}, which there is not"))
            }
            NodeSource::Input(name) if !self.inputs.contains(&**name) => {
                Some(format!("names the input {name}, which there is not"))
            }
            NodeSource::Constant(i) if *i >= self.constants => {
                Some(format!("names the constant {i}, which there is not"))
            }
            NodeSource::Series(series) if series.steps.len() != series.shape.len() => {
                Some("is a series with other steps than axes".into())
            }
            NodeSource::Series(series) => self.unknown(&series.shape),
            _ => None,
        }
    }

    fn unknown(&self, sizes: &[Size]) -> Option<String> {
        let names = sizes.iter().flat_map(|size| size.terms());
        let mut names = names.flat_map(|(_, factors)| factors);
        let name = names.find(|name| !self.lengths.contains(&***name))?;
        Some(format!("takes a length {name:?}, which no input has"))
    }
}

/// The lengths that inputs have where they may be any.
pub(super) fn bind(ports: &[Port], inputs: &Metas) -> Result<Lengths> {
    let mut lengths = Lengths::new();
    let mut said: Vec<(&Port, &Arc<str>)> = Vec::new();
    for port in ports {
        let meta = match (ports, inputs.only()) {
            // A model of one input takes it under whatever name.
            ([_], Some(meta)) => meta,
            _ => inputs.find(&port.name)?,
        };
        let wrong = || {
            Error::new(format!(
                "the model takes {port}, not {meta}; its element type, its number of axes and the lengths that are numbers must be so"
            ))
        };
        if meta.dtype != port.dtype || meta.rank() != port.axes.len() {
            return Err(wrong());
        }
        for (axis, &length) in port.axes.iter().zip(&meta.shape) {
            match axis {
                Axis::Fixed(fixed) if *fixed != length => return Err(wrong()),
                Axis::Fixed(_) => {}
                Axis::Any(name) => match lengths.get(name) {
                    Some(&known) if known != length => {
                        let first = said.iter().find(|(_, n)| *n == name);
                        let first = first.map_or(&port.name, |(port, _)| &port.name);
                        return Err(Error::new(format!(
                            "the inputs {first:?} and {:?} must agree in {name}, which is {known} in one and {length} in the other",
                            port.name
                        )));
                    }
                    Some(_) => {}
                    None => {
                        lengths.insert(name.clone(), length);
                        said.push((port, name));
                    }
                },
            }
        }
    }
    Ok(lengths)
}
