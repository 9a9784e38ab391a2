//! Writes a report of an invented run on real digits, to look at the page without training anything:
//! `cargo run -p zerokara-train --example sample_report -- report.html`, in Japanese where `LANG` is.

use zerokara_figures::Bars;
use zerokara_train::atomic;
use zerokara_train::language::Language;
use zerokara_train::metrics::{Epoch, Step};
use zerokara_train::report::{
    ConfusionMatrix, Curves, Filters, LayerRow, LayerTime, Misclassified, Report,
};

/// Numbers that look random: the steps of a linear congruential generator.
struct Noise(u64);

impl Noise {
    /// A number from 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal: mean 0, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("report.html".into());
    let mut noise = Noise(7);
    let confusion = confusion(&mut noise);
    let accuracy = confusion.correct() as f64 / confusion.total() as f64;
    let report = Report {
        language: Language::of_environment(),
        title: "LeNet on MNIST".into(),
        model: "lenet".into(),
        dataset: "mnist".into(),
        date: "2026-11-24 14:29".into(),
        command: "zerokara train --model lenet --dataset mnist --epochs 3 --batch 100 --optimizer adam --lr 0.001 --seed 42"
            .into(),
        seed: Some(42),
        threads: Some(8),
        isa: "AVX-512".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        settings: [("optimizer", "Adam, β 0.9 and 0.999"), ("batch size", "100")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        ended: None,
        unanswered: None,
        samples: "images".into(),
        train_sample: Some((5_000, 60_000)),
        seconds: Some(14.83),
        images_per_second: Some(12_136.0),
        parameters: Some(433_890),
        train_accuracy: Some(0.9912),
        validation_accuracy: Some(0.9836),
        test_accuracy: Some(accuracy),
        measures: Vec::new(),
        readings: Vec::new(),
        test_loss: Some(0.0479),
        classes: (0..10).map(|k| k.to_string()).collect(),
        curves: curves(&mut noise, accuracy),
        best_epoch: Some(3),
        confusion: Some(confusion),
        misclassified: misclassified(&mut noise)?,
        worst: Vec::new(),
        filters_before: Some(filters(&mut noise, 0.0)),
        filters_after: Some(filters(&mut noise, 1.0)),
        layers: layers(),
        times: times(),
    };
    atomic::write(&path, report.render())?;
    println!("{path}");
    if let Some(path) = std::env::args().nth(2) {
        let bars = Bars::new("Training LeNet on MNIST: invented numbers, to look at the chart")
            .width(720)
            .unit("images/s")
            .bar("Zerokara", [12_136.0]);
        let others = [("PyTorch", 7_420.0), ("JAX", 6_180.0), ("NumPy", 310.0)];
        let bars = others
            .into_iter()
            .fold(bars, |bars, (name, speed)| bars.bar(name, [speed]).grey());
        atomic::write(&path, bars.figure().file())?;
        println!("{path}");
    }
    Ok(())
}

fn curves(noise: &mut Noise, accuracy: f64) -> Curves {
    let loss = |t: f64| 2.25 * (-t / 45.0).exp() + 0.34 * (-t / 420.0).exp() + 0.028;
    let steps = (1..=1800u64)
        .map(|step| {
            let t = step as f64;
            let mean = loss(t);
            let error = (mean * 0.31).min(0.9);
            Step {
                step,
                epoch: (step - 1) / 600 + 1,
                loss: mean * (noise.normal() * 0.32).exp(),
                accuracy: Some((1.0 - error + noise.normal() * error * 0.3).clamp(0.0, 1.0)),
                learning_rate: match step {
                    0..=90 => 0.001 * t / 90.0,
                    _ => 0.0005 * (1.0 + (std::f64::consts::PI * (t - 90.0) / 1710.0).cos()),
                },
                measures: Default::default(),
                gradient_norm: Some(1.9 * mean.sqrt() * (noise.normal() * 0.25).exp()),
                images_per_second: 12_136.0,
                seconds: t * 0.0082,
            }
        })
        .collect();
    let epochs = [
        (0.9731, 0.9722, 0.9738),
        (0.9868, 0.9808, 0.9815),
        (0.9912, 0.9836, accuracy),
    ];
    let epochs = (1..)
        .zip(epochs)
        .map(|(epoch, (train, validation, test))| Epoch {
            epoch,
            step: epoch * 600,
            train_accuracy: Some(train),
            validation_accuracy: Some(validation),
            test_accuracy: Some(test),
            train_loss: Some(loss(epoch as f64 * 600.0)),
            validation_loss: Some(loss(epoch as f64 * 600.0) * 0.7 + 0.031),
            test_loss: Some(loss(epoch as f64 * 600.0) * 0.7 + 0.028),
            images_per_second: 12_136.0,
            seconds: 4.94,
            ..Epoch::default()
        });
    Curves {
        steps,
        epochs: epochs.collect(),
    }
}

fn confusion(noise: &mut Noise) -> ConfusionMatrix {
    let sizes = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009u64];
    let likely = [
        (4, 9),
        (9, 4),
        (7, 2),
        (5, 3),
        (3, 5),
        (8, 3),
        (2, 7),
        (7, 9),
        (6, 0),
        (5, 6),
    ];
    let mut rows = vec![vec![0; 10]; 10];
    for (label, size) in sizes.into_iter().enumerate() {
        let mut wrong = 0;
        for answer in (0..10).filter(|answer| *answer != label) {
            let mean = if likely.contains(&(label, answer)) {
                9.0
            } else {
                0.9
            };
            let count = (-noise.unit().ln() * mean) as u64;
            rows[label][answer] = count;
            wrong += count;
        }
        rows[label][label] = size - wrong;
    }
    ConfusionMatrix::from_rows(&rows)
}

fn misclassified(noise: &mut Noise) -> Result<Vec<Misclassified>, zerokara_mnist::Error> {
    let test = zerokara_mnist::test()?;
    let samples = (0..48).map(|i| {
        let index = (i * 197 + 13) % zerokara_mnist::TEST;
        let label = test.labels[index] as usize;
        let pixels = &test.images[index * zerokara_mnist::PIXELS..][..zerokara_mnist::PIXELS];
        Misclassified {
            index: Some(index as u64),
            pixels: pixels.iter().map(|p| f32::from(*p) / 255.0).collect(),
            shape: [1, zerokara_mnist::SIDE, zerokara_mnist::SIDE],
            label,
            answer: (label + 1 + (noise.unit() * 8.99) as usize) % 10,
            probability: (0.35 + 0.64 * noise.unit()) as f32,
        }
    });
    Ok(samples.collect())
}

/// Random weights, and with `learned` above 0 an oriented wave in each filter.
fn filters(noise: &mut Noise, learned: f64) -> Filters {
    let mut weights = Vec::new();
    for o in 0..30 {
        let angle = f64::from(o) * 0.61;
        let phase = noise.unit() * 6.3;
        for y in -2..=2 {
            for x in -2..=2 {
                let (x, y) = (f64::from(x), f64::from(y));
                let wave = ((x * angle.cos() + y * angle.sin()) * 1.25 + phase).sin();
                let window = (-(x * x + y * y) / 7.0).exp();
                let random = noise.normal() * 0.11;
                weights
                    .push((random * (1.0 - 0.45 * learned) + learned * 0.4 * wave * window) as f32);
            }
        }
    }
    Filters {
        shape: [30, 1, 5, 5],
        weights,
    }
}

fn layers() -> Vec<LayerRow> {
    [
        (
            "conv1: conv2d 30 of 5 × 5, relu",
            vec![30, 24, 24],
            780,
            881_280,
        ),
        ("pool1: max_pool2d 2", vec![30, 12, 12], 0, 12_960),
        ("flatten", vec![4320], 0, 0),
        ("linear1: linear 100, relu", vec![100], 432_100, 864_200),
        ("linear2: linear 10", vec![10], 1_010, 2_010),
    ]
    .map(|(name, output, parameters, flops)| LayerRow {
        name: name.into(),
        output,
        parameters,
        flops,
    })
    .into()
}

fn times() -> Vec<LayerTime> {
    [
        ("conv1", 1.82, 2.41),
        ("pool1", 0.31, 0.44),
        ("linear1", 0.92, 1.73),
        ("linear2", 0.03, 0.05),
        ("softmax, cross entropy", 0.01, 0.0),
        ("adam", 0.0, 0.38),
    ]
    .map(|(name, forward, backward)| LayerTime {
        name: name.into(),
        forward,
        backward,
    })
    .into()
}
