//! The sums of a tile: some rows of the left operand times a panel of a few vectors, in registers. Who makes what of tiles is
//! [`gemm`](crate::gemm)'s business; this is the one operation that an instruction set may write out.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;

use super::Simd;
use crate::unroll::each;

/// Most vectors in a row of a tile.
pub(crate) const MAX_WIDTH: usize = 3;

/// The operands of a tile: `sums[r, v] += sum over k of left[r, k] * panel[k * panel_step + v * LANES ..]`.
#[derive(Clone, Copy)]
pub struct TileOperands<'a, const MR: usize> {
    /// Where the rows of the left operand begin.
    pub rows: [*const f32; MR],
    /// Where in a row its numbers are.
    pub terms: Terms<'a>,
    /// The right operand.
    pub panel: *const f32,
    /// Numbers from one line of the panel to the next.
    pub panel_step: isize,
}

/// Where in a row of the left operand the numbers are that are multiplied.
#[derive(Clone, Copy)]
pub enum Terms<'a> {
    /// Number k is at `k * step`, for k below `depth`.
    Spaced {
        /// Distance from one to the next.
        step: isize,
        /// How many.
        depth: usize,
    },
    /// Number k is at `offsets[k]`.
    Listed(&'a [isize]),
}

impl<const MR: usize> TileOperands<'_, MR> {
    /// [`Simd::fma_tile`], operation by operation.
    #[inline(always)]
    pub(super) unsafe fn add<S: Simd, const NV: usize>(&self, sums: &mut [[S::Vector; NV]; MR]) {
        let mut panel = self.panel;
        match self.terms {
            Terms::Spaced { depth: 0, .. } => {}
            Terms::Spaced { step, depth } => {
                let (mut offset, mut rest) = (0, depth);
                // Tested at its end, so that the compiler sees one set of sums and not a second for the way out.
                loop {
                    // SAFETY: the caller vouches for the CPU and for both operands.
                    unsafe { self.term::<S, NV>(offset, panel, sums) };
                    offset += step;
                    panel = panel.wrapping_offset(self.panel_step);
                    rest -= 1;
                    if rest == 0 {
                        break;
                    }
                }
            }
            Terms::Listed(offsets) => {
                for &offset in offsets {
                    // SAFETY: as above.
                    unsafe { self.term::<S, NV>(offset, panel, sums) };
                    panel = panel.wrapping_offset(self.panel_step);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn term<S: Simd, const NV: usize>(
        &self,
        offset: isize,
        panel: *const f32,
        sums: &mut [[S::Vector; NV]; MR],
    ) {
        // SAFETY: the caller vouches for the CPU and for all pointers.
        unsafe {
            let mut columns = [S::zero(); NV];
            each!(v < NV {
                columns[v] = S::load(panel.add(v * S::LANES));
            });
            each!(r < MR {
                S::fma_row(self.rows[r], offset, &columns, &mut sums[r]);
            });
        }
    }
}
