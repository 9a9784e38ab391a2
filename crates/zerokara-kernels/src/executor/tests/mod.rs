//! Plans of single steps against plain loops in double precision, on every instruction set and several pools.

mod attention;
mod bytes;
mod chain;
mod contract;
mod conv_pool;
mod faults;
mod images;
mod machine_code;
mod map;
mod recurrent;
mod reduce;
mod rows;
mod shared;

use super::*;
use crate::{
    code::{Binary, Code, Instruction, Unary},
    plan::{Region, Stage as PlanStage, Step, View},
    rounding::Sum,
};

/// A small generator of test numbers.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// In [-1, 1).
    pub(super) fn float(&mut self) -> f32 {
        (self.next() & 0xff_ffff) as f32 / 8_388_608.0 - 1.0
    }

    pub(super) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

pub(super) fn view(buffer: usize, offset: usize, shape: &[usize], strides: &[isize]) -> View {
    View {
        buffer,
        offset,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    }
}

/// A plan of one step whose buffers are all external.
pub(super) fn single(step: Step, buffers: &[Storage]) -> Plan {
    let buffers: Vec<Buffer> = buffers
        .iter()
        .enumerate()
        .map(|(i, s)| Buffer {
            element: s.element(),
            len: s.len(),
            region: Region::External(i),
        })
        .collect();
    Plan {
        externals: buffers.len(),
        buffers,
        arena_bytes: 0,
        stages: vec![PlanStage { steps: vec![step] }],
        prepared_bytes: 0,
        preparation: 0,
    }
}

/// Runs a plan on pools of 1, 2 and 4 threads, four times on each, twice as machine code, and returns what the buffers hold; all
/// runs must agree to the bit. So must the twin of the instruction set, if it has one.
pub(super) fn run_plan(plan: &Plan, isa: Isa, buffers: &[Storage]) -> Vec<Storage> {
    let executor = Executor::new(plan, isa).unwrap_or_else(|e| panic!("{e}: {plan:?}"));
    let mut machine_code = Executor::new(plan, isa).unwrap();
    machine_code.compile();
    let mut first: Option<Vec<Storage>> = None;
    // Counters are 0 again after each run, so that one workspace serves them all.
    let workspace = &mut Workspace::default();
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads);
        for (compiled, timed) in [(false, false), (false, true), (true, false), (true, true)] {
            let executor = if compiled { &machine_code } else { &executor };
            let own = run_once(plan, executor, workspace, &pool, timed, buffers);
            match &first {
                Some(first) => assert!(
                    first.iter().zip(&own).all(|(a, b)| same_bits(a, b)),
                    "{threads} threads, compiled: {compiled}: {plan:?}"
                ),
                None => first = Some(own),
            }
        }
    }
    let first = first.unwrap();
    if let Some(twin) = isa.twin() {
        let executor = Executor::new(plan, twin).unwrap();
        let own = run_once(plan, &executor, workspace, &Pool::new(1), false, buffers);
        let agree = first.iter().zip(&own).all(|(a, b)| same_bits(a, b));
        assert!(agree, "{} is not {}: {plan:?}", twin.name(), isa.name());
    }
    first
}

/// What the buffers hold after a run.
fn run_once(
    plan: &Plan,
    executor: &Executor,
    workspace: &mut Workspace,
    pool: &Pool,
    timed: bool,
    buffers: &[Storage],
) -> Vec<Storage> {
    let mut own = buffers.to_vec();
    let mut externals: Vec<External> = own.iter_mut().map(External::Write).collect();
    if timed {
        let mut times = Vec::new();
        executor
            .run_timed(workspace, pool, &mut externals, &mut times)
            .unwrap();
        let steps = plan.stages.iter().map(|s| s.steps.len()).sum::<usize>();
        assert_eq!(times.len(), steps);
    } else {
        executor.run(workspace, pool, &mut externals).unwrap();
    }
    drop(externals);
    own
}

/// One NaN is as good as another.
fn same_bits(a: &Storage, b: &Storage) -> bool {
    let same = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
    match (a.f32s(), b.f32s()) {
        (Some(a), Some(b)) => a.iter().zip(b).all(same),
        _ => a == b,
    }
}

/// A dense view.
pub(super) fn dense(buffer: usize, offset: usize, shape: &[usize]) -> View {
    let strides = crate::access::dense_strides(shape);
    View {
        buffer,
        offset,
        shape: shape.to_vec(),
        strides: strides.into_iter().map(|s| s as isize).collect(),
    }
}

/// Position in the buffer of the i-th element of a view.
pub(super) fn position(view: &View, mut i: usize) -> usize {
    let mut at = view.offset as isize;
    for axis in (0..view.shape.len()).rev() {
        at += (i % view.shape[axis]) as isize * view.strides[axis];
        i /= view.shape[axis];
    }
    at as usize
}

/// What the code gives at one element, in double precision.
pub(super) fn interpret(code: &Code, inputs: &[f64]) -> Vec<f64> {
    let truth = |b: bool| f64::from(u8::from(b));
    let mut values: Vec<f64> = Vec::new();
    for instruction in &code.instructions {
        let v = |i: usize| values[i];
        values.push(match *instruction {
            Instruction::Load(i) => inputs[i],
            Instruction::Constant(c) => f64::from(c),
            Instruction::Select { condition, yes, no } => {
                if v(condition) != 0.0 {
                    v(yes)
                } else {
                    v(no)
                }
            }
            Instruction::Unary(f, x) => {
                let x = v(x);
                match f {
                    Unary::Negate => -x,
                    Unary::Absolute => x.abs(),
                    Unary::Sign => {
                        if x > 0.0 {
                            1.0
                        } else if x < 0.0 {
                            -1.0
                        } else {
                            x
                        }
                    }
                    Unary::Reciprocal => 1.0 / x,
                    Unary::Square => x * x,
                    Unary::Sqrt => x.sqrt(),
                    Unary::Rsqrt => 1.0 / x.sqrt(),
                    Unary::Exp => x.exp(),
                    Unary::Log => x.ln(),
                    Unary::Sin => x.sin(),
                    Unary::Cos => x.cos(),
                    Unary::Tanh => x.tanh(),
                    Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                    Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
                    Unary::ExpM1 => x.exp_m1(),
                    Unary::Erf | Unary::Erfc => unreachable!("tested on its own"),
                    Unary::Floor => x.floor(),
                    Unary::Not => truth(x == 0.0),
                    Unary::IsFinite => truth(x.is_finite()),
                }
            }
            Instruction::Binary(f, x, y) => {
                let (x, y) = (v(x), v(y));
                match f {
                    Binary::Add => x + y,
                    Binary::Subtract => x - y,
                    Binary::Multiply => x * y,
                    Binary::Divide => x / y,
                    Binary::Power => x.powf(y),
                    Binary::Maximum => {
                        if x.is_nan() || x > y {
                            x
                        } else {
                            y
                        }
                    }
                    Binary::Minimum => {
                        if x.is_nan() || x < y {
                            x
                        } else {
                            y
                        }
                    }
                    Binary::Equal => truth(x == y),
                    Binary::NotEqual => truth(x != y),
                    Binary::Less => truth(x < y),
                    Binary::LessEqual => truth(x <= y),
                    Binary::Greater => truth(x > y),
                    Binary::GreaterEqual => truth(x >= y),
                    Binary::And => truth(x != 0.0 && y != 0.0),
                    Binary::Or => truth(x != 0.0 || y != 0.0),
                }
            }
        });
    }
    code.results.iter().map(|&r| values[r]).collect()
}

/// The element of a storage of f32 or truth values.
pub(super) fn element(storage: &Storage, at: usize) -> f64 {
    match (storage.f32s(), storage.bools()) {
        (Some(x), _) => f64::from(x[at]),
        (_, Some(x)) => f64::from(x[at]),
        _ => panic!("neither f32 nor bool"),
    }
}

/// A sum in f32.
pub(super) fn assert_sum(got: f64, expected: Sum, what: impl Fn() -> String) {
    assert!(expected.allows(got), "{}: {got} for {expected:?}", what());
}

/// What is computed of single numbers.
pub(super) fn assert_close(got: f64, expected: f64, tolerance: f64, what: impl Fn() -> String) {
    let close = (got - expected).abs() <= tolerance * expected.abs().max(1.0)
        || got == expected
        || (got.is_nan() && expected.is_nan());
    assert!(close, "{}: {got} instead of {expected}", what());
}
