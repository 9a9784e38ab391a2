//! The gradient with respect to the filters over the windows of a max pooling, by the patches that these chose.
//!
//! The columns and channels of one row of a patch lie side by side, in one vector or two; what these hold beyond the row is
//! multiplied too, for sums that nobody reads. A few output channels at a time take the patches that the windows of a whole
//! image chose, their sums in registers.

use super::{direct, placed::PlacedGradient};
use crate::{
    plan::ConvGeometry,
    share::share,
    simd::{Outlined, Simd},
    storage::LINE,
    unroll::each,
};

/// Most vectors in a patch, all of whose sums are in registers.
pub(in crate::conv) const MOST_VECTORS: usize = 8;
/// Most places in a window: they are told by a byte.
const PLACES: usize = 256;

/// Vectors in a patch.
pub(in crate::conv) fn vectors(lanes: usize, g: &ConvGeometry) -> usize {
    g.kernel[0].saturating_mul((g.kernel[1] * g.in_channels).div_ceil(lanes))
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

/// Numbers of scratch that [`run_unit`] takes.
pub(super) fn scratch_len(lanes: usize, g: &ConvGeometry) -> usize {
    Layout::new(lanes, g).len()
}

/// As [`over_windows::run_unit`](super::over_windows::run_unit), by patches. Whether all numbers in the unit's images are
/// finite.
#[inline(always)]
pub(super) unsafe fn run_unit<S: Simd>(
    g: &ConvGeometry,
    placed: PlacedGradient<'_>,
    unit: usize,
    input: *const f32,
    partials: *mut f32,
    totals: Option<*mut f32>,
    scratch: &mut [f32],
) -> bool {
    let (pool, layout) = (placed.pool, Layout::new(S::LANES, g));
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
            let placed = PlacedGradient {
                gradient: placed.gradient.offset(n as isize * placed.strides[0]),
                places: placed.places.offset(n as isize * placed.place_strides[0]),
                ..placed
            };
            add_windows::<S>(g, placed, layout, image.as_ptr(), &places, sums);
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
    placed: PlacedGradient<'_>,
    layout: Layout,
    image: *const f32,
    places: &[usize; PLACES],
    sums: &mut [f32],
) {
    let pool = placed.pool;
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
                                gradient: placed.gradient.offset(o as isize * placed.strides[3]),
                                strides: placed.strides,
                                chosen: placed.places.offset(o as isize * placed.place_strides[3]),
                                chosen_strides: placed.place_strides,
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
