//! Depthwise convolutions, whose images may lie in any order.

use super::*;
use crate::conv::depthwise::{self, Cut, Operands};

fn geometries() -> Vec<ConvGeometry> {
    let mut all = Vec::new();
    for (channels, size, kernel) in [
        (2, [5, 4], [3, 3]),
        (8, [9, 8], [3, 3]),
        (21, [7, 7], [3, 3]),
        (16, [13, 18], [5, 5]),
        (35, [6, 11], [2, 4]),
        (33, [4, 5], [1, 1]),
    ] {
        for (stride, padding, dilation) in [
            ([1, 1], [1, 1, 1, 1], [1, 1]),
            ([2, 1], [0, 2, 1, 0], [1, 1]),
            ([3, 2], [2, 3, 3, 2], [1, 2]),
            ([1, 2], [4, 4, 4, 5], [2, 2]),
        ] {
            let batch = 1 + channels % 3;
            all.push(geometry(
                batch,
                [channels; 3],
                size,
                kernel,
                stride,
                padding,
                dilation,
            ));
        }
    }
    // Large enough for several units and several tiles; an empty batch; a step to beyond the image.
    all.push(geometry(
        1,
        [40; 3],
        [47, 50],
        [3, 3],
        [1; 2],
        [1, 1],
        [1; 2],
    ));
    all.push(geometry(
        2,
        [20; 3],
        [60, 33],
        [7, 7],
        [2; 2],
        [3, 3],
        [1; 2],
    ));
    all.push(geometry(0, [9; 3], [6, 6], [3, 3], [1; 2], [1, 1], [1; 2]));
    all.push(geometry(1, [9; 3], [3, 3], [2, 2], [4, 5], [1, 1], [1; 2]));
    all
}

#[test]
fn each_channel_by_itself() {
    for g in geometries() {
        assert!(depthwise::applies(&g));
        check_everywhere(&g);
    }
}

/// Orders of `[N, Y, X, C]`, slowest axis first: channels innermost, planes, and one that is neither.
const ORDERS: [[usize; 4]; 3] = [[0, 1, 2, 3], [0, 3, 1, 2], [1, 3, 0, 2]];

fn strides(shape: [usize; 4], order: [usize; 4], gap: usize) -> [isize; 4] {
    let mut strides = [0; 4];
    let mut next = 1;
    for &axis in order.iter().rev() {
        strides[axis] = next as isize;
        next = next * shape[axis] + gap;
    }
    strides
}

fn offset(shape: [usize; 4], strides: [isize; 4], mut at: usize) -> usize {
    let mut found = 0;
    for axis in (0..4).rev() {
        found += (at % shape[axis]) * strides[axis] as usize;
        at /= shape[axis];
    }
    found
}

/// Numbers `[N, Y, X, C]` in another order, with something else between them.
fn laid(shape: [usize; 4], strides: [isize; 4], numbers: &[f32]) -> Vec<f32> {
    let last = (0..4).map(|axis| (shape[axis].max(1) - 1) * strides[axis] as usize);
    let mut found = vec![f32::NAN; last.sum::<usize>() + 1];
    for (at, &number) in numbers.iter().enumerate() {
        found[offset(shape, strides, at)] = number;
    }
    found
}

#[test]
fn images_in_any_order() {
    for g in geometries() {
        for isa in Isa::available() {
            for pass in [ConvPass::Forward, ConvPass::InputGradient] {
                for (order, to_order, cut, gap) in [
                    (0, 1, Cut::Channels, 0),
                    (1, 0, Cut::Rows, 3),
                    (1, 1, Cut::Channels, 0),
                    (2, 2, Cut::Rows, 0),
                    (2, 1, Cut::Channels, 2),
                ] {
                    check_order(isa, &g, pass, [order, to_order], cut, gap);
                }
            }
            check_filters_order(isa, &g);
        }
    }
}

/// The same to the bit as without gaps, with a bias and a rectifier behind.
fn check_order(
    isa: Isa,
    g: &ConvGeometry,
    pass: ConvPass,
    [order, to_order]: [usize; 2],
    cut: Cut,
    gap: usize,
) {
    let (shape, to_shape) = match pass {
        ConvPass::Forward => (g.input_images(), g.output_images()),
        ConvPass::InputGradient => (g.output_images(), g.input_images()),
    };
    let (lanes, channels) = (isa.lanes(), g.groups);
    let source = numbers(shape.iter().product(), 5);
    let filters = numbers(channels * g.kernel[0] * g.kernel[1], 6);
    let bias = numbers(2 * channels, 7);
    let mut packed = vec![f32::NAN; packed_len(isa, g, pass)];
    let mut expected = vec![f32::NAN; to_shape.iter().product()];
    let mut scratch = vec![f32::NAN; scratch_len(isa, g, pass)];
    let from_strides = strides(shape, ORDERS[order], gap);
    let to_strides = strides(to_shape, ORDERS[to_order], gap);
    let from = laid(shape, from_strides, &source);
    let mut to = laid(to_shape, to_strides, &vec![7.0; expected.len()]);
    // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
    unsafe {
        let taps = (g.kernel[0] * g.kernel[1]) as isize;
        let by_filter = [taps, taps, g.kernel[1] as isize, 1];
        let wanted = Arithmetic::F32;
        let panels = packed.as_mut_ptr();
        pack_unit(isa, wanted, g, pass, 0, filters.as_ptr(), by_filter, panels);
        for unit in 0..units(isa, g, pass) {
            let (source, target) = (source.as_ptr(), expected.as_mut_ptr());
            let scratch = &mut scratch[..];
            run_unit(isa, wanted, g, pass, unit, source, panels, target, scratch);
        }
        for (i, x) in expected.iter_mut().enumerate() {
            *x = (*x + bias[i % channels * 2]).max(0.0);
        }
        let operands = Operands {
            source: from.as_ptr(),
            source_strides: from_strides,
            packed: panels,
            bias: (bias.as_ptr(), 2),
            rectify: true,
            target: to.as_mut_ptr(),
            target_strides: to_strides,
        };
        let mut scratch = vec![f32::NAN; depthwise::scratch_len(lanes, g, pass, cut)];
        for unit in 0..depthwise::units(lanes, g, pass, cut) {
            depthwise::run_unit(isa, g, pass, cut, unit, &operands, &mut scratch);
        }
    }
    let mut untouched = to.clone();
    for (at, &x) in expected.iter().enumerate() {
        let place = offset(to_shape, to_strides, at);
        assert_eq!(to[place], x, "{isa:?} {pass:?} {g:?} {cut:?} [{at}]");
        untouched[place] = f32::NAN;
    }
    assert!(untouched.iter().all(|x| x.is_nan()), "gaps are left alone");
}

fn check_filters_order(isa: Isa, g: &ConvGeometry) {
    let (lanes, shapes) = (isa.lanes(), [g.input_images(), g.output_images()]);
    let images = shapes.map(|shape| numbers(shape.iter().product(), 8));
    let length = partials(g) * g.kernel[0] * g.kernel[1] * g.groups;
    let run = |orders: [usize; 2]| {
        let mut found = vec![f32::NAN; length];
        let mut scratch = vec![f32::NAN; depthwise::filters_scratch_len(lanes, g)];
        let strides = [0, 1].map(|i| strides(shapes[i], ORDERS[orders[i]], 0));
        let [x, dy] = [0, 1].map(|i| laid(shapes[i], strides[i], &images[i]));
        for unit in 0..depthwise::filters_units(lanes, g) {
            let (x, dy) = ((x.as_ptr(), strides[0]), (dy.as_ptr(), strides[1]));
            // SAFETY: all vectors have the lengths asked for, and only what runs here is run.
            unsafe {
                let to = found.as_mut_ptr();
                depthwise::run_filters_unit(isa, g, unit, x, dy, to, &mut scratch);
            }
        }
        found
    };
    let expected = run([0, 0]);
    assert!(expected.iter().all(|x| !x.is_nan()));
    for orders in [[0, 1], [1, 0], [1, 1], [2, 2]] {
        assert_eq!(run(orders), expected, "{isa:?} {g:?} {orders:?}");
    }
}
