//! Layers for sequences against PyTorch, in double precision.

mod common;

use common::{array, assert_close, check_layer, goldens, numbers, state};
use serde_json::Value;
use zerokara_core::{Array, AttentionOptions, Tensor, gradients};
use zerokara_nn::*;

fn layer(name: &str) -> Box<dyn Forward> {
    match name {
        "rnn" => Box::new(Rnn::new(4)),
        "rnn_both_last" => Box::new(Rnn::new(4).bidirectional(true).last(true)),
        "lstm" => Box::new(Lstm::new(4)),
        "lstm_all" => Box::new(Lstm::new(4).bidirectional(true).layers(2)),
        "lstm_one" => Box::new(Lstm::new(1)),
        "gru" => Box::new(Gru::new(4)),
        "gru_all" => Box::new(Gru::new(4).layers(2).bidirectional(true)),
        "gru_last" => Box::new(Gru::new(4).layers(3).last(true)),
        "attention" => Box::new(MultiHeadAttention::new(2)),
        "attention_causal" => Box::new(MultiHeadAttention::new(3).causal(true).bias(false)),
        "attention_groups" => Box::new(MultiHeadAttention::new(4).groups(2)),
        "attention_rotary" => Box::new(MultiHeadAttention::new(2).causal(true).rotary(100.0)),
        "transformer_block" => Box::new(TransformerBlock::new(2).causal(true)),
        "transformer_block_no_bias" => Box::new(TransformerBlock::new(3).causal(true).bias(false)),
        "learned_positions" => Box::new(LearnedPositions::new(7)),
        other => panic!("no layer {other}"),
    }
}

#[test]
fn layers_agree_with_pytorch() {
    let cases = goldens("sequences");
    let cases = cases["layers"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        check_layer(&*layer(case["name"].as_str().unwrap()), case);
    }
}

/// Which positions there are, `[N, L]`.
fn mask(case: &Value, length: usize) -> Tensor {
    let lengths = numbers(&case["lengths"]);
    let holds = |&n: &f64| (0..length).map(move |i| u8::from((i as f64) < n));
    let truths: Vec<u8> = lengths.iter().flat_map(holds).collect();
    let bytes = Tensor::from(Array::new([lengths.len(), length], truths));
    bytes.greater(&bytes.zeros_like())
}

fn run(name: &str, layers: usize, both: bool) -> (Box<dyn Forward>, Box<Run>) {
    macro_rules! of {
        ($layer:expr) => {{
            let layer = $layer.layers(layers).bidirectional(both);
            let own = layer.clone();
            // Copies have parameters of their own, so that both are one.
            let shared = std::sync::Arc::new(own);
            let other = shared.clone();
            let run: Box<Run> = Box::new(move |x, first, mask, cx| other.run(x, first, mask, cx));
            (Box::new(Shared(shared)) as Box<dyn Forward>, run)
        }};
    }
    match name {
        "rnn" => of!(Rnn::new(4)),
        "lstm" => of!(Lstm::new(4)),
        _ => of!(Gru::new(4)),
    }
}

type Run = dyn Fn(&Tensor, &[Tensor], Option<&Tensor>, &mut Context) -> RecurrentOutput;

/// A layer that two own.
struct Shared<F>(std::sync::Arc<F>);

impl<F: Forward> Module for Shared<F> {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.0.visit(visitor);
    }
}

impl<F: Forward> Forward for Shared<F> {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.0.forward(x, cx)
    }
}

/// Sequences of unlike lengths, from first states: outputs, last states, and all gradients.
#[test]
fn masked_sequences_agree_with_packed_ones() {
    let cases = goldens("sequences");
    for case in cases["runs"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let layers = case["layers"].as_u64().unwrap() as usize;
        let (module, run) = run(name, layers, case["both"].as_bool().unwrap());
        let x = array(&case["x"]);
        module.build(&x, 1).unwrap();
        module.load_state(&state(&case["parameters"])).unwrap();
        let listed = |what: &str| -> Vec<Array> {
            case[what].as_array().unwrap().iter().map(array).collect()
        };
        let (x, mask) = (Tensor::from(x), mask(case, 5));
        let first: Vec<Tensor> = listed("first").into_iter().map(Tensor::from).collect();
        let found = run(&x, &first, Some(&mask), &mut Context::evaluate());
        let all: Vec<&Tensor> = [&found.output].into_iter().chain(&found.states).collect();
        let mut loss = Tensor::scalar(0.0, x.dtype().unwrap());
        let expected = listed("outputs").into_iter().zip(listed("cotangents"));
        for (y, (expected, cotangent)) in all.iter().zip(expected) {
            assert_eq!(y.shape().unwrap(), expected.shape(), "{name}");
            assert_close(
                &y.eval().unwrap().to_f64s(),
                &expected.to_f64s(),
                1e-12,
                name,
            );
            loss = loss + (*y * Tensor::from(cotangent)).sum();
        }
        let parameters = module.named_parameters().unwrap();
        let leaves: Vec<Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
        let wrt: Vec<&Tensor> = leaves.iter().chain([&x]).chain(&first).collect();
        let mut expected: Vec<(String, Array)> = Vec::new();
        for (path, _) in &parameters {
            expected.push((path.clone(), array(&case["gradients"][path])));
        }
        let inputs = listed("input_gradients").into_iter();
        expected.extend(inputs.map(|array| ("an input".into(), array)));
        assert_eq!(expected.len(), wrt.len());
        for ((path, expected), found) in expected.iter().zip(gradients(&loss, &wrt)) {
            let what = format!("{name}: gradient of {path}");
            assert_close(
                &found.eval().unwrap().to_f64s(),
                &expected.to_f64s(),
                1e-12,
                &what,
            );
        }
    }
}

#[test]
fn attention_to_another_sequence_agrees_with_pytorch() {
    let case = &goldens("sequences")["attend"];
    let (x, memory) = (array(&case["x"]), Tensor::from(array(&case["memory"])));
    let layer = MultiHeadAttention::new(2);
    layer.build(&x, 1).unwrap();
    layer.load_state(&state(&case["parameters"])).unwrap();
    let options = AttentionOptions::default().mask(&mask(case, 5).reshape([2, 1, 1, 5]));
    let y = layer.attend(
        &Tensor::from(x),
        &memory,
        &options,
        &mut Context::evaluate(),
    );
    let expected = array(&case["output"]).to_f64s();
    assert_close(&y.eval().unwrap().to_f64s(), &expected, 1e-12, "attend");
}

#[test]
fn what_does_not_fit_is_said() {
    let x = Tensor::zeros([2, 5, 6]);
    let faults: [(Box<dyn Forward>, &Tensor, &str); 5] = [
        (
            Box::new(Lstm::new(4)),
            &Tensor::zeros([2, 5]),
            "needs sequences [N, L, C] of floats",
        ),
        (
            Box::new(Gru::new(0)),
            &x,
            "at least one layer, and one number in its state",
        ),
        (
            Box::new(MultiHeadAttention::new(4)),
            &x,
            "4 heads cannot share 6 features evenly",
        ),
        (
            Box::new(MultiHeadAttention::new(2).rotary(10.0)),
            &x,
            "heads of 3 features have no pairs to turn",
        ),
        (
            Box::new(LearnedPositions::new(4)),
            &x,
            "knows 4 positions, and the sequence has 5",
        ),
    ];
    for (layer, x, expected) in faults {
        let error = layer.build(x, 0).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
