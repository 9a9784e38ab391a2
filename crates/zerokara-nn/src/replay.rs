//! Running a graph node by node by the reference loops, with a look at every value.

use std::collections::HashMap;
pub(crate) use zerokara_core::record::nodes;
use zerokara_core::{
    Array, Error, Meta, Result, Tensor,
    op::{Kind, Op},
};

/// The values of the roots for these inputs and the current values of parameters. `look` sees every node with its
/// value, in the order in which they were made, and may end the run by returning false; then the result is `None`.
pub(crate) fn replay(
    roots: &[&Tensor],
    inputs: &[(&Tensor, &Array)],
    look: &mut dyn FnMut(&Tensor, &Array) -> bool,
) -> Result<Option<Vec<Array>>> {
    let nodes = nodes(roots);
    let mut uses: HashMap<u64, usize> = HashMap::new();
    for tensor in nodes.iter().chain(roots.iter().copied()) {
        *uses.entry(tensor.node_view().id).or_insert(0) += 1;
    }
    for tensor in &nodes {
        let node = tensor.node_view();
        if node.value.is_none() {
            for input in node.inputs {
                *uses.entry(input.node_view().id).or_insert(0) += 1;
            }
        }
    }
    let mut values: HashMap<u64, Array> = HashMap::new();
    for tensor in &nodes {
        let node = tensor.node_view();
        let given = inputs.iter().find(|(t, _)| t.is(tensor));
        let value = if let Some((_, value)) = given {
            (*value).clone()
        } else if let Some(parameter) = node.parameter {
            parameter.value()
        } else if let Some(value) = node.value {
            value.clone()
        } else if node.op.kind() == Kind::Leaf {
            return Err(Error::new(format!("no value was given for {tensor:?}")));
        } else {
            apply(tensor, &**node.op, &values)?
        };
        if !look(tensor, &value) {
            return Ok(None);
        }
        if node.value.is_none() {
            for input in node.inputs {
                release(input.node_view().id, &mut uses, &mut values);
            }
        }
        values.insert(node.id, value);
        release(node.id, &mut uses, &mut values);
    }
    let get = |t: &&Tensor| values.get(&t.node_view().id).cloned();
    Ok(roots.iter().map(get).collect())
}

/// Frees the value that nobody will read again.
fn release(id: u64, uses: &mut HashMap<u64, usize>, values: &mut HashMap<u64, Array>) {
    if let Some(count) = uses.get_mut(&id) {
        *count -= 1;
        if *count == 0 {
            values.remove(&id);
        }
    }
}

fn apply(tensor: &Tensor, op: &dyn Op, values: &HashMap<u64, Array>) -> Result<Array> {
    let node = tensor.node_view();
    let arguments: Vec<&Array> = node
        .inputs
        .iter()
        .filter_map(|t| values.get(&t.node_view().id))
        .collect();
    let metas: Vec<Meta> = arguments.iter().map(|a| a.meta()).collect();
    let fail = |reason: String| {
        let path = node.path.map(|p| format!(" (in layer {p})"));
        Error::new(format!(
            "{}: {reason}{}\n  at {}",
            op.name(),
            path.unwrap_or_default(),
            node.location
        ))
    };
    let mut output = Array::try_zeros(&op.infer(&metas).map_err(fail)?)?;
    op.reference(&arguments, &mut output).map_err(fail)?;
    Ok(output)
}
