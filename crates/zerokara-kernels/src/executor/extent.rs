//! What a view touches, for the checks of bounds and conflicts.

use crate::plan::{Buffer, Place, View};

/// The part of memory that a view touches.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    /// None is the arena.
    external: Option<usize>,
    /// First byte.
    start: usize,
    /// Byte after the last.
    end: usize,
    buffer: usize,
    /// First and last element in the buffer.
    first: usize,
    last: usize,
    /// Axes longer than 1 that move: (length, distance).
    axes: Vec<(usize, usize)>,
}

/// Checks a view against its buffer; none if it touches nothing.
pub(super) fn of(view: &View, buffers: &[Buffer]) -> Result<Option<Extent>, String> {
    let Some(buffer) = buffers.get(view.buffer) else {
        return Err(format!("buffer {} does not exist", view.buffer));
    };
    if view.shape.len() != view.strides.len() {
        let (axes, strides) = (view.shape.len(), view.strides.len());
        return Err(format!("a view has {axes} axes and {strides} strides"));
    }
    if view.shape.contains(&0) {
        return Ok(None);
    }
    let (mut first, mut last) = (view.offset as i128, view.offset as i128);
    let mut total = 1i128;
    for (&length, &stride) in view.shape.iter().zip(&view.strides) {
        total = total.saturating_mul(length as i128);
        let reach = (length as i128 - 1).saturating_mul(stride as i128);
        first = first.saturating_add(reach.min(0));
        last = last.saturating_add(reach.max(0));
    }
    if first < 0 || last >= buffer.len as i128 {
        return Err(format!(
            "a view reaches from element {first} to {last} of buffer {}, which has {}",
            view.buffer, buffer.len
        ));
    }
    if total > isize::MAX as i128 {
        return Err("a view has more elements than can be counted".into());
    }
    let (first, last) = (first as usize, last as usize);
    let (external, base) = match buffer.place {
        Place::Arena(offset) => (None, offset),
        Place::External(i) => (Some(i), 0),
    };
    let axes = view.shape.iter().zip(&view.strides);
    let mut axes: Vec<(usize, usize)> = axes
        .filter(|&(&length, &stride)| length > 1 && stride != 0)
        .map(|(&length, &stride)| (length, stride.unsigned_abs()))
        .collect();
    axes.sort_unstable_by_key(|&(_, stride)| std::cmp::Reverse(stride));
    let size = buffer.element.size();
    let (start, end) = (base + first * size, base + (last + 1) * size);
    Ok(Some(Extent {
        external,
        start,
        end,
        buffer: view.buffer,
        first,
        last,
        axes,
    }))
}

impl Extent {
    /// Whether the two may share an element. Ranges that only interleave, like two groups of columns of one matrix, are
    /// known to be apart.
    pub(super) fn meets(&self, other: &Extent) -> bool {
        if self.external != other.external || self.start >= other.end || other.start >= self.end {
            return false;
        }
        if self.buffer != other.buffer {
            return true;
        }
        // Within each period of the slowest common stride, each view stays in one interval.
        let common = self
            .axes
            .iter()
            .find(|a| other.axes.iter().any(|b| b.1 == a.1));
        let Some(&(_, period)) = common else {
            return true;
        };
        let interval = |x: &Extent| {
            let outer = x
                .axes
                .iter()
                .all(|&(_, s)| s.is_multiple_of(period) || s < period);
            let span: usize = x
                .axes
                .iter()
                .filter(|a| a.1 < period)
                .map(|&(n, s)| (n - 1) * s)
                .sum();
            let start = x.first % period;
            (outer && start + span < period).then_some((start, start + span))
        };
        match (interval(self), interval(other)) {
            (Some(a), Some(b)) => a.0 <= b.1 && b.0 <= a.1,
            _ => true,
        }
    }

    /// Whether no element is touched twice, as far as the strides show it.
    pub(super) fn is_injective(&self, view: &View) -> bool {
        let still = view
            .shape
            .iter()
            .zip(&view.strides)
            .any(|(&n, &s)| n > 1 && s == 0);
        let mut inner = self.last - self.first;
        !still
            && self.axes.iter().all(|&(length, stride)| {
                inner -= (length - 1) * stride;
                stride > inner
            })
    }
}
