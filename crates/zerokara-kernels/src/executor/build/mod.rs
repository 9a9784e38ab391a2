//! From steps to tasks: each step's own contract is checked, and its kernel made ready.

mod images;

use std::ops::Range;

use super::{
    Task,
    chain_task::ChainTask,
    check::{check_map, expect_countable, expect_dense, expect_element, expect_shape},
    contract_task::{GemmTask, PackMatrixTask, RightAccess},
    host_task::HostTask,
    map_task::MapTask,
    transpose_task::TransposeTask,
};
use crate::{
    access::Access,
    gather::{ArgReduceTask, GatherTask, OneHotTask},
    gemm::{self, GemmShape},
    isa::Isa,
    map::{
        Instruction,
        prepare::check_code,
        prepared::{Prepared, Use},
    },
    plan::{
        ArgReduceStep, Buffer, ChainStep, Element, GatherStep, GemmRight, GemmStep, HostStep,
        MapStep, OneHotStep, PackMatrixStep, Plan, RandomStep, ReduceStep, Reduction, SoftmaxStep,
        Step, View,
    },
    random::RandomTask,
    reduce::{Parts, ReduceTask},
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
        Step::PackFilters(step) => images::pack_filters(isa, step, buffers),
        Step::Conv(step) => images::convolution(isa, step, buffers),
        Step::ConvPool(step) => images::conv_pool(isa, step, buffers),
        Step::ConvWeightGradient(step) => images::conv_weight_gradient(isa, step, buffers),
        Step::Chain(step) => chain(isa, plan, step),
        Step::Pool(step) => images::pool(isa, step, buffers),
        Step::PoolGradient(step) => images::pool_gradient(isa, step, buffers),
    }
}

/// The axes' lengths of a view of so many axes.
fn axes<const N: usize>(view: &View, what: &str) -> Result<[usize; N], String> {
    <[usize; N]>::try_from(&view.shape[..])
        .map_err(|_| format!("the {what} has shape {:?} instead of {N} axes", view.shape))
}

fn expect_floats(views: &[(&View, &str)], buffers: &[Buffer]) -> Result<(), String> {
    views
        .iter()
        .try_for_each(|(view, what)| expect_element(view, buffers, Element::F32, what))
}

/// The steps of all slices.
fn chain(isa: Isa, plan: &Plan, step: &ChainStep) -> Made {
    let mut slices = Vec::with_capacity(step.slices.len());
    for steps in &step.slices {
        let tasks: Result<Vec<_>, String> = steps.iter().map(|s| task(isa, plan, s)).collect();
        slices.push(tasks?);
    }
    Ok(Box::new(ChainTask::new(slices, &plan.buffers)))
}

/// An epilogue, already checked with its step.
fn epilogue(
    isa: Isa,
    map: &Option<MapStep>,
    buffers: &[Buffer],
    purpose: Use,
) -> Result<Option<Prepared>, String> {
    let Some(map) = map else { return Ok(None) };
    let (inputs, outputs) = (
        accesses(&map.inputs, buffers),
        accesses(&map.outputs, buffers),
    );
    Prepared::new(isa, &map.shape, inputs, outputs, &map.code, purpose).map(Some)
}

fn pack_matrix(isa: Isa, step: &PackMatrixStep, buffers: &[Buffer]) -> Made {
    expect_floats(
        &[(&step.b, "matrix"), (&step.packed, "packed matrix")],
        buffers,
    )?;
    let [batch, k, n] = axes(&step.b, "matrix")?;
    if batch > 1 && step.b.strides[0] == 0 && k * n > 0 {
        return Err("one matrix is packed several times; pack it once and let it repeat".into());
    }
    expect_dense(
        &step.packed,
        &[batch * gemm::packed_len(isa, k, n)],
        "packed matrix",
    )?;
    let (b, packed) = (access(&step.b, buffers), access(&step.packed, buffers));
    Ok(Box::new(PackMatrixTask {
        isa,
        batch,
        k,
        n,
        b,
        packed,
    }))
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
                return Err(format!(
                    "the right operand is {:?}, not {expected:?}",
                    b.shape
                ));
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
    let whole_rows = gemm::whole_rows(isa, &shape);
    let purpose = match whole_rows {
        true => Use::Store,
        false => Use::StoreRows,
    };
    let statistics = match &step.statistics {
        Some(statistics) if batch == 1 && whole_rows => {
            let ranges = (0..gemm::units(isa, &shape)).map(|unit| {
                let rows = gemm::unit_range(isa, &shape, unit).rows;
                rows.start * n..rows.end * n
            });
            let rows = View {
                shape: vec![m, n],
                strides: vec![n as isize, 1],
                ..step.c.clone()
            };
            self::statistics(isa, Some(statistics), &rows, ranges, buffers)?
        }
        Some(_) => return Err("statistics of a product that is not cut by rows alone".into()),
        None => None,
    };
    let epilogue = epilogue(isa, &step.epilogue, buffers, purpose)?;
    let (a, c) = (access(&step.a, buffers), access(&step.c, buffers));
    Ok(Box::new(GemmTask {
        isa,
        shape,
        a,
        b,
        c,
        epilogue,
        statistics,
    }))
}

fn softmax(isa: Isa, step: &SoftmaxStep, buffers: &[Buffer]) -> Made {
    expect_floats(&[(&step.input, "input"), (&step.output, "output")], buffers)?;
    let [rows, columns] = axes(&step.input, "input")?;
    expect_dense(&step.input, &[rows, columns], "input")?;
    expect_dense(&step.output, &[rows, columns], "output")?;
    let (input, output) = (access(&step.input, buffers), access(&step.output, buffers));
    Ok(Box::new(SoftmaxTask {
        isa,
        log: step.log,
        rows,
        columns,
        input,
        output,
    }))
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
    Ok(Box::new(ArgReduceTask {
        isa,
        min: step.min,
        rows,
        columns,
        input,
        output,
    }))
}

fn gather(step: &GatherStep, buffers: &[Buffer]) -> Made {
    let [outer, length, inner] = axes(&step.input, "input")?;
    let [count] = axes(&step.indices, "indices")?;
    expect_element(&step.indices, buffers, Element::I64, "indices")?;
    expect_element(
        &step.output,
        buffers,
        buffers[step.input.buffer].element,
        "output",
    )?;
    expect_shape(&step.output, &[outer, count, inner])?;
    if inner > 1 && (step.input.strides[2] != 1 || step.output.strides[2] != 1) {
        return Err("the inner axis is not dense".into());
    }
    let (input, indices) = (access(&step.input, buffers), access(&step.indices, buffers));
    let output = access(&step.output, buffers);
    Ok(Box::new(GatherTask {
        outer,
        length,
        count,
        inner,
        input,
        indices,
        output,
    }))
}

fn one_hot(step: &OneHotStep, buffers: &[Buffer]) -> Made {
    expect_element(&step.labels, buffers, Element::I64, "labels")?;
    expect_floats(&[(&step.output, "output")], buffers)?;
    let [rows, classes] = axes(&step.output, "output")?;
    expect_shape(&step.labels, &[rows])?;
    expect_dense(&step.output, &[rows, classes], "output")?;
    let (labels, output) = (access(&step.labels, buffers), access(&step.output, buffers));
    let OneHotStep { on, off, .. } = *step;
    Ok(Box::new(OneHotTask {
        rows,
        classes,
        on,
        off,
        labels,
        output,
    }))
}

fn random(isa: Isa, step: &RandomStep, buffers: &[Buffer]) -> Made {
    expect_element(&step.counter, buffers, Element::I64, "counter")?;
    expect_floats(&[(&step.output, "output")], buffers)?;
    if step.counter.shape.iter().product::<usize>() != 1 {
        return Err(format!(
            "the counter has shape {:?}, not one element",
            step.counter.shape
        ));
    }
    expect_dense(&step.output, &step.output.shape, "output")?;
    let total = step.output.shape.iter().product();
    let (counter, output) = (
        access(&step.counter, buffers),
        access(&step.output, buffers),
    );
    Ok(Box::new(RandomTask {
        isa,
        key: step.key,
        total,
        counter,
        output,
    }))
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
    Ok(Box::new(HostTask {
        inputs,
        outputs,
        function: step.function.clone(),
    }))
}

fn map(isa: Isa, step: &MapStep, buffers: &[Buffer]) -> Made {
    check_map(step, buffers)?;
    let (inputs, outputs) = (
        accesses(&step.inputs, buffers),
        accesses(&step.outputs, buffers),
    );
    if let ([result], [output]) = (&step.code.results[..], &outputs[..])
        && let Instruction::Load(i) = step.code.instructions[*result]
        && [&inputs[i], output]
            .iter()
            .all(|a| a.element == Element::F32)
        && let Some(task) = TransposeTask::new(isa, &step.shape, &inputs[i], output)
    {
        return Ok(Box::new(task));
    }
    Ok(Box::new(MapTask::new(
        isa,
        &step.shape,
        inputs,
        outputs,
        &step.code,
    )?))
}

fn reduce(isa: Isa, step: &ReduceStep, buffers: &[Buffer]) -> Made {
    let parts = reduce_parts(step, buffers)?;
    Ok(Box::new(ReduceTask::new(isa, parts)?))
}

/// A checked reduction of what a step writes that is cut into these parts of its rows.
fn statistics(
    isa: Isa,
    step: Option<&ReduceStep>,
    target: &View,
    ranges: impl Iterator<Item = Range<usize>>,
    buffers: &[Buffer],
) -> Result<Option<ReduceTask>, String> {
    let Some(step) = step else { return Ok(None) };
    let (Some(&channels), Some((&false, others))) =
        (target.shape.last(), step.reduced.split_last())
    else {
        return Err("its statistics do not keep the channels".into());
    };
    if step.shape != target.shape || others.contains(&false) || step.shape.contains(&0) {
        return Err(format!(
            "its statistics are those of {:?} reduced over {:?}, not of the channels of {:?}",
            step.shape, step.reduced, target.shape
        ));
    }
    let parts = reduce_parts(step, buffers)?;
    let rows = |range: Range<usize>| range.start / channels..range.end / channels;
    ReduceTask::beside(isa, parts, ranges.map(rows).collect()).map(Some)
}

fn reduce_parts<'a>(step: &'a ReduceStep, buffers: &[Buffer]) -> Result<Parts<'a>, String> {
    check_code(&step.code, step.inputs.len(), step.outputs.len())?;
    expect_countable(&step.shape)?;
    if step.reduced.len() != step.shape.len() {
        return Err(format!(
            "{} axes, {} marks",
            step.shape.len(),
            step.reduced.len()
        ));
    }
    if step.reductions.len() != step.outputs.len() {
        return Err(format!(
            "{} reductions for {} outputs",
            step.reductions.len(),
            step.outputs.len()
        ));
    }
    let marked = step.shape.iter().zip(&step.reduced);
    let count: usize = marked.filter(|(_, r)| **r).map(|(&n, _)| n).product();
    for reduction in &step.reductions {
        if let Reduction::Variance { correction } = reduction
            && *correction >= count
        {
            return Err(format!(
                "{count} elements have no variance with correction {correction}"
            ));
        }
    }
    for input in &step.inputs {
        expect_shape(input, &step.shape)?;
        if !buffers[input.buffer].element.is_mapped() {
            return Err(format!(
                "elementwise code on {:?}",
                buffers[input.buffer].element
            ));
        }
    }
    for output in &step.outputs {
        expect_element(output, buffers, Element::F32, "output")?;
        // It has either the iteration space's shape, with strides of 0, or lengths of 1 on the reduced axes.
        for (axis, (&length, &reduced)) in step.shape.iter().zip(&step.reduced).enumerate() {
            let fits = match output.shape.get(axis) {
                Some(1) if reduced => true,
                Some(&own) => own == length && (!reduced || output.strides[axis] == 0),
                None => false,
            };
            if !fits || output.shape.len() != step.shape.len() {
                return Err(format!(
                    "the output's shape {:?} and strides {:?} do not fit {:?} reduced over {:?}",
                    output.shape, output.strides, step.shape, step.reduced
                ));
            }
        }
        if let Some(map) = &step.epilogue
            && map.shape != step.kept(output).shape
        {
            return Err(format!(
                "its epilogue runs over {:?}, not over what is kept",
                map.shape
            ));
        }
    }
    let epilogue = step.epilogue.as_ref().map(|map| {
        (
            accesses(&map.inputs, buffers),
            accesses(&map.outputs, buffers),
            &map.code,
        )
    });
    Ok(Parts {
        shape: &step.shape,
        reduced: &step.reduced,
        inputs: accesses(&step.inputs, buffers),
        code: &step.code,
        reductions: &step.reductions,
        outputs: accesses(&step.outputs, buffers),
        epilogue,
    })
}
