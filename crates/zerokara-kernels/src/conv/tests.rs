//! Every pass against plain loops in f64.

use super::{choice::Method, *};
use crate::{
    isa::Isa,
    plan::{Arithmetic, ConvGeometry, ConvPass, Padding, PoolGeometry},
    rounding::Sum,
};

mod depthwise;
mod not_finite;

fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Calls `f(input index, output index, filter index [O, C / groups, KH, KW], filter index [KH, KW, C / groups, O])`
/// for every product in the convolution.
fn products(g: &ConvGeometry, mut f: impl FnMut(usize, usize, usize, usize)) {
    let (in_group, out_group) = (g.in_channels / g.groups, g.out_channels / g.groups);
    for n in 0..g.batch {
        for y in 0..g.output[0] {
            for x in 0..g.output[1] {
                for kh in 0..g.kernel[0] {
                    for kw in 0..g.kernel[1] {
                        let h = (y * g.stride[0] + kh * g.dilation[0])
                            .wrapping_sub(g.padding.before[0]);
                        let w = (x * g.stride[1] + kw * g.dilation[1])
                            .wrapping_sub(g.padding.before[1]);
                        if h >= g.input[0] || w >= g.input[1] {
                            continue;
                        }
                        for o in 0..g.out_channels {
                            for c in 0..in_group {
                                let channel = o / out_group * in_group + c;
                                f(
                                    ((n * g.input[0] + h) * g.input[1] + w) * g.in_channels
                                        + channel,
                                    ((n * g.output[0] + y) * g.output[1] + x) * g.out_channels + o,
                                    ((o * in_group + c) * g.kernel[0] + kh) * g.kernel[1] + kw,
                                    ((kh * g.kernel[1] + kw) * in_group + c) * g.out_channels + o,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where terms of neighbouring elements take part in the sums, errors are measured by the largest of these, and by the most
/// terms.
fn assert_close(method: Method, got: &[f32], sums: &[Sum], what: &str, g: &ConvGeometry) {
    let largest = sums.iter().map(|sum| sum.size).fold(0.0, f64::max);
    let most = sums.iter().map(|sum| sum.terms).max().unwrap_or(0);
    for (i, (&got, &sum)) in got.iter().zip(sums).enumerate() {
        let sum = match method {
            Method::Winograd => Sum {
                size: largest,
                terms: most,
                ..sum
            },
            Method::Direct | Method::Depthwise => sum,
        };
        assert!(
            sum.allows(got.into()),
            "{what} {g:?} [{i}]: {got} for {sum:?}"
        );
    }
}

/// Rounding what is multiplied to bf16 is no more than an error of each factor of its own.
fn assert_near(got: &[f32], sums: &[Sum], what: &str, g: &ConvGeometry) {
    let (mut errors, mut squares, mut worst) = (0.0, 0.0, 0.0f64);
    for (&got, sum) in got.iter().zip(sums) {
        let error = f64::from(got) - sum.value;
        errors += error * error;
        squares += sum.value * sum.value;
        worst = worst.max(error.abs());
    }
    let (rms, size) = (
        (errors / squares).sqrt(),
        (squares / sums.len() as f64).sqrt(),
    );
    assert!(rms < 0.015, "{what} {g:?}: {rms} of the size");
    assert!(worst < 0.1 * size, "{what} {g:?}: {worst} of {size}");
    assert!(rms > 2e-4, "{what} {g:?}: {rms} is too small for bf16");
}

fn check(isa: Isa, g: &ConvGeometry) {
    check_in(Arithmetic::F32, isa, g);
}

fn check_in(wanted: Arithmetic, isa: Isa, g: &ConvGeometry) {
    assert!(g.is_consistent(), "{g:?}");
    let in_group = g.in_channels / g.groups;
    let input_len = g.batch * g.input[0] * g.input[1] * g.in_channels;
    let output_len = g.batch * g.output[0] * g.output[1] * g.out_channels;
    let taps = g.kernel[0] * g.kernel[1];
    let filters_len = g.out_channels * in_group * taps;
    // One number before each, so that nothing is aligned.
    let input = numbers(input_len + 1, 1);
    let gradient = numbers(output_len + 1, 2);
    let filters = numbers(filters_len, 3);
    let (input, gradient) = (&input[1..], &gradient[1..]);
    // The same filters, laid out [O, C, KH, KW], or [KH, KW, C, O] seen through strides.
    let mut transposed = vec![0.0; filters_len];
    let by_out = [in_group * taps, taps, g.kernel[1], 1].map(|s| s as isize);
    let o = g.out_channels;
    let by_tap = [1, o, g.kernel[1] * in_group * o, in_group * o].map(|s| s as isize);
    products(g, |_, _, i, j| transposed[j] = filters[i]);

    for pass in [ConvPass::Forward, ConvPass::InputGradient] {
        let (source, target_len) = match pass {
            ConvPass::Forward => (input, output_len),
            ConvPass::InputGradient => (gradient, input_len),
        };
        let mut sums = vec![Sum::default(); target_len];
        products(g, |i, o, k, _| {
            let (from, to) = if pass == ConvPass::Forward {
                (i, o)
            } else {
                (o, i)
            };
            sums[to].add(f64::from(source[from]) * f64::from(filters[k]));
        });
        for (filters, strides) in [(&filters, by_out), (&transposed, by_tap)] {
            let method = choice::images(isa.lanes(), g, pass);
            let mut packed = vec![f32::NAN; packed_len(isa, g, pass)];
            let mut target = vec![f32::NAN; target_len + 1];
            let mut scratch = vec![f32::NAN; scratch_len(isa, g, pass)];
            let (from, to) = (source.as_ptr(), target[1..].as_mut_ptr());
            let mut covered = 0;
            // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
            unsafe {
                let (filters, panels) = (filters.as_ptr(), packed.as_mut_ptr());
                for unit in 0..pack_units(isa, g, pass) {
                    pack_unit(isa, wanted, g, pass, unit, filters, strides, panels);
                }
                if method != Method::Winograd {
                    assert!(
                        packed.iter().all(|x| !x.is_nan()),
                        "all of the packed filters are written"
                    );
                }
                for unit in 0..units(isa, g, pass) {
                    let range = unit_range(isa, g, pass, unit);
                    assert_eq!(range.start, covered);
                    covered = range.end;
                    let (packed, scratch) = (packed.as_ptr(), &mut scratch[..]);
                    run_unit(isa, wanted, g, pass, unit, from, packed, to, scratch);
                }
            }
            assert_eq!(covered, target_len);
            assert!(target[0].is_nan());
            let what = format!("{isa:?} {pass:?}");
            match arithmetic(isa, g, pass, wanted) {
                Arithmetic::Bf16 if g.batch > 0 => assert_near(&target[1..], &sums, &what, g),
                _ => assert_close(method, &target[1..], &sums, &what, g),
            }
        }
    }

    let mut sums = vec![Sum::default(); filters_len];
    products(g, |i, o, _, k| {
        sums[k].add(f64::from(input[i]) * f64::from(gradient[o]));
    });
    let mut parts = vec![f32::NAN; partials(g) * filters_len];
    let mut scratch = vec![f32::NAN; weight_gradient_scratch_len(isa, g)];
    for unit in 0..weight_gradient_units(isa, g) {
        let (x, dy) = (input.as_ptr(), gradient.as_ptr());
        let (to, scratch) = (parts.as_mut_ptr(), &mut scratch[..]);
        // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
        unsafe { run_weight_gradient_unit(isa, wanted, g, unit, x, dy, to, scratch) };
    }
    let mut total = vec![0.0f32; filters_len];
    for part in parts.chunks_exact(filters_len) {
        total
            .iter_mut()
            .zip(part)
            .for_each(|(total, x)| *total += x);
    }
    let what = format!("{isa:?} weights");
    match weight_gradient_arithmetic(isa, g, wanted) {
        Arithmetic::Bf16 if g.batch > 0 => assert_near(&total, &sums, &what, g),
        _ => {
            let method = choice::filters(isa.lanes(), g);
            assert_close(method, &total, &sums, &what, g);
        }
    }
}

fn check_everywhere(g: &ConvGeometry) {
    for isa in Isa::available() {
        check(isa, g);
    }
}

/// A geometry with its output worked out.
#[allow(clippy::too_many_arguments)]
fn geometry(
    batch: usize,
    [in_channels, out_channels, groups]: [usize; 3],
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: impl Into<Padding>,
    dilation: [usize; 2],
) -> ConvGeometry {
    let padding = padding.into();
    let output = [0, 1].map(|i| {
        let padded = input[i] + padding.along(i).unwrap();
        (padded - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1
    });
    ConvGeometry {
        batch,
        in_channels,
        out_channels,
        input,
        output,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        direct: false,
    }
}

#[test]
fn plain_layers() {
    for (channels, size, kernel, padding) in [
        ([1, 30, 1], 12, 5, 0),
        ([1, 16, 1], 9, 3, 1),
        ([3, 8, 1], 8, 3, 1),
        ([16, 16, 1], 7, 3, 1),
        ([16, 33, 1], 6, 3, 1),
        ([5, 24, 1], 5, 1, 0),
        ([7, 49, 1], 4, 2, 0),
        ([2, 3, 1], 4, 4, 3),
    ] {
        for batch in [1, 3, 19] {
            check_everywhere(&geometry(
                batch,
                channels,
                [size; 2],
                [kernel; 2],
                [1; 2],
                [padding; 2],
                [1; 2],
            ));
        }
    }
}

#[test]
fn strides_paddings_and_dilations() {
    for kernel in [[1, 1], [3, 2], [2, 5]] {
        for stride in [[1, 2], [2, 3], [3, 1], [4, 4]] {
            for padding in [
                [0, 0, 0, 0],
                [1, 3, 1, 3],
                [4, 2, 4, 2],
                [0, 3, 2, 0],
                [3, 0, 0, 1],
            ] {
                for dilation in [[1, 1], [2, 1], [3, 2]] {
                    check_everywhere(&geometry(
                        2,
                        [3, 10, 1],
                        [11, 9],
                        kernel,
                        stride,
                        padding,
                        dilation,
                    ));
                }
            }
        }
    }
}

#[test]
fn groups() {
    for groups in [2, 3, 6] {
        for stride in [1, 2] {
            for dilation in [1, 2] {
                let g = geometry(
                    2,
                    [6, 18, groups],
                    [7, 8],
                    [3, 3],
                    [stride; 2],
                    [1, 2],
                    [dilation; 2],
                );
                check_everywhere(&g);
            }
        }
    }
}

#[test]
fn large_images_are_cut_into_bands_and_many_runs_into_turns() {
    let g = geometry(1, [8, 24, 1], [40, 37], [3, 3], [1, 1], [1, 1], [1, 1]);
    assert!(
        images::units_of(8, &g, ConvPass::Forward) > 1
            && images::units_of(8, &g, ConvPass::InputGradient) > 1
    );
    check_everywhere(&g);
    let g = geometry(1, [16, 24, 1], [40, 36], [3, 3], [2, 2], [1, 1], [1, 1]);
    assert!(images::units_of(8, &g, ConvPass::InputGradient) > 1);
    check_everywhere(&g);
    // 7 x 7 taps in 49 runs.
    check_everywhere(&geometry(
        1,
        [2, 5, 1],
        [15, 14],
        [7, 7],
        [1, 1],
        [3, 3],
        [2, 2],
    ));
}

#[test]
fn filters_too_many_for_partial_gradients_are_cut_by_channels() {
    for (channels, kernel) in [([520, 600, 1], [3, 2]), ([300, 260, 2], [7, 7])] {
        let g = geometry(3, channels, [4, 3], kernel, [2, 2], [3, 3], [1, 1]);
        assert!(partials(&g) < 3 && weight_gradient_units(Isa::Portable, &g) > 2 * partials(&g));
        for isa in Isa::available() {
            check(isa, &g);
        }
        check(Isa::Portable, &ConvGeometry { batch: 0, ..g });
    }
}

#[test]
fn an_empty_batch_has_no_gradient() {
    let g = geometry(0, [2, 5, 1], [6, 6], [3, 3], [1, 1], [1, 1], [1, 1]);
    check_everywhere(&g);
}

/// Checks layers of 3 x 3; how many they are, and how many of them take fewer multiplications with vectors of 8 and of
/// 16 lanes.
fn fewer_multiplications(batches: &[usize], each: impl Fn(&ConvGeometry)) -> (usize, [usize; 2]) {
    let (mut all, mut fewer) = (0, [0; 2]);
    for channels in [
        [16, 16, 1],
        [24, 40, 1],
        [17, 19, 1],
        [33, 23, 1],
        [64, 70, 1],
    ] {
        for (size, padding) in [
            ([8, 8], [1, 1, 1, 1]),
            ([7, 11], [0, 0, 0, 0]),
            ([3, 14], [1, 0, 1, 0]),
            ([5, 6], [2, 2, 2, 2]),
            ([17, 4], [0, 3, 0, 3]),
            ([10, 10], [0, 0, 0, 0]),
            ([9, 7], [0, 2, 1, 0]),
            ([8, 10], [2, 0, 0, 3]),
        ] {
            for &batch in batches {
                let g = geometry(batch, channels, size, [3; 2], [1; 2], padding, [1; 2]);
                all += 1;
                for (fewer, lanes) in fewer.iter_mut().zip([8, 16]) {
                    let method = choice::images(lanes, &g, ConvPass::Forward);
                    *fewer += usize::from(method == Method::Winograd);
                }
                each(&g);
            }
        }
    }
    (all, fewer)
}

#[test]
fn filters_of_three_by_three() {
    let (all, fewer) = fewer_multiplications(&[1, 3, 9], check_everywhere);
    let [of_8, of_16] = fewer;
    assert!(of_8 * 3 > all * 2, "{of_8} of {all} with 8 lanes");
    assert!(of_16 * 3 > all * 2, "{of_16} of {all} with 16 lanes");
    fewer_multiplications(&[0], check_everywhere);
}

/// Layers with products of bf16, and some that have none.
fn check_bf16(isa: Isa) {
    let check_bf16 = |g: &ConvGeometry| check_in(Arithmetic::Bf16, isa, g);
    fewer_multiplications(&[0, 3], check_bf16);
    // Two panels' worth of channels and more than one unit.
    let g = geometry(5, [48, 96, 1], [13, 10], [3; 2], [1; 2], [1; 2], [1; 2]);
    check_bf16(&g);
    // What bf16 does not serve is f32 to the last bit.
    for (channels, kernel, stride, groups) in
        [(15, 3, 1, 1), (32, 5, 1, 1), (32, 3, 2, 1), (32, 3, 1, 2)]
    {
        let channels = [channels, channels, groups];
        let g = geometry(
            2,
            channels,
            [8; 2],
            [kernel; 2],
            [stride; 2],
            [1; 2],
            [1; 2],
        );
        for pass in [ConvPass::Forward, ConvPass::InputGradient] {
            assert_eq!(
                choice::arithmetic_of(8, &g, pass, Arithmetic::Bf16),
                Arithmetic::F32
            );
        }
        check_bf16(&g);
    }
}

#[test]
fn products_of_bf16_on_this_cpu() {
    if Arithmetic::Bf16.check(Isa::Avx512).is_ok() {
        check_bf16(Isa::Avx512);
    }
}

#[test]
fn products_of_bf16_in_portable_code() {
    check_bf16(Isa::Portable);
}

#[test]
fn products_of_bf16_in_the_shape_of_avx512() {
    check_bf16(Isa::Avx512Twin);
}

#[test]
fn small_batches_of_large_images_are_cut_into_bands_of_tiles() {
    for (batch, size) in [(1, [28, 30]), (2, [9, 50]), (1, [45, 3])] {
        let g = geometry(batch, [32, 24, 1], size, [3; 2], [1; 2], [1; 2], [1; 2]);
        for pass in [ConvPass::Forward, ConvPass::InputGradient] {
            for lanes in [8, 16] {
                assert_eq!(choice::images(lanes, &g, pass), Method::Winograd);
                assert!(images::units_of(lanes, &g, pass) > batch);
            }
        }
        check_everywhere(&g);
    }
}

#[test]
fn filters_gradient_summed_over_windows() {
    for (channels, size, kernel, stride, padding, dilation) in [
        ([1, 30], [28, 28], [5, 5], [1, 1], [0, 0, 0, 0], [1, 1]),
        ([1, 7], [11, 9], [3, 3], [1, 1], [1, 2, 1, 2], [1, 1]),
        ([3, 5], [10, 13], [3, 3], [1, 2], [2, 0, 2, 0], [2, 1]),
        ([1, 6], [12, 14], [7, 7], [1, 1], [3, 3, 3, 3], [1, 1]),
        ([2, 9], [9, 10], [2, 3], [2, 1], [0, 1, 0, 1], [1, 1]),
        ([1, 4], [8, 8], [1, 9], [1, 1], [0, 4, 0, 4], [1, 1]),
        ([1, 3], [6, 6], [4, 4], [1, 1], [1, 1, 1, 1], [1, 1]),
        ([1, 5], [10, 12], [3, 3], [1, 1], [0, 2, 1, 0], [1, 1]),
        ([2, 4], [9, 11], [3, 2], [1, 2], [2, 0, 0, 1], [1, 1]),
        // Summed by lines, in windows of 2 x 2.
        ([1, 6], [21, 30], [3, 3], [1, 1], [2, 0, 0, 1], [1, 1]),
        ([6, 5], [17, 26], [5, 5], [1, 1], [0, 2, 3, 0], [1, 1]),
        ([6, 5], [22, 22], [5, 5], [1, 1], [0, 0, 0, 0], [1, 1]),
        ([1, 6], [21, 30], [3, 3], [1, 1], [1, 2, 1, 2], [1, 1]),
        ([3, 9], [32, 31], [3, 3], [1, 1], [1, 1, 1, 1], [1, 1]),
    ] {
        for (window, step, batch) in [
            ([2, 2], [2, 2], 9),
            ([2, 3], [3, 3], 2),
            ([1, 4], [1, 4], 0),
        ] {
            let [c, o] = channels;
            let g = geometry(batch, [c, o, 1], size, kernel, stride, padding, dilation);
            let by_lines_alone = c == 6 && window != [2, 2];
            if (0..2).any(|i| g.output[i] < window[i]) || by_lines_alone {
                continue;
            }
            let pool = PoolGeometry {
                batch,
                channels: o,
                input: g.output,
                output: [0, 1].map(|i| (g.output[i] - window[i]) / step[i] + 1),
                kernel: window,
                stride: step,
                padding: [0, 0].into(),
            };
            check_windows(&g, &pool);
        }
    }
}

/// The sum over windows against the sum over all positions of the scattered gradient, in f64.
fn check_windows(g: &ConvGeometry, pool: &PoolGeometry) {
    let [height, width] = pool.output;
    let len = g.batch * height * width * g.out_channels;
    let input = numbers(g.batch * g.input[0] * g.input[1] * g.in_channels, 1);
    let gradient = numbers(len, 2);
    let all = pool.kernel[0] * pool.kernel[1];
    let places: Vec<u8> = (0..len).map(|i| (i * 7 / 3 % all) as u8).collect();
    // Channels last, or each in its own plane.
    let last = [
        height * width * g.out_channels,
        width * g.out_channels,
        g.out_channels,
        1,
    ];
    let planes = [height * width * g.out_channels, width, 1, height * width];
    let index = |i: usize| {
        let (o, x) = (i % g.out_channels, i / g.out_channels % width);
        let row = i / g.out_channels / width;
        [row / height, row % height, x, o]
    };
    let at = |i: usize, strides: [usize; 4]| -> usize {
        index(i)
            .iter()
            .zip(strides)
            .map(|(i, stride)| i * stride)
            .sum()
    };
    let filters = g.kernel[0] * g.kernel[1] * g.in_channels * g.out_channels;
    for strides in [last, planes] {
        let mut scattered = vec![0.0f64; g.batch * g.output[0] * g.output[1] * g.out_channels];
        for (i, &place) in places.iter().enumerate() {
            let [n, y, x, o] = index(i);
            let (down, across) = (
                usize::from(place) / pool.kernel[1],
                usize::from(place) % pool.kernel[1],
            );
            let to = (n * g.output[0] + y * pool.stride[0] + down) * g.output[1];
            let to = (to + x * pool.stride[1] + across) * g.out_channels + o;
            scattered[to] = f64::from(gradient[at(i, strides)]);
        }
        let mut sums = vec![Sum::default(); filters];
        products(g, |i, o, _, k| {
            sums[k].add(f64::from(input[i]) * scattered[o]);
        });
        // Places lie as the gradient does.
        let mut told = places.clone();
        for (i, &place) in places.iter().enumerate() {
            told[at(i, strides)] = place;
        }
        let placed = over_windows::PlacedGradient {
            pool,
            gradient: gradient.as_ptr(),
            strides: strides.map(|s| s as isize),
            places: told.as_ptr(),
            place_strides: strides.map(|s| s as isize),
        };
        for isa in Isa::available() {
            assert!(sums_over_windows(isa, g, pool), "{g:?} {pool:?}");
            let mut parts = vec![f32::NAN; partials(g) * filters];
            let mut totals = vec![f32::NAN; partials(g) * g.out_channels];
            let mut scratch = vec![f32::NAN; over_windows::scratch_len(isa, g, pool)];
            for unit in 0..over_windows::units(g) {
                let (from, to, scratch) = (input.as_ptr(), parts.as_mut_ptr(), &mut scratch[..]);
                let sums = Some(totals.as_mut_ptr());
                // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
                unsafe { over_windows::run_unit(isa, g, placed, unit, from, to, sums, scratch) };
            }
            let mut total = vec![0.0f32; filters];
            for part in parts.chunks_exact(filters) {
                total
                    .iter_mut()
                    .zip(part)
                    .for_each(|(total, x)| *total += x);
            }
            let what = format!("{isa:?} windows {:?}", pool.kernel);
            let factor = match windows_may_be_nowhere(isa, g, pool) {
                true => lines::ERROR,
                false => 1.0,
            };
            let allowed = |sum: &Sum| Sum {
                size: sum.size * factor,
                ..*sum
            };
            let sums: Vec<Sum> = sums.iter().map(allowed).collect();
            assert_close(Method::Direct, &total, &sums, &what, g);
            for o in 0..g.out_channels {
                let of_channel = |x: &[f32]| -> f64 {
                    let numbers = x.iter().skip(o).step_by(g.out_channels);
                    numbers.map(|&x| f64::from(x)).sum()
                };
                let expected = scattered.iter().skip(o).step_by(g.out_channels);
                let expected: Sum = expected.copied().filter(|&x| x != 0.0).collect();
                let got = of_channel(&totals);
                assert!(
                    expected.allows(got),
                    "{what} {g:?} channel {o}: {got} for {expected:?}"
                );
            }
        }
    }
}
