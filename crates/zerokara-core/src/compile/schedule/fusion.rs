//! Decides what runs together: elementwise nodes in groups, groups as epilogues of contractions, and the order.
//!
//! Every node gets a *time*: a kernel's output is one later than its latest input, an elementwise node has the time of
//! its latest input. A path that leaves a group of elementwise nodes of one time through a kernel comes back at a
//! later time, so grouping connected elementwise nodes of the same time and shape never makes a cycle.

use crate::compile::{
    Request,
    fault::{Fault, planted},
    schedule::times::{Readers, parameter_readers, times},
};
use crate::{
    DType, Error, Result,
    graph::{Graph, GraphNode, Source},
    op::{Binary, Contract, Instruction, Kind, PoolOptions, View, Window, map},
};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use zerokara_kernels::plan::Pooling;

/// Longest chain of elementwise operations in one group: bounds the code and its registers.
pub const LONGEST_CHAIN: usize = 48;

/// What a node is to the compiler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
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
pub struct Unit {
    /// The kernel or view, if it is one; a group's host if it is an epilogue.
    pub head: Option<usize>,
    /// For a reduction: others that are done in the same walk. For a max pooling: its places.
    pub joined: Vec<usize>,
    /// Elementwise nodes, in order.
    pub maps: Vec<usize>,
    /// For a convolution: a unit of reductions that are done of each part as it is finished.
    pub statistics: Option<Box<Unit>>,
    /// Whether it goes on with a group that was too large for one unit.
    continues: bool,
}

impl Unit {
    fn of(head: usize) -> Self {
        Self {
            head: Some(head),
            ..Self::default()
        }
    }

    fn own_nodes(&self) -> impl Iterator<Item = &usize> {
        self.head.iter().chain(&self.joined).chain(&self.maps)
    }

    pub fn nodes(&self) -> impl Iterator<Item = &usize> {
        let statistics = self.statistics.iter().flat_map(|unit| unit.own_nodes());
        self.own_nodes().chain(statistics)
    }
}

/// What is computed together, and when.
pub struct Schedule {
    pub kinds: Vec<Kind>,
    pub classes: Vec<Class>,
    /// In the order of execution.
    pub units: Vec<Unit>,
    /// Nodes computed inside the reduction that reads them, and by nobody else.
    pub inlined: Vec<bool>,
    pub consumers: Vec<Vec<usize>>,
}

/// # Errors
/// If no order is found in which every unit runs after those that it needs.
pub fn schedule(graph: &Graph, request: &Request) -> Result<Schedule> {
    let (kinds, classes) = classes(graph, request.is_program);
    let consumers = consumers(graph);
    let narrow = narrow(graph, &kinds, &classes);
    let roots: BTreeSet<usize> = graph.outputs[..request.outputs].iter().copied().collect();
    let most = request.sizes.most_instructions;
    let inlined = inline_into_reductions(graph, &kinds, &classes, &consumers, &roots, most);
    let readers = parameter_readers(graph, &classes, &consumers, &inlined, request);
    let times = times(
        graph, &classes, &narrow, &consumers, &inlined, &readers, &roots,
    )?;
    let mut joined = join_reductions(graph, &kinds, &narrow, &times, &inlined);
    join_places(graph, &kinds, &mut joined);
    let units = group(
        graph, &kinds, &classes, &times, &inlined, &readers, &joined, most,
    );
    let units = order(graph, units, &consumers, &inlined, &readers)?;
    Ok(Schedule {
        kinds,
        classes,
        units,
        inlined,
        consumers,
    })
}

/// Kind and class of each node.
pub fn classes(graph: &Graph, is_program: bool) -> (Vec<Kind>, Vec<Class>) {
    let kinds: Vec<Kind> = graph
        .nodes
        .iter()
        .map(|node| kind_in(graph, node))
        .collect();
    let mut classes: Vec<Class> = Vec::with_capacity(kinds.len());
    for at in 0..kinds.len() {
        classes.push(classify(graph, &kinds, &classes, at, is_program));
    }
    (kinds, classes)
}

/// The kind of a node among its inputs: code that makes truth values of numbers has them as 0 and 1, also for those who read
/// them from a register.
fn kind_in(graph: &Graph, node: &GraphNode) -> Kind {
    let kind = node.kind();
    let is_copy = matches!(&kind, Kind::Map(code) if code.instructions == [Instruction::Load(0)]);
    let of_numbers = |&input: &usize| graph.nodes[input].meta.dtype != DType::Bool;
    if is_copy
        && node.meta.dtype == DType::Bool
        && node.inputs.iter().any(of_numbers)
        && !planted(Fault::TruthsStayNumbers)
    {
        return map([
            Instruction::Load(0),
            Instruction::Constant(0.0),
            Instruction::Binary(Binary::NotEqual, 0, 1),
        ]);
    }
    kind
}

/// The nodes that read each node.
pub fn consumers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut consumers = vec![Vec::new(); graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            if consumers[input].last() != Some(&at) {
                consumers[input].push(at);
            }
        }
    }
    consumers
}

/// Whether each node repeats fewer elements than it has: a broadcast, or a view of one.
pub fn narrow(graph: &Graph, kinds: &[Kind], classes: &[Class]) -> Vec<bool> {
    let mut narrow = Vec::with_capacity(kinds.len());
    for (at, node) in graph.nodes.iter().enumerate() {
        let spreads = |input: usize| {
            kinds[at] == Kind::View(View::Broadcast)
                && graph.nodes[input].meta.len() < node.meta.len()
        };
        let input = node.inputs.first().filter(|_| classes[at] == Class::View);
        narrow.push(input.is_some_and(|&input| narrow[input] || spreads(input)));
    }
    narrow
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
        && array.dtype().is_mapped()
    {
        return Class::Constant(array.to_f64s()[0]);
    }
    // A view of one number everywhere is that number everywhere.
    if let (Kind::View(_), Some(Class::Constant(value))) =
        (&kinds[at], node.inputs.first().map(|&i| classes[i]))
    {
        return Class::Constant(value);
    }
    let mut types =
        (node.inputs.iter().map(|&i| graph.nodes[i].meta.dtype)).chain([node.meta.dtype]);
    let is_mapped = types.all(DType::is_mapped);
    match &kinds[at] {
        Kind::Leaf => Class::Leaf,
        Kind::Fill(value) if node.meta.dtype.is_mapped() => Class::Constant(*value),
        // Reshaping is for all types: other types always lie in row-major order.
        Kind::View(View::Reshape) => Class::View,
        Kind::View(_) if is_mapped => Class::View,
        // Bytes wrap around, which code on f32 does not: it reads them, and gives other types.
        Kind::Map(_)
            if is_mapped && (node.meta.dtype != DType::U8 || planted(Fault::BytesDoNotWrap)) =>
        {
            Class::Map
        }
        _ => Class::Kernel,
    }
}

/// Instructions of a node's elementwise code.
fn instructions_of(kind: &Kind) -> usize {
    match kind {
        Kind::Map(code) => code.instructions.len(),
        _ => 0,
    }
}

/// Elementwise nodes that only one reduction reads are computed inside it.
fn inline_into_reductions(
    graph: &Graph,
    kinds: &[Kind],
    classes: &[Class],
    consumers: &[Vec<usize>],
    roots: &BTreeSet<usize>,
    most_instructions: usize,
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
    // A long chain stays a group of its own, and so does what is too much for one reduction.
    let mut depth = vec![0usize; graph.nodes.len()];
    // For what is inlined, the reduction; for a reduction, the instructions in it.
    let mut owner: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut instructions = vec![0usize; graph.nodes.len()];
    for at in (0..graph.nodes.len()).rev() {
        if let (true, Some(&consumer)) = (inlined[at], consumers[at].first()) {
            depth[at] = 1 + depth[consumer];
            owner[at] = owner[consumer];
            let all = instructions[owner[at]] + instructions_of(&kinds[at]);
            inlined[at] = depth[at] <= LONGEST_CHAIN
                && all <= most_instructions
                && (inlined[consumer] || depth[at] == 1);
            if inlined[at] {
                instructions[owner[at]] = all;
            }
        }
    }
    inlined
}

/// Most reductions in one walk.
const MOST_JOINED: usize = 8;

/// For each reduction, the first of those that are done in one walk: over the same elements and axes at the same time,
/// with a value that both read.
fn join_reductions(
    graph: &Graph,
    kinds: &[Kind],
    narrow: &[bool],
    times: &[usize],
    inlined: &[bool],
) -> Vec<usize> {
    let mut first: Vec<usize> = (0..kinds.len()).collect();
    // By time and axes: the first reduction, what all of them read, and how many they are.
    type Key<'a> = (usize, &'a [usize], Vec<usize>);
    let mut walks: HashMap<Key<'_>, Vec<Walk>> = HashMap::new();
    for at in 0..kinds.len() {
        let Kind::Reduce { axes, .. } = &kinds[at] else {
            continue;
        };
        if graph.nodes[at].meta.dtype != DType::F32 {
            continue;
        }
        let input = graph.nodes[at].inputs[0];
        let shape = &graph.nodes[input].meta.shape[..];
        let mut axes = crate::ops::reduce::reduced_axes(axes, shape.len()).unwrap_or_default();
        if planted(Fault::JoinsReductionsOfOtherAxes) {
            axes = graph.nodes[at].meta.shape.clone();
        }
        let Inside { maps, mut reads } = inside(graph, inlined, [input]);
        let work = maps.len();
        // Values of the whole size.
        reads.retain(|&node| !narrow[node] && graph.nodes[node].meta.shape == shape);
        let walks = walks.entry((times[at], shape, axes)).or_default();
        let walk = walks.iter_mut().find(|walk| {
            walk.count < MOST_JOINED
                && walk.work + work <= LONGEST_CHAIN
                && !walk.reads.is_disjoint(&reads)
        });
        match walk {
            Some(walk) => {
                first[at] = walk.first;
                walk.reads.append(&mut reads);
                walk.count += 1;
                walk.work += work;
            }
            None => walks.push(Walk {
                first: at,
                reads,
                count: 1,
                work,
            }),
        }
    }
    first
}

/// Places are told by the pooling of the same values, which finds them anyway.
fn join_places(graph: &Graph, kinds: &[Kind], joined: &mut [usize]) {
    let mut poolings: HashMap<(&[usize], PoolOptions), usize> = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        if let Kind::Window(Window::Pool(Pooling::Max, options)) = kinds[at] {
            poolings.entry((&node.inputs, options)).or_insert(at);
        }
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        if let Kind::Window(Window::Places(options)) = kinds[at]
            && let Some(&pool) = poolings.get(&(&node.inputs[..], options))
        {
            joined[at] = pool;
        }
    }
}

/// What reductions do with each element before they combine it.
pub struct Inside {
    /// Elementwise nodes that are computed in them.
    pub maps: BTreeSet<usize>,
    /// What these, or the reductions themselves, read.
    pub reads: BTreeSet<usize>,
}

/// What is computed in reductions of these values.
pub fn inside(graph: &Graph, inlined: &[bool], values: impl IntoIterator<Item = usize>) -> Inside {
    let (mut maps, mut reads) = (BTreeSet::new(), BTreeSet::new());
    let mut stack: Vec<usize> = values.into_iter().collect();
    while let Some(at) = stack.pop() {
        if !inlined[at] {
            reads.insert(at);
        } else if maps.insert(at) {
            stack.extend(&graph.nodes[at].inputs);
        }
    }
    Inside { maps, reads }
}

/// Reductions that are done in one walk.
struct Walk {
    first: usize,
    reads: BTreeSet<usize>,
    count: usize,
    /// Elementwise nodes in it.
    work: usize,
}

/// Whether an epilogue can run on what a kernel has just written.
pub fn takes_epilogue(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Reduce { .. }
            | Kind::Contract(Contract::MatMul | Contract::Conv(_) | Contract::ConvInputGradient(_))
            | Kind::Window(Window::Pool(..) | Window::PoolGradient(..) | Window::Scatter(_))
    )
}

#[allow(clippy::too_many_arguments)] // what is known of each node
fn group(
    graph: &Graph,
    kinds: &[Kind],
    classes: &[Class],
    times: &[usize],
    inlined: &[bool],
    readers: &BTreeMap<usize, Readers>,
    joined: &[usize],
    most_instructions: usize,
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
                // What several reductions of one walk give is there at once.
                let first = *readers_of.entry((joined[i], times[at])).or_insert(at);
                join(first, at);
            }
        }
    }

    let mut growing = Growing {
        units: Vec::new(),
        of_group: HashMap::new(),
        most_instructions,
    };
    let mut unit_of_walk: HashMap<usize, usize> = HashMap::new();
    for at in 0..count {
        match classes[at] {
            Class::Kernel if joined[at] != at => {}
            Class::View | Class::Kernel => {
                unit_of_walk.insert(at, growing.units.len());
                growing.units.push(Unit::of(at));
            }
            Class::Map if !inlined[at] && !readers.contains_key(&at) => {
                let root = find(&mut parent, at);
                growing.grow(root, at, &kinds[at]);
            }
            _ => {}
        }
    }
    for at in (0..count).filter(|&at| joined[at] != at) {
        if let Some(&unit) = unit_of_walk.get(&joined[at]) {
            growing.units[unit].joined.push(at);
        }
    }
    // Stores wait for all that read the old values, themselves among them: they come last, and first those of another
    // parameter's old value, which may wait for one another and stay together.
    let reads_old: BTreeSet<usize> = readers.values().flat_map(|r| &r.direct).copied().collect();
    let (old, new): (Vec<usize>, Vec<usize>) = (readers.keys().copied())
        .filter(|&store| grouped(store))
        .partition(|store| reads_old.contains(store));
    let mut holds_old = BTreeSet::new();
    for store in old {
        let root = find(&mut parent, store);
        let is_first = holds_old.insert(root);
        match growing.of_group.get(&root) {
            Some(&(unit, _)) if !is_first => growing.units[unit].maps.push(store),
            _ => growing.grow(root, store, &kinds[store]),
        }
    }
    for store in new {
        let root = find(&mut parent, store);
        growing.grow(root, store, &kinds[store]);
    }
    let mut units = growing.units;
    units.iter_mut().for_each(|unit| unit.maps.sort_unstable());
    attach_epilogues(graph, kinds, times, readers, &mut units);
    attach_statistics(graph, kinds, times, inlined, readers, &mut units);
    units
}

/// Units while elementwise nodes are added to them.
struct Growing {
    units: Vec<Unit>,
    /// The unit of each group, or the last one of it, and the instructions in that.
    of_group: HashMap<usize, (usize, usize)>,
    most_instructions: usize,
}

impl Growing {
    /// Adds an elementwise node to the unit of its group, or to a new one where that is full. The nodes of a group come in an
    /// order in which none needs a later one, so that its units need only those before.
    fn grow(&mut self, group: usize, at: usize, kind: &Kind) {
        let own = instructions_of(kind);
        let known = self.of_group.get(&group).copied();
        let (unit, instructions) = match known {
            Some((unit, all)) if all + own <= self.most_instructions => (unit, all + own),
            _ => {
                self.units.push(Unit {
                    continues: known.is_some(),
                    ..Unit::default()
                });
                (self.units.len() - 1, own)
            }
        };
        self.units[unit].maps.push(at);
        self.of_group.insert(group, (unit, instructions));
    }
}

/// Joins reductions over all but the channels, or over rows, to the convolution or the product that writes what they read,
/// if all else they read is there before it runs: they then find it in the nearer caches.
fn attach_statistics(
    graph: &Graph,
    kinds: &[Kind],
    times: &[usize],
    inlined: &[bool],
    readers: &BTreeMap<usize, Readers>,
    units: &mut Vec<Unit>,
) {
    let is_host = |unit: &Unit| {
        unit.head.is_some_and(|h| {
            let multiplies = matches!(
                kinds[h],
                Kind::Contract(
                    Contract::MatMul | Contract::Conv(_) | Contract::ConvInputGradient(_)
                )
            );
            multiplies && graph.nodes[h].meta.dtype == DType::F32
        })
    };
    let product = Kind::Contract(Contract::MatMul);
    let mut host_of: HashMap<usize, usize> = HashMap::new();
    for (u, unit) in units.iter().enumerate().filter(|(_, unit)| is_host(unit)) {
        host_of.extend(unit.own_nodes().map(|&at| (at, u)));
    }
    for u in 0..units.len() {
        let Some((head, axes)) = units[u].head.and_then(|h| match &kinds[h] {
            Kind::Reduce { axes, .. } if graph.nodes[h].meta.dtype == DType::F32 => Some((h, axes)),
            _ => None,
        }) else {
            continue;
        };
        let shape = &graph.nodes[graph.nodes[head].inputs[0]].meta.shape;
        let axes = crate::ops::reduce::reduced_axes(axes, shape.len()).unwrap_or_default();
        let of_channels = match shape.len() {
            2 => axes == [0],
            4 => axes == [0, 2, 3],
            _ => continue,
        };
        if shape.contains(&0) || !of_channels && !planted(Fault::StatisticsOfOtherAxes) {
            continue;
        }
        let heads = units[u].head.iter().chain(&units[u].joined);
        let reads = inside(graph, inlined, heads.map(|&h| graph.nodes[h].inputs[0])).reads;
        let host = reads.iter().find_map(|at| {
            let host = host_of.get(at).copied()?;
            // A product of matrices has rows, even where it has four axes; only a convolution has channels.
            let is_product = units[host].head.map(|h| &kinds[h]) == Some(&product);
            (graph.nodes[*at].meta.shape == *shape
                && is_product == (shape.len() == 2)
                && units[host].statistics.is_none())
            .then_some(host)
        });
        let Some(host) = host else { continue };
        // What the host's time has not brought yet may depend on the host.
        let time = units[host].head.map_or(0, |h| times[h]);
        let own: BTreeSet<usize> = units[u].own_nodes().copied().collect();
        let around = units[u].maps.iter().flat_map(|&m| &graph.nodes[m].inputs);
        let late = |&at: &usize| times[at] >= time;
        let fits = reads
            .iter()
            .all(|at| !late(at) || host_of.get(at) == Some(&host))
            && around.into_iter().all(|at| own.contains(at) || !late(at))
            && !units[u].maps.iter().any(|m| readers.contains_key(m));
        if fits {
            let statistics = std::mem::take(&mut units[u]);
            units[host].statistics = Some(Box::new(statistics));
        }
    }
    units.retain(|unit| unit.head.is_some() || !unit.maps.is_empty());
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
        .flat_map(|(u, unit)| unit.head.iter().chain(&unit.joined).map(move |&h| (h, u)))
        .collect();
    for u in 0..units.len() {
        // What goes on with a group has to wait for more than its kernel.
        if units[u].head.is_some() || units[u].maps.is_empty() || units[u].continues {
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
            // A reduction itself reads until it is done.
            let itself = |r: usize| r == host && !matches!(kinds[host], Kind::Reduce { .. });
            stores.flat_map(Readers::all).any(|&r| {
                !itself(r) && times[r] >= time && units[u].maps.binary_search(&r).is_err()
            })
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
) -> Result<Vec<Unit>> {
    let mut unit_of = HashMap::new();
    for (u, unit) in units.iter().enumerate() {
        for at in unit.nodes() {
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
    let first = |u: usize| units[u].nodes().copied().min().unwrap_or(0);
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
    if sequence.len() != units.len() {
        let waits = (0..units.len()).find(|&u| !before[u].is_empty());
        let node = waits.and_then(|u| units[u].nodes().next());
        let place = node.map(|&at| graph.nodes[at].place()).unwrap_or_default();
        return Err(Error::new(format!(
            "the compiler found no order for the operations: some wait for one another in a circle{place}"
        )));
    }
    let mut slots: Vec<Option<Unit>> = units.into_iter().map(Some).collect();
    let sequence = sequence.into_iter();
    Ok(sequence.filter_map(|u| slots[u].take()).collect())
}
