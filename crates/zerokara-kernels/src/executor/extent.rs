//! What a view touches, for the checks of bounds and conflicts.

use crate::plan::{Buffer, Region, View};

/// Memories that have nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Area {
    Arena,
    Prepared,
    External(usize),
    Local,
}

/// The part of memory that a view touches.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    area: Area,
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
        // It touches nothing, but kernels find its place before they see that: in the buffer, or at its end.
        return match view.offset <= buffer.len {
            true => Ok(None),
            false => Err(format!(
                "an empty view lies at element {} of buffer {}, which has {}",
                view.offset, view.buffer, buffer.len
            )),
        };
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
    let (area, base) = match buffer.region {
        Region::Arena(offset) => (Area::Arena, offset),
        Region::Prepared(offset) => (Area::Prepared, offset),
        Region::External(i) => (Area::External(i), 0),
        Region::Local(offset) => (Area::Local, offset),
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
        area,
        start,
        end,
        buffer: view.buffer,
        first,
        last,
        axes,
    }))
}

/// Two owners that touch the same element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    pub writer: usize,
    pub other: usize,
    /// Whether the other writes it too, not only reads it.
    pub both_write: bool,
}

impl Extent {
    /// Whether it lies in the arena of a run.
    pub(super) fn is_arena(&self) -> bool {
        self.area == Area::Arena
    }

    /// Whether it is prepared for all runs.
    pub(super) fn is_prepared(&self) -> bool {
        self.area == Area::Prepared
    }

    /// Whether it is a thread's own memory.
    pub(super) fn is_local(&self) -> bool {
        self.area == Area::Local
    }

    /// Whether any of these `(owner, extent)` that are written meets one, read or written, of another owner.
    pub(super) fn conflict(
        reads: &mut [(usize, Extent)],
        writes: &mut [(usize, Extent)],
    ) -> Option<Conflict> {
        // In the order of memory, only few are open at a time.
        let place = |(_, extent): &(usize, Extent)| (extent.area, extent.start);
        reads.sort_by_key(place);
        writes.sort_by_key(place);
        let (mut next_read, mut next_write) = (0, 0);
        let mut open_reads: Vec<&(usize, Extent)> = Vec::new();
        let mut open_writes: Vec<&(usize, Extent)> = Vec::new();
        let meets = |open: &mut Vec<&(usize, Extent)>, (owner, extent): &(usize, Extent)| {
            open.retain(|(_, o)| o.area == extent.area && o.end > extent.start);
            let met = open.iter().find(|(o, e)| o != owner && e.meets(extent));
            met.map(|(other, _)| (*owner, *other))
        };
        while next_read < reads.len() || next_write < writes.len() {
            let is_read = match (reads.get(next_read), writes.get(next_write)) {
                (Some(read), Some(write)) => place(read) <= place(write),
                (read, _) => read.is_some(),
            };
            if is_read {
                let read = &reads[next_read];
                next_read += 1;
                if let Some((reader, writer)) = meets(&mut open_writes, read) {
                    return Some(Conflict {
                        writer,
                        other: reader,
                        both_write: false,
                    });
                }
                open_reads.push(read);
            } else {
                let write = &writes[next_write];
                next_write += 1;
                for (open, both_write) in [(&mut open_reads, false), (&mut open_writes, true)] {
                    if let Some((writer, other)) = meets(open, write) {
                        return Some(Conflict {
                            writer,
                            other,
                            both_write,
                        });
                    }
                }
                open_writes.push(write);
            }
        }
        None
    }

    /// Whether the two may share an element. Ranges that only interleave, like two groups of columns of one matrix, are
    /// known to be apart.
    pub(super) fn meets(&self, other: &Extent) -> bool {
        if self.area != other.area || self.start >= other.end || other.start >= self.end {
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
