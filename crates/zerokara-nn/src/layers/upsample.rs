//! Resizing layers.

use super::place_only;
use crate::{Context, Forward, Place};
use zerokara_core::{
    Tensor,
    op::{Coordinates, Interpolation, ResizeOptions, Rounding},
};

/// Inputs `[N, C, ..]` resized by interpolation along all axes behind the channels: `[N, C, H, W] -> [N, C, factor H, factor W]`, rounded
/// down.
///
/// The nearest element is that of PyTorch's `nearest`, `floor(j / factor)`; lines and cubics take half pixels unless corners are
/// aligned.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, Upsample};
/// let x = Tensor::from([[[1.0, 3.0]]]);
/// let up = |layer: Upsample| layer.forward(&x, &mut Context::evaluate()).to_vec::<f32>();
/// assert_eq!(up(Upsample::nearest(2))?, [1.0, 1.0, 3.0, 3.0]);
/// assert_eq!(up(Upsample::linear(2))?, [1.0, 1.5, 2.5, 3.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("Resize", "interpolate"))]
#[derive(Clone, Debug)]
pub struct Upsample {
    place: Place,
    factor: f64,
    mode: Interpolation,
    align_corners: bool,
}

/// A factor by which lengths grow: a whole number, or any number above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(pub f64);

impl From<usize> for Factor {
    fn from(factor: usize) -> Self {
        Self(factor as f64)
    }
}

impl From<f64> for Factor {
    fn from(factor: f64) -> Self {
        Self(factor)
    }
}

impl Upsample {
    #[track_caller]
    fn of(mode: Interpolation, factor: impl Into<Factor>) -> Self {
        Self {
            place: Place::new("Upsample"),
            factor: factor.into().0,
            mode,
            align_corners: false,
        }
    }

    /// Each element as often as the factor says.
    #[track_caller]
    pub fn nearest(factor: impl Into<Factor>) -> Self {
        Self::of(Interpolation::Nearest, factor)
    }

    /// Lines between elements: bilinear for images.
    #[doc(alias = "bilinear")]
    #[track_caller]
    pub fn linear(factor: impl Into<Factor>) -> Self {
        Self::of(Interpolation::Linear, factor)
    }

    /// Cubics through elements: bicubic for images.
    #[doc(alias = "bicubic")]
    #[track_caller]
    pub fn cubic(factor: impl Into<Factor>) -> Self {
        Self::of(Interpolation::Cubic, factor)
    }

    /// Whether the first and the last element stay the first and the last, for lines and cubics.
    pub fn align_corners(mut self, align: bool) -> Self {
        self.align_corners = align;
        self
    }
}

place_only!(Upsample);

impl Forward for Upsample {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let Some(axes @ 1..) = meta.rank().checked_sub(2) else {
                return self
                    .place
                    .invalid(format!("needs an input [N, C, ..], not {meta}"));
            };
            let coordinates = match (self.mode, self.align_corners) {
                (Interpolation::Nearest, _) => Coordinates::Asymmetric,
                (_, true) => Coordinates::AlignCorners,
                (_, false) => Coordinates::HalfPixel,
            };
            x.resize(ResizeOptions {
                coordinate_transformation_mode: coordinates,
                nearest_mode: Rounding::Floor,
                ..ResizeOptions::scales(self.mode, vec![self.factor; axes])
            })
        })
    }
}
