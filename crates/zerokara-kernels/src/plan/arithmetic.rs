//! How convolutions multiply: f32, bf16 with sums in f32, or f32 by direct sums alone.

/// How convolutions multiply and sum. What is kept is f32 in any case, and so are all sums.
///
/// A convolution is a sum of products over taps and channels. Filters of 3 x 3, and those of 5 x 5 in front of a max pooling,
/// are computed with fewer multiplications where that is quicker (Winograd's minimal filtering): products of sums of
/// neighbouring inputs, and sums of these products.
///
/// | | each output is wrong by at most |
/// |---|---|
/// | direct sums of n terms | n · 2⁻²⁴ of the sum of the terms' sizes. Terms that are zero add nothing: what is zero comes out as zero, and a sum of terms that are not negative is not negative. |
/// | minimal filtering | (n + 32) · 2⁻²⁴ · K · (largest number that its tile reads) · (sum of the sizes of the filter's elements). For tiles of 4 x 4 outputs of 3 x 3 filters n is the number of channels and K is 158; for four outputs in a row in front of a pooling n is channels times rows of the filter, and K is 13 for rows of three elements and 40 for rows of five. |
/// | with products of bf16 | the same, with 2⁻⁸ added to (n + 32) · 2⁻²⁴. |
///
/// So with minimal filtering an output beside much larger ones has their error, and a zero may come out as a small number of either
/// sign. Usual errors are far below these bounds: of 64 channels of uniform numbers, 3e-7 of the sum of the terms' sizes, against
/// 2e-7 of direct sums. The gradient with respect to the filters sums over tiles instead of channels. Numbers below 2⁻¹²⁶
/// (denormals) have fewer bits than the bounds suppose.
///
/// Where a number that is read is infinite or NaN, or one on the way becomes it, the tile is computed anew by direct sums, under
/// every arithmetic: infinities and NaN are where the definition has them, and nowhere else. Order and cut of all sums
/// depend on shapes and instruction set, never on the number of threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// f32, with fewer multiplications where that is quicker.
    #[default]
    F32,
    /// Products of bf16, two at a time, in 3 x 3 convolutions that are computed with fewer multiplications and read an even
    /// number of channels (for the gradient with respect to the input: that write an even number). Transformed images, filters
    /// and gradients are rounded to nearest, ties to even. Everything else stays f32.
    Bf16,
    /// f32, and every sum direct: exact zeros stay exact. Slower where fewer multiplications would do.
    Direct,
}

impl Arithmetic {
    /// All of them.
    pub const ALL: [Arithmetic; 3] = [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Direct];

    /// The word that names it.
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::F32 => "f32",
            Arithmetic::Bf16 => "bf16",
            Arithmetic::Direct => "direct",
        }
    }
}
