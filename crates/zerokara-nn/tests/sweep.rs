//! Layers at the sizes that people have: images from 1x1 to 512x512, rows up to a million, channels up to 2,048, depth up to
//! 100,000, batches of none up to 32 photographs; forward and backward, one axis at a time, and named corners.
//!
//! Each case is compiled as a program of the layer's output, of the sum of it with weights, and of all gradients. Where it is
//! small, everything is compared with the interpreter in double precision; where it is not, with what must hold: samples
//! do not see each other, elementwise functions are known, and what is homogeneous (products, convolutions, rectifiers,
//! poolings) fulfils Euler's identity `sum(p * dL/dp) = L` for its inputs and for the weights of each layer.
//!
//! `ZEROKARA_SWEEP=1` runs every size of each axis instead of some. Each test prints what was run.

use std::{
    collections::BTreeSet,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use zerokara_core::{Array, DType, Meta, Precision, Program, Tensor, gradients, interpret};
use zerokara_nn::*;

/// What is known of a layer, beside what the interpreter gives where it is small.
#[derive(Clone, Copy)]
enum Law {
    /// `f(a x) = a f(x)` for positive `a`, and so for the weights of each layer: there are no biases.
    Homogeneous,
    /// So for the input alone.
    OfInput,
    /// So for the input alone, and a sample's output depends on its place in the batch.
    OfPlace,
    /// A function of each element, and its derivative.
    Elementwise(fn(f64) -> (f64, f64)),
    /// The output has mean 0 and variance 1 over these axes.
    Normalised(&'static [usize]),
    /// Nothing but that a sample's output does not depend on the others.
    Any,
    /// Nothing where it is not small.
    Mixed,
}

struct Case {
    name: String,
    model: Sequential,
    shape: Vec<usize>,
    law: Law,
}

impl Case {
    fn new(name: &str, model: Sequential, shape: &[usize], law: Law) -> Self {
        Self {
            name: format!("{name} of {shape:?}"),
            model,
            shape: shape.to_vec(),
            law,
        }
    }
}

/// Multiplications up to which a case is compared with the interpreter, element by element.
const SMALL: u64 = 1_500_000;
/// Elements up to which it is.
const FEW: usize = 60_000;

fn is_full() -> bool {
    env::var_os("ZEROKARA_SWEEP").is_some_and(|v| v != "0")
}

/// All sizes of a sweep, or every one that is marked.
fn sizes(usual: &[usize], others: &[usize]) -> Vec<usize> {
    let mut all = usual.to_vec();
    if is_full() {
        all.extend(others);
        all.sort_unstable();
    }
    all
}

fn noise(key: u64, shape: &[usize]) -> Tensor {
    Tensor::uniform(key, &Tensor::from(0), shape) - 0.5
}

fn dot(a: &Array, b: &Array) -> (f64, f64) {
    let (mut sum, mut size) = (0.0, 0.0);
    for (a, b) in a
        .as_slice::<f32>()
        .unwrap()
        .iter()
        .zip(b.as_slice::<f32>().unwrap())
    {
        sum += f64::from(*a) * f64::from(*b);
        size += (f64::from(*a) * f64::from(*b)).abs();
    }
    (sum, size)
}

#[track_caller]
fn assert_like(found: &Array, expected: &Array, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let (found, expected) = (found.to_f64s(), expected.to_f64s());
    let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (f - e).abs() <= 3e-4 * scale,
            "{what}: element {i} is {f}, not {e}"
        );
    }
}

/// Runs a case forward and backward and checks it.
fn check(case: &Case) {
    let Case {
        name,
        model,
        shape,
        law,
    } = case;
    let what = |part: &str| format!("{name}: {part}");
    let x = Tensor::input("x", shape.clone(), DType::F32);
    model
        .build(&Meta::new(shape.clone(), DType::F32), 3)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut cx = Context::train(0);
    let y = model.forward(&x, &mut cx);
    cx.finish().unwrap();
    let weights = noise(11, y.shape().unwrap());
    let loss = (&y * &weights).sum();
    let parameters = model.parameters().unwrap();
    let tensors: Vec<Tensor> = parameters.iter().map(|p| p.tensor()).collect();
    let wrt: Vec<&Tensor> = [&x].into_iter().chain(&tensors).collect();
    let gradients = gradients(&loss, &wrt);
    let outputs: Vec<&Tensor> = [&loss, &y, &weights]
        .into_iter()
        .chain(&gradients)
        .collect();
    let mut program =
        Program::compile(&[&x], &outputs, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
    let given = noise(5, shape).eval().unwrap();
    let found = program
        .run(std::slice::from_ref(&given))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    for (output, found) in outputs.iter().zip(&found) {
        assert_eq!(output.shape().unwrap(), found.shape(), "{name}");
    }
    if shape.contains(&0) {
        return;
    }
    let (l, y_found, w) = (found[0].to_f64s()[0], &found[1], &found[2]);
    let (expected, size) = dot(y_found, w);
    assert!(
        (l - expected).abs() <= 1e-5 * size.max(1e-3),
        "{}: {l} {expected}",
        what("loss")
    );

    let flops = Summary::of(model, &Meta::new(shape.clone(), DType::F32))
        .unwrap()
        .flops();
    let elements = shape.iter().product::<usize>().max(y_found.len());
    if flops / 2 <= SMALL && elements <= FEW {
        let expected = interpret(&outputs, &[(&x, given)], Precision::Double).unwrap();
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            let part = ["loss", "output", "weights", "gradient of the input"].get(i);
            assert_like(f, e, &what(part.unwrap_or(&"gradient of a parameter")));
        }
        return;
    }
    let dx = &found[3];
    match *law {
        Law::Homogeneous | Law::OfInput | Law::OfPlace => {
            let (sum, size) = dot(&given, dx);
            assert!(
                (sum - l).abs() <= 2e-4 * size.max(1e-3),
                "{}: {sum} {l}",
                what("input")
            );
            let with_weights = matches!(law, Law::Homogeneous);
            let weights = parameters.iter().zip(&found[4..]);
            for (parameter, d) in weights.filter(|_| with_weights) {
                let (sum, size) = dot(&parameter.value(), d);
                let part = what(parameter.name());
                assert!(
                    (sum - l).abs() <= 2e-4 * size.max(1e-3),
                    "{part}: {sum} {l}"
                );
            }
        }
        Law::Elementwise(f) => {
            let step = (given.len() / 50_000).max(1);
            for i in (0..given.len()).step_by(step).chain([given.len() - 1]) {
                let (value, slope) = f(given.get_f64(i).unwrap());
                let (y, d) = (y_found.get_f64(i).unwrap(), dx.get_f64(i).unwrap());
                let slope = slope * w.get_f64(i).unwrap();
                assert!((y - value).abs() < 1e-5, "{}: {y} {value}", what("output"));
                assert!(
                    (d - slope).abs() < 1e-5,
                    "{}: {d} {slope}",
                    what("gradient")
                );
            }
        }
        Law::Normalised(axes) => {
            let strides = strides(y_found.shape());
            let mut sums = std::collections::HashMap::<usize, (f64, f64, f64)>::new();
            for (i, y) in y_found.as_slice::<f32>().unwrap().iter().enumerate() {
                let index = |axis: usize| i / strides[axis] % y_found.shape()[axis];
                let kept = (0..strides.len()).filter(|axis| !axes.contains(axis));
                let place = kept.fold(0, |at, axis| at * y_found.shape()[axis] + index(axis));
                let sum = sums.entry(place).or_default();
                let y = f64::from(*y);
                *sum = (sum.0 + 1.0, sum.1 + y, sum.2 + y * y);
            }
            for (n, sum, squares) in sums.into_values() {
                let (mean, square) = (sum / n, squares / n);
                assert!(mean.abs() < 1e-4, "{}: {mean}", what("mean"));
                // Of few numbers the variance may be so small that the constant added to it counts.
                let least = if n < 30.0 { 0.0 } else { 0.99 };
                let fits = square > least && square < 1.01;
                assert!(fits, "{}: {square}", what("variance"));
            }
            // The output does not change with the scale of the input.
            let (sum, size) = dot(&given, dx);
            assert!(
                sum.abs() <= 1e-3 * size.max(1e-3),
                "{}: {sum}",
                what("input")
            );
        }
        Law::Any | Law::Mixed => {}
    }
    one_sample(case, &y, &given, y_found);
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len())
        .map(|axis| shape[axis + 1..].iter().product())
        .collect()
}

/// The last sample alone gives what it gave among the others, by the interpreter if that does not take long.
fn one_sample(case: &Case, y: &Tensor, given: &Array, found: &Array) {
    let depends = matches!(
        case.law,
        Law::Normalised(&[0, ..]) | Law::OfPlace | Law::Mixed
    );
    if depends || y.shape().unwrap()[0] != case.shape[0] {
        return;
    }
    let last = case.shape[0] as i64 - 1;
    let x = Tensor::from(
        Tensor::from(given.clone())
            .slice(0, last.., 1)
            .eval()
            .unwrap(),
    );
    let alone = case.model.forward(&x, &mut Context::train(0));
    let flops = Summary::of(&case.model, &x.meta().unwrap().clone())
        .unwrap()
        .flops();
    let expected = match flops / 2 <= 12 * SMALL && x.meta().unwrap().len() <= 1 << 20 {
        true => interpret(&[&alone], &[], Precision::Double)
            .unwrap()
            .remove(0),
        false => alone.eval().unwrap(),
    };
    let found = Tensor::from(found.clone())
        .slice(0, last.., 1)
        .eval()
        .unwrap();
    assert_like(
        &found,
        &expected,
        &format!("{}: the last sample", case.name),
    );
}

/// Checks cases and says which they were and how long they took.
fn run(sweep: &str, cases: Vec<Case>) {
    let start = Instant::now();
    let mut failed = Vec::new();
    for case in &cases {
        let began = Instant::now();
        // All that fail are to be seen, not the first alone.
        if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
            failed.push(&case.name);
        }
        let seconds = began.elapsed().as_secs_f64();
        if seconds > 3.0 {
            println!("  {seconds:.1} s: {}", case.name);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let all = if is_full() {
        "all"
    } else {
        "some; ZEROKARA_SWEEP=1 runs all"
    };
    let shapes: BTreeSet<String> = cases.iter().map(|c| format!("{:?}", c.shape)).collect();
    let shapes: Vec<String> = shapes.into_iter().collect();
    println!(
        "{sweep}: {} cases ({all}) in {seconds:.1} s, of {}",
        cases.len(),
        shapes.join(" ")
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

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
        let mut program = Program::compile(&[&x], &[&y, &d], &[]).unwrap();
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
        let mut program = Program::compile(&[&x, &t], &[&loss, &d], &[]).unwrap();
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
