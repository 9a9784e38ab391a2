//! When nodes run: the times by which [`fusion`](super::fusion) puts them together, and who must run before a parameter is
//! replaced.

use crate::compile::{
    Request,
    schedule::fusion::{Class, LONGEST_CHAIN},
};
use crate::{
    Error, Result,
    graph::{Graph, Source},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Who reads the old value of a parameter that is replaced: all of them must run before the store.
#[derive(Default)]
pub struct Readers {
    /// Elementwise nodes that read the parameter itself: they may run in the store's own group.
    pub direct: Vec<usize>,
    /// Elementwise nodes that read it in another order or shape: they must have run before.
    pub viewing: Vec<usize>,
    /// Kernels and views.
    pub kernels: Vec<usize>,
}

impl Readers {
    pub fn all(&self) -> impl Iterator<Item = &usize> {
        self.direct.iter().chain(&self.viewing).chain(&self.kernels)
    }
}

/// For each node that stores a new value of a parameter, the readers of the old one.
pub fn parameter_readers(
    graph: &Graph,
    classes: &[Class],
    consumers: &[Vec<usize>],
    inlined: &[bool],
    request: &Request,
) -> BTreeMap<usize, Readers> {
    let mut leaves: HashMap<u64, Vec<usize>> = HashMap::new();
    for (leaf, node) in graph.nodes.iter().enumerate() {
        if let Source::Parameter(parameter, _) = &node.source {
            leaves.entry(parameter.id()).or_default().push(leaf);
        }
    }
    let mut all = BTreeMap::new();
    for (&store, parameter) in &request.stores {
        let mut readers = Readers::default();
        for &leaf in leaves.get(parameter).into_iter().flatten() {
            let mut stack = vec![leaf];
            while let Some(at) = stack.pop() {
                for &consumer in consumers[at].iter().filter(|&&c| c != store) {
                    match classes[consumer] {
                        Class::Map if inlined[consumer] => {
                            // It runs inside the reduction at the end of its chain.
                            let mut kernel = consumer;
                            while let (true, Some(&next)) =
                                (inlined[kernel], consumers[kernel].first())
                            {
                                kernel = next;
                            }
                            readers.kernels.push(kernel);
                        }
                        Class::Map if at == leaf => readers.direct.push(consumer),
                        Class::Map => readers.viewing.push(consumer),
                        Class::View => {
                            readers.kernels.push(consumer);
                            stack.push(consumer);
                        }
                        _ => readers.kernels.push(consumer),
                    }
                }
            }
        }
        all.insert(store, readers);
    }
    all
}

/// The time of each node: see [`fusion`](super::fusion).
///
/// # Errors
/// If stores wait for one another for ever.
pub fn times(
    graph: &Graph,
    classes: &[Class],
    narrow: &[bool],
    consumers: &[Vec<usize>],
    inlined: &[bool],
    readers: &BTreeMap<usize, Readers>,
    roots: &BTreeSet<usize>,
) -> Result<Vec<usize>> {
    let count = graph.nodes.len();
    let mut time = vec![0usize; count];
    let mut chain = vec![0usize; count];
    for at in 0..count {
        let inputs = &graph.nodes[at].inputs;
        let latest = inputs.iter().map(|&i| time[i]).max().unwrap_or(0);
        match classes[at] {
            Class::Leaf | Class::Constant(_) => {}
            Class::View | Class::Kernel => {
                // Views of leaves are there from the start.
                let of_leaf = classes[at] == Class::View && latest == 0;
                time[at] = if of_leaf { 0 } else { latest + 1 };
            }
            Class::Map => {
                time[at] = latest.max(1);
                let longest = |chain: &[usize], time: &[usize], now: usize| {
                    inputs
                        .iter()
                        .filter(|&&i| classes[i] == Class::Map && time[i] == now)
                        .map(|&i| chain[i])
                        .max()
                };
                chain[at] = 1 + longest(&chain, &time, time[at]).unwrap_or(0);
                if chain[at] > LONGEST_CHAIN && !inlined[at] {
                    time[at] += 1;
                    chain[at] = 1;
                }
            }
        }
    }
    let sinking = sinking(graph, classes, narrow, consumers, inlined, roots, readers);
    // Stores wait for readers, and what sinks to a store's time may itself be a reader: times only grow, so that a few rounds do.
    // More than there are nodes would be a circle.
    for _ in 0..count + 2 {
        let mut changed = false;
        for (&store, readers) in readers {
            let same = readers
                .direct
                .iter()
                .chain(&readers.kernels)
                .map(|&r| time[r])
                .max();
            let later = readers.viewing.iter().map(|&r| time[r] + 1).max();
            let wanted = same.unwrap_or(0).max(later.unwrap_or(0));
            changed |= wanted > time[store];
            time[store] = time[store].max(wanted);
        }
        for &at in &sinking {
            let latest = consumers[at].iter().map(|&c| time[c]).max().unwrap_or(0);
            for &c in &consumers[at] {
                if readers.contains_key(&c) {
                    changed |= time[c] != latest;
                    time[c] = latest;
                }
            }
            if consumers[at].iter().all(|&c| time[c] == latest) {
                changed |= time[at] != latest;
                time[at] = latest;
            }
        }
        if !changed {
            return Ok(time);
        }
    }
    Err(Error::new(
        "the compiler found no times for the operations: updates of parameters wait for one another in a circle",
    ))
}

/// Elementwise nodes that move to the time of the group that reads them, so that they need not be stored, the last first:
/// what only updates read, and functions of one stored value (beside such as are repeated).
fn sinking(
    graph: &Graph,
    classes: &[Class],
    narrow: &[bool],
    consumers: &[Vec<usize>],
    inlined: &[bool],
    roots: &BTreeSet<usize>,
    readers: &BTreeMap<usize, Readers>,
) -> Vec<usize> {
    let count = graph.nodes.len();
    let pinned: BTreeSet<usize> = readers
        .values()
        .flat_map(|r| r.viewing.iter().copied())
        .collect();
    let mut sinking = Vec::new();
    let mut update_only = vec![false; count];
    for at in (0..count).rev() {
        if readers.contains_key(&at) {
            update_only[at] = true;
            continue;
        }
        // A reader that sank to the store which waits for it would push that away again and again.
        let pinned = pinned.contains(&at) && consumers[at].iter().any(|&c| update_only[c]);
        if classes[at] != Class::Map
            || pinned
            || inlined[at]
            || roots.contains(&at)
            || consumers[at].is_empty()
        {
            continue;
        }
        if consumers[at]
            .iter()
            .any(|&c| classes[c] != Class::Map || inlined[c])
        {
            continue;
        }
        update_only[at] = consumers[at].iter().all(|&c| update_only[c]);
        let stored = graph.nodes[at]
            .inputs
            .iter()
            .filter(|&&i| {
                !matches!(classes[i], Class::Constant(_))
                    && !narrow[i]
                    && graph.nodes[i].meta.len() > 1
            })
            .count();
        if update_only[at] || stored <= 1 {
            sinking.push(at);
        }
    }
    sinking
}
