//! Random elementwise code: as machine code it gives the bits that its kernels give.

use super::*;
use crate::plan::MapStep;

const UNARY: [Unary; 21] = [
    Unary::Negate,
    Unary::Absolute,
    Unary::Sign,
    Unary::Reciprocal,
    Unary::Square,
    Unary::Sqrt,
    Unary::Rsqrt,
    Unary::Exp,
    Unary::Log,
    Unary::Sin,
    Unary::Cos,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Softplus,
    Unary::Erf,
    Unary::Erfc,
    Unary::ExpM1,
    Unary::Floor,
    Unary::Not,
    Unary::IsFinite,
    Unary::Square,
];

const BINARY: [Binary; 15] = [
    Binary::Add,
    Binary::Subtract,
    Binary::Multiply,
    Binary::Divide,
    Binary::Power,
    Binary::Maximum,
    Binary::Minimum,
    Binary::Equal,
    Binary::NotEqual,
    Binary::Less,
    Binary::LessEqual,
    Binary::Greater,
    Binary::GreaterEqual,
    Binary::And,
    Binary::Or,
];

/// Numbers among which are all special ones.
fn special(random: &mut Random, n: usize) -> Vec<f32> {
    const SPECIAL: [f32; 10] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-40,
        f32::MAX,
        0.5,
    ];
    let mut one = |_| match random.below(4) {
        0 => SPECIAL[random.below(SPECIAL.len())],
        1 => random.float() * 1e20,
        _ => random.float() * 3.0,
    };
    (0..n).map(&mut one).collect()
}

fn code(random: &mut Random, inputs: usize, results: usize) -> Code {
    let mut instructions: Vec<Instruction> = (0..inputs).map(Instruction::Load).collect();
    instructions.push(Instruction::Constant(random.float()));
    let first = instructions.len();
    for _ in 0..2 + random.below(30) {
        let n = instructions.len();
        // Recent values more often, and now and then an old one, so that some live long.
        let mut pick = || match random.below(3) {
            0 => random.below(n),
            _ => n - 1 - random.below(n.min(4)),
        };
        let (x, y, z) = (pick(), pick(), pick());
        instructions.push(match random.below(8) {
            // Elementary functions, which stay kernels, are the fewer ones.
            0 | 1 => match UNARY[random.below(UNARY.len())] {
                Unary::Exp | Unary::Sin | Unary::Erf if random.below(3) > 0 => {
                    Instruction::Unary(Unary::Negate, x)
                }
                f => Instruction::Unary(f, x),
            },
            2 => Instruction::Select {
                condition: x,
                yes: y,
                no: z,
            },
            _ => Instruction::Binary(BINARY[random.below(BINARY.len())], x, y),
        });
    }
    let n = instructions.len();
    let mut result = |i: usize| match i {
        0 => n - 1,
        _ => first + random.below(n - first),
    };
    let results = (0..results).map(&mut result).collect();
    Code {
        instructions,
        results,
    }
}

#[test]
fn random_code_gives_the_same_bits() {
    let mut random = Random::new(77);
    for round in 0..400 {
        let columns = [1, 3, 7, 8, 9, 16, 31, 100, 513, 1200][random.below(10)];
        let rows = [1, 2, 5][random.below(3)];
        let (shape, n) = ([rows, columns], rows * columns);
        let truths: Vec<bool> = (0..n).map(|_| random.below(2) == 0).collect();
        // From any byte on, up to the last.
        let skip = random.below(12);
        let bytes: Vec<u8> = (0..skip + n).map(|_| random.below(256) as u8).collect();
        let buffers = [
            Storage::from(special(&mut random, n)),
            Storage::from(special(&mut random, n)),
            Storage::from(special(&mut random, columns)),
            Storage::from(special(&mut random, 1)),
            Storage::from(truths),
            Storage::zeros(Element::F32, n),
            Storage::zeros(Element::Bool, n),
            Storage::from(bytes),
            Storage::zeros(Element::U8, n),
        ];
        let with = |buffer: usize, strides: [isize; 2]| view(buffer, 0, &shape, &strides);
        let inputs = vec![
            dense(0, 0, &shape),
            dense(1, 0, &shape),
            with(2, [0, 1]),
            with(3, [0, 0]),
            dense(4, 0, &shape),
            dense(7, skip, &shape),
        ];
        // In place of an input, to a value of its own, as truth values, as bytes.
        let outputs: Vec<View> = [0, 5, 6, 8][..1 + random.below(4)]
            .iter()
            .map(|&b| dense(b, 0, &shape))
            .collect();
        let step = MapStep {
            shape: shape.to_vec(),
            code: code(&mut random, inputs.len(), outputs.len()),
            inputs,
            outputs,
        };
        let plan = single(Step::Map(step), &buffers);
        for isa in Isa::available() {
            // Compares machine code with kernels.
            let after = run_plan(&plan, isa, &buffers);
            assert_eq!(after.len(), buffers.len(), "round {round}");
        }
    }
}
