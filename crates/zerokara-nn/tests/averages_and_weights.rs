//! The moving average of a step, and the weights of classes.

use std::sync::Arc;
use zerokara_core::{Array, Tensor, gradients};
use zerokara_nn::{
    Adam, Forward, Loss, Module, Optimizer, Sequential, Sgd, SoftmaxCrossEntropy, TrainStep,
};

fn model() -> Arc<Sequential> {
    let model = Sequential::new().linear(5).batch_norm1d().relu().linear(3);
    model.build(&batch().0, 7).unwrap();
    Arc::new(model)
}

fn batch() -> (Array, Array) {
    let x: Vec<f32> = (0..48)
        .map(|i| ((i * 29) % 23) as f32 / 11.0 - 1.0)
        .collect();
    let t = &[0i64, 1, 2, 0, 1, 2, 0, 1][..];
    (Array::new([8, 6], x.as_slice()), Array::new([8], t))
}

fn values(model: &dyn Module) -> Vec<Vec<f64>> {
    let state = model.state().unwrap();
    state
        .into_iter()
        .map(|(_, value)| value.to_f64s())
        .collect()
}

/// Parameters and running statistics, step by step, against the definition in double precision; in whole steps and in halves.
#[test]
fn the_average_is_that_of_its_definition() {
    let (x, t) = batch();
    for (optimizer, halves) in [
        (Arc::new(Adam::new(0.05)) as Arc<dyn Optimizer>, false),
        (Arc::new(Sgd::new(0.1)), true),
    ] {
        let model = model();
        let decay: f64 = 0.7;
        let mut step = TrainStep::new(model.clone(), SoftmaxCrossEntropy::new(), optimizer)
            .unwrap()
            .ema(decay)
            .unwrap();
        let mut sums: Vec<Vec<f64>> = values(&*model).iter().map(|v| vec![0.0; v.len()]).collect();
        for update in 1..=6 {
            match halves {
                false => {
                    step.step(&x, &t, 0.1).unwrap();
                }
                true => {
                    step.accumulate(&x, &t, 0.5).unwrap();
                    step.accumulate(&x, &t, 0.5).unwrap();
                    step.update(0.1).unwrap();
                }
            }
            let now = values(&*model);
            for (sums, now) in sums.iter_mut().zip(&now) {
                for (sum, now) in sums.iter_mut().zip(now) {
                    *sum = decay * *sum + (1.0 - decay) * now;
                }
            }
            let averages = step.averaged(|| values(&*model)).unwrap();
            assert_eq!(values(&*model), now);
            let whole = 1.0 - decay.powi(update);
            for (average, sum) in averages.iter().flatten().zip(sums.iter().flatten()) {
                assert!(
                    (average - sum / whole).abs() < 1e-5,
                    "{update}: {average} {}",
                    sum / whole
                );
            }
        }
        let last = step.averaged(|| values(&*model)).unwrap();
        step.keep_average().unwrap();
        assert_eq!(values(&*model), last);
    }
}

#[test]
fn training_goes_on_as_without_an_average_and_resumes_with_it() {
    let (x, t) = batch();
    let plain = model();
    let mut step =
        TrainStep::new(plain.clone(), SoftmaxCrossEntropy::new(), Adam::new(0.05)).unwrap();
    for _ in 0..5 {
        step.step(&x, &t, 0.05).unwrap();
    }
    let averaged = model();
    let new = |model: &Arc<Sequential>| {
        TrainStep::new(model.clone(), SoftmaxCrossEntropy::new(), Adam::new(0.05))
            .unwrap()
            .ema(0.9)
            .unwrap()
    };
    let mut step = new(&averaged);
    let mut kept = None;
    for at in 0..5 {
        step.step(&x, &t, 0.05).unwrap();
        step.averaged(|| ()).unwrap();
        if at == 2 {
            kept = Some((step.state(), averaged.state().unwrap()));
        }
    }
    assert_eq!(values(&*plain), values(&*averaged));
    let end = step.averaged(|| values(&*averaged)).unwrap();

    let (state, values_then) = kept.unwrap();
    let resumed = model();
    resumed.load_state(&values_then).unwrap();
    let mut step = new(&resumed);
    step.load_state(&state).unwrap();
    for _ in 0..2 {
        step.step(&x, &t, 0.05).unwrap();
    }
    assert_eq!(values(&*resumed), values(&*averaged));
    assert_eq!(step.averaged(|| values(&*resumed)).unwrap(), end);
}

#[test]
fn a_decay_that_keeps_all_or_more_is_refused() {
    for decay in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        let step = TrainStep::new(model(), SoftmaxCrossEntropy::new(), Sgd::new(0.1)).unwrap();
        let error = step.ema(decay).err().unwrap().to_string();
        assert!(error.contains("from 0 to below 1"), "{error}");
    }
}

const SCORES: [f64; 12] = [
    1.5, -0.25, -2.25, 0.5, -1.0, -1.5, 0.5, 0.75, -0.75, -0.5, -0.5, 0.25,
];
const WEIGHTS: [f64; 3] = [1.0, 0.5, 3.0];

/// Values and gradients of PyTorch's `cross_entropy(x, t, weight=w, label_smoothing=s)` in double precision.
#[test]
fn weights_of_classes_are_those_of_pytorch() {
    let cases = [
        (
            0.0,
            1.9185370866434084,
            [
                -0.02197088546520498,
                0.01935189171833928,
                0.0026189937468657064,
                0.29444988972503755,
                0.06570065105003513,
                -0.3601505407750727,
                0.1556099196546329,
                0.19980709192528598,
                -0.3554170115799189,
                0.01619302074269062,
                -0.050473645923976046,
                0.034280625181285426,
            ],
        ),
        (
            0.1,
            1.8735964724985654,
            [
                -0.007513874182909674,
                0.018097264082034024,
                -0.010583389899124341,
                0.2752829507943412,
                0.060193396275311145,
                -0.3354763470696524,
                0.14338497922745677,
                0.18759451510679945,
                -0.33097949433425633,
                0.014987180446784298,
                -0.04279059733099348,
                0.027803416884209183,
            ],
        ),
    ];
    let x = Tensor::new([4, 3], SCORES);
    let t = Tensor::new([4], [0i64, 2, 2, 1]);
    for (smoothing, expected, gradient) in cases {
        let loss = SoftmaxCrossEntropy::new()
            .label_smoothing(smoothing)
            .class_weights(WEIGHTS);
        let found = loss.loss(&x, &t);
        assert!((found.item().unwrap() - expected).abs() < 1e-12);
        let slopes = gradients(&found, &[&x])[0].eval().unwrap().to_f64s();
        for (found, expected) in slopes.iter().zip(gradient) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
    // Targets that are shares of classes.
    let shares = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.5, 0.0, 0.25, 0.75];
    let loss = SoftmaxCrossEntropy::new().class_weights(WEIGHTS);
    let found = loss.loss(&x, &Tensor::new([4, 3], shares)).item().unwrap();
    assert!((found - 1.6299713957859336).abs() < 1e-12);
}

#[test]
fn weights_that_cannot_work_say_why() {
    let (x, t) = (
        Tensor::new([4, 3], SCORES),
        Tensor::new([4], [0i64, 2, 2, 1]),
    );
    let error = |weights: &[f64]| {
        let loss = SoftmaxCrossEntropy::new().class_weights(weights);
        loss.loss(&x, &t).item().unwrap_err().to_string()
    };
    assert!(error(&[1.0, 2.0]).contains("2 class weights for 3 classes"));
    assert!(error(&[1.0, f64::NAN, 1.0]).contains("NaN"));
    assert!(error(&[1.0, -1.0, 1.0]).contains("-1"));
    assert!(error(&[0.0; 3]).contains("all class weights are 0"));
}

#[test]
fn the_five_largest_scores_count_where_there_are_many_classes() {
    let scores: Vec<f64> = (0..24).map(|i| f64::from(i % 12)).collect();
    let x = Tensor::new([2, 12], scores);
    let loss = SoftmaxCrossEntropy::new();
    let top5 = |labels: [i64; 2]| {
        let sums = loss.sums(&x, &Tensor::new([2], labels));
        assert_eq!(sums[1].0, "top5");
        sums[1].1.item().unwrap()
    };
    // The fifth largest is class 7.
    assert_eq!(top5([7, 6]), 1.0);
    assert_eq!(top5([11, 9]), 2.0);
    assert_eq!(top5([0, 1]), 0.0);
    let ten = Tensor::new([1, 10], vec![0.0f32; 10]);
    assert_eq!(loss.sums(&ten, &Tensor::new([1], [0i64])).len(), 1);
    // What is no number is no answer.
    let none = Tensor::new([1, 12], vec![f32::NAN; 12]);
    assert_eq!(
        loss.sums(&none, &Tensor::new([1], [3i64]))[1]
            .1
            .item()
            .unwrap(),
        0.0
    );
}
