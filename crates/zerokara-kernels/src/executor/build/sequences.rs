//! Attention and recurrent networks.

use super::{Made, access, accesses, expect_packed};
use crate::{
    gemm,
    isa::Isa,
    plan::{
        AttentionGradientStep, AttentionInputs, AttentionStep, Buffer, RecurrentGradientStep,
        RecurrentStep,
    },
    tasks::{
        AttentionAccess, AttentionGradientTask, AttentionTask, RecurrentGradientTask, RecurrentTask,
    },
};

/// What attention reads; each head of keys and values must serve as many heads of queries.
fn attended(inputs: &AttentionInputs, buffers: &[Buffer]) -> Result<AttentionAccess, String> {
    let geometry = inputs.geometry;
    let (heads, groups) = (geometry.heads, geometry.groups);
    if groups == 0 && heads > 0 || groups > 0 && !heads.is_multiple_of(groups) {
        return Err(format!("{heads} heads cannot share {groups} evenly"));
    }
    Ok(AttentionAccess {
        geometry,
        query: access(&inputs.query, buffers),
        key: access(&inputs.key, buffers),
        value: access(&inputs.value, buffers),
        mask: inputs.mask.as_ref().map(|mask| access(mask, buffers)),
    })
}

pub(super) fn attention(isa: Isa, step: &AttentionStep, buffers: &[Buffer]) -> Made {
    Ok(Box::new(AttentionTask {
        isa,
        inputs: attended(&step.inputs, buffers)?,
        output: access(&step.output, buffers),
    }))
}

pub(super) fn attention_gradient(
    isa: Isa,
    step: &AttentionGradientStep,
    buffers: &[Buffer],
) -> Made {
    Ok(Box::new(AttentionGradientTask {
        isa,
        inputs: attended(&step.inputs, buffers)?,
        given: access(&step.output_gradient, buffers),
        query: access(&step.query_gradient, buffers),
        key: access(&step.key_gradient, buffers),
        value: access(&step.value_gradient, buffers),
    }))
}

pub(super) fn recurrent(isa: Isa, step: &RecurrentStep, buffers: &[Buffer]) -> Made {
    let geometry = step.geometry;
    let (cell, hidden) = (geometry.cell, geometry.hidden);
    let length = gemm::packed_len(isa, hidden, cell.products() * hidden);
    expect_packed(&step.weight, length, "packed weights")?;
    let states = if step.given { 0 } else { cell.states() };
    if step.initial.len() != states
        || step.given && step.mask.is_some()
        || step.gates.is_some() && !cell.has_gates()
    {
        return Err(format!("{cell:?} has another state, or other gates"));
    }
    Ok(Box::new(RecurrentTask {
        isa,
        geometry,
        inputs: access(&step.inputs, buffers),
        weight: access(&step.weight, buffers),
        bias: step.bias.as_ref().map(|view| access(view, buffers)),
        initial: accesses(&step.initial, buffers),
        mask: step.mask.as_ref().map(|view| access(view, buffers)),
        states: access(&step.states, buffers),
        given: step.given,
        gates: step.gates.as_ref().map(|view| access(view, buffers)),
        counters: 0,
    }))
}

pub(super) fn recurrent_gradient(
    isa: Isa,
    step: &RecurrentGradientStep,
    buffers: &[Buffer],
) -> Made {
    let geometry = step.geometry;
    let (cell, hidden) = (geometry.cell, geometry.hidden);
    let length = gemm::packed_len(isa, cell.products() * hidden, hidden);
    expect_packed(&step.weight, length, "packed weights")?;
    if step.gates.is_some() != cell.has_gates() {
        return Err(format!("{cell:?} has other gates"));
    }
    Ok(Box::new(RecurrentGradientTask {
        isa,
        geometry,
        weight: access(&step.weight, buffers),
        states: access(&step.states, buffers),
        gates: step.gates.as_ref().map(|view| access(view, buffers)),
        mask: step.mask.as_ref().map(|view| access(view, buffers)),
        given: access(&step.states_gradient, buffers),
        gradient: access(&step.gradient, buffers),
        counters: 0,
    }))
}
