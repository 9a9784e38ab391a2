//! What training reaches in the lab of DeepConvNet.

use zerokara::prelude::*;

fn trainer(epochs: u64) -> Trainer {
    Trainer::new(models::DeepConvNet::new(10), SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(2e-3))
        .schedule_over(Schedule::one_cycle)
        .epochs(epochs)
        .catch_interrupts(false)
        .quiet()
}

#[test]
#[ignore = "trains for 150 s: cargo test --release -p zerokara-labs -- --ignored"]
fn deep_convnet_reaches_99_3_percent() {
    let run = trainer(12).seed(0).fit(&Mnist::load().unwrap()).unwrap();
    assert!(run.test_accuracy() >= 0.993, "{}", run.test_accuracy());
}

#[test]
#[ignore = "trains for 25 s: cargo test --release -p zerokara-labs -- --ignored"]
fn augmentation_teaches_shifted_and_turned_digits() {
    let mut mnist = Mnist::load().unwrap();
    mnist.train = mnist.train.take(2_000);
    let augment = Augment::new(1).shift(3).rotate(10.0).unwrap();
    let plain = trainer(30).batch_size(50).seed(1).fit(&mnist).unwrap();
    let augmented = trainer(30).batch_size(50).seed(1).augment(augment.clone()).fit(&mnist);
    let augmented = augmented.unwrap();

    let numbers: Vec<usize> = (0..2_000).collect();
    let mut images: Vec<f32> = numbers.iter().flat_map(|&i| mnist.test.sample(i)).collect();
    augment.apply(&mut images, &[1, 28, 28], &numbers, 0).unwrap();
    let bytes: Vec<u8> = images.iter().map(|v| v.round() as u8).collect();
    let labels = mnist.test.labels()[..2_000].to_vec();
    let changed = Split::new(bytes, &[1, 28, 28], labels).unwrap();
    let accuracy = |run: &Run| run.model().evaluate(&changed).unwrap().accuracy().unwrap();
    let (a, b) = (accuracy(&plain), accuracy(&augmented));
    assert!(b > 0.93 && b > a + 0.03, "as they are {a}, augmented {b}");
}
