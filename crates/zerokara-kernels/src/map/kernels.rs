//! One tight loop for each instruction and each kind of operand.
//!
//! A kernel reads vectors and numbers and writes a vector of `n` elements. The destination may be a source:
//! each lane is read before it is written.

use super::{Binary, Unary, functions};
use crate::{isa::Isa, simd::Lanes};

/// `(destination, sources, elements)`. What a source points to, `n` elements or one that stands for all, is part of
/// which kernel it is.
pub(crate) type Kernel = unsafe fn(*mut f32, [*const f32; 3], usize);

/// Chooses the kernel compiled for an instruction set out of a generic body.
macro_rules! kernel {
    ($name:ident[$($t:ident: $bound:path),* $(; $(const $c:ident: $ct:ty),*)?] = $body:ident) => {
        fn $name<$($t: $bound,)* $($(const $c: $ct),*)?>(isa: Isa) -> Kernel {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<$($t: $bound,)* $($(const $c: $ct),*)?>(d: *mut f32, s: [*const f32; 3], n: usize) {
                // SAFETY: the caller vouches for the pointers, this function for the features.
                unsafe { $body::<crate::simd::Avx2, $($t,)* $($($c),*)?>(d, s, n) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            unsafe fn avx512<$($t: $bound,)* $($(const $c: $ct),*)?>(d: *mut f32, s: [*const f32; 3], n: usize) {
                // SAFETY: the caller vouches for the pointers, this function for the features.
                unsafe { $body::<crate::simd::Avx512, $($t,)* $($($c),*)?>(d, s, n) }
            }
            unsafe fn portable<$($t: $bound,)* $($(const $c: $ct),*)?>(d: *mut f32, s: [*const f32; 3], n: usize) {
                // SAFETY: the caller vouches for the pointers.
                unsafe { $body::<crate::simd::Portable<8>, $($t,)* $($($c),*)?>(d, s, n) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::<$($t,)* $($($c),*)?>,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512::<$($t,)* $($($c),*)?>,
                #[cfg(any(test, feature = "testing"))]
                Isa::Avx2Twin => $body::<crate::simd::Avx2Twin, $($t,)* $($($c),*)?>,
                #[cfg(any(test, feature = "testing"))]
                Isa::Avx512Twin => $body::<crate::simd::Avx512Twin, $($t,)* $($($c),*)?>,
                _ => portable::<$($t,)* $($($c),*)?>,
            }
        }
    };
}

/// A function of one vector.
trait Function1: 'static {
    /// Whether it is so cheap that the loop around it should be unrolled.
    const CHEAP: bool;
    unsafe fn of<S: Lanes>(x: S::Vector) -> S::Vector;
}

/// A function of two vectors.
trait Function2: 'static {
    /// Whether it is so cheap that the loop around it should be unrolled.
    const CHEAP: bool;
    unsafe fn of<S: Lanes>(x: S::Vector, y: S::Vector) -> S::Vector;
}

/// A vector, or one number in all lanes that was read before the loop.
#[inline(always)]
unsafe fn operand<S: Lanes, const VECTOR: bool>(
    p: *const f32,
    splat: S::Vector,
    i: usize,
) -> S::Vector {
    // SAFETY: the caller vouches for the CPU and, if it is a vector, for `p`.
    unsafe { if VECTOR { S::load(p.add(i)) } else { splat } }
}

#[inline(always)]
unsafe fn operand_partial<S: Lanes, const VECTOR: bool>(
    p: *const f32,
    splat: S::Vector,
    i: usize,
    n: usize,
) -> S::Vector {
    // SAFETY: the caller vouches for the CPU and, if it is a vector, for `p`.
    unsafe {
        if VECTOR {
            S::load_partial(p.add(i), n)
        } else {
            splat
        }
    }
}

#[inline(always)]
unsafe fn unary_body<S: Lanes, F: Function1>(d: *mut f32, s: [*const f32; 3], n: usize) {
    // SAFETY: the caller vouches for the CPU and for `n` elements at each pointer.
    unsafe {
        let [x, ..] = s;
        let l = S::LANES;
        let mut i = 0;
        if F::CHEAP {
            while i + 4 * l <= n {
                let a = F::of::<S>(S::load(x.add(i)));
                let b = F::of::<S>(S::load(x.add(i + l)));
                let c = F::of::<S>(S::load(x.add(i + 2 * l)));
                let e = F::of::<S>(S::load(x.add(i + 3 * l)));
                S::store(d.add(i), a);
                S::store(d.add(i + l), b);
                S::store(d.add(i + 2 * l), c);
                S::store(d.add(i + 3 * l), e);
                i += 4 * l;
            }
        }
        while i + l <= n {
            S::store(d.add(i), F::of::<S>(S::load(x.add(i))));
            i += l;
        }
        if i < n {
            S::store_partial(
                d.add(i),
                F::of::<S>(S::load_partial(x.add(i), n - i)),
                n - i,
            );
        }
    }
}
kernel!(unary_kernel[F: Function1] = unary_body);

#[inline(always)]
unsafe fn binary_body<S: Lanes, F: Function2, const X: bool, const Y: bool>(
    d: *mut f32,
    s: [*const f32; 3],
    n: usize,
) {
    // SAFETY: the caller vouches for the CPU, and for `n` elements at each pointer to a vector, one at the others.
    unsafe {
        let [x, y, _] = s;
        let (sx, sy) = (
            if X { S::zero() } else { S::broadcast(x) },
            if Y { S::zero() } else { S::broadcast(y) },
        );
        let l = S::LANES;
        let mut i = 0;
        macro_rules! at {
            ($i:expr) => {
                F::of::<S>(operand::<S, X>(x, sx, $i), operand::<S, Y>(y, sy, $i))
            };
        }
        if F::CHEAP {
            while i + 4 * l <= n {
                let (a, b, c, e) = (at!(i), at!(i + l), at!(i + 2 * l), at!(i + 3 * l));
                S::store(d.add(i), a);
                S::store(d.add(i + l), b);
                S::store(d.add(i + 2 * l), c);
                S::store(d.add(i + 3 * l), e);
                i += 4 * l;
            }
        }
        while i + l <= n {
            S::store(d.add(i), at!(i));
            i += l;
        }
        if i < n {
            let rest = n - i;
            let a = operand_partial::<S, X>(x, sx, i, rest);
            let b = operand_partial::<S, Y>(y, sy, i, rest);
            S::store_partial(d.add(i), F::of::<S>(a, b), rest);
        }
    }
}
kernel!(binary_kernel[F: Function2; const X: bool, const Y: bool] = binary_body);

#[inline(always)]
unsafe fn select_body<S: Lanes, const Y: bool, const N: bool>(
    d: *mut f32,
    s: [*const f32; 3],
    n: usize,
) {
    // SAFETY: the caller vouches for the CPU, and for `n` elements at each pointer to a vector, one at the others.
    unsafe {
        let [c, y, z] = s;
        let (sy, sz) = (
            if Y { S::zero() } else { S::broadcast(y) },
            if N { S::zero() } else { S::broadcast(z) },
        );
        let l = S::LANES;
        let mut i = 0;
        macro_rules! at {
            ($i:expr) => {
                S::select(
                    S::ne(S::load(c.add($i)), S::zero()),
                    operand::<S, Y>(y, sy, $i),
                    operand::<S, N>(z, sz, $i),
                )
            };
        }
        while i + 2 * l <= n {
            let (a, b) = (at!(i), at!(i + l));
            S::store(d.add(i), a);
            S::store(d.add(i + l), b);
            i += 2 * l;
        }
        while i + l <= n {
            S::store(d.add(i), at!(i));
            i += l;
        }
        if i < n {
            let rest = n - i;
            let c = S::ne(S::load_partial(c.add(i), rest), S::zero());
            let y = operand_partial::<S, Y>(y, sy, i, rest);
            let z = operand_partial::<S, N>(z, sz, i, rest);
            S::store_partial(d.add(i), S::select(c, y, z), rest);
        }
    }
}
kernel!(select_kernel[; const Y: bool, const N: bool] = select_body);

#[inline(always)]
unsafe fn splat_body<S: Lanes>(d: *mut f32, s: [*const f32; 3], n: usize) {
    // SAFETY: the caller vouches for the CPU, one element at the source and `n` at the destination.
    unsafe {
        let x = S::broadcast(s[0]);
        let mut i = 0;
        while i + S::LANES <= n {
            S::store(d.add(i), x);
            i += S::LANES;
        }
        if i < n {
            S::store_partial(d.add(i), x, n - i);
        }
    }
}
kernel!(splat_kernel[] = splat_body);

#[inline(always)]
unsafe fn widen_body<S: Lanes>(d: *mut f32, s: [*const f32; 3], n: usize) {
    // SAFETY: the caller vouches for the CPU, `n` bytes at the source and `n` elements at the destination.
    unsafe {
        let x: *const u8 = s[0].cast();
        let mut i = 0;
        while i + S::LANES <= n {
            S::store(d.add(i), S::load_bytes(x.add(i)));
            i += S::LANES;
        }
        while i < n {
            *d.add(i) = f32::from(*x.add(i));
            i += 1;
        }
    }
}
kernel!(widen_kernel[] = widen_body);

unsafe fn copy_kernel(d: *mut f32, s: [*const f32; 3], n: usize) {
    // SAFETY: the caller vouches for `n` elements at each pointer.
    unsafe { d.copy_from(s[0], n) }
}

/// Writes truth values: 1 where the number is not 0.
///
/// # Safety
/// `n` elements at the source, `n` bytes at the destination.
pub(crate) unsafe fn narrow(d: *mut u8, s: *const f32, n: usize) {
    for i in 0..n {
        // SAFETY: the caller vouches for the pointers.
        unsafe { *d.add(i) = u8::from(*s.add(i) != 0.0) };
    }
}

/// Writes numbers as bytes: truncated, those beyond the range as its nearest end, NaN as 0.
///
/// # Safety
/// As for [`narrow`].
pub(crate) unsafe fn bytes(d: *mut u8, s: *const f32, n: usize) {
    for i in 0..n {
        // SAFETY: the caller vouches for the pointers.
        unsafe { *d.add(i) = *s.add(i) as u8 };
    }
}

/// Copies `n` elements.
pub(crate) fn copy() -> Kernel {
    copy_kernel
}

/// Fills `n` elements with one number.
pub(crate) fn splat(isa: Isa) -> Kernel {
    splat_kernel(isa)
}

/// Turns `n` bytes into numbers.
pub(crate) fn widen(isa: Isa) -> Kernel {
    widen_kernel(isa)
}

/// The kernel of a choice; whether `yes` and `no` are vectors. The condition is one.
pub(crate) fn select(isa: Isa, yes: bool, no: bool) -> Kernel {
    match (yes, no) {
        (true, true) => select_kernel::<true, true>(isa),
        (true, false) => select_kernel::<true, false>(isa),
        (false, true) => select_kernel::<false, true>(isa),
        (false, false) => select_kernel::<false, false>(isa),
    }
}

macro_rules! functions1 {
    ($($name:ident($cheap:literal) = |$s:ident, $x:ident| $e:expr;)*) => {
        $(
            struct $name;
            impl Function1 for $name {
                const CHEAP: bool = $cheap;
                #[inline(always)]
                unsafe fn of<$s: Lanes>($x: $s::Vector) -> $s::Vector {
                    // SAFETY: the caller vouches for the CPU.
                    unsafe { $e }
                }
            }
        )*

        /// The kernel of a function of one vector.
        pub(crate) fn unary(isa: Isa, function: Unary) -> Kernel {
            match function {
                $(Unary::$name => unary_kernel::<$name>(isa),)*
            }
        }
    };
}
functions1! {
    Negate(true) = |S, x| S::from_bits(S::int_add(S::bits(x), S::int(i32::MIN)));
    Absolute(true) = |S, x| S::abs(x);
    Sign(true) = |S, x| S::select(
        S::lt(S::zero(), x),
        S::splat(1.0),
        S::select(S::lt(x, S::zero()), S::splat(-1.0), x),
    );
    Reciprocal(true) = |S, x| S::div(S::splat(1.0), x);
    Square(true) = |S, x| S::mul(x, x);
    Sqrt(true) = |S, x| S::sqrt(x);
    Rsqrt(true) = |S, x| S::div(S::splat(1.0), S::sqrt(x));
    Exp(false) = |S, x| functions::exp::<S>(x);
    ExpM1(false) = |S, x| functions::exp_m1::<S>(x);
    Log(false) = |S, x| functions::log::<S>(x);
    Sin(false) = |S, x| functions::sin::<S>(x);
    Cos(false) = |S, x| functions::cos::<S>(x);
    Tanh(false) = |S, x| functions::tanh::<S>(x);
    Sigmoid(false) = |S, x| functions::sigmoid::<S>(x);
    Softplus(false) = |S, x| functions::softplus::<S>(x);
    Erf(false) = |S, x| functions::erf::<S>(x);
    Erfc(false) = |S, x| functions::erfc::<S>(x);
    Floor(true) = |S, x| S::floor(x);
    Not(true) = |S, x| S::truth(S::eq(x, S::zero()));
    IsFinite(true) = |S, x| S::truth(S::lt(S::abs(x), S::splat(f32::INFINITY)));
}

macro_rules! functions2 {
    ($($name:ident($cheap:literal) = |$s:ident, $x:ident, $y:ident| $e:expr;)*) => {
        $(
            struct $name;
            impl Function2 for $name {
                const CHEAP: bool = $cheap;
                #[inline(always)]
                unsafe fn of<$s: Lanes>($x: $s::Vector, $y: $s::Vector) -> $s::Vector {
                    // SAFETY: the caller vouches for the CPU.
                    unsafe { $e }
                }
            }
        )*

        /// The kernel of a function of two operands; whether each is a vector.
        pub(crate) fn binary(isa: Isa, function: Binary, x: bool, y: bool) -> Kernel {
            match function {
                $(Binary::$name => match (x, y) {
                    (true, false) => binary_kernel::<$name, true, false>(isa),
                    (false, true) => binary_kernel::<$name, false, true>(isa),
                    _ => binary_kernel::<$name, true, true>(isa),
                },)*
            }
        }
    };
}
functions2! {
    Add(true) = |S, x, y| S::add(x, y);
    Subtract(true) = |S, x, y| S::sub(x, y);
    Multiply(true) = |S, x, y| S::mul(x, y);
    Divide(true) = |S, x, y| S::div(x, y);
    Power(false) = |S, x, y| functions::power::<S>(x, y);
    // The instruction gives y if either is NaN; what remains is a NaN in x.
    Maximum(true) = |S, x, y| S::select(S::ne(x, x), x, S::max(x, y));
    Minimum(true) = |S, x, y| S::select(S::ne(x, x), x, S::min(x, y));
    Equal(true) = |S, x, y| S::truth(S::eq(x, y));
    NotEqual(true) = |S, x, y| S::truth(S::ne(x, y));
    Less(true) = |S, x, y| S::truth(S::lt(x, y));
    LessEqual(true) = |S, x, y| S::truth(S::le(x, y));
    Greater(true) = |S, x, y| S::truth(S::lt(y, x));
    GreaterEqual(true) = |S, x, y| S::truth(S::le(y, x));
    And(true) = |S, x, y| S::truth(S::and(S::ne(x, S::zero()), S::ne(y, S::zero())));
    Or(true) = |S, x, y| S::truth(S::or(S::ne(x, S::zero()), S::ne(y, S::zero())));
}
