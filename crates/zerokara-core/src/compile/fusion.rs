//! Decides what runs together: elementwise nodes in groups, groups as epilogues of contractions, and the order.
//!
//! Every node gets a *time*: a kernel's output is one later than its latest input, an elementwise node has the time of
//! its latest input. A path that leaves a group of elementwise nodes of one time through a kernel comes back at a
//! later time, so grouping connected elementwise nodes of the same time and shape never makes a cycle.

use super::{
    Request,
    fault::{Fault, planted},
};
use crate::{
    DType,
    graph::{Graph, Source},
    op::{Contract, Kind, View},
};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// Longest chain of elementwise operations in one group: bounds the code and its registers.
const LONGEST_CHAIN: usize = 48;

/// What a node is to the compiler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Class {
    /// A value from outside.
    Leaf,
    /// The same number everywhere, known now.
    Constant(f64),
    /// A view on its input, or a copy of it in another order.
    View,
    /// Elementwise.
    Map,
    /// Anything with a kernel of its own.
    Kernel,
}

/// Nodes that are emitted together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// The kernel or view, if it is one; a group's host if it is an epilogue.
    pub head: Option<usize>,
    /// Elementwise nodes, in order.
    pub maps: Vec<usize>,
}

pub(super) struct Schedule {
    pub kinds: Vec<Kind>,
    pub classes: Vec<Class>,
    /// In the order of execution.
    pub units: Vec<Unit>,
    /// Nodes computed inside the reduction that reads them, and by nobody else.
    pub inlined: Vec<bool>,
    pub consumers: Vec<Vec<usize>>,
}

pub(super) fn schedule(graph: &Graph, request: &Request) -> Schedule {
    let count = graph.nodes.len();
    let kinds: Vec<Kind> = graph.nodes.iter().map(|n| n.kind()).collect();
    let mut classes: Vec<Class> = Vec::with_capacity(count);
    for at in 0..count {
        classes.push(classify(graph, &kinds, &classes, at, request.is_program));
    }
    let mut consumers = vec![Vec::new(); count];
    for (at, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            if consumers[input].last() != Some(&at) {
                consumers[input].push(at);
            }
        }
    }
    let roots: BTreeSet<usize> = graph.outputs[..request.outputs].iter().copied().collect();
    let inlined = inline_into_reductions(graph, &kinds, &classes, &consumers, &roots);
    let readers = parameter_readers(graph, &classes, &consumers, &inlined, request);
    let times = times(graph, &classes, &consumers, &inlined, &readers, &roots);
    let units = group(graph, &kinds, &classes, &times, &inlined, &readers);
    let units = order(graph, units, &consumers, &inlined, &readers);
    Schedule {
        kinds,
        classes,
        units,
        inlined,
        consumers,
    }
}

fn fast(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::Bool)
}

fn classify(
    graph: &Graph,
    kinds: &[Kind],
    classes: &[Class],
    at: usize,
    is_program: bool,
) -> Class {
    let node = &graph.nodes[at];
    if let Source::Value(array) = &node.source
        && is_program
        && array.len() == 1
        && fast(array.dtype())
    {
        return Class::Constant(array.to_f64s()[0]);
    }
    // A view of one number everywhere is that number everywhere.
    if let (Kind::View(_), Some(Class::Constant(value))) =
        (&kinds[at], node.inputs.first().map(|&i| classes[i]))
    {
        return Class::Constant(value);
    }
    let of_fast_types =
        fast(node.meta.dtype) && node.inputs.iter().all(|&i| fast(graph.nodes[i].meta.dtype));
    match &kinds[at] {
        Kind::Leaf => Class::Leaf,
        Kind::Fill(value) if fast(node.meta.dtype) => Class::Constant(*value),
        // Reshaping is for all types: other types always lie in row-major order.
        Kind::View(View::Reshape) => Class::View,
        Kind::View(_) if of_fast_types => Class::View,
        Kind::Map(_) if of_fast_types => Class::Map,
        _ => Class::Kernel,
    }
}

/// Elementwise nodes that only one reduction reads are computed inside it.
fn inline_into_reductions(
    graph: &Graph,
    kinds: &[Kind],
    classes: &[Class],
    consumers: &[Vec<usize>],
    roots: &BTreeSet<usize>,
) -> Vec<bool> {
    let mut inlined = vec![false; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev() {
        let consumer = match consumers[at][..] {
            [only] => only,
            [first, ..] if planted(Fault::InlinesSharedValue) => first,
            _ => continue,
        };
        let reduced = matches!(kinds[consumer], Kind::Reduce { .. })
            && graph.nodes[consumer].meta.dtype == DType::F32;
        inlined[at] =
            classes[at] == Class::Map && !roots.contains(&at) && (reduced || inlined[consumer]);
    }
    // A long chain stays a group of its own.
    let mut depth = vec![0usize; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev() {
        if inlined[at] {
            depth[at] = 1 + consumers[at].first().map_or(0, |&c| depth[c]);
            inlined[at] = depth[at] <= LONGEST_CHAIN
                && consumers[at]
                    .first()
                    .is_some_and(|&c| inlined[c] || depth[at] == 1);
        }
    }
    inlined
}

/// Who reads the old value of a parameter that is replaced: all of them must run before the store.
#[derive(Default)]
struct Readers {
    /// Elementwise nodes that read the parameter itself: they may run in the store's own group.
    direct: Vec<usize>,
    /// Elementwise nodes that read it in another order or shape: they must have run before.
    viewing: Vec<usize>,
    /// Kernels and views.
    kernels: Vec<usize>,
}

impl Readers {
    fn all(&self) -> impl Iterator<Item = &usize> {
        self.direct.iter().chain(&self.viewing).chain(&self.kernels)
    }
}

/// For each node that stores a new value of a parameter, the readers of the old one.
fn parameter_readers(
    graph: &Graph,
    classes: &[Class],
    consumers: &[Vec<usize>],
    inlined: &[bool],
    request: &Request,
) -> BTreeMap<usize, Readers> {
    let mut all = BTreeMap::new();
    for (&store, parameter) in &request.stores {
        let mut readers = Readers::default();
        for (leaf, node) in graph.nodes.iter().enumerate() {
            if !matches!(&node.source, Source::Parameter(p, _) if p.id() == *parameter) {
                continue;
            }
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

fn times(
    graph: &Graph,
    classes: &[Class],
    consumers: &[Vec<usize>],
    inlined: &[bool],
    readers: &BTreeMap<usize, Readers>,
    roots: &BTreeSet<usize>,
) -> Vec<usize> {
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
    // Stores wait for readers, and what sinks to a store's time may itself be a reader: times only grow, so this ends.
    loop {
        let before = time.clone();
        for (&store, readers) in readers {
            let same = readers
                .direct
                .iter()
                .chain(&readers.kernels)
                .map(|&r| time[r])
                .max();
            let later = readers.viewing.iter().map(|&r| time[r] + 1).max();
            time[store] = time[store].max(same.unwrap_or(0)).max(later.unwrap_or(0));
        }
        sink(
            graph, classes, consumers, inlined, roots, readers, &mut time,
        );
        if time == before {
            return time;
        }
    }
}

/// Moves elementwise nodes to the time of the group that reads them, so that they need not be stored: what only
/// updates read, and functions of one stored value.
fn sink(
    graph: &Graph,
    classes: &[Class],
    consumers: &[Vec<usize>],
    inlined: &[bool],
    roots: &BTreeSet<usize>,
    readers: &BTreeMap<usize, Readers>,
    time: &mut [usize],
) {
    let count = graph.nodes.len();
    let is_store = |at: usize| readers.contains_key(&at);
    let pinned: BTreeSet<usize> = readers
        .values()
        .flat_map(|r| r.viewing.iter().copied())
        .collect();
    let mut update_only = vec![false; count];
    for at in (0..count).rev() {
        if is_store(at) {
            update_only[at] = true;
            continue;
        }
        if classes[at] != Class::Map
            || pinned.contains(&at)
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
        let latest = consumers[at].iter().map(|&c| time[c]).max().unwrap_or(0);
        let stored = graph.nodes[at]
            .inputs
            .iter()
            .filter(|&&i| {
                !matches!(classes[i], Class::Constant(_)) && graph.nodes[i].meta.len() > 1
            })
            .count();
        if !(update_only[at] || stored <= 1) {
            continue;
        }
        for &c in &consumers[at] {
            if is_store(c) {
                time[c] = latest;
            }
        }
        if consumers[at].iter().all(|&c| time[c] == latest) {
            time[at] = latest;
        }
    }
}

/// Whether an epilogue can run on what a kernel has just written.
fn takes_epilogue(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Contract(Contract::MatMul | Contract::Conv(_) | Contract::ConvInputGradient(_))
            | Kind::Window(_)
    )
}

fn group(
    graph: &Graph,
    kinds: &[Kind],
    classes: &[Class],
    times: &[usize],
    inlined: &[bool],
    readers: &BTreeMap<usize, Readers>,
) -> Vec<Unit> {
    let count = graph.nodes.len();
    let mut parent: Vec<usize> = (0..count).collect();
    fn find(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    let grouped = |at: usize| classes[at] == Class::Map && !inlined[at];
    let together = |a: usize, b: usize| {
        grouped(a)
            && grouped(b)
            && times[a] == times[b]
            && graph.nodes[a].meta.shape == graph.nodes[b].meta.shape
    };
    let mut join = |a: usize, b: usize| {
        if together(a, b) {
            let (a, b) = (find(&mut parent, a), find(&mut parent, b));
            parent[a.max(b)] = a.min(b);
        }
    };
    for at in (0..count).filter(|&at| grouped(at)) {
        graph.nodes[at].inputs.iter().for_each(|&i| join(i, at));
    }
    for (&store, readers) in readers {
        readers.direct.iter().for_each(|&r| join(r, store));
    }
    // Two groups that read one stored value in the same way run together: the value is read once.
    let mut readers_of = HashMap::new();
    for at in (0..count).filter(|&at| grouped(at)) {
        for &i in &graph.nodes[at].inputs {
            if !grouped(i)
                && graph.nodes[i].meta.shape == graph.nodes[at].meta.shape
                && classes[i] == Class::Kernel
            {
                let first = *readers_of.entry((i, times[at])).or_insert(at);
                join(first, at);
            }
        }
    }

    let mut units: Vec<Unit> = Vec::new();
    let mut unit_of_group: HashMap<usize, usize> = HashMap::new();
    for at in 0..count {
        match classes[at] {
            Class::View | Class::Kernel => units.push(Unit {
                head: Some(at),
                maps: Vec::new(),
            }),
            Class::Map if !inlined[at] => {
                let root = find(&mut parent, at);
                let unit = *unit_of_group.entry(root).or_insert_with(|| {
                    units.push(Unit::default());
                    units.len() - 1
                });
                units[unit].maps.push(at);
            }
            _ => {}
        }
    }
    attach_epilogues(graph, kinds, times, readers, &mut units);
    units
}

/// Joins a group to the last kernel it reads, if all else it reads is there before that kernel runs.
fn attach_epilogues(
    graph: &Graph,
    kinds: &[Kind],
    times: &[usize],
    readers: &BTreeMap<usize, Readers>,
    units: &mut Vec<Unit>,
) {
    let head_unit: HashMap<usize, usize> = units
        .iter()
        .enumerate()
        .filter_map(|(u, unit)| unit.head.map(|h| (h, u)))
        .collect();
    for u in 0..units.len() {
        if units[u].head.is_some() || units[u].maps.is_empty() {
            continue;
        }
        let time = times[units[u].maps[0]];
        let shape = &graph.nodes[units[u].maps[0]].meta.shape;
        let host = units[u]
            .maps
            .iter()
            .flat_map(|&m| graph.nodes[m].inputs.iter().copied())
            .filter(|&i| {
                takes_epilogue(&kinds[i])
                    && times[i] == time
                    && graph.nodes[i].meta.shape == *shape
                    && graph.nodes[i].meta.dtype == DType::F32
                    && head_unit.get(&i).is_some_and(|&h| units[h].maps.is_empty())
            })
            .max();
        // A store must wait for the other kernels that read the old value; two hosts could wait for each other.
        let waits = |host: usize| {
            let stores = units[u].maps.iter().filter_map(|m| readers.get(m));
            stores
                .flat_map(Readers::all)
                .any(|&r| r != host && times[r] >= time && !units[u].maps.contains(&r))
        };
        if let Some(host) = host
            && !waits(host)
        {
            let maps = std::mem::take(&mut units[u].maps);
            units[head_unit[&host]].maps = maps;
        }
    }
    units.retain(|unit| unit.head.is_some() || !unit.maps.is_empty());
}

/// A topological order of the units that stays close to the order in which the graph was built.
fn order(
    graph: &Graph,
    units: Vec<Unit>,
    consumers: &[Vec<usize>],
    inlined: &[bool],
    readers: &BTreeMap<usize, Readers>,
) -> Vec<Unit> {
    let mut unit_of = HashMap::new();
    for (u, unit) in units.iter().enumerate() {
        for at in unit.head.iter().chain(&unit.maps) {
            unit_of.insert(*at, u);
        }
    }
    // An inlined node runs with the reduction at the end of its chain of consumers.
    for at in (0..graph.nodes.len()).rev() {
        if inlined[at]
            && let Some(&u) = consumers[at].first().and_then(|c| unit_of.get(c))
        {
            unit_of.insert(at, u);
        }
    }
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); units.len()];
    let mut after: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); units.len()];
    let mut edge = |from: Option<&usize>, to: Option<&usize>| {
        if let (Some(&from), Some(&to)) = (from, to)
            && from != to
        {
            before[to].insert(from);
            after[from].insert(to);
        }
    };
    for (at, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            edge(unit_of.get(input), unit_of.get(&at));
        }
    }
    for (store, readers) in readers {
        for reader in readers.all() {
            edge(unit_of.get(reader), unit_of.get(store));
        }
    }
    let first = |u: usize| {
        units[u]
            .head
            .iter()
            .chain(&units[u].maps)
            .copied()
            .min()
            .unwrap_or(0)
    };
    let mut ready: BinaryHeap<std::cmp::Reverse<(usize, usize)>> = (0..units.len())
        .filter(|&u| before[u].is_empty())
        .map(|u| std::cmp::Reverse((first(u), u)))
        .collect();
    let mut sequence = Vec::with_capacity(units.len());
    while let Some(std::cmp::Reverse((_, u))) = ready.pop() {
        sequence.push(u);
        for &next in &after[u] {
            before[next].remove(&u);
            if before[next].is_empty() {
                ready.push(std::cmp::Reverse((first(next), next)));
            }
        }
    }
    assert_eq!(
        sequence.len(),
        units.len(),
        "the units of a plan have a cycle"
    );
    let mut slots: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    sequence
        .into_iter()
        .filter_map(|u| slots[u].take())
        .collect()
}
