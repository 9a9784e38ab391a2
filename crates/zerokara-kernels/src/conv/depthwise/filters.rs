//! The gradient with respect to the filters: `dw[kh, kw, c] = sum over n, y, x of
//! in[n, y * stride + kh * dilation - padding, .., c] * dout[n, y, x, c]`.

use super::{applies, bands, dense, parts, rows_at_once, tile::Tile};
use crate::{
    conv::{filters::partials, phase::extent},
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::{Simd, multiversion},
    unroll::each,
};
use std::ops::Range;

/// Parts that the blocks of channels are cut into, where the batch alone gives too few units.
fn parts_of_blocks(lanes: usize, g: &ConvGeometry) -> usize {
    parts(g, partials(g), g.groups.div_ceil(lanes))
}

/// Number of independent units of work.
pub fn units(lanes: usize, g: &ConvGeometry) -> usize {
    partials(g) * parts_of_blocks(lanes, g)
}

/// What some output rows read of the input, and these rows themselves.
fn tiles(g: &ConvGeometry, rows: &Range<usize>) -> [Tile; 2] {
    let input = Tile {
        rows: extent(g, ConvPass::Forward, 0, rows),
        columns: extent(g, ConvPass::Forward, 1, &(0..g.output[1])),
        image: g.input,
    };
    let gradient = Tile {
        rows: (rows.start as isize, rows.len()),
        columns: (0, g.output[1]),
        image: g.output,
    };
    [input, gradient]
}

/// Output rows that are taken at a time.
fn bands_of(lanes: usize, g: &ConvGeometry) -> impl Iterator<Item = Range<usize>> + Clone {
    let len = |rows| tiles(g, &(0..rows)).map(|tile| tile.len(lanes));
    let at_once = rows_at_once(g.output[0], |rows| len(rows).into_iter().max().unwrap_or(0));
    bands(0..g.output[0], at_once)
}

/// Numbers of scratch that [`run_unit`] takes: the sums of a block, two tiles, and what filling them takes.
pub fn scratch_len(lanes: usize, g: &ConvGeometry) -> usize {
    let mut most = [0; 3];
    for rows in bands_of(lanes, g) {
        let [input, gradient] = tiles(g, &rows);
        let spare = input.spare_len(lanes).max(gradient.spare_len(lanes));
        let lengths = [input.len(lanes), gradient.len(lanes), spare];
        most = std::array::from_fn(|i| most[i].max(lengths[i]));
    }
    most.iter().sum::<usize>() + g.kernel[0] * g.kernel[1] * lanes
}

multiversion! {
    /// Runs unit `unit` of the partial gradients `[partials, KH, KW, 1, C]`. Images are at strides `[N, Y, X, C]`.
    ///
    /// # Safety
    ///
    /// The CPU must have the instruction set; the convolution must be depthwise ([`applies`](super::applies)) and consistent; `unit`
    /// must be below [`units`] for its lanes; images must be valid for reading, `partials` for writing, and no one else may touch
    /// meanwhile what the unit writes. `scratch` must have [`scratch_len`] numbers.
    pub unsafe fn run_unit(
        g: &ConvGeometry,
        unit: usize,
        input: (*const f32, [isize; 4]),
        output_gradient: (*const f32, [isize; 4]),
        gradient: *mut f32,
        scratch: &mut [f32],
    ) = run_strided_body;
}

/// [`run_unit`] on images without gaps.
#[inline(always)]
pub(crate) unsafe fn run_unit_body<S: Simd>(
    g: &ConvGeometry,
    unit: usize,
    input: *const f32,
    output_gradient: *const f32,
    gradient: *mut f32,
    scratch: &mut [f32],
) {
    let input = (input, dense(g.input, g.in_channels));
    let output_gradient = (output_gradient, dense(g.output, g.out_channels));
    // SAFETY: passed on.
    unsafe { run_strided_body::<S>(g, unit, input, output_gradient, gradient, scratch) }
}

#[inline(always)]
unsafe fn run_strided_body<S: Simd>(
    g: &ConvGeometry,
    unit: usize,
    input: (*const f32, [isize; 4]),
    output_gradient: (*const f32, [isize; 4]),
    gradient: *mut f32,
    scratch: &mut [f32],
) {
    debug_assert!(applies(g) && scratch.len() >= scratch_len(S::LANES, g));
    let (parts, taps) = (parts_of_blocks(S::LANES, g), g.kernel[0] * g.kernel[1]);
    let images = share(g.batch, partials(g), unit / parts);
    let blocks = share(g.groups.div_ceil(S::LANES), parts, unit % parts);
    // SAFETY: blocks and taps lie within the unit's partial gradient, which the caller vouches for.
    unsafe {
        let gradient = gradient.add(unit / parts * taps * g.groups);
        let (sums, scratch) = scratch.split_at_mut(taps * S::LANES);
        for block in blocks {
            let work = Block {
                g,
                images: images.clone(),
                first: block * S::LANES,
                channels: S::LANES.min(g.groups - block * S::LANES),
                input,
                output_gradient,
            };
            work.run::<S, false>(sums, scratch);
            let mut all = S::zero();
            for tap in 0..taps {
                all = S::note(S::load(sums.as_ptr().add(tap * S::LANES)), all);
            }
            // Zeros around the images are no terms: what they may have made of what is not finite is computed anew.
            if S::any_nan(all) {
                work.run::<S, true>(sums, scratch);
            }
            for tap in 0..taps {
                let sum = S::load(sums.as_ptr().add(tap * S::LANES));
                let to = gradient.add(tap * g.groups + work.first);
                S::store_partial(to, sum, work.channels);
            }
        }
    }
}

/// The sums of a block of channels over some images.
struct Block<'a> {
    g: &'a ConvGeometry,
    images: Range<usize>,
    first: usize,
    channels: usize,
    input: (*const f32, [isize; 4]),
    output_gradient: (*const f32, [isize; 4]),
}

impl Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const EXACTLY: bool>(&self, sums: &mut [f32], scratch: &mut [f32]) {
        let (g, bands) = (self.g, bands_of(S::LANES, self.g));
        sums.fill(0.0);
        for image in self.images.clone() {
            for rows in bands.clone() {
                let tiles = tiles(g, &rows);
                let input = scratch.as_mut_ptr();
                // SAFETY: images and channels lie within what the caller vouches for, tiles within the scratch.
                unsafe {
                    let gradient = input.add(tiles[0].len(S::LANES));
                    let spare = gradient.add(tiles[1].len(S::LANES));
                    let images = [(self.input, input), (self.output_gradient, gradient)];
                    for (tile, ((start, [by_image, strides @ ..]), to)) in tiles.iter().zip(images)
                    {
                        let at = image as isize * by_image + self.first as isize * strides[2];
                        tile.fill::<S>(start.offset(at), strides, self.channels, to, spare);
                    }
                    match EXACTLY {
                        true => self.add_exactly::<S>(&rows, &tiles[0], input, gradient, sums),
                        false => self.add::<S>(&rows, &tiles[0], input, gradient, sums),
                    }
                }
            }
        }
    }

    /// Where a tap of the first output position is read in the tile.
    #[inline(always)]
    fn offset<S: Simd>(&self, tile: &Tile, rows: &Range<usize>, tap: usize) -> isize {
        let g = self.g;
        let (i, j) = (tap / g.kernel[1], tap % g.kernel[1]);
        let y = (rows.start * g.stride[0] + i * g.dilation[0]) as isize;
        let x = (j * g.dilation[1]) as isize;
        let y = y - g.padding.before[0] as isize - tile.rows.0;
        let x = x - g.padding.before[1] as isize - tile.columns.0;
        (y * tile.columns.1 as isize + x) * S::LANES as isize
    }

    #[inline(always)]
    unsafe fn add<S: Simd>(
        &self,
        rows: &Range<usize>,
        tile: &Tile,
        input: *const f32,
        gradient: *const f32,
        sums: &mut [f32],
    ) {
        let taps = self.g.kernel[0] * self.g.kernel[1];
        let mut first = 0;
        while first < taps {
            let mut offsets = [0; MOST];
            for (i, offset) in offsets.iter_mut().enumerate().take(taps - first) {
                *offset = self.offset::<S>(tile, rows, first + i);
            }
            // SAFETY: passed on.
            unsafe {
                let to = sums.as_mut_ptr().add(first * S::LANES);
                let count = rows.len();
                first += match taps - first {
                    9.. => self.some::<S, 9>(count, tile, &offsets, input, gradient, to),
                    5.. => self.some::<S, 5>(count, tile, &offsets, input, gradient, to),
                    3.. => self.some::<S, 3>(count, tile, &offsets, input, gradient, to),
                    _ => self.some::<S, 1>(count, tile, &offsets, input, gradient, to),
                };
            }
        }
    }

    /// Adds the products of some rows to the sums of `N` taps, held in registers; gives `N`.
    #[inline(always)]
    unsafe fn some<S: Simd, const N: usize>(
        &self,
        rows: usize,
        tile: &Tile,
        offsets: &[isize; MOST],
        input: *const f32,
        mut gradient: *const f32,
        to: *mut f32,
    ) -> usize {
        let g = self.g;
        let line = g.stride[0] * tile.columns.1 * S::LANES;
        let step = (g.stride[1] * S::LANES) as isize;
        // SAFETY: as the caller vouches; each position of the rows reads within the tile.
        unsafe {
            let mut sums = [S::zero(); N];
            each!(t < N {
                sums[t] = S::load(to.add(t * S::LANES));
            });
            for row in 0..rows {
                let mut from = [input; N];
                each!(t < N {
                    from[t] = input.wrapping_offset(offsets[t]).wrapping_add(row * line);
                });
                for x in 0..g.output[1] as isize {
                    let d = S::load(gradient);
                    gradient = gradient.add(S::LANES);
                    each!(t < N {
                        sums[t] = S::fma(S::load(from[t].wrapping_offset(x * step)), d, sums[t]);
                    });
                }
            }
            each!(t < N {
                S::store(to.add(t * S::LANES), sums[t]);
            });
        }
        N
    }

    /// As [`add`](Self::add), of the terms that there are.
    #[inline(always)]
    unsafe fn add_exactly<S: Simd>(
        &self,
        rows: &Range<usize>,
        tile: &Tile,
        input: *const f32,
        gradient: *const f32,
        sums: &mut [f32],
    ) {
        let g = self.g;
        let inside = |axis: usize, at: usize, tap: usize| g.source(axis, at, tap).is_some();
        for tap in 0..g.kernel[0] * g.kernel[1] {
            let (i, j) = (tap / g.kernel[1], tap % g.kernel[1]);
            let from = input.wrapping_offset(self.offset::<S>(tile, rows, tap));
            // SAFETY: as the caller vouches.
            unsafe {
                let to = sums.as_mut_ptr().add(tap * S::LANES);
                for row in (0..rows.len()).filter(|row| inside(0, rows.start + row, i)) {
                    for x in (0..g.output[1]).filter(|&x| inside(1, x, j)) {
                        let at = row * g.stride[0] * tile.columns.1 + x * g.stride[1];
                        let a = S::load(from.wrapping_add(at * S::LANES));
                        let d = S::load(gradient.add((row * g.output[1] + x) * S::LANES));
                        S::store(to, S::fma(a, d, S::load(to)));
                    }
                }
            }
        }
    }
}

/// Most taps that are summed at a time.
const MOST: usize = 9;
