//! What training reaches in the labs beyond the book.

use zerokara::prelude::*;

/// A convolutional network with two neurons before the last layer.
#[test]
#[ignore = "trains for a minute: cargo test --release -p zerokara-labs -- --ignored"]
fn two_numbers_name_95_percent_of_the_digits() {
    let model = Sequential::new()
        .conv2d(16, 5)
        .relu()
        .max_pool2d(2)
        .conv2d(24, 5)
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(64)
        .relu()
        .linear(2)
        .linear(10);
    let run = Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(3e-3))
        .schedule_over(Schedule::one_cycle)
        .epochs(4)
        .seed(1)
        .catch_interrupts(false)
        .quiet()
        .fit(&Mnist::load().unwrap())
        .unwrap();
    assert!(run.test_accuracy() >= 0.95, "{}", run.test_accuracy());
}

/// 24 convolutions on images of 7x7, with and without shortcuts: the loss after the same steps.
#[test]
#[ignore = "trains for a minute: cargo test --release -p zerokara-labs -- --ignored"]
fn with_shortcuts_a_deep_network_learns_faster() {
    let mut mnist = Mnist::load().unwrap();
    (mnist.train, mnist.test) = (mnist.train.take(6_000), mnist.test.take(1_000));
    let train = |depth: usize, shortcuts: bool| {
        let conv = || Conv2d::new(8, 3).padding(1).bias(false);
        let mut model = Sequential::new().avg_pool2d(4).add(conv()).batch_norm2d().relu();
        for _ in 0..depth / 2 {
            let body = Sequential::new()
                .add(conv())
                .batch_norm2d()
                .relu()
                .add(conv())
                .batch_norm2d();
            model = match shortcuts {
                true => model.add(Residual::new(body)).relu(),
                false => model.add(body).relu(),
            };
        }
        let run =
            Trainer::new(model.global_avg_pool2d().linear(10), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(3e-3))
                .epochs(3)
                .seed(1)
                .catch_interrupts(false)
                .quiet()
                .fit(&mnist)
                .unwrap();
        run.history().last().and_then(|epoch| epoch.train_loss).unwrap()
    };
    let (plain, residual) = (train(48, false), train(48, true));
    assert!(residual < plain, "plain {plain}, residual {residual}");
    let shallow = train(8, false);
    assert!(shallow < plain, "8 layers {shallow}, 48 layers {plain}");
}
