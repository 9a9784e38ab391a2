//! Steps done by the caller's code.

use std::{slice, sync::Arc};

use super::Task;
use crate::{
    access::{Access, Memory},
    plan::{Element, Elements, ElementsMut, HostFunction},
};

/// A [`HostStep`](crate::plan::HostStep) with its dense views, each with its number of elements.
pub(super) struct HostTask {
    pub(super) inputs: Vec<(Access, usize)>,
    pub(super) outputs: Vec<(Access, usize)>,
    pub(super) function: Arc<dyn HostFunction>,
}

impl Task for HostTask {
    fn units(&self) -> usize {
        1
    }

    fn weight(&self) -> usize {
        let all = self.inputs.iter().chain(&self.outputs);
        all.map(|(_, length)| 10 * length).sum()
    }

    unsafe fn run(&self, _: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        // SAFETY: the views were checked to be dense, to lie in their buffers and not to overlap an output; what is in
        // the buffers was initialised with the storage.
        let inputs: Vec<Elements<'_>> = self
            .inputs
            .iter()
            .map(|(access, n)| unsafe {
                let p = memory.at(access).cast_const();
                match access.element {
                    Element::F32 => Elements::F32(slice::from_raw_parts(p.cast(), *n)),
                    Element::F64 => Elements::F64(slice::from_raw_parts(p.cast(), *n)),
                    Element::I64 => Elements::I64(slice::from_raw_parts(p.cast(), *n)),
                    Element::Bool => Elements::Bool(slice::from_raw_parts(p, *n)),
                }
            })
            .collect();
        // SAFETY: as above; outputs do not overlap one another.
        let mut outputs: Vec<ElementsMut<'_>> = self
            .outputs
            .iter()
            .map(|(access, n)| unsafe {
                let p = memory.at(access);
                match access.element {
                    Element::F32 => ElementsMut::F32(slice::from_raw_parts_mut(p.cast(), *n)),
                    Element::F64 => ElementsMut::F64(slice::from_raw_parts_mut(p.cast(), *n)),
                    Element::I64 => ElementsMut::I64(slice::from_raw_parts_mut(p.cast(), *n)),
                    Element::Bool => ElementsMut::Bool(slice::from_raw_parts_mut(p, *n)),
                }
            })
            .collect();
        self.function.run(&inputs, &mut outputs)
    }
}
