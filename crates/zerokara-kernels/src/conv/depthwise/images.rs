//! The forward pass, and the gradient with respect to the input, which is the same pass with turned filters.

use super::{
    applies, bands, dense, parts, rows_at_once,
    tile::{Tile, write_out},
};
use crate::{
    conv::{
        phase::{Phase, extent},
        sides::Sides,
    },
    gemm::pack::pack_panel,
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::{Lanes, Simd, multiversion},
    unroll::each,
};
use std::ops::Range;

/// What the units of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Some rows, all channels: what a unit writes lies together where channels are innermost.
    Rows,
    /// Some blocks of channels, all rows: what a unit writes lies together plane by plane.
    Channels,
}

/// What a pass reads and writes; images have strides `[N, Y, X, C]`.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// The images that are read.
    pub source: *const f32,
    /// Where they lie.
    pub source_strides: [isize; 4],
    /// The filters, packed for the pass.
    pub packed: *const f32,
    /// A number for each channel that is added, and from one to the next; or null.
    pub bias: (*const f32, isize),
    /// Whether negative results become zero.
    pub rectify: bool,
    /// The images that are written.
    pub target: *mut f32,
    /// Where they lie.
    pub target_strides: [isize; 4],
}

/// Floats in packed filters: for each block of channels and each phase a vector for each tap, in the order in which the pass reads
/// the source; then a number for each block, zero, or NaN where an element is not finite.
pub(crate) fn packed_len(lanes: usize, g: &ConvGeometry) -> usize {
    let blocks = g.groups.div_ceil(lanes);
    blocks * (g.kernel[0] * g.kernel[1] * lanes + 1)
}

/// Packs filters `[C, 1, KH, KW]` of any strides.
///
/// # Safety
///
/// `filters` must be valid for reading, `packed` for writing [`packed_len`] floats.
#[inline(always)]
pub(crate) unsafe fn pack<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    filters: *const f32,
    [by_channel, _, by_row, by_column]: [isize; 4],
    packed: *mut f32,
) {
    let taps = g.kernel[0] * g.kernel[1];
    let blocks = g.groups.div_ceil(S::LANES);
    for block in 0..blocks {
        let first = block * S::LANES;
        let channels = S::LANES.min(g.groups - first);
        // SAFETY: channels and taps lie within the filters; each tap belongs to one phase.
        unsafe {
            let filters = filters.offset(first as isize * by_channel);
            let mut to = packed.add(block * taps * S::LANES);
            let mut all = S::zero();
            for (down, across) in phases(g, pass) {
                for (i, j) in taps_of(&down, &across) {
                    let row = down.filter.0 + i as isize * down.filter.1;
                    let column = across.filter.0 + j as isize * across.filter.1;
                    let from = filters.offset(row * by_row + column * by_column);
                    pack_panel::<S>(1, channels, from, [0, by_channel], to, S::LANES);
                    all = S::note(S::load(to), all);
                    to = to.add(S::LANES);
                }
            }
            *packed.add(blocks * taps * S::LANES + block) = S::sum(all);
        }
    }
}

fn phases(g: &ConvGeometry, pass: ConvPass) -> impl Iterator<Item = (Phase, Phase)> {
    let (g, across) = (*g, Phase::number(g, pass, 1));
    (0..Phase::number(&g, pass, 0) * across).map(move |phase| {
        (
            Phase::new(&g, pass, 0, phase / across),
            Phase::new(&g, pass, 1, phase % across),
        )
    })
}

fn taps_of(down: &Phase, across: &Phase) -> impl Iterator<Item = (usize, usize)> {
    let (rows, columns) = (down.taps, across.taps);
    (0..rows).flat_map(move |i| (0..columns).map(move |j| (i, j)))
}

impl Cut {
    /// Parts of each image.
    fn parts(self, lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
        let most = match self {
            // Fewer rows would mean reading most of them twice.
            Cut::Rows => Sides::new(g, pass).target[0] / (2 * g.kernel[0]),
            Cut::Channels => g.groups.div_ceil(lanes),
        };
        parts(g, g.batch, most)
    }

    /// The image, rows of the target and blocks of channels of a unit.
    fn unit(self, lanes: usize, g: &ConvGeometry, pass: ConvPass, unit: usize) -> Unit {
        let height = Sides::new(g, pass).target[0];
        let (parts, blocks) = (self.parts(lanes, g, pass), g.groups.div_ceil(lanes));
        let (rows, blocks) = match self {
            Cut::Rows => (share(height, parts, unit % parts), 0..blocks),
            Cut::Channels => (0..height, share(blocks, parts, unit % parts)),
        };
        Unit {
            image: unit / parts,
            rows,
            blocks,
        }
    }
}

struct Unit {
    image: usize,
    rows: Range<usize>,
    blocks: Range<usize>,
}

/// Number of independent units of work in a pass.
pub fn units(lanes: usize, g: &ConvGeometry, pass: ConvPass, cut: Cut) -> usize {
    g.batch * cut.parts(lanes, g, pass)
}

/// The elements of a target without gaps that unit `unit` of [`Cut::Rows`] writes.
pub fn unit_range(lanes: usize, g: &ConvGeometry, pass: ConvPass, unit: usize) -> Range<usize> {
    let sides = Sides::new(g, pass);
    let row = sides.target[1] * sides.target_channels.0;
    let Unit { image, rows, .. } = Cut::Rows.unit(lanes, g, pass, unit);
    let first = image * sides.target[0];
    (first + rows.start) * row..(first + rows.end) * row
}

/// What is read for some rows of the target.
fn tile(g: &ConvGeometry, pass: ConvPass, rows: &Range<usize>) -> Tile {
    let sides = Sides::new(g, pass);
    Tile {
        rows: extent(g, pass, 0, rows),
        columns: extent(g, pass, 1, &(0..sides.target[1])),
        image: sides.source,
    }
}

/// Rows of the target that are computed from one tile.
fn rows_of_tile(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let [height, width] = Sides::new(g, pass).target;
    rows_at_once(height, |rows| {
        let read = tile(g, pass, &(0..rows)).len(lanes);
        read.max(rows * width * lanes)
    })
}

/// Numbers of scratch that [`run_unit`] takes: for a bias, a tile, for what filling it takes, and for what is to be transposed.
pub fn scratch_len(lanes: usize, g: &ConvGeometry, pass: ConvPass, cut: Cut) -> usize {
    let at_once = rows_of_tile(lanes, g, pass);
    let parts = match cut {
        Cut::Rows => cut.parts(lanes, g, pass),
        Cut::Channels => 1,
    };
    let height = Sides::new(g, pass).target[0];
    let rows = (0..parts).flat_map(|part| bands(share(height, parts, part), at_once));
    let tiles = rows.map(|rows| tile(g, pass, &rows));
    let most = tiles.fold([0, 0], |[a, b], tile| {
        [a.max(tile.len(lanes)), b.max(tile.spare_len(lanes))]
    });
    let out = at_once * Sides::new(g, pass).target[1] * lanes;
    g.groups.next_multiple_of(lanes) + most[0] + most[1] + out
}

multiversion! {
    /// Runs unit `unit` of a pass.
    ///
    /// # Safety
    ///
    /// The CPU must have the instruction set; the convolution must be depthwise ([`applies`](super::applies)) and
    /// consistent; `unit` must be below [`units`] for its lanes; the operands must be valid for reading and writing, and no one else
    /// may touch meanwhile what the unit writes. `scratch` must have [`scratch_len`] numbers.
    pub unsafe fn run_unit(
        g: &ConvGeometry,
        pass: ConvPass,
        cut: Cut,
        unit: usize,
        operands: &Operands,
        scratch: &mut [f32],
    ) = run_strided_body;
}

/// [`run_unit`] of [`Cut::Rows`] on images without gaps.
#[inline(always)]
pub(crate) unsafe fn run_unit_body<S: Lanes>(
    g: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
    source: *const f32,
    packed: *const f32,
    target: *mut f32,
    scratch: &mut [f32],
) {
    let sides = Sides::new(g, pass);
    let operands = Operands {
        source,
        source_strides: dense(sides.source, sides.source_channels.0),
        packed,
        bias: (std::ptr::null(), 0),
        rectify: false,
        target,
        target_strides: dense(sides.target, sides.target_channels.0),
    };
    // SAFETY: passed on.
    unsafe { run_strided_body::<S>(g, pass, Cut::Rows, unit, &operands, scratch) }
}

#[inline(always)]
unsafe fn run_strided_body<S: Lanes>(
    g: &ConvGeometry,
    pass: ConvPass,
    cut: Cut,
    unit: usize,
    p: &Operands,
    scratch: &mut [f32],
) {
    debug_assert!(applies(g) && scratch.len() >= scratch_len(S::LANES, g, pass, cut));
    let (sides, blocks) = (Sides::new(g, pass), g.groups.div_ceil(S::LANES));
    let (bias, scratch) = scratch.split_at_mut(blocks * S::LANES);
    bias.fill(0.0);
    if !p.bias.0.is_null() {
        for (channel, bias) in bias.iter_mut().enumerate().take(g.groups) {
            // SAFETY: the caller vouches for the bias.
            *bias = unsafe { *p.bias.0.offset(channel as isize * p.bias.1) };
        }
    }
    let unit = cut.unit(S::LANES, g, pass, unit);
    let work = Work { g, pass, p, bias };
    let innermost = p.source_strides[3] == 1 && p.target_strides[3] == 1;
    // SAFETY: passed on.
    unsafe {
        match innermost && sides.source[1] >= WIDE {
            true => work.run_in_place::<S>(&unit),
            false => work.run_in_tiles::<S>(&unit, scratch.as_mut_ptr()),
        }
    }
}

/// Columns from which on images whose channels are innermost are read where they lie: of few columns most are next to a border, and
/// take longer there than the copy of a tile.
const WIDE: usize = 24;

/// A pass, with a number to be added for each channel.
struct Work<'a> {
    g: &'a ConvGeometry,
    pass: ConvPass,
    p: &'a Operands,
    bias: &'a [f32],
}

impl Work<'_> {
    /// What the sums of a block are the same for, wherever they are read and written.
    #[inline(always)]
    unsafe fn sums<S: Lanes>(&self, block: usize) -> Sums<S::Vector> {
        let (g, p) = (self.g, self.p);
        let (taps, all) = (g.kernel[0] * g.kernel[1], g.groups.div_ceil(S::LANES));
        // SAFETY: the block is one of those that were packed.
        unsafe {
            Sums {
                image: Sides::new(g, self.pass).source,
                from: std::ptr::null(),
                pitch: [0; 2],
                channels: S::LANES,
                filters: p.packed.add(block * taps * S::LANES),
                is_finite: *p.packed.add(all * taps * S::LANES + block) == 0.0,
                bias: match p.bias.0.is_null() {
                    true => None,
                    false => Some(S::load(self.bias.as_ptr().add(block * S::LANES))),
                },
                rectify: p.rectify,
                to: std::ptr::null_mut(),
                to_pitch: [0; 2],
                written: S::LANES,
            }
        }
    }

    /// Block by block, from a copy of what is read, in whatever order images lie.
    #[inline(always)]
    unsafe fn run_in_tiles<S: Lanes>(&self, unit: &Unit, start: *mut f32) {
        let (g, pass, p) = (self.g, self.pass, self.p);
        let width = Sides::new(g, pass).target[1];
        let at_once = rows_of_tile(S::LANES, g, pass);
        let [by_image, source @ ..] = p.source_strides;
        let [to_image, to @ ..] = p.target_strides;
        // SAFETY: blocks, rows and images lie within what the caller vouches for.
        unsafe {
            let from = p.source.offset(unit.image as isize * by_image);
            let target = p.target.offset(unit.image as isize * to_image);
            for block in unit.blocks.clone() {
                let first = (block * S::LANES) as isize;
                let channels = S::LANES.min(g.groups - block * S::LANES);
                for rows in bands(unit.rows.clone(), at_once) {
                    let tile = tile(g, pass, &rows);
                    let spare = start.add(tile.len(S::LANES));
                    let out = spare.add(tile.spare_len(S::LANES));
                    let block_from = from.offset(first * source[2]);
                    tile.fill::<S>(block_from, source, channels, start, spare);
                    let to_rows = target.offset(rows.start as isize * to[0] + first * to[2]);
                    let mut sums = self.sums::<S>(block);
                    sums.pitch = [tile.columns.1 * S::LANES, S::LANES].map(|p| p as isize);
                    let origin = tile.rows.0 * sums.pitch[0] + tile.columns.0 * sums.pitch[1];
                    sums.from = start.cast_const().wrapping_offset(-origin);
                    let transposes = to[2] != 1;
                    if transposes {
                        sums.to_pitch = [width * S::LANES, S::LANES].map(|p| p as isize);
                        sums.to = out;
                    } else {
                        (sums.to_pitch, sums.written) = ([to[0], to[1]], channels);
                        sums.to = to_rows;
                    }
                    sums.to = (sums.to).wrapping_offset(-(rows.start as isize) * sums.to_pitch[0]);
                    for (down, across) in phases(g, pass) {
                        for row in down.within(&rows) {
                            sums.run_row::<S>(&down, &across, row);
                        }
                        sums.filters = sums.filters.add(down.taps * across.taps * S::LANES);
                    }
                    if transposes {
                        write_out::<S>(out, [rows.len(), width], to_rows, to, channels);
                    }
                }
            }
        }
    }

    /// Position by position with all their channels, read where they lie. What lies beyond the image is left out.
    #[inline(always)]
    unsafe fn run_in_place<S: Lanes>(&self, unit: &Unit) {
        let (g, p) = (self.g, self.p);
        let [height, width] = Sides::new(g, self.pass).source;
        let [by_image, down_pitch, across_pitch, _] = p.source_strides;
        let [to_image, to_down, to_across, _] = p.target_strides;
        let mut done = 0;
        for (down, across) in phases(g, self.pass) {
            let columns = inside(&across, width);
            for row in down.within(&unit.rows) {
                let taps = taps_inside(&down, row, height);
                let mut x = 0;
                while x < across.count {
                    let is_inside = columns.contains(&x);
                    let end = match is_inside {
                        true => columns.end,
                        false if x < columns.start => columns.start,
                        false => across.count,
                    };
                    let here = x..end.min(x + POSITIONS);
                    // The last few of many are computed with their neighbours, anew.
                    let here = match is_inside && here.len() < POSITIONS {
                        true => here.end.saturating_sub(POSITIONS).max(columns.start)..here.end,
                        false => here,
                    };
                    for block in unit.blocks.clone() {
                        let first = block * S::LANES;
                        let channels = S::LANES.min(g.groups - first);
                        // SAFETY: blocks, positions and images lie within what the caller vouches for.
                        unsafe {
                            let mut sums = self.sums::<S>(block);
                            let image = unit.image as isize;
                            sums.from = p.source.offset(image * by_image).add(first);
                            sums.pitch = [down_pitch, across_pitch];
                            sums.to = p.target.offset(image * to_image).add(first);
                            sums.to_pitch = [to_down, to_across];
                            (sums.channels, sums.written) = (channels, channels);
                            sums.filters = sums.filters.add(done * S::LANES);
                            match (is_inside, channels == S::LANES) {
                                (false, _) => {
                                    for x in here.clone() {
                                        sums.exactly::<S>(&down, &across, row, x);
                                    }
                                }
                                (_, true) => {
                                    sums.some::<S, true>(&down, &across, taps.clone(), row, &here)
                                }
                                (_, false) => {
                                    sums.some::<S, false>(&down, &across, taps.clone(), row, &here)
                                }
                            }
                        }
                    }
                    x = here.end;
                }
            }
            done += down.taps * across.taps;
        }
    }
}

/// The positions of a phase all of whose taps lie within an image of this length.
#[inline(always)]
fn inside(phase: &Phase, length: usize) -> Range<usize> {
    if phase.taps == 0 {
        return 0..phase.count;
    }
    let first = phase.origin;
    let last = first + (phase.taps - 1) as isize * phase.tap_step;
    let (count, step) = (phase.count as isize, phase.source_step);
    let start = (-first + step - 1).div_euclid(step).clamp(0, count);
    let end = ((length as isize - 1 - last).div_euclid(step) + 1).clamp(start, count);
    start as usize..end as usize
}

/// The taps of a position that lie within an image of this length.
#[inline(always)]
fn taps_inside(phase: &Phase, position: usize, length: usize) -> Range<usize> {
    let at = phase.origin + position as isize * phase.source_step;
    let (taps, step) = (phase.taps as isize, phase.tap_step);
    let start = (-at + step - 1).div_euclid(step).clamp(0, taps);
    let end = ((length as isize - 1 - at).div_euclid(step) + 1).clamp(start, taps);
    start as usize..end as usize
}

/// The sums of a block of channels over the taps of a phase.
struct Sums<V> {
    /// Height and width of the image.
    image: [usize; 2],
    /// Where its first position is, or would be, and from row to row, from column to column.
    from: *const f32,
    pitch: [isize; 2],
    /// Channels that are read.
    channels: usize,
    /// The filters of the phase.
    filters: *const f32,
    /// Whether zeros around the image come to nothing.
    is_finite: bool,
    bias: Option<V>,
    rectify: bool,
    /// Where the first position of the target is, or would be.
    to: *mut f32,
    to_pitch: [isize; 2],
    /// Channels that are written.
    written: usize,
}

/// Adds the products of a row of taps that lie side by side, as the positions do, `apart` from one another; gives the filters behind
/// them.
#[inline(always)]
unsafe fn side_by_side<S: Simd, const P: usize, const TAPS: usize>(
    from: *const f32,
    apart: isize,
    filter: *const f32,
    sums: &mut [S::Vector; P],
) -> *const f32 {
    // SAFETY: as the caller vouches.
    unsafe {
        each!(j < TAPS {
            let weight = S::load(filter.add(j * S::LANES));
            each!(p < P {
                let x = S::load(from.wrapping_offset((p + j) as isize * apart));
                sums[p] = S::fma(x, weight, sums[p]);
            });
        });
        filter.add(TAPS * S::LANES)
    }
}

/// Positions that are summed at a time: as many sums as a multiplication takes cycles, twice.
const POSITIONS: usize = 8;

impl<V: Copy> Sums<V> {
    /// A row of a phase, with zeros around the image.
    #[inline(always)]
    unsafe fn run_row<S: Lanes<Vector = V>>(&self, down: &Phase, across: &Phase, row: usize) {
        let mut x = 0;
        while x < across.count {
            let end = (x + POSITIONS).min(across.count);
            // SAFETY: positions of the phase lie within the target, what they read within the tile.
            unsafe {
                match self.is_finite {
                    true => {
                        // The last few of many are computed with their neighbours, anew.
                        let here = end.saturating_sub(POSITIONS).min(x)..end;
                        self.some::<S, true>(down, across, 0..down.taps, row, &here);
                    }
                    false => {
                        for x in x..end {
                            self.exactly::<S>(down, across, row, x);
                        }
                    }
                }
            }
            x = end;
        }
    }

    /// Some positions of a row, at most `POSITIONS`, by these rows of taps.
    #[inline(always)]
    unsafe fn some<S: Lanes<Vector = V>, const WHOLE: bool>(
        &self,
        down: &Phase,
        across: &Phase,
        taps: Range<usize>,
        row: usize,
        positions: &Range<usize>,
    ) {
        let (mut x, end) = (positions.start, positions.end);
        // SAFETY: passed on.
        unsafe {
            while x < end {
                let taps = taps.clone();
                x += match end - x {
                    8.. => self.positions::<S, 8, WHOLE>(down, across, taps, row, x),
                    7 => self.positions::<S, 7, WHOLE>(down, across, taps, row, x),
                    4.. => self.positions::<S, 4, WHOLE>(down, across, taps, row, x),
                    2.. => self.positions::<S, 2, WHOLE>(down, across, taps, row, x),
                    _ => self.positions::<S, 1, WHOLE>(down, across, taps, row, x),
                };
            }
        }
    }

    /// Where the first tap of a position is read, and where the position is written.
    #[inline(always)]
    fn places(&self, down: &Phase, across: &Phase, row: usize, x: usize) -> (*const f32, *mut f32) {
        let y = down.origin + row as isize * down.source_step;
        let column = across.origin + x as isize * across.source_step;
        let from = y * self.pitch[0] + column * self.pitch[1];
        let (row, column) = (down.start + row * down.step, across.start + x * across.step);
        let to = row as isize * self.to_pitch[0] + column as isize * self.to_pitch[1];
        (self.from.wrapping_offset(from), self.to.wrapping_offset(to))
    }

    /// `P` positions side by side; gives `P`.
    #[inline(always)]
    unsafe fn positions<S: Lanes<Vector = V>, const P: usize, const WHOLE: bool>(
        &self,
        down: &Phase,
        across: &Phase,
        taps: Range<usize>,
        row: usize,
        x: usize,
    ) -> usize {
        let (from, to) = self.places(down, across, row, x);
        let step = across.tap_step * self.pitch[1];
        let apart = across.source_step * self.pitch[1];
        // Where neighbours read what lies one position further, each is loaded once for all taps of a row.
        let is_near = across.tap_step == 1 && across.source_step == 1 && WHOLE;
        // SAFETY: as the caller vouches.
        unsafe {
            let mut sums = [S::zero(); P];
            let mut filter = self.filters.add(taps.start * across.taps * S::LANES);
            for i in taps {
                let mut at = from.wrapping_offset(i as isize * down.tap_step * self.pitch[0]);
                if across.taps == 3 && is_near {
                    filter = side_by_side::<S, P, 3>(at, apart, filter, &mut sums);
                    continue;
                }
                if across.taps == 5 && is_near {
                    filter = side_by_side::<S, P, 5>(at, apart, filter, &mut sums);
                    continue;
                }
                for _ in 0..across.taps {
                    let weight = S::load(filter);
                    each!(p < P {
                        let from = at.wrapping_offset(p as isize * apart);
                        let x = match WHOLE {
                            true => S::load(from),
                            false => S::load_partial(from, self.channels),
                        };
                        sums[p] = S::fma(x, weight, sums[p]);
                    });
                    filter = filter.add(S::LANES);
                    at = at.wrapping_offset(step);
                }
            }
            each!(p < P {
                let to = to.wrapping_offset((p * across.step) as isize * self.to_pitch[1]);
                self.store::<S>(to, sums[p]);
            });
        }
        P
    }

    /// A position by those of its terms that there are.
    #[inline(always)]
    unsafe fn exactly<S: Lanes<Vector = V>>(
        &self,
        down: &Phase,
        across: &Phase,
        row: usize,
        x: usize,
    ) {
        let (from, to) = self.places(down, across, row, x);
        let rows = taps_inside(down, row, self.image[0]);
        let columns = taps_inside(across, x, self.image[1]);
        // SAFETY: as the caller vouches.
        unsafe {
            let mut sum = S::zero();
            for (i, j) in rows.flat_map(|i| columns.clone().map(move |j| (i, j))) {
                let weight = S::load(self.filters.add((i * across.taps + j) * S::LANES));
                let (i, j) = (i as isize * down.tap_step, j as isize * across.tap_step);
                let at = from.wrapping_offset(i * self.pitch[0] + j * self.pitch[1]);
                sum = S::fma(S::load_partial(at, self.channels), weight, sum);
            }
            self.store::<S>(to, sum);
        }
    }

    #[inline(always)]
    unsafe fn store<S: Lanes<Vector = V>>(&self, to: *mut f32, mut sum: V) {
        // SAFETY: as the caller vouches.
        unsafe {
            if let Some(bias) = self.bias {
                sum = S::add(sum, bias);
            }
            if self.rectify {
                sum = S::max(S::zero(), sum);
            }
            match self.written == S::LANES {
                true => S::store(to, sum),
                false => S::store_partial(to, sum, self.written),
            }
        }
    }
}
