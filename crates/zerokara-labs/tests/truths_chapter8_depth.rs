//! What the labs on depth and half precision (chapter 8) state, through the library alone. Expected numbers are closed
//! forms, or PyTorch's (`conv2d`, `bfloat16()`, `half()`).

use zerokara::core::op::ConvOptions;
use zerokara::prelude::*;

fn plain(x: &Tensor, w: &Tensor) -> Tensor {
    x.conv2d(w, ConvOptions::default())
}

/// Which input pixels the middle output of `count` filters of this side depends on: the side of their square.
fn field(side: usize, count: usize) -> usize {
    let x = Tensor::zeros([1, 1, 15, 15]);
    let w = Tensor::ones([1, 1, side, side]);
    let options = ConvOptions { padding: [side / 2; 2].into(), ..Default::default() };
    let y = (0..count).fold(x.clone(), |y, _| y.conv2d(&w, options));
    let seen = grad(&y.narrow(2, 7, 1).narrow(3, 7, 1).sum(), &x).to_vec::<f32>().unwrap();
    let rows: Vec<usize> = (0..225).filter(|&i| seen[i] != 0.0).map(|i| i / 15).collect();
    rows[rows.len() - 1] - rows[0] + 1
}

#[test]
fn small_filters_see_what_a_large_one_sees() {
    assert_eq!([field(5, 1), field(3, 2)], [5, 5]);
    assert_eq!([field(7, 1), field(3, 3)], [7, 7]);
}

#[test]
fn small_filters_have_fewer_weights_and_flops() {
    let cost = |side: usize, count: usize| {
        let layers = (0..count).fold(Sequential::new(), |layers, _| {
            layers.add(Conv2d::new(8, side).padding(side / 2).bias(false))
        });
        let sample = Tensor::zeros([1, 8, 14, 14]);
        layers.build(&sample, 0).unwrap();
        let summary = Summary::of(&layers, &sample).unwrap();
        (summary.parameters(), summary.flops())
    };
    for (side, count, weights) in [(5, 1, 25), (3, 2, 18), (7, 1, 49), (3, 3, 27)] {
        // For each of 8 · 8 pairs of channels; a product and a sum for each weight at each of 14 · 14 places.
        assert_eq!(cost(side, count), (weights * 64, 2 * weights as u64 * 64 * 196));
    }
}

#[test]
fn without_an_activation_two_convolutions_are_one() {
    let count = |modulus: i32, minus: i32| -> Vec<f32> {
        (0..27).map(|i| (i % modulus - minus) as f32).collect()
    };
    let first = Tensor::new([3, 1, 3, 3], count(5, 2));
    let second = Tensor::new([1, 3, 3, 3], count(4, 1));
    let mut impulse = vec![0.0f32; 81];
    impulse[40] = 1.0;
    let y = plain(&plain(&Tensor::new([1, 1, 9, 9], impulse), &first), &second);
    #[rustfmt::skip]
    let expected = [
        -2., 0., 6., 0., -7., 1., -15., 4., 10., 2., 4., 6., -21., -12., 6., -4., 8., 14., -1., -8., 0., -12., 1., 7., 3.,
    ];
    assert_eq!(y.to_vec::<f32>().unwrap(), expected);
    // The answer to an impulse, turned around, is the filter that does both.
    let merged = y.flip(&[2, 3]);
    let x = Tensor::normal(1, &Tensor::from(0), [2, 1, 12, 12]);
    let apart = |a: Tensor, b: Tensor| (a - b).abs().max().item().unwrap();
    assert!(apart(plain(&plain(&x, &first), &second), plain(&x, &merged)) < 1e-3);
    assert!(apart(plain(&plain(&x, &first).relu(), &second), plain(&x, &merged)) > 1.0);
}

/// Rounding to so many bits of fraction with 32-bit arithmetic alone, as the lab's layer does it.
fn split(x: &Tensor, fraction: i32) -> Vec<f32> {
    let large = x * (2f64.powi(23 - fraction) + 1.0);
    (&large - (&large - x)).to_vec::<f32>().unwrap()
}

#[test]
fn veltkamps_splitting_rounds_as_pytorch_does() {
    let numbers: [f64; 7] = [
        0.1,
        1.0 / 3.0,
        std::f64::consts::PI,
        1e-5,
        70000.0,
        -std::f64::consts::E,
        1.01171875,
    ];
    let x = Tensor::from(numbers.map(|v| v as f32));
    let bf16 =
        [0.100_097_656, 0.333_984_38, 3.140625, 1.001_358e-5, 70144.0, -2.71875, 1.015625];
    assert_eq!(split(&x, 7), bf16);
    // Without 1e-5 and 70000, which lie outside of the normal numbers of f16.
    let f16 = [0.099_975_586, 0.333_251_95, 3.140625, -2.71875, 1.011_718_8];
    let rounded = split(&x, 10);
    assert_eq!([rounded[0], rounded[1], rounded[2], rounded[5], rounded[6]], f16);
}
