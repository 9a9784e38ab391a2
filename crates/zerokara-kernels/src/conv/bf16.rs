//! Kernels with products of bf16, for what [`choice`](super::choice) takes them for: compiled for AVX-512 with
//! AVX512-BF16, and in portable code that does the same number by number.

/// As [`multiversion!`](crate::simd::multiversion), of bodies `body::<S, BF16>` with products of bf16.
macro_rules! with_bf16 {
    ($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: the caller vouches for the arguments, and this function for the features.
                unsafe { $body::<$crate::simd::Avx512Bf16, true>($($arg),*) }
            }
            // SAFETY: the caller vouches for the arguments, and for the CPU having isa and bf16.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx512 => avx512($($arg),*),
                    #[cfg(any(test, feature = "testing"))]
                    $crate::isa::Isa::Avx512Twin => $body::<$crate::simd::Avx512Twin, true>($($arg),*),
                    _ => $body::<$crate::simd::Portable<8>, true>($($arg),*),
                }
            }
        }
    };
}
pub(super) use with_bf16;
