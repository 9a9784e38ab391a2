//! Whatever numbers a public function of tensors is given: a value or an error, no panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use zerokara_core::{
    Array, Attributes, DType, LossReduction, Meta, Parameter, Tensor, grad,
    op::{ConvOptions, PoolOptions},
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
