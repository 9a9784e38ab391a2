//! Calls of reference loops from compiled plans, for operations without a kernel.

use crate::{Array, Meta, Result, op::Op};
use std::{
    array,
    sync::{Arc, Mutex, PoisonError},
};
use zerokara_kernels::plan::{Elements, ElementsMut, HostFunction};

/// An operation, and what it is applied to.
pub(super) struct HostCall {
    op: Arc<dyn Op>,
    inputs: Vec<Meta>,
    output: Meta,
    /// Inputs and outputs of calls that are over, to be written over by the next ones, of which there may be several at a
    /// time; large ones are not kept.
    arrays: Mutex<Vec<(Vec<Array>, Array)>>,
}

impl HostCall {
    pub fn new(op: Arc<dyn Op>, inputs: Vec<Meta>, output: Meta) -> Self {
        Self {
            op,
            inputs,
            output,
            arrays: Mutex::default(),
        }
    }
}

/// Arrays of more bytes together are made anew for each call, so that plans at rest hold little memory.
const KEPT_BYTES: usize = 1 << 16;

/// So many inputs are referred to from the stack; few operations have more.
const FEW: usize = 4;

impl HostFunction for HostCall {
    fn run(&self, inputs: &[Elements<'_>], outputs: &mut [ElementsMut<'_>]) -> Result<(), String> {
        let kept = || self.arrays.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept().pop();
        let (mut arrays, mut output) = match last {
            Some(kept) => kept,
            None => {
                let inputs: Result<_> = self.inputs.iter().map(Array::try_zeros).collect();
                let output = Array::try_zeros(&self.output);
                let both = inputs.and_then(|inputs| Ok((inputs, output?)));
                both.map_err(|error| error.to_string())?
            }
        };
        for (array, &given) in arrays.iter_mut().zip(inputs) {
            match (array.elements_mut(), given) {
                (ElementsMut::F32(x), Elements::F32(y)) => x.copy_from_slice(y),
                (ElementsMut::F64(x), Elements::F64(y)) => x.copy_from_slice(y),
                (ElementsMut::I64(x), Elements::I64(y)) => x.copy_from_slice(y),
                (ElementsMut::U8(x), Elements::U8(y)) => x.copy_from_slice(y),
                (ElementsMut::Bool(x), Elements::Bool(y)) => x.copy_from_slice(y),
                _ => return Err(format!("{} got another element type", self.op.name())),
            }
        }
        output.set(0.0);
        match &arrays[..] {
            [] => self.op.reference(&[], &mut output)?,
            [first, ..] if arrays.len() <= FEW => {
                let all: [&Array; FEW] = array::from_fn(|i| arrays.get(i).unwrap_or(first));
                self.op.reference(&all[..arrays.len()], &mut output)?;
            }
            many => {
                let all: Vec<&Array> = many.iter().collect();
                self.op.reference(&all, &mut output)?;
            }
        }
        match outputs {
            [ElementsMut::F32(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::F64(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::I64(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::U8(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::Bool(y)] => y.copy_from_slice(output.bools()),
            _ => return Err(format!("{} has one output", self.op.name())),
        }
        let bytes = |array: &Array| array.len() * array.dtype().size();
        if arrays.iter().chain([&output]).map(bytes).sum::<usize>() <= KEPT_BYTES {
            kept().push((arrays, output));
        }
        Ok(())
    }
}
