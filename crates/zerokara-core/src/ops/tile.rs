//! A tensor repeated along its axes; the gradient is the sum over what was repeated.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Tile {
    /// How often, for each axis.
    repeats: Vec<usize>,
}

attributes!(Tile: repeats);

impl Op for Tile {
    fn name(&self) -> &'static str {
        "tile"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        if self.repeats.len() != x.rank() {
            return Err(format!(
                "{} numbers of repeats do not go with {} axes",
                self.repeats.len(),
                x.rank()
            ));
        }
        let lengths = x.shape.iter().zip(&self.repeats);
        let shape: Option<Vec<usize>> = lengths.map(|(n, &times)| n.checked_mul(times)).collect();
        let shape = shape.ok_or("an axis is longer than can be counted")?;
        Ok(Meta::new(shape, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let from = inputs[0].shape();
        let strides = shape::row_major(from);
        let places = shape::indices(output.shape()).enumerate();
        let pairs = places.map(|(to, index)| {
            let axes = index.iter().zip(from).zip(&strides);
            let at = axes.map(|((&i, &length), &stride)| i % length * stride as usize);
            (at.sum(), to)
        });
        loops::copy(inputs[0], output, pairs);
        Ok(())
    }

    /// Each axis becomes two, of which the first is repeated.
    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let shape = x.shape().ok()?;
        let pairs = || shape.iter().zip(&self.repeats);
        let one = |n: usize| i64::try_from(n).ok();
        let split: Option<Vec<i64>> = pairs().flat_map(|(&n, _)| [Some(1), one(n)]).collect();
        let wide: Vec<usize> = pairs().flat_map(|(&n, &times)| [times, n]).collect();
        let joined: Option<Vec<i64>> = pairs()
            .map(|(&n, &times)| one(n.checked_mul(times)?))
            .collect();
        let spread = x.reshape_exactly(&split?).broadcast_to(&wide);
        Some(spread.reshape_exactly(&joined?))
    }
}

impl Tensor {
    /// The tensor repeated so often along each of its axes, as NumPy's `tile`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0]]);
    /// let y = x.tile([2, 2]);
    /// assert_eq!(y.shape()?, [2, 4]);
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "repeat")]
    #[track_caller]
    pub fn tile(&self, repeats: impl Into<Vec<usize>>) -> Tensor {
        let repeats = repeats.into();
        Tensor::apply(Tile { repeats }, &[self])
    }
}
