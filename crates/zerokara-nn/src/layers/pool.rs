//! Pooling layers.

use super::{Pair, place_only};
use crate::{Context, Forward, Place};
use zerokara_core::{
    Tensor,
    op::{Padding, PoolOptions},
};

macro_rules! pooling {
    ($type:ident, $name:literal, |$x:ident, $options:ident| $apply:expr, $doc:literal) => {
        #[doc = $doc]
        #[doc(alias = "Pooling")]
        #[derive(Clone, Debug)]
        pub struct $type {
            place: Place,
            options: PoolOptions,
        }

        impl $type {
            /// Windows of this size (one number: square), side by side, no padding.
            #[track_caller]
            pub fn new(kernel: impl Into<Pair>) -> Self {
                Self {
                    place: Place::new($name),
                    options: PoolOptions::new(kernel.into().0),
                }
            }

            /// Steps of the window, down and across.
            pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
                self.options.stride = stride.into().0;
                self
            }

            /// Padding around the image, above and below, left and right (one number: on all sides; four: above, left,
            /// below, right); less than the window.
            pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
                self.options.padding = padding.into();
                self
            }
        }

        place_only!($type);

        impl Forward for $type {
            fn forward(&self, $x: &Tensor, _: &mut Context) -> Tensor {
                let $options = self.options;
                self.place.run(|| $apply)
            }
        }
    };
}

pooling!(
    MaxPool2d,
    "MaxPool2d",
    |x, options| x.max_pool2d(options),
    "The largest element of each window, `[N, C, H, W] -> [N, C, Y, X]`: the book's `Pooling` (page 224). Padding never \
     wins. `Y = floor((H + 2 padding - KH) / stride) + 1`."
);
pooling!(
    AvgPool2d,
    "AvgPool2d",
    |x, options| x.avg_pool2d(options, true),
    "The mean of each window, `[N, C, H, W] -> [N, C, Y, X]`; padding counts as zeros, as in PyTorch. \
     `Y = floor((H + 2 padding - KH) / stride) + 1`."
);

/// The mean of each channel, `[N, C, H, W] -> [N, C]`.
#[derive(Clone, Debug)]
pub struct GlobalAvgPool2d {
    place: Place,
}

impl GlobalAvgPool2d {
    /// The layer.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("GlobalAvgPool2d"),
        }
    }
}

place_only!(GlobalAvgPool2d);

impl Forward for GlobalAvgPool2d {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| x.mean_axes(&[2, 3], false))
    }
}
