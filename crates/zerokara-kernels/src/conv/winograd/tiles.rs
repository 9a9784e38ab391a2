//! The transforms over all tiles of an image, and over all vectors of channels of a tile.

use super::{
    TILE,
    transform::{self, PAIR},
};
use crate::{
    simd::{Outlined, Simd},
    unroll::each,
};

/// Inputs under a tile along one axis.
pub(super) const INPUTS: usize = TILE + 2;

/// Transforms tiles of `SIDE` x `SIDE` positions each, which begin [`TILE`] apart: inputs ([`INPUTS`]) or gradients of
/// outputs ([`TILE`]). Positions beyond the image are zeros.
pub(super) struct Tiles<const SIDE: usize> {
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
    /// Where the first frequency of the first tile goes, the distance from tile to tile, and from frequency to
    /// frequency. Channels are filled up to whole vectors.
    pub to: *mut f32,
    pub step: usize,
    pub stride: usize,
    /// The pairs of rows of frequencies to compute, of which the first goes to `to`.
    pub pairs: [usize; 2],
}

impl<const SIDE: usize> Outlined for Tiles<SIDE> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let [height, width] = self.size;
        let mut to = self.to;
        for row in 0..self.tiles[0] {
            for column in 0..self.tiles[1] {
                let x = self.first[1] + (column * TILE) as isize;
                let mut place = Place {
                    rows: [self.zeros; SIDE],
                    columns: [0; SIDE],
                    keep: [1.0; SIDE],
                };
                let edge = x < 0 || x + SIDE as isize > width as isize;
                for j in 0..SIDE {
                    let x = x + j as isize;
                    let inside = x.clamp(0, width as isize - 1);
                    place.columns[j] = inside as usize * self.across;
                    place.keep[j] = if x == inside { 1.0 } else { 0.0 };
                }
                for i in 0..SIDE {
                    let y = self.first[0] + (row * TILE + i) as isize;
                    place.rows[i] = if (0..height as isize).contains(&y) {
                        self.image.wrapping_add(y as usize * width * self.across)
                    } else {
                        self.zeros.wrapping_sub(place.columns[0])
                    };
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
                // SAFETY: all positions lie within the image or the zeros; partial vectors are read from a copy.
                unsafe {
                    let mut c = 0;
                    while c + S::LANES <= self.channels {
                        if edge {
                            place.transform::<S, true>(c, to.add(c), self.stride, self.pairs);
                        } else {
                            place.transform::<S, false>(c, to.add(c), self.stride, self.pairs);
                        }
                        c += S::LANES;
                    }
                    if c < self.channels {
                        S::call(&PartialTile {
                            place: &place,
                            first: c,
                            lanes: self.channels - c,
                            to: to.add(c),
                            stride: self.stride,
                            pairs: self.pairs,
                        });
                    }
                    to = to.add(self.step);
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

/// Where the positions of a tile are: element `[i, j]` at `rows[i] + columns[j]`, times `keep[j]`.
pub(super) struct Place<const SIDE: usize> {
    pub rows: [*const f32; SIDE],
    pub columns: [usize; SIDE],
    pub keep: [f32; SIDE],
}

impl<const SIDE: usize> Place<SIDE> {
    /// Transforms the vector of channels that starts at channel `c`. `EDGE`: not all columns are kept.
    #[inline(always)]
    unsafe fn transform<S: Simd, const EDGE: bool>(
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
                    (true, 0) => transform::input::<S, 0, EDGE, SIDE>(self, c, to, step),
                    (true, 1) => transform::input::<S, 1, EDGE, SIDE>(self, c, to, step),
                    (true, _) => transform::input::<S, 2, EDGE, SIDE>(self, c, to, step),
                    (_, 0) => transform::output_gradient::<S, 0, EDGE, SIDE>(self, c, to, step),
                    (_, 1) => transform::output_gradient::<S, 1, EDGE, SIDE>(self, c, to, step),
                    (_, _) => transform::output_gradient::<S, 2, EDGE, SIDE>(self, c, to, step),
                }
            }
            to = to.wrapping_add(PAIR * stride);
        }
    }
}

/// The last few channels of one tile.
struct PartialTile<'a, const SIDE: usize> {
    place: &'a Place<SIDE>,
    first: usize,
    lanes: usize,
    to: *mut f32,
    stride: usize,
    pairs: [usize; 2],
}

impl<const SIDE: usize> Outlined for PartialTile<'_, SIDE> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on; no lanes beyond are read.
        unsafe {
            let mut copy = [[S::zero(); SIDE]; SIDE];
            let mut place = Place {
                rows: self.place.rows,
                columns: self.place.columns,
                keep: self.place.keep,
            };
            for i in 0..SIDE {
                for j in 0..SIDE {
                    let from = self.place.rows[i].wrapping_add(self.place.columns[j] + self.first);
                    copy[i][j] = S::load_partial(from, self.lanes);
                }
            }
            for i in 0..SIDE {
                place.rows[i] = copy[i].as_ptr().cast();
                place.columns[i] = i * S::LANES;
            }
            place.transform::<S, true>(0, self.to, self.stride, self.pairs);
        }
    }
}

/// Transforms the products of some vectors of channels back to outputs: of `rows` rows of tiles of the image at `to`.
pub(super) struct Outputs {
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
}

impl Outlined for Outputs {
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
                        };
                        if whole && lanes == S::LANES {
                            output_half::<S, 0, true>(&tile);
                            output_half::<S, 1, true>(&tile);
                        } else {
                            S::call(&tile);
                        }
                    }
                    from = from.add(width * S::LANES);
                }
            }
        }
    }
}

/// The outputs of one vector of channels of one tile, of which `room` rows and columns, and `lanes` channels, are
/// written.
struct OutputTile {
    from: *const f32,
    stride: usize,
    to: *mut f32,
    pitch: usize,
    channels: usize,
    room: [usize; 2],
    lanes: usize,
}

impl Outlined for OutputTile {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on.
        unsafe {
            output_half::<S, 0, false>(self);
            output_half::<S, 1, false>(self);
        }
    }
}

/// Rows 0 and 2 or 1 and 3 of a tile.
#[inline(always)]
unsafe fn output_half<S: Simd, const HALF: usize, const WHOLE: bool>(t: &OutputTile) {
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
    }
}
