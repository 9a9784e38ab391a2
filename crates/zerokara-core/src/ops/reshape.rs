//! The same elements in row-major order under another shape.

use super::prelude::*;

/// The operation: lengths, where 0 keeps the input's length of that axis and one -1 takes what remains.
#[derive(Debug)]
pub struct Reshape {
    lengths: Vec<i64>,
    /// Whether 0 means no elements instead of the input's length.
    exact: bool,
}

attributes!(Reshape: lengths, exact);

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        let mut shape = Vec::with_capacity(self.lengths.len());
        let mut rest = None;
        // What the input has on axes that are not kept, and what is asked for in their place: the lengths that are kept
        // cancel, also where there are no samples.
        let mut kept = vec![false; x.rank()];
        let mut known = Some(1usize);
        for (axis, &length) in self.lengths.iter().enumerate() {
            match length {
                0 if !self.exact => {
                    let length = x.shape.get(axis);
                    shape.push(
                        *length
                            .ok_or("a length of 0 keeps an axis that the input does not have")?,
                    );
                    kept[axis] = true;
                }
                -1 if rest.is_none() => {
                    rest = Some(axis);
                    shape.push(1);
                }
                -1 => return Err("at most one length can be -1".into()),
                n => {
                    let n = usize::try_from(n).map_err(|_| format!("a length cannot be {n}"))?;
                    shape.push(n);
                    known = known.and_then(|known| known.checked_mul(n));
                }
            }
        }
        let product = |shape: &[usize]| shape.iter().try_fold(1usize, |n, &l| n.checked_mul(l));
        if let Some(axis) = rest {
            let others = x.shape.iter().zip(&kept).filter(|(_, kept)| !**kept);
            let others: usize = others.map(|(&length, _)| length).product();
            shape[axis] = match known {
                Some(0) => {
                    return Err(format!(
                        "the -1 among the lengths {:?} could stand for anything, since there are no elements",
                        self.lengths
                    ));
                }
                Some(known) => others / known,
                None => 0,
            };
        }
        if product(&shape) != Some(x.len()) {
            return Err(format!(
                "{} elements do not fill the shape {:?}",
                x.len(),
                self.lengths
            ));
        }
        Ok(Meta::new(shape, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::View(crate::op::View::Reshape)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let shape: Vec<i64> = call.inputs[0]
            .shape()
            .unwrap_or(&[])
            .iter()
            .map(|&n| n as i64)
            .collect();
        Gradient::one(call.gradient.reshape_exactly(&shape))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        *output = inputs[0].reshaped(output.shape());
        Ok(())
    }
}

impl Reshape {
    /// To this shape, where a length of 0 means no elements.
    pub fn exactly(shape: &[usize]) -> Self {
        Self {
            lengths: shape.iter().map(|&n| n as i64).collect(),
            exact: true,
        }
    }
}

impl Tensor {
    /// The same elements, row by row, under another shape. A length of 0 keeps the input's length of that axis; one
    /// length can be -1 and takes what remains: `reshape([0, -1])` keeps the batch and flattens the rest.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::zeros([2, 3, 4]);
    /// assert_eq!(x.reshape([0, -1]).shape()?, [2, 12]);
    /// assert_eq!(Tensor::zeros([0, 3, 4]).reshape([0, -1]).shape()?, [0, 12]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("view", "flatten"))]
    #[track_caller]
    pub fn reshape(&self, lengths: impl AsRef<[i64]>) -> Tensor {
        Tensor::apply(
            Reshape {
                lengths: lengths.as_ref().to_vec(),
                exact: false,
            },
            &[self],
        )
    }

    /// As [`Tensor::reshape`], where a length of 0 means no elements.
    #[track_caller]
    pub(crate) fn reshape_exactly(&self, lengths: &[i64]) -> Tensor {
        if self
            .shape()
            .is_ok_and(|s| s.iter().map(|&n| n as i64).eq(lengths.iter().copied()))
        {
            return self.clone();
        }
        Tensor::apply(
            Reshape {
                lengths: lengths.to_vec(),
                exact: true,
            },
            &[self],
        )
    }
}
