//! Functions that are made of other operations, against closed forms and PyTorch.

use zerokara_core::{Array, Result, Tensor, grad, op::PoolOptions};

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_vec().unwrap_or_else(|e| panic!("{e}"))
}

fn count(n: usize) -> Tensor {
    Tensor::from((0..n).map(|i| i as f32).collect::<Vec<f32>>())
}

#[test]
fn slices_follow_numpy() {
    let x = count(6);
    assert_eq!(numbers(&x.slice(0, 1..5, 2)), [1.0, 3.0]);
    assert_eq!(numbers(&x.slice(0, -2.., 1)), [4.0, 5.0]);
    assert_eq!(numbers(&x.slice(0, ..-2, 3)), [0.0, 3.0]);
    assert_eq!(numbers(&x.slice(0, 4..100, 1)), [4.0, 5.0]);
    assert_eq!(numbers(&x.slice(0, 2..=4, 2)), [2.0, 4.0]);
    assert_eq!(numbers(&x.slice(0, ..=-2, 2)), [0.0, 2.0, 4.0]);
    assert_eq!(numbers(&x.slice(0, 2..5, -1)), [4.0, 3.0, 2.0]);
    assert_eq!(numbers(&x.slice(0, 1..=4, -3)), [4.0, 1.0]);
    assert_eq!(numbers(&x.slice(0, .., -2)), [5.0, 3.0, 1.0]);
    assert_eq!(numbers(&x.slice(0, ..-1, -2)), [4.0, 2.0, 0.0]);
    assert_eq!(numbers(&x.slice(0, 3..3, 1)), [] as [f32; 0]);
    assert_eq!(numbers(&x.slice(0, 3..3, -1)), [] as [f32; 0]);
    assert_eq!(numbers(&x.slice(0, 7..9, -1)), [] as [f32; 0]);
    assert_eq!(numbers(&x.slice(0, .., i64::MIN)), [5.0]);
    assert_eq!(numbers(&x.slice(0, .., i64::MAX)), [0.0]);
    let m = x.reshape([2, 3]);
    assert_eq!(numbers(&m.slice(1, 1.., 1)), [1.0, 2.0, 4.0, 5.0]);
    assert_eq!(numbers(&m.at(0, -1)), [3.0, 4.0, 5.0]);
    assert_eq!(numbers(&m.at(-1, 0)), [0.0, 3.0]);
    assert_eq!(numbers(&m.flip(&[0, 1])), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
    assert!(m.slice(1, 0..2, 0).eval().is_err());
    assert!(m.at(0, 2).eval().is_err());
    assert!(m.at(0, -3).eval().is_err());
}

#[test]
fn splitting_undoes_joining() -> Result<()> {
    let x = count(12).reshape([2, 6]);
    let parts = x.split(1, &[1, 2, 3]);
    let parts: Vec<&Tensor> = parts.iter().collect();
    assert_eq!(Tensor::concat(&parts, -1).eval()?, x.eval()?);
    assert!(x.split(1, &[1, 2]).iter().all(|t| t.eval().is_err()));
    let (a, b) = (count(2), count(2) + 10.0);
    assert_eq!(
        numbers(&Tensor::stack(&[&a, &b], 0)),
        [0.0, 1.0, 10.0, 11.0]
    );
    assert_eq!(
        numbers(&Tensor::stack(&[&a, &b], -1)),
        [0.0, 10.0, 1.0, 11.0]
    );
    assert_eq!(Tensor::stack(&[&a, &b], 1).shape()?, [2, 2]);
    assert_eq!(a.unsqueeze(0).unsqueeze(-1).shape()?, [1, 2, 1]);
    assert_eq!(
        a.unsqueeze(0)
            .unsqueeze(-1)
            .squeeze(-1)
            .squeeze(0)
            .shape()?,
        [2]
    );
    assert!(a.squeeze(0).shape().is_err());
    assert!(Tensor::concat(&[], 0).eval().is_err());
    Ok(())
}

#[test]
fn adaptive_pooling_follows_pytorch() -> Result<()> {
    let x: Vec<f32> = (0..35).map(|i| (i * i % 13) as f32).collect();
    let x = Tensor::new([1, 1, 5, 7], x);
    let mean = numbers(&x.adaptive_avg_pool2d([2, 3]));
    let largest = numbers(&x.adaptive_max_pool2d([2, 3]));
    for (a, b) in mean
        .iter()
        .zip([4.888889, 6.222222, 6.888889, 6.0, 7.0, 7.333333])
    {
        assert!((a - b).abs() < 1e-5, "{mean:?}");
    }
    assert_eq!(largest, [12.0, 12.0, 12.0, 12.0, 12.0, 12.0]);
    assert_eq!(x.adaptive_avg_pool2d([1, 1]).shape()?, [1, 1, 1, 1]);
    assert_eq!(x.global_max_pool2d().item()?, x.max().item()?);
    assert!((x.global_avg_pool2d().item()? - x.mean().item()?).abs() < 1e-6);
    assert!(x.adaptive_avg_pool2d([0, 1]).eval().is_err());
    Ok(())
}

#[test]
fn statistics_of_channels() -> Result<()> {
    let x = Tensor::from([[[1.0, 2.0], [10.0, 20.0]], [[3.0, 4.0], [30.0, 40.0]]]);
    let (mean, variance) = x.batch_statistics();
    assert_eq!(numbers(&mean), [2.5, 25.0]);
    assert_eq!(numbers(&variance), [1.25, 125.0]);
    let (scale, shift) = (Tensor::from([2.0, 3.0]), Tensor::from([1.0, -1.0]));
    let y = x.batch_norm(&mean, &variance, &scale, &shift, 0.0);
    let (mean, variance) = y.batch_statistics();
    for (found, expected) in [(mean, [1.0, -1.0]), (variance, [4.0, 9.0])] {
        for (a, b) in numbers(&found).iter().zip(expected) {
            assert!((a - b).abs() < 1e-5);
        }
    }
    // What is normalised does not change when its input is scaled, so the gradient is orthogonal to it.
    let (mean, variance) = x.batch_statistics();
    let ones = (Tensor::ones([2]), Tensor::zeros([2]));
    let y = x.batch_norm(&mean, &variance, &ones.0, &ones.1, 0.0);
    let g = grad(
        &(y * Tensor::from([[[1.0, -2.0], [0.5, 3.0]], [[1.0, 1.0], [2.0, -1.0]]])).sum(),
        &x,
    );
    assert!(g.abs().max().item()? > 0.1);
    assert!((g * &x).sum().item()?.abs() < 1e-4);
    Ok(())
}

#[test]
fn losses_have_their_closed_forms() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, 4.0]);
    let error = x.mean_squared_error(&Tensor::from([1.0, 0.0, 1.0]));
    assert!((error.item()? - 13.0 / 3.0).abs() < 1e-6);
    assert!((x.std().item()? - (14.0f64 / 9.0).sqrt()).abs() < 1e-6);
    assert!((x.std_axes(&[0], false, 1).item()? - (14.0f64 / 6.0).sqrt()).abs() < 1e-6);
    let uniform = Tensor::zeros([2, 10]).cross_entropy(&Tensor::from([3, 7]));
    for loss in numbers(&uniform) {
        assert!((loss - 10f32.ln()).abs() < 1e-6);
    }
    let error = Tensor::zeros([1, 10])
        .cross_entropy(&Tensor::from([10]))
        .eval();
    assert!(error.is_err_and(|e| e.to_string().contains("10")));
    Ok(())
}

#[test]
fn random_numbers_have_their_moments() -> Result<()> {
    let step = Tensor::from(3i64);
    let n = 40_000;
    let z = Tensor::normal(7, &step, [n]);
    let moment = |p: f64| -> Result<f64> { z.powf(p).mean().item() };
    // Within five standard errors.
    let error = |variance: f64| 5.0 * (variance / n as f64).sqrt();
    assert!(moment(1.0)?.abs() < error(1.0));
    assert!((moment(2.0)? - 1.0).abs() < error(2.0));
    assert!(moment(3.0)?.abs() < error(15.0));
    assert!((moment(4.0)? - 3.0).abs() < error(96.0));
    assert_eq!(z.eval()?, Tensor::normal_like(7, &step, &z).eval()?);
    let other = Tensor::normal(7, &Tensor::from(4i64), [n]);
    assert!((&z * other).mean().item()?.abs() < error(1.0));
    let coins = Tensor::bernoulli_like(1, &step, &z, 0.3).cast(zerokara_core::DType::F32);
    assert!((coins.mean().item()? - 0.3).abs() < error(0.21));
    Ok(())
}

#[test]
fn ranges_and_identities() -> Result<()> {
    assert_eq!(Tensor::arange(5, 0, -2).to_vec::<i64>()?, [5, 3, 1]);
    assert_eq!(Tensor::arange(0, 5, 0).to_vec::<i64>()?, [] as [i64; 0]);
    assert_eq!(
        Tensor::arange(i64::MAX - 1, i64::MAX, 5).to_vec::<i64>()?,
        [i64::MAX - 1]
    );
    assert_eq!(
        Tensor::eye(2).eval()?,
        Array::new([2, 2], vec![1.0f32, 0.0, 0.0, 1.0])
    );
    Ok(())
}

/// Page 222 of the book: a convolution is a product of matrices.
#[test]
fn im2col_turns_convolution_into_a_product() -> Result<()> {
    let x = Tensor::normal(1, &Tensor::from(0i64), [2, 3, 6, 5]);
    let w = Tensor::normal(2, &Tensor::from(0i64), [4, 3, 3, 2]);
    let options = zerokara_core::op::ConvOptions {
        stride: [2, 1],
        padding: [1, 0].into(),
        ..Default::default()
    };
    let direct = x.conv2d(&w, options);
    let col = x.im2col([3, 2], options.stride, options.padding, [1, 1]);
    let product = col
        .matmul(&w.reshape([4, -1]).t())
        .reshape([2, 3, 4, 4])
        .permute([0, 3, 1, 2]);
    assert_eq!(direct.shape()?, product.shape()?);
    assert!((direct - product).abs().max().item()? < 1e-4);
    Ok(())
}

#[test]
fn pooling_of_everything_is_a_reduction() -> Result<()> {
    let x = count(12).reshape([1, 1, 3, 4]);
    let all = PoolOptions {
        kernel: [3, 4],
        stride: [1, 1],
        padding: [0, 0].into(),
    };
    assert_eq!(x.avg_pool2d(all, true).item()?, 5.5);
    assert_eq!(x.max_pool2d(all).item()?, 11.0);
    Ok(())
}
