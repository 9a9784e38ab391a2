//! Accuracies that the labs of chapter 5 state, reached by training.

use std::sync::Arc;
use zerokara::prelude::*;

/// The book's loop of page 161: 10,000 steps on random mini-batches of 100, with a learning rate of 0.1.
fn test_accuracy(activation: Activation) -> f64 {
    let mnist = Mnist::load().unwrap();
    let loader = Loader::new(&mnist.train, 100).unwrap();
    let model = Arc::new(models::TwoLayerNet::with_activation(50, 10, activation));
    model.build(&Meta::new([1, 1, 28, 28], DType::F32), 1).unwrap();
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let sgd = Arc::new(Sgd::new(0.1));
    let mut step = TrainStep::new(model.clone(), loss.clone(), sgd).unwrap();
    for iteration in 0..10_000 {
        let batch = loader.random_batch(1, iteration).unwrap();
        let labels = Array::new([100], batch.labels);
        assert!(
            step.step(&Array::new(batch.shape, batch.images), &labels, 0.1).unwrap().ok
        );
    }
    let test = Loader::new(&mnist.test, 10_000).unwrap().batch(0).unwrap();
    let labels = Array::new([10_000], test.labels);
    let output = EvalStep::new(model, loss)
        .unwrap()
        .run(&Array::new(test.shape, test.images), &labels);
    output.unwrap().correct.unwrap() as f64 / 10_000.0
}

#[test]
#[ignore = "trains for 3 s: cargo test --release -p zerokara-labs -- --ignored"]
fn two_layer_net_with_sigmoid_reaches_94_percent() {
    let accuracy = test_accuracy(Activation::Sigmoid);
    assert!(accuracy >= 0.94, "{accuracy}");
}

#[test]
#[ignore = "trains for 3 s: cargo test --release -p zerokara-labs -- --ignored"]
fn two_layer_net_with_relu_reaches_96_5_percent() {
    let accuracy = test_accuracy(Activation::Relu);
    assert!(accuracy >= 0.965, "{accuracy}");
}
