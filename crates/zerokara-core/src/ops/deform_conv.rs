//! Convolution by filters whose elements are moved, each for itself and at each place (ONNX `DeformConv`; Dai et al., 2017):
//!
//! ```text
//! out[n, o, y, x'] = sum over c, k, l of w[o, c, k, l] m[n, k, l, y, x'] in(n, c, y s + k d - p + dy, x' s + l d - p + dx)
//! ```
//!
//! with the offsets (dy, dx) = offset[n, k, l, :, y, x'], factors m, and the image read between its elements by lines; outside of it there
//! is nothing. The channels may divide into groups with offsets of their own. What is read is put into channels, of which a convolution by
//! filters of one element makes the sums.

use super::{
    grid_sample::{GridSampleOptions, read_at},
    prelude::*,
    sliding::Sliding,
};
use crate::op::ConvOptions;

/// The operation, of `x [N, C, H, W]`, filters `[O, C / groups, KH, KW]`, offsets `[N, offset_groups KH KW 2, Y, X]`, and optionally factors
/// `[N, offset_groups KH KW, Y, X]`.
#[derive(Debug)]
pub struct DeformConv {
    options: ConvOptions,
    /// Number of groups of channels that have offsets of their own.
    offset_groups: usize,
}

attributes!(DeformConv: options, offset_groups);

impl DeformConv {
    /// Height and width of the output.
    fn output(&self, x: &[usize], w: &[usize]) -> Result<[usize; 2], String> {
        Sliding::filter([w[2], w[3]], &self.options).output([x[2], x[3]])
    }

    /// Where element k of the filter lies along an axis for output y before it is moved.
    fn place(&self, axis: usize, y: usize, k: usize) -> f64 {
        let options = &self.options;
        let at = y * options.stride[axis] + k * options.dilation[axis];
        at as f64 - options.padding.before[axis] as f64
    }

    /// The places along an axis of all elements of the filter (row by row) for all outputs, `[KH KW, Y, X]`.
    fn places(&self, axis: usize, kernel: [usize; 2], output: [usize; 2]) -> Vec<f64> {
        let all = shape::indices(&[kernel[0], kernel[1], output[0], output[1]]);
        all.map(|i| self.place(axis, i[2 + axis], i[axis]))
            .collect()
    }
}

impl Op for DeformConv {
    fn name(&self) -> &'static str {
        "deform_conv"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, w, offset, mask) = match inputs {
            [x, w, offset] => (x, w, offset, None),
            [x, w, offset, mask] => (x, w, offset, Some(mask)),
            _ => return Err("takes an input, filters, offsets, and factors or none".into()),
        };
        for other in [Some(w), Some(offset), mask].into_iter().flatten() {
            infer::floats(x, other)?;
        }
        infer::rank(x, 4, "[N, C, H, W]")?;
        infer::rank(w, 4, "[O, C, KH, KW]")?;
        let y = super::conv2d::Conv2d::of(self.options).infer(&[x.clone(), w.clone()])?;
        let (groups, channels) = (self.offset_groups, x.shape[1]);
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(format!(
                "{channels} channels do not divide into {groups} groups with offsets of their own"
            ));
        }
        let elements = (w.shape[2].checked_mul(w.shape[3])).and_then(|n| n.checked_mul(groups));
        let elements = elements.filter(|n| n.checked_mul(2).is_some());
        let elements = elements.ok_or("the filters are larger than can be counted")?;
        let expected = |each: usize| [x.shape[0], elements * each, y.shape[2], y.shape[3]];
        for (given, each, what) in [(Some(offset), 2, "offsets"), (mask, 1, "factors")] {
            if let Some(given) = given.filter(|given| given.shape != expected(each)) {
                return Err(format!(
                    "the {what} must be {:?}, not {:?}",
                    expected(each),
                    given.shape
                ));
            }
        }
        Ok(y)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (&[_, channels, height, width], &[filters, per_group, kh, kw]) =
            (inputs[0].shape(), inputs[1].shape())
        else {
            return Err("needs images and filters of four axes".into());
        };
        let [x, w, offset] = [0, 1, 2].map(|i| inputs[i].to_f64s());
        let mask = inputs.get(3).map(|mask| mask.to_f64s());
        let shape = output.shape().to_vec();
        let area = shape[2] * shape[3];
        let read = |plane: usize, y: f64, x_at: f64| {
            let mut sum = 0.0;
            for (row, down) in [
                (y.floor(), 1.0 - (y - y.floor())),
                (y.floor() + 1.0, y - y.floor()),
            ] {
                for (column, across) in [
                    (x_at.floor(), 1.0 - (x_at - x_at.floor())),
                    (x_at.floor() + 1.0, x_at - x_at.floor()),
                ] {
                    if row >= 0.0 && row < height as f64 && column >= 0.0 && column < width as f64 {
                        let at = (plane * height + row as usize) * width + column as usize;
                        sum += x[at] * down * across;
                    }
                }
            }
            sum
        };
        let values = shape::indices(&shape).map(|i| {
            let first = i[1] / (filters / self.options.groups) * per_group;
            let terms = shape::indices(&[per_group, kh, kw]).map(|j| {
                let c = first + j[0];
                let group = c / (channels / self.offset_groups);
                let element = ((i[0] * self.offset_groups + group) * kh + j[1]) * kw + j[2];
                let at = i[2] * shape[3] + i[3];
                let moved = |axis: usize| {
                    let offset = offset[(element * 2 + axis) * area + at];
                    self.place(axis, i[2 + axis], j[1 + axis]) + offset
                };
                let factor = mask.as_ref().map_or(1.0, |mask| mask[element * area + at]);
                let weight = w[((i[1] * per_group + j[0]) * kh + j[1]) * kw + j[2]];
                weight * factor * read(i[0] * channels + c, moved(0), moved(1))
            });
            terms.sum::<f64>()
        });
        *output = Array::new(shape.as_slice(), values.collect::<Vec<f64>>()).cast(output.dtype());
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, w, offset, mask @ ..] = inputs else {
            return None;
        };
        let (&[n, c, height, width], &[o, per_group, kh, kw]) = (x.shape().ok()?, w.shape().ok()?)
        else {
            return None;
        };
        let [rows, columns] = self.output(x.shape().ok()?, w.shape().ok()?).ok()?;
        if n * c * o * height * width == 0 {
            return Some(x.conv2d(w, self.options));
        }
        let sizes = |lengths: &[usize]| lengths.iter().map(|&n| n as i64).collect::<Vec<_>>();
        let (groups, elements) = (self.offset_groups, kh * kw);
        let places = elements * rows * columns;
        if let Err(error) = Array::check_room(&Meta::new([places], DType::F64)) {
            return Some(Tensor::invalid(error));
        }
        let parts = x.reshape_exactly(&sizes(&[n * groups, c / groups, height, width]));
        let offset = offset.reshape_exactly(&sizes(&[n * groups, elements, 2, rows * columns]));
        let taps: Vec<_> = [height, width]
            .into_iter()
            .enumerate()
            .map(|(axis, length)| {
                let fixed = self.places(axis, [kh, kw], [rows, columns]);
                let fixed = Tensor::from(Array::new([1, places], fixed)).cast(x.dtype().ok()?);
                let moved = offset.at(2, axis as i64);
                let place = moved.reshape_exactly(&sizes(&[n * groups, places])) + fixed;
                Some(GridSampleOptions::default().taps_at(&place, length))
            })
            .collect::<Option<_>>()?;
        let mut read = read_at(&parts, &taps)?;
        if let [mask] = mask {
            read = read * mask.reshape_exactly(&sizes(&[n * groups, places, 1]));
        }
        let channels = read
            .reshape_exactly(&sizes(&[n, groups, elements, rows, columns, c / groups]))
            .permute([0, 1, 5, 2, 3, 4])
            .reshape_exactly(&sizes(&[n, c * elements, rows, columns]));
        let filters = w.reshape_exactly(&sizes(&[o, per_group * elements, 1, 1]));
        let sums = ConvOptions {
            groups: self.options.groups,
            ..ConvOptions::default()
        };
        Some(channels.conv2d(&filters, sums))
    }
}

impl Tensor {
    /// Convolution of images `[N, C, H, W]` with filters `[O, C / groups, KH, KW]` whose elements are moved by offsets
    /// `[N, offset_groups KH KW 2, Y, X]` (down, then across, for each element of the filter) and, if given, multiplied by factors
    /// `[N, offset_groups KH KW, Y, X]`. Without offsets it is [`Tensor::conv2d`].
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::ConvOptions};
    /// let x = Tensor::from([[[[1.0, 2.0], [3.0, 4.0]]]]);
    /// let (w, offset) = (Tensor::ones([1, 1, 1, 1]), Tensor::full([1, 2, 2, 2], 0.5, x.dtype()?));
    /// let y = x.deform_conv(&w, &offset, None, ConvOptions::default(), 1);
    /// assert_eq!(y.to_vec::<f32>()?, [2.5, 1.5, 1.75, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "DeformConv")]
    #[track_caller]
    pub fn deform_conv(
        &self,
        filters: &Tensor,
        offsets: &Tensor,
        factors: Option<&Tensor>,
        options: ConvOptions,
        offset_groups: usize,
    ) -> Tensor {
        let op = DeformConv {
            options,
            offset_groups,
        };
        match factors {
            Some(factors) => Tensor::apply(op, &[self, filters, offsets, factors]),
            None => Tensor::apply(op, &[self, filters, offsets]),
        }
    }
}
