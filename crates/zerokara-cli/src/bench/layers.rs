//! `--layers` and `--steps`: where the time of a training step goes.

use super::{
    Machine, Measured, Options, mode, object,
    workload::{Network, Workload},
};
use crate::output::{self, Outcome};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use zerokara_core::{Label, StepTimes, scope::Phase};
use zerokara_train::report::{
    numbers::{rate, significant},
    terminal::{Align, table},
};

/// Steps that are timed; for each kernel the median counts.
const RUNS: usize = 15;

/// What the kernels of a layer in a pass take together.
#[derive(Clone, Copy, Default)]
struct Cost {
    seconds: f64,
    flops: f64,
    bytes: f64,
}

impl Cost {
    fn add(&mut self, seconds: f64, flops: u64, bytes: u64) {
        self.seconds += seconds;
        self.flops += flops as f64;
        self.bytes += bytes as f64;
    }
}

/// A layer's cost, forward and backward.
struct Layer {
    name: Arc<str>,
    passes: [Cost; 2],
}

pub fn print(
    network: &Network,
    workload: &mut Workload,
    measured: &Measured,
    options: &Options,
    machine: &Machine,
) -> Outcome {
    let steps = median_times(workload)?;
    let layers = layers(network, &steps)?;
    if options.json {
        for layer in &layers {
            for (pass, cost) in ["forward", "backward"].into_iter().zip(layer.passes) {
                if cost.seconds > 0.0 {
                    let what = [("layer", json!(*layer.name)), ("pass", json!(pass))];
                    print_line(&what, &cost, measured, options, machine)?;
                }
            }
        }
        return Ok(());
    }
    let mut total = Layer {
        name: "total".into(),
        passes: [Cost::default(); 2],
    };
    for layer in &layers {
        for (sum, cost) in total.passes.iter_mut().zip(layer.passes) {
            sum.seconds += cost.seconds;
            sum.flops += cost.flops;
            sum.bytes += cost.bytes;
        }
    }
    let one = |title| (title, Align::Right);
    let mut columns = vec![("layer", Align::Left)];
    let titles = ["forward µs", "MFLOP", "of peak", "GB/s", "backward µs"];
    columns.extend(titles.map(one));
    columns.extend(["MFLOP", "of peak", "GB/s"].map(one));
    let shown = if options.infer { 1 } else { 2 };
    let rows: Vec<Vec<String>> = layers
        .iter()
        .chain([&total])
        .map(|layer| {
            let passes = layer.passes.iter().take(shown);
            let cells = passes.flat_map(|cost| cells(cost, machine));
            [layer.name.to_string()].into_iter().chain(cells).collect()
        })
        .collect();
    columns.truncate(1 + 4 * shown);
    output::print(&format!(
        "{}\n{}",
        headline(measured, options, &steps),
        table(&columns, &rows)
    ))
}

fn cells(cost: &Cost, machine: &Machine) -> [String; 4] {
    if cost.seconds == 0.0 {
        return [const { String::new() }; 4];
    }
    let share = machine.share(cost.flops, cost.seconds) * 100.0;
    [
        significant(cost.seconds * 1e6, 3),
        match cost.flops > 0.0 {
            true => significant(cost.flops * 1e-6, 3),
            false => String::new(),
        },
        match cost.flops > 0.0 {
            true => format!("{share:.0} %"),
            false => String::new(),
        },
        significant(cost.bytes * 1e-9 / cost.seconds, 3),
    ]
}

/// `--steps`: each kernel, in the order in which they run.
pub fn print_steps(
    workload: &mut Workload,
    measured: &Measured,
    options: &Options,
    machine: &Machine,
) -> Outcome {
    let steps = median_times(workload)?;
    let costs = steps.iter().map(|step| {
        let mut cost = Cost::default();
        cost.add(step.duration.as_secs_f64(), step.flops, step.bytes);
        cost
    });
    if options.json {
        for (step, cost) in steps.iter().zip(costs) {
            let what = [
                ("kernel", json!(step.kernel)),
                ("operation", json!(step.label.op)),
                ("layer", json!(step.label.layer.as_deref())),
            ];
            print_line(&what, &cost, measured, options, machine)?;
        }
        return Ok(());
    }
    let columns = [
        ("µs", Align::Right),
        ("MFLOP", Align::Right),
        ("of peak", Align::Right),
        ("GB/s", Align::Right),
        ("layer", Align::Left),
        ("operation", Align::Left),
        ("kernel", Align::Left),
    ];
    let rows: Vec<Vec<String>> = steps
        .iter()
        .zip(costs)
        .map(|(step, cost)| {
            // Kernels last, since they may be longer than a line.
            let what = [
                step.label.layer.as_deref().unwrap_or_default().to_string(),
                step.label.op.to_string(),
                step.kernel.clone(),
            ];
            cells(&cost, machine).into_iter().chain(what).collect()
        })
        .collect();
    output::print(&format!(
        "{}\n{}",
        headline(measured, options, &steps),
        table(&columns, &rows)
    ))
}

/// A JSON object of what something costs.
fn print_line(
    what: &[(&str, Value)],
    cost: &Cost,
    measured: &Measured,
    options: &Options,
    machine: &Machine,
) -> Outcome {
    let run = [
        ("model", json!(measured.model)),
        ("mode", json!(mode(options))),
        ("batch_size", json!(options.batch_size)),
    ];
    let costs = [
        ("microseconds", json!(cost.seconds * 1e6)),
        ("flops", json!(cost.flops)),
        ("bytes", json!(cost.bytes)),
        ("peak_share", json!(machine.share(cost.flops, cost.seconds))),
    ];
    output::print(&object(&[&run, what, &costs].concat()))
}

/// The speed of whole steps, beside the sum of their kernels one by one.
fn headline(measured: &Measured, options: &Options, steps: &StepTimes) -> String {
    let step = options.batch_size as f64 / measured.images_per_second;
    let kernels: Duration = steps.iter().map(|step| step.duration).sum();
    format!(
        "{}: {} images/s, {} µs a step; kernels one by one {} µs",
        measured.model,
        rate(measured.images_per_second),
        significant(step * 1e6, 3),
        significant(kernels.as_secs_f64() * 1e6, 3),
    )
}

/// The kernels of a step; each with its median time of several runs.
fn median_times(workload: &mut Workload) -> Outcome<StepTimes> {
    let mut runs: Vec<StepTimes> = Vec::new();
    for _ in 0..RUNS {
        runs.push(workload.step_times()?);
    }
    let mut steps = runs.pop().expect("there is at least one run");
    for (at, step) in steps.iter_mut().enumerate() {
        let mut times = vec![step.duration];
        times.extend(runs.iter().map(|run| run[at].duration));
        times.sort_unstable();
        step.duration = times[RUNS / 2];
    }
    Ok(steps)
}

/// The layers in the order in which they are applied; what stands outside of them last.
fn layers(network: &Network, steps: &StepTimes) -> Outcome<Vec<Layer>> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut update = Cost::default();
    let mut outside = [Cost::default(); 2];
    for step in steps {
        let Label { layer, phase, .. } = &step.label;
        let cost = match (layer, phase) {
            (_, Phase::Update) => &mut update,
            (None, Phase::Forward) => &mut outside[0],
            (None, Phase::Backward) => &mut outside[1],
            (Some(layer), phase) => {
                let known = layers.iter().position(|known| known.name == *layer);
                let known = known.unwrap_or_else(|| {
                    let passes = [Cost::default(); 2];
                    let name = layer.clone();
                    layers.push(Layer { name, passes });
                    layers.len() - 1
                });
                &mut layers[known].passes[usize::from(*phase == Phase::Backward)]
            }
        };
        cost.add(step.duration.as_secs_f64(), step.flops, step.bytes);
    }
    let order = network.layers()?;
    let place = |layer: &Layer| order.iter().position(|path| **path == *layer.name);
    layers.sort_by_key(|layer| place(layer).unwrap_or(usize::MAX));
    let rest = [
        ("loss", outside),
        ("norm and update", [Cost::default(), update]),
    ];
    for (name, passes) in rest {
        if passes.iter().any(|cost| cost.seconds > 0.0) {
            let name = name.into();
            layers.push(Layer { name, passes });
        }
    }
    Ok(layers)
}
