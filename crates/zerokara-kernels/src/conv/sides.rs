//! What a pass reads and what it writes.

use crate::plan::{ConvGeometry, ConvPass};
/// Sizes of the images that a pass reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Sides {
    /// Height and width of the images read.
    pub source: [usize; 2],
    /// Their channels, and those of one group.
    pub source_channels: (usize, usize),
    /// Height and width of the images written.
    pub target: [usize; 2],
    /// Their channels, and those of one group.
    pub target_channels: (usize, usize),
}

impl Sides {
    #[inline(always)]
    pub fn new(g: &ConvGeometry, pass: ConvPass) -> Sides {
        let groups = g.groups.max(1);
        let input = (g.in_channels, g.in_channels / groups);
        let output = (g.out_channels, g.out_channels / groups);
        match pass {
            ConvPass::Forward => Sides {
                source: g.input,
                source_channels: input,
                target: g.output,
                target_channels: output,
            },
            ConvPass::InputGradient => Sides {
                source: g.output,
                source_channels: output,
                target: g.input,
                target_channels: input,
            },
        }
    }
    /// Vectors of target channels of one group.
    pub fn target_vectors(&self, lanes: usize) -> usize {
        self.target_channels.1.div_ceil(lanes)
    }

    /// Pairs of vectors of target channels, at which panels begin; the last pair takes an odd vector along.
    pub fn pairs(&self, lanes: usize) -> usize {
        (self.target_vectors(lanes) / 2).max(1)
    }
}
