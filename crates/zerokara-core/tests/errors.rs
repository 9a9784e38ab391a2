//! Errors are values: the first operation that could not apply, the shapes, and the line of the user's source. And
//! graphs of any depth.

use zerokara_core::{
    DType, Precision, Result, Tensor, grad, interpret,
    op::{
        BlockOrder, Conv1dOptions, Conv3dOptions, ConvOptions, ConvTranspose2dOptions,
        GridSampleOptions, Interpolation, PoolOptions, ResizeOptions, RoiAlignOptions,
        WindowOptions,
    },
};

/// The error of a tensor, which must name the operation and this file, and say it in one line and the place.
fn error(t: &Tensor, line: u32, words: &[&str]) {
    let error = match t.eval() {
        Ok(value) => panic!("{value:?} instead of an error"),
        Err(error) => error,
    };
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for word in words {
        assert!(lines[0].contains(word), "{word} is not in: {text}");
    }
    assert!(
        lines[1].contains(&format!("errors.rs:{line}:")),
        "{text}, not line {line}"
    );
    assert!(error.is_graph_error());
    assert_eq!(error.location().map(|l| l.line()), Some(line));
    assert_eq!(t.shape().map_err(|e| e.to_string()), Err(text));
}

/// Checks the error of an expression on the line where it stands.
macro_rules! fails {
    ($expression:expr, $($word:expr),+) => {{
        let (line, tensor) = (line!(), $expression);
        error(&tensor, line, &[$($word),+]);
    }};
}

#[test]
#[rustfmt::skip] // the line of the macro is that of the expression
fn wrong_shapes_and_types_are_reported() {
    let (a, b) = (Tensor::zeros([2, 3]), Tensor::zeros([4, 5]));
    let (i, wide) = (Tensor::from([1, 2]), Tensor::full([2, 3], 0.0, DType::F64));
    let images = Tensor::zeros([1, 2, 4, 4]);
    let truth = a.greater(&a);
    let pool = |k, p| PoolOptions { kernel: [k, k], stride: [1, 1], padding: [p, p].into() };

    fails!(&a + &b, "add", "f32[2, 3]", "f32[4, 5]");
    fails!(&a + &wide, "add", "f32", "f64");
    fails!(&i / &i, "divide", "i64");
    fails!(truth.clone() + truth.clone(), "add", "truth values");
    fails!(a.matmul(&b), "matmul", "3 columns", "4 rows");
    fails!(i.exp(), "exp", "i64[2]");
    fails!(a.maximum(&b), "maximum", "[2, 3]", "[4, 5]");
    fails!(a.pow(&wide), "pow", "f64");
    fails!(truth.less(&truth), "less", "truth values");
    fails!(a.gather(0, &truth), "gather", "integer indices", "bool");
    fails!(Tensor::zeros([1 << 62, 4]), "fill", "too large");
    fails!(i.one_hot(1 << 62), "one_hot", "too large");
    fails!(Tensor::arange(0, i64::MAX, 1), "arange", "i64[9223372036854775807]");
    fails!(Tensor::arange(i64::MAX, i64::MIN, -2), "arange", "i64[9223372036854775808]");
    fails!(Tensor::arange(i64::MIN, i64::MAX, 1), "arange", "too large");
    fails!(Tensor::arange(0, 1 << 50, 1), "arange", "ZEROKARA_MEMORY");
    fails!(Tensor::eye(usize::MAX), "eye", "too large");
    fails!(Tensor::eye(1 << 40), "eye", "too large");
    fails!(a.reshape([1 << 62, 4]), "reshape", "6 elements");
    fails!(a.clamp(2.0, 1.0), "clamp", "2", "1");
    fails!(a.clamp(f64::NAN, 1.0), "clamp", "NaN");
    fails!(a.logical_and(&truth), "logical_and", "truth values");
    fails!(a.logical_not(), "logical_not", "f32[2, 3]");
    fails!(i.is_finite(), "is_finite", "i64");
    fails!(a.select(&b, &b), "where", "truth values");
    fails!(a.sum_axes(&[2], false), "sum", "axis 2", "2 axes");
    fails!(a.mean_axes(&[0, -2], false), "mean", "twice");
    fails!(a.var_axes(&[0], false, 2), "var", "correction 2");
    fails!(a.argmax(5), "argmax", "axis 5");
    fails!(a.softmax().reshape([4, -1]), "reshape", "6 elements");
    fails!(a.permute([0, 0]), "permute", "[0, 0]");
    fails!(a.transpose(0, 2), "permute", "axis 2");
    fails!(a.broadcast_to(&[3, 2]), "broadcast", "[2, 3]");
    fails!(a.slice(3, .., 1), "slice", "axis 3");
    fails!(a.slice(0, .., 0), "slice", "step");
    fails!(a.narrow(1, 2, 2), "slice", "length 3");
    fails!(a.at(1, 3), "slice", "length 3");
    fails!(a.flip(&[-3]), "flip", "axis -3");
    fails!(a.split(0, &[1, 2]).remove(0), "split", "[1, 2]");
    fails!(a.pad(&[1], &[1], 0.0), "pad", "2 axes");
    fails!(Tensor::concat(&[&a, &b], 0), "concat", "axis 0");
    fails!(Tensor::concat(&[&a, &wide], 0), "concat", "f64");
    fails!(Tensor::concat(&[&a, &a], 2), "concat", "axis 2");
    fails!(Tensor::stack(&[&a, &b], 0), "concat", "f32[1, 2, 3]");
    fails!(a.unsqueeze(4), "unsqueeze", "axis 4");
    fails!(a.squeeze(0), "reshape", "6 elements");
    fails!(a.index_select(0, &a), "index_select", "integer");
    fails!(a.index_select(2, &i), "index_select", "axis 2");
    fails!(a.gather(1, &i), "gather", "[2]");
    fails!(a.gather(7, &i), "gather", "axis");
    fails!(a.scatter_add(0, &i, 3), "scatter_add", "[2]");
    fails!(a.index_add(0, &Tensor::from([0, 1, 2]), 3), "index_add", "i64[3]");
    fails!(a.one_hot(3), "one_hot", "f32");
    fails!(a.conv2d(&b, ConvOptions::default()), "conv2d", "[N, C, H, W]");
    fails!(images.conv2d(&Tensor::zeros([1, 2, 5, 5]), ConvOptions::default()), "conv2d", "5", "4");
    fails!(images.conv2d(&Tensor::zeros([1, 3, 3, 3]), ConvOptions::default()), "conv2d", "3 channels");
    fails!(images.max_pool2d(pool(5, 0)), "max_pool2d", "5", "4");
    fails!(images.max_pool2d(pool(2, 2)), "max_pool2d", "padding");
    fails!(a.avg_pool2d(pool(2, 0), true), "avg_pool2d", "[N, C, H, W]");
    fails!(images.avg_pool2d(pool(0, 0), true), "avg_pool2d", "at least 1");
    fails!(a.adaptive_avg_pool2d([1, 1]), "adaptive_avg_pool2d", "[N, C, H, W]");
    fails!(images.adaptive_max_pool2d([0, 1]), "adaptive_max_pool2d", "[0, 1]");
    fails!(images.im2col([5, 5], [1, 1], [0, 0], [1, 1]), "im2col", "5");
    fails!(a.col2im([1, 2, 4, 4], [2, 2], [1, 1], [0, 0], [1, 1]), "col2im", "[1, 2, 4, 4]");
    let sequences = Tensor::zeros([1, 2, 4]);
    fails!(images.conv1d(&sequences, Conv1dOptions::default()), "conv1d", "[N, C, L]");
    fails!(sequences.conv1d(&sequences, Conv1dOptions { groups: 3, ..Default::default() }), "conv1d", "3 groups");
    fails!(images.conv3d(&images, Conv3dOptions::default()), "conv3d", "[N, C, D, H, W]");
    let transposed = ConvTranspose2dOptions { padding: 3.into(), ..Default::default() };
    fails!(images.conv_transpose2d(&Tensor::zeros([2, 1, 2, 2]), transposed), "conv_transpose2d", "all 5 elements");
    fails!(images.conv_transpose2d(&Tensor::zeros([3, 1, 2, 2]), ConvTranspose2dOptions::default()), "conv_transpose2d", "3 input channels");
    fails!(images.max_pool(WindowOptions::new([2])), "max_pool", "[2]", "[1, 2, 4, 4]");
    fails!(images.avg_pool(WindowOptions { stride: vec![1], ..WindowOptions::new([2, 2]) }, true), "avg_pool", "a step for each of 2 axes");
    fails!(sequences.max_pool(WindowOptions { padding: vec![2, 0], ..WindowOptions::new([2]) }), "max_pool", "padding");
    fails!(sequences.lp_pool(WindowOptions::new([2]), 0), "lp_pool", "at least 1");
    fails!(a.global_avg_pool(), "global_avg_pool", "three axes");
    fails!(images.resize(ResizeOptions { sizes: vec![1, 1], ..ResizeOptions::scales(Interpolation::Linear, [1.0, 1.0]) }), "resize", "a scale or a size");
    fails!(images.resize(ResizeOptions::scales(Interpolation::Linear, [-1.0])), "resize", "above 0, not -1");
    fails!(images.resize(ResizeOptions::sizes(Interpolation::Linear, [0])), "resize", "axis 3 of length 4");
    fails!(images.grid_sample(&a, GridSampleOptions::default()), "grid_sample", "2 numbers", "[2, 3]");
    fails!(a.affine_grid([2, 2], true), "affine_grid", "[N, 2, 3]");
    fails!(images.group_norm(3, None, 0.1), "group_norm", "3 groups");
    fails!(images.instance_norm(Some((&a, &a)), 0.1), "instance_norm", "f32[2]");
    fails!(a.rms_norm(1, Some(&b), 0.1), "rms_norm", "f32[3]");
    fails!(a.lp_normalization(-1, 3), "lp_normalization", "p = 3");
    fails!(images.depth_to_space(2, BlockOrder::Dcr), "depth_to_space", "2 channels");
    fails!(images.space_to_depth(3), "space_to_depth", "3 x 3");
    fails!(images.max_unpool(&images, [4, 4]), "max_unpool", "integer indices");
    fails!(images.deform_conv(&Tensor::zeros([1, 2, 2, 2]), &images, None, ConvOptions::default(), 1), "deform_conv", "[1, 8, 3, 3]");
    fails!(images.roi_align(&a, &i, RoiAlignOptions::new([1, 1])), "roi_align", "[R, 4]");
    fails!(a.center_crop_pad([1], &[]), "center_crop_pad", "each of 2 axes");
    fails!(a.cross_entropy(&Tensor::from([1, 2, 3])), "cross_entropy", "[2]");
    fails!(a.cross_entropy(&b), "cross_entropy", "[2, 3]", "[4, 5]");
    fails!(a.cross_entropy_smoothed(&i, 1.5), "cross_entropy", "1.5");
    fails!(Tensor::from(1.0).softmax(), "softmax", "axis");
    fails!(a.batch_norm(&i, &i, &i, &i, 0.0), "batch_norm", "mean", "f32[3]");
    fails!(a.layer_norm(3, None, 0.0), "layer_norm", "3 axes");
    fails!(a.layer_norm(1, Some((&b, &b)), 0.0), "layer_norm", "f32[3]");
    fails!(a.cumsum(2), "cumsum", "axis 2");
    fails!(a.mean_squared_error(&b), "subtract", "[2, 3]", "[4, 5]");
    fails!(Tensor::uniform(0, &a, [2]), "uniform", "step");
}

/// The leftmost error wins, and later operations keep it.
#[test]
fn the_first_error_is_kept() {
    let (a, b) = (Tensor::zeros([2]), Tensor::zeros([3]));
    let (line, bad) = (line!(), &a + &b);
    let worse = a.matmul(&b);
    let sum = (&bad * 2.0 + worse)
        .relu()
        .sum_axes(&[7], true)
        .slice(9, .., 1);
    error(&sum, line, &["add"]);
    error(&grad(&sum, &a), line, &["add"]);
}

#[test]
fn gradients_of_what_is_no_number_are_refused() {
    let x = Tensor::from([1.0, 2.0]);
    assert!(grad(&x, &x).eval().is_err());
    assert!(grad(&Tensor::from(1i64), &x).eval().is_err());
}

/// Indices are known only when values are: these errors come from evaluation, and the interpreter's name the place.
#[test]
fn indices_out_of_range_are_reported() {
    let x = Tensor::zeros([2, 3]);
    let cases = [
        (
            x.index_select(0, &Tensor::from([0, 22])),
            "index_select",
            "22",
        ),
        (x.index_select(0, &Tensor::from([-1])), "index_select", "-1"),
        (x.gather(1, &Tensor::from([[33], [0]])), "gather", "33"),
        (x.index_add(0, &Tensor::from([0, 99]), 3), "index_add", "99"),
        (
            x.scatter_add(0, &Tensor::from([[0, 1, 2], [0, 1, 55]]), 3),
            "scatter_add",
            "55",
        ),
        (Tensor::from([33]).one_hot(3), "one_hot", "33"),
        (
            x.cross_entropy(&Tensor::from([0, 44])),
            "cross_entropy",
            "44",
        ),
    ];
    for (tensor, name, index) in cases {
        assert!(tensor.shape().is_ok());
        let text = match interpret(&[&tensor], &[], Precision::AsWritten) {
            Ok(value) => panic!("{name} gives {value:?}"),
            Err(error) => error.to_string(),
        };
        for word in [name, index, "errors.rs:"] {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
        let text = match tensor.eval() {
            Ok(value) => panic!("{name} gives {value:?}"),
            Err(error) => error.to_string(),
        };
        assert!(text.contains(index), "{name}: {text}");
    }
}

/// No step of a deep graph's life recurses: building, differentiating, evaluating, freeing.
#[test]
fn depth_does_not_matter() -> Result<()> {
    const DEPTH: usize = 100_000;
    let x = Tensor::from([0.5, -0.25]);
    let mut y = x.clone();
    for _ in 0..DEPTH {
        y = y.negate();
    }
    let loss = y.sum();
    let gradient = grad(&loss, &x);
    assert_eq!(y.to_vec::<f32>()?, [0.5, -0.25]);
    assert_eq!(gradient.to_vec::<f32>()?, [1.0, 1.0]);
    drop((x, y, loss, gradient));

    // A chain in which every link is used twice has 2^depth paths, and as many nodes as links.
    let x = Tensor::from([1.0]);
    let mut y = x.clone();
    for _ in 0..2_000 {
        y = (&y + &y) * 0.5;
    }
    assert_eq!(grad(&y.sum(), &x).to_vec::<f32>()?, [1.0]);
    Ok(())
}
