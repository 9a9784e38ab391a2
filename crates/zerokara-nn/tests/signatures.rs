//! Models of any signature: several inputs and outputs, integers, lengths that may be any, states.

use std::sync::Arc;
use zerokara_core::{Array, Axis, DType, Meta, Metas, Port, Result, Tensor, Tensors, gradients};
use zerokara_nn::{record::*, *};

/// The outputs of a model for these inputs, and the gradients of their squares with respect to its parameters.
fn results<M: Model + ?Sized>(model: &M, inputs: &Tensors) -> Result<Vec<(String, Array)>> {
    let outputs = model.apply(inputs, &mut Context::train(3));
    let mut loss = Tensor::scalar(0.0, DType::F32);
    for output in outputs.values() {
        loss = loss + output.square().mean();
    }
    let parameters = model.named_parameters()?;
    let tensors: Vec<Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
    let of = gradients(&loss, &tensors.iter().collect::<Vec<_>>());
    let mut found = Vec::new();
    for (name, output) in outputs.iter() {
        found.push((name.to_string(), output.eval()?));
    }
    for ((name, _), gradient) in parameters.iter().zip(of) {
        found.push((name.clone(), gradient.eval()?));
    }
    Ok(found)
}

fn tokens(shape: [usize; 2], classes: i64) -> Tensor {
    let n = (shape[0] * shape[1]) as i64;
    let numbers: Vec<i64> = (0..n).map(|i| (i * 7 + i / 3) % classes).collect();
    Tensor::new(shape, numbers)
}

/// Who painted it, and how good it is.
#[derive(Module)]
struct Judge {
    author: Embedding,
    picture: Linear,
    norm: BatchNorm1d,
    drop: Dropout,
    score: Linear,
    style: Linear,
}

impl Model for Judge {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let author = self.author.forward(&inputs.tensor("author"), cx);
        let picture = self.picture.forward(&inputs.tensor("picture"), cx);
        let both = self.norm.forward(&(author + picture), cx).relu();
        let both = self.drop.forward(&both, cx);
        Tensors::from([
            ("score", self.score.forward(&both, cx)),
            ("style", self.style.forward(&both, cx)),
        ])
    }
}

fn judge() -> Judge {
    let judge = Judge {
        author: Embedding::new(10, 6),
        picture: Linear::new(6),
        norm: BatchNorm1d::new(),
        drop: Dropout::new(0.5),
        score: Linear::new(1),
        style: Linear::new(4),
    };
    judge.build_for(&judge_inputs(1), 5).unwrap();
    judge
}

fn judge_inputs(n: usize) -> Metas {
    Metas::from([
        ("author", Meta::new([n], DType::I64)),
        ("picture", Meta::new([n, 8], DType::F32)),
    ])
}

#[test]
fn a_model_of_two_inputs_and_outputs_is_recorded_and_rebuilt() {
    let model = judge();
    let record = trace(&model, &judge_inputs(1)).unwrap();
    assert_eq!(
        record.signature.to_string(),
        "(author: i64 [batch], picture: f32 [batch, 8]) -> (score: f32 [batch, 1], style: f32 [batch, 4])"
    );
    let rebuilt = GraphModule::new(record.clone()).unwrap();
    assert_eq!(*rebuilt.signature(), record.signature);
    for n in [2, 5, 37] {
        let picture = Tensor::uniform(4, &Tensor::from(n as i64), [n, 8]);
        let author = tokens([n, 1], 10).reshape([n as i64]);
        let inputs = Tensors::from([("picture", picture), ("author", author)]);
        assert_eq!(
            results(&model, &inputs).unwrap(),
            results(&rebuilt, &inputs).unwrap()
        );
    }
    // A record of what was loaded keeps its names.
    assert_eq!(trace(&rebuilt, &judge_inputs(1)).unwrap(), record);

    let apply = |author: Tensor, picture: Tensor| {
        let inputs = Tensors::from([("author", author), ("picture", picture)]);
        let outputs = rebuilt.apply(&inputs, &mut Context::evaluate());
        outputs.tensor("style").eval().unwrap_err().to_string()
    };
    let said = apply(Tensor::from([1, 2, 3]), Tensor::zeros([4, 8]));
    assert!(
        said.contains(
            "the inputs \"author\" and \"picture\" must agree in batch, which is 3 in one and 4 in the other"
        ),
        "{said}"
    );
    let said = apply(Tensor::from([1.0]), Tensor::zeros([1, 8]));
    assert!(
        said.contains("takes author: i64 [batch], not f32[1]"),
        "{said}"
    );
    let said = apply(Tensor::from([1]), Tensor::zeros([1, 9]));
    assert!(
        said.contains("takes picture: f32 [batch, 8], not f32[1, 9]"),
        "{said}"
    );
    let alone = Tensors::one("author", Tensor::from([1]));
    let outputs = rebuilt.apply(&alone, &mut Context::evaluate());
    let said = outputs.tensor("score").eval().unwrap_err().to_string();
    assert!(
        said.contains("author") || said.contains("picture"),
        "{said}"
    );
}

/// Both outputs at once.
struct Both;

impl Task for Both {
    fn title(&self) -> &'static str {
        "both"
    }

    fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor {
        let (score, style) = (MeanSquaredError::new(), SoftmaxCrossEntropy::new());
        score.loss(&outputs.tensor("score"), &targets.tensor("score"))
            + style.loss(&outputs.tensor("style"), &targets.tensor("style"))
    }
}

#[test]
fn a_loaded_model_of_two_inputs_trains_as_the_model_does() {
    let model = Arc::new(judge());
    let record = trace(&*model, &judge_inputs(1)).unwrap();
    let rebuilt = Arc::new(GraphModule::new(record).unwrap());
    fn train(model: Arc<impl Model + 'static>) -> Vec<f64> {
        let mut step = TrainStep::new(model, Both, Adam::new(0.02))
            .unwrap()
            .seed(9);
        let losses = [8, 8, 3, 8].into_iter().enumerate().map(|(at, n)| {
            let uniform = |key, shape: &[usize]| {
                let x = Tensor::uniform(key, &Tensor::from(at as i64), shape);
                x.eval().unwrap()
            };
            let author = tokens([n, 1], 10).reshape([n as i64]).eval().unwrap();
            let style = tokens([1, n], 4).reshape([n as i64]).eval().unwrap();
            let inputs = Arrays::from([("author", author), ("picture", uniform(1, &[n, 8]))]);
            let targets = Arrays::from([("score", uniform(2, &[n, 1])), ("style", style)]);
            step.step(&inputs, &targets, 0.02).unwrap().loss
        });
        losses.collect()
    }
    let losses = train(model.clone());
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert_eq!(losses, train(rebuilt.clone()));
    assert_eq!(model.state().unwrap(), rebuilt.state().unwrap());
}

/// A small language model: positions, a causal mask, attention, everything that is made of the lengths.
#[derive(Module)]
struct Language {
    tokens: Embedding,
    positions: Embedding,
    qkv: Linear,
    out: Linear,
}

const WIDTH: i64 = 8;

impl Forward for Language {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let Ok(&[n, l]) = x.shape() else {
            return x.clone();
        };
        let (rows, length) = (n as i64, l as i64);
        let at = Tensor::arange(0, length, 1);
        let x = self.tokens.forward(x, cx) + self.positions.forward(&at, cx);
        // A token in front of all, made anew for each sequence.
        let x = Tensor::concat(&[&Tensor::full([n, 1, 8], 0.5, DType::F32), &x], 1);
        let qkv = self
            .qkv
            .forward(&x.reshape([rows * (length + 1), WIDTH]), cx);
        let qkv = qkv.reshape([rows, length + 1, 3 * WIDTH]);
        let part = |i: i64| qkv.slice(2, WIDTH * i..WIDTH * (i + 1), 1);
        let scores = part(0).matmul(&part(1).permute([0, 2, 1])) * 0.35;
        let at = Tensor::arange(0, length + 1, 1);
        let later = at
            .reshape([length + 1, 1])
            .less(&at.reshape([1, length + 1]));
        let scores = scores.masked_fill(&later, -1e9);
        let y = scores.softmax().matmul(&part(2)).slice(1, 1..length + 1, 1);
        self.out.forward(&y, cx)
    }
}

fn language() -> Language {
    let model = Language {
        tokens: Embedding::new(20, 8),
        positions: Embedding::new(200, 8),
        qkv: Linear::new(24),
        out: Linear::new(20),
    };
    model.build(&Meta::new([1, 5], DType::I64), 1).unwrap();
    model
}

#[test]
fn lengths_of_batch_and_sequence_are_free() {
    let model = language();
    let port = Port::new("tokens", DType::I64, ["batch", "length"]);
    let record = trace_ports(&model, std::slice::from_ref(&port)).unwrap();
    assert_eq!(
        record.signature.to_string(),
        "(tokens: i64 [batch, length]) -> (y: f32 [batch, length, 20])"
    );
    // No length that it was traced with stands in it.
    let mut said = Vec::new();
    for node in &record.evaluate.nodes {
        if let NodeSource::Op { attributes, .. } = &node.source {
            for (_, value) in attributes.iter() {
                if let RecordedAttribute::Sizes(sizes) = value {
                    said.extend(sizes.iter().map(|size| size.to_string()));
                }
            }
        }
    }
    assert!(
        said.contains(&"batch*length + batch".to_string()),
        "{said:?}"
    );
    assert!(said.contains(&"length + 1".to_string()), "{said:?}");
    let is_series = |node: &NodeRecord| matches!(node.source, NodeSource::Series(_));
    assert_eq!(
        record
            .evaluate
            .nodes
            .iter()
            .filter(|n| is_series(n))
            .count(),
        2
    );

    let rebuilt = GraphModule::new(record).unwrap();
    for shape in [[1, 1], [1, 2], [3, 5], [2, 64], [11, 13]] {
        let x = Tensors::one("tokens", tokens(shape, 20));
        let (a, b) = (results(&model, &x), results(&rebuilt, &x));
        assert_eq!(a.unwrap(), b.unwrap(), "{shape:?}");
    }

    // Without a word about the length, it is that of the sample.
    let fixed = trace(&model, &Meta::new([1, 5], DType::I64)).unwrap();
    assert_eq!(
        fixed.signature.to_string(),
        "(x: i64 [batch, 5]) -> (y: f32 [batch, 5, 20])"
    );
    let rebuilt = GraphModule::new(fixed).unwrap();
    let y = rebuilt.forward(&tokens([2, 6], 20), &mut Context::evaluate());
    let said = y.eval().unwrap_err().to_string();
    assert!(
        said.contains("takes x: i64 [batch, 5], not i64[2, 6]"),
        "{said}"
    );
}

#[test]
fn a_loaded_model_of_tokens_trains_as_the_model_does() {
    let model = Arc::new(language());
    let port = Port::new("tokens", DType::I64, ["batch", "length"]);
    let rebuilt = Arc::new(GraphModule::new(trace_ports(&*model, &[port]).unwrap()).unwrap());
    let train = |model: Arc<dyn Forward>| -> Vec<f64> {
        let loss = TokenCrossEntropy::new();
        let mut step = TrainStep::new(model, loss, Adam::new(0.01)).unwrap();
        let batches = [[4, 6], [4, 9], [2, 6], [4, 6]].into_iter();
        let losses = batches.map(|shape| {
            let x = tokens(shape, 20).eval().unwrap();
            step.step(&x, &x, 0.01).unwrap().loss
        });
        losses.collect()
    };
    let losses = train(model.clone());
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert_eq!(losses, train(rebuilt.clone()));
    assert_eq!(model.state().unwrap(), rebuilt.state().unwrap());
}

/// A function as a model, without parameters.
struct Function<F>(F);

impl<F: Send + Sync> Module for Function<F> {
    fn visit(&self, _: &mut Visitor<'_>) {}
}

impl<F: Fn(&Tensor) -> Tensor + Send + Sync> Forward for Function<F> {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        (self.0)(x)
    }
}

#[test]
fn what_does_not_follow_from_a_length_is_said() {
    fn length(x: &Tensor) -> usize {
        x.shape().map_or(0, |s| s[0])
    }
    fn refused(f: fn(&Tensor) -> Tensor) -> String {
        let ports = [Port::new("x", DType::F32, ["length"])];
        trace_ports(&Function(f), &ports).unwrap_err().to_string()
    }
    // Sines made on the host.
    let said = refused(|x| {
        let sines: Vec<f32> = (0..length(x)).map(|i| (i as f32).sin()).collect();
        x + Tensor::from(sines)
    });
    assert!(
        said.contains(
            "any length: a constant is made on the host and differs with a length (f32[11] and f32["
        ),
        "{said}"
    );
    assert!(said.contains("signatures.rs"), "{said}");
    // A number made of the length.
    let said = refused(|x| x * (1.0 / length(x) as f64));
    assert!(said.contains("is made on the host"), "{said}");
    // Half of it.
    let said = refused(|x| x.slice(0, ..length(x) as i64 / 2, 1));
    assert!(
        said.contains("slice (in layer slice1) has attributes that do not follow from lengths"),
        "{said}"
    );
    // Another graph.
    let said = refused(|x| (0..length(x)).fold(x.clone(), |y, _| y.tanh()));
    assert!(said.contains("for one length than for another"), "{said}");
    let said = refused(|x| match length(x) % 2 {
        0 => x.tanh(),
        _ => x.exp(),
    });
    assert!(said.contains("for one length than for another"), "{said}");
    // A batch is free only if it is; else the record is of that one.
    let half = Function(|x: &Tensor| x.slice(0, ..length(x) as i64 / 2, 1));
    let record = trace(&half, &Meta::new([6, 2], DType::F32)).unwrap();
    assert_eq!(
        record.signature.to_string(),
        "(x: f32 [6, 2]) -> (y: f32 [3, 2])"
    );
    // What is none of the lengths has a name of its own, or says what it is.
    let ports = [Port::new("x", DType::F32, ["batch", "width"])];
    let twice = Function(|x: &Tensor| Tensor::concat(&[x, x], 1));
    let record = trace_ports(&twice, &ports).unwrap();
    assert_eq!(
        record.signature.outputs[0].to_string(),
        "y: f32 [batch, 2*width]"
    );
    GraphModule::new(record).unwrap();
    let ports = [Port::new(
        "x",
        DType::F32,
        [
            Axis::from("batch"),
            1.into(),
            "height".into(),
            "width".into(),
        ],
    )];
    let pooled = Function(|x: &Tensor| MaxPool2d::new(2).forward(x, &mut Context::evaluate()));
    let record = trace_ports(&pooled, &ports).unwrap();
    assert_eq!(
        record.signature.outputs[0].to_string(),
        "y: f32 [batch, 1, y.2, y.3]"
    );
    let rebuilt = GraphModule::new(record).unwrap();
    let y = rebuilt.forward(&Tensor::zeros([3, 1, 9, 28]), &mut Context::evaluate());
    assert_eq!(y.shape().unwrap(), [3, 1, 4, 14]);
}

/// `h' = tanh(W [x, h])`, and what is read from it.
#[derive(Module)]
struct Rnn {
    hidden: Linear,
    out: Linear,
}

impl Model for Rnn {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let both = Tensor::concat(&[&inputs.tensor("x"), &inputs.tensor("h")], 1);
        let h = self.hidden.forward(&both, cx).tanh();
        let y = self.out.forward(&h, cx);
        Tensors::from([("y", y), ("next", h)])
    }

    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        vec![("h".into(), "next".into())]
    }
}

#[test]
fn states_are_carried_from_step_to_step() {
    let rnn = Rnn {
        hidden: Linear::new(4),
        out: Linear::new(2),
    };
    let inputs = Metas::from([
        ("x", Meta::new([1, 3], DType::F32)),
        ("h", Meta::new([1, 4], DType::F32)),
    ]);
    rnn.build_for(&inputs, 2).unwrap();
    let record = trace(&rnn, &inputs).unwrap();
    assert_eq!(record.signature.states, [("h".into(), "next".into())]);
    let loaded = GraphModule::new(record.clone()).unwrap();
    let xs: Vec<Array> = (0..4)
        .map(|i| {
            Tensor::uniform(1, &Tensor::from(i as i64), [2, 3])
                .eval()
                .unwrap()
        })
        .collect();
    // Unrolled by hand.
    let mut h = Tensor::zeros([2, 4]);
    let mut expected = Vec::new();
    for x in &xs {
        let inputs = Tensors::from([("x", Tensor::from(x.clone())), ("h", h)]);
        let outputs = rnn.apply(&inputs, &mut Context::evaluate());
        expected.push(outputs.tensor("y").eval().unwrap());
        h = Tensor::from(outputs.tensor("next").eval().unwrap());
    }
    let mut stream = Stream::new(loaded).unwrap();
    let mut run = |xs: &[Array]| -> Vec<Array> {
        let step = |x: &Array| stream.step(&[("x", x.clone())].into()).unwrap();
        xs.iter()
            .map(step)
            .map(|y| y.find("y").unwrap().clone())
            .collect()
    };
    assert_eq!(run(&xs), expected);
    // It goes on from where it is, not from zeros.
    assert_ne!(run(&xs[..1]), expected[..1]);
    stream.reset();
    let first = stream.step(&[("x", xs[0].clone())].into()).unwrap();
    assert_eq!(*first.find("y").unwrap(), expected[0]);
    let kept = stream.states().clone();
    assert_eq!(kept.names().collect::<Vec<_>>(), ["h"]);
    // What does not fit changes no state.
    let bad = Array::zeros(&Meta::new([2, 5], DType::F32));
    stream.step(&[("x", bad)].into()).unwrap_err();
    assert_eq!(*stream.states(), kept);
    let zeros = Array::zeros(&Meta::new([2, 4], DType::F32));
    let said = stream
        .set_state("c", zeros.clone())
        .unwrap_err()
        .to_string();
    assert!(said.contains("no state \"c\"; there are \"h\""), "{said}");
    stream.set_state("h", zeros).unwrap();
    let again = stream.step(&[("x", xs[0].clone())].into()).unwrap();
    assert_eq!(*again.find("y").unwrap(), expected[0]);
    // A model that was written does not say how long its states are.
    let said = Stream::new(rnn)
        .unwrap()
        .step(&[("x", xs[0].clone())].into())
        .unwrap_err();
    assert!(
        said.to_string()
            .contains("the state \"h\" has no value yet"),
        "{said}"
    );
}

#[test]
fn a_state_that_does_not_fit_its_next_value_is_an_error() {
    struct Wrong;
    impl Module for Wrong {
        fn visit(&self, _: &mut Visitor<'_>) {}
    }
    impl Model for Wrong {
        fn apply(&self, inputs: &Tensors, _: &mut Context) -> Tensors {
            let h = inputs.tensor("h");
            Tensors::one("next", Tensor::concat(&[&h, &h], 1))
        }
        fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
            vec![("h".into(), "next".into())]
        }
    }
    let inputs = Metas::one("h", Meta::new([1, 4], DType::F32));
    let said = trace(&Wrong, &inputs).unwrap_err().to_string();
    assert!(
        said.contains("the state h: f32 [1, 4] cannot take the output next: f32 [1, 8]"),
        "{said}"
    );
}
