//! Accuracies that chapter 3's labs state, reached by training.

use zerokara::prelude::*;

#[test]
#[ignore = "trains for 20 s: cargo test --release -p zerokara-labs -- --ignored"]
fn the_network_of_page_75_knows_95_per_cent_of_the_test_images() {
    let mnist = Mnist::load().unwrap();
    for seed in [0, 1, 2] {
        let layers = models::MultiLayerNet::new(&[50, 100], 10)
            .activation(Activation::Sigmoid)
            .layers();
        let run = Trainer::new(layers, SoftmaxCrossEntropy::new())
            .optimizer(Adam::new(3e-3))
            .epochs(5)
            .seed(seed)
            .catch_interrupts(false)
            .quiet()
            .fit(&mnist)
            .unwrap();
        assert!(run.test_accuracy() >= 0.95, "seed {seed}: {}", run.test_accuracy());
    }
}
