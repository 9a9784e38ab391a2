//! Determinants of matrices, `[.., N, N] -> [..]`, and their cofactors, which are the gradient.
//!
//! The cofactor of an element is the determinant of what is left without its row and column, with the sign of its place. With C
//! the cofactors of A, `dA = g C`; and with H the gradient of the cofactors, `dA = (C sum(H C) - C H^T C) / det(A)`, which is for
//! matrices that have an inverse. Everything is computed in double precision, by elimination with the largest pivots; the
//! cofactors of a matrix without an inverse, one by one.

use super::prelude::*;
use loops::Real;

/// The determinant of a matrix, row by row, which is spent.
fn determinant(rows: &mut [f64], n: usize) -> f64 {
    let mut product = 1.0;
    for column in 0..n {
        let size = |row: &usize| rows[row * n + column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b)));
        let Some(pivot) = pivot else { return product };
        let divisor = rows[pivot * n + column];
        if divisor == 0.0 || divisor.is_nan() {
            return divisor;
        }
        if pivot != column {
            (0..n).for_each(|i| rows.swap(pivot * n + i, column * n + i));
            product = -product;
        }
        product *= divisor;
        for row in column + 1..n {
            let factor = rows[row * n + column] / divisor;
            for i in column..n {
                rows[row * n + i] -= factor * rows[column * n + i];
            }
        }
    }
    product
}

/// The inverse of a matrix, by elimination beside the identity; `None` where there is none.
fn inverse(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut left = matrix.to_vec();
    let mut right = vec![0.0; n * n];
    (0..n).for_each(|i| right[i * n + i] = 1.0);
    for column in 0..n {
        let size = |row: &usize| left[row * n + column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let divisor = left[pivot * n + column];
        if divisor == 0.0 || !divisor.is_finite() {
            return None;
        }
        for i in 0..n {
            left.swap(pivot * n + i, column * n + i);
            right.swap(pivot * n + i, column * n + i);
        }
        for i in 0..n {
            left[column * n + i] /= divisor;
            right[column * n + i] /= divisor;
        }
        for row in (0..n).filter(|&row| row != column) {
            let factor = left[row * n + column];
            for i in 0..n {
                left[row * n + i] -= factor * left[column * n + i];
                right[row * n + i] -= factor * right[column * n + i];
            }
        }
    }
    Some(right)
}

/// The cofactors of a matrix.
fn cofactors(matrix: &[f64], n: usize) -> Vec<f64> {
    let whole = determinant(&mut matrix.to_vec(), n);
    if let Some(inverse) = inverse(matrix, n)
        && whole != 0.0
    {
        let place = |at: usize| inverse[at % n * n + at / n];
        return (0..n * n).map(|at| whole * place(at)).collect();
    }
    let minor = |at: usize| {
        let (row, column) = (at / n, at % n);
        let others = (0..n * n).filter(|i| i / n != row && i % n != column);
        let mut rest: Vec<f64> = others.map(|i| matrix[i]).collect();
        let sign = if (row + column) % 2 == 0 { 1.0 } else { -1.0 };
        sign * determinant(&mut rest, n - 1)
    };
    (0..n * n).map(minor).collect()
}

/// The number of rows of square matrices `[.., N, N]`.
fn square(x: &Meta) -> Result<usize, String> {
    infer::float(x)?;
    match x.shape.as_slice() {
        &[.., rows, columns] if rows == columns => Ok(rows),
        other => Err(format!("needs square matrices [.., N, N], not {other:?}")),
    }
}

/// Each matrix in double precision.
fn matrices(x: &Array) -> impl Iterator<Item = Vec<f64>> + use<> {
    let n = x.shape().last().copied().unwrap_or(0);
    let count: usize = x.shape()[..x.shape().len().saturating_sub(2)]
        .iter()
        .product();
    let numbers = x.to_f64s();
    (0..count).map(move |i| numbers[i * n * n..][..n * n].to_vec())
}

/// The operation `det`.
#[derive(Debug)]
pub struct Det;

impl Op for Det {
    fn name(&self) -> &'static str {
        "det"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        square(x)?;
        Ok(Meta::new(&x.shape[..x.rank() - 2], x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        let g = call.gradient.unsqueeze(-1).unsqueeze(-1).broadcast_like(x);
        Gradient::one(g * x.cofactors())
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let n = inputs[0].shape().last().copied().unwrap_or(0);
        loops::floats!(output.dtype(), T => {
            let y = output.slice_mut::<T>().iter_mut();
            y.zip(matrices(inputs[0])).for_each(|(y, mut matrix)| {
                *y = T::narrow(determinant(&mut matrix, n));
            });
        });
        Ok(())
    }
}

/// The operation `cofactors`.
#[derive(Debug)]
pub struct Cofactors;

impl Op for Cofactors {
    fn name(&self) -> &'static str {
        "cofactors"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        square(x)?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, c, h) = (&call.inputs[0], call.output, call.gradient);
        let spread = |numbers: &Tensor| numbers.unsqueeze(-1).unsqueeze(-1).broadcast_like(x);
        let sum = (h * c).sum_axes(&[-2, -1], false);
        let turned = c.matmul(&h.t()).matmul(c);
        Gradient::one((c * spread(&sum) - turned) / spread(&x.det()))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let n = inputs[0].shape().last().copied().unwrap_or(0);
        if output.is_empty() {
            return Ok(());
        }
        loops::floats!(output.dtype(), T => {
            let y = output.slice_mut::<T>().chunks_mut(n * n);
            y.zip(matrices(inputs[0])).for_each(|(y, matrix)| {
                let all = cofactors(&matrix, n);
                y.iter_mut().zip(all).for_each(|(y, c)| *y = T::narrow(c));
            });
        });
        Ok(())
    }
}

impl Tensor {
    /// The determinants of square matrices, `[.., N, N] -> [..]`; of matrices without elements 1.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, grad};
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.det().item()?, -2.0);
    /// assert_eq!(grad(&x.det(), &x).to_vec::<f32>()?, [4.0, -3.0, -2.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "determinant")]
    #[track_caller]
    pub fn det(&self) -> Tensor {
        Tensor::apply(Det, &[self])
    }

    /// The cofactors of square matrices, `[.., N, N]`: for each element the determinant of what is left without its row and column,
    /// with the sign of its place. They are the slopes of [`Tensor::det`]. Their own gradient is for matrices that have an
    /// inverse.
    #[track_caller]
    pub fn cofactors(&self) -> Tensor {
        Tensor::apply(Cofactors, &[self])
    }
}
