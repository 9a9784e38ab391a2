//! Convolution of channels-last images.

/// Sizes and options of a two-dimensional convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Images in the batch, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Height and width of the input, H and W.
    pub input: [usize; 2],
    /// Height and width of the output, Y and X.
    pub output: [usize; 2],
    /// Height and width of the filters, KH and KW.
    pub kernel: [usize; 2],
    /// Steps of the filter, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input, above and below, left and right.
    pub padding: [usize; 2],
    /// Distance between neighbouring elements of the filter.
    pub dilation: [usize; 2],
    /// Number of groups that C and O are cut into.
    pub groups: usize,
}
/// stub
pub fn packed_len(_isa: crate::isa::Isa, _g: &ConvGeometry, _p: crate::plan::ConvPass) -> usize { 0 }
/// stub
pub fn partials(_g: &ConvGeometry) -> usize { 1 }
