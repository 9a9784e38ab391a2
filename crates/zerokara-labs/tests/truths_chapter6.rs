//! What the labs of chapter 6 state, through the library alone. Where no formula is given, numbers are those of PyTorch in
//! double precision.

use std::sync::{Arc, Mutex};
use zerokara::core::gradient_check::CheckOptions;
use zerokara::prelude::*;

/// Where the optimizer is after each step in the valley `x^2 / 20 + y^2`, from (-7, 2).
fn path(optimizer: &dyn Optimizer, steps: u64) -> Vec<[f64; 2]> {
    let mut p = Tensor::from([-7.0, 2.0]);
    let mut state: Vec<Tensor> = optimizer.state().iter().map(|_| p.zeros_like()).collect();
    let mut path = Vec::new();
    for step in 1..=steps {
        let value = (p.square() * Tensor::from([0.05, 1.0])).sum();
        let scalars = optimizer.scalars(step, optimizer.learning_rate());
        let scalars: Vec<Tensor> =
            scalars.iter().map(|&s| Tensor::from(s as f32)).collect();
        let (new, kept) = optimizer.update(&p, &grad(&value, &p), &state, &scalars);
        p = Tensor::from(new.eval().unwrap());
        state = kept.iter().map(|s| Tensor::from(s.eval().unwrap())).collect();
        let at = p.to_vec::<f32>().unwrap();
        path.push([f64::from(at[0]), f64::from(at[1])]);
    }
    path
}

#[test]
fn optimizers_walk_as_in_pytorch() {
    type Expected = [[f64; 2]; 2];
    let cases: [(&dyn Optimizer, Expected); 6] = [
        (&Sgd::new(0.95), [[-6.335, -1.8], [-0.35039299575, 0.08478231655]]),
        (&Momentum::new(0.1), [[-6.93, 1.6], [0.89641385849, 0.08808560171]]),
        (&Nesterov::new(0.1), [[-6.867, 1.24], [0.68961489669, -0.00067990583]]),
        (&AdaGrad::new(1.5), [[-5.5, 0.5], [-0.12016224724, 0.0]]),
        (&RmsProp::new(0.1), [[-6.0, 1.0], [-0.69741843596, 0.0]]),
        (&Adam::new(0.3), [[-6.7, 1.7], [0.13601461732, 0.31824538889]]),
    ];
    for (optimizer, [first, last]) in cases {
        let path = path(optimizer, 30);
        for (found, expected) in [(path[0], first), (path[29], last)] {
            let off = (found[0] - expected[0]).hypot(found[1] - expected[1]);
            assert!(off < 2e-4, "{}: {found:?}, not {expected:?}", optimizer.name());
        }
    }
    // SGD: x0 (1 - rate / 10)^t, y0 (1 - 2 rate)^t.
    for (t, at) in path(&Sgd::new(0.95), 30).iter().enumerate() {
        let t = t as i32 + 1;
        assert!((at[0] + 7.0 * 0.905f64.powi(t)).abs() < 1e-5);
        assert!((at[1] - 2.0 * (-0.9f64).powi(t)).abs() < 1e-5);
    }
    let swing = |optimizer: &dyn Optimizer| {
        path(optimizer, 30)[14..].iter().map(|p| p[1].abs()).fold(0.0, f64::max)
    };
    assert!(swing(&Nesterov::new(0.1)) < 0.5 * swing(&Momentum::new(0.1)));
}

#[test]
fn weights_that_are_equal_have_equal_gradients_and_zeros_stop_them() {
    for (value, stopped) in [(0.3, false), (0.0, true)] {
        let rule = Initializer::Constant(value);
        let model = Sequential::new()
            .add(Linear::new(4).initializer(rule))
            .sigmoid()
            .add(Linear::new(3).initializer(rule));
        let x = Tensor::from([[0.5, -1.0, 2.0], [1.0, 0.0, 0.25]]);
        model.build(&x, 0).unwrap();
        let y = model.forward(&x, &mut Context::train(0));
        let target = Tensor::from([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
        let loss = MeanSquaredError::new().loss(&y, &target);
        let weight = model.named_parameters().unwrap()[0].1.tensor();
        let gradient = grad(&loss, &weight).to_vec::<f32>().unwrap();
        assert!(gradient.chunks(3).all(|row| row == &gradient[..3]));
        assert_eq!(gradient.iter().all(|g| *g == 0.0), stopped);
    }
}

/// The outputs of each of five layers of 100 neurons for 500 normal inputs.
fn layers(function: Activation, rule: Initializer, seed: u64) -> Vec<Vec<f32>> {
    let sample = |rule: Initializer, rows, name: &str| {
        Tensor::from(rule.sample(&Meta::new([rows, 100], DType::F32), seed, name).unwrap())
    };
    let mut y = sample(Initializer::Normal { std: 1.0 }, 500, "x");
    (0..5)
        .map(|layer| {
            y = function.apply(&y.matmul(&sample(rule, 100, &format!("w{layer}"))));
            y.to_vec::<f32>().unwrap()
        })
        .collect()
}

fn mean_square(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64
}

#[test]
fn initial_values_keep_or_lose_the_signal() {
    for seed in 0..3 {
        let normal = |std| Initializer::Normal { std };
        let edge = |layer: &Vec<f32>| {
            let at_the_edge = layer.iter().filter(|y| !(0.05..=0.95).contains(*y));
            at_the_edge.count() as f64 / layer.len() as f64
        };
        assert!(
            layers(Activation::Sigmoid, normal(1.0), seed).iter().all(|l| edge(l) > 0.5)
        );
        assert!(
            layers(Activation::Sigmoid, normal(0.01), seed)[4]
                .iter()
                .all(|y| (y - 0.5).abs() < 0.1)
        );
        let xavier = layers(Activation::Sigmoid, Initializer::LeCunNormal, seed);
        assert!(edge(&xavier[4]) < 0.1);

        let tanh = layers(Activation::Tanh, normal(0.01), seed);
        for pair in tanh.windows(2) {
            // 100 weights of variance 0.0001: a hundredth of the mean square in each layer.
            let ratio = mean_square(&pair[1]) / mean_square(&pair[0]);
            assert!((0.0025..0.04).contains(&ratio), "{ratio}");
        }
        assert!(
            mean_square(&layers(Activation::Tanh, Initializer::LeCunNormal, seed)[4])
                > 0.04
        );

        let he = layers(Activation::Relu, Initializer::HeNormal, seed);
        let xavier = layers(Activation::Relu, Initializer::LeCunNormal, seed);
        for (layer, (he, xavier)) in he.iter().zip(&xavier).enumerate() {
            let ratio = mean_square(he) / mean_square(xavier) / 2f64.powi(layer as i32 + 1);
            assert!((ratio - 1.0).abs() < 1e-4, "layer {layer}: {ratio}");
            assert!((0.25..4.0).contains(&mean_square(he)));
        }
    }
}

#[test]
fn batch_normalization_is_pytorchs() {
    let x = Tensor::from([[1.0], [2.0], [6.0]]);
    let layer = BatchNorm1d::new();
    layer.build(&x, 0).unwrap();
    let parameters = layer.parameters().unwrap();
    parameters[0].set(&Tensor::from([2.0])).unwrap();
    parameters[1].set(&Tensor::from([0.5])).unwrap();
    let y = layer.forward(&x, &mut Context::train(0));
    let close = |found: &Tensor, expected: &[f64]| {
        let found = found.to_vec::<f32>().unwrap();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{found:?}, not {expected:?}");
        }
    };
    close(&y, &[-1.3516382156, -0.4258191078, 3.2774573235]);
    let loss = (&y * Tensor::from([[1.0], [0.0], [-0.5]])).sum();
    close(&grad(&loss, &x), &[0.3086073612, -0.3857574656, 0.0771501044]);
    close(&grad(&loss, &parameters[1].tensor()), &[0.5]);
    let report = gradient_check(
        &loss,
        &[&parameters[0].tensor(), &parameters[1].tensor()],
        &CheckOptions::default(),
    );
    assert!(report.unwrap().agrees(1e-6));

    let layer = BatchNorm1d::new();
    layer.build(&x, 0).unwrap();
    for _ in 0..20 {
        let mut cx = Context::train(0);
        layer.forward(&x, &mut cx);
        for (cell, value) in cx.finish().unwrap() {
            cell.set(&value).unwrap();
        }
    }
    let buffers = layer.buffers().unwrap();
    close(&buffers[0].tensor(), &[3.0 * (1.0 - 0.9f64.powi(20))]);
    close(&buffers[1].tensor(), &[7.0 - 6.0 * 0.9f64.powi(20)]);
    let one = Tensor::from([[4.0]]);
    let mean = 3.0 * (1.0 - 0.9f64.powi(20));
    let deviation = (7.0 - 6.0 * 0.9f64.powi(20) + 1e-5).sqrt();
    close(&layer.forward(&one, &mut Context::evaluate()), &[(4.0 - mean) / deviation]);
    assert!(layer.forward(&one, &mut Context::train(0)).eval().is_err());
}

#[test]
fn the_penalty_of_the_loss_is_decay_of_the_weights() {
    // One step of SGD with the penalty shrinks weights by 1 - rate lambda more than one without, and biases not.
    let x = Array::new([2, 3], &[0.5f32, -1.0, 2.0, 1.0, 0.0, 0.25][..]);
    let t = Array::new([2], &[1i64, 0][..]);
    let after = |penalty: f64| {
        let model = Arc::new(Sequential::new().linear(4));
        model.build(&x, 5).unwrap();
        let before: Vec<f32> =
            model.parameters().unwrap()[0].value().as_slice::<f32>().unwrap().to_vec();
        let mut step = TrainStep::new(
            model.clone(),
            Arc::new(SoftmaxCrossEntropy::new()),
            Arc::new(Sgd::new(0.1)),
        )
        .unwrap()
        .l2_penalty(penalty);
        step.step(&x, &t, 0.1).unwrap();
        let parameters = model.parameters().unwrap();
        let values = |at: usize| parameters[at].value().as_slice::<f32>().unwrap().to_vec();
        (before, values(0), values(1))
    };
    let (before, weight, bias) = after(0.0);
    let (_, decayed, decayed_bias) = after(0.3);
    for ((w, d), b) in weight.iter().zip(&decayed).zip(&before) {
        assert!((w - d - 0.1 * 0.3 * b).abs() < 1e-6);
    }
    assert_eq!(bias, decayed_bias);
}

#[test]
fn dropout_in_training_is_evaluation_on_average() {
    for ratio in [0.2, 0.5] {
        let model = Sequential::new().dropout(ratio);
        let x = Tensor::ones([200, 500]);
        model.build(&x, 0).unwrap();
        let y = model.forward(&x, &mut Context::train(3)).to_vec::<f32>().unwrap();
        let scaled = 1.0 / (1.0 - ratio) as f32;
        assert!(y.iter().all(|y| *y == 0.0 || (y - scaled).abs() < 1e-6));
        let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / 1e5;
        let standard_error = (ratio / (1.0 - ratio) / 1e5).sqrt();
        assert!((mean - 1.0).abs() < 5.0 * standard_error, "{mean}");
        let evaluated = model.forward(&x, &mut Context::evaluate());
        assert_eq!(evaluated.to_vec::<f32>().unwrap(), vec![1.0; 100_000]);
    }
}

#[test]
fn a_validation_split_has_no_image_twice_and_the_shares_asked_for() {
    let images = Mnist::load().unwrap().train.take(500);
    let (train, validation) = images.validation(0.2, 1).unwrap();
    assert_eq!((train.len(), validation.len()), (400, 100));
    let mut all: Vec<_> = [&train, &validation]
        .iter()
        .flat_map(|split| (0..split.len()).map(|i| split.origin(i).unwrap()))
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
}

#[test]
fn trainings_at_once_have_the_bits_of_trainings_one_by_one() {
    let mut data = Mnist::load().unwrap();
    (data.train, data.test) = (data.train.take(200), data.test.take(50));
    let train = |seed: u64| {
        let run = Trainer::new(
            models::MultiLayerNet::new(&[30, 30], 10).layers(),
            SoftmaxCrossEntropy::new(),
        )
        .epochs(2)
        .batch_size(50)
        .seed(seed)
        .quiet()
        .catch_interrupts(false)
        .fit(&data)
        .unwrap();
        run.losses().to_vec()
    };
    let one_by_one: Vec<Vec<f64>> = (0..6).map(train).collect();
    let found = Mutex::new(vec![Vec::new(); 6]);
    Runtime::new(4).unwrap().parallel(6, &|unit| {
        let losses = train(unit as u64);
        found.lock().unwrap()[unit] = losses;
    });
    assert_eq!(found.into_inner().unwrap(), one_by_one);
}

#[test]
fn the_best_of_a_hundred_lies_above_the_truth() {
    // A hundred trials that are equally good, each judged on images of its own: the expected best is that of binomial
    // numbers, sum over k of 1 - F(k)^100, about 2.5 standard errors above.
    let (trials, images, accuracy, draws) = (100, 100, 0.74_f64, 200);
    let mut below = 0.0;
    let mut expected = 0.0;
    let mut term = (1.0 - accuracy).powi(images);
    for k in 0..images {
        below += term;
        expected += 1.0 - below.min(1.0).powi(trials);
        term *= f64::from(images - k) / f64::from(k + 1) * accuracy / (1.0 - accuracy);
    }
    let expected = expected / f64::from(images);
    let error = (accuracy * (1.0 - accuracy) / f64::from(images)).sqrt();
    assert!(((expected - accuracy) / error - 2.5).abs() < 0.2, "{expected}");
    let shape = [draws, trials as usize, images as usize];
    let right = Tensor::uniform(11, &Tensor::from(0), shape).less(&Tensor::from(0.74));
    let best = right.cast(DType::F32).mean_axes(&[2], false).max_axes(&[1], false);
    let found = best.mean().item().unwrap();
    // The best of each drawing scatters by less than half a standard error.
    assert!(
        (found - expected).abs() < 4.0 * 0.5 * error / (draws as f64).sqrt(),
        "{found}"
    );
}
