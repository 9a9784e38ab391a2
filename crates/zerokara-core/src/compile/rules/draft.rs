//! The graph while rules change it.

use crate::{
    Meta,
    compile::rewriting::Subject,
    graph::{Graph, GraphNode, Identity, Source, identity},
    op::{Kind, Op},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::Arc,
};

/// Nodes in no certain order: those of the graph, and behind them what rules have put in their place.
pub struct Draft {
    nodes: Vec<GraphNode>,
    kinds: Vec<Kind>,
    /// The node of the graph at whose place each stands.
    stands_at: Vec<usize>,
    /// The nodes that read each, among others that are gone.
    readers: Vec<Vec<usize>>,
    /// How many nodes read each.
    uses: Vec<usize>,
    is_output: Vec<bool>,
    is_gone: Vec<bool>,
    outputs: Vec<usize>,
    /// From what they compute to nodes, so that nothing is computed twice.
    known: HashMap<Identity, usize>,
    /// Parameters that the program replaces.
    replaced: HashSet<u64>,
    is_changed: bool,
}

/// What is put in the place of some nodes: new ones, and for each node that goes the one that stands for it.
pub struct Patch {
    new: Vec<(GraphNode, Kind, usize)>,
    instead: Vec<(usize, usize)>,
}

impl Draft {
    /// `replaced` are the parameters that the program replaces, by identity.
    pub fn of(graph: Graph, replaced: HashSet<u64>) -> Self {
        let count = graph.nodes.len();
        let mut draft = Self {
            kinds: graph.nodes.iter().map(GraphNode::kind).collect(),
            stands_at: (0..count).collect(),
            readers: vec![Vec::new(); count],
            uses: vec![0; count],
            is_output: vec![false; count],
            is_gone: vec![false; count],
            outputs: graph.outputs,
            known: HashMap::new(),
            nodes: graph.nodes,
            replaced,
            is_changed: false,
        };
        for &output in &draft.outputs {
            draft.is_output[output] = true;
        }
        for at in 0..count {
            draft.is_read_by(at);
            draft.remember(at);
        }
        draft
    }

    pub fn node(&self, at: usize) -> &GraphNode {
        &self.nodes[at]
    }

    pub fn kind(&self, at: usize) -> &Kind {
        &self.kinds[at]
    }

    pub fn shape(&self, at: usize) -> &[usize] {
        &self.nodes[at].meta.shape
    }

    pub fn is_output(&self, at: usize) -> bool {
        self.is_output[at]
    }

    /// Whether a node is the value of a parameter that the program keeps.
    pub fn is_kept(&self, at: usize) -> bool {
        match &self.nodes[at].source {
            Source::Parameter(parameter, _) => !self.replaced.contains(&parameter.id()),
            _ => false,
        }
    }

    /// The nodes that read this one.
    pub fn readers(&self, at: usize) -> impl Iterator<Item = usize> {
        let is_there = |&reader: &usize| !self.is_gone[reader];
        self.readers[at].iter().copied().filter(is_there)
    }

    /// Whether nobody else reads a node: it is no output, and all its readers are among these.
    pub fn is_read_only_by(&self, at: usize, these: &[usize]) -> bool {
        !self.is_output[at]
            && self.uses[at] <= these.len()
            && self.readers(at).all(|reader| these.contains(&reader))
    }

    /// The only node that reads this one.
    pub fn only_reader(&self, at: usize) -> Option<usize> {
        let only = self.readers(at).next()?;
        self.is_read_only_by(at, &[only]).then_some(only)
    }

    /// The one of a few readers that is of a kind; none where more read it than any rule takes together.
    pub fn reader_of_kind(&self, at: usize, kind: &Kind) -> Option<usize> {
        const FEW: usize = 8;
        let found = || self.readers(at).find(|&reader| self.kinds[reader] == *kind);
        (self.uses[at] <= FEW).then(found).flatten()
    }

    /// The node that applies this operation to these inputs, if there is one. The operation is to have a shape of its own.
    pub fn known(&self, op: &dyn Op, inputs: &[usize]) -> Option<usize> {
        let meta = &self.nodes[*inputs.first()?].meta;
        let known = self.known.get(&identity(op, meta, inputs)).copied();
        known.filter(|&known| !self.is_gone[known])
    }

    /// Tells the inputs of a node that it reads them.
    fn is_read_by(&mut self, reader: usize) {
        for &input in &self.nodes[reader].inputs {
            if self.readers[input].last() != Some(&reader) {
                self.readers[input].push(reader);
                self.uses[input] += 1;
            }
        }
    }

    fn remember(&mut self, at: usize) {
        let node = &self.nodes[at];
        if let Source::Op(op) = &node.source {
            let key = identity(&**op, &node.meta, &node.inputs);
            let known = self.known.entry(key).or_insert(at);
            if self.is_gone[*known] {
                *known = at;
            }
        }
    }

    /// Lets a node go that nobody reads, and what it alone has read.
    fn drop_unread(&mut self, at: usize) {
        let mut stack = vec![at];
        while let Some(at) = stack.pop() {
            let is_op = matches!(self.nodes[at].source, Source::Op(_));
            // Parameters that are only written have no reader.
            if self.uses[at] > 0 || self.is_output[at] || self.is_gone[at] || !is_op {
                continue;
            }
            self.is_gone[at] = true;
            let inputs: HashSet<usize> = self.nodes[at].inputs.iter().copied().collect();
            for input in inputs {
                self.uses[input] -= 1;
                if self.readers[input].len() > 2 * self.uses[input] + 8 {
                    let is_gone = &self.is_gone;
                    self.readers[input].retain(|&reader| !is_gone[reader]);
                }
                stack.push(input);
            }
        }
    }

    /// The graph, in an order that stays close to the one before; and for each node the one at whose place it stands.
    ///
    /// # Errors
    /// If nodes need one another in a circle.
    pub fn finish(self) -> Result<(Graph, Vec<usize>), String> {
        if !self.is_changed {
            let (nodes, outputs) = (self.nodes, self.outputs);
            return Ok((Graph { nodes, outputs }, self.stands_at));
        }
        let mut missing = vec![0; self.nodes.len()];
        for at in (0..self.nodes.len()).filter(|&at| !self.is_gone[at]) {
            self.readers(at).for_each(|reader| missing[reader] += 1);
        }
        let key = |at: usize| Reverse((self.stands_at[at], at));
        let is_ready = |&at: &usize| !self.is_gone[at] && missing[at] == 0;
        let mut ready: BinaryHeap<_> = (0..self.nodes.len()).filter(is_ready).map(key).collect();
        let mut place = vec![usize::MAX; self.nodes.len()];
        let mut order = Vec::new();
        while let Some(Reverse((_, at))) = ready.pop() {
            place[at] = order.len();
            order.push(at);
            for reader in self.readers(at) {
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.push(key(reader));
                }
            }
        }
        if order.len() != self.is_gone.iter().filter(|gone| !**gone).count() {
            return Err("nodes need one another in a circle".into());
        }
        let nodes = order.iter().map(|&at| {
            let mut node = self.nodes[at].clone();
            node.inputs
                .iter_mut()
                .for_each(|input| *input = place[*input]);
            node
        });
        let graph = Graph {
            nodes: nodes.collect(),
            outputs: self.outputs.iter().map(|&output| place[output]).collect(),
        };
        Ok((graph, order.iter().map(|&at| self.stands_at[at]).collect()))
    }

    /// What must be true after every replacement.
    fn check(&self) -> Result<(), String> {
        for at in (0..self.nodes.len()).filter(|&at| !self.is_gone[at]) {
            let node = &self.nodes[at];
            let is_known = |&input: &usize| {
                !self.is_gone[input] && self.readers(input).filter(|&r| r == at).count() == 1
            };
            if !node.inputs.iter().all(is_known) {
                return Err(format!("node {at} reads what is gone, or does not know it"));
            }
            if self.readers(at).count() != self.uses[at] {
                return Err(format!("node {at} has not {} readers", self.uses[at]));
            }
            if at >= self.stands_at.len() || self.stands_at[at] > at {
                return Err(format!("node {at} stands nowhere"));
            }
        }
        match self
            .outputs
            .iter()
            .all(|&o| self.is_output[o] && !self.is_gone[o])
        {
            true => Ok(()),
            false => Err("an output is gone".into()),
        }
    }
}

impl Subject for Draft {
    type Patch = Patch;

    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn is_gone(&self, part: usize) -> bool {
        self.is_gone[part]
    }

    fn replace(&mut self, patch: Patch) -> Result<(), String> {
        self.is_changed = true;
        for (node, kind, stands_at) in patch.new {
            let at = self.nodes.len();
            self.nodes.push(node);
            self.kinds.push(kind);
            self.stands_at.push(stands_at);
            self.readers.push(Vec::new());
            self.uses.push(0);
            self.is_output.push(false);
            self.is_gone.push(false);
            self.is_read_by(at);
            self.remember(at);
        }
        for &(old, new) in &patch.instead {
            let (was, is) = (&self.nodes[old].meta, &self.nodes[new].meta);
            if was != is {
                return Err(format!("{is} stands for {was}"));
            }
            // What stands for a node may itself read it.
            let (stay, others): (Vec<usize>, Vec<usize>) =
                self.readers(old).partition(|&reader| reader == new);
            for reader in others {
                let inputs = &mut self.nodes[reader].inputs;
                if !inputs.contains(&new) {
                    self.readers[new].push(reader);
                    self.uses[new] += 1;
                }
                let own = inputs.iter_mut().filter(|input| **input == old);
                own.for_each(|input| *input = new);
                self.remember(reader);
            }
            self.uses[old] = stay.len();
            self.readers[old] = stay;
            if self.is_output[old] {
                (self.is_output[old], self.is_output[new]) = (false, true);
                let outputs = self.outputs.iter_mut();
                outputs.filter(|o| **o == old).for_each(|o| *o = new);
            }
        }
        for (old, _) in patch.instead {
            self.drop_unread(old);
        }
        match cfg!(test) {
            true => self.check(),
            false => Ok(()),
        }
    }

    fn describe(&self, part: usize) -> String {
        let node = &self.nodes[part];
        let name = match &node.source {
            Source::Op(op) => op.name(),
            _ => "a leaf",
        };
        format!("{name}{}", node.place())
    }
}

/// A [`Patch`] that is being made: every new node gets the shape that its operation infers.
pub struct Patching<'a> {
    draft: &'a Draft,
    patch: Patch,
    stands_at: usize,
}

impl<'a> Patching<'a> {
    /// New nodes stand at the place of this one.
    pub fn at(draft: &'a Draft, at: usize) -> Self {
        Self {
            draft,
            patch: Patch {
                new: Vec::new(),
                instead: Vec::new(),
            },
            stands_at: draft.stands_at[at],
        }
    }

    /// From here on new nodes stand at the place of this one.
    pub fn stand_at(&mut self, at: usize) {
        self.stands_at = self.draft.stands_at[at];
    }

    pub fn meta(&self, at: usize) -> &Meta {
        match at.checked_sub(self.draft.nodes.len()) {
            None => &self.draft.nodes[at].meta,
            Some(new) => &self.patch.new[new].0.meta,
        }
    }

    /// The operation of a node on other inputs.
    pub fn again(&mut self, model: usize, inputs: &[usize]) -> Option<usize> {
        let Source::Op(op) = &self.draft.nodes[model].source else {
            return None;
        };
        self.put(model, op.clone(), inputs)
    }

    /// A new node, or one that computes the same already; the model says where in the user's source it belongs. None if the
    /// operation does not apply.
    pub fn put(&mut self, model: usize, op: Arc<dyn Op>, inputs: &[usize]) -> Option<usize> {
        let metas: Vec<Meta> = inputs.iter().map(|&i| self.meta(i).clone()).collect();
        let meta = op.infer(&metas).ok()?;
        let key = identity(&*op, &meta, inputs);
        if let Some(&known) = self.draft.known.get(&key)
            && !self.draft.is_gone[known]
        {
            return Some(known);
        }
        let kind = op.kind();
        let node = GraphNode {
            source: Source::Op(op),
            inputs: inputs.to_vec(),
            meta,
            ..self.draft.nodes[model].clone()
        };
        self.patch.new.push((node, kind, self.stands_at));
        Some(self.draft.nodes.len() + self.patch.new.len() - 1)
    }

    /// Lets a node stand for another.
    pub fn instead(mut self, old: usize, new: usize) -> Self {
        self.patch.instead.push((old, new));
        self
    }

    pub fn done(self) -> Option<Patch> {
        Some(self.patch)
    }
}
