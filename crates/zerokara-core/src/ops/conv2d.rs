//! Two-dimensional convolution (cross-correlation, as the field calls it) and its two gradients.
//!
//! With `x [N, C, H, W]`, filters `w [O, C / groups, KH, KW]`, stride s, padding p above and left and q below and right,
//! dilation d:
//!
//! ```text
//! out[n, o, y, x'] = sum over c, k, l of in[n, c, y s + k d - p, x' s + l d - p] * w[o, c, k, l]
//! ```
//!
//! What lies outside the input has no terms in the sum, as if it were zero (an infinite filter element makes no NaN of it). The
//! output has `floor((H + p + q - d (KH - 1) - 1) / s) + 1` rows (page
//! 212 of the book, where p and q are the same). All three operations are the same sum over the same index map, with another operand as the
//! result; so each one's gradients are the other two.

use super::{prelude::*, sliding::Sliding};
use crate::op::{Contract, ConvOptions};
use loops::Real;

/// Sizes of a convolution: batch, channels in and out, and heights and widths.
struct Sizes {
    n: usize,
    c: usize,
    o: usize,
    input: [usize; 2],
    kernel: [usize; 2],
    output: [usize; 2],
}

impl Sizes {
    /// An error unless a gradient has the output's shape.
    fn expect_output(&self, gradient: &[usize]) -> Result<(), String> {
        if gradient == [self.n, self.o, self.output[0], self.output[1]] {
            Ok(())
        } else {
            Err(format!(
                "the gradient's shape {gradient:?} is not that of the convolution's output"
            ))
        }
    }
}

fn sizes(options: &ConvOptions, x: &[usize], w: &[usize]) -> Result<Sizes, String> {
    let (&[n, c, h, wide], &[o, per_group, kh, kw]) = (x, w) else {
        return Err(format!(
            "needs an input [N, C, H, W] and filters [O, C, KH, KW], not {x:?} and {w:?}"
        ));
    };
    let groups = options.groups;
    if groups == 0 || !c.is_multiple_of(groups) || !o.is_multiple_of(groups) {
        return Err(format!(
            "{c} input and {o} output channels do not divide into {groups} groups"
        ));
    }
    if per_group != c / groups {
        return Err(format!(
            "the filters take {per_group} channels, the input has {} per group",
            c / groups
        ));
    }
    let output = Sliding::filter([kh, kw], options).output([h, wide])?;
    Ok(Sizes {
        n,
        c,
        o,
        input: [h, wide],
        kernel: [kh, kw],
        output,
    })
}

/// Products along a row of the output: of one filter element with the inputs `input, input + stride, ..`, for the
/// outputs `output..output + length`.
struct Row {
    input: usize,
    filter: usize,
    output: usize,
    length: usize,
}

/// The rows of products of one plane of the input with one of the filters.
fn rows(options: &ConvOptions, s: &Sizes) -> Vec<Row> {
    let filter = Sliding::filter(s.kernel, options);
    let [kh, kw] = s.kernel;
    let mut rows = Vec::new();
    for (k, l) in (0..kh).flat_map(|k| (0..kw).map(move |l| (k, l))) {
        let mut across = filter.meeting(1, s.input[1], s.output[1], l);
        let Some((x, column)) = across.next() else {
            continue;
        };
        let length = 1 + across.count();
        for (y, row) in filter.meeting(0, s.input[0], s.output[0], k) {
            rows.push(Row {
                input: row * s.input[1] + column,
                filter: k * kw + l,
                output: y * s.output[1] + x,
                length,
            });
        }
    }
    rows
}

/// Walks the index map: calls `visit` with the positions of input, filter element and output for every product, row by row.
fn walk(options: &ConvOptions, s: &Sizes, mut visit: impl FnMut(usize, usize, usize)) {
    let (per_group, out_per_group) = (s.c / options.groups, s.o / options.groups);
    let area = |[height, width]: [usize; 2]| height * width;
    let rows = rows(options, s);
    for (n, o) in (0..s.n).flat_map(|n| (0..s.o).map(move |o| (n, o))) {
        let output = (n * s.o + o) * area(s.output);
        for c in 0..per_group {
            let input = (n * s.c + o / out_per_group * per_group + c) * area(s.input);
            let filter = (o * per_group + c) * area(s.kernel);
            for row in &rows {
                for i in 0..row.length {
                    visit(
                        input + row.input + i * options.stride[1],
                        filter + row.filter,
                        output + row.output + i,
                    );
                }
            }
        }
    }
}

fn hw(t: &Tensor) -> [usize; 2] {
    t.shape()
        .ok()
        .and_then(|s| s.last_chunk().copied())
        .unwrap_or([0, 0])
}

/// The gradient with respect to an input of the size of `x`.
fn input_gradient(options: ConvOptions, g: &Tensor, w: &Tensor, x: &Tensor) -> Tensor {
    Tensor::apply(
        Conv2dInputGradient {
            options,
            input: hw(x),
        },
        &[g, w],
    )
}

/// The gradient with respect to filters of the size of `w`.
fn weight_gradient(options: ConvOptions, x: &Tensor, g: &Tensor, w: &Tensor) -> Tensor {
    Tensor::apply(
        Conv2dWeightGradient {
            options,
            kernel: hw(w),
        },
        &[x, g],
    )
}

/// The convolution of `x` and `w`.
#[derive(Debug)]
pub struct Conv2d {
    options: ConvOptions,
}

attributes!(Conv2d: options);

impl Conv2d {
    /// With these options.
    pub(crate) fn of(options: ConvOptions) -> Self {
        Self { options }
    }
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, w] = infer::arity(inputs)?;
        infer::floats(x, w)?;
        let s = sizes(&self.options, &x.shape, &w.shape)?;
        Ok(Meta::new([s.n, s.o, s.output[0], s.output[1]], x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Contract(Contract::Conv(self.options))
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, w] = call.inputs else {
            return Gradient::Forbidden("conv2d takes two inputs");
        };
        Gradient::two(
            input_gradient(self.options, call.gradient, w, x),
            weight_gradient(self.options, x, call.gradient, w),
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let s = sizes(&self.options, inputs[0].shape(), inputs[1].shape())?;
        loops::floats!(inputs[0].dtype(), T => {
            let (x, w) = (inputs[0].slice::<T>(), inputs[1].slice::<T>());
            loops::summed::<T>(output, |sums| {
                walk(&self.options, &s, |i, k, o| sums[o] += x[i].wide() * w[k].wide());
                Ok(())
            })
        })
    }
}

/// The gradient with respect to the input: from the output's gradient and the filters. As an operation of its own
/// right it is the transposed convolution.
#[derive(Debug)]
pub struct Conv2dInputGradient {
    options: ConvOptions,
    /// Height and width of the input, which the output's size alone does not tell.
    input: [usize; 2],
}

attributes!(Conv2dInputGradient: options, input);

impl Conv2dInputGradient {
    /// For inputs of this height and width.
    pub(crate) fn of(options: ConvOptions, input: [usize; 2]) -> Self {
        Self { options, input }
    }

    fn input_shape(&self, g: &[usize], w: &[usize]) -> Result<[usize; 4], String> {
        let (&[n, ..], &[_, per_group, ..]) = (g, w) else {
            return Err(format!(
                "needs a gradient [N, O, Y, X] and filters [O, C, KH, KW], not {g:?} and {w:?}"
            ));
        };
        let channels = per_group.checked_mul(self.options.groups);
        let channels = channels.ok_or("the groups have more channels than can be counted")?;
        let shape = [n, channels, self.input[0], self.input[1]];
        let s = sizes(&self.options, &shape, w)?;
        s.expect_output(g)?;
        Ok(shape)
    }
}

impl Op for Conv2dInputGradient {
    fn name(&self) -> &'static str {
        "conv2d_input_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [g, w] = infer::arity(inputs)?;
        infer::floats(g, w)?;
        Ok(Meta::new(self.input_shape(&g.shape, &w.shape)?, g.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Contract(Contract::ConvInputGradient(self.options))
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [g, w] = call.inputs else {
            return Gradient::Forbidden("conv2d_input_gradient takes two inputs");
        };
        Gradient::two(
            call.gradient.conv2d(w, self.options),
            weight_gradient(self.options, call.gradient, g, w),
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let s = sizes(&self.options, output.shape(), inputs[1].shape())?;
        loops::floats!(inputs[0].dtype(), T => {
            let (g, w) = (inputs[0].slice::<T>(), inputs[1].slice::<T>());
            loops::summed::<T>(output, |sums| {
                walk(&self.options, &s, |i, k, o| sums[i] += g[o].wide() * w[k].wide());
                Ok(())
            })
        })
    }
}

/// The gradient with respect to the filters: from the input and the output's gradient.
#[derive(Debug)]
pub struct Conv2dWeightGradient {
    options: ConvOptions,
    /// Height and width of the filters, which the sizes alone do not tell when the stride is above 1.
    kernel: [usize; 2],
}

attributes!(Conv2dWeightGradient: options, kernel);

impl Conv2dWeightGradient {
    fn filter_shape(&self, x: &[usize], g: &[usize]) -> Result<[usize; 4], String> {
        let (&[_, c, ..], &[_, o, ..]) = (x, g) else {
            return Err(format!(
                "needs an input [N, C, H, W] and a gradient [N, O, Y, X], not {x:?} and {g:?}"
            ));
        };
        let shape = [
            o,
            c / self.options.groups.max(1),
            self.kernel[0],
            self.kernel[1],
        ];
        let s = sizes(&self.options, x, &shape)?;
        s.expect_output(g)?;
        Ok(shape)
    }
}

impl Op for Conv2dWeightGradient {
    fn name(&self) -> &'static str {
        "conv2d_weight_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, g] = infer::arity(inputs)?;
        infer::floats(x, g)?;
        Ok(Meta::new(self.filter_shape(&x.shape, &g.shape)?, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Contract(Contract::ConvWeightGradient(self.options))
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, g] = call.inputs else {
            return Gradient::Forbidden("conv2d_weight_gradient takes two inputs");
        };
        Gradient::two(
            input_gradient(self.options, g, call.gradient, x),
            x.conv2d(call.gradient, self.options),
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let s = sizes(&self.options, inputs[0].shape(), output.shape())?;
        loops::floats!(inputs[0].dtype(), T => {
            let (x, g) = (inputs[0].slice::<T>(), inputs[1].slice::<T>());
            loops::summed::<T>(output, |sums| {
                walk(&self.options, &s, |i, k, o| sums[k] += x[i].wide() * g[o].wide());
                Ok(())
            })
        })
    }
}

impl Tensor {
    /// Convolution of images `[N, C, H, W]` with filters `[O, C / groups, KH, KW]`, giving `[N, O, Y, X]`.
    ///
    /// Some sizes are computed with fewer multiplications than the sum has, with an error relative to the largest numbers near by;
    /// [`Arithmetic`](crate::Arithmetic) says what is promised, and how to ask for direct sums, which keep exact zeros. Infinities
    /// and NaN are in any case where the sum has them.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::ConvOptions};
    /// let x = Tensor::ones([1, 1, 4, 4]);
    /// let w = Tensor::ones([1, 1, 3, 3]);
    /// let y = x.conv2d(&w, ConvOptions::default());
    /// assert_eq!(y.to_vec::<f32>()?, [9.0; 4]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "Convolution")]
    #[track_caller]
    pub fn conv2d(&self, filters: &Tensor, options: ConvOptions) -> Tensor {
        Tensor::apply(Conv2d { options }, &[self, filters])
    }
}
