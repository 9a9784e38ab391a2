//! Accuracies that the labs of chapter 7 state, reached by training.

use zerokara::prelude::*;

fn accuracy(model: Sequential, data: &Dataset, epochs: u64) -> f64 {
    let trainer =
        Trainer::new(model, SoftmaxCrossEntropy::new()).optimizer(Adam::new(1e-3));
    let trainer = trainer.epochs(epochs).batch_size(50).quiet().catch_interrupts(false);
    trainer.fit(data).unwrap().test_accuracy()
}

/// The images with every 277th pixel after another, modulo 784: an order in which no neighbours stay together.
fn shuffled(split: &Split) -> Split {
    let pixels = (0..split.len()).flat_map(|i| {
        let image = split.sample(i);
        (0..784).map(move |p| image[p * 277 % 784] as u8).collect::<Vec<_>>()
    });
    Split::new(pixels.collect::<Vec<u8>>(), split.shape(), split.labels().to_vec()).unwrap()
}

#[test]
#[ignore = "trains for 15 s: cargo test --release -p zerokara-labs -- --ignored"]
fn shuffled_pixels_harm_a_convolutional_network_and_no_affine_one() {
    let mut plain = Mnist::load().unwrap();
    plain.train = plain.train.take(8_000);
    let mut mixed = plain.clone();
    (mixed.train, mixed.test) = (shuffled(&plain.train), shuffled(&plain.test));
    let affine = || Sequential::new().flatten().linear(100).relu().linear(10);
    let convolutional = || {
        let layers = Sequential::new().conv2d(16, 5).relu().max_pool2d(2);
        layers.conv2d(32, 3).relu().max_pool2d(2).flatten().linear(10)
    };
    let mlp = [&plain, &mixed].map(|data| accuracy(affine(), data, 4));
    let cnn = [&plain, &mixed].map(|data| accuracy(convolutional(), data, 4));
    assert!((mlp[0] - mlp[1]).abs() < 0.01, "{mlp:?}");
    assert!(cnn[0] - cnn[1] > 0.01, "{cnn:?}");
    assert!(cnn[0] > mlp[0], "{cnn:?} {mlp:?}");
}

#[test]
#[ignore = "trains for 25 s: cargo test --release -p zerokara-labs -- --ignored"]
fn simple_convnet_gets_98_per_cent_in_three_epochs() {
    let trainer = Trainer::new(models::SimpleConvNet::new(10), SoftmaxCrossEntropy::new());
    let trainer = trainer.optimizer(Adam::new(1e-3)).epochs(3).quiet();
    let run = trainer.catch_interrupts(false).fit(&Mnist::load().unwrap()).unwrap();
    assert!(run.test_accuracy() >= 0.98, "{}", run.test_accuracy());
}
