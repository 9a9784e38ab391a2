//! What the labs of chapter 5 state, through the library.

use zerokara::prelude::*;

fn number(value: f64) -> Tensor {
    Tensor::scalar(value, DType::F64)
}

fn values(x: &Tensor) -> Vec<f64> {
    x.cast(DType::F64).to_vec::<f64>().unwrap()
}

fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

fn normal(key: u64, shape: [usize; 2]) -> Tensor {
    let drawn = Tensor::normal(key, &Tensor::from(0), shape).cast(DType::F64);
    Tensor::from(drawn.eval().unwrap())
}

#[test]
fn apples_and_oranges() {
    let [apple, apples, orange, oranges, tax] = [100.0, 2.0, 150.0, 3.0, 1.1].map(number);
    let price = (&apple * &apples + &orange * &oranges) * &tax;
    assert!((price.item().unwrap() - 715.0).abs() < 1e-9);
    let wrt = [&apple, &apples, &orange, &oranges, &tax];
    let slopes: Vec<f64> =
        gradients(&price, &wrt).iter().map(|slope| slope.item().unwrap()).collect();
    assert!(near(&slopes, &[2.2, 110.0, 3.3, 165.0, 650.0], 1e-9), "{slopes:?}");
    let two = &apple * &apples * &tax;
    assert!((two.item().unwrap() - 220.0).abs() < 1e-9);
    assert!((grad(&two, &apple).item().unwrap() - 2.2).abs() < 1e-12);
    assert!((grad(&two, &tax).item().unwrap() - 200.0).abs() < 1e-12);
}

#[test]
fn the_chain_rule() {
    let (x, y) = (number(2.0), number(3.0));
    let t = &x + &y;
    let z = t.square();
    let slopes = [grad(&z, &t), grad(&t, &x), grad(&z, &x), grad(&z, &y)];
    let slopes = slopes.map(|slope| slope.item().unwrap());
    assert_eq!(slopes, [10.0, 1.0, 10.0, 10.0]);
    let apart = &x * &x + &x * &y * 2.0 + &y * &y;
    assert_eq!(grad(&apart, &x).item().unwrap(), 10.0);
}

#[test]
fn the_relu_mask() {
    let x = Tensor::from([[1.0, -0.5], [-2.0, 3.0]]);
    let dout = Tensor::from([[10.0, 20.0], [30.0, 40.0]]);
    let dx = grad(&(x.relu() * &dout).sum(), &x);
    assert_eq!(values(&dx), [10.0, 0.0, 0.0, 40.0]);
    // The book's mask is true where x ≤ 0 (page 142).
    let mask = x.greater(&x.zeros_like()).logical_not();
    assert_eq!(values(&mask.cast(DType::F32)), [0.0, 1.0, 1.0, 0.0]);
    // `x[mask]`, `x[mask] = 0`, `dout[mask] = 0`.
    assert_eq!(values(&x.masked_select(&mask)), [-0.5, -2.0]);
    assert_eq!(values(&x.masked_fill(&mask, 0.0)), [1.0, 0.0, 0.0, 3.0]);
    assert_eq!(values(&dout.masked_fill(&mask, 0.0)), [10.0, 0.0, 0.0, 40.0]);
}

#[test]
fn sigmoid_node_by_node() {
    let [x, minus_one, one] = [1.0, -1.0, 1.0].map(number);
    let turned = &x * &minus_one;
    let power = turned.exp();
    let sum = &power + &one;
    let y = sum.reciprocal();
    let e = (-1.0_f64).exp();
    let expected = 1.0 / (1.0 + e);
    let forward = [&turned, &power, &sum, &y].map(|value| value.item().unwrap());
    assert!(near(&forward, &[-1.0, e, 1.0 + e, expected], 1e-15), "{forward:?}");
    let back = gradients(&y, &[&sum, &power, &turned, &x]);
    let back: Vec<f64> = back.iter().map(|slope| slope.item().unwrap()).collect();
    let square = -1.0 / (1.0 + e).powi(2);
    assert!(near(&back, &[square, square, square * e, -square * e], 1e-15), "{back:?}");
    // The sigmoid as one operation, and y (1 − y).
    assert!((y.item().unwrap() - x.sigmoid().item().unwrap()).abs() < 1e-15);
    assert!((back[3] - expected * (1.0 - expected)).abs() < 1e-15);
}

#[test]
fn the_limit_that_is_e() {
    let e = std::f64::consts::E;
    for k in 1..7 {
        let x = 10_f64.powi(-k);
        let power = (number(1.0 + x).log() / x).exp().item().unwrap();
        // ln (1 + x) / x = 1 − x/2 + x²/3 − ..
        let series = e * (1.0 - x / 2.0 + 11.0 / 24.0 * x * x - 7.0 / 16.0 * x.powi(3));
        assert!(
            (power - series).abs() < 2.0 * x.powi(4) + 1e-15 / x,
            "{x}: {power}, not {series}"
        );
    }
}

#[test]
fn the_sigmoid_s_backward() {
    let (x, dout) = (normal(1, [4, 6]), normal(2, [4, 6]));
    let dx = values(&grad(&(x.sigmoid() * &dout).sum(), &x));
    let expected: Vec<f64> = values(&x)
        .iter()
        .zip(values(&dout))
        .map(|(x, dout)| {
            let y = 1.0 / (1.0 + (-x).exp());
            dout * y * (1.0 - y)
        })
        .collect();
    assert!(near(&dx, &expected, 1e-14));
    let zero = number(0.0);
    assert_eq!(grad(&zero.sigmoid(), &zero).item().unwrap(), 0.25);
}

#[test]
fn the_affine_layer_s_backward() {
    let (x, w, dout) = (normal(3, [4, 5]), normal(4, [5, 3]), normal(5, [4, 3]));
    let b = Tensor::new([3], [0.1, 0.2, 0.3]);
    let found = gradients(&((x.matmul(&w) + &b) * &dout).sum(), &[&x, &w, &b]);
    let (xs, ws, ds) = (values(&x), values(&w), values(&dout));
    // Sums in plain Rust: dY Wᵀ, Xᵀ dY, and the sum of dY over the batch.
    let sum = |count: usize, f: &dyn Fn(usize) -> f64| (0..count).map(f).sum::<f64>();
    let mut dx = Vec::new();
    for (n, i) in (0..4).flat_map(|n| (0..5).map(move |i| (n, i))) {
        dx.push(sum(3, &|o| ds[n * 3 + o] * ws[i * 3 + o]));
    }
    let mut dw = Vec::new();
    for (i, o) in (0..5).flat_map(|i| (0..3).map(move |o| (i, o))) {
        dw.push(sum(4, &|n| xs[n * 5 + i] * ds[n * 3 + o]));
    }
    let db: Vec<f64> = (0..3).map(|o| sum(4, &|n| ds[n * 3 + o])).collect();
    for (found, expected) in found.iter().zip([dx, dw, db]) {
        assert!(near(&values(found), &expected, 1e-13));
    }
}

#[test]
fn softmax_with_loss_hands_back_y_minus_t() {
    let a = normal(6, [5, 10]);
    let labels = [0_i64, 3, 9, 3, 1];
    let da = values(&grad(&a.cross_entropy(&Tensor::from(labels)).mean(), &a));
    let mut expected = Vec::new();
    for (row, label) in values(&a).chunks(10).zip(labels) {
        let sum: f64 = row.iter().map(|a| a.exp()).sum();
        let hit = |class: usize| if class == label as usize { 1.0 } else { 0.0 };
        expected.extend(
            row.iter().enumerate().map(|(class, a)| (a.exp() / sum - hit(class)) / 5.0),
        );
    }
    assert!(near(&da, &expected, 1e-14));
}

#[test]
fn gradients_of_two_layer_net() {
    let mnist = Mnist::load().unwrap();
    let batch = Loader::new(&mnist.train, 3).unwrap().batch(0).unwrap();
    let images = Tensor::new(batch.shape.clone(), &batch.images);
    let model = models::TwoLayerNet::new(50, 10);
    model.build(&images, 0).unwrap();
    let scores = model.forward(&images, &mut Context::train(0));
    let loss = SoftmaxCrossEntropy::new().loss(&scores, &Tensor::from(batch.labels));
    let parameters: Vec<Tensor> =
        model.parameters().unwrap().iter().map(|parameter| parameter.tensor()).collect();
    assert_eq!(model.parameter_count().unwrap(), 784 * 50 + 50 + 50 * 10 + 10);
    let options = zerokara::core::gradient_check::CheckOptions::default();
    let report =
        gradient_check(&loss, &parameters.iter().collect::<Vec<_>>(), &options).unwrap();
    assert!(report.agrees(1e-6), "{report}");
    assert_eq!(report.rows.len(), 4);
}
