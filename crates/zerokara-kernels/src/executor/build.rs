//! From steps to tasks: each step's own contract is checked, and its kernel made ready.

use super::{
    Task,
    check::{check_map, expect_dense, expect_element, expect_shape},
    contract_task::{GemmTask, PackMatrixTask, RightAccess},
    host_task::HostTask,
    map_task::MapTask,
};
use crate::{
    access::Access,
    gather::{ArgReduceTask, GatherTask, OneHotTask},
    gemm::{self, GemmShape},
    isa::Isa,
    map::prepared::{Prepared, Use, check_code},
    plan::{
        ArgReduceStep, Buffer, Element, GatherStep, GemmRight, GemmStep, HostStep, MapStep,
        OneHotStep, PackMatrixStep, Plan, RandomStep, ReduceStep, SoftmaxStep, Step, View,
    },
    random::RandomTask,
    reduce::ReduceTask,
    softmax::SoftmaxTask,
};

type Made = Result<Box<dyn Task>, String>;

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
pub(super) fn task(isa: Isa, plan: &Plan, step: &Step) -> Made {
    let buffers = &plan.buffers[..];
    match step {
        Step::Map(step) => map(isa, step, buffers),
        Step::Reduce(step) => reduce(isa, step, buffers),
        Step::PackMatrix(step) => pack_matrix(isa, step, buffers),
        Step::Gemm(step) => gemm(isa, step, buffers),
        Step::Softmax(step) => softmax(isa, step, buffers),
        Step::ArgReduce(step) => arg_reduce(isa, step, buffers),
        Step::Gather(step) => gather(step, buffers),
        Step::OneHot(step) => one_hot(step, buffers),
        Step::Random(step) => random(isa, step, buffers),
        Step::Host(step) => host(step, buffers),
        _ => Err("not built yet".into()),
    }
}

/// The axes' lengths of a view of so many axes.
fn axes<const N: usize>(view: &View, what: &str) -> Result<[usize; N], String> {
    <[usize; N]>::try_from(&view.shape[..])
        .map_err(|_| format!("the {what} has shape {:?} instead of {N} axes", view.shape))
}

fn expect_floats(views: &[(&View, &str)], buffers: &[Buffer]) -> Result<(), String> {
    views.iter().try_for_each(|(view, what)| expect_element(view, buffers, Element::F32, what))
}

/// An epilogue, already checked with its step.
fn epilogue(
    isa: Isa,
    map: &Option<MapStep>,
    buffers: &[Buffer],
    purpose: Use,
) -> Result<Option<Prepared>, String> {
    let Some(map) = map else { return Ok(None) };
    let (inputs, outputs) = (accesses(&map.inputs, buffers), accesses(&map.outputs, buffers));
    Prepared::new(isa, &map.shape, inputs, outputs, &map.code, purpose).map(Some)
}

fn pack_matrix(isa: Isa, step: &PackMatrixStep, buffers: &[Buffer]) -> Made {
    expect_floats(&[(&step.b, "matrix"), (&step.packed, "packed matrix")], buffers)?;
    let [batch, k, n] = axes(&step.b, "matrix")?;
    if batch > 1 && step.b.strides[0] == 0 && k * n > 0 {
        return Err("one matrix is packed several times; pack it once and let it repeat".into());
    }
    expect_dense(&step.packed, &[batch * gemm::packed_len(isa, k, n)], "packed matrix")?;
    let (b, packed) = (access(&step.b, buffers), access(&step.packed, buffers));
    Ok(Box::new(PackMatrixTask { isa, batch, k, n, b, packed }))
}

fn gemm(isa: Isa, step: &GemmStep, buffers: &[Buffer]) -> Made {
    expect_floats(&[(&step.a, "left operand"), (&step.c, "result")], buffers)?;
    let [batch, m, k] = axes(&step.a, "left operand")?;
    let [_, _, n] = axes(&step.c, "result")?;
    expect_dense(&step.c, &[batch, m, n], "result")?;
    let shape = GemmShape { batch, m, n, k };
    let b = match &step.b {
        GemmRight::InPlace(b) => {
            expect_floats(&[(b, "right operand")], buffers)?;
            if b.shape != [batch, k, n] {
                let expected = [batch, k, n];
                return Err(format!("the right operand is {:?}, not {expected:?}", b.shape));
            }
            RightAccess::InPlace(access(b, buffers))
        }
        GemmRight::Packed { panels, repeat } => {
            expect_floats(&[(panels, "packed operand")], buffers)?;
            let each = gemm::packed_len(isa, k, n);
            let count = if *repeat { 1 } else { batch };
            expect_dense(panels, &[count * each], "packed operand")?;
            RightAccess::Packed(access(panels, buffers), if *repeat { 0 } else { each })
        }
    };
    let units = gemm::units(isa, &shape);
    let split = (0..units).any(|unit| gemm::unit_range(isa, &shape, unit).columns != (0..n));
    let purpose = if split { Use::StoreRows } else { Use::Store };
    let epilogue = epilogue(isa, &step.epilogue, buffers, purpose)?;
    let (a, c) = (access(&step.a, buffers), access(&step.c, buffers));
    Ok(Box::new(GemmTask { isa, shape, a, b, c, epilogue }))
}

fn softmax(isa: Isa, step: &SoftmaxStep, buffers: &[Buffer]) -> Made {
    expect_floats(&[(&step.input, "input"), (&step.output, "output")], buffers)?;
    let [rows, columns] = axes(&step.input, "input")?;
    expect_dense(&step.input, &[rows, columns], "input")?;
    expect_dense(&step.output, &[rows, columns], "output")?;
    let (input, output) = (access(&step.input, buffers), access(&step.output, buffers));
    Ok(Box::new(SoftmaxTask { isa, log: step.log, rows, columns, input, output }))
}

fn arg_reduce(isa: Isa, step: &ArgReduceStep, buffers: &[Buffer]) -> Made {
    expect_floats(&[(&step.input, "input")], buffers)?;
    expect_element(&step.output, buffers, Element::I64, "output")?;
    let [rows, columns] = axes(&step.input, "input")?;
    expect_shape(&step.output, &[rows])?;
    if columns == 0 && rows > 0 {
        return Err("rows without elements have no largest one".into());
    }
    let (input, output) = (access(&step.input, buffers), access(&step.output, buffers));
    Ok(Box::new(ArgReduceTask { isa, min: step.min, rows, columns, input, output }))
}

fn gather(step: &GatherStep, buffers: &[Buffer]) -> Made {
    let [outer, length, inner] = axes(&step.input, "input")?;
    let [count] = axes(&step.indices, "indices")?;
    expect_element(&step.indices, buffers, Element::I64, "indices")?;
    expect_element(&step.output, buffers, buffers[step.input.buffer].element, "output")?;
    expect_shape(&step.output, &[outer, count, inner])?;
    if inner > 1 && (step.input.strides[2] != 1 || step.output.strides[2] != 1) {
        return Err("the inner axis is not dense".into());
    }
    let (input, indices) = (access(&step.input, buffers), access(&step.indices, buffers));
    let output = access(&step.output, buffers);
    Ok(Box::new(GatherTask { outer, length, count, inner, input, indices, output }))
}

fn one_hot(step: &OneHotStep, buffers: &[Buffer]) -> Made {
    expect_element(&step.labels, buffers, Element::I64, "labels")?;
    expect_floats(&[(&step.output, "output")], buffers)?;
    let [rows, classes] = axes(&step.output, "output")?;
    expect_shape(&step.labels, &[rows])?;
    expect_dense(&step.output, &[rows, classes], "output")?;
    let (labels, output) = (access(&step.labels, buffers), access(&step.output, buffers));
    let OneHotStep { on, off, .. } = *step;
    Ok(Box::new(OneHotTask { rows, classes, on, off, labels, output }))
}

fn random(isa: Isa, step: &RandomStep, buffers: &[Buffer]) -> Made {
    expect_element(&step.counter, buffers, Element::I64, "counter")?;
    expect_floats(&[(&step.output, "output")], buffers)?;
    if step.counter.shape.iter().product::<usize>() != 1 {
        return Err(format!("the counter has shape {:?}, not one element", step.counter.shape));
    }
    expect_dense(&step.output, &step.output.shape, "output")?;
    let total = step.output.shape.iter().product();
    let (counter, output) = (access(&step.counter, buffers), access(&step.output, buffers));
    Ok(Box::new(RandomTask { isa, key: step.key, total, counter, output }))
}

fn host(step: &HostStep, buffers: &[Buffer]) -> Made {
    let listed = |views: &[View]| -> Result<Vec<(Access, usize)>, String> {
        let dense = |view: &View| {
            expect_dense(view, &view.shape, "view")?;
            Ok((access(view, buffers), view.shape.iter().product()))
        };
        views.iter().map(dense).collect()
    };
    let (inputs, outputs) = (listed(&step.inputs)?, listed(&step.outputs)?);
    Ok(Box::new(HostTask { inputs, outputs, function: step.function.clone() }))
}

fn map(isa: Isa, step: &MapStep, buffers: &[Buffer]) -> Made {
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

fn reduce(isa: Isa, step: &ReduceStep, buffers: &[Buffer]) -> Made {
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
