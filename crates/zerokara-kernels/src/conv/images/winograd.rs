//! The forward pass and the gradient with respect to the input, by Winograd's filtering.
//!
//! A unit of work takes some tiles at a time, as many as stay in the second-level cache with all their frequencies:
//! it transforms their inputs, and then for each panel of target channels makes the products of all frequencies and
//! transforms these back. The filters were transformed when they were packed, and stream by; behind them lie their elements
//! as they are, for tiles that are computed anew (see `conv/plain.rs`).

use crate::{
    conv::{
        bf16::with_bf16,
        phase::Phase,
        plain::Targets,
        sides::Sides,
        winograd::{
            GAP, TILE, factors, origin,
            tiles::{CHANNEL_PAIRS, F32, INPUTS, Outputs, Panels, Tiles},
            transform::{self, FIRSTS, FREQUENCIES, PAIRS, PLAIN, SECONDS},
        },
    },
    gemm::{
        pack::pack_panel,
        strip::{Ahead, Lines, Strip},
        tile::{MAX_WIDTH, Panel, panel_width},
    },
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::Simd,
    unroll::each,
};
use std::ops::Range;

/// Bytes that all frequencies of the tiles at hand may take. They would fit in the second-level cache several times, but
/// what of them stays in the first-level cache counts too.
const CACHE: usize = 80 * 1024;
/// Tiles to take at a time even so, if there are as many: all filters stream by for them.
const LEAST_TILES: usize = 12;
/// Units into which a pass large enough is cut, at least.
const UNITS: usize = 16;
/// Tiles that a unit has at least if it is one of many.
const UNIT_TILES: usize = 6;
/// Multiplications in a unit below which sharing them out costs more than it saves.
const UNIT_WORK: usize = 128 * 1024;

/// How the tiles of a pass are shared out.
#[derive(Clone, Copy, Debug)]
struct Tiling {
    /// Height and width of an image, in tiles.
    tiles: [usize; 2],
    /// Parts of the batch.
    parts: usize,
    /// Bands of rows of tiles that an image is cut into; 1 if there is more than one image in a part.
    bands: usize,
    /// Images, and rows of tiles of each, that are taken at a time.
    images: usize,
    rows: usize,
    /// Source channels, padded to whole vectors.
    channels: usize,
}

impl Tiling {
    fn new(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> Tiling {
        let sides = Sides::new(g, pass);
        let tiles = sides.target.map(|length| length.div_ceil(TILE));
        let channels = sides.source_channels.0.next_multiple_of(lanes);
        let bytes = 4 * FREQUENCIES * (channels + MAX_WIDTH.min(2) * lanes);
        let limit = (CACHE / bytes).max(LEAST_TILES);
        let in_image = tiles[0] * tiles[1];
        let batch = g.batch.max(1);
        let total = batch.saturating_mul(in_image);
        let work = (FREQUENCIES * sides.source_channels.0)
            .saturating_mul(sides.target_channels.0)
            .saturating_mul(total);
        let least = UNITS.min(work / UNIT_WORK).min(total / UNIT_TILES).max(2);
        let images = (limit / in_image).clamp(1, (batch / least).max(1));
        let parts = batch.div_ceil(images);
        let images = batch.div_ceil(parts);
        let bands = if images == 1 {
            least.div_ceil(batch).min(tiles[0])
        } else {
            1
        };
        let rows = tiles[0].div_ceil(bands);
        let turns = (rows * tiles[1]).div_ceil(limit).min(rows);
        let rows = if images == 1 {
            rows.div_ceil(turns)
        } else {
            rows
        };
        Tiling {
            tiles,
            parts,
            bands,
            images,
            rows,
            channels,
        }
    }

    /// Images, and rows of tiles of them, that unit `unit` computes.
    fn unit(&self, g: &ConvGeometry, unit: usize) -> (Range<usize>, Range<usize>) {
        (
            share(g.batch, self.parts, unit / self.bands),
            share(self.tiles[0], self.bands, unit % self.bands),
        )
    }

    /// Distance between frequencies of which each has rows of `columns` numbers.
    fn stride(&self, columns: usize) -> usize {
        self.images * self.rows * self.tiles[1] * columns + GAP
    }
}

/// Number of independent units of work in a pass.
pub(in crate::conv) fn units(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let tiling = Tiling::new(lanes, g, pass);
    if g.batch == 0 {
        0
    } else {
        tiling.parts * tiling.bands
    }
}

/// The elements of the target that unit `unit` writes.
pub(in crate::conv) fn unit_range(
    lanes: usize,
    g: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
) -> Range<usize> {
    let sides = Sides::new(g, pass);
    let (images, rows) = Tiling::new(lanes, g, pass).unit(g, unit);
    let row = sides.target[1] * sides.target_channels.0;
    let line = |tile: usize| (tile * TILE).min(sides.target[0]) * row;
    let image = sides.target[0] * row;
    images.start * image + line(rows.start)..(images.end - 1) * image + line(rows.end)
}

/// Zeros that stand for what lies beyond an image.
fn zeros_len(g: &ConvGeometry, pass: ConvPass) -> usize {
    INPUTS * Sides::new(g, pass).source_channels.0
}

/// Numbers of scratch that a unit takes.
pub(in crate::conv) fn scratch_len(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let tiling = Tiling::new(lanes, g, pass);
    let frequencies = tiling.stride(tiling.channels) + tiling.stride(MAX_WIDTH * lanes);
    FREQUENCIES * frequencies + zeros_len(g, pass)
}

/// Elements of a filter for one source channel.
const TAPS: usize = 9;

/// Floats in the filters packed for a pass: for each panel of target channels, `[frequencies][source channels][vectors
/// of the panel]`, with gaps between frequencies, and after all panels once more for each, `[source channels][taps][vectors of
/// the panel]`.
pub(in crate::conv) fn packed_len(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let sides = Sides::new(g, pass);
    let vectors = sides.target_channels.0.div_ceil(lanes);
    elements_start(lanes, &sides) + vectors * TAPS * sides.source_channels.0 * lanes
}

/// Where the filters' elements begin in the packed filters.
fn elements_start(lanes: usize, sides: &Sides) -> usize {
    let vectors = sides.target_channels.0.div_ceil(lanes);
    FREQUENCIES * vectors * column(lanes, sides.source_channels.0)
}

/// Numbers of one frequency in one vector of packed filters, of `rows` source channels or pairs of them.
fn column(lanes: usize, rows: usize) -> usize {
    rows * lanes + GAP
}

with_bf16! {
    /// Packs the filters of the target channels of `vectors`, which begins and ends at panels.
    pack_panels_in_bf16(
        geometry: &ConvGeometry,
        pass: ConvPass,
        vectors: Range<usize>,
        filters: *const f32,
        strides: [isize; 4],
        packed: *mut f32,
    ) = pack_panels
}

/// Transforms the filters of the target channels of `vectors`, which begins and ends at panels. If `BF16`, neighbouring
/// source channels, of which the number is even, become pairs.
#[inline(always)]
pub(in crate::conv) unsafe fn pack_panels<S: Simd, const BF16: bool>(
    g: &ConvGeometry,
    pass: ConvPass,
    vectors: Range<usize>,
    filters: *const f32,
    [by_out, by_in, by_row, by_column]: [isize; 4],
    packed: *mut f32,
) {
    const N: usize = 3;
    let sides = Sides::new(g, pass);
    let (by_source, by_target) = match pass {
        ConvPass::Forward => (by_in, by_out),
        ConvPass::InputGradient => (by_out, by_in),
    };
    let (source, target) = (sides.source_channels.0, sides.target_channels.0);
    let total = target.div_ceil(S::LANES);
    let [down, across] = [0, 1].map(|axis| Phase::new(g, pass, axis, 0).filter);
    let mut v = vectors.start;
    while v < vectors.end {
        let width = panel_width(S::REGISTERS, v, total);
        let pitch = width * S::LANES;
        let columns = (target - v * S::LANES).min(pitch);
        let column = column(S::LANES, source / factors(BF16));
        let panel = packed.wrapping_add(v * FREQUENCIES * column);
        let elements =
            packed.wrapping_add(elements_start(S::LANES, &sides) + v * TAPS * source * S::LANES);
        for channel in 0..source {
            let taps = elements.wrapping_add(channel * TAPS * pitch);
            let from = filters.wrapping_offset(
                channel as isize * by_source + (v * S::LANES) as isize * by_target,
            );
            // SAFETY: the elements lie within the filters, the panel within the packed ones.
            unsafe {
                if [by_row, by_column] == [3, 1] {
                    let strides = [1, by_target];
                    pack_panel::<S>(TAPS, columns, from, strides, taps, pitch);
                } else {
                    for tap in 0..TAPS {
                        let (i, j) = ((tap / 3) as isize, (tap % 3) as isize);
                        let from = from.offset(i * by_row + j * by_column);
                        let to = taps.add(tap * pitch);
                        pack_panel::<S>(1, columns, from, [0, by_target], to, pitch);
                    }
                }
                for v in 0..width {
                    let mut elements = [[S::zero(); 3]; 3];
                    each!(i < N {
                        each!(j < N {
                            let tap = (down.0 + i as isize * down.1) * 3
                                + across.0
                                + j as isize * across.1;
                            let from = tap as usize * pitch + v * S::LANES;
                            elements[i][j] = S::load(taps.add(from));
                        });
                    });
                    let to = panel.add(channel / factors(BF16) * pitch + v * S::LANES);
                    let stride = S::hide(width * column);
                    match (BF16, channel % 2) {
                        (false, _) => transform::filter::<S, PLAIN>(&elements, to, stride),
                        (true, 0) => transform::filter::<S, FIRSTS>(&elements, to, stride),
                        (true, _) => transform::filter::<S, SECONDS>(&elements, to, stride),
                    }
                }
            }
        }
        v += width;
    }
}

with_bf16! {
    /// Runs unit `unit` of a pass.
    run_unit_in_bf16(
        geometry: &ConvGeometry,
        pass: ConvPass,
        unit: usize,
        source: *const f32,
        packed: *const f32,
        target: *mut f32,
        scratch: &mut [f32],
    ) = run_unit_body
}

/// Runs a unit of a pass; with products of bf16 if `BF16`, for an even number of source channels.
#[inline(always)]
pub(in crate::conv) unsafe fn run_unit_body<S: Simd, const BF16: bool>(
    g: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
    source: *const f32,
    packed: *const f32,
    target: *mut f32,
    scratch: &mut [f32],
) {
    debug_assert!(scratch.len() >= scratch_len(S::LANES, g, pass));
    let sides = Sides::new(g, pass);
    let tiling = Tiling::new(S::LANES, g, pass);
    let (images, rows) = tiling.unit(g, unit);
    let (channels, target_channels) = (sides.source_channels.0, sides.target_channels.0);
    let source_len = sides.source[0] * sides.source[1] * channels;
    let target_len = sides.target[0] * sides.target[1] * target_channels;
    let total = target_channels.div_ceil(S::LANES);
    // Numbers in a sum, from one tile's to the next's, in one vector of filters, and from one frequency to the next.
    let depth = channels / factors(BF16);
    let step = tiling.channels / factors(BF16);
    let column = column(S::LANES, depth);
    let stride = tiling.stride(step);
    let across = tiling.tiles[1];
    let zeros = zeros_len(g, pass);
    let [down_phase, across_phase] = [0, 1].map(|axis| Phase::new(g, pass, axis, 0));
    let elements = packed.wrapping_add(elements_start(S::LANES, &sides));
    let scratch = scratch.as_mut_ptr();
    // SAFETY: the scratch has that many numbers.
    unsafe { scratch.write_bytes(0, zeros) };
    let [down, left] = origin(g, pass);
    let mut first = images.start;
    while first < images.end {
        let here = first..(first + tiling.images).min(images.end);
        first = here.end;
        for row in rows.clone().step_by(tiling.rows) {
            let rows = row..(row + tiling.rows).min(rows.end);
            let tiles = rows.len() * across;
            // SAFETY: images, tiles and panels lie within what the caller vouches for; the scratch has room for all
            // frequencies of these tiles and for the products of one panel.
            unsafe {
                let frequencies = scratch.add(zeros);
                let products = frequencies.add(FREQUENCIES * stride);
                for (i, image) in here.clone().enumerate() {
                    let tiles = Tiles::<INPUTS, F32> {
                        image: source.add(image * source_len),
                        size: sides.source,
                        across: channels,
                        first: [down + (rows.start * TILE) as isize, left],
                        channels,
                        zeros: scratch,
                        tiles: [rows.len(), across],
                        to: frequencies,
                        skip: i * tiles,
                        panels: Panels::one(channels, step, stride),
                        pairs: [0, PAIRS],
                    };
                    if BF16 {
                        S::call(&tiles.written::<CHANNEL_PAIRS>());
                    } else {
                        S::call(&tiles);
                    }
                }
                let mut v = 0;
                while v < total {
                    let width = panel_width(S::REGISTERS, v, total);
                    let pitch = width * S::LANES;
                    let product_stride = tiling.stride(pitch);
                    Strip {
                        rows: here.len() * tiles,
                        lines: Lines {
                            count: FREQUENCIES,
                            left: stride as isize,
                            panel: (width * column) as isize,
                            to: product_stride as isize,
                        },
                        depth,
                        left: frequencies,
                        left_strides: [step as isize, 1],
                        offsets: &[],
                        panel: Panel {
                            start: packed.add(v * FREQUENCIES * column),
                            step: pitch as isize,
                            width,
                            last: S::LANES,
                        },
                        to: products,
                        to_row: pitch as isize,
                        add: false,
                        ahead: Ahead::NOTHING,
                    }
                    .run_in::<S, BF16>();
                    let last = (target_channels - (v + width - 1) * S::LANES).min(S::LANES);
                    for (i, image) in here.clone().enumerate() {
                        let from = products.add(i * tiles * pitch);
                        let to = target.add(image * target_len + v * S::LANES);
                        // Where the element at the first taps is, as the pass turns the filters.
                        let tap = down_phase.filter.0 * 3 + across_phase.filter.0;
                        let elements = elements
                            .add(v * TAPS * channels * S::LANES)
                            .offset(tap * pitch as isize);
                        let steps = [down_phase.filter.1 * 3, across_phase.filter.1];
                        let anew = Targets {
                            down: &down_phase,
                            across: &across_phase,
                            rows: [0; 2],
                            columns: [0; 2],
                            source: source.add(image * source_len),
                            size: sides.source,
                            pitch: channels,
                            channels,
                            filters: elements,
                            taps: steps.map(|step| step * pitch as isize),
                            next: TAPS * pitch,
                            target: to,
                            breadth: sides.target[1],
                            target_pitch: target_channels,
                            lanes: S::LANES,
                        };
                        S::call(&Outputs {
                            from,
                            stride: product_stride,
                            image: [sides.target[0], sides.target[1], target_channels],
                            rows: [rows.start, rows.end],
                            width,
                            last,
                            to,
                            anew,
                        });
                    }
                    v += width;
                }
            }
        }
    }
}
