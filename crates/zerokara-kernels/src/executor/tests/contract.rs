//! Matrix products with epilogues.

use super::{map::bias_relu, *};
use crate::{
    gemm::{self, GemmShape},
    plan::{GemmRight, GemmStep, MapStep, PackMatrixStep, ReduceStep, Reduction},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    InPlace,
    Transposed,
    Packed,
    /// One matrix for the whole batch, packed.
    Repeated,
}

/// Whether the product's units take the sums of its columns along.
fn sums_columns(isa: Isa, batch: usize, [m, n, k]: [usize; 3]) -> bool {
    batch == 1 && m * n > 0 && gemm::whole_rows(isa, &GemmShape { batch, m, n, k })
}

/// A plan for `max(a b + bias, 0)`, with the sums of its columns where they can be taken along.
fn plan(isa: Isa, batch: usize, [m, n, k]: [usize; 3], form: Form) -> (Plan, Vec<usize>) {
    let repeat = form == Form::Repeated;
    let count = if repeat { 1 } else { batch };
    let mut b = dense(1, 0, &[count, k, n]);
    if form == Form::Transposed {
        b.strides = vec![(k * n) as isize, 1, k as isize];
    }
    let packed_len = count * gemm::packed_len(isa, k, n);
    let sizes = vec![batch * m * k, count * k * n, n, batch * m * n, n];
    let mut buffers: Vec<Buffer> = (0..5)
        .map(|i| Buffer {
            element: Element::F32,
            len: sizes[i],
            region: Region::External(i),
        })
        .collect();
    buffers.push(Buffer {
        element: Element::F32,
        len: packed_len,
        region: Region::Arena(64),
    });
    let packed = dense(5, 0, &[packed_len]);
    let mut stages = Vec::new();
    if matches!(form, Form::Packed | Form::Repeated) {
        let step = PackMatrixStep {
            b: b.clone(),
            packed: packed.clone(),
        };
        stages.push(PlanStage {
            steps: vec![Step::PackMatrix(step)],
        });
    }
    let shape = vec![batch, m, n];
    let c = dense(3, 0, &shape);
    let bias = View {
        buffer: 2,
        offset: 0,
        shape: shape.clone(),
        strides: vec![0, 0, 1],
    };
    let epilogue = MapStep {
        shape,
        inputs: vec![c.clone(), bias],
        outputs: vec![c.clone()],
        code: bias_relu(),
    };
    let right = match form {
        Form::InPlace | Form::Transposed => GemmRight::InPlace(b),
        Form::Packed | Form::Repeated => GemmRight::Packed {
            panels: packed,
            repeat,
        },
    };
    let a = dense(0, 0, &[batch, m, k]);
    let sums = ReduceStep {
        shape: vec![m, n],
        reduced: vec![true, false],
        inputs: vec![dense(3, 0, &[m, n])],
        code: Code {
            instructions: vec![Instruction::Load(0)],
            results: vec![0],
        },
        reductions: vec![Reduction::Sum],
        outputs: vec![view(4, 0, &[m, n], &[0, 1])],
        epilogue: None,
    };
    let step = Step::Gemm(GemmStep {
        a,
        b: right,
        c,
        epilogue: Some(epilogue),
        statistics: sums_columns(isa, batch, [m, n, k]).then(|| Box::new(sums)),
    });
    stages.push(PlanStage { steps: vec![step] });
    let arena_bytes = 64 + packed_len * 4;
    (
        Plan {
            buffers,
            arena_bytes,
            externals: 5,
            stages,
            prepared_bytes: 0,
            preparation: 0,
        },
        sizes,
    )
}

#[test]
fn products_with_bias_relu_and_sums_of_columns() {
    for isa in Isa::available() {
        let mut random = Random::new(8);
        for (batch, mnk) in [
            (1, [1, 1, 1]),
            (1, [0, 3, 4]),
            (2, [3, 5, 0]),
            (1, [100, 10, 100]),
            (1, [100, 500, 30]),
            (3, [17, 33, 9]),
            (1, [7, 1000, 64]),
            (2, [64, 72, 300]),
            (1, [300, 20, 40]),
            (1, [100, 100, 100]),
            (1, [1, 7, 3]),
            (1, [2, 7, 3]),
        ] {
            for form in [
                Form::InPlace,
                Form::Transposed,
                Form::Packed,
                Form::Repeated,
            ] {
                let (plan, sizes) = plan(isa, batch, mnk, form);
                let buffers: Vec<Storage> = sizes
                    .iter()
                    .map(|&n| Storage::from(random.floats(n)))
                    .collect();
                let after = run_plan(&plan, isa, &buffers);
                let [m, n, k] = mnk;
                let mut sums = vec![Sum::default(); n];
                for i in 0..batch * m * n {
                    let (t, row, column) = (i / (m * n), i / n % m, i % n);
                    let own = if form == Form::Repeated { 0 } else { t };
                    let sum: Sum = (0..k)
                        .map(|p| {
                            let b = match form {
                                Form::Transposed => (own * n + column) * k + p,
                                _ => (own * k + p) * n + column,
                            };
                            element(&buffers[0], (t * m + row) * k + p) * element(&buffers[1], b)
                        })
                        .collect();
                    let expected = sum.plus(element(&buffers[2], column)).rectified();
                    sums[column].join(expected);
                    assert_sum(element(&after[3], i), expected, || {
                        format!("{} {batch} x {mnk:?} {form:?} element {i}", isa.name())
                    });
                }
                let summed = sums_columns(isa, batch, mnk);
                for (i, &sum) in sums.iter().enumerate().filter(|_| summed) {
                    assert_sum(element(&after[4], i), sum, || {
                        format!("{} {mnk:?} {form:?} column {i}", isa.name())
                    });
                }
            }
        }
    }
}
