//! Branches and loops as parts of a record (ONNX `If`, `Loop` and `Scan`).
//!
//! A body is a graph within a graph: it takes what its branch or loop gives it ([`NodeSource::Given`]), and what the graph around
//! it has computed before ([`NodeSource::Outer`]). When a pass is built, the body is built as often as it is run, so that a loop
//! whose extent is known is compiled, differentiated and fused like anything else:
//!
//! ```text
//! branch   outputs = then()  if condition  else otherwise()
//! loop     go on, states = body(i, go on, states)          for i = 0, 1, .. trips, while it is to go on
//! scan     states, elements = body(states, sequences[t])   for each t of the sequences' axes
//! ```
//!
//! A scan is as long as its sequences, whose shapes a pass knows. A condition or a number of trips is *known* if it follows from
//! neither inputs without values nor parameters: that of a loop which counts, or any in [`ModelRecord::run`](super::ModelRecord::run),
//! which is given values; then only what is taken is computed. What is not known when a pass is built is chosen by
//! [`select`](Tensor::select) where shapes allow: both branches are computed, and a loop of at most so many trips keeps its states once
//! it has stopped.

use super::{
    NodeRecord, NodeSource,
    run::{Passing, Value},
};
use crate::{Array, DType, Error, Result, Tensor, tensor::NodeView};

/// A branch or a loop; its results are named by [`NodeSource::Result`](super::NodeSource::Result).
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// One of two bodies, neither of which is given anything. Its results are the body's outputs (ONNX `If`).
    Branch {
        /// The position of a truth value.
        condition: usize,
        /// What to compute if it holds.
        then: Body,
        /// What to compute if it does not; as many outputs.
        otherwise: Body,
    },
    /// A body is run as long as a condition holds (ONNX `Loop`). It is given the number of the trip (i64), the condition and the states,
    /// and gives whether to go on, the states, and perhaps more. Results are the last states, and what more each trip gave, stacked
    /// along a new first axis.
    Loop {
        /// The position of the most trips, an integer; any number if there is none.
        trips: Option<usize>,
        /// The position of whether to begin; true if there is none.
        condition: Option<usize>,
        /// The positions of the first states.
        states: Vec<usize>,
        /// What is run.
        body: Body,
    },
    /// A body is run for each element of sequences (ONNX `Scan`). It is given the states and the elements, and gives the states
    /// and the elements of new sequences. Results are the last states and these sequences.
    Scan {
        /// The positions of the first states.
        states: Vec<usize>,
        /// The positions of the sequences, all of one length, and how each is walked.
        sequences: Vec<(usize, Along)>,
        /// How each new sequence is put together.
        stacks: Vec<Along>,
        /// What is run.
        body: Body,
    },
}

/// The axis of a sequence along which its elements lie, negative counted from the back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Along {
    /// The axis.
    pub axis: i64,
    /// Whether from the last element to the first.
    pub reverse: bool,
}

/// A graph within a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// The nodes, inputs before those that use them.
    pub nodes: Vec<NodeRecord>,
    /// The positions of what it gives.
    pub outputs: Vec<usize>,
}

impl Body {
    /// Whether the first output is what was given at this place, as it was.
    fn passes_on(&self, given: usize) -> bool {
        let source = self.outputs.first().and_then(|&at| self.nodes.get(at));
        source.is_some_and(|node| node.source == NodeSource::Given(given))
    }
}

impl Control {
    /// Bodies within bodies, at most.
    pub const MOST_DEPTH: usize = 16;

    /// Nodes that repeated bodies come to in one pass, at most.
    pub const MOST_NODES: usize = 1 << 18;

    /// How many results there are.
    pub fn results(&self) -> usize {
        match self {
            Control::Branch { then, .. } => then.outputs.len(),
            // The first says whether to go on.
            Control::Loop { body, .. } => body.outputs.len().saturating_sub(1),
            Control::Scan { body, .. } => body.outputs.len(),
        }
    }

    /// Its bodies, and how much each is given.
    pub fn bodies(&self) -> Vec<(&Body, usize)> {
        match self {
            Control::Branch {
                then, otherwise, ..
            } => vec![(then, 0), (otherwise, 0)],
            Control::Loop { states, body, .. } => vec![(body, 2 + states.len())],
            Control::Scan {
                states,
                sequences,
                body,
                ..
            } => vec![(body, states.len() + sequences.len())],
        }
    }

    /// The positions in the graph around it that it takes itself; bodies may take more.
    pub fn inputs(&self) -> Vec<usize> {
        match self {
            Control::Branch { condition, .. } => vec![*condition],
            Control::Loop {
                trips,
                condition,
                states,
                ..
            } => (trips.iter().chain(condition))
                .chain(states)
                .copied()
                .collect(),
            Control::Scan {
                states, sequences, ..
            } => {
                let sequences = sequences.iter().map(|(at, _)| at);
                states.iter().chain(sequences).copied().collect()
            }
        }
    }

    /// What does not fit within it, if anything.
    pub(super) fn wrong(&self) -> Option<&'static str> {
        match self {
            Control::Branch {
                then, otherwise, ..
            } if then.outputs.len() != otherwise.outputs.len() => {
                Some("has branches that give different numbers of results")
            }
            Control::Loop { states, body, .. } if body.outputs.len() < 1 + states.len() => {
                Some("is a loop whose body does not give whether to go on, and each state")
            }
            Control::Loop {
                trips: None,
                condition: None,
                body,
                ..
            } if body.passes_on(1) => Some("is a loop without an end"),
            Control::Scan {
                states,
                stacks,
                body,
                ..
            } if body.outputs.len() != states.len() + stacks.len() => {
                Some("is a scan whose body does not give each state and each element")
            }
            Control::Scan { sequences, .. } if sequences.is_empty() => {
                Some("is a scan of no sequences, which has no length")
            }
            _ => None,
        }
    }
}

/// The value of a tensor that is the same whenever the pass is run: it follows from no parameter, and from no input without a value.
/// Those of `with` that it follows from are evaluated too, so that they are not computed again for the next.
fn known(tensor: &Tensor, with: &[Tensor]) -> Result<Option<Array>> {
    tensor.meta()?;
    let varies = |node: &NodeView<'_>| node.parameter.is_some() || node.is_open();
    let Some(nodes) = tensor.computed_by(varies) else {
        return Ok(None);
    };
    for state in with.iter().filter(|t| nodes.contains(&t.node_view().id)) {
        state.eval()?;
    }
    tensor.eval().map(Some)
}

/// As [`known`], of one truth value.
fn known_truth(tensor: &Tensor, with: &[Tensor]) -> Result<Option<bool>> {
    let meta = tensor.meta()?;
    if meta.dtype != DType::Bool || meta.len() != 1 {
        let what = format!("a condition must be one truth value, not {meta}");
        return Err(Error::new(what));
    }
    Ok(known(tensor, with)?.map(|value| value.bools().first().is_some_and(|&truth| truth != 0)))
}

/// One of two values of the same shape.
fn choose(condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
    let (a, b) = (yes.meta()?, no.meta()?);
    match a == b {
        true => Ok(condition.select(yes, no)),
        false => Err(Error::new(format!(
            "a condition that is not known while the pass is built chooses between {a} and {b}: what has different shapes can only be \
             run with values"
        ))),
    }
}

/// A condition of whatever shape, as a scalar.
fn scalar(tensor: &Tensor) -> Tensor {
    tensor.reshape_exactly(&[])
}

impl Passing<'_, '_> {
    /// The results of a branch or loop of the graph whose values so far are `outer`.
    pub(super) fn control(&mut self, control: &Control, outer: &[Value]) -> Result<Vec<Tensor>> {
        let at = |position: usize| outer[position].tensor();
        let all = |positions: &[usize]| positions.iter().map(|&p| at(p)).collect::<Vec<_>>();
        match control {
            Control::Branch {
                condition,
                then,
                otherwise,
            } => self.branch(&at(*condition), then, otherwise, outer),
            Control::Loop {
                trips,
                condition,
                states,
                body,
            } => {
                let trips = trips.map(at);
                let condition = condition.map_or_else(|| Tensor::scalar(1.0, DType::Bool), at);
                self.repeat(trips, condition, all(states), body, outer)
            }
            Control::Scan {
                states,
                sequences,
                stacks,
                body,
            } => {
                let sequences: Vec<_> = (sequences.iter())
                    .map(|&(p, along)| (at(p), along))
                    .collect();
                self.scan(all(states), &sequences, stacks, body, outer)
            }
        }
    }

    fn branch(
        &mut self,
        condition: &Tensor,
        then: &Body,
        otherwise: &Body,
        outer: &[Value],
    ) -> Result<Vec<Tensor>> {
        match known_truth(condition, &[])? {
            Some(true) => self.body(then, &[], outer),
            Some(false) => self.body(otherwise, &[], outer),
            None => {
                let (yes, no) = (
                    self.body(then, &[], outer)?,
                    self.body(otherwise, &[], outer)?,
                );
                let condition = scalar(condition);
                let pairs = yes.iter().zip(&no);
                pairs.map(|(yes, no)| choose(&condition, yes, no)).collect()
            }
        }
    }

    fn repeat(
        &mut self,
        trips: Option<Tensor>,
        first: Tensor,
        mut states: Vec<Tensor>,
        body: &Body,
        outer: &[Value],
    ) -> Result<Vec<Tensor>> {
        let most = match &trips {
            Some(trips) => Some(self.known_trips(trips)?),
            None => None,
        };
        let stacked = body.outputs.len() - 1 - states.len();
        let (mut stacks, mut trip) = (vec![Vec::new(); stacked], 0u64);
        // Whether the loop still runs, once that is not known while the pass is built.
        let mut running: Option<Tensor> = None;
        let mut go_on = first;
        if let (Some(most), true) = (most, body.passes_on(1)) {
            // Nothing stops it before.
            self.expect_room(body, most)?;
        }
        while most.is_none_or(|most| trip < most) {
            let truth = match running {
                Some(_) => None,
                None => known_truth(&go_on, &states)?,
            };
            match (truth, most) {
                (Some(true), _) => {}
                (Some(false), _) => break,
                (None, None) => {
                    return Err(Error::new(
                        "whether a loop goes on is not known while the pass is built: run it with values, or give it a number of trips",
                    ));
                }
                (None, Some(_)) if stacked > 0 => {
                    return Err(Error::new(
                        "how many elements a loop gives is not known while the pass is built: run it with values",
                    ));
                }
                (None, Some(most)) => {
                    self.expect_room(body, most - trip)?;
                    let go_on = scalar(&go_on);
                    running = Some(match running {
                        Some(running) => running.logical_and(&go_on),
                        None => go_on,
                    });
                }
            }
            let mut given = vec![Tensor::new([], vec![trip as i64]), go_on];
            given.extend(states.iter().cloned());
            let mut outputs = self.body(body, &given, outer)?;
            go_on = outputs.remove(0);
            put_by(&mut stacks, &mut outputs);
            states = match &running {
                None => outputs,
                Some(running) => {
                    let pairs = outputs.iter().zip(&states);
                    let kept = pairs.map(|(new, old)| choose(running, new, old));
                    kept.collect::<Result<_>>()?
                }
            };
            trip += 1;
        }
        if trip == 0 && stacked > 0 {
            let mut given = vec![Tensor::scalar(0.0, DType::I64), go_on];
            given.extend(states.iter().cloned());
            let elements = self.body(body, &given, outer)?;
            let stacks = elements[1 + states.len()..].iter();
            let stacks = stacks.map(|element| empty_sequence(element, 0));
            states.extend(stacks.collect::<Result<Vec<_>>>()?);
            return Ok(states);
        }
        states.extend(stacks.iter().map(|stack| stacked_along(stack, 0)));
        Ok(states)
    }

    fn known_trips(&self, trips: &Tensor) -> Result<u64> {
        let meta = trips.meta()?;
        if meta.dtype != DType::I64 || meta.len() != 1 {
            let what = format!("a number of trips must be one integer, not {meta}");
            return Err(Error::new(what));
        }
        let value = known(trips, &[])?.ok_or_else(|| {
            Error::new("how often a loop is to run is not known while the pass is built: run it with values")
        })?;
        Ok(value
            .as_slice::<i64>()?
            .first()
            .map_or(0, |&n| n.max(0) as u64))
    }

    fn scan(
        &mut self,
        mut states: Vec<Tensor>,
        sequences: &[(Tensor, Along)],
        along: &[Along],
        body: &Body,
        outer: &[Value],
    ) -> Result<Vec<Tensor>> {
        let mut lengths = Vec::new();
        for (sequence, along) in sequences {
            let meta = sequence.meta()?;
            let axis = crate::shape::axis(along.axis, meta.rank()).map_err(|_| {
                let what = format!("a scan along axis {} of {meta}", along.axis);
                Error::new(what)
            })?;
            lengths.push(meta.shape[axis]);
        }
        let length = lengths.first().copied().unwrap_or(0);
        if lengths.iter().any(|&other| other != length) {
            let what = format!("the sequences of a scan have different lengths, {lengths:?}");
            return Err(Error::new(what));
        }
        self.expect_room(body, length as u64)?;
        let mut stacks = vec![Vec::new(); along.len()];
        for step in 0..length {
            let elements = sequences.iter().map(|(sequence, along)| {
                let at = if along.reverse {
                    length - 1 - step
                } else {
                    step
                };
                sequence.narrow(along.axis, at, 1).squeeze(along.axis)
            });
            let given: Vec<Tensor> = states.iter().cloned().chain(elements).collect();
            states = self.body(body, &given, outer)?;
            put_by(&mut stacks, &mut states);
        }
        if length == 0 {
            // One trip on paper, for the shapes of what there is none of.
            let elements = sequences.iter().map(|(sequence, along)| {
                let mut meta = sequence.meta()?.clone();
                let axis = crate::shape::axis(along.axis, meta.rank()).map_err(Error::new)?;
                meta.shape.remove(axis);
                Ok(Tensor::from(Array::try_zeros(&meta)?))
            });
            let elements = elements.collect::<Result<Vec<_>>>()?;
            let given: Vec<Tensor> = states.iter().cloned().chain(elements).collect();
            let elements = self.body(body, &given, outer)?.split_off(states.len());
            for (element, along) in elements.iter().zip(along) {
                states.push(empty_sequence(element, along.axis)?);
            }
            return Ok(states);
        }
        for (mut stack, along) in stacks.into_iter().zip(along) {
            if along.reverse {
                stack.reverse();
            }
            states.push(stacked_along(&stack, along.axis));
        }
        Ok(states)
    }

    /// Counts the nodes of a body that is built once more.
    pub(super) fn count(&mut self, body: &Body) -> Result<()> {
        self.repeated = self.repeated.saturating_add(body.nodes.len());
        match self.repeated <= Control::MOST_NODES {
            true => Ok(()),
            false => Err(Error::new(format!(
                "loops come to more than {} nodes in one pass: let them end sooner, or take shorter sequences",
                Control::MOST_NODES
            ))),
        }
    }

    /// An error if a body comes to more nodes in so many trips than a pass may have.
    fn expect_room(&self, body: &Body, trips: u64) -> Result<()> {
        let nodes = trips.saturating_mul(body.nodes.len() as u64);
        match nodes.saturating_add(self.repeated as u64) <= Control::MOST_NODES as u64 {
            true => Ok(()),
            false => Err(Error::new(format!(
                "a loop of {trips} trips comes to {nodes} nodes, and a pass may have {} in its loops: take shorter sequences, or a \
                 recurrent operation for the whole sequence",
                Control::MOST_NODES
            ))),
        }
    }
}

/// Takes the elements of stacks from what a body gives: the last, behind the states.
fn put_by(stacks: &mut [Vec<Tensor>], outputs: &mut Vec<Tensor>) {
    let elements = outputs.split_off(outputs.len() - stacks.len());
    for (stack, element) in stacks.iter_mut().zip(elements) {
        stack.push(element);
    }
}

fn stacked_along(elements: &[Tensor], axis: i64) -> Tensor {
    Tensor::stack(&elements.iter().collect::<Vec<_>>(), axis)
}

/// A sequence without elements of this kind.
fn empty_sequence(element: &Tensor, axis: i64) -> Result<Tensor> {
    let wide = element.unsqueeze(axis);
    let mut meta = wide.meta()?.clone();
    let axis = crate::shape::axis(axis, meta.rank()).map_err(Error::new)?;
    meta.shape[axis] = 0;
    Ok(Tensor::from(Array::try_zeros(&meta)?))
}
