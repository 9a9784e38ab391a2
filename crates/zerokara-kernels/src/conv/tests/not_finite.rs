//! Infinities, NaN and numbers near the largest, at every position of images, filters and gradients: the result is that of the
//! definition, where only products of what is there are summed. And zeros that are to be exact.

use super::*;

/// All code that there is, with these products.
fn isas(wanted: Arithmetic) -> impl Iterator<Item = Isa> {
    let all = Isa::available().into_iter();
    all.filter(move |&isa| wanted.check(isa).is_ok())
}

/// What a pass makes of an image and filters `[O, C / groups, KH, KW]`.
fn run_pass(
    isa: Isa,
    wanted: Arithmetic,
    g: &ConvGeometry,
    pass: ConvPass,
    source: &[f32],
    filters: &[f32],
) -> Vec<f32> {
    let (in_group, taps) = (g.in_channels / g.groups, g.kernel[0] * g.kernel[1]);
    let strides = [in_group * taps, taps, g.kernel[1], 1].map(|s| s as isize);
    let (size, channels) = match pass {
        ConvPass::Forward => (g.output, g.out_channels),
        ConvPass::InputGradient => (g.input, g.in_channels),
    };
    let mut packed = vec![7.0; packed_len(isa, g, pass)];
    let mut scratch = vec![f32::NAN; scratch_len(isa, g, pass)];
    let mut target = vec![f32::NAN; g.batch * size[0] * size[1] * channels];
    // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
    unsafe {
        let (from, to) = (filters.as_ptr(), packed.as_mut_ptr());
        for unit in 0..pack_units(isa, g, pass) {
            pack_unit(isa, wanted, g, pass, unit, from, strides, to);
        }
        let (from, packed, to) = (source.as_ptr(), packed.as_ptr(), target.as_mut_ptr());
        for unit in 0..units(isa, g, pass) {
            let scratch = &mut scratch[..];
            run_unit(isa, wanted, g, pass, unit, from, packed, to, scratch);
        }
    }
    target
}

/// The gradient with respect to the filters, `[KH, KW, C / groups, O]`.
fn run_filters(
    isa: Isa,
    wanted: Arithmetic,
    g: &ConvGeometry,
    input: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let len = g.kernel[0] * g.kernel[1] * g.in_channels / g.groups * g.out_channels;
    let mut parts = vec![f32::NAN; partials(g) * len];
    let mut scratch = vec![f32::NAN; weight_gradient_scratch_len(isa, g)];
    let (x, dy, to) = (input.as_ptr(), gradient.as_ptr(), parts.as_mut_ptr());
    for unit in 0..weight_gradient_units(isa, g) {
        let scratch = &mut scratch[..];
        // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
        unsafe { run_weight_gradient_unit(isa, wanted, g, unit, x, dy, to, scratch) };
    }
    sum_of(&parts, len)
}

fn sum_of(parts: &[f32], len: usize) -> Vec<f32> {
    let mut total = vec![0.0; len];
    for part in parts.chunks_exact(len) {
        total.iter_mut().zip(part).for_each(|(t, x)| *t += x);
    }
    total
}

/// Sums in f64 and the sizes of their terms.
type Expected = (Vec<f64>, Vec<f64>);

/// The sums that a product of these indices (see [`products`]) adds to, and what it adds.
fn expect(
    g: &ConvGeometry,
    len: usize,
    mut term: impl FnMut([usize; 4]) -> (f64, usize),
) -> Expected {
    let (mut sums, mut sizes) = (vec![0.0; len], vec![0.0; len]);
    products(g, |i, o, k, l| {
        let (x, to) = term([i, o, k, l]);
        sums[to] += x;
        sizes[to] += x.abs();
    });
    (sums, sizes)
}

/// NaN where NaN belongs, infinities of the right sign, and everything else near what it should be: up to a share of the
/// largest finite size, which is what fewer multiplications promise beside very large numbers.
fn assert_same(found: &[f32], (sums, sizes): &Expected, near: f64, what: &str) {
    let finite = sizes.iter().filter(|size| size.is_finite());
    let largest = finite.fold(0.0, |a, &b| f64::max(a, b));
    for (i, (&found, &sum)) in found.iter().zip(sums).enumerate() {
        let x = f64::from(found);
        let fits = if sum.is_nan() {
            x.is_nan()
        } else if sum.is_infinite() {
            x == sum
        } else {
            (x - sum).abs() <= near * largest
        };
        assert!(fits, "{what}, element {i}: {found} instead of {sum}");
    }
}

/// Numbers that are not finite, and some that overflow on the way.
const ODD: [f32; 5] = [f32::INFINITY, f32::NAN, f32::NEG_INFINITY, 3e38, -2e38];

/// The geometries: with fewer multiplications where these pay, and without.
fn geometries() -> Vec<ConvGeometry> {
    let three = |batch, channels, size, padding| {
        geometry(batch, channels, size, [3; 2], [1; 2], padding, [1; 2])
    };
    vec![
        three(2, [16, 16, 1], [8, 8], [1, 1]),
        three(2, [16, 19, 1], [7, 11], [0, 0]),
        three(1, [17, 33, 1], [9, 6], [2, 1]),
        three(9, [24, 16, 1], [5, 4], [1, 0]),
        three(2, [3, 5, 1], [6, 7], [1, 1]),
        geometry(2, [16, 17, 1], [8, 9], [3, 3], [1; 2], [2, 0, 0, 1], [1; 2]),
        geometry(2, [4, 9, 1], [7, 6], [5, 4], [2, 1], [2, 3], [1, 2]),
        geometry(1, [6, 18, 3], [7, 8], [3, 2], [2, 3], [1, 1], [2, 1]),
        geometry(9, [2, 3, 1], [5, 5], [1, 1], [1; 2], [1, 1], [1; 2]),
        geometry(2, [19, 19, 19], [7, 9], [3, 3], [1; 2], [1, 1], [1; 2]),
        geometry(9, [5, 5, 5], [8, 6], [3, 2], [2, 1], [2, 1], [1, 2]),
    ]
}

/// Odd numbers among others, one at a time, at every position of the image, or every element of the filters; of every few
/// channels one.
fn check_each(wanted: Arithmetic, g: &ConvGeometry, near: f64) {
    let in_group = g.in_channels / g.groups;
    let input_len = g.batch * g.input[0] * g.input[1] * g.in_channels;
    let output_len = g.batch * g.output[0] * g.output[1] * g.out_channels;
    let filters_len = g.out_channels * in_group * g.kernel[0] * g.kernel[1];
    let input = numbers(input_len, 1);
    let gradient = numbers(output_len, 2);
    let filters = numbers(filters_len, 3);
    let of = |x: &[f32], i: usize| f64::from(x[i]);
    // A step that meets all positions, and all channels in turn.
    let places = |len: usize, channels: usize| {
        (0..len / channels).map(move |p| p * channels + p * 7 % channels)
    };
    let taps = g.kernel[0] * g.kernel[1];
    let elements = (0..taps).map(|tap| (tap * 5 % (filters_len / taps)) * taps + tap);
    let elements: Vec<usize> = elements.collect();
    for pass in [ConvPass::Forward, ConvPass::InputGradient] {
        let (source, channels, len) = match pass {
            ConvPass::Forward => (&input, g.in_channels, output_len),
            ConvPass::InputGradient => (&gradient, g.out_channels, input_len),
        };
        let check = |source: &[f32], filters: &[f32], what: &str| {
            let expected = expect(g, len, |[i, o, k, _]| match pass {
                ConvPass::Forward => (of(source, i) * of(filters, k), o),
                ConvPass::InputGradient => (of(source, o) * of(filters, k), i),
            });
            for isa in isas(wanted) {
                let found = run_pass(isa, wanted, g, pass, source, filters);
                let what = format!("{isa:?} {pass:?} {wanted:?} {what} {g:?}");
                assert_same(&found, &expected, near, &what);
            }
        };
        for (number, at) in places(source.len(), channels).enumerate() {
            let mut source = source.clone();
            source[at] = ODD[number % ODD.len()];
            check(&source, &filters, &format!("image[{at}] = {}", source[at]));
        }
        for (number, &at) in elements.iter().enumerate() {
            let mut filters = filters.clone();
            filters[at] = ODD[number % ODD.len()];
            check(source, &filters, &format!("filter[{at}] = {}", filters[at]));
        }
    }
    let check = |input: &[f32], gradient: &[f32], what: &str| {
        let expected = expect(g, filters_len, |[i, o, _, l]| {
            (of(input, i) * of(gradient, o), l)
        });
        for isa in isas(wanted) {
            let found = run_filters(isa, wanted, g, input, gradient);
            let what = format!("{isa:?} filters {wanted:?} {what} {g:?}");
            assert_same(&found, &expected, near, &what);
        }
    };
    for (number, at) in places(input_len, g.in_channels).enumerate() {
        let mut input = input.clone();
        input[at] = ODD[number % ODD.len()];
        check(&input, &gradient, &format!("image[{at}] = {}", input[at]));
    }
    for (number, at) in places(output_len, g.out_channels).enumerate() {
        let mut gradient = gradient.clone();
        gradient[at] = ODD[number % ODD.len()];
        check(
            &input,
            &gradient,
            &format!("gradient[{at}] = {}", gradient[at]),
        );
    }
}

#[test]
fn one_odd_number_at_every_position() {
    let mut fewer = 0;
    for g in geometries() {
        fewer += usize::from(choice::images(8, &g, ConvPass::Forward) == Method::Winograd);
        check_each(Arithmetic::F32, &g, 4e-6);
    }
    assert!(fewer >= 2, "{fewer}");
}

#[test]
fn one_odd_number_with_products_of_bf16() {
    let g = geometry(2, [16, 16, 1], [8, 7], [3; 2], [1; 2], [1; 2], [1; 2]);
    assert_eq!(choice::images(16, &g, ConvPass::Forward), Method::Winograd);
    check_each(Arithmetic::Bf16, &g, 0.1);
}

/// Infinities times zeros are NaN, also where a transform of the filter has no zeros: filters of one element only, images of
/// one infinity only.
#[test]
fn infinities_times_zeros() {
    let g = geometry(1, [16, 16, 1], [8, 8], [3; 2], [1; 2], [1; 2], [1; 2]);
    let (image, filters) = (64 * 16, 16 * 16 * 9);
    for at in 0..64 {
        let mut x = vec![0.0; image];
        x[at * 16 + at % 16] = f32::INFINITY;
        for tap in 0..9 {
            let mut w = vec![0.0; filters];
            (0..256).for_each(|pair| w[pair * 9 + tap] = if pair % 3 == 0 { 0.5 } else { 0.0 });
            for isa in isas(Arithmetic::F32) {
                for pass in [ConvPass::Forward, ConvPass::InputGradient] {
                    let expected = expect(&g, image, |[i, o, k, _]| {
                        let (from, to) = if pass == ConvPass::Forward {
                            (i, o)
                        } else {
                            (o, i)
                        };
                        (f64::from(x[from]) * f64::from(w[k]), to)
                    });
                    let found = run_pass(isa, Arithmetic::F32, &g, pass, &x, &w);
                    let what = format!("{isa:?} {pass:?} position {at} tap {tap}");
                    assert_same(&found, &expected, 0.0, &what);
                }
            }
        }
    }
}

/// Numbers near the largest, whose frequencies overflow and whose sums do not.
#[test]
fn large_numbers_overflow_only_where_the_sum_does() {
    let g = geometry(2, [16, 16, 1], [9, 8], [3; 2], [1; 2], [1; 2], [1; 2]);
    let large = |len: usize, seed: u32, by: f32| -> Vec<f32> {
        numbers(len, seed).into_iter().map(|x| x * by).collect()
    };
    for by in [1e35f32, 1e36, 5e36, 2e37, 5e37] {
        let (x, dy) = (large(2 * 72 * 16, 1, by), large(2 * 72 * 16, 2, by));
        let w = large(16 * 16 * 9, 3, 0.1);
        for pass in [ConvPass::Forward, ConvPass::InputGradient] {
            let from = if pass == ConvPass::Forward { &x } else { &dy };
            let (sums, sizes) = expect(&g, x.len(), |[i, o, k, _]| {
                let (at, to) = if pass == ConvPass::Forward {
                    (i, o)
                } else {
                    (o, i)
                };
                (f64::from(from[at]) * f64::from(w[k]), to)
            });
            let largest = sizes.iter().copied().fold(0.0, f64::max);
            assert!(largest < 3e38 * 4.0);
            for isa in isas(Arithmetic::F32) {
                let found = run_pass(isa, Arithmetic::F32, &g, pass, from, &w);
                for (i, (&found, &sum)) in found.iter().zip(&sums).enumerate() {
                    // Where the sum of sizes is beyond the largest number, a sum on the way may be too.
                    let fits = (f64::from(found) - sum).abs() <= 4e-6 * largest;
                    let what = format!("{isa:?} {pass:?} {by}");
                    assert!(
                        fits || sizes[i] > 3.4e38,
                        "{what}, {i}: {found} instead of {sum}"
                    );
                }
            }
        }
    }
}

/// Direct sums: what is zero is zero, and sums of what is not negative are not negative.
#[test]
fn direct_sums_keep_exact_zeros() {
    for (channels, size) in [([16, 16, 1], [12, 12]), ([32, 24, 1], [9, 10])] {
        let fast = geometry(2, channels, size, [3; 2], [1; 2], [1; 2], [1; 2]);
        let g = ConvGeometry {
            direct: true,
            ..fast
        };
        let image = size[0] * size[1] * channels[0];
        let mut corner = vec![0.0; 2 * image];
        corner[0] = 1e6;
        let sparse: Vec<f32> = numbers(2 * image, 5)
            .into_iter()
            .map(|x| if x > 0.8 { x } else { 0.0 })
            .collect();
        let w: Vec<f32> = numbers(channels[0] * channels[1] * 9, 6)
            .into_iter()
            .map(|x| if x > 0.7 { x } else { 0.0 })
            .collect();
        for (x, isa) in [&corner, &sparse]
            .into_iter()
            .flat_map(|x| isas(Arithmetic::F32).map(move |isa| (x, isa)))
        {
            let len = x.len() / channels[0] * channels[1];
            let (sums, sizes) = expect(&g, len, |[i, o, k, _]| {
                (f64::from(x[i]) * f64::from(w[k]), o)
            });
            for (g, is_direct) in [(&g, true), (&fast, false)] {
                let lanes = isa.lanes();
                assert_eq!(
                    choice::images(lanes, g, ConvPass::Forward) == Method::Direct,
                    is_direct
                );
                let found = run_pass(isa, Arithmetic::Direct, g, ConvPass::Forward, x, &w);
                let largest = sizes.iter().copied().fold(0.0, f64::max);
                for (&found, &sum) in found.iter().zip(&sums) {
                    let error = (f64::from(found) - sum).abs();
                    if is_direct {
                        assert!(found >= 0.0 && (found == 0.0) == (sum == 0.0));
                        assert!(error <= 1e-5 * sum);
                    } else {
                        assert!(error <= 3e-6 * largest);
                    }
                }
            }
            // All ways know it.
            assert_eq!(choice::filters(isa.lanes(), &g), Method::Direct);
        }
    }
}

/// The gradient over windows, as the sum over all positions has it: with zeros where no window chose.
#[test]
fn gradients_over_windows() {
    for (channels, size, kernel, padding) in [
        ([1, 6], [12, 14], [5, 5], [0, 0, 0, 0]),
        ([1, 4], [13, 11], [3, 3], [1, 2, 1, 2]),
        ([3, 5], [11, 10], [2, 3], [1, 1, 1, 1]),
        // By lines.
        ([6, 5], [21, 22], [5, 5], [2, 1, 2, 1]),
        ([1, 6], [21, 27], [3, 3], [1, 1, 1, 1]),
        ([1, 6], [20, 27], [3, 3], [2, 0, 0, 1]),
    ] {
        let [c, o] = channels;
        let g = geometry(2, [c, o, 1], size, kernel, [1; 2], padding, [1; 2]);
        let pool = PoolGeometry {
            batch: 2,
            channels: o,
            input: g.output,
            output: g.output.map(|n| n / 2),
            kernel: [2; 2],
            stride: [2; 2],
            padding: [0; 2].into(),
        };
        let input = numbers(2 * size[0] * size[1] * c, 1);
        let len = 2 * pool.output[0] * pool.output[1] * o;
        let gradient = numbers(len, 2);
        let places: Vec<u8> = (0..len).map(|i| (i * 7 / 3 % 4) as u8).collect();
        let check = |input: &[f32], gradient: &[f32], what: &str| {
            check_over_windows(&g, &pool, input, gradient, &places, what)
        };
        for (number, p) in (0..2 * size[0] * size[1]).enumerate() {
            let mut input = input.clone();
            // Large numbers overflow in sums of many.
            input[p * c + p % c] = ODD[number % 3];
            check(&input, &gradient, &format!("image position {p}"));
        }
        for p in 0..len / o {
            let mut gradient = gradient.clone();
            gradient[p * o + p % o] = ODD[p % 3];
            check(&input, &gradient, &format!("window {p}"));
        }
    }
}

fn check_over_windows(
    g: &ConvGeometry,
    pool: &PoolGeometry,
    input: &[f32],
    gradient: &[f32],
    places: &[u8],
    what: &str,
) {
    let ([height, width], o) = (pool.output, g.out_channels);
    let mut scattered = vec![0.0; g.batch * g.output[0] * g.output[1] * o];
    for (i, &place) in places.iter().enumerate() {
        let (x, y) = (i / o % width, i / o / width % height);
        let (down, across) = (usize::from(place) / 2, usize::from(place) % 2);
        let row = (i / o / width / height * g.output[0] + 2 * y + down) * g.output[1];
        scattered[(row + 2 * x + across) * o + i % o] = f64::from(gradient[i]);
    }
    let filters = g.kernel[0] * g.kernel[1] * g.in_channels * o;
    let expected = expect(g, filters, |[i, o, _, l]| {
        (f64::from(input[i]) * scattered[o], l)
    });
    let strides = [height * width * o, width * o, o, 1].map(|s| s as isize);
    let placed = over_windows::PlacedGradient {
        pool,
        gradient: gradient.as_ptr(),
        strides,
        places: places.as_ptr(),
        place_strides: strides,
    };
    for isa in isas(Arithmetic::F32) {
        if !sums_over_windows(isa, g, pool) {
            continue;
        }
        let mut parts = vec![f32::NAN; partials(g) * filters];
        let mut scratch = vec![f32::NAN; over_windows::scratch_len(isa, g, pool)];
        for unit in 0..over_windows::units(g) {
            let (from, to, scratch) = (input.as_ptr(), parts.as_mut_ptr(), &mut scratch[..]);
            // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
            unsafe { over_windows::run_unit(isa, g, placed, unit, from, to, None, scratch) };
        }
        let what = format!("{isa:?} {what} {g:?}");
        assert_same(&sum_of(&parts, filters), &expected, 4e-6, &what);
    }
}
