//! The gradient with respect to the filters where the output went to a max pooling of 2 x 2, as
//! [`over_windows`](super::over_windows) has it, by lines:
//!
//! ```text
//! dg[c, kh] = Gᵀ [ Σ over n and lines (A dy[n, y]) ⊙ (Bᵀ d[n, c, y + kh]) ]
//! ```
//!
//! The gradients of two windows side by side, and the places they go to, make the four outputs of a line in the upper and in
//! the lower row. Sums of a few output channels, all rows of the filter and one point stay in registers over an image.

use super::{direct::partials, placed::PlacedGradient};
use crate::{
    conv::lines::{
        Layout,
        transform::{Filtering, Five, MOST_POINTS, OUTPUTS, Three},
        transform_image,
    },
    plan::{ConvGeometry, PoolGeometry},
    pooling::NOWHERE,
    share::share,
    simd::Lanes,
    storage::LINE,
    unroll::each,
};

/// Numbers that the lines of some images may take, so that they stay in the first-level cache.
pub(in crate::conv) const NEAR: usize = 4096;
/// Most rows of a filter.
const MOST_ROWS: usize = 5;
/// Most output channels at a time.
const CHANNELS: usize = 4;

/// What lies in the scratch, one after another.
#[derive(Clone, Copy)]
struct Scratch {
    layout: Layout,
    lanes: usize,
    /// Images at a time.
    images: usize,
    /// Numbers of a line for all windows of an image: whole vectors.
    width: usize,
    /// Sums for each point, as whole vectors.
    sums: usize,
}

impl Scratch {
    #[inline(always)]
    fn new(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry) -> Scratch {
        let layout = Layout::new(lanes, g, pool.output);
        let sums = g.out_channels * g.in_channels * g.kernel[0];
        Scratch {
            layout,
            lanes,
            images: (NEAR / layout.len).clamp(1, 8),
            width: layout.groups * lanes,
            sums: sums.next_multiple_of(lanes),
        }
    }

    /// Numbers of the parts: lines, working memory, the gradients of a few channels at all points, their sums by lanes, all
    /// sums, and a plane of windows with their places.
    fn parts(&self, g: &ConvGeometry) -> [usize; 6] {
        let points = self.layout.points;
        [
            self.images * self.layout.len,
            self.layout.working(self.lanes),
            CHANNELS * MOST_POINTS * 2 * self.width,
            g.in_channels * points * CHANNELS * MOST_ROWS * self.lanes,
            points * self.sums,
            2 * self.width + (2 * self.width).div_ceil(4),
        ]
    }
}

/// Numbers of scratch that [`run_unit`] takes.
pub(in crate::conv) fn scratch_len(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    Scratch::new(lanes, g, pool).parts(g).iter().sum()
}

/// Whether what the windows' lines do not reach of some images is finite: the last rows and columns, where the output has
/// more than the windows take. What lines reach is in their sums.
///
/// # Safety
///
/// The images must be valid for reading.
pub(in crate::conv) unsafe fn rest_is_finite(
    g: &ConvGeometry,
    pool: &PoolGeometry,
    images: std::ops::Range<usize>,
    input: *const f32,
) -> bool {
    let reached = [0, 1].map(|axis| {
        let positions = 2 * pool.output[axis] + g.kernel[axis] - 1;
        positions
            .saturating_sub(g.padding.before[axis])
            .min(g.input[axis])
    });
    let [height, width] = g.input;
    images.into_iter().all(|n| {
        (0..height).all(|y| {
            let first = if y < reached[0] { reached[1] } else { 0 };
            let row = input.wrapping_add((n * height + y) * width * g.in_channels);
            // SAFETY: numbers of the row.
            (first * g.in_channels..width * g.in_channels)
                .all(|i| unsafe { (*row.add(i)).is_finite() })
        })
    })
}

/// As [`over_windows::run_unit`](super::over_windows::run_unit), where [`choice`](crate::conv::choice::over_windows) says so.
#[inline(always)]
pub(in crate::conv) unsafe fn run_unit<S: Lanes>(
    g: &ConvGeometry,
    placed: &PlacedGradient<'_>,
    unit: usize,
    input: *const f32,
    partials: *mut f32,
    totals: Option<*mut f32>,
    scratch: &mut [f32],
) {
    // SAFETY: passed on.
    unsafe {
        match g.kernel[0] {
            3 => unit_of::<S, Three, 4, 3>(g, placed, unit, input, partials, totals, scratch),
            _ => unit_of::<S, Five, 2, 5>(g, placed, unit, input, partials, totals, scratch),
        }
    }
}

#[inline(always)]
unsafe fn unit_of<S: Lanes, F: Filtering, const CH: usize, const ROWS: usize>(
    g: &ConvGeometry,
    placed: &PlacedGradient<'_>,
    unit: usize,
    input: *const f32,
    to: *mut f32,
    totals: Option<*mut f32>,
    mut scratch: &mut [f32],
) {
    let parts = Scratch::new(S::LANES, g, placed.pool);
    scratch.fill(0.0);
    let [lines, working, gradients, near, sums, plane] = parts.parts(g).map(|len| {
        let (part, rest) = std::mem::take(&mut scratch).split_at_mut(len);
        scratch = rest;
        part.as_mut_ptr()
    });
    let few = Few::<F> {
        g,
        placed,
        parts: &parts,
        gradients,
        near,
        sums,
        plane,
        filtering: std::marker::PhantomData,
    };
    let image_len = g.input[0] * g.input[1] * g.in_channels;
    let own = share(g.batch, partials(g), unit);
    // SAFETY: images, windows and sums lie within what the caller vouches for, and the scratch has room.
    unsafe {
        let totals = totals.map(|totals| totals.add(unit * g.out_channels));
        if let Some(totals) = totals {
            std::slice::from_raw_parts_mut(totals, g.out_channels).fill(0.0);
        }
        for first in own.clone().step_by(parts.images) {
            let images = first..(first + parts.images).min(own.end);
            for (i, image) in images.clone().enumerate() {
                let lines = lines.add(i * parts.layout.len);
                let image = input.add(image * image_len);
                transform_image::<S, F>(g, &parts.layout, image, lines, working);
            }
            let mut o = 0;
            while o < g.out_channels {
                if g.out_channels - o >= CH {
                    few.add::<S, CH, ROWS>(images.clone(), o, lines, totals);
                    o += CH;
                } else {
                    few.add::<S, 1, ROWS>(images.clone(), o, lines, totals);
                    o += 1;
                }
            }
        }
        few.finish::<S>(unit, to);
    }
}

/// The sums of a few output channels, and what they are made from.
struct Few<'a, F> {
    g: &'a ConvGeometry,
    placed: &'a PlacedGradient<'a>,
    parts: &'a Scratch,
    /// `[group, parity, channel, point, lane]`
    gradients: *mut f32,
    /// `[c, point, channel, kh, lane]`
    near: *mut f32,
    /// `[point, (o, c, kh)]`
    sums: *mut f32,
    plane: *mut f32,
    filtering: std::marker::PhantomData<F>,
}

impl<F: Filtering> Few<'_, F> {
    /// Adds what some images give to `CH` output channels from `o` on.
    #[inline(always)]
    unsafe fn add<S: Lanes, const CH: usize, const ROWS: usize>(
        &self,
        images: std::ops::Range<usize>,
        o: usize,
        lines: *const f32,
        totals: Option<*mut f32>,
    ) {
        let (channels, layout) = (self.g.in_channels, &self.parts.layout);
        // SAFETY: the caller vouches for all pointers.
        unsafe {
            let len = channels * F::POINTS * CH * ROWS * S::LANES;
            std::slice::from_raw_parts_mut(self.near, len).fill(0.0);
            for (i, image) in images.enumerate() {
                for channel in 0..CH {
                    let total = self.spread::<S, CH>(image, o + channel, channel);
                    if let Some(totals) = totals {
                        *totals.add(o + channel) += total;
                    }
                }
                let lines = lines.add(i * layout.len);
                for c in 0..channels {
                    for point in 0..F::POINTS {
                        self.multiply::<S, CH, ROWS>(lines, c, point);
                    }
                }
            }
            // From lanes to numbers.
            for (c, point) in (0..channels).flat_map(|c| (0..F::POINTS).map(move |p| (c, p))) {
                let near = self
                    .near
                    .add((c * F::POINTS + point) * CH * ROWS * S::LANES);
                for channel in 0..CH {
                    let to = self
                        .sums
                        .add(point * self.parts.sums + ((o + channel) * channels + c) * ROWS);
                    for kh in 0..ROWS {
                        let sum = S::sum(S::load(near.add((channel * ROWS + kh) * S::LANES)));
                        *to.add(kh) += sum;
                    }
                }
            }
        }
    }

    /// The gradients of a channel's lines at all points, and their sum.
    #[inline(always)]
    unsafe fn spread<S: Lanes, const CH: usize>(
        &self,
        image: usize,
        o: usize,
        channel: usize,
    ) -> f32 {
        let parts = self.parts;
        // SAFETY: the caller vouches for all pointers.
        unsafe {
            let (plane, places) = self.plane_of::<S>(image, o);
            self.fetch::<S>(image, o + CH);
            let mut total = S::zero();
            for group in 0..parts.layout.groups {
                let at = group * S::LANES;
                let [left, right] = S::separate(
                    S::load(plane.add(2 * at)),
                    S::load(plane.add(2 * at + S::LANES)),
                );
                let both = S::load_halves(places.add(2 * at));
                let (of_left, of_right) =
                    (S::int_and(both, S::int(0xff)), S::shift_right::<8, 8>(both));
                // A window without a place passes nothing on.
                let nowhere = S::int(i32::from(NOWHERE));
                let left = S::select(S::int_eq(of_left, nowhere), S::zero(), left);
                let right = S::select(S::int_eq(of_right, nowhere), S::zero(), right);
                total = S::add(total, S::add(left, right));
                for parity in 0..2 {
                    let mut y = [S::zero(); OUTPUTS];
                    for (i, y) in y.iter_mut().enumerate() {
                        let (place, gradient) = match i {
                            0 | 1 => (of_left, left),
                            _ => (of_right, right),
                        };
                        let own = S::int((2 * parity + i % 2) as i32);
                        *y = S::select(S::int_eq(place, own), gradient, S::zero());
                    }
                    let values = F::spread::<S>(&y);
                    let line = ((group * 2 + parity) * CH + channel) * MOST_POINTS;
                    let to = self.gradients.add(line * S::LANES);
                    for (point, &x) in values.iter().enumerate().take(F::POINTS) {
                        S::store(to.add(point * S::LANES), x);
                    }
                }
            }
            S::sum(total)
        }
    }

    /// Fetches the windows of a channel to come: planes end before the CPU sees that they are read in order.
    #[inline(always)]
    fn fetch<S: Lanes>(&self, image: usize, o: usize) {
        let [_, down, across, over] = self.placed.strides;
        let [height, width] = self.placed.pool.output;
        if o < self.g.out_channels && across == 1 && down == width as isize {
            let at = image as isize * self.placed.strides[0] + o as isize * over;
            for line in (0..height * width).step_by(LINE) {
                S::prefetch(self.placed.gradient.wrapping_offset(at + line as isize));
            }
        }
    }

    /// A channel's windows and their places as whole vectors, two windows a line: where they lie, or a copy.
    #[inline(always)]
    unsafe fn plane_of<S: Lanes>(&self, image: usize, o: usize) -> (*const f32, *const u8) {
        let [height, width] = self.placed.pool.output;
        let row = 2 * self.parts.layout.lines;
        let from = |strides: [isize; 4]| image as isize * strides[0] + o as isize * strides[3];
        let (strides, place_strides) = (self.placed.strides, self.placed.place_strides);
        let gradient = self.placed.gradient.wrapping_offset(from(strides));
        let places = self.placed.places.wrapping_offset(from(place_strides));
        let layout = &self.parts.layout;
        let fills = |strides| layout.fills(S::LANES, [height, width], strides);
        if fills(strides) && fills(place_strides) {
            return (gradient, places);
        }
        let own = self.plane;
        let own_places = own.wrapping_add(2 * self.parts.width).cast::<u8>();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let at = |strides: [isize; 4]| y as isize * strides[1] + x as isize * strides[2];
            // SAFETY: the caller vouches for the windows; the plane has room, and is zero beyond them.
            unsafe {
                *own.add(y * row + x) = *gradient.offset(at(strides));
                *own_places.add(y * row + x) = *places.offset(at(place_strides));
            }
        }
        (own, own_places)
    }

    /// Adds the products at a point of all lines of an image.
    #[inline(always)]
    unsafe fn multiply<S: Lanes, const CH: usize, const ROWS: usize>(
        &self,
        lines: *const f32,
        c: usize,
        point: usize,
    ) {
        let layout = &self.parts.layout;
        // SAFETY: the caller vouches for all pointers.
        unsafe {
            let near = self
                .near
                .add((c * F::POINTS + point) * CH * ROWS * S::LANES);
            let mut sums = [[S::zero(); ROWS]; CH];
            each!(o < CH {
                each!(kh < ROWS {
                    sums[o][kh] = S::load(near.add((o * ROWS + kh) * S::LANES));
                });
            });
            let starts = [0, 1].map(|parity| lines.add(layout.at(c, point, parity)));
            let gradients = self.gradients.add(point * S::LANES);
            for group in 0..layout.groups {
                let at = group * S::LANES;
                for parity in 0..2 {
                    let mut factors = [S::zero(); CH];
                    let from = gradients.add((group * 2 + parity) * CH * MOST_POINTS * S::LANES);
                    each!(o < CH {
                        factors[o] = S::load(from.add(o * MOST_POINTS * S::LANES));
                    });
                    each!(kh < ROWS {
                        let row = kh + parity;
                        let x = S::load(starts[row % 2].add(row / 2 * layout.lines + at));
                        each!(o < CH {
                            sums[o][kh] = S::fma(factors[o], x, sums[o][kh]);
                        });
                    });
                }
            }
            each!(o < CH {
                each!(kh < ROWS {
                    S::store(near.add((o * ROWS + kh) * S::LANES), sums[o][kh]);
                });
            });
        }
    }

    /// From sums at the points to the unit's partial gradient, `[KH, KW, C, O]`.
    #[inline(always)]
    unsafe fn finish<S: Lanes>(&self, unit: usize, to: *mut f32) {
        let (g, sums) = (self.g, self.parts.sums);
        let entries = g.out_channels * g.in_channels * F::TAPS;
        // SAFETY: the caller vouches for the partial gradients; the sums are whole vectors.
        unsafe {
            let to = to.add(unit * entries * F::TAPS);
            for first in (0..entries).step_by(S::LANES) {
                let mut values = [S::zero(); MOST_POINTS];
                for (point, value) in values.iter_mut().enumerate().take(F::POINTS) {
                    *value = S::load(self.sums.add(point * sums + first));
                }
                let elements = F::elements::<S>(&values);
                for (kw, &element) in elements.iter().enumerate().take(F::TAPS) {
                    // The sums at the first points are not read again.
                    let lanes = self.near;
                    S::store(lanes, element);
                    for i in 0..S::LANES.min(entries - first) {
                        let (row, kh) = ((first + i) / F::TAPS, (first + i) % F::TAPS);
                        let (o, c) = (row / g.in_channels, row % g.in_channels);
                        let at = ((kh * F::TAPS + kw) * g.in_channels + c) * g.out_channels + o;
                        *to.add(at) = *lanes.add(i);
                    }
                }
            }
        }
    }
}
