//! Makes the steps of a plan ready, whose operands were checked: what is left to check is what one operand alone does not
//! tell, and what kernels count.

mod images;
mod sequences;

use std::ops::Range;

use super::check::{check_map, expect_countable};
use crate::{
    access::Access,
    code::Instruction,
    gemm::{self, GemmShape},
    isa::Isa,
    map::{
        prepare::check_code,
        prepared::{Prepared, Use},
    },
    plan::{
        ArgReduceStep, Buffer, ChainStep, Element, GatherStep, GemmRight, GemmStep, HostStep,
        MapStep, OneHotStep, PackMatrixStep, Plan, RandomStep, ReduceStep, Reduction, SoftmaxStep,
        Step, View,
    },
    tasks::{
        ArgReduceTask, Behind, ChainTask, GatherTask, GemmTask, HostTask, MapTask, OneHotTask,
        PackMatrixTask, Parts, RandomTask, ReduceTask, RightAccess, SoftmaxTask, Task,
        TransposeTask,
    },
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
        Step::Attention(step) => sequences::attention(isa, step, buffers),
        Step::AttentionGradient(step) => sequences::attention_gradient(isa, step, buffers),
        Step::Recurrent(step) => sequences::recurrent(isa, step, buffers),
        Step::RecurrentGradient(step) => sequences::recurrent_gradient(isa, step, buffers),
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

/// The lengths of a view that was checked to have so many axes.
fn axes<const N: usize>(view: &View) -> Result<[usize; N], String> {
    <[usize; N]>::try_from(&view.shape[..])
        .map_err(|_| format!("a view has shape {:?} instead of {N} axes", view.shape))
}

/// What a kernel reads or writes that it alone knows the length of.
fn expect_packed(view: &View, length: usize, what: &str) -> Result<(), String> {
    match view.shape == [length] {
        true => Ok(()),
        false => Err(format!(
            "the {what} has shape {:?} instead of [{length}]",
            view.shape
        )),
    }
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
    let [batch, k, n] = axes(&step.b)?;
    if batch > 1 && step.b.strides[0] == 0 && k * n > 0 {
        return Err("one matrix is packed several times; pack it once and let it repeat".into());
    }
    let length = batch * gemm::packed_len(isa, k, n);
    expect_packed(&step.packed, length, "packed matrix")?;
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
    let [batch, m, k] = axes(&step.a)?;
    let [_, _, n] = axes(&step.c)?;
    let shape = GemmShape { batch, m, n, k };
    let b = match &step.b {
        GemmRight::InPlace(b) => RightAccess::InPlace(access(b, buffers)),
        GemmRight::Packed { panels, repeat } => {
            let each = gemm::packed_len(isa, k, n);
            let count = if *repeat { 1 } else { batch };
            expect_packed(panels, count * each, "packed operand")?;
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
        behind: Behind {
            epilogue,
            statistics,
        },
    }))
}

fn softmax(isa: Isa, step: &SoftmaxStep, buffers: &[Buffer]) -> Made {
    let [rows, columns] = axes(&step.input)?;
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
    let [rows, columns] = axes(&step.input)?;
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
    let [outer, length, inner] = axes(&step.input)?;
    let [count] = axes(&step.indices)?;
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
    let [rows, classes] = axes(&step.output)?;
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
    let listed = |views: &[View]| -> Vec<(Access, usize)> {
        let counted = |view: &View| (access(view, buffers), view.elements());
        views.iter().map(counted).collect()
    };
    let (inputs, outputs) = (listed(&step.inputs), listed(&step.outputs));
    Ok(Box::new(HostTask {
        inputs,
        outputs,
        function: step.function.clone(),
    }))
}

fn map(isa: Isa, step: &MapStep, buffers: &[Buffer]) -> Made {
    check_map(step)?;
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
    for output in &step.outputs {
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
