//! Batches of none and of one, through every layer, every loss and every model: a value, or an error that says why.

use std::sync::Arc;
use zerokara_core::{Array, DType, Meta, Tensor};
use zerokara_nn::*;

fn layers() -> Vec<(&'static str, Box<dyn Forward>, Vec<usize>)> {
    let rows = vec![6];
    let images = vec![2, 5, 5];
    let (sequences, volumes) = (vec![2, 5], vec![2, 3, 4, 3]);
    let residual = Residual::new(Conv2d::new(2, 3).padding(1));
    vec![
        ("Linear", Box::new(Linear::new(3)), rows.clone()),
        ("Conv2d", Box::new(Conv2d::new(3, 3)), images.clone()),
        (
            "Conv2d of one point",
            Box::new(Conv2d::new(1, 1)),
            vec![1, 1, 1],
        ),
        (
            "MaxPool2d",
            Box::new(Sequential::new().max_pool2d(2)),
            images.clone(),
        ),
        (
            "AvgPool2d",
            Box::new(Sequential::new().avg_pool2d(2)),
            images.clone(),
        ),
        (
            "GlobalAvgPool2d",
            Box::new(Sequential::new().global_avg_pool2d()),
            images.clone(),
        ),
        ("LayerNorm", Box::new(LayerNorm::new()), rows.clone()),
        ("Dropout", Box::new(Dropout::new(0.5)), rows.clone()),
        (
            "Flatten",
            Box::new(Sequential::new().flatten()),
            images.clone(),
        ),
        ("relu", Box::new(Sequential::new().relu()), rows.clone()),
        ("tanh", Box::new(Sequential::new().tanh()), rows.clone()),
        ("Residual", Box::new(residual), images.clone()),
        ("Conv1d", Box::new(Conv1d::new(3, 2)), sequences.clone()),
        (
            "causal Conv1d",
            Box::new(Conv1d::new(3, 3).dilation(2).causal()),
            sequences.clone(),
        ),
        ("Conv3d", Box::new(Conv3d::new(3, 2).padding(1)), volumes),
        (
            "ConvTranspose1d",
            Box::new(ConvTranspose1d::new(3, 3).stride(2)),
            sequences.clone(),
        ),
        (
            "ConvTranspose2d",
            Box::new(ConvTranspose2d::new(3, 3).stride(2).output_padding(1)),
            images.clone(),
        ),
        (
            "MaxPool2d beyond",
            Box::new(MaxPool2d::new(2).ceil(true)),
            images.clone(),
        ),
        (
            "AvgPool2d beyond",
            Box::new(AvgPool2d::new(2).dilation(2).ceil(true)),
            images.clone(),
        ),
        (
            "MaxPool1d",
            Box::new(Sequential::new().max_pool1d(2)),
            sequences.clone(),
        ),
        (
            "AvgPool1d",
            Box::new(Sequential::new().avg_pool1d(2)),
            sequences.clone(),
        ),
        (
            "GlobalAvgPool1d",
            Box::new(Sequential::new().global_avg_pool1d()),
            sequences.clone(),
        ),
        (
            "Upsample",
            Box::new(Sequential::new().upsample(2)),
            images.clone(),
        ),
        (
            "Upsample by lines",
            Box::new(Upsample::linear(1.5)),
            images.clone(),
        ),
        (
            "Upsample by cubics",
            Box::new(Upsample::cubic(0.5)),
            sequences.clone(),
        ),
        ("GroupNorm", Box::new(GroupNorm::new(2)), images.clone()),
        ("InstanceNorm", Box::new(InstanceNorm::new()), sequences),
        ("RmsNorm", Box::new(RmsNorm::new()), rows.clone()),
        (
            "LocalResponseNorm",
            Box::new(LocalResponseNorm::new(3)),
            images.clone(),
        ),
        ("BatchNorm1d", Box::new(BatchNorm1d::new()), rows),
        ("BatchNorm2d", Box::new(BatchNorm2d::new()), images),
    ]
}

fn input(batch: usize, shape: &[usize]) -> Array {
    let shape = [&[batch], shape].concat();
    Tensor::uniform(1, &Tensor::from(0), shape).eval().unwrap()
}

/// Rows of a batch do not see each other in evaluation: the first row alone gives the first row, and no rows give none.
#[test]
fn every_layer_takes_one_row_and_none() {
    for (name, layer, shape) in layers() {
        layer.build(&input(3, &shape), 1).unwrap();
        let run = |batch: usize| {
            let x = Tensor::from(input(3, &shape)).slice(0, ..batch as i64, 1);
            let y = layer.forward(&x, &mut Context::evaluate());
            let meta = y.meta().unwrap().clone();
            let value = y.eval().unwrap();
            assert_eq!(value.meta(), meta, "{name}");
            assert_eq!(meta.shape[0], batch, "{name}");
            value.to_f64s()
        };
        let (three, one) = (run(3), run(1));
        assert_eq!(three.len(), 3 * one.len(), "{name}");
        for (a, b) in three.iter().zip(&one) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{name}");
        }
        assert!(run(0).is_empty(), "{name}");
    }
}

/// In training as well, but for batch normalization of one value per channel, which PyTorch refuses too.
#[test]
fn every_layer_trains_on_one_row() {
    for (name, layer, shape) in layers() {
        let layer: Arc<dyn Forward> = layer.into();
        layer.build(&input(3, &shape), 1).unwrap();
        let x = input(1, &shape);
        let t = layer.forward(&Tensor::from(x.clone()), &mut Context::evaluate());
        let t = Array::zeros(t.meta().unwrap());
        let mut step = TrainStep::new(
            layer,
            Arc::new(MeanSquaredError::new()),
            Arc::new(Sgd::new(0.1)),
        )
        .unwrap();
        let output = step.step(&x, &t, 0.1);
        if name == "BatchNorm1d" {
            let error = output.unwrap_err().to_string();
            assert!(
                error.contains("needs more than one value per channel"),
                "{error}"
            );
        } else {
            assert!(output.unwrap().ok, "{name}");
        }
    }
}

/// The mean over no samples is no number: such a step changes nothing.
#[test]
fn a_step_on_no_samples_changes_nothing() {
    for name in models::NAMES {
        let model: Arc<dyn Forward> = models::by_name(name, 10).unwrap().into();
        model.build(&input(1, &[1, 12, 12]), 1).unwrap();
        let before = model.state().unwrap();
        let loss = Arc::new(SoftmaxCrossEntropy::new());
        let mut step = TrainStep::new(model.clone(), loss, Arc::new(Adam::new(0.1))).unwrap();
        let none = Array::zeros(&Meta::new([0], DType::I64));
        match step.step(&input(0, &[1, 12, 12]), &none, 0.1) {
            Ok(output) => assert!(!output.ok, "{name}: {output:?}"),
            Err(error) => assert!(!error.to_string().is_empty(), "{name}"),
        }
        assert_eq!(model.state().unwrap(), before, "{name}");
    }
}

#[test]
fn every_model_predicts_and_trains_on_one_image() {
    for name in models::NAMES {
        let model: Arc<dyn Forward> = models::by_name(name, 10).unwrap().into();
        let x = input(1, &[1, 12, 12]);
        model.build(&x, 1).unwrap();
        let loss = Arc::new(SoftmaxCrossEntropy::new());
        let t = Array::new([1], vec![4i64]);
        let mut evaluate = EvalStep::new(model.clone(), loss.clone()).unwrap();
        let output = evaluate.run(&x, &t).unwrap();
        assert!(output.loss.is_finite(), "{name}");
        assert_eq!(output.output.shape(), [1, 10], "{name}");
        let mut step = TrainStep::new(model, loss, Arc::new(Adam::new(0.01))).unwrap();
        assert!(step.step(&x, &t, 0.01).unwrap().ok, "{name}");
    }
}

#[test]
fn losses_of_one_sample_and_of_one_class() {
    let logits = Tensor::from([[0.5, -1.0, 2.0]]);
    let loss = SoftmaxCrossEntropy::new();
    let one = loss.loss(&logits, &Tensor::from([2])).item().unwrap();
    let expected = -(2f64 - (0.5f64.exp() + (-1f64).exp() + 2f64.exp()).ln());
    assert!((one - expected).abs() < 1e-6, "{one}");
    let single = loss.loss(&Tensor::from([[3.0], [-7.0]]), &Tensor::from([0, 0]));
    assert_eq!(single.item().unwrap(), 0.0);
    let none = loss.loss(&Tensor::zeros([0, 3]), &Tensor::from(Vec::<i64>::new()));
    assert!(none.item().map_or(true, f64::is_nan));
    let square = MeanSquaredError::new().loss(&Tensor::from([[3.0]]), &Tensor::from([[1.0]]));
    assert_eq!(square.item().unwrap(), 4.0);
}

#[test]
fn absurd_layers_are_errors() {
    let images = Meta::new([1, 1, 8, 8], DType::F32);
    let huge = usize::MAX;
    let models: Vec<Box<dyn Forward>> = vec![
        Box::new(Sequential::new().flatten().linear(huge)),
        Box::new(Sequential::new().flatten().linear(1 << 58)),
        Box::new(Sequential::new().flatten().linear(1 << 44)),
        Box::new(Conv2d::new(huge, 3)),
        Box::new(Conv2d::new(3, huge)),
        Box::new(Conv2d::new(3, 3).padding(huge)),
        Box::new(Conv2d::new(3, 3).padding(huge / 2)),
        Box::new(Conv2d::new(3, 3).dilation(huge)),
        Box::new(Conv2d::new(3, 0)),
        Box::new(Conv2d::new(0, 3).stride(0)),
        Box::new(Sequential::new().max_pool2d(huge)),
        Box::new(Sequential::new().max_pool2d(0)),
        Box::new(Sequential::new().avg_pool2d(huge)),
        Box::new(Sequential::new().conv_transpose2d(huge, 3)),
        Box::new(Sequential::new().conv_transpose2d(3, huge)),
        Box::new(ConvTranspose2d::new(3, 3).stride(huge)),
        Box::new(ConvTranspose2d::new(3, 3).padding(huge)),
        Box::new(ConvTranspose2d::new(3, 3).output_padding(huge)),
        Box::new(ConvTranspose2d::new(3, 3).groups(0)),
        Box::new(MaxPool2d::new(2).dilation(huge)),
        Box::new(MaxPool2d::new(2).dilation(0)),
        Box::new(AvgPool2d::new(huge).padding(huge - 1).ceil(true)),
        Box::new(Sequential::new().upsample(0)),
        Box::new(Sequential::new().upsample(1e300)),
        Box::new(Upsample::linear(f64::NAN)),
        Box::new(GroupNorm::new(huge)),
        Box::new(GroupNorm::new(1).eps(0.0)),
        Box::new(InstanceNorm::new().eps(f64::NAN)),
        Box::new(LocalResponseNorm::new(0)),
        Box::new(Conv1d::new(3, 3)),
        Box::new(Conv3d::new(3, 3)),
    ];
    for model in models {
        let error = model.build(&images, 0).unwrap_err().to_string();
        assert!(error.contains("sizes.rs"), "{error}");
        assert!(model.parameters().map_or(true, |list| list.is_empty()));
    }
}
