//! Plans as text, to be read and to be kept as snapshots.

use super::Label;
use std::fmt::Write;
use zerokara_kernels::{
    arithmetic::Arithmetic,
    conv::ConvGeometry,
    map::{Code, Instruction},
    plan::{
        ConvPass, GemmRight, MapStep, OutputGradient, Place, Plan, ReduceStep, Reduction, Step,
        View,
    },
};

/// One line per step, stage by stage; a summary first.
pub(crate) fn text(plan: &Plan, labels: &[Label]) -> String {
    let steps: usize = plan.stages.iter().map(|stage| stage.steps.len()).sum();
    let prepared = match plan.prepared_bytes {
        0 => String::new(),
        bytes => format!(", {bytes} bytes prepared"),
    };
    let mut out = format!(
        "{steps} steps in {} stages, arena of {} bytes{prepared}, {} external buffers\n",
        plan.stages.len(),
        plan.arena_bytes,
        plan.externals
    );
    let mut labels = labels.iter();
    for (number, stage) in plan.stages.iter().enumerate() {
        let _ = writeln!(out, "stage {number}");
        for step in &stage.steps {
            let label = labels.next();
            let op = label.map_or("", |l| l.op);
            let layer = label.and_then(|l| l.layer.as_deref()).unwrap_or("-");
            let _ = writeln!(out, "  {:<38} {op:<24} {layer}", describe(plan, step));
        }
    }
    out
}

fn shape(view: &View) -> String {
    let numbers: Vec<String> = view.shape.iter().map(usize::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// `!` behind a shape: the buffer lies outside of the arena; `~`: it is a thread's own; `=`: it is prepared.
fn place(plan: &Plan, view: &View) -> &'static str {
    match plan.buffers[view.buffer].place {
        Place::Arena(_) => "",
        Place::Prepared(_) => "=",
        Place::External(_) => "!",
        Place::Local(_) => "~",
    }
}

fn instructions(code: &Code) -> usize {
    code.instructions
        .iter()
        .filter(|i| !matches!(i, Instruction::Load(_) | Instruction::Constant(_)))
        .count()
}

fn map(plan: &Plan, step: &MapStep) -> String {
    let numbers: Vec<String> = step.shape.iter().map(usize::to_string).collect();
    let outputs: String = step.outputs.iter().map(|v| place(plan, v)).collect();
    format!(
        "[{}] {} in, {} ops, {} out{outputs}",
        numbers.join(","),
        step.inputs.len(),
        instructions(&step.code),
        step.outputs.len()
    )
}

fn with_epilogue(plan: &Plan, head: String, epilogue: &Option<MapStep>) -> String {
    match epilogue {
        Some(step) => format!("{head} then {}", map(plan, step)),
        None => head,
    }
}

fn with_statistics(plan: &Plan, own: String, statistics: &Option<Box<ReduceStep>>) -> String {
    match statistics {
        Some(step) => format!("{own} with {}", reduce(plan, step)),
        None => own,
    }
}

fn reduce(plan: &Plan, step: &ReduceStep) -> String {
    let kinds: Vec<String> = step
        .reductions
        .iter()
        .map(|reduction| match reduction {
            Reduction::Sum => "sum".into(),
            Reduction::Mean => "mean".into(),
            Reduction::Max => "max".into(),
            Reduction::Min => "min".into(),
            Reduction::Variance { correction } => format!("var-{correction}"),
        })
        .collect();
    let kept = step.shape.iter().zip(&step.reduced).filter(|(_, r)| !**r);
    let head = format!(
        "{} {} in, {} ops, {:?} -> {}",
        kinds.join(" "),
        step.inputs.len(),
        instructions(&step.code),
        step.shape,
        kept.map(|(n, _)| n).product::<usize>()
    );
    with_epilogue(plan, head, &step.epilogue)
}

/// What a step computes, in a few words.
pub(crate) fn describe(plan: &Plan, step: &Step) -> String {
    match step {
        Step::Map(step) => format!("map {}", map(plan, step)),
        Step::Reduce(step) => reduce(plan, step),
        Step::PackMatrix(step) => format!("pack matrix {}", shape(&step.b)),
        Step::Gemm(step) => {
            let b = match &step.b {
                GemmRight::InPlace(view) => format!("{} in place", shape(view)),
                GemmRight::Packed { .. } => "packed".into(),
            };
            let head = format!("gemm {} x {b}", shape(&step.a));
            let own = with_epilogue(plan, head, &step.epilogue);
            with_statistics(plan, own, &step.statistics)
        }
        Step::PackFilters(step) => format!(
            "pack filters {} {:?}{}",
            shape(&step.filters),
            step.pass,
            products(step.arithmetic, &step.geometry)
        ),
        Step::Conv(step) => {
            let name = match step.pass {
                ConvPass::Forward => "conv",
                ConvPass::InputGradient => "conv input gradient",
            };
            let head = format!(
                "{name} {} -> {}{}",
                shape(&step.source),
                shape(&step.target),
                products(step.arithmetic, &step.geometry)
            );
            let own = with_epilogue(plan, head, &step.epilogue);
            with_statistics(plan, own, &step.statistics)
        }
        Step::ConvPool(step) => {
            let head = format!(
                "conv {} with pool{} -> {}",
                shape(&step.source),
                if step.marks { ", marked" } else { "" },
                shape(&step.output)
            );
            with_epilogue(plan, head, &step.epilogue)
        }
        Step::ConvWeightGradient(step) => {
            let gradient = match &step.output_gradient {
                OutputGradient::Stored(view) => shape(view),
                OutputGradient::Pooled(pooled) => format!(
                    "{} of windows {}x{}",
                    shape(&pooled.gradient),
                    pooled.geometry.kernel[0],
                    pooled.geometry.kernel[1]
                ),
            };
            format!(
                "conv weight gradient {} {gradient}{}",
                shape(&step.input),
                products(step.arithmetic, &step.geometry)
            )
        }
        Step::Pool(step) => {
            let head = format!(
                "pool {:?} {} -> {}",
                step.pooling,
                shape(&step.input),
                shape(&step.output)
            );
            with_epilogue(plan, head, &step.epilogue)
        }
        Step::PoolGradient(step) => {
            let head = format!(
                "pool gradient {:?} -> {}",
                step.pooling,
                shape(&step.input_gradient)
            );
            with_epilogue(plan, head, &step.epilogue)
        }
        Step::Softmax(step) => format!(
            "{} {}",
            if step.log { "log softmax" } else { "softmax" },
            shape(&step.input)
        ),
        Step::ArgReduce(step) => format!(
            "{} {}",
            if step.min { "argmin" } else { "argmax" },
            shape(&step.input)
        ),
        Step::Gather(step) => format!("gather {} -> {}", shape(&step.input), shape(&step.output)),
        Step::OneHot(step) => format!("one-hot {}", shape(&step.output)),
        Step::Random(step) => format!("random {}", shape(&step.output)),
        Step::Host(step) => format!("host {}", step.name),
        Step::Chain(step) => {
            let first = step.slices.first().into_iter().flatten();
            let steps: Vec<String> = first.map(|s| describe(plan, s)).collect();
            format!("{} slices of {}", step.slices.len(), steps.join(" | "))
        }
    }
}

/// How it is multiplied and summed, if anything special is asked for.
fn products(arithmetic: Arithmetic, geometry: &ConvGeometry) -> &'static str {
    match arithmetic {
        Arithmetic::Bf16 => " in bf16",
        _ if geometry.direct => " by direct sums",
        _ => "",
    }
}
