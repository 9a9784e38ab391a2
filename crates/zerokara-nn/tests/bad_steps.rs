//! A bad step changes nothing: whatever would store a value that is not finite is refused as a whole, and settings that
//! cannot work are refused by name.

use std::sync::Arc;
use zerokara_core::{Array, DType, Meta, Parameter, Tensor};
use zerokara_nn::*;

/// Numbers `p`, whose output is `p x`: with the sum as loss, x is the gradient.
#[derive(Module)]
struct Slope {
    p: ParameterSlot,
}

impl Slope {
    fn new(p: &[f32]) -> Arc<Self> {
        let value = Array::new([p.len()], p);
        Arc::new(Self {
            p: ParameterSlot::of(Parameter::of_array("p", value), true),
        })
    }

    fn value(&self) -> Vec<f64> {
        self.parameters().unwrap()[0].value().to_f64s()
    }
}

impl Forward for Slope {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let meta = self.p.parameter().map(|p| p.meta().clone());
        self.p
            .tensor(&meta.unwrap_or(Meta::new([0], DType::F32)), cx)
            * x
    }
}

/// The sum of the outputs, of which so much counts.
struct Sum(f64);

impl Loss for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn loss(&self, output: &Tensor, _: &Tensor) -> Tensor {
        (output * self.0).sum()
    }
}

/// A step of this model whose gradient is `gradient`.
fn slope_step<O: Optimizer + 'static>(
    model: &Arc<Slope>,
    optimizer: O,
    clipping: Clipping,
) -> impl FnMut(&[f32]) -> (StepOutput, Option<NonFinite>) + use<O> {
    let rate = optimizer.learning_rate();
    let step = TrainStep::new(model.clone(), Arc::new(Sum(1.0)), Arc::new(optimizer)).unwrap();
    let mut step = step.clipping(clipping);
    move |gradient| {
        let x = Array::new([gradient.len()], gradient);
        let output = step
            .step(&x, &Array::zeros(&Meta::new([1], DType::I64)), rate)
            .unwrap();
        let states = step.optimizer_state();
        let finite = |p: &Parameter| p.value().to_f64s().iter().all(|v| v.is_finite());
        assert!(
            states.iter().all(|(_, p)| finite(p)),
            "a state is not finite"
        );
        (output, step.locate_non_finite().unwrap())
    }
}

#[test]
fn an_update_that_overflows_is_refused_and_explained() {
    let model = Slope::new(&[1.0, 3e38]);
    // 3e38 + 1e38 is more than an f32 holds.
    let mut step = slope_step(&model, Sgd::new(1e38), Clipping::None);
    let (output, origin) = step(&[0.0, -1.0]);
    assert!(!output.ok && output.loss.is_finite() && output.gradient_norm == 1.0);
    assert_eq!(model.value(), [1.0, f64::from(3e38f32)]);
    let origin = origin.unwrap();
    assert!(origin.in_update && !origin.in_gradient && origin.count == 1);
    assert_eq!(origin.updated.as_deref(), Some("p"));
    let text = origin.to_string();
    assert!(
        text.contains("1 of 2 elements of") && text.contains("in the update of p"),
        "{text}"
    );
    // The other way is fine.
    let (output, _) = step(&[0.0, 1.0]);
    assert!(output.ok);
    assert!((model.value()[1] / 2e38 - 1.0).abs() < 1e-6);
}

#[test]
fn a_state_that_overflows_is_refused() {
    // The square of 2e19 is more than an f32 holds.
    for optimizer in [
        Arc::new(Adam::new(0.1)) as Arc<dyn Optimizer>,
        Arc::new(AdaGrad::new(0.1)),
        Arc::new(RmsProp::new(0.1)),
    ] {
        let model = Slope::new(&[1.0, 2.0]);
        let name = optimizer.name();
        let mut step = slope_step(&model, optimizer.clone(), Clipping::None);
        let (output, origin) = step(&[2e19, 0.0]);
        assert!(!output.ok, "{name}");
        assert_eq!(model.value(), [1.0, 2.0], "{name}");
        assert!(origin.unwrap().in_update, "{name}");
        assert!(step(&[1.0, 0.0]).0.ok, "{name}");
        // Clipped, it is a gradient like others.
        let mut step = slope_step(&model, optimizer, Clipping::Norm(1.0));
        assert!(step(&[2e19, 0.0]).0.ok, "{name}");
    }
}

#[test]
fn statistics_that_overflow_are_refused() {
    let x = Array::new([4, 1], &[1e20f32, -1e20, 2e20, 0.0][..]);
    let t = Array::new([4], &[0i64, 1, 0, 1][..]);
    let model = Arc::new(Sequential::new().batch_norm1d().linear(2));
    model.build(&x, 1).unwrap();
    let before = model.state().unwrap();
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model.clone(), loss, Arc::new(Sgd::new(0.1))).unwrap();
    let output = step.step(&x, &t, 0.1).unwrap();
    // The variance is 1e40, what is divided by its root 0, and loss and gradient are fine.
    assert!(output.loss.is_finite() && output.gradient_norm.is_finite() && !output.ok);
    assert_eq!(model.state().unwrap(), before);
    let origin = step.locate_non_finite().unwrap().unwrap();
    assert_eq!(origin.layer.as_deref(), Some("batch_norm1"));
    let x = Array::new([4, 1], &[1.0f32, -1.0, 2.0, 0.0][..]);
    assert!(step.step(&x, &t, 0.1).unwrap().ok);
}

#[test]
fn the_norm_of_gradients_of_any_size_is_right() {
    let eight = 8f64.sqrt();
    for size in [
        2e19f32, 1e30, 3e38, 1e18, 1.0, 1e-12, 1e-13, 1e-30, 1e-38, 1e-44,
    ] {
        let model = Slope::new(&[0.0; 8]);
        let mut step = slope_step(&model, Sgd::new(1e-3), Clipping::Norm(1.0));
        let (output, _) = step(&[size; 8]);
        assert!(output.ok, "{size:e}");
        let norm = f64::from(size) * eight;
        assert!(
            (output.gradient_norm / norm - 1.0).abs() < 1e-5,
            "{size:e}: {output:?}"
        );
        // As PyTorch clips.
        let clipped = f64::from(size) * (1.0 / (norm + 1e-6)).min(1.0);
        for p in model.value() {
            let expected = -1e-3 * clipped;
            assert!(
                (p - expected).abs() <= 1e-5 * expected.abs() + 1e-44,
                "{size:e}: {p:e}"
            );
        }
    }
    let model = Slope::new(&[1.0; 3]);
    let mut step = slope_step(&model, Sgd::new(0.1), Clipping::None);
    let (output, _) = step(&[0.0; 3]);
    assert!(output.ok && output.gradient_norm == 0.0);
    // Large and small together.
    let (output, _) = step(&[3e19, 4e19, 1e-30]);
    assert!((output.gradient_norm / 5e19 - 1.0).abs() < 1e-6);
    for bad in [f32::NAN, f32::INFINITY] {
        let before = model.value();
        let (output, origin) = step(&[bad, 1.0, 1e30]);
        assert!(!output.ok && origin.is_some());
        assert_eq!(model.value(), before);
    }
}

/// Scales a parameter to length 1, which is no matter of single elements: there are no bounds for it.
struct Unit;

impl Optimizer for Unit {
    fn name(&self) -> &'static str {
        "unit"
    }
    fn learning_rate(&self) -> f64 {
        0.1
    }
    fn state(&self) -> Vec<(&'static str, f64)> {
        vec![("length", 0.0)]
    }
    fn update(&self, p: &Tensor, g: &Tensor, _: &[Tensor], s: &[Tensor]) -> (Tensor, Vec<Tensor>) {
        let moved = p - &s[0] * g;
        let length = moved.square().sum().sqrt().broadcast_like(p);
        (&moved / &length, vec![length])
    }
}

#[test]
fn an_optimizer_of_ones_own_is_looked_at() {
    let model = Slope::new(&[3.0, 4.0]);
    let mut step = slope_step(&model, Unit, Clipping::None);
    assert!(step(&[0.0, 0.0]).0.ok);
    assert!(
        model
            .value()
            .iter()
            .zip([0.6, 0.8])
            .all(|(p, e)| (p - e).abs() < 1e-6)
    );
    // 0 / 0.
    let (output, origin) = step(&[6.0, 8.0]);
    let near = model.value();
    if output.ok {
        // Rounding left a little of it.
        assert!(near.iter().all(|p| p.is_finite()));
    } else {
        assert!(origin.unwrap().in_update);
    }
    let model = Slope::new(&[0.0, 0.0]);
    let mut step = slope_step(&model, Unit, Clipping::None);
    let (output, _) = step(&[0.0, 0.0]);
    assert!(!output.ok);
    assert_eq!(model.value(), [0.0, 0.0]);
}

#[test]
fn a_parameter_set_between_steps_is_seen() {
    let model = Slope::new(&[1.0]);
    let mut step = slope_step(&model, Sgd::new(1e34), Clipping::None);
    assert!(step(&[1.0]).0.ok);
    let p = &model.parameters().unwrap()[0];
    p.set_array(Array::new([1], &[f32::MAX][..])).unwrap();
    assert!(!step(&[-1.0]).0.ok);
    assert_eq!(model.value(), [f64::from(f32::MAX)]);
    assert!(step(&[1.0]).0.ok);
}

fn refused(optimizer: impl Optimizer + 'static) -> String {
    let model = Slope::new(&[1.0]);
    let made = TrainStep::new(model, Arc::new(Sum(1.0)), Arc::new(optimizer));
    made.err().expect("it cannot work").to_string()
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let inf = f64::INFINITY;
    for (text, name, value) in [
        (refused(Adam::new(0.1).eps(0.0)), "adam has the eps", "0;"),
        (
            refused(AdaGrad::new(0.1).eps(0.0)),
            "adagrad has the eps",
            "0;",
        ),
        (
            refused(RmsProp::new(0.1).eps(1e-60)),
            "rmsprop has the eps",
            "0.0",
        ),
        (
            refused(AdamW::new(0.1).eps(f64::NAN)),
            "adamw has the eps",
            "NaN;",
        ),
        (refused(Adam::new(0.1).betas(1.0, 0.999)), "the beta1", "1;"),
        (refused(AdamW::new(0.1).betas(0.9, 1.0)), "the beta2", "1;"),
        (
            refused(Adam::new(0.1).betas(-0.1, 0.9)),
            "the beta1",
            "-0.1;",
        ),
        (
            refused(Momentum::new(0.1).momentum(1.0)),
            "the momentum",
            "1;",
        ),
        (
            refused(Nesterov::new(0.1).momentum(f64::NAN)),
            "the momentum",
            "NaN;",
        ),
        (refused(RmsProp::new(0.1).alpha(1.0)), "the alpha", "1;"),
        (
            refused(Sgd::new(0.1).weight_decay(-1.0)),
            "the weight decay",
            "-1;",
        ),
        (refused(Sgd::new(inf)), "the learning rate", "inf;"),
        (refused(Sgd::new(f64::NAN)), "the learning rate", "NaN;"),
        (refused(Sgd::new(-0.1)), "the learning rate", "-0.1;"),
    ] {
        assert!(text.contains(name) && text.contains(value), "{text}");
    }

    let x = Array::new([1], &[1.0f32][..]);
    let t = Array::zeros(&Meta::new([1], DType::I64));
    let step = || {
        let loss = Arc::new(Sum(1.0));
        TrainStep::new(Slope::new(&[1.0]), loss, Arc::new(Adam::new(0.1))).unwrap()
    };
    for rate in [f64::NAN, inf, -1.0] {
        let text = step().step(&x, &t, rate).unwrap_err().to_string();
        assert!(
            text.contains(&format!("the learning rate of step 1 is {rate}")),
            "{text}"
        );
    }
    for limit in [0.0, -1.0, f64::NAN, inf] {
        for clipping in [Clipping::Norm(limit), Clipping::Value(limit)] {
            let text = step()
                .clipping(clipping)
                .step(&x, &t, 0.1)
                .unwrap_err()
                .to_string();
            assert!(
                text.contains(&format!("of {limit}: it must be a number above 0")),
                "{text}"
            );
        }
    }
    for penalty in [-1.0, f64::NAN, inf] {
        let text = step()
            .l2_penalty(penalty)
            .step(&x, &t, 0.1)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains(&format!("the L2 penalty is {penalty}")),
            "{text}"
        );
    }
}

#[test]
fn schedules_that_give_no_rate_are_refused() {
    let inf = f64::INFINITY;
    let bad = [
        Schedule::Step {
            every: 10,
            gamma: -0.1,
        },
        Schedule::Step {
            every: 10,
            gamma: f64::NAN,
        },
        Schedule::Step {
            every: 0,
            gamma: 0.5,
        },
        // 10^400
        Schedule::Step {
            every: 1,
            gamma: 10.0,
        },
        Schedule::Cosine {
            steps: 10,
            last: inf,
        },
        Schedule::Linear {
            steps: 10,
            last: -1.0,
        },
        Schedule::OneCycle {
            steps: 10,
            rise: 2.0,
            first: 0.1,
            last: 0.0,
        },
        Schedule::OneCycle {
            steps: 10,
            rise: 0.3,
            first: f64::NAN,
            last: 0.0,
        },
        Schedule::Linear {
            steps: 10,
            last: inf,
        }
        .warm_up(3),
    ];
    for schedule in bad {
        assert!(schedule.check(401).is_err(), "{schedule}");
    }
    let good = [
        Schedule::Constant,
        Schedule::Step {
            every: 100,
            gamma: 0.1,
        },
        Schedule::one_cycle(400).warm_up(5),
        Schedule::Cosine {
            steps: 0,
            last: 0.0,
        },
    ];
    for schedule in good {
        schedule.check(401).unwrap();
    }
    let words = Schedule::one_cycle(2400).to_string();
    assert_eq!(
        words,
        "one cycle of 2400 steps: from 0.04 to 1 in 30 %, then to 0.000004"
    );
    let words = Schedule::Step {
        every: 1,
        gamma: 0.5,
    }
    .to_string();
    assert_eq!(words, "times 0.5 every 1 step");
}

#[test]
fn layers_and_initial_values_that_cannot_work_are_refused() {
    let x = Tensor::ones([4, 3]);
    let text = |layer: &dyn Forward| layer.build(&x, 0).unwrap_err().to_string();
    let inf = f64::INFINITY;
    for ratio in [-0.1, 1.0, f64::NAN] {
        assert!(text(&Dropout::new(ratio)).contains(&format!("not {ratio}")));
    }
    for momentum in [-0.1, 1.1, f64::NAN] {
        let text = text(&BatchNorm1d::new().momentum(momentum));
        assert!(text.contains(&format!(
            "the momentum is a share from 0 to 1, not {momentum}"
        )));
    }
    for eps in [0.0, -1.0, f64::NAN, inf, 1e-60] {
        for layer in [
            &BatchNorm1d::new().eps(eps) as &dyn Forward,
            &LayerNorm::new().eps(eps),
        ] {
            let text = text(layer);
            assert!(text.contains("eps is a number above 0"), "{text}");
        }
    }
    for initializer in [
        Initializer::Constant(f64::NAN),
        Initializer::Normal { std: -1.0 },
        Initializer::Normal { std: inf },
        Initializer::Uniform { bound: f64::NAN },
    ] {
        let text = text(&Linear::new(2).initializer(initializer));
        assert!(text.contains("of its initial values is"), "{text}");
    }
    for smoothing in [-0.1, 1.1, f64::NAN] {
        let loss = SoftmaxCrossEntropy::new().label_smoothing(smoothing);
        let value = loss.loss(&Tensor::ones([1, 2]), &Tensor::from([0]));
        let text = value.eval().unwrap_err().to_string();
        assert!(text.contains(&format!(
            "the label smoothing is a share from 0 to 1, not {smoothing}"
        )));
    }
}

#[test]
fn outputs_and_labels_that_do_not_go_together_are_explained() {
    let images = Array::zeros(&Meta::new([100, 1, 28, 28], DType::F32));
    let labels = |n: usize| Array::zeros(&Meta::new([n], DType::I64));
    let error = |model: Sequential, labels: Array| {
        model.build(&images, 0).unwrap();
        let loss = Arc::new(SoftmaxCrossEntropy::new());
        let step = TrainStep::new(Arc::new(model), loss, Arc::new(Sgd::new(0.1)));
        step.unwrap()
            .step(&images, &labels, 0.1)
            .unwrap_err()
            .to_string()
    };
    let forgotten = Sequential::new().conv2d(4, 5).relu().linear(10);
    assert_eq!(
        error(forgotten, labels(100)),
        "softmax_cross_entropy: the model's output is f32[100, 4, 24, 10], made by layer linear1, but 100 labels need one \
         row of scores for each, [100, C]; a .flatten() before the first linear layer makes rows of images"
    );
    assert_eq!(
        error(Sequential::new().flatten().linear(10), labels(99)),
        "softmax_cross_entropy: the model's output is f32[100, 10], made by layer linear1, for 100 samples, but there are \
         99 labels"
    );
    let squared = MeanSquaredError::new().loss(&Tensor::ones([4, 1]), &Tensor::ones([4]));
    let text = squared.eval().unwrap_err().to_string();
    assert!(
        text.contains("f32[4, 1]") && text.contains("not f32[4]"),
        "{text}"
    );
    // The library's own switches are nothing to be told.
    let text = Tensor::ones([2, 3])
        .reshape([4, -1])
        .eval()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("reshape(lengths=[4, -1])") && !text.contains("exact"),
        "{text}"
    );
}

#[test]
fn scores_that_are_nan_are_no_answers() {
    let x = Array::new([3, 2], &[1.0f32, 2.0, f32::NAN, 0.0, 3.0, 1.0][..]);
    let t = Array::new([3], &[0i64, 0, 1][..]);
    let model = Arc::new(Sequential::new());
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let found = EvalStep::new(model, loss).unwrap().run(&x, &t).unwrap();
    assert_eq!((found.correct, found.unanswered), (Some(0), 1));
    assert!(found.loss.is_nan());
}

/// A block of one's own without a place: convolutions, and rectifiers as operations.
#[derive(Clone, Module)]
struct Block {
    first: Conv2d,
    second: Conv2d,
}

impl Forward for Block {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let y = self.first.forward(x, cx).relu();
        let y = self.second.forward(&y, cx).relu();
        (y + x).relu().tanh().relu()
    }
}

#[test]
fn operations_outside_of_layers_have_rows_of_their_own() {
    let block = || Block {
        first: Conv2d::new(4, 3).padding(1),
        second: Conv2d::new(4, 3).padding(1),
    };
    let model = Sequential::new()
        .add(block())
        .add_named("end", block())
        .flatten()
        .linear(2);
    let sample = Meta::new([2, 4, 6, 6], DType::F32);
    model.build(&sample, 0).unwrap();
    let summary = Summary::of(&model, &sample).unwrap();
    let paths: Vec<&str> = summary.rows.iter().map(|row| row.path.as_str()).collect();
    let names = [
        "first", "relu1", "second", "relu2", "add1", "relu3", "tanh1", "relu4",
    ];
    let expected: Vec<String> = ["block1", "end"]
        .iter()
        .flat_map(|block| names.iter().map(move |name| format!("{block}.{name}")))
        .chain(["flatten1".into(), "linear1".into()])
        .collect();
    assert_eq!(paths, expected);
    assert_eq!(summary.rows[0].kind, "Conv2d");
    assert_eq!(summary.rows[1].kind, "relu");
    // A module that is no sequence.
    block().build(&sample, 0).unwrap();
}

#[test]
fn a_summary_of_one_sample_needs_no_training_on_one() {
    let model = Sequential::new().linear(8).batch_norm1d().relu().linear(2);
    let sample = Meta::new([1, 4], DType::F32);
    model.build(&sample, 0).unwrap();
    let one = Summary::of(&model, &sample).unwrap();
    let two = Summary::of(&model, &Meta::new([2, 4], DType::F32)).unwrap();
    assert_eq!(one.rows.len(), two.rows.len());
    assert_eq!(one.parameters(), two.parameters());
    assert_eq!(2 * one.flops(), two.flops());
    assert!(Summary::of(&model, &Meta::new([1, 5], DType::F32)).is_err());
}
