//! Plans as text, to be read and to be kept as snapshots.

use super::Label;
use std::fmt::Write;
use zerokara_kernels::{
    code::{Code, Instruction},
    plan::{
        Arithmetic, ConvGeometry, ConvPass, Layout, MapStep, OutputGradient, Part, Plan,
        ReduceStep, Reduction, Region, Role, Step, View,
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

/// `!` behind a shape: the buffer lies outside of the arena; `~`: it is a thread's own; `=`: it is prepared.
fn place(plan: &Plan, view: &View) -> &'static str {
    match plan.buffers[view.buffer].region {
        Region::Arena(_) => "",
        Region::Prepared(_) => "=",
        Region::External(_) => "!",
        Region::Local(_) => "~",
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
    match &step.epilogue {
        Some(epilogue) => format!("{head} then {}", map(plan, epilogue)),
        None => head,
    }
}

/// What a step computes, in a few words: its name, the operands that it reads and writes, and what runs behind it.
pub(crate) fn describe(plan: &Plan, step: &Step) -> String {
    let name = match step {
        Step::Map(step) => return format!("map {}", map(plan, step)),
        Step::Reduce(step) => return reduce(plan, step),
        Step::Chain(step) => {
            let first = step.slices.first().into_iter().flatten();
            let steps: Vec<String> = first.map(|s| describe(plan, s)).collect();
            return format!("{} slices of {}", step.slices.len(), steps.join(" | "));
        }
        Step::PackMatrix(_) => "pack matrix".into(),
        Step::Gemm(_) => "gemm".into(),
        Step::PackFilters(step) => {
            let products = products(step.arithmetic, &step.geometry);
            format!("pack filters {:?}{products}", step.pass)
        }
        Step::Conv(step) => {
            let products = products(step.arithmetic, &step.geometry);
            match step.pass {
                ConvPass::Forward => format!("conv{products}"),
                ConvPass::InputGradient => format!("conv input gradient{products}"),
            }
        }
        Step::ConvPool(step) if step.marks => "conv with pool, marked".into(),
        Step::ConvPool(_) => "conv with pool".into(),
        Step::ConvWeightGradient(step) => {
            let products = products(step.arithmetic, &step.geometry);
            match &step.output_gradient {
                OutputGradient::Stored(_) => format!("conv weight gradient{products}"),
                OutputGradient::Pooled(pooled) => {
                    let [height, width] = pooled.geometry.kernel;
                    format!("conv weight gradient{products} of windows {height}x{width}")
                }
            }
        }
        Step::Pool(step) => format!("pool {:?}", step.pooling),
        Step::PoolGradient(step) => format!("pool gradient {:?}", step.pooling),
        Step::Recurrent(step) => format!("{:?}", step.geometry.cell).to_lowercase(),
        Step::RecurrentGradient(step) => {
            format!("{:?} gradient", step.geometry.cell).to_lowercase()
        }
        Step::Attention(_) => "attention".into(),
        Step::AttentionGradient(_) => "attention gradient".into(),
        Step::Softmax(step) if step.log => "log softmax".into(),
        Step::Softmax(_) => "softmax".into(),
        Step::ArgReduce(step) if step.min => "argmin".into(),
        Step::ArgReduce(_) => "argmax".into(),
        Step::Gather(_) => "gather".into(),
        Step::OneHot(_) => "one-hot".into(),
        Step::Random(_) => "random".into(),
        Step::Host(step) => format!("host {}", step.name),
    };
    let mut text = name + &operands(step);
    if let Some(epilogue) = step.epilogue() {
        let _ = write!(text, " then {}", map(plan, epilogue));
    }
    if let Some(statistics) = step.statistics() {
        let _ = write!(text, " with {}", reduce(plan, statistics));
    }
    text
}

/// The shapes of what the step itself reads and writes.
fn operands(step: &Step) -> String {
    let mut text = String::new();
    let mut last = Role::Read;
    for operand in step.operands() {
        if operand.part != Part::Own {
            continue;
        }
        if operand.role != last {
            text.push_str(" ->");
            last = operand.role;
        }
        match operand.layout {
            Layout::Packed => text.push_str(" packed"),
            _ => {
                let numbers = operand.view.shape.iter().map(usize::to_string);
                let _ = write!(text, " [{}]", numbers.collect::<Vec<_>>().join(","));
            }
        }
    }
    text
}

/// How it is multiplied and summed, if anything special is asked for.
fn products(arithmetic: Arithmetic, geometry: &ConvGeometry) -> &'static str {
    match arithmetic {
        Arithmetic::Bf16 => " in bf16",
        _ if geometry.direct => " by direct sums",
        _ => "",
    }
}
