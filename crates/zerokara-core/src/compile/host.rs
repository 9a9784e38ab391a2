//! Calls of reference loops from compiled plans, for operations without a kernel.

use crate::{Array, Meta, op::Op};
use std::sync::Arc;
use zerokara_kernels::plan::{Elements, ElementsMut, HostFunction};
use zerokara_kernels::storage::Storage;

/// An operation, and what it is applied to.
pub(super) struct HostCall {
    pub op: Arc<dyn Op>,
    pub inputs: Vec<Meta>,
    pub output: Meta,
}

impl HostFunction for HostCall {
    fn run(&self, inputs: &[Elements<'_>], outputs: &mut [ElementsMut<'_>]) -> Result<(), String> {
        let arrays: Vec<Array> = inputs
            .iter()
            .zip(&self.inputs)
            .map(|(&elements, meta)| Array::new(meta.shape.clone(), Storage::copied(elements)))
            .collect();
        let mut output = Array::zeros(&self.output);
        self.op
            .reference(&arrays.iter().collect::<Vec<_>>(), &mut output)?;
        match outputs {
            [ElementsMut::F32(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::F64(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::I64(y)] => y.copy_from_slice(output.slice()),
            [ElementsMut::Bool(y)] => y.copy_from_slice(output.bools()),
            _ => return Err(format!("{} has one output", self.op.name())),
        }
        Ok(())
    }
}
