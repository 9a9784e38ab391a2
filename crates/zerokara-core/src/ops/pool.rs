//! Pooling along one, two or three axes (ONNX `MaxPool`, `AveragePool` and `LpPool`), with dilation and windows that reach beyond
//! the end:
//!
//! ```text
//! max_pool   out[n, c, y] = max over k of in[n, c, y s + k d - p]
//! avg_pool   out[n, c, y] = (sum over k of in[n, c, y s + k d - p]) / count
//! lp_pool    out[n, c, y] = (sum over k of |in[n, c, y s + k d - p]|^e)^(1 / e)
//! ```
//!
//! and alike along further axes. What lies outside the input never is the maximum and adds nothing to sums; in means it counts as
//! zeros with `count_padding`, but for what windows have beyond the padding behind.
//!
//! A window is a product of intervals, and so is what its elements are divided by: so two axes are pooled as images, and the third
//! after them. The first largest element of a window is then the one that is first row by row. Of dilated windows the largest is found
//! element by element, and for means their elements are put side by side. All else is done by [`max_pool2d`](super::max_pool2d) and [`avg_pool2d`](super::avg_pool2d), whose
//! gradients these have.

use super::{prelude::*, sliding::conv2d_output_size};
use crate::op::{Padding, PoolOptions, WindowOptions};
use loops::Real;

/// So many windows may begin before an axis that is shorter than the distance of their elements.
const MOST_BEGINNINGS: usize = 1 << 20;

/// A dilated window has so many elements along an axis at most: each is an operation of its own.
const MOST_ELEMENTS: usize = 1 << 16;

/// The windows along one axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    length: usize,
    kernel: usize,
    stride: usize,
    before: usize,
    behind: usize,
    dilation: usize,
    /// How many windows there are.
    windows: usize,
}

impl Axis {
    /// An axis of length 1 that is left as it is.
    const NONE: Self = Self {
        length: 1,
        kernel: 1,
        stride: 1,
        before: 0,
        behind: 0,
        dilation: 1,
        windows: 1,
    };

    /// The distance from the first element of a window to what lies behind the last.
    fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// How far the last window reaches beyond the axis.
    fn beyond(&self) -> usize {
        let end = ((self.windows - 1) * self.stride).saturating_add(self.reach());
        end.saturating_sub(self.length + self.before)
    }

    /// What element k of window y meets.
    fn meets(&self, y: usize, k: usize) -> Option<usize> {
        (y * self.stride + k * self.dilation)
            .checked_sub(self.before)
            .filter(|&at| at < self.length)
    }

    /// By how many elements a mean over window y is divided.
    fn count(&self, y: usize, count_padding: bool) -> usize {
        if !count_padding {
            let start = y * self.stride;
            let to = |end: usize| {
                end.saturating_sub(start)
                    .div_ceil(self.dilation)
                    .min(self.kernel)
            };
            return to(self.length + self.before) - to(self.before);
        }
        let end = self.length + self.before + self.behind;
        let room = end.saturating_sub(y * self.stride);
        self.kernel.min(room.div_ceil(self.dilation))
    }

    /// Whether every mean is divided by the length of the window.
    fn is_even(&self, count_padding: bool) -> bool {
        let (first, last) = (0, self.windows - 1);
        self.count(first, count_padding) == self.kernel
            && self.count(last, count_padding) == self.kernel
    }
}

impl WindowOptions {
    /// The windows along each axis behind batch and channels.
    fn axes(&self, x: &[usize]) -> Result<Vec<Axis>, String> {
        let dimensions = self.kernel.len();
        let [_, _, lengths @ ..] = x else {
            return Err(format!("needs an input [N, C, ..], not {x:?}"));
        };
        if lengths.len() != dimensions || !(1..=3).contains(&dimensions) {
            return Err(format!(
                "windows {:?} are for an input of {dimensions} axes (one to three) behind [N, C, ..], not {x:?}",
                self.kernel
            ));
        }
        let fits = |list: &[usize], count: usize| list.is_empty() || list.len() == count;
        if self.stride.len() != dimensions
            || !fits(&self.dilation, dimensions)
            || !fits(&self.padding, 2 * dimensions)
        {
            return Err(format!(
                "needs a step for each of {dimensions} axes, a dilation for each or none, and two paddings for each or none"
            ));
        }
        let or = |list: &[usize], at: usize, absent: usize| list.get(at).copied().unwrap_or(absent);
        let axes = (0..dimensions).map(|at| {
            let mut axis = Axis {
                length: lengths[at],
                kernel: self.kernel[at],
                stride: self.stride[at],
                before: or(&self.padding, at, 0),
                behind: or(&self.padding, at + dimensions, 0),
                dilation: or(&self.dilation, at, 1),
                windows: 1,
            };
            let padding = [axis.before, axis.behind];
            axis.windows = conv2d_output_size(
                axis.length,
                axis.kernel,
                axis.stride,
                padding,
                axis.dilation,
            )?;
            let empty = || "padding must be smaller than the window, else some windows are empty";
            if axis.before.max(axis.behind) >= axis.reach() {
                return Err(empty().into());
            }
            if axis.dilation > 1 && axis.kernel > MOST_ELEMENTS {
                return Err(format!(
                    "a dilated window has at most {MOST_ELEMENTS} elements along an axis, not {}",
                    axis.kernel
                ));
            }
            if self.ceil {
                let padded = axis.length + axis.before + axis.behind;
                let more = (padded - axis.reach()).div_ceil(axis.stride);
                if more * axis.stride < axis.length + axis.before {
                    axis.windows = more + 1;
                }
            }
            // The elements of a window that begins in the axis, or are as near as the axis is long, cannot all miss it.
            if axis.dilation > axis.length {
                let beginnings = axis.before.div_ceil(axis.stride).min(axis.windows);
                if beginnings > MOST_BEGINNINGS {
                    return Err("padding and dilation are too large for the input".into());
                }
                if (0..beginnings).any(|y| axis.count(y, false) == 0) {
                    return Err(empty().into());
                }
            }
            Ok(axis)
        });
        let axes = axes.collect::<Result<Vec<Axis>, String>>()?;
        let elements = axes
            .iter()
            .try_fold(1usize, |n, axis| n.checked_mul(axis.kernel));
        match elements {
            Some(_) => Ok(axes),
            None => Err("a window has more elements than can be counted".into()),
        }
    }

    /// What pooling gives.
    pub(super) fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        infer::float(x)?;
        let axes = self.axes(&x.shape)?;
        let mut shape = x.shape[..2].to_vec();
        shape.extend(axes.iter().map(|axis| axis.windows));
        Ok(Meta::new(shape, x.dtype))
    }

    /// For each element of the output: its position, its window along each axis, and the positions of the elements that it meets.
    pub(super) fn walk(
        &self,
        x: &[usize],
        mut visit: impl FnMut(usize, &[Axis], &[usize], &[usize]),
    ) -> Result<(), String> {
        if x[0] * x[1] == 0 {
            return Ok(());
        }
        let axes = self.axes(x)?;
        let plane: usize = axes.iter().map(|axis| axis.length).product();
        let windows: Vec<usize> = axes.iter().map(|axis| axis.windows).collect();
        let kernel: Vec<usize> = axes.iter().map(|axis| axis.kernel).collect();
        let mut met = Vec::new();
        let all = shape::indices(&[&[x[0] * x[1]], &windows[..]].concat());
        for (at, index) in all.enumerate() {
            met.clear();
            met.extend(shape::indices(&kernel).filter_map(|element| {
                let mut position = 0;
                for (i, axis) in axes.iter().enumerate() {
                    position = position * axis.length + axis.meets(index[i + 1], element[i])?;
                }
                Some(index[0] * plane + position)
            }));
            visit(at, &axes, &index[1..], &met);
        }
        Ok(())
    }

    /// Pools by steps on images: `pool` is given images `[N, C, H, W]` and the windows along the last two axes.
    fn by_images(&self, x: &Tensor, pool: impl Fn(&Tensor, [Axis; 2]) -> Tensor) -> Option<Tensor> {
        let shape = x.shape().ok()?;
        let axes = self.axes(shape).ok()?;
        if shape[0] * shape[1] == 0 {
            let windows = axes.iter().map(|axis| axis.windows);
            let shape: Vec<usize> = shape[..2].iter().copied().chain(windows).collect();
            return Some(x.without_elements(&shape));
        }
        let (n, c) = (shape[0] as i64, shape[1] as i64);
        let [lengths, windows] = [
            |axis: &Axis| axis.length as i64,
            |axis: &Axis| axis.windows as i64,
        ]
        .map(|of| axes.iter().map(of).collect::<Vec<i64>>());
        Some(match axes[..] {
            [along] => {
                let images = x.reshape_exactly(&[n, c, 1, lengths[0]]);
                pool(&images, [Axis::NONE, along]).reshape_exactly(&[n, c, windows[0]])
            }
            [down, across] => pool(x, [down, across]),
            [deep, down, across] => {
                let slices = x.reshape_exactly(&[n, c * lengths[0], lengths[1], lengths[2]]);
                let slices = pool(&slices, [down, across]);
                let area = windows[1] * windows[2];
                let columns = slices.reshape_exactly(&[n, c, lengths[0], area]);
                let left = Axis {
                    length: area as usize,
                    windows: area as usize,
                    ..Axis::NONE
                };
                pool(&columns, [deep, left])
                    .reshape_exactly(&[n, c, windows[0], windows[1], windows[2]])
            }
            _ => return None,
        })
    }
}

/// The images with the elements of dilated windows side by side, and `fill` where those lie outside; and the windows in them.
fn side_by_side(x: &Tensor, axes: [Axis; 2], fill: f64) -> (Tensor, [Axis; 2]) {
    let (mut x, mut axes) = (x.clone(), axes);
    for (at, axis) in axes.iter_mut().enumerate() {
        if axis.dilation == 1 || axis.kernel == 1 {
            continue;
        }
        let Ok(shape) = x.shape().map(<[usize]>::to_vec) else {
            return (x, axes);
        };
        let parts = elements(&x, at, axis, fill);
        let mut lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        let length = axis.windows * axis.kernel;
        lengths[at + 2] = length as i64;
        x = Tensor::stack(&parts.iter().collect::<Vec<_>>(), at as i64 + 3)
            .reshape_exactly(&lengths);
        *axis = Axis {
            length,
            stride: axis.kernel,
            before: 0,
            behind: 0,
            dilation: 1,
            ..*axis
        };
    }
    (x, axes)
}

/// The parts of a dilated axis that hold element k of each window, for all k, with `fill` outside of the image.
fn elements(x: &Tensor, at: usize, axis: &Axis, fill: f64) -> Vec<Tensor> {
    let (mut before, mut after) = ([0; 4], [0; 4]);
    (before[at + 2], after[at + 2]) = (axis.before, axis.beyond());
    let padded = x.pad(&before, &after, fill);
    let span = ((axis.windows - 1) * axis.stride) as i64;
    let step = i64::try_from(axis.stride).unwrap_or(i64::MAX);
    let part = |k: usize| {
        let start = (k * axis.dilation) as i64;
        padded.slice(at as i64 + 2, start..=start + span, step)
    };
    (0..axis.kernel).map(part).collect()
}

/// The first largest element (NaN counts as largest) of these tensors, place by place, and the gradient to it alone.
fn first_largest(parts: Vec<Tensor>) -> Option<Tensor> {
    parts.into_iter().reduce(|best, other| {
        let is_number = best.equal(&best);
        let stays = best.greater_equal(&other);
        is_number
            .logical_and(&stays.logical_not())
            .select(&other, &best)
    })
}

/// The images with the largest element of each window along dilated axes, and the windows that are left.
fn largest_of_dilated(x: &Tensor, axes: [Axis; 2]) -> (Tensor, [Axis; 2]) {
    let (mut x, mut axes) = (x.clone(), axes);
    // Along rows first, so that of equal elements of a window the one is taken that is first row by row.
    for (at, axis) in axes.iter_mut().enumerate().rev() {
        if axis.dilation == 1 || axis.kernel == 1 {
            continue;
        }
        if let Some(largest) = first_largest(elements(&x, at, axis, f64::NEG_INFINITY)) {
            x = largest;
            *axis = Axis {
                length: axis.windows,
                windows: axis.windows,
                ..Axis::NONE
            };
        }
    }
    (x, axes)
}

/// The windows as those of images, padded as far as they reach.
fn as_options(axes: [Axis; 2]) -> PoolOptions {
    PoolOptions {
        kernel: axes.map(|axis| axis.kernel),
        stride: axes.map(|axis| axis.stride),
        padding: Padding {
            before: axes.map(|axis| axis.before),
            behind: axes.map(|axis| axis.beyond()),
        },
    }
}

/// The mean of each window, with zeros outside.
fn means(x: &Tensor, axes: [Axis; 2]) -> Tensor {
    let (x, axes) = side_by_side(x, axes, 0.0);
    x.avg_pool2d(as_options(axes), true)
}

/// The operation `max_pool`.
#[derive(Debug)]
pub struct MaxPool {
    options: WindowOptions,
}

attributes!(MaxPool: options);

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        self.options.infer(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            self.options.walk(inputs[0].shape(), |at, _, _, met| {
                y[at] = met.iter().map(|&i| x[i]).fold(T::NEG_INFINITY, loops::maximum);
            })
        })
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        self.options.by_images(&inputs[0], |x, axes| {
            let (x, axes) = largest_of_dilated(x, axes);
            match axes.iter().all(|axis| axis.kernel == 1 && axis.stride == 1) {
                true => x,
                false => x.max_pool2d(as_options(axes)),
            }
        })
    }
}

/// The operation `avg_pool`.
#[derive(Debug)]
pub struct AvgPool {
    options: WindowOptions,
    count_padding: bool,
}

attributes!(AvgPool: options, count_padding);

impl AvgPool {
    fn pooled(&self, x: &Tensor, axes: [Axis; 2]) -> Tensor {
        let even = |axis: &Axis| axis.is_even(self.count_padding);
        if axes.iter().all(even) {
            return means(x, axes);
        }
        if axes.iter().all(|axis| axis.dilation == 1) {
            // What counts is made part of the image.
            let (mut image, mut inside) = (x.clone(), axes);
            if self.count_padding {
                let [[above, left], [below, right]] =
                    [axes.map(|axis| axis.before), axes.map(|axis| axis.behind)];
                image = image.pad(&[0, 0, above, left], &[0, 0, below, right], 0.0);
                for axis in &mut inside {
                    axis.length += axis.before + axis.behind;
                    (axis.before, axis.behind) = (0, 0);
                }
            }
            return image.avg_pool2d(as_options(inside), false);
        }
        let mut y = means(x, axes);
        for (at, axis) in axes.iter().enumerate().filter(|(_, axis)| !even(axis)) {
            if let Err(error) = Array::check_room(&Meta::new([axis.windows], DType::F64)) {
                return Tensor::invalid(error);
            }
            let shares = (0..axis.windows)
                .map(|window| axis.kernel as f64 / axis.count(window, self.count_padding) as f64);
            let mut shape = [1; 4];
            shape[at + 2] = axis.windows;
            let shares = Tensor::from(Array::new(shape, shares.collect::<Vec<f64>>()));
            y = &y * shares.cast(x.dtype().unwrap_or(DType::F32));
        }
        y
    }
}

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        self.options.infer(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            self.options.walk(inputs[0].shape(), |at, axes, windows, met| {
                let counts = axes.iter().zip(windows).map(|(axis, &window)| axis.count(window, self.count_padding));
                let sum: loops::Sum = met.iter().map(|&i| x[i]).collect();
                y[at] = T::narrow(sum.mean(counts.product()));
            })
        })
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        (self.options).by_images(&inputs[0], |x, axes| self.pooled(x, axes))
    }
}

/// The operation `lp_pool`.
#[derive(Debug)]
pub struct LpPool {
    options: WindowOptions,
    /// The exponent.
    p: usize,
}

attributes!(LpPool: options, p);

impl LpPool {
    /// `|x|^p`
    fn power(&self, x: &Tensor) -> Tensor {
        match self.p {
            1 => x.abs(),
            2 => x.square(),
            p => x.abs().powf(p as f64),
        }
    }

    /// The root of a sum of powers, whose gradient at 0 is 0.
    fn root(&self, sum: &Tensor) -> Tensor {
        match self.p {
            1 => sum.clone(),
            2 => sum.root_of_squares(),
            p => {
                let zero = sum.zeros_like();
                let at_zero = sum.equal(&zero);
                let root = at_zero
                    .select(&sum.full_like(1.0), sum)
                    .powf(1.0 / p as f64);
                at_zero.select(&zero, &root)
            }
        }
    }
}

impl Op for LpPool {
    fn name(&self) -> &'static str {
        "lp_pool"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        if self.p == 0 {
            return Err("the exponent p must be at least 1".into());
        }
        self.options.infer(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let p = self.p as f64;
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            self.options.walk(inputs[0].shape(), |at, _, _, met| {
                let sum: loops::Sum = met.iter().map(|&i| x[i].abs().powf(T::narrow(p))).collect();
                y[at] = T::narrow(sum.value().powf(1.0 / p));
            })
        })
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let elements: usize = self.options.kernel.iter().product();
        let mean = (self.options).by_images(&self.power(&inputs[0]), means)?;
        Some(self.root(&(mean * elements as f64)))
    }
}

impl Tensor {
    /// The largest element of each window of `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`, with dilation and windows that reach
    /// beyond the end; [`Tensor::max_pool2d`] is the plain form for images.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::WindowOptions};
    /// let x = Tensor::from([[[1.0, 4.0, 3.0, 2.0, 5.0]]]);
    /// let y = x.max_pool(WindowOptions { ceil: true, ..WindowOptions::new([2]) });
    /// assert_eq!(y.to_vec::<f32>()?, [4.0, 3.0, 5.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "MaxPool")]
    #[track_caller]
    pub fn max_pool(&self, options: WindowOptions) -> Tensor {
        Tensor::apply(MaxPool { options }, &[self])
    }

    /// The mean of each window of `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; [`Tensor::avg_pool2d`] is the plain form for
    /// images. Padding counts as zeros with `count_padding`; what a last window has beyond the padding never counts.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::WindowOptions};
    /// let x = Tensor::from([[[1.0, 4.0, 3.0, 2.0, 5.0]]]);
    /// let y = x.avg_pool(WindowOptions { ceil: true, ..WindowOptions::new([2]) }, true);
    /// assert_eq!(y.to_vec::<f32>()?, [2.5, 2.5, 5.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "AveragePool")]
    #[track_caller]
    pub fn avg_pool(&self, options: WindowOptions, count_padding: bool) -> Tensor {
        let op = AvgPool {
            options,
            count_padding,
        };
        Tensor::apply(op, &[self])
    }

    /// The p-norm of each window, `(sum of |x|^p)^(1/p)`, of `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`. Its gradient is 0 where
    /// all elements of a window are.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::WindowOptions};
    /// let x = Tensor::from([[[3.0, -4.0, 0.0, 2.0]]]);
    /// assert_eq!(x.lp_pool(WindowOptions::new([2]), 2).to_vec::<f32>()?, [5.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "LpPool")]
    #[track_caller]
    pub fn lp_pool(&self, options: WindowOptions, p: usize) -> Tensor {
        Tensor::apply(LpPool { options, p }, &[self])
    }

    /// The mean of each channel of `[N, C, ..]`, whose further axes stay with length 1.
    #[doc(alias = "GlobalAveragePool")]
    #[track_caller]
    pub fn global_avg_pool(&self) -> Tensor {
        self.over_channels("global_avg_pool", |x, axes| x.mean_axes(axes, true))
    }

    /// The largest element of each channel of `[N, C, ..]`, whose further axes stay with length 1.
    #[doc(alias = "GlobalMaxPool")]
    #[track_caller]
    pub fn global_max_pool(&self) -> Tensor {
        self.over_channels("global_max_pool", |x, axes| x.max_axes(axes, true))
    }

    /// The p-norm of each channel of `[N, C, ..]`, whose further axes stay with length 1.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[[3.0, -4.0], [1.0, 1.0]]]);
    /// assert_eq!(x.global_lp_pool(1).to_vec::<f32>()?, [7.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "GlobalLpPool")]
    #[track_caller]
    pub fn global_lp_pool(&self, p: usize) -> Tensor {
        if p == 0 {
            let reason = "the exponent p must be at least 1".into();
            return Tensor::refuse("global_lp_pool", &[self], reason);
        }
        self.over_channels("global_lp_pool", |x, axes| x.norm_of(p, axes))
    }

    /// The p-norm over axes, which stay with length 1.
    #[track_caller]
    pub(crate) fn norm_of(&self, p: usize, axes: &[i64]) -> Tensor {
        let pool = LpPool {
            options: WindowOptions::new([]),
            p,
        };
        pool.root(&pool.power(self).sum_axes(axes, true))
    }

    /// A reduction over the axes behind batch and channels, of which there is at least one.
    #[track_caller]
    fn over_channels(&self, name: &str, reduce: impl Fn(&Tensor, &[i64]) -> Tensor) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        if shape.len() < 3 {
            let reason = "needs an input [N, C, ..] of three axes or more".into();
            return Tensor::refuse(name, &[self], reason);
        }
        let axes: Vec<i64> = (2..shape.len() as i64).collect();
        reduce(self, &axes)
    }
}
