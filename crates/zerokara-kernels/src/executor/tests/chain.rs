//! Steps over slices of a batch.

use super::*;
use crate::plan::{ChainStep, MapStep};
use Instruction::Load;

const SLICE: usize = 5;
const SLICES: usize = 3;
const LEN: usize = SLICE * SLICES;

/// `output = input * by`
fn scale(input: View, output: View, by: f32) -> Step {
    let multiply = Instruction::Binary(Binary::Multiply, 0, 1);
    Step::Map(MapStep {
        shape: input.shape.clone(),
        inputs: vec![input],
        outputs: vec![output],
        code: Code {
            instructions: vec![Load(0), Instruction::Constant(by), multiply],
            results: vec![2],
        },
    })
}

/// Doubles an input slice by slice into a thread's own buffer, and from there triples it into the output.
fn chain() -> Plan {
    let buffer = |len, region| Buffer {
        element: Element::F32,
        len,
        region,
    };
    let slice = |i: usize| {
        let local = || dense(1, 0, &[SLICE]);
        let own = |buffer| dense(buffer, i * SLICE, &[SLICE]);
        vec![scale(own(0), local(), 2.0), scale(local(), own(2), 3.0)]
    };
    let chain = ChainStep {
        slices: (0..SLICES).map(slice).collect(),
    };
    Plan {
        buffers: vec![
            buffer(LEN, Region::External(0)),
            buffer(SLICE, Region::Local(0)),
            buffer(LEN, Region::External(1)),
        ],
        arena_bytes: 0,
        externals: 2,
        prepared_bytes: 0,
        preparation: 0,
        stages: vec![PlanStage {
            steps: vec![Step::Chain(chain)],
        }],
    }
}

#[test]
fn every_slice_goes_through_all_steps() {
    let x = Random::new(3).floats(LEN);
    for isa in Isa::available() {
        let buffers = [Storage::from(x.clone()), Storage::zeros(Element::F32, LEN)];
        let after = run_plan(&chain(), isa, &buffers);
        let expected: Vec<f32> = x.iter().map(|x| x * 2.0 * 3.0).collect();
        assert_eq!(after[1].f32s().unwrap(), expected, "{}", isa.name());
    }
}

#[test]
fn planted_faults_are_found() {
    type Fault = (&'static str, fn(&mut Plan, ChainStep));
    let faults: &[Fault] = &[
        ("slices 1 and 0 touch the same elements", |p, mut chain| {
            chain.slices[1][1] = scale(dense(1, 0, &[SLICE]), dense(2, 2, &[SLICE]), 3.0);
            p.stages[0].steps = vec![Step::Chain(chain)];
        }),
        ("touch the same elements", |p, mut chain| {
            // Reads what another slice writes.
            chain.slices[2][0] = scale(dense(2, 0, &[SLICE]), dense(1, 0, &[SLICE]), 2.0);
            p.stages[0].steps = vec![Step::Chain(chain)];
        }),
        ("a chain within a chain", |p, mut chain| {
            let inner = Step::Chain(chain.clone());
            chain.slices[0] = vec![inner];
            p.stages[0].steps = vec![Step::Chain(chain)];
        }),
        (
            "only the steps of a chain have local buffers",
            |p, chain| {
                p.stages[0].steps = chain.slices[0].clone();
            },
        ),
        ("writes what step 0 of its stage touches", |p, chain| {
            let again = dense(2, 0, &[SLICE]);
            let step = scale(dense(0, 0, &[SLICE]), again, 1.0);
            p.stages[0].steps = vec![Step::Chain(chain), step];
        }),
        ("no multiple of 64", |p, _| {
            p.buffers[1].region = Region::Local(4);
        }),
    ];
    for (i, (message, plant)) in faults.iter().enumerate() {
        let mut plan = chain();
        let Step::Chain(steps) = plan.stages[0].steps[0].clone() else {
            unreachable!("the plan is one chain")
        };
        plant(&mut plan, steps);
        let error = Executor::new(&plan, Isa::Portable).map(|_| ());
        let error = error.expect_err(message).to_string();
        assert!(error.contains(message), "fault {i}: {error}, not {message}");
    }
}

#[test]
fn preparation_is_done_once() {
    // The first stage fills a buffer that the second reads.
    let mut plan = chain();
    plan.buffers[1] = Buffer {
        element: Element::F32,
        len: LEN,
        region: Region::Prepared(0),
    };
    plan.prepared_bytes = 64;
    plan.preparation = 1;
    let whole = |buffer| dense(buffer, 0, &[LEN]);
    plan.stages = vec![
        PlanStage {
            steps: vec![scale(whole(0), whole(1), 2.0)],
        },
        PlanStage {
            steps: vec![scale(whole(1), whole(2), 3.0)],
        },
    ];
    let executor = Executor::new(&plan, Isa::Portable).unwrap();
    let pool = Pool::new(2);
    let workspace = &mut Workspace::default();
    let (one, two) = (
        Storage::from(vec![1.0f32; LEN]),
        Storage::from(vec![2.0f32; LEN]),
    );
    let mut output = Storage::zeros(Element::F32, LEN);
    let mut externals = [External::Read(&one), External::Write(&mut output)];
    let first = executor.prepare(workspace, &pool, &mut externals, None);
    let first = first.unwrap();
    externals[0] = External::Read(&two);
    let prepared =
        |workspace: &mut Workspace, externals: &mut [External<'_>], prepared: &Prepared| {
            executor.run_prepared(workspace, &pool, externals, prepared)
        };
    prepared(workspace, &mut externals, &first).unwrap();
    // Another preparation does not change the first, and another workspace reads both.
    let second = executor.prepare(workspace, &pool, &mut externals, None);
    let second = second.unwrap();
    assert_eq!((first.bytes(), second.bytes()), (64, 64));
    assert_eq!(output.f32s().unwrap(), [6.0; LEN]);
    let mut externals = [External::Read(&one), External::Write(&mut output)];
    prepared(&mut Workspace::default(), &mut externals, &second).unwrap();
    assert_eq!(output.f32s().unwrap(), [12.0; LEN]);
    let mut externals = [External::Read(&one), External::Write(&mut output)];
    prepared(&mut Workspace::default(), &mut externals, &first).unwrap();
    assert_eq!(output.f32s().unwrap(), [6.0; LEN]);
    // In the place of an old one.
    let mut externals = [External::Read(&two), External::Write(&mut output)];
    let first = executor.prepare(workspace, &pool, &mut externals, Some(first));
    prepared(workspace, &mut externals, &first.unwrap()).unwrap();
    assert_eq!(output.f32s().unwrap(), [12.0; LEN]);
    let mut externals = [External::Read(&one), External::Write(&mut output)];
    executor.run(workspace, &pool, &mut externals).unwrap();
    assert_eq!(output.f32s().unwrap(), [6.0; LEN]);
    let other = Executor::new(&plan, Isa::Portable).unwrap();
    let mut externals = [External::Read(&one), External::Write(&mut output)];
    let refused = other.run_prepared(workspace, &pool, &mut externals, &second);
    assert_eq!(refused, Err(RunError::Foreign));

    // Only the preparation writes what is prepared, and nothing else; what it reads is no run's own.
    let faults: [(&str, Plant); 3] = [
        ("the preparation writes what is not", |p| p.preparation = 2),
        ("what is prepared is written", |p| p.preparation = 0),
        ("reads what is a run's own", |p| {
            p.buffers.push(Buffer {
                element: Element::F32,
                len: LEN,
                region: Region::Arena(0),
            });
            p.arena_bytes = 64;
            p.stages[0].steps = vec![scale(dense(3, 0, &[LEN]), dense(1, 0, &[LEN]), 2.0)];
        }),
    ];
    for (message, plant) in faults {
        let mut plan = plan.clone();
        plant(&mut plan);
        let error = Executor::new(&plan, Isa::Portable).map(|_| ());
        let error = error.expect_err(message).to_string();
        assert!(error.contains(message), "{error}, not {message}");
    }
}

type Plant = fn(&mut Plan);
