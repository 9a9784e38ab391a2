//! What of a step belongs to which layer.
//!
//! A step may compute nodes of several layers: an activation behind a product, the normalization and the pooling that a
//! slice of the batch goes through behind its convolution. What it takes is shared among them by an estimate of the work.

use super::Label;
use crate::{
    graph::Graph,
    op::{Contract, Kind, Recurrence, Window},
};

/// What one layer, in one phase, has of a step.
#[derive(Clone, Debug)]
pub struct Part {
    /// The operation that is most of it, its layer and its phase.
    pub label: Label,
    /// The share of the step's time and traffic; those of all parts sum to 1.
    pub share: f64,
    /// The share of the step's operations in products and convolutions; those of all parts sum to 1.
    pub flops_share: f64,
}

/// An element that an elementwise operation or a reduction takes, in operations of a product: it costs a few, and more for
/// each pass through a cache.
const ELEMENT: f64 = 8.0;

/// Operations of a product or convolution, and elements that others take.
fn work(graph: &Graph, at: usize) -> (f64, f64) {
    let node = &graph.nodes[at];
    let shape = |input: usize| match node.inputs.get(input) {
        Some(&i) => graph.nodes[i].meta.shape.as_slice(),
        None => &[],
    };
    let len = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
    let filter = |shape: &[usize]| len(shape.get(1..).unwrap_or(&[]));
    let own = len(&node.meta.shape);
    match node.kind() {
        Kind::Contract(contract) => {
            let products = match contract {
                Contract::MatMul => own * shape(0).last().map_or(0.0, |&n| n as f64),
                Contract::Conv(_) => own * filter(shape(1)),
                Contract::ConvInputGradient(_) => len(shape(0)) * filter(shape(1)),
                Contract::ConvWeightGradient(_) => len(shape(1)) * filter(&node.meta.shape),
            };
            (2.0 * products, 0.0)
        }
        Kind::Recurrent {
            part: Recurrence::Gates,
            ..
        } => (0.0, 0.0),
        Kind::Recurrent { cell, part } => {
            let weight = match part {
                Recurrence::Gradient => shape(0),
                _ => shape(1),
            };
            let hidden = weight.last().map_or(0.0, |&n| n as f64);
            let rows = len(node.meta.shape.get(..2).unwrap_or(&[]));
            (
                2.0 * rows * cell.products() as f64 * hidden * hidden,
                8.0 * rows * hidden,
            )
        }
        Kind::Attention { gradient, .. } => {
            let last = |i: usize| shape(i).last().map_or(0.0, |&n| n as f64);
            let keys = shape(1).get(1).map_or(0.0, |&n| n as f64);
            let pairs = len(shape(0).get(..3).unwrap_or(&[])) * keys;
            let passes = if gradient { 2.5 } else { 1.0 };
            (2.0 * passes * pairs * (last(1) + last(2)), pairs)
        }
        // Places are told by the pooling that finds them.
        Kind::Leaf | Kind::Fill(_) | Kind::View(_) | Kind::Window(Window::Places(_)) => (0.0, 0.0),
        Kind::Reduce { .. } | Kind::Window(_) => (0.0, own.max(len(shape(0)))),
        _ => (0.0, own),
    }
}

/// The parts of a step that computes these nodes, the first node first.
pub(super) fn of(graph: &Graph, nodes: &[usize]) -> Vec<Part> {
    // For each: its label, that label's work, all work, and the operations of products.
    let mut found: Vec<(Label, f64, f64, f64)> = Vec::new();
    for &at in nodes {
        let (flops, elements) = work(graph, at);
        let all = flops + ELEMENT * elements;
        let label = Label::of(&graph.nodes[at]);
        let known = found
            .iter_mut()
            .find(|(l, ..)| l.layer == label.layer && l.phase == label.phase);
        match known {
            None => found.push((label, all, all, flops)),
            Some((main, most, sum, products)) => {
                if all > *most {
                    (*main, *most) = (label, all);
                }
                *sum += all;
                *products += flops;
            }
        }
    }
    let all: f64 = found.iter().map(|f| f.2).sum();
    let products: f64 = found.iter().map(|f| f.3).sum();
    let share = |own: f64, all: f64, at: usize| match all > 0.0 {
        true => own / all,
        false => f64::from(at == 0),
    };
    let parts = found.into_iter().enumerate();
    parts
        .map(|(at, (label, _, own, flops))| Part {
            label,
            share: share(own, all, at),
            flops_share: share(flops, products, at),
        })
        .collect()
}
