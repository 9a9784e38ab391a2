//! What the machine could reach at best, for benchmarks to compare with.

use crate::{gemm, isa::Isa, threads::Pool};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Vectors of sums in the loop that is timed.
const SUMS: usize = 12;
const ROUNDS: usize = 200_000;

/// Multiply-adds per second of a loop on every thread of the pool that works in registers alone: the best of several
/// runs in about a fifth of a second. Twice as many floating-point operations.
///
/// The number is 0 if the CPU lacks the instruction set.
pub fn multiply_adds_per_second(isa: Isa, pool: &Pool) -> f64 {
    if !isa.is_available() {
        return 0.0;
    }
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < Duration::from_millis(200) {
        let start = Instant::now();
        pool.run(pool.threads(), &|_, _| {
            // SAFETY: the CPU has `isa`, as was checked above.
            black_box(unsafe { gemm::fma_loop(isa, ROUNDS) });
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    (ROUNDS * SUMS * isa.lanes() * pool.threads()) as f64 / best
}
