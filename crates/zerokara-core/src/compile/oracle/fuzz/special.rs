//! Graphs whose leaves hold infinities, NaN, masked rows, equal numbers, tiny and huge ones, through operations that have
//! edges.
//!
//! What is NaN or infinite in the interpreter must be so when compiled, and nothing else. Where single precision alone
//! overflows, or is too coarse to tell, the interpreter in f32 differs from that in f64, and such an element says nothing.

use super::{Garden, Random, dims, rounds};
use crate::{
    Arithmetic, Array, Parameter, Precision, Program, Result, Tensor, grad::gradients_or_zeros,
    interpret, op::PoolOptions,
};
use std::collections::HashSet;

/// Whether convolutions see such values too.
pub(super) const CONVOLVES: bool = true;

/// Numbers with edges. Not so huge that a product of two could overflow within a sum that is finite.
const SPECIAL: [f32; 8] = [
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    0.0,
    1e12,
    -1e12,
    1e-30,
    1e-40,
];

/// Numbers of which all elements of a leaf may be.
const EQUAL: [f32; 5] = [100.0, 0.1, -1e6, 1e-30, 0.0];

impl Random {
    /// An array with what tells engines apart.
    pub(super) fn special_array(&mut self, shape: &[usize]) -> Array {
        let mut array = self.array(shape);
        let x = array.slice_mut::<f32>();
        match self.below(6) {
            0 => x.fill(EQUAL[self.below(EQUAL.len())]),
            1 => {
                let masked = x.iter_mut().filter(|_| self.below(3) == 0);
                masked.for_each(|x| *x = f32::NEG_INFINITY);
            }
            2 | 3 if !x.is_empty() => {
                for _ in 0..1 + self.below(2) {
                    let (at, which) = (self.below(x.len()), self.below(SPECIAL.len()));
                    x[at] = SPECIAL[which];
                }
            }
            _ => {}
        }
        array
    }
}

impl Garden {
    /// Operations with edges.
    fn grow_at_edges(&mut self) {
        let x = self.pick();
        let shape = dims(&x);
        let rank = shape.len();
        let axis = self.random.below(rank) as i64;
        let keep = self.random.below(2) == 0;
        let y = match self.random.below(33) {
            0 => x.elu(0.5),
            1 => x.gelu(),
            2 => x.gelu_tanh(),
            3 => x.silu(),
            4 => x.softplus(),
            5 => x.leaky_relu([0.0, 0.1][self.random.below(2)]),
            6 => x.clamp(-1.0, [0.5, f64::INFINITY][self.random.below(2)]),
            7 => x
                .abs()
                .powf([0.0, 0.5, 1.0, 2.0, 3.0][self.random.below(5)]),
            8 => x.maximum(&self.partner(&x)),
            9 => x.minimum(&self.partner(&x)),
            10 => x.erf() - x.erfc(),
            11 => x.exp() + 1.0,
            12 => &x / self.partner(&x),
            13 => {
                let other = self.partner(&x);
                x.greater(&other)
                    .select(&x, &x.full_like(f64::NEG_INFINITY))
            }
            14 if rank > 0 => x.log_softmax(),
            15 if rank > 0 && shape[rank - 1] > 0 => {
                let rows: usize = shape[..rank - 1].iter().product();
                let labels: Vec<i64> = (0..rows)
                    .map(|_| self.random.below(shape[rank - 1]) as i64)
                    .collect();
                x.cross_entropy(&Tensor::new(&shape[..rank - 1], labels))
            }
            16 if rank > 0 => x.std_axes(&[axis], keep, 0),
            17 if rank > 0 => x.norm_axes(&[axis], keep),
            18 if rank > 0 => x.cumsum(axis),
            19 if rank > 0 => x.mean_axes(&[axis], keep),
            20 if rank > 0 => x.min_axes(&[axis], keep),
            21 if rank > 0 => x.layer_norm(1, None, 1e-5),
            22 if rank > 0 && shape[axis as usize] > 0 => {
                let length = shape[axis as usize];
                let places: Vec<i64> = (0..4).map(|_| self.random.below(length) as i64).collect();
                x.index_select(axis, &Tensor::from(places))
            }
            23 if rank >= 2 && shape[rank - 1] > 1 && shape[rank - 2] > 1 => {
                let images = x.reshape([-1, 1, shape[rank - 2] as i64, shape[rank - 1] as i64]);
                let options = PoolOptions {
                    kernel: [2, 2],
                    stride: [1, 1],
                    padding: [0, 0].into(),
                };
                match keep {
                    true => images.max_pool2d(options),
                    false => images.avg_pool2d(options, true),
                }
            }
            24 => x.mish(),
            25 => x.swish([0.5, -2.0][self.random.below(2)]),
            26 => x.hard_swish(),
            27 => x.softsign(),
            28 => x.asinh(),
            29 => [Tensor::sinh, Tensor::cosh][self.random.below(2)](&x),
            30 => x.atan(),
            31 => x.celu(0.5),
            32 if rank > 0 => x.log_sum_exp_axes(&[axis], keep),
            _ => x.square(),
        };
        let len: usize = dims(&y).iter().product();
        if len <= 600 && dims(&y).len() <= 5 {
            self.pool.push(y);
        }
    }
}

/// What a number is: NaN, finite, or infinite with a sign.
fn kind(x: f64) -> i8 {
    match x {
        x if x.is_nan() => 2,
        x if x.is_infinite() => x.signum() as i8,
        _ => 0,
    }
}

/// How the compiled value differs, if it does; and whether any element tells.
fn compare(
    compiled: &Array,
    plain: &Array,
    exact: &Array,
    ties: bool,
) -> std::result::Result<(), String> {
    if compiled.meta() != plain.meta() {
        return Err(format!("{} instead of {}", compiled.meta(), plain.meta()));
    }
    let exact = exact.cast(plain.dtype());
    let (c, p, e) = (compiled.to_f64s(), plain.to_f64s(), exact.to_f64s());
    let finite = e.iter().chain(&p).filter(|x| x.is_finite());
    let scale = finite.fold(1e-30f64, |m, x| m.max(x.abs()));
    let coarse = p
        .iter()
        .zip(&e)
        .any(|(p, e)| kind(*p) != kind(*e) || (p - e).abs() > 1e-4 * scale);
    for i in 0..c.len() {
        if kind(p[i]) != kind(e[i]) {
            continue;
        }
        if kind(c[i]) != kind(p[i]) {
            return Err(format!(
                "[{i}] is {} compiled, {} in both precisions",
                c[i], p[i]
            ));
        }
        // Where single precision cannot tell, only what is no number is compared.
        let error = (c[i] - e[i]).abs();
        if kind(c[i]) == 0 && !coarse && !ties && error > 4.0 * (p[i] - e[i]).abs() + 2e-5 * scale {
            return Err(format!("[{i}]: {} compiled, {} exactly", c[i], e[i]));
        }
    }
    Ok(())
}

fn check(seed: u64) -> Result<std::result::Result<(), String>> {
    let mut garden = Garden::new(seed ^ 0x5EED_0000);
    garden.special = true;
    for (i, parameter) in garden.parameters.clone().iter().enumerate() {
        // Planted before the garden was told.
        let value = garden
            .random
            .special_array(parameter.meta().shape.as_slice());
        garden.parameters[i] = Parameter::of_array(format!("p{i}"), value);
        garden.pool[i] = garden.parameters[i].tensor();
    }
    for step in 0..3 + seed % 7 {
        match (seed + step) % 3 {
            0 => garden.grow(),
            _ => garden.grow_at_edges(),
        }
    }
    let last: Vec<Tensor> = garden.pool.iter().rev().take(2).cloned().collect();
    let loss = last
        .iter()
        .fold(Tensor::from(0.0), |sum, tensor| sum + tensor.mean());
    let leaves: Vec<Tensor> = garden.parameters.iter().map(Parameter::tensor).collect();
    let gradients = gradients_or_zeros(&loss, &leaves.iter().collect::<Vec<_>>());
    let all: Vec<&Tensor> = [&loss].into_iter().chain(&last).chain(&gradients).collect();
    let exact = interpret(&all, &[], Precision::Double)?;
    let plain = interpret(&all, &[], Precision::AsWritten)?;
    let ties = ties(&gradients)?;
    let run = |arithmetic| {
        let compiled = Program::compile_with(&[], &all, &[], arithmetic);
        let compiled = compiled.and_then(|program| program.run(&[]));
        let compiled = compiled.map_err(|error| error.to_string())?;
        for (i, value) in compiled.iter().enumerate() {
            compare(value, &plain[i], &exact[i], ties).map_err(|how| format!("value {i}{how}"))?;
        }
        Ok(())
    };
    // Minimal filtering promises little where numbers of very different sizes stand side by side; direct sums promise all.
    Ok(run(Arithmetic::F32).or_else(|_| run(Arithmetic::Direct)))
}

/// Whether a window of some pooling may have several largest elements that only rounding has made equal, as a large bias does:
/// then the gradient goes to one of them, and the engines may differ in which.
fn ties(gradients: &[Tensor]) -> Result<bool> {
    let mut seen = HashSet::new();
    let mut stack: Vec<&Tensor> = gradients.iter().collect();
    while let Some(tensor) = stack.pop() {
        let node = &tensor.node;
        if !seen.insert(node.id) {
            continue;
        }
        stack.extend(&node.inputs);
        if node.op.name() == "max_pool2d_gradient" {
            let pooled = interpret(&[&node.inputs[0]], &[], Precision::AsWritten)?;
            let mut numbers = pooled[0].to_f64s();
            numbers.retain(|&x| x != 0.0);
            numbers.sort_by(f64::total_cmp);
            if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[test]
fn special_values_are_the_same_in_both_engines() {
    let mut failures = Vec::new();
    for seed in 0..rounds() {
        match check(seed) {
            Ok(Ok(())) => {}
            Ok(Err(how)) => failures.push(format!("graph {seed}: {how}")),
            Err(error) => panic!("graph {seed} is invalid: {error}"),
        }
    }
    let count = failures.len();
    failures.truncate(20);
    assert!(count == 0, "{count} differ:\n{}", failures.join("\n"));
}
