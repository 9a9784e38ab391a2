//! What a step looks at before it stores: the norm of the whole gradient, by which it may be clipped, and whether all new
//! values are finite.

use crate::Clipping;
use zerokara_core::{DType, Tensor};

/// The norm of all gradients together, f32, and the gradients as the update takes them. Squares must neither overflow nor
/// vanish.
pub(crate) fn plain(gradients: &[Tensor], clipping: Clipping) -> (Tensor, Vec<Tensor>) {
    let norm: Tensor = gradients
        .iter()
        .map(|g| g.square().sum().cast(DType::F32))
        .reduce(|a, b| a + b)
        .map_or(Tensor::from(0.0f32), |squares| squares.sqrt());
    let clipped = match clipping {
        Clipping::None => gradients.to_vec(),
        Clipping::Value(limit) => gradients.iter().map(|g| g.clamp(-limit, limit)).collect(),
        Clipping::Norm(limit) => {
            let factor = factor(&norm, limit);
            let scale = |g: &Tensor| g * factor.cast(dtype(g));
            gradients.iter().map(scale).collect()
        }
    };
    (norm, clipped)
}

/// As [`plain`], for gradients of any size: they are scaled by their largest element before they are squared. The norm
/// is f64, which holds it also where no element but the norm is more than an f32 holds.
pub(crate) fn scaled(gradients: &[Tensor], clipping: Clipping) -> (Tensor, Vec<Tensor>) {
    // Of the largest and the least f32, or f64, both the number and its reciprocal are finite.
    let wide = gradients.iter().all(|g| dtype(g) == DType::F64);
    let most = 2f64.powi(if wide { 1000 } else { 126 });
    let largest: Tensor = gradients
        .iter()
        .filter(|g| g.shape().is_ok_and(|s| !s.contains(&0)))
        .map(|g| g.abs().max().cast(DType::F64))
        .reduce(|a, b| a.maximum(&b))
        .unwrap_or(Tensor::scalar(0.0, DType::F64));
    let unit = largest.clamp(1.0 / most, most);
    let scale = unit.reciprocal();
    let small: Vec<Tensor> = gradients.iter().map(|g| g * scale.cast(dtype(g))).collect();
    let norm: Tensor = small
        .iter()
        .map(|g| g.square().sum().cast(DType::F64))
        .reduce(|a, b| a + b)
        .map_or(Tensor::scalar(0.0, DType::F64), |squares| {
            squares.sqrt() * unit.clone()
        });
    let clipped = match clipping {
        Clipping::None => gradients.to_vec(),
        Clipping::Value(limit) => gradients.iter().map(|g| g.clamp(-limit, limit)).collect(),
        Clipping::Norm(limit) => {
            let factor = factor(&norm, limit);
            let too_long = factor.less(&Tensor::scalar(1.0, DType::F64));
            let unit = factor * unit;
            let pairs = gradients.iter().zip(&small);
            pairs
                .map(|(g, small)| too_long.select(&(small * unit.cast(dtype(g))), g))
                .collect()
        }
    };
    (norm, clipped)
}

/// What gradients of this norm are multiplied by so that their norm is at most `limit`; as PyTorch has it.
fn factor(norm: &Tensor, limit: f64) -> Tensor {
    ((norm + 1e-6f64).reciprocal() * limit).clamp(0.0, 1.0)
}

fn dtype(tensor: &Tensor) -> DType {
    tensor.dtype().unwrap_or(DType::F32)
}

/// Whether all elements of all these tensors are finite; nothing if there is nothing to look at.
///
/// The difference of a number with itself is 0 if it is finite, else NaN, so that a sum tells. Tensors of one shape are
/// added first, the last one at the head of the sum: then all that is added is there when the sum begins, and the
/// compiler makes one loop of it.
pub(crate) fn all_finite(values: &[Tensor]) -> Option<Tensor> {
    let mut sums: Vec<Tensor> = Vec::new();
    for value in values.iter().rev() {
        let Ok(meta) = value.meta() else {
            continue;
        };
        if !meta.is_float() {
            continue;
        }
        #[allow(clippy::eq_op)] // a tensor is no number: see above
        let nothing = value - value;
        match sums
            .iter_mut()
            .find(|sum| sum.meta().is_ok_and(|m| m == meta))
        {
            Some(sum) => *sum = &*sum + nothing,
            None => sums.push(nothing),
        }
    }
    sums.iter()
        .map(|sum| sum.sum().cast(DType::F32))
        .reduce(|a, b| a + b)
        .map(|sum| sum.is_finite())
}
