//! Which methods there are to compute each pass of a convolution, and when each is taken.
//!
//! | pass | method | where | multiplies | taken |
//! |---|---|---|---|---|
//! | forward, gradient of the input | direct sums | `images/direct.rs` | f32 | always possible |
//! | | Winograd's F(4 x 4, 3 x 3) | `images/winograd.rs` | f32; bf16 where an even number of channels is read | [`images`]: filters of 3 x 3 of stride 1, a vector of channels or more on both sides, an eighth less work |
//! | gradient of the filters | direct sums | `filters/direct.rs` | f32 | always possible |
//! | | Winograd's F(4 x 4, 3 x 3) | `filters/winograd.rs` | f32 or bf16 | [`filters`]: as above |
//! | all three | channel by channel | `depthwise/` | f32 | as many groups as channels, in and out |
//! | forward with a max pooling | lines, F(4, 3) or F(4, 5) | `images/conv_pool.rs` | f32 | [`pools`]: filters of 3 x 3 or 5 x 5 of stride 1, windows of 2 x 2, lines that stay near, an eighth less work than direct sums, which the convolution would take |
//! | gradient of the filters over the windows of a max pooling | patches that windows chose | `filters/patches.rs` | f32 | [`sums_over_windows`]: windows of four positions or more that are whole and share nothing, patches of few vectors, and no Winograd for the sum over positions |
//! | | lines, F(4, 3) or F(4, 5) | `filters/lines.rs` | f32 | [`over_windows`]: as forward, and less work than the patches |
//!
//! Forward with a pooling is the pass and then the pooling where no method does both; so is the gradient over windows that of the
//! pooling and then that over positions. [`ConvGeometry::direct`] leaves direct sums and patches.
//!
//! All of this follows from shapes and the lanes of the instruction set. Work is estimated in half cycles: two multiplications of
//! vectors are one cycle.

use super::{
    depthwise,
    filters::{
        direct::partials,
        lines::NEAR,
        patches::{self, MOST_VECTORS},
    },
    lines::Layout,
    sides::Sides,
    winograd::{
        TILE,
        transform::{FREQUENCIES, PAIR, PAIRS},
    },
};
use crate::{
    isa::Isa,
    plan::{Arithmetic, ConvGeometry, ConvPass, PoolGeometry},
};

/// How a pass is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Sums over taps and channels, or over positions.
    Direct,
    /// Fewer multiplications for filters of 3 x 3.
    Winograd,
    /// Channel by channel.
    Depthwise,
}

/// How the gradient of the filters is summed over windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodOverWindows {
    /// A patch of the input for each window and channel.
    Patches,
    /// Minimal filtering along the rows.
    Lines,
}

/// The method of the forward pass or of the gradient with respect to the input.
pub(super) fn images(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> Method {
    if depthwise::applies(g) {
        return Method::Depthwise;
    }
    if !is_of_tiles(g) {
        return Method::Direct;
    }
    // Transforms and small products reach less than two multiplications in a cycle.
    let sides = Sides::new(g, pass);
    let (source, target) = (sides.source_channels.0, sides.target_channels.0);
    let (source_vectors, vectors) = (source.div_ceil(lanes), target.div_ceil(lanes));
    let positions = g.batch * sides.target[0] * sides.target[1];
    let direct = positions * 9 * source * vectors;
    let tiles = g.batch * sides.target[0].div_ceil(TILE) * sides.target[1].div_ceil(TILE);
    let packing = source * vectors * 100;
    let winograd = tiles * (FREQUENCIES * source * vectors + 180 * source_vectors + 130 * vectors);
    match source >= lanes && target >= lanes && winograd + packing < direct - direct / 8 {
        true => Method::Winograd,
        false => Method::Direct,
    }
}

/// The method of the gradient with respect to the filters.
pub(super) fn filters(lanes: usize, g: &ConvGeometry) -> Method {
    if depthwise::applies(g) {
        return Method::Depthwise;
    }
    if !is_of_tiles(g) {
        return Method::Direct;
    }
    let (input, output) = (g.in_channels, g.out_channels);
    let vectors = output.div_ceil(lanes);
    let direct = g.batch * g.output[0] * g.output[1] * 9 * input * vectors;
    let tiles = g.batch * g.output[0].div_ceil(TILE) * g.output[1].div_ceil(TILE);
    let transforms = 180 * input.div_ceil(lanes) + 150 * vectors;
    let back = partials(g) * input * vectors * 250;
    let winograd = tiles * (PAIRS * PAIR * input * vectors + transforms) + back;
    match input >= lanes && output >= lanes && winograd < direct - direct / 8 {
        true => Method::Winograd,
        false => Method::Direct,
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
        Method::Winograd if even && wanted == Arithmetic::Bf16 => wanted,
        _ => Arithmetic::F32,
    }
}

/// What the gradient with respect to the filters multiplies if `wanted` is asked for: bf16 only if it is computed by fewer
/// multiplications.
pub fn weight_gradient_arithmetic(isa: Isa, g: &ConvGeometry, wanted: Arithmetic) -> Arithmetic {
    match filters(isa.lanes(), g) {
        Method::Winograd if wanted == Arithmetic::Bf16 => wanted,
        _ => Arithmetic::F32,
    }
}

/// Most bytes that the lines of an image may take where they are read again for every few output channels.
const MOST_BYTES: usize = 64 << 10;

/// Whether a convolution pools what it computes: whether one method does both, and takes less time than one after the other.
pub fn pools(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    let lanes = isa.lanes();
    if !is_of_lines(g, pool) || images(lanes, g, ConvPass::Forward) == Method::Winograd {
        return false;
    }
    let layout = Layout::new(lanes, g, pool.output);
    let taps = g.kernel[0] * g.in_channels;
    let positions = g.output[0] * g.output[1];
    let direct = positions * g.out_channels.div_ceil(lanes) * (taps * g.kernel[1] + 10);
    layout.len * 4 <= MOST_BYTES && layout.half_cycles(g) < direct - direct / 8
}

/// Whether the gradient with respect to the filters is summed over the windows of a pooling: whether that is possible, and
/// cheaper than the sum over positions.
pub fn sums_over_windows(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    let lanes = isa.lanes();
    let whole = |i: usize| {
        pool.padding.before[i] == 0
            && pool.stride[i] >= pool.kernel[i]
            && (pool.output[i] - 1) * pool.stride[i] + pool.kernel[i] <= pool.input[i]
    };
    let few = || patches::vectors(lanes, g) <= MOST_VECTORS;
    g.is_consistent()
        && pool.is_consistent()
        && is_of_output(g, pool)
        && whole(0)
        && whole(1)
        && pool.has_byte_places()
        && pool.kernel[0] * pool.kernel[1] >= 4
        && g.groups == 1
        && g.dilation[1] == 1
        && (few() || over_windows(lanes, g, pool) == MethodOverWindows::Lines)
        && filters(lanes, g) == Method::Direct
}

/// The method of the gradient with respect to the filters over the windows of a pooling.
pub(super) fn over_windows(
    lanes: usize,
    g: &ConvGeometry,
    pool: &PoolGeometry,
) -> MethodOverWindows {
    if !is_of_lines(g, pool) {
        return MethodOverWindows::Patches;
    }
    // For each output channel of an image.
    let layout = Layout::new(lanes, g, pool.output);
    let taps = g.kernel[0] * g.in_channels;
    let lines = layout.groups * (2 * layout.points * taps + 50);
    let patches = pool.output[0] * pool.output[1] * patches::vectors(lanes, g) * 2;
    match layout.len <= 4 * NEAR && lines < patches {
        true => MethodOverWindows::Lines,
        false => MethodOverWindows::Patches,
    }
}

/// Whether windows over which the filters' gradient is summed may have no place ([`NOWHERE`](crate::pooling::NOWHERE)).
pub fn windows_may_be_nowhere(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    over_windows(isa.lanes(), g, pool) == MethodOverWindows::Lines
}

/// Whether the filters are of the kind that Winograd's tiles are about.
fn is_of_tiles(g: &ConvGeometry) -> bool {
    g.kernel == [3, 3] && is_plain(g)
}

/// Whether the pooling is of the convolution's output, in windows of 2 x 2 that are whole, and the filters are of the kind
/// that lines are about.
fn is_of_lines(g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    g.is_consistent()
        && pool.is_consistent()
        && matches!(g.kernel, [3, 3] | [5, 5])
        && is_plain(g)
        && is_of_output(g, pool)
        && pool.kernel == [2, 2]
        && pool.stride == [2, 2]
        && pool.padding.before == [0, 0]
        && (0..2).all(|i| 2 * pool.output[i] <= pool.input[i])
}

/// Whether minimal filtering may be: neighbours in one group, and sums that need not be direct.
fn is_plain(g: &ConvGeometry) -> bool {
    !g.direct && g.stride == [1, 1] && g.dilation == [1, 1] && g.groups == 1
}

/// Whether the pooling is of the convolution's output.
fn is_of_output(g: &ConvGeometry, pool: &PoolGeometry) -> bool {
    (pool.batch, pool.channels, pool.input) == (g.batch, g.out_channels, g.output)
}
