//! Infinities, masked classes, equal numbers, tiny and huge ones: right in the compiled engine and in the interpreter, in
//! single and in double precision.

use zerokara_core::{
    Array, DType, Precision, Program, Result, Tensor, grad, gradients, interpret, op::PoolOptions,
};

const INF: f32 = f32::INFINITY;

/// What every engine gives, in f32 as compiled and as interpreted, and in f64 in both ways.
fn everywhere(x: &Array, f: impl Fn(&Tensor) -> Tensor) -> Vec<Vec<f64>> {
    let mut found = Vec::new();
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::from(x.cast(dtype));
        let interpreted = interpret(&[&f(&x)], &[], Precision::AsWritten);
        found.push(interpreted.expect("a value")[0].to_f64s());
        found.push(f(&x).eval().expect("a value").to_f64s());
        let program = Program::compile(&[], &[&f(&x)], &[]).expect("a program");
        found.push(program.run(&[]).expect("a value")[0].to_f64s());
    }
    found
}

/// Whether two numbers are the same, NaN, or agree in so many parts.
fn agree(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs()
}

#[track_caller]
fn expect(x: &Array, expected: &[f64], tolerance: f64, f: impl Fn(&Tensor) -> Tensor) {
    for (engine, found) in everywhere(x, f).into_iter().enumerate() {
        let right = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(&a, &b)| agree(a, b, tolerance));
        assert!(right, "engine {engine}: {found:?} instead of {expected:?}");
    }
}

fn row(x: &[f32]) -> Array {
    Array::new([x.len()], x.to_vec())
}

fn rows<const N: usize>(x: &[[f32; N]]) -> Array {
    Array::new([x.len(), N], x.concat())
}

/// The slope of a sum of elementwise results.
fn slope(f: impl Fn(&Tensor) -> Tensor) -> impl Fn(&Tensor) -> Tensor {
    move |x| grad(&f(x).sum(), x)
}

#[test]
fn masked_classes_cost_nothing() {
    let logits = rows(&[[0.0, -INF], [3e38, -3e38], [-INF, 5.0], [1.0, 1.0]]);
    let labels = Tensor::from([0, 0, 1, 0]);
    let loss = |x: &Tensor| x.cross_entropy(&labels);
    expect(&logits, &[0.0, 0.0, 0.0, 2f64.ln()], 1e-6, loss);
    let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.5];
    expect(&logits, &expected, 1e-6, slope(loss));
    // The target itself masked; nothing left; no distribution.
    let lost = rows(&[[0.0, -INF], [-INF, -INF], [INF, 0.0]]);
    let labels = Tensor::from([1, 0, 0]);
    expect(&lost, &[f64::INFINITY, f64::NAN, f64::NAN], 0.0, |x| {
        x.cross_entropy(&labels)
    });
    // Probabilities that say nothing of the masked class, and smoothing, which speaks of all.
    let q = Tensor::from([[1.0, 0.0], [0.25, 0.75]]);
    let some = rows(&[[2.0, -INF], [0.0, 0.0]]);
    let soft = |x: &Tensor| x.cross_entropy(&q.cast(x.dtype().unwrap_or(DType::F32)));
    expect(&some, &[0.0, 2f64.ln()], 1e-6, soft);
    expect(&some, &[0.0, 0.0, 0.25, -0.25], 1e-6, slope(soft));
    let labels = Tensor::from([0, 0]);
    let smoothed = |x: &Tensor| x.cross_entropy_smoothed(&labels, 0.1);
    expect(&some, &[f64::INFINITY, 2f64.ln()], 1e-6, smoothed);
}

#[test]
fn a_mask_may_come_from_where() {
    let x = rows(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let mask = Tensor::from([[1, 0, 1], [1, 1, 0]]).greater(&Tensor::from(0));
    let masked = |x: &Tensor| mask.select(x, &x.full_like(f64::NEG_INFINITY));
    let labels = Tensor::from([2, 0]);
    let e = |x: f64| (1.0 + x.exp()).ln();
    expect(&x, &[e(-2.0), e(1.0)], 1e-6, |x| {
        masked(x).cross_entropy(&labels)
    });
    let s = |x: f64| 1.0 / (1.0 + x.exp());
    let expected = [s(2.0), 0.0, -s(2.0), -s(-1.0), s(-1.0), 0.0];
    expect(
        &x,
        &expected,
        2e-6,
        slope(|x| masked(x).cross_entropy(&labels)),
    );
    let expected = [s(2.0), 0.0, s(-2.0), s(1.0), s(-1.0), 0.0];
    expect(&x, &expected, 2e-6, |x| masked(x).softmax());
}

#[test]
fn small_results_keep_their_digits() {
    let tiny = row(&[1e-8, -1e-8, 1e-30, -1e-30, -1e-3, -0.5]);
    let x = tiny.to_f64s();
    let of = |f: fn(f64) -> f64| x.iter().map(|&x| f(x)).collect::<Vec<f64>>();
    expect(
        &tiny,
        &of(|x| if x > 0.0 { x } else { x.exp_m1() }),
        4e-7,
        |x| x.elu(1.0),
    );
    expect(&tiny, &of(f64::tanh), 4e-7, Tensor::tanh);
    expect(&tiny, &of(f64::sin), 4e-7, Tensor::sin);
    let far = row(&[-20.0, -50.0, -87.0]);
    let x = far.to_f64s();
    let sigmoid = |x: f64| x.exp() / (1.0 + x.exp());
    let of = |f: &dyn Fn(f64) -> f64| x.iter().map(|&x| f(x)).collect::<Vec<f64>>();
    expect(&far, &of(&sigmoid), 1e-6, Tensor::sigmoid);
    expect(&far, &of(&|x| x * sigmoid(x)), 1e-6, Tensor::silu);
    expect(&far, &of(&|x| x.exp().ln_1p()), 1e-6, Tensor::softplus);
    // Of mpmath.
    let left = row(&[-5.5, -6.0, -8.0, -12.0]);
    let expected = [
        -1.044425935623825e-7,
        -5.919525870226189e-9,
        -4.976768459417427e-15,
        -2.131778534493215e-32,
    ];
    expect(&left, &expected, 2e-5, Tensor::gelu);
    let complement = [
        2.209_049_699_858_544e-5,
        2.151_973_671_249_891_3e-17,
        4.137_031_746_513_81e-37,
    ];
    expect(&row(&[3.0, 6.0, 9.0]), &complement, 1e-6, Tensor::erfc);
}

#[test]
fn gates_close_and_open_at_infinity() {
    let ends = row(&[-INF, INF, f32::MAX, f32::MIN]);
    let expected = [0.0, f64::INFINITY, f64::from(f32::MAX), 0.0];
    let gates: [fn(&Tensor) -> Tensor; 3] = [Tensor::gelu, Tensor::gelu_tanh, Tensor::silu];
    for gate in gates {
        expect(&ends, &expected, 0.0, gate);
        expect(&ends, &[0.0, 1.0, 1.0, 0.0], 0.0, slope(gate));
        expect(&ends, &[0.0; 4], 0.0, slope(slope(gate)));
        for found in everywhere(&row(&[-INF]), gate) {
            assert!(found[0].is_sign_negative());
        }
    }
    expect(&ends, &[0.0; 4], 0.0, slope(slope(Tensor::erf)));
    expect(
        &ends,
        &[-1.0, f64::INFINITY, f64::from(f32::MAX), -1.0],
        0.0,
        |x| x.elu(1.0),
    );
    expect(&row(&[-INF, INF]), &[0.0, f64::INFINITY], 0.0, |x| {
        x.leaky_relu(0.0)
    });
}

#[test]
fn equal_numbers_have_their_mean_and_no_variance() {
    for number in [100.0f32, 0.1, 1000.0, -1e30, 1e-30, 3e38, 16_777_215.0] {
        let wide = f64::from(number);
        for n in [1, 3, 7, 28, 1000, 100_003] {
            let x = Array::new([n], vec![number; n]);
            expect(&x, &[wide], 0.0, Tensor::mean);
            expect(&x, &[0.0], 0.0, Tensor::var);
            expect(&x, &[0.0], 0.0, Tensor::std);
        }
        let x = Array::new([2, 28], vec![number; 56]);
        expect(&x, &[0.0; 56], 0.0, |x| x.layer_norm(1, None, 1e-5));
        let images = Array::new([3, 2, 5, 7], vec![number; 210]);
        let zeros = vec![0.0; 210];
        expect(&images, &zeros, 0.0, |x| {
            let (mean, variance) = x.batch_statistics();
            let (one, zero) = (mean.full_like(1.0), mean.zeros_like());
            x.batch_norm(&mean, &variance, &one, &zero, 1e-5)
        });
        let pool = |kernel| PoolOptions {
            kernel,
            stride: [1, 1],
            padding: [0, 0].into(),
        };
        for kernel in [[2, 2], [3, 3], [5, 7]] {
            let count = 6 * (6 - kernel[0]) * (8 - kernel[1]);
            let expected = vec![wide; count];
            expect(&images, &expected, 0.0, |x| {
                x.avg_pool2d(pool(kernel), false)
            });
        }
        expect(&images, &[wide; 6], 0.0, Tensor::global_avg_pool2d);
    }
    let little: Vec<f32> = (0..100).map(|i| 1e6 + (i % 2) as f32).collect();
    expect(&row(&little), &[0.25], 1e-6, Tensor::var);
}

#[test]
fn millions_of_numbers_are_summed_to_the_last() -> Result<()> {
    let n = 20_000_000;
    let ones = Tensor::from(Array::new([n], vec![1f32; n]));
    let running = ones.cumsum(0).eval()?;
    assert_eq!(running.as_slice::<f32>().unwrap()[n - 1], n as f32);
    assert_eq!(running.as_slice::<f32>().unwrap()[16_777_299], 16_777_300.0);
    let zeros = Tensor::from(Array::new([n], vec![0i64; n]));
    assert_eq!(
        ones.index_add(0, &zeros, 2).to_vec::<f32>()?,
        [n as f32, 0.0]
    );
    assert_eq!(
        ones.scatter_add(0, &zeros, 2).to_vec::<f32>()?,
        [n as f32, 0.0]
    );
    // The gradient of a table that is looked up so often.
    let table = Tensor::from([[1.0], [2.0]]);
    let picked = table.embedding(&zeros);
    assert_eq!(
        grad(&picked.sum(), &table).to_vec::<f32>()?,
        [n as f32, 0.0]
    );
    assert_eq!(ones.mean().item()?, 1.0);
    assert_eq!(ones.sum().item()?, n as f64);
    // A thousandth of a million, where each addition in single precision would round.
    let thousandths = Tensor::from(Array::new([1_000_000], vec![1e-3f32; 1_000_000]));
    let last = thousandths.cumsum(0).at(0, -1).item()?;
    assert!((last - 1e6 * f64::from(1e-3f32)).abs() < 1e-4, "{last}");
    Ok(())
}

#[test]
fn powers_have_slopes_at_zero() {
    let slopes = |p: f32, order: usize| {
        move |x: &Tensor| {
            let p = x.full_like(f64::from(p));
            (0..order).fold(x.pow(&p), |y, _| grad(&y.sum(), x))
        }
    };
    let zero = row(&[0.0, -0.0]);
    for (p, expected) in [
        (0.0, [1.0, 0.0, 0.0, 0.0, 0.0]),
        (1.0, [0.0, 1.0, 0.0, 0.0, 0.0]),
        (2.0, [0.0, 0.0, 2.0, 0.0, 0.0]),
        (3.0, [0.0, 0.0, 0.0, 6.0, 0.0]),
    ] {
        for (order, &expected) in expected.iter().enumerate() {
            expect(&zero, &[expected; 2], 0.0, slopes(p, order));
            expect(&zero, &[expected; 2], 0.0, |x| {
                (0..order).fold(x.powf(f64::from(p)), |y, _| grad(&y.sum(), x))
            });
        }
    }
    // Negative numbers to whole powers, and a slope that is infinite.
    expect(&row(&[-2.0]), &[12.0], 1e-6, slopes(3.0, 1));
    expect(&row(&[0.0]), &[f64::INFINITY], 0.0, slopes(0.5, 1));
    // With respect to the exponent: x^p ln x, and its limit at 0.
    let p = row(&[0.0, 1.0, 2.5]);
    expect(&p, &[0.0; 3], 0.0, slope(|p| p.zeros_like().pow(p)));
    expect(
        &row(&[-1.0]),
        &[f64::NEG_INFINITY],
        0.0,
        slope(|p| p.zeros_like().pow(p)),
    );
}

#[test]
fn roots_of_squares_are_flat_at_zero() {
    let norm = |x: &Tensor| x.norm();
    expect(&row(&[0.0; 3]), &[0.0; 3], 0.0, slope(norm));
    expect(&row(&[3.0, -4.0]), &[0.6, -0.8], 1e-6, slope(norm));
    expect(&row(&[3e-30, 4e-30]), &[5e-30], 1e-6, norm);
    expect(&row(&[3e30, -4e30]), &[5e30], 1e-6, norm);
    expect(&row(&[3.0, -INF]), &[f64::INFINITY], 0.0, norm);
    expect(&row(&[3.0, f32::NAN]), &[f64::NAN], 0.0, norm);
    // The second derivative, (1 - x^2 / |x|^2) / |x| and -x y / |x|^3.
    let second = |x: &Tensor| grad(&grad(&x.norm(), x).at(0, 0), x);
    expect(
        &row(&[3.0, 4.0]),
        &[16.0 / 125.0, -12.0 / 125.0],
        1e-6,
        second,
    );
    for equal in [vec![2.5f32; 4], vec![7.0], vec![0.0; 2]] {
        let n = equal.len();
        expect(&row(&equal), &vec![0.0; n], 0.0, slope(Tensor::std));
    }
    expect(&row(&[1.0, 3.0]), &[-0.5, 0.5], 1e-6, slope(Tensor::std));
    let columns = rows(&[[1.0, 2.0], [1.0, 4.0]]);
    let std = |x: &Tensor| x.std_axes(&[0], true, 1);
    expect(&columns, &[0.0, 2f64.sqrt()], 1e-6, std);
    let half = 0.5f64.sqrt();
    expect(&columns, &[0.0, -half, 0.0, half], 1e-6, slope(std));
}

/// As in PyTorch: what is not chosen keeps an infinite slope.
#[test]
fn logarithms_under_where_need_their_safe_form() -> Result<()> {
    let x = Tensor::from([0.0, 2.0]);
    let (zero, one) = (x.zeros_like(), x.full_like(1.0));
    let positive = x.greater(&zero);
    let late = positive.select(&x.log(), &zero).sum();
    let safe = positive
        .select(&positive.select(&x, &one).log(), &zero)
        .sum();
    let found = gradients(&(late + &safe), &[&x]);
    assert!(found[0].to_vec::<f32>()?[0].is_nan());
    assert_eq!(grad(&safe, &x).to_vec::<f32>()?, [0.0, 0.5]);
    Ok(())
}
