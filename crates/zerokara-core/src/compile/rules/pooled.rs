//! Two more rewritings around max pooling, for what [`super::rewrite`] leaves there.
//!
//! What is added alike to all elements of a window, such as the bias of a convolution, commutes with the largest of the
//! window: `max_pool(x + b) = max_pool(x) + b`, to the bit, since rounding keeps the order. Which element is the largest
//! is then told by `x`, where `x + b` may have rounded two of them to the same. Where `b` is not finite, the sums are all the
//! same, or NaN: the pooling is told of `b`, and takes the element that is the first largest of the sums.
//!
//! The gradient of the pooling gives each number to one element, so that the sum over all elements of an image is that of
//! the numbers: `sum(scatter(g)) = sum(g)`, but for rounding. So the gradient of the bias needs only the small side.

use crate::compile::{
    fault::{Fault, planted},
    rules::rewrite::Rebuilt,
    schedule::fusion,
};
use crate::{
    DType,
    graph::{Graph, Source},
    op::{Kind, View, Window, binary},
    ops::{
        broadcast::Broadcast,
        reduce::{Reduce, reduced_axes},
    },
};
use std::{collections::HashMap, sync::Arc};
use zerokara_kernels::{
    map::Binary,
    plan::{Pooling, Reduction},
};

/// `max_pool(x + broadcast(b))`, read by nobody else but the pooling's gradient.
#[derive(Clone, Copy)]
struct PooledSum {
    add: usize,
    x: usize,
    /// The broadcast.
    b: usize,
    pool: usize,
}

/// The graph with what is added alike to all of a window added after the max pooling.
pub(in crate::compile) fn add_after_pooling(graph: Graph) -> Graph {
    let consumers = fusion::consumers(&graph);
    let found: Vec<PooledSum> = (0..graph.nodes.len())
        .filter_map(|add| pooled_sum(&graph, add, &consumers[add]))
        .collect();
    if found.is_empty() {
        return graph;
    }
    let pools: HashMap<usize, PooledSum> = found.iter().map(|f| (f.pool, *f)).collect();
    let sums: HashMap<usize, PooledSum> = found.iter().map(|f| (f.add, *f)).collect();
    let mut rebuilt = Rebuilt::default();
    for (at, node) in graph.nodes.iter().enumerate() {
        if let Some(found) = pools.get(&at) {
            let shape = &node.meta.shape;
            let (add, b) = (&graph.nodes[found.add], &graph.nodes[found.b]);
            let mut inputs = vec![rebuilt.moved[&found.x]];
            // The sum of numbers that are sure to be finite needs no order of its own.
            let source = b.inputs[0];
            let is_finite = matches!(graph.nodes[source].kind(), Kind::Fill(x) if x.is_finite());
            if !is_finite && node.meta.dtype == DType::F32 {
                inputs.push(rebuilt.moved[&source]);
            }
            let pooled = rebuilt.like(node, inputs, shape);
            let mut spread = b.clone();
            spread.source = Source::Op(Arc::new(Broadcast::to(shape)));
            let spread = rebuilt.like(&spread, vec![rebuilt.moved[&b.inputs[0]]], shape);
            let sum = match planted(Fault::ForgetsSumAfterPooling) {
                true => pooled,
                false => rebuilt.like(add, vec![pooled, spread], shape),
            };
            rebuilt.moved.insert(at, sum);
        } else if let (Kind::Window(Window::PoolGradient(Pooling::Max, _)), Some(found)) =
            (node.kind(), node.inputs.first().and_then(|i| sums.get(i)))
        {
            let inputs = vec![rebuilt.moved[&found.x], rebuilt.moved[&node.inputs[1]]];
            let scattered = rebuilt.like(node, inputs, &node.meta.shape);
            rebuilt.moved.insert(at, scattered);
        } else {
            rebuilt.keep(at, node);
        }
    }
    rebuilt.finish(&graph)
}

/// The pattern around this sum, if all that reads it belongs to it.
fn pooled_sum(graph: &Graph, add: usize, users: &[usize]) -> Option<PooledSum> {
    let node = &graph.nodes[add];
    if node.kind() != binary(Binary::Add) || graph.outputs.contains(&add) {
        return None;
    }
    let spread = |&at: &usize| graph.nodes[at].kind() == Kind::View(View::Broadcast);
    let (x, b) = match node.inputs[..] {
        [x, b] if spread(&b) && !spread(&x) => (x, b),
        [b, x] if spread(&b) && !spread(&x) => (x, b),
        _ => return None,
    };
    // The same for all positions of a plane.
    let of = &graph.nodes[graph.nodes[b].inputs[0]].meta;
    if !(of.len() == 1 || matches!(of.shape[..], [.., 1, 1])) {
        return None;
    }
    let (mut pools, mut scatters) = (Vec::new(), Vec::new());
    for &user in users {
        match graph.nodes[user].kind() {
            Kind::Window(Window::Pool(Pooling::Max, options)) => pools.push((user, options)),
            Kind::Window(Window::PoolGradient(Pooling::Max, options))
                if graph.nodes[user].inputs[0] == add && graph.nodes[user].inputs[1] != add =>
            {
                scatters.push(options)
            }
            _ => return None,
        }
    }
    let &[(pool, options)] = &pools[..] else {
        return None;
    };
    // The gradient finds elements by themselves only where no places were told.
    let [height, width] = options.kernel;
    let is_told = scatters.is_empty() || height.saturating_mul(width) <= 256;
    let fits =
        !graph.outputs.contains(&pool) && is_told && scatters.iter().all(|&other| other == options);
    fits.then_some(PooledSum { add, x, b, pool })
}

/// The graph with sums over the gradients of max poolings taken before these are scattered.
pub(in crate::compile) fn sum_before_scattering(graph: Graph) -> Graph {
    let scattered = |at: usize| {
        let node = &graph.nodes[at];
        let Kind::Reduce {
            reduction: Reduction::Sum,
            axes,
        } = node.kind()
        else {
            return None;
        };
        let scatter = &graph.nodes[node.inputs[0]];
        let is_scatter = matches!(
            scatter.kind(),
            Kind::Window(Window::PoolGradient(Pooling::Max, _))
        );
        let axes = reduced_axes(&axes, scatter.meta.rank()).ok()?;
        (is_scatter && axes.contains(&2) && axes.contains(&3)).then(|| scatter.inputs[1])
    };
    let found: HashMap<usize, usize> = (0..graph.nodes.len())
        .filter_map(|at| Some((at, scattered(at)?)))
        .collect();
    if found.is_empty() {
        return graph;
    }
    let mut rebuilt = Rebuilt::default();
    for (at, node) in graph.nodes.iter().enumerate() {
        let Some(&gradient) = found.get(&at) else {
            rebuilt.keep(at, node);
            continue;
        };
        let mut inputs = vec![rebuilt.moved[&gradient]];
        let mut sum = node.clone();
        // Planes of what was flattened lie one after another: first the images are added up, whole rows of them.
        let lengths = &graph.nodes[gradient].meta.shape;
        if let (Kind::View(View::Reshape), Kind::Reduce { axes, .. }, &[_, channels, height, width]) =
            (graph.nodes[gradient].kind(), node.kind(), &lengths[..])
            && reduced_axes(&axes, 4) == Ok(vec![0, 2, 3])
        {
            sum.source = Source::Op(Arc::new(Reduce::sum_over(&[0])));
            inputs = vec![rebuilt.like(&sum, inputs, &[channels, height, width])];
            sum.source = Source::Op(Arc::new(Reduce::sum_over(&[1, 2])));
        }
        let sum = rebuilt.like(&sum, inputs, &node.meta.shape);
        rebuilt.moved.insert(at, sum);
    }
    rebuilt.finish(&graph)
}
