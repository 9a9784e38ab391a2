//! `zerokara bench`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use zerokara_core::{Array, DType, Meta, Runtime};
use zerokara_data::{Loader, Normalization, Split};
use zerokara_kernels::{peak, threads::Pool};
use zerokara_nn::{
    Adam, Forward, Optimizer, Predictor, Sgd, SoftmaxCrossEntropy, TrainStep,
    models::{self, MultiLayerNet},
};
use zerokara_train::{
    ModelInfo, SavedModel,
    report::{
        numbers::{rate, significant},
        terminal::{Align, table},
    },
};

/// Measure how many images per second this machine trains or answers for.
///
/// Each step takes a mini-batch, gathered by chance from 6,000 random images, through forward pass, loss, backward pass
/// and update (SGD for two-layer-net and multi-layer-net, Adam for the others), or with --infer through the forward pass
/// alone. The figure is the median over chunks of a quarter of a second.
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
    #[arg(long, value_name = "N", default_value = "100", value_parser = options::at_least_one)]
    batch_size: usize,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = options::at_least_one)]
    threads: Option<usize>,
    /// Seconds to measure each model for
    #[arg(long, value_name = "S", default_value = "5", value_parser = options::positive)]
    seconds: f64,
    /// Print one JSON object a line and model
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara bench
  zerokara bench --model simple-convnet --seconds 10
  zerokara bench --model deep-convnet --infer --batch-size 1 --threads 1 --json";

/// Images that batches are gathered from.
const IMAGES: usize = 6000;
const CLASSES: usize = 10;
const CHUNK: f64 = 0.25;

fn model_name(text: &str) -> Result<String, String> {
    match text {
        "all" => Ok(text.into()),
        _ => options::model_name(text).map_err(|known| format!("{known}, and all")),
    }
}

/// What was measured of one model.
struct Measured {
    model: &'static str,
    images_per_second: f64,
    gflop_per_image: f64,
    peak_share: f64,
    peak_rss_bytes: Option<u64>,
}

pub fn run(options: &Options) -> Outcome {
    options::use_threads(options.threads)?;
    let runtime = Runtime::current()?;
    // The pool of the runtime is its own; one like it measures what the machine could do.
    let pool = Pool::new(runtime.threads());
    let peak = 2e-9 * peak::multiply_adds_per_second(runtime.isa(), &pool);
    drop(pool);
    if !options.json {
        output::print(&format!(
            "{}, {}: {} GFLOP/s at best; batches of {}, {}\n",
            count(runtime.threads(), "thread"),
            runtime.isa().name(),
            significant(peak, 3),
            options.batch_size,
            mode(options),
        ))?;
    }
    let mut rows = Vec::new();
    for model in models::NAMES {
        if options.model != "all" && options.model != model {
            continue;
        }
        forget_peak_memory();
        let measured = measure(model, options, peak)?;
        if options.json {
            output::print(&line(&measured, options, runtime.threads()))?;
        } else {
            rows.push(row(&measured));
        }
    }
    if options.json {
        return Ok(());
    }
    let columns = [
        ("model", Align::Left),
        ("images/s", Align::Right),
        ("MFLOP/image", Align::Right),
        ("GFLOP/s", Align::Right),
        ("of peak", Align::Right),
        ("peak memory", Align::Right),
    ];
    output::print(table(&columns, &rows).trim_end())
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn mode(options: &Options) -> &'static str {
    match options.infer {
        true => "infer",
        false => "train",
    }
}

/// One JSON object, its names in the order of the documentation.
fn line(measured: &Measured, options: &Options, threads: usize) -> String {
    let values = [
        ("model", json!(measured.model)),
        ("mode", json!(mode(options))),
        ("batch_size", json!(options.batch_size)),
        ("threads", json!(threads)),
        ("images_per_second", json!(measured.images_per_second)),
        ("gflop_per_image", json!(measured.gflop_per_image)),
        ("peak_share", json!(measured.peak_share)),
        ("peak_rss_bytes", json!(measured.peak_rss_bytes)),
    ];
    let members = values.map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{{}}}", members.join(", "))
}

fn row(measured: &Measured) -> Vec<String> {
    vec![
        measured.model.to_string(),
        rate(measured.images_per_second),
        significant(measured.gflop_per_image * 1e3, 3),
        significant(measured.gflop_per_image * measured.images_per_second, 3),
        format!("{:.1} %", measured.peak_share * 100.0),
        match measured.peak_rss_bytes {
            Some(bytes) => format!("{:.0} MB", bytes as f64 / 1e6),
            None => "-".into(),
        },
    ]
}

/// The model as the book's comparisons have it, and the shape of its images.
fn module(name: &str) -> Outcome<(Arc<dyn Forward>, [usize; 3])> {
    if name == "multi-layer-net" {
        // Chapter 6's extended network: with batch normalization and dropout.
        let layers = MultiLayerNet::new(&[100; 5], CLASSES)
            .batch_norm(true)
            .dropout(0.5)
            .layers();
        return Ok((Arc::new(layers), [1, 28, 28]));
    }
    let module = models::by_name(name, CLASSES)
        .ok_or_else(|| Failure::new(format!("there is no model {name}")))?;
    let shape = match name {
        "resnet20" => [3, 32, 32],
        _ => [1, 28, 28],
    };
    Ok((Arc::from(module), shape))
}

fn optimizer(name: &str) -> Arc<dyn Optimizer> {
    match name {
        "two-layer-net" | "multi-layer-net" => Arc::new(Sgd::new(0.1)),
        _ => Arc::new(Adam::new(1e-3)),
    }
}

fn measure(name: &'static str, options: &Options, peak: f64) -> Outcome<Measured> {
    let (module, shape) = module(name)?;
    let meta = Meta::new([1, shape[0], shape[1], shape[2]], DType::F32);
    module.build(&meta, 0)?;
    let mut feed = Feed::new(&shape, options.batch_size)?;
    let images_per_second = if options.infer {
        let mut predictor = Predictor::new(module.clone())?;
        chunks(options, || {
            let (x, _) = feed.next()?;
            predictor.predict(&x)?;
            Ok(())
        })?
    } else {
        let optimizer = optimizer(name);
        let rate = optimizer.learning_rate();
        let loss = Arc::new(SoftmaxCrossEntropy::new());
        let mut step = TrainStep::new(module.clone(), loss, optimizer)?;
        chunks(options, || {
            let (x, t) = feed.next()?;
            step.step(&x, &t, rate)?;
            Ok(())
        })?
    };
    let layers = SavedModel::new(
        module,
        ModelInfo {
            name: name.into(),
            dataset: String::new(),
            shape: shape.to_vec(),
            class_names: Vec::new(),
            normalization: Normalization::none(),
        },
    )
    .layers()?;
    let forward = layers.iter().map(|layer| layer.flops).sum::<u64>() as f64 * 1e-9;
    // The backward pass computes two products of the forward pass's size: for the weights and for the inputs. The first
    // layer needs none for its inputs.
    let first = layers
        .iter()
        .find(|layer| layer.flops > 0 && layer.parameters > 0);
    let first = first.map_or(0.0, |layer| layer.flops as f64 * 1e-9);
    let gflop_per_image = match options.infer {
        true => forward,
        false => 3.0 * forward - first,
    };
    Ok(Measured {
        model: name,
        images_per_second,
        gflop_per_image,
        peak_share: match peak > 0.0 {
            true => gflop_per_image * images_per_second / peak,
            false => 0.0,
        },
        peak_rss_bytes: peak_memory(),
    })
}

/// The median of the images per second over chunks of steps.
fn chunks(options: &Options, mut step: impl FnMut() -> Outcome) -> Outcome<f64> {
    for _ in 0..10 {
        step()?;
    }
    let start = Instant::now();
    step()?;
    let one = start.elapsed().as_secs_f64().max(1e-9);
    let steps = ((CHUNK / one) as usize).max(1);
    let end = Instant::now() + Duration::from_secs_f64(options.seconds.min(1e6));
    let mut rates = Vec::new();
    while rates.is_empty() || Instant::now() < end {
        let start = Instant::now();
        for _ in 0..steps {
            step()?;
        }
        let images = (steps * options.batch_size) as f64;
        rates.push(images / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}

/// Mini-batches of random images.
struct Feed {
    loader: Loader,
    random: u64,
    indices: Vec<usize>,
    buffers: [(Array, Array); 2],
    next: usize,
}

impl Feed {
    fn new(shape: &[usize; 3], batch_size: usize) -> Outcome<Self> {
        let mut random = 1;
        let values = IMAGES * shape.iter().product::<usize>();
        let images: Vec<f32> = (0..values)
            .map(|_| (draw(&mut random) >> 40) as f32 / (1u64 << 24) as f32)
            .collect();
        let labels: Vec<i64> = (0..IMAGES)
            .map(|_| (draw(&mut random) % CLASSES as u64) as i64)
            .collect();
        let split = Split::new(images, shape, labels)?;
        let x = Meta::new([&[batch_size], &shape[..]].concat(), DType::F32);
        let t = Meta::new([batch_size], DType::I64);
        let buffers = || (Array::zeros(&x), Array::zeros(&t));
        Ok(Self {
            loader: Loader::new(&split, 1)?,
            random,
            indices: vec![0; batch_size],
            buffers: [buffers(), buffers()],
            next: 0,
        })
    }

    fn next(&mut self) -> Outcome<(Array, Array)> {
        for index in &mut self.indices {
            *index = (draw(&mut self.random) % IMAGES as u64) as usize;
        }
        // Two buffers take turns: a step keeps its inputs until the next.
        self.next = 1 - self.next;
        let (x, t) = &mut self.buffers[self.next];
        self.loader
            .gather_indices(&self.indices, x.slice_mut::<f32>(), t.slice_mut::<i64>())?;
        Ok((x.clone(), t.clone()))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Makes the peak of memory begin anew at what is held now, where the system can, so that models measured one after
/// another do not count each other's.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The largest memory that this process has held, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
