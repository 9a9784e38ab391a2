//! Axes in another order: output axis i is input axis `axes[i]`.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Permute {
    axes: Vec<i64>,
}

attributes!(Permute: axes);

impl Permute {
    /// Output axis i is input axis `axes[i]`.
    pub(crate) fn of(axes: &[usize]) -> Self {
        Self {
            axes: axes.iter().map(|&axis| axis as i64).collect(),
        }
    }

    fn order(&self, rank: usize) -> Result<Vec<usize>, String> {
        let order: Vec<usize> = self
            .axes
            .iter()
            .map(|&a| shape::axis(a, rank))
            .collect::<Result<_, _>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(format!(
                "{:?} does not name each of {rank} axes once",
                self.axes
            ));
        }
        Ok(order)
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        let order = self.order(x.rank())?;
        Ok(Meta::new(
            order.iter().map(|&a| x.shape[a]).collect::<Vec<_>>(),
            x.dtype,
        ))
    }

    fn kind(&self) -> Kind {
        let order = self.order(self.axes.len()).unwrap_or_default();
        Kind::View(crate::op::View::Permute(order))
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let order = self.order(self.axes.len()).unwrap_or_default();
        let mut inverse = vec![0; order.len()];
        for (to, &from) in order.iter().enumerate() {
            inverse[from] = to as i64;
        }
        Gradient::one(call.gradient.permute(inverse))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let strides = shape::row_major(x.shape());
        let order = self.order(x.shape().len())?;
        let pairs = shape::indices(output.shape())
            .enumerate()
            .map(|(to, index)| {
                let from: usize = index
                    .iter()
                    .zip(&order)
                    .map(|(&i, &axis)| i * strides[axis] as usize)
                    .sum();
                (from, to)
            });
        loops::copy(x, output, pairs);
        Ok(())
    }
}

impl Tensor {
    /// The axes in another order: axis i of the result is axis `axes[i]` of this tensor (negative: from the back).
    #[doc(alias = "transpose")]
    #[track_caller]
    pub fn permute(&self, axes: impl AsRef<[i64]>) -> Tensor {
        Tensor::apply(
            Permute {
                axes: axes.as_ref().to_vec(),
            },
            &[self],
        )
    }

    /// Two axes exchanged.
    #[track_caller]
    pub fn transpose(&self, a: i64, b: i64) -> Tensor {
        let Ok(found) = self.shape() else {
            return self.clone();
        };
        let rank = found.len();
        let mut axes: Vec<i64> = (0..rank as i64).collect();
        match (shape::axis(a, rank), shape::axis(b, rank)) {
            (Ok(a), Ok(b)) => axes.swap(a, b),
            // Let the operation report the axis that does not exist.
            _ => axes = vec![a, b],
        }
        self.permute(axes)
    }

    /// The last two axes exchanged: the transpose of a matrix, or of each matrix of a batch.
    #[doc(alias = "T")]
    #[track_caller]
    pub fn t(&self) -> Tensor {
        self.transpose(-2, -1)
    }
}
