//! Windows that slide over images: what convolutions, poolings and unfoldings have in common.
//!
//! Along each axis, element k of window y meets element `y s + k d - p` of the image, for stride s, dilation d, and padding p
//! before the image; outside of the image there is nothing.

use super::prelude::*;
use crate::op::{
    Conv1dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    Padding, PoolOptions, WindowOptions,
};

attributes!(group ConvOptions: stride, padding, dilation, groups);
attributes!(group Conv1dOptions: stride, padding, dilation, groups);
attributes!(group Conv3dOptions: stride, padding, dilation, groups);
attributes!(group ConvTranspose1dOptions: stride, padding, dilation, groups, output_padding);
attributes!(group ConvTranspose2dOptions: stride, padding, dilation, groups, output_padding);
attributes!(group WindowOptions: kernel, stride, padding, dilation, ceil);
attributes!(group PoolOptions: kernel, stride, padding);
attributes!(group Sliding: kernel, stride, padding, dilation);

/// Length of the output along one axis, with padding before and behind:
/// `floor((input + before + behind - dilation (kernel - 1) - 1) / stride) + 1`.
///
/// # Errors
/// If the filter does not fit into the padded input, or a size is 0.
pub fn conv2d_output_size(
    input: usize,
    kernel: usize,
    stride: usize,
    [before, behind]: [usize; 2],
    dilation: usize,
) -> Result<usize, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err("kernel size, stride and dilation must be at least 1".into());
    }
    let reach = (kernel - 1)
        .checked_mul(dilation)
        .and_then(|n| n.checked_add(1));
    let padded = (before.checked_add(behind)).and_then(|n| n.checked_add(input));
    let (Some(reach), Some(padded)) = (reach, padded) else {
        return Err("kernel size, padding or dilation is too large".into());
    };
    if padded < reach {
        return Err(format!(
            "a window of {reach} does not fit into an input of {input} with padding {before}{}",
            match before == behind {
                true => String::new(),
                false => format!(" and {behind}"),
            }
        ));
    }
    Ok((padded - reach) / stride + 1)
}

/// The padding before and behind an axis with which windows give `ceil(input / stride)` outputs (ONNX's `auto_pad`): where it is odd, the
/// larger half lies behind with `upper` (`SAME_UPPER`), else before (`SAME_LOWER`).
///
/// ```
/// # use zerokara_core::{conv2d_output_size, same_padding};
/// let padding = same_padding(7, 4, 2, 1, true)?;
/// assert_eq!(padding, [1, 2]);
/// assert_eq!(conv2d_output_size(7, 4, 2, padding, 1)?, 4);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// If a size but the input's is 0, or one is too large to be counted.
pub fn same_padding(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    upper: bool,
) -> Result<[usize; 2], String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err("kernel size, stride and dilation must be at least 1".into());
    }
    let reach = (kernel - 1)
        .checked_mul(dilation)
        .and_then(|n| n.checked_add(1));
    // The last window begins within the input.
    let start = input.div_ceil(stride).saturating_sub(1) * stride;
    let end = reach.and_then(|reach| start.checked_add(reach));
    let end = end.ok_or("kernel size, stride or dilation is too large")?;
    let padding = end.saturating_sub(input);
    let (less, more) = (padding / 2, padding.div_ceil(2));
    Ok(if upper { [less, more] } else { [more, less] })
}

/// The size of a window, and how it slides.
#[derive(Clone, Copy, Debug)]
pub struct Sliding {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window, down and across.
    pub stride: [usize; 2],
    /// What is around the image.
    pub padding: Padding,
    /// Distance between neighbouring elements of the window.
    pub dilation: [usize; 2],
}

impl From<PoolOptions> for Sliding {
    fn from(options: PoolOptions) -> Self {
        Self {
            kernel: options.kernel,
            stride: options.stride,
            padding: options.padding,
            dilation: [1, 1],
        }
    }
}

impl Sliding {
    /// A filter of this height and width.
    pub fn filter(kernel: [usize; 2], options: &ConvOptions) -> Self {
        Self {
            kernel,
            stride: options.stride,
            padding: options.padding,
            dilation: options.dilation,
        }
    }

    /// Height and width of the output for images of this height and width: how many windows there are, down and across.
    pub fn output(&self, images: [usize; 2]) -> Result<[usize; 2], String> {
        let along = |axis: usize| {
            conv2d_output_size(
                images[axis],
                self.kernel[axis],
                self.stride[axis],
                [self.padding.before[axis], self.padding.behind[axis]],
                self.dilation[axis],
            )
        };
        Ok([along(0)?, along(1)?])
    }

    /// What element k of window y meets along an axis of this length.
    fn meets(&self, axis: usize, length: usize, y: usize, k: usize) -> Option<usize> {
        (y * self.stride[axis] + k * self.dilation[axis])
            .checked_sub(self.padding.before[axis])
            .filter(|&at| at < length)
    }

    /// Along an axis of this length, each of so many windows whose element k meets the image, and what it meets there.
    pub fn meeting(
        self,
        axis: usize,
        length: usize,
        windows: usize,
        k: usize,
    ) -> impl Iterator<Item = (usize, usize)> {
        (0..windows).filter_map(move |y| Some((y, self.meets(axis, length, y, k)?)))
    }

    /// The elements of window `[y, x]` that lie inside of an image of this height and width, row by row: which element of
    /// the window each is, and its position in the image.
    pub fn window(
        self,
        [height, width]: [usize; 2],
        [y, x]: [usize; 2],
    ) -> impl Iterator<Item = (usize, usize)> {
        let [kh, kw] = self.kernel;
        let rows = (0..kh).filter_map(move |k| Some((k, self.meets(0, height, y, k)?)));
        rows.flat_map(move |(k, row)| {
            (0..kw).filter_map(move |l| {
                let column = self.meets(1, width, x, l)?;
                Some((k * kw + l, row * width + column))
            })
        })
    }
}

/// Shape of the pooled images.
pub fn pooled_shape(options: &PoolOptions, x: &[usize]) -> Result<[usize; 4], String> {
    let &[n, c, h, w] = x else {
        return Err(format!("needs images [N, C, H, W], not {x:?}"));
    };
    let Padding { before, behind } = options.padding;
    if (0..2).any(|axis| before[axis].max(behind[axis]) >= options.kernel[axis].max(1)) {
        return Err("padding must be smaller than the window, else some windows are empty".into());
    }
    let [rows, columns] = Sliding::from(*options).output([h, w])?;
    let [height, width] = options.kernel;
    if height.checked_mul(width).is_none() {
        return Err(format!(
            "windows of {height} x {width} have more elements than can be counted"
        ));
    }
    Ok([n, c, rows, columns])
}

/// For each element of the pooled images `y` in order, calls `visit` with its position and the positions of its window's
/// elements in the images `x`.
pub fn windows(
    options: &PoolOptions,
    x: &[usize],
    y: &[usize],
    mut visit: impl FnMut(usize, &[usize]),
) {
    let (&[n, c, h, w], &[_, _, rows, columns]) = (x, y) else {
        return;
    };
    let sliding = Sliding::from(*options);
    let mut window = Vec::new();
    for (at, i) in shape::indices(&[n * c, rows, columns]).enumerate() {
        let inside = sliding.window([h, w], [i[1], i[2]]);
        window.clear();
        window.extend(inside.map(|(_, position)| i[0] * h * w + position));
        visit(at, &window);
    }
}
