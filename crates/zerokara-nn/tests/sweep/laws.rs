//! What a case of the sweep is, and what is checked of it.

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
pub enum Law {
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

pub struct Case {
    pub name: String,
    pub model: Sequential,
    pub shape: Vec<usize>,
    pub law: Law,
}

impl Case {
    pub fn new(name: &str, model: Sequential, shape: &[usize], law: Law) -> Self {
        Self {
            name: format!("{name} of {shape:?}"),
            model,
            shape: shape.to_vec(),
            law,
        }
    }
}

/// Multiplications up to which a case is compared with the interpreter, element by element.
pub const SMALL: u64 = 1_500_000;
/// Elements up to which it is.
pub const FEW: usize = 60_000;

pub fn is_full() -> bool {
    env::var_os("ZEROKARA_SWEEP").is_some_and(|v| v != "0")
}

/// All sizes of a sweep, or every one that is marked.
pub fn sizes(usual: &[usize], others: &[usize]) -> Vec<usize> {
    let mut all = usual.to_vec();
    if is_full() {
        all.extend(others);
        all.sort_unstable();
    }
    all
}

pub fn noise(key: u64, shape: &[usize]) -> Tensor {
    Tensor::uniform(key, &Tensor::from(0), shape) - 0.5
}

pub fn dot(a: &Array, b: &Array) -> (f64, f64) {
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
pub fn assert_like(found: &Array, expected: &Array, what: &str) {
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
pub fn check(case: &Case) {
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
    let program = Program::compile(&[&x], &outputs, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
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

pub fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len())
        .map(|axis| shape[axis + 1..].iter().product())
        .collect()
}

/// The last sample alone gives what it gave among the others, by the interpreter if that does not take long.
pub fn one_sample(case: &Case, y: &Tensor, given: &Array, found: &Array) {
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
pub fn run(sweep: &str, cases: Vec<Case>) {
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
