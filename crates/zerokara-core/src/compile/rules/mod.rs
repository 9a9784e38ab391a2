//! Rules on the graph: the same values with less work. None knows of a machine, or of another rule: what one leaves there is a
//! graph like any other.

mod draft;
mod flatten;
mod parts;
mod pooling;

use super::rewriting::{Count, Rule, rewrite};
use crate::{
    Error, Result,
    graph::Graph,
    op::{Kind, Window},
};
use draft::Draft;
use std::collections::HashSet;
use zerokara_kernels::plan::Pooling;

/// Rules that make less work.
const WORK: &[Rule<Draft>] = &[
    pooling::PLACES,
    pooling::RECTIFY,
    pooling::MASK,
    pooling::ADD,
    pooling::SUM,
    parts::JOIN,
];

/// Rules that only look at operands in another order, once there is no less work to do.
const ORDER: &[Rule<Draft>] = &[flatten::FLATTEN];

/// The rules of a program, which may replace parameters.
pub(super) fn for_program(
    graph: Graph,
    replaced: HashSet<u64>,
    count: &mut Count,
) -> Result<Graph> {
    let mut draft = Draft::of(graph, replaced);
    rewrite(&mut draft, WORK, count)?;
    rewrite(&mut draft, ORDER, count)?;
    let (graph, _) = draft.finish().map_err(Error::new)?;
    Ok(graph)
}

/// The rules of an eager evaluation, which is to give the values as they were written; for each node the one at whose place it
/// stands.
pub(super) fn for_evaluation(graph: Graph, count: &mut Count) -> Result<(Graph, Vec<usize>)> {
    let is_gradient = |kind| matches!(kind, Kind::Window(Window::PoolGradient(Pooling::Max, _)));
    if !graph.nodes.iter().any(|node| is_gradient(node.kind())) {
        let places = (0..graph.nodes.len()).collect();
        return Ok((graph, places));
    }
    let mut draft = Draft::of(graph, HashSet::new());
    rewrite(&mut draft, &[pooling::PLACES], count)?;
    draft.finish().map_err(Error::new)
}

/// Name and meaning of each rule.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORK.iter().chain(ORDER).map(|rule| (rule.name, rule.says))
}
