//! Iteration spaces with as few axes as their views allow, and the walk over them.

use crate::plan::Element;
use std::sync::atomic::AtomicU64;

/// More axes than this, after merging, are refused.
pub(crate) const MAX_RANK: usize = 16;

/// A view as a prepared step keeps it: where it lies in its buffer, with strides over the step's merged axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Access {
    pub(crate) buffer: usize,
    pub(crate) element: Element,
    /// Position of the first element, in elements.
    pub(crate) offset: usize,
    /// In elements.
    pub(crate) strides: Vec<isize>,
}

/// Where the buffers of a plan lie during a run, and what its units leave to one another.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'a> {
    pub(crate) buffers: &'a [*mut u8],
    /// Of the units of a step that are done, at the places that its task [reserved](crate::tasks::Room); 0 when a run
    /// begins.
    pub(crate) counters: &'a [AtomicU64],
    /// What parts of a sum have come to, at the places that their task reserved.
    pub(crate) partials: *mut f64,
}

// SAFETY: the pointers lead to memory that the executor holds exclusively while its steps run, and steps that run at
// the same time write nothing that another touches (checked when the plan was taken).
unsafe impl Send for Memory<'_> {}
// SAFETY: as above.
unsafe impl Sync for Memory<'_> {}

impl Memory<'_> {
    /// The first element of a view.
    ///
    /// # Safety
    /// The view was checked against the buffer.
    #[inline]
    pub(crate) unsafe fn at(&self, access: &Access) -> *mut u8 {
        // SAFETY: the offset lies in the buffer.
        unsafe { self.buffers[access.buffer].add(access.offset * access.element.size()) }
    }

    /// The first number of a view of f32.
    ///
    /// # Safety
    /// The view was checked against the buffer, and is of f32.
    #[inline]
    pub(crate) unsafe fn f32s(&self, access: &Access) -> *mut f32 {
        debug_assert_eq!(access.element, Element::F32);
        // SAFETY: as above.
        unsafe { self.at(access) }.cast()
    }
}

/// The strides of a view of this shape without gaps, as lengths.
pub(crate) fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Drops axes of length 1 and merges neighbours that all views walk as one; `together` says which neighbours may.
pub(crate) fn merge_axes(
    shape: &[usize],
    views: &mut [Access],
    together: impl Fn(usize, usize) -> bool,
) -> (Vec<usize>, Vec<usize>) {
    let mut merged: Vec<usize> = Vec::new();
    // The last of the original axes in each merged one.
    let mut last: Vec<usize> = Vec::new();
    for (axis, &length) in shape.iter().enumerate() {
        if length == 1 {
            continue;
        }
        let joins = last.last().is_some_and(|&before| {
            together(before, axis)
                && views
                    .iter()
                    .all(|v| v.strides[before] == v.strides[axis] * length as isize)
        });
        match (joins, merged.last_mut(), last.last_mut()) {
            (true, Some(whole), Some(before)) => {
                *whole *= length;
                *before = axis;
            }
            _ => {
                merged.push(length);
                last.push(axis);
            }
        }
    }
    for view in views {
        view.strides = last.iter().map(|&axis| view.strides[axis]).collect();
    }
    (merged, last)
}

impl Access {
    /// Whether all positions are the same element.
    pub(crate) fn is_uniform(&self) -> bool {
        self.strides.iter().all(|&s| s == 0)
    }

    /// Whether the positions are neighbours in memory in the order of iteration.
    pub(crate) fn is_dense(&self, shape: &[usize]) -> bool {
        let mut expected = 1;
        shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(&length, &stride)| {
                let fits = length == 1 || stride == expected;
                expected *= length as isize;
                fits
            })
    }

    /// Whether the same row is walked again and again.
    pub(crate) fn is_periodic(&self) -> bool {
        let outer = self
            .strides
            .split_last()
            .map_or(&[][..], |(_, outer)| outer);
        !outer.is_empty() && outer.iter().all(|&s| s == 0)
    }
}

/// A position in an iteration space, with its distance from a view's first element.
pub(crate) struct Walk<'a> {
    shape: &'a [usize],
    strides: &'a [isize],
    index: [usize; MAX_RANK],
    /// Distance of the row's first element.
    pub(crate) row: isize,
    /// Position in the row.
    pub(crate) column: usize,
}

impl<'a> Walk<'a> {
    /// The walk from the `position`-th element on.
    #[inline]
    pub(crate) fn new(shape: &'a [usize], strides: &'a [isize], mut position: usize) -> Walk<'a> {
        let mut walk = Walk {
            shape,
            strides,
            index: [0; MAX_RANK],
            row: 0,
            column: 0,
        };
        let Some((&inner, outer)) = shape.split_last() else {
            return walk;
        };
        walk.column = position % inner;
        position /= inner;
        for axis in (0..outer.len()).rev() {
            if position == 0 {
                break;
            }
            walk.index[axis] = position % outer[axis];
            position /= outer[axis];
            walk.row += walk.index[axis] as isize * strides[axis];
        }
        walk
    }

    /// Goes to the start of the next row.
    #[inline]
    pub(crate) fn next_row(&mut self) {
        self.column = 0;
        for axis in (0..self.shape.len().saturating_sub(1)).rev() {
            self.index[axis] += 1;
            self.row += self.strides[axis];
            if self.index[axis] < self.shape[axis] {
                return;
            }
            self.row -= self.strides[axis] * self.shape[axis] as isize;
            self.index[axis] = 0;
        }
    }
}

/// Copies `n` elements of a view from `position` on to a tile.
///
/// # Safety
/// The view covers the shape, the range lies in it, and `to` has room.
pub(crate) unsafe fn gather<T: Copy>(
    shape: &[usize],
    strides: &[isize],
    base: *const T,
    position: usize,
    n: usize,
    to: *mut f32,
    convert: impl Fn(T) -> f32,
) {
    let Some((&inner, &step)) = shape.last().zip(strides.last()) else {
        // SAFETY: a space without axes has one element.
        return unsafe { *to = convert(*base) };
    };
    let mut walk = Walk::new(shape, strides, position);
    let mut done = 0;
    while done < n {
        let length = (inner - walk.column).min(n - done);
        // SAFETY: the caller vouches for the view and for `to`.
        unsafe {
            let from = base.offset(walk.row + walk.column as isize * step);
            let to = to.add(done);
            match step {
                0 => {
                    let x = convert(*from);
                    (0..length).for_each(|i| *to.add(i) = x);
                }
                1 => (0..length).for_each(|i| *to.add(i) = convert(*from.add(i))),
                _ => {
                    (0..length).for_each(|i| *to.add(i) = convert(*from.offset(i as isize * step)))
                }
            }
        }
        done += length;
        walk.next_row();
    }
}

/// Copies `n` elements of a tile to a view from `position` on.
///
/// # Safety
/// The view covers the shape, the range lies in it, and `from` holds `n` elements.
pub(crate) unsafe fn scatter<T: Copy>(
    shape: &[usize],
    strides: &[isize],
    base: *mut T,
    position: usize,
    n: usize,
    from: *const f32,
    convert: impl Fn(f32) -> T,
) {
    let Some((&inner, &step)) = shape.last().zip(strides.last()) else {
        // SAFETY: a space without axes has one element.
        return unsafe { *base = convert(*from) };
    };
    let mut walk = Walk::new(shape, strides, position);
    let mut done = 0;
    while done < n {
        let length = (inner - walk.column).min(n - done);
        // SAFETY: the caller vouches for the view and for `from`.
        unsafe {
            let to = base.offset(walk.row + walk.column as isize * step);
            let from = from.add(done);
            if step == 1 {
                (0..length).for_each(|i| *to.add(i) = convert(*from.add(i)));
            } else {
                (0..length).for_each(|i| *to.offset(i as isize * step) = convert(*from.add(i)));
            }
        }
        done += length;
        walk.next_row();
    }
}
