//! Transposed convolution of images and of sequences (ONNX `ConvTranspose`): each input adds a copy of the filters to the output.
//!
//! With `x [N, C, H, W]`, filters `w [C, O / groups, KH, KW]`, and along each axis stride s, dilation d, padding p before and q
//! behind, output padding a:
//!
//! ```text
//! out[n, o, y s + k d - p, x' s + l d - p] += in[n, c, y, x'] * w[c, o, k, l]      for all c, y, x', k, l
//! ```
//!
//! The output has `s (H - 1) + d (KH - 1) + 1 + a - p - q` rows. That is the gradient of a convolution with respect to its input,
//! which is an operation already; what the output has beyond the last copy is 0.

use super::{conv1d::as_images, conv2d::Conv2dInputGradient, prelude::*};
use crate::op::{ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions, Padding};
use loops::Real;

impl From<ConvTranspose1dOptions> for ConvTranspose2dOptions {
    /// Those for images of height 1.
    fn from(options: ConvTranspose1dOptions) -> Self {
        let [before, behind] = options.padding;
        Self {
            stride: [1, options.stride],
            padding: Padding {
                before: [0, before],
                behind: [0, behind],
            },
            dilation: [1, options.dilation],
            groups: options.groups,
            output_padding: [0, options.output_padding],
        }
    }
}

/// Along an axis: what the copies of the filters cover, less what is cut off, and the zeros behind it.
struct Extent {
    covered: usize,
    beyond: usize,
}

impl ConvTranspose2dOptions {
    /// The output along an axis.
    fn extent(&self, axis: usize, input: usize, kernel: usize) -> Result<Extent, String> {
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        if input == 0 || kernel == 0 || stride == 0 || dilation == 0 {
            return Err(
                "height, width, kernel size, stride and dilation must be at least 1".into(),
            );
        }
        let copies = (input - 1).checked_mul(stride);
        let reach = (kernel - 1).checked_mul(dilation);
        let all = (copies.zip(reach)).and_then(|(c, r)| c.checked_add(r)?.checked_add(1));
        let all = all.ok_or("the output is larger than can be counted")?;
        let behind = self.padding.behind[axis];
        // What is longer at the end first takes back what is cut off there.
        let (cut, beyond) = match behind.checked_sub(self.output_padding[axis]) {
            Some(cut) => (cut, 0),
            None => (0, self.output_padding[axis] - behind),
        };
        let cut = cut.checked_add(self.padding.before[axis]);
        match cut.and_then(|cut| all.checked_sub(cut)) {
            None | Some(0) => Err(format!(
                "the padding cuts off all {all} elements of an axis"
            )),
            Some(covered) => Ok(Extent { covered, beyond }),
        }
    }

    /// The output's height and width.
    fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], String> {
        let along = |axis: usize| -> Result<usize, String> {
            let Extent { covered, beyond } = self.extent(axis, input[axis], kernel[axis])?;
            let all = covered.checked_add(beyond);
            all.ok_or_else(|| "the output is larger than can be counted".into())
        };
        Ok([along(0)?, along(1)?])
    }

    /// With padding (and, where that is not enough, output padding) such that images of this height and width, with filters of
    /// that, give such an output, as ONNX asks for where it has the attribute `output_shape`. What must be cut off is halved;
    /// the larger half lies at the end with `upper` (`auto_pad` is `SAME_UPPER`), else at the beginning.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::ConvTranspose2dOptions};
    /// let options = ConvTranspose2dOptions { stride: [2, 2], ..Default::default() };
    /// let options = options.fitted([3, 3], [3, 3], [6, 6], true)?;
    /// let y = Tensor::ones([1, 1, 3, 3]).conv_transpose2d(&Tensor::ones([1, 1, 3, 3]), options);
    /// assert_eq!(y.shape().unwrap(), [1, 1, 6, 6]);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// If a size is 0, or one is too large to be counted.
    pub fn fitted(
        self,
        input: [usize; 2],
        kernel: [usize; 2],
        output: [usize; 2],
        upper: bool,
    ) -> Result<Self, String> {
        let mut fitted = Self {
            padding: Padding::default(),
            ..self
        };
        let whole = fitted.output(input, kernel)?;
        for axis in 0..2 {
            if output[axis] == 0 {
                return Err("an output has at least one row and one column".into());
            }
            let cut = whole[axis].saturating_sub(output[axis]);
            let (less, more) = (cut / 2, cut.div_ceil(2));
            let (before, behind) = if upper { (less, more) } else { (more, less) };
            fitted.padding.before[axis] = before;
            fitted.padding.behind[axis] = behind;
            let more = output[axis].saturating_sub(whole[axis]);
            fitted.output_padding[axis] = fitted.output_padding[axis].saturating_add(more);
        }
        Ok(fitted)
    }
}

impl ConvTranspose1dOptions {
    /// As [`ConvTranspose2dOptions::fitted`], for sequences of this length, filters of that, and such an output.
    ///
    /// # Errors
    /// If a size is 0, or one is too large to be counted.
    pub fn fitted(
        self,
        input: usize,
        kernel: usize,
        output: usize,
        upper: bool,
    ) -> Result<Self, String> {
        let images = ConvTranspose2dOptions::from(self);
        let fitted = images.fitted([1, input], [1, kernel], [1, output], upper)?;
        Ok(Self {
            padding: [fitted.padding.before[1], fitted.padding.behind[1]],
            output_padding: fitted.output_padding[1],
            ..self
        })
    }
}

/// The shape of the output.
fn shape_of(
    options: &ConvTranspose2dOptions,
    x: &[usize],
    w: &[usize],
) -> Result<[usize; 4], String> {
    let (&[n, c, height, width], &[channels, per_group, kh, kw]) = (x, w) else {
        return Err(format!(
            "needs an input [N, C, H, W] and filters [C, O, KH, KW], not {x:?} and {w:?}"
        ));
    };
    let groups = options.groups;
    if groups == 0 || !c.is_multiple_of(groups) {
        return Err(format!("{c} channels do not divide into {groups} groups"));
    }
    if channels != c {
        return Err(format!(
            "the filters are for {channels} input channels, not {c}"
        ));
    }
    let outputs = per_group.checked_mul(groups);
    let outputs = outputs.ok_or("the groups have more channels than can be counted")?;
    let [rows, columns] = options.output([height, width], [kh, kw])?;
    Ok([n, outputs, rows, columns])
}

/// The operation on images.
#[derive(Debug)]
pub struct ConvTranspose2d {
    options: ConvTranspose2dOptions,
}

attributes!(ConvTranspose2d: options);

impl Op for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, w] = infer::arity(inputs)?;
        infer::floats(x, w)?;
        let shape = shape_of(&self.options, &x.shape, &w.shape)?;
        Ok(Meta::new(shape, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (&[_, c, ..], &[_, per_group, kh, kw], &[_, o, rows, columns]) =
            (inputs[0].shape(), inputs[1].shape(), output.shape())
        else {
            return Err("needs images and filters of four axes".into());
        };
        let ConvTranspose2dOptions {
            stride,
            padding,
            dilation,
            groups,
            ..
        } = self.options;
        let to = |axis: usize, length: usize, at: usize, k: usize| {
            (at * stride[axis] + k * dilation[axis])
                .checked_sub(padding.before[axis])
                .filter(|&at| at < length)
        };
        let in_group = (c / groups).max(1);
        loops::floats!(inputs[0].dtype(), T => loops::summed::<T>(output, |sums| {
            let (x, w) = (inputs[0].slice::<T>(), inputs[1].slice::<T>());
            for (from, i) in shape::indices(inputs[0].shape()).enumerate() {
                let first = i[0] * o + i[1] / in_group * per_group;
                for (element, j) in shape::indices(&[per_group, kh, kw]).enumerate() {
                    let row = to(0, rows, i[2], j[1]);
                    let column = to(1, columns, i[3], j[2]);
                    if let (Some(row), Some(column)) = (row, column) {
                        let at = ((first + j[0]) * rows + row) * columns + column;
                        sums[at] += x[from].wide() * w[i[1] * per_group * kh * kw + element].wide();
                    }
                }
            }
            Ok(())
        }))
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, w] = inputs else {
            return None;
        };
        let (&[_, _, height, width], &[_, _, kh, kw]) = (x.shape().ok()?, w.shape().ok()?) else {
            return None;
        };
        let options = &self.options;
        let mut padding = options.padding;
        let (mut input, mut after) = ([0; 2], [0; 4]);
        for (axis, (length, kernel)) in [(height, kh), (width, kw)].into_iter().enumerate() {
            let Extent { covered, beyond } = options.extent(axis, length, kernel).ok()?;
            padding.behind[axis] =
                padding.behind[axis].saturating_sub(options.output_padding[axis]);
            // What is less than a step does not change how often the filter fits into the input of the convolution.
            let within = beyond < options.stride[axis];
            input[axis] = covered + if within { beyond } else { 0 };
            after[axis + 2] = if within { 0 } else { beyond };
        }
        let convolution = ConvOptions {
            stride: options.stride,
            padding,
            dilation: options.dilation,
            groups: options.groups,
        };
        let y = Tensor::apply(Conv2dInputGradient::of(convolution, input), &[x, w]);
        Some(y.pad(&[0; 4], &after, 0.0))
    }
}

/// The operation on sequences: that on images of height 1.
#[derive(Debug)]
pub struct ConvTranspose1d {
    options: ConvTranspose1dOptions,
}

attributes!(ConvTranspose1d: options);

impl ConvTranspose1d {
    fn of_images(&self) -> ConvTranspose2d {
        ConvTranspose2d {
            options: self.options.into(),
        }
    }
}

impl Op for ConvTranspose1d {
    fn name(&self) -> &'static str {
        "conv_transpose1d"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, w] = infer::arity(inputs)?;
        infer::rank(x, 3, "[N, C, L]")?;
        infer::rank(w, 3, "[C, O, K]")?;
        let images = [x, w].map(|t| Meta::new(as_images(&t.shape), t.dtype));
        let mut y = self.of_images().infer(&images)?;
        y.shape.remove(2);
        Ok(y)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = output.shape().to_vec();
        let [x, w] = [0, 1].map(|i| inputs[i].reshaped(as_images(inputs[i].shape())));
        let mut y = output.reshaped(as_images(&shape));
        self.of_images().reference(&[&x, &w], &mut y)?;
        *output = y.reshaped(shape);
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, w] = inputs else {
            return None;
        };
        let y = (x.unsqueeze(2)).conv_transpose2d(&w.unsqueeze(2), self.options.into());
        Some(y.squeeze(2))
    }
}

impl Tensor {
    /// Transposed convolution of images `[N, C, H, W]` with filters `[C, O / groups, KH, KW]`, giving `[N, O, Y, X]` with
    /// `Y = stride (H - 1) + dilation (KH - 1) + 1 + output_padding - padding`: each input adds a copy of the filters, times
    /// itself, to the output.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::ConvTranspose2dOptions};
    /// let x = Tensor::from([[[[1.0, 2.0]]]]);
    /// let w = Tensor::from([[[[1.0, 10.0]]]]);
    /// let options = ConvTranspose2dOptions { stride: [1, 2], ..Default::default() };
    /// assert_eq!(x.conv_transpose2d(&w, options).to_vec::<f32>()?, [1.0, 10.0, 2.0, 20.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("ConvTranspose", "deconvolution"))]
    #[track_caller]
    pub fn conv_transpose2d(&self, filters: &Tensor, options: ConvTranspose2dOptions) -> Tensor {
        Tensor::apply(ConvTranspose2d { options }, &[self, filters])
    }

    /// Transposed convolution of sequences `[N, C, L]` with filters `[C, O / groups, K]`, giving `[N, O, Y]` with
    /// `Y = stride (L - 1) + dilation (K - 1) + 1 + output_padding - padding`.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::ConvTranspose1dOptions};
    /// let (x, w) = (Tensor::from([[[1.0, 2.0]]]), Tensor::from([[[1.0, 1.0, 1.0]]]));
    /// let y = x.conv_transpose1d(&w, ConvTranspose1dOptions::default());
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 3.0, 3.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "ConvTranspose")]
    #[track_caller]
    pub fn conv_transpose1d(&self, filters: &Tensor, options: ConvTranspose1dOptions) -> Tensor {
        Tensor::apply(ConvTranspose1d { options }, &[self, filters])
    }
}
