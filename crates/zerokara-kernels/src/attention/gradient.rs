//! The gradients of attention.
//!
//! With weights `p[i, j]`, the softmax of the scores `s[i, j] = scale q[i] k[j] + mask`, and g the output's gradient:
//!
//! ```text
//! dp[i, j] = g[i] v[j]            ds[i, j] = p[i, j] (dp[i, j] - sum over l of p[i, l] dp[i, l])
//! dq[i] = scale sum over j of ds[i, j] k[j]
//! dk[j] = scale sum over i of ds[i, j] q[i]
//! dv[j] = sum over i of p[i, j] g[i]
//! ```

use super::*;
use crate::{isa::Isa, simd::multiversion};

/// Number of independent units of work: the heads of keys, whose gradients sum over all queries.
pub(crate) fn gradient_units(g: &AttentionGeometry) -> usize {
    g.batch * g.groups
}

/// Numbers in the parts of a unit's scratch.
fn lengths(lanes: usize, g: &AttentionGeometry) -> [usize; 7] {
    let scores = queries_at_once(g) * pitch(g);
    [
        gemm::SCRATCH_LEN,
        g.keys,
        packed_len_of(lanes, g.width, g.keys),
        packed_len_of(lanes, g.keys, g.width),
        packed_len_of(lanes, g.values, g.keys),
        scores,
        scores,
    ]
}

/// Numbers of scratch that [`run_gradient`] takes.
pub(crate) fn gradient_scratch(isa: Isa, g: &AttentionGeometry) -> usize {
    scratch::room(&lengths(isa.lanes(), g))
}

/// Where the gradients go: element `[n, i, h, d]` is at `start + n * strides[0] + i * strides[1] + h * strides[2] + d`.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub start: *mut f32,
    pub strides: [isize; 3],
}

impl Target {
    /// The start of a row.
    pub(super) fn row(&self, sample: usize, i: usize, head: usize) -> *mut f32 {
        let [n, row, h] = self.strides;
        let offset = sample as isize * n + i as isize * row + head as isize * h;
        self.start.wrapping_offset(offset)
    }
}

/// The gradients with respect to queries, keys and values.
#[derive(Clone, Copy)]
pub(crate) struct Gradients {
    pub query: Target,
    pub key: Target,
    pub value: Target,
}

multiversion! {
    /// Runs unit `unit`, with the output's gradient `[N, L, H, E]`.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; `unit` must be below [`gradient_units`]; the inputs must be valid for their shapes, and the
    /// gradients for writing; `scratch` must have [`gradient_scratch`] numbers, from a cache line on.
    pub(crate) unsafe fn run_gradient(unit: usize, x: &Inputs<'_>, given: Heads, to: &Gradients, scratch: &mut [f32])
        = gradient_body;
}

#[inline(always)]
unsafe fn gradient_body<S: Lanes>(
    unit: usize,
    x: &Inputs<'_>,
    given: Heads,
    to: &Gradients,
    scratch: &mut [f32],
) {
    let g = x.geometry;
    let (sample, group) = (unit / g.groups, unit % g.groups);
    let heads = x.heads_of(group);
    let parts = scratch::parts(scratch, lengths(S::LANES, g));
    let [products, bias, keys, columns, values, weights, scored] = parts;
    let mut bias = Bias {
        mask: x.mask,
        row: &mut bias[..g.keys],
        has: None,
    };
    let (weights, scored) = (weights.as_mut_ptr(), scored.as_mut_ptr());
    let pitch = pitch(g);
    // SAFETY: the caller vouches for inputs and gradients; what is computed here has room in scratch.
    unsafe {
        let (key, value) = (x.key.of(sample, group), x.value.of(sample, group));
        for j in 0..g.keys {
            to.key.row(sample, j, group).write_bytes(0, g.width);
            to.value.row(sample, j, group).write_bytes(0, g.values);
        }
        let finite = is_finite::<S>(key, 0..g.keys, g.width)
            && is_finite::<S>(value, 0..g.keys, g.values)
            && heads.clone().all(|head| {
                is_finite::<S>(x.query.of(sample, head), 0..g.queries, g.width)
                    && is_finite::<S>(given.of(sample, head), 0..g.queries, g.values)
            });
        if !finite {
            for head in heads {
                for i in 0..g.queries {
                    plain::gradient(x, given, [sample, head, i], group, to);
                }
            }
            return;
        }
        let [row, column] = key.strides;
        let columns = pack::<S>([g.keys, g.width], key.start, key.strides, columns);
        let keys = pack::<S>([g.width, g.keys], key.start, [column, row], keys);
        let [row, column] = value.strides;
        let values = pack::<S>([g.values, g.keys], value.start, [column, row], values);
        let at_once = queries_at_once(g);
        for head in heads {
            for first in (0..g.queries).step_by(at_once) {
                let rows = at_once.min(g.queries - first);
                let until = g.seen(first + rows - 1);
                let sizes = [rows, until];
                let query = x.query.of(sample, head).from(first);
                let given = given.of(sample, head).from(first);
                scores::<S>(
                    [g.keys, g.width],
                    query,
                    sizes,
                    keys,
                    weights,
                    pitch,
                    products,
                );
                scores::<S>(
                    [g.keys, g.values],
                    given,
                    sizes,
                    values,
                    scored,
                    pitch,
                    products,
                );
                for i in 0..rows {
                    let seen = g.seen(first + i);
                    let bias = bias.of([sample, head, first + i], seen);
                    let (weights, scored) = (weights.add(i * pitch), scored.add(i * pitch));
                    let factor = weigh::<S>(weights, seen, until, g.scale, bias);
                    through_softmax::<S>(weights, scored, seen, until, factor, g.scale);
                }
                let part = Part {
                    n: g.width,
                    k: until,
                    rows: 0..rows,
                    columns: 0..g.width,
                    a: scored,
                    a_strides: [pitch as isize, 1],
                    b: columns,
                    c: to.query.row(sample, first, head),
                    c_row: to.query.strides[1],
                    add: false,
                };
                part.run::<S>(products);
                // Sums over the queries: the transposes of what was scored are left operands.
                for (of, with, n, target) in [
                    (weights, given, g.values, &to.value),
                    (scored, query, g.width, &to.key),
                ] {
                    let part = Part {
                        n,
                        k: rows,
                        rows: 0..until,
                        columns: 0..n,
                        a: of,
                        a_strides: [1, pitch as isize],
                        b: with.right(),
                        c: target.row(sample, 0, group),
                        c_row: target.strides[1],
                        add: true,
                    };
                    part.run::<S>(products);
                }
            }
        }
    }
}

/// Makes of what [`weigh`] left the weights, and of their gradients those of the scores before they are scaled.
#[inline(always)]
unsafe fn through_softmax<S: Lanes>(
    weights: *mut f32,
    scored: *mut f32,
    seen: usize,
    until: usize,
    factor: f32,
    scale: f32,
) {
    // SAFETY: the caller vouches for both rows.
    unsafe {
        let l = S::LANES;
        let whole = seen / l * l;
        let rest = seen - whole;
        let factor = S::splat(factor);
        let mut total = 0.0f64;
        let mut sum = S::zero();
        let mut start = 0;
        while start < whole {
            let stop = whole.min(start + BLOCK * l);
            for i in (start..stop).step_by(l) {
                let p = S::mul(S::load(weights.add(i)), factor);
                S::store(weights.add(i), p);
                sum = S::fma(p, S::load(scored.add(i)), sum);
            }
            total += f64::from(S::sum(sum));
            sum = S::zero();
            start = stop;
        }
        if rest > 0 {
            // Behind the last key weights are 0; what was scored there is that of keys that are not seen, or nothing at all.
            let p = S::mul(S::load(weights.add(whole)), factor);
            S::store(weights.add(whole), p);
            let own = S::lt(S::load(NUMBERS.as_ptr()), S::splat(rest as f32));
            let x = S::select(own, S::load(scored.add(whole)), S::zero());
            S::store(scored.add(whole), x);
            total += f64::from(S::sum(S::mul(p, x)));
        }
        let mean = S::splat(total as f32);
        let scale = S::splat(scale);
        let end = seen.next_multiple_of(l);
        for i in (0..end).step_by(l) {
            let p = S::mul(S::load(weights.add(i)), scale);
            let x = S::sub(S::load(scored.add(i)), mean);
            S::store(scored.add(i), S::mul(p, x));
        }
        for i in end..until {
            *scored.add(i) = 0.0;
        }
    }
}
