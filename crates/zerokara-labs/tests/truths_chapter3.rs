//! What chapter 3's labs state, through the library.

use zerokara::{core::gradient_check::NumericalGradient, prelude::*};

fn near(found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = found.eval().unwrap().to_f64s();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }
}

#[test]
fn step_sigmoid_and_relu() {
    let x = Tensor::from([-1.0, 1.0, 2.0]);
    assert_eq!(x.step().to_vec::<f32>().unwrap(), [0.0, 1.0, 1.0]);
    assert_eq!(Tensor::from([0.0]).step().to_vec::<f32>().unwrap(), [0.0]);
    // NumPy: 1 / (1 + np.exp(-x))
    near(&x.sigmoid(), &[0.268_941_421_37, 0.731_058_578_63, 0.880_797_077_98], 1e-7);
    near(&x.relu(), &[0.0, 1.0, 2.0], 0.0);
    near(&(x.sigmoid() + (-&x).sigmoid()), &[1.0; 3], 1e-6);
}

#[test]
fn a_neuron_fires_where_its_weighted_sum_is_positive() {
    let (w1, w2, b) = (0.5f32, 0.5f32, -0.7f64);
    for i in -10..=10 {
        for j in -10..=10 {
            let (x1, x2) = (i as f32 / 4.0, j as f32 / 4.0);
            let y =
                (Tensor::from([[x1, x2]]).matmul(&Tensor::from([[w1], [w2]])) + b).step();
            let expected = if b as f32 + w1 * x1 + w2 * x2 > 0.0 { 1.0 } else { 0.0 };
            assert_eq!(y.item().unwrap(), expected, "{x1} {x2}");
        }
    }
}

#[test]
fn the_slope_of_the_exponential_at_0_is_1() {
    let zero = Tensor::new([1], [0.0]);
    near(&numerical_gradient(|x| x.exp().sum(), &zero).unwrap(), &[1.0], 1e-9);
    near(&grad(&zero.exp().sum(), &zero), &[1.0], 0.0);
    // The slope of a^x at 0 is ln a.
    for base in [2.0f64, 3.0, 10.0] {
        let power = |x: &Tensor| (x * base.ln()).exp().sum();
        near(&numerical_gradient(power, &zero).unwrap(), &[base.ln()], 1e-8);
    }
    // The central difference of e^x at 0 is sinh(h) / h = 1 + h^2 / 6 + ..
    for h in [0.1f64, 0.01] {
        let found = NumericalGradient::new().step(h).of(|x| x.exp().sum(), &zero).unwrap();
        near(&found, &[h.sinh() / h], 1e-12);
    }
}

#[test]
fn slopes_of_activations() {
    let x = Tensor::new([5], [-3.0, -1.0, 0.0, 1.0, 3.0]);
    let y = x.sigmoid();
    let slope = grad(&y.sum(), &x);
    near(&(&slope - &y * (1.0 - &y)), &[0.0; 5], 1e-15);
    assert_eq!(slope.max().item().unwrap(), 0.25);
    near(&grad(&x.relu().sum(), &x), &[0.0, 0.0, 0.0, 1.0, 1.0], 0.0);
    near(&grad(&x.step().sum(), &x), &[0.0; 5], 0.0);
}

#[test]
fn products_of_matrices() {
    let w = Tensor::from([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]);
    // Letters: the coefficients of x1 and x2 in each output are its gradient.
    let x = Tensor::from([[1.0, 2.0]]);
    let y = x.matmul(&w);
    near(&y, &[5.0, 11.0, 17.0], 0.0);
    for (j, column) in [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].iter().enumerate() {
        near(&grad(&y.narrow(1, j, 1).sum(), &x), column, 0.0);
    }
    let (a, b) =
        (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[5.0, 6.0], [7.0, 8.0]]));
    near(&a.matmul(&b), &[19.0, 22.0, 43.0, 50.0], 0.0);
    near(&b.matmul(&a), &[23.0, 34.0, 31.0, 46.0], 0.0);
    assert_eq!(
        Tensor::zeros([2, 3]).matmul(&Tensor::zeros([3, 4])).shape().unwrap(),
        [2, 4]
    );
    let wrong = Tensor::zeros([2, 3]).matmul(&Tensor::zeros([2, 2]));
    assert!(wrong.shape().unwrap_err().to_string().contains("matmul"));
}

#[test]
fn the_books_network_of_three_layers() {
    let x = Tensor::from([[1.0, 0.5]]);
    let w1 = Tensor::from([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]);
    let w2 = Tensor::from([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]);
    let w3 = Tensor::from([[0.1, 0.3], [0.2, 0.4]]);
    let a1 = x.matmul(&w1) + Tensor::from([0.1, 0.2, 0.3]);
    let z1 = a1.sigmoid();
    let a2 = z1.matmul(&w2) + Tensor::from([0.1, 0.2]);
    let z2 = a2.sigmoid();
    let y = z2.matmul(&w3) + Tensor::from([0.1, 0.2]);
    // NumPy in double precision.
    near(&a1, &[0.3, 0.7, 1.1], 1e-6);
    near(&z1, &[0.574_442_52, 0.668_187_77, 0.750_260_11], 1e-6);
    near(&a2, &[0.516_159_84, 1.214_026_96], 1e-6);
    near(&z2, &[0.626_249_37, 0.771_010_7], 1e-6);
    near(&y, &[0.316_827_08, 0.696_279_09], 1e-6);
}

#[test]
fn layers_without_activations_are_one() {
    let normal =
        |draw: i64, shape: [usize; 2]| Tensor::normal(7, &Tensor::from(draw), shape);
    let (x, w1, w2) = (normal(0, [5, 4]), normal(1, [4, 4]), normal(2, [4, 4]));
    let one = x.matmul(&w1.matmul(&w2)).eval().unwrap().to_f64s();
    near(&x.matmul(&w1).matmul(&w2), &one, 1e-4);
    let rectified = x.matmul(&w1).relu().matmul(&w2).to_vec::<f32>().unwrap();
    assert!(rectified.iter().zip(&one).any(|(a, b)| (f64::from(*a) - b).abs() > 0.1));
}

#[test]
fn softmax_is_a_distribution_that_keeps_the_order() {
    let a = Tensor::from([0.3, 2.9, 4.0]);
    // NumPy: page 67's example.
    near(&a.softmax(), &[0.018_211_27, 0.245_191_81, 0.736_596_91], 1e-7);
    near(&(&a + 50.0).softmax(), &[0.018_211_27, 0.245_191_81, 0.736_596_91], 1e-6);
    let large = Tensor::from([1010.0, 1000.0, 990.0]);
    let naive = large.exp() / large.exp().sum();
    assert!(naive.to_vec::<f32>().unwrap().iter().all(|p| p.is_nan()));
    // NumPy: page 69's example.
    near(&large.softmax(), &[9.999_546_0e-1, 4.539_786_9e-5, 2.061_060_0e-9], 1e-7);
    assert_eq!(a.softmax().argmax(0).to_vec::<i64>().unwrap(), [2]);
}

#[test]
fn mnist_is_what_the_book_says() {
    let mnist = Mnist::load().unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
    assert_eq!(mnist.train.shape(), [1, 28, 28]);
    assert_eq!(mnist.train.labels()[..5], [5, 0, 4, 1, 9]);
    // torchvision: numbers of the digits 0 to 9 among the training images.
    let counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    for (digit, count) in counts.iter().enumerate() {
        let found = mnist.train.labels().iter().filter(|l| **l == digit as i64).count();
        assert_eq!(found, *count);
    }
    let batch = Loader::new(&mnist.train, 100).unwrap().batch(0).unwrap();
    let bytes = mnist.train.bytes(0).unwrap();
    assert!(
        batch.images[..784].iter().zip(bytes).all(|(x, b)| *x == f32::from(*b) / 255.0)
    );
    let one_hot = batch.one_hot(10).unwrap();
    assert_eq!(one_hot[..10], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let flat = batch.clone().flatten();
    assert_eq!(
        (batch.shape.as_slice(), flat.shape.as_slice()),
        (&[100, 1, 28, 28][..], &[100, 784][..])
    );
    assert_eq!(batch.images, flat.images);
    let normalization = Normalization::of(&mnist.train).unwrap();
    assert!((normalization.mean()[0] - 0.1307).abs() < 5e-5);
    assert!((normalization.std()[0] - 0.3081).abs() < 5e-5);
}

#[test]
fn batches_give_the_answers_of_single_images() {
    let mnist = Mnist::load().unwrap();
    let (train, test) = (mnist.train.take(500), mnist.test.take(200));
    let data =
        Dataset::new("some", train, test.clone(), (0..10).map(|c| c.to_string())).unwrap();
    let layers =
        models::MultiLayerNet::new(&[50, 100], 10).activation(Activation::Sigmoid).layers();
    let run = Trainer::new(layers, SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(3e-3))
        .epochs(2)
        .catch_interrupts(false)
        .quiet()
        .fit(&data)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.safetensors");
    run.model().save(&file).unwrap();
    let model = SavedModel::load(&file).unwrap();
    assert_eq!(model.module().parameter_count().unwrap(), 45_360);
    let answers = |size: usize| -> Vec<i64> {
        let loader = Loader::new(&test, size).unwrap();
        loader
            .iter()
            .flat_map(|batch| {
                let scores = model.predict(&Array::new(batch.shape, batch.images)).unwrap();
                Tensor::from(scores).argmax(1).to_vec::<i64>().unwrap()
            })
            .collect()
    };
    assert_eq!(answers(1), answers(100));
}
