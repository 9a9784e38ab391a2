//! Reductions.

use super::{
    map::{any_shape, any_view},
    *,
};
use crate::plan::{ReduceStep, Reduction};
use Instruction::Load;

fn check(step: &ReduceStep, buffers: &[Storage]) {
    // For each result the numbers that are combined.
    let total: usize = step.shape.iter().product();
    let mut expected: std::collections::BTreeMap<usize, (f64, f64)> = Default::default();
    let kept: Vec<usize> = step
        .shape
        .iter()
        .zip(&step.reduced)
        .map(|(&n, &r)| if r { 1 } else { n })
        .collect();
    let start = match step.reduction {
        Reduction::Sum => 0.0,
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
    };
    let once = View {
        shape: kept.clone(),
        ..step.output.clone()
    };
    for i in 0..kept.iter().product() {
        expected.insert(position(&once, i), (start, 0.0));
    }
    for i in 0..total {
        let inputs: Vec<f64> = step
            .inputs
            .iter()
            .map(|v| element(&buffers[v.buffer], position(v, i)))
            .collect();
        let value = interpret(&step.code, &inputs)[0];
        let at = position(
            &View {
                shape: step.shape.clone(),
                ..step.output.clone()
            },
            i,
        );
        let (sum, size) = expected.get_mut(&at).unwrap();
        *size += value.abs();
        *sum = match step.reduction {
            Reduction::Sum => *sum + value,
            Reduction::Max => {
                if sum.is_nan() || *sum > value {
                    *sum
                } else {
                    value
                }
            }
            Reduction::Min => {
                if sum.is_nan() || *sum < value {
                    *sum
                } else {
                    value
                }
            }
        };
    }
    for isa in Isa::available() {
        let after = run_plan(&single(Step::Reduce(step.clone()), buffers), isa, buffers);
        let (got, before) = (&after[step.output.buffer], &buffers[step.output.buffer]);
        for i in 0..got.len() {
            let (expected, size) = expected
                .get(&i)
                .copied()
                .unwrap_or((element(before, i), 1.0));
            let got = element(got, i);
            let close = (got - expected).abs() <= 3e-7 * size.max(expected.abs())
                || got == expected
                || (got.is_nan() && expected.is_nan());
            assert!(
                close,
                "{} element {i}: {got}, not {expected}; {step:?}",
                isa.name()
            );
        }
    }
}

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
        for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min] {
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
                reduction,
                output,
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
        let (output, len) = output(2, &shape, &reduced);
        let buffers = [
            Storage::from(random.floats(a_len)),
            Storage::from(random.floats(b_len)),
            Storage::zeros(Element::F32, len),
        ];
        let code = Code {
            instructions: vec![
                Load(0),
                Load(1),
                Instruction::Binary(Binary::Multiply, 0, 1),
            ],
            results: vec![2],
        };
        let reduction = [Reduction::Sum, Reduction::Max, Reduction::Min][random.below(3)];
        check(
            &ReduceStep {
                shape,
                reduced,
                inputs: vec![a, b],
                code,
                reduction,
                output,
            },
            &buffers,
        );
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
                    reduction,
                    output: View {
                        buffer: 1,
                        offset: 0,
                        shape: vec![n],
                        strides: vec![0],
                    },
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
        reduction: Reduction::Sum,
        output: dense(1, 0, &[1]),
    };
    let buffers = [Storage::from(x), Storage::zeros(Element::F32, 1)];
    for isa in Isa::available() {
        let after = run_plan(&single(Step::Reduce(step.clone()), &buffers), isa, &buffers);
        assert!((element(&after[1], 0) - exact).abs() < 2e-7 * exact);
    }
}
