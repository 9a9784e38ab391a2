//! The transforms over all tiles of an image, and over all vectors of channels of a tile.

use super::{
    TILE,
    transform::{self, FIRSTS, NEIGHBOURS, PAIR, PLAIN, Positions, SECONDS},
};
use crate::{
    conv::plain::Targets,
    simd::{Outlined, Simd},
    unroll::each,
};
use std::cell::Cell;

/// Frequencies as f32.
pub(in crate::conv) const F32: u8 = 0;
/// Frequencies as bf16, neighbouring channels as pairs: half as many numbers, and distances between tiles count those.
pub(in crate::conv) const CHANNEL_PAIRS: u8 = 1;
/// Frequencies as bf16, each tile of an even number and the next as pairs: half as many rows. The next of a last tile of
/// an even number is zeros.
pub(in crate::conv) const TILE_PAIRS: u8 = 2;

/// Inputs under a tile along one axis.
pub(in crate::conv) const INPUTS: usize = TILE + 2;

/// Transforms tiles of `SIDE` x `SIDE` positions each, which begin [`TILE`] apart: inputs ([`INPUTS`]) or gradients of
/// outputs ([`TILE`]). Positions beyond the image are zeros. `FORM` says how frequencies are written: [`F32`],
/// [`CHANNEL_PAIRS`] or [`TILE_PAIRS`].
pub(in crate::conv) struct Tiles<const SIDE: usize, const FORM: u8> {
    /// The image, its height and width, and the distance between neighbours in a row.
    pub image: *const f32,
    pub size: [usize; 2],
    pub across: usize,
    /// The first position of the first tile; may lie outside of the image.
    pub first: [isize; 2],
    /// Channels to transform, from the first.
    pub channels: usize,
    /// `SIDE` times `across` zeros.
    pub zeros: *const f32,
    /// Tiles, down and across.
    pub tiles: [usize; 2],
    /// Where the first frequency of the first tile goes, not counting `skip` tiles that lie before.
    pub to: *mut f32,
    pub skip: usize,
    /// How the frequencies lie.
    pub panels: Panels,
    /// The pairs of rows of frequencies to compute, of which the first goes to `to`.
    pub pairs: [usize; 2],
}

/// How frequencies lie: in panels of channels, of which the last may differ. Channels are filled up to whole vectors.
#[derive(Clone, Copy)]
pub(in crate::conv) struct Panels {
    /// Number of panels.
    pub count: usize,
    /// Channels in a panel but the last, which has the rest.
    pub channels: usize,
    /// Distance from panel to panel.
    pub distance: usize,
    /// In a panel but the last, and in the last: the distance from tile to tile, and from frequency to frequency.
    pub steps: [usize; 2],
    pub strides: [usize; 2],
}

impl Panels {
    /// All channels in one panel.
    pub fn one(channels: usize, step: usize, stride: usize) -> Panels {
        Panels {
            count: 1,
            channels,
            distance: 0,
            steps: [step; 2],
            strides: [stride; 2],
        }
    }
}

impl<const SIDE: usize, const FORM: u8> Outlined for Tiles<SIDE, FORM> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let [height, width] = self.size;
        let mut inner = [0; SIDE];
        for (j, column) in inner.iter_mut().enumerate() {
            *column = j * self.across;
        }
        let mut number = self.skip;
        for row in 0..self.tiles[0] {
            // Where the rows of positions begin, and whether they move on from tile to tile: zeros do not.
            let (mut lines, mut moves) = ([self.zeros; SIDE], [0; SIDE]);
            for i in 0..SIDE {
                let y = self.first[0] + (row * TILE + i) as isize;
                if (0..height as isize).contains(&y) {
                    lines[i] = self.image.wrapping_add(y as usize * width * self.across);
                    moves[i] = self.across;
                }
            }
            for column in 0..self.tiles[1] {
                let x = self.first[1] + (column * TILE) as isize;
                let edge = x < 0 || x + SIDE as isize > width as isize;
                let inside = |x: isize| x.clamp(0, width as isize - 1) as usize;
                let mut positions = Positions {
                    rows: lines,
                    columns: inner,
                    keep: [1.0; SIDE],
                };
                for i in 0..SIDE {
                    positions.rows[i] = lines[i].wrapping_add(inside(x) * moves[i]);
                }
                if edge {
                    for j in 0..SIDE {
                        let x_j = x + j as isize;
                        positions.columns[j] = (inside(x_j) - inside(x)) * self.across;
                        let kept = (0..width as isize).contains(&x_j);
                        positions.keep[j] = if kept { 1.0 } else { 0.0 };
                    }
                }
                // The positions below, that the next row of tiles adds.
                let below = self.first[0] + (row * TILE + SIDE) as isize;
                let below = (below * width as isize + x) * self.across as isize;
                prefetch::<S>(
                    self.image.wrapping_offset(below),
                    width * self.across,
                    self.across,
                    self.channels,
                );
                // SAFETY: all positions lie within the image or the zeros.
                unsafe {
                    if const { FORM == F32 } {
                        self.tile::<S, PLAIN>(&positions, edge, number);
                    } else if const { FORM == CHANNEL_PAIRS } {
                        self.tile::<S, NEIGHBOURS>(&positions, edge, number);
                    } else if number.is_multiple_of(2) {
                        self.tile::<S, FIRSTS>(&positions, edge, number / 2);
                    } else {
                        self.tile::<S, SECONDS>(&positions, edge, number / 2);
                    }
                }
                number += 1;
            }
        }
    }
}

impl<const SIDE: usize, const FORM: u8> Tiles<SIDE, FORM> {
    /// All channels of the tile that goes to row `number`, written in the form `STORED`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const STORED: u8>(
        &self,
        positions: &Positions<SIDE>,
        edge: bool,
        number: usize,
    ) {
        let per_number = if STORED == NEIGHBOURS { 2 } else { 1 };
        let panels = &self.panels;
        for panel in 0..panels.count {
            let last = usize::from(panel + 1 == panels.count);
            let first = panel * panels.channels;
            let end = if last == 1 {
                self.channels
            } else {
                first + panels.channels
            };
            let stride = panels.strides[last];
            // SAFETY: passed on; partial vectors are read from a copy.
            unsafe {
                let to = self
                    .to
                    .add(panel * panels.distance + number * panels.steps[last]);
                let mut c = first;
                while c + S::LANES <= end {
                    let to = to.add((c - first) / per_number);
                    if edge {
                        positions.transform::<S, STORED, true>(c, to, stride, self.pairs);
                    } else {
                        positions.transform::<S, STORED, false>(c, to, stride, self.pairs);
                    }
                    c += S::LANES;
                }
                if c < end {
                    S::call(&PartialTile::<SIDE, STORED> {
                        positions,
                        first: c,
                        lanes: end - c,
                        to: to.add((c - first) / per_number),
                        stride,
                        pairs: self.pairs,
                    });
                }
            }
        }
    }
}

/// Channels from which on the four positions of a tile in a row are long enough for the CPU to fetch ahead by itself.
const LONG: usize = 64;

/// Fetches `channels` channels of the 4 x 4 positions from `from` on.
#[inline(always)]
fn prefetch<S: Simd>(from: *const f32, down: usize, across: usize, channels: usize) {
    if across >= LONG {
        return;
    }
    for i in 0..TILE {
        for j in 0..TILE {
            let from = from.wrapping_add(i * down + j * across);
            for line in (0..channels).step_by(16) {
                S::prefetch(from.wrapping_add(line));
            }
        }
    }
}

impl<const SIDE: usize> Tiles<SIDE, F32> {
    /// The same tiles, written in another form.
    #[inline(always)]
    pub fn written<const FORM: u8>(self) -> Tiles<SIDE, FORM> {
        Tiles {
            image: self.image,
            size: self.size,
            across: self.across,
            first: self.first,
            channels: self.channels,
            zeros: self.zeros,
            tiles: self.tiles,
            to: self.to,
            skip: self.skip,
            panels: self.panels,
            pairs: self.pairs,
        }
    }
}

impl<const SIDE: usize> Positions<SIDE> {
    /// Transforms the vector of channels that starts at channel `c`. `EDGE`: not all columns are kept.
    #[inline(always)]
    unsafe fn transform<S: Simd, const STORED: u8, const EDGE: bool>(
        &self,
        c: usize,
        mut to: *mut f32,
        stride: usize,
        pairs: [usize; 2],
    ) {
        for pair in pairs[0]..pairs[1] {
            // Only so many addresses at a time as there are registers for.
            let step = S::hide(stride);
            // SAFETY: passed on.
            unsafe {
                match (SIDE == INPUTS, pair) {
                    (true, 0) => transform::input::<S, 0, STORED, EDGE, SIDE>(self, c, to, step),
                    (true, 1) => transform::input::<S, 1, STORED, EDGE, SIDE>(self, c, to, step),
                    (true, _) => transform::input::<S, 2, STORED, EDGE, SIDE>(self, c, to, step),
                    (_, 0) => {
                        transform::output_gradient::<S, 0, STORED, EDGE, SIDE>(self, c, to, step)
                    }
                    (_, 1) => {
                        transform::output_gradient::<S, 1, STORED, EDGE, SIDE>(self, c, to, step)
                    }
                    (_, _) => {
                        transform::output_gradient::<S, 2, STORED, EDGE, SIDE>(self, c, to, step)
                    }
                }
            }
            to = to.wrapping_add(PAIR * stride);
        }
    }
}

/// The last few channels of one tile.
struct PartialTile<'a, const SIDE: usize, const STORED: u8> {
    positions: &'a Positions<SIDE>,
    first: usize,
    lanes: usize,
    to: *mut f32,
    stride: usize,
    pairs: [usize; 2],
}

impl<const SIDE: usize, const STORED: u8> Outlined for PartialTile<'_, SIDE, STORED> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on; no lanes beyond are read.
        unsafe {
            let mut copy = [[S::zero(); SIDE]; SIDE];
            let mut positions = Positions {
                rows: self.positions.rows,
                columns: self.positions.columns,
                keep: self.positions.keep,
            };
            for (i, line) in copy.iter_mut().enumerate() {
                for (x, column) in line.iter_mut().zip(&self.positions.columns) {
                    let from = self.positions.rows[i].wrapping_add(column + self.first);
                    *x = S::load_partial(from, self.lanes);
                }
                positions.rows[i] = line.as_ptr().cast();
                positions.columns[i] = i * S::LANES;
            }
            positions.transform::<S, STORED, true>(0, self.to, self.stride, self.pairs);
        }
    }
}

/// Transforms the products of some vectors of channels back to outputs: of `rows` rows of tiles of the image at `to`. Tiles
/// of which an output is not finite are computed anew.
pub(in crate::conv) struct Outputs<'a> {
    pub from: *const f32,
    pub stride: usize,
    /// Height, width and channels of the image.
    pub image: [usize; 3],
    /// First row of tiles, and the one after the last.
    pub rows: [usize; 2],
    /// Vectors, and lanes of the last of them.
    pub width: usize,
    pub last: usize,
    pub to: *mut f32,
    /// How tiles of the first vector are computed anew, but for rows and columns.
    pub anew: Targets<'a>,
}

impl Outlined for Outputs<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let Outputs {
            mut from,
            stride,
            image: [height, breadth, channels],
            width,
            last,
            to,
            ..
        } = *self;
        let pitch = breadth * channels;
        for y in (self.rows[0]..self.rows[1]).map(|row| row * TILE) {
            for x in (0..breadth).step_by(TILE) {
                let whole = y + TILE <= height && x + TILE <= breadth;
                let next = if x + TILE < breadth {
                    y * pitch + (x + TILE) * channels
                } else {
                    (y + TILE) * pitch
                };
                prefetch::<S>(to.wrapping_add(next), pitch, channels, width * S::LANES);
                // SAFETY: the outputs of the tile that lie within the image.
                unsafe {
                    let to = to.add(y * pitch + x * channels);
                    let mut noted = S::zero();
                    let found = Cell::new(false);
                    for v in 0..width {
                        let from = from.add(v * S::LANES);
                        let to = to.add(v * S::LANES);
                        let lanes = if v + 1 < width { S::LANES } else { last };
                        let room = [height - y, breadth - x];
                        let tile = OutputTile {
                            from,
                            stride,
                            to,
                            pitch,
                            channels,
                            room,
                            lanes,
                            found: &found,
                        };
                        if whole && lanes == S::LANES {
                            noted = output_half::<S, 0, true>(&tile, noted);
                            noted = output_half::<S, 1, true>(&tile, noted);
                        } else {
                            S::call(&tile);
                        }
                    }
                    if S::any_nan(noted) || found.get() {
                        self.compute_anew::<S>([y, x]);
                    }
                    from = from.add(width * S::LANES);
                }
            }
        }
    }
}

impl Outputs<'_> {
    /// Computes the tile from `[y, x]` on anew.
    #[cold]
    #[inline(never)]
    unsafe fn compute_anew<S: Simd>(&self, [y, x]: [usize; 2]) {
        for v in 0..self.width {
            // SAFETY: passed on.
            unsafe {
                S::call(&Targets {
                    rows: [y, (y + TILE).min(self.image[0])],
                    columns: [x, (x + TILE).min(self.image[1])],
                    filters: self.anew.filters.add(v * S::LANES),
                    target: self.anew.target.add(v * S::LANES),
                    lanes: match v + 1 < self.width {
                        true => S::LANES,
                        false => self.last,
                    },
                    ..self.anew
                });
            }
        }
    }
}

/// The outputs of one vector of channels of one tile, of which `room` rows and columns, and `lanes` channels, are
/// written.
struct OutputTile<'a> {
    from: *const f32,
    stride: usize,
    to: *mut f32,
    pitch: usize,
    channels: usize,
    room: [usize; 2],
    lanes: usize,
    /// Becomes true if an output is not finite.
    found: &'a Cell<bool>,
}

impl Outlined for OutputTile<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on.
        unsafe {
            let noted = output_half::<S, 0, false>(self, S::zero());
            let noted = output_half::<S, 1, false>(self, noted);
            if S::any_nan(noted) {
                self.found.set(true);
            }
        }
    }
}

/// Rows 0 and 2 or 1 and 3 of a tile; gives `noted`, but NaN where one of all outputs of these rows is not finite.
///
/// A frequency that is not finite reaches an output: the first row reads all points but ∞, the last all but 0, and so do the
/// columns. The sum of all is not finite if one is not.
#[inline(always)]
unsafe fn output_half<S: Simd, const HALF: usize, const WHOLE: bool>(
    t: &OutputTile<'_>,
    noted: S::Vector,
) -> S::Vector {
    const ROWS: usize = 2;
    const COLUMNS: usize = TILE;
    let OutputTile {
        to,
        pitch,
        channels,
        room,
        lanes,
        ..
    } = *t;
    let (pitch, channels) = (S::hide(pitch), S::hide(channels));
    // SAFETY: passed on.
    unsafe {
        let tile = transform::output::<S, HALF>(t.from, S::hide(t.stride));
        each!(i < ROWS {
            each!(j < COLUMNS {
                let row = HALF + 2 * i;
                let to = to.wrapping_add(row * pitch + j * channels);
                if WHOLE {
                    S::store(to, tile[i][j]);
                } else if row < room[0] && j < room[1] {
                    S::store_partial(to, tile[i][j], lanes);
                }
            });
        });
        let [[a, b, c, d], [e, f, g, h]] = tile;
        let upper = S::add(S::add(a, b), S::add(c, d));
        let lower = S::add(S::add(e, f), S::add(g, h));
        S::note(S::add(upper, lower), noted)
    }
}
