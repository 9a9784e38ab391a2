//! One body, compiled for every instruction set.

/// Compiles a generic body for every instruction set, behind one function that takes the [`Isa`] first.
///
/// The body is an `#[inline(always)] unsafe fn body<S: Simd>(..)`; everything it calls that should be compiled for
/// the instruction set must be `#[inline(always)]` too (closures are not). It may use the operations of
/// [`Simd`](super::Simd), or be plain loops for the compiler to vectorise.
///
/// ```ignore
/// #[inline(always)]
/// unsafe fn scale_body<S: Simd>(x: &mut [f32], by: f32) {
///     for x in x { *x = S::scalar_fma(*x, by, 1.0); }
/// }
/// multiversion! {
///     /// `x = x * by + 1`
///     pub(crate) unsafe fn scale(x: &mut [f32], by: f32) = scale_body;
/// }
/// // SAFETY: `isa` comes from `Isa::detect`, so this CPU has it.
/// unsafe { scale(isa, &mut x, 2.0) };
/// ```
///
/// Generic bodies take their further parameters after `S`, in square brackets, as declared and as used:
/// `unsafe fn name[const N: usize, T: Op; N, T](..) = body;` makes `name::<N, T>(isa, ..)` of `body::<S, N, T>`.
///
/// # Safety
///
/// The functions made are `unsafe`: the CPU must have the instruction set, beside what the body itself asks.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident $([$($generics:tt)*])? ($($arg:ident: $ty:ty),* $(,)?)
        $(-> $ret:ty)? = $body:ident;
    ) => {
        $crate::simd::multiversion! { @split ($(#[$meta])*) ($vis) $name ($($($generics)*)?) ($($arg: $ty),*) ($($ret)?) $body }
    };
    (@split ($(#[$meta:meta])*) ($vis:vis) $name:ident () $args:tt $ret:tt $body:ident) => {
        $crate::simd::multiversion! { @make ($(#[$meta])*) ($vis) $name () () $args $ret $body }
    };
    (@split ($(#[$meta:meta])*) ($vis:vis) $name:ident
        ($(const $c:ident: $ct:ty),* $(,)? ; $($used:ident),*) $args:tt $ret:tt $body:ident) => {
        $crate::simd::multiversion! { @make ($(#[$meta])*) ($vis) $name ($(const $c: $ct),*) ($($used),*) $args $ret $body }
    };
    (@split ($(#[$meta:meta])*) ($vis:vis) $name:ident
        ($($t:ident: $bound:path),+ $(, const $c:ident: $ct:ty)* ; $($used:ident),*) $args:tt $ret:tt $body:ident) => {
        $crate::simd::multiversion! { @make ($(#[$meta])*) ($vis) $name ($($t: $bound,)+ $(const $c: $ct),*) ($($used),*) $args $ret $body }
    };
    (@make ($(#[$meta:meta])*) ($vis:vis) $name:ident ($($declared:tt)*) ($($used:ident),*)
        ($($arg:ident: $ty:ty),*) ($($ret:ty)?) $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name<$($declared)*>(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2<$($declared)*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller vouches for the arguments, and this function for the features.
                unsafe { $body::<$crate::simd::Avx2, $($used),*>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512<$($declared)*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller vouches for the arguments, and this function for the features.
                unsafe { $body::<$crate::simd::Avx512, $($used),*>($($arg),*) }
            }
            // SAFETY: the caller vouches for the arguments, and for the instruction set being available.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx2 => avx2::<$($used),*>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx512 => avx512::<$($used),*>($($arg),*),
                    #[cfg(any(test, feature = "testing"))]
                    $crate::isa::Isa::Avx2Twin => $body::<$crate::simd::Avx2Twin, $($used),*>($($arg),*),
                    #[cfg(any(test, feature = "testing"))]
                    $crate::isa::Isa::Avx512Twin => $body::<$crate::simd::Avx512Twin, $($used),*>($($arg),*),
                    _ => $body::<$crate::simd::Portable<8>, $($used),*>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use crate::{isa::Isa, simd::Simd};

    #[inline(always)]
    unsafe fn polynomial_body<S: Simd, const N: usize>(x: &mut [f32]) -> usize {
        for x in x.iter_mut() {
            let mut y = 0.0;
            for i in 0..N {
                y = S::scalar_fma(y, *x, i as f32);
            }
            *x = y;
        }
        S::LANES
    }
    multiversion! {
        unsafe fn polynomial[const N: usize; N](x: &mut [f32]) -> usize = polynomial_body;
    }

    #[test]
    fn one_body_runs_on_every_instruction_set() {
        for isa in Isa::available() {
            let mut x: Vec<f32> = (0..37).map(|i| i as f32).collect();
            // SAFETY: the CPU has it.
            let lanes = unsafe { polynomial::<4>(isa, &mut x) };
            assert_eq!(lanes, isa.lanes());
            for (i, &y) in x.iter().enumerate() {
                let i = i as f32;
                assert_eq!(y, i * i + 2.0 * i + 3.0);
            }
        }
    }
}
