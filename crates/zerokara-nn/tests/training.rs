//! The training step: that it learns, that bad steps change nothing and are explained, and that models are the book's.

use std::sync::Arc;
use zerokara_core::{Array, DType, Meta, Tensor};
use zerokara_nn::*;

fn array(t: Tensor) -> Array {
    t.eval().unwrap()
}

/// Two clouds of points that a line does not separate: inside and outside of a circle.
fn circle(n: usize) -> (Array, Array) {
    let key = stream_key(3, "circle", 0);
    let points = Tensor::uniform(key, &Tensor::from(0), [n, 2]) * 2.0f64 - 1.0f64;
    let points = array(points);
    let labels: Vec<i64> = points
        .to_f64s()
        .chunks(2)
        .map(|p| (p[0] * p[0] + p[1] * p[1] > 0.5) as i64)
        .collect();
    let n = labels.len();
    (points, Array::new([n], labels.as_slice()))
}

fn step(model: Arc<dyn Forward>, optimizer: Arc<dyn Optimizer>) -> TrainStep {
    TrainStep::new(model, Arc::new(SoftmaxCrossEntropy::new()), optimizer).unwrap()
}

#[test]
fn a_network_learns_what_no_line_separates() {
    let (x, t) = circle(64);
    let model = Arc::new(Sequential::new().linear(16).batch_norm1d().relu().linear(2));
    model.build(&x, 1).unwrap();
    let mut train = step(model.clone(), Arc::new(Adam::new(0.03)));
    let first = train.step(&x, &t, 0.03).unwrap();
    for _ in 0..60 {
        assert!(train.step(&x, &t, 0.03).unwrap().ok);
    }
    assert_eq!(train.counters(), (61, 61));
    let last = train.step(&x, &t, 0.03).unwrap();
    assert!(
        last.loss < 0.3 * first.loss,
        "{} to {}",
        first.loss,
        last.loss
    );
    assert!(last.correct.unwrap() >= 60);

    // Evaluation uses the running statistics and changes nothing.
    let before = model.state().unwrap();
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut evaluate = EvalStep::new(model.clone(), loss).unwrap();
    let found = evaluate.run(&x, &t).unwrap();
    assert!(found.correct.unwrap() >= 58);
    let accuracy = metrics::accuracy(&found.output, &t).unwrap();
    assert_eq!(accuracy, found.correct.unwrap() as f64 / 64.0);
    assert_eq!(before, model.state().unwrap());
    let predictor = Predictor::new(model).unwrap();
    assert_eq!(predictor.predict(&x).unwrap(), found.output);
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let (x, t) = circle(16);
    let run = |seed| {
        let model = Arc::new(Sequential::new().linear(8).relu().dropout(0.5).linear(2));
        model.build(&x, 1).unwrap();
        let mut train = step(model.clone(), Arc::new(Momentum::new(0.1))).seed(seed);
        let losses: Vec<f64> = (0..5)
            .map(|_| train.step(&x, &t, 0.1).unwrap().loss)
            .collect();
        (losses, model.state().unwrap())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn a_last_batch_that_is_smaller_is_another_program() {
    let (x, t) = circle(10);
    let (y, u) = circle(3);
    let model = Arc::new(Sequential::new().linear(2));
    model.build(&x, 1).unwrap();
    let mut train = step(model.clone(), Arc::new(Momentum::new(0.1)));
    train.step(&x, &t, 0.1).unwrap();
    // The momentum of the first step is there in the second.
    let state = train.optimizer_state();
    assert_eq!(state[0].0, "linear1.weight.velocity");
    let velocity = state[0].1.value();
    assert!(velocity.to_f64s().iter().any(|&v| v != 0.0));
    train.step(&y, &u, 0.1).unwrap();
    assert_ne!(velocity, state[0].1.value());
    let error = train.step(&x, &u, 0.1).unwrap_err();
    let text = error.to_string();
    let why = "f32[10, 2], made by layer linear1, for 10 samples, but there are 3 labels";
    assert!(text.contains(why), "{text}");
}

#[test]
fn a_step_that_is_not_finite_changes_nothing_and_is_explained() {
    let (x, t) = circle(8);
    let line = line!() + 3;
    let model = Sequential::new()
        .linear(4)
        .batch_norm1d()
        .add_named("oops", Root(Place::new("Root")))
        .linear(2);
    let model = Arc::new(model);
    model.build(&x, 1).unwrap();
    let before = model.state().unwrap();
    let mut train = step(model.clone(), Arc::new(Adam::new(0.1)));
    let output = train.step(&x, &t, 0.1).unwrap();
    assert!(!output.ok && output.loss.is_nan());
    assert_eq!(model.state().unwrap(), before);
    assert!(
        train
            .optimizer_state()
            .iter()
            .all(|(_, p)| p.value().to_f64s().iter().all(|&v| v == 0.0))
    );
    assert_eq!(train.counters(), (1, 0));
    let found = train.locate_non_finite().unwrap().unwrap();
    assert_eq!(
        (found.layer.as_deref(), found.op.as_str()),
        (Some("oops"), "sqrt")
    );
    assert!(!found.in_gradient && found.count > 0 && found.of == 32);
    assert_eq!(found.location.line(), line + 1);
    let text = found.to_string();
    assert!(
        text.contains("elements of sqrt are not finite (in layer oops)"),
        "{text}"
    );

    // A NaN in the data is found as such.
    let mut bad = x.clone();
    bad.as_mut_slice::<f32>().unwrap()[3] = f32::NAN;
    let model = Arc::new(Sequential::new().linear(2));
    model.build(&x, 1).unwrap();
    let mut train = step(model, Arc::new(Sgd::new(0.1)));
    assert!(!train.step(&bad, &t, 0.1).unwrap().ok);
    let found = train.locate_non_finite().unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.count), ("input x", 1));
    assert!(train.step(&x, &t, 0.1).unwrap().ok);
    assert!(train.locate_non_finite().unwrap().is_none());
}

/// The square root, which negative numbers do not have.
#[derive(Clone)]
struct Root(Place);

impl Module for Root {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.0);
    }
}

impl Forward for Root {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.0.run(|| x.sqrt())
    }
}

#[test]
fn infinite_gradients_are_found_in_the_gradients() {
    // sqrt(0) is finite, its slope is not.
    let x = array(Tensor::zeros([2, 1]));
    let model = Sequential::new()
        .add(Linear::new(2).initializer(Initializer::Constant(1.0)))
        .add_named("root", Root(Place::new("Root")));
    let model = Arc::new(model);
    model.build(&x, 0).unwrap();
    let mut train = step(model, Arc::new(Sgd::new(0.1)));
    let labels = array(Tensor::from([0, 1]));
    let output = train.step(&x, &labels, 0.1).unwrap();
    assert!(output.loss.is_finite() && !output.ok);
    let found = train.locate_non_finite().unwrap().unwrap();
    assert!(found.in_gradient);
    assert_eq!(found.layer.as_deref(), Some("root"));
}

#[test]
fn the_penalty_is_the_books() {
    let x = array(Tensor::from([[1.0, 2.0]]));
    let t = array(Tensor::from([0]));
    let model = || {
        let model = Sequential::new().add(Linear::new(2).initializer(Initializer::Constant(0.5)));
        model.build(&x, 0).unwrap();
        Arc::new(model)
    };
    let plain = step(model(), Arc::new(Sgd::new(0.1)))
        .step(&x, &t, 0.1)
        .unwrap();
    let (a, b) = (model(), model());
    let with = step(a.clone(), Arc::new(Sgd::new(0.1)))
        .l2_penalty(0.2)
        .step(&x, &t, 0.1)
        .unwrap();
    // 0.2 / 2 * (4 * 0.5^2)
    assert!((with.loss - plain.loss - 0.1).abs() < 1e-6);
    step(b.clone(), Arc::new(Sgd::new(0.1)))
        .step(&x, &t, 0.1)
        .unwrap();
    let weight = |m: &Sequential| m.parameters().unwrap()[0].value().to_f64s();
    for (a, b) in weight(&a).iter().zip(weight(&b)) {
        // Each weight shrinks by lr * penalty * 0.5 more.
        assert!((b - a - 0.1 * 0.2 * 0.5).abs() < 1e-6);
    }
}

#[test]
fn models_have_the_sizes_of_the_book() {
    let image = Meta::new([2, 1, 28, 28], DType::F32);
    // Counted by hand from the book's descriptions; ResNet-20 as its paper counts 0.27 M, with projections.
    let hidden = |n: usize| 784 * n + n;
    let deep = (16 * 9 + 16)
        + (16 * 16 * 9 + 16)
        + (32 * 16 * 9 + 32)
        + (32 * 32 * 9 + 32)
        + (64 * 32 * 9 + 64)
        + (64 * 64 * 9 + 64)
        + (64 * 4 * 4 * 50 + 50)
        + (50 * 10 + 10);
    let lenet = (6 * 25 + 6) + (16 * 6 * 25 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + 850;
    let stage = |c: usize, o: usize| {
        let first = c * o * 9 + o * o * 9 + 4 * o;
        let project = if c == o { 0 } else { c * o + 2 * o };
        first + project + 2 * (2 * o * o * 9 + 4 * o)
    };
    let resnet = (9 * 16 + 32) + stage(16, 16) + stage(16, 32) + stage(32, 64) + 650;
    let expected = [
        hidden(50) + 510,
        hidden(100) + 5 * 10_100 + 1010,
        (30 * 25 + 30) + (30 * 12 * 12 * 100 + 100) + 1010,
        deep,
        lenet,
        resnet,
    ];
    for (name, expected) in models::NAMES.into_iter().zip(expected) {
        let model = models::by_name(name, 10).unwrap();
        model.build(&image, 0).unwrap();
        assert_eq!(model.parameter_count().unwrap(), expected, "{name}");
        let x = Tensor::input("x", image.shape.clone(), image.dtype);
        let y = model.forward(&x, &mut Context::evaluate());
        assert_eq!(y.shape().unwrap(), [2, 10], "{name}");
    }
    assert!(models::by_name("alexnet", 10).is_none());
    let colour = Meta::new([2, 3, 32, 32], DType::F32);
    models::by_name("resnet20", 10)
        .unwrap()
        .build(&colour, 0)
        .unwrap();
}
