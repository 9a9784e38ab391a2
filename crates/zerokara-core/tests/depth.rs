//! Graphs as deep and as wide as nobody draws them: they are built, differentiated, compiled, run and dropped in time that
//! grows with their size alone, and without recursion.

use zerokara_core::{DType, Parameter, Precision, Program, Tensor, grad, gradients, interpret};

/// Nodes of the deepest chains.
const DEPTH: usize = 100_000;

fn vector(n: usize) -> Tensor {
    Tensor::from(
        (0..n)
            .map(|i| 0.1 + i as f32 / n as f32)
            .collect::<Vec<f32>>(),
    )
}

/// `x` after so many `tanh`, and the derivative, in f64.
fn tanh_chain(x: f64, depth: usize) -> (f64, f64) {
    (0..depth).fold((x, 1.0), |(y, d), _| {
        let y = y.tanh();
        (y, d * (1.0 - y * y))
    })
}

fn deepen(x: &Tensor, depth: usize, layer: impl Fn(&Tensor) -> Tensor) -> Tensor {
    (0..depth).fold(x.clone(), |y, _| layer(&y))
}

#[test]
fn a_chain_of_7000_tanh() {
    for n in [1, 1000] {
        let x = vector(n);
        let y = deepen(&x, 7000, Tensor::tanh);
        let dx = grad(&y.sum(), &x);
        let given = x.to_vec::<f32>().unwrap();
        let (y, dx) = (y.to_vec::<f32>().unwrap(), dx.to_vec::<f32>().unwrap());
        for i in (0..n).step_by(n.div_ceil(7)) {
            let (value, slope) = tanh_chain(f64::from(given[i]), 7000);
            assert!(
                (f64::from(y[i]) - value).abs() < 2e-3 * value,
                "{} {value}",
                y[i]
            );
            assert!(
                (f64::from(dx[i]) - slope).abs() < 1e-2 * slope,
                "{} {slope}",
                dx[i]
            );
        }
    }
}

#[test]
fn a_chain_of_100_000_additions() {
    for n in [1, 300] {
        let x = vector(n);
        let y = deepen(&x, DEPTH, |y| y + 1.0);
        let dx = grad(&y.sum(), &x);
        assert!(dx.to_vec::<f32>().unwrap().iter().all(|&d| d == 1.0));
        let given = x.to_vec::<f32>().unwrap();
        for (y, x) in y.to_vec::<f32>().unwrap().iter().zip(given) {
            let expected = (0..DEPTH).fold(x, |y, _| y + 1.0);
            assert_eq!(*y, expected);
        }
    }
}

/// What is added is itself read a hundred thousand times, and so its gradient is a sum of as many.
#[test]
fn one_value_read_by_all() {
    for n in [1, 50] {
        let x = vector(n);
        let y = deepen(&x, DEPTH, |y| y + &x);
        let dx = grad(&y.sum(), &x).to_vec::<f32>().unwrap();
        assert!(dx.iter().all(|&d| d == (DEPTH + 1) as f32), "{}", dx[0]);
        let given = x.to_vec::<f32>().unwrap();
        let expected = (0..DEPTH).fold(given[0], |y, _| y + given[0]);
        assert_eq!(y.to_vec::<f32>().unwrap()[0], expected);
    }
}

/// Kinds of operations that stand alone in a plan: views, copies, reductions, products.
#[test]
fn chains_of_every_kind() {
    type Layer = fn(&Tensor) -> Tensor;
    let layers: [(&str, usize, Layer); 7] = [
        ("transposed sums", 2000, |y| y.t() + 1.0),
        ("means and broadcasts", 2000, |y| {
            y - y.mean_axes(&[0], true) + 1.0
        }),
        ("products", 2000, |y| {
            y.matmul(&Tensor::new(
                [3, 3],
                [0.0f32, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0],
            ))
        }),
        ("softmax", 1500, Tensor::softmax),
        ("reshapes", 10_000, |y| y.reshape([9]).reshape([3, 3])),
        ("slices", 2000, |y| {
            Tensor::concat(&[&y.slice(0, 1.., 1), &y.slice(0, ..1, 1)], 0)
        }),
        ("choices", 10_000, |y| y.relu().maximum(&(y * 0.5))),
    ];
    for (name, depth, layer) in layers {
        let x = Tensor::new([3, 3], [0.1f32, 0.5, -0.3, 0.7, 0.2, -0.8, 0.9, 0.4, 0.6]);
        let y = deepen(&x, depth, layer);
        let dx = grad(&(&y * &y).sum(), &x);
        let expected = interpret(&[&y, &dx], &[], Precision::AsWritten).unwrap();
        let found = zerokara_core::eval(&[&y, &dx]).unwrap();
        for (a, b) in found.iter().zip(&expected) {
            for (a, b) in a.to_f64s().iter().zip(b.to_f64s()) {
                assert!((a - b).abs() <= 1e-3 * b.abs().max(1.0), "{name}: {a} {b}");
            }
        }
    }
}

/// A sum of very many terms, as a tree, elementwise and inside a reduction.
#[test]
fn a_wide_tree() {
    for n in [1, 6] {
        let leaves: Vec<Tensor> = (0..20_000)
            .map(|i| Tensor::new([n], vec![(i % 7) as f32; n]))
            .collect();
        let mut level = leaves.clone();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| match pair {
                    [a, b] => a + b,
                    _ => pair[0].clone(),
                })
                .collect();
        }
        let expected: usize = (0..20_000).map(|i| i % 7).sum();
        assert_eq!(level[0].to_vec::<f32>().unwrap()[0], expected as f32);
        assert_eq!(level[0].sum().item().unwrap(), (expected * n) as f64);
        let wrt: Vec<&Tensor> = leaves.iter().take(3000).collect();
        let gradients = gradients(&(&level[0] * &level[0]).sum(), &wrt);
        let gradients: Vec<&Tensor> = gradients.iter().collect();
        let values = zerokara_core::eval(&gradients).unwrap();
        assert!(
            values
                .iter()
                .all(|v| v.to_f64s()[0] == 2.0 * expected as f64)
        );
    }
}

/// A program whose forward and backward pass are deep, with updates that read each other's old values.
#[test]
fn a_deep_program_trains() {
    for n in [1, 64] {
        let parameters: Vec<Parameter> = (0..60)
            .map(|i| {
                Parameter::new(
                    format!("p{i}"),
                    &Tensor::new([n], vec![(i % 5) as f32 * 1e-3; n]),
                )
                .unwrap()
            })
            .collect();
        let x = Tensor::input("x", [n], DType::F32);
        let mut y = x.clone();
        for i in 0..30_000 {
            y = (y + parameters[i % 60].tensor()) * 0.999;
        }
        let loss = y.sum();
        let tensors: Vec<Tensor> = parameters.iter().map(|p| p.tensor()).collect();
        let wrt: Vec<&Tensor> = tensors.iter().collect();
        let gradients = gradients(&loss, &wrt);
        // Each takes its neighbour's old value along.
        let updates: Vec<(Parameter, Tensor)> = (0..60)
            .map(|i| {
                let other = &tensors[(i + 1) % 60];
                (parameters[i].clone(), other - &gradients[i] * 0.01)
            })
            .collect();
        let program = Program::compile(&[&x], &[&loss], &updates).unwrap();
        let given = vector(n).eval().unwrap();
        let output = program.run(std::slice::from_ref(&given)).unwrap();
        let mut expected = given.to_f64s();
        for i in 0..30_000 {
            expected
                .iter_mut()
                .for_each(|y| *y = (*y + (i % 60 % 5) as f64 * 1e-3) * 0.999);
        }
        let expected: f64 = expected.iter().sum();
        let found = output[0].to_f64s()[0];
        assert!(
            (found - expected).abs() < 1e-3 * expected.abs(),
            "{found} {expected}"
        );
        for i in [0, 1, 29, 59] {
            // Parameter i is read at the steps i, i + 60, ..; each is scaled by 0.999 once for all steps from there on.
            let gradient: f64 = (0..500)
                .map(|k| 0.999f64.powi((30_000 - (i + 60 * k)) as i32))
                .sum();
            let expected = ((i + 1) % 60 % 5) as f64 * 1e-3 - 0.01 * gradient;
            let found = parameters[i].tensor().to_vec::<f32>().unwrap()[0];
            assert!(
                (f64::from(found) - expected).abs() < 1e-4 * expected.abs().max(1e-2),
                "{i}: {found} {expected}"
            );
        }
    }
}

/// Parameters that take each other's old values, in a group too large for one step.
#[test]
fn parameters_change_places_beside_a_large_group() {
    let values: Vec<Parameter> = (0..400)
        .map(|i| Parameter::new(format!("p{i}"), &Tensor::from([i as f32, -(i as f32)])).unwrap())
        .collect();
    let tensors: Vec<Tensor> = values.iter().map(|p| p.tensor()).collect();
    let sum = tensors[1..]
        .iter()
        .fold(tensors[0].clone(), |sum, t| (sum + t) * 1.0);
    let updates: Vec<(Parameter, Tensor)> = (0..400)
        .map(|i| {
            let other = tensors[399 - i].clone();
            (
                values[i].clone(),
                if i % 2 == 0 { other } else { other + &sum },
            )
        })
        .collect();
    let program = Program::compile(&[], &[&sum], &updates).unwrap();
    let output = program.run(&[]).unwrap();
    assert_eq!(output[0].to_f64s(), [79800.0, -79800.0]);
    for (i, value) in values.iter().enumerate() {
        let expected = (399 - i) as f32 + if i % 2 == 0 { 0.0 } else { 79800.0 };
        assert_eq!(
            value.tensor().to_vec::<f32>().unwrap(),
            [expected, -expected]
        );
    }
}
