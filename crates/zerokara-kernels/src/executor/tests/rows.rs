//! Softmax, and the steps that go by integers.

use super::*;
use crate::{
    plan::{
        ArgReduceStep, Elements, ElementsMut, GatherStep, HostFunction, HostStep, OneHotStep,
        RandomStep, SoftmaxStep,
    },
    random,
};

#[test]
fn softmax_of_rows() {
    let mut random = Random::new(11);
    for (rows, columns) in [
        (1, 1),
        (3, 2),
        (100, 10),
        (7, 8),
        (5, 1000),
        (0, 4),
        (4, 0),
        (300, 33),
    ] {
        let mut x = random.floats(rows * columns);
        x.iter_mut().for_each(|x| *x *= 30.0);
        if rows > 2 && columns > 1 {
            x[columns] = f32::NEG_INFINITY; // a masked element
        }
        for (log, in_place) in [(false, false), (true, false), (false, true), (true, true)] {
            let target = usize::from(!in_place);
            let buffers = [
                Storage::from(x.clone()),
                Storage::zeros(Element::F32, rows * columns),
            ];
            let step = SoftmaxStep {
                log,
                input: dense(0, 0, &[rows, columns]),
                output: dense(target, 0, &[rows, columns]),
            };
            for isa in Isa::available() {
                let plan = single(Step::Softmax(step.clone()), &buffers);
                let after = run_plan(&plan, isa, &buffers);
                for row in 0..rows {
                    let row_of = row * columns..(row + 1) * columns;
                    let wide: Vec<f64> = x[row_of].iter().map(|&x| f64::from(x)).collect();
                    let most = wide.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = wide.iter().map(|x| (x - most).exp()).sum();
                    for (i, x) in wide.iter().enumerate() {
                        let (ln, p) = (x - most - sum.ln(), (x - most).exp() / sum);
                        let expected = if log { ln } else { p };
                        let got = element(&after[target], row * columns + i);
                        assert_close(got, expected, 1e-6, || format!("{rows} x {columns}"));
                    }
                }
            }
        }
    }
}

#[test]
fn softmax_of_a_nan_is_nan() {
    for at in [0, 5, 9] {
        let mut x = vec![1.0f32; 10];
        x[at] = f32::NAN;
        let buffers = [Storage::from(x)];
        let view = dense(0, 0, &[1, 10]);
        let step = SoftmaxStep {
            log: false,
            input: view.clone(),
            output: view,
        };
        for isa in Isa::available() {
            let after = run_plan(
                &single(Step::Softmax(step.clone()), &buffers),
                isa,
                &buffers,
            );
            assert!(
                after[0].f32s().unwrap().iter().all(|x| x.is_nan()),
                "{after:?}"
            );
        }
    }
}

#[test]
fn index_of_the_first_largest() {
    let mut random = Random::new(12);
    for (rows, columns) in [(1, 1), (50, 10), (9, 33), (3, 700), (0, 5)] {
        for transposed in [false, true] {
            let mut x: Vec<f32> = (0..rows * columns)
                .map(|_| (random.below(9) as f32) - 4.0)
                .collect();
            if rows > 2 {
                x[columns + columns / 2] = f32::NAN;
            }
            let mut input = dense(0, 0, &[rows, columns]);
            if transposed {
                input.strides = vec![1, rows as isize];
            }
            for min in [false, true] {
                let buffers = [Storage::from(x.clone()), Storage::zeros(Element::I64, rows)];
                let step = ArgReduceStep {
                    min,
                    input: input.clone(),
                    output: dense(1, 0, &[rows]),
                };
                for isa in Isa::available() {
                    let plan = single(Step::ArgReduce(step.clone()), &buffers);
                    let after = run_plan(&plan, isa, &buffers);
                    for row in 0..rows {
                        let at = |i: usize| x[position(&input, row * columns + i)];
                        let mut best = 0;
                        for i in 1..columns {
                            let (a, b) = (at(i), at(best));
                            let wins = if min { a < b } else { a > b };
                            if wins || (a.is_nan() && !b.is_nan()) {
                                best = i;
                            }
                        }
                        assert_eq!(after[1].i64s().unwrap()[row], best as i64, "{min} {row}");
                    }
                }
            }
        }
    }
}

fn failure(plan: &Plan, buffers: &[Storage]) -> RunError {
    let executor = Executor::new(plan, Isa::Portable).unwrap();
    let mut own = buffers.to_vec();
    let mut externals: Vec<External> = own.iter_mut().map(External::Write).collect();
    let workspace = &mut Workspace::default();
    let run = executor.run(workspace, &Pool::new(2), &mut externals);
    run.unwrap_err()
}

#[test]
fn gathering_along_the_middle() {
    let mut random = Random::new(13);
    for (outer, length, count, inner) in [
        (1, 5, 3, 1),
        (2, 7, 4, 3),
        (1, 1000, 64, 784),
        (3, 2, 0, 5),
        (4, 3, 9, 0),
    ] {
        let indices: Vec<i64> = (0..count).map(|_| random.below(length) as i64).collect();
        let n = outer * length * inner;
        let floats = Storage::from(random.floats(n));
        let integers = Storage::from((0..n as i64).collect::<Vec<i64>>());
        let bools = Storage::bools_from((0..n).map(|i| i % 5 == 0));
        for input in [floats, integers, bools] {
            let output = Storage::zeros(input.element(), outer * count * inner);
            let buffers = [input, Storage::from(indices.clone()), output];
            let step = Step::Gather(GatherStep {
                input: dense(0, 0, &[outer, length, inner]),
                indices: dense(1, 0, &[count]),
                output: dense(2, 0, &[outer, count, inner]),
            });
            let after = run_plan(&single(step, &buffers), Isa::Portable, &buffers);
            for i in 0..outer * count * inner {
                let (o, c, r) = (i / (count * inner), i / inner % count, i % inner);
                let from = (o * length + indices[c] as usize) * inner + r;
                let same = match (buffers[0].elements(), after[2].elements()) {
                    (Elements::F32(x), Elements::F32(y)) => x[from] == y[i],
                    (Elements::I64(x), Elements::I64(y)) => x[from] == y[i],
                    (Elements::Bool(x), Elements::Bool(y)) => x[from] == y[i],
                    _ => false,
                };
                assert!(same);
            }
        }
    }
}

#[test]
fn indices_out_of_range_stop_the_run() {
    for bad in [-1, 4, i64::MIN] {
        let buffers = [
            Storage::from([1.0f32, 2.0, 3.0, 4.0]),
            Storage::from([0i64, bad, 1]),
            Storage::zeros(Element::F32, 12),
        ];
        let step = Step::Gather(GatherStep {
            input: dense(0, 0, &[1, 4, 1]),
            indices: dense(1, 0, &[3]),
            output: dense(2, 0, &[1, 3, 1]),
        });
        let error = failure(&single(step, &buffers), &buffers);
        assert!(
            error
                .to_string()
                .contains(&format!("index {bad} is out of range")),
            "{error}"
        );
        let step = Step::OneHot(OneHotStep {
            labels: dense(1, 0, &[3]),
            output: dense(2, 0, &[3, 4]),
            on: 1.0,
            off: 0.0,
        });
        let error = failure(&single(step, &buffers), &buffers);
        assert!(
            error
                .to_string()
                .contains(&format!("label {bad} is out of range")),
            "{error}"
        );
    }
}

#[test]
fn one_hot_rows() {
    let labels = [2i64, 0, 9, 9, 5];
    let buffers = [Storage::from(labels), Storage::zeros(Element::F32, 50)];
    let step = Step::OneHot(OneHotStep {
        labels: dense(0, 0, &[5]),
        output: dense(1, 0, &[5, 10]),
        on: 0.9,
        off: 0.1,
    });
    let after = run_plan(&single(step, &buffers), Isa::Portable, &buffers);
    for (i, &x) in after[1].f32s().unwrap().iter().enumerate() {
        assert_eq!(
            x,
            if labels[i / 10] == (i % 10) as i64 {
                0.9
            } else {
                0.1
            }
        );
    }
}

#[test]
fn random_numbers_are_those_of_their_counters() {
    for n in [0, 1, 3, 64, 65, 1000, 20_000] {
        let buffers = [Storage::from([7i64, 8]), Storage::zeros(Element::F32, n)];
        let step = Step::Random(RandomStep {
            key: 0x1234_5678_9abc_def0,
            counter: dense(0, 1, &[1]),
            output: dense(1, 0, &[n]),
        });
        for isa in Isa::available() {
            let after = run_plan(&single(step.clone(), &buffers), isa, &buffers);
            for (i, &x) in after[1].f32s().unwrap().iter().enumerate() {
                assert_eq!(x, random::uniform(0x1234_5678_9abc_def0, 8, i as u64));
            }
        }
    }
}

struct Cumulative;

impl HostFunction for Cumulative {
    fn run(&self, inputs: &[Elements<'_>], outputs: &mut [ElementsMut<'_>]) -> Result<(), String> {
        let ([Elements::I64(x)], [ElementsMut::F64(y)]) = (inputs, outputs) else {
            return Err("wrong types".into());
        };
        let mut sum = 0;
        for (x, y) in x.iter().zip(y.iter_mut()) {
            sum += x;
            if sum > 100 {
                return Err(format!("{sum} is too much"));
            }
            *y = sum as f64;
        }
        Ok(())
    }
}

#[test]
fn the_callers_code_runs_and_may_fail() {
    let step = |n: usize| {
        Step::Host(HostStep {
            name: "cumulative",
            inputs: vec![dense(0, 1, &[n])],
            outputs: vec![dense(1, 0, &[n])],
            function: std::sync::Arc::new(Cumulative),
        })
    };
    let buffers = [
        Storage::from([9i64, 1, 2, 3]),
        Storage::zeros(Element::F64, 3),
    ];
    let after = run_plan(&single(step(3), &buffers), Isa::Portable, &buffers);
    assert_eq!(after[1].f64s().unwrap(), [1.0, 3.0, 6.0]);
    let buffers = [
        Storage::from([9i64, 1, 200, 3]),
        Storage::zeros(Element::F64, 3),
    ];
    let error = failure(&single(step(3), &buffers), &buffers);
    let message = "201 is too much".to_string();
    assert_eq!(
        error,
        RunError::Step {
            stage: 0,
            step: 0,
            message
        }
    );
}
