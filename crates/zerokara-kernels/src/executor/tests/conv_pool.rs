//! Convolutions that pool what they compute, with every epilogue that is done in registers, and some that are not.

use super::{images::products, *};
use crate::{
    conv::lines,
    plan::{ConvGeometry, ConvPoolStep, MapStep, PoolGeometry},
};
use Instruction::{Constant, Load};

const BATCH: usize = 5;
const CHANNELS: usize = 7;
const WINDOWS: [usize; 2] = [6, 8];

fn geometries() -> (ConvGeometry, PoolGeometry) {
    let output = WINDOWS.map(|n| 2 * n);
    let conv = ConvGeometry {
        batch: BATCH,
        in_channels: 2,
        out_channels: CHANNELS,
        input: output,
        output,
        kernel: [5, 5],
        stride: [1, 1],
        padding: [2, 2].into(),
        dilation: [1, 1],
        groups: 1,
        direct: false,
    };
    let pool = PoolGeometry {
        batch: BATCH,
        channels: CHANNELS,
        input: output,
        output: WINDOWS,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0].into(),
    };
    (conv, pool)
}

/// `max(sum of the inputs, 0)`, or parts of it; the inputs in the other order if `turned`.
fn code(inputs: usize, rectify: bool, turned: bool) -> Code {
    let first = usize::from(turned && inputs == 2);
    let mut instructions = vec![Load(first)];
    if inputs == 2 {
        instructions.extend([Load(1 - first), Instruction::Binary(Binary::Add, 0, 1)]);
    }
    if rectify {
        let sum = instructions.len() - 1;
        instructions.extend([
            Constant(0.0),
            Instruction::Binary(Binary::Maximum, sum, sum + 1),
        ]);
    }
    let results = vec![instructions.len() - 1];
    Code {
        instructions,
        results,
    }
}

#[test]
fn every_epilogue_agrees_with_convolution_and_pooling_apart() {
    let (conv, pool) = geometries();
    let [height, width] = WINDOWS;
    let mut random = Random::new(5);
    let input_len = BATCH * conv.input[0] * conv.input[1] * conv.in_channels;
    let filters_len = CHANNELS * conv.in_channels * 25;
    let (input, filters) = (random.floats(input_len), random.floats(filters_len));
    let bias = random.floats(CHANNELS.max(width));
    let mut convolved = vec![Sum::default(); BATCH * conv.output[0] * conv.output[1] * CHANNELS];
    products(&conv, |i, f, o| {
        convolved[o].add(f64::from(input[i]) * f64::from(filters[f]));
    });
    let windows = height * width;
    let len = BATCH * windows * CHANNELS;
    let image = (windows * CHANNELS) as isize;
    let by_plane = [image, width as isize, 1, windows as isize];
    let last = [image, (width * CHANNELS) as isize, CHANNELS as isize, 1];
    // Along which axis of [N, Y, X, O] the second input changes, if there is one.
    let kinds = [None, Some(3), Some(2)];
    let options = [false, true];
    for isa in Isa::available() {
        for (strides, kind) in [by_plane, last]
            .into_iter()
            .flat_map(|s| kinds.map(|kind| (s, kind)))
        {
            for (rectify, turned) in options.into_iter().flat_map(|r| options.map(|t| (r, t))) {
                let shape = [BATCH, height, width, CHANNELS];
                let output = view(2, 0, &shape, &strides);
                // The epilogue walks the output as it lies.
                let order = if strides == last {
                    [0, 1, 2, 3]
                } else {
                    [0, 3, 1, 2]
                };
                let walk = |strides: [isize; 4]| {
                    view(0, 0, &order.map(|a| shape[a]), &order.map(|a| strides[a]))
                };
                let own = View {
                    buffer: 2,
                    ..walk(strides)
                };
                let second = kind.map(|axis| View {
                    buffer: 4,
                    ..walk([0, 1, 2, 3].map(|a| isize::from(a == axis)))
                });
                let mut inputs: Vec<View> = [own.clone()].into_iter().chain(second).collect();
                if turned {
                    inputs.reverse();
                }
                let code = code(inputs.len(), rectify, turned);
                let marks = rectify && kind != Some(2) && turned;
                let step = ConvPoolStep {
                    added: None,
                    geometry: conv,
                    pool,
                    source: dense(
                        0,
                        0,
                        &[BATCH, conv.input[0], conv.input[1], conv.in_channels],
                    ),
                    filters: dense(1, 0, &[CHANNELS, conv.in_channels, 5, 5]),
                    output,
                    places: Some(view(3, 0, &shape, &strides)),
                    marks,
                    epilogue: Some(MapStep {
                        shape: order.map(|a| shape[a]).to_vec(),
                        inputs,
                        outputs: vec![own],
                        code,
                    }),
                };
                let buffers = [
                    Storage::from(input.clone()),
                    Storage::from(filters.clone()),
                    Storage::zeros(Element::F32, len),
                    Storage::zeros(Element::Bool, len),
                    Storage::from(bias.clone()),
                ];
                let plan = single(Step::ConvPool(step), &buffers);
                let after = run_plan(&plan, isa, &buffers);
                for i in 0..len {
                    let index = [
                        i / CHANNELS / windows,
                        i / CHANNELS / width % height,
                        i / CHANNELS % width,
                        i % CHANNELS,
                    ];
                    let [n, y, x, o] = index;
                    let at = |place: usize| {
                        let row = (n * conv.output[0] + 2 * y + place / 2) * conv.output[1];
                        convolved[(row + 2 * x + place % 2) * CHANNELS + o]
                    };
                    let largest = (0..4)
                        .map(at)
                        .fold(at(0), |a, b| if b.value > a.value { b } else { a });
                    let mut expected = largest;
                    if let Some(axis) = kind {
                        expected = expected.plus(f64::from(bias[index[axis]]));
                    }
                    let unfinished = expected.value;
                    if rectify {
                        expected = expected.rectified();
                    }
                    let to: isize = index
                        .iter()
                        .zip(strides)
                        .map(|(&i, s)| i as isize * s)
                        .sum();
                    let what =
                        || format!("{isa:?} {strides:?} {kind:?} {rectify} {turned} {index:?}");
                    let got = element(&after[2], to as usize);
                    let bounds = (0..4).map(|place| at(place).bound());
                    let bound = lines::ERROR * bounds.fold(expected.bound(), f64::max);
                    let error = (got - expected.value).abs();
                    assert!(error <= bound, "{}: {got} for {expected:?}", what());
                    let place = element(&after[3], to as usize) as usize;
                    if marks && expected.value <= bound {
                        // Near zero rounding decides.
                        assert!(place == 255 || unfinished > -bound, "{}", what());
                        continue;
                    }
                    assert!(largest.value - at(place).value < 2.0 * bound, "{}", what());
                }
            }
        }
    }
}
