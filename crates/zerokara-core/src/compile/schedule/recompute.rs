//! Computes cheap values anew in every place that reads them, instead of storing them.
//!
//! `x - mean`, a mask or a normalised value is a few operations on one stored value and some small ones: who reads it
//! may as well read the stored value. Such nodes are copied for each reader here; each copy then falls to the group or
//! reduction that reads it (see [`fusion`]).

use crate::compile::{
    Request,
    fault::{Fault, planted},
    schedule::fusion::{self, Class},
};
use crate::{
    DType,
    graph::{Graph, GraphNode, Source},
    op::Kind,
};
use std::collections::{BTreeSet, HashMap};
use zerokara_kernels::code::{Binary, Code, Instruction, Unary};

/// Most work that is done again, in simple operations.
const MOST_WORK: usize = 4;

/// Most operations on values of one element that are done again.
const MOST_SMALL: usize = 16;

/// Truth values are smaller than what they are computed from: above so many, they are stored.
const MOST_TRUTHS: usize = 1 << 16;

/// Work of elementwise code on an element, in simple operations; none if it is dear.
fn work(code: &Code) -> Option<usize> {
    let mut work = 0;
    for instruction in &code.instructions {
        work += match instruction {
            Instruction::Load(_) | Instruction::Constant(_) => 0,
            Instruction::Unary(f, _) => match f {
                Unary::Negate
                | Unary::Absolute
                | Unary::Sign
                | Unary::Square
                | Unary::Floor
                | Unary::Not
                | Unary::IsFinite => 1,
                Unary::Sqrt | Unary::Rsqrt | Unary::Reciprocal => 3,
                _ => return None,
            },
            Instruction::Binary(Binary::Power, ..) => return None,
            Instruction::Binary(Binary::Divide, ..) => 3,
            Instruction::Binary(..) | Instruction::Select { .. } => 1,
        };
    }
    Some(work.max(1))
}

/// What a cheap value is computed from.
#[derive(Clone, Copy)]
struct Cheap {
    work: usize,
    /// Operations on values of one element that it takes.
    small: usize,
    /// The stored value as large as itself.
    base: Option<usize>,
}

struct Pass<'a> {
    graph: &'a Graph,
    kinds: Vec<Kind>,
    classes: Vec<Class>,
    consumers: Vec<Vec<usize>>,
    narrow: Vec<bool>,
    /// Outputs, and what is stored in parameters.
    roots: BTreeSet<usize>,
    cheap: Vec<Option<Cheap>>,
    /// For each node, whether a kernel or a view reads it.
    read_whole: Vec<bool>,
    /// The parameters that are replaced.
    replaced: BTreeSet<u64>,
}

/// The graph with cheap values copied for each reader, and for each node the one that it was.
pub fn recompute(graph: Graph, request: &mut Request) -> (Graph, Vec<usize>) {
    let (kinds, classes) = fusion::classes(&graph, request.is_program);
    let outputs = graph.outputs[..request.outputs].iter();
    let consumers = fusion::consumers(&graph);
    let is_whole = |&c: &usize| matches!(classes[c], Class::View | Class::Kernel);
    let mut pass = Pass {
        read_whole: consumers.iter().map(|c| c.iter().any(is_whole)).collect(),
        replaced: request.stores.values().copied().collect(),
        consumers,
        narrow: fusion::narrow(&graph, &kinds, &classes),
        roots: outputs.chain(request.stores.keys()).copied().collect(),
        cheap: vec![None; graph.nodes.len()],
        graph: &graph,
        kinds,
        classes,
    };
    for at in 0..graph.nodes.len() {
        pass.cheap[at] = pass.judge(at);
    }
    let mut copied = Copied {
        nodes: Vec::with_capacity(graph.nodes.len()),
        origin: Vec::with_capacity(graph.nodes.len()),
        place: vec![0; graph.nodes.len()],
    };
    for at in 0..graph.nodes.len() {
        if pass.cheap[at].is_none() {
            copied.place[at] = copied.push(&pass, at);
        }
    }
    request.stores = request
        .stores
        .iter()
        .map(|(&store, &parameter)| (copied.place[store], parameter))
        .collect();
    let outputs = graph.outputs.iter().map(|&o| copied.place[o]).collect();
    let nodes = copied.nodes;
    (Graph { nodes, outputs }, copied.origin)
}

impl Pass<'_> {
    /// Whether the value is computed anew by all that read it.
    fn judge(&self, at: usize) -> Option<Cheap> {
        let node = &self.graph.nodes[at];
        let Kind::Map(code) = &self.kinds[at] else {
            return None;
        };
        // Copies of outputs and the like are last, with no reader.
        let readers = &self.consumers[at];
        let elementwise = readers.iter().all(|&c| match &self.kinds[c] {
            Kind::Map(_) => self.classes[c] == Class::Map,
            Kind::Reduce { .. } => self.graph.nodes[c].meta.dtype == DType::F32,
            _ => false,
        });
        if self.classes[at] != Class::Map
            || self.roots.contains(&at)
            || readers.is_empty()
            || !elementwise
            || (node.meta.dtype == DType::Bool && node.meta.len() > MOST_TRUTHS)
        {
            return None;
        }
        let mut cheap = Cheap {
            work: work(code)?,
            small: usize::from(node.meta.len() <= 1),
            base: None,
        };
        for &input in &node.inputs {
            if matches!(self.classes[input], Class::Constant(_)) || self.narrow[input] {
                continue;
            }
            cheap.small += self.cheap[input].map_or(0, |inner| inner.small);
            if self.graph.nodes[input].meta.len() <= 1 {
                continue;
            }
            let base = match self.cheap[input] {
                Some(inner) => {
                    cheap.work += inner.work;
                    inner.base
                }
                None => Some(input),
            };
            if base.is_some() && cheap.base.is_some() && cheap.base != base {
                return None;
            }
            cheap.base = cheap.base.or(base);
        }
        let kept = cheap.base.is_none_or(|base| self.is_kept(base));
        (cheap.work <= MOST_WORK && cheap.small <= MOST_SMALL && kept).then_some(cheap)
    }

    /// Whether a value lies in memory for others' sake: else storing what is computed from it costs no more.
    fn is_kept(&self, at: usize) -> bool {
        match &self.graph.nodes[at].source {
            // The old value of a parameter should not be needed late.
            Source::Parameter(p, _) => !self.replaced.contains(&p.id()),
            Source::Op(_) if self.classes[at] == Class::Kernel => {
                !fusion::takes_epilogue(&self.kinds[at]) || self.read_whole[at]
            }
            Source::Op(_) if self.classes[at] == Class::Map => {
                self.roots.contains(&at) || self.read_whole[at]
            }
            _ => true,
        }
    }
}

struct Copied {
    nodes: Vec<GraphNode>,
    origin: Vec<usize>,
    /// The place of each node that is not copied for its readers.
    place: Vec<usize>,
}

impl Copied {
    /// Appends a node, after copies of the cheap ones that it reads, which are few; gives its place.
    fn push(&mut self, pass: &Pass<'_>, at: usize) -> usize {
        // The copies that were made for this node.
        let mut known: HashMap<usize, usize> = HashMap::new();
        let mut stack = vec![at];
        let mut last = 0;
        while let Some(&top) = stack.last() {
            let node = &pass.graph.nodes[top];
            let missing =
                |&&input: &&usize| pass.cheap[input].is_some() && !known.contains_key(&input);
            if let Some(&input) = node.inputs.iter().find(missing) {
                stack.push(input);
                continue;
            }
            stack.pop();
            let place = |input: &usize| known.get(input).copied().unwrap_or(self.place[*input]);
            let mut inputs: Vec<usize> = node.inputs.iter().map(place).collect();
            if planted(Fault::RecomputesBackwards) && pass.cheap[top].is_some() {
                inputs.reverse();
            }
            last = self.nodes.len();
            known.insert(top, last);
            self.nodes.push(GraphNode {
                inputs,
                ..node.clone()
            });
            self.origin.push(top);
        }
        last
    }
}
