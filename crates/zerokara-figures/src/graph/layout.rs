//! Where the nodes and lines of a graph go: in ranks, few crossings, each layer in a box of its own.

use super::{Direction, Graph, Shape, clusters::clusters};
use crate::figure::width_of;
use rust_sugiyama::{configure::Config, from_vertices_and_edges};
use std::collections::{BTreeMap, HashSet};
use zerokara_core::scope::Phase;

/// Room between a layer's box and what is in it.
const PAD: f64 = 9.0;
/// Room for the layer's name.
const NAME: f64 = 15.0;
/// Width of a line that passes a rank.
const LANE: f64 = 12.0;
/// Lines are led around the nodes of all ranks that they pass, unless these are more.
const MOST_RANKS: i64 = 60;

/// A drawing's places, in pixels.
#[derive(Default)]
pub(super) struct Layout {
    /// The middle of each node.
    pub centers: Vec<(f64, f64)>,
    /// Width and height of each node.
    pub sizes: Vec<(f64, f64)>,
    /// For each edge the points that it goes through between its ends.
    pub bends: Vec<Vec<(f64, f64)>>,
    /// Boxes around the nodes of a layer.
    pub boxes: Vec<LayerBox>,
    pub width: f64,
    pub height: f64,
}

/// A box around the nodes of a layer.
pub(super) struct LayerBox {
    pub corner: (f64, f64),
    pub size: (f64, f64),
    pub name: String,
    /// Whether the name stands above the nodes.
    pub name_above: bool,
}

/// Width and height of a node.
fn size(node: &super::Node) -> (f64, f64) {
    let words = width_of(&node.label, 12.8).max(width_of(&node.detail, 10.5));
    let lines = if node.detail.is_empty() { 1.0 } else { 2.0 };
    match node.shape {
        Shape::Sign => (30.0, 30.0),
        Shape::Name => (words + 8.0, 8.0 + 13.0 * lines),
        Shape::Box | Shape::Parameter | Shape::Copy => (words + 20.0, 13.0 + 13.0 * lines),
    }
}

/// What is arranged: its size across the direction and along it, and the room for texts behind it.
#[derive(Clone, Copy, Debug)]
struct Vertex {
    size: (f64, f64),
    text: f64,
    /// Whether it must stand in the first rank (-1) or the last one (1).
    end: i8,
}

/// What was arranged, across and along.
struct Arranged {
    centers: Vec<(f64, f64)>,
    /// For each edge the points between its ends.
    bends: Vec<Vec<(f64, f64)>>,
    size: (f64, f64),
}

/// Distances of an arrangement.
#[derive(Clone, Copy)]
struct Spacing {
    across: f64,
    /// Between two ranks, beside their texts.
    along: f64,
    /// Before the first rank and behind the last one.
    pad: f64,
}

/// The rank of each vertex: behind all that it is made of, inputs as late as they may be.
fn ranks(vertices: &[Vertex], edges: &[(usize, usize)]) -> Vec<i64> {
    let count = vertices.len();
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &(from, to) in edges {
        next[from].push(to);
        before[to].push(from);
    }
    let mut open: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..count).filter(|&v| open[v] == 0).collect();
    // Ends of lines have the first rank and the last one to themselves.
    let first = i64::from(vertices.iter().any(|v| v.end < 0));
    let mut rank: Vec<i64> = vertices
        .iter()
        .map(|v| if v.end < 0 { 0 } else { first })
        .collect();
    let mut at = 0;
    while let Some(&vertex) = order.get(at) {
        at += 1;
        for &user in &next[vertex] {
            rank[user] = rank[user].max(rank[vertex] + 1);
            open[user] -= 1;
            if open[user] == 0 {
                order.push(user);
            }
        }
    }
    // What is made of one input alone moves with it.
    let mut movable = vec![false; count];
    for &vertex in &order {
        movable[vertex] = vertices[vertex].end == 0
            && match before[vertex].as_slice() {
                [] => true,
                [one] => movable[*one] && next[*one].len() == 1,
                _ => false,
            };
    }
    for &vertex in order.iter().rev().filter(|&&v| movable[v]) {
        if let Some(user) = next[vertex].iter().map(|&user| rank[user]).min() {
            rank[vertex] = user - 1;
        }
    }
    let inner = vertices.iter().zip(&rank).filter(|(v, _)| v.end == 0);
    let last = inner.map(|(_, rank)| *rank).max().unwrap_or(0);
    for (vertex, rank) in vertices.iter().zip(&mut rank) {
        if vertex.end > 0 {
            *rank = last + 1;
        }
    }
    rank
}

/// Places vertices in ranks; several lines between the same two are one for this purpose.
fn arrange(vertices: &[Vertex], edges: &[(usize, usize)], spacing: Spacing) -> Arranged {
    let rank = ranks(vertices, edges);
    let mut rank_of: Vec<i64> = rank.clone();
    let mut sizes: Vec<(f64, f64)> = vertices.iter().map(|v| v.size).collect();
    // Lines that pass ranks get a place in each of them, so that they go around the nodes there.
    let mut chains: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    let mut short: HashSet<(usize, usize)> = HashSet::new();
    for &(from, to) in edges {
        if chains.contains_key(&(from, to)) {
            continue;
        }
        let mut chain = Vec::new();
        if rank[to] - rank[from] <= MOST_RANKS {
            let mut at = from;
            for passed in rank[from] + 1..rank[to] {
                sizes.push((LANE, 1.0));
                rank_of.push(passed);
                let lane = sizes.len() - 1;
                short.insert((at, lane));
                chain.push(lane);
                at = lane;
            }
            short.insert((at, to));
        }
        chains.insert((from, to), chain);
    }

    let mut across = vec![0.0; sizes.len()];
    let mut width: f64 = 0.0;
    let listed: Vec<(u32, (f64, f64))> = sizes
        .iter()
        .enumerate()
        .map(|(i, &s)| (i as u32, s))
        .collect();
    let mut short: Vec<(u32, u32)> = short
        .into_iter()
        .map(|(from, to)| (from as u32, to as u32))
        .collect();
    short.sort_unstable();
    let config = Config {
        vertex_spacing: spacing.across,
        ..Config::default()
    };
    for (places, _, _) in from_vertices_and_edges(&listed, &short, &config) {
        let left = |p: &(usize, (f64, f64))| p.1.0 - sizes[p.0].0 / 2.0;
        let right = |p: &(usize, (f64, f64))| p.1.0 + sizes[p.0].0 / 2.0;
        let low = places.iter().map(left).fold(f64::INFINITY, f64::min);
        let high = places.iter().map(right).fold(f64::NEG_INFINITY, f64::max);
        let offset = if width > 0.0 {
            width + spacing.across * 2.0
        } else {
            0.0
        };
        for (vertex, (at, _)) in places {
            across[vertex] = at - low + offset;
        }
        width = offset + high - low;
    }

    // Ranks lie as far apart as their nodes and the texts between them need.
    let mut depth: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (vertex, &rank) in rank_of.iter().enumerate() {
        let most = depth.entry(rank).or_default();
        most.0 = most.0.max(sizes[vertex].1);
        most.1 = most.1.max(vertices.get(vertex).map_or(0.0, |v| v.text));
    }
    let mut along: BTreeMap<i64, f64> = BTreeMap::new();
    let [starts, ends] = [-1, 1].map(|end| vertices.iter().any(|v| v.end == end));
    let last = depth.keys().next_back().copied().unwrap_or(0);
    let mut next = if starts { 0.0 } else { spacing.pad };
    let mut end = next;
    for (&rank, &(most, text)) in &depth {
        along.insert(rank, next + most / 2.0);
        end = next + most;
        let beside_ends = starts && rank == 0 || ends && rank + 1 == last;
        next = end
            + if beside_ends {
                spacing.pad
            } else {
                spacing.along + text
            };
    }
    if !ends {
        end += spacing.pad;
    }
    let center = |vertex: usize| (across[vertex], along[&rank_of[vertex]]);
    Arranged {
        centers: (0..vertices.len()).map(center).collect(),
        bends: edges
            .iter()
            .map(|edge| chains[edge].iter().map(|&lane| center(lane)).collect())
            .collect(),
        size: (width, end),
    }
}

impl Layout {
    pub fn of(graph: &Graph, direction: Direction) -> Self {
        let mut layout = Self {
            centers: vec![(0.0, 0.0); graph.nodes.len()],
            sizes: graph.nodes.iter().map(size).collect(),
            bends: vec![Vec::new(); graph.edges.len()],
            ..Self::default()
        };
        // From top to bottom and back up again, side by side.
        let back =
            |node: usize| direction == Direction::Down && graph.nodes[node].phase != Phase::Forward;
        let (second, first): (Vec<usize>, Vec<usize>) =
            (0..graph.nodes.len()).partition(|&node| back(node));
        if first.is_empty() || second.is_empty() {
            let all: Vec<usize> = (0..graph.nodes.len()).collect();
            (layout.width, layout.height) = layout.part(graph, direction, &all);
            return layout;
        }
        let (left, down) = layout.part(graph, direction, &first);
        let boxes = layout.boxes.len();
        let (right, up) = layout.part(graph, direction, &second);
        layout.height = down.max(up);
        layout.width = left + 56.0 + right;
        let bottom = layout.height;
        let place = |(x, y): (f64, f64)| (x + left + 56.0, bottom - y);
        for &node in &second {
            layout.centers[node] = place(layout.centers[node]);
        }
        for (edge, bends) in graph.edges.iter().zip(&mut layout.bends) {
            if back(edge.from) && back(edge.to) {
                bends.iter_mut().for_each(|bend| *bend = place(*bend));
            }
        }
        for layer in &mut layout.boxes[boxes..] {
            let (x, y) = place(layer.corner);
            layer.corner = (x, y - layer.size.1);
            layer.name_above = true;
        }
        let lower = layout.height - down;
        for &node in &first {
            layout.centers[node].1 += lower;
        }
        for (edge, bends) in graph.edges.iter().zip(&mut layout.bends) {
            if !back(edge.from) && !back(edge.to) {
                bends.iter_mut().for_each(|bend| bend.1 += lower);
            }
        }
        for layer in &mut layout.boxes[..boxes] {
            layer.corner.1 += lower;
        }
        layout
    }

    /// Places these nodes, with their lines and boxes, from (0, 0) on; their width and height.
    fn part(&mut self, graph: &Graph, direction: Direction, nodes: &[usize]) -> (f64, f64) {
        let labelled = graph
            .edges
            .iter()
            .any(|e| !e.above.is_empty() || !e.below.is_empty());
        // Across and along the direction.
        let turn = |(w, h): (f64, f64)| match direction {
            Direction::Right => (h, w),
            Direction::Down => (w, h),
        };
        let spacing = Spacing {
            across: if direction == Direction::Right && labelled {
                34.0
            } else {
                22.0
            },
            along: match direction {
                Direction::Right => 34.0,
                Direction::Down if labelled => 44.0,
                Direction::Down => 26.0,
            },
            pad: 0.0,
        };
        let mut texts = vec![0.0f64; graph.nodes.len()];
        for edge in &graph.edges {
            let text = width_of(&edge.above, 12.0).max(width_of(&edge.below, 12.0));
            texts[edge.from] = texts[edge.from].max(text);
        }
        // Texts stand along lines to the right, and at the right of lines down, beside which nothing else may stand.
        let vertex = |node: usize| {
            let (size, text) = (turn(self.sizes[node]), texts[node]);
            match direction {
                Direction::Down if text > 0.0 => Vertex {
                    size: (size.0.max(2.0 * (text + 12.0)), size.1),
                    text: 0.0,
                    end: 0,
                },
                Direction::Down | Direction::Right => Vertex { size, text, end: 0 },
            }
        };

        let clusters = clusters(graph, nodes);
        let mut cluster_of = vec![usize::MAX; graph.nodes.len()];
        for (at, cluster) in clusters.iter().enumerate() {
            cluster.nodes.iter().for_each(|&node| cluster_of[node] = at);
        }
        let here = |edge: &super::Edge| {
            cluster_of[edge.from] != usize::MAX && cluster_of[edge.to] != usize::MAX
        };
        // Each layer by itself: its nodes, and an end for each line that comes in or goes out.
        let mut outer: Vec<Vertex> = Vec::new();
        let mut inner: Vec<Option<(Arranged, Vec<Inside>)>> = Vec::new();
        for (at, cluster) in clusters.iter().enumerate() {
            let Some(name) = &cluster.name else {
                outer.push(vertex(cluster.nodes[0]));
                inner.push(None);
                continue;
            };
            let mut vertices: Vec<Vertex> = cluster.nodes.iter().map(|&n| vertex(n)).collect();
            let place = |node: usize| cluster.nodes.binary_search(&node).unwrap_or(0);
            let mut lines = Vec::new();
            let mut insides = Vec::new();
            for (number, edge) in graph.edges.iter().enumerate().filter(|(_, e)| here(e)) {
                let (from, to) = (cluster_of[edge.from] == at, cluster_of[edge.to] == at);
                let mut port = |end: i8| {
                    vertices.push(Vertex {
                        size: (LANE, 1.0),
                        text: 0.0,
                        end,
                    });
                    vertices.len() - 1
                };
                match (from, to) {
                    (true, true) => {
                        lines.push((place(edge.from), place(edge.to)));
                        insides.push(Inside {
                            edge: number,
                            port: None,
                        });
                    }
                    (true, false) => {
                        let port = port(1);
                        lines.push((place(edge.from), port));
                        insides.push(Inside {
                            edge: number,
                            port: Some((port, true)),
                        });
                    }
                    (false, true) => {
                        let port = port(-1);
                        lines.push((port, place(edge.to)));
                        insides.push(Inside {
                            edge: number,
                            port: Some((port, false)),
                        });
                    }
                    (false, false) => {}
                }
            }
            let close = Spacing {
                across: 14.0,
                // Room for the texts of lines that leave the box.
                pad: match direction {
                    Direction::Down if labelled => PAD + 12.0,
                    _ => PAD,
                },
                ..spacing
            };
            let arranged = arrange(&vertices, &lines, close);
            let named = width_of(name, 10.5) + 6.0;
            let (across, along) = arranged.size;
            outer.push(Vertex {
                size: match direction {
                    Direction::Down => ((across + 2.0 * PAD).max(named), along + NAME),
                    Direction::Right => (across + 2.0 * PAD + NAME, along.max(named)),
                },
                text: match direction {
                    Direction::Right => cluster.nodes.iter().map(|&n| texts[n]).fold(0.0, f64::max),
                    Direction::Down => 0.0,
                },
                end: 0,
            });
            inner.push(Some((arranged, insides)));
        }

        let between: Vec<usize> = (0..graph.edges.len())
            .filter(|&number| {
                let edge = &graph.edges[number];
                here(edge) && cluster_of[edge.from] != cluster_of[edge.to]
            })
            .collect();
        let ends = |&number: &usize| {
            let edge = &graph.edges[number];
            (cluster_of[edge.from], cluster_of[edge.to])
        };
        let lines: Vec<(usize, usize)> = between.iter().map(ends).collect();
        let whole = arrange(&outer, &lines, spacing);

        let mut ports: BTreeMap<(usize, bool), Vec<(f64, f64)>> = BTreeMap::new();
        for (at, cluster) in clusters.iter().enumerate() {
            let (x, y) = whole.centers[at];
            let (across, along) = outer[at].size;
            let Some((arranged, insides)) = &inner[at] else {
                self.centers[cluster.nodes[0]] = turn((x, y));
                continue;
            };
            let name = if direction == Direction::Right {
                NAME
            } else {
                0.0
            };
            let (left, top) = (x - (arranged.size.0 + name) / 2.0, y - along / 2.0);
            let lift = |p: &(f64, f64)| turn((p.0 + left, p.1 + top));
            for (number, &node) in cluster.nodes.iter().enumerate() {
                self.centers[node] = lift(&arranged.centers[number]);
            }
            for (inside, bends) in insides.iter().zip(&arranged.bends) {
                let mut points: Vec<(f64, f64)> = bends.iter().map(lift).collect();
                match inside.port {
                    None => self.bends[inside.edge] = points,
                    Some((port, leaves)) => {
                        let end = lift(&arranged.centers[port]);
                        points.insert(if leaves { points.len() } else { 0 }, end);
                        ports.insert((inside.edge, leaves), points);
                    }
                }
            }
            self.boxes.push(LayerBox {
                corner: turn((x - across / 2.0, y - along / 2.0)),
                size: turn((across, along)),
                name: cluster.name.clone().unwrap_or_default(),
                name_above: false,
            });
        }
        for (&number, bends) in between.iter().zip(&whole.bends) {
            let mut points = ports.remove(&(number, true)).unwrap_or_default();
            points.extend(bends.iter().map(|&p| turn(p)));
            points.extend(ports.remove(&(number, false)).unwrap_or_default());
            self.bends[number] = points;
        }
        turn(whole.size)
    }
}

/// A line inside of a layer's box, and the port by which it leaves it (true) or comes in.
struct Inside {
    edge: usize,
    port: Option<(usize, bool)>,
}
