//! Layers and losses against PyTorch, in double precision.

mod common;

use common::{array, array_of, assert_close, check_layer, goldens};
use zerokara_core::{DType, Tensor};
use zerokara_nn::*;

fn layer(name: &str) -> Box<dyn Forward> {
    match name {
        "linear" | "linear_of_sequences" => Box::new(Linear::new(3)),
        "linear_no_bias" => Box::new(Linear::new(3).bias(false)),
        "conv2d" => Box::new(Conv2d::new(4, 3)),
        "conv2d_padding_stride" => Box::new(Conv2d::new(4, 3).stride(2).padding(1)),
        "conv2d_all" => Box::new(
            Conv2d::new(6, (3, 2))
                .stride((2, 1))
                .padding([2, 1])
                .dilation([1, 2])
                .groups(2)
                .bias(false),
        ),
        "max_pool2d" => Box::new(MaxPool2d::new(2)),
        "max_pool2d_all" => Box::new(MaxPool2d::new([3, 2]).stride([2, 1]).padding([1, 0])),
        "avg_pool2d" => Box::new(AvgPool2d::new(2)),
        "avg_pool2d_all" => Box::new(AvgPool2d::new([3, 2]).stride([2, 1]).padding([1, 1])),
        "global_avg_pool2d" => Box::new(GlobalAvgPool2d::new()),
        "batch_norm1d_train" | "batch_norm1d_evaluate" | "batch_norm1d_of_sequences_train" => {
            Box::new(BatchNorm1d::new())
        }
        "batch_norm2d_train" | "batch_norm2d_evaluate" => Box::new(BatchNorm2d::new()),
        "batch_norm2d_options_train" => Box::new(BatchNorm2d::new().eps(1e-2).momentum(0.3)),
        "layer_norm" => Box::new(LayerNorm::new()),
        "layer_norm_no_bias" => Box::new(LayerNorm::new().bias(false)),
        "layer_norm_of_sequences" => Box::new(LayerNorm::new().eps(1e-3)),
        "flatten" => Box::new(Flatten::new()),
        "embedding" => Box::new(Embedding::new(7, 3)),
        "prelu" => Box::new(Prelu::new()),
        "prelu_per_channel" | "prelu_of_rows" => Box::new(Prelu::new().per_channel(true)),
        "glu" => Box::new(Glu::new()),
        "glu_of_channels" => Box::new(Glu::new().gate(Activation::Gelu).axis(1)),
        "swiglu" | "swiglu_of_sequences" => Box::new(SwiGlu::new(5)),
        "dropout_evaluate" => Box::new(Dropout::new(0.5)),
        "conv1d" => Box::new(Conv1d::new(4, 3)),
        "conv1d_all" => Box::new(
            Conv1d::new(6, 3)
                .stride(2)
                .padding(2)
                .dilation(2)
                .groups(2)
                .bias(false),
        ),
        "conv1d_causal" => Box::new(Conv1d::new(4, 3).dilation(2).causal()),
        "conv3d" => Box::new(Conv3d::new(3, 2)),
        "conv3d_all" => Box::new(
            Conv3d::new(2, [3, 2, 1])
                .stride([1, 2, 1])
                .padding([1, 0, 1])
                .dilation([1, 2, 1])
                .groups(2),
        ),
        "conv_transpose1d" => Box::new(ConvTranspose1d::new(4, 3)),
        "conv_transpose1d_all" => Box::new(
            ConvTranspose1d::new(2, 3)
                .stride(3)
                .padding(1)
                .output_padding(2)
                .groups(2)
                .dilation(2)
                .bias(false),
        ),
        "conv_transpose2d" => Box::new(ConvTranspose2d::new(4, 2).stride(2)),
        "conv_transpose2d_all" => Box::new(
            ConvTranspose2d::new(6, [3, 2])
                .stride([2, 1])
                .padding([1, 0])
                .output_padding([1, 0])
                .groups(2)
                .dilation([1, 2]),
        ),
        "max_pool2d_ceil" => Box::new(MaxPool2d::new(2).dilation(2).stride(2).ceil(true)),
        "avg_pool2d_ceil" => Box::new(AvgPool2d::new(3).stride(2).padding(1).ceil(true)),
        "max_pool1d" => Box::new(MaxPool1d::new(2)),
        "max_pool1d_all" => Box::new(
            MaxPool1d::new(3)
                .stride(2)
                .padding(1)
                .dilation(2)
                .ceil(true),
        ),
        "avg_pool1d" => Box::new(AvgPool1d::new(2)),
        "avg_pool1d_all" => Box::new(AvgPool1d::new(3).stride(2).padding(1).ceil(true)),
        "global_avg_pool1d" => Box::new(GlobalAvgPool1d::new()),
        "upsample_nearest" => Box::new(Upsample::nearest(2)),
        "upsample_nearest_fraction" => Box::new(Upsample::nearest(1.5)),
        "upsample_linear" => Box::new(Upsample::linear(2)),
        "upsample_linear_corners" => Box::new(Upsample::linear(3).align_corners(true)),
        "upsample_cubic" => Box::new(Upsample::cubic(2)),
        "group_norm" => Box::new(GroupNorm::new(2)),
        "group_norm_plain" => Box::new(GroupNorm::new(3).eps(1e-2).affine(false)),
        "instance_norm1d" => Box::new(InstanceNorm::new()),
        "instance_norm2d_affine" => Box::new(InstanceNorm::new().affine(true).eps(1e-3)),
        "rms_norm" => Box::new(RmsNorm::new()),
        "rms_norm_of_sequences" => Box::new(RmsNorm::new().eps(1e-2)),
        "local_response_norm" => Box::new(LocalResponseNorm::new(3).alpha(0.5)),
        name => Box::new(Activate::new(Activation::by_name(name).unwrap())),
    }
}

#[test]
fn layers_agree_with_pytorch() {
    let cases = goldens("layers");
    let cases = cases["layers"].as_array().unwrap();
    assert_eq!(cases.len(), 76);
    for case in cases {
        check_layer(&*layer(case["name"].as_str().unwrap()), case);
    }
}

#[test]
fn losses_agree_with_pytorch() {
    let cases = goldens("layers");
    for case in cases["losses"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let loss: Box<dyn Loss> = match name {
            "cross_entropy" | "cross_entropy_soft" => Box::new(SoftmaxCrossEntropy::new()),
            "cross_entropy_smoothed" => Box::new(SoftmaxCrossEntropy::new().label_smoothing(0.1)),
            "cross_entropy_ignored" => Box::new(SoftmaxCrossEntropy::new().ignore_index(1)),
            "cross_entropy_all" => Box::new(
                SoftmaxCrossEntropy::new()
                    .ignore_index(1)
                    .label_smoothing(0.1)
                    .class_weights([0.5, 1.0, 2.0, 3.0]),
            ),
            "nll" => Box::new(NegativeLogLikelihood::new()),
            "nll_all" => Box::new(
                NegativeLogLikelihood::new()
                    .ignore_index(1)
                    .class_weights([0.5, 1.0, 2.0, 3.0]),
            ),
            "kullback_leibler" => Box::new(KullbackLeibler::new()),
            "ctc" => Box::new(Ctc::new()),
            "ctc_blank" => Box::new(Ctc::new().blank(3).padding(9)),
            "mean_squared_error" => Box::new(MeanSquaredError::new()),
            "mean_absolute_error" => Box::new(MeanAbsoluteError::new()),
            "huber" => Box::new(Huber::new()),
            "huber_delta" => Box::new(Huber::new().delta(0.4)),
            other => panic!("no loss {other}"),
        };
        let y = Tensor::from(array(&case["output"]));
        let t = Tensor::from(array_of(
            &case["target"],
            case["integers"].as_bool().unwrap(),
        ));
        let value = loss.loss(&y, &t);
        let expected = case["loss"].as_f64().unwrap();
        assert_close(&[value.item().unwrap()], &[expected], 1e-12, name);
        let gradient = zerokara_core::grad(&value, &y).eval().unwrap();
        let expected = array(&case["gradient"]).to_f64s();
        assert_close(&gradient.to_f64s(), &expected, 1e-12, name);
    }
}

/// What is ignored counts in no measure, and where nothing counts there is no loss.
#[test]
fn ignored_labels_count_nowhere() {
    let y = Tensor::from([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]);
    let labels = Tensor::from([1, -1, 0, -1]);
    let none = Tensor::from([-1, -1, -1, -1]);
    let losses: [Box<dyn Loss>; 2] = [
        Box::new(SoftmaxCrossEntropy::new().ignore_index(-1)),
        Box::new(NegativeLogLikelihood::new().ignore_index(-1)),
    ];
    for loss in losses {
        let mut totals = Totals::new();
        let sums = loss.sums(&y, &labels).into_iter();
        totals.add(4, 0.0, sums.map(|(n, s)| (n, s.item().unwrap())));
        assert_eq!(loss.metrics(&totals), [Measure::share("accuracy", 0.5)]);
        assert_eq!(loss.loss(&y, &none).item().unwrap(), 0.0);
        let gradient = zerokara_core::grad(&loss.loss(&y, &none), &y);
        assert_eq!(gradient.to_vec::<f32>().unwrap(), [0.0; 8]);
        assert!(loss.loss(&y, &Tensor::from([1, 2, 0, -1])).eval().is_err());
        let settings = loss.settings().into_iter();
        let settings: Vec<(String, f64)> = settings.map(|(n, v)| (n.to_string(), v)).collect();
        let again = losses::by_name(loss.name(), &settings).unwrap();
        assert_eq!(again.settings(), loss.settings());
    }
    let shares = Tensor::from([[1.0, 0.0]]);
    let loss = SoftmaxCrossEntropy::new().ignore_index(0);
    assert!(loss.loss(&shares, &shares).eval().is_err());
}

/// Of three triplets two have the like one nearer; of pairs, what is alike points the same way.
#[test]
fn embeddings_are_measured() {
    let three = |numbers: [[f32; 2]; 3]| Tensor::from(numbers);
    let outputs = zerokara_core::Tensors::one("anchor", Tensor::zeros([3, 2]))
        .with("like", three([[1.0, 0.0], [2.0, 2.0], [0.0, 3.0]]))
        .with("unlike", three([[2.0, 0.0], [9.0, 9.0], [0.0, 1.0]]));
    let none = zerokara_core::Tensors::default();
    let measured = |task: &dyn Task, outputs, targets, samples| {
        let mut totals = Totals::new();
        let sums = task.tally(outputs, targets).into_iter();
        totals.add(samples, 0.0, sums.map(|(n, s)| (n, s.item().unwrap())));
        task.measures(&totals)
    };
    let task = TripletMargin::new().margin(0.5);
    let found = measured(&task, &outputs, &none, 3);
    assert_eq!(found, [Measure::share("accuracy", 2.0 / 3.0)]);
    assert!((task.objective(&outputs, &none).item().unwrap() - 2.5 / 3.0).abs() < 1e-5);
    let wrong = TripletMargin::new().margin(f64::NAN);
    assert!(wrong.objective(&outputs, &none).eval().is_err());

    let pairs = zerokara_core::Tensors::one("first", three([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
        .with("second", three([[5.0, 0.0], [0.0, -1.0], [-1.0, 1.0]]));
    let alike = zerokara_core::Tensors::one("alike", Tensor::from([1, -1, -1]));
    let found = measured(&CosineEmbedding::new(), &pairs, &alike, 3);
    assert_eq!(found[0].name, "similarity");
    assert!((found[0].value - 1.5).abs() < 1e-6, "{found:?}");
    let wrong = CosineEmbedding::new().margin(2.0);
    assert!(wrong.objective(&pairs, &alike).eval().is_err());
}

#[test]
fn right_outputs_are_counted() {
    let y = Tensor::from([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]);
    let loss = SoftmaxCrossEntropy::new();
    let labels = Tensor::from([1, 1, 1]);
    let count = loss.sums(&y, &labels)[0].1.clone();
    assert_eq!(count.item().unwrap(), 2.0);
    let shares = Tensor::from([[0.0, 1.0], [1.0, 0.0], [0.5, 0.4]]);
    assert_eq!(loss.sums(&y, &shares)[0].1.item().unwrap(), 2.0);
    let totals = |sums: Vec<(&'static str, Tensor)>| {
        let mut totals = Totals::new();
        let sums = sums.into_iter().map(|(n, s)| (n, s.item().unwrap()));
        totals.add(3, 0.0, sums);
        totals
    };
    let accuracy = loss.metrics(&totals(loss.sums(&y, &labels)));
    assert_eq!(accuracy, [Measure::share("accuracy", 2.0 / 3.0)]);
    // Differences 0.1, -0.1, -0.2, 0.2, -0.2, 0.3.
    let regression = MeanSquaredError::new();
    let found = regression.metrics(&totals(regression.sums(&y, &shares)));
    assert_eq!((found[0].name, found[1].name), ("rmse", "mae"));
    assert!(
        (found[0].value - (0.23f64 / 6.0).sqrt()).abs() < 1e-6,
        "{found:?}"
    );
    assert!((found[1].value - 1.1 / 6.0).abs() < 1e-6, "{found:?}");
}

/// What PyTorch's `binary_cross_entropy_with_logits` and `cross_entropy(ignore_index)` give in double precision.
#[test]
fn several_labels_and_tokens() {
    let x = Tensor::from([[2.0, -1.0, 0.5], [-3.0, 0.25, 1.0]]).cast(DType::F64);
    let t = Tensor::from([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).cast(DType::F64);
    let loss = BinaryCrossEntropy::new();
    let expected = -[
        (2.0, true),
        (-1.0, false),
        (0.5, true),
        (-3.0, false),
        (0.25, true),
        (1.0, false),
    ]
    .iter()
    .map(|&(x, there): &(f64, bool)| {
        let p = 1.0 / (1.0 + (-x).exp());
        if there { p.ln() } else { (1.0 - p).ln() }
    })
    .sum::<f64>()
        / 6.0;
    assert!((loss.loss(&x, &t).item().unwrap() - expected).abs() < 1e-12);
    let mut totals = Totals::new();
    let sums = loss.sums(&x, &t).into_iter();
    totals.add(2, 0.0, sums.map(|(n, s)| (n, s.item().unwrap())));
    // Of the first sample all is right; in the second one label is given that is not there.
    let found = loss.metrics(&totals);
    assert_eq!(found[0], Measure::share("f1", 2.0 * 3.0 / (4.0 + 3.0)));
    assert_eq!(found[1], Measure::share("exact_match", 0.5));

    let x = Tensor::from([[[1.0, 0.0, -1.0], [0.0, 3.0, 0.0], [5.0, 5.0, 0.0]]]).cast(DType::F64);
    let t = Tensor::from([[0, 2, 7]]);
    let loss = TokenCrossEntropy::new().padding(7);
    let log_sum = |x: [f64; 3]| x.iter().map(|x| x.exp()).sum::<f64>().ln();
    let expected = (log_sum([1.0, 0.0, -1.0]) - 1.0 + log_sum([0.0, 3.0, 0.0])) / 2.0;
    assert!((loss.loss(&x, &t).item().unwrap() - expected).abs() < 1e-12);
    let mut totals = Totals::new();
    let sums = loss.sums(&x, &t).into_iter();
    totals.add(1, 0.0, sums.map(|(n, s)| (n, s.item().unwrap())));
    let found = loss.metrics(&totals);
    assert_eq!(found[0].name, "perplexity");
    assert!((found[0].value - expected.exp()).abs() < 1e-12);
    assert_eq!(found[1], Measure::share("accuracy", 0.5));
}

#[test]
fn a_loss_of_other_shapes_is_an_error() {
    let y = Tensor::from([[1.0], [2.0]]);
    let error = MeanSquaredError::new()
        .loss(&y, &Tensor::from([1.0, 2.0]))
        .eval()
        .unwrap_err();
    let text = error.to_string();
    let rule =
        "the model's output is f32[2, 1]; it needs targets of the same shape and type, not f32[2]";
    assert!(text.contains(rule), "{text}");
    let error = SoftmaxCrossEntropy::new()
        .loss(&y, &Tensor::from([0, 0, 0]))
        .eval();
    assert!(error.is_err());
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let layer = Dropout::new(0.3);
    let x = Tensor::ones([100, 100]);
    let run = |seed, step: i64| {
        let mut cx = Context::new(Mode::Train, seed, Tensor::from(step));
        layer.forward(&x, &mut cx).to_vec::<f32>().unwrap()
    };
    let first = run(1, 0);
    let kept = first.iter().filter(|&&v| v != 0.0).count() as f64;
    // Five standard deviations of a binomial distribution.
    let deviation = (10_000.0f64 * 0.3 * 0.7).sqrt();
    assert!((kept - 7000.0).abs() < 5.0 * deviation, "{kept} kept");
    for v in &first {
        assert!(*v == 0.0 || (v - 1.0 / 0.7).abs() < 1e-6);
    }
    assert_eq!(first, run(1, 0));
    assert_ne!(first, run(1, 1));
    assert_ne!(first, run(2, 0));
    // Two uses of one layer in one pass draw different masks.
    let mut cx = Context::train(1);
    let (a, b) = (layer.forward(&x, &mut cx), layer.forward(&x, &mut cx));
    assert_ne!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());

    let error = Dropout::new(1.0).forward(&x, &mut cx).eval().unwrap_err();
    assert!(error.to_string().contains("less than 1, not 1"));
}

#[test]
fn batch_norm_learns_the_statistics_it_evaluates_with() {
    let norm = BatchNorm1d::new().momentum(0.5);
    let x = Tensor::from([[0.0, 10.0], [2.0, 30.0]]);
    norm.build(&x, 0).unwrap();
    for _ in 0..30 {
        let mut cx = Context::train(0);
        norm.forward(&x, &mut cx).eval().unwrap();
        for (cell, value) in cx.finish().unwrap() {
            cell.set(&value).unwrap();
        }
    }
    let buffers = norm.named_buffers().unwrap();
    assert_eq!(buffers[0].0, "running_mean");
    assert_close(&buffers[0].1.value().to_f64s(), &[1.0, 20.0], 1e-6, "mean");
    // Unbiased: the squares are divided by N - 1.
    assert_close(&buffers[1].1.value().to_f64s(), &[2.0, 200.0], 1e-6, "var");
}
