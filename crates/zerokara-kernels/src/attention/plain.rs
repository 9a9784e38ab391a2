//! Attention pair by pair, as it is defined: a key without weight has no terms in any sum, whatever numbers it holds.

use super::{Gradients, Heads, Inputs};

/// The weights of the keys that a query sees, and none where it sees none of them.
unsafe fn weights(x: &Inputs<'_>, [sample, head, i]: [usize; 3], group: usize) -> Vec<f64> {
    let g = x.geometry;
    let (query, key) = (x.query.of(sample, head), x.key.of(sample, group));
    // SAFETY: the caller vouches for the inputs.
    let score = |j: usize| unsafe {
        let added = x.mask.map_or(0.0, |mask| mask.at([sample, head, i, j]));
        if added == f32::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        let product: f64 = (0..g.width).map(|d| query.at(i, d) * key.at(j, d)).sum();
        product * f64::from(g.scale) + f64::from(added)
    };
    let scores: Vec<f64> = (0..g.seen(i)).map(score).collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY && !scores.iter().any(|s| s.is_nan()) {
        return Vec::new();
    }
    let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|e| e / total).collect()
}

/// The keys that have weight.
fn seen(weights: &[f64]) -> impl Iterator<Item = (usize, f64)> + '_ {
    let numbered = weights.iter().copied().enumerate();
    numbered.filter(|&(_, p)| p != 0.0)
}

/// The output for one query of a head.
///
/// # Safety
///
/// The inputs must be valid for their shapes, and `to` for a row of the output.
pub(super) unsafe fn forward(x: &Inputs<'_>, query: [usize; 3], to: *mut f32) {
    let g = x.geometry;
    let [sample, head, _] = query;
    let group = head / (g.heads / g.groups);
    let value = x.value.of(sample, group);
    // SAFETY: the caller vouches for inputs and output.
    unsafe {
        let weights = weights(x, query, group);
        for e in 0..g.values {
            let sum: f64 = seen(&weights).map(|(j, p)| p * value.at(j, e)).sum();
            *to.add(e) = sum as f32;
        }
    }
}

/// Writes the gradient of one query of a head, and adds its terms to those of keys and values.
///
/// # Safety
///
/// The inputs must be valid for their shapes, and the gradients for writing.
pub(super) unsafe fn gradient(
    x: &Inputs<'_>,
    given: Heads,
    [sample, head, i]: [usize; 3],
    group: usize,
    to: &Gradients,
) {
    let g = x.geometry;
    let (query, key) = (x.query.of(sample, head), x.key.of(sample, group));
    let (value, given) = (x.value.of(sample, group), given.of(sample, head));
    let scale = f64::from(g.scale);
    // SAFETY: the caller vouches for inputs and gradients.
    unsafe {
        let weights = weights(x, [sample, head, i], group);
        let through =
            |j: usize| -> f64 { (0..g.values).map(|e| given.at(i, e) * value.at(j, e)).sum() };
        let mean: f64 = seen(&weights).map(|(j, p)| p * through(j)).sum();
        let mut sums = vec![0.0f64; g.width];
        for (j, p) in seen(&weights) {
            let score = p * (through(j) - mean) * scale;
            for (d, sum) in sums.iter_mut().enumerate() {
                *sum += score * key.at(j, d);
                *to.key.row(sample, j, group).add(d) += (score * query.at(i, d)) as f32;
            }
            for e in 0..g.values {
                *to.value.row(sample, j, group).add(e) += (p * given.at(i, e)) as f32;
            }
        }
        let row = to.query.row(sample, i, head);
        for (d, sum) in sums.iter().enumerate() {
            *row.add(d) = *sum as f32;
        }
    }
}
