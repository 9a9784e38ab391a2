//! The forward pass and the gradient with respect to the input, which is the same pass with turned filters.
//!
//! A unit of work takes some tiles at a time, as many as stay in the second-level cache with all their frequencies:
//! it transforms their inputs, and then for each panel of target channels makes the products of all frequencies and
//! transforms these back. The filters were transformed when they were packed, and stream by.

use super::{
    ConvGeometry, GAP, RIM, Sides, TILE, origin,
    product::Products,
    tiles::{INPUTS, Outputs, Tiles},
    transform::{self, FREQUENCIES},
};
use crate::{
    conv::{image::Window, phase::Phase},
    gemm::{
        pack::pack_panel,
        share,
        tile::{MAX_WIDTH, panel_width},
    },
    plan::ConvPass,
    simd::Simd,
    unroll::each,
};
use std::ops::Range;

/// Bytes that all frequencies of the tiles at hand take, about: they stay in the second-level cache together with what
/// streams by.
const CACHE: usize = 64 * 1024;
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
        let limit = (CACHE / bytes).next_multiple_of(if lanes > 8 { 8 } else { 6 });
        let in_image = tiles[0] * tiles[1];
        let batch = g.batch.max(1);
        let total = batch.saturating_mul(in_image);
        let work = (FREQUENCIES * sides.source_channels.0)
            .saturating_mul(sides.target_channels.0)
            .saturating_mul(total);
        let least = UNITS.min(work / UNIT_WORK).min(total / UNIT_TILES).max(2);
        // A multiple of four, so that threads get equal shares.
        let parts = batch.div_ceil((limit / in_image).max(1)).max(least);
        let parts = parts.next_multiple_of(4).min(batch);
        let bands = if parts == batch {
            least.div_ceil(batch).min(tiles[0])
        } else {
            1
        };
        let rows = tiles[0].div_ceil(bands);
        let turns = (rows * tiles[1]).div_ceil(limit).min(rows);
        Tiling {
            tiles,
            parts,
            bands,
            images: if turns == 1 { batch.div_ceil(parts) } else { 1 },
            rows: rows.div_ceil(turns),
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

    /// The inputs under `rows` rows of tiles.
    fn window(&self, g: &ConvGeometry, pass: ConvPass, rows: &Range<usize>) -> Window {
        let sides = Sides::new(g, pass);
        let [down, across] = origin(g, pass);
        Window {
            rows: (down + (rows.start * TILE) as isize, rows.len() * TILE + RIM),
            columns: (across, self.tiles[1] * TILE + RIM),
            image: sides.source,
            channels: sides.source_channels.0,
        }
    }

    /// Numbers of scratch for the part of an image at hand.
    fn window_len(&self, g: &ConvGeometry, pass: ConvPass) -> usize {
        let window = self.window(g, pass, &(0..self.rows));
        let reach = self.tiles.map(|tiles| tiles * TILE + RIM);
        let inside = (0..2).all(|i| {
            let first = origin(g, pass)[i];
            first >= 0 && first as usize + reach[i] <= window.image[i]
        });
        if inside {
            0
        } else {
            window.rows.1 * window.columns.1 * window.channels
        }
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

/// Numbers of scratch that a unit takes.
pub(in crate::conv) fn scratch_len(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let tiling = Tiling::new(lanes, g, pass);
    let frequencies = tiling.stride(tiling.channels) + tiling.stride(MAX_WIDTH * lanes);
    FREQUENCIES * frequencies + tiling.window_len(g, pass)
}

/// Floats in the filters packed for a pass: for each panel of target channels, `[frequencies][source channels][vectors
/// of the panel]`.
pub(in crate::conv) fn packed_len(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let sides = Sides::new(g, pass);
    FREQUENCIES * sides.source_channels.0 * sides.target_channels.0.next_multiple_of(lanes)
}

/// Transforms the filters of the target channels of `vectors`, which begins and ends at panels.
#[inline(always)]
pub(in crate::conv) unsafe fn pack_panels<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    vectors: Range<usize>,
    filters: *const f32,
    [by_out, by_in, by_row, by_column]: [isize; 4],
    packed: *mut f32,
) {
    const N: usize = 3;
    const TAPS: usize = 9;
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
        let stride = source * pitch;
        // SAFETY: the filters' elements lie within the filters, the panel within the packed ones. The nine elements
        // of the filters wait where the last nine frequencies go; each is read before anything takes its place.
        unsafe {
            let panel = packed.add(v * S::LANES * source * FREQUENCIES);
            let waiting = panel.add((FREQUENCIES - TAPS) * stride);
            for tap in 0..TAPS {
                let (i, j) = ((tap / 3) as isize, (tap % 3) as isize);
                let from = filters.offset(
                    (v * S::LANES) as isize * by_target
                        + (down.0 + i * down.1) * by_row
                        + (across.0 + j * across.1) * by_column,
                );
                let strides = [by_source, by_target];
                pack_panel::<S>(
                    source,
                    columns,
                    from,
                    strides,
                    waiting.add(tap * stride),
                    pitch,
                );
            }
            for i in 0..source * width {
                let waiting = waiting.add(i * S::LANES);
                let mut elements = [[S::zero(); 3]; 3];
                each!(i < N {
                    each!(j < N {
                        elements[i][j] = S::load(waiting.add((i * N + j) * stride));
                    });
                });
                transform::filter::<S>(&elements, panel.add(i * S::LANES), stride);
            }
        }
        v += width;
    }
}

/// Runs a unit of a pass.
#[inline(always)]
pub(in crate::conv) unsafe fn run_unit_body<S: Simd>(
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
    let stride = tiling.stride(tiling.channels);
    let across = tiling.tiles[1];
    let mut first = images.start;
    while first < images.end {
        let here = first..(first + tiling.images).min(images.end);
        first = here.end;
        for row in rows.clone().step_by(tiling.rows) {
            let rows = row..(row + tiling.rows).min(rows.end);
            let tiles = rows.len() * across;
            let window = tiling.window(g, pass, &rows);
            // SAFETY: images, tiles and panels lie within what the caller vouches for; the scratch has room for all
            // frequencies of these tiles, for the products of one panel, and for a copy of one image.
            unsafe {
                let frequencies = scratch.as_mut_ptr();
                let products = frequencies.add(FREQUENCIES * stride);
                let copy = products.add(FREQUENCIES * tiling.stride(MAX_WIDTH * S::LANES));
                for (i, image) in here.clone().enumerate() {
                    let readable = window.read(source.add(image * source_len), copy);
                    let from = readable.start.wrapping_offset(
                        window.rows.0 * readable.pitch + window.columns.0 * channels as isize,
                    );
                    let to = frequencies.add(i * tiles * tiling.channels);
                    S::call(&Tiles::<INPUTS> {
                        from,
                        down: readable.pitch,
                        across: channels,
                        channels,
                        tiles: [rows.len(), across],
                        to,
                        step: tiling.channels,
                        stride,
                        pair: None,
                    });
                }
                let mut v = 0;
                while v < total {
                    let width = panel_width(S::REGISTERS, v, total);
                    let pitch = width * S::LANES;
                    let product_stride = tiling.stride(pitch);
                    Products {
                        count: FREQUENCIES,
                        rows: here.len() * tiles,
                        depth: channels,
                        width,
                        left: frequencies,
                        left_strides: [stride, tiling.channels, 1],
                        panel: packed.add(v * S::LANES * channels * FREQUENCIES),
                        panel_stride: channels * pitch,
                        to: products,
                        to_stride: product_stride,
                        add: false,
                    }
                    .run::<S>();
                    let last = (target_channels - (v + width - 1) * S::LANES).min(S::LANES);
                    for (i, image) in here.clone().enumerate() {
                        let from = products.add(i * tiles * pitch);
                        let to = target.add(image * target_len + v * S::LANES);
                        S::call(&Outputs {
                            from,
                            stride: product_stride,
                            image: [sides.target[0], sides.target[1], target_channels],
                            rows: [rows.start, rows.end],
                            width,
                            last,
                            to,
                        });
                    }
                    v += width;
                }
            }
        }
    }
}
