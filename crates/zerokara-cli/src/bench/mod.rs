//! `zerokara bench`

mod clients;
mod layers;
mod scaling;
mod startup;
mod workload;

use crate::{
    options,
    output::{self, Outcome},
};
use clap::Args;
use serde_json::{Value, json};
use workload::{Network, Workload};
use zerokara_core::{Arithmetic, Runtime, StepTimes};
use zerokara_kernels::{
    peak,
    threads::{MOST_THREADS, Pool},
};
use zerokara_nn::models;
use zerokara_train::{
    language::Words,
    report::{
        numbers::{rate, significant},
        terminal::Align,
    },
};

/// Measure how many images per second this machine trains or answers for.
///
/// Each step takes a mini-batch, gathered by chance from 6,000 random images, through forward pass, loss, backward pass
/// and update (SGD for two-layer-net and multi-layer-net, Adam for the others), or with --infer through the forward pass
/// alone. The figure is the median over chunks of a quarter of a second.
///
/// MFLOP/image counts the operations of products and convolutions, two for a multiplication with its addition. Of peak:
/// their share of what the CPU reaches when it does nothing else; kernels that save multiplications may exceed it.
/// kB/image is what the kernels read and write, caches included. A layer far from the peak whose GB/s are high waits for
/// memory.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// two-layer-net, multi-layer-net, simple-convnet, deep-convnet, lenet5, resnet20, or all
    #[arg(long, default_value = "all", value_parser = model_name)]
    model: String,
    /// Measure inference instead of training
    #[arg(long)]
    infer: bool,
    /// Images in a step
    #[arg(
        long,
        value_name = "N",
        default_value = "100",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_IN_A_BATCH }>
    )]
    batch_size: usize,
    /// How convolutions multiply and sum: f32; direct, by direct sums alone; or bf16, which needs a CPU with AVX512-BF16
    #[arg(
        long,
        value_name = "NAME",
        default_value = "f32",
        value_parser = options::precision,
        conflicts_with_all = ["scaling", "startup"]
    )]
    precision: Arithmetic,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
    /// Seconds to measure each model for [default: 5, with --scaling 0.5]
    #[arg(long, value_name = "S", allow_hyphen_values = true, value_parser = options::seconds)]
    seconds: Option<f64>,
    /// Show each layer, forward and backward: time, share of the peak, memory traffic
    #[arg(long, conflicts_with_all = ["scaling", "startup"])]
    layers: bool,
    /// Show each kernel of a step: time, share of the peak, memory traffic
    #[arg(long, conflicts_with_all = ["layers", "scaling", "startup"])]
    steps: bool,
    /// Train with batches of 1 to 4096 images, and networks of 1 to 50 layers: how does the cost grow?
    #[arg(long, conflicts_with_all = ["startup", "infer", "batch_size"])]
    scaling: bool,
    /// Predict from so many threads at once: with one model, and with a model for each
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = options::count::<{ clients::MOST_CLIENTS }>,
        conflicts_with_all = ["layers", "steps", "scaling", "startup"]
    )]
    clients: Option<usize>,
    /// Measure the time from the start of the program to the end of the first step of training on MNIST
    #[arg(long)]
    startup: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara bench
  zerokara bench --model simple-convnet --layers
  zerokara bench --model two-layer-net --steps
  zerokara bench --model deep-convnet --infer --batch-size 1 --threads 1 --json
  zerokara bench --model all --scaling
  zerokara bench --model simple-convnet --clients 8 --batch-size 1
  zerokara bench --model simple-convnet --startup";

fn model_name(text: &str) -> Result<String, String> {
    match text {
        "all" => Ok(text.into()),
        _ => options::model_name(text).map_err(|known| format!("{known}, and all")),
    }
}

/// What was measured of one model.
struct Measured {
    model: String,
    images_per_second: f64,
    flops_per_image: f64,
    bytes_per_image: f64,
    peak_share: f64,
    peak_rss_bytes: Option<u64>,
}

/// The machine as it runs: its threads, and what they reach together in GFLOP/s.
struct Machine {
    threads: usize,
    peak: f64,
    isa: &'static str,
}

impl Machine {
    fn here() -> Outcome<Self> {
        let runtime = Runtime::current()?;
        // The pool of the runtime is its own; one like it measures what the machine could do.
        let pool = Pool::new(runtime.threads());
        Ok(Self {
            threads: runtime.threads(),
            peak: 2e-9 * peak::multiply_adds_per_second(runtime.isa(), &pool),
            isa: runtime.isa().name(),
        })
    }

    /// The machine in words, and how it is used.
    fn told(&self, options: &Options, words: Words) -> String {
        let threads = match self.threads {
            1 => words.say("1 thread"),
            threads => words.fill("{} threads", &[&threads]),
        };
        let peak = significant(self.peak, 3);
        let machine = words.fill("{}, {}: {} GFLOP/s at best", &[&threads, &self.isa, &peak]);
        let batches = options.batch_size;
        match mode(options) {
            _ if options.scaling => machine,
            "infer" => words.fill("{}; batches of {}, infer", &[&machine, &batches]),
            _ => words.fill("{}; batches of {}, train", &[&machine, &batches]),
        }
    }

    /// The share of the peak that so many operations in so many seconds are.
    fn share(&self, flops: f64, seconds: f64) -> f64 {
        match self.peak > 0.0 && seconds > 0.0 {
            true => flops * 1e-9 / seconds / self.peak,
            false => 0.0,
        }
    }
}

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(options.threads, false, words)?;
    if options.startup {
        return startup::run(options, words);
    }
    let machine = Machine::here()?;
    if !options.json {
        output::print(&format!("{}\n", machine.told(options, words)))?;
    }
    if options.scaling {
        return scaling::run(options, &machine, words);
    }
    if let Some(clients) = options.clients {
        return clients::run(options, clients, &machine, words);
    }
    let mut rows = Vec::new();
    for model in chosen(options) {
        forget_peak_memory();
        let network = Network::named(model)?;
        let mut workload = Workload::new(
            &network,
            options.infer,
            options.batch_size,
            options.precision,
        )?;
        let measured = measure(model, &mut workload, options, &machine)?;
        if options.json {
            output::print(&line(&measured, options, machine.threads))?;
        }
        if options.layers {
            let layers = network.layers()?;
            layers::print(&layers, &mut workload, &measured, options, &machine, words)?;
        } else if options.steps {
            layers::print_steps(&mut workload, &measured, options, &machine, words)?;
        } else {
            rows.push(row(&measured));
        }
    }
    if options.json || options.layers || options.steps {
        return Ok(());
    }
    let columns = [
        ("model", Align::Left),
        ("images/s", Align::Right),
        ("MFLOP/image", Align::Right),
        ("GFLOP/s", Align::Right),
        ("of peak", Align::Right),
        ("kB/image", Align::Right),
        ("GB/s", Align::Right),
        ("memory", Align::Right),
    ];
    output::print(output::table(&columns, &rows, words).trim_end())
}

/// The models that were asked for.
fn chosen(options: &Options) -> impl Iterator<Item = &'static str> {
    let all = options.model == "all";
    models::NAMES
        .into_iter()
        .filter(move |&model| all || options.model == model)
}

fn mode(options: &Options) -> &'static str {
    match options.infer || options.clients.is_some() {
        true => "infer",
        false => "train",
    }
}

/// A JSON object on one line, its names in this order.
fn object(members: &[(&str, Value)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}

fn line(measured: &Measured, options: &Options, threads: usize) -> String {
    object(&[
        ("model", json!(measured.model)),
        ("mode", json!(mode(options))),
        ("batch_size", json!(options.batch_size)),
        ("threads", json!(threads)),
        ("images_per_second", json!(measured.images_per_second)),
        ("gflop_per_image", json!(measured.flops_per_image * 1e-9)),
        ("bytes_per_image", json!(measured.bytes_per_image)),
        ("peak_share", json!(measured.peak_share)),
        ("peak_rss_bytes", json!(measured.peak_rss_bytes)),
    ])
}

fn row(measured: &Measured) -> Vec<String> {
    let per_second = |each: f64| significant(each * measured.images_per_second * 1e-9, 3);
    vec![
        measured.model.clone(),
        rate(measured.images_per_second),
        significant(measured.flops_per_image * 1e-6, 3),
        per_second(measured.flops_per_image),
        format!("{:.1} %", measured.peak_share * 100.0),
        significant(measured.bytes_per_image * 1e-3, 3),
        per_second(measured.bytes_per_image),
        match measured.peak_rss_bytes {
            Some(bytes) => format!("{:.0} MB", bytes as f64 / 1e6),
            None => "-".into(),
        },
    ]
}

fn measure(
    model: &str,
    workload: &mut Workload,
    options: &Options,
    machine: &Machine,
) -> Outcome<Measured> {
    let images_per_second = workload.rate(options.seconds.unwrap_or(5.0))?;
    let peak_rss_bytes = zerokara_train::system::peak_memory();
    let (flops, bytes) = work(&workload.step_times()?);
    let images = options.batch_size as f64;
    Ok(Measured {
        model: model.into(),
        images_per_second,
        flops_per_image: flops / images,
        bytes_per_image: bytes / images,
        peak_share: machine.share(flops / images * images_per_second, 1.0),
        peak_rss_bytes,
    })
}

/// Operations and bytes of a step.
fn work(steps: &StepTimes) -> (f64, f64) {
    let flops: u64 = steps.iter().map(|step| step.flops).sum();
    let bytes: u64 = steps.iter().map(|step| step.bytes).sum();
    (flops as f64, bytes as f64)
}

/// Makes the peak of memory begin anew at what is held now, where the system can, so that models measured one after
/// another do not count each other's.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
