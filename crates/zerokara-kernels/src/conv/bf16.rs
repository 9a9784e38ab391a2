//! The kernels with products of bf16, for what [`choice`](super::choice) chooses them for: compiled for AVX-512 with
//! AVX512-BF16, and in portable code that does the same number by number.

use super::{ConvGeometry, filters, images};
use crate::{isa::Isa, plan::ConvPass, simd::Portable};
use std::ops::Range;

macro_rules! versions {
    ($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),* $(,)?) = $($body:ident)::+) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe fn $name(isa: Isa, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: the caller vouches for the arguments, and this function for the features.
                unsafe { $($body)::+::<crate::simd::Avx512Bf16, true>($($arg),*) }
            }
            // SAFETY: the caller vouches for the arguments, and for the CPU having isa and bf16.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512($($arg),*),
                    #[cfg(any(test, feature = "testing"))]
                    Isa::Avx512Twin => $($body)::+::<crate::simd::Avx512Twin, true>($($arg),*),
                    _ => $($body)::+::<Portable<8>, true>($($arg),*),
                }
            }
        }
    };
}

versions! {
    /// Packs the filters of the target channels of `vectors`, which begins and ends at panels.
    pack(
        geometry: &ConvGeometry,
        pass: ConvPass,
        vectors: Range<usize>,
        filters: *const f32,
        strides: [isize; 4],
        packed: *mut f32,
    ) = images::winograd::pack_panels
}

versions! {
    /// Runs unit `unit` of a pass.
    run_unit(
        geometry: &ConvGeometry,
        pass: ConvPass,
        unit: usize,
        source: *const f32,
        packed: *const f32,
        target: *mut f32,
        scratch: &mut [f32],
    ) = images::winograd::run_unit_body
}

versions! {
    /// Runs unit `unit` of the partial gradients with respect to the filters.
    weight_gradient(
        geometry: &ConvGeometry,
        unit: usize,
        input: *const f32,
        output_gradient: *const f32,
        partials: *mut f32,
        scratch: &mut [f32],
    ) = filters::winograd::run_unit_body
}
