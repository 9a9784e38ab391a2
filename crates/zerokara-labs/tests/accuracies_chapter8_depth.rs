//! What the lab on half precision states about accuracies, reached by training.

use std::sync::Arc;
use zerokara::prelude::*;

/// The same network with its parameters changed.
fn with(model: &SavedModel, change: impl Fn(&Array) -> Array) -> SavedModel {
    let network = models::DeepConvNet::new(10);
    network.build(&Tensor::zeros([1, 1, 28, 28]), 0).unwrap();
    let state = model.module().state().unwrap();
    let changed: Vec<_> = state.iter().map(|(path, v)| (path.clone(), change(v))).collect();
    network.load_state(&changed).unwrap();
    SavedModel::new(Arc::new(network), model.card().clone())
}

/// Rounded to bfloat16, on the bits: half of the last place is added, and the lower half of the number cut.
fn bf16(value: &Array) -> Array {
    let round = |x: f64| {
        let bits = (x as f32).to_bits();
        f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
    };
    Array::new(value.shape(), value.to_f64s().into_iter().map(round).collect::<Vec<f32>>())
}

/// Whole numbers from -127 to 127 for the weights of each output, with one scale.
fn int8(value: &Array) -> Array {
    if value.shape().len() < 2 {
        return value.clone();
    }
    let numbers = value.to_f64s();
    let outputs = numbers.chunks(numbers.len() / value.shape()[0]);
    let found: Vec<f32> = outputs
        .flat_map(|row| {
            let scale = row.iter().fold(0.0f64, |m, w| m.max(w.abs())) / 127.0;
            row.iter().map(move |w| ((w / scale).round() * scale) as f32)
        })
        .collect();
    Array::new(value.shape(), found)
}

#[test]
#[ignore = "trains for 60 s: cargo test --release -p zerokara-labs -- --ignored"]
fn sixteen_and_eight_bits_for_each_weight_keep_deep_convnets_accuracy() {
    let mnist = Mnist::load().unwrap();
    let run = Trainer::new(models::DeepConvNet::new(10), SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(2e-3))
        .schedule_over(Schedule::one_cycle)
        .epochs(3)
        .quiet()
        .catch_interrupts(false)
        .fit(&mnist)
        .unwrap();
    let accuracy =
        |model: &SavedModel| model.evaluate(&mnist.test).unwrap().accuracy().unwrap();
    let full = accuracy(run.model());
    assert!(full > 0.985, "{full}");
    let half = accuracy(&with(run.model(), bf16));
    assert!((half - full).abs() <= 0.003, "{half} {full}");
    let quarter = accuracy(&with(run.model(), int8));
    assert!((quarter - full).abs() <= 0.005, "{quarter} {full}");
}
