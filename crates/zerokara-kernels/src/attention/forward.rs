//! `o = softmax(scale q k^T + mask) v`.

use super::*;
use crate::{isa::Isa, simd::multiversion};

/// Units into which attention that is large enough is cut, at least.
const UNITS: usize = 16;

/// Rows of queries from which on packing keys and values costs less than it saves.
const PACK_ROWS: usize = 8;

/// Into how many parts the queries of a head are cut.
fn cuts(g: &AttentionGeometry) -> usize {
    let heads = (g.batch * g.groups).max(1);
    let most = g.queries.div_ceil(4 * MOST_QUERIES).max(1);
    UNITS.div_ceil(heads).min(most)
}

/// Number of independent units of work.
pub(crate) fn forward_units(g: &AttentionGeometry) -> usize {
    match g.output().contains(&0) {
        true => 0,
        false => g.batch * g.groups * cuts(g),
    }
}

/// Numbers in the parts of a unit's scratch.
fn lengths(lanes: usize, g: &AttentionGeometry) -> [usize; 6] {
    let rows = queries_at_once(g);
    [
        gemm::SCRATCH_LEN,
        g.keys,
        packed_len_of(lanes, g.width, g.keys),
        packed_len_of(lanes, g.keys, g.values),
        rows * pitch(g),
        rows,
    ]
}

/// Numbers of scratch that [`run_forward`] takes.
pub(crate) fn forward_scratch(isa: Isa, g: &AttentionGeometry) -> usize {
    scratch::room(&lengths(isa.lanes(), g))
}

multiversion! {
    /// Runs unit `unit`; element `[n, i, h, e]` of the output is at `output + n * strides[0] + i * strides[1] + h * strides[2]
    /// + e`.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; `unit` must be below [`forward_units`]; the inputs must be valid for their shapes, and the output
    /// for writing; `scratch` must have [`forward_scratch`] numbers, from a cache line on.
    pub(crate) unsafe fn run_forward(unit: usize, x: &Inputs<'_>, output: *mut f32, strides: [isize; 3], scratch: &mut [f32])
        = forward_body;
}

#[inline(always)]
unsafe fn forward_body<S: Lanes>(
    unit: usize,
    x: &Inputs<'_>,
    output: *mut f32,
    strides: [isize; 3],
    scratch: &mut [f32],
) {
    let g = x.geometry;
    let (head, cut) = (unit / cuts(g), unit % cuts(g));
    let (sample, group) = (head / g.groups, head % g.groups);
    let queries = share(g.queries, cuts(g), cut);
    let heads = x.heads_of(group);
    let parts = scratch::parts(scratch, lengths(S::LANES, g));
    let [products, bias, keys, values, weights, factors] = parts;
    let mut bias = Bias {
        mask: x.mask,
        row: &mut bias[..g.keys],
        has: None,
    };
    let weights = weights.as_mut_ptr();
    let pitch = pitch(g);
    // SAFETY: the caller vouches for inputs and output; what is computed here has room in scratch.
    unsafe {
        let (key, value) = (x.key.of(sample, group), x.value.of(sample, group));
        let to = |i: usize, head: usize| {
            let [n, row, h] = strides;
            output.offset(sample as isize * n + i as isize * row + head as isize * h)
        };
        let finite = is_finite::<S>(key, 0..g.keys, g.width)
            && is_finite::<S>(value, 0..g.keys, g.values)
            && heads
                .clone()
                .all(|head| is_finite::<S>(x.query.of(sample, head), queries.clone(), g.width));
        if !finite {
            for head in heads {
                for i in queries.clone() {
                    plain::forward(x, [sample, head, i], to(i, head));
                }
            }
            return;
        }
        let (keys, values) = match heads.len() * queries.len() < PACK_ROWS {
            true => (key.transposed(), value.right()),
            false => {
                let [row, column] = key.strides;
                (
                    pack::<S>([g.width, g.keys], key.start, [column, row], keys),
                    pack::<S>([g.keys, g.values], value.start, value.strides, values),
                )
            }
        };
        let at_once = queries_at_once(g);
        for head in heads {
            let query = x.query.of(sample, head);
            for first in queries.clone().step_by(at_once) {
                let rows = at_once.min(queries.end - first);
                let until = g.seen(first + rows - 1);
                let sizes = [rows, until];
                let query = query.from(first);
                scores::<S>(
                    [g.keys, g.width],
                    query,
                    sizes,
                    keys,
                    weights,
                    pitch,
                    products,
                );
                for (i, factor) in factors[..rows].iter_mut().enumerate() {
                    let seen = g.seen(first + i);
                    let bias = bias.of([sample, head, first + i], seen);
                    *factor = weigh::<S>(weights.add(i * pitch), seen, until, g.scale, bias);
                }
                let part = Part {
                    n: g.values,
                    k: until,
                    rows: 0..rows,
                    columns: 0..g.values,
                    a: weights,
                    a_strides: [pitch as isize, 1],
                    b: values,
                    c: to(first, head),
                    c_row: strides[1],
                    add: false,
                };
                part.run::<S>(products);
                for (i, &factor) in factors[..rows].iter().enumerate() {
                    times::<S>(to(first + i, head), g.values, factor);
                }
            }
        }
    }
}

/// `x *= factor`.
#[inline(always)]
unsafe fn times<S: Lanes>(x: *mut f32, n: usize, factor: f32) {
    // SAFETY: the caller vouches for the numbers.
    unsafe {
        let whole = n / S::LANES * S::LANES;
        let f = S::splat(factor);
        for i in (0..whole).step_by(S::LANES) {
            S::store(x.add(i), S::mul(S::load(x.add(i)), f));
        }
        for i in whole..n {
            *x.add(i) *= factor;
        }
    }
}
