//! The forward pass and the gradient with respect to the input: sums of runs of contiguous numbers.
//!
//! For one target position and one row of taps, the numbers read lie side by side in a channels-last image, all
//! channels of all taps in one run (if no dilation or grouping stands between). A tile of some positions by some
//! vectors of target channels takes all runs in turn, its sums in registers from the first number to the last.

use super::packing::{are_finite, phase_len};
use crate::{
    conv::{
        image::{Readable, Region},
        phase::{Phase, extent},
        plain::Targets,
        sides::Sides,
    },
    gemm::{
        strip::{Ahead, Lines, Strip},
        tile::{self, MAX_ROWS, full_rows, panel_width},
    },
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::Simd,
};
use std::ops::Range;

/// Multiplications in a unit of work below which sharing them out costs more than it saves.
const UNIT_WORK: usize = 128 * 1024;
/// Units into which a pass large enough is cut, at least.
const UNITS: usize = 16;
/// Terms up to which a tile takes its numbers one by one, if runs are short.
const OFFSETS: usize = 64;
/// Positions in a line from which on lines are worth being cut into tiles one by one.
const LINE: usize = 12;
/// Runs that one tile takes at a time; more are taken in turns.
const RUNS: usize = 32;

/// How a pass is cut: units of some whole images, or of some rows of one image.
#[derive(Clone, Copy)]
enum Cut {
    Images(usize),
    Bands(usize),
}

impl Cut {
    fn new(g: &ConvGeometry, pass: ConvPass) -> Cut {
        let sides = Sides::new(g, pass);
        let work = g.output[0] * g.output[1] * g.kernel[0] * g.kernel[1];
        let work = (work * sides.source_channels.1)
            .saturating_mul(g.out_channels.max(g.in_channels))
            .max(1);
        let bands = UNITS
            .div_ceil(g.batch.max(1))
            .min(work / UNIT_WORK)
            .min(sides.target[0] / 2);
        if bands > 1 {
            Cut::Bands(bands)
        } else {
            Cut::Images((UNIT_WORK / work).clamp(1, g.batch.div_ceil(UNITS).max(1)))
        }
    }
}

/// Number of independent units of work in a pass.
pub(super) fn units(g: &ConvGeometry, pass: ConvPass) -> usize {
    let sides = Sides::new(g, pass);
    if sides.target[0] * sides.target[1] * sides.target_channels.0 == 0 {
        return 0;
    }
    match Cut::new(g, pass) {
        Cut::Images(images) => g.batch.div_ceil(images),
        Cut::Bands(bands) => g.batch * bands,
    }
}

/// Images, and rows of them, that unit `unit` writes.
fn unit_rows(g: &ConvGeometry, pass: ConvPass, unit: usize) -> (Range<usize>, Range<usize>) {
    let height = Sides::new(g, pass).target[0];
    match Cut::new(g, pass) {
        Cut::Images(images) => (unit * images..((unit + 1) * images).min(g.batch), 0..height),
        Cut::Bands(bands) => {
            let image = unit / bands;
            (image..image + 1, share(height, bands, unit % bands))
        }
    }
}

/// The elements of the target, counted from its start, that unit `unit` (below [`units`]) writes.
pub(super) fn unit_range(g: &ConvGeometry, pass: ConvPass, unit: usize) -> Range<usize> {
    let sides = Sides::new(g, pass);
    let row = sides.target[1] * sides.target_channels.0;
    let (images, rows) = unit_rows(g, pass, unit);
    let image = sides.target[0] * row;
    images.start * image + rows.start * row..(images.end - 1) * image + rows.end * row
}

fn region(g: &ConvGeometry, pass: ConvPass, rows: &Range<usize>) -> Region {
    let sides = Sides::new(g, pass);
    Region {
        rows: extent(g, pass, 0, rows),
        columns: extent(g, pass, 1, &(0..sides.target[1])),
        image: sides.source,
        channels: sides.source_channels.0,
    }
}

/// Numbers of scratch that a unit takes.
pub(super) fn scratch_len(g: &ConvGeometry, pass: ConvPass) -> usize {
    let bands = match Cut::new(g, pass) {
        Cut::Images(_) => 1,
        Cut::Bands(bands) => bands,
    };
    (0..bands)
        .map(|unit| region(g, pass, &unit_rows(g, pass, unit).1).len())
        .max()
        .unwrap_or(0)
}

/// Runs unit `unit` of a pass over `source` with filters packed for it.
#[inline(always)]
pub(super) unsafe fn run_unit_body<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
    source: *const f32,
    packed: *const f32,
    target: *mut f32,
    scratch: &mut [f32],
) {
    let sides = Sides::new(g, pass);
    let (images, rows) = unit_rows(g, pass, unit);
    let region = region(g, pass, &rows);
    debug_assert!(scratch.len() >= region.len());
    let source_len = sides.source[0] * sides.source[1] * sides.source_channels.0;
    let target_len = sides.target[0] * sides.target[1] * sides.target_channels.0;
    // Zeros around the image are no terms: where they would not come to nothing, they must not be multiplied.
    // SAFETY: the caller vouches for the packed filters.
    let plain = !region.is_inside() && !unsafe { are_finite(S::LANES, g, pass, packed) };
    for image in images {
        if plain {
            // SAFETY: the image lies within the batch; the caller vouches for the rest.
            unsafe {
                let source = source.add(image * source_len);
                let target = target.add(image * target_len);
                run_plainly::<S>(g, pass, &rows, source, packed, target);
            }
            continue;
        }
        // SAFETY: the image lies within the batch; the caller vouches for the rest.
        unsafe {
            let readable = region.read(source.add(image * source_len), scratch.as_mut_ptr());
            let target = target.add(image * target_len);
            let mut packed = packed;
            for residue in 0..Phase::number(g, pass, 0) {
                let down = Phase::new(g, pass, 0, residue);
                for residue in 0..Phase::number(g, pass, 1) {
                    let across = Phase::new(g, pass, 1, residue);
                    run_phase::<S>(
                        g.groups, &sides, &down, &across, &rows, readable, packed, target,
                    );
                    packed = packed.add(phase_len::<S>(g.groups, &sides, &down, &across));
                }
            }
        }
    }
}

/// Some rows of the target of an image, by sums of the terms that there are.
#[inline(always)]
unsafe fn run_plainly<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    rows: &Range<usize>,
    source: *const f32,
    mut packed: *const f32,
    target: *mut f32,
) {
    let sides = Sides::new(g, pass);
    let (source_channels, source_group) = sides.source_channels;
    let (target_channels, target_group) = sides.target_channels;
    let total = target_group.div_ceil(S::LANES);
    let phases = Phase::number(g, pass, 0) * Phase::number(g, pass, 1);
    for phase in 0..phases {
        let across = Phase::number(g, pass, 1);
        let down = Phase::new(g, pass, 0, phase / across);
        let across = Phase::new(g, pass, 1, phase % across);
        let depth = down.taps * across.taps * source_group;
        let lines = down.within(rows);
        for (group, v) in (0..g.groups).flat_map(|group| (0..total).map(move |v| (group, v))) {
            // The panel that the vector is in.
            let mut first = 0;
            while first + panel_width(S::REGISTERS, first, total) <= v {
                first += panel_width(S::REGISTERS, first, total);
            }
            let pitch = panel_width(S::REGISTERS, first, total) * S::LANES;
            // SAFETY: channels, taps and panels lie within what the caller vouches for.
            unsafe {
                S::call(&Targets {
                    down: &down,
                    across: &across,
                    rows: [lines.start, lines.end],
                    columns: [0, across.count],
                    source: source.add(group * source_group),
                    size: sides.source,
                    pitch: source_channels,
                    channels: source_group,
                    filters: packed
                        .add((group * total + first) * S::LANES * depth + (v - first) * S::LANES),
                    taps: [across.taps, 1].map(|step| (step * source_group * pitch) as isize),
                    next: pitch,
                    target: target.add(group * target_group + v * S::LANES),
                    breadth: sides.target[1],
                    target_pitch: target_channels,
                    lanes: S::LANES.min(target_group - v * S::LANES),
                });
            }
        }
        // SAFETY: phases follow one another.
        packed = unsafe { packed.add(phase_len::<S>(g.groups, &sides, &down, &across)) };
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn run_phase<S: Simd>(
    groups: usize,
    sides: &Sides,
    down: &Phase,
    across: &Phase,
    rows: &Range<usize>,
    source: Readable,
    packed: *const f32,
    target: *mut f32,
) {
    let positions = down.within(rows);
    let count = positions.len() * across.count;
    if count == 0 {
        return;
    }
    let (source_channels, source_group) = sides.source_channels;
    let (target_channels, target_group) = sides.target_channels;
    // Taps side by side make one run, unless channels of other groups lie between.
    let joined = across.tap_step == 1 && groups == 1;
    let (turns, run_len) = if joined {
        (1, across.taps * source_group)
    } else {
        (across.taps, source_group)
    };
    let runs_total = if run_len == 0 { 0 } else { down.taps * turns };
    let depth = down.taps * across.taps * source_group;
    let total = target_group.div_ceil(S::LANES);
    // SAFETY: all positions and taps lie within the region that the caller made readable.
    unsafe {
        let origin = source.start.wrapping_offset(
            (down.origin + positions.start as isize * down.source_step) * source.pitch
                + across.origin * source_channels as isize,
        );
        let target = target.add(
            ((down.start + positions.start * down.step) * sides.target[1] + across.start)
                * target_channels,
        );
        // Distances from one position to the next, across and down.
        let from_step = across.source_step * source_channels as isize;
        let from_line = down.source_step * source.pitch;
        let to_step = across.step * target_channels;
        let to_line = down.step * sides.target[1] * target_channels;
        let mut runs = [(0isize, 0usize); RUNS];
        let mut offsets = [0isize; OFFSETS];
        let flat = runs_total <= RUNS && run_len < 16 && runs_total * run_len <= OFFSETS;
        let mut first = 0;
        // Once more for every further handful of runs; at least once, so that targets without taps become zeros.
        loop {
            let here = (runs_total - first).min(RUNS);
            let (mut tap_down, mut tap_across) = (first / turns.max(1), first % turns.max(1));
            for i in 0..here {
                let offset = tap_down as isize * down.tap_step * source.pitch
                    + tap_across as isize * across.tap_step * source_channels as isize;
                if flat {
                    for k in 0..run_len {
                        offsets[i * run_len + k] = offset + k as isize;
                    }
                }
                runs[i] = (offset, run_len);
                tap_across += 1;
                if tap_across == turns {
                    (tap_down, tap_across) = (tap_down + 1, 0);
                }
            }
            let (runs, offsets) = if flat {
                (&[][..], &offsets[..runs_total * run_len])
            } else {
                (&runs[..here], &[][..])
            };
            for group in 0..groups {
                let from = origin.wrapping_add(group * source_group);
                let to = target.add(group * target_group);
                let panels = packed.add(group * depth * total * S::LANES);
                let mut v = 0;
                while v < total {
                    let width = panel_width(S::REGISTERS, v, total);
                    let pitch = width * S::LANES;
                    let start = panels.add(v * S::LANES * depth + first * run_len * pitch);
                    let last = (target_group - (v + width - 1) * S::LANES).min(S::LANES);
                    let panel = tile::Panel {
                        start,
                        step: pitch as isize,
                        width,
                        last,
                    };
                    // Few numbers for each position: all lines in one call.
                    if (flat || runs_total == 1) && across.count >= LINE {
                        let start = runs.first().map_or(0, |run| run.0);
                        Strip {
                            rows: across.count,
                            lines: Lines {
                                count: positions.len(),
                                left: from_line,
                                panel: 0,
                                to: to_line as isize,
                            },
                            depth: runs_total * run_len,
                            left: from.wrapping_offset(start),
                            left_strides: [from_step, 1],
                            offsets,
                            panel,
                            to: to.add(v * S::LANES),
                            to_row: to_step as isize,
                            add: false,
                            ahead: Ahead::NOTHING,
                        }
                        .run::<S>();
                        v += width;
                        continue;
                    }
                    let tiles = count.div_ceil(full_rows(S::REGISTERS, width));
                    let (rows_each, rows_more) = (count / tiles, count % tiles);
                    let (mut line, mut step) = (0, 0);
                    for t in 0..tiles {
                        let here_rows = rows_each + usize::from(t < rows_more);
                        let mut from_rows = [from; MAX_ROWS];
                        let mut to_rows = [to; MAX_ROWS];
                        for r in 0..here_rows {
                            from_rows[r] = from.wrapping_offset(
                                line as isize * from_line + step as isize * from_step,
                            );
                            to_rows[r] = to.add(line * to_line + step * to_step + v * S::LANES);
                            step += 1;
                            if step == across.count {
                                (line, step) = (line + 1, 0);
                            }
                        }
                        let left = tile::Left {
                            rows: &from_rows,
                            step: 1,
                            runs,
                            offsets,
                        };
                        let target = tile::Target {
                            rows: &to_rows,
                            add: first > 0,
                        };
                        tile::run::<S>(here_rows, left, panel, target);
                    }
                    v += width;
                }
            }
            first += here;
            if first >= runs_total {
                break;
            }
        }
    }
}
