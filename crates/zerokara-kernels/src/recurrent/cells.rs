//! The elementwise code of one step of one sample.
//!
//! x is what the step takes from its input, p what it takes from the state before, `h R^T` (and a bias), each for every gate;
//! σ is the sigmoid. As PyTorch has them, gates in its order:
//!
//! ```text
//! Rnn    h' = tanh(x + p), or rectified
//! Lstm   i = σ(x_i + p_i)   f = σ(x_f + p_f)   g = tanh(x_g + p_g)   o = σ(x_o + p_o)
//!        c' = f c + i g     h' = o tanh c'
//! Gru    r = σ(x_r + p_r)   z = σ(x_z + p_z)   n = tanh(x_n + r p_n)
//!        h' = (1 - z) n + z h
//! ```

use super::*;
use crate::{map::functions, plan::Cell};

/// What a step of a sample reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// H
    pub hidden: usize,
    /// Which numbers of the state.
    pub part: [usize; 2],
    pub x: *const f32,
    pub products: *const f32,
    /// Added to the products, if not null.
    pub bias: *const f32,
    /// The state before and the one after: h, then c.
    pub before: *const f32,
    pub after: *mut f32,
    /// What the gradient needs, if not null: of an Lstm i, f, g, o, of a Gru r, z, n, p_n.
    pub gates: *mut f32,
}

impl Step {
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes>(&self, cell: Cell) {
        let [from, to] = self.part;
        // SAFETY: the caller vouches for the CPU and for rows of so many numbers.
        unsafe {
            by_vectors!(S, from..to, |at, part| {
                match cell {
                    Cell::Rnn { rectified } => self.plain::<S>(at, part, rectified),
                    Cell::Lstm => self.lstm::<S>(at, part),
                    Cell::Gru => self.gru::<S>(at, part),
                }
            });
        }
    }

    /// `x + p` of a gate.
    #[inline(always)]
    unsafe fn sum<S: Lanes>(&self, gate: usize, at: usize, part: impl Count) -> S::Vector {
        let at = gate * self.hidden + at;
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let x = part.load::<S>(self.x.add(at));
            S::add(x, self.product::<S>(at, part))
        }
    }

    #[inline(always)]
    unsafe fn product<S: Lanes>(&self, at: usize, part: impl Count) -> S::Vector {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let p = part.load::<S>(self.products.add(at));
            match self.bias.is_null() {
                true => p,
                false => S::add(p, part.load::<S>(self.bias.add(at))),
            }
        }
    }

    #[inline(always)]
    unsafe fn keep<S: Lanes>(&self, at: usize, part: impl Count, gates: [S::Vector; 4]) {
        if self.gates.is_null() {
            return;
        }
        for (gate, &x) in gates.iter().enumerate() {
            // SAFETY: the caller vouches for the row.
            unsafe { part.store::<S>(self.gates.add(gate * self.hidden + at), x) };
        }
    }

    #[inline(always)]
    unsafe fn plain<S: Lanes>(&self, at: usize, part: impl Count, rectified: bool) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let x = self.sum::<S>(0, at, part);
            let h = match rectified {
                // A NaN remains.
                true => S::max(S::zero(), x),
                false => functions::tanh::<S>(x),
            };
            part.store::<S>(self.after.add(at), h);
        }
    }

    #[inline(always)]
    unsafe fn lstm<S: Lanes>(&self, at: usize, part: impl Count) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let i = functions::sigmoid::<S>(self.sum::<S>(0, at, part));
            let f = functions::sigmoid::<S>(self.sum::<S>(1, at, part));
            let g = functions::tanh::<S>(self.sum::<S>(2, at, part));
            let o = functions::sigmoid::<S>(self.sum::<S>(3, at, part));
            let c = part.load::<S>(self.before.add(self.hidden + at));
            let c = S::fma(f, c, S::mul(i, g));
            let h = S::mul(o, functions::tanh::<S>(c));
            part.store::<S>(self.after.add(at), h);
            part.store::<S>(self.after.add(self.hidden + at), c);
            self.keep::<S>(at, part, [i, f, g, o]);
        }
    }

    #[inline(always)]
    unsafe fn gru<S: Lanes>(&self, at: usize, part: impl Count) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let r = functions::sigmoid::<S>(self.sum::<S>(0, at, part));
            let z = functions::sigmoid::<S>(self.sum::<S>(1, at, part));
            let last = 2 * self.hidden + at;
            let p = self.product::<S>(last, part);
            let n = functions::tanh::<S>(S::fma(r, p, part.load::<S>(self.x.add(last))));
            let h = part.load::<S>(self.before.add(at));
            let h = S::fma(z, S::sub(h, n), n);
            part.store::<S>(self.after.add(at), h);
            self.keep::<S>(at, part, [r, z, n, p]);
        }
    }
}

/// What the gradient of a step of a sample reads and writes.
#[derive(Clone, Copy)]
pub(super) struct StepGradient {
    pub hidden: usize,
    /// Which numbers of the state.
    pub part: [usize; 2],
    pub before: *const f32,
    pub after: *const f32,
    pub gates: *const f32,
    /// The gradient of the state after, from outside: of h, then of c.
    pub given: *const f32,
    /// The gradients of h and c from the step behind. They become those of the state before, of h without what comes through
    /// the products.
    pub carry: *mut f32,
    pub carry_c: *mut f32,
    /// The gradients of the sums: of an Rnn `x + p`, of an Lstm those of i, f, g, o, of a Gru those of p_n, r, z, and x_n.
    pub sums: *mut f32,
}

impl StepGradient {
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes>(&self, cell: Cell) {
        let [from, to] = self.part;
        // SAFETY: the caller vouches for the CPU and for rows of so many numbers.
        unsafe {
            by_vectors!(S, from..to, |at, part| {
                let h = S::add(
                    part.load::<S>(self.carry.add(at)),
                    part.load::<S>(self.given.add(at)),
                );
                match cell {
                    Cell::Rnn { rectified } => self.plain::<S>(at, part, h, rectified),
                    Cell::Lstm => self.lstm::<S>(at, part, h),
                    Cell::Gru => self.gru::<S>(at, part, h),
                }
            });
        }
    }

    /// Of a sample that stays where it is: the gradient goes on to the state before.
    #[inline(always)]
    pub(super) unsafe fn pass<S: Lanes>(&self, cell: Cell) {
        let [from, to] = self.part;
        // SAFETY: the caller vouches for the CPU and for rows of so many numbers.
        unsafe {
            by_vectors!(S, from..to, |at, part| {
                let both = [(self.carry, 0), (self.carry_c, self.hidden)];
                for &(carry, first) in &both[..cell.states()] {
                    let given = part.load::<S>(self.given.add(first + at));
                    let x = S::add(part.load::<S>(carry.add(at)), given);
                    part.store::<S>(carry.add(at), x);
                }
            });
            for gate in 0..cell.gradients() {
                self.sums
                    .add(gate * self.hidden + from)
                    .write_bytes(0, to - from);
            }
        }
    }

    #[inline(always)]
    unsafe fn store<S: Lanes>(&self, gate: usize, at: usize, part: impl Count, x: S::Vector) {
        // SAFETY: the caller vouches for the row.
        unsafe { part.store::<S>(self.sums.add(gate * self.hidden + at), x) }
    }

    #[inline(always)]
    unsafe fn gate<S: Lanes>(&self, gate: usize, at: usize, part: impl Count) -> S::Vector {
        // SAFETY: the caller vouches for the row.
        unsafe { part.load::<S>(self.gates.add(gate * self.hidden + at)) }
    }

    #[inline(always)]
    unsafe fn plain<S: Lanes>(&self, at: usize, part: impl Count, g: S::Vector, rectified: bool) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let h = part.load::<S>(self.after.add(at));
            let x = match rectified {
                true => S::select(S::lt(S::zero(), h), g, S::zero()),
                false => S::mul(g, one_less_square::<S>(h)),
            };
            self.store::<S>(0, at, part, x);
            part.store::<S>(self.carry.add(at), S::zero());
        }
    }

    #[inline(always)]
    unsafe fn lstm<S: Lanes>(&self, at: usize, part: impl Count, dh: S::Vector) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let [i, f, g, o] = [
                self.gate::<S>(0, at, part),
                self.gate::<S>(1, at, part),
                self.gate::<S>(2, at, part),
                self.gate::<S>(3, at, part),
            ];
            let before = part.load::<S>(self.before.add(self.hidden + at));
            let after = functions::tanh::<S>(part.load::<S>(self.after.add(self.hidden + at)));
            let dc = S::add(
                part.load::<S>(self.carry_c.add(at)),
                part.load::<S>(self.given.add(self.hidden + at)),
            );
            let dc = S::fma(S::mul(dh, o), one_less_square::<S>(after), dc);
            self.store::<S>(0, at, part, S::mul(S::mul(dc, g), slope::<S>(i)));
            self.store::<S>(1, at, part, S::mul(S::mul(dc, before), slope::<S>(f)));
            self.store::<S>(2, at, part, S::mul(S::mul(dc, i), one_less_square::<S>(g)));
            self.store::<S>(3, at, part, S::mul(S::mul(dh, after), slope::<S>(o)));
            part.store::<S>(self.carry_c.add(at), S::mul(dc, f));
            part.store::<S>(self.carry.add(at), S::zero());
        }
    }

    #[inline(always)]
    unsafe fn gru<S: Lanes>(&self, at: usize, part: impl Count, dh: S::Vector) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let [r, z, n, p] = [
                self.gate::<S>(0, at, part),
                self.gate::<S>(1, at, part),
                self.gate::<S>(2, at, part),
                self.gate::<S>(3, at, part),
            ];
            let before = part.load::<S>(self.before.add(at));
            let dn = S::mul(
                S::mul(dh, S::sub(S::splat(1.0), z)),
                one_less_square::<S>(n),
            );
            let dz = S::mul(S::mul(dh, S::sub(before, n)), slope::<S>(z));
            let dr = S::mul(S::mul(dn, p), slope::<S>(r));
            self.store::<S>(0, at, part, S::mul(dn, r));
            self.store::<S>(1, at, part, dr);
            self.store::<S>(2, at, part, dz);
            self.store::<S>(3, at, part, dn);
            part.store::<S>(self.carry.add(at), S::mul(dh, z));
        }
    }
}

/// `1 - y^2`, the derivative of tanh.
#[inline(always)]
unsafe fn one_less_square<S: Lanes>(y: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::sub(S::splat(1.0), S::mul(y, y)) }
}

/// `y (1 - y)`, the derivative of the sigmoid.
#[inline(always)]
unsafe fn slope<S: Lanes>(y: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::mul(y, S::sub(S::splat(1.0), y)) }
}
