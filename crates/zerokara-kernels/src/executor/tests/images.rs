//! Convolutions and pooling of channels-last images.

use super::{map::any_view, *};
use crate::{
    conv,
    plan::{
        Arithmetic, ConvGeometry, ConvPass, ConvStep, ConvWeightGradientStep, MapStep,
        OutputGradient, PackFiltersStep, PoolGeometry, PoolGradientStep, PoolStep, PooledGradient,
        Pooling, ReduceStep, Reduction,
    },
    rounding::bound,
};
use Instruction::{Constant, Load};

/// `2 x + 1` on a dense view.
fn double_and_one(view: &View) -> MapStep {
    let code = Code {
        instructions: vec![
            Load(0),
            Constant(2.0),
            Instruction::Binary(Binary::Multiply, 0, 1),
            Constant(1.0),
            Instruction::Binary(Binary::Add, 2, 3),
        ],
        results: vec![4],
    };
    let shape = view.shape.clone();
    MapStep {
        shape,
        inputs: vec![view.clone()],
        outputs: vec![view.clone()],
        code,
    }
}

fn geometries() -> Vec<ConvGeometry> {
    let base = ConvGeometry {
        batch: 3,
        in_channels: 1,
        out_channels: 6,
        input: [9, 8],
        output: [5, 4],
        kernel: [5, 5],
        stride: [1, 1],
        padding: [0, 0].into(),
        dilation: [1, 1],
        groups: 1,
        direct: false,
    };
    vec![
        base,
        ConvGeometry {
            in_channels: 16,
            out_channels: 20,
            padding: [2, 2].into(),
            output: [9, 8],
            ..base
        },
        ConvGeometry {
            in_channels: 3,
            padding: [4, 0, 1, 3].into(),
            output: [10, 7],
            ..base
        },
        ConvGeometry {
            in_channels: 4,
            out_channels: 6,
            groups: 2,
            kernel: [3, 2],
            stride: [2, 1],
            padding: [1, 1].into(),
            output: [5, 9],
            ..base
        },
        ConvGeometry { batch: 0, ..base },
    ]
}

/// Every product of the convolution: (input, filter, output) as positions in dense arrays.
pub(super) fn products(g: &ConvGeometry, mut visit: impl FnMut(usize, usize, usize)) {
    let (c, o) = (g.in_channels / g.groups, g.out_channels / g.groups);
    for n in 0..g.batch {
        for y in 0..g.output[0] {
            for x in 0..g.output[1] {
                for out in 0..g.out_channels {
                    for channel in 0..c {
                        for kh in 0..g.kernel[0] {
                            for kw in 0..g.kernel[1] {
                                let h = y * g.stride[0] + kh * g.dilation[0];
                                let w = x * g.stride[1] + kw * g.dilation[1];
                                let (Some(h), Some(w)) = (
                                    h.checked_sub(g.padding.before[0]),
                                    w.checked_sub(g.padding.before[1]),
                                ) else {
                                    continue;
                                };
                                if h >= g.input[0] || w >= g.input[1] {
                                    continue;
                                }
                                let pixel = (n * g.input[0] + h) * g.input[1] + w;
                                let from = pixel * g.in_channels + out / o * c + channel;
                                let filter = ((out * c + channel) * g.kernel[0] + kh) * g.kernel[1];
                                let to = (n * g.output[0] + y) * g.output[1] + x;
                                visit(from, filter + kw, to * g.out_channels + out);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn convolutions_and_their_gradients() {
    for isa in Isa::available() {
        let mut random = Random::new(21);
        for g in geometries() {
            let c = g.in_channels / g.groups;
            let input = [g.batch, g.input[0], g.input[1], g.in_channels];
            let output = [g.batch, g.output[0], g.output[1], g.out_channels];
            let filters = [g.out_channels, c, g.kernel[0], g.kernel[1]];
            let count = |shape: &[usize]| shape.iter().product::<usize>();
            let x = Storage::from(random.floats(count(&input)));
            let w = Storage::from(random.floats(count(&filters)));
            let dy = Storage::from(random.floats(count(&output)));
            let sums = |shape: &[usize]| vec![Sum::default(); count(shape)];
            let (mut y, mut dx, mut dw) = (sums(&output), sums(&input), sums(&filters));
            products(&g, |i, f, o| {
                y[o].add(element(&x, i) * element(&w, f));
                dx[i].add(element(&dy, o) * element(&w, f));
                dw[f].add(element(&dy, o) * element(&x, i));
            });
            for (pass, source, shapes, expected) in [
                (ConvPass::Forward, &x, (input, output), &y),
                (ConvPass::InputGradient, &dy, (output, input), &dx),
            ] {
                let length = conv::packed_len(isa, &g, pass);
                let target = dense(2, 0, &shapes.1);
                let packed = dense(3, 0, &[length]);
                let channels = shapes.1[3];
                let buffers = [
                    source.clone(),
                    w.clone(),
                    Storage::zeros(Element::F32, expected.len()),
                    Storage::zeros(Element::F32, length),
                    Storage::zeros(Element::F32, channels),
                    Storage::zeros(Element::F32, channels),
                    Storage::zeros(Element::F32, channels),
                ];
                // Of what the epilogue leaves: sum and variance of each channel, and half the sum.
                let of_channels = |buffer| View {
                    buffer,
                    offset: 0,
                    shape: shapes.1.to_vec(),
                    strides: vec![0, 0, 0, 1],
                };
                let half = MapStep {
                    shape: vec![channels],
                    inputs: vec![dense(4, 0, &[channels])],
                    outputs: vec![dense(6, 0, &[channels])],
                    code: Code {
                        instructions: vec![
                            Instruction::Load(0),
                            Instruction::Constant(0.5),
                            Instruction::Binary(Binary::Multiply, 0, 1),
                        ],
                        results: vec![2],
                    },
                };
                let statistics = ReduceStep {
                    shape: shapes.1.to_vec(),
                    reduced: vec![true, true, true, false],
                    inputs: vec![target.clone()],
                    code: Code {
                        instructions: vec![Instruction::Load(0)],
                        results: vec![0, 0],
                    },
                    reductions: vec![Reduction::Sum, Reduction::Variance { correction: 0 }],
                    outputs: vec![of_channels(4), of_channels(5)],
                    epilogue: Some(half),
                };
                let pack = PackFiltersStep {
                    geometry: g,
                    pass,
                    arithmetic: Arithmetic::F32,
                    filters: dense(1, 0, &filters),
                    packed: packed.clone(),
                };
                let step = ConvStep {
                    geometry: g,
                    pass,
                    arithmetic: Arithmetic::F32,
                    source: dense(0, 0, &shapes.0),
                    packed,
                    finish: None,
                    epilogue: Some(double_and_one(&target)),
                    target,
                    // Of no elements there are none.
                    statistics: (!expected.is_empty()).then(|| Box::new(statistics)),
                };
                let mut plan = single(Step::PackFilters(pack), &buffers);
                plan.stages.push(PlanStage {
                    steps: vec![Step::Conv(step)],
                });
                let after = run_plan(&plan, isa, &buffers);
                let expected: Vec<Sum> = expected.iter().map(|y| y.times(2.0).plus(1.0)).collect();
                for (i, &expected) in expected.iter().enumerate() {
                    assert_sum(element(&after[2], i), expected, || {
                        format!("{} {pass:?} {g:?} element {i}", isa.name())
                    });
                }
                for channel in (0..channels).filter(|_| !expected.is_empty()) {
                    let values: Vec<Sum> = expected[channel..]
                        .iter()
                        .step_by(channels)
                        .copied()
                        .collect();
                    let mut sum = Sum::default();
                    values.iter().for_each(|&value| sum.join(value));
                    let mean = sum.value / values.len() as f64;
                    let deviations = values.iter().map(|value| value.value - mean);
                    let variance = deviations.map(|x| x * x).sum::<f64>() / values.len() as f64;
                    // Each number's error is multiplied by what it lies off the mean, twice.
                    let error = values.iter().map(Sum::bound).fold(0.0, f64::max);
                    let bound = 2.0 * error * variance.sqrt() + error * error;
                    let at = || format!("{} {pass:?} {g:?} channel {channel}", isa.name());
                    assert_sum(element(&after[4], channel), sum, at);
                    assert_sum(element(&after[6], channel), sum.times(0.5), at);
                    let got = element(&after[5], channel);
                    assert!(
                        (got - variance).abs() <= bound,
                        "{}: {got} for {variance}",
                        at()
                    );
                }
            }
            let parts = conv::partials(&g);
            let partials = [parts, g.kernel[0], g.kernel[1], c, g.out_channels];
            let buffers = [x, dy, Storage::zeros(Element::F32, count(&partials))];
            let step = ConvWeightGradientStep {
                geometry: g,
                arithmetic: Arithmetic::F32,
                input: dense(0, 0, &input),
                output_gradient: OutputGradient::Stored(dense(1, 0, &output)),
                partials: dense(2, 0, &partials),
            };
            let after = run_plan(
                &single(Step::ConvWeightGradient(step), &buffers),
                isa,
                &buffers,
            );
            for (i, &expected) in dw.iter().enumerate() {
                let taps = g.kernel[0] * g.kernel[1];
                let (o, channel, tap) = (i / (c * taps), i / taps % c, i % taps);
                let got: f64 = (0..parts)
                    .map(|p| {
                        let at = ((p * taps + tap) * c + channel) * g.out_channels + o;
                        element(&after[2], at)
                    })
                    .sum();
                assert_sum(got, expected, || format!("{} {g:?}", isa.name()));
            }
        }
    }
}

fn pool_geometries() -> Vec<PoolGeometry> {
    let base = PoolGeometry {
        batch: 2,
        channels: 5,
        input: [6, 8],
        output: [3, 4],
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0].into(),
    };
    vec![
        base,
        PoolGeometry {
            channels: 30,
            batch: 3,
            ..base
        },
        PoolGeometry {
            channels: 1,
            input: [7, 9],
            ..base
        },
        // Rounded up: the last windows reach beyond the image.
        PoolGeometry {
            channels: 9,
            input: [5, 7],
            ..base
        },
        PoolGeometry {
            kernel: [3, 3],
            padding: [1, 1].into(),
            ..base
        },
        // More above and left, and more below and right.
        PoolGeometry {
            kernel: [3, 3],
            padding: [2, 1, 0, 1].into(),
            ..base
        },
        PoolGeometry {
            channels: 9,
            padding: [0, 0, 1, 1].into(),
            input: [5, 7],
            ..base
        },
        PoolGeometry {
            channels: 16,
            kernel: [3, 2],
            stride: [1, 1],
            output: [4, 7],
            ..base
        },
        PoolGeometry {
            kernel: [1, 2],
            stride: [3, 2],
            output: [2, 4],
            ..base
        },
        PoolGeometry {
            kernel: [6, 8],
            stride: [1, 1],
            output: [1, 1],
            channels: 33,
            ..base
        },
        PoolGeometry { batch: 0, ..base },
    ]
}

/// Positions in the image of the windows' elements, by window.
fn windows(g: &PoolGeometry) -> Vec<(usize, [usize; 2], Vec<usize>)> {
    let mut all = Vec::new();
    for n in 0..g.batch {
        for y in 0..g.output[0] {
            for x in 0..g.output[1] {
                for c in 0..g.channels {
                    let mut inside = Vec::new();
                    for i in 0..g.kernel[0] {
                        for j in 0..g.kernel[1] {
                            let h = (y * g.stride[0] + i).wrapping_sub(g.padding.before[0]);
                            let w = (x * g.stride[1] + j).wrapping_sub(g.padding.before[1]);
                            if h < g.input[0] && w < g.input[1] {
                                let pixel = (n * g.input[0] + h) * g.input[1] + w;
                                inside.push(pixel * g.channels + c);
                            }
                        }
                    }
                    let window = ((n * g.output[0] + y) * g.output[1] + x) * g.channels + c;
                    all.push((window, [y, x], inside));
                }
            }
        }
    }
    all
}

/// Positions that an average divides by, as PyTorch counts: padding, but nothing beyond the padded image.
fn divisor(g: &PoolGeometry, count_padding: bool, at: [usize; 2], inside: usize) -> f64 {
    if !count_padding {
        return inside as f64;
    }
    let length = |i: usize| {
        let start = at[i] * g.stride[i];
        (start + g.kernel[i]).min(g.input[i] + g.padding.along(i).unwrap()) - start
    };
    (length(0) * length(1)) as f64
}

#[test]
fn pooling_and_its_gradient() {
    let mut random = Random::new(22);
    for g in pool_geometries() {
        let input_shape = [g.batch, g.input[0], g.input[1], g.channels];
        let output_shape = [g.batch, g.output[0], g.output[1], g.channels];
        let inputs: usize = input_shape.iter().product();
        // Few different numbers, so that windows have several largest elements.
        let mut x: Vec<f32> = (0..inputs).map(|_| random.below(5) as f32 - 2.0).collect();
        if inputs > 20 {
            x[inputs / 2] = f32::NAN;
            x[inputs / 2 + 2 * g.channels] = f32::NAN;
            x[3] = f32::NEG_INFINITY;
        }
        let values = random.floats(inputs);
        let windows = windows(&g);
        for pooling in [
            Pooling::Max,
            Pooling::SelectAtMax,
            Pooling::Average {
                count_padding: true,
            },
            Pooling::Average {
                count_padding: false,
            },
        ] {
            let first_largest = |inside: &[usize]| {
                let mut best = inside[0];
                for &i in inside {
                    if x[i] > x[best] || (x[i].is_nan() && !x[best].is_nan()) {
                        best = i;
                    }
                }
                best
            };
            let (view, len) = any_view(&mut random, 2, &output_shape, false);
            let dy = random.floats(len);
            let select = pooling == Pooling::SelectAtMax;
            for isa in Isa::available() {
                let what = || format!("{} {pooling:?} {g:?}", isa.name());
                let buffers = [
                    Storage::from(x.clone()),
                    Storage::from(values.clone()),
                    Storage::zeros(Element::F32, len),
                    Storage::zeros(Element::Bool, windows.len()),
                ];
                let max = pooling == Pooling::Max;
                let places = dense(3, 0, &output_shape);
                let mut step = PoolStep {
                    added: None,
                    geometry: g,
                    pooling,
                    input: dense(0, 0, &input_shape),
                    values: select.then(|| dense(1, 0, &input_shape)),
                    output: view.clone(),
                    places: None,
                    epilogue: None,
                };
                let plain = single(Step::Pool(step.clone()), &buffers);
                let after = run_plan(&plain, isa, &buffers);
                // Each channel's plane by itself, without gaps.
                let [_, height, width, channels] = output_shape;
                let plane = height * width;
                let mut planes = dense(2, 0, &output_shape);
                planes.strides = [plane * channels, width, 1, plane]
                    .map(|s| s as isize)
                    .into();
                step.places = max.then(|| places.clone());
                step.epilogue = Some(double_and_one(&dense(2, 0, &[windows.len()])));
                step.output = planes.clone();
                let doubled = run_plan(&single(Step::Pool(step), &buffers), isa, &buffers);
                for (window, at, inside) in &windows {
                    let one = |x: f32| Sum::default().plus(x.into());
                    let expected = match pooling {
                        Pooling::Max => one(x[first_largest(inside)]),
                        Pooling::SelectAtMax => one(values[first_largest(inside)]),
                        Pooling::Average { count_padding } => {
                            let sum: Sum = inside.iter().map(|&i| f64::from(x[i])).collect();
                            sum.times(1.0 / divisor(&g, count_padding, *at, inside.len()))
                        }
                    };
                    let got = element(&after[2], position(&view, *window));
                    assert_sum(got, expected, what);
                    let got = element(&doubled[2], position(&planes, *window));
                    assert_sum(got, expected.times(2.0).plus(1.0), what);
                }
                if select {
                    continue;
                }
                let target = dense(1, 0, &input_shape);
                let buffers = [
                    Storage::from(x.clone()),
                    Storage::zeros(Element::F32, inputs),
                    Storage::from(dy.clone()),
                    doubled[3].clone(),
                ];
                let mut step = PoolGradientStep {
                    geometry: g,
                    pooling,
                    input: max.then(|| dense(0, 0, &input_shape)),
                    places: None,
                    output_gradient: view.clone(),
                    epilogue: Some(double_and_one(&target)),
                    input_gradient: target,
                };
                let searching = single(Step::PoolGradient(step.clone()), &buffers);
                let after = run_plan(&searching, isa, &buffers);
                if max {
                    (step.input, step.places) = (None, Some(places));
                    let told = single(Step::PoolGradient(step), &buffers);
                    let told = run_plan(&told, isa, &buffers);
                    assert_eq!(told[1], after[1], "{}", what());
                }
                let mut expected = vec![Sum::default(); inputs];
                for (window, at, inside) in &windows {
                    let gradient = f64::from(dy[position(&view, *window)]);
                    match pooling {
                        Pooling::Average { count_padding } => {
                            let by = divisor(&g, count_padding, *at, inside.len());
                            inside.iter().for_each(|&i| expected[i].add(gradient / by));
                        }
                        _ => expected[first_largest(inside)].add(gradient),
                    }
                }
                for (i, expected) in expected.iter().enumerate() {
                    let got = element(&after[1], i);
                    assert_sum(got, expected.times(2.0).plus(1.0), what);
                }
            }
        }
    }
}

/// The gradient of filters summed over windows, against the same with the gradient of the pooling stored.
#[test]
fn filters_gradient_from_what_was_pooled() {
    for g in [
        geometries()[0],
        ConvGeometry {
            input: [28, 28],
            output: [24, 24],
            out_channels: 30,
            ..geometries()[0]
        },
    ] {
        let pool = PoolGeometry {
            batch: g.batch,
            channels: g.out_channels,
            input: g.output,
            output: g.output.map(|n| n / 2),
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0, 0].into(),
        };
        let input = [g.batch, g.input[0], g.input[1], g.in_channels];
        let output = [g.batch, g.output[0], g.output[1], g.out_channels];
        let pooled = [pool.batch, pool.output[0], pool.output[1], pool.channels];
        let parts = [
            conv::partials(&g),
            g.kernel[0],
            g.kernel[1],
            g.in_channels,
            g.out_channels,
        ];
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let plane = pooled[1] * pooled[2];
        let mut gradient = dense(1, 0, &pooled);
        gradient.strides = [plane * pooled[3], pooled[2], 1, plane]
            .map(|s| s as isize)
            .into();
        for isa in Isa::available() {
            let mut random = Random::new(23);
            let buffers = [
                Storage::from(random.floats(count(&input))),
                Storage::from(random.floats(count(&pooled))),
                Storage::zeros(Element::Bool, count(&pooled)),
                Storage::from(random.floats(count(&output))),
                Storage::zeros(Element::F32, count(&parts)),
                Storage::zeros(Element::F32, count(&pooled)),
                Storage::zeros(Element::F32, parts[0] * g.out_channels),
            ];
            let forward = PoolStep {
                added: None,
                geometry: pool,
                pooling: Pooling::Max,
                input: dense(3, 0, &output),
                values: None,
                output: dense(5, 0, &pooled),
                places: Some(dense(2, 0, &pooled)),
                epilogue: None,
            };
            let buffers = run_plan(&single(Step::Pool(forward), &buffers), isa, &buffers);
            let scatter = PoolGradientStep {
                geometry: pool,
                pooling: Pooling::Max,
                input: None,
                places: Some(dense(2, 0, &pooled)),
                output_gradient: gradient.clone(),
                input_gradient: dense(3, 0, &output),
                epilogue: None,
            };
            let mut filters = ConvWeightGradientStep {
                geometry: g,
                arithmetic: Arithmetic::F32,
                input: dense(0, 0, &input),
                output_gradient: OutputGradient::Stored(dense(3, 0, &output)),
                partials: dense(4, 0, &parts),
            };
            let mut plan = single(Step::PoolGradient(scatter), &buffers);
            plan.stages.push(PlanStage {
                steps: vec![Step::ConvWeightGradient(filters.clone())],
            });
            let stored = run_plan(&plan, isa, &buffers);
            filters.output_gradient = OutputGradient::Pooled(Box::new(PooledGradient {
                geometry: pool,
                gradient: gradient.clone(),
                places: dense(2, 0, &pooled),
                totals: Some(dense(6, 0, &[parts[0], g.out_channels])),
            }));
            let plan = single(Step::ConvWeightGradient(filters), &buffers);
            let summed = run_plan(&plan, isa, &buffers);
            // Both are sums of one number for each window, none of which is above 1.
            for i in 0..count(&parts) {
                let (got, expected) = (element(&summed[4], i), element(&stored[4], i));
                let windows = pool.batch * plane;
                let bound = (1.0 + conv::lines::ERROR) * bound(windows, windows as f64);
                assert!(
                    (got - expected).abs() <= bound,
                    "{} {g:?} {i}: {got} for {expected}",
                    isa.name()
                );
            }
            for o in 0..g.out_channels {
                let of = |buffer: &Storage| -> Sum {
                    let places = (o..buffer.len()).step_by(g.out_channels);
                    places.map(|i| element(buffer, i)).collect()
                };
                let (got, expected) = (of(&summed[6]).value, of(&stored[3]));
                assert_sum(got, expected, || format!("{} {g:?} sum {o}", isa.name()));
            }
        }
    }
}
