//! Even parts of a range.

use std::ops::Range;

/// Part `i` of `0..len` cut into `parts` that differ by at most one.
#[inline(always)]
pub(crate) fn share(len: usize, parts: usize, i: usize) -> Range<usize> {
    let (small, more) = (len / parts, len % parts);
    let start = i * small + i.min(more);
    start..start + small + usize::from(i < more)
}
