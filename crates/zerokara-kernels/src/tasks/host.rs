//! Steps done by the caller's code.

use std::{array, slice, sync::Arc};

use super::Task;
use crate::{
    access::{Access, Memory},
    plan::{Element, Elements, ElementsMut, HostFunction},
};

/// So many views have their place on the stack; no step in use has more.
const FEW: usize = 8;

/// A [`HostStep`](crate::plan::HostStep) with its dense views, each with its number of elements.
pub(crate) struct HostTask {
    pub(crate) inputs: Vec<(Access, usize)>,
    pub(crate) outputs: Vec<(Access, usize)>,
    pub(crate) function: Arc<dyn HostFunction>,
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
        let input = |(access, n): &(Access, usize)| unsafe {
            let p = memory.at(access).cast_const();
            match access.element {
                Element::F32 => Elements::F32(slice::from_raw_parts(p.cast(), *n)),
                Element::F64 => Elements::F64(slice::from_raw_parts(p.cast(), *n)),
                Element::I64 => Elements::I64(slice::from_raw_parts(p.cast(), *n)),
                Element::U8 => Elements::U8(slice::from_raw_parts(p, *n)),
                Element::Bool => Elements::Bool(slice::from_raw_parts(p, *n)),
            }
        };
        // SAFETY: as above; outputs do not overlap one another.
        let output = |(access, n): &(Access, usize)| unsafe {
            let p = memory.at(access);
            match access.element {
                Element::F32 => ElementsMut::F32(slice::from_raw_parts_mut(p.cast(), *n)),
                Element::F64 => ElementsMut::F64(slice::from_raw_parts_mut(p.cast(), *n)),
                Element::I64 => ElementsMut::I64(slice::from_raw_parts_mut(p.cast(), *n)),
                Element::U8 => ElementsMut::U8(slice::from_raw_parts_mut(p, *n)),
                Element::Bool => ElementsMut::Bool(slice::from_raw_parts_mut(p, *n)),
            }
        };
        let (ins, outs) = (&self.inputs, &self.outputs);
        if ins.len() <= FEW && outs.len() <= FEW {
            let none = || Elements::Bool(&[]);
            let inputs: [_; FEW] = array::from_fn(|i| ins.get(i).map_or_else(none, input));
            let none = || ElementsMut::Bool(&mut []);
            let mut outputs: [_; FEW] = array::from_fn(|i| outs.get(i).map_or_else(none, output));
            return self
                .function
                .run(&inputs[..ins.len()], &mut outputs[..outs.len()]);
        }
        let inputs: Vec<Elements<'_>> = ins.iter().map(input).collect();
        let mut outputs: Vec<ElementsMut<'_>> = outs.iter().map(output).collect();
        self.function.run(&inputs, &mut outputs)
    }
}
