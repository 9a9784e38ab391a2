//! Which nodes stand together in a box: those of one layer, as long as no line would have to leave a box and come back.

use super::Graph;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Nodes that are placed as one.
pub(super) struct Cluster {
    /// In ascending order.
    pub nodes: Vec<usize>,
    /// The layer's name, if there is a box.
    pub name: Option<String>,
}

/// Every node in one cluster, such that the graph of clusters has no cycle.
pub(super) fn clusters(graph: &Graph, nodes: &[usize]) -> Vec<Cluster> {
    let mut cluster_of: HashMap<usize, usize> = HashMap::new();
    let mut known: HashMap<&super::Layer, usize> = HashMap::new();
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        count - 1
    };
    for &node in nodes {
        let at = match &graph.nodes[node].group {
            Some(group) => *known.entry(group).or_insert_with(&mut fresh),
            None => fresh(),
        };
        cluster_of.insert(node, at);
    }
    // Layers that are left and entered again are cut into connected parts; if that is not enough, into nodes; and if
    // layers lie on cycles without that, into nodes as well.
    for (entered_again, apart) in [(true, false), (true, true), (false, true)] {
        let cyclic = in_cycles(graph, &cluster_of);
        let cut: HashSet<usize> = cyclic
            .into_iter()
            .filter(|&cluster| !entered_again || is_entered_again(graph, &cluster_of, cluster))
            .collect();
        let cut = nodes.iter().filter(|node| cut.contains(&cluster_of[node]));
        let mut parts: HashMap<usize, usize> = cut.map(|&node| (node, node)).collect();
        if !apart {
            join(graph, &cluster_of, &mut parts);
        }
        let mut renamed: HashMap<usize, usize> = HashMap::new();
        for (&node, &part) in &parts {
            let at = *renamed.entry(part).or_insert_with(|| {
                count += 1;
                count - 1
            });
            cluster_of.insert(node, at);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &node in nodes {
        members.entry(cluster_of[&node]).or_default().push(node);
    }
    let mut found: Vec<Cluster> = members
        .into_values()
        .map(|nodes| {
            let layer = graph.nodes[nodes[0]]
                .group
                .as_ref()
                .map(|(_, layer)| layer.clone());
            let name = layer.filter(|_| nodes.len() > 1);
            Cluster { nodes, name }
        })
        .collect();
    found.sort_by_key(|cluster| cluster.nodes[0]);
    found
}

/// The clusters that lie on a cycle, or between two.
fn in_cycles(graph: &Graph, cluster_of: &HashMap<usize, usize>) -> HashSet<usize> {
    let between = graph
        .edges
        .iter()
        .filter_map(|e| Some((*cluster_of.get(&e.from)?, *cluster_of.get(&e.to)?)));
    let lines: HashSet<(usize, usize)> = between.filter(|(from, to)| from != to).collect();
    let ahead = peel(lines.iter().copied().collect());
    let back = peel(ahead.into_iter().map(|(from, to)| (to, from)).collect());
    back.into_iter().flat_map(|(from, to)| [from, to]).collect()
}

/// The lines that are left when those from where nothing leads to are taken away, again and again.
fn peel(lines: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut open: HashMap<usize, usize> = HashMap::new();
    let mut next: HashMap<usize, Vec<usize>> = HashMap::new();
    for &(from, to) in &lines {
        open.entry(from).or_default();
        *open.entry(to).or_default() += 1;
        next.entry(from).or_default().push(to);
    }
    let mut free: Vec<usize> = open
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(v, _)| *v)
        .collect();
    let mut gone: HashSet<usize> = HashSet::new();
    while let Some(vertex) = free.pop() {
        gone.insert(vertex);
        for user in next.get(&vertex).into_iter().flatten() {
            if let Some(n) = open.get_mut(user) {
                *n -= 1;
                if *n == 0 {
                    free.push(*user);
                }
            }
        }
    }
    lines
        .into_iter()
        .filter(|(from, _)| !gone.contains(from))
        .collect()
}

/// Whether a path leaves the cluster and comes back.
fn is_entered_again(graph: &Graph, cluster_of: &HashMap<usize, usize>, cluster: usize) -> bool {
    let inside = |node: usize| cluster_of.get(&node) == Some(&cluster);
    let mut next: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut open = Vec::new();
    for edge in graph
        .edges
        .iter()
        .filter(|e| !(inside(e.from) && inside(e.to)))
    {
        match inside(edge.from) {
            true => open.push(edge.to),
            false => next.entry(edge.from).or_default().push(edge.to),
        }
    }
    let mut known = HashSet::new();
    while let Some(node) = open.pop() {
        if inside(node) {
            return true;
        }
        if known.insert(node) {
            open.extend(next.get(&node).into_iter().flatten());
        }
    }
    false
}

/// Gives nodes of one cluster that a line joins the same part.
fn join(graph: &Graph, cluster_of: &HashMap<usize, usize>, parts: &mut HashMap<usize, usize>) {
    fn root(parts: &mut HashMap<usize, usize>, mut node: usize) -> usize {
        while parts[&node] != node {
            let above = parts[&parts[&node]];
            parts.insert(node, above);
            node = above;
        }
        node
    }
    for edge in &graph.edges {
        let both = parts.contains_key(&edge.from) && parts.contains_key(&edge.to);
        if both && cluster_of[&edge.from] == cluster_of[&edge.to] {
            let (a, b) = (root(parts, edge.from), root(parts, edge.to));
            parts.insert(a.max(b), a.min(b));
        }
    }
    let nodes: Vec<usize> = parts.keys().copied().collect();
    for node in nodes {
        let part = root(parts, node);
        parts.insert(node, part);
    }
}
