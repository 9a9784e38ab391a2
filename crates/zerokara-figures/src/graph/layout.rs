//! Where the nodes and lines of a graph go: in ranks, few crossings.

use super::{Direction, Graph, Shape};
use crate::figure::width_of;
use rust_sugiyama::{configure::Config, from_vertices_and_edges};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A drawing's places, in pixels.
pub(super) struct Layout {
    /// The middle of each node.
    pub centers: Vec<(f64, f64)>,
    /// Width and height of each node.
    pub sizes: Vec<(f64, f64)>,
    /// For each edge the points that it goes through between its ends.
    pub bends: Vec<Vec<(f64, f64)>>,
    pub width: f64,
    pub height: f64,
}

/// Width and height of a node.
fn size(node: &super::Node) -> (f64, f64) {
    let words = width_of(&node.label, 12.0).max(width_of(&node.detail, 10.5));
    let lines = if node.detail.is_empty() { 1.0 } else { 2.0 };
    match node.shape {
        Shape::Sign => (30.0, 30.0),
        Shape::Name => (words + 8.0, 8.0 + 13.0 * lines),
        Shape::Box | Shape::Parameter => (words + 20.0, 13.0 + 13.0 * lines),
    }
}

/// Vertices by number with their ranks, and their places across.
type Ranks = HashMap<usize, (i64, f64)>;

/// The ranks and places of vertices of these sizes, across and along.
fn arrange(sizes: &[(f64, f64)], edges: &[(usize, usize)], spacing: f64) -> Ranks {
    let vertices: Vec<(u32, (f64, f64))> = sizes
        .iter()
        .enumerate()
        .map(|(i, &s)| (i as u32, s))
        .collect();
    // Two lines between the same nodes are one for the layout.
    let mut known = HashSet::new();
    let edges: Vec<(u32, u32)> = edges
        .iter()
        .filter(|e| known.insert(**e))
        .map(|&(from, to)| (from as u32, to as u32))
        .collect();
    let config = Config {
        vertex_spacing: spacing,
        ..Config::default()
    };
    let mut found = Ranks::new();
    let mut offset = 0.0;
    for (places, _, _) in from_vertices_and_edges(&vertices, &edges, &config) {
        let mut along: Vec<f64> = places.iter().map(|p| p.1.1).collect();
        along.sort_by(f64::total_cmp);
        along.dedup_by(|a, b| (*a - *b).abs() < 1e-6);
        let left = |p: &(usize, (f64, f64))| p.1.0 - sizes[p.0].0 / 2.0;
        let right = |p: &(usize, (f64, f64))| p.1.0 + sizes[p.0].0 / 2.0;
        let low = places.iter().map(left).fold(f64::INFINITY, f64::min);
        let high = places.iter().map(right).fold(f64::NEG_INFINITY, f64::max);
        for (vertex, (across, at)) in places {
            let rank = along
                .iter()
                .position(|y| (y - at).abs() < 1e-6)
                .unwrap_or(0);
            found.insert(vertex, (rank as i64, across - low + offset));
        }
        offset += high - low + spacing * 2.0;
    }
    found
}

impl Layout {
    pub fn of(graph: &Graph, direction: Direction) -> Self {
        let sizes: Vec<(f64, f64)> = graph.nodes.iter().map(size).collect();
        let labelled = graph
            .edges
            .iter()
            .any(|e| !e.above.is_empty() || !e.below.is_empty());
        // Across and along the direction.
        let turn = |(w, h): (f64, f64)| match direction {
            Direction::Right => (h, w),
            Direction::Down => (w, h),
        };
        let spacing = match direction {
            Direction::Right if labelled => 34.0,
            _ => 22.0,
        };
        let mut turned: Vec<(f64, f64)> = sizes.iter().map(|&s| turn(s)).collect();
        let plain: Vec<(usize, usize)> = graph.edges.iter().map(|e| (e.from, e.to)).collect();
        let ranks = arrange(&turned, &plain, spacing);

        // Lines that pass ranks get a place in each of them, so that they go around the nodes there.
        let mut edges = Vec::new();
        let mut chains: Vec<Vec<usize>> = Vec::new();
        for &(from, to) in &plain {
            let (first, last) = (ranks[&from].0, ranks[&to].0);
            let mut chain = Vec::new();
            let mut at = from;
            for _ in first + 1..last {
                turned.push((12.0, 1.0));
                let next = turned.len() - 1;
                edges.push((at, next));
                chain.push(next);
                at = next;
            }
            edges.push((at, to));
            chains.push(chain);
        }
        let ranks = match chains.iter().all(Vec::is_empty) {
            true => ranks,
            false => arrange(&turned, &edges, spacing),
        };

        // Ranks lie as far apart as their nodes and the texts between them need.
        let mut depth: BTreeMap<i64, f64> = BTreeMap::new();
        for (vertex, (rank, _)) in &ranks {
            let most = depth.entry(*rank).or_default();
            *most = most.max(turned[*vertex].1);
        }
        let mut texts: HashMap<i64, f64> = HashMap::new();
        for edge in &graph.edges {
            let needed = width_of(&edge.above, 12.0).max(width_of(&edge.below, 12.0));
            let most = texts.entry(ranks[&edge.from].0).or_default();
            *most = most.max(needed);
        }
        let mut at: HashMap<i64, f64> = HashMap::new();
        let mut next = 0.0;
        for (rank, &most) in &depth {
            at.insert(*rank, next + most / 2.0);
            let gap = match direction {
                Direction::Right => texts.get(rank).copied().unwrap_or_default().max(0.0) + 34.0,
                Direction::Down if labelled => 44.0,
                Direction::Down => 26.0,
            };
            next += most + gap;
        }
        let center = |vertex: usize| {
            let (rank, across) = ranks[&vertex];
            turn((across, at[&rank]))
        };
        let centers: Vec<(f64, f64)> = (0..sizes.len()).map(center).collect();
        let bends: Vec<Vec<(f64, f64)>> = chains
            .iter()
            .map(|c| c.iter().map(|&v| center(v)).collect())
            .collect();
        let far = |i: usize| {
            (
                centers[i].0 + sizes[i].0 / 2.0,
                centers[i].1 + sizes[i].1 / 2.0,
            )
        };
        let ends = (0..sizes.len())
            .map(far)
            .chain(bends.iter().flatten().copied());
        let (width, height) =
            ends.fold((0.0, 0.0), |m: (f64, f64), p| (m.0.max(p.0), m.1.max(p.1)));
        Self {
            centers,
            sizes,
            bends,
            width,
            height,
        }
    }
}
