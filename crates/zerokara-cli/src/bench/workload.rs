//! What is measured: models, optimizers, random mini-batches.

use crate::output::{Failure, Outcome};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use zerokara_core::{Arithmetic, Array, DType, Meta, Runtime, StepTimes};
use zerokara_data::{Loader, Split};
use zerokara_nn::{
    Adam, Conv2d, Forward, Optimizer, Predictor, Sequential, Sgd, SoftmaxCrossEntropy, Summary,
    TrainStep,
    models::{self, MultiLayerNet},
};

/// Images that batches are gathered from.
const IMAGES: usize = 6000;
const CLASSES: usize = 10;
const CHUNK: f64 = 0.25;

/// A network, the shape of its images, and how it is trained.
pub struct Network {
    pub name: String,
    module: Arc<dyn Forward>,
    pub shape: [usize; 3],
    optimizer: Arc<dyn Optimizer>,
}

impl Network {
    /// The ready-made network of this name, as the comparison has it.
    pub fn named(name: &str) -> Outcome<Self> {
        let module: Arc<dyn Forward> = match name {
            // Chapter 6's extended network: with batch normalization and dropout.
            "multi-layer-net" => Arc::new(
                MultiLayerNet::new(&[100; 5], CLASSES)
                    .batch_norm(true)
                    .dropout(0.5)
                    .layers(),
            ),
            _ => models::by_name(name, CLASSES)
                .ok_or_else(|| Failure::new(format!("there is no model {name}")))?
                .into(),
        };
        Self::of(name, module, name == "resnet20")
    }

    /// As many hidden layers of 100 neurons with ReLU.
    pub fn deep_linear(layers: usize) -> Outcome<Self> {
        let module = MultiLayerNet::new(&vec![100; layers], CLASSES).layers();
        Self::of("linear 100", Arc::new(module), false)
    }

    /// As many convolutions 3x3 of 16 filters with ReLU, on images of 28x28.
    pub fn deep_conv(layers: usize) -> Outcome<Self> {
        let mut module = Sequential::new();
        for _ in 0..layers {
            module = module.add(Conv2d::new(16, 3).padding(1)).relu();
        }
        let module = module.global_avg_pool2d().linear(CLASSES);
        Self::of("conv 3x3, 16", Arc::new(module), false)
    }

    /// The fewest images that it can be trained on together: batch normalization of rows takes two.
    pub fn least_batch(&self) -> Outcome<usize> {
        let sample = Meta::new([&[1], &self.shape[..]].concat(), DType::F32);
        Ok(self.module.least_batch(&sample)?)
    }

    /// What answers with the network.
    pub fn predictor(&self, arithmetic: Arithmetic) -> Outcome<Predictor> {
        Ok(Predictor::new(self.module.clone())?.precision(arithmetic)?)
    }

    /// The paths of the layers, in the order in which they are applied.
    pub fn layers(&self) -> Outcome<Vec<String>> {
        let least = self.least_batch()?;
        let sample = Meta::new([&[least], &self.shape[..]].concat(), DType::F32);
        let summary = Summary::of(&*self.module, &sample)?;
        Ok(summary.rows.into_iter().map(|row| row.path).collect())
    }

    fn of(name: &str, module: Arc<dyn Forward>, colour: bool) -> Outcome<Self> {
        let shape = if colour { [3, 32, 32] } else { [1, 28, 28] };
        module.build(&Meta::new([&[1], &shape[..]].concat(), DType::F32), 0)?;
        let optimizer: Arc<dyn Optimizer> = match name {
            "two-layer-net" | "multi-layer-net" | "linear 100" => Arc::new(Sgd::new(0.1)),
            _ => Arc::new(Adam::new(1e-3)),
        };
        Ok(Self {
            name: name.into(),
            module,
            shape,
            optimizer,
        })
    }
}

enum Engine {
    Train(Box<TrainStep>, f64),
    Infer(Predictor),
}

/// Steps of a network on mini-batches.
pub struct Workload {
    engine: Engine,
    feed: Feed,
    batch_size: usize,
}

impl Workload {
    pub fn new(
        network: &Network,
        infer: bool,
        batch_size: usize,
        arithmetic: Arithmetic,
    ) -> Outcome<Self> {
        let module = network.module.clone();
        let engine = match infer {
            true => Engine::Infer(network.predictor(arithmetic)?),
            false => {
                let loss = Arc::new(SoftmaxCrossEntropy::new());
                let step = TrainStep::new(module, loss, network.optimizer.clone())?;
                let step = step.precision(arithmetic)?;
                Engine::Train(Box::new(step), network.optimizer.learning_rate())
            }
        };
        Ok(Self {
            engine,
            feed: Feed::new(&network.shape, batch_size)?,
            batch_size,
        })
    }

    pub fn step(&mut self) -> Outcome {
        let (x, t) = self.feed.next()?;
        match &mut self.engine {
            Engine::Train(step, rate) => drop(step.step(&x, &t, *rate)?),
            Engine::Infer(predictor) => drop(predictor.predict(&x)?),
        }
        Ok(())
    }

    /// A step, kernel by kernel.
    pub fn step_times(&mut self) -> Outcome<StepTimes> {
        let (x, t) = self.feed.next()?;
        Ok(match &mut self.engine {
            Engine::Train(step, rate) => step.step_timed(&x, &t, *rate)?.1,
            Engine::Infer(predictor) => predictor.step_times(&x)?,
        })
    }

    /// Images per second, the median over chunks of a quarter second.
    pub fn rate(&mut self, seconds: f64) -> Outcome<f64> {
        // Ten steps, or as many as fit into a tenth of a second: the first compiles.
        self.step()?;
        let start = Instant::now();
        let mut warm = 0;
        while warm < 1 || warm < 10 && start.elapsed().as_secs_f64() < 0.1 {
            self.step()?;
            warm += 1;
        }
        let one = (start.elapsed().as_secs_f64() / f64::from(warm)).max(1e-9);
        let chunk = CHUNK.min(seconds / 3.0);
        let steps = ((chunk / one) as usize).max(1);
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut rates = Vec::new();
        while rates.is_empty() || Instant::now() < end {
            let start = Instant::now();
            for _ in 0..steps {
                self.step()?;
            }
            let images = (steps * self.batch_size) as f64;
            rates.push(images / start.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        Ok(rates[rates.len() / 2])
    }
}

/// Mini-batches of random images.
pub struct Feed {
    runtime: Arc<Runtime>,
    loader: Loader,
    random: u64,
    indices: Vec<usize>,
    buffers: [(Array, Array); 2],
    next: usize,
}

impl Feed {
    pub fn new(shape: &[usize; 3], batch_size: usize) -> Outcome<Self> {
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
        let buffers = || -> Outcome<_> { Ok((Array::try_zeros(&x)?, Array::try_zeros(&t)?)) };
        Ok(Self {
            runtime: Runtime::current()?,
            loader: Loader::new(&split, 1)?,
            random,
            indices: vec![0; batch_size],
            buffers: [buffers()?, buffers()?],
            next: 0,
        })
    }

    pub fn next(&mut self) -> Outcome<(Array, Array)> {
        for index in &mut self.indices {
            *index = (draw(&mut self.random) % IMAGES as u64) as usize;
        }
        // Two buffers take turns: a step keeps its inputs until the next.
        self.next = 1 - self.next;
        let (x, t) = &mut self.buffers[self.next];
        let (images, labels) = (x.as_mut_slice::<f32>()?, t.as_mut_slice::<i64>()?);
        let runtime = &self.runtime;
        self.loader
            .gather_parallel(&self.indices, images, labels, &|units, work| {
                runtime.parallel(units, work)
            })?;
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
