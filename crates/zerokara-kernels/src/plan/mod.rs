//! The language in which a compiler speaks to the kernels: buffers, strided views, and steps.
//!
//! A [`Plan`] is a list of [`Stage`]s. The steps of one stage do not depend on one another, so that
//! all their units of work run in one parallel region; a barrier stands between stages. How a step
//! is cut into units, and the order in which it sums, depends on its shapes alone: the same plan
//! gives the same bits on one thread and on many.
//!
//! Everything a step touches is named by a [`View`] into a numbered buffer. The executor checks all
//! views against their buffers once, when it takes the plan, and then runs it without checks.

mod arithmetic;
mod cost;
mod geometry;
mod operands;
mod padding;
mod steps;

pub use arithmetic::Arithmetic;
pub use geometry::*;
pub use operands::*;
pub use padding::Padding;
pub use steps::*;

/// The type of a buffer's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floating point, the type all fast kernels work in.
    F32,
    /// 64-bit floating point.
    F64,
    /// 64-bit signed integers: labels, indices, counters.
    I64,
    /// Unsigned bytes: pixels, characters, small numbers.
    U8,
    /// Truth values, one byte each, 0 or 1.
    Bool,
}

impl Element {
    /// All of them.
    pub const ALL: [Element; 5] = [
        Element::F32,
        Element::F64,
        Element::I64,
        Element::U8,
        Element::Bool,
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F64 | Element::I64 => 8,
            Element::U8 | Element::Bool => 1,
        }
    }

    /// Whether elementwise code takes and gives it: each of its values is one of f32.
    pub fn is_mapped(self) -> bool {
        matches!(self, Element::F32 | Element::U8 | Element::Bool)
    }

    /// The element type of this name: `f32`, `f64`, `i64`, `u8` or `bool`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Its name: `f32`, `f64`, `i64`, `u8` or `bool`.
    pub fn name(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F64 => "f64",
            Element::I64 => "i64",
            Element::U8 => "u8",
            Element::Bool => "bool",
        }
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// In the arena of a run, at this byte offset (a multiple of 64).
    Arena(usize),
    /// In what the stages of [`Plan::preparation`] leave to all runs, at this byte offset (a multiple of 64). They write
    /// nothing else, and nothing later writes there.
    Prepared(usize),
    /// The i-th storage handed to `Executor::run`: a parameter, an input, an output, a constant.
    External(usize),
    /// In memory of the thread that runs a slice of a [`ChainStep`], at this byte offset (a multiple of 64). Only the
    /// steps of one slice see it; what it holds before the slice writes to it is unspecified.
    Local(usize),
}

/// A run of elements that steps refer to by its index in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Type of its elements.
    pub element: Element,
    /// Number of its elements.
    pub len: usize,
    /// Where it lives.
    pub region: Region,
}

/// A strided window on a buffer: element `[i, j, ..]` is at `offset + i * strides[0] + j * strides[1] + ..`.
/// Offsets and strides count elements; a stride of 0 repeats (broadcasting), a negative one walks backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Position of element `[0, 0, ..]`.
    pub offset: usize,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Distance between neighbours on each axis.
    pub strides: Vec<isize>,
}

impl View {
    /// The number of its elements, those that repeat included; as many as can be counted if there are more.
    pub fn elements(&self) -> usize {
        match self.shape.contains(&0) {
            true => 0,
            false => self
                .shape
                .iter()
                .fold(1, |n, &length| n.saturating_mul(length)),
        }
    }

    /// Whether the elements are neighbours, in order.
    pub fn is_dense(&self) -> bool {
        let mut expected = 1isize;
        let mut axes = self.shape.iter().zip(&self.strides).rev();
        self.shape.contains(&0)
            || axes.all(|(&length, &stride)| {
                let fits = length == 1 || stride == expected;
                expected = expected.wrapping_mul(length as isize);
                fits
            })
    }

    /// Whether two views name the same elements in the same order.
    pub fn is_same(&self, other: &View) -> bool {
        let mut axes = self
            .shape
            .iter()
            .zip(self.strides.iter().zip(&other.strides));
        (self.buffer, self.offset, &self.shape) == (other.buffer, other.offset, &other.shape)
            && axes.all(|(&length, (own, other))| length == 1 || own == other)
    }

    /// Whether two views name the same elements in the same order, be it in different shapes without gaps.
    pub fn walks_as(&self, other: &View) -> bool {
        let starts = (self.buffer, self.offset) == (other.buffer, other.offset);
        let dense = self.is_dense() && other.is_dense() && self.elements() == other.elements();
        starts && dense || self.is_same(other)
    }

    /// The view without the axes that are `reduced`, along which it has one element.
    pub fn kept(&self, reduced: &[bool]) -> View {
        let is_kept = |axis: &usize| !reduced.get(*axis).copied().unwrap_or(false);
        let axes: Vec<usize> = (0..self.shape.len()).filter(is_kept).collect();
        let strides = axes.iter().filter_map(|&axis| self.strides.get(axis));
        View {
            shape: axes.iter().map(|&axis| self.shape[axis]).collect(),
            strides: strides.copied().collect(),
            ..self.clone()
        }
    }

    /// Whether the elements along the axes from `first` on are those of a dense view, in some order of these axes.
    pub fn is_dense_from(&self, first: usize) -> bool {
        let lengths = self.shape[first..].iter().copied();
        let mut axes: Vec<(isize, usize)> = self.strides[first..]
            .iter()
            .copied()
            .zip(lengths)
            .filter(|&(_, length)| length != 1)
            .collect();
        axes.sort_unstable();
        let mut expected = 1;
        axes.iter().all(|&(stride, length)| {
            let fits = stride == expected || length == 0;
            expected *= length as isize;
            fits
        })
    }
}

/// Steps that do not depend on one another and run in one parallel region.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// The steps, each cut into units of work by its shapes.
    pub steps: Vec<Step>,
}

/// A validated list of kernel calls over one arena.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All buffers that the steps name.
    pub buffers: Vec<Buffer>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
    /// Size in bytes of what is prepared.
    pub prepared_bytes: usize,
    /// Number of storages that `Executor::run` takes.
    pub externals: usize,
    /// What to do, in order.
    pub stages: Vec<Stage>,
    /// So many stages at the start need not run again while the storages that they read hold the same values: what they
    /// write is [prepared](Region::Prepared).
    pub preparation: usize,
}

/// Whether the address space holds so many elements of any type; lengths of 0 count as 1, so that strides can be counted
/// as well.
pub fn countable(shape: &[usize]) -> bool {
    const MOST: usize = isize::MAX as usize / 16;
    let count = shape
        .iter()
        .try_fold(1usize, |n, &length| n.checked_mul(length.max(1)));
    count.is_some_and(|n| n <= MOST)
}
