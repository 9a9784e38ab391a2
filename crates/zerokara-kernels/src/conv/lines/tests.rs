//! Convolutions with their pooling against plain sums in f64.

use super::ERROR;
use crate::{
    conv::{
        conv_pool::{self, ConvPool},
        pools,
    },
    isa::Isa,
    plan::{ConvGeometry, Padding, PoolGeometry},
    rounding::Sum,
};

/// Numbers between -1 and 1, the same for the same seed.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

fn geometries(
    batch: usize,
    [c, o]: [usize; 2],
    input: [usize; 2],
    kernel: usize,
    padding: impl Into<Padding>,
) -> (ConvGeometry, PoolGeometry) {
    let padding = padding.into();
    let output = [0, 1].map(|i| input[i] + padding.along(i).unwrap() + 1 - kernel);
    let conv = ConvGeometry {
        batch,
        in_channels: c,
        out_channels: o,
        input,
        output,
        kernel: [kernel; 2],
        stride: [1; 2],
        padding,
        dilation: [1; 2],
        groups: 1,
        direct: false,
    };
    let pool = PoolGeometry {
        batch,
        channels: o,
        input: output,
        output: output.map(|n| n / 2),
        kernel: [2; 2],
        stride: [2; 2],
        padding: [0; 2].into(),
    };
    (conv, pool)
}

/// Output `[n, y, x, o]` of the convolution.
fn output(g: &ConvGeometry, input: &[f32], filters: &[f32], at: [usize; 4]) -> Sum {
    let [n, y, x, o] = at;
    let mut sum = Sum::default();
    let [height, width] = g.input;
    for c in 0..g.in_channels {
        for (i, j) in (0..g.kernel[0]).flat_map(|i| (0..g.kernel[1]).map(move |j| (i, j))) {
            let (row, column) = (y + i, x + j);
            let (Some(row), Some(column)) = (
                row.checked_sub(g.padding.before[0])
                    .filter(|&row| row < height),
                column
                    .checked_sub(g.padding.before[1])
                    .filter(|&x| x < width),
            ) else {
                continue;
            };
            let from = ((n * height + row) * width + column) * g.in_channels + c;
            let filter = ((o * g.in_channels + c) * g.kernel[0] + i) * g.kernel[1] + j;
            sum.add(f64::from(input[from]) * f64::from(filters[filter]));
        }
    }
    sum
}

/// Runs all images.
fn run_all(isa: Isa, p: &ConvPool<'_>) {
    let mut scratch = vec![f32::NAN; conv_pool::scratch_len(isa, p.conv, p.pool)];
    let scratch = &mut scratch[..];
    for unit in 0..conv_pool::units(isa, p.conv, p.pool) {
        // SAFETY: the caller gives what has the lengths asked for, and only what runs here is run.
        unsafe {
            conv_pool::prepare(isa, p, scratch);
            for image in conv_pool::unit_images(isa, p.conv, p.pool, unit) {
                conv_pool::run_image(isa, p, image, scratch);
            }
        }
    }
}

/// Values and places of a convolution and its pooling, as `[N, Y, X, O]`.
fn run(
    isa: Isa,
    (conv, pool): &(ConvGeometry, PoolGeometry),
    input: &[f32],
    filters: &[f32],
    by_plane: bool,
    wants_places: bool,
) -> (Vec<f32>, Vec<u8>) {
    let [height, width] = pool.output;
    let o = conv.out_channels;
    let len = conv.batch * height * width * o;
    let strides = match by_plane {
        true => [height * width * o, width, 1, height * width],
        false => [height * width * o, width * o, o, 1],
    };
    let (mut values, mut places) = (vec![f32::NAN; len + 1], vec![u8::MAX; len]);
    let [taps, row] = [conv.kernel[0] * conv.kernel[1], conv.kernel[1]];
    let signed = |strides: [usize; 4]| strides.map(|s| s as isize);
    let pooled = ConvPool {
        conv,
        pool,
        input: input.as_ptr(),
        filters: filters.as_ptr(),
        filter_strides: signed([conv.in_channels * taps, taps, row, 1]),
        bias: (std::ptr::null(), 0),
        added: (std::ptr::null(), [0; 2]),
        rectify: false,
        marks: false,
        output: values[1..].as_mut_ptr(),
        output_strides: signed(strides),
        places: match wants_places {
            true => places.as_mut_ptr(),
            false => std::ptr::null_mut(),
        },
        place_strides: signed(strides),
    };
    run_all(isa, &pooled);
    assert!(values[0].is_nan());
    let order = |i: usize| {
        let index = [
            i / o / width / height,
            i / o / width % height,
            i / o % width,
            i % o,
        ];
        index
            .iter()
            .zip(strides)
            .map(|(i, stride)| i * stride)
            .sum::<usize>()
    };
    (
        (0..len).map(|i| values[1 + order(i)]).collect(),
        (0..len).map(|i| places[order(i)]).collect(),
    )
}

fn check(isa: Isa, geometries: &(ConvGeometry, PoolGeometry)) {
    let (conv, pool) = geometries;
    let input = numbers(
        conv.batch * conv.input[0] * conv.input[1] * conv.in_channels,
        1,
    );
    let filters = numbers(
        conv.out_channels * conv.in_channels * conv.kernel[0] * conv.kernel[1],
        2,
    );
    for (by_plane, wants_places) in [(true, true), (false, true), (true, false)] {
        let (values, places) = run(isa, geometries, &input, &filters, by_plane, wants_places);
        let mut at = 0;
        for n in 0..conv.batch {
            for (y, x) in (0..pool.output[0]).flat_map(|y| (0..pool.output[1]).map(move |x| (y, x)))
            {
                for o in 0..conv.out_channels {
                    let window = [0, 1, 2, 3].map(|place| {
                        let (y, x) = (2 * y + place / 2, 2 * x + place % 2);
                        output(conv, &input, &filters, [n, y, x, o])
                    });
                    let largest = window.iter().map(|w| w.value).fold(f64::MIN, f64::max);
                    let bounds = window.iter().map(|w| w.bound());
                    let bound = ERROR * bounds.fold(0.0, f64::max);
                    let what = format!("{isa:?} {conv:?} [{n}, {y}, {x}, {o}] {by_plane}");
                    let error = (f64::from(values[at]) - largest).abs();
                    assert!(error <= bound, "{what}: {} for {largest}", values[at]);
                    if wants_places {
                        let chosen = window[usize::from(places[at])].value;
                        assert!(largest - chosen <= 2.0 * bound, "{what}: {}", places[at]);
                    }
                    at += 1;
                }
            }
        }
    }
}

#[test]
fn convolutions_pooled_at_once() {
    let mut all = [0, 0];
    // Channels in and out, input, kernel, padding.
    for (channels, size, kernel, padding) in [
        ([1, 30], [28, 28], 5, [0, 0, 0, 0]),
        ([1, 6], [28, 28], 5, [2, 2, 2, 2]),
        ([1, 1], [12, 36], 5, [0, 0, 0, 0]),
        ([3, 7], [33, 21], 5, [1, 2, 1, 2]),
        ([6, 16], [14, 14], 5, [0, 0, 0, 0]),
        ([2, 3], [20, 70], 5, [2, 0, 2, 0]),
        ([1, 32], [28, 28], 3, [1, 1, 1, 1]),
        ([1, 13], [20, 34], 3, [0, 0, 0, 0]),
        ([3, 8], [32, 32], 3, [1, 1, 1, 1]),
        ([3, 5], [17, 19], 3, [0, 1, 0, 1]),
        ([4, 2], [9, 66], 3, [1, 1, 1, 1]),
        ([1, 4], [66, 9], 3, [1, 0, 1, 0]),
        ([2, 11], [50, 40], 3, [2, 2, 2, 2]),
        ([1, 6], [28, 28], 5, [0, 3, 4, 1]),
        ([3, 5], [32, 31], 3, [2, 0, 0, 1]),
        ([1, 30], [27, 28], 5, [1, 0, 0, 4]),
    ] {
        for isa in Isa::available() {
            let geometries = geometries(2, channels, size, kernel, padding);
            if pools(isa, &geometries.0, &geometries.1) {
                all[usize::from(isa.lanes() == 16)] += 1;
                check(isa, &geometries);
            }
        }
    }
    assert!(all[0] >= 18 && all[1] >= 7, "{all:?}");
}

#[test]
fn no_images_and_many_units() {
    for batch in [0, 1, 23] {
        for isa in Isa::available() {
            check(isa, &geometries(batch, [1, 2], [12, 12], 5, [0, 0]));
        }
    }
}

#[test]
fn ties_go_to_the_first_and_nan_wins() {
    let geometries = geometries(1, [1, 3], [28, 28], 5, [0, 0]);
    for isa in Isa::available() {
        let filters = vec![1.0; 3 * 25];
        let (values, places) = run(isa, &geometries, &[0.0; 784], &filters, true, true);
        assert!(values.iter().all(|&x| x == 0.0) && places.iter().all(|&place| place == 0));
        // A NaN reaches all that reads it, and nothing else.
        let mut input = numbers(784, 3);
        input[13 * 28 + 9] = f32::NAN;
        let (values, places) = run(isa, &geometries, &input, &filters, true, true);
        let reads =
            |y: usize, x: usize| (9 / 2..=13 / 2).contains(&y) && (5 / 2..=9 / 2).contains(&x);
        for (at, value) in values.iter().enumerate() {
            let (y, x) = (at / 3 / 12, at / 3 % 12);
            assert_eq!(value.is_nan(), reads(y, x), "{isa:?} {y} {x}");
        }
        assert!(places.iter().all(|&place| place < 4));
    }
}

/// Numbers that are not finite at every position of the image, in every element of the filters, and in the bias: values and
/// places are those of direct sums.
#[test]
fn odd_numbers_stay_where_they_belong() {
    for (channels, size, kernel, padding) in [
        ([1, 7], [15, 14], 5, [2, 1, 2, 1]),
        ([1, 3], [18, 21], 3, [0, 1, 0, 1]),
        ([2, 4], [13, 34], 3, [1, 1, 1, 1]),
        ([1, 3], [18, 21], 3, [2, 0, 0, 1]),
        ([1, 2], [40, 40], 3, [1, 0, 1, 2]),
    ] {
        let geometries = geometries(1, channels, size, kernel, padding);
        let [c, o] = channels;
        let input = numbers(size[0] * size[1] * c, 1);
        let filters = numbers(o * c * kernel * kernel, 2);
        let odd = [f32::INFINITY, f32::NAN, f32::NEG_INFINITY, 3e38];
        for isa in Isa::available() {
            for position in 0..size[0] * size[1] {
                let mut input = input.clone();
                input[position * c + position % c] = odd[position % odd.len()];
                let what = format!("{isa:?} position {position}");
                check_odd(isa, &geometries, &input, &filters, &what);
            }
            for tap in 0..kernel * kernel {
                let mut filters = filters.clone();
                filters[(tap % (o * c)) * kernel * kernel + tap] = odd[tap % odd.len()];
                let what = format!("{isa:?} tap {tap}");
                check_odd(isa, &geometries, &input, &filters, &what);
            }
        }
    }
}

fn check_odd(
    isa: Isa,
    geometries: &(ConvGeometry, PoolGeometry),
    input: &[f32],
    filters: &[f32],
    what: &str,
) {
    let (conv, pool) = geometries;
    let (values, places) = run(isa, geometries, input, filters, true, true);
    let (o, width) = (conv.out_channels, pool.output[1]);
    for (at, (&value, &place)) in values.iter().zip(&places).enumerate() {
        let (y, x) = (at / o / width, at / o % width);
        let window = [0, 1, 2, 3].map(|place| {
            let (y, x) = (2 * y + place / 2, 2 * x + place % 2);
            let sum = output(conv, input, filters, [0, y, x, at % o]);
            (sum.value, sum.size)
        });
        let what = format!("{what} {conv:?} window {y} {x}: {value} at {place} of {window:?}");
        let chosen = window[usize::from(place)].0;
        if let Some(first) = window.iter().position(|w| w.0.is_nan()) {
            assert!(value.is_nan() && usize::from(place) == first, "{what}");
            continue;
        }
        let largest = window.iter().map(|w| w.0).fold(f64::NEG_INFINITY, f64::max);
        if largest.is_infinite() {
            let first = window.iter().position(|w| w.0 == largest);
            assert!(
                f64::from(value) == largest && first == Some(usize::from(place)),
                "{what}"
            );
            continue;
        }
        // A line is as wrong as its largest numbers are large; of infinite ones nothing is left.
        let all = input.iter().chain(filters).filter(|x| x.is_finite());
        let near = all.fold(0.0f32, |a, b| a.max(b.abs()));
        let sizes = window.iter().map(|w| w.1).filter(|s| s.is_finite());
        let size = sizes.fold(f64::from(near), f64::max);
        assert!((f64::from(value) - largest).abs() <= size * 4e-6, "{what}");
        assert!(largest - chosen <= size * 8e-6, "{what}");
    }
}
