//! The gradient with respect to the filters: `dw[kh, kw, c, o] = sum over n, y, x of
//! in[n, y * stride + kh * dilation - padding, .., c] * dout[n, y, x, o]`.
//!
//! A tile is some entries of the filter by some vectors of output channels, summed over the positions of a block of
//! output rows. The batch is shared out into partial gradients, which are added up elsewhere.

use crate::{
    conv::{image::Region, phase::extent, plain::mend_gradient},
    gemm::{
        pack::pack_panel,
        tile::{self, MAX_ROWS, MAX_WIDTH, full_rows, panel_width},
    },
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::{MAX_LANES, Simd},
};
use std::ops::Range;

/// Most partial gradients.
const PARTIALS: usize = 8;
/// Positions in a block, about: their output gradients stay in the first-level cache.
const POSITIONS: usize = 256;
/// Filter entries from which on copying a panel of the output gradients, so that it lies densely, costs less than it
/// saves.
const COPY_ENTRIES: usize = 48;
/// Most output rows in a block.
const ROWS: usize = 64;

/// Numbers in all partial gradients, beyond which there are fewer: they are written, and read again to be summed.
const NUMBERS: usize = 1 << 20;

/// Number of partial gradients with respect to the filters, each over a fixed share of the batch.
pub fn partials(g: &ConvGeometry) -> usize {
    let filters = g.filters().iter().product::<usize>().max(1);
    let most = (NUMBERS / filters).clamp(1, PARTIALS);
    g.batch.clamp(1, most)
}

/// Parts that the rows of the filter and the vectors of output channels of a group are cut into, where the batch alone gives too few
/// units.
fn parts(lanes: usize, g: &ConvGeometry) -> [usize; 2] {
    let wanted = PARTIALS.div_ceil(partials(g));
    let rows = wanted.min(g.kernel[0]);
    let vectors = (g.out_channels / g.groups).div_ceil(lanes);
    [rows, wanted.div_ceil(rows).min(vectors.div_ceil(VECTORS))]
}

/// Vectors of output channels that a part has, about, at least.
const VECTORS: usize = 4;

/// Number of independent units of work.
pub(super) fn units(lanes: usize, g: &ConvGeometry) -> usize {
    let [rows, columns] = parts(lanes, g);
    partials(g) * rows * columns
}

/// Output rows of the blocks that images are taken in: whole images (some at a time) or bands of one.
#[derive(Clone, Copy)]
struct Block {
    images: usize,
    rows: usize,
}

impl Block {
    fn new(g: &ConvGeometry) -> Block {
        let [height, width] = g.output;
        if height <= ROWS && height * width <= POSITIONS {
            Block {
                images: (POSITIONS / (height * width)).min(ROWS / height).max(1),
                rows: height,
            }
        } else {
            let rows = (POSITIONS / width).clamp(1, ROWS);
            Block {
                images: 1,
                rows: height.div_ceil(height.div_ceil(rows)),
            }
        }
    }
}

impl Block {
    /// Numbers in a panel of the output gradients of one block.
    fn panel_len(&self, g: &ConvGeometry) -> usize {
        self.images * self.rows * g.output[1] * MAX_WIDTH * MAX_LANES
    }
}

fn region(g: &ConvGeometry, rows: &Range<usize>) -> Region {
    Region {
        rows: extent(g, ConvPass::Forward, 0, rows),
        columns: extent(g, ConvPass::Forward, 1, &(0..g.output[1])),
        image: g.input,
        channels: g.in_channels,
    }
}

/// Numbers of scratch that a unit takes.
pub(super) fn scratch_len(g: &ConvGeometry) -> usize {
    let block = Block::new(g);
    (0..g.output[0])
        .step_by(block.rows)
        .map(|y| region(g, &(y..(y + block.rows).min(g.output[0]))).len() * block.images)
        .max()
        .map_or(0, |images| images + block.panel_len(g))
}

/// Runs unit `unit` of the partial gradients `[partials, KH, KW, C / groups, O]`.
#[inline(always)]
pub(super) unsafe fn run_unit_body<S: Simd>(
    g: &ConvGeometry,
    unit: usize,
    input: *const f32,
    output_gradient: *const f32,
    gradient: *mut f32,
    scratch: &mut [f32],
) {
    debug_assert!(scratch.len() >= scratch_len(g));
    let ([rows, columns], block) = (parts(S::LANES, g), Block::new(g));
    let (partial, part) = (unit / (rows * columns), unit % (rows * columns));
    let images = share(g.batch, partials(g), partial);
    let filter_rows = share(g.kernel[0], rows, part / columns);
    let out_group = g.out_channels / g.groups;
    let vectors = out_group.div_ceil(S::LANES);
    let vectors = share(vectors, columns, part % columns);
    let [height, width] = g.output;
    let row_len = g.kernel[1] * (g.in_channels / g.groups) * g.out_channels;
    let image_len = g.input[0] * g.input[1] * g.in_channels;
    // SAFETY: everything lies within what the caller vouches for: images of the batch, rows of the output, this
    // unit's rows of the partial gradient, and the scratch for one block.
    unsafe {
        let gradient = gradient.add((partial * g.kernel[0] + filter_rows.start) * row_len);
        if images.is_empty() {
            let columns = vectors.start * S::LANES..(vectors.end * S::LANES).min(out_group);
            for first in (0..filter_rows.len() * row_len).step_by(out_group) {
                gradient
                    .add(first + columns.start)
                    .write_bytes(0, columns.len());
            }
            return;
        }
        let (panel, scratch) = scratch.split_at_mut(block.panel_len(g));
        let mut add = false;
        for first in images.clone().step_by(block.images) {
            let count = block.images.min(images.end - first);
            for y in (0..height).step_by(block.rows) {
                let rows = y..(y + block.rows).min(height);
                let region = region(g, &rows);
                let inside = region.is_inside();
                let mut start = input;
                let mut pitch = 0;
                for i in 0..count {
                    let to = scratch.as_mut_ptr().add(i * region.len());
                    let readable = region.read(input.add((first + i) * image_len), to);
                    if i == 0 {
                        (start, pitch) = (readable.start, readable.pitch);
                    }
                }
                let image_step = if inside { image_len } else { region.len() };
                let mut runs = [(0isize, 0usize); ROWS];
                for i in 0..count {
                    for (r, y) in rows.clone().enumerate() {
                        let line = (y * g.stride[0]) as isize - g.padding.before[0] as isize;
                        let column = -((g.padding.before[1] * g.in_channels) as isize);
                        let offset = (i * image_step) as isize + line * pitch + column;
                        runs[i * rows.len() + r] = (offset, width);
                    }
                }
                let runs = &runs[..count * rows.len()];
                let gradients = output_gradient.add((first * height + y) * width * g.out_channels);
                run_block::<S>(
                    g,
                    &filter_rows,
                    &vectors,
                    start,
                    pitch,
                    runs,
                    gradients,
                    gradient,
                    panel,
                    add,
                );
                add = true;
            }
        }
        // Zeros around the images are no terms: what they may have made of a gradient that is not finite is computed anew.
        if !region(g, &(0..height)).is_inside() {
            mend_gradient::<S>(
                g,
                images,
                filter_rows,
                vectors,
                input,
                output_gradient,
                gradient,
            );
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn run_block<S: Simd>(
    g: &ConvGeometry,
    filter_rows: &Range<usize>,
    vectors: &Range<usize>,
    input: *const f32,
    pitch: isize,
    runs: &[(isize, usize)],
    output_gradient: *const f32,
    gradient: *mut f32,
    scratch: &mut [f32],
    add: bool,
) {
    let in_group = g.in_channels / g.groups;
    let out_group = g.out_channels / g.groups;
    let entries = filter_rows.len() * g.kernel[1] * in_group;
    let positions = runs.iter().map(|run| run.1).sum();
    for group in 0..g.groups {
        let mut v = vectors.start;
        while v < vectors.end {
            let width = panel_width(S::REGISTERS, v - vectors.start, vectors.len());
            let column = group * out_group + v * S::LANES;
            let last = (out_group - (v + width - 1) * S::LANES).min(S::LANES);
            // SAFETY: the panel's columns of the block's positions.
            let panel = unsafe {
                let (start, step) = (output_gradient.add(column), g.out_channels as isize);
                if last < S::LANES || entries >= COPY_ENTRIES {
                    let columns = (width - 1) * S::LANES + last;
                    let (to, pitch) = (scratch.as_mut_ptr(), width * S::LANES);
                    pack_panel::<S>(positions, columns, start, [step, 1], to, pitch);
                    tile::Panel {
                        start: to,
                        step: pitch as isize,
                        width,
                        last,
                    }
                } else {
                    tile::Panel {
                        start,
                        step,
                        width,
                        last,
                    }
                }
            };
            let tiles = entries.div_ceil(full_rows(S::REGISTERS, width));
            let (mut down, mut across, mut channel) = (filter_rows.start, 0, 0);
            let mut entry = 0;
            for t in 0..tiles {
                let here = share(entries, tiles, t).len();
                let mut from_rows = [input; MAX_ROWS];
                let mut to_rows = [gradient; MAX_ROWS];
                for r in 0..here {
                    let offset = (down * g.dilation[0]) as isize * pitch
                        + (across * g.dilation[1] * g.in_channels + group * in_group + channel)
                            as isize;
                    from_rows[r] = input.wrapping_offset(offset);
                    to_rows[r] = gradient.wrapping_add(entry * g.out_channels + column);
                    entry += 1;
                    channel += 1;
                    if channel == in_group {
                        (across, channel) = (across + 1, 0);
                        if across == g.kernel[1] {
                            (down, across) = (down + 1, 0);
                        }
                    }
                }
                // SAFETY: entries, channels and positions lie within what the caller vouches for.
                unsafe {
                    let step = (g.stride[1] * g.in_channels) as isize;
                    let left = tile::Left {
                        rows: &from_rows,
                        step,
                        runs,
                        offsets: &[],
                    };
                    tile::run::<S>(
                        here,
                        left,
                        panel,
                        tile::Target {
                            rows: &to_rows,
                            add,
                        },
                    );
                }
            }
            v += width;
        }
    }
}
