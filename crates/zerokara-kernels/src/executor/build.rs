//! From steps to tasks: each step's own contract is checked, and its kernel made ready.

use super::{
    Task,
    check::{check_map, expect_element, expect_shape},
    map_task::MapTask,
};
use crate::{
    access::Access,
    isa::Isa,
    map::prepared::check_code,
    plan::{Buffer, Element, MapStep, Plan, ReduceStep, Step, View},
    reduce::ReduceTask,
};

/// A view whose bounds were checked, as tasks keep it.
pub(super) fn access(view: &View, buffers: &[Buffer]) -> Access {
    Access {
        buffer: view.buffer,
        element: buffers[view.buffer].element,
        offset: view.offset,
        strides: view.strides.clone(),
    }
}

fn accesses(views: &[View], buffers: &[Buffer]) -> Vec<Access> {
    views.iter().map(|view| access(view, buffers)).collect()
}

/// Makes a step ready whose views lie within their buffers.
pub(super) fn task(isa: Isa, plan: &Plan, step: &Step) -> Result<Box<dyn Task>, String> {
    let buffers = &plan.buffers[..];
    Ok(match step {
        Step::Map(step) => map(isa, step, buffers)?,
        Step::Reduce(step) => reduce(isa, step, buffers)?,
        _ => return Err("not built yet".into()),
    })
}

fn map(isa: Isa, step: &MapStep, buffers: &[Buffer]) -> Result<Box<dyn Task>, String> {
    check_map(step, buffers)?;
    let (inputs, outputs) = (
        accesses(&step.inputs, buffers),
        accesses(&step.outputs, buffers),
    );
    Ok(Box::new(MapTask::new(
        isa,
        &step.shape,
        inputs,
        outputs,
        &step.code,
    )?))
}

fn reduce(isa: Isa, step: &ReduceStep, buffers: &[Buffer]) -> Result<Box<dyn Task>, String> {
    check_code(&step.code, step.inputs.len(), 1)?;
    if step.reduced.len() != step.shape.len() {
        return Err(format!(
            "{} axes, {} marks",
            step.shape.len(),
            step.reduced.len()
        ));
    }
    for input in &step.inputs {
        expect_shape(input, &step.shape)?;
        if !matches!(buffers[input.buffer].element, Element::F32 | Element::Bool) {
            return Err(format!(
                "elementwise code on {:?}",
                buffers[input.buffer].element
            ));
        }
    }
    expect_element(&step.output, buffers, Element::F32, "output")?;
    // The output has either the iteration space's shape, with strides of 0, or lengths of 1 on the reduced axes.
    for (axis, (&length, &reduced)) in step.shape.iter().zip(&step.reduced).enumerate() {
        let fits = match step.output.shape.get(axis) {
            Some(1) if reduced => true,
            Some(&own) => own == length && (!reduced || step.output.strides[axis] == 0),
            None => false,
        };
        if !fits || step.output.shape.len() != step.shape.len() {
            return Err(format!(
                "the output's shape {:?} and strides {:?} do not fit {:?} reduced over {:?}",
                step.output.shape, step.output.strides, step.shape, step.reduced
            ));
        }
    }
    let (inputs, output) = (
        accesses(&step.inputs, buffers),
        access(&step.output, buffers),
    );
    let task = ReduceTask::new(
        isa,
        &step.shape,
        &step.reduced,
        inputs,
        output,
        &step.code,
        step.reduction,
    )?;
    Ok(Box::new(task))
}
