//! Grids of places for [`Tensor::grid_sample`], each an affine map of the place of an element of the output (ONNX `AffineGrid`):
//!
//! ```text
//! out[n, y, x] = theta[n] (x', y', 1)^T
//! ```
//!
//! where x' and y' go from -1 to 1 over the output, and alike for volumes.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct AffineGrid {
    /// Height and width of the output, or depth, height and width.
    size: Vec<usize>,
    /// Whether -1 and 1 are the middles of the first and the last element, else their outer borders.
    align_corners: bool,
}

attributes!(AffineGrid: size, align_corners);

impl AffineGrid {
    /// Where an element lies on an axis of this length.
    fn place(&self, at: usize, length: usize) -> f64 {
        let (at, length) = (at as f64, length as f64);
        match self.align_corners {
            true if length == 1.0 => 0.0,
            true => 2.0 * at / (length - 1.0) - 1.0,
            false => (2.0 * at + 1.0) / length - 1.0,
        }
    }

    /// The elements of the output: across, down (and in depth), and 1.
    fn places(&self) -> Vec<f64> {
        let all = shape::indices(&self.size);
        all.flat_map(|index| {
            let along = (0..index.len()).rev();
            let mut row: Vec<f64> = along.map(|i| self.place(index[i], self.size[i])).collect();
            row.push(1.0);
            row
        })
        .collect()
    }
}

impl Op for AffineGrid {
    fn name(&self) -> &'static str {
        "affine_grid"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [theta] = infer::arity(inputs)?;
        infer::float(theta)?;
        let axes = self.size.len();
        if !(2..=3).contains(&axes) {
            return Err(format!(
                "makes grids of height and width, or depth, height and width, not of {:?}",
                self.size
            ));
        }
        if theta.rank() != 3 || theta.shape[1..] != [axes, axes + 1] {
            return Err(format!(
                "needs maps [N, {axes}, {}], not {:?}",
                axes + 1,
                theta.shape
            ));
        }
        // One for each image is made in any case.
        Meta::new([&self.size[..], &[axes + 1]].concat(), DType::F64).countable()?;
        let shape = [&theta.shape[..1], &self.size, &[axes]].concat();
        Ok(Meta::new(shape, theta.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        if output.is_empty() {
            return Ok(());
        }
        let axes = self.size.len();
        let (theta, places) = (inputs[0].to_f64s(), self.places());
        let mut values = Vec::with_capacity(output.len());
        for theta in theta.chunks(axes * (axes + 1)) {
            for place in places.chunks(axes + 1) {
                let rows = theta.chunks(axes + 1);
                values
                    .extend(rows.map(|row| row.iter().zip(place).map(|(a, b)| a * b).sum::<f64>()));
            }
        }
        *output = Array::new(output.shape(), values).cast(output.dtype());
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let theta = &inputs[0];
        let n = theta.shape().ok()?[0];
        let axes = self.size.len();
        let shape = [&[n], &self.size[..], &[axes]].concat();
        if shape.contains(&0) {
            return Some(theta.sum().without_elements(&shape));
        }
        let count: usize = self.size.iter().product();
        if let Err(error) = Array::check_room(&Meta::new([count, axes + 1], DType::F64)) {
            return Some(Tensor::invalid(error));
        }
        let places = Array::new([count, axes + 1], self.places());
        let maps = theta
            .permute([2, 0, 1])
            .reshape_exactly(&[axes as i64 + 1, (n * axes) as i64]);
        let lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        let grid = Tensor::from(places).cast(theta.dtype().ok()?).matmul(&maps);
        Some(
            grid.reshape_exactly(&[count as i64, n as i64, axes as i64])
                .permute([1, 0, 2])
                .reshape_exactly(&lengths),
        )
    }
}

impl Tensor {
    /// A grid of places `[N, H, W, 2]` for [`Tensor::grid_sample`] from affine maps `[N, 2, 3]`, for outputs of this size `[H, W]`; or
    /// `[N, D, H, W, 3]` from maps `[N, 3, 4]` for `[D, H, W]`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let turn = Tensor::from([[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]]);
    /// let grid = turn.affine_grid([1, 2], true);
    /// assert_eq!(grid.to_vec::<f32>()?, [0.0, 1.0, 0.0, -1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "AffineGrid")]
    #[track_caller]
    pub fn affine_grid(&self, size: impl Into<Vec<usize>>, align_corners: bool) -> Tensor {
        let size = size.into();
        Tensor::apply(
            AffineGrid {
                size,
                align_corners,
            },
            &[self],
        )
    }
}
