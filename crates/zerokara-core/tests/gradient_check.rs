//! Numerical gradients and gradient checks.

use zerokara_core::{
    DType, Parameter, Result, Tensor,
    gradient_check::{
        CheckOptions, Difference, NumericalGradient, gradient_check, numerical_gradient,
    },
    op::{ConvOptions, PoolOptions},
};

/// Page 104 of the book: the gradient of `x0^2 + x1^2` at three points.
#[test]
fn the_gradient_of_the_book() -> Result<()> {
    for point in [[3.0f32, 4.0], [0.0, 2.0], [3.0, 0.0]] {
        let x = Tensor::from(point);
        let found = numerical_gradient(|x| (x * x).sum(), &x)?.to_vec::<f32>()?;
        for (found, x) in found.iter().zip(point) {
            assert!((found - 2.0 * x).abs() < 1e-6);
        }
    }
    Ok(())
}

/// Page 98: in f32 the step 1e-50 is 0; in f64 it vanishes beside 5, and the difference is 0; 1e-4 is good.
#[test]
fn steps_that_are_too_small() -> Result<()> {
    let x = Tensor::from([5.0]);
    let f = |x: &Tensor| (x * x * 0.01 + x * 0.1).sum();
    let with = |h: f64| NumericalGradient::new().step(h);
    assert!(with(1e-50).in_own_type().of(f, &x)?.item()?.is_nan());
    assert_eq!(with(1e-50).of(f, &x)?.item()?, 0.0);
    assert!((with(1e-4).of(f, &x)?.item()? - 0.2).abs() < 1e-6);
    Ok(())
}

/// The error of forward differences is `h f'' / 2`, that of central ones `h^2 f''' / 6`.
#[test]
fn differences_have_their_orders() -> Result<()> {
    let x = Tensor::full([1], 1.0, DType::F64);
    let e = 1f64.exp();
    for h in [1e-2, 1e-3] {
        let error = |difference| -> Result<f64> {
            let n = NumericalGradient::new().step(h).difference(difference);
            Ok(n.of(|x| x.exp().sum(), &x)?.item()? - e)
        };
        assert!((error(Difference::Forward)? / (e * h / 2.0) - 1.0).abs() < 0.01);
        assert!((error(Difference::Central)? / (e * h * h / 6.0) - 1.0).abs() < 0.01);
    }
    Ok(())
}

#[test]
fn what_cannot_be_differentiated_is_refused() {
    let x = Tensor::from([1.0, 2.0]);
    assert!(numerical_gradient(|x| x.exp(), &x).is_err());
    assert!(numerical_gradient(|x| x.sum_axes(&[3], false), &x).is_err());
    assert!(numerical_gradient(|x| x.cast(DType::F32).sum(), &Tensor::from([1, 2])).is_err());
    let options = CheckOptions::default();
    assert!(gradient_check(&x.exp(), &[&x], &options).is_err());
    let y = x.exp();
    assert!(gradient_check(&y.sum(), &[&y], &options).is_err());
}

fn parameter(name: &str, key: u64, shape: &[usize], scale: f64) -> Result<Parameter> {
    let value = Tensor::normal(key, &Tensor::from(0i64), shape) * scale;
    Parameter::new(name, &value)
}

/// The book's SimpleConvNet (page 229), small: its gradients by backpropagation agree with differences.
#[test]
fn a_convolutional_network_agrees() -> Result<()> {
    let x = Tensor::normal(1, &Tensor::from(0i64), [3, 1, 12, 12]);
    let labels = Tensor::from([3, 0, 7]);
    let parameters = [
        parameter("conv.weight", 2, &[5, 1, 3, 3], 0.3)?,
        parameter("conv.bias", 3, &[5], 0.1)?,
        parameter("hidden.weight", 4, &[125, 20], 0.1)?,
        parameter("hidden.bias", 5, &[20], 0.1)?,
        parameter("out.weight", 6, &[20, 10], 0.3)?,
        parameter("out.bias", 7, &[10], 0.1)?,
    ];
    let [w1, b1, w2, b2, w3, b3] = parameters.each_ref().map(Parameter::tensor);
    let pool = PoolOptions {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0].into(),
    };
    let loss = (x.conv2d(&w1, ConvOptions::default()) + b1.reshape([5, 1, 1]))
        .relu()
        .max_pool2d(pool)
        .reshape([0, -1]);
    let loss = ((loss.matmul(&w2) + &b2).relu().matmul(&w3) + &b3)
        .cross_entropy(&labels)
        .mean();
    // A value that is known in f32 must not stand for what is computed from the parameters.
    loss.eval()?;
    let tensors = [&w1, &b1, &w2, &b2, &w3, &b3];
    let report = gradient_check(&loss, &tensors, &CheckOptions::default())?;
    assert!(report.agrees(1e-5), "{report}");
    assert!(report.kink_share() < 0.05, "{report}");
    assert_eq!(report.rows.len(), 6);
    assert_eq!(report.rows[2].name, "hidden.weight");
    assert_eq!(report.rows[2].checked + report.rows[2].kinks, 33);
    assert_eq!(report.rows[1].checked + report.rows[1].kinks, 8);
    assert!(report.to_string().contains("conv.weight"));
    Ok(())
}

/// Rounding hides the slope of what it rounds, so the rule (0) and coarse differences disagree: the check must say so.
#[test]
fn a_wrong_gradient_is_found() -> Result<()> {
    let x = Tensor::from([0.3, -0.7, 1.1]);
    let options = CheckOptions::default();
    let good = gradient_check(&(x.square() * &x).sum(), &[&x], &options)?;
    assert!(good.agrees(1e-7), "{good}");
    // Stairs far finer than the differences' steps look like their slope.
    let stairs = ((&x * 1e9).floor() * 1e-9).sum();
    let coarse = CheckOptions {
        step: 0.5,
        ..options
    };
    let bad = gradient_check(&stairs, &[&x], &coarse)?;
    assert!(bad.rows[0].checked > 0 && !bad.agrees(0.5), "{bad}");
    Ok(())
}

/// At kinks the differences to both sides disagree: they are counted, and not held against the gradient.
#[test]
fn kinks_are_counted() -> Result<()> {
    let x = Tensor::from([0.0, 1.0, -1.0, 0.0]);
    let report = gradient_check(
        &x.relu().sum(),
        &[&x],
        &CheckOptions {
            directions: 0,
            ..CheckOptions::default()
        },
    )?;
    assert_eq!((report.rows[0].checked, report.rows[0].kinks), (2, 2));
    assert_eq!(report.kink_share(), 0.5);
    assert!(report.agrees(1e-7), "{report}");
    Ok(())
}

/// The gradient does not flow through what is detached, and the check does not move it; the plain numerical gradient
/// is that of the values.
#[test]
fn detached_tensors_are_held() -> Result<()> {
    let x = Tensor::from([0.5, 2.0]);
    let f = |x: &Tensor| (x * x.detach()).sum();
    // `x` has a value, so its detached self is a constant leaf; `x * 1` does not yet.
    let g = |x: &Tensor| (x * (x * 1.0).detach()).sum();
    for loss in [f(&x), g(&x)] {
        let report = gradient_check(&loss, &[&x], &CheckOptions::default())?;
        assert!(report.agrees(1e-7), "{report}");
    }
    let moved = numerical_gradient(g, &x)?.to_vec::<f32>()?;
    assert!((moved[0] - 1.0).abs() < 1e-6 && (moved[1] - 4.0).abs() < 1e-6);
    Ok(())
}
