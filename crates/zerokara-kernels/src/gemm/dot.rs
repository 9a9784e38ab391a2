//! Products whose both operands are dense along k: rows of the left times rows of the transposed right, as dot
//! products with the vectors along k. Nothing is packed, which wins where few rows share the right operand.

use crate::{share::share, simd::Simd, unroll::each};
use std::ops::Range;

/// `c[i, j] = sum over k of a[i, k] * b[k, j]` for the given rows and columns, where neighbours along k lie side by
/// side: `a[i, k]` at `a + i * a_row + k`, `b[k, j]` at `b + j * b_column + k`, `c[i, j]` at `c + i * c_row + j`.
///
/// # Safety
///
/// The CPU must have `S`, and the pointers must be valid for the ranges.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn run<S: Simd>(
    rows: Range<usize>,
    columns: Range<usize>,
    k: usize,
    a: *const f32,
    a_row: isize,
    b: *const f32,
    b_column: isize,
    c: *mut f32,
    c_row: isize,
) {
    // So much of a group of rows and of four columns stays in the first-level cache while the other columns pass by.
    const DEPTH: usize = 400;
    const GROUP: usize = 14;
    let depths = k.div_ceil(DEPTH).max(1);
    let groups = rows.len().div_ceil(GROUP);
    for depth in 0..depths {
        let depth = share(k, depths, depth);
        for group in 0..groups {
            let group = share(rows.len(), groups, group);
            let rows = rows.start + group.start..rows.start + group.end;
            // SAFETY: a share of what the caller vouches for.
            unsafe {
                let (a, b) = (a.add(depth.start), b.add(depth.start));
                let add = depth.start > 0;
                slice::<S>(
                    rows,
                    columns.clone(),
                    depth.len(),
                    a,
                    a_row,
                    b,
                    b_column,
                    c,
                    c_row,
                    add,
                );
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn slice<S: Simd>(
    rows: Range<usize>,
    columns: Range<usize>,
    k: usize,
    a: *const f32,
    a_row: isize,
    b: *const f32,
    b_column: isize,
    c: *mut f32,
    c_row: isize,
    add: bool,
) {
    macro_rules! heights {
        ($i:expr, $j:expr, $height:expr, $width:literal) => {
            // SAFETY: rows and columns lie within the ranges.
            unsafe {
                let a = a.offset($i as isize * a_row);
                let b = b.offset($j as isize * b_column);
                let c = c.offset($i as isize * c_row).add($j);
                match $height {
                    1 => block::<S, 1, $width>(k, a, a_row, b, b_column, c, c_row, add),
                    2 => block::<S, 2, $width>(k, a, a_row, b, b_column, c, c_row, add),
                    _ => block::<S, 3, $width>(k, a, a_row, b, b_column, c, c_row, add),
                }
            }
        };
    }
    let mut j = columns.start;
    while j < columns.end {
        let width = (columns.end - j).min(4);
        // A single row has too few sums in flight four wide.
        if rows.len() == 1 && columns.end - j >= 8 {
            // SAFETY: the row and the columns lie within the ranges.
            unsafe {
                let a = a.offset(rows.start as isize * a_row);
                let b = b.offset(j as isize * b_column);
                let c = c.offset(rows.start as isize * c_row).add(j);
                block::<S, 1, 8>(k, a, a_row, b, b_column, c, c_row, add);
            }
            j += 8;
            continue;
        }
        // Blocks of three rows, or of two towards the end: single rows read four times what they compute.
        let blocks = rows.len().div_ceil(3);
        for block in 0..blocks {
            let block = share(rows.len(), blocks, block);
            let (i, height) = (rows.start + block.start, block.len());
            match width {
                1 => heights!(i, j, height, 1),
                2 => heights!(i, j, height, 2),
                3 => heights!(i, j, height, 3),
                _ => heights!(i, j, height, 4),
            }
        }
        j += width;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn block<S: Simd, const MR: usize, const NR: usize>(
    k: usize,
    a: *const f32,
    a_row: isize,
    b: *const f32,
    b_column: isize,
    c: *mut f32,
    c_row: isize,
    add: bool,
) {
    // SAFETY: the caller vouches for the CPU and for all pointers.
    unsafe {
        let mut sums = [[S::zero(); MR]; NR];
        let mut left = [S::zero(); MR];
        let whole = k / S::LANES * S::LANES;
        let mut i = 0;
        while i < whole {
            each!(r < MR {
                left[r] = S::load(a.offset(r as isize * a_row).add(i));
            });
            each!(v < NR {
                S::fma_vector(b.offset(v as isize * b_column), i as isize, &left, &mut sums[v]);
            });
            i += S::LANES;
        }
        if i < k {
            each!(r < MR {
                left[r] = S::load_partial(a.offset(r as isize * a_row).add(i), k - i);
            });
            each!(v < NR {
                let right = S::load_partial(b.offset(v as isize * b_column).add(i), k - i);
                each!(r < MR {
                    sums[v][r] = S::fma(left[r], right, sums[v][r]);
                });
            });
        }
        each!(r < MR {
            let c = c.offset(r as isize * c_row);
            if NR == 4 {
                let four = S::sum_four([sums[0][r], sums[1 % NR][r], sums[2 % NR][r], sums[3 % NR][r]]);
                each!(v < NR {
                    *c.add(v) = if add { *c.add(v) + four[v % 4] } else { four[v % 4] };
                });
            } else {
                each!(v < NR {
                    let sum = S::sum(sums[v][r]);
                    *c.add(v) = if add { *c.add(v) + sum } else { sum };
                });
            }
        });
    }
}
