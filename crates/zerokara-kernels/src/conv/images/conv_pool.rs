//! A convolution whose output goes to a max pooling of 2 x 2, and nowhere else: the output is never written.
//!
//! ```text
//! out[n, y, x, o] = max over i, j < 2 of (Σ over c, kh, kw of in[n, c, 2y + i + kh, 2x + j + kw] * filters[o, c, kh, kw])
//! ```
//!
//! A bias and a rectifier behind the pooling are applied before anything is written.
//!
//! For a few output channels and a vector of lines, the products of a point stay in registers; those of all points, some
//! kilobytes, are made outputs and pooled at once.

use crate::{
    conv::{
        lines::{
            Layout,
            transform::{Filtering, Five, MOST_POINTS, MOST_TAPS, OUTPUTS, Three},
            transform_image,
        },
        plain,
    },
    isa::Isa,
    plan::{ConvGeometry, PoolGeometry},
    pooling::{NOWHERE, beats},
    simd::{Lanes, MAX_LANES, multiversion},
    transpose::transpose_body,
    unroll::each,
};

/// Most output channels at a time.
const CHANNELS: usize = 6;
/// Work of a unit, in tenths of a nanosecond: large against transforming the filters, which each does for itself.
const UNIT: usize = 250_000;

/// A convolution and the pooling of its output, and where everything lies.
#[derive(Clone, Copy, Debug)]
pub struct ConvPool<'a> {
    /// Sizes and options of the convolution.
    pub conv: &'a ConvGeometry,
    /// Those of the pooling.
    pub pool: &'a PoolGeometry,
    /// Dense `[N, H, W, C]`.
    pub input: *const f32,
    /// Element `[o, c, kh, kw]` is at the sum of these times `filter_strides`.
    pub filters: *const f32,
    /// Distances along O, C, KH and KW.
    pub filter_strides: [isize; 4],
    /// Added to what is pooled of channel `o`: the number at `o` times this; null for none.
    pub bias: (*const f32, isize),
    /// As [`PoolStep::added`](crate::plan::PoolStep::added): the number of image `n` and channel `o` at the sum of these times
    /// the distances; null for none but the bias.
    pub added: (*const f32, [isize; 2]),
    /// Whether negative results become zero.
    pub rectify: bool,
    /// Whether the place of a result that is not above zero is [`NOWHERE`].
    pub marks: bool,
    /// Element `[n, y, x, o]` is at the sum of these times `output_strides`.
    pub output: *mut f32,
    /// Distances along N, Y, X and O.
    pub output_strides: [isize; 4],
    /// Where to write which element of the window was the first largest, row by row; null if nobody asks.
    pub places: *mut u8,
    /// Distances along N, Y, X and O.
    pub place_strides: [isize; 4],
}

/// What lies in the scratch, one after another.
#[derive(Clone, Copy)]
struct Scratch {
    layout: Layout,
    /// Output channels, as whole vectors.
    channels: usize,
    /// Numbers of a channel's windows, as they come: whole vectors.
    plane: usize,
    /// Whether the windows of a row lie side by side in the output.
    by_plane: bool,
    /// Planes: of a few channels, or of all where they are to be transposed.
    planes: usize,
    lanes: usize,
}

impl Scratch {
    #[inline(always)]
    fn new(lanes: usize, p: &ConvPool<'_>) -> Scratch {
        Scratch::of(lanes, p.conv, p.pool, p.output_strides[2] == 1)
    }

    #[inline(always)]
    fn of(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry, by_plane: bool) -> Scratch {
        let layout = Layout::new(lanes, g, pool.output);
        let channels = g.out_channels.next_multiple_of(lanes);
        Scratch {
            layout,
            channels,
            plane: layout.groups * lanes * 2,
            by_plane,
            planes: if by_plane { CHANNELS } else { g.out_channels },
            lanes,
        }
    }

    /// Numbers of the filters' values, `[c, kh, point, o]`.
    fn filters(&self, g: &ConvGeometry) -> usize {
        g.in_channels * g.kernel[0] * self.layout.points * self.channels
    }

    /// Numbers of the products of a few channels, `[channel, parity, point, line]`.
    fn products(&self) -> usize {
        CHANNELS * 2 * MOST_POINTS * self.lanes
    }

    /// Numbers of the planes, and of their places, a byte each.
    fn planes(&self) -> [usize; 2] {
        let all = self.planes * self.plane;
        [all, all.div_ceil(4)]
    }

    fn len(&self, g: &ConvGeometry) -> usize {
        let [values, places] = self.planes();
        let working = self.layout.working(self.lanes);
        self.layout.len + working + self.filters(g) + self.products() + values + places
    }
}

/// Images in a unit.
fn images(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    UNIT.div_ceil(image_weight_of(lanes, g, pool).max(1))
}

/// Work for one image, in tenths of a nanosecond.
pub(crate) fn image_weight(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    image_weight_of(isa.lanes(), g, pool)
}

fn image_weight_of(lanes: usize, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    2 * Layout::new(lanes, g, pool.output).half_cycles(g)
}

/// Number of independent units of work.
pub fn units(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    g.batch.div_ceil(images(isa.lanes(), g, pool))
}

/// The images of unit `unit` (below [`units`]).
pub fn unit_images(
    isa: Isa,
    g: &ConvGeometry,
    pool: &PoolGeometry,
    unit: usize,
) -> std::ops::Range<usize> {
    let images = images(isa.lanes(), g, pool);
    unit * images..((unit + 1) * images).min(g.batch)
}

/// Numbers of scratch that [`prepare`] and [`run_image`] take, per thread.
pub fn scratch_len(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    scratch_len_of(isa.lanes(), g, pool)
}

pub(in crate::conv) fn scratch_len_of(
    lanes: usize,
    g: &ConvGeometry,
    pool: &PoolGeometry,
) -> usize {
    let len = |by_plane| Scratch::of(lanes, g, pool, by_plane).len(g);
    len(true).max(len(false))
}

multiversion! {
    /// Transforms the filters, for the images to come.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; [`pools`](crate::conv::pools) must hold; the filters must be valid for reading; `scratch` must have
    /// [`scratch_len`] numbers.
    pub unsafe fn prepare(operands: &ConvPool<'_>, scratch: &mut [f32]) = prepare_body;
}

#[inline(always)]
pub(in crate::conv) unsafe fn prepare_body<S: Lanes>(p: &ConvPool<'_>, scratch: &mut [f32]) {
    let parts = Scratch::new(S::LANES, p);
    debug_assert!(scratch.len() >= parts.len(p.conv));
    // What is beyond the lines, and the border, stay as they are.
    scratch[..parts.layout.len + parts.layout.working(S::LANES)].fill(0.0);
    let to = scratch[parts.layout.len + parts.layout.working(S::LANES)..].as_mut_ptr();
    // SAFETY: passed on.
    unsafe {
        match p.conv.kernel[0] {
            3 => transform_filters::<S, Three>(p, &parts, to),
            _ => transform_filters::<S, Five>(p, &parts, to),
        }
    }
}

/// Writes the filters' values at the points, `[c, kh, point, o]`.
#[inline(always)]
unsafe fn transform_filters<S: Lanes, F: Filtering>(
    p: &ConvPool<'_>,
    parts: &Scratch,
    mut to: *mut f32,
) {
    let g = p.conv;
    let [out, channel, down, across] = p.filter_strides;
    for (c, kh) in (0..g.in_channels).flat_map(|c| (0..F::TAPS).map(move |kh| (c, kh))) {
        let row = p
            .filters
            .wrapping_offset(c as isize * channel + kh as isize * down);
        for first in (0..g.out_channels).step_by(S::LANES) {
            // SAFETY: the caller vouches for the filters and the room; no vector has more lanes.
            unsafe {
                let mut taps = [S::zero(); MOST_TAPS];
                for (kw, taps) in taps.iter_mut().enumerate().take(F::TAPS) {
                    let mut lanes = [0.0; MAX_LANES];
                    for (i, x) in lanes.iter_mut().enumerate().take(S::LANES) {
                        let o = (first + i).min(g.out_channels - 1);
                        *x = *row.offset(o as isize * out + kw as isize * across);
                    }
                    *taps = S::load(lanes.as_ptr());
                }
                let values = F::filter::<S>(&taps);
                for (point, &x) in values.iter().enumerate().take(F::POINTS) {
                    S::store(to.add(point * parts.channels + first), x);
                }
            }
        }
        to = to.wrapping_add(F::POINTS * parts.channels);
    }
}

multiversion! {
    /// Computes image `image` of the batch with the filters that [`prepare`] transformed.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; [`pools`](crate::conv::pools) must hold; `input` must be valid for reading the images, `output` for writing the
    /// windows, and `places` too, unless null; no one else may touch the same image's meanwhile. `scratch` must be as
    /// [`prepare`], or the last image, left it.
    pub unsafe fn run_image(operands: &ConvPool<'_>, image: usize, scratch: &mut [f32]) = run_image_body;
}

#[inline(always)]
pub(in crate::conv) unsafe fn run_image_body<S: Lanes>(
    p: &ConvPool<'_>,
    image: usize,
    scratch: &mut [f32],
) {
    // SAFETY: passed on.
    unsafe {
        match p.conv.kernel[0] {
            3 => image_of::<S, Three>(p, image, scratch),
            _ => image_of::<S, Five>(p, image, scratch),
        }
    }
}

#[inline(always)]
unsafe fn image_of<S: Lanes, F: Filtering>(p: &ConvPool<'_>, image: usize, scratch: &mut [f32]) {
    let g = p.conv;
    let parts = Scratch::new(S::LANES, p);
    debug_assert!(scratch.len() >= parts.len(g));
    let (lines, rest) = scratch.split_at_mut(parts.layout.len);
    let (working, rest) = rest.split_at_mut(parts.layout.working(S::LANES));
    let (filters, rest) = rest.split_at_mut(parts.filters(g));
    let (products, rest) = rest.split_at_mut(parts.products());
    let (planes, places) = rest.split_at_mut(parts.planes()[0]);
    let (lines, filters, products) = (lines.as_mut_ptr(), filters.as_ptr(), products.as_mut_ptr());
    let (planes, places) = (planes.as_mut_ptr(), places.as_mut_ptr().cast::<u8>());
    let fills = |strides| parts.layout.fills(S::LANES, p.pool.output, strides);
    let values_in_place = fills(p.output_strides);
    let places_in_place = !p.places.is_null() && fills(p.place_strides);
    // SAFETY: the image lies within what the caller vouches for, and the scratch has room.
    unsafe {
        let input = p.input.add(image * g.input[0] * g.input[1] * g.in_channels);
        transform_image::<S, F>(g, &parts.layout, input, lines, working.as_mut_ptr());
        // What is not yet where it belongs.
        let values = (!values_in_place).then_some(planes.cast_const());
        let numbers = (!places_in_place && !p.places.is_null()).then_some(places.cast_const());
        let mut o = 0;
        while o < g.out_channels {
            let channels = match g.out_channels - o {
                6.. => 6,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let at = if parts.by_plane { 0 } else { o };
            // Planes without gaps are written where they belong.
            let in_place =
                |strides: [isize; 4]| image as isize * strides[0] + o as isize * strides[3];
            let (planes, plane) = match values_in_place {
                true => {
                    let to = p.output.offset(in_place(p.output_strides));
                    (to, p.output_strides[3])
                }
                false => (planes.add(at * parts.plane), parts.plane as isize),
            };
            let (places, place_plane) = match places_in_place {
                true => {
                    let to = p.places.offset(in_place(p.place_strides));
                    (to, p.place_strides[3])
                }
                false => (places.wrapping_add(at * parts.plane), parts.plane as isize),
            };
            let few = Few {
                operands: p,
                image: input,
                first: o,
                layout: &parts.layout,
                in_channels: g.in_channels,
                filters: filters.add(o),
                filter_pitch: parts.channels,
                bias: match p.bias {
                    (bias, _) if bias.is_null() => p.bias,
                    (bias, step) => (bias.offset(o as isize * step), step),
                },
                added: match p.added {
                    (added, _) if added.is_null() => (added, 0),
                    (added, [by_image, step]) => (
                        added.offset(image as isize * by_image + o as isize * step),
                        step,
                    ),
                },
                rectify: p.rectify,
                marks: p.marks,
                products,
                planes,
                plane,
                places: match p.places.is_null() {
                    true => std::ptr::null_mut(),
                    false => places,
                },
                place_plane,
            };
            match channels {
                6 => few.run::<S, F, 6>(lines),
                4 => few.run::<S, F, 4>(lines),
                2 => few.run::<S, F, 2>(lines),
                _ => few.run::<S, F, 1>(lines),
            }
            if parts.by_plane {
                let own = o..o + channels;
                deliver::<S>(p, &parts, image, own, values, numbers);
            }
            o += channels;
        }
        if !parts.by_plane {
            deliver::<S>(p, &parts, image, 0..g.out_channels, values, numbers);
        }
    }
}

/// A few output channels, and what they are made from and written to.
struct Few<'a> {
    operands: &'a ConvPool<'a>,
    /// The image, and the first of the channels.
    image: *const f32,
    first: usize,
    layout: &'a Layout,
    in_channels: usize,
    filters: *const f32,
    /// From a point of the filters to the next.
    filter_pitch: usize,
    bias: (*const f32, isize),
    added: (*const f32, isize),
    rectify: bool,
    marks: bool,
    products: *mut f32,
    /// Where the first channel's windows go, and from a channel to the next.
    planes: *mut f32,
    plane: isize,
    /// The same of the places, unless null.
    places: *mut u8,
    place_plane: isize,
}

impl Few<'_> {
    #[inline(always)]
    unsafe fn run<S: Lanes, F: Filtering, const CH: usize>(&self, lines: *const f32) {
        for group in 0..self.layout.groups {
            // SAFETY: the caller vouches for all pointers.
            unsafe {
                let lines = lines.add(group * S::LANES);
                for point in 0..F::POINTS {
                    self.multiply::<S, F, CH>(lines, point);
                }
                for c in 0..CH {
                    self.pool::<S, F>(c, group);
                }
            }
        }
    }

    /// The products at a point, summed over input channels and rows of the filters, for both parities.
    #[inline(always)]
    unsafe fn multiply<S: Lanes, F: Filtering, const CH: usize>(
        &self,
        lines: *const f32,
        point: usize,
    ) {
        // SAFETY: the caller vouches for all pointers.
        unsafe {
            let (mut even, mut odd) = ([S::zero(); CH], [S::zero(); CH]);
            let mut filters = self.filters.add(point * self.filter_pitch);
            for c in 0..self.in_channels {
                // Where the rows of each parity begin.
                let starts = [0, 1].map(|parity| lines.add(self.layout.at(c, point, parity)));
                let row = |number: usize| starts[number % 2].add(number / 2 * self.layout.lines);
                for kh in 0..F::TAPS {
                    let (upper, lower) = (S::load(row(kh)), S::load(row(kh + 1)));
                    each!(o < CH {
                        let factor = S::broadcast(filters.add(o));
                        even[o] = S::fma(factor, upper, even[o]);
                        odd[o] = S::fma(factor, lower, odd[o]);
                    });
                    filters = filters.wrapping_add(F::POINTS * self.filter_pitch);
                }
            }
            each!(o < CH {
                let to = self.products.add((2 * o * MOST_POINTS + point) * S::LANES);
                S::store(to, even[o]);
                S::store(to.add(MOST_POINTS * S::LANES), odd[o]);
            });
        }
    }

    /// The four outputs of a channel's products for one parity.
    #[inline(always)]
    unsafe fn outputs<S: Lanes, F: Filtering>(
        &self,
        channel: usize,
        parity: usize,
    ) -> [S::Vector; OUTPUTS] {
        let line = (2 * channel + parity) * MOST_POINTS;
        // SAFETY: the caller vouches for all pointers.
        unsafe {
            let mut values = [S::zero(); MOST_POINTS];
            for (point, value) in values.iter_mut().enumerate().take(F::POINTS) {
                *value = S::load(self.products.add((line + point) * S::LANES));
            }
            F::output::<S>(&values)
        }
    }

    /// The outputs of a channel's products, pooled.
    #[inline(always)]
    unsafe fn pool<S: Lanes, F: Filtering>(&self, channel: usize, group: usize) {
        // SAFETY: the caller vouches for all pointers.
        unsafe {
            let [a, b, c, d] = self.outputs::<S, F>(channel, 0);
            let [e, f, g, h] = self.outputs::<S, F>(channel, 1);
            let at = 2 * group * S::LANES;
            let planes = self.planes.offset(channel as isize * self.plane);
            let (mut left, mut right) = (fast::<S>([a, b, e, f]), fast::<S>([c, d, g, h]));
            // What is not finite at a point reaches the first or the last output of the line, and this sum; so does what is
            // so large that outputs overflow, and a bias that is not finite.
            let all = S::add(S::add(a, d), S::add(e, h));
            let mut all = S::add(all, S::add(left.0, right.0));
            let (added, step) = match self.added {
                (added, _) if added.is_null() => self.bias,
                own => own,
            };
            if !added.is_null() {
                all = S::add(all, S::broadcast(added.offset(channel as isize * step)));
            }
            if S::any_nan(S::note(all, S::zero())) {
                let lanes = self.plain_outputs(S::LANES, channel, group);
                let [a, b, c, d, e, f, g, h] = lanes.each_ref().map(|x| S::load(x.as_ptr()));
                let added = match added.is_null() {
                    true => None,
                    false => Some(S::broadcast(added.offset(channel as isize * step))),
                };
                left = exact_with::<S>([a, b, e, f], added);
                right = exact_with::<S>([c, d, g, h], added);
            }
            let (mut values, (bias, step)) = ([left.0, right.0], self.bias);
            if !bias.is_null() {
                let bias = S::broadcast(bias.offset(channel as isize * step));
                values = [S::add(values[0], bias), S::add(values[1], bias)];
            }
            if self.rectify {
                values = [S::max(S::zero(), values[0]), S::max(S::zero(), values[1])];
            }
            let [first, second] = S::interleave(values[0], values[1]);
            S::store(planes.add(at), first);
            S::store(planes.add(at + S::LANES), second);
            if !self.places.is_null() {
                let mut told = [left.1, right.1];
                if self.marks {
                    let nowhere = S::int(i32::from(NOWHERE));
                    let zero = S::zero();
                    told = [
                        S::int_select(S::lt(zero, values[0]), told[0], nowhere),
                        S::int_select(S::lt(zero, values[1]), told[1], nowhere),
                    ];
                }
                let both = S::int_or(told[0], S::shift_left::<8, 8>(told[1]));
                let places = self.places.offset(channel as isize * self.place_plane);
                S::store_low_halves(places.add(at), both);
            }
        }
    }
}

impl Few<'_> {
    /// The outputs of a channel in the lines of a group, the upper row's four and the lower's, by direct sums. What is beyond
    /// the output is zero.
    #[cold]
    unsafe fn plain_outputs(
        &self,
        lanes: usize,
        channel: usize,
        group: usize,
    ) -> [[f32; MAX_LANES]; 2 * OUTPUTS] {
        let (p, lines) = (self.operands, self.layout.lines);
        let [out, strides @ ..] = p.filter_strides;
        let filter = p
            .filters
            .wrapping_offset((self.first + channel) as isize * out);
        let mut all = [[0.0; MAX_LANES]; 2 * OUTPUTS];
        for (number, outputs) in all.iter_mut().enumerate() {
            for (lane, output) in outputs.iter_mut().enumerate().take(lanes) {
                let line = group * lanes + lane;
                let y = 2 * (line / lines) + number / OUTPUTS;
                let x = OUTPUTS * (line % lines) + number % OUTPUTS;
                if y < 2 * p.pool.output[0] && x < 2 * p.pool.output[1] {
                    // SAFETY: the caller vouches for image and filters.
                    *output = unsafe { plain::output(p.conv, self.image, [y, x], filter, strides) };
                }
            }
        }
        all
    }
}

/// The largest of four numbers that are no NaN, and which of them it is first.
#[inline(always)]
unsafe fn fast<S: Lanes>([a, b, c, d]: [S::Vector; 4]) -> (S::Vector, S::Ints) {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let (upper, lower) = (S::lt(a, b), S::lt(c, d));
        let (above, below) = (S::max(b, a), S::max(d, c));
        let wins = S::lt(above, below);
        (S::max(below, above), place::<S>(upper, lower, wins))
    }
}

/// The same, where the first NaN is the largest of all.
#[inline(always)]
unsafe fn exact<S: Lanes>([a, b, c, d]: [S::Vector; 4]) -> (S::Vector, S::Ints) {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let (upper, lower) = (beats::<S>(b, a), beats::<S>(d, c));
        let (above, below) = (S::select(upper, b, a), S::select(lower, d, c));
        let wins = beats::<S>(below, above);
        (
            S::select(wins, below, above),
            place::<S>(upper, lower, wins),
        )
    }
}

/// As [`exact`] of the sums with what is added to all four, but gives the element and not the sum.
#[inline(always)]
unsafe fn exact_with<S: Lanes>(
    x: [S::Vector; 4],
    added: Option<S::Vector>,
) -> (S::Vector, S::Ints) {
    let Some(added) = added else {
        // SAFETY: passed on.
        return unsafe { exact::<S>(x) };
    };
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let [a, b, c, d] = x;
        let sums = [
            S::add(a, added),
            S::add(b, added),
            S::add(c, added),
            S::add(d, added),
        ];
        let place = exact::<S>(sums).1;
        let mut chosen = a;
        for (number, x) in [b, c, d].into_iter().enumerate() {
            let here = S::int_eq(place, S::int(number as i32 + 1));
            chosen = S::select(here, x, chosen);
        }
        (chosen, place)
    }
}

/// The number of the element that won within the upper or the lower row.
#[inline(always)]
unsafe fn place<S: Lanes>(upper: S::Mask, lower: S::Mask, wins: S::Mask) -> S::Ints {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        S::int_select(
            wins,
            S::int_select(lower, S::int(3), S::int(2)),
            S::int_select(upper, S::int(1), S::int(0)),
        )
    }
}

/// Copies planes of windows to where they belong.
#[inline(always)]
unsafe fn deliver<S: Lanes>(
    p: &ConvPool<'_>,
    parts: &Scratch,
    image: usize,
    channels: std::ops::Range<usize>,
    planes: Option<*const f32>,
    places: Option<*const u8>,
) {
    let [height, width] = p.pool.output;
    let row = 2 * parts.layout.lines;
    let from =
        |strides: [isize; 4]| image as isize * strides[0] + channels.start as isize * strides[3];
    // SAFETY: the windows lie within what the caller vouches for.
    unsafe {
        if let Some(planes) = planes {
            let [_, down, across, over] = p.output_strides;
            let output = p.output.offset(from(p.output_strides));
            if over == 1 && across != 1 {
                for y in 0..height {
                    transpose_body::<S>(
                        channels.len(),
                        width,
                        planes.add(y * row),
                        parts.plane as isize,
                        output.offset(y as isize * down),
                        across,
                    );
                }
            } else {
                copy(
                    channels.len(),
                    [height, width],
                    planes,
                    [parts.plane, row],
                    output,
                    [down, across, over],
                );
            }
        }
        if let Some(places) = places {
            let [_, down, across, over] = p.place_strides;
            let to = p.places.offset(from(p.place_strides));
            copy(
                channels.len(),
                [height, width],
                places,
                [parts.plane, row],
                to,
                [down, across, over],
            );
        }
    }
}

/// Copies planes whose rows have gaps to others of any strides.
#[inline(always)]
unsafe fn copy<T: Copy>(
    channels: usize,
    [height, width]: [usize; 2],
    from: *const T,
    [plane, row]: [usize; 2],
    to: *mut T,
    [down, across, over]: [isize; 3],
) {
    // SAFETY: the caller vouches for both.
    unsafe {
        for o in 0..channels {
            let (from, to) = (from.add(o * plane), to.offset(o as isize * over));
            if across == 1 && down == width as isize && row == width {
                to.copy_from_nonoverlapping(from, height * width);
                continue;
            }
            for y in 0..height {
                let (from, to) = (from.add(y * row), to.offset(y as isize * down));
                if across == 1 {
                    to.copy_from_nonoverlapping(from, width);
                } else {
                    (0..width).for_each(|x| *to.offset(x as isize * across) = *from.add(x));
                }
            }
        }
    }
}
