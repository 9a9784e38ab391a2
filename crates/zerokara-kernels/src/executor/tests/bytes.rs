//! Bytes in elementwise code and reductions: widened by whoever reads them first, and copied as bytes.

use super::*;
use crate::plan::{MapStep, ReduceStep, Reduction};
use Instruction::{Constant, Load};

/// `(x / 255 - 0.25) / 0.5`
fn scaled() -> Code {
    Code {
        instructions: vec![
            Load(0),
            Constant(255.0),
            Instruction::Binary(Binary::Divide, 0, 1),
            Constant(0.25),
            Instruction::Binary(Binary::Subtract, 2, 3),
            Constant(0.5),
            Instruction::Binary(Binary::Divide, 4, 5),
        ],
        results: vec![6],
    }
}

fn copied() -> Code {
    Code {
        instructions: vec![Load(0)],
        results: vec![0],
    }
}

fn bytes(random: &mut Random, n: usize) -> Vec<u8> {
    (0..n).map(|_| random.below(256) as u8).collect()
}

/// Views of `[rows, columns]` on so many bytes: dense, off any boundary up to the last byte, turned, backwards, with steps,
/// one row, one column, one byte.
fn views(rows: usize, columns: usize, len: usize) -> Vec<View> {
    let (r, c) = (rows as isize, columns as isize);
    let shape = [rows, columns];
    let n = rows * columns;
    vec![
        dense(0, 0, &shape),
        dense(0, 1, &shape),
        dense(0, len - n, &shape),
        view(0, 0, &shape, &[1, r]),
        view(0, n.max(1) - 1, &shape, &[-c, -1]),
        view(0, 0, &shape, &[2 * c, 2]),
        view(0, 3, &shape, &[0, 1]),
        view(0, 0, &shape, &[1, 0]),
        view(0, len - 1, &shape, &[0, 0]),
    ]
}

const SIZES: [(usize, usize); 9] = [
    (0, 3),
    (1, 1),
    (1, 7),
    (3, 8),
    (5, 31),
    (2, 64),
    (1, 517),
    (2, 1500),
    (700, 3),
];

#[test]
fn every_view_is_widened_as_a_loop_does() {
    let mut random = Random::new(31);
    for (rows, columns) in SIZES {
        let n = rows * columns;
        // Twice as many, for the steps; in a storage that ends with the last.
        let from = bytes(&mut random, 2 * n + 5);
        for input in views(rows, columns, from.len()) {
            for (code, expected) in [
                (scaled(), (|x| (x / 255.0 - 0.25) / 0.5) as fn(f32) -> f32),
                (copied(), |x| x),
            ] {
                let buffers = [
                    Storage::from(from.as_slice()),
                    Storage::zeros(Element::F32, n),
                    Storage::zeros(Element::U8, n),
                    Storage::zeros(Element::U8, 3 * n),
                ];
                let shape = vec![rows, columns];
                let turned = view(3, n.min(1), &shape, &[3, 3 * rows as isize]);
                let step = MapStep {
                    shape: shape.clone(),
                    inputs: vec![input.clone()],
                    outputs: vec![dense(1, 0, &shape), dense(2, 0, &shape), turned.clone()],
                    code: Code {
                        results: vec![code.results[0], 0, 0],
                        ..code
                    },
                };
                for isa in Isa::available() {
                    let plan = single(Step::Map(step.clone()), &buffers);
                    let after = run_plan(&plan, isa, &buffers);
                    for i in 0..n {
                        let byte = from[position(&input, i)];
                        let got = after[1].f32s().unwrap()[i];
                        assert_eq!(got.to_bits(), expected(f32::from(byte)).to_bits());
                        assert_eq!(after[2].u8s().unwrap()[i], byte, "{input:?}");
                        assert_eq!(after[3].u8s().unwrap()[position(&turned, i)], byte);
                    }
                }
            }
        }
    }
}

#[test]
fn numbers_become_bytes_by_truncation() {
    let numbers = [
        -3.0,
        -0.5,
        0.99,
        1.0,
        254.7,
        255.0,
        256.0,
        1e30,
        f32::NAN,
        f32::INFINITY,
    ];
    let shape = vec![numbers.len()];
    let buffers = [
        Storage::from(numbers),
        Storage::zeros(Element::U8, numbers.len()),
        Storage::zeros(Element::U8, 2 * numbers.len()),
    ];
    let step = MapStep {
        shape: shape.clone(),
        inputs: vec![dense(0, 0, &shape)],
        outputs: vec![dense(1, 0, &shape), view(2, 0, &shape, &[2])],
        code: Code {
            results: vec![0, 0],
            ..copied()
        },
    };
    for isa in Isa::available() {
        let after = run_plan(&single(Step::Map(step.clone()), &buffers), isa, &buffers);
        let expected = [0, 0, 0, 1, 254, 255, 255, 255, 0, 255];
        assert_eq!(after[1].u8s().unwrap(), expected);
        let every_second: Vec<u8> = after[2].u8s().unwrap().iter().step_by(2).copied().collect();
        assert_eq!(every_second, expected);
    }
}

#[test]
fn reductions_read_bytes() {
    let mut random = Random::new(32);
    for (rows, columns) in SIZES.into_iter().filter(|(rows, _)| *rows > 0) {
        let from = bytes(&mut random, 2 * rows * columns + 5);
        for input in views(rows, columns, from.len()) {
            let buffers = [
                Storage::from(from.as_slice()),
                Storage::zeros(Element::F32, rows),
            ];
            let shape = vec![rows, columns];
            let step = ReduceStep {
                shape: shape.clone(),
                reduced: vec![false, true],
                inputs: vec![input.clone()],
                code: copied(),
                reductions: vec![Reduction::Sum],
                outputs: vec![view(1, 0, &shape, &[1, 0])],
                epilogue: None,
            };
            for isa in Isa::available() {
                let plan = single(Step::Reduce(step.clone()), &buffers);
                let after = run_plan(&plan, isa, &buffers);
                for row in 0..rows {
                    let places = (0..columns).map(|c| position(&input, row * columns + c));
                    let sum: u32 = places.map(|at| u32::from(from[at])).sum();
                    assert_eq!(after[1].f32s().unwrap()[row], sum as f32, "{input:?}");
                }
            }
        }
    }
}
