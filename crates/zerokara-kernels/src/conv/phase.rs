//! What a pass of a convolution reads for what it writes, one axis at a time.
//!
//! Forward, target position t reads source positions `t * stride - padding + tap * dilation`. The gradient with respect
//! to the input is the transposed map: with a stride of s, the positions of one residue modulo s are reached by the
//! taps of one residue alone, so each such *phase* is a convolution of stride 1 with its own subset of the taps, and
//! nothing is multiplied by the zeros that lie between.

use crate::plan::{ConvGeometry, ConvPass};
use std::ops::Range;

/// One phase along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// First target position.
    pub start: usize,
    /// Distance between target positions.
    pub step: usize,
    /// Number of target positions.
    pub count: usize,
    /// Number of taps.
    pub taps: usize,
    /// The filter's index at the first tap, and its change from tap to tap.
    pub filter: (isize, isize),
    /// The source position of the first target position and the first tap; may lie outside of the source.
    pub origin: isize,
    /// Distance in the source between neighbouring target positions.
    pub source_step: isize,
    /// Distance in the source between neighbouring taps.
    pub tap_step: isize,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Phase {
    /// Number of phases along an axis (0: down, 1: across).
    #[inline(always)]
    pub fn number(g: &ConvGeometry, pass: ConvPass, axis: usize) -> usize {
        match pass {
            ConvPass::Forward => 1,
            ConvPass::InputGradient => g.stride[axis],
        }
    }

    /// Phase `residue` along `axis`.
    pub fn new(g: &ConvGeometry, pass: ConvPass, axis: usize, residue: usize) -> Phase {
        let (stride, padding) = (g.stride[axis], g.padding.before[axis]);
        let (dilation, kernel) = (g.dilation[axis], g.kernel[axis]);
        if pass == ConvPass::Forward {
            return Phase {
                start: 0,
                step: 1,
                count: g.output[axis],
                taps: kernel,
                filter: (0, 1),
                origin: -(padding as isize),
                source_step: stride as isize,
                tap_step: dilation as isize,
            };
        }
        // Target h reads source (h + padding - tap * dilation) / stride where that is whole.
        let start = (residue + stride - padding % stride) % stride;
        let count = g.input[axis].saturating_sub(start).div_ceil(stride);
        let common = gcd(dilation, stride);
        let apart = stride / common;
        let first = (0..apart).find(|tap| tap * dilation % stride == residue);
        let taps = first.map_or(0, |first| kernel.saturating_sub(first).div_ceil(apart));
        // The source ascends as the filter descends.
        let last = first.unwrap_or(0) + taps.saturating_sub(1) * apart;
        let origin = (start + padding) as isize - (last * dilation) as isize;
        Phase {
            start,
            step: stride,
            count,
            taps,
            filter: (last as isize, -(apart as isize)),
            origin: origin.div_euclid(stride as isize),
            source_step: 1,
            tap_step: (dilation / common) as isize,
        }
    }

    /// The positions of this phase, by number, whose targets lie in `targets`.
    #[inline(always)]
    pub fn within(&self, targets: &Range<usize>) -> Range<usize> {
        let number = |position: usize| {
            position
                .saturating_sub(self.start)
                .div_ceil(self.step)
                .min(self.count)
        };
        number(targets.start)..number(targets.end)
    }

    /// The source positions read for `positions`, first and last; nothing if none is read.
    fn sources(&self, positions: &Range<usize>) -> Option<(isize, isize)> {
        if positions.is_empty() || self.taps == 0 {
            return None;
        }
        let first = self.origin + positions.start as isize * self.source_step;
        let last = self.origin
            + (positions.end - 1) as isize * self.source_step
            + (self.taps - 1) as isize * self.tap_step;
        Some((first, last))
    }
}

/// The source positions that all phases along `axis` read for `targets`: the first, and how many from there on.
pub(super) fn extent(
    g: &ConvGeometry,
    pass: ConvPass,
    axis: usize,
    targets: &Range<usize>,
) -> (isize, usize) {
    let mut all: Option<(isize, isize)> = None;
    for residue in 0..Phase::number(g, pass, axis) {
        let phase = Phase::new(g, pass, axis, residue);
        if let Some((first, last)) = phase.sources(&phase.within(targets)) {
            all = Some(all.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
    all.map_or((0, 0), |(first, last)| (first, (last + 1 - first) as usize))
}
