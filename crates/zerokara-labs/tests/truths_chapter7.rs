//! What the labs of chapter 7 state, through the library alone. Expected numbers are the book's, closed forms, or
//! PyTorch's (`torch.nn.functional.conv2d` in float32; all values are whole numbers, so they are exact).

use zerokara::core::op::{ConvOptions, PoolOptions};
use zerokara::prelude::*;

fn conv(stride: usize, padding: usize) -> ConvOptions {
    ConvOptions { stride: [stride; 2], padding: [padding; 2].into(), ..Default::default() }
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_vec::<f32>().unwrap()
}

fn normal(key: u64, shape: impl Into<Vec<usize>>) -> Tensor {
    Tensor::normal(key, &Tensor::from(0), shape)
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().item().unwrap()
}

fn book_input() -> Tensor {
    Tensor::from([[[
        [1.0, 2.0, 3.0, 0.0],
        [0.0, 1.0, 2.0, 3.0],
        [3.0, 0.0, 1.0, 2.0],
        [2.0, 3.0, 0.0, 1.0],
    ]]])
}

fn book_filter() -> Tensor {
    Tensor::from([[[[2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 0.0, 2.0]]]])
}

#[test]
fn the_books_convolutions() {
    let (x, w) = (book_input(), book_filter());
    assert_eq!(numbers(&x.conv2d(&w, conv(1, 0))), [15.0, 16.0, 6.0, 15.0]);
    assert_eq!(numbers(&(x.conv2d(&w, conv(1, 0)) + 3.0)), [18.0, 19.0, 9.0, 18.0]);
    assert_eq!(
        numbers(&x.conv2d(&w, conv(1, 1))),
        [7., 12., 10., 2., 4., 15., 16., 10., 10., 6., 15., 6., 8., 10., 4., 3.]
    );
    let flipped = x.conv2d(&w.flip(&[2, 3]), conv(1, 0));
    assert_eq!(numbers(&flipped), [11.0, 12.0, 10.0, 11.0]);
    // Seven rows that begin with 1, 0, 3, 2, .. and count on modulo 4.
    let wide: Vec<f32> = (0..49).map(|i| (1 + i % 7 + 3 * (i / 7)) as f32 % 4.0).collect();
    let strided = Tensor::new([1, 1, 7, 7], wide).conv2d(&w, conv(2, 0));
    assert_eq!(numbers(&strided), [15., 17., 15., 17., 15., 17., 15., 17., 15.]);
}

#[test]
fn three_channels_two_filters_stride_and_padding() {
    let count = |n: i32, modulus: i32, minus: i32| -> Vec<f32> {
        (0..n).map(|i| (i % modulus - minus) as f32).collect()
    };
    let x = Tensor::new([2, 3, 7, 7], count(294, 11, 5));
    let w = Tensor::new([2, 3, 3, 3], count(54, 7, 3));
    let y = x.conv2d(&w, conv(2, 1));
    assert_eq!(y.shape().unwrap(), [2, 2, 4, 4]);
    #[rustfmt::skip]
    let expected = [
        -24., 24., 51., -12., 9., 37., -24., -33., 20., -16., -44., -1., -5., -35., 7., 27.,
        4., 38., 27., -27., 64., -22., -15., -46., -25., -61., -43., 50., -18., -17., 9., 20.,
        19., 1., -27., -27., 9., -30., -25., 28., -24., -17., 43., 16., -4., 16., 25., -3.,
        22., -39., -50., -12., -18., -52., 10., 27., -19., 52., 81., -9., 29., 35., 6., -24.,
    ];
    assert_eq!(numbers(&y), expected);
    let one = |c| x.narrow(1, c, 1).conv2d(&w.narrow(1, c, 1), conv(2, 1));
    assert_eq!(distance(&(one(0) + one(1) + one(2)), &y), 0.0);
}

#[test]
fn output_sizes_follow_the_formula_rounded_down() {
    for (input, filter) in [(4, 3), (7, 3), (28, 5), (31, 5), (10, 3), (9, 4)] {
        for padding in 0..3 {
            for stride in 1..4 {
                let x = Tensor::zeros([1, 1, input, input + 1]);
                let y =
                    x.conv2d(&Tensor::zeros([1, 1, filter, filter]), conv(stride, padding));
                let formula = |length: usize| {
                    (length + 2 * padding - filter) as f64 / stride as f64 + 1.0
                };
                let expected = [
                    1,
                    1,
                    formula(input).floor() as usize,
                    formula(input + 1).floor() as usize,
                ];
                assert_eq!(y.shape().unwrap(), expected);
            }
        }
    }
    assert!(Tensor::zeros([1, 1, 2, 2]).conv2d(&book_filter(), conv(1, 0)).eval().is_err());
}

#[test]
fn the_books_pooling_and_its_gradient() {
    let x = Tensor::from([[[
        [1.0, 2.0, 1.0, 0.0],
        [0.0, 1.0, 2.0, 3.0],
        [3.0, 0.0, 1.0, 2.0],
        [2.0, 4.0, 0.0, 1.0],
    ]]]);
    let two = PoolOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0].into() };
    let y = x.max_pool2d(two);
    assert_eq!(numbers(&y), [2.0, 3.0, 4.0, 2.0]);
    assert_eq!(numbers(&x.avg_pool2d(two, true)), [1.0, 1.5, 2.25, 1.0]);
    let from_above = Tensor::from([[[[10.0, 20.0], [30.0, 40.0]]]]);
    let expected = [0., 10., 0., 0., 0., 0., 0., 20., 0., 0., 0., 40., 0., 30., 0., 0.];
    assert_eq!(numbers(&grad(&(&y * &from_above).sum(), &x)), expected);
}

#[test]
fn im2col_has_the_books_shapes_and_makes_the_convolution_a_product() {
    for n in [1, 10] {
        let images = normal(n as u64, [n, 3, 7, 7]);
        let col = images.im2col([5, 5], [1, 1], [0, 0], [1, 1]);
        assert_eq!(col.shape().unwrap(), [9 * n, 75]);
        let w = normal(100 + n as u64, [4, 3, 5, 5]);
        let product = col.matmul(&w.reshape([4, -1]).t());
        let y = product.reshape([n as i64, 3, 3, 4]).permute([0, 3, 1, 2]);
        assert!(distance(&y, &images.conv2d(&w, conv(1, 0))) < 1e-4);
    }
    let x = Tensor::new([1, 1, 3, 3], (1..=9).map(|n| n as f32).collect::<Vec<_>>());
    let col = x.im2col([2, 2], [1, 1], [0, 0], [1, 1]);
    let windows = [1., 2., 4., 5., 2., 3., 5., 6., 4., 5., 7., 8., 5., 6., 8., 9.];
    assert_eq!(numbers(&col), windows);
    // Each pixel comes back once for each window that holds it.
    let counts = Tensor::ones([4, 4]).col2im([1, 1, 3, 3], [2, 2], [1, 1], [0, 0], [1, 1]);
    assert_eq!(numbers(&counts), [1., 2., 1., 2., 4., 2., 1., 2., 1.]);
}

#[test]
fn an_affine_layer_does_not_notice_a_shuffle_of_pixels() {
    let (x, w) = (normal(1, [5, 12]), normal(2, [12, 3]));
    let order = Tensor::from([7_i64, 2, 11, 0, 5, 9, 1, 3, 10, 4, 8, 6]);
    let shuffled = x.index_select(1, &order).matmul(&w.index_select(0, &order));
    assert!(distance(&shuffled, &x.matmul(&w)) < 1e-5);
    // A convolution does: no shuffle of its weights undoes one of the pixels.
    let image = Tensor::new([1, 1, 1, 3], [1.0f32, 0.0, 0.0]);
    let moved = Tensor::new([1, 1, 1, 3], [0.0f32, 1.0, 0.0]);
    let filter = Tensor::new([1, 1, 1, 2], [1.0f32, 2.0]);
    assert_eq!(numbers(&image.conv2d(&filter, conv(1, 0))), [1.0, 0.0]);
    assert_eq!(numbers(&moved.conv2d(&filter, conv(1, 0))), [2.0, 1.0]);
}

#[test]
fn a_convolution_moves_with_its_image() {
    let (x, w) = (normal(3, [1, 2, 20, 20]), normal(4, [3, 2, 5, 5]));
    let y = x.conv2d(&w, conv(1, 0));
    let moved = x.narrow(2, 3, 17).narrow(3, 6, 14).conv2d(&w, conv(1, 0));
    assert!(distance(&moved, &y.narrow(2, 3, 13).narrow(3, 6, 10)) < 1e-4);
}

#[test]
fn simple_convnets_gradient_is_its_layers_gradients_in_reverse() {
    let network = models::SimpleConvNet::new(10);
    let (x, t) = (normal(5, [4, 1, 28, 28]), Tensor::from([3_i64, 1, 4, 1]));
    network.build(&x, 0).unwrap();
    assert_eq!(network.parameter_count().unwrap(), 433_890);
    let parameters: Vec<Tensor> =
        network.parameters().unwrap().iter().map(Parameter::tensor).collect();
    let [w1, b1, w2, b2, w3, b3] = &parameters[..] else { panic!("six parameters") };
    let scores = network.forward(&x, &mut Context::evaluate());
    let whole =
        gradients(&scores.cross_entropy(&t).mean(), &parameters.iter().collect::<Vec<_>>());

    let pool = PoolOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0].into() };
    let a1 = x.conv2d(w1, conv(1, 0)) + b1.reshape([-1, 1, 1]);
    let z1 = a1.relu();
    let p1 = z1.max_pool2d(pool);
    let flat = p1.reshape([4, -1]);
    let a2 = flat.matmul(&w2.t()) + b2;
    let z2 = a2.relu();
    let y = z2.matmul(&w3.t()) + b3;
    assert!(distance(&y, &scores) < 1e-4);
    // The book's backward methods: (y − t) / N, dx = dout Wᵀ, dW = xᵀ dout, the mask of ReLU.
    let d3 = (y.softmax() - t.one_hot(10).cast(DType::F32)) / 4.0;
    let d2 = d3.matmul(w3) * a2.step();
    let dp = d2.matmul(w2).reshape([4, 30, 12, 12]);
    let dz = grad(&(&p1 * Tensor::from(dp.eval().unwrap())).sum(), &z1);
    let d1 = dz * a1.step();
    let col = x.im2col([5, 5], [1, 1], [0, 0], [1, 1]);
    let rows = d1.permute([0, 2, 3, 1]).reshape([-1, 30]);
    let by_layers = [
        rows.t().matmul(&col).reshape([30, 1, 5, 5]),
        d1.sum_axes(&[0, 2, 3], false),
        d2.t().matmul(&flat),
        d2.sum_axes(&[0], false),
        d3.t().matmul(&z2),
        d3.sum_axes(&[0], false),
    ];
    for (a, b) in whole.iter().zip(&by_layers) {
        let scale = a.abs().max().item().unwrap();
        assert!(distance(a, b) < 1e-4 * scale, "{:?}", a.shape());
    }
}
