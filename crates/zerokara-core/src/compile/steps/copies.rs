//! A copy that changes no order is left out: who writes what is copied writes it where the copy would.

use super::draft::{Draft, Patch};
use crate::compile::rewriting::Rule;
use zerokara_kernels::{
    code::Instruction,
    plan::{MapStep, Step, View},
};

pub const GOES: Rule<Draft> = Rule {
    name: "written-where-it-goes",
    says: "what is only copied to an output, in the order in which it lies, is written there at once",
    find: write_where_it_goes,
};

fn write_where_it_goes(draft: &Draft, number: usize) -> Option<Patch> {
    let Step::Map(map) = &draft.step(number).step else {
        return None;
    };
    let (from, to) = copied(map)?;
    let (a, b) = (draft.buffer(from.buffer), draft.buffer(to.buffer));
    let is_whole = from.elements() == a.len && to.elements() == b.len && a.element == b.element;
    // Who reads an output before it is written reads a parameter, or what another run has left.
    let is_free = a.external.is_none()
        && a.local.is_none()
        && draft.is_output(to.buffer)
        && draft.only_reader(from.buffer) == Some(number)
        && draft.only_writer(to.buffer) == Some(number)
        && draft.readers(to.buffer).all(|reader| reader > number);
    if !is_whole || !is_free {
        return None;
    }
    let mut steps = Vec::new();
    for writer in draft.writers(from.buffer) {
        let own = draft.step(writer);
        let mut step = own.step.clone();
        for operand in step.operands_mut() {
            if operand.view.buffer == from.buffer {
                operand.view.buffer = to.buffer;
            }
        }
        steps.push((writer, own.with(step)));
    }
    let is_before = steps.iter().all(|&(writer, _)| writer < number) && !steps.is_empty();
    is_before.then(|| Patch {
        steps,
        gone: vec![number],
        emptied: vec![from.buffer],
        ..Patch::default()
    })
}

/// The two sides of a copy between buffers that changes no order.
fn copied(map: &MapStep) -> Option<(&View, &View)> {
    let ([from], [to]) = (&map.inputs[..], &map.outputs[..]) else {
        return None;
    };
    let is_copy = map.code.instructions == [Instruction::Load(0)]
        && map.code.results == [0]
        && from.buffer != to.buffer;
    let lies = |view: &View| (view.offset, view.is_dense_from(0));
    let mut axes = map.shape.iter().zip(from.strides.iter().zip(&to.strides));
    let is_same = axes.all(|(&length, (a, b))| length <= 1 || a == b);
    (is_copy && is_same && lies(from) == (0, true) && lies(to) == (0, true)).then_some((from, to))
}
