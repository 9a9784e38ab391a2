//! Records: a model as data computes and trains as the model did.

use std::sync::Arc;
use zerokara_core::{Array, Axis, DType, Meta, Port, Tensor};
use zerokara_nn::{record::*, *};

/// A residual block with everything that is hard to keep: a custom forward, batch normalization, dropout, constants.
#[derive(Module, Clone)]
struct Net {
    stem: Conv2d,
    norm: BatchNorm2d,
    body: Conv2d,
    drop: Dropout,
    head: Linear,
}

impl Forward for Net {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let x = self.stem.forward(x, cx);
        let y = self.body.forward(&self.norm.forward(&x, cx).relu(), cx) * 0.5f64 + x;
        let y = y.relu().mean_axes(&[2, 3], false) + Tensor::from([0.1, 0.2, 0.3, 0.4]);
        self.head.forward(&self.drop.forward(&y, cx), cx)
    }
}

fn net() -> Net {
    let net = Net {
        stem: Conv2d::new(4, 3).padding(1),
        norm: BatchNorm2d::new(),
        body: Conv2d::new(4, 3).padding(1),
        drop: Dropout::new(0.25),
        head: Linear::new(3),
    };
    net.build(&Meta::new([1, 2, 5, 5], DType::F32), 3).unwrap();
    net
}

fn batch(n: usize) -> (Array, Array) {
    let x = Tensor::uniform(9, &Tensor::from(n as i64), [n, 2, 5, 5])
        .eval()
        .unwrap();
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 3).collect();
    (x, Array::new([n], labels.as_slice()))
}

fn train(model: Arc<dyn Forward>, seed: u64) -> Vec<f64> {
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model, loss, Arc::new(Adam::new(0.01)))
        .unwrap()
        .seed(seed);
    let mut losses = Vec::new();
    for n in [37, 37, 5, 37] {
        let (x, t) = batch(n);
        losses.push(step.step(&x, &t, 0.01).unwrap().loss);
    }
    losses
}

#[test]
fn a_rebuilt_model_computes_and_trains_as_the_model_did() {
    let model = net();
    let sample = Meta::new([1, 2, 5, 5], DType::F32);
    let record = trace(&model, &sample).unwrap();
    assert_eq!(
        record.signature.to_string(),
        "(x: f32 [batch, 2, 5, 5]) -> (y: f32 [batch, 3])"
    );
    assert_eq!(record.train.updates.len(), 2);
    assert!(record.evaluate.updates.is_empty());
    let rebuilt = GraphModule::new(record).unwrap();
    assert_eq!(rebuilt.state().unwrap(), model.state().unwrap());
    assert_eq!(
        rebuilt.parameters().unwrap().len(),
        model.parameters().unwrap().len()
    );
    let predict = |m: Arc<dyn Forward>, n| Predictor::new(m).unwrap().predict(&batch(n).0).unwrap();
    let (a, b) = (Arc::new(model), Arc::new(rebuilt));
    for n in [1, 37] {
        assert_eq!(predict(a.clone(), n), predict(b.clone(), n));
    }
    // The same draws of dropout, of any seed; the same running statistics.
    assert_eq!(train(a.clone(), 5), train(b.clone(), 5));
    assert_eq!(a.state().unwrap(), b.state().unwrap());

    // A record of the rebuilt model is a record of what it has become.
    let again = trace(&*b, &sample).unwrap();
    assert_eq!(again, b.record());
    let copy = b.as_ref().clone();
    copy.parameters().unwrap()[0]
        .set(&Tensor::zeros([4, 2, 3, 3]))
        .unwrap();
    assert_eq!(a.state().unwrap(), b.state().unwrap());
}

#[test]
fn a_forward_pass_that_fixes_the_batch_is_recorded_as_such() {
    #[derive(Module)]
    struct Fixed {
        linear: Linear,
    }
    impl Forward for Fixed {
        fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
            let n = x.shape().map_or(0, |s| s[0]);
            // Made on the host, and no even series.
            let roots: Vec<f32> = (0..n).map(|i| (i as f32).sqrt()).collect();
            self.linear.forward(x, cx) + Tensor::new([n, 1], roots)
        }
    }
    let model = Fixed {
        linear: Linear::new(2),
    };
    let x = Tensor::ones([3, 4]);
    model.build(&x, 0).unwrap();
    let record = trace(&model, &x).unwrap();
    assert_eq!(
        record.signature.to_string(),
        "(x: f32 [3, 4]) -> (y: f32 [3, 2])"
    );
    let rebuilt = GraphModule::new(record).unwrap();
    let run = |m: &dyn Forward, x: &Tensor| m.forward(x, &mut Context::evaluate()).to_vec::<f32>();
    assert_eq!(run(&rebuilt, &x).unwrap(), run(&model, &x).unwrap());
    let error = run(&rebuilt, &Tensor::ones([4, 4])).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("takes x: f32 [3, 4], not f32[4, 4]"),
        "{said}"
    );
    let error = trace_ports(
        &model,
        &[Port::new("x", DType::F32, [Axis::from("rows"), 4.into()])],
    );
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("does not hold for any rows: a constant"),
        "{said}"
    );
    assert!(said.contains("records.rs"), "{said}");
}

#[test]
fn every_model_is_recorded_and_rebuilt() {
    for name in models::NAMES {
        let model = models::by_name(name, 10).unwrap();
        let sample = Meta::new([1, 1, 28, 28], DType::F32);
        assert!(trace(&*model, &sample).is_err(), "{name} is not built");
        model.build(&sample, 0).unwrap();
        let record = trace(&*model, &sample).unwrap();
        let signature = record.signature.to_string();
        assert!(signature.contains("[batch, 1, 28, 28]"), "{signature}");
        let rebuilt = GraphModule::new(record).unwrap();
        assert_eq!(
            rebuilt.parameter_count().unwrap(),
            model.parameter_count().unwrap()
        );
        let whole = Summary::of(&*model, &sample).unwrap();
        let other = Summary::of(&rebuilt, &sample).unwrap();
        assert_eq!(
            (whole.parameters(), whole.flops()),
            (other.parameters(), other.flops())
        );
    }
}

#[test]
fn a_record_that_contradicts_itself_is_an_error() {
    let model = Sequential::new().linear(2);
    let x = Tensor::ones([1, 3]);
    model.build(&x, 0).unwrap();
    let good = trace(&model, &x).unwrap();
    let break_it = |change: &dyn Fn(&mut ModelRecord)| {
        let mut bad = good.clone();
        change(&mut bad);
        GraphModule::new(bad).unwrap_err().to_string()
    };
    let late = break_it(&|r| {
        for node in &mut r.evaluate.nodes {
            if let NodeSource::Op { inputs, .. } = &mut node.source {
                inputs[0] = 1000;
            }
        }
    });
    assert!(
        late.contains("has the input 1000, which comes later"),
        "{late}"
    );
    let gone = break_it(&|r| drop(r.parameters.pop()));
    assert!(gone.contains("linear1.bias, which there is not"), "{gone}");
    let twice = break_it(&|r| r.parameters.push(r.parameters[0].clone()));
    assert!(
        twice.contains("two parameters have the name linear1.weight"),
        "{twice}"
    );
    let unknown = break_it(&|r| {
        for node in &mut r.train.nodes {
            if let NodeSource::Op { name, .. } = &mut node.source {
                *name = "frobnicate".into();
            }
        }
    });
    assert!(
        unknown.contains("no operation named frobnicate"),
        "{unknown}"
    );
    let output = break_it(&|r| r.evaluate.outputs = vec![99]);
    assert!(output.contains("node 99 of the graph"), "{output}");
    let shape = break_it(&|r| r.parameters[0].value = Array::zeros(&Meta::new([2, 9], DType::F32)));
    assert!(shape.contains("matmul"), "{shape}");
}

#[test]
fn a_summary_counts_parameters_and_work() {
    let model = models::SimpleConvNet::new(10);
    let sample = Meta::new([1, 1, 28, 28], DType::F32);
    model.build(&sample, 0).unwrap();
    let summary = Summary::of(&model, &sample).unwrap();
    let row = |path: &str| summary.rows.iter().find(|r| r.path == path).unwrap();
    assert_eq!(row("conv1").output, [1, 30, 24, 24]);
    assert_eq!(row("conv1").parameters, 780);
    assert_eq!(row("conv1").flops, 2 * 30 * 24 * 24 * 25);
    assert_eq!(row("linear1").flops, 2 * 4320 * 100);
    assert_eq!(summary.parameters(), model.parameter_count().unwrap());
    let text = summary.to_string();
    let expected = "\
layer      kind       output           parameters      FLOPs
------------------------------------------------------------
conv1      Conv2d     [1, 30, 24, 24]         780    864,000
relu1      relu       [1, 30, 24, 24]           0          0
max_pool1  MaxPool2d  [1, 30, 12, 12]           0          0
flatten1   Flatten    [1, 4320]                 0          0
linear1    Linear     [1, 100]            432,100    864,000
relu2      relu       [1, 100]                  0          0
linear2    Linear     [1, 10]               1,010      2,000
------------------------------------------------------------
total                                     433,890  1,730,000
";
    assert_eq!(text, expected);
}

/// What an operation is made of counts: a convolution of sequences is one of images, a transposed one is a product.
#[test]
fn a_summary_counts_the_work_of_what_is_composed() {
    let model = Sequential::new()
        .add(Conv1d::new(4, 3).causal())
        .add(ConvTranspose1d::new(5, 2).stride(2));
    let sample = Meta::new([2, 3, 8], DType::F32);
    model.build(&sample, 0).unwrap();
    let summary = Summary::of(&model, &sample).unwrap();
    let row = |path: &str| summary.rows.iter().find(|r| r.path == path).unwrap();
    assert_eq!(row("conv1").output, [2, 4, 8]);
    assert_eq!(row("conv1").flops, 2 * 2 * 4 * 8 * 3 * 3);
    assert_eq!(row("conv_transpose1").output, [2, 5, 16]);
    assert_eq!(row("conv_transpose1").flops, 2 * 2 * 5 * 16 * 4);
}

/// Layers that slide, resize and normalize know no lengths: a record made of them holds for any, and trains.
#[test]
fn layers_of_sequences_are_recorded_for_any_length() {
    let model = Sequential::new()
        .add(Conv1d::new(4, 3).causal())
        .group_norm(2)
        .relu()
        .max_pool1d(2)
        .upsample(2)
        .add(Upsample::linear(1.5))
        .add(InstanceNorm::new())
        .add(ConvTranspose1d::new(3, 2).stride(2))
        .add(LocalResponseNorm::new(3))
        .global_avg_pool1d()
        .linear(2);
    model.build(&Meta::new([1, 3, 8], DType::F32), 0).unwrap();
    let port = Port::new(
        "x",
        DType::F32,
        [Axis::from("batch"), 3.into(), "length".into()],
    );
    let record = trace_ports(&model, &[port]).unwrap();
    let rebuilt = GraphModule::new(record).unwrap();
    for shape in [[1, 3, 8], [3, 3, 14], [2, 3, 31]] {
        let x = Tensor::uniform(1, &Tensor::from(0), shape);
        let run = |model: &dyn Forward| {
            let y = model.forward(&x, &mut Context::evaluate());
            y.to_vec::<f32>().unwrap()
        };
        assert_eq!(run(&model), run(&rebuilt), "{shape:?}");
    }
}
