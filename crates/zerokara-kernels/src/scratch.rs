//! Scratch in parts, each from a cache line on.

use crate::storage::LINE;

/// Numbers that parts of these lengths take.
pub(crate) fn room(lengths: &[usize]) -> usize {
    lengths.iter().map(|n| n.next_multiple_of(LINE)).sum()
}

/// The parts, one after another.
pub(crate) fn parts<const N: usize>(
    mut scratch: &mut [f32],
    lengths: [usize; N],
) -> [&mut [f32]; N] {
    lengths.map(|length| {
        let rest = std::mem::take(&mut scratch);
        let (own, rest) = rest.split_at_mut(length.next_multiple_of(LINE));
        scratch = rest;
        own
    })
}
