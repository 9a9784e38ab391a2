//! Rewritings of the graph that keep every value to the bit and make less work.
//!
//! A rectifier commutes with the largest of a window: `max_pool(relu(y)) = relu(max_pool(y))`. Moved behind the
//! pooling, it works on a fraction of the elements; and in the gradient, `relu` masks what comes in instead of what
//! was scattered: `mask(relu(y) > 0, scatter(g)) = scatter(mask(relu(max_pool(y)) > 0, g))`. Where the largest of a
//! window is positive it is the same element in `y` and in `relu(y)`; where it is not, either side passes nothing.
//! So neither direction needs `relu(y)` any more.

use crate::compile::{
    fault::{Fault, planted},
    schedule::fusion,
};
use crate::{
    graph::{Graph, GraphNode, Source},
    op::{Kind, Op, PoolOptions, View, Window, binary},
    ops::{relu::Relu, reshape::Reshape, where_::Where},
};
use std::{collections::HashMap, sync::Arc};
use zerokara_kernels::{map::Binary, plan::Pooling};

/// One max pooling of a rectified value, and its gradient if there is one.
struct PooledRelu {
    relu: usize,
    pool: usize,
    gradient: Option<MaskedGradient>,
}

/// `select(greater(relu, 0), max_pool_gradient(relu, g), 0)`.
struct MaskedGradient {
    /// `greater(relu, 0)`.
    mask: usize,
    /// The zeros of the comparison and of the selection.
    zero: usize,
    /// The pooling's gradient.
    scatter: usize,
    /// The selection.
    select: usize,
}

/// The graph with rectifiers moved behind max poolings.
pub(in crate::compile) fn rectify_after_pooling(graph: Graph) -> Graph {
    let found = find(&graph);
    if found.is_empty() {
        return graph;
    }
    let pools: HashMap<usize, &PooledRelu> = found.iter().map(|f| (f.pool, f)).collect();
    let selects: HashMap<usize, &PooledRelu> = found
        .iter()
        .filter_map(|f| Some((f.gradient.as_ref()?.select, f)))
        .collect();
    let mut rebuilt = Rebuilt::default();
    for (at, node) in graph.nodes.iter().enumerate() {
        if let Some(found) = pools.get(&at) {
            rebuilt.pool(&graph, found);
        } else if let Some(found) = selects.get(&at) {
            rebuilt.gradient(&graph, found);
        } else {
            rebuilt.keep(at, node);
        }
    }
    rebuilt.finish(&graph)
}

fn find(graph: &Graph) -> Vec<PooledRelu> {
    let consumers = fusion::consumers(graph);
    let users = |at: usize| &consumers[at][..];
    let is_output = |at: usize| graph.outputs.contains(&at);
    let relu = Relu.kind();
    let mut found = Vec::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        if node.kind() == relu
            && !is_output(at)
            && let Some(pooled) = pooled_relu(graph, at, users, is_output)
        {
            found.push(pooled);
        }
    }
    found
}

/// The pattern around this rectifier, if all that reads it belongs to it.
fn pooled_relu<'a>(
    graph: &Graph,
    relu: usize,
    users: impl Fn(usize) -> &'a [usize],
    is_output: impl Fn(usize) -> bool,
) -> Option<PooledRelu> {
    let (mut pools, mut scatters, mut masks) = (Vec::new(), Vec::new(), Vec::new());
    for &user in users(relu) {
        match graph.nodes[user].kind() {
            Kind::Window(Window::Pool(Pooling::Max, options)) => pools.push((user, options)),
            Kind::Window(Window::PoolGradient(Pooling::Max, options))
                if graph.nodes[user].inputs[0] == relu =>
            {
                scatters.push((user, options))
            }
            kind if kind == binary(Binary::Greater) => masks.push(user),
            _ => return None,
        }
    }
    let &[(pool, options)] = &pools[..] else {
        return None;
    };
    if is_output(pool) {
        return None;
    }
    let gradient = match (&scatters[..], &masks[..]) {
        ([], []) => None,
        (&[scatter], &[mask]) => Some(masked_gradient(
            graph, relu, pool, options, scatter, mask, users, is_output,
        )?),
        _ => return None,
    };
    Some(PooledRelu {
        relu,
        pool,
        gradient,
    })
}

#[allow(clippy::too_many_arguments)]
fn masked_gradient<'a>(
    graph: &Graph,
    relu: usize,
    pool: usize,
    options: PoolOptions,
    (scatter, same): (usize, PoolOptions),
    mask: usize,
    users: impl Fn(usize) -> &'a [usize],
    is_output: impl Fn(usize) -> bool,
) -> Option<MaskedGradient> {
    let &[select] = users(mask) else { return None };
    let (&[of_scatter], &[left, zero]) = (users(scatter), &graph.nodes[mask].inputs[..]) else {
        return None;
    };
    let is_zero = matches!(graph.nodes[zero].kind(), Kind::Fill(v) if v.to_bits() == 0);
    let whole = select == of_scatter
        && graph.nodes[select].kind() == Where.kind()
        && graph.nodes[select].inputs == [mask, scatter, zero]
        && (left, is_zero, same) == (relu, true, options)
        && pool < select
        && ![mask, scatter, select].into_iter().any(is_output);
    whole.then_some(MaskedGradient {
        mask,
        zero,
        scatter,
        select,
    })
}

/// The new graph, and where the old nodes went.
#[derive(Default)]
pub(in crate::compile) struct Rebuilt {
    nodes: Vec<GraphNode>,
    pub moved: HashMap<usize, usize>,
}

impl Rebuilt {
    fn push(&mut self, node: GraphNode) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The node as it is, on the new places of its inputs.
    pub fn keep(&mut self, at: usize, node: &GraphNode) {
        let mut node = node.clone();
        node.inputs.iter_mut().for_each(|i| *i = self.moved[i]);
        let new = self.push(node);
        self.moved.insert(at, new);
    }

    /// The node as another of the same place in the user's source, on these new nodes.
    pub fn like(&mut self, old: &GraphNode, inputs: Vec<usize>, shape: &[usize]) -> usize {
        let mut node = old.clone();
        node.inputs = inputs;
        node.meta.shape = shape.to_vec();
        self.push(node)
    }

    /// `relu(max_pool(y))`
    fn pool(&mut self, graph: &Graph, found: &PooledRelu) {
        let (pool, relu) = (&graph.nodes[found.pool], &graph.nodes[found.relu]);
        let y = self.moved[&relu.inputs[0]];
        let pooled = self.like(pool, vec![y], &pool.meta.shape);
        let rectified = self.like(relu, vec![pooled], &pool.meta.shape);
        self.moved.insert(found.pool, rectified);
    }

    /// `scatter(select(greater(relu(max_pool(y)), 0), g, 0))`. A gradient that was only reshaped is masked before.
    fn gradient(&mut self, graph: &Graph, found: &PooledRelu) {
        let Some(MaskedGradient {
            mask,
            zero,
            scatter,
            select,
        }) = found.gradient
        else {
            return;
        };
        let node = |at: usize| &graph.nodes[at];
        let incoming = node(scatter).inputs[1];
        let reshaped = node(incoming).kind() == Kind::View(View::Reshape);
        let g = if reshaped {
            node(incoming).inputs[0]
        } else {
            incoming
        };
        let shape = node(g).meta.shape.clone();
        let mut pooled = self.moved[&found.pool];
        if reshaped {
            let view = GraphNode {
                source: Source::Op(Arc::new(Reshape::exactly(&shape))),
                ..node(incoming).clone()
            };
            pooled = self.like(&view, vec![pooled], &shape);
        }
        let zero = self.like(node(zero), Vec::new(), &shape);
        let mask = self.like(node(mask), vec![pooled, zero], &shape);
        let g = self.moved[&g];
        let mut masked = match planted(Fault::ForgetsMaskOfPooledRelu) {
            true => g,
            false => self.like(node(select), vec![mask, g, zero], &shape),
        };
        if reshaped {
            masked = self.like(node(incoming), vec![masked], &node(incoming).meta.shape);
        }
        let y = self.moved[&node(found.relu).inputs[0]];
        let scattered = self.like(node(scatter), vec![y, masked], &node(scatter).meta.shape);
        self.moved.insert(select, scattered);
    }

    /// The graph without what nobody needs any more.
    pub fn finish(self, graph: &Graph) -> Graph {
        let outputs: Vec<usize> = graph.outputs.iter().map(|o| self.moved[o]).collect();
        let mut needed = vec![false; self.nodes.len()];
        outputs.iter().for_each(|&o| needed[o] = true);
        for (at, node) in self.nodes.iter().enumerate().rev() {
            // Parameters that are only written have no reader.
            needed[at] |= !matches!(node.source, Source::Op(_));
            if needed[at] {
                node.inputs.iter().for_each(|&i| needed[i] = true);
            }
        }
        let mut place = vec![0; self.nodes.len()];
        let mut nodes: Vec<GraphNode> = Vec::new();
        for (at, mut node) in self.nodes.into_iter().enumerate() {
            if needed[at] {
                node.inputs.iter_mut().for_each(|i| *i = place[*i]);
                place[at] = nodes.len();
                nodes.push(node);
            }
        }
        Graph {
            nodes,
            outputs: outputs.into_iter().map(|o| place[o]).collect(),
        }
    }
}
