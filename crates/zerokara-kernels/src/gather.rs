//! Steps that go by integers: gathering, one-hot rows, and the index of the largest element.

use crate::{
    access::{Access, Memory},
    executor::{Task, parts_of_unit},
    isa::Isa,
    simd::{Lanes, multiversion},
};

/// Reads an index that must lie below `length`.
///
/// # Safety
/// `p` leads to an i64.
unsafe fn index(p: *const i64, length: usize, what: &str) -> Result<usize, String> {
    // SAFETY: the caller vouches for `p`.
    let index = unsafe { *p };
    match usize::try_from(index) {
        Ok(i) if i < length => Ok(i),
        _ => Err(format!(
            "{what} {index} is out of range: it must be at least 0 and below {length}"
        )),
    }
}

/// A [`GatherStep`](crate::plan::GatherStep) made ready.
pub(crate) struct GatherTask {
    pub(crate) outer: usize,
    pub(crate) length: usize,
    pub(crate) count: usize,
    pub(crate) inner: usize,
    pub(crate) input: Access,
    pub(crate) indices: Access,
    pub(crate) output: Access,
}

impl GatherTask {
    fn row_bytes(&self) -> usize {
        self.inner * self.input.element.size()
    }

    fn row_weight(&self) -> usize {
        40 + self.row_bytes()
    }

    fn unit_rows(&self) -> usize {
        parts_of_unit(self.row_weight())
    }
}

impl Task for GatherTask {
    fn units(&self) -> usize {
        (self.outer * self.count).div_ceil(self.unit_rows())
    }

    fn weight(&self) -> usize {
        (self.outer * self.count).saturating_mul(self.row_weight())
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let first = unit * self.unit_rows();
        let last = (first + self.unit_rows()).min(self.outer * self.count);
        let size = self.input.element.size() as isize;
        for row in first..last {
            let (o, i) = ((row / self.count) as isize, (row % self.count) as isize);
            // SAFETY: the views were checked, and the index lies on the input's middle axis.
            unsafe {
                let indices: *const i64 = memory.at(&self.indices).cast();
                let at = indices.offset(i * self.indices.strides[0]);
                let picked = index(at, self.length, "index")? as isize;
                let from = o * self.input.strides[0] + picked * self.input.strides[1];
                let to = o * self.output.strides[0] + i * self.output.strides[1];
                let from = memory.at(&self.input).offset(from * size);
                let to = memory.at(&self.output).offset(to * size);
                to.copy_from_nonoverlapping(from, self.row_bytes());
            }
        }
        Ok(())
    }
}

/// A [`OneHotStep`](crate::plan::OneHotStep) made ready.
pub(crate) struct OneHotTask {
    pub(crate) rows: usize,
    pub(crate) classes: usize,
    pub(crate) on: f32,
    pub(crate) off: f32,
    pub(crate) labels: Access,
    pub(crate) output: Access,
}

impl OneHotTask {
    fn unit_rows(&self) -> usize {
        parts_of_unit(20 + 2 * self.classes)
    }
}

impl Task for OneHotTask {
    fn units(&self) -> usize {
        self.rows.div_ceil(self.unit_rows())
    }

    fn weight(&self) -> usize {
        self.rows.saturating_mul(20 + 2 * self.classes)
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let first = unit * self.unit_rows();
        for row in first..(first + self.unit_rows()).min(self.rows) {
            // SAFETY: the views were checked; the output is dense.
            unsafe {
                let labels: *const i64 = memory.at(&self.labels).cast();
                let at = labels.offset(row as isize * self.labels.strides[0]);
                let label = index(at, self.classes, "label")?;
                let to = memory.f32s(&self.output).add(row * self.classes);
                (0..self.classes).for_each(|c| *to.add(c) = self.off);
                *to.add(label) = self.on;
            }
        }
        Ok(())
    }
}

/// The place of the first largest (smallest) of `n >= 1` neighbours; a NaN counts as the largest (smallest).
#[inline(always)]
unsafe fn arg_body<S: Lanes>(x: *const f32, n: usize, min: bool) -> usize {
    // SAFETY: the caller vouches for the CPU and the pointer; the array holds the widest vector.
    unsafe {
        let l = S::LANES;
        let whole = n / l * l;
        let beats =
            |a: f32, b: f32| (if min { a < b } else { a > b }) || (a.is_nan() && !b.is_nan());
        let mut best = *x;
        // Short rows are not worth a search for the extreme and another for its place.
        if n < 4 * l {
            let mut place = 0;
            for i in 1..n {
                let a = *x.add(i);
                let better = beats(a, best);
                best = if better { a } else { best };
                place = if better { i } else { place };
            }
            return place;
        }
        if whole > 0 {
            let mut lanes = [*x; 16];
            let mut extreme = S::load(x);
            for i in (0..whole).step_by(l) {
                let v = S::load(x.add(i));
                let next = if min {
                    S::min(extreme, v)
                } else {
                    S::max(extreme, v)
                };
                extreme = S::select(S::ne(extreme, extreme), extreme, next);
            }
            S::store(lanes.as_mut_ptr(), extreme);
            for &a in &lanes {
                best = if beats(a, best) { a } else { best };
            }
        }
        for i in whole..n {
            let a = *x.add(i);
            best = if beats(a, best) { a } else { best };
        }
        let nan = best.is_nan();
        for i in 0..n {
            let a = *x.add(i);
            if a == best || (nan && a.is_nan()) {
                return i;
            }
        }
        0
    }
}
multiversion! {
    unsafe fn arg(x: *const f32, n: usize, min: bool) -> usize = arg_body;
}

/// An [`ArgReduceStep`](crate::plan::ArgReduceStep) made ready.
pub(crate) struct ArgReduceTask {
    pub(crate) isa: Isa,
    pub(crate) min: bool,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) input: Access,
    pub(crate) output: Access,
}

impl ArgReduceTask {
    fn unit_rows(&self) -> usize {
        parts_of_unit(40 + 6 * self.columns)
    }
}

impl Task for ArgReduceTask {
    fn units(&self) -> usize {
        self.rows.div_ceil(self.unit_rows())
    }

    fn weight(&self) -> usize {
        self.rows.saturating_mul(40 + 6 * self.columns)
    }

    fn scratch_bytes(&self) -> usize {
        if self.input.strides[1] == 1 {
            0
        } else {
            (self.columns * 4).next_multiple_of(64)
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let first = unit * self.unit_rows();
        for row in first..(first + self.unit_rows()).min(self.rows) {
            let row = row as isize;
            // SAFETY: the views were checked; the scratch holds a row.
            unsafe {
                let mut x = memory.f32s(&self.input).offset(row * self.input.strides[0]);
                if self.input.strides[1] != 1 {
                    let copy: *mut f32 = scratch.cast();
                    for i in 0..self.columns {
                        *copy.add(i) = *x.offset(i as isize * self.input.strides[1]);
                    }
                    x = copy;
                }
                let to: *mut i64 = memory.at(&self.output).cast();
                let place = arg(self.isa, x, self.columns, self.min);
                *to.offset(row * self.output.strides[0]) = place as i64;
            }
        }
        Ok(())
    }
}
