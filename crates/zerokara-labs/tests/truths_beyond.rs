//! What the labs beyond the book state, shown by the library alone.

use zerokara::{core::gradient_check::CheckOptions, prelude::*};

/// Convolutions 1x1 with the one weight `w`: a stack of `k` blocks `w x + x` is `(1 + w)^k x`, one without shortcuts
/// `w^k x`, and so are the gradients.
#[test]
fn a_residual_stack_multiplies_by_one_plus_the_weight() {
    let (w, depth) = (0.01f64, 100);
    let conv = || Conv2d::new(1, 1).bias(false).initializer(Initializer::Constant(w));
    let residual = (0..depth).fold(Sequential::new(), |s, _| {
        s.add(Residual::new(Sequential::new().add(conv())))
    });
    let plain = (0..depth).fold(Sequential::new(), |s, _| s.add(conv()));
    let x = Tensor::new([1, 1, 1, 2], [1.0f32, -2.0]);
    for (model, factor) in [(residual, (1.0 + w).powi(depth)), (plain, w.powi(depth))] {
        model.build(&x, 0).unwrap();
        let y = model.forward(&x, &mut Context::evaluate());
        let dx = grad(&y.sum(), &x).to_vec::<f32>().unwrap();
        let y = y.to_vec::<f32>().unwrap();
        let near = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-4 * factor.abs() + 1e-30;
        assert!(near(y[0], factor) && near(y[1], -2.0 * factor), "{y:?}, {factor}");
        assert!(dx.iter().all(|&d| near(d, factor)), "{dx:?}, {factor}");
    }
}

/// Before training: the norms of the filters' gradients, largest over smallest.
fn spread(shortcuts: bool, seed: u64) -> f64 {
    let conv = || Conv2d::new(8, 3).padding(1).bias(false);
    let mut model = Sequential::new().avg_pool2d(4).add(conv()).batch_norm2d().relu();
    for _ in 0..12 {
        let body =
            Sequential::new().add(conv()).batch_norm2d().relu().add(conv()).batch_norm2d();
        model = match shortcuts {
            true => model.add(Residual::new(body)).relu(),
            false => model.add(body).relu(),
        };
    }
    let model = model.global_avg_pool2d().linear(10);
    let train = Mnist::load().unwrap().train;
    let batch = Loader::new(&train, 100).unwrap().batch(seed as usize).unwrap();
    let x = Tensor::new(batch.shape, batch.images);
    model.build(&x, seed).unwrap();
    let scores = model.forward(&x, &mut Context::train(seed));
    let loss = scores.cross_entropy(&Tensor::from(batch.labels)).mean();
    let parameters = model.parameters().unwrap();
    let filters: Vec<Tensor> =
        parameters.iter().filter(|p| p.meta().rank() == 4).map(Parameter::tensor).collect();
    let all = gradients(&loss, &filters.iter().collect::<Vec<_>>());
    let norms: Vec<f64> =
        all.iter().map(|g| g.square().sum().sqrt().item().unwrap()).collect();
    let most = norms.iter().copied().fold(0.0, f64::max);
    most / norms.iter().copied().fold(f64::INFINITY, f64::min)
}

#[test]
fn shortcuts_keep_gradients_of_one_size_through_24_layers() {
    for seed in 0..3 {
        let (plain, residual) = (spread(false, seed), spread(true, seed));
        assert!(residual < plain, "seed {seed}: plain {plain}, residual {residual}");
    }
}

/// The two largest eigenvalues of the covariance of the first 5,000 training images, by orthogonal iteration as in the
/// lab, against NumPy (`numpy.linalg.eigvalsh(numpy.cov(x.T, bias=True))`, x / 255 in f64).
#[test]
fn principal_components_have_numpys_variances() {
    let few = Mnist::load().unwrap().train.take(5_000);
    let batch = Loader::new(&few, few.len()).unwrap().batch(0).unwrap();
    let rows = Tensor::new(batch.shape, batch.images).reshape([0, -1]);
    let centred = &rows - rows.mean_axes(&[0], true);
    let covariance = Tensor::from((centred.t().matmul(&centred) / 5_000.0).eval().unwrap());
    let mut axes = Tensor::normal(1, &Tensor::scalar(0.0, DType::I64), [784, 2]);
    for _ in 0..50 {
        let moved = covariance.matmul(&axes);
        let (a, b) = (moved.narrow(1, 0, 1), moved.narrow(1, 1, 1));
        let a = &a / a.square().sum().sqrt();
        let b = &b - &a * (&a * &b).sum();
        let b = &b / b.square().sum().sqrt();
        axes = Tensor::from(Tensor::concat(&[&a, &b], 1).eval().unwrap());
    }
    let variances = (axes.t().matmul(&covariance).matmul(&axes)).to_vec::<f32>().unwrap();
    for (ours, numpys) in [(variances[0], 5.194_342), (variances[3], 3.897_794)] {
        assert!((f64::from(ours) / numpys - 1.0).abs() < 1e-4, "{ours} {numpys}");
    }
}

/// The gradient by the pixels agrees with central differences in f64.
#[test]
fn the_gradient_by_the_image_is_right() {
    let model = models::SimpleConvNet::new(10);
    let test = Mnist::load().unwrap().test;
    let batch = Loader::new(&test, 2).unwrap().batch(0).unwrap();
    let x = Tensor::new(batch.shape, batch.images);
    model.build(&x, 5).unwrap();
    let scores = model.forward(&x, &mut Context::evaluate());
    let scores = &scores - scores.mean_axes(&[1], true);
    let score = scores.narrow(1, 3, 1).sum();
    let report = gradient_check(&score, &[&x], &CheckOptions::default()).unwrap();
    assert!(report.agrees(1e-5), "{report}");
}

/// For a linear score, what covering a part takes from it is the sum of gradient times change, exactly.
#[test]
fn gradient_and_occlusion_are_the_same_for_a_linear_network() {
    let model = Sequential::new().flatten().linear(10);
    let x = Tensor::uniform(7, &Tensor::scalar(0.0, DType::I64), [1, 1, 28, 28]);
    model.build(&x, 2).unwrap();
    let score =
        |x: &Tensor| model.forward(x, &mut Context::evaluate()).narrow(1, 4, 1).sum();
    let gradient = grad(&score(&x), &x).to_vec::<f32>().unwrap();
    let image = x.to_vec::<f32>().unwrap();
    let whole = score(&x).item().unwrap();
    for corner in [0, 300, 615] {
        let mut covered = image.clone();
        let mut foretold = 0.0;
        for pixel in (0..5).flat_map(|row| (0..5).map(move |c| corner + row * 28 + c)) {
            foretold += f64::from(gradient[pixel] * (image[pixel] - 0.25));
            covered[pixel] = 0.25;
        }
        let lost = whole - score(&Tensor::new([1, 1, 28, 28], covered)).item().unwrap();
        assert!((lost - foretold).abs() < 1e-4, "{lost} {foretold}");
    }
}

fn two_layers(hidden: usize) -> Sequential {
    Sequential::new().flatten().linear(hidden).relu().linear(10)
}

/// The order of hidden neurons, and a factor that one side of a ReLU takes from the other, change no score.
#[test]
fn neurons_have_neither_an_order_nor_a_scale() {
    let model = two_layers(20);
    let x = Tensor::uniform(3, &Tensor::scalar(0.0, DType::I64), [5, 1, 28, 28]);
    model.build(&x, 9).unwrap();
    let scores = || model.forward(&x, &mut Context::evaluate()).to_vec::<f32>().unwrap();
    let before = scores();
    let order = Tensor::from((0..20i64).map(|i| (i * 7 + 3) % 20).collect::<Vec<_>>());
    let parameters = model.parameters().unwrap();
    for (parameter, axis) in parameters.iter().zip([0, 0, 1]) {
        parameter.set(&parameter.tensor().index_select(axis, &order)).unwrap();
    }
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close(&scores(), &before));
    for (parameter, factor) in parameters.iter().zip([2.0, 2.0, 0.5]) {
        parameter.set(&(parameter.tensor() * factor)).unwrap();
    }
    assert!(close(&scores(), &before));
}

/// Two networks from two seeds: halfway between their parameters the loss is higher than at both.
#[test]
fn between_two_solutions_the_loss_is_higher() {
    let mut mnist = Mnist::load().unwrap();
    (mnist.train, mnist.test) = (mnist.train.take(500), mnist.test.take(100));
    let train = |seed: u64| {
        let run = Trainer::new(two_layers(20), SoftmaxCrossEntropy::new())
            .optimizer(Adam::new(5e-3))
            .epochs(8)
            .seed(seed)
            .catch_interrupts(false)
            .quiet()
            .fit(&mnist)
            .unwrap();
        run.model().clone()
    };
    for seed in [0, 10, 20] {
        let ends = [train(seed), train(seed + 1)];
        let loss = |model: &SavedModel| model.evaluate(&mnist.train).unwrap().loss;
        let losses = [loss(&ends[0]), loss(&ends[1])];
        let [a, b] = [&ends[0], &ends[1]].map(|model| model.module().parameters().unwrap());
        for (a, b) in a.iter().zip(&b) {
            a.set(&((a.tensor() + b.tensor()) * 0.5)).unwrap();
        }
        let middle = loss(&ends[0]);
        assert!(losses.iter().all(|&end| end < middle), "seed {seed}: {losses:?} {middle}");
    }
}
