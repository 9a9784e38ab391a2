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
pub(super) const INPUTS: usize = TILE + super::RIM;

/// Transforms tiles of `SIDE` x `SIDE` positions each, which begin [`TILE`] apart: inputs ([`INPUTS`]) or gradients of
/// outputs ([`TILE`]).
pub(super) struct Tiles<const SIDE: usize> {
    /// The first position of the first tile, and the distances to its neighbours below and on the right.
    pub from: *const f32,
    pub down: isize,
    pub across: usize,
    /// Channels to transform.
    pub channels: usize,
    /// Tiles, down and across.
    pub tiles: [usize; 2],
    /// Where the first frequency of the first tile goes, the distance from tile to tile, and from frequency to
    /// frequency. Channels are filled up to whole vectors.
    pub to: *mut f32,
    pub step: usize,
    pub stride: usize,
    /// The only pair of rows of frequencies to compute, or all.
    pub pair: Option<usize>,
}

impl<const SIDE: usize> Outlined for Tiles<SIDE> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let mut to = self.to;
        for row in 0..self.tiles[0] {
            for column in 0..self.tiles[1] {
                // SAFETY: the caller vouches for all tiles; partial vectors are read from a copy.
                unsafe {
                    let from = self
                        .from
                        .offset((row * TILE) as isize * self.down)
                        .add(column * TILE * self.across);
                    let mut c = 0;
                    while c + S::LANES <= self.channels {
                        let (from, to) = (from.add(c), to.add(c));
                        tile::<S, SIDE>(from, self.down, self.across, to, self.stride, self.pair);
                        c += S::LANES;
                    }
                    if c < self.channels {
                        S::call(&PartialTile {
                            tiles: self,
                            from: from.add(c),
                            lanes: self.channels - c,
                            to: to.add(c),
                        });
                    }
                    to = to.add(self.step);
                }
            }
        }
    }
}

/// The last few channels of one tile.
struct PartialTile<'a, const SIDE: usize> {
    tiles: &'a Tiles<SIDE>,
    from: *const f32,
    lanes: usize,
    to: *mut f32,
}

impl<const SIDE: usize> Outlined for PartialTile<'_, SIDE> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let all = self.tiles;
        // SAFETY: passed on; no lanes beyond are read.
        unsafe {
            let mut copy = [[S::zero(); SIDE]; SIDE];
            for (i, line) in copy.iter_mut().enumerate() {
                for (j, x) in line.iter_mut().enumerate() {
                    let from = self.from.offset(i as isize * all.down);
                    *x = S::load_partial(from.add(j * all.across), self.lanes);
                }
            }
            let (from, down) = (copy.as_ptr().cast(), (SIDE * S::LANES) as isize);
            tile::<S, SIDE>(from, down, S::LANES, self.to, all.stride, all.pair);
        }
    }
}

/// One vector of channels of one tile.
#[inline(always)]
unsafe fn tile<S: Simd, const SIDE: usize>(
    from: *const f32,
    down: isize,
    across: usize,
    to: *mut f32,
    stride: usize,
    pair: Option<usize>,
) {
    macro_rules! pair {
        ($p:literal, $to:expr) => {
            // Only so many addresses at a time as there are registers for.
            let (down, across) = (S::hide(down as usize) as isize, S::hide(across));
            let stride = S::hide(stride);
            // SAFETY: passed on.
            unsafe {
                if SIDE == INPUTS {
                    transform::input::<S, $p>(from, down, across, $to, stride);
                } else {
                    transform::output_gradient::<S, $p>(from, down, across, $to, stride);
                }
            }
        };
    }
    match pair {
        None => {
            pair!(0, to);
            pair!(1, to.wrapping_add(PAIR * stride));
            pair!(2, to.wrapping_add(2 * PAIR * stride));
        }
        Some(0) => {
            pair!(0, to);
        }
        Some(1) => {
            pair!(1, to);
        }
        Some(_) => {
            pair!(2, to);
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
