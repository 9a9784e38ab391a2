//! Every ready-made model: one compiled step against the reference loops in double precision.

mod common;

use common::assert_close;
use std::sync::Arc;
use zerokara_core::{Array, Tensor, gradients};
use zerokara_core::{Precision, interpret};
use zerokara_nn::*;

#[test]
fn a_compiled_step_is_the_interpreted_one_on_every_machine() {
    zerokara_core::testing::again_on_other_machines(&["a_compiled_step_is_the_interpreted_one"]);
}

#[test]
fn a_compiled_step_is_the_interpreted_one() {
    for name in models::NAMES {
        let model: Arc<dyn Forward> = models::by_name(name, 10).unwrap().into();
        let x = Tensor::uniform(11, &Tensor::from(0), [4, 1, 12, 12])
            .eval()
            .unwrap();
        let t = Array::new([4], vec![3i64, 0, 9, 3]);
        model.build(&x, 5).unwrap();

        let step = Tensor::from(0);
        let mut cx = Context::new(Mode::Train, 7, step);
        let output = model.forward(&Tensor::from(x.clone()), &mut cx);
        let loss = SoftmaxCrossEntropy::new().loss(&output, &Tensor::from(t.clone()));
        let parameters = model.parameters().unwrap();
        let leaves: Vec<Tensor> = parameters.iter().map(|p| p.tensor()).collect();
        let wrt: Vec<&Tensor> = leaves.iter().collect();
        let mut all = vec![loss];
        all.extend(gradients(&all[0], &wrt));
        let statistics = cx.finish().unwrap();
        all.extend(statistics.iter().map(|(_, value)| value.clone()));
        let all: Vec<&Tensor> = all.iter().collect();
        let expected = interpret(&all, &[], Precision::Double).unwrap();
        let (expected, buffers) = expected.split_at(1 + parameters.len());
        let before: Vec<Array> = parameters.iter().map(|p| p.value()).collect();

        let criterion = Arc::new(SoftmaxCrossEntropy::new());
        let mut train = TrainStep::new(model.clone(), criterion, Arc::new(Sgd::new(1.0)))
            .unwrap()
            .seed(7);
        let found = train.step(&x, &t, 1.0).unwrap();
        assert!(found.ok, "{name}");
        assert_close(&[found.loss], &expected[0].to_f64s(), 1e-5, name);
        for ((parameter, before), gradient) in parameters.iter().zip(before).zip(&expected[1..]) {
            let moved: Vec<f64> = before
                .to_f64s()
                .iter()
                .zip(parameter.value().to_f64s())
                .map(|(a, b)| a - b)
                .collect();
            let what = format!("{name}: {}", parameter.name());
            // The difference of two f32 of the parameter's size has their rounding.
            let size = before.to_f64s().iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            let wanted = gradient.to_f64s();
            let scale = wanted.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            assert_close(&moved, &wanted, 1e-4 + 1e-6 * size / scale, &what);
        }
        for ((cell, _), expected) in statistics.iter().zip(buffers) {
            let found = cell.value().to_f64s();
            assert_close(&found, &expected.to_f64s(), 1e-5, cell.name());
        }
    }
}
