//! Which way a pass is computed, and what it multiplies.

use super::{ConvGeometry, filters, sides::Sides, winograd};
use crate::{arithmetic::Arithmetic, isa::Isa, plan::ConvPass};

/// How a pass is computed: a function of geometry, pass and instruction set alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Sums over taps and channels: `images/direct.rs` and `filters/direct.rs`.
    Direct,
    /// Fewer multiplications for filters of 3 x 3: `winograd/`.
    Winograd,
}

pub(super) fn images(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> Algorithm {
    if winograd::pays(lanes, g, pass) {
        Algorithm::Winograd
    } else {
        Algorithm::Direct
    }
}

/// What a pass multiplies if `wanted` is asked for: bf16 only if it is computed by fewer multiplications and reads an
/// even number of channels.
pub fn arithmetic(isa: Isa, g: &ConvGeometry, pass: ConvPass, wanted: Arithmetic) -> Arithmetic {
    arithmetic_of(isa.lanes(), g, pass, wanted)
}

pub(super) fn arithmetic_of(
    lanes: usize,
    g: &ConvGeometry,
    pass: ConvPass,
    wanted: Arithmetic,
) -> Arithmetic {
    let even = Sides::new(g, pass).source_channels.0.is_multiple_of(2);
    match images(lanes, g, pass) {
        Algorithm::Winograd if even && wanted == Arithmetic::Bf16 => wanted,
        _ => Arithmetic::F32,
    }
}

/// What the gradient with respect to the filters multiplies if `wanted` is asked for: bf16 only if it is computed by fewer
/// multiplications.
pub fn weight_gradient_arithmetic(isa: Isa, g: &ConvGeometry, wanted: Arithmetic) -> Arithmetic {
    weight_gradient_arithmetic_of(isa.lanes(), g, wanted)
}

fn weight_gradient_arithmetic_of(lanes: usize, g: &ConvGeometry, wanted: Arithmetic) -> Arithmetic {
    match filters(lanes, g) {
        Algorithm::Winograd if wanted == Arithmetic::Bf16 => wanted,
        _ => Arithmetic::F32,
    }
}

pub(super) fn filters(lanes: usize, g: &ConvGeometry) -> Algorithm {
    if filters::winograd::pays(lanes, g) {
        Algorithm::Winograd
    } else {
        Algorithm::Direct
    }
}
