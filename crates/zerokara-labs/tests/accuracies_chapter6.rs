//! What networks of chapter 6 reach by training. These take a minute or two:
//! `cargo test --release -p zerokara-labs --test accuracies_chapter6 -- --ignored`.

use zerokara::prelude::*;

fn mnist(train: usize, test: usize) -> Dataset {
    let mut mnist = Mnist::load().unwrap();
    (mnist.train, mnist.test) = (mnist.train.take(train), mnist.test.take(test));
    mnist
}

fn trainer(model: Sequential) -> Trainer {
    Trainer::new(model, SoftmaxCrossEntropy::new()).quiet().catch_interrupts(false)
}

/// The mean of the last 40 losses after four epochs of batches of 128.
fn loss_at_the_end(
    model: models::MultiLayerNet,
    optimizer: impl Optimizer + 'static,
) -> f64 {
    let run = trainer(model.layers()).optimizer(optimizer).batch_size(128).epochs(4);
    let run = run.fit(&mnist(60_000, 0)).unwrap();
    let losses = run.losses();
    losses[losses.len() - 40..].iter().sum::<f64>() / 40.0
}

#[test]
#[ignore = "trains for 10 s: cargo test --release -p zerokara-labs -- --ignored"]
fn plain_descent_is_the_slowest_at_the_books_rates() {
    let model = || models::MultiLayerNet::new(&[100; 4], 10);
    let sgd = loss_at_the_end(model(), Sgd::new(0.01));
    let others = [
        loss_at_the_end(model(), Momentum::new(0.01)),
        loss_at_the_end(model(), Nesterov::new(0.01)),
        loss_at_the_end(model(), AdaGrad::new(0.01)),
        loss_at_the_end(model(), RmsProp::new(0.001)),
        loss_at_the_end(model(), Adam::new(0.001)),
    ];
    assert!(others.iter().all(|loss| *loss < 0.7 * sgd), "{sgd} against {others:?}");
}

#[test]
#[ignore = "trains for 6 s: cargo test --release -p zerokara-labs -- --ignored"]
fn small_initial_values_stay_at_the_loss_of_guessing() {
    let end = |rule| {
        loss_at_the_end(
            models::MultiLayerNet::new(&[100; 4], 10).initializer(rule),
            Sgd::new(0.01),
        )
    };
    let small = end(Initializer::Normal { std: 0.01 });
    assert!((small - 10f64.ln()).abs() < 0.05, "{small}");
    let (xavier, he) = (end(Initializer::LeCunNormal), end(Initializer::HeNormal));
    assert!(he < 0.5 && xavier < 0.6, "{xavier} {he}");
}

#[test]
#[ignore = "trains for 8 s: cargo test --release -p zerokara-labs -- --ignored"]
fn batch_normalization_learns_at_more_scales() {
    let accuracy = |std: f64, batch_norm: bool| {
        let model = models::MultiLayerNet::new(&[100; 5], 10)
            .initializer(Initializer::Normal { std })
            .batch_norm(batch_norm);
        let run = trainer(model.layers())
            .optimizer(Sgd::new(0.01))
            .epochs(20)
            .fit(&mnist(1_000, 0));
        // A loss that is not finite is an error.
        run.map_or(0.0, |run| run.history()[19].train_accuracy.unwrap())
    };
    let stds: Vec<f64> = (0..16).map(|i| 10f64.powf(-4.0 * f64::from(i) / 15.0)).collect();
    let learned =
        |batch_norm| stds.iter().filter(|&&std| accuracy(std, batch_norm) > 0.7).count();
    let (with, without) = (learned(true), learned(false));
    assert!(with >= without + 4, "{with} scales with, {without} without");
}

#[test]
#[ignore = "trains for 10 s: cargo test --release -p zerokara-labs -- --ignored"]
fn weight_decay_and_dropout_make_the_gap_smaller() {
    let data = mnist(300, 10_000);
    let gap = |decay: f64, ratio: f64| {
        let model = models::MultiLayerNet::new(&[100; 6], 10).dropout(ratio);
        let few = mnist(300, 100);
        let run =
            trainer(model.layers()).optimizer(Sgd::new(0.01)).l2_penalty(decay).epochs(150);
        let run = run.fit(&few).unwrap();
        let accuracy = |split| run.model().evaluate(split).unwrap().accuracy().unwrap();
        (accuracy(&data.train), accuracy(&data.train) - accuracy(&data.test))
    };
    let (train, plain) = gap(0.0, 0.0);
    assert!(train > 0.97, "{train}");
    assert!(plain > 0.1, "{plain}");
    for (decay, ratio) in [(0.1, 0.0), (0.0, 0.2)] {
        let (_, gap) = gap(decay, ratio);
        assert!(gap < plain, "decay {decay}, dropout {ratio}: {gap} against {plain}");
    }
}
