//! Determinants of matrices, `[.., N, N] -> [..]`, and their cofactors, which are the gradient.
//!
//! The cofactor of an element is the determinant of what is left without its row and column, with the sign of its place. With C
//! the cofactors of A, `dA = g C`; and with H the gradient of the cofactors, `dA = (C sum(H C) - C H^T C) / det(A)`, which is for
//! matrices that have an inverse. Everything is computed in double precision, by elimination with the largest pivots.

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
    match inverse(matrix, n) {
        Some(inverse) if whole != 0.0 => {
            let place = |at: usize| inverse[at % n * n + at / n];
            (0..n * n).map(|at| whole * place(at)).collect()
        }
        _ => cofactors_without_inverse(matrix, n),
    }
}

/// The cofactors of a matrix without an inverse. With rows and columns exchanged so that each pivot is the largest that is left, it
/// is `L U`, where the last row of U is 0. If another is, no minor of it has an inverse. Else U takes one vector z to 0 and L^T
/// takes one vector y to the last axis; the cofactors are `y z^T`, times the product of the other pivots.
fn cofactors_without_inverse(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut all = vec![0.0; n * n];
    let mut left = matrix.to_vec();
    let (mut rows, mut columns): (Vec<usize>, Vec<usize>) = ((0..n).collect(), (0..n).collect());
    let mut product = 1.0;
    for k in 0..n.saturating_sub(1) {
        let places = (k..n).flat_map(|row| (k..n).map(move |column| (row, column)));
        let size = |place: &(usize, usize)| left[place.0 * n + place.1].abs();
        let largest = places.max_by(|a, b| size(a).total_cmp(&size(b)));
        let (row, column) = largest.unwrap_or((k, k));
        for (taken, order) in [(row, &mut rows), (column, &mut columns)] {
            if taken != k {
                order.swap(taken, k);
                product = -product;
            }
        }
        (0..n).for_each(|i| left.swap(row * n + i, k * n + i));
        (0..n).for_each(|i| left.swap(i * n + column, i * n + k));
        let pivot = left[k * n + k];
        if pivot == 0.0 {
            return all;
        }
        product *= pivot;
        for row in k + 1..n {
            let factor = left[row * n + k] / pivot;
            left[row * n + k] = factor;
            for i in k + 1..n {
                left[row * n + i] -= factor * left[k * n + i];
            }
        }
    }
    let Some(last) = n.checked_sub(1) else {
        return all;
    };
    let (mut y, mut z) = (vec![0.0; n], vec![0.0; n]);
    (y[last], z[last]) = (1.0, 1.0);
    for i in (0..last).rev() {
        y[i] = -(i + 1..n).map(|k| left[k * n + i] * y[k]).sum::<f64>();
        let sum = (i + 1..n).map(|k| left[i * n + k] * z[k]).sum::<f64>();
        z[i] = -sum / left[i * n + i];
    }
    for row in 0..n {
        for column in 0..n {
            all[rows[row] * n + columns[column]] = product * y[row] * z[column];
        }
    }
    all
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
