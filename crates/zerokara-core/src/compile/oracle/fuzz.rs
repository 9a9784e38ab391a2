//! The random-graph fuzzer: the compiled engine against the interpreter, forward and gradient, on graphs of random
//! operations, shapes, views and parameter updates, for every description of a machine, which decides what the compiler makes
//! of a graph. It must find every planted [`Fault`], and reach every kind of step, for each of them. The reference loops run every
//! logical plan as well.

mod bytes;
mod special;

use super::{
    fault::{Fault, with_fault},
    reference,
};
use crate::{
    Array, DType, Parameter, Precision, Program, Result, Runtime, Tensor,
    compile::{Sizes, Target, rewriting::hook},
    grad::gradients_or_zeros,
    graph::Graph,
    interpret,
    op::{ConvOptions, Padding, PoolOptions},
};
use std::{collections::BTreeSet, io::Write, sync::Arc};
use zerokara_kernels::{
    conv,
    isa::Isa,
    plan::{Arithmetic, OutputGradient, Plan, Step},
    rounding,
};

/// SplitMix64: small, and the same on every platform.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn real(&mut self) -> f64 {
        (self.next() >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }

    fn array(&mut self, shape: &[usize]) -> Array {
        let len = shape.iter().product();
        Array::new(
            shape,
            (0..len).map(|_| self.real() as f32).collect::<Vec<f32>>(),
        )
    }
}

/// A graph under construction: f32 tensors to choose operands from.
struct Garden {
    random: Random,
    pool: Vec<Tensor>,
    parameters: Vec<Parameter>,
    /// Whether leaves hold special values.
    special: bool,
}

fn dims(t: &Tensor) -> Vec<usize> {
    t.shape().map(<[usize]>::to_vec).unwrap_or_default()
}

impl Garden {
    fn new(seed: u64) -> Self {
        let mut garden = Self {
            random: Random(seed),
            pool: Vec::new(),
            parameters: Vec::new(),
            special: false,
        };
        for i in 0..3 {
            let rank = garden.random.below(4);
            let shape: Vec<usize> = (0..rank)
                .map(|_| [1, 2, 3, 3, 5][garden.random.below(5)])
                .collect();
            garden.plant(i, &shape);
        }
        // Now and then, and without a change to what else is drawn.
        if seed % 4 == 1 {
            garden.sow(&mut Random(!seed));
        }
        garden
    }

    /// Bytes, widened: as they lie or in another order, after arithmetic that wraps around, as truth values.
    fn sow(&mut self, random: &mut Random) {
        let shape = [1 + random.below(3), 1 + random.below(9)];
        let bytes: Vec<u8> = (0..shape[0] * shape[1])
            .map(|_| random.below(256) as u8)
            .collect();
        let bytes = Tensor::new(shape, bytes);
        let bytes = match random.below(5) {
            0 => bytes.t(),
            1 => bytes.slice(1, .., -1),
            2 => &bytes + &bytes,
            3 => bytes.cast(DType::Bool),
            _ => bytes,
        };
        self.pool.push(bytes.cast(DType::F32) / 255.0 - 0.25);
    }

    fn plant(&mut self, number: usize, shape: &[usize]) -> Tensor {
        let value = match self.special {
            true => self.random.special_array(shape),
            false => self.random.array(shape),
        };
        let parameter = Parameter::of_array(format!("p{number}"), value);
        let tensor = parameter.tensor();
        self.parameters.push(parameter);
        self.pool.push(tensor.clone());
        tensor
    }

    fn pick(&mut self) -> Tensor {
        // Recent tensors more often, so that graphs grow deep.
        let n = self.pool.len();
        let back = self.random.below(n).min(self.random.below(n));
        self.pool[n - 1 - back].clone()
    }

    /// A tensor that broadcasts with `x`.
    fn partner(&mut self, x: &Tensor) -> Tensor {
        let shape = dims(x);
        let found: Vec<Tensor> = self
            .pool
            .iter()
            .filter(|t| crate::shape::broadcast(&dims(t), &shape).is_some())
            .cloned()
            .collect();
        if self.random.below(4) == 0 || found.is_empty() {
            let skip = self.random.below(shape.len() + 1);
            let mut own = shape[skip..].to_vec();
            if !own.is_empty() && self.random.below(2) == 0 {
                let axis = self.random.below(own.len());
                own[axis] = 1;
            }
            return self.plant(self.parameters.len(), &own);
        }
        found[self.random.below(found.len())].clone()
    }

    fn grow(&mut self) {
        let x = self.pick();
        let shape = dims(&x);
        let rank = shape.len();
        let axis = self.random.below(rank) as i64;
        let y = match self.random.below(30) {
            0 => x.tanh(),
            1 => x.sigmoid() - self.random.real(),
            2 => x.relu(),
            3 => -&x * 1.5,
            4 => (&x * 0.5).exp().log() + self.random.real(),
            5 => (&x * &x + 1.0).sqrt(),
            6 | 7 => &x + self.partner(&x),
            8 | 9 => &x * self.partner(&x),
            10 => &x - self.partner(&x),
            11 => &x / (self.partner(&x).sigmoid() + 0.5),
            12 if rank > 0 => x.sum_axes(&[axis], self.random.below(2) == 0) * 0.5,
            13 if rank > 0 => x.mean_axes(&[axis], false),
            14 if rank > 0 => x.max_axes(&[axis], self.random.below(2) == 0),
            15 if rank > 1 => {
                let mut order: Vec<i64> = (0..rank as i64).collect();
                for i in (1..rank).rev() {
                    order.swap(i, self.random.below(i + 1));
                }
                x.permute(order)
            }
            16 if rank > 0 => match self.random.below(3) {
                0 => x.reshape([-1]),
                1 => x.reshape([-1, 1, shape[0] as i64]),
                _ => x.unsqueeze(axis),
            },
            17 if rank > 0 => x.slice(axis, .., -1),
            18 if rank > 0 && shape[axis as usize] > 1 => x.slice(axis, 1.., 1),
            19 if rank > 0 => Tensor::concat(&[&x, &x.tanh()], axis),
            20 if rank > 0 => x.softmax() - self.random.real(),
            21 => {
                let other = self.partner(&x);
                // Both comparisons of the same operands, so that confusing them shows.
                let (less, greater) = (x.less(&other), x.greater(&other));
                let larger = greater.select(&x, &(&other * 2.0));
                less.select(&(&larger * 3.0), &larger)
            }
            22 => {
                let square = self.plant(self.parameters.len(), &[3, 3]) + x.mean();
                let places = square.argmax(self.random.below(2) as i64).cast(DType::F32);
                &x + (&places * &Tensor::from([1.0, 2.0, 4.0])).sum() * 0.1
            }
            23 | 24 if rank >= 2 => self.product(&x),
            25 | 26 if rank > 0 && !shape.contains(&0) => self.statistics(&x, axis),
            29 => self.many_channels(&x),
            _ => self.image_layers(&x),
        };
        // Keep sizes and values small.
        let len: usize = dims(&y).iter().product();
        if len <= 1200 && dims(&y).len() <= 5 {
            self.pool.push(y);
        }
    }

    /// A product of matrices with a shared or batched right side, maybe transposed.
    fn product(&mut self, x: &Tensor) -> Tensor {
        let shape = dims(x);
        let k = shape[shape.len() - 1];
        let n = [1, 2, 3, 7][self.random.below(4)];
        let number = self.parameters.len();
        match self.random.below(4) {
            0 => x.matmul(&self.plant(number, &[k, n])),
            1 => {
                let bias = self.plant(number, &[n]);
                (x.matmul(&self.plant(number + 1, &[n, k]).t()) + bias).relu()
            }
            2 => x.matmul(&x.t().tanh()) * 0.5,
            _ => {
                let batch: Vec<usize> = shape[..shape.len() - 2]
                    .iter()
                    .copied()
                    .chain([k, n])
                    .collect();
                x.matmul(&self.plant(number, &batch))
            }
        }
    }

    /// What is normalized by statistics of some axes.
    fn statistics(&mut self, x: &Tensor, axis: i64) -> Tensor {
        let shape = dims(x);
        let deviations = x - x.mean_axes(&[axis], true).broadcast_like(x);
        match self.random.below(6) {
            0 if shape.len() > 1 => {
                let number = self.parameters.len();
                let scale = self.plant(number, &[shape[1]]);
                let shift = self.plant(number + 1, &[shape[1]]);
                let (mean, variance) = x.batch_statistics();
                x.batch_norm(&mean, &variance, &scale, &shift, 0.1)
            }
            1 => x.layer_norm(1, None, 0.1),
            2 if shape[axis as usize] > 1 => {
                let keep = self.random.below(2) == 0;
                x.var_axes(&[axis], keep, 1) - x.mean_axes(&[axis], keep)
            }
            3 => deviations.square().mean_axes(&[axis], true) + deviations.tanh(),
            // Several reductions of one value: over the same axes, and over others.
            4 => {
                let last = shape.len() as i64 - 1;
                let spread = x.max_axes(&[axis], true) * 2.0 - x.sum_axes(&[axis], true);
                spread.broadcast_like(x) * x.min_axes(&[last - axis], true).broadcast_like(x)
            }
            _ => &deviations * (x.var_axes(&[axis], true, 0) + 0.1).rsqrt(),
        }
    }

    /// Convolution, pooling and a dense layer, on what `x` can be padded to.
    fn image_layers(&mut self, x: &Tensor) -> Tensor {
        let total: usize = dims(x).iter().product();
        if total == 0 || (self.special && !special::CONVOLVES) {
            return x.tanh();
        }
        let number = self.parameters.len();
        // The first layer of a network as the book has it: here most of what joins convolutions and poolings meets.
        let is_first = self.random.below(4) == 0;
        let channels = 1 + self.random.below(3);
        // Windows for several vectors of lines, whatever their lanes.
        let [height, width] = [[5, 6], [8, 8], [8, 16]][self.random.below(3)];
        let base = self.plant(number, &[2, channels, height, width]);
        let images = base * (x.mean() + 1.0);
        // As in a first layer, whose images have no gradient.
        let images = match self.random.below(2) {
            0 => images.detach(),
            _ if is_first => images.detach(),
            _ => images,
        };
        let out = [channels, 4][self.random.below(2)];
        let side = [3, 3, 5][self.random.below(3)];
        let filters = self.plant(number + 1, &[out, channels, side, side]);
        let across = 1 + self.random.below(2) * usize::from(!is_first);
        let above = side / 2 - self.random.below(2);
        let options = ConvOptions {
            stride: [1, across],
            // All on the right, or the same on both sides.
            padding: match number.is_multiple_of(3) {
                true => [above, 0, side / 2, side - 1].into(),
                false => [above, side / 2].into(),
            },
            ..ConvOptions::default()
        };
        let bias = self.plant(number + 2, &[out, 1, 1]);
        let convolved = images.conv2d(&filters, options) + bias;
        let active = match self.random.below(3) {
            _ if is_first => convolved.relu(),
            0 => convolved.relu(),
            1 => convolved.tanh() + &convolved * 0.1,
            _ => convolved,
        };
        let pooling = PoolOptions {
            kernel: [2, 2],
            stride: [1 + self.random.below(2).max(usize::from(is_first)), 2],
            padding: match number % 3 {
                1 => [0, 0, 1, 1].into(),
                _ => Padding::default(),
            },
        };
        match if is_first { 4 } else { self.random.below(5) } {
            0 => active.max_pool2d(pooling).reshape([0, -1]),
            4 => {
                let flat = active.max_pool2d(pooling).reshape([0, -1]);
                let columns = dims(&flat)[1];
                flat.matmul(&self.plant(number + 3, &[3, columns]).t()) * 0.2
            }
            1 => active.max_pool2d(pooling).tanh(),
            2 => active.avg_pool2d(pooling, true),
            _ => active,
        }
    }

    /// Two convolutions between channels that fill vectors of any width.
    fn many_channels(&mut self, x: &Tensor) -> Tensor {
        if dims(x).contains(&0) {
            return x.tanh();
        }
        let number = self.parameters.len();
        let [between, last] = [[16, 17], [16, 24], [19, 16]][self.random.below(3)];
        let [height, width] = [[8, 8], [7, 9]][self.random.below(2)];
        let images = self.plant(number, &[2, 2, height, width]) * (x.mean() + 1.0);
        let options = ConvOptions {
            padding: match self.random.below(2) {
                left if number.is_multiple_of(2) => [1, left, 0, 1].into(),
                left => [1, left].into(),
            },
            ..ConvOptions::default()
        };
        let first = self.plant(number + 1, &[between, 2, 3, 3]);
        let second = self.plant(number + 2, &[last, between, 3, 3]) * 0.2;
        let active = images.conv2d(&first, options).relu();
        let convolved = active.conv2d(&second, options);
        match self.random.below(2) {
            0 => convolved.mean_axes(&[0, 3], false),
            _ => convolved.relu().sum_axes(&[1], false) * 0.2,
        }
    }
}

/// Outcome of one random graph.
#[derive(Debug, PartialEq)]
enum Outcome {
    Agrees,
    /// The engines differ, or the compiled one failed.
    Differs(String),
    /// The graph amplifies rounding so much that f32 cannot tell.
    IllConditioned,
}

/// A random graph: what is asked of both engines, and what the interpreter answers.
struct Case {
    /// The loss and the value that grew last.
    outputs: [Tensor; 2],
    updates: Vec<(Parameter, Tensor)>,
    /// Values of the parameters before they are updated.
    before: Vec<Array>,
    /// Elements of all values on the way: how many roundings there are.
    elements: usize,
    exact: Vec<Array>,
    plain: Vec<Array>,
}

impl Case {
    fn new(seed: u64) -> Result<Self> {
        let mut garden = Garden::new(seed);
        for _ in 0..4 + seed % 9 {
            garden.grow();
        }
        let mut loss = Tensor::from(0.0);
        for tensor in garden.pool.iter().rev().take(3) {
            loss = loss + (tensor * tensor).mean();
        }
        let leaves: Vec<Tensor> = garden.parameters.iter().map(Parameter::tensor).collect();
        let gradients = gradients_or_zeros(&loss, &leaves.iter().collect::<Vec<_>>());
        let last = garden.pool[garden.pool.len() - 1].clone();
        let updates: Vec<(Parameter, Tensor)> = garden
            .parameters
            .iter()
            .zip(leaves.iter().zip(&gradients))
            .map(|(parameter, (old, gradient))| (parameter.clone(), old - gradient * 0.125))
            .collect();
        let outputs = [loss, last];
        let all: Vec<&Tensor> = outputs
            .iter()
            .chain(updates.iter().map(|(_, new)| new))
            .collect();
        let nodes = Graph::unfused(&all)?.nodes;
        Ok(Self {
            before: garden.parameters.iter().map(Parameter::value).collect(),
            elements: nodes.iter().map(|node| node.meta.len()).sum(),
            exact: interpret(&all, &[], Precision::Double)?,
            plain: interpret(&all, &[], Precision::AsWritten)?,
            outputs,
            updates,
        })
    }

    /// The compiled engine, with a fault planted or none, on a machine. The plans it ran are given to `see`.
    fn check(
        &self,
        runtime: &Arc<Runtime>,
        fault: Option<Fault>,
        mut see: impl FnMut(&Plan),
    ) -> Result<Outcome> {
        for ((parameter, _), before) in self.updates.iter().zip(&self.before) {
            parameter.set_array(before.clone())?;
        }
        let outputs = self.outputs.each_ref();
        let compile = |updates| {
            let runtime = runtime.clone();
            Program::compile_in(runtime, &[], &outputs, updates, Arithmetic::F32)
        };
        let compiled = with_fault(fault, || -> Result<Vec<Array>> {
            // Once with all parameters kept, as a net that only answers, and once with all replaced.
            let kept = compile(&[])?;
            let replaced = compile(&self.updates)?;
            see(kept.plan());
            see(replaced.plan());
            let kept = kept.run(&[])?;
            let mut values = replaced.run(&[])?;
            values.extend(self.updates.iter().map(|(parameter, _)| parameter.value()));
            values.extend(kept);
            Ok(values)
        });
        Ok(self.judge(compiled))
    }

    /// The reference loops on the logical plans, with a fault planted or none.
    fn check_logical(&self, fault: Option<Fault>) -> Outcome {
        let outputs = self.outputs.each_ref();
        let target = Target {
            sizes: Sizes::SMALL,
            ..Target::of(Isa::Portable, Arithmetic::F32)
        };
        let values = with_fault(fault, || -> Result<Vec<Array>> {
            let mut values = reference::run(&outputs, &self.updates, target)?;
            values.extend(reference::run(&outputs, &[], target)?);
            Ok(values)
        });
        self.judge(values)
    }

    /// The values with all parameters replaced, and the outputs with all kept, against the interpreter's.
    fn judge(&self, values: Result<Vec<Array>>) -> Outcome {
        let values = match values {
            Ok(values) => values,
            Err(error) => return Outcome::Differs(error.to_string()),
        };
        let mut outcome = Outcome::Agrees;
        for (number, value) in values.iter().enumerate() {
            let i = number % self.exact.len();
            match self.compare(&format!("value {number}"), value, i) {
                Outcome::Agrees => {}
                Outcome::IllConditioned => outcome = Outcome::IllConditioned,
                differs => return differs,
            }
        }
        outcome
    }

    /// The compiled value against the interpreter's i-th. Every element of every value on the way may have been rounded
    /// otherwise; how far that carries, the interpreter's own rounding tells.
    fn compare(&self, what: &str, compiled: &Array, i: usize) -> Outcome {
        let (plain, exact) = (&self.plain[i], &self.exact[i]);
        if compiled.meta() != plain.meta() {
            return Outcome::Differs(format!(
                "{what}: {} instead of {}",
                compiled.meta(),
                plain.meta()
            ));
        }
        let (c, p, e) = (compiled.to_f64s(), plain.to_f64s(), exact.to_f64s());
        let scale = e.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        if !scale.is_finite() || scale > 1e4 {
            return Outcome::IllConditioned;
        }
        let bound = rounding::bound(self.elements, scale);
        for i in 0..c.len() {
            let plain_error = (p[i] - e[i]).abs();
            // Also where the interpreter itself overflows in f32.
            if plain_error.is_nan() || plain_error > 10.0 * bound {
                return Outcome::IllConditioned;
            }
            let error = (c[i] - e[i]).abs();
            if error.is_nan() || error > 4.0 * plain_error + bound {
                return Outcome::Differs(format!(
                    "{what}[{i}]: {} compiled, {} exactly",
                    c[i], e[i]
                ));
            }
        }
        Outcome::Agrees
    }
}

/// For every description of a machine a runtime: of this CPU's instruction set, or of its twin.
fn machines() -> Vec<Arc<Runtime>> {
    Isa::available()
        .into_iter()
        .map(|isa| Arc::new(Runtime::with_isa(2, isa).unwrap().of_small_sizes()))
        .collect()
}

/// Random graphs of the plain run; more with `ZEROKARA_FUZZ=<count>`.
fn rounds() -> u64 {
    std::env::var("ZEROKARA_FUZZ")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(400)
}

#[test]
fn compiled_agrees_with_interpreted_on_random_graphs() {
    let machines = machines();
    let mut ill = 0;
    let mut reached: Vec<BTreeSet<String>> = vec![BTreeSet::new(); machines.len()];
    for seed in 0..rounds() {
        let case = Case::new(seed).unwrap_or_else(|e| panic!("graph {seed} is invalid: {e}"));
        let mut outcomes = BTreeSet::new();
        if let Outcome::Differs(what) = case.check_logical(None) {
            panic!("the logical plan of graph {seed}, by rules and schedule alone: {what}");
        }
        for (machine, reached) in machines.iter().zip(&mut reached) {
            let isa = machine.isa();
            let outcome = case.check(machine, None, |plan| ways(plan, isa, reached));
            match outcome.unwrap() {
                // Rules and schedule have just been found right.
                Outcome::Differs(what) => {
                    panic!(
                        "graph {seed} on {}, behind its logical plan: {what}",
                        isa.name()
                    )
                }
                outcome => outcomes.insert(outcome == Outcome::IllConditioned),
            };
        }
        ill += u64::from(outcomes.contains(&true));
    }
    // Past the capture of output, so that every run of the tests says it.
    let names: Vec<&str> = machines
        .iter()
        .map(|machine| machine.isa().name())
        .collect();
    let _ = writeln!(
        std::io::stderr(),
        "fuzzer: {} random graphs on each of {}",
        rounds(),
        names.join(", ")
    );
    assert!(
        ill * 10 <= rounds(),
        "{ill} of {} graphs are too ill-conditioned to tell",
        rounds()
    );
    let all: BTreeSet<&String> = reached.iter().flatten().collect();
    for (machine, reached) in machines.iter().zip(&reached) {
        let missed: Vec<_> = all.iter().filter(|way| !reached.contains(**way)).collect();
        let name = machine.isa().name();
        assert!(missed.is_empty(), "no graph reaches {missed:?} on {name}");
    }
    for way in WAYS {
        assert!(all.contains(&way.to_string()), "no graph reaches {way}");
    }
}

/// What a cost rule may or may not choose, and no planted fault tells.
const WAYS: [&str; 8] = [
    "chain",
    "convolution that pools",
    "convolution that pools and marks",
    "filters' gradient over windows",
    "filters' gradient over windows by lines",
    "packed matrix",
    "winograd",
    "winograd of filters",
];

/// The ways in which a plan computes.
fn ways(plan: &Plan, isa: Isa, to: &mut BTreeSet<String>) {
    let mut steps: Vec<&Step> = plan.stages.iter().flat_map(|stage| &stage.steps).collect();
    while let Some(step) = steps.pop() {
        let way = match step {
            Step::Chain(s) => {
                steps.extend(s.slices.iter().flatten());
                "chain"
            }
            Step::ConvPool(s) if s.marks => "convolution that pools and marks",
            Step::ConvPool(_) => "convolution that pools",
            Step::ConvWeightGradient(s) => match &s.output_gradient {
                OutputGradient::Pooled(p)
                    if conv::windows_may_be_nowhere(isa, &s.geometry, &p.geometry) =>
                {
                    "filters' gradient over windows by lines"
                }
                OutputGradient::Pooled(_) => "filters' gradient over windows",
                OutputGradient::Stored(_)
                    if conv::weight_gradient_arithmetic(isa, &s.geometry, Arithmetic::Bf16)
                        == Arithmetic::Bf16 =>
                {
                    "winograd of filters"
                }
                OutputGradient::Stored(_) => continue,
            },
            Step::Conv(s)
                if conv::arithmetic(isa, &s.geometry, s.pass, Arithmetic::Bf16)
                    == Arithmetic::Bf16 =>
            {
                "winograd"
            }
            Step::PackMatrix(_) => "packed matrix",
            _ => continue,
        };
        to.insert(way.to_string());
    }
}

/// Panics of faults are expected: on this thread nothing is said of them, on those of other tests it is.
struct Quiet;

thread_local! {
    static IS_QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Quiet {
    fn on_this_thread() -> Self {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            let said = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if !IS_QUIET.get() {
                    said(panic)
                }
            }));
        });
        IS_QUIET.set(true);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        IS_QUIET.set(false);
    }
}

#[test]
fn every_planted_fault_is_found() {
    let machines = machines();
    let _quiet = Quiet::on_this_thread();
    let mut hidden: Vec<(&Arc<Runtime>, Fault)> = Fault::ALL
        .iter()
        .flat_map(|&fault| machines.iter().map(move |machine| (machine, fault)))
        .collect();
    for seed in 0..2000 {
        if hidden.is_empty() {
            break;
        }
        let Ok(case) = Case::new(seed) else {
            continue;
        };
        // A graph that differs without a fault would find them all.
        let differs = |machine, fault| {
            let outcome = case.check(machine, fault, |_| ());
            matches!(outcome, Ok(Outcome::Differs(_)))
        };
        if machines.iter().any(|machine| differs(machine, None)) {
            continue;
        }
        hidden.retain(|&(machine, fault)| {
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                differs(machine, Some(fault))
            }));
            !found.unwrap_or(true)
        });
    }
    let missed: Vec<(&str, Fault)> = hidden
        .iter()
        .map(|(machine, fault)| (machine.isa().name(), *fault))
        .collect();
    assert!(missed.is_empty(), "the fuzzer does not find {missed:?}");
}

/// Faults of rules and of the schedule show in what the reference loops make of the logical plan; faults behind it do not.
#[test]
fn faults_above_the_logical_plan_are_told_from_those_below() {
    let _quiet = Quiet::on_this_thread();
    let cases: Vec<Case> = (0..150).filter_map(|seed| Case::new(seed).ok()).collect();
    let shows = |fault: Fault| {
        let differs = |case: &Case| {
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                case.check_logical(Some(fault))
            }));
            !matches!(found, Ok(Outcome::Agrees | Outcome::IllConditioned))
        };
        cases.iter().any(differs)
    };
    let all = Fault::ALL.iter().copied();
    let wrong: Vec<Fault> = all.filter(|&f| shows(f) != f.is_logical()).collect();
    assert!(wrong.is_empty(), "on the other side: {wrong:?}");
}

/// The number of the replacement with which a plan goes wrong that is right without any: by halving.
fn first_wrong(most: usize, is_wrong: impl Fn(usize) -> bool) -> usize {
    let (mut right, mut wrong) = (0, most);
    while wrong - right > 1 {
        let half = right + (wrong - right) / 2;
        match is_wrong(half) {
            true => wrong = half,
            false => right = half,
        }
    }
    wrong
}

/// A rule that is broken is found by halving the number of replacements that are made.
#[test]
fn a_broken_rule_is_found_by_bisection() {
    let _quiet = Quiet::on_this_thread();
    let broken = [
        (Fault::ForgetsMaskOfPooledRelu, "mask-before-scattering"),
        (Fault::ForgetsSumAfterPooling, "add-after-pooling"),
        (Fault::FlattensWeightsAsTheyLie, "flatten-channels-last"),
        (Fault::WindowsSwapAxes, "filters-over-windows"),
        (Fault::ConvPoolSwapsFilterAxes, "convolution-that-pools"),
        (Fault::ConvPoolForgetsMarks, "marked-windows"),
        (Fault::SlicesStartAtTheFirst, "chain-of-slices"),
    ];
    for machine in machines() {
        for (fault, rule) in broken {
            let made = |case: &Case, most: usize| {
                let run = || case.check(&machine, Some(fault), |_| ()).unwrap();
                let (outcome, made) = hook::with_first(most, run);
                (matches!(outcome, Outcome::Differs(_)), made)
            };
            let mut cases = (0..2000).filter_map(|seed| Case::new(seed).ok());
            let case = cases.find(|case| made(case, usize::MAX).0).unwrap();
            let all = made(&case, usize::MAX).1.len();
            let number = first_wrong(all, |most| made(&case, most).0);
            // Two plans were made; in one of them the rule is the last that was applied.
            let times = |most: usize| made(&case, most).1.iter().filter(|r| **r == rule).count();
            assert!(
                times(number) > times(number - 1),
                "{fault:?} on {}: replacement {number} is not by {rule}",
                machine.isa().name()
            );
        }
    }
}
