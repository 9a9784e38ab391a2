//! What the labs of chapter 4 state, through the library.

use zerokara::{
    core::gradient_check::{Difference, NumericalGradient},
    prelude::*,
};

fn doubles<const N: usize>(values: [f64; N]) -> Tensor {
    Tensor::new([N], values)
}

fn values(x: &Tensor) -> Vec<f64> {
    x.cast(DType::F64).to_vec::<f64>().unwrap()
}

fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// The book's outputs on page 88, for which class 2 is right.
const OUTPUTS: [f64; 10] = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0];

#[test]
fn the_book_s_losses() {
    let y = doubles(OUTPUTS);
    let t = Tensor::from([2]).one_hot(10).cast(DType::F64).reshape([10]);
    let squared = |y: &Tensor| ((y - &t).square().sum() * 0.5).item().unwrap();
    // Page 89.
    assert!((squared(&y) - 0.0975).abs() < 1e-12);
    let mut other = OUTPUTS;
    other.swap(2, 7);
    assert!((squared(&doubles(other)) - 0.5975).abs() < 1e-12);
    let entropy = |delta: f64| -(&t * (&y + delta).log()).sum();
    // Page 90 prints 0.51082545709933802; without the 1e-7 it is −ln 0.6.
    let shifted = entropy(1e-7).item().unwrap();
    assert!((shifted - 0.510_825_457_099_338).abs() < 1e-15);
    assert!((y.at(0, 2).log().item().unwrap() + 0.510_825_623_765_990_7).abs() < 1e-15);
    // Page 94: divided by 10 classes instead of one sample, and by one sample; all digits, as Python prints them.
    assert_eq!((shifted / y.shape().unwrap()[0] as f64).to_string(), "0.0510825457099338");
    assert_eq!(shifted.to_string(), "0.510825457099338");
}

#[test]
fn forms_of_cross_entropy_agree() {
    let scores = Tensor::normal(7, &Tensor::from(0), [6, 10]).cast(DType::F64);
    let scores = Tensor::from(scores.eval().unwrap());
    let labels = [3_i64, 0, 9, 3, 5, 1];
    let t = Tensor::from(labels);
    // In plain Rust, one sample after another.
    let expected: f64 = values(&scores)
        .chunks(10)
        .zip(labels)
        .map(|(a, label)| {
            let sum: f64 = a.iter().map(|a| a.exp()).sum();
            sum.ln() - a[label as usize]
        })
        .sum::<f64>()
        / 6.0;
    let one_hot = t.one_hot(10).cast(DType::F64);
    let y = scores.softmax();
    for loss in [
        scores.cross_entropy(&t).mean(),
        scores.cross_entropy(&one_hot).mean(),
        -(&one_hot * y.log()).sum() / 6.0,
        -y.log().gather(1, &t.unsqueeze(1)).sum() / 6.0,
    ] {
        assert!((loss.item().unwrap() - expected).abs() < 1e-13);
    }
}

#[test]
fn mini_batches_are_rows_by_index() {
    let mnist = Mnist::load().unwrap();
    let batch = Loader::new(&mnist.train, 100).unwrap().random_batch(3, 5).unwrap();
    assert_eq!(batch.indices, mnist.train.random_indices(100, 3, 5));
    for (row, &index) in batch.indices.iter().enumerate() {
        assert_eq!(batch.labels[row], mnist.train.labels()[index]);
        let stored = mnist.train.bytes(index).unwrap();
        let pixels = &batch.images[row * 784..(row + 1) * 784];
        assert!(pixels.iter().zip(stored).all(|(p, &b)| *p == f32::from(b) / 255.0));
    }
    // Drawn with replacement, an epoch meets 1 − 1/e of the images; in shuffled order all.
    let split = mnist.train.take(10_000);
    let mut seen = vec![false; 10_000];
    (0..100).for_each(|draw| {
        split.random_indices(100, 1, draw).into_iter().for_each(|i| seen[i] = true);
    });
    let share = seen.iter().filter(|&&seen| seen).count() as f64 / 1e4;
    assert!((share - (1.0 - (-1.0_f64).exp())).abs() < 0.02, "{share}");
    let loader = Loader::new(&split, 100).unwrap().shuffle(1);
    let mut order: Vec<usize> = loader.iter().flat_map(|batch| batch.indices).collect();
    order.sort_unstable();
    assert!(order.into_iter().eq(0..10_000));
}

#[test]
fn the_logarithm_of_zero() {
    for lead in [20.0_f64, 60.0, 120.0] {
        let scores = Tensor::from([[lead as f32, 0.0]]);
        let t = Tensor::from([1]);
        let y = scores.softmax().at(1, 1);
        let exact = scores.cross_entropy(&t).sum();
        assert!((exact.item().unwrap() - lead).abs() < 1e-4);
        // p − t, with p of the wrong class 1 to rounding.
        assert!(near(&values(&grad(&exact, &scores)), &[1.0, -1.0], 1e-6));
        let shifted = -(&y + 1e-7).log().sum();
        assert!(shifted.item().unwrap() <= -(1e-7_f64.ln()) + 1e-5);
        // y (1 − y) / (y + 1e-7)
        let p = (-lead).exp() / (1.0 + (-lead).exp());
        let slope = p * (1.0 - p) / (p + 1e-7);
        assert!(near(&values(&grad(&shifted, &scores)), &[slope, -slope], 1e-5));
    }
    let y = Tensor::from([[120.0, 0.0]]).softmax().at(1, 1);
    assert!((-y.log()).sum().item().unwrap().is_infinite());
}

fn parabola(x: &Tensor) -> Tensor {
    (x.square() * 0.01 + x * 0.1).sum()
}

#[test]
fn a_step_of_1e_50() {
    let forward = NumericalGradient::new().difference(Difference::Forward).step(1e-50);
    let single = forward.clone().in_own_type().of(parabola, &Tensor::from([5.0])).unwrap();
    assert!(values(&single)[0].is_nan());
    let double = forward.of(parabola, &doubles([5.0])).unwrap();
    assert_eq!(values(&double), [0.0]);
}

#[test]
fn orders_of_differences() {
    let error = |difference, h| {
        let quotient = NumericalGradient::new().difference(difference).step(h);
        let slope = quotient.of(|x| x.sin().sum(), &doubles([1.0])).unwrap();
        values(&slope)[0] - 1.0_f64.cos()
    };
    // Taylor: −h/2 sin 1 and −h²/6 cos 1.
    let (forward, central) =
        (error(Difference::Forward, 1e-4), error(Difference::Central, 1e-3));
    assert!((forward / (-0.5e-4 * 1.0_f64.sin()) - 1.0).abs() < 1e-3);
    assert!((central / (-1e-6 / 6.0 * 1.0_f64.cos()) - 1.0).abs() < 1e-3);
}

#[test]
fn tangents_of_the_book_s_parabola() {
    let x = doubles([5.0, 10.0]);
    let slopes = values(&NumericalGradient::new().step(1e-4).of(parabola, &x).unwrap());
    assert!(near(&slopes, &[0.2, 0.3], 1e-10));
    assert!(near(&values(&grad(&parabola(&x), &x)), &[0.2, 0.3], 1e-15));
    // f(5) = 0.75 and f(10) = 2.
    let intercepts = [0.75 - 5.0 * slopes[0], 2.0 - 10.0 * slopes[1]];
    assert!(near(&intercepts, &[-0.25, -1.0], 1e-9));
}

#[test]
fn gradients_of_a_sum_of_squares() {
    let f = |x: &Tensor| x.square().sum();
    for (x, slope) in
        [([3.0, 4.0], [6.0, 8.0]), ([0.0, 2.0], [0.0, 4.0]), ([3.0, 0.0], [6.0, 0.0])]
    {
        let x = doubles(x);
        assert_eq!(values(&grad(&f(&x), &x)), slope);
        assert!(near(&values(&numerical_gradient(f, &x).unwrap()), &slope, 1e-8));
    }
}

#[test]
fn gradient_descent_follows_its_closed_form() {
    // Each step multiplies by 1 − 2η.
    for (rate, factor) in [(0.1, 0.8_f64), (10.0, -19.0), (1e-10, 1.0 - 2e-10)] {
        let mut x = doubles([-3.0, 4.0]);
        for _ in 0..100 {
            x = Tensor::from((&x - grad(&x.square().sum(), &x) * rate).eval().unwrap());
        }
        let scale = factor.powi(100);
        let found: Vec<f64> = values(&x).iter().map(|x| x / scale).collect();
        assert!(near(&found, &[-3.0, 4.0], 1e-11), "{rate}: {found:?}");
    }
}

#[test]
fn the_numerical_descent_of_page_107_ends_where_the_book_says() {
    let differences = NumericalGradient::new().step(1e-4);
    let mut x = vec![-3.0, 4.0];
    for _ in 0..100 {
        let at = Tensor::new([2], x.clone());
        let slope = values(&differences.of(|x| x.square().sum(), &at).unwrap());
        x = x.iter().zip(slope).map(|(x, d)| x - 10.0 * d).collect();
    }
    assert!(near(&[x[0] / 1e13, x[1] / 1e12], &[-2.58983747, -1.29524862], 1e-8), "{x:?}");
}

#[test]
fn the_gradient_of_page_111() {
    let x = Tensor::new([1, 2], [0.6, 0.9]);
    let w = [0.47355232, 0.9977393, 0.84668094, 0.85557411, 0.03563661, 0.69422093];
    let w = Tensor::new([2, 3], w);
    let t = Tensor::from([2]);
    let loss = |w: &Tensor| x.matmul(w).cross_entropy(&t).mean();
    assert!((loss(&w).item().unwrap() - 0.928_068_536_634_113).abs() < 1e-7);
    let printed = [0.21924763, 0.14356247, -0.36281009, 0.32887144, 0.2153437, -0.54421514];
    assert!(near(&values(&grad(&loss(&w), &w)), &printed, 1e-7));
    assert!(near(&values(&numerical_gradient(loss, &w).unwrap()), &printed, 1e-7));
}
