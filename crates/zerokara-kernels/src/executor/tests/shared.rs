//! One executor, run by many threads.

use super::*;
use crate::plan::{Elements, ElementsMut, HostFunction, HostStep, ReduceStep, Reduction};
use Instruction::Load;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const LENGTH: usize = 100_000;

/// The sum of all elements, in many parts that the last one joins.
fn sum(input: View, output: View) -> Step {
    Step::Reduce(ReduceStep {
        shape: vec![LENGTH],
        reduced: vec![true],
        inputs: vec![input],
        code: Code {
            instructions: vec![Load(0)],
            results: vec![0],
        },
        reductions: vec![Reduction::Sum],
        outputs: vec![View {
            shape: vec![1],
            strides: vec![0],
            ..output
        }],
        epilogue: None,
    })
}

/// Fails, or panics, where it is told to.
struct Trap;

impl HostFunction for Trap {
    fn run(&self, inputs: &[Elements<'_>], outputs: &mut [ElementsMut<'_>]) -> Result<(), String> {
        let (Elements::F32(x), ElementsMut::F32(y)) = (inputs[0], &mut outputs[0]) else {
            return Err("it takes f32".into());
        };
        match x[0] {
            -1.0 => return Err("told to fail".into()),
            -2.0 => std::panic::resume_unwind(Box::new("told to panic")),
            _ => y.copy_from_slice(x),
        }
        Ok(())
    }
}

/// Sums of two inputs beside a trap that lies before one of them; the sums are joined in another stage.
fn plan() -> Plan {
    let buffer = |len, region| Buffer {
        element: Element::F32,
        len,
        region,
    };
    let trap = Step::Host(HostStep {
        name: "trap",
        inputs: vec![dense(1, 0, &[1])],
        outputs: vec![dense(4, 0, &[1])],
        function: Arc::new(Trap),
    });
    let add = crate::plan::MapStep {
        shape: vec![1],
        inputs: vec![dense(3, 0, &[1]), dense(4, 0, &[1])],
        outputs: vec![dense(2, 0, &[1])],
        code: Code {
            instructions: vec![Load(0), Load(1), Instruction::Binary(Binary::Add, 0, 1)],
            results: vec![2],
        },
    };
    Plan {
        buffers: vec![
            buffer(LENGTH, Region::External(0)),
            buffer(1, Region::External(1)),
            buffer(1, Region::External(2)),
            buffer(1, Region::Arena(0)),
            buffer(1, Region::Arena(64)),
        ],
        arena_bytes: 128,
        externals: 3,
        prepared_bytes: 0,
        preparation: 0,
        stages: vec![
            PlanStage {
                steps: vec![sum(dense(0, 0, &[LENGTH]), dense(3, 0, &[1])), trap],
            },
            PlanStage {
                steps: vec![Step::Map(add)],
            },
        ],
    }
}

#[test]
fn many_threads_run_one_executor() {
    let mut executor = Executor::new(&plan(), Isa::detect().unwrap()).unwrap();
    executor.compile();
    let (executor, pool) = (&executor, &Pool::new(2));
    thread::scope(|scope| {
        for k in 0..4 {
            scope.spawn(move || {
                let mut workspace = Workspace::default();
                let input = Storage::from(vec![k as f32; LENGTH]);
                let end = Instant::now() + Duration::from_millis(300);
                let mut held = 0;
                for run in 0.. {
                    // Some runs are broken off; those after them are as if they had not been.
                    let told = if run % 3 == 1 { -1.0 } else { run as f32 };
                    let given = Storage::from([told]);
                    let mut output = Storage::zeros(Element::F32, 1);
                    let mut externals = [
                        External::Read(&input),
                        External::Read(&given),
                        External::Write(&mut output),
                    ];
                    let done = executor.run(&mut workspace, pool, &mut externals);
                    match run % 3 {
                        1 => assert!(done.unwrap_err().to_string().contains("told to fail")),
                        _ => {
                            done.unwrap();
                            let expected = (k * LENGTH) as f32 + told;
                            assert_eq!(output.f32s(), Some(&[expected][..]));
                        }
                    }
                    if run == 0 {
                        held = workspace.bytes();
                    }
                    if Instant::now() > end {
                        break;
                    }
                }
                assert_eq!(workspace.bytes(), held);
            });
        }
    });
}

#[test]
fn a_panic_leaves_workspace_and_pool_as_good_as_before() {
    let executor = Executor::new(&plan(), Isa::Portable).unwrap();
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        let mut workspace = Workspace::default();
        let input = Storage::from(vec![1.0f32; LENGTH]);
        for told in [-2.0, 3.0, -2.0, -1.0, 4.0] {
            let given = Storage::from([told]);
            let mut output = Storage::zeros(Element::F32, 1);
            let mut externals = [
                External::Read(&input),
                External::Read(&given),
                External::Write(&mut output),
            ];
            let run = std::panic::AssertUnwindSafe(|| {
                executor.run(&mut workspace, &pool, &mut externals)
            });
            match std::panic::catch_unwind(run) {
                Err(payload) => assert_eq!(payload.downcast_ref(), Some(&"told to panic")),
                Ok(done) if told < 0.0 => assert!(done.is_err()),
                Ok(done) => {
                    done.unwrap();
                    assert_eq!(output.f32s(), Some(&[LENGTH as f32 + told][..]));
                }
            }
        }
    }
}

#[test]
fn a_workspace_serves_several_executors() {
    let (one, mut other) = (plan(), plan());
    // Fewer units in more stages.
    other.stages = vec![
        PlanStage {
            steps: vec![other.stages[0].steps[1].clone()],
        },
        PlanStage {
            steps: vec![other.stages[0].steps[0].clone()],
        },
        other.stages[1].clone(),
    ];
    let executors = [one, other].map(|plan| Executor::new(&plan, Isa::Portable).unwrap());
    let pools = [1, 3].map(Pool::new);
    let mut workspace = Workspace::default();
    let input = Storage::from(vec![1.0f32; LENGTH]);
    for turn in 0..8 {
        let given = Storage::from([turn as f32]);
        let mut output = Storage::zeros(Element::F32, 1);
        let mut externals = [
            External::Read(&input),
            External::Read(&given),
            External::Write(&mut output),
        ];
        let (executor, pool) = (&executors[turn % 2], &pools[turn / 2 % 2]);
        executor.run(&mut workspace, pool, &mut externals).unwrap();
        assert_eq!(output.f32s(), Some(&[(LENGTH + turn) as f32][..]));
    }
}
