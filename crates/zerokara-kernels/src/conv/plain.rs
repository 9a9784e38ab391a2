//! Sums of the terms that there are, one after another, as a convolution is defined.
//!
//! The fast ways multiply what is no term of a sum, for it comes to nothing as long as all numbers are finite: zeros around an
//! image, inputs beside those that an output reads. An infinity times zero is NaN. So where a fast way meets numbers that are
//! not finite, in what it reads or on its way, what it made of them is computed anew here. A term is the product of an
//! element of the image and one of the filter; what lies beyond the image has no terms.

use super::{filters::placed::PlacedGradient, phase::Phase};
use crate::{
    plan::ConvGeometry,
    simd::{Outlined, Simd},
    unroll::each,
};
use std::ops::Range;

/// Positions side by side that are summed at a time.
const POSITIONS: usize = 4;

/// Some positions of the target of one image, and one vector of its channels: sums over taps and source channels.
#[derive(Clone, Copy)]
pub(super) struct Targets<'a> {
    /// Which taps meet which source positions, down and across.
    pub down: &'a Phase,
    pub across: &'a Phase,
    /// The positions of the phase, by number: first, and the one after the last.
    pub rows: [usize; 2],
    pub columns: [usize; 2],
    /// The image that is read, at the first channel of the group; its height and width, and its channels.
    pub source: *const f32,
    pub size: [usize; 2],
    pub pitch: usize,
    /// Channels of the group.
    pub channels: usize,
    /// The vector of filter elements at the first taps and the first channel; from there to the next taps, down and across,
    /// and to the next channel.
    pub filters: *const f32,
    pub taps: [isize; 2],
    pub next: usize,
    /// The image that is written, at the first channel of the vector; its width and its channels.
    pub target: *mut f32,
    pub breadth: usize,
    pub target_pitch: usize,
    /// Channels of the vector that are written.
    pub lanes: usize,
}

impl Outlined for Targets<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let (down, across) = (self.down, self.across);
        for row in self.rows[0]..self.rows[1] {
            let line = (down.start + row * down.step) * self.breadth + across.start;
            for first in (self.columns[0]..self.columns[1]).step_by(POSITIONS) {
                let count = POSITIONS.min(self.columns[1] - first);
                // SAFETY: the caller vouches for the CPU, both images and the filters.
                unsafe {
                    let sums = self.sums::<S>(row, first, count);
                    for (p, sum) in sums.into_iter().enumerate().take(count) {
                        let at = line + (first + p) * across.step;
                        S::store_partial(self.target.add(at * self.target_pitch), sum, self.lanes);
                    }
                }
            }
        }
    }
}

impl Targets<'_> {
    /// The sums of `count` positions of a row, from `first` on.
    #[inline(always)]
    unsafe fn sums<S: Simd>(
        &self,
        row: usize,
        first: usize,
        count: usize,
    ) -> [S::Vector; POSITIONS] {
        let (down, across) = (self.down, self.across);
        let [height, width] = self.size.map(|length| length as isize);
        // SAFETY: the caller vouches for the CPU, the image and the filters; what is read of the image lies inside.
        unsafe {
            let mut sums = [S::zero(); POSITIONS];
            for (i, j) in (0..down.taps).flat_map(|i| (0..across.taps).map(move |j| (i, j))) {
                let (i, j) = (i as isize, j as isize);
                let y = down.origin + row as isize * down.source_step + i * down.tap_step;
                if !(0..height).contains(&y) {
                    continue;
                }
                let (mut from, mut inside) = ([self.source; POSITIONS], 0);
                let mut is_inside = [false; POSITIONS];
                for p in 0..count {
                    let x = across.origin + j * across.tap_step;
                    let x = x + (first + p) as isize * across.source_step;
                    if (0..width).contains(&x) {
                        from[p] = self.source.add((y * width + x) as usize * self.pitch);
                        is_inside[p] = true;
                        inside += 1;
                    }
                }
                let filters = self
                    .filters
                    .wrapping_offset(i * self.taps[0] + j * self.taps[1]);
                if inside == POSITIONS {
                    for c in 0..self.channels {
                        let filter = S::load(filters.add(c * self.next));
                        each!(p < POSITIONS {
                            sums[p] = S::fma(S::broadcast(from[p].add(c)), filter, sums[p]);
                        });
                    }
                    continue;
                }
                for p in (0..count).filter(|&p| is_inside[p]) {
                    let mut sum = sums[p];
                    for c in 0..self.channels {
                        let filter = S::load(filters.add(c * self.next));
                        sum = S::fma(S::broadcast(from[p].add(c)), filter, sum);
                    }
                    sums[p] = sum;
                }
            }
            sums
        }
    }
}

/// The gradient with respect to some rows of the filters, of one input channel and one vector of output channels of the same
/// group: sums over images and positions.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    pub geometry: &'a ConvGeometry,
    /// Images of the batch, first and the one after the last.
    pub images: [usize; 2],
    /// Rows of the filters, first and the one after the last.
    pub rows: [usize; 2],
    /// The batch, at the input channel; and the output's gradient, at the first output channel.
    pub input: *const f32,
    pub output_gradient: *const f32,
    /// Where the first of the elements goes, and from there to the next.
    pub to: *mut f32,
    pub next: usize,
    /// Output channels of the vector.
    pub lanes: usize,
}

impl Outlined for Elements<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let kernel = self.geometry.kernel;
        for row in self.rows[0]..self.rows[1] {
            for first in (0..kernel[1]).step_by(POSITIONS) {
                let count = POSITIONS.min(kernel[1] - first);
                // SAFETY: the caller vouches for the CPU, the images and the gradient.
                unsafe {
                    let sums = self.sums::<S>(row, first, count);
                    for (k, sum) in sums.into_iter().enumerate().take(count) {
                        let at = (row - self.rows[0]) * kernel[1] + first + k;
                        S::store_partial(self.to.add(at * self.next), sum, self.lanes);
                    }
                }
            }
        }
    }
}

impl Elements<'_> {
    /// The sums of `count` elements in a row of the filters, from `first` on.
    #[inline(always)]
    unsafe fn sums<S: Simd>(
        &self,
        row: usize,
        first: usize,
        count: usize,
    ) -> [S::Vector; POSITIONS] {
        let g = self.geometry;
        // SAFETY: the caller vouches for the CPU and the images; what is read lies inside.
        unsafe {
            let mut sums = [S::zero(); POSITIONS];
            for n in self.images[0]..self.images[1] {
                for y in 0..g.output[0] {
                    let Some(line) = g.source(0, y, row) else {
                        continue;
                    };
                    let line = (n * g.input[0] + line) * g.input[1];
                    for x in 0..g.output[1] {
                        let at = ((n * g.output[0] + y) * g.output[1] + x) * g.out_channels;
                        let gradient = S::load_partial(self.output_gradient.add(at), self.lanes);
                        for (k, sum) in sums.iter_mut().enumerate().take(count) {
                            if let Some(column) = g.source(1, x, first + k) {
                                let from = self.input.add((line + column) * g.in_channels);
                                *sum = S::fma(S::broadcast(from), gradient, *sum);
                            }
                        }
                    }
                }
            }
            sums
        }
    }
}

/// Computes anew what is not finite in some rows of the gradient with respect to the filters, `[rows, KW, C / groups, O]`, and some
/// vectors of the output channels of each group, of some images of the batch.
///
/// # Safety
///
/// The CPU must have `S`; images and gradient must be valid.
#[inline(always)]
pub(super) unsafe fn mend_gradient<S: Simd>(
    g: &ConvGeometry,
    images: Range<usize>,
    rows: Range<usize>,
    vectors: Range<usize>,
    input: *const f32,
    output_gradient: *const f32,
    gradient: *mut f32,
) {
    let (in_group, out_group) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let next = in_group * g.out_channels;
    for (group, c) in (0..g.groups).flat_map(|group| (0..in_group).map(move |c| (group, c))) {
        for first in vectors.clone().map(|v| v * S::LANES) {
            let o = group * out_group + first;
            let lanes = S::LANES.min(out_group - first);
            // SAFETY: the caller vouches for all of it.
            unsafe {
                let to = gradient.add(c * g.out_channels + o);
                let mut noted = S::zero();
                for element in 0..rows.len() * g.kernel[1] {
                    let x = S::load_partial(to.add(element * next), lanes);
                    noted = S::note(x, noted);
                }
                if S::any_nan(noted) {
                    S::call(&Elements {
                        geometry: g,
                        images: [images.start, images.end],
                        rows: [rows.start, rows.end],
                        input: input.add(group * in_group + c),
                        output_gradient: output_gradient.add(o),
                        to,
                        next,
                        lanes,
                    });
                }
            }
        }
    }
}

/// Output `[y, x]` of one channel: its filter's elements `[c, kh, kw]` are at the sum of these times `strides`.
///
/// # Safety
///
/// `image` must be valid for reading `[H, W, C]`, and the filter's elements too.
pub(super) unsafe fn output(
    g: &ConvGeometry,
    image: *const f32,
    [y, x]: [usize; 2],
    filter: *const f32,
    strides: [isize; 3],
) -> f32 {
    let mut sum = 0.0;
    for (row, column) in (0..g.kernel[0]).flat_map(|i| (0..g.kernel[1]).map(move |j| (i, j))) {
        let (Some(line), Some(at)) = (g.source(0, y, row), g.source(1, x, column)) else {
            continue;
        };
        // SAFETY: the caller vouches for both.
        unsafe {
            let from = image.add((line * g.input[1] + at) * g.in_channels);
            let filter = filter.offset(row as isize * strides[1] + column as isize * strides[2]);
            for c in 0..g.in_channels {
                sum += *from.add(c) * *filter.offset(c as isize * strides[0]);
            }
        }
    }
    sum
}

/// The gradient with respect to the filter of output channel `o`, `[KH, KW, C]`, of some images whose outputs went to a max
/// pooling: element by element to `to`, `to + O`, .. A position that a window did not choose has a gradient of zero.
///
/// # Safety
///
/// [`sums_over_windows`](super::sums_over_windows) must hold; images, windows and gradient must be valid.
#[cold]
pub(super) unsafe fn gradient_over_windows(
    g: &ConvGeometry,
    placed: &PlacedGradient<'_>,
    images: Range<usize>,
    o: usize,
    input: *const f32,
    to: *mut f32,
) {
    let entries = g.kernel[0] * g.kernel[1] * g.in_channels;
    let image_len = g.input[0] * g.input[1] * g.in_channels;
    // SAFETY: the caller vouches for all of it.
    unsafe {
        (0..entries).for_each(|entry| *to.add(entry * g.out_channels) = 0.0);
        for n in images {
            let image = input.add(n * image_len);
            let is_finite = (0..image_len).all(|i| (*image.add(i)).is_finite());
            for (y, x) in (0..g.output[0]).flat_map(|y| (0..g.output[1]).map(move |x| (y, x))) {
                let gradient = placed.gradient_at([n, y, x, o]);
                // Of finite numbers, zeros take nothing but time.
                if is_finite && gradient == 0.0 {
                    continue;
                }
                for row in 0..g.kernel[0] {
                    let Some(line) = g.source(0, y, row) else {
                        continue;
                    };
                    for column in 0..g.kernel[1] {
                        let Some(at) = g.source(1, x, column) else {
                            continue;
                        };
                        let from = image.add((line * g.input[1] + at) * g.in_channels);
                        let entry = (row * g.kernel[1] + column) * g.in_channels;
                        for c in 0..g.in_channels {
                            *to.add((entry + c) * g.out_channels) += *from.add(c) * gradient;
                        }
                    }
                }
            }
        }
    }
}
