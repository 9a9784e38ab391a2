//! `--layers` and `--steps`: where the time of a training step goes.

use super::{Machine, Measured, Options, mode, object, workload::Workload};
use crate::output::{self, Outcome};
use serde_json::{Value, json};
use std::time::Duration;
use zerokara_core::StepTimes;
use zerokara_train::{
    language::Words,
    profile::{Cost, LayerCost, by_layer},
    report::{
        numbers::{rate, significant},
        terminal::Align,
    },
};

/// Steps that are timed; for each kernel the median counts.
const RUNS: usize = 15;

/// `--layers`: each of these layers, and what is no layer.
pub fn print(
    layers: &[String],
    workload: &mut Workload,
    measured: &Measured,
    options: &Options,
    machine: &Machine,
    words: Words,
) -> Outcome {
    let steps = median_times(workload)?;
    let layers = by_layer(&steps, layers);
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
    let mut total = LayerCost {
        name: "total".into(),
        passes: [Cost::default(); 2],
    };
    for layer in &layers {
        for (sum, cost) in total.passes.iter_mut().zip(layer.passes) {
            sum.add(cost);
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
            let name = match &*layer.name {
                "loss" | "norm and update" | "total" => words.say(&layer.name),
                name => name.to_string(),
            };
            [name].into_iter().chain(cells).collect()
        })
        .collect();
    columns.truncate(1 + 4 * shown);
    output::print(&format!(
        "{}\n{}",
        headline(measured, options, &steps, words),
        output::table(&columns, &rows, words)
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
    words: Words,
) -> Outcome {
    let steps = median_times(workload)?;
    let costs = steps.iter().map(|step| Cost {
        seconds: step.duration.as_secs_f64(),
        flops: step.flops as f64,
        bytes: step.bytes as f64,
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
        headline(measured, options, &steps, words),
        output::table(&columns, &rows, words)
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
fn headline(measured: &Measured, options: &Options, steps: &StepTimes, words: Words) -> String {
    let step = options.batch_size as f64 / measured.images_per_second;
    let kernels: Duration = steps.iter().map(|step| step.duration).sum();
    words.fill(
        "{}: {} images/s, {} µs a step; kernels one by one {} µs",
        &[
            &measured.model,
            &rate(measured.images_per_second),
            &significant(step * 1e6, 3),
            &significant(kernels.as_secs_f64() * 1e6, 3),
        ],
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
