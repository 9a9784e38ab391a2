//! The gradient with respect to the filters, by Winograd's filtering.
//!
//! A unit of work transforms its images' inputs and gradients of outputs, some tiles at a time, and adds up their
//! products over the tiles, which are as many small matrix products as there are frequencies, of channels by channels.
//! What is summed is transformed back to 3 x 3 elements once, at the end. Where the sums of all frequencies would not
//! stay in the second-level cache, the unit goes over its images once for each pair of rows of frequencies.

use super::direct::partials;
use crate::{
    conv::{
        bf16::with_bf16,
        plain::Elements,
        sides::Sides,
        winograd::{
            GAP, TILE, factors, origin,
            tiles::{F32, INPUTS, Panels, TILE_PAIRS, Tiles},
            transform::{self, PAIR, PAIRS},
        },
    },
    gemm::{
        strip::{Ahead, Lines, Strip},
        tile::{Panel, panel_width},
    },
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::{Outlined, Simd},
    unroll::each,
};
use std::ops::Range;

/// Bytes that the frequencies of the tiles at hand and the sums may take.
const CACHE: usize = 320 * 1024;
/// Bytes that the sums of all frequencies may take.
const SUMS: usize = 192 * 1024;
/// Tiles to take at a time, at least and at most, if there are as many.
const TILES: [usize; 2] = [24, 96];
/// Most units of work.
const UNITS: usize = 8;

/// Parts that the output channels are cut into, where the batch alone gives too few units.
fn parts(lanes: usize, g: &ConvGeometry) -> usize {
    let parts = UNITS.div_ceil(partials(g));
    parts.min(Sides::new(g, ConvPass::Forward).pairs(lanes))
}

/// Number of independent units of work.
pub(in crate::conv) fn units(lanes: usize, g: &ConvGeometry) -> usize {
    partials(g) * parts(lanes, g)
}

/// How a unit goes over its images.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    /// Height and width of an image, in tiles.
    tiles: [usize; 2],
    /// Images, and rows of tiles of each, that are taken at a time.
    images: usize,
    rows: usize,
    /// Pairs of rows of frequencies that are taken at a time: all, or one.
    pairs: usize,
    /// Input channels, padded to whole vectors.
    channels: usize,
    /// Lanes of a vector, and most vectors of output channels in a unit.
    lanes: usize,
    vectors: usize,
}

impl Tiling {
    fn new(lanes: usize, g: &ConvGeometry) -> Tiling {
        let tiles = g.output.map(|length| length.div_ceil(TILE));
        let channels = g.in_channels.next_multiple_of(lanes);
        let vectors = g.out_channels.div_ceil(lanes);
        // A unit has at most one more pair of vectors than another, and perhaps an odd vector.
        let own = Sides::new(g, ConvPass::Forward)
            .pairs(lanes)
            .div_ceil(parts(lanes, g))
            * 2
            + 1;
        let own = own.min(vectors);
        let columns = own * lanes;
        let sums = 4 * PAIR * g.in_channels * columns;
        let pairs = if sums * PAIRS <= SUMS { PAIRS } else { 1 };
        let room = CACHE.saturating_sub(sums * pairs) / (4 * PAIR * pairs * (channels + columns));
        let limit = room.clamp(TILES[0], TILES[1]);
        let in_image = tiles[0] * tiles[1];
        let turns = in_image.div_ceil(limit).min(tiles[0]);
        let batch = g.batch.div_ceil(partials(g)).max(1);
        let images = (limit / in_image).max(1);
        Tiling {
            tiles,
            images: batch.div_ceil(batch.div_ceil(images)),
            rows: tiles[0].div_ceil(turns),
            pairs,
            channels,
            lanes,
            vectors: own,
        }
    }

    /// Tiles taken at a time, at most.
    fn count(&self) -> usize {
        self.images * self.rows * self.tiles[1]
    }

    /// Distance between frequencies of the inputs.
    fn stride(&self) -> usize {
        self.count() * self.channels + GAP
    }

    /// Distance between frequencies of one vector of `rows` rows: panels of output channels lie one after the other, all
    /// frequencies of the first vectors before those of the next.
    fn column(&self, rows: usize) -> usize {
        rows * self.lanes + GAP
    }

    /// Numbers in the frequencies of the inputs, of the output gradients, and of the sums.
    fn lengths(&self, g: &ConvGeometry) -> [usize; 3] {
        [
            self.stride(),
            self.vectors * self.column(self.count()),
            self.vectors * self.column(g.in_channels),
        ]
        .map(|numbers| self.pairs * PAIR * numbers)
    }
}

/// Zeros that stand for what lies beyond an image.
fn zeros_len(g: &ConvGeometry) -> usize {
    (INPUTS * g.in_channels).max(TILE * g.out_channels)
}

/// Numbers of scratch that a unit takes.
pub(in crate::conv) fn scratch_len(lanes: usize, g: &ConvGeometry) -> usize {
    let tiling = Tiling::new(lanes, g);
    tiling.lengths(g).iter().sum::<usize>() + zeros_len(g)
}

with_bf16! {
    /// Runs unit `unit` of the partial gradients with respect to the filters.
    run_unit_in_bf16(
        geometry: &ConvGeometry,
        unit: usize,
        input: *const f32,
        output_gradient: *const f32,
        partials: *mut f32,
        scratch: &mut [f32],
    ) = run_unit_body
}

/// Runs unit `unit` of the partial gradients `[partials, 3, 3, C, O]`; with products of bf16 if `BF16`, two tiles at a
/// time.
#[inline(always)]
pub(in crate::conv) unsafe fn run_unit_body<S: Simd, const BF16: bool>(
    g: &ConvGeometry,
    unit: usize,
    input: *const f32,
    output_gradient: *const f32,
    gradient: *mut f32,
    scratch: &mut [f32],
) {
    debug_assert!(scratch.len() >= scratch_len(S::LANES, g));
    let (parts, all) = (
        parts(S::LANES, g),
        Sides::new(g, ConvPass::Forward).pairs(S::LANES),
    );
    let (partial, part) = (unit / parts, unit % parts);
    let images = share(g.batch, partials(g), partial);
    let total = g.out_channels.div_ceil(S::LANES);
    let own = share(all, parts, part);
    let vectors = own.start * 2..if own.end == all { total } else { own.end * 2 };
    let tiling = Tiling::new(S::LANES, g);
    let [inputs, outputs, sums] = tiling.lengths(g);
    let scratch = scratch.as_mut_ptr();
    // SAFETY: images, channels and the unit's columns of the partial gradient lie within what the caller vouches for;
    // the scratch has room for the frequencies of the tiles at hand, for the sums, and for zeros.
    unsafe {
        let turn = Turn {
            g,
            tiling: &tiling,
            vectors,
            input,
            output_gradient,
            frequencies: [scratch, scratch.add(inputs)],
            sums: scratch.add(inputs + outputs),
            zeros: scratch.add(inputs + outputs + sums),
        };
        scratch
            .add(inputs + outputs + sums)
            .write_bytes(0, zeros_len(g));
        if images.is_empty() {
            turn.sums.write_bytes(0, sums);
        }
        let gradient = gradient.add(partial * 9 * g.in_channels * g.out_channels);
        for pair in (0..PAIRS).step_by(tiling.pairs) {
            let pairs = [pair, pair + tiling.pairs];
            let mut first = images.start;
            while first < images.end {
                let here = first..(first + tiling.images).min(images.end);
                for row in (0..tiling.tiles[0]).step_by(tiling.rows) {
                    let rows = row..(row + tiling.rows).min(tiling.tiles[0]);
                    let add = first > images.start || row > 0;
                    turn.add_products::<S, BF16>(pairs, &here, &rows, add);
                }
                first = here.end;
            }
            for slot in 0..tiling.pairs {
                turn.write_gradient::<S>(pair + slot, slot, gradient, &images);
            }
        }
    }
}

/// What a unit works with.
struct Turn<'a> {
    g: &'a ConvGeometry,
    tiling: &'a Tiling,
    /// The unit's vectors of output channels.
    vectors: Range<usize>,
    input: *const f32,
    output_gradient: *const f32,
    /// Frequencies of the inputs and of the output gradients.
    frequencies: [*mut f32; 2],
    /// Their products, summed.
    sums: *mut f32,
    /// What lies beyond an image.
    zeros: *const f32,
}

impl Turn<'_> {
    /// Output channels that there are in the panel of `width` vectors that starts at vector `v`.
    fn columns(&self, v: usize, width: usize) -> usize {
        let lanes = self.tiling.lanes;
        (self.g.out_channels - v * lanes).min(width * lanes)
    }

    /// The vector at which the last panel starts.
    #[inline(always)]
    fn last_panel<S: Simd>(&self) -> usize {
        let total = self.g.out_channels.div_ceil(S::LANES);
        let mut v = self.vectors.start;
        loop {
            let width = panel_width(S::REGISTERS, v, total);
            if v + width >= self.vectors.end {
                return v;
            }
            v += width;
        }
    }

    /// Adds the products of some tiles to the sums, or replaces these, for the pairs of rows of frequencies from the first
    /// of `pairs` up to the second.
    #[inline(always)]
    unsafe fn add_products<S: Simd, const BF16: bool>(
        &self,
        pairs: [usize; 2],
        images: &Range<usize>,
        rows: &Range<usize>,
        add: bool,
    ) {
        let (g, tiling) = (self.g, self.tiling);
        let total = g.out_channels.div_ceil(S::LANES);
        let count = tiling.pairs * PAIR;
        let tiles = [rows.len(), tiling.tiles[1]];
        let in_image = tiles[0] * tiles[1];
        let [down, left] = origin(g, ConvPass::Forward);
        let [input_len, output_len] = [
            g.input[0] * g.input[1] * g.in_channels,
            g.output[0] * g.output[1] * g.out_channels,
        ];
        let top = (rows.start * TILE) as isize;
        let column = tiling.column(tiling.count());
        // Panels are equally wide but the last.
        let [width, last] = [self.vectors.start, self.last_panel::<S>()]
            .map(|v| panel_width(S::REGISTERS, v, total));
        let panels = Panels {
            count: (self.vectors.len() - last) / width + 1,
            channels: width * S::LANES,
            distance: count * width * column,
            steps: [width * S::LANES, last * S::LANES],
            strides: [width * column, last * column],
        };
        // SAFETY: the caller vouches for images and scratch.
        unsafe {
            for (i, image) in images.clone().enumerate() {
                let inputs = Tiles::<INPUTS, F32> {
                    image: self.input.add(image * input_len),
                    size: g.input,
                    across: g.in_channels,
                    first: [down + top, left],
                    channels: g.in_channels,
                    zeros: self.zeros,
                    tiles,
                    to: self.frequencies[0],
                    skip: i * in_image,
                    panels: Panels::one(g.in_channels, tiling.channels, tiling.stride()),
                    pairs,
                };
                let gradient = self.output_gradient.add(image * output_len);
                let outputs = Tiles::<TILE, F32> {
                    image: gradient.add(self.vectors.start * S::LANES),
                    size: g.output,
                    across: g.out_channels,
                    first: [top, 0],
                    channels: self.columns(self.vectors.start, self.vectors.len()),
                    zeros: self.zeros,
                    tiles,
                    to: self.frequencies[1],
                    skip: i * in_image,
                    panels,
                    pairs,
                };
                if BF16 {
                    S::call(&inputs.written::<TILE_PAIRS>());
                    S::call(&outputs.written::<TILE_PAIRS>());
                } else {
                    S::call(&inputs);
                    S::call(&outputs);
                }
            }
            let mut v = self.vectors.start;
            while v < self.vectors.end {
                let width = panel_width(S::REGISTERS, v, total);
                let before = count * (v - self.vectors.start);
                let sums = tiling.column(g.in_channels);
                let pitch = (width * S::LANES) as isize;
                Strip {
                    rows: g.in_channels,
                    lines: Lines {
                        count,
                        left: tiling.stride() as isize,
                        panel: (width * column) as isize,
                        to: (width * sums) as isize,
                    },
                    depth: (images.len() * in_image).div_ceil(factors(BF16)),
                    left: self.frequencies[0],
                    left_strides: [1, tiling.channels as isize],
                    offsets: &[],
                    panel: Panel {
                        start: self.frequencies[1].add(before * column),
                        step: pitch,
                        width,
                        last: S::LANES,
                    },
                    to: self.sums.add(before * sums),
                    to_row: pitch,
                    add,
                    ahead: Ahead::NOTHING,
                }
                .run_in::<S, BF16>();
                v += width;
            }
        }
    }

    /// Writes what pair `pair` of the rows of frequencies, the `slot`-th of those at hand, contributes to the gradient,
    /// and adds to what earlier pairs did. What is then not finite is computed anew from these images.
    #[inline(always)]
    unsafe fn write_gradient<S: Simd>(
        &self,
        pair: usize,
        slot: usize,
        gradient: *mut f32,
        images: &Range<usize>,
    ) {
        let (g, tiling) = (self.g, self.tiling);
        let total = g.out_channels.div_ceil(S::LANES);
        let column = tiling.column(g.in_channels);
        let mut v = self.vectors.start;
        while v < self.vectors.end {
            let width = panel_width(S::REGISTERS, v, total);
            let before = tiling.pairs * PAIR * (v - self.vectors.start) * column;
            let stride = width * column;
            // SAFETY: the caller vouches for the sums and the gradient.
            unsafe {
                S::call(&Back {
                    from: self.sums.add(before + slot * PAIR * stride),
                    stride,
                    pair,
                    width,
                    columns: self.columns(v, width),
                    channels: [g.in_channels, g.out_channels],
                    to: gradient.add(v * S::LANES),
                    anew: Elements {
                        geometry: g,
                        images: [images.start, images.end],
                        rows: [0, 3],
                        input: self.input,
                        output_gradient: self.output_gradient.add(v * S::LANES),
                        to: gradient.add(v * S::LANES),
                        next: g.in_channels * g.out_channels,
                        lanes: S::LANES,
                    },
                });
            }
            v += width;
        }
    }
}

/// The transform back to 3 x 3 elements, for one panel of output channels.
struct Back<'a> {
    from: *const f32,
    stride: usize,
    pair: usize,
    width: usize,
    /// Output channels in the panel.
    columns: usize,
    /// Input and output channels.
    channels: [usize; 2],
    to: *mut f32,
    /// How the first channel's elements of the first vector are computed anew.
    anew: Elements<'a>,
}

impl Outlined for Back<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on.
        unsafe {
            match self.pair {
                0 => self.pair::<S, 0>(),
                1 => self.pair::<S, 1>(),
                _ => self.pair::<S, 2>(),
            }
        }
    }
}

impl Back<'_> {
    /// What pair `P` adds to the elements. Of the last pair, all that is left of frequencies that were not finite is in them:
    /// the first element of a row or column reads all points but ∞, the last all but 0.
    #[inline(always)]
    unsafe fn pair<S: Simd, const P: usize>(&self) {
        const N: usize = 3;
        let [inputs, outputs] = self.channels;
        for c in 0..inputs {
            for v in 0..self.width {
                let lanes = (self.columns - v * S::LANES).min(S::LANES);
                // SAFETY: the caller vouches for the CPU, the sums and the gradient; no lanes beyond are touched.
                unsafe {
                    let from = self.from.add((c * self.width + v) * S::LANES);
                    let elements = transform::filter_gradient::<S, P>(from, S::hide(self.stride));
                    let to = self.to.add(c * outputs + v * S::LANES);
                    let step = S::hide(inputs * outputs);
                    let mut sum = S::zero();
                    each!(i < N {
                        each!(j < N {
                            let to = to.add((i * N + j) * step);
                            let mut x = elements[i][j];
                            if lanes == S::LANES {
                                if P > 0 {
                                    x = S::add(x, S::load(to));
                                }
                                S::store(to, x);
                            } else {
                                if P > 0 {
                                    x = S::add(x, S::load_partial(to, lanes));
                                }
                                S::store_partial(to, x, lanes);
                            }
                            if P + 1 == PAIRS {
                                sum = S::add(sum, x);
                            }
                        });
                    });
                    if P + 1 == PAIRS && S::any_nan(S::note(sum, S::zero())) {
                        S::call(&Elements {
                            input: self.anew.input.add(c),
                            output_gradient: self.anew.output_gradient.add(v * S::LANES),
                            to,
                            lanes,
                            ..self.anew
                        });
                    }
                }
            }
        }
    }
}
