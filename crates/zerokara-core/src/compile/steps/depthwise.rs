//! A depthwise convolution finishes in registers what it computes, and writes it as it is to lie.

use super::draft::{Draft, Patch};
use crate::compile::rewriting::Rule;
use zerokara_kernels::{
    conv::{depthwise, finish::Finish},
    plan::{Element, Step},
};

pub const FINISHES: Rule<Draft> = Rule {
    name: "depthwise-finished-at-once",
    says: "a depthwise convolution adds its bias and rectifies in registers, and writes at once where that is to lie, plane by plane if so",
    find: finish_at_once,
};

fn finish_at_once(draft: &Draft, number: usize) -> Option<Patch> {
    let from = draft.step(number);
    let Step::Conv(conv) = &from.step else {
        return None;
    };
    let map = conv.epilogue.as_ref()?;
    let own = conv.target.buffer;
    // Unless it is written in place, nobody else may want what was computed first.
    let is_unwanted = || {
        draft.buffer(own).external.is_none()
            && draft.only_writer(own) == Some(number)
            && draft.readers(own).next().is_none()
    };
    if !depthwise::applies(&conv.geometry) || conv.statistics.is_some() {
        return None;
    }
    let (finish, written) = Finish::of(map, &conv.target)?;
    let is_in_place = written == conv.target;
    let is_of_numbers = |buffer: usize| draft.buffer(buffer).element == Element::F32;
    let bias = finish.bias.as_ref();
    if !(is_in_place || is_unwanted())
        || !is_of_numbers(written.buffer)
        || bias.is_some_and(|bias| !is_of_numbers(bias.buffer))
        || conv.source.buffer == written.buffer
    {
        return None;
    }
    let mut conv = conv.clone();
    (conv.epilogue, conv.finish, conv.target) = (None, Some(finish), written);
    Some(Patch {
        steps: vec![(number, from.with(Step::Conv(conv)))],
        emptied: match is_in_place {
            true => Vec::new(),
            false => vec![own],
        },
        ..Patch::default()
    })
}
