//! Elementary functions against double precision, over the whole range of single precision.

use super::{
    Binary, Unary,
    kernels::{binary, unary},
};
use crate::isa::Isa;

fn apply(isa: Isa, function: Unary, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    // SAFETY: the CPU has the instruction set; both slices have the length.
    unsafe { unary(isa, function)(y.as_mut_ptr(), [x.as_ptr(); 3], x.len()) };
    y
}

fn apply2(isa: Isa, function: Binary, x: &[f32], y: &[f32]) -> Vec<f32> {
    let mut z = vec![0.0; x.len()];
    let from = [x.as_ptr(), y.as_ptr(), x.as_ptr()];
    // SAFETY: the CPU has the instruction set; all slices have the length.
    unsafe { binary(isa, function, true, true)(z.as_mut_ptr(), from, x.len()) };
    z
}

/// Numbers of all sizes and signs (every `step`-th bit pattern), and the special ones.
fn everywhere(step: u32) -> Vec<f32> {
    let mut x: Vec<f32> = (0..=u32::MAX / step)
        .map(|i| f32::from_bits(i * step))
        .collect();
    // More where functions are interesting.
    x.extend((-400_000..=400_000).map(|i| i as f32 * 2.7e-4));
    x.extend(SPECIAL);
    x
}

const SPECIAL: [f32; 17] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    1e-40,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::EPSILON,
];

/// Distance in units in the last place of the expected number.
fn ulps(got: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    if got.is_nan() || rounded.is_nan() {
        return if got.is_nan() && rounded.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got.is_infinite() || rounded.is_infinite() {
        // Overflow may come half a unit early or late.
        let edge = expected.abs() > 3.402_823e38 && got.abs() > 3.402_823e38;
        return if got == rounded || (edge && got.signum() == rounded.signum()) {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let exponent = (rounded.abs().max(f32::MIN_POSITIVE).to_bits() >> 23) as i32 - 127;
    (f64::from(got) - expected).abs() / 2f64.powi(exponent - 23)
}

/// erf by its series, and by the continued fraction of erfc where that converges faster.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let y = if a.is_nan() {
        f64::NAN
    } else if a < 3.0 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term > sum * 1e-18 {
            n += 1.0;
            term *= 2.0 * a * a / (2.0 * n + 1.0);
            sum += term;
        }
        sum * (-a * a).exp() * std::f64::consts::FRAC_2_SQRT_PI
    } else if a < 7.0 {
        let mut fraction = 0.0;
        for k in (1..60).rev() {
            fraction = f64::from(k) / 2.0 / (a + fraction);
        }
        1.0 - (-a * a).exp() / (a + fraction) * std::f64::consts::FRAC_2_SQRT_PI / 2.0
    } else {
        1.0
    };
    y.copysign(x)
}

/// erfc by the series of erf, or by its continued fraction where that converges faster.
fn erfc(x: f64) -> f64 {
    if x < 2.0 || x.is_nan() {
        return 1.0 - erf(x);
    }
    let fraction = (1..200)
        .rev()
        .fold(0.0, |f, k| f64::from(k) / 2.0 / (x + f));
    (-x * x).exp() / (x + fraction) * std::f64::consts::FRAC_2_SQRT_PI / 2.0
}

#[test]
fn functions_are_within_a_few_units_everywhere() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let softplus = move |x: f64| if x.is_nan() { x } else { softplus(x) };
    type Case<'a> = (Unary, &'a dyn Fn(f64) -> f64, f64);
    let cases: [Case; 14] = [
        (Unary::Exp, &f64::exp, 1.5),
        (Unary::ExpM1, &f64::exp_m1, 2.5),
        (Unary::Log, &f64::ln, 1.5),
        (Unary::Tanh, &f64::tanh, 2.0),
        (Unary::Sigmoid, &sigmoid, 2.5),
        (Unary::Softplus, &softplus, 2.5),
        (Unary::Erf, &erf, 1.5),
        (Unary::Erfc, &erfc, 5.0),
        (Unary::Sin, &f64::sin, 1.5),
        (Unary::Cos, &f64::cos, 1.5),
        (Unary::Sqrt, &f64::sqrt, 0.5),
        (Unary::Rsqrt, &|x| 1.0 / x.sqrt(), 1.5),
        (Unary::Reciprocal, &f64::recip, 0.5),
        (Unary::Floor, &f64::floor, 0.0),
    ];
    let x = everywhere(4999);
    for isa in Isa::available() {
        for (function, exact, limit) in &cases {
            let y = apply(isa, *function, &x);
            let worst = x
                .iter()
                .zip(&y)
                .map(|(&x, &y)| (ulps(y, exact(f64::from(x))), x, y));
            let worst = worst.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            println!("{} {function:?}: {worst:?}", isa.name());
            assert!(
                worst.0 <= *limit,
                "{} {function:?}: (ulps, x, y) = {worst:?}",
                isa.name()
            );
        }
    }
}

#[test]
fn powers_are_within_a_unit_everywhere() {
    let some: Vec<f32> = everywhere(40_000_003)
        .into_iter()
        .step_by(97)
        .chain(SPECIAL)
        .chain([
            3.0,
            -3.0,
            4.0,
            -2.0,
            1.5,
            -1.5,
            16_777_217.0,
            8_388_607.5,
            0.333,
            1.0001,
            0.9999,
        ])
        .collect();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for &a in &some {
        for &b in &some {
            x.push(a);
            y.push(b);
        }
    }
    for isa in Isa::available() {
        let z = apply2(isa, Binary::Power, &x, &y);
        for i in 0..x.len() {
            let exact = f64::from(x[i]).powf(f64::from(y[i]));
            let error = ulps(z[i], exact);
            assert!(
                error <= 0.51,
                "{} {} ^ {} = {}, not {exact}",
                isa.name(),
                x[i],
                y[i],
                z[i]
            );
            let zero_signs_agree = z[i] != 0.0 || z[i].signum() as f64 == exact.signum();
            assert!(zero_signs_agree, "{} ^ {} = {}", x[i], y[i], z[i]);
        }
    }
}

#[test]
fn simple_functions_treat_special_numbers_as_documented() {
    let x: Vec<f32> = SPECIAL.iter().flat_map(|&x| [x; SPECIAL.len()]).collect();
    let y: Vec<f32> = SPECIAL.iter().flat_map(|_| SPECIAL).collect();
    let truth = |b: bool| f32::from(u8::from(b));
    let maximum = |x: f32, y: f32| if x.is_nan() || x > y { x } else { y };
    let minimum = |x: f32, y: f32| if x.is_nan() || x < y { x } else { y };
    type Pair<'a> = (Binary, &'a dyn Fn(f32, f32) -> f32);
    let pairs: [Pair; 14] = [
        (Binary::Add, &|x, y| x + y),
        (Binary::Subtract, &|x, y| x - y),
        (Binary::Multiply, &|x, y| x * y),
        (Binary::Divide, &|x, y| x / y),
        (Binary::Maximum, &maximum),
        (Binary::Minimum, &minimum),
        (Binary::Equal, &|x, y| truth(x == y)),
        (Binary::NotEqual, &|x, y| truth(x != y)),
        (Binary::Less, &|x, y| truth(x < y)),
        (Binary::LessEqual, &|x, y| truth(x <= y)),
        (Binary::Greater, &|x, y| truth(x > y)),
        (Binary::GreaterEqual, &|x, y| truth(x >= y)),
        (Binary::And, &|x, y| truth(x != 0.0 && y != 0.0)),
        (Binary::Or, &|x, y| truth(x != 0.0 || y != 0.0)),
    ];
    let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
    for isa in Isa::available() {
        for (function, exact) in &pairs {
            let z = apply2(isa, *function, &x, &y);
            for i in 0..x.len() {
                let expected = exact(x[i], y[i]);
                assert!(
                    same(z[i], expected),
                    "{function:?} {} {}: {}",
                    x[i],
                    y[i],
                    z[i]
                );
            }
        }
        let sign = |x: f32| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        };
        let singles: [(Unary, &dyn Fn(f32) -> f32); 6] = [
            (Unary::Negate, &|x| -x),
            (Unary::Absolute, &f32::abs),
            (Unary::Sign, &sign),
            (Unary::Square, &|x| x * x),
            (Unary::Not, &|x| truth(x == 0.0)),
            (Unary::IsFinite, &|x| truth(x.is_finite())),
        ];
        for (function, exact) in &singles {
            let z = apply(isa, *function, &x);
            assert!(
                x.iter().zip(z).all(|(&x, z)| same(z, exact(x))),
                "{function:?}"
            );
        }
        // Odd functions keep the sign of zero.
        for function in [
            Unary::Sin,
            Unary::Tanh,
            Unary::Erf,
            Unary::ExpM1,
            Unary::Negate,
            Unary::Sqrt,
        ] {
            let z = apply(isa, function, &[-0.0, 0.0]);
            let flipped = function == Unary::Negate;
            assert!(z[0].is_sign_negative() != flipped, "{function:?}");
            assert!(z[1].is_sign_positive() != flipped, "{function:?}");
        }
    }
}

#[test]
fn every_length_and_place_gives_the_same_bits() {
    let x: Vec<f32> = (0..100).map(|i| (i as f32 - 50.0) * 0.173).collect();
    for isa in Isa::available() {
        for function in [Unary::Exp, Unary::Sigmoid, Unary::Sin, Unary::Negate] {
            let whole = apply(isa, function, &x);
            for start in 0..20 {
                for length in 0..70 {
                    assert_eq!(
                        apply(isa, function, &x[start..start + length]),
                        whole[start..start + length]
                    );
                }
            }
        }
    }
}
