//! The gradient with respect to the filters where the output went to a max pooling: `dw[kh, kw, c, o] = sum over n and
//! windows of g[n, window, o] * in[n, at(n, window, o) * stride + (kh, kw) * dilation - padding, c]`.
//!
//! Beside it, for nothing, the sums of `g`: the gradient of the bias.
//!
//! A window gives its gradient to one of its positions. So one patch of the input is multiplied for each window and
//! channel, where the sum over all positions would multiply mostly zeros (three of four, in windows of 2 x 2). Where those
//! are few, [`lines`] may be quicker still.
//!
//! The columns and channels of one row of a patch lie side by side, in one vector or two; what these hold beyond the row is
//! multiplied too, for sums that nobody reads. A few output channels at a time take the patches that the windows of a whole
//! image chose, their sums in registers.
//!
//! The sum over all positions has terms that are left out here: zero times an element of the input, which is zero unless that
//! element is infinite or NaN. And border and lines make others of what is none. So sums that are not finite, and all of them
//! where an image is not, are computed anew (`conv/plain.rs`).

use super::{direct, lines};
use crate::{
    conv::{
        ConvGeometry,
        choice::{self, Algorithm},
        plain,
    },
    isa::{Isa, multiversion},
    map::lanes::Lanes,
    pooling::PoolGeometry,
    share::share,
    simd::{Outlined, Simd},
    storage::LINE,
    unroll::each,
};

/// Most vectors in a patch, all of whose sums are in registers.
const VECTORS: usize = 8;
/// Most places in a window: they are told by a byte.
const PLACES: usize = 256;

/// The gradient of what was pooled, and where the pooling took it from.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// The pooling of the convolution's output.
    pub pool: &'a PoolGeometry,
    /// Element `[n, y, x, o]` is at `gradient + n * strides[0] + y * strides[1] + x * strides[2] + o * strides[3]`.
    pub gradient: *const f32,
    /// Distances between neighbours along N, Y, X and O.
    pub strides: [isize; 4],
    /// Which element of its window was the largest, at the same sum of `place_strides`.
    pub places: *const u8,
    /// Distances between neighbours along N, Y, X and O.
    pub place_strides: [isize; 4],
}

impl Windows<'_> {
    /// The gradient of output `[n, y, x, o]` of the convolution.
    ///
    /// # Safety
    ///
    /// Gradients and places must be valid for reading.
    pub(in crate::conv) unsafe fn gradient_at(&self, [n, y, x, o]: [usize; 4]) -> f32 {
        let pool = self.pool;
        let (row, column) = (y / pool.stride[0], x / pool.stride[1]);
        let (down, across) = (y % pool.stride[0], x % pool.stride[1]);
        let in_a_window = row < pool.output[0]
            && column < pool.output[1]
            && down < pool.kernel[0]
            && across < pool.kernel[1];
        if !in_a_window {
            return 0.0;
        }
        let at = |strides: [isize; 4]| -> isize {
            let index = [n, row, column, o].into_iter().zip(strides);
            index.map(|(i, stride)| i as isize * stride).sum()
        };
        // SAFETY: the caller vouches for both.
        unsafe {
            let place = usize::from(*self.places.offset(at(self.place_strides)));
            match place == down * pool.kernel[1] + across {
                true => *self.gradient.offset(at(self.strides)),
                false => 0.0,
            }
        }
    }
}

/// How an image and the sums lie in the scratch.
#[derive(Clone, Copy)]
struct Layout {
    /// Vectors in a row of a patch.
    across: usize,
    /// Vectors in a patch.
    vectors: usize,
    /// Numbers from one row of the image to the next: whole vectors, so that all rows of a patch lie alike.
    pitch: usize,
    /// Numbers of the image with its border; the last vector of a patch may reach beyond it.
    image: usize,
    /// Numbers of the sums, for each output channel a patch and a vector of the gradient's sum.
    sums: usize,
}

impl Layout {
    #[inline(always)]
    fn new(lanes: usize, g: &ConvGeometry) -> Layout {
        let across = (g.kernel[1] * g.in_channels).div_ceil(lanes);
        let vectors = g.kernel[0] * across;
        let row = (g.input[1] + g.padding.before[1] + g.padding.behind[1]) * g.in_channels;
        let pitch = row.next_multiple_of(lanes);
        Layout {
            across,
            vectors,
            pitch,
            image: (g.input[0] + g.padding.before[0] + g.padding.behind[0]) * pitch
                + across * lanes,
            sums: g.out_channels * (vectors + 1) * lanes,
        }
    }

    /// Numbers of scratch.
    fn len(&self) -> usize {
        self.sums + self.image
    }
}

/// Whether the sum over windows is possible and cheaper than that over positions: patches of few numbers, and windows that
/// are whole and share nothing.
pub fn pay(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    pay_for(isa.lanes(), g, pool)
}

pub(in crate::conv) fn pay_for(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    let fits = (pool.batch, pool.channels, pool.input) == (g.batch, g.out_channels, g.output);
    let whole = |i: usize| {
        pool.padding.before[i] == 0
            && pool.stride[i] >= pool.kernel[i]
            && (pool.output[i] - 1) * pool.stride[i] + pool.kernel[i] <= pool.input[i]
    };
    g.is_consistent()
        && pool.is_consistent()
        && fits
        && whole(0)
        && whole(1)
        && pool.has_byte_places()
        && pool.kernel[0] * pool.kernel[1] >= 4
        && g.groups == 1
        && g.dilation[1] == 1
        && (patch_vectors(lanes, g) <= VECTORS || by_lines(lanes, g, pool))
        && choice::filters(lanes, g) == Algorithm::Direct
}

/// Vectors in a patch.
fn patch_vectors(lanes: usize, g: &ConvGeometry) -> usize {
    g.kernel[0].saturating_mul((g.kernel[1] * g.in_channels).div_ceil(lanes))
}

/// Whether lines are quicker than patches.
fn by_lines(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    lines::pays(lanes, g, pool, patch_vectors(lanes, g))
}

/// Whether windows may have no place ([`NOWHERE`](crate::pooling::NOWHERE)).
pub fn may_be_nowhere(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    by_lines(isa.lanes(), g, pool)
}

/// Number of independent units of work: one for each partial gradient.
pub fn units(g: &ConvGeometry) -> usize {
    direct::partials(g)
}

/// Numbers of scratch that [`run_unit`] takes, per thread.
pub fn scratch_len(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    scratch_len_of(isa.lanes(), g, pool)
}

pub(in crate::conv) fn scratch_len_of(
    lanes: usize,
    g: &ConvGeometry,
    pool: &PoolGeometry,
) -> usize {
    if by_lines(lanes, g, pool) {
        lines::scratch_len(lanes, g, pool)
    } else {
        Layout::new(lanes, g).len()
    }
}

multiversion! {
    /// Runs unit `unit` of the partial gradients `[partials, KH, KW, C, O]`, and of the sums `[partials, O]` of the output's
    /// gradient, if these are wanted.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; [`pay`] must hold for convolution and pooling; `unit` must be below [`units`]; `input` must be
    /// valid for reading the images, `windows` for reading gradients and places, which must be below the number of
    /// positions in a window, and `partials` and `totals` for writing; no one else may touch the same unit's part meanwhile.
    /// `scratch` must have [`scratch_len`] numbers.
    pub unsafe fn run_unit(
        geometry: &ConvGeometry,
        windows: Windows<'_>,
        unit: usize,
        input: *const f32,
        partials: *mut f32,
        totals: Option<*mut f32>,
        scratch: &mut [f32],
    ) = run_unit_body;
}

#[inline(always)]
pub(in crate::conv) unsafe fn run_unit_body<S: Lanes>(
    g: &ConvGeometry,
    windows: Windows<'_>,
    unit: usize,
    input: *const f32,
    partials: *mut f32,
    totals: Option<*mut f32>,
    scratch: &mut [f32],
) {
    let images = share(g.batch, direct::partials(g), unit);
    // SAFETY: passed on.
    let are_finite = unsafe {
        if by_lines(S::LANES, g, windows.pool) {
            lines::run_unit::<S>(g, &windows, unit, input, partials, totals, scratch);
            lines::rest_is_finite(g, windows.pool, images.clone(), input)
        } else {
            multiply_patches::<S>(g, windows, unit, input, partials, totals, scratch)
        }
    };
    let entries = g.kernel[0] * g.kernel[1] * g.in_channels;
    for o in 0..g.out_channels {
        // SAFETY: as the caller vouches.
        unsafe {
            let to = partials.add(unit * entries * g.out_channels + o);
            let is_finite = |entry: usize| (*to.add(entry * g.out_channels)).is_finite();
            if !(are_finite && (0..entries).all(is_finite)) {
                plain::gradient_over_windows(g, &windows, images.clone(), o, input, to);
            }
        }
    }
}

/// As [`run_unit`], by patches. Whether all numbers in the unit's images are finite.
#[inline(always)]
unsafe fn multiply_patches<S: Lanes>(
    g: &ConvGeometry,
    windows: Windows<'_>,
    unit: usize,
    input: *const f32,
    partials: *mut f32,
    totals: Option<*mut f32>,
    scratch: &mut [f32],
) -> bool {
    let (pool, layout) = (windows.pool, Layout::new(S::LANES, g));
    debug_assert!(scratch.len() >= layout.len());
    let (sums, image) = scratch.split_at_mut(layout.sums);
    sums.fill(0.0);
    // The border stays as it is, and what is read beyond the image is multiplied too.
    image.fill(0.0);
    // From a place to its patch, counted from the first of the window.
    let mut places = [0; PLACES];
    let all = pool.kernel[0] * pool.kernel[1];
    for (number, place) in places[..all].iter_mut().enumerate() {
        let (down, across) = (number / pool.kernel[1], number % pool.kernel[1]);
        *place = down * g.stride[0] * layout.pitch + across * g.stride[1] * g.in_channels;
    }
    let image_len = g.input[0] * g.input[1] * g.in_channels;
    let mut are_finite = true;
    for n in share(g.batch, direct::partials(g), unit) {
        // SAFETY: images and windows lie within what the caller vouches for, and the scratch has room.
        unsafe {
            are_finite &= copy_image::<S>(g, layout, input.add(n * image_len), image);
            let windows = Windows {
                gradient: windows.gradient.offset(n as isize * windows.strides[0]),
                places: windows.places.offset(n as isize * windows.place_strides[0]),
                ..windows
            };
            add_windows::<S>(g, windows, layout, image.as_ptr(), &places, sums);
        }
    }
    // From a filter after the other to `[KH, KW, C, O]`.
    let row = g.kernel[1] * g.in_channels;
    let of_channel = |o: usize| o * (layout.vectors + 1) * S::LANES;
    for (entry, o) in (0..g.kernel[0] * row).flat_map(|e| (0..g.out_channels).map(move |o| (e, o)))
    {
        let (down, across) = (entry / row, entry % row);
        let from = of_channel(o) + down * layout.across * S::LANES + across;
        // SAFETY: the unit's partial gradient has so many numbers.
        unsafe {
            *partials.add((unit * g.kernel[0] * row + entry) * g.out_channels + o) = sums[from];
        }
    }
    if let Some(totals) = totals {
        for o in 0..g.out_channels {
            // SAFETY: the unit's sums have so many numbers.
            unsafe {
                *totals.add(unit * g.out_channels + o) =
                    sums[of_channel(o) + layout.vectors * S::LANES];
            }
        }
    }
    are_finite
}

/// Copies an image into its border. Whether all its numbers are finite.
#[inline(always)]
unsafe fn copy_image<S: Simd>(
    g: &ConvGeometry,
    layout: Layout,
    image: *const f32,
    to: &mut [f32],
) -> bool {
    let row = g.input[1] * g.in_channels;
    // SAFETY: the caller vouches for the CPU and the image, and the rows have room.
    unsafe {
        let mut noted = S::zero();
        for y in 0..g.input[0] {
            let at = (y + g.padding.before[0]) * layout.pitch + g.padding.before[1] * g.in_channels;
            let (from, to) = (image.add(y * row), to[at..at + row].as_mut_ptr());
            let whole = row / S::LANES * S::LANES;
            for i in (0..whole).step_by(S::LANES) {
                let x = S::load(from.add(i));
                noted = S::note(x, noted);
                S::store(to.add(i), x);
            }
            if whole < row {
                let x = S::load_partial(from.add(whole), row - whole);
                noted = S::note(x, noted);
                S::store_partial(to.add(whole), x, row - whole);
            }
        }
        !S::any_nan(noted)
    }
}

/// Adds what the windows of an image give.
#[inline(always)]
unsafe fn add_windows<S: Simd>(
    g: &ConvGeometry,
    windows: Windows<'_>,
    layout: Layout,
    image: *const f32,
    places: &[usize; PLACES],
    sums: &mut [f32],
) {
    let pool = windows.pool;
    let most = match layout.vectors {
        1 | 2 => 4,
        3..=6 => 2,
        _ => 1,
    };
    let mut o = 0;
    while o < g.out_channels {
        let channels = if o + most <= g.out_channels { most } else { 1 };
        macro_rules! sizes {
            ($(($channels:literal, $vectors:literal))*) => {
                match (channels, layout.vectors) {
                    $(
                        // SAFETY: channels, windows and patches lie within what the caller vouches for.
                        ($channels, $vectors) => unsafe {
                            S::call(&Channels::<$channels, $vectors> {
                                windows: pool.output,
                                gradient: windows.gradient.offset(o as isize * windows.strides[3]),
                                strides: windows.strides,
                                chosen: windows.places.offset(o as isize * windows.place_strides[3]),
                                chosen_strides: windows.place_strides,
                                image,
                                down: pool.stride[0] * g.stride[0] * layout.pitch,
                                across: pool.stride[1] * g.stride[1] * g.in_channels,
                                row: g.dilation[0] * layout.pitch,
                                row_vectors: layout.across,
                                places,
                                sums: sums.as_mut_ptr().add(o * ($vectors + 1) * S::LANES),
                            })
                        },
                    )*
                    _ => debug_assert!(false, "no sums of {channels} channels, {} vectors", layout.vectors),
                }
            };
        }
        sizes!(
            (1, 1)(1, 2)(1, 3)(1, 4)(1, 5)(1, 6)(1, 7)(1, 8)(2, 3)(2, 4)(2, 5)(2, 6)(4, 1)(4, 2)
        );
        o += channels;
    }
}

/// `sums[c] += sum over windows of gradient[window, c] * patch(window, chosen[window, c])` for `CH` channels and patches of
/// `NV` vectors, and behind each patch the sum of `gradient[window, c]`.
struct Channels<'a, const CH: usize, const NV: usize> {
    /// Rows of windows, and windows in a row.
    windows: [usize; 2],
    gradient: *const f32,
    strides: [isize; 4],
    /// Which position each window chose.
    chosen: *const u8,
    chosen_strides: [isize; 4],
    /// The patch of the first position of the first window; from there to the next windows.
    image: *const f32,
    down: usize,
    across: usize,
    /// From a row of a patch to the next, and vectors in a row.
    row: usize,
    row_vectors: usize,
    /// From the first position of a window to each.
    places: &'a [usize; PLACES],
    sums: *mut f32,
}

impl<const CH: usize, const NV: usize> Outlined for Channels<'_, CH, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let [_, down, across, over] = self.strides;
        // SAFETY: the caller vouches for the CPU and for all pointers.
        unsafe {
            // From the start of a patch to each of its vectors.
            let mut at = [0; NV];
            for (v, at) in at.iter_mut().enumerate() {
                *at = v / self.row_vectors * self.row + v % self.row_vectors * S::LANES;
            }
            let mut sums = [[S::zero(); NV]; CH];
            let mut totals = [S::zero(); CH];
            let [_, chosen_down, chosen_across, chosen_over] = self.chosen_strides;
            for y in 0..self.windows[0] {
                let mut chosen = self.chosen.wrapping_offset(y as isize * chosen_down);
                let mut gradient = self.gradient.wrapping_offset(y as isize * down);
                let mut window = self.image.wrapping_add(y * self.down);
                // Planes of few windows end before the CPU sees that they are read in order: the next channels' are fetched.
                for x in (0..self.windows[1]).step_by(LINE) {
                    each!(c < CH {
                        let ahead = gradient.wrapping_offset((CH + c) as isize * over);
                        S::prefetch(ahead.wrapping_offset(x as isize * across));
                    });
                }
                for _ in 0..self.windows[1] {
                    each!(c < CH {
                        let patch = window.add(self.places[usize::from(*chosen.offset(c as isize * chosen_over))]);
                        let factor = S::broadcast(gradient.offset(c as isize * over));
                        totals[c] = S::add(totals[c], factor);
                        each!(v < NV {
                            sums[c][v] = S::fma(factor, S::load(patch.add(at[v])), sums[c][v]);
                        });
                    });
                    gradient = gradient.wrapping_offset(across);
                    chosen = chosen.wrapping_offset(chosen_across);
                    window = window.wrapping_add(self.across);
                }
            }
            each!(c < CH {
                each!(v < NV {
                    let to = self.sums.add((c * (NV + 1) + v) * S::LANES);
                    S::store(to, S::add(S::load(to), sums[c][v]));
                });
                let to = self.sums.add((c * (NV + 1) + NV) * S::LANES);
                S::store(to, S::add(S::load(to), totals[c]));
            });
        }
    }
}
