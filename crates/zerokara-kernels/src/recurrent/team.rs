//! Units that go along a sequence together, each with its part of the state.
//!
//! Nobody knows how many threads there are, or when they come: one may take all units one after another. So no unit waits for
//! one that has not begun. Whoever is there takes the parts of a step that nobody has taken, his own first, and waits only for
//! parts that somebody has taken and is at work on. Who comes when all is done finds nothing to do.

use super::{Product, RecurrentGeometry};
use crate::simd::Lanes;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most members.
const MOST: usize = 4;
/// Counters that a team takes: how many of its parts' steps are done, how many members have left, and for each part how many of
/// its steps were taken.
pub(crate) const COUNTERS: usize = 2 + MOST;

/// Numbers of a state from which on members share it.
const HIDDEN: usize = 128;
/// Numbers of a state for which there are as many members as there may be.
const LARGE: usize = 256;

/// How many members share the state, if it is better so: of few samples with large states, which are cut at panels.
pub(super) fn parts(lanes: usize, registers: usize, g: &RecurrentGeometry) -> Option<usize> {
    let parts = if g.hidden >= LARGE { MOST } else { 2 };
    let fits = g.hidden >= HIDDEN && g.hidden.is_multiple_of(parts * 2 * lanes);
    let few = (1..=Product::FEW).contains(&g.batch);
    (few && fits && registers >= 16).then_some(parts)
}

/// What the members of a team do. It is no closure, since these are not compiled for the instruction set.
pub(super) trait Work {
    /// A part of a step; all that was written in the steps before is to be seen.
    ///
    /// # Safety
    ///
    /// The CPU must have `S`, beside what the work itself asks; each part of each step is done once.
    unsafe fn step<S: Lanes>(&self, step: usize, part: usize);
}

/// Runs the steps of a team as its member `member`.
///
/// # Safety
///
/// As [`Work::step`] asks, of each step.
#[inline(always)]
pub(super) unsafe fn run<S: Lanes>(
    counters: &[AtomicU64],
    parts: usize,
    member: usize,
    steps: usize,
    work: &impl Work,
) {
    let [done, left, taken @ ..] = counters else {
        return;
    };
    let all = parts as u64;
    let mut at = done.load(Ordering::Acquire) / all;
    while at < steps as u64 {
        let mut rounds = 0u32;
        while done.load(Ordering::Acquire) < at * all {
            rounds += 1;
            match rounds.is_multiple_of(ROUNDS) {
                // The one who is waited for may have no core.
                true => std::thread::yield_now(),
                false => std::hint::spin_loop(),
            }
        }
        for part in (0..parts).map(|i| (member + i) % parts) {
            let mine =
                taken[part].compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
            if mine.is_ok() {
                // SAFETY: the part was taken, and the steps before are done.
                unsafe { work.step::<S>(at as usize, part) };
                done.fetch_add(1, Ordering::AcqRel);
            }
        }
        at += 1;
    }
    // The last one leaves the counters as they were found.
    if left.fetch_add(1, Ordering::AcqRel) + 1 == all {
        counters
            .iter()
            .for_each(|counter| counter.store(0, Ordering::Relaxed));
    }
}

/// Rounds of waiting after which a thread lets others go first.
const ROUNDS: u32 = 1 << 10;
