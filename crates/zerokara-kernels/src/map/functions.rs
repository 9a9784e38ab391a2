//! Elementary functions of whole vectors, without branches, within a few units in the last place.

use crate::simd::Lanes;

/// Adding it to a number below 2^22 rounds that to an integer, which then stands in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// `c[0] * x^n + c[1] * x^(n-1) + .. + c[n]`
#[inline(always)]
unsafe fn polynomial<S: Lanes, const N: usize>(x: S::Vector, c: [f32; N]) -> S::Vector {
    // SAFETY: the caller vouches for the CPU, here and below.
    unsafe {
        let mut y = S::splat(c[0]);
        for &c in &c[1..] {
            y = S::fma(y, x, S::splat(c));
        }
        y
    }
}

/// The whole number n and the rest r of x = n ln 2 + r with |r| <= ln 2 / 2, where e^x is neither infinite nor rounds to 0;
/// NaN passes.
#[inline(always)]
unsafe fn powers_of_two<S: Lanes>(x: S::Vector) -> (S::Ints, S::Vector) {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let x = S::min(S::splat(89.0), S::max(S::splat(-104.0), x));
        let t = S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUNDER));
        let n = S::int_sub(S::bits(t), S::int(ROUNDER.to_bits() as i32));
        let whole = S::sub(t, S::splat(ROUNDER));
        // ln 2 in two parts; the product with the first is exact.
        let r = S::fma(whole, S::splat(-0.693_359_4), x);
        (n, S::fma(whole, S::splat(2.121_944_4e-4), r))
    }
}

/// e^r - 1 for |r| <= 0.4.
#[inline(always)]
unsafe fn exp_m1_near_zero<S: Lanes>(r: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let p = polynomial::<S, 6>(
            r,
            [
                1.987_569_1e-4,
                1.398_199_9e-3,
                8.333_452e-3,
                4.166_579_6e-2,
                0.166_666_65,
                0.5,
            ],
        );
        S::fma(p, S::mul(r, r), r)
    }
}

/// 2^n for n from -126 to 127.
#[inline(always)]
unsafe fn power_of_two<S: Lanes>(n: S::Ints) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::from_bits(S::shift_left::<23, 23>(S::int_add(n, S::int(127)))) }
}

/// e^(n ln 2 + r): a polynomial in r, scaled by 2^n in two steps so that denormal results round once.
#[inline(always)]
unsafe fn exp_of<S: Lanes>(n: S::Ints, r: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let y = S::add(exp_m1_near_zero::<S>(r), S::splat(1.0));
        let half = S::shift_right::<1, 1>(n);
        let y = S::mul(y, power_of_two::<S>(half));
        S::mul(y, power_of_two::<S>(S::int_sub(n, half)))
    }
}

/// e^x
#[inline(always)]
pub(crate) unsafe fn exp<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let (n, r) = powers_of_two::<S>(x);
        exp_of::<S>(n, r)
    }
}

/// e^x - 1 = 2^n (e^r - 1) + (2^n - 1), where nothing cancels: near 0 n is 0.
#[inline(always)]
pub(crate) unsafe fn exp_m1<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let (n, r) = powers_of_two::<S>(x);
        // In two steps, since 2^n may be infinite where the result is not.
        let half = S::shift_right::<1, 1>(n);
        let rest = S::int_sub(n, half);
        let scale = power_of_two::<S>(half);
        let one = power_of_two::<S>(S::int_sub(S::int(0), rest));
        let y = S::fma(exp_m1_near_zero::<S>(r), scale, S::sub(scale, one));
        // Keeps the sign of 0.
        S::with_sign(S::mul(y, power_of_two::<S>(rest)), x)
    }
}

/// ln x of a positive finite x: x = 2^k m with m in [sqrt(1/2), sqrt 2), then ln m by s = f / (2 + f), f = m - 1.
#[inline(always)]
unsafe fn log_of_positive<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        const SQRT_HALF: i32 = 0x3f35_04f3;
        let denormal = S::lt(x, S::splat(f32::MIN_POSITIVE));
        let shift = S::select(denormal, S::splat(-25.0), S::zero());
        let x = S::select(denormal, S::mul(x, S::splat(33_554_432.0)), x);
        let bits = S::int_add(S::bits(x), S::int(0x3f80_0000 - SQRT_HALF));
        let k = S::int_sub(S::shift_right::<23, 23>(bits), S::int(127));
        let k = S::add(S::to_float(k), shift);
        let mantissa = S::int_and(bits, S::int(0x007f_ffff));
        let m = S::from_bits(S::int_add(mantissa, S::int(SQRT_HALF)));
        let f = S::sub(m, S::splat(1.0));
        let s = S::div(f, S::add(f, S::splat(2.0)));
        let z = S::mul(s, s);
        let p = polynomial::<S, 4>(z, [0.242_790_79, 0.284_987_87, 0.400_009_72, 0.666_666_6]);
        let half_square = S::mul(S::mul(f, f), S::splat(0.5));
        let y = S::fma(
            s,
            S::fma(p, z, half_square),
            S::mul(k, S::splat(9.058_001e-6)),
        );
        let y = S::add(S::sub(y, half_square), f);
        S::fma(k, S::splat(0.693_138_1), y)
    }
}

/// ln x; -inf at 0, NaN below.
#[inline(always)]
pub(crate) unsafe fn log<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let ordinary = S::and(S::lt(S::zero(), x), S::lt(x, S::splat(f32::INFINITY)));
        let at_zero = S::eq(x, S::zero());
        let below = S::lt(x, S::zero());
        let special = S::select(at_zero, S::splat(f32::NEG_INFINITY), x);
        let special = S::select(below, S::splat(f32::NAN), special);
        S::select(ordinary, log_of_positive::<S>(x), special)
    }
}

/// tanh x: a polynomial near 0, else 1 - 2 / (e^2|x| + 1) with the sign of x.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let a = S::abs(x);
        let z = S::mul(a, a);
        let p = polynomial::<S, 5>(
            z,
            [
                -5.704_988_7e-3,
                2.063_909e-2,
                -5.373_971_6e-2,
                0.133_314_42,
                -0.333_332_83,
            ],
        );
        let near = S::fma(S::mul(p, z), a, a);
        let e = S::add(exp::<S>(S::add(a, a)), S::splat(1.0));
        let far = S::sub(S::splat(1.0), S::div(S::splat(2.0), e));
        S::with_sign(S::select(S::lt(a, S::splat(0.625)), near, far), x)
    }
}

/// 1 / (1 + e^-x), from e^-|x| so that small results keep their digits.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let e = exp::<S>(S::sub(S::zero(), S::abs(x)));
        let top = S::select(S::lt(x, S::zero()), e, S::splat(1.0));
        S::div(top, S::add(e, S::splat(1.0)))
    }
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
#[inline(always)]
pub(crate) unsafe fn softplus<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let e = exp::<S>(S::sub(S::zero(), S::abs(x)));
        let u = S::add(e, S::splat(1.0));
        // What the rounding of 1 + e lost, to first order.
        let lost = S::div(S::sub(e, S::sub(u, S::splat(1.0))), u);
        let log = S::add(log_of_positive::<S>(u), lost);
        S::add(S::max(S::zero(), x), log)
    }
}

/// erf x: an odd polynomial to 475/512, then 1 - e^p(|x|).
#[inline(always)]
pub(crate) unsafe fn erf<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let a = S::abs(x);
        let z = S::mul(a, a);
        let near = polynomial::<S, 6>(
            z,
            [
                -5.967_617e-4,
                4.991_194e-3,
                -2.676_813_5e-2,
                0.112_819_925,
                -0.376_125_34,
                0.128_379_17,
            ],
        );
        let near = S::fma(near, a, a);
        // From 4 on the result rounds to 1.
        let t = S::min(S::splat(4.0), a);
        let tt = S::mul(t, t);
        let r = S::fma(S::splat(-1.728_534_7e-5), t, S::splat(3.831_971_3e-4));
        let u = S::fma(S::splat(-3.883_964_4e-3), t, S::splat(2.425_462_2e-2));
        let r = S::fma(r, tt, u);
        let r = S::fma(r, t, S::splat(-0.106_777_88));
        let r = S::fma(r, t, S::splat(-0.634_846_7));
        let r = S::fma(r, t, S::splat(-0.128_717_51));
        let r = S::fma(r, t, S::sub(S::zero(), t));
        let far = S::sub(S::splat(1.0), exp::<S>(r));
        S::with_sign(S::select(S::lt(a, S::splat(0.927_734_4)), near, far), x)
    }
}

/// erfc x = 1 - erf x. For z = |x|, `e^(z^2) erfc z (1 + 2 z)` is a polynomial in `(z - 2) / (z + 2)`; the exponential is
/// that of two parts of -z^2, the first of them exact, so that no digits are lost where z is large.
#[inline(always)]
pub(crate) unsafe fn erfc<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        // From 11 on the result rounds to 0; NaN passes.
        let z = S::min(S::splat(11.0), S::abs(x));
        let upper = S::from_bits(S::int_and(S::bits(z), S::int(-4096)));
        let lower = S::mul(S::sub(z, upper), S::add(z, upper));
        let (n, r) = powers_of_two::<S>(S::sub(S::zero(), S::mul(upper, upper)));
        let e = exp_of::<S>(n, S::sub(r, lower));
        let q = S::div(S::sub(z, S::splat(2.0)), S::add(z, S::splat(2.0)));
        let p = polynomial::<S, 10>(
            q,
            [
                -3.994_467e-4,
                -1.227_998_9e-3,
                1.313_307_1e-3,
                8.630_094e-3,
                -8.060_142e-3,
                -5.420_388_3e-2,
                0.164_055_42,
                -0.166_031_46,
                -9.276_398e-2,
                1.276_978_4,
            ],
        );
        let y = S::mul(e, S::div(p, S::add(S::splat(1.0), S::add(z, z))));
        S::select(S::lt(x, S::zero()), S::sub(S::splat(2.0), y), y)
    }
}

/// Largest |x| for which three parts of pi / 2 and fused multiplication leave enough digits.
const TRIGONOMETRIC_LIMIT: f32 = 65536.0;

/// sin(x + quarters * pi / 2): x = j pi / 2 + r, then the sine or cosine of r.
#[inline(always)]
unsafe fn sine_shifted<S: Lanes>(x: S::Vector, quarters: i32) -> S::Vector {
    // SAFETY: the caller vouches for the CPU; the array has room for the widest vector.
    unsafe {
        let large = S::le(
            S::splat(if S::FMA { TRIGONOMETRIC_LIMIT } else { 0.0 }),
            S::abs(x),
        );
        if S::any(large) {
            let mut lanes = [0.0f32; 16];
            S::store(lanes.as_mut_ptr(), x);
            for x in &mut lanes[..S::LANES] {
                let wide = f64::from(*x);
                *x = if quarters == 0 {
                    wide.sin()
                } else {
                    wide.cos()
                } as f32;
            }
            return S::load(lanes.as_ptr());
        }
        let t = S::fma(x, S::splat(std::f32::consts::FRAC_2_PI), S::splat(ROUNDER));
        let j = S::sub(t, S::splat(ROUNDER));
        let quadrant = S::int_add(S::bits(t), S::int(quarters));
        // The first part of pi / 2 ends in zeros.
        #[allow(clippy::approx_constant)]
        let r = S::fma(j, S::splat(-1.570_796), x);
        let r = S::fma(j, S::splat(-3.139_164_7e-7), r);
        let r = S::fma(j, S::splat(-5.390_302_5e-15), r);
        let z = S::mul(r, r);
        let sin = polynomial::<S, 4>(
            z,
            [2.865_679_6e-6, -1.985_599_2e-4, 8.333_386e-3, -0.166_666_67],
        );
        let sin = S::fma(sin, S::mul(r, z), r);
        let cos = polynomial::<S, 5>(
            z,
            [2.446_770_7e-5, -1.388_773e-3, 4.166_665_7e-2, -0.5, 1.0],
        );
        let even = S::int_eq(S::int_and(quadrant, S::int(1)), S::int(0));
        let upper = S::int_eq(S::int_and(quadrant, S::int(2)), S::int(0));
        let y = S::select(even, sin, cos);
        let y = S::select(upper, y, S::sub(S::zero(), y));
        // Keeps the sign of a sine of 0.
        if quarters == 0 {
            S::select(S::eq(x, S::zero()), x, y)
        } else {
            y
        }
    }
}

/// sin x
#[inline(always)]
pub(crate) unsafe fn sin<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { sine_shifted::<S>(x, 0) }
}

/// cos x
#[inline(always)]
pub(crate) unsafe fn cos<S: Lanes>(x: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { sine_shifted::<S>(x, 1) }
}

/// 2^z in double precision, for z in [-1000, 1000].
#[inline(always)]
fn exp2_wide(z: f64) -> f64 {
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    let t = z + ROUNDER;
    let r = (z - (t - ROUNDER)) * std::f64::consts::LN_2;
    let mut p = 1.0 / 3_628_800.0;
    for c in [
        362_880.0, 40_320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0,
    ] {
        p = p * r + 1.0 / c;
    }
    p * f64::from_bits(t.to_bits().wrapping_add(1023) << 52)
}

/// log2 of a positive finite number, in double precision.
#[inline(always)]
fn log2_wide(x: f32) -> f64 {
    let x = f64::from(x); // also normalises what is denormal in single precision
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - SQRT_HALF);
    let k = (bits >> 52) as i32 - 1023;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SQRT_HALF);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let mut p = 1.0 / 19.0;
    for odd in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        p = p * z + 1.0 / odd;
    }
    2.0 * s * p * std::f64::consts::LOG2_E + f64::from(k)
}

/// x^y of single numbers, by way of double precision, with IEEE's special cases.
#[inline(always)]
pub(crate) fn power_lane(x: f32, y: f32) -> f32 {
    let a = x.abs();
    let log = if a == 0.0 {
        f64::NEG_INFINITY
    } else if a < f32::INFINITY {
        log2_wide(a)
    } else {
        f64::from(a) // infinite or NaN
    };
    let z = f64::from(y) * log;
    // 2^z overflows or vanishes in single precision beyond these; NaN passes.
    let z = if z > 300.0 { 300.0 } else { z };
    let z = if z < -300.0 { -300.0 } else { z };
    let r = exp2_wide(z) as f32;
    let whole = y.floor() == y;
    let odd = whole && (y * 0.5).floor() != y * 0.5;
    let r = if x.is_sign_negative() && odd { -r } else { r };
    let r = if x < 0.0 && a < f32::INFINITY && !whole {
        f32::NAN
    } else {
        r
    };
    let one = x == 1.0 || y == 0.0 || (x == -1.0 && y.abs() == f32::INFINITY);
    if one { 1.0 } else { r }
}

/// x^y
#[inline(always)]
pub(crate) unsafe fn power<S: Lanes>(x: S::Vector, y: S::Vector) -> S::Vector {
    // SAFETY: the caller vouches for the CPU; the arrays have room for the widest vector.
    unsafe {
        let (mut a, mut b) = ([0.0f32; 16], [0.0f32; 16]);
        S::store(a.as_mut_ptr(), x);
        S::store(b.as_mut_ptr(), y);
        for i in 0..S::LANES {
            a[i] = power_lane(a[i], b[i]);
        }
        S::load(a.as_ptr())
    }
}
