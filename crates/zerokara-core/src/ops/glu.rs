//! Gated linear units (Dauphin et al., 2017; Shazeer, 2020): the product of values and a function of gates.
//!
//! They are definitions in other operations, which compile to one loop. Of one tensor, the first half along an axis holds the
//! values and the second the gates, as in PyTorch's `glu`; of two, `values.swiglu_by(&gates)`.

use super::prelude::*;

macro_rules! gated {
    ($one:ident, $two:ident, $gate:ident, $formula:literal, $x:literal, $y:literal) => {
        impl Tensor {
            #[doc = concat!("A gated linear unit, `y = ", $formula, "`, of values a and gates b: the halves of `x [.., 2 D, ..]` along an axis (negative: from the back), `[.., D, ..]`.")]
            ///
            /// ```
            /// # use zerokara_core::Tensor;
            #[doc = concat!("let x = Tensor::from(", $x, ");")]
            #[doc = concat!("assert_eq!(x.", stringify!($one), "(-1).to_vec::<f32>()?, ", $y, ");")]
            /// # Ok::<(), zerokara_core::Error>(())
            /// ```
            #[track_caller]
            pub fn $one(&self, axis: i64) -> Tensor {
                match self.halves(stringify!($one), axis) {
                    Ok((values, gates)) => values.$two(&gates),
                    Err(invalid) => invalid,
                }
            }

            #[doc = concat!("A gated linear unit of two tensors, `y = ", $formula, "`, where this tensor holds the values a and the other the gates b.")]
            #[track_caller]
            pub fn $two(&self, gates: &Tensor) -> Tensor {
                self * gates.$gate()
            }
        }
    };
}
gated!(
    glu,
    glu_by,
    sigmoid,
    "a sigmoid(b)",
    "[[3.0, 0.0]]",
    "[1.5]"
);
gated!(
    swiglu,
    swiglu_by,
    silu,
    "a silu(b)",
    "[[3.0, 0.0]]",
    "[0.0]"
);
gated!(geglu, geglu_by, gelu, "a gelu(b)", "[[3.0, 0.0]]", "[0.0]");
gated!(
    reglu,
    reglu_by,
    relu,
    "a max(b, 0)",
    "[[3.0, 2.0]]",
    "[6.0]"
);

impl Tensor {
    /// The halves along an axis; else the invalid result of the operation.
    #[track_caller]
    fn halves(&self, op: &str, axis: i64) -> Result<(Tensor, Tensor), Tensor> {
        let Ok(lengths) = self.shape() else {
            return Err(self.clone());
        };
        let Ok(at) = shape::axis(axis, lengths.len()) else {
            return Err(self.invalid_axis(op, axis));
        };
        let length = lengths[at];
        if length % 2 != 0 {
            let reason = format!("axis {axis} of length {length} has no two halves");
            return Err(Tensor::refuse(op, &[self], reason));
        }
        let half = length / 2;
        Ok((self.narrow(axis, 0, half), self.narrow(axis, half, half)))
    }
}
