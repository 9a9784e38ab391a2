//! Triangles of matrices: what is above (or below) a diagonal stays, the rest becomes 0.

use super::prelude::*;

/// The operation, on the last two axes.
#[derive(Debug)]
pub struct Trilu {
    upper: bool,
    /// The diagonal that still belongs to it: 0 the main one, above it positive.
    k: i64,
}

attributes!(Trilu: upper, k);

impl Trilu {
    /// Whether an element stays.
    fn stays(&self, row: usize, column: usize) -> bool {
        let distance = column as i128 - row as i128;
        match self.upper {
            true => distance >= i128::from(self.k),
            false => distance <= i128::from(self.k),
        }
    }
}

impl Op for Trilu {
    fn name(&self) -> &'static str {
        "trilu"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        if x.rank() < 2 {
            return Err("needs matrices, at least 2 axes".into());
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(Tensor::apply(Trilu { ..*self }, &[call.gradient]))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let &[rows, columns] = output.shape().last_chunk().ok_or("needs 2 axes")?;
        let stays = |at: &usize| self.stays(at / columns % rows, at % columns);
        let kept = (0..output.len()).filter(stays).map(|at| (at, at));
        loops::copy(inputs[0], output, kept);
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let &[rows, columns] = x.shape().ok()?.last_chunk()?;
        // The mask of no matrices could be larger than any memory.
        if x.meta().is_ok_and(Meta::is_empty) {
            return Some(x.clone());
        }
        let row = |row: usize| (0..columns).map(move |column| (row, column));
        let all = (0..rows).flat_map(row);
        let mask: Vec<i64> = all.map(|(r, c)| i64::from(self.stays(r, c))).collect();
        let mask = Array::new([rows, columns], mask).cast(DType::Bool);
        Some(Tensor::from(mask).select(x, &x.zeros_like()))
    }
}

impl Tensor {
    /// The matrices `[.., M, N]` with what is above a diagonal, which is `k` places to the right of the main one, and 0 below it.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.triu(0).to_vec::<f32>()?, [1.0, 2.0, 0.0, 4.0]);
    /// assert_eq!(x.tril(-1).to_vec::<f32>()?, [0.0, 0.0, 3.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn triu(&self, k: i64) -> Tensor {
        Tensor::apply(Trilu { upper: true, k }, &[self])
    }

    /// The matrices `[.., M, N]` with what is below a diagonal, which is `k` places to the right of the main one, and 0 above it.
    #[track_caller]
    pub fn tril(&self, k: i64) -> Tensor {
        Tensor::apply(Trilu { upper: false, k }, &[self])
    }
}
