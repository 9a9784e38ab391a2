//! Channels that become pixels, and pixels that become channels (ONNX `DepthToSpace` and `SpaceToDepth`):
//!
//! ```text
//! depth_to_space, dcr   y[n, c, i b + k, j b + l] = x[n, (k b + l) C' + c, i, j]
//! depth_to_space, crd   y[n, c, i b + k, j b + l] = x[n, (c b + k) b + l, i, j]
//! space_to_depth        y[n, (k b + l) C + c, i, j] = x[n, c, i b + k, j b + l]
//! ```
//!
//! with blocks of b x b pixels and C' = C / b^2. All are the same elements in another order; the gradient puts them back.

use super::prelude::*;

words!(
    /// In which order the channels of a block stand.
    BlockOrder: "mode" {
        /// Depth, column, row: the pixel of the block varies slowest.
        Dcr = "DCR",
        /// Column, row, depth: the pixel of the block varies fastest (PyTorch's `pixel_shuffle`).
        Crd = "CRD",
    }
);

/// The operation `depth_to_space`.
#[derive(Debug)]
pub struct DepthToSpace {
    block: usize,
    mode: BlockOrder,
}

attributes!(DepthToSpace: block, mode);

/// The operation `space_to_depth`.
#[derive(Debug)]
pub struct SpaceToDepth {
    block: usize,
}

attributes!(SpaceToDepth: block);

/// The square of the block's length.
fn pixels(block: usize) -> Result<usize, String> {
    block
        .checked_mul(block)
        .filter(|&pixels| pixels > 0)
        .ok_or_else(|| format!("blocks of {block} x {block} pixels cannot be"))
}

/// Images `[N, C, H, W]`.
fn images(inputs: &[Meta]) -> Result<(&Meta, [usize; 4]), String> {
    let [x] = infer::arity(inputs)?;
    match x.shape[..] {
        [n, c, h, w] => Ok((x, [n, c, h, w])),
        _ => Err(format!("needs images [N, C, H, W], not {:?}", x.shape)),
    }
}

fn signed(lengths: &[usize]) -> Vec<i64> {
    lengths.iter().map(|&n| n as i64).collect()
}

impl Op for DepthToSpace {
    fn name(&self) -> &'static str {
        "depth_to_space"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, [n, c, h, w]) = images(inputs)?;
        let pixels = pixels(self.block)?;
        if !c.is_multiple_of(pixels) {
            return Err(format!(
                "{c} channels do not make blocks of {pixels} pixels"
            ));
        }
        let rows = h.checked_mul(self.block).zip(w.checked_mul(self.block));
        let (h, w) = rows.ok_or("the images become larger than can be counted")?;
        Ok(Meta::new([n, c / pixels, h, w], x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (b, x, shape) = (self.block, inputs[0], output.shape().to_vec());
        let &[_, channels, h, w] = x.shape() else {
            return Err("needs images [N, C, H, W]".into());
        };
        let pairs = shape::indices(&shape).enumerate().map(|(to, i)| {
            let (k, l) = (i[2] % b, i[3] % b);
            let from = match self.mode {
                BlockOrder::Dcr => (k * b + l) * shape[1] + i[1],
                BlockOrder::Crd => (i[1] * b + k) * b + l,
            };
            let plane = i[0] * channels + from;
            ((plane * h + i[2] / b) * w + i[3] / b, to)
        });
        loops::copy(x, output, pairs);
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, b) = (&inputs[0], self.block);
        let &[n, c, h, w] = x.shape().ok()? else {
            return None;
        };
        let depth = c / pixels(b).ok()?;
        let split = match self.mode {
            BlockOrder::Dcr => x
                .reshape_exactly(&signed(&[n, b, b, depth, h, w]))
                .permute([0, 3, 4, 1, 5, 2]),
            BlockOrder::Crd => x
                .reshape_exactly(&signed(&[n, depth, b, b, h, w]))
                .permute([0, 1, 4, 2, 5, 3]),
        };
        Some(split.reshape_exactly(&signed(&[n, depth, h * b, w * b])))
    }
}

impl Op for SpaceToDepth {
    fn name(&self) -> &'static str {
        "space_to_depth"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, [n, c, h, w]) = images(inputs)?;
        let pixels = pixels(self.block)?;
        if !h.is_multiple_of(self.block) || !w.is_multiple_of(self.block) {
            return Err(format!(
                "{h} x {w} pixels do not divide into blocks of {0} x {0}",
                self.block
            ));
        }
        let channels = c
            .checked_mul(pixels)
            .ok_or("there are more channels than can be counted")?;
        Ok(Meta::new(
            [n, channels, h / self.block, w / self.block],
            x.dtype,
        ))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (b, x, shape) = (self.block, inputs[0], output.shape().to_vec());
        let &[_, channels, h, w] = x.shape() else {
            return Err("needs images [N, C, H, W]".into());
        };
        let pairs = shape::indices(&shape).enumerate().map(|(to, i)| {
            let (pixel, c) = (i[1] / channels, i[1] % channels);
            let (row, column) = (i[2] * b + pixel / b, i[3] * b + pixel % b);
            (((i[0] * channels + c) * h + row) * w + column, to)
        });
        loops::copy(x, output, pairs);
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, b) = (&inputs[0], self.block);
        let &[n, c, h, w] = x.shape().ok()? else {
            return None;
        };
        let split = x.reshape_exactly(&signed(&[n, c, h / b, b, w / b, b]));
        let channels = split.permute([0, 3, 5, 1, 2, 4]);
        Some(channels.reshape_exactly(&signed(&[n, c * b * b, h / b, w / b])))
    }
}

impl Tensor {
    /// Images `[N, C, H, W]` whose channels become blocks of `block` x `block` pixels, giving `[N, C / block^2, block H, block W]`.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::BlockOrder};
    /// let x = Tensor::from([[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]]);
    /// let y = x.depth_to_space(2, BlockOrder::Crd);
    /// assert_eq!(y.shape()?, [1, 1, 2, 2]);
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("DepthToSpace", "pixel_shuffle"))]
    #[track_caller]
    pub fn depth_to_space(&self, block: usize, mode: BlockOrder) -> Tensor {
        Tensor::apply(DepthToSpace { block, mode }, &[self])
    }

    /// Images `[N, C, H, W]` whose blocks of `block` x `block` pixels become channels, giving `[N, C block^2, H / block, W / block]`: what
    /// [`Tensor::depth_to_space`] takes back in the order [`BlockOrder::Dcr`](crate::op::BlockOrder::Dcr).
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[[[1.0, 2.0], [3.0, 4.0]]]]);
    /// assert_eq!(x.space_to_depth(2).shape()?, [1, 4, 1, 1]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("SpaceToDepth", "pixel_unshuffle"))]
    #[track_caller]
    pub fn space_to_depth(&self, block: usize) -> Tensor {
        Tensor::apply(SpaceToDepth { block }, &[self])
    }
}
