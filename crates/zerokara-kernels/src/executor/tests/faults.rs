//! Plans and runs that must be refused.

use super::*;
use crate::plan::{
    GatherStep, GemmRight, GemmStep, MapStep, PoolGeometry, PoolStep, Pooling, RandomStep,
    ReduceStep, Reduction, SoftmaxStep,
};
use Instruction::Load;

fn buffer(element: Element, len: usize, region: Region) -> Buffer {
    Buffer {
        element,
        len,
        region,
    }
}

fn negate(input: View, output: View) -> Step {
    let code = Code {
        instructions: vec![Load(0), Instruction::Unary(Unary::Negate, 0)],
        results: vec![1],
    };
    let shape = input.shape.clone();
    Step::Map(MapStep {
        shape,
        inputs: vec![input],
        outputs: vec![output],
        code,
    })
}

/// A sound plan: two stages in an arena between an input and an output.
fn sound() -> Plan {
    Plan {
        buffers: vec![
            buffer(Element::F32, 12, Region::External(0)),
            buffer(Element::F32, 12, Region::Arena(64)),
            buffer(Element::F32, 12, Region::External(1)),
            buffer(Element::I64, 4, Region::External(2)),
        ],
        arena_bytes: 128,
        externals: 3,
        prepared_bytes: 0,
        preparation: 0,
        stages: vec![
            PlanStage {
                steps: vec![negate(dense(0, 0, &[12]), dense(1, 0, &[12]))],
            },
            PlanStage {
                steps: vec![negate(dense(1, 0, &[12]), dense(2, 0, &[12]))],
            },
        ],
    }
}

#[test]
fn planted_faults_are_found() {
    assert!(Executor::new(&sound(), Isa::Portable).is_ok());
    type Fault = (&'static str, fn(&mut Plan));
    let faults: &[Fault] = &[
        ("multiple of 64", |p| {
            p.buffers[1].region = Region::Arena(32)
        }),
        ("after the arena", |p| p.arena_bytes = 100),
        ("after the arena", |p| {
            p.buffers[1].region = Region::Arena(usize::MAX - 63)
        }),
        ("after the arena", |p| p.buffers[1].len = usize::MAX / 2),
        ("external 1 of 1", |p| p.externals = 1),
        ("too large", |p| p.arena_bytes = usize::MAX),
        ("more elements than can be counted", |p| {
            let code = Code {
                instructions: vec![Instruction::Constant(1.0)],
                results: vec![],
            };
            let shape = vec![usize::MAX, 3];
            let step = MapStep {
                shape,
                inputs: vec![],
                outputs: vec![],
                code,
            };
            p.stages[0].steps[0] = Step::Map(step);
        }),
        ("reaches from element 1 to 12", |p| {
            p.stages[0].steps[0] = negate(dense(0, 1, &[12]), dense(1, 0, &[12]));
        }),
        ("reaches from element -2 to 1", |p| {
            p.stages[0].steps[0] = negate(view(0, 1, &[4], &[-1]), dense(1, 0, &[4]));
        }),
        ("reaches", |p| {
            let far = view(0, 0, &[usize::MAX, 2], &[isize::MAX, 1]);
            p.stages[0].steps[0] = negate(far, dense(1, 0, &[12]));
        }),
        ("buffer 9 does not exist", |p| {
            p.stages[0].steps[0] = negate(dense(9, 0, &[12]), dense(1, 0, &[12]));
        }),
        ("has 2 axes and 1 strides", |p| {
            p.stages[0].steps[0] = negate(view(0, 0, &[3, 4], &[1]), dense(1, 0, &[3, 4]));
        }),
        ("instead of [12]", |p| {
            p.stages[0].steps[0] = negate(dense(0, 0, &[12]), dense(1, 0, &[3, 4]));
        }),
        ("elementwise code on I64", |p| {
            p.stages[0].steps[0] = negate(dense(3, 0, &[4]), dense(1, 0, &[4]));
        }),
        ("overlap one another", |p| {
            p.stages[0].steps[0] = negate(dense(0, 0, &[12]), view(1, 0, &[12], &[0]));
        }),
        ("overlap one another", |p| {
            let folded = view(1, 0, &[3, 4], &[2, 1]);
            p.stages[0].steps[0] = negate(dense(0, 0, &[3, 4]), folded);
        }),
        ("an output overlaps an input", |p| {
            p.stages[0].steps[0] = negate(dense(1, 0, &[6]), dense(1, 1, &[6]));
        }),
        ("an output overlaps an input", |p| {
            p.stages[0].steps[0] = negate(dense(1, 0, &[6]), view(1, 5, &[6], &[-1]));
        }),
        ("writes what step 0 of its stage touches", |p| {
            let step = p.stages[0].steps[0].clone();
            p.stages[0].steps.push(step);
        }),
        ("reads what step 0 of its stage writes", |p| {
            let step = p.stages[1].steps[0].clone();
            p.stages[0].steps.push(step);
        }),
        ("writes what step 0 of its stage touches", |p| {
            // Another buffer in the same place of the arena.
            p.buffers.push(buffer(Element::F32, 12, Region::Arena(64)));
            p.stages[1]
                .steps
                .push(negate(dense(0, 0, &[12]), dense(4, 0, &[12])));
        }),
        ("not yet defined", |p| {
            let Step::Map(map) = &mut p.stages[0].steps[0] else {
                return;
            };
            map.code.instructions[1] = Instruction::Unary(Unary::Negate, 1);
        }),
        ("loads input 1 of 1", |p| {
            let Step::Map(map) = &mut p.stages[0].steps[0] else {
                return;
            };
            map.code.instructions[0] = Load(1);
        }),
        ("a value that is not defined", |p| {
            let Step::Map(map) = &mut p.stages[0].steps[0] else {
                return;
            };
            map.code.results[0] = 2;
        }),
        ("0 results for 1 outputs", |p| {
            let Step::Map(map) = &mut p.stages[0].steps[0] else {
                return;
            };
            map.code.results.clear();
        }),
        ("the input is not dense", |p| {
            p.stages[0].steps[0] = Step::Softmax(SoftmaxStep {
                log: false,
                input: view(0, 0, &[3, 4], &[1, 3]),
                output: dense(1, 0, &[3, 4]),
            });
        }),
        ("right operand has shape", |p| {
            p.stages[0].steps[0] = Step::Gemm(GemmStep {
                a: dense(0, 0, &[1, 2, 3]),
                b: GemmRight::InPlace(dense(0, 0, &[1, 2, 3])),
                c: dense(1, 0, &[1, 2, 3]),
                epilogue: None,
                statistics: None,
            });
        }),
        ("packed operand has shape", |p| {
            p.stages[0].steps[0] = Step::Gemm(GemmStep {
                a: dense(0, 0, &[1, 2, 3]),
                b: GemmRight::Packed {
                    panels: dense(0, 0, &[9]),
                    repeat: false,
                },
                c: dense(1, 0, &[1, 2, 3]),
                epilogue: None,
                statistics: None,
            });
        }),
        ("its epilogue runs over another number", |p| {
            let Step::Map(map) = negate(dense(1, 0, &[3]), dense(1, 0, &[3])) else {
                return;
            };
            p.stages[0].steps[0] = Step::Gemm(GemmStep {
                a: dense(0, 0, &[1, 2, 3]),
                b: GemmRight::InPlace(dense(0, 0, &[1, 3, 2])),
                c: dense(1, 0, &[1, 2, 2]),
                epilogue: Some(map),
                statistics: None,
            });
        }),
        ("not cut by rows alone", |p| {
            let sums = ReduceStep {
                shape: vec![1, 1000],
                reduced: vec![true, false],
                inputs: vec![dense(1, 0, &[1, 1000])],
                code: Code {
                    instructions: vec![Instruction::Load(0)],
                    results: vec![0],
                },
                reductions: vec![Reduction::Sum],
                outputs: vec![view(2, 0, &[1, 1000], &[0, 1])],
                epilogue: None,
            };
            for buffer in 0..3 {
                p.buffers[buffer].len = 1 << 20;
            }
            p.arena_bytes = 64 + (4 << 20);
            p.stages[0].steps[0] = Step::Gemm(GemmStep {
                a: dense(0, 0, &[1, 1, 500]),
                b: GemmRight::InPlace(dense(0, 500, &[1, 500, 1000])),
                c: dense(1, 0, &[1, 1, 1000]),
                epilogue: None,
                statistics: Some(Box::new(sums)),
            });
        }),
        ("otherwise than element by element", |p| {
            let flipped = view(1, 0, &[1, 2, 2], &[4, 1, 2]);
            let Step::Map(map) = negate(flipped, dense(2, 0, &[1, 2, 2])) else {
                return;
            };
            p.stages[0].steps[0] = Step::Gemm(GemmStep {
                a: dense(0, 0, &[1, 2, 3]),
                b: GemmRight::InPlace(dense(0, 0, &[1, 3, 2])),
                c: dense(1, 0, &[1, 2, 2]),
                epilogue: Some(map),
                statistics: None,
            });
        }),
        ("its epilogue writes what the step reads", |p| {
            let Step::Map(map) = negate(dense(1, 0, &[1, 2, 2]), dense(0, 0, &[1, 2, 2])) else {
                return;
            };
            p.stages[0].steps[0] = Step::Gemm(GemmStep {
                a: dense(0, 0, &[1, 2, 3]),
                b: GemmRight::InPlace(dense(0, 0, &[1, 3, 2])),
                c: dense(1, 0, &[1, 2, 2]),
                epilogue: Some(map),
                statistics: None,
            });
        }),
        ("the inner axis of the input is not dense", |p| {
            p.buffers[2].element = Element::I64;
            p.stages[0].steps[0] = Step::Gather(GatherStep {
                input: view(0, 0, &[1, 3, 2], &[6, 1, 3]),
                indices: dense(2, 0, &[2]),
                output: dense(1, 0, &[1, 2, 2]),
            });
        }),
        ("not one element", |p| {
            p.buffers[0].element = Element::I64;
            p.stages[0].steps[0] = Step::Random(RandomStep {
                key: 1,
                counter: dense(0, 0, &[2]),
                output: dense(1, 0, &[3]),
            });
        }),
        ("along an axis that is reduced", |p| {
            p.stages[0].steps[0] = Step::Reduce(ReduceStep {
                shape: vec![2, 3],
                reduced: vec![true, false],
                inputs: vec![dense(0, 0, &[2, 3])],
                code: Code {
                    instructions: vec![Instruction::Load(0)],
                    results: vec![0],
                },
                reductions: vec![Reduction::Sum],
                outputs: vec![dense(1, 0, &[2, 3])],
                epilogue: None,
            });
        }),
        ("must be the same for all windows of a channel", |p| {
            let geometry = PoolGeometry {
                batch: 1,
                channels: 1,
                input: [2, 4],
                output: [1, 2],
                kernel: [2, 2],
                stride: [2, 2],
                padding: 0.into(),
            };
            p.stages[0].steps[0] = Step::Pool(PoolStep {
                geometry,
                pooling: Pooling::Max,
                input: dense(0, 0, &[1, 2, 4, 1]),
                values: None,
                added: Some(dense(2, 0, &[1, 1, 2, 1])),
                output: dense(1, 0, &[1, 1, 2, 1]),
                places: None,
                epilogue: None,
            });
        }),
        ("instead of I64", |p| {
            p.stages[0].steps[0] = Step::Gather(GatherStep {
                input: dense(0, 0, &[1, 3, 2]),
                indices: dense(2, 0, &[2]),
                output: dense(1, 0, &[1, 2, 2]),
            });
        }),
    ];
    for (i, (message, plant)) in faults.iter().enumerate() {
        let mut plan = sound();
        plant(&mut plan);
        match Executor::new(&plan, Isa::Portable) {
            Ok(_) => panic!("fault {i} ({message}) was not found"),
            Err(error) => {
                assert!(
                    error.to_string().contains(message),
                    "fault {i}: {error}, not {message}"
                );
            }
        }
    }
}

/// An empty view touches nothing, but its place must be in the buffer or at its end: kernels find it before they see how
/// much there is.
#[test]
fn empty_windows_lie_in_their_buffers() {
    for (offset, is_sound) in [(0, true), (12, true), (13, false), (usize::MAX, false)] {
        let mut plan = sound();
        plan.stages.truncate(1);
        let empty = |offset| view(0, offset, &[3, 0], &[4, 1]);
        plan.stages[0].steps = vec![negate(
            empty(offset),
            View {
                buffer: 2,
                ..empty(0)
            },
        )];
        let made = Executor::new(&plan, Isa::Portable);
        assert_eq!(made.is_ok(), is_sound, "reads at {offset}: {made:?}");
        plan.stages[0].steps = vec![negate(
            empty(0),
            View {
                buffer: 2,
                ..empty(offset)
            },
        )];
        let made = Executor::new(&plan, Isa::Portable);
        assert_eq!(made.is_ok(), is_sound, "writes at {offset}: {made:?}");
    }
}

#[test]
fn columns_of_one_matrix_are_apart() {
    // Concatenation: two steps write alternating groups of columns of one buffer.
    let mut plan = sound();
    let whole = |offset: usize| view(2, offset, &[3, 2], &[4, 1]);
    plan.stages[1].steps = vec![
        negate(dense(0, 0, &[3, 2]), whole(0)),
        negate(dense(0, 6, &[3, 2]), whole(2)),
    ];
    assert!(Executor::new(&plan, Isa::Portable).is_ok());
    plan.stages[1].steps[1] = negate(dense(0, 6, &[3, 2]), whole(1));
    assert!(Executor::new(&plan, Isa::Portable).is_err());
}

#[test]
fn storages_that_do_not_fit_are_refused() {
    let executor = Executor::new(&sound(), Isa::Portable).unwrap();
    let pool = Pool::new(1);
    let mut workspace = Workspace::default();
    let input = Storage::from(vec![1.0f32; 12]);
    let mut output = Storage::zeros(Element::F32, 12);
    let labels = Storage::zeros(Element::I64, 4);
    let mut run = |externals: &mut [External<'_>]| executor.run(&mut workspace, &pool, externals);
    use External::{Read, Write};
    assert_eq!(
        run(&mut [Read(&input)]),
        Err(RunError::ExternalCount {
            expected: 3,
            given: 1
        })
    );
    assert_eq!(
        run(&mut [Read(&input), Read(&input), Read(&labels)]),
        Err(RunError::ExternalReadOnly { external: 1 })
    );
    let short = Storage::from(vec![1.0f32; 11]);
    assert_eq!(
        run(&mut [Read(&short), Write(&mut output), Read(&labels)]),
        Err(RunError::ExternalMismatch {
            external: 0,
            expected: (Element::F32, 12),
            given: (Element::F32, 11)
        })
    );
    let wide = Storage::from(vec![1.0f64; 12]);
    assert!(run(&mut [Read(&wide), Write(&mut output), Read(&labels)]).is_err());
    assert_eq!(
        run(&mut [Read(&input), Write(&mut output), Read(&labels)]),
        Ok(())
    );
    assert_eq!(output.f32s().unwrap(), [1.0; 12]);
}
