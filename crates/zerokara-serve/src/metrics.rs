//! What is counted, as Prometheus reads it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Upper bounds of the sizes of batches that are told apart.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0];
/// Upper bounds of the seconds that are told apart.
const SECONDS: [f64; 11] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0,
];

/// How often values were up to each bound, and their sum.
struct Histogram {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    /// In thousandths of a thousandth, so that it can be added to.
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    fn add(&self, value: f64) {
        let at = self.bounds.partition_point(|&bound| bound < value);
        self.counts[at].fetch_add(1, Relaxed);
        self.sum.fetch_add((value * 1e6).round() as u64, Relaxed);
    }

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut count = 0;
        let bounds = self.bounds.iter().map(f64::to_string);
        for (bound, counted) in bounds.chain(["+Inf".into()]).zip(&self.counts) {
            count += counted.load(Relaxed);
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = writeln!(
                out,
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"
            );
        }
        let sum = self.sum.load(Relaxed) as f64 / 1e6;
        let set = braced(labels);
        let _ = writeln!(out, "{name}_sum{set} {sum}\n{name}_count{set} {count}");
    }
}

fn braced(labels: &str) -> String {
    match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    }
}

/// What is counted of a server.
pub(crate) struct Metrics {
    /// Requests by the status of their answers.
    requests: Mutex<BTreeMap<u16, u64>>,
    seconds: Histogram,
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            requests: Mutex::default(),
            seconds: Histogram::new(&SECONDS),
        }
    }

    /// A request was answered with this status.
    pub fn answered(&self, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(status).or_default() += 1;
    }

    /// A prediction was answered so long after its head had come.
    pub fn predicted(&self, after: Duration) {
        self.seconds.add(after.as_secs_f64());
    }
}

/// What is counted of a model.
pub(crate) struct ModelMetrics {
    batches: Histogram,
    loads: AtomicU64,
    failures: AtomicU64,
}

impl ModelMetrics {
    /// Of a model that was loaded.
    pub fn new() -> Self {
        Self {
            batches: Histogram::new(&SIZES),
            loads: AtomicU64::new(1),
            failures: AtomicU64::new(0),
        }
    }

    /// So many samples were computed together.
    pub fn batch(&self, samples: usize) {
        self.batches.add(samples as f64);
    }

    /// The model's file changed, and was loaded or could not be.
    pub fn load(&self, is_loaded: bool) {
        let counter = if is_loaded {
            &self.loads
        } else {
            &self.failures
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// A model by its name, what is counted of it, and how many samples wait for it.
pub(crate) type Line<'a> = (&'a str, &'a ModelMetrics, usize);

/// The text that `/metrics` gives. Models' names need no escaping.
pub(crate) fn text(metrics: &Metrics, models: &[Line]) -> String {
    let mut out = String::new();
    let head = |out: &mut String, name: &str, kind: &str, help: &str| {
        let _ = writeln!(
            out,
            "# HELP zerokara_{name} {help}\n# TYPE zerokara_{name} {kind}"
        );
    };
    let help = "Requests by the status of their answers.";
    head(&mut out, "requests_total", "counter", help);
    let requests = metrics
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for (status, count) in &*requests {
        let _ = writeln!(
            out,
            "zerokara_requests_total{{status=\"{status}\"}} {count}"
        );
    }
    drop(requests);
    let help = "Seconds from the head of a prediction's request to its answer.";
    head(&mut out, "request_seconds", "histogram", help);
    metrics
        .seconds
        .write(&mut out, "zerokara_request_seconds", "");
    let help = "Samples that wait for the model.";
    head(&mut out, "queue_length", "gauge", help);
    for (name, _, waiting) in models {
        let _ = writeln!(out, "zerokara_queue_length{{model=\"{name}\"}} {waiting}");
    }
    let help = "Samples that were computed together.";
    head(&mut out, "batch_size", "histogram", help);
    for (name, model, _) in models {
        let labels = format!("model=\"{name}\"");
        model
            .batches
            .write(&mut out, "zerokara_batch_size", &labels);
    }
    let help = "How often the model's file was loaded, or could not be.";
    head(&mut out, "model_loads_total", "counter", help);
    for (name, model, _) in models {
        for (result, counter) in [("ok", &model.loads), ("failed", &model.failures)] {
            let count = counter.load(Relaxed);
            let _ = writeln!(
                out,
                "zerokara_model_loads_total{{model=\"{name}\",result=\"{result}\"}} {count}"
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let histogram = Histogram::new(&SIZES);
        for value in [1.0, 2.0, 3.0, 32.0, 5000.0] {
            histogram.add(value);
        }
        let mut out = String::new();
        histogram.write(&mut out, "n", "model=\"m\"");
        for line in [
            "n_bucket{model=\"m\",le=\"1\"} 1",
            "n_bucket{model=\"m\",le=\"2\"} 2",
            "n_bucket{model=\"m\",le=\"4\"} 3",
            "n_bucket{model=\"m\",le=\"32\"} 4",
            "n_bucket{model=\"m\",le=\"+Inf\"} 5",
            "n_sum{model=\"m\"} 5038",
            "n_count{model=\"m\"} 5",
        ] {
            assert!(out.lines().any(|found| found == line), "{line} in\n{out}");
        }
    }
}
