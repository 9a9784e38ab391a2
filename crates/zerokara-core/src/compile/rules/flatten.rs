//! Where images are flattened for a product with weights that stay as they are, the rows of the weights are put in the
//! order in which images lie in memory: `flatten(x) w = flatten(x, channels last) w'`. What pooling and convolution give
//! is then read as they wrote it, and the weights, which a net that only answers prepares once, take no time.
//!
//! The sum runs in another order: the same but for rounding.

use crate::compile::{
    fault::{Fault, planted},
    rules::rewrite::Rebuilt,
    schedule::fusion,
};
use crate::{
    graph::{Graph, Source},
    op::{Contract, Kind, Op, View, Window},
    ops::{permute::Permute, reshape::Reshape},
};
use std::sync::Arc;

/// Most elementwise operations between a kernel that writes images and their flattening.
const STEPS: usize = 8;

/// `reshape(images) b`, where b is a matrix of weights, or the transpose of one.
struct Flattened {
    images: usize,
    /// Their shape, `[N, C, H, W]`.
    shape: [usize; 4],
    reshape: usize,
    weights: usize,
    /// The transpose.
    transpose: Option<usize>,
}

/// The graph with images flattened channels last, where the program keeps the weights: where `is_fixed`, which is given
/// the identity of a parameter, says so.
pub(in crate::compile) fn flatten_channels_last(
    graph: Graph,
    is_fixed: impl Fn(u64) -> bool,
) -> Graph {
    let consumers = fusion::consumers(&graph);
    let mut rebuilt = Rebuilt::default();
    let mut changed = false;
    for (at, node) in graph.nodes.iter().enumerate() {
        let Some(found) = flattened(&graph, at, &consumers, &is_fixed) else {
            rebuilt.keep(at, node);
            continue;
        };
        changed = true;
        let [n, c, h, w] = found.shape;
        let (length, last) = (c * h * w, [0, 2, 3, 1]);
        let columns = node.meta.shape[1];
        let (images, weights) = (rebuilt.moved[&found.images], rebuilt.moved[&found.weights]);
        // All are views, told of the flattening's place in the source.
        let mut view = |op: Arc<dyn Op>, input: usize, shape: &[usize]| {
            let mut view = graph.nodes[found.reshape].clone();
            view.source = Source::Op(op);
            rebuilt.like(&view, vec![input], shape)
        };
        let reshape = |shape: &[usize]| -> Arc<dyn Op> { Arc::new(Reshape::exactly(shape)) };
        let permute = |axes: &[usize]| -> Arc<dyn Op> { Arc::new(Permute::of(axes)) };
        let images = view(permute(&last), images, &[n, h, w, c]);
        let images = view(reshape(&[n, length]), images, &[n, length]);
        let weights = match found.transpose {
            Some(_) => {
                let planes = [columns, c, h, w];
                let weights = view(reshape(&planes), weights, &planes);
                let weights = match planted(Fault::FlattensWeightsAsTheyLie) {
                    true => view(reshape(&[columns, h, w, c]), weights, &[columns, h, w, c]),
                    false => view(permute(&last), weights, &[columns, h, w, c]),
                };
                let weights = view(reshape(&[columns, length]), weights, &[columns, length]);
                view(permute(&[1, 0]), weights, &[length, columns])
            }
            None => {
                let planes = [c, h, w, columns];
                let weights = view(reshape(&planes), weights, &planes);
                let weights = view(permute(&[1, 2, 0, 3]), weights, &[h, w, c, columns]);
                view(reshape(&[length, columns]), weights, &[length, columns])
            }
        };
        let product = rebuilt.like(node, vec![images, weights], &node.meta.shape);
        rebuilt.moved.insert(at, product);
    }
    match changed {
        true => rebuilt.finish(&graph),
        false => graph,
    }
}

/// The pattern around this product.
fn flattened(
    graph: &Graph,
    product: usize,
    consumers: &[Vec<usize>],
    is_fixed: impl Fn(u64) -> bool,
) -> Option<Flattened> {
    let node = |at: usize| &graph.nodes[at];
    if node(product).kind() != Kind::Contract(Contract::MatMul) {
        return None;
    }
    let (reshape, right) = (node(product).inputs[0], node(product).inputs[1]);
    let images = *node(reshape).inputs.first()?;
    let shape: [usize; 4] = node(images).meta.shape[..].try_into().ok()?;
    let [n, c, h, w] = shape;
    let flattens = node(reshape).kind() == Kind::View(View::Reshape)
        && node(reshape).meta.shape == [n, c * h * w]
        && (c > 1 && h * w > 1 && n > 0);
    let alone = |at: usize| consumers[at].len() == 1 && !graph.outputs.contains(&at);
    if !flattens || !alone(reshape) || !alone(images) || !comes_channels_last(graph, images) {
        return None;
    }
    let transposed = node(right).kind() == Kind::View(View::Permute(vec![1, 0]));
    let (weights, transpose) = match transposed {
        true => (node(right).inputs[0], Some(right)),
        false => (right, None),
    };
    let fixed = match &node(weights).source {
        Source::Parameter(parameter, _) => is_fixed(parameter.id()),
        _ => false,
    };
    fixed.then_some(Flattened {
        images,
        shape,
        reshape,
        weights,
        transpose,
    })
}

/// Whether these images are written by a convolution or a pooling, perhaps with elementwise operations after it.
fn comes_channels_last(graph: &Graph, images: usize) -> bool {
    let mut at = images;
    for _ in 0..STEPS {
        let node = &graph.nodes[at];
        match node.kind() {
            Kind::Window(Window::Pool(..)) => return true,
            Kind::Contract(contract) => return contract != Contract::MatMul,
            Kind::Map(_) => {
                let spread = |&&i: &&usize| graph.nodes[i].kind() != Kind::View(View::Broadcast);
                match node.inputs.iter().find(spread) {
                    Some(&input) => at = input,
                    None => return false,
                }
            }
            _ => return false,
        }
    }
    false
}
