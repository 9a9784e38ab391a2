//! Gradients by walking the graph backwards; the result is a graph again.

use crate::{
    Error, Result, Tensor,
    op::{Call, Gradient},
    scope,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The gradient of a scalar with respect to a tensor that it was computed from (zero if it was not).
///
/// ```
/// use zerokara_core::{Tensor, grad};
/// let x = Tensor::from([3.0, 4.0]);
/// let f = (&x * &x).sum();
/// assert_eq!(grad(&f, &x).to_vec::<f32>()?, [6.0, 8.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("backward", "gradient"))]
#[track_caller]
pub fn grad(loss: &Tensor, wrt: &Tensor) -> Tensor {
    gradients(loss, &[wrt])
        .pop()
        .unwrap_or_else(|| wrt.zeros_like())
}

/// The gradients of a scalar with respect to several tensors. An error (the loss is no scalar, an operation forbids
/// differentiation) is carried by the results as by any invalid tensor.
#[doc(alias("backward", "gradient"))]
#[track_caller]
pub fn gradients(loss: &Tensor, wrt: &[&Tensor]) -> Vec<Tensor> {
    match try_gradients(loss, wrt) {
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
fn try_gradients(loss: &Tensor, wrt: &[&Tensor]) -> Result<Vec<Tensor>> {
    let meta = loss.meta()?;
    if meta.len() != 1 || !meta.is_float() {
        return Err(Error::new(format!(
            "a gradient is taken of one floating-point number, not of {meta}"
        )));
    }
    let mut walk = Walk {
        wrt: wrt.iter().map(|t| t.node.id).collect(),
        ..Walk::default()
    };
    let _backward = scope::enter(scope::Phase::Backward);
    walk.backward(loss, loss.full_like(1.0))?;
    Ok(wrt
        .iter()
        .map(|t| {
            walk.found
                .get(&t.node.id)
                .cloned()
                .unwrap_or_else(|| t.zeros_like())
        })
        .collect())
}

#[derive(Default)]
struct Walk {
    /// The nodes whose gradients are wanted.
    wrt: HashSet<u64>,
    /// Their gradients.
    found: HashMap<u64, Tensor>,
    /// Nodes with the sum of the gradients that have reached them. The one with the largest id has no consumers
    /// left, since ids grow from inputs to outputs: its sum is complete.
    open: BTreeMap<u64, (Tensor, Tensor)>,
    /// Whether a node was computed from any of `wrt`.
    depends: HashMap<u64, bool>,
}

impl Walk {
    fn backward(&mut self, loss: &Tensor, seed: Tensor) -> Result<()> {
        self.add(loss, seed);
        while let Some((id, (tensor, gradient))) = self.open.pop_last() {
            if self.wrt.contains(&id) {
                self.found.insert(id, gradient.clone());
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
            if self.wrt.contains(&node.id) {
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
