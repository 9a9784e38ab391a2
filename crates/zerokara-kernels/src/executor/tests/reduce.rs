//! Reductions.

use super::{
    map::{any_shape, any_view},
    *,
};
use crate::plan::{MapStep, ReduceStep, Reduction};
use Instruction::Load;

/// What a reduction gives of these numbers, and the size of what was summed.
fn reduce(reduction: Reduction, numbers: &[f64]) -> (f64, f64) {
    let sum: f64 = numbers.iter().sum();
    let size: f64 = numbers.iter().map(|x| x.abs()).sum();
    let extreme = |start: f64, better: fn(f64, f64) -> bool| {
        numbers.iter().fold(start, |best, &x| {
            if best.is_nan() || better(best, x) {
                best
            } else {
                x
            }
        })
    };
    match reduction {
        Reduction::Sum => (sum, size),
        Reduction::Mean => (
            sum / numbers.len() as f64,
            size / numbers.len().max(1) as f64,
        ),
        Reduction::Max => (extreme(f64::NEG_INFINITY, |a, b| a > b), 1.0),
        Reduction::Min => (extreme(f64::INFINITY, |a, b| a < b), 1.0),
        Reduction::Variance { correction } => {
            let mean = sum / numbers.len() as f64;
            let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
            let divisor = (numbers.len() - correction) as f64;
            // The numbers themselves are rounded, and so are their deviations.
            let size = 4.0 * numbers.iter().map(|x| x * x).sum::<f64>() / divisor;
            (squares / divisor, size)
        }
    }
}

fn check(step: &ReduceStep, buffers: &[Storage]) {
    let total: usize = step.shape.iter().product();
    let kept: Vec<usize> = step
        .shape
        .iter()
        .zip(&step.reduced)
        .map(|(&n, &r)| if r { 1 } else { n })
        .collect();
    let mut expected: std::collections::BTreeMap<(usize, usize), (f64, f64)> = Default::default();
    // Elements that the epilogue writes, from the results as f32.
    let mut results = Vec::new();
    for (o, (output, &reduction)) in step.outputs.iter().zip(&step.reductions).enumerate() {
        let over = |shape: &[usize]| View {
            shape: shape.to_vec(),
            ..output.clone()
        };
        let mut numbers: std::collections::BTreeMap<usize, Vec<f64>> = Default::default();
        for i in 0..total {
            let inputs: Vec<f64> = step
                .inputs
                .iter()
                .map(|v| element(&buffers[v.buffer], position(v, i)))
                .collect();
            let value = interpret(&step.code, &inputs)[o];
            let at = position(&over(&step.shape), i);
            numbers.entry(at).or_default().push(value);
        }
        let each = 0..kept.iter().product();
        let row: Vec<(f64, f64)> = each
            .map(|i| {
                let at = position(&over(&kept), i);
                let found = reduce(reduction, numbers.get(&at).map_or(&[][..], |v| v));
                expected.insert((output.buffer, at), found);
                found
            })
            .collect();
        results.push(row);
    }
    if let Some(map) = &step.epilogue {
        for i in 0..map.shape.iter().product() {
            let inputs: Vec<f64> = map
                .inputs
                .iter()
                .map(|v| {
                    let at = position(v, i);
                    let result = expected.get(&(v.buffer, at));
                    result.map_or_else(|| element(&buffers[v.buffer], at), |r| r.0)
                })
                .collect();
            let size = results.iter().map(|row| row[i].1).sum::<f64>();
            for (view, value) in map.outputs.iter().zip(interpret(&map.code, &inputs)) {
                expected.insert((view.buffer, position(view, i)), (value, size));
            }
        }
    }
    for isa in Isa::available() {
        let after = run_plan(&single(Step::Reduce(step.clone()), buffers), isa, buffers);
        for (buffer, (got, before)) in after.iter().zip(buffers).enumerate() {
            for i in 0..got.len() {
                let (expected, size) = expected
                    .get(&(buffer, i))
                    .copied()
                    .unwrap_or((element(before, i), 1.0));
                let got = element(got, i);
                let close = (got - expected).abs() <= 3e-7 * size.max(expected.abs())
                    || got == expected
                    || (got.is_nan() && expected.is_nan());
                assert!(
                    close,
                    "{} buffer {buffer} element {i}: {got}, not {expected}; {step:?}",
                    isa.name()
                );
            }
        }
    }
}

const KINDS: [Reduction; 5] = [
    Reduction::Sum,
    Reduction::Mean,
    Reduction::Max,
    Reduction::Min,
    Reduction::Variance { correction: 0 },
];

fn load() -> Code {
    Code {
        instructions: vec![Load(0)],
        results: vec![0],
    }
}

fn output(buffer: usize, shape: &[usize], reduced: &[bool]) -> (View, usize) {
    let kept: Vec<usize> = shape
        .iter()
        .zip(reduced)
        .map(|(&n, &r)| if r { 1 } else { n })
        .collect();
    let mut view = dense(buffer, 0, &kept);
    for (stride, &r) in view.strides.iter_mut().zip(reduced) {
        if r {
            *stride = 0;
        }
    }
    view.shape = shape.to_vec();
    (view, kept.iter().product())
}

#[test]
fn common_forms() {
    let mut random = Random::new(5);
    for (shape, reduced) in [
        (vec![1], vec![true]),
        (vec![0], vec![true]),
        (vec![3, 0, 2], vec![false, true, false]),
        (vec![1_000_003], vec![true]),
        (vec![100, 10], vec![false, true]),
        (vec![100, 10], vec![true, false]),
        (vec![3000, 6], vec![true, false]),
        (vec![500, 700], vec![true, false]),
        (vec![500, 700], vec![false, true]),
        (vec![3, 90_000], vec![false, true]),
        (vec![70, 9000], vec![true, false]),
        (vec![9, 13, 5, 3], vec![true, false, true, true]),
        (vec![16, 3, 28, 28], vec![true, false, true, true]),
        (vec![4, 5, 600, 3], vec![false, true, true, false]),
        (vec![2, 3, 4], vec![false, false, false]),
        (vec![64, 27, 128], vec![true, false, false]),
    ] {
        let count: usize = (0..shape.len())
            .filter(|&a| reduced[a])
            .map(|a| shape[a])
            .product();
        for reduction in KINDS {
            if matches!(reduction, Reduction::Variance { correction } if correction >= count) {
                continue;
            }
            let n: usize = shape.iter().product();
            let (output, len) = output(1, &shape, &reduced);
            let buffers = [
                Storage::from(random.floats(n)),
                Storage::zeros(Element::F32, len),
            ];
            let step = ReduceStep {
                inputs: vec![dense(0, 0, &shape)],
                shape: shape.clone(),
                reduced: reduced.clone(),
                code: load(),
                reductions: vec![reduction],
                outputs: vec![output],
                epilogue: None,
            };
            check(&step, &buffers);
        }
    }
}

#[test]
fn any_strides_with_code() {
    for seed in 0..300 {
        let mut random = Random::new(seed + 1000);
        let shape = any_shape(&mut random, 8000);
        let reduced: Vec<bool> = shape.iter().map(|_| random.below(2) == 0).collect();
        let (a, a_len) = any_view(&mut random, 0, &shape, true);
        let (b, b_len) = any_view(&mut random, 1, &shape, true);
        let count: usize = (0..shape.len())
            .filter(|&a| reduced[a])
            .map(|a| shape[a])
            .product();
        let outputs: Vec<(View, usize)> = (2..5).map(|b| output(b, &shape, &reduced)).collect();
        let len = outputs[0].1;
        let buffers = [
            Storage::from(random.floats(a_len)),
            Storage::from(random.floats(b_len)),
            Storage::zeros(Element::F32, len),
            Storage::zeros(Element::F32, len),
            Storage::zeros(Element::F32, len),
            Storage::zeros(Element::F32, len),
        ];
        // Three results in one walk, two of them of the same value, and a product of two of them.
        let code = Code {
            instructions: vec![
                Load(0),
                Load(1),
                Instruction::Binary(Binary::Multiply, 0, 1),
            ],
            results: vec![2, random.below(2), 2],
        };
        let kinds = if count > 0 { 5 } else { 4 };
        let step = ReduceStep {
            reductions: (0..3).map(|_| KINDS[random.below(kinds)]).collect(),
            outputs: outputs.into_iter().map(|(view, _)| view).collect(),
            inputs: vec![a, b],
            code,
            epilogue: None,
            shape,
            reduced,
        };
        let kept: Vec<View> = step.outputs.iter().map(|o| step.kept(o)).collect();
        let epilogue = (random.below(2) == 0).then(|| MapStep {
            shape: kept[0].shape.clone(),
            outputs: vec![View {
                buffer: 5,
                ..kept[0].clone()
            }],
            inputs: vec![kept[0].clone(), kept[2].clone()],
            code: Code {
                instructions: vec![Load(0), Load(1), Instruction::Binary(Binary::Maximum, 0, 1)],
                results: vec![2],
            },
        });
        check(&ReduceStep { epilogue, ..step }, &buffers);
    }
}

/// Far from 0, drifting, and with an outlier in front: naive sums of squares would lose all digits.
#[test]
fn a_variance_keeps_its_digits() {
    let mut random = Random::new(77);
    for (shape, reduced) in [
        (vec![20_000, 16], vec![true, false]),
        (vec![9_000, 100], vec![true, false]),
        (vec![700, 1300], vec![true, false]),
        (vec![40, 5000], vec![true, false]),
        (vec![30, 400], vec![false, true]),
        (vec![3, 100_000], vec![false, true]),
    ] {
        let n: usize = shape.iter().product();
        let noise = random.floats(n);
        let inner = if reduced[0] { shape[1] } else { 1 };
        for form in 0..3 {
            let row = |i: usize| (i / inner) as f32;
            let x: Vec<f32> = noise
                .iter()
                .enumerate()
                .map(|(i, &noise)| match form {
                    0 => noise + 3000.0,
                    1 => noise + row(i) * 0.01,
                    _ if i < inner => 1e4,
                    _ => noise,
                })
                .collect();
            let (output, len) = output(1, &shape, &reduced);
            let step = ReduceStep {
                inputs: vec![dense(0, 0, &shape)],
                shape: shape.clone(),
                reduced: reduced.clone(),
                code: load(),
                reductions: vec![Reduction::Variance { correction: 1 }],
                outputs: vec![output],
                epilogue: None,
            };
            let exact: Vec<f64> = (0..len)
                .map(|i| {
                    let numbers: Vec<f64> = match reduced[0] {
                        true => x[i..].iter().step_by(inner).map(|&x| x.into()).collect(),
                        false => x[i * shape[1]..][..shape[1]]
                            .iter()
                            .map(|&x| x.into())
                            .collect(),
                    };
                    reduce(step.reductions[0], &numbers).0
                })
                .collect();
            let buffers = [Storage::from(x), Storage::zeros(Element::F32, len)];
            for isa in Isa::available() {
                let plan = single(Step::Reduce(step.clone()), &buffers);
                let after = run_plan(&plan, isa, &buffers);
                for (i, &exact) in exact.iter().enumerate() {
                    let got = element(&after[1], i);
                    let error = (got - exact).abs() / exact;
                    let bound = if form == 2 { 3e-5 } else { 2e-6 };
                    assert!(error < bound, "{shape:?}, form {form}: {got}, not {exact}");
                }
            }
        }
    }
}

/// Sums of infinite numbers that share their walk with a variance; beside them, columns and rows without.
#[test]
fn infinite_numbers_have_infinite_sums_beside_a_variance() {
    const INFINITY: f32 = f32::INFINITY;
    for (shape, reduced) in [
        (vec![20_000, 16], vec![true, false]),
        (vec![9_000, 100], vec![true, false]),
        (vec![700, 1300], vec![true, false]),
        (vec![40, 5000], vec![true, false]),
        (vec![30, 400], vec![false, true]),
        (vec![3, 100_000], vec![false, true]),
    ] {
        let [rows, columns] = [shape[0], shape[1]];
        let (kept, many) = if reduced[0] {
            (columns, rows)
        } else {
            (rows, columns)
        };
        // The `i`-th of the numbers that are summed to result 1.
        let place = |i: usize| {
            if reduced[0] {
                i * columns + 1
            } else {
                columns + i
            }
        };
        for numbers in [
            vec![(0, INFINITY)],
            vec![(many / 2, -INFINITY)],
            vec![(many - 1, INFINITY)],
            vec![(0, INFINITY), (many / 2, INFINITY)],
            vec![(0, INFINITY), (many - 1, -INFINITY)],
            vec![(many / 2, INFINITY), (many / 2 + 1, -INFINITY)],
            vec![(0, INFINITY), (many - 1, f32::NAN)],
        ] {
            let mut x: Vec<f32> = (0..rows * columns).map(|i| (i % 7) as f32).collect();
            numbers.iter().for_each(|&(i, number)| x[place(i)] = number);
            let exact: f64 = (0..many).map(|i| f64::from(x[place(i)])).sum();
            let outputs = [1, 2].map(|buffer| output(buffer, &shape, &reduced).0);
            let step = ReduceStep {
                inputs: vec![dense(0, 0, &shape)],
                shape: shape.clone(),
                reduced: reduced.clone(),
                code: Code {
                    results: vec![0, 0],
                    ..load()
                },
                reductions: vec![Reduction::Sum, Reduction::Variance { correction: 0 }],
                outputs: outputs.to_vec(),
                epilogue: None,
            };
            let buffers = [
                Storage::from(x),
                Storage::zeros(Element::F32, kept),
                Storage::zeros(Element::F32, kept),
            ];
            for isa in Isa::available() {
                let plan = single(Step::Reduce(step.clone()), &buffers);
                let after = run_plan(&plan, isa, &buffers);
                let sum = element(&after[1], 1);
                let same = sum == exact || sum.is_nan() && exact.is_nan();
                assert!(same, "{shape:?}, {numbers:?}: {sum}, not {exact}");
                assert!(element(&after[2], 1).is_nan(), "{shape:?}, {numbers:?}");
                for other in (0..kept).filter(|&i| i != 1) {
                    let [sum, variance] = [1, 2].map(|b| element(&after[b], other));
                    assert!(
                        (2.8..3.2).contains(&(sum / many as f64)),
                        "{shape:?}: {sum}"
                    );
                    assert!((3.6..4.4).contains(&variance), "{shape:?}: {variance}");
                }
            }
        }
    }
}

#[test]
fn equal_numbers_are_their_mean_and_do_not_vary() {
    for (shape, reduced) in [
        (vec![1], vec![true]),
        (vec![28], vec![true]),
        (vec![3, 28], vec![false, true]),
        (vec![2, 7001], vec![false, true]),
        (vec![1_000_003], vec![true]),
        (vec![100, 10], vec![true, false]),
        (vec![70_001, 3], vec![true, false]),
        (vec![3, 5000], vec![true, false]),
        (vec![9, 3, 28, 28], vec![true, false, true, true]),
    ] {
        for number in [
            100.0,
            0.1,
            -1.9e-7,
            1e30,
            f32::MAX,
            3e-15,
            1e-40,
            16_777_215.0,
        ] {
            let n: usize = shape.iter().product();
            let (mean, kept) = output(1, &shape, &reduced);
            let (alone, _) = output(2, &shape, &reduced);
            let (variance, _) = output(3, &shape, &reduced);
            let zeros = Storage::zeros(Element::F32, kept);
            let buffers = [
                Storage::from(vec![number; n]),
                zeros.clone(),
                zeros.clone(),
                zeros,
            ];
            let step = |outputs: Vec<View>, reductions: Vec<Reduction>| ReduceStep {
                inputs: vec![dense(0, 0, &shape)],
                shape: shape.clone(),
                reduced: reduced.clone(),
                code: Code {
                    results: vec![0; outputs.len()],
                    ..load()
                },
                reductions,
                outputs,
                epilogue: None,
            };
            let variance_of = Reduction::Variance { correction: 0 };
            let both = step(vec![mean, variance], vec![Reduction::Mean, variance_of]);
            let alone = step(vec![alone], vec![Reduction::Mean]);
            for isa in Isa::available() {
                for (step, expected) in
                    [(&both, [(1, number), (3, 0.0)]), (&alone, [(2, number); 2])]
                {
                    let after =
                        run_plan(&single(Step::Reduce(step.clone()), &buffers), isa, &buffers);
                    for (buffer, expected) in expected {
                        let found = after[buffer].f32s().expect("f32");
                        assert_eq!(
                            found,
                            vec![expected; kept],
                            "{shape:?} of {number:e}: {buffer}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_nan_is_the_largest_and_the_smallest() {
    for n in [1, 9, 700, 5000] {
        for at in [0, n / 2, n - 1] {
            let mut x = vec![1.0f32; n];
            x[at] = f32::NAN;
            for reduction in [Reduction::Max, Reduction::Min] {
                let step = ReduceStep {
                    shape: vec![n],
                    reduced: vec![true],
                    inputs: vec![dense(0, 0, &[n])],
                    code: load(),
                    reductions: vec![reduction],
                    outputs: vec![View {
                        buffer: 1,
                        offset: 0,
                        shape: vec![n],
                        strides: vec![0],
                    }],
                    epilogue: None,
                };
                check(
                    &step,
                    &[Storage::from(x.clone()), Storage::zeros(Element::F32, 1)],
                );
            }
        }
    }
}

#[test]
fn a_million_numbers_keep_their_digits() {
    // All of one sign, so that naive single precision would lose four digits.
    let x: Vec<f32> = (0..1_000_000)
        .map(|i| 0.1 + (i % 7) as f32 * 1e-3)
        .collect();
    let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
    let step = ReduceStep {
        shape: vec![1_000_000],
        reduced: vec![true],
        inputs: vec![dense(0, 0, &[1_000_000])],
        code: load(),
        reductions: vec![Reduction::Sum],
        outputs: vec![dense(1, 0, &[1])],
        epilogue: None,
    };
    let buffers = [Storage::from(x), Storage::zeros(Element::F32, 1)];
    for isa in Isa::available() {
        let after = run_plan(&single(Step::Reduce(step.clone()), &buffers), isa, &buffers);
        assert!((element(&after[1], 0) - exact).abs() < 2e-7 * exact);
    }
}
