//! The product of matrices: `[.., M, K] x [.., K, N] -> [.., M, N]`, `y[m, n] = sum over k of a[m, k] b[k, n]`.
//!
//! With `g` the output's gradient, `da = g b^T` and `db = a^T g` (page 147 of the book, the Affine layer).

use super::prelude::*;
use loops::Real;

/// The operation, on operands whose leading axes are equal.
#[derive(Debug)]
pub struct MatMul;

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [a, b] = infer::arity(inputs)?;
        infer::floats(a, b)?;
        if a.rank() < 2 || b.rank() < 2 {
            return Err("needs matrices, at least 2 axes each".into());
        }
        let (outer, [m, k]) = a.shape.split_last_chunk().ok_or("needs 2 axes")?;
        let (outer_b, [k_b, n]) = b.shape.split_last_chunk().ok_or("needs 2 axes")?;
        if k != k_b {
            return Err(format!(
                "the first has {k} columns, the second {k_b} rows; they must be equal"
            ));
        }
        if outer != outer_b {
            return Err(format!(
                "leading axes {outer:?} and {outer_b:?} do not broadcast together"
            ));
        }
        Ok(Meta::new([outer, &[*m, *n]].concat(), a.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Contract(crate::op::Contract::MatMul)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [a, b] = call.inputs else {
            return Gradient::Forbidden("matmul takes two inputs");
        };
        Gradient::two(call.gradient.matmul(&b.t()), a.t().matmul(call.gradient))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (a, b) = (inputs[0], inputs[1]);
        let [m, n] = *output.shape().last_chunk().ok_or("needs 2 axes")?;
        let k = *a.shape().last().ok_or("needs 2 axes")?;
        let batch: usize = output.shape()[..output.shape().len() - 2].iter().product();
        loops::floats!(a.dtype(), T => {
            let (a, b, y) = (a.slice::<T>(), b.slice::<T>(), output.slice_mut::<T>());
            let mut sums = vec![0.0; n];
            for batch in 0..batch {
                for i in 0..m {
                    sums.fill(0.0);
                    for l in 0..k {
                        let a = a[(batch * m + i) * k + l].wide();
                        let b = &b[(batch * k + l) * n..][..n];
                        for (sum, b) in sums.iter_mut().zip(b) {
                            *sum += a * b.wide();
                        }
                    }
                    let y = &mut y[(batch * m + i) * n..][..n];
                    y.iter_mut().zip(&sums).for_each(|(y, &sum)| *y = T::narrow(sum));
                }
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// The product of matrices, `[.., M, K] x [.., K, N] -> [.., M, N]`; leading axes broadcast. A vector on the
    /// left counts as one row, on the right as one column, and that axis is removed from the result, as in NumPy.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.matmul(&a.t()).to_vec::<f32>()?, [5.0, 11.0, 11.0, 25.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("dot", "mm", "bmm"))]
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        let (Ok(a), Ok(b)) = (self.shape(), other.shape()) else {
            return Tensor::apply(MatMul, &[self, other]);
        };
        match (a.len(), b.len()) {
            (1, 2..) => {
                return self
                    .reshape_exactly(&[1, a[0] as i64])
                    .matmul(other)
                    .remove_axis(-2);
            }
            (2.., 1) => {
                return self
                    .matmul(&other.reshape_exactly(&[b[0] as i64, 1]))
                    .remove_axis(-1);
            }
            (1, 1) if a == b => return (self * other).sum(),
            (0 | 1, _) | (_, 0) => return Tensor::apply(MatMul, &[self, other]),
            _ => {}
        }
        let (outer_a, outer_b) = (&a[..a.len() - 2], &b[..b.len() - 2]);
        let with = |outer: &[usize], t: &[usize]| [outer, &t[t.len() - 2..]].concat();
        match shape::broadcast(outer_a, outer_b) {
            Some(outer) if outer_a != outer_b => Tensor::apply(
                MatMul,
                &[
                    &self.broadcast_to(&with(&outer, a)),
                    &other.broadcast_to(&with(&outer, b)),
                ],
            ),
            _ => Tensor::apply(MatMul, &[self, other]),
        }
    }

    /// Without an axis of length 1.
    #[track_caller]
    pub(crate) fn remove_axis(&self, axis: i64) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let Ok(axis) = shape::axis(axis, shape.len()) else {
            return self.clone();
        };
        let lengths: Vec<i64> = (0..shape.len())
            .filter(|&i| i != axis)
            .map(|i| shape[i] as i64)
            .collect();
        self.reshape_exactly(&lengths)
    }
}
