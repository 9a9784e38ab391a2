//! Pooling layers.

use super::{Ends, Pair, place_only};
use crate::{Context, Forward, Place};
use zerokara_core::{
    Tensor,
    op::{Padding, PoolOptions, WindowOptions},
};

macro_rules! pooling {
    ($type:ident, $name:literal, |$x:ident, $options:ident| $apply:expr, $all:expr, $doc:literal) => {
        #[doc = $doc]
        #[doc(alias = "Pooling")]
        #[derive(Clone, Debug)]
        pub struct $type {
            place: Place,
            options: PoolOptions,
            dilation: [usize; 2],
            ceil: bool,
        }

        impl $type {
            /// Windows of this size (one number: square), side by side, no padding.
            #[track_caller]
            pub fn new(kernel: impl Into<Pair>) -> Self {
                Self {
                    place: Place::new($name),
                    options: PoolOptions::new(kernel.into().0),
                    dilation: [1, 1],
                    ceil: false,
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

            /// Distance between neighbouring elements of the window.
            pub fn dilation(mut self, dilation: impl Into<Pair>) -> Self {
                self.dilation = dilation.into().0;
                self
            }

            /// Whether a last window that reaches beyond the padded image counts, if it begins before the padding behind.
            pub fn ceil(mut self, ceil: bool) -> Self {
                self.ceil = ceil;
                self
            }
        }

        place_only!($type);

        impl Forward for $type {
            fn forward(&self, $x: &Tensor, _: &mut Context) -> Tensor {
                self.place.run(|| match is_plain(self.dilation, self.ceil) {
                    true => {
                        let $options = self.options;
                        $apply
                    }
                    false => {
                        let $options = windows(self.options, self.dilation, self.ceil);
                        $all
                    }
                })
            }
        }
    };
}

/// Pooling of images that all kernels know is that of [`PoolOptions`]; what has more options is made of it.
fn is_plain(dilation: [usize; 2], ceil: bool) -> bool {
    dilation == [1, 1] && !ceil
}

/// All options of a pooling of images.
fn windows(options: PoolOptions, dilation: [usize; 2], ceil: bool) -> WindowOptions {
    WindowOptions {
        kernel: options.kernel.to_vec(),
        stride: options.stride.to_vec(),
        padding: [options.padding.before, options.padding.behind].concat(),
        dilation: dilation.to_vec(),
        ceil,
    }
}

pooling!(
    MaxPool2d,
    "MaxPool2d",
    |x, options| x.max_pool2d(options),
    x.max_pool(options),
    "The largest element of each window, `[N, C, H, W] -> [N, C, Y, X]`: the book's `Pooling` (page 224). Padding never \
     wins. `Y = floor((H + 2 padding - KH) / stride) + 1`."
);
pooling!(
    AvgPool2d,
    "AvgPool2d",
    |x, options| x.avg_pool2d(options, true),
    x.avg_pool(options, true),
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

macro_rules! pooling_of_sequences {
    ($type:ident, $name:literal, |$x:ident, $options:ident| $apply:expr, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Debug)]
        pub struct $type {
            place: Place,
            options: WindowOptions,
        }

        impl $type {
            /// Windows of this length, side by side, no padding.
            #[track_caller]
            pub fn new(kernel: usize) -> Self {
                Self {
                    place: Place::new($name),
                    options: WindowOptions::new([kernel]),
                }
            }

            /// Steps of the window.
            pub fn stride(mut self, stride: usize) -> Self {
                self.options.stride = vec![stride];
                self
            }

            /// Padding before and behind the sequence (one number: both), less than the window.
            pub fn padding(mut self, padding: impl Into<Ends>) -> Self {
                self.options.padding = padding.into().0.to_vec();
                self
            }

            /// Distance between neighbouring elements of the window.
            pub fn dilation(mut self, dilation: usize) -> Self {
                self.options.dilation = vec![dilation];
                self
            }

            /// Whether a last window that reaches beyond the padded sequence counts, if it begins before the padding behind.
            pub fn ceil(mut self, ceil: bool) -> Self {
                self.options.ceil = ceil;
                self
            }
        }

        place_only!($type);

        impl Forward for $type {
            fn forward(&self, $x: &Tensor, _: &mut Context) -> Tensor {
                let $options = self.options.clone();
                self.place.run(|| $apply)
            }
        }
    };
}

pooling_of_sequences!(
    MaxPool1d,
    "MaxPool1d",
    |x, options| x.max_pool(options),
    /// The largest element of each window, `[N, C, L] -> [N, C, Y]`. Padding never wins.
    /// `Y = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1`.
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Context, Forward, MaxPool1d};
    /// let x = Tensor::from([[[1.0, 4.0, 3.0, 2.0, 5.0]]]);
    /// let y = MaxPool1d::new(2).ceil(true).forward(&x, &mut Context::evaluate());
    /// assert_eq!(y.to_vec::<f32>()?, [4.0, 3.0, 5.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
);
pooling_of_sequences!(
    AvgPool1d,
    "AvgPool1d",
    |x, options| x.avg_pool(options, true),
    /// The mean of each window, `[N, C, L] -> [N, C, Y]`; padding counts as zeros, as in PyTorch.
    /// `Y = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1`.
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{AvgPool1d, Context, Forward};
    /// let x = Tensor::from([[[1.0, 4.0, 3.0, 2.0]]]);
    /// let y = AvgPool1d::new(2).forward(&x, &mut Context::evaluate());
    /// assert_eq!(y.to_vec::<f32>()?, [2.5, 2.5]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
);

/// The mean of each channel, `[N, C, L] -> [N, C]`.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, GlobalAvgPool1d};
/// let x = Tensor::from([[[1.0, 3.0], [4.0, 8.0]]]);
/// let y = GlobalAvgPool1d::new().forward(&x, &mut Context::evaluate());
/// assert_eq!(y.to_vec::<f32>()?, [2.0, 6.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GlobalAvgPool1d {
    place: Place,
}

impl GlobalAvgPool1d {
    /// The layer.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("GlobalAvgPool1d"),
        }
    }
}

place_only!(GlobalAvgPool1d);

impl Forward for GlobalAvgPool1d {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| match x.meta() {
            Ok(meta) if meta.rank() != 3 => self
                .place
                .invalid(format!("needs sequences [N, C, L], not {meta}")),
            _ => x.mean_axes(&[2], false),
        })
    }
}
