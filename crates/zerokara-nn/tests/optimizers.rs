//! Optimizers, clipping and schedules against PyTorch, run by the training step.

mod common;

use common::{assert_close, goldens, numbers};
use serde_json::Value;
use std::sync::Arc;
use zerokara_core::{Array, Parameter, Tensor};
use zerokara_nn::*;

/// Parameters whose loss is `sum((p - target)^2 scale) / 2`: input and targets do not matter.
#[derive(Module)]
struct Bowl {
    parameters: Vec<ParameterSlot>,
    #[module(skip)]
    targets: Vec<Tensor>,
    #[module(skip)]
    scales: Vec<Tensor>,
}

impl Bowl {
    /// As the goldens have it, of these shapes; vectors unless given.
    fn new(goldens: &Value) -> Self {
        let lists = |name: &str| -> Vec<Vec<f64>> {
            goldens[name]
                .as_array()
                .unwrap()
                .iter()
                .map(numbers)
                .collect()
        };
        let start = lists("start");
        let shapes: Vec<Vec<usize>> = match goldens.get("shapes") {
            Some(shapes) => serde_json::from_value(shapes.clone()).unwrap(),
            None => start.iter().map(|values| vec![values.len()]).collect(),
        };
        let tensors = |name: &str| -> Vec<Tensor> {
            let lists = lists(name).into_iter().zip(&shapes);
            lists
                .map(|(values, shape)| Tensor::new(shape.clone(), values))
                .collect()
        };
        let slot = |(values, shape): (Vec<f64>, &Vec<usize>)| {
            let value = Array::new(shape.clone(), values);
            ParameterSlot::of(Parameter::of_array("p", value), true)
        };
        Self {
            targets: tensors("target"),
            scales: tensors("scale"),
            parameters: start.into_iter().zip(&shapes).map(slot).collect(),
        }
    }
}

impl Forward for Bowl {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let mut loss = x.zeros_like().sum();
        let wanted = self.targets.iter().zip(&self.scales);
        for (slot, (target, scale)) in self.parameters.iter().zip(wanted) {
            let p = slot.parameter().map(|p| p.meta().clone());
            let p = slot.tensor(
                &p.unwrap_or(zerokara_core::Meta::new([0], zerokara_core::DType::F64)),
                cx,
            );
            loss = loss + ((p - target).square() * scale).sum() * 0.5;
        }
        loss
    }
}

/// The output is the loss.
struct Itself;

impl Loss for Itself {
    fn name(&self) -> &'static str {
        "itself"
    }
    fn loss(&self, output: &Tensor, _: &Tensor) -> Tensor {
        output.clone()
    }
}

fn check(
    goldens: &Value,
    trace: &Value,
    optimizer: Arc<dyn Optimizer>,
    clipping: Clipping,
    what: &str,
) {
    let bowl = Arc::new(Bowl::new(goldens));
    let x = Array::new([1], [0.0f64].as_slice());
    let rate = optimizer.learning_rate();
    let mut step = TrainStep::new(bowl.clone(), Arc::new(Itself), optimizer)
        .unwrap()
        .clipping(clipping);
    for (i, expected) in trace.as_array().unwrap().iter().enumerate() {
        let rate = if i < 3 { rate } else { rate * 0.5 };
        let output = step.step(&x, &x, rate).unwrap();
        let what = format!("{what}, step {i}");
        let loss = expected["loss"].as_f64().unwrap();
        assert_close(&[output.loss], &[loss], 2e-6, &what);
        let norm = expected["norm"].as_f64().unwrap();
        assert_close(&[output.gradient_norm], &[norm], 2e-6, &what);
        for (at, (_, p)) in bowl.named_parameters().unwrap().iter().enumerate() {
            // The scalars of a step are f32.
            let expected = numbers(&expected["parameters"][at]);
            assert_close(&p.value().to_f64s(), &expected, 1e-6, &what);
        }
    }
}

#[test]
fn optimizers_agree_with_pytorch() {
    let goldens = goldens("optimizers");
    let traces = goldens["optimizers"].as_object().unwrap();
    assert_eq!(traces.len(), 19);
    for (name, trace) in traces {
        let optimizer: Arc<dyn Optimizer> = match name.as_str() {
            "sgd" => Arc::new(Sgd::new(0.05)),
            "sgd_decay" => Arc::new(Sgd::new(0.05).weight_decay(0.1)),
            "momentum" => Arc::new(Momentum::new(0.05)),
            "momentum_decay" => Arc::new(Momentum::new(0.05).momentum(0.8).weight_decay(0.1)),
            "nesterov" => Arc::new(Nesterov::new(0.05)),
            "adagrad" => Arc::new(AdaGrad::new(0.1)),
            "adagrad_decay" => Arc::new(AdaGrad::new(0.1).weight_decay(0.1)),
            "rmsprop" => Arc::new(RmsProp::new(0.01)),
            "rmsprop_options" => {
                Arc::new(RmsProp::new(0.01).alpha(0.9).eps(1e-4).weight_decay(0.1))
            }
            "adam" => Arc::new(Adam::new(0.1)),
            "adam_options" => Arc::new(Adam::new(0.1).betas(0.8, 0.95).eps(1e-3).weight_decay(0.1)),
            "adamw" => Arc::new(AdamW::new(0.1)),
            "adamw_options" => Arc::new(AdamW::new(0.1).betas(0.8, 0.95).weight_decay(0.3)),
            "radam" => Arc::new(RAdam::new(0.1)),
            "radam_options" => {
                Arc::new(RAdam::new(0.1).betas(0.8, 0.95).eps(1e-3).weight_decay(0.1))
            }
            "lamb" => Arc::new(Lamb::new(0.1)),
            "lamb_options" => {
                Arc::new(Lamb::new(0.05).betas(0.8, 0.95).eps(1e-3).weight_decay(0.3))
            }
            "lion" => Arc::new(Lion::new(0.01)),
            "lion_options" => Arc::new(Lion::new(0.03).betas(0.8, 0.95).weight_decay(0.3)),
            other => panic!("no optimizer {other}"),
        };
        check(&goldens, trace, optimizer, Clipping::None, name);
    }
}

/// Matrices, wide, tall and of more axes, and a vector.
#[test]
fn muon_agrees_with_its_definition() {
    let goldens = goldens("optimizers");
    let matrices = &goldens["matrices"];
    let muon = Arc::new(Muon::new(0.02));
    check(matrices, &matrices["muon"], muon, Clipping::None, "muon");
    let muon = Arc::new(Muon::new(0.05).momentum(0.8).weight_decay(0.3));
    let trace = &matrices["muon_options"];
    check(matrices, trace, muon, Clipping::None, "muon, options");
}

#[test]
fn clipping_agrees_with_pytorch() {
    let goldens = goldens("optimizers");
    let sgd = || Arc::new(Sgd::new(0.05));
    let (by_norm, by_value) = (Clipping::Norm(2.0), Clipping::Value(0.5));
    check(&goldens, &goldens["clip_norm"], sgd(), by_norm, "norm");
    check(&goldens, &goldens["clip_value"], sgd(), by_value, "value");
}

#[test]
fn schedules_agree_with_pytorch() {
    let goldens = goldens("optimizers");
    for (name, rates) in goldens["schedules"].as_object().unwrap() {
        let schedule = match name.as_str() {
            "step" => Schedule::Step {
                every: 3,
                gamma: 0.5,
            },
            "cosine" => Schedule::Cosine {
                steps: 10,
                last: 0.1,
            },
            "linear" => Schedule::Linear {
                steps: 8,
                last: 0.2,
            },
            "one_cycle" => Schedule::one_cycle(20),
            other => panic!("no schedule {other}"),
        };
        let expected = numbers(rates);
        let found: Vec<f64> = (0..expected.len() as u64)
            .map(|step| schedule.factor(step))
            .collect();
        assert_close(&found, &expected, 1e-12, name);
    }
}

#[test]
fn schedules_end_where_they_say() {
    let warm = Schedule::Constant.warm_up(4);
    let factors: Vec<f64> = (0..6).map(|s| warm.factor(s)).collect();
    assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    let cosine = Schedule::Cosine {
        steps: 10,
        last: 0.1,
    };
    assert!((cosine.factor(1000) - 0.1).abs() < 1e-12);
    // No steps at all: no division by zero.
    for schedule in [
        Schedule::Step {
            every: 0,
            gamma: 0.5,
        },
        Schedule::Cosine {
            steps: 0,
            last: 0.1,
        },
        Schedule::one_cycle(0),
        Schedule::one_cycle(1),
    ] {
        assert!(schedule.factor(0).is_finite() && schedule.factor(9).is_finite());
    }
}
