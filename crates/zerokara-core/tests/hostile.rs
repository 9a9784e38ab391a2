//! Whatever numbers a public function of tensors is given: a value or an error, no panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use zerokara_core::{
    Array, Attributes, DType, LossReduction, Meta, Parameter, Tensor, grad,
    op::{
        BlockOrder, Conv1dOptions, Conv3dOptions, ConvOptions, ConvTranspose2dOptions, Coordinates,
        GridSampleOptions, Interpolation, LocalResponseOptions, PoolOptions, ResizeOptions,
        RoiAlignOptions, WindowOptions,
    },
    registry,
};

const INTEGERS: [i64; 9] = [
    i64::MIN,
    i64::MIN + 1,
    -3,
    -1,
    0,
    1,
    3,
    i64::MAX - 1,
    i64::MAX,
];
const SIZES: [usize; 6] = [0, 1, 3, 1 << 40, usize::MAX >> 1, usize::MAX];
const NUMBERS: [f64; 9] = [
    f64::NAN,
    f64::NEG_INFINITY,
    -1e300,
    -0.5,
    -0.0,
    0.0,
    2.0,
    1e300,
    f64::INFINITY,
];

/// Looks at a tensor, and at its gradient with respect to `x`.
fn look(what: &str, x: &Tensor, build: impl Fn() -> Tensor) {
    let all = catch_unwind(AssertUnwindSafe(|| {
        let y = build();
        let _ = (y.shape().map(<[usize]>::to_vec), y.dtype());
        let too_large = y.meta().is_ok_and(|m| m.len() > 1 << 20);
        if !too_large {
            let _ = y.to_string();
            let _ = grad(&y.sum(), x).eval();
        }
    }));
    assert!(all.is_ok(), "{what} panics");
}

#[test]
fn axes_indices_and_steps() {
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let i = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    for a in INTEGERS {
        let name = |what: &str| format!("{what}({a})");
        look(&name("sum"), &x, || x.sum_axes(&[a], true));
        look(&name("mean"), &x, || x.mean_axes(&[a, a], false));
        look(&name("max"), &x, || x.max_axes(&[a], false));
        look(&name("var"), &x, || x.var_axes(&[a], false, 0));
        look(&name("argmax"), &x, || x.argmax(a));
        look(&name("cumsum"), &x, || x.cumsum(a));
        look(&name("flip"), &x, || x.flip(&[a]));
        look(&name("unsqueeze"), &x, || x.unsqueeze(a));
        look(&name("squeeze"), &x, || x.squeeze(a));
        look(&name("index_select axis"), &x, || {
            x.index_select(a, &Tensor::from([0]))
        });
        look(&name("gather axis"), &x, || x.gather(a, &i));
        look(&name("gather"), &x, || {
            x.gather(0, &Tensor::from([[a, a, a]]))
        });
        look(&name("index_select"), &x, || {
            x.index_select(0, &Tensor::from([a]))
        });
        look(&name("one_hot"), &x, || Tensor::from([a]).one_hot(3));
        look(&name("cross_entropy"), &x, || {
            x.cross_entropy(&Tensor::from([0, a]))
        });
        look(&name("concat"), &x, || Tensor::concat(&[&x, &x], a));
        look(&name("stack"), &x, || Tensor::stack(&[&x, &x], a));
        look(&name("split"), &x, || x.split(a, &[1, 2]).remove(0));
        look(&name("add"), &x, || &i + a);
        look(&name("multiply"), &x, || a * &i);
        look(&name("multiply floats"), &x, || a * &x);
        look(&name("uniform"), &x, || {
            Tensor::uniform(7, &Tensor::from(a), [3])
        });
        for b in INTEGERS {
            let name = |what: &str| format!("{what}({a}, {b})");
            look(&name("at"), &x, || x.at(a, b));
            look(&name("transpose"), &x, || x.transpose(a, b));
            look(&name("reshape"), &x, || x.reshape([a, b]));
            look(&name("arange"), &x, || Tensor::arange(a, b, i64::MAX));
            look(&name("narrow"), &x, || x.narrow(1, a as usize, b as usize));
            for c in INTEGERS {
                let name = |what: &str| format!("{what}({a}, {b}, {c})");
                look(&name("slice"), &x, || x.slice(1, a..b, c));
                look(&name("slice integers"), &x, || i.slice(0, a..=b, c));
            }
        }
    }
}

#[test]
fn sizes() {
    let x = Tensor::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]);
    for a in [0, 1, 3, 1 << 40] {
        let name = |what: &str| format!("{what}({a})");
        look(&name("one_hot"), &x, || Tensor::from([0]).one_hot(a));
        look(&name("eye"), &x, || Tensor::eye(a));
        look(&name("index_add"), &x, || {
            x.index_add(3, &Tensor::from([0, 1, 0]), a)
        });
        look(&name("index_add axis"), &x, || {
            x.index_add(a, &Tensor::from([0]), 3)
        });
        look(&name("scatter_add axis"), &x, || {
            x.scatter_add(a, &Tensor::from([[[[0]]]]), 3)
        });
        look(&name("var"), &x, || x.var_axes(&[3], false, a));
        look(&name("layer_norm"), &x, || x.layer_norm(a, None, 1e-5));
        look(&name("adaptive"), &x, || x.adaptive_avg_pool2d([a, 1]));
        look(&name("split"), &x, || x.split(3, &[a, 1, a]).remove(0));
    }
}

#[test]
fn axes_that_are_sizes() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let (few, all) = (Tensor::from([0, 1]), Tensor::from([[0, 1], [1, 0]]));
    for a in SIZES {
        let name = |what: &str| format!("{what}({a})");
        look(&name("index_add"), &x, || x.index_add(a, &few, 3));
        look(&name("scatter_add"), &x, || x.scatter_add(a, &all, 3));
    }
}

#[test]
fn pairs_of_sizes() {
    let x = Tensor::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]);
    let w = Tensor::ones([1, 1, 2, 2]);
    for a in [0, 1, 3] {
        for b in SIZES {
            let name = |what: &str| format!("{what}({a}, {b})");
            look(&name("zeros"), &x, || Tensor::zeros([a, b]));
            look(&name("new"), &x, || Tensor::new([a, b], [1.0f32, 2.0]));
            look(&name("array"), &x, || {
                Tensor::from(Array::new([a, b], vec![1i64; 3]))
            });
            look(&name("reshaped"), &x, || {
                Array::new([3], vec![1i64; 3]).reshaped([a, b]).into()
            });
            look(&name("array zeros"), &x, || {
                Array::zeros(&Meta::new([a, b], DType::F32)).into()
            });
            look(&name("broadcast"), &x, || x.broadcast_to(&[a, 3, b]));
            look(&name("pad"), &x, || {
                x.pad(&[0, 0, a, 0], &[0, 0, 0, b], 0.0)
            });
            let pool = PoolOptions {
                kernel: [a, 1],
                stride: [b, 1],
                padding: [0, a.min(b)].into(),
            };
            look(&name("max_pool2d"), &x, || x.max_pool2d(pool));
            look(&name("avg_pool2d"), &x, || x.avg_pool2d(pool, true));
            let whole = PoolOptions {
                kernel: [b; 2],
                stride: [b; 2],
                padding: [b.saturating_sub(1); 2].into(),
            };
            look(&name("avg_pool2d of all"), &x, || x.avg_pool2d(whole, true));
            let conv = ConvOptions {
                stride: [a, 1],
                padding: [1, b].into(),
                dilation: [b, 1],
                groups: 1,
            };
            look(&name("conv2d"), &x, || x.conv2d(&w, conv));
            let groups = ConvOptions {
                groups: a,
                ..ConvOptions::default()
            };
            look(&name("groups"), &x, || x.conv2d(&w, groups));
            look(&name("groups of gradients"), &x, || {
                let groups = i64::try_from(b).unwrap_or(i64::MAX);
                let attributes = Attributes::none()
                    .with("groups", groups)
                    .with("input", [3, 3]);
                registry::apply(
                    "conv2d_input_gradient",
                    &attributes,
                    &[x.clone(), w.clone()],
                )
            });
            look(&name("im2col"), &x, || {
                x.im2col([a, 1], [1, b], [1, 1], [1, a])
            });
        }
    }
}

/// What slides along any axes, with each of its numbers in turn.
#[test]
fn windows_of_any_sizes() {
    let x = Tensor::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]);
    let nobody = Tensor::zeros([0, 1, 3, 3]);
    for a in SIZES {
        for b in SIZES {
            let name = |what: &str| format!("{what}({a}, {b})");
            let all = [
                (a, b, 0, 1),
                (a, 1, b, 1),
                (2, 1, a, b),
                (a, 2, 1, b),
                (2, a, b, 3),
            ];
            for (kernel, stride, padding, dilation) in all {
                let options = |ceil: bool| WindowOptions {
                    kernel: vec![kernel, 1],
                    stride: vec![stride, 1],
                    padding: vec![padding, 0, padding, 0],
                    dilation: vec![dilation, 1],
                    ceil,
                };
                look(&name("max_pool"), &x, || x.max_pool(options(true)));
                look(&name("avg_pool"), &x, || x.avg_pool(options(false), false));
                look(&name("avg_pool"), &x, || x.avg_pool(options(true), true));
                look(&name("lp_pool"), &x, || x.lp_pool(options(false), 2));
                let none = || nobody.max_pool(options(true));
                look(&name("max_pool of none"), &nobody, none);
            }
            look(&name("conv1d"), &x, || {
                let options = Conv1dOptions {
                    stride: a,
                    padding: [1, 0],
                    dilation: b,
                    groups: 1,
                };
                x.at(2, 0).conv1d(&Tensor::ones([1, 1, 2]), options)
            });
            for (stride, dilation, padding) in [(a, b, 1), (1, a, b), (a, 1, b)] {
                look(&name("conv3d"), &x, || {
                    let options = Conv3dOptions {
                        stride: [stride, 1, 1],
                        padding: [padding, 0, 0, padding, 0, 0],
                        dilation: [dilation, 1, 1],
                        groups: 1,
                    };
                    let volume = x.unsqueeze(2);
                    volume.conv3d(&Tensor::ones([1, 1, 2, 2, 2]), options)
                });
                look(&name("conv_transpose2d"), &x, || {
                    let options = ConvTranspose2dOptions {
                        stride: [stride, 1],
                        padding: [0, 0, padding, 1].into(),
                        dilation: [dilation, 1],
                        groups: 1,
                        output_padding: [padding, 0],
                    };
                    x.conv_transpose2d(&Tensor::ones([1, 1, 2, 2]), options)
                });
                let options = ConvTranspose2dOptions {
                    stride: [stride, 1],
                    dilation: [dilation, 1],
                    output_padding: [padding, padding],
                    ..Default::default()
                };
                let _ = options.fitted([a, b], [padding, 1], [b, a], true);
            }
            look(&name("resize"), &x, || {
                x.resize(ResizeOptions::sizes(Interpolation::Linear, [a, b]))
            });
            look(&name("resize of none"), &nobody, || {
                nobody.resize(ResizeOptions::sizes(Interpolation::Cubic, [a, b]))
            });
            look(&name("affine_grid"), &x, || {
                Tensor::zeros([1, 2, 3]).affine_grid([a, b], false)
            });
            look(&name("center_crop_pad"), &x, || {
                x.center_crop_pad([a, b], &[-1, 0])
            });
        }
        let name = |what: &str| format!("{what}({a})");
        for b in SIZES {
            let _ = zerokara_core::same_padding(a, b, 1, b, true);
            let _ = zerokara_core::same_padding(b, a, a, 1, false);
            look(&name("roi_align"), &x, || {
                let options = RoiAlignOptions {
                    sampling_ratio: b,
                    ..RoiAlignOptions::new([a, 1])
                };
                let regions = Tensor::from([[0.0, 0.0, 2.0, 1.0]]);
                x.roi_align(&regions, &Tensor::from([0]), options)
            });
            look(&name("deform_conv"), &x, || {
                let options = ConvOptions {
                    stride: [a, 1],
                    dilation: [1, b],
                    ..ConvOptions::default()
                };
                let offset = Tensor::zeros([1, 8, 2, 2]);
                x.deform_conv(
                    &Tensor::ones([1, 1, 2, 2]),
                    &offset,
                    None,
                    options,
                    a.min(2),
                )
            });
        }
        look(&name("max_unpool"), &x, || {
            x.max_unpool(&x.cast(DType::I64), [a, 3])
        });
        look(&name("exponent"), &x, || {
            x.lp_pool(WindowOptions::new([2, 2]), a)
        });
        look(&name("windows"), &x, || {
            x.max_pool(WindowOptions::new(vec![1; a.min(5)]))
        });
        look(&name("global_lp_pool"), &x, || x.global_lp_pool(a));
        look(&name("depth_to_space"), &x, || {
            x.depth_to_space(a, BlockOrder::Crd)
        });
        look(&name("space_to_depth"), &x, || x.space_to_depth(a));
        look(&name("group_norm"), &x, || x.group_norm(a, None, 0.1));
        look(&name("rms_norm"), &x, || x.rms_norm(a, None, 0.1));
        look(&name("lp_normalization"), &x, || x.lp_normalization(1, a));
        look(&name("local_response_norm"), &x, || {
            x.local_response_norm(LocalResponseOptions::new(a))
        });
    }
}

#[test]
fn numbers_of_resizing_and_sampling() {
    let x = Tensor::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]);
    for a in NUMBERS {
        for b in NUMBERS {
            let name = |what: &str| format!("{what}({a}, {b})");
            look(&name("grid_sample"), &x, || {
                let grid = Tensor::new([1, 1, 1, 2], [a as f32, b as f32]);
                x.grid_sample(&grid, GridSampleOptions::default())
            });
            look(&name("roi_align"), &x, || {
                let options = RoiAlignOptions {
                    spatial_scale: a,
                    ..RoiAlignOptions::new([1, 2])
                };
                let regions = Tensor::from([[0.0, a as f32, 2.0, b as f32]]);
                x.roi_align(&regions, &Tensor::from([0]), options)
            });
            for &mode in Interpolation::ALL {
                for &coordinates in Coordinates::ALL {
                    look(&name("resize"), &x, || {
                        x.resize(ResizeOptions {
                            coordinate_transformation_mode: coordinates,
                            antialias: true,
                            exclude_outside: true,
                            cubic_coeff_a: a,
                            extrapolation_value: b,
                            roi: vec![a, b, b, a],
                            ..ResizeOptions::scales(mode, [2.0, 0.5])
                        })
                    });
                    look(&name("scales"), &x, || {
                        x.resize(ResizeOptions {
                            coordinate_transformation_mode: coordinates,
                            roi: vec![0.0, 0.0, 1.0, 1.0],
                            ..ResizeOptions::scales(mode, [a, b])
                        })
                    });
                }
            }
        }
    }
}

#[test]
fn numbers() {
    let x = Tensor::from([1.0, -2.0, 0.0]);
    let i = Tensor::from([1, -2, 0]);
    let truth = x.greater(&x);
    for a in NUMBERS {
        let name = |what: &str| format!("{what}({a})");
        for dtype in [DType::F32, DType::F64, DType::I64, DType::Bool] {
            look(&name("full"), &x, || Tensor::full([2], a, dtype));
            look(&name("scalar"), &x, || Tensor::scalar(a, dtype));
            look(&name("cast"), &x, || (&x * a).cast(dtype));
            let mut array = Array::zeros(&Meta::new([2], dtype));
            let _ = array.fill(a);
        }
        for t in [&x, &i, &truth] {
            look(&name("+"), &x, || t + a);
            look(&name("/"), &x, || a / t);
            look(&name("powf"), &x, || t.powf(a));
            look(&name("pad"), &x, || t.pad(&[1], &[1], a));
            look(&name("full_like"), &x, || t.full_like(a));
            look(&name("masked_fill"), &x, || {
                t.masked_fill(&truth.logical_not(), a)
            });
            look(&name("leaky_relu"), &x, || t.leaky_relu(a));
            look(&name("clamp"), &x, || t.clamp(a, 1.0));
            look(&name("swish"), &x, || t.swish(a));
            look(&name("selu"), &x, || t.selu_with(a, a));
            look(&name("celu"), &x, || t.celu(a));
            look(&name("hard_sigmoid"), &x, || t.hard_sigmoid(a, a));
            look(&name("thresholded_relu"), &x, || t.thresholded_relu(a));
            look(&name("shrink"), &x, || t.shrink(a, a));
            look(&name("range"), &x, || Tensor::range(0.0, a, 0.5, DType::U8));
            look(&name("triplet"), &x, || {
                t.triplet_margin_loss(t, t, a, a, true, LossReduction::Mean)
            });
            look(&name("cosine"), &x, || {
                let labels = Tensor::from(1);
                t.cosine_embedding_loss(t, &labels, a, LossReduction::BatchMean)
            });
        }
        look(&name("smoothed"), &x, || {
            x.reshape([1, 3])
                .cross_entropy_smoothed(&Tensor::from([0]), a)
        });
        look(&name("bernoulli"), &x, || {
            Tensor::bernoulli_like(1, &Tensor::from(0), &x, a)
        });
    }
    let parameter = Parameter::of_array("p", Array::new([2], vec![1.0f32]));
    look("parameter", &x, || parameter.tensor() + &x);
}

#[test]
fn a_convolution_may_step_beyond_its_images() {
    let x = Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape([1, 1, 2, 3]);
    let w = Tensor::from([10.0, 1.0]).reshape([1, 1, 1, 2]);
    let options = ConvOptions {
        stride: [1 << 40, usize::MAX >> 1],
        ..ConvOptions::default()
    };
    let y = x.conv2d(&w, options);
    assert_eq!(y.shape().unwrap(), [1, 1, 1, 1]);
    assert_eq!(y.to_vec::<f32>().unwrap(), [12.0]);
    let expected = [10.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(grad(&y.sum(), &x).to_vec::<f32>().unwrap(), expected);
    assert_eq!(grad(&y.sum(), &w).to_vec::<f32>().unwrap(), [1.0, 2.0]);
}
