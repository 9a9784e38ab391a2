//! Gradients by walking the graph backwards; the result is a graph again.

use crate::{
    Error, Result, Tensor,
    op::{Call, Gradient},
    scope,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The gradient of a scalar with respect to a tensor that it was computed from. If it was not, the result is an error, and
/// invalid as any tensor that carries one; where it was, but nothing flows back (through [`Tensor::detach`], through integers),
/// the gradient is zero.
///
/// ```
/// use zerokara_core::{Tensor, grad};
/// let x = Tensor::from([3.0, 4.0]);
/// let f = (&x * &x).sum();
/// assert_eq!(grad(&f, &x).to_vec::<f32>()?, [6.0, 8.0]);
/// let other = Tensor::from([3.0, 4.0]);
/// println!("{}", grad(&f, &other).eval().unwrap_err()); // the loss was not computed from ...
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// A parameter is its cell: all its tensors in the loss count as one, whatever was written to it since, and the gradient is
/// that at the values in the loss.
///
/// ```
/// use zerokara_core::{Parameter, Tensor, grad};
/// let w = Parameter::new("w", &Tensor::from([3.0]))?;
/// let loss = (w.tensor() * w.tensor()).sum();
/// w.set(&Tensor::from([5.0]))?;
/// assert_eq!(grad(&loss, &w.tensor()).to_vec::<f32>()?, [6.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("backward", "gradient"))]
#[track_caller]
pub fn grad(loss: &Tensor, wrt: &Tensor) -> Tensor {
    gradients(loss, &[wrt])
        .pop()
        .unwrap_or_else(|| wrt.zeros_like())
}

/// The gradients of a scalar with respect to several tensors, each as [`grad()`] tells. An error (the loss is no scalar, it
/// was not computed from one of the tensors, an operation forbids differentiation) is carried by the results as by any
/// invalid tensor.
#[doc(alias("backward", "gradient"))]
#[track_caller]
pub fn gradients(loss: &Tensor, wrt: &[&Tensor]) -> Vec<Tensor> {
    or_invalid(wrt, try_gradients(loss, wrt, true))
}

/// As [`gradients`]; those with respect to what the loss was not computed from are zero. A second derivative of what is
/// linear is such a one.
#[track_caller]
pub(crate) fn gradients_or_zeros(loss: &Tensor, wrt: &[&Tensor]) -> Vec<Tensor> {
    or_invalid(wrt, try_gradients(loss, wrt, false))
}

#[track_caller]
fn or_invalid(wrt: &[&Tensor], found: Result<Vec<Tensor>>) -> Vec<Tensor> {
    match found {
        Ok(found) => found,
        Err(error) => wrt.iter().map(|_| Tensor::invalid(error.clone())).collect(),
    }
}

/// The value of a scalar function and its gradient.
///
/// # Errors
/// If the graph is invalid, or the function's value is no scalar.
#[track_caller]
pub fn value_and_grad(f: impl FnOnce(&Tensor) -> Tensor, x: &Tensor) -> Result<(f64, Tensor)> {
    let y = f(x);
    let gradient = grad(&y, x);
    Ok((y.item()?, Tensor::from(gradient.eval()?)))
}

#[track_caller]
fn try_gradients(loss: &Tensor, wrt: &[&Tensor], must_reach: bool) -> Result<Vec<Tensor>> {
    let meta = loss.meta()?;
    if meta.len() != 1 || !meta.is_float() {
        return Err(Error::new(format!(
            "a gradient is taken of one floating-point number, not of {meta}"
        )));
    }
    wrt.iter().try_for_each(|t| t.meta().map(drop))?;
    let wanted: HashSet<Wanted> = wrt.iter().map(|t| Wanted::of(t)).collect();
    if must_reach && let Some(unused) = unused(loss, wrt, &wanted) {
        return Err(not_in_the_graph(unused));
    }
    let mut walk = Walk {
        wanted,
        ..Walk::default()
    };
    let _backward = scope::enter(scope::Phase::Backward);
    walk.backward(loss, loss.full_like(1.0))?;
    Ok(wrt
        .iter()
        .map(|t| {
            walk.found
                .get(&Wanted::of(t))
                .cloned()
                .unwrap_or_else(|| t.zeros_like())
        })
        .collect())
}

/// What a gradient is taken with respect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    /// A node, by its id.
    Node(u64),
    /// All leaves of a parameter, by its identity: a tensor of it that was made after another value was written is another
    /// leaf.
    Cell(u64),
}

impl Wanted {
    fn of(tensor: &Tensor) -> Self {
        match &tensor.node.parameter {
            Some(parameter) => Wanted::Cell(parameter.id()),
            None => Wanted::Node(tensor.node.id),
        }
    }
}

/// The first of `wrt` that the loss was not computed from.
fn unused<'a>(loss: &Tensor, wrt: &[&'a Tensor], wanted: &HashSet<Wanted>) -> Option<&'a Tensor> {
    let mut missing = wanted.clone();
    let mut seen = HashSet::new();
    let mut stack = vec![loss.clone()];
    // What lies behind a tensor that is asked for is looked at last: it may be long.
    let mut behind = Vec::new();
    while let Some(tensor) = stack.pop().or_else(|| behind.pop()) {
        if missing.is_empty() {
            break;
        }
        let node = &tensor.node;
        if seen.insert(node.id) {
            match missing.remove(&Wanted::of(&tensor)) {
                true => behind.extend(node.inputs.iter().cloned()),
                false => stack.extend(node.inputs.iter().cloned()),
            }
        }
    }
    let first = wrt.iter().find(|t| missing.contains(&Wanted::of(t)));
    first.copied()
}

fn not_in_the_graph(tensor: &Tensor) -> Error {
    let node = &tensor.node;
    let what = match &node.parameter {
        Some(parameter) => format!("parameter {}", parameter.name()),
        None => {
            let location = node.location;
            let name = match node.op.attributes().text("name") {
                Ok(name) => format!("{} {name}", node.op.name()),
                Err(_) => node.op.name().to_string(),
            };
            let (file, line, column) = (location.file(), location.line(), location.column());
            format!("the tensor {name}, made at {file}:{line}:{column}")
        }
    };
    Error::new(format!(
        "the loss was not computed from {what}, so there is no gradient with respect to it: compute the loss from this very tensor, or do not ask for its gradient"
    ))
}

#[derive(Default)]
struct Walk {
    /// What gradients are wanted of.
    wanted: HashSet<Wanted>,
    /// The gradients.
    found: HashMap<Wanted, Tensor>,
    /// Nodes with the sum of the gradients that have reached them. The one with the largest id has no consumers
    /// left, since ids grow from inputs to outputs: its sum is complete.
    open: BTreeMap<u64, (Tensor, Tensor)>,
    /// Whether a node was computed from any that is wanted.
    depends: HashMap<u64, bool>,
}

impl Walk {
    fn backward(&mut self, loss: &Tensor, seed: Tensor) -> Result<()> {
        self.add(loss, seed);
        while let Some((_, (tensor, gradient))) = self.open.pop_last() {
            let own = Wanted::of(&tensor);
            if self.wanted.contains(&own) {
                // Leaves of one parameter meet here.
                let sum = match self.found.remove(&own) {
                    Some(found) => found + &gradient,
                    None => gradient.clone(),
                };
                self.found.insert(own, sum);
            }
            let node = &tensor.node;
            if !node.inputs.iter().any(|t| self.depends(t)) {
                continue;
            }
            // What a rule builds belongs to the layer whose operation it differentiates.
            match scope::in_place_of(node.path.as_ref(), node.location, None, || {
                node.op.gradient(&Call {
                    inputs: &node.inputs,
                    output: &tensor,
                    gradient: &gradient,
                })
            }) {
                Gradient::Zero => {}
                Gradient::Of(gradients) => {
                    for (input, gradient) in node.inputs.iter().zip(gradients) {
                        if let Some(gradient) = gradient {
                            self.add(input, gradient);
                        }
                    }
                }
                // The definition's nodes are newer than all others, so the walk passes through them next and
                // reaches the inputs.
                Gradient::Expand => {
                    match scope::in_place_of(node.path.as_ref(), node.location, None, || {
                        node.op.expand(&node.inputs)
                    }) {
                        Some(definition) => self.add(&definition, gradient),
                        None => {
                            return Err(Error::new(format!(
                                "{} has no definition to differentiate",
                                node.op.name()
                            )));
                        }
                    }
                }
                Gradient::Forbidden(why) => {
                    return Err(Error::new(format!(
                        "{} cannot be differentiated: {why}",
                        node.op.name()
                    )));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, tensor: &Tensor, gradient: Tensor) {
        if !self.depends(tensor) {
            return;
        }
        let sum = match self.open.remove(&tensor.node.id) {
            // The sum belongs to the layer whose output reaches the loss on several ways.
            Some((_, sum)) => {
                let node = &tensor.node;
                scope::in_place_of(node.path.as_ref(), node.location, None, || sum + gradient)
            }
            None => gradient,
        };
        self.open.insert(tensor.node.id, (tensor.clone(), sum));
    }

    fn depends(&mut self, tensor: &Tensor) -> bool {
        let mut stack = vec![tensor.clone()];
        while let Some(top) = stack.last() {
            let node = top.node.clone();
            if self.depends.contains_key(&node.id) {
                stack.pop();
                continue;
            }
            if self.wanted.contains(&Wanted::of(top)) {
                self.depends.insert(node.id, true);
                continue;
            }
            let unknown: Vec<Tensor> = node
                .inputs
                .iter()
                .filter(|t| !self.depends.contains_key(&t.node.id))
                .cloned()
                .collect();
            if unknown.is_empty() {
                self.depends.insert(
                    node.id,
                    node.inputs.iter().any(|t| self.depends[&t.node.id]),
                );
            }
            stack.extend(unknown);
        }
        self.depends[&tensor.node.id]
    }
}
