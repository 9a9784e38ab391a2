//! Every ready-made model: its gradients by backpropagation against differences, in f64.
//!
//! 30 random elements and 3 random directions of each parameter tensor, `|a - n| / max(|a|, |n|, 1e-8)` below 1e-6,
//! with batch normalization in both modes and dropout's draws held fixed. The networks are as wide and deep as they are
//! trained; deep ones see small images and few of them, so that this is quick. `ZEROKARA_FULL_CHECKS=1` takes
//! images of 28x28 for all.

use std::{sync::Arc, time::Instant};
use zerokara_core::{
    Tensor,
    gradient_check::{CheckOptions, gradient_check},
};
use zerokara_nn::{models::MultiLayerNet, *};

/// The side of the images: this one, unless the long form of the checks is wanted.
fn side(quick: usize) -> usize {
    match std::env::var("ZEROKARA_FULL_CHECKS") {
        Ok(word) if word == "1" => 28,
        _ => quick,
    }
}

/// Moves every parameter a little away from where it starts, as training would (with biases of 0, whole planes of ReLU's
/// inputs lie at the kink), and the running statistics to those of the images.
fn settle(model: &Arc<dyn Forward>, x: &Tensor, labels: &Tensor) {
    for (at, parameter) in model.parameters().unwrap().iter().enumerate() {
        let shape = parameter.meta().shape.clone();
        let noise = Tensor::normal(100 + at as u64, &Tensor::from(0), shape) * 0.05f64;
        parameter.set(&(parameter.tensor() + noise)).unwrap();
    }
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model.clone(), loss, Arc::new(Sgd::new(0.0))).unwrap();
    let (x, labels) = (x.eval().unwrap(), labels.eval().unwrap());
    for _ in 0..30 {
        step.step(&x, &labels, 0.0).unwrap();
    }
}

/// Checks the gradients of the loss, with the book's weight decay, at a batch of images of this shape.
fn check(name: &str, model: Arc<dyn Forward>, shape: [usize; 4], modes: &[Mode], penalty: f64) {
    let x = Tensor::uniform(3, &Tensor::from(0), shape);
    let x = Tensor::from(x.eval().unwrap());
    let labels = Tensor::arange(1, 1 + shape[0] as i64, 1);
    model.build(&x, 5).unwrap();
    settle(&model, &x, &labels);
    let parameters = model.parameters().unwrap();
    let leaves: Vec<Tensor> = parameters.iter().map(|p| p.tensor()).collect();
    let wrt: Vec<&Tensor> = leaves.iter().collect();
    for &mode in modes {
        let start = Instant::now();
        let mut cx = Context::new(mode, 7, Tensor::from(0));
        let output = model.forward(&x, &mut cx);
        let mut loss = SoftmaxCrossEntropy::new().loss(&output, &labels);
        for w in leaves.iter().filter(|w| w.shape().unwrap().len() >= 2) {
            loss = loss + w.square().sum() * (0.5 * penalty);
        }
        let report = gradient_check(&loss, &wrt, &CheckOptions::default()).unwrap();
        let (took, kinks) = (start.elapsed(), report.kink_share());
        println!("{name}, mode {mode:?}, {took:?}, kinks {kinks:.4}\n{report}");
        assert_eq!(report.rows.len(), parameters.len());
        for (row, parameter) in report.rows.iter().zip(&parameters) {
            let wanted = parameter.meta().len().min(30) + 3;
            assert_eq!(row.checked + row.kinks, wanted, "{name}: {}", row.name);
        }
        assert!(report.agrees(1e-6), "{name} in mode {mode:?}:\n{report}");
        assert!(kinks <= 0.02, "{name} in mode {mode:?}:\n{report}");
    }
}

fn check_named(name: &str, side: usize, modes: &[Mode]) {
    let model = models::by_name(name, 10).unwrap();
    check(name, model.into(), [2, 1, side, side], modes, 0.0);
}

const BOTH: [Mode; 2] = [Mode::Train, Mode::Evaluate];

#[test]
fn two_layer_net() {
    check_named("two-layer-net", 28, &[Mode::Train]);
}

#[test]
fn multi_layer_net() {
    check_named("multi-layer-net", 28, &[Mode::Train]);
}

#[test]
fn multi_layer_net_with_batch_norm_dropout_and_weight_decay() {
    let model = MultiLayerNet::new(&[100; 6], 10)
        .batch_norm(true)
        .dropout(0.2)
        .layers();
    // The statistics of two rows would be all that batch normalization leaves of them.
    let shape = [6, 1, side(14), side(14)];
    check(
        "multi-layer-net, extended",
        Arc::new(model),
        shape,
        &BOTH,
        0.1,
    );
}

#[test]
fn simple_convnet() {
    check_named("simple-convnet", 28, &[Mode::Train]);
}

#[test]
fn deep_convnet() {
    check_named("deep-convnet", side(8), &BOTH);
}

#[test]
fn lenet5() {
    check_named("lenet5", 28, &[Mode::Train]);
}

#[test]
fn resnet20_in_training() {
    check_named("resnet20", side(6), &[Mode::Train]);
}

#[test]
fn resnet20_in_evaluation() {
    check_named("resnet20", side(6), &[Mode::Evaluate]);
}
