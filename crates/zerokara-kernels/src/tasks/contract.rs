//! Matrix products.

use super::{Behind, Room, Task};
use crate::{
    access::{Access, Memory},
    gemm::{self, GemmShape, Left, Right},
    isa::Isa,
    map::compile::Compiler,
    storage::ALIGNMENT,
};

/// Packing of the right operands of a batch of products.
pub(crate) struct PackMatrixTask {
    pub(crate) isa: Isa,
    pub(crate) batch: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) b: Access,
    pub(crate) packed: Access,
}

impl Task for PackMatrixTask {
    fn units(&self) -> usize {
        self.batch * gemm::pack_units(self.isa, self.k, self.n)
    }

    fn weight(&self) -> usize {
        self.batch * self.k * self.n * 5
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, _: *mut u8) -> Result<(), String> {
        let each = gemm::pack_units(self.isa, self.k, self.n);
        let (batch, unit) = (unit / each, unit % each);
        let &[stride, rows, columns] = &self.b.strides[..] else {
            return Ok(());
        };
        // SAFETY: the views were checked for these sizes.
        unsafe {
            let b = memory.f32s(&self.b).offset(batch as isize * stride);
            let length = gemm::packed_len(self.isa, self.k, self.n);
            let packed = memory.f32s(&self.packed).add(batch * length);
            gemm::pack_unit(self.isa, unit, self.k, self.n, b, [rows, columns], packed);
        }
        Ok(())
    }
}

/// The right operand.
pub(crate) enum RightAccess {
    InPlace(Access),
    /// With the distance between matrices.
    Packed(Access, usize),
}

/// A batch of products, each unit followed by its part of the epilogue and of the statistics.
pub(crate) struct GemmTask {
    pub(crate) isa: Isa,
    pub(crate) shape: GemmShape,
    pub(crate) a: Access,
    pub(crate) b: RightAccess,
    pub(crate) c: Access,
    pub(crate) behind: Behind,
}

const GEMM_SCRATCH: usize = (gemm::SCRATCH_LEN * 4).next_multiple_of(ALIGNMENT);

impl Task for GemmTask {
    fn units(&self) -> usize {
        gemm::units(self.isa, &self.shape)
    }

    fn weight(&self) -> usize {
        let GemmShape { batch, m, n, k } = self.shape;
        (batch * m * n)
            .saturating_mul(k / 4 + 2)
            .saturating_add(self.behind.weight())
    }

    fn scratch_bytes(&self) -> usize {
        GEMM_SCRATCH + self.behind.scratch_bytes()
    }

    fn reserve(&mut self, room: &mut Room) {
        self.behind.reserve(room);
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        self.behind.compile(compiler);
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        let GemmShape { m, n, .. } = self.shape;
        let three = |strides: &[isize]| [strides[0], strides[1], strides[2]];
        // SAFETY: the views were checked for these sizes; the unit's part of `c` is its own.
        unsafe {
            let a = Left {
                start: memory.f32s(&self.a),
                strides: three(&self.a.strides),
            };
            let b = match &self.b {
                RightAccess::InPlace(b) => Right::InPlace {
                    start: memory.f32s(b),
                    strides: three(&b.strides),
                },
                RightAccess::Packed(b, stride) => Right::Packed {
                    start: memory.f32s(b),
                    stride: *stride,
                },
            };
            let c = memory.f32s(&self.c);
            let c_strides = [(m * n) as isize, n as isize];
            let own = std::slice::from_raw_parts_mut(scratch.cast(), gemm::SCRATCH_LEN);
            gemm::run_unit(self.isa, &self.shape, unit, a, b, c, c_strides, own);
            if let Some(map) = &self.behind.epilogue {
                let range = gemm::unit_range(self.isa, &self.shape, unit);
                let start = (range.batch * m + range.rows.start) * n + range.columns.start;
                let (width, rows) = (range.columns.len(), range.rows.len());
                map.run_rows(memory, scratch.add(GEMM_SCRATCH), start, width, n, rows);
            }
            if let Some(statistics) = &self.behind.statistics {
                statistics.run_part(unit, memory, scratch.add(GEMM_SCRATCH));
            }
        }
        Ok(())
    }
}
