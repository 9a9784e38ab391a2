//! Elementwise steps.

use super::*;
use crate::plan::MapStep;
use Instruction::{Constant, Load};

fn check(step: &MapStep, buffers: &[Storage]) {
    for isa in Isa::available() {
        let after = run_plan(&single(Step::Map(step.clone()), buffers), isa, buffers);
        let mut expected = buffers.to_vec();
        let total: usize = step.shape.iter().product();
        for i in 0..total {
            let inputs: Vec<f64> = step
                .inputs
                .iter()
                .map(|v| element(&buffers[v.buffer], position(v, i)))
                .collect();
            for (value, view) in interpret(&step.code, &inputs)
                .into_iter()
                .zip(&step.outputs)
            {
                let at = position(view, i);
                let storage = &mut expected[view.buffer];
                if let Some(x) = storage.f32s_mut() {
                    x[at] = value as f32;
                } else if let Some(x) = storage.bools_mut() {
                    x[at] = u8::from(value != 0.0);
                }
            }
        }
        for (b, (got, expected)) in after.iter().zip(&expected).enumerate() {
            for i in 0..got.len() {
                assert_close(element(got, i), element(expected, i), 2e-6, || {
                    format!("{} buffer {b} element {i} of {step:?}", isa.name())
                });
            }
        }
    }
}

/// `max(x + bias, 0)` with a bias for each column.
pub(super) fn bias_relu() -> Code {
    Code {
        instructions: vec![
            Load(0),
            Load(1),
            Instruction::Binary(Binary::Add, 0, 1),
            Constant(0.0),
            Instruction::Binary(Binary::Maximum, 2, 3),
        ],
        results: vec![4],
    }
}

#[test]
fn bias_and_relu_of_many_widths() {
    let mut random = Random::new(1);
    for (rows, columns) in [
        (0, 3),
        (1, 1),
        (3, 1),
        (1, 7),
        (5, 6),
        (100, 10),
        (37, 100),
        (3, 513),
        (2, 3000),
        (700, 3),
    ] {
        let x = Storage::from(random.floats(rows * columns));
        let bias = Storage::from(random.floats(columns));
        let y = Storage::zeros(Element::F32, rows * columns);
        let shape = vec![rows, columns];
        let mut bias_view = dense(1, 0, &shape);
        bias_view.strides = vec![0, 1];
        let step = MapStep {
            shape: shape.clone(),
            inputs: vec![dense(0, 0, &shape), bias_view.clone()],
            outputs: vec![dense(2, 0, &shape)],
            code: bias_relu(),
        };
        check(&step, &[x.clone(), bias.clone(), y]);
        let in_place = MapStep {
            outputs: vec![dense(0, 0, &shape)],
            ..step
        };
        check(&in_place, &[x, bias]);
    }
}

/// Adam: `m = b m + (1 - b) g`, `v = c v + (1 - c) g g`, `p = p - rate m / (sqrt v + e)`.
fn adam() -> Code {
    use Binary::{Add, Divide, Multiply, Subtract};
    let binary = Instruction::Binary;
    Code {
        instructions: vec![
            Load(0), // p
            Load(1), // g
            Load(2), // m
            Load(3), // v
            Load(4), // rate
            Constant(0.9),
            Constant(0.1),
            Constant(0.999),
            Constant(0.001),
            Constant(1e-8),
            binary(Multiply, 2, 5),
            binary(Multiply, 1, 6),
            binary(Add, 10, 11), // m
            binary(Multiply, 3, 7),
            Instruction::Unary(Unary::Square, 1),
            binary(Multiply, 14, 8),
            binary(Add, 13, 15), // v
            Instruction::Unary(Unary::Sqrt, 16),
            binary(Add, 17, 9),
            binary(Multiply, 12, 4),
            binary(Divide, 19, 18),
            binary(Subtract, 0, 20),
        ],
        results: vec![21, 12, 16],
    }
}

#[test]
fn adam_in_place() {
    let mut random = Random::new(2);
    for n in [1, 5, 500, 513, 40_000] {
        let buffers = [
            Storage::from(random.floats(n)),
            Storage::from(random.floats(n)),
            Storage::from(random.floats(n)),
            Storage::from(random.floats(n).iter().map(|x| x * x).collect::<Vec<f32>>()),
            Storage::from([0.01f32]),
        ];
        let mut inputs: Vec<View> = (0..4).map(|b| dense(b, 0, &[n])).collect();
        inputs.push(View {
            buffer: 4,
            offset: 0,
            shape: vec![n],
            strides: vec![0],
        });
        let outputs = vec![dense(0, 0, &[n]), dense(2, 0, &[n]), dense(3, 0, &[n])];
        check(
            &MapStep {
                shape: vec![n],
                inputs,
                outputs,
                code: adam(),
            },
            &buffers,
        );
    }
}

#[test]
fn an_input_read_after_its_output_is_written() {
    // The swap: each output lies where the other's input does.
    let mut random = Random::new(3);
    let n = 1300;
    let buffers = [
        Storage::from(random.floats(n)),
        Storage::from(random.floats(n)),
    ];
    let views = vec![dense(0, 0, &[n]), dense(1, 0, &[n])];
    let swap = Code {
        instructions: vec![Load(0), Load(1)],
        results: vec![1, 0],
    };
    let step = MapStep {
        shape: vec![n],
        inputs: views.clone(),
        outputs: views.clone(),
        code: swap,
    };
    check(&step, &buffers);
    // x = x + y, then y = x - y with the old x.
    let code = Code {
        instructions: vec![
            Load(0),
            Load(1),
            Instruction::Binary(Binary::Add, 0, 1),
            Instruction::Binary(Binary::Subtract, 0, 1),
        ],
        results: vec![2, 3],
    };
    check(&MapStep { code, ..step }, &buffers);
}

#[test]
fn uniform_results_copies_and_truth_values() {
    let mut random = Random::new(4);
    for n in [1, 17, 600] {
        let x = Storage::from(random.floats(n));
        let mask = Storage::bools_from((0..n).map(|i| i % 3 == 0));
        let code = Code {
            instructions: vec![
                Load(0),
                Load(1),
                Constant(2.5),
                Constant(0.25),
                Instruction::Select {
                    condition: 1,
                    yes: 0,
                    no: 2,
                },
                Instruction::Binary(Binary::Greater, 0, 3),
                Instruction::Binary(Binary::Multiply, 2, 3),
                Instruction::Unary(Unary::Exp, 6),
                Instruction::Select {
                    condition: 2,
                    yes: 3,
                    no: 0,
                },
            ],
            results: vec![4, 5, 7, 0, 1, 4, 8],
        };
        let mut buffers = vec![x, mask];
        buffers.extend([
            Storage::zeros(Element::F32, n),
            Storage::zeros(Element::Bool, n),
            Storage::zeros(Element::F32, n),
            Storage::zeros(Element::F32, n),
            Storage::zeros(Element::Bool, n),
            Storage::zeros(Element::F32, 2 * n),
            Storage::zeros(Element::F32, n),
        ]);
        let mut outputs: Vec<View> = (2..9).map(|b| dense(b, 0, &[n])).collect();
        outputs[5].strides = vec![2];
        let inputs = vec![dense(0, 0, &[n]), dense(1, 0, &[n])];
        check(
            &MapStep {
                shape: vec![n],
                inputs,
                outputs,
                code,
            },
            &buffers,
        );
    }
}

/// A view with permuted, reversed, repeated or gapped axes; returns it with the length its buffer needs.
pub(super) fn any_view(
    random: &mut Random,
    buffer: usize,
    shape: &[usize],
    repeats: bool,
) -> (View, usize) {
    let rank = shape.len();
    let mut order: Vec<usize> = (0..rank).collect();
    if random.below(2) == 0 {
        for i in (1..rank).rev() {
            order.swap(i, random.below(i + 1));
        }
    }
    let mut strides = vec![0isize; rank];
    let mut step = 1 + random.below(8) / 7;
    let mut offset = random.below(4);
    for &axis in order.iter().rev() {
        let length = shape[axis];
        if repeats && random.below(4) == 0 {
            continue;
        }
        let reversed = random.below(5) == 0;
        strides[axis] = if reversed {
            -(step as isize)
        } else {
            step as isize
        };
        if reversed {
            offset += step * length.saturating_sub(1);
        }
        step *= length.max(1);
        step += random.below(8) / 7;
    }
    let reach: usize = shape
        .iter()
        .zip(&strides)
        .map(|(&n, s)| n.saturating_sub(1) * s.unsigned_abs())
        .sum();
    let view = View {
        buffer,
        offset,
        shape: shape.to_vec(),
        strides,
    };
    (view, offset + reach + 1)
}

pub(super) fn any_shape(random: &mut Random, most: usize) -> Vec<usize> {
    let rank = random.below(5);
    let mut shape: Vec<usize> = (0..rank)
        .map(|_| match random.below(12) {
            0 => 1,
            1 => 40 + random.below(600),
            2 => random.below(3),
            _ => 1 + random.below(9),
        })
        .collect();
    while shape.iter().product::<usize>() > most {
        let axis = random.below(shape.len());
        shape[axis] = 1 + shape[axis] / 3;
    }
    shape
}

#[test]
fn any_strides() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let shape = any_shape(&mut random, 6000);
        let mut buffers = Vec::new();
        let mut views = Vec::new();
        for b in 0..4 {
            let (view, len) = any_view(&mut random, b, &shape, b < 3);
            views.push(view);
            buffers.push(if b == 1 {
                Storage::bools_from((0..len).map(|_| random.below(2) == 0))
            } else {
                Storage::from(random.floats(len))
            });
        }
        let (view, len) = any_view(&mut random, 4, &shape, false);
        views.push(view);
        buffers.push(Storage::zeros(Element::Bool, len));
        let code = Code {
            instructions: vec![
                Load(0),
                Load(1),
                Load(2),
                Instruction::Binary(Binary::Multiply, 0, 2),
                Instruction::Select {
                    condition: 1,
                    yes: 3,
                    no: 0,
                },
                Instruction::Binary(Binary::Less, 0, 2),
            ],
            results: vec![4, 5],
        };
        let (inputs, outputs) = (views[..3].to_vec(), views[3..].to_vec());
        check(
            &MapStep {
                shape,
                inputs,
                outputs,
                code,
            },
            &buffers,
        );
    }
}

#[test]
fn copies_that_exchange_axes() {
    let mut random = Random::new(6);
    for (shape, order) in [
        (vec![3, 12, 12, 5], [0, 2, 3, 1]),
        (vec![2, 7, 24, 30], [0, 3, 1, 2]),
        (vec![1, 1, 40, 300], [0, 1, 3, 2]),
        (vec![4, 9, 8, 16], [3, 1, 0, 2]),
        (vec![3, 0, 8, 16], [3, 1, 0, 2]),
    ] {
        let n: usize = shape.iter().product();
        let mut input = dense(0, 0, &shape);
        input.strides = order.iter().map(|&axis| input.strides[axis]).collect();
        input.shape = order.iter().map(|&axis| shape[axis]).collect();
        let buffers = [
            Storage::from(random.floats(n)),
            Storage::zeros(Element::F32, n),
        ];
        let step = MapStep {
            outputs: vec![dense(1, 0, &input.shape)],
            shape: input.shape.clone(),
            inputs: vec![input],
            code: Code {
                instructions: vec![Load(0)],
                results: vec![0],
            },
        };
        check(&step, &buffers);
    }
}

/// One truth value for all elements decides once, whether it is a byte or a number.
#[test]
fn one_truth_value_chooses_for_all() {
    let mut random = Random::new(8);
    for n in [1, 7, 600, 1300] {
        for condition in [
            Storage::bools_from([true].into_iter()),
            Storage::bools_from([false].into_iter()),
            Storage::from(vec![0.0f32]),
            Storage::from(vec![f32::NAN]),
        ] {
            let row = dense(0, 0, &[n]);
            let buffers = [
                Storage::from(random.floats(n)),
                Storage::from(random.floats(n)),
                condition,
                Storage::zeros(Element::F32, n),
            ];
            let chosen = |condition, yes, no| Instruction::Select { condition, yes, no };
            let step = MapStep {
                shape: vec![n],
                inputs: vec![
                    row.clone(),
                    dense(1, 0, &[n]),
                    View {
                        buffer: 2,
                        offset: 0,
                        shape: vec![n],
                        strides: vec![0],
                    },
                ],
                // The first in the place of what is kept if the condition does not hold.
                outputs: vec![row, dense(3, 0, &[n])],
                code: Code {
                    instructions: vec![
                        Load(0),
                        Load(1),
                        Load(2),
                        Instruction::Binary(Binary::Subtract, 0, 1),
                        chosen(2, 3, 0),
                        Instruction::Binary(Binary::Less, 0, 1),
                        chosen(5, 4, 1),
                        chosen(2, 6, 4),
                    ],
                    results: vec![4, 7],
                },
            };
            check(&step, &buffers);
        }
    }
}
