//! The interpreter: runs the graph as it was written, one reference loop after another. It is the oracle that the
//! compiled engine is checked against, and it can rerun any f32 graph in double precision.

use crate::{
    Array, DType, Error, Meta, Result, Tensor,
    graph::{Graph, Source},
};
use std::collections::HashMap;

/// The precision that floats are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As the graph says.
    AsWritten,
    /// Every f32 as f64: constants, inputs and parameters are widened, and all that follows.
    Double,
}

/// The values of these tensors, by the reference loops. `inputs` gives the values of `Tensor::input`s.
///
/// # Errors
/// The error of an invalid tensor, a missing input, or a value that an operation rejects (a label out of range).
pub fn interpret(
    tensors: &[&Tensor],
    inputs: &[(&Tensor, Array)],
    precision: Precision,
) -> Result<Vec<Array>> {
    let graph = Graph::unfused(tensors)?;
    let given: HashMap<u64, &Array> = inputs
        .iter()
        .map(|(tensor, value)| (tensor.node.id, value))
        .collect();
    let widen = |dtype: DType| {
        if precision == Precision::Double && dtype == DType::F32 {
            DType::F64
        } else {
            dtype
        }
    };

    let mut values: Vec<Option<Array>> = vec![None; graph.nodes.len()];
    let mut uses = vec![0usize; graph.nodes.len()];
    for node in &graph.nodes {
        node.inputs.iter().for_each(|&i| uses[i] += 1);
    }
    graph.outputs.iter().for_each(|&i| uses[i] += 1);

    for (at, node) in graph.nodes.iter().enumerate() {
        let value = match &node.source {
            Source::Value(array) => array.cast(widen(array.dtype())),
            Source::Parameter(_, array) => array.cast(widen(array.dtype())),
            Source::Input(tensor) => {
                let value = given.get(&tensor.node.id).ok_or_else(|| {
                    Error::new(format!(
                        "no value was given for the input {}",
                        tensor.node.op.attributes()
                    ))
                })?;
                value.cast(widen(value.dtype()))
            }
            Source::Op(op) => {
                let arguments: Vec<&Array> = node
                    .inputs
                    .iter()
                    .filter_map(|&i| values[i].as_ref())
                    .collect();
                let mut output =
                    Array::zeros(&Meta::new(node.meta.shape.clone(), widen(node.meta.dtype)));
                op.reference(&arguments, &mut output).map_err(|reason| {
                    Error::new(format!("{}: {reason}{}", op.name(), node.place()))
                })?;
                output
            }
        };
        values[at] = Some(value);
        // Free what nobody will read again.
        for &i in &node.inputs {
            uses[i] -= 1;
            if uses[i] == 0 {
                values[i] = None;
            }
        }
    }
    Ok(graph
        .outputs
        .iter()
        .filter_map(|&i| values[i].clone())
        .collect())
}
