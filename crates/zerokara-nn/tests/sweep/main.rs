//! Layers at the sizes that people have: images from 1x1 to 512x512, rows up to a million, channels up to 2,048, depth up to
//! 100,000, batches of none up to 32 photographs; forward and backward, one axis at a time, and named corners.
//!
//! Each case is compiled as a program of the layer's output, of the sum of it with weights, and of all gradients. Where it is
//! small, everything is compared with the interpreter in double precision; where it is not, with what must hold: samples
//! do not see each other, elementwise functions are known, and what is homogeneous (products, convolutions, rectifiers,
//! poolings) fulfils Euler's identity `sum(p * dL/dp) = L` for its inputs and for the weights of each layer.
//!
//! `ZEROKARA_SWEEP=1` runs every size of each axis instead of some. Each test prints what was run.

mod laws;

use laws::*;
use std::time::Instant;
use zerokara_core::{Array, DType, Meta, Program, Tensor, gradients};
use zerokara_nn::*;

fn conv(outputs: usize, kernel: usize) -> Conv2d {
    Conv2d::new(outputs, kernel).padding(kernel / 2).bias(false)
}

fn model() -> Sequential {
    Sequential::new()
}

fn head(classes: usize) -> Linear {
    Linear::new(classes).bias(false)
}

fn tanh(x: f64) -> (f64, f64) {
    (x.tanh(), 1.0 - x.tanh().powi(2))
}

fn sigmoid(x: f64) -> (f64, f64) {
    let y = 1.0 / (1.0 + (-x).exp());
    (y, y * (1.0 - y))
}

fn relu(x: f64) -> (f64, f64) {
    if x > 0.0 { (x, 1.0) } else { (0.0, 0.0) }
}

/// The layers of images, for images of `shape`.
fn image_layers(shape: &[usize]) -> Vec<Case> {
    use Law::*;
    let (h, w) = (shape[2], shape[3]);
    let mut cases = vec![
        Case::new("conv 3x3", model().add(conv(2, 3)), shape, Homogeneous),
        Case::new("conv 1x1", model().add(conv(3, 1)), shape, Homogeneous),
        Case::new("conv 5x5", model().add(conv(2, 5)), shape, Homogeneous),
        Case::new(
            "conv by twos",
            model().add(conv(2, 3).stride(2)),
            shape,
            Homogeneous,
        ),
        Case::new(
            "conv spread",
            model().add(conv(2, 3).padding(2).dilation(2)),
            shape,
            Homogeneous,
        ),
        Case::new(
            "global average",
            model().global_avg_pool2d(),
            shape,
            Homogeneous,
        ),
        Case::new("relu", model().relu(), shape, Elementwise(relu)),
        Case::new(
            "transposed conv",
            model().add(ConvTranspose2d::new(2, 3).stride(2).bias(false)),
            shape,
            Homogeneous,
        ),
        Case::new("upsample", model().upsample(2), shape, Homogeneous),
        Case::new(
            "upsample by lines",
            model().add(Upsample::linear(2)),
            shape,
            Homogeneous,
        ),
        Case::new("group norm", model().group_norm(1), shape, Any),
        Case::new("rms norm", model().rms_norm(), shape, Any),
        Case::new("dropout", model().dropout(0.5), shape, OfPlace),
        Case::new("layer norm", model().add(LayerNorm::new()), shape, Any),
        Case::new(
            "flatten, linear",
            model().flatten().add(head(3)),
            shape,
            Homogeneous,
        ),
        Case::new(
            "conv, relu, flatten, linear",
            model().add(conv(3, 3)).relu().flatten().add(head(4)),
            shape,
            Homogeneous,
        ),
        Case::new(
            "conv, tanh, flatten, linear",
            model().conv2d(1, 1).tanh().flatten().linear(2),
            shape,
            Any,
        ),
        Case::new(
            "residual",
            model().add(Residual::new(model().add(conv(shape[1], 3)).relu())),
            shape,
            OfInput,
        ),
    ];
    if shape[0] * h * w > 1 {
        let law = Normalised(&[0, 2, 3]);
        cases.push(Case::new("batch norm", model().batch_norm2d(), shape, law));
        cases.push(Case::new(
            "conv, batch norm, relu",
            model().add(conv(4, 3)).batch_norm2d().relu(),
            shape,
            Mixed,
        ));
    }
    if h >= 2 && w >= 2 {
        cases.push(Case::new(
            "max pool",
            model().max_pool2d(2),
            shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "average pool",
            model().avg_pool2d(2),
            shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "overlapping pool",
            model().add(MaxPool2d::new(3).stride(2).padding(1)),
            shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "pool beyond the end",
            model().add(MaxPool2d::new(2).stride(3).ceil(true)),
            shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv, relu, pool, conv, relu, flatten, linear",
            model()
                .add(conv(4, 3))
                .relu()
                .max_pool2d(2)
                .add(conv(4, 3))
                .relu()
                .flatten()
                .add(head(3)),
            shape,
            Homogeneous,
        ));
    }
    cases
}

#[test]
fn images_from_1_to_512() {
    let usual = [1, 2, 3, 7, 16, 28, 92, 93, 200];
    let others = [
        4, 5, 8, 9, 15, 17, 31, 32, 33, 56, 64, 91, 112, 128, 160, 201, 224, 256, 300, 384, 512,
    ];
    let sizes = sizes(&usual, &others);
    run(
        "square images",
        sizes
            .iter()
            .flat_map(|&n| image_layers(&[2, 1, n, n]))
            .collect(),
    );
    let shapes = [
        [1, 2, 1, 512],
        [1, 2, 512, 1],
        [3, 1, 2, 300],
        [1, 1, 511, 3],
    ];
    run(
        "narrow images",
        shapes
            .iter()
            .flat_map(|shape| image_layers(shape))
            .collect(),
    );
}

#[test]
fn large_images() {
    use Law::*;
    let mut cases = Vec::new();
    for n in [384, 512] {
        let shape = [1, 1, n, n];
        cases.push(Case::new(
            "conv, relu, flatten, linear",
            model().add(conv(4, 3)).relu().flatten().add(head(2)),
            &shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "two poolings",
            model()
                .add(conv(4, 3))
                .relu()
                .max_pool2d(2)
                .add(conv(4, 3))
                .relu()
                .max_pool2d(2)
                .flatten()
                .add(head(2)),
            &shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "batch norm",
            model().batch_norm2d(),
            &shape,
            Normalised(&[0, 2, 3]),
        ));
        cases.push(Case::new("tanh", model().tanh(), &shape, Elementwise(tanh)));
    }
    for batch in [1, 4, 32] {
        let shape = [batch, 3, 224, 224];
        cases.push(Case::new(
            "conv by twos, relu, pool",
            model().add(conv(8, 3).stride(2)).relu().max_pool2d(2),
            &shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv, relu, pool, conv, global average",
            model()
                .add(conv(4, 3))
                .relu()
                .max_pool2d(2)
                .add(conv(8, 3))
                .relu()
                .global_avg_pool2d(),
            &shape,
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv, batch norm, relu, pool",
            model()
                .add(conv(4, 3).stride(2))
                .batch_norm2d()
                .relu()
                .max_pool2d(2),
            &shape,
            Mixed,
        ));
        if is_full() || batch < 32 {
            cases.extend(image_layers(&shape));
        }
    }
    run("photographs", cases);
}

#[test]
fn rows_up_to_a_million() {
    use Law::*;
    let mut cases = Vec::new();
    let others = [
        3, 8, 15, 31, 64, 127, 500, 1000, 4097, 8000, 20_000, 50_000, 200_000, 500_000,
    ];
    for n in sizes(&[0, 1, 2, 7, 100, 8001, 10_000, 65_537, 1_000_000], &others) {
        let rows = [n, 4];
        let columns = [3, n];
        cases.push(Case::new(
            "linear",
            model().add(head(3)),
            &rows,
            Homogeneous,
        ));
        cases.push(Case::new(
            "two layers",
            model().add(head(5)).relu().add(head(2)),
            &rows,
            Homogeneous,
        ));
        cases.push(Case::new(
            "sigmoid",
            model().sigmoid(),
            &rows,
            Elementwise(sigmoid),
        ));
        cases.push(Case::new("dropout", model().dropout(0.3), &rows, OfPlace));
        cases.push(Case::new(
            "layer norm",
            model().add(LayerNorm::new()),
            &rows,
            Any,
        ));
        if n > 1 {
            cases.push(Case::new(
                "batch norm",
                model().batch_norm1d(),
                &rows,
                Normalised(&[0]),
            ));
        }
        if n > 0 {
            cases.push(Case::new(
                "linear",
                model().add(head(2)),
                &columns,
                Homogeneous,
            ));
            cases.push(Case::new(
                "layer norm",
                model().add(LayerNorm::new()),
                &columns,
                Any,
            ));
            cases.push(Case::new(
                "batch norm",
                model().batch_norm1d(),
                &columns,
                Normalised(&[0]),
            ));
            cases.push(Case::new(
                "relu",
                model().relu(),
                &columns,
                Elementwise(relu),
            ));
        }
    }
    run("rows", cases);
}

#[test]
fn channels_from_1_to_2048() {
    use Law::*;
    let mut cases = Vec::new();
    let others = [
        4, 5, 6, 9, 12, 15, 24, 31, 32, 33, 48, 96, 128, 192, 320, 384, 640, 768, 1000, 1024,
    ];
    for c in sizes(&[1, 2, 3, 7, 8, 16, 17, 64, 100, 256, 512, 2048], &others) {
        let images = [2, c, 6, 6];
        cases.push(Case::new(
            "conv from",
            model().add(conv(4, 3)),
            &images,
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv to",
            model().add(conv(c, 3)),
            &[2, 3, 6, 6],
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv through",
            model().add(conv(c, 1)),
            &[1, c, 4, 4],
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv to, relu, pool",
            model().add(conv(c, 3)).relu().max_pool2d(2),
            &[2, 1, 8, 8],
            Homogeneous,
        ));
        cases.push(Case::new(
            "conv to, relu, pool, linear",
            model()
                .add(conv(c, 5))
                .relu()
                .max_pool2d(2)
                .flatten()
                .add(head(3)),
            &[2, 1, 8, 8],
            Homogeneous,
        ));
        cases.push(Case::new(
            "depthwise",
            model().add(conv(c, 3).groups(c)),
            &images,
            Homogeneous,
        ));
        cases.push(Case::new(
            "batch norm",
            model().batch_norm2d(),
            &images,
            Normalised(&[0, 2, 3]),
        ));
        cases.push(Case::new(
            "max pool",
            model().max_pool2d(2),
            &images,
            Homogeneous,
        ));
        cases.push(Case::new(
            "average pool",
            model().avg_pool2d(3),
            &images,
            Homogeneous,
        ));
        cases.push(Case::new(
            "global average",
            model().global_avg_pool2d(),
            &images,
            Homogeneous,
        ));
        cases.push(Case::new(
            "flatten, linear",
            model().flatten().add(head(5)),
            &images,
            Homogeneous,
        ));
        cases.push(Case::new(
            "linear to",
            model().add(head(c)),
            &[3, 10],
            Homogeneous,
        ));
        cases.push(Case::new(
            "linear through",
            model().add(head(c)),
            &[5, c],
            Homogeneous,
        ));
        if c <= 512 {
            cases.push(Case::new(
                "conv 3x3 through",
                model().add(conv(c, 3)),
                &[1, c, 8, 8],
                Homogeneous,
            ));
        }
    }
    run("channels", cases);
}

#[test]
fn batches_of_none() {
    let mut cases = image_layers(&[0, 2, 9, 9]);
    cases.extend(image_layers(&[0, 1, 1, 1]));
    // There is no mean of no values.
    cases.retain(|case| !case.name.contains("norm"));
    for case in &cases {
        let x = Tensor::zeros(&case.shape[..]);
        case.model
            .build(&Meta::new([&[2], &case.shape[1..]].concat(), DType::F32), 0)
            .unwrap();
        let two = case.model.forward(
            &Tensor::zeros([&[2], &case.shape[1..]].concat()),
            &mut Context::evaluate(),
        );
        let none = case.model.forward(&x, &mut Context::evaluate());
        assert_eq!(
            none.shape().unwrap()[1..],
            two.shape().unwrap()[1..],
            "{}",
            case.name
        );
    }
    run("batches of none", cases);
}

/// Rows of a table, as many as there are indices; the gradient of their sum counts how often each was taken.
#[test]
fn embeddings_up_to_a_million() {
    let start = Instant::now();
    let cases: [(usize, usize); 6] = [
        (0, 5),
        (1, 5),
        (7, 1),
        (10_000, 3),
        (8001, 100_000),
        (1_000_000, 300),
    ];
    for (n, words) in cases {
        let layer = Embedding::new(words, 4);
        let indices: Vec<i64> = (0..n)
            .map(|i| (i * i + 3 * i) % words)
            .map(|i| i as i64)
            .collect();
        let x = Tensor::input("x", [n], DType::I64);
        layer.build(&Meta::new([n], DType::I64), 1).unwrap();
        let y = layer.forward(&x, &mut Context::train(0));
        let table = layer.parameters().unwrap().remove(0);
        let d = gradients(&y.sum(), &[&table.tensor()]).remove(0);
        let program = Program::compile(&[&x], &[&y, &d], &[]).unwrap();
        let found = program.run(&[Array::new([n], indices.as_slice())]).unwrap();
        let rows = table.value();
        let rows = rows.as_slice::<f32>().unwrap();
        let mut counts = vec![0; words];
        for (row, &index) in found[0].as_slice::<f32>().unwrap().chunks(4).zip(&indices) {
            assert_eq!(row, &rows[index as usize * 4..][..4]);
            counts[index as usize] += 1;
        }
        for (row, &count) in found[1].as_slice::<f32>().unwrap().chunks(4).zip(&counts) {
            assert_eq!(row, [count as f32; 4], "{n} indices of {words}");
        }
    }
    println!(
        "embeddings: indices and words {cases:?} in {:.1} s",
        start.elapsed().as_secs_f64()
    );
}

/// The loss of classification, and its gradient `(softmax - target) / n`, in f64.
#[test]
fn losses_up_to_a_million() {
    let start = Instant::now();
    let cases: [(usize, usize); 7] = [
        (1, 1),
        (2, 3),
        (100, 10),
        (8001, 10),
        (1_000_000, 4),
        (3, 1_000_000),
        (50, 2048),
    ];
    for (n, classes) in cases {
        let x = Tensor::input("x", [n, classes], DType::F32);
        let t = Tensor::input("t", [n], DType::I64);
        let loss = SoftmaxCrossEntropy::new().loss(&x, &t);
        let d = gradients(&loss, &[&x]).remove(0);
        let program = Program::compile(&[&x, &t], &[&loss, &d], &[]).unwrap();
        let logits = (noise(9, &[n, classes]) * 6.0).eval().unwrap();
        let labels: Vec<i64> = (0..n).map(|i| (i * 7 % classes) as i64).collect();
        let labels_array = Array::new([n], labels.as_slice());
        let found = program.run(&[logits.clone(), labels_array]).unwrap();
        let mut expected = 0.0;
        let rows = logits
            .as_slice::<f32>()
            .unwrap()
            .chunks(classes)
            .zip(&labels);
        for (i, ((row, &label), d)) in rows
            .zip(found[1].as_slice::<f32>().unwrap().chunks(classes))
            .enumerate()
        {
            let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            expected += total.ln() - f64::from(row[label as usize]);
            for j in [0, label as usize, classes / 2, classes - 1] {
                let target = f64::from(u8::from(j == label as usize));
                let slope = (f64::from(row[j]).exp() / total - target) / n as f64;
                let error = (f64::from(d[j]) - slope).abs();
                assert!(
                    error <= 5e-6 / n as f64,
                    "{n} x {classes}: row {i}, class {j}"
                );
            }
        }
        let (found, expected) = (found[0].to_f64s()[0], expected / n as f64);
        assert!(
            (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
            "{found} {expected}"
        );
    }
    println!(
        "losses: rows and classes {cases:?} in {:.1} s",
        start.elapsed().as_secs_f64()
    );
}

/// Layers one after another, trained one step.
#[test]
fn depth_up_to_100_000() {
    let mut layers = vec![
        ("relu", 20_000, model().relu()),
        ("tanh", 7000, model().tanh()),
        ("linear, tanh", 1000, model().linear(2).tanh()),
        (
            "residual, layer norm",
            300,
            model()
                .add(Residual::new(model().linear(2)))
                .add(LayerNorm::new()),
        ),
    ];
    if is_full() {
        layers.push(("relu", 100_000, model().relu()));
        layers.push(("tanh", 100_000, model().tanh()));
        layers.push(("linear, tanh", 10_000, model().linear(2).tanh()));
    }
    for (name, depth, layer) in layers {
        let start = Instant::now();
        let deep = (0..depth).fold(model(), |deep, _| deep.add(layer.clone()));
        let deep = model().linear(2).add(deep).linear(3);
        let x = noise(1, &[4, 2]).eval().unwrap();
        deep.build(&x, 0).unwrap();
        let rows = Summary::of(&deep, &x).unwrap().rows.len();
        assert!(rows > depth, "{name}: {rows}");
        let deep: std::sync::Arc<dyn Forward> = std::sync::Arc::new(deep);
        let loss = std::sync::Arc::new(SoftmaxCrossEntropy::new());
        let mut step = TrainStep::new(deep, loss, std::sync::Arc::new(Sgd::new(0.1))).unwrap();
        let output = step
            .step(&x, &Array::new([4], vec![0i64, 1, 2, 0]), 0.1)
            .unwrap();
        assert!(output.ok && output.loss.is_finite(), "{name}: {output:?}");
        println!(
            "depth: {depth} times {name} in {:.1} s",
            start.elapsed().as_secs_f64()
        );
    }
}
