//! Transposed copies of matrices.

use crate::simd::{Simd, multiversion};

/// `to[j * to_pitch + i] = from[i * from_pitch + j]` for `i < rows`, `j < columns`.
///
/// # Safety
///
/// The CPU must have `S`; both matrices must be valid, and must not overlap.
#[inline(always)]
pub(crate) unsafe fn transpose_body<S: Simd>(
    rows: usize,
    columns: usize,
    from: *const f32,
    from_pitch: isize,
    to: *mut f32,
    to_pitch: isize,
) {
    // SAFETY: the caller vouches for both; blocks begin at most 8 before the end.
    unsafe {
        if rows < 8 || columns < 8 {
            for i in 0..rows {
                for j in 0..columns {
                    *to.offset(j as isize * to_pitch).add(i) =
                        *from.offset(i as isize * from_pitch).add(j);
                }
            }
            return;
        }
        // Eight by eight; the last blocks overlap their neighbours.
        for i in (0..rows).step_by(8).map(|i| i.min(rows - 8)) {
            let (from, to) = (from.offset(i as isize * from_pitch), to.add(i));
            let mut j = 0;
            while j + 8 <= columns {
                S::transpose8(
                    from.add(j),
                    from_pitch,
                    to.offset(j as isize * to_pitch),
                    to_pitch,
                );
                j += 8;
            }
            if j < columns {
                let j = columns - 8;
                S::transpose8(
                    from.add(j),
                    from_pitch,
                    to.offset(j as isize * to_pitch),
                    to_pitch,
                );
            }
        }
    }
}
multiversion! {
    /// [`transpose_body`] on an instruction set.
    pub(crate) unsafe fn transpose(
        rows: usize,
        columns: usize,
        from: *const f32,
        from_pitch: isize,
        to: *mut f32,
        to_pitch: isize,
    ) = transpose_body;
}
