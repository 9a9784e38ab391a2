//! Average pooling: `out[n, c, y, x] = mean over the window of in[n, c, y s + k - p, x s + l - p]`. Padding counts as
//! zeros with `count_padding`; without it, the mean is over what lies inside the image.
//!
//! The gradient spreads evenly over the window; it is linear, and its own gradient is the pooling again.

use super::{
    prelude::*,
    sliding::{pooled_shape, windows},
};
use crate::op::{PoolOptions, Window};
use loops::Real;
use zerokara_kernels::plan::Pooling;

/// The operation `avg_pool2d`.
#[derive(Debug)]
pub struct AvgPool2d {
    options: PoolOptions,
    count_padding: bool,
}

attributes!(AvgPool2d: options, count_padding);

/// What the mean divides by.
fn divisor(options: &PoolOptions, count_padding: bool, inside: usize) -> usize {
    if count_padding {
        options.kernel[0] * options.kernel[1]
    } else {
        inside
    }
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        infer::float(x)?;
        Ok(Meta::new(pooled_shape(&self.options, &x.shape)?, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Window(Window::Pool(
            Pooling::Average {
                count_padding: self.count_padding,
            },
            self.options,
        ))
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let Ok(&[_, _, h, w]) = call.inputs[0].shape() else {
            return Gradient::Zero;
        };
        Gradient::one(Tensor::apply(
            AvgPool2dGradient {
                options: self.options,
                count_padding: self.count_padding,
                input: [h, w],
            },
            &[call.gradient],
        ))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (x, pooled) = (inputs[0], output.shape().to_vec());
        loops::floats!(x.dtype(), T => {
            let (x, y, shape) = (x.slice::<T>(), output.slice_mut::<T>(), x.shape());
            windows(&self.options, shape, &pooled, |at, window| {
                let sum: loops::Sum = window.iter().map(|&i| x[i]).collect();
                let count = divisor(&self.options, self.count_padding, window.len());
                y[at] = T::narrow(sum.mean(count));
            });
        });
        Ok(())
    }
}

/// The operation `avg_pool2d_gradient`, on the output's gradient.
#[derive(Debug)]
pub struct AvgPool2dGradient {
    options: PoolOptions,
    count_padding: bool,
    /// Height and width of the pooling's input, which the output's size alone does not tell.
    input: [usize; 2],
}

attributes!(AvgPool2dGradient: options, count_padding, input);

impl Op for AvgPool2dGradient {
    fn name(&self) -> &'static str {
        "avg_pool2d_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [g] = infer::arity(inputs)?;
        infer::float(g)?;
        infer::rank(g, 4, "[N, C, Y, X]")?;
        let shape = [g.shape[0], g.shape[1], self.input[0], self.input[1]];
        if pooled_shape(&self.options, &shape)? != g.shape[..] {
            return Err("the gradient's shape is not that of the pooling's output".into());
        }
        Ok(Meta::new(shape, g.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Window(Window::PoolGradient(
            Pooling::Average {
                count_padding: self.count_padding,
            },
            self.options,
        ))
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(call.gradient.avg_pool2d(self.options, self.count_padding))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (g, shape) = (inputs[0], output.shape().to_vec());
        loops::floats!(g.dtype(), T => loops::summed::<T>(output, |sums| {
            let (pooled, g) = (g.shape(), g.slice::<T>());
            windows(&self.options, &shape, pooled, |at, window| {
                let count = divisor(&self.options, self.count_padding, window.len());
                let share = g[at].wide() / count as f64;
                for &i in window {
                    sums[i] += share;
                }
            });
            Ok(())
        }))
    }
}

/// Windows that adaptive pooling makes along an axis at most.
const MOST_WINDOWS: usize = 1 << 16;

impl Tensor {
    /// The mean of each window of images `[N, C, H, W]`; padding counts as zeros with `count_padding` (`count_include_pad` of
    /// PyTorch and ONNX), else it is left out of the mean. With it every window is divided by its height times its width,
    /// wherever the padding lies: more of it on one side makes the means there smaller.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::PoolOptions};
    /// let x = Tensor::from([[[[1.0, 2.0], [4.0, 3.0]]]]);
    /// let y = x.avg_pool2d(PoolOptions::new([2, 2]), false);
    /// assert_eq!(y.to_vec::<f32>()?, [2.5]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn avg_pool2d(&self, options: PoolOptions, count_padding: bool) -> Tensor {
        Tensor::apply(
            AvgPool2d {
                options,
                count_padding,
            },
            &[self],
        )
    }

    /// The mean of each channel of images `[N, C, H, W]`, giving `[N, C, 1, 1]`.
    #[track_caller]
    pub fn global_avg_pool2d(&self) -> Tensor {
        self.mean_axes(&[2, 3], true)
    }

    /// The largest element of each channel of images `[N, C, H, W]`, giving `[N, C, 1, 1]`.
    #[track_caller]
    pub fn global_max_pool2d(&self) -> Tensor {
        self.max_axes(&[2, 3], true)
    }

    /// Means over windows that divide images `[N, C, H, W]` into `[N, C, Y, X]` as evenly as possible: window i of
    /// an axis reaches from `floor(i H / Y)` to `ceil((i + 1) H / Y)`, as in PyTorch.
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output: [usize; 2]) -> Tensor {
        self.adaptive(
            "adaptive_avg_pool2d",
            output,
            |options| self.avg_pool2d(options, false),
            &|t, axis| t.mean_axes(&[axis], true),
        )
    }

    /// The largest elements of the windows of [`Tensor::adaptive_avg_pool2d`].
    #[track_caller]
    pub fn adaptive_max_pool2d(&self, output: [usize; 2]) -> Tensor {
        self.adaptive(
            "adaptive_max_pool2d",
            output,
            |options| self.max_pool2d(options),
            &|t, axis| t.max_axes(&[axis], true),
        )
    }

    /// Where windows are equally large, they are those of a pooling (`even`). Else: they are products of intervals, so rows and columns can be summed up one after the other.
    #[track_caller]
    fn adaptive(
        &self,
        name: &str,
        output: [usize; 2],
        even: impl Fn(PoolOptions) -> Tensor,
        reduce: &dyn Fn(&Tensor, i64) -> Tensor,
    ) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let &[_, _, h, w] = shape else {
            return Tensor::refuse(name, &[self], "needs images [N, C, H, W]".into());
        };
        if output.contains(&0) || h == 0 || w == 0 {
            return Tensor::refuse(
                name,
                &[self],
                format!("cannot divide {h} x {w} into {output:?} windows"),
            );
        }
        // Each window is an operation of its own.
        if output.iter().any(|&n| n > MOST_WINDOWS) {
            let reason =
                format!("divides an axis into at most {MOST_WINDOWS} windows, not {output:?}");
            return Tensor::refuse(name, &[self], reason);
        }
        if h.is_multiple_of(output[0]) && w.is_multiple_of(output[1]) {
            return even(PoolOptions::new([h / output[0], w / output[1]]));
        }
        let mut pooled = self.clone();
        for (axis, (length, count)) in [(h, output[0]), (w, output[1])].into_iter().enumerate() {
            let axis = axis as i64 + 2;
            let parts: Vec<Tensor> = (0..count)
                .map(|i| {
                    let start = i * length / count;
                    let stop = ((i + 1) * length).div_ceil(count);
                    reduce(&pooled.narrow(axis, start, stop - start), axis)
                })
                .collect();
            pooled = Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis);
        }
        pooled
    }
}
