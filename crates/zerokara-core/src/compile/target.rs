//! What a plan is made for.

use zerokara_kernels::{isa::Isa, plan::Arithmetic};

/// What decides, with the graph, what a plan is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Whose kernels run.
    pub isa: Isa,
    /// How convolutions multiply and sum.
    pub arithmetic: Arithmetic,
    pub sizes: Sizes,
}

impl Target {
    /// The usual one of an instruction set.
    pub fn of(isa: Isa, arithmetic: Arithmetic) -> Self {
        let sizes = Sizes::default();
        Self {
            isa,
            arithmetic,
            sizes,
        }
    }
}

/// Sizes at which the compiler goes from one way of doing things to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Most instructions of elementwise code in one group or reduction: however large the graph, each step stays one that
    /// takes little time to prepare, and registers that fit the caches.
    pub most_instructions: usize,
    /// Bytes of a value from which on slices keep it out of memory.
    pub large_value: usize,
    /// Bytes that the local values of a slice may take: about a third of a second-level cache.
    pub slice: usize,
    /// Slices that there must be, so that they can be shared out.
    pub least_slices: usize,
    /// Buffers up to which their places are sought one by one among all others: better places, in quadratic time.
    pub most_sought: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            most_instructions: 512,
            large_value: 1 << 20,
            slice: 160 << 10,
            least_slices: 8,
            most_sought: 4096,
        }
    }
}

#[cfg(test)]
impl Sizes {
    /// So small that small graphs meet all of them.
    pub const SMALL: Self = Self {
        most_instructions: 40,
        large_value: 64,
        slice: 1,
        least_slices: 2,
        most_sought: 12,
    };
}
