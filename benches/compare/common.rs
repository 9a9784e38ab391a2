//! What the programs for Rust peers share: options, random images, the measurement, the line of JSON.
//!
//! `NET --batch N --seconds S [--infer]`; the number of threads is for the environment to say.

use std::time::Instant;

/// Images that batches are gathered from.
const IMAGES: usize = 6000;
pub const CLASSES: usize = 10;
const CHUNK: f64 = 0.25;

pub struct Options {
    pub net: String,
    pub batch: usize,
    pub seconds: f64,
    pub infer: bool,
}

impl Options {
    pub fn read() -> Self {
        let mut options = Self {
            net: String::new(),
            batch: 100,
            seconds: 5.0,
            infer: false,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || {
                args.next()
                    .and_then(|text| text.parse::<f64>().ok())
                    .expect("a number")
            };
            match arg.as_str() {
                "--batch" => options.batch = number() as usize,
                "--seconds" => options.seconds = number(),
                "--infer" => options.infer = true,
                _ => options.net = arg,
            }
        }
        options
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        if self.net == "resnet20" {
            [3, 32, 32]
        } else {
            [1, 28, 28]
        }
    }

    pub fn adam(&self) -> bool {
        !matches!(self.net.as_str(), "two-layer-net" | "multi-layer-net")
    }
}

/// Mini-batches of random images.
pub struct Feed {
    images: Vec<f32>,
    labels: Vec<u32>,
    size: usize,
    batch: usize,
    random: u64,
}

impl Feed {
    pub fn new(options: &Options) -> Self {
        let mut random = 1;
        let size = options.shape().iter().product();
        let images = (0..IMAGES * size)
            .map(|_| (draw(&mut random) >> 40) as f32 / (1u64 << 24) as f32)
            .collect();
        let labels = (0..IMAGES)
            .map(|_| (draw(&mut random) % CLASSES as u64) as u32)
            .collect();
        Self {
            images,
            labels,
            size,
            batch: options.batch,
            random,
        }
    }

    /// Images and labels of the next batch.
    pub fn next(&mut self) -> (Vec<f32>, Vec<u32>) {
        let mut x = Vec::with_capacity(self.batch * self.size);
        let mut t = Vec::with_capacity(self.batch);
        for _ in 0..self.batch {
            let i = (draw(&mut self.random) % IMAGES as u64) as usize;
            x.extend_from_slice(&self.images[i * self.size..][..self.size]);
            t.push(self.labels[i]);
        }
        (x, t)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Runs the step again and again, and prints images per second of each chunk of a quarter second.
pub fn measure(peer: &str, version: &str, options: &Options, mut step: impl FnMut()) {
    for _ in 0..10 {
        step();
    }
    let start = Instant::now();
    step();
    let one = start.elapsed().as_secs_f64().max(1e-9);
    let steps = ((CHUNK / one) as usize).max(1);
    let begin = Instant::now();
    let mut chunks = Vec::new();
    while chunks.is_empty() || begin.elapsed().as_secs_f64() < options.seconds {
        let start = Instant::now();
        for _ in 0..steps {
            step();
        }
        chunks.push((steps * options.batch) as f64 / start.elapsed().as_secs_f64());
    }
    println!(
        "{{\"peer\": \"{peer}\", \"version\": \"{version}\", \"chunks\": {chunks:?}, \"peak_rss_bytes\": {}}}",
        peak_memory().map_or("null".into(), |bytes| bytes.to_string()),
    );
}

/// The largest memory that this process has held, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
