//! Every ready-made model: one compiled step against the reference loops in double precision.

mod common;

use common::assert_close;
use std::sync::Arc;
use zerokara_core::{
    Array, Arrays, DType, Metas, Port, Precision, Tensor, Tensors, gradients, interpret,
};
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

/// Tokens of four sequences, and what comes next.
fn sequences() -> [Array; 2] {
    let token = |at: usize| (at * 7 % 9) as i64;
    let tokens = |from: usize| (from..from + 4 * 6).map(token).collect::<Vec<i64>>();
    [0, 1].map(|from| Array::new([4, 6], tokens(from)))
}

fn of_language() -> [(&'static str, Arc<dyn Model>); 4] {
    let gpt = models::Gpt::new(9, 6).layers(2).heads(2).width(8);
    let lstm = models::RecurrentLanguageModel::lstm(9).width(8);
    let gru = models::RecurrentLanguageModel::gru(9).layers(1).width(8);
    [
        ("gpt-without-biases", Arc::new(gpt.clone().bias(false))),
        ("gpt", Arc::new(gpt)),
        ("lstm", Arc::new(lstm)),
        ("gru", Arc::new(gru)),
    ]
}

#[test]
fn a_compiled_step_of_a_model_of_language_is_the_interpreted_one() {
    for (name, model) in of_language() {
        let [x, t] = sequences();
        model.build_for(&Metas::one("x", x.meta()), 5).unwrap();
        let tokens = Tensors::one("x", Tensor::from(x.clone()));
        let mut cx = Context::new(Mode::Train, 7, Tensor::from(0));
        let output = model.apply(&tokens, &mut cx).single();
        let loss = TokenCrossEntropy::new().loss(&output, &Tensor::from(t.clone()));
        let parameters = model.parameters().unwrap();
        let leaves: Vec<Tensor> = parameters.iter().map(|p| p.tensor()).collect();
        let wrt: Vec<&Tensor> = leaves.iter().collect();
        let mut all = vec![loss];
        all.extend(gradients(&all[0], &wrt));
        let all: Vec<&Tensor> = all.iter().collect();
        let expected = interpret(&all, &[], Precision::Double).unwrap();
        let before: Vec<Array> = parameters.iter().map(|p| p.value()).collect();
        let task = Arc::new(TokenCrossEntropy::new());
        let mut train = TrainStep::new(model.clone(), task, Arc::new(Sgd::new(1.0))).unwrap();
        let found = train.step(&x, &t, 1.0).unwrap();
        assert_close(&[found.loss], &expected[0].to_f64s(), 1e-5, name);
        for ((parameter, before), gradient) in parameters.iter().zip(before).zip(&expected[1..]) {
            let pairs = before
                .to_f64s()
                .into_iter()
                .zip(parameter.value().to_f64s());
            let moved: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
            let what = format!("{name}: {}", parameter.name());
            let size = before.to_f64s().iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            let wanted = gradient.to_f64s();
            let scale = wanted.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            assert_close(&moved, &wanted, 1e-4 + 1e-6 * size / scale, &what);
        }
    }
}

/// Token by token with its states along, a model says what it says of the whole sequence; also from its record, whose states begin
/// as zeros where they are not given.
#[test]
fn states_carry_a_text_along() {
    for (name, model) in of_language().into_iter().skip(2) {
        let [x, _] = sequences();
        model.build_for(&Metas::one("x", x.meta()), 5).unwrap();
        let mut ports = vec![Port::new("x", DType::I64, ["batch", "length"])];
        ports.extend(model.state_ports());
        let record = record::trace_ports(&*model, &ports).unwrap();
        let rebuilt: Arc<dyn Model> = Arc::new(GraphModule::new(record).unwrap());
        assert_eq!(rebuilt.state_ports(), model.state_ports());
        let inputs = Arrays::one("x", x.clone());
        let whole = Predictor::new(model.clone()).unwrap();
        let whole = whole.predict_all(&inputs).unwrap();
        assert_eq!(whole.names().collect::<Vec<_>>(), ["y"], "{name}");
        for model in [model, rebuilt] {
            let all = Predictor::new(model.clone()).unwrap();
            let all = all.predict_all(&inputs).unwrap();
            assert_eq!(all.names().collect::<Vec<_>>(), ["y"], "{name}");
            let expected = whole.find("y").unwrap().to_f64s();
            assert_close(&all.find("y").unwrap().to_f64s(), &expected, 1e-6, name);
            let mut stream = Stream::new(model).unwrap();
            for at in 0..6 {
                let tokens = x.as_slice::<i64>().unwrap().chunks(6).map(|row| row[at]);
                let x = Array::new([4, 1], tokens.collect::<Vec<i64>>());
                let outputs = stream.step(&Arrays::one("x", x)).unwrap();
                let found = outputs.find("y").unwrap().to_f64s();
                let rows = expected.chunks(6 * 9);
                let wanted: Vec<f64> = rows
                    .flat_map(|row| row[at * 9..(at + 1) * 9].to_vec())
                    .collect();
                assert_close(&found, &wanted, 1e-5, name);
            }
        }
    }
}
