//! Which arithmetic this CPU has.

use crate::{isa::Isa, plan::Arithmetic};
use std::fmt;

/// Why an instruction set cannot be used with [`Arithmetic::Bf16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBf16 {
    /// The instruction set that was to be used.
    isa: Isa,
    /// Whether this CPU could, on another.
    possible: bool,
}

impl fmt::Display for NoBf16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let isa = self.isa.name();
        f.write_str("bf16 products need AVX512-BF16, which ")?;
        if self.possible {
            return write!(f, "ZEROKARA_ISA forbids: it is {isa}; leave it unset");
        }
        write!(
            f,
            "this CPU lacks (it runs {isa} kernels): use f32, or set ZEROKARA_ISA=portable, which computes bf16 very slowly"
        )
    }
}

impl std::error::Error for NoBf16 {}

/// Whether this CPU has the instructions for products of bf16.
fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return Isa::Avx512.is_available() && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

impl Arithmetic {
    /// Whether kernels for `isa` can be run with it on this CPU: bf16 takes AVX-512 with AVX512-BF16, or the portable
    /// kernels, which do the same number by number.
    ///
    /// # Errors
    ///
    /// [`NoBf16`], which says what the CPU lacks or what forbids it.
    pub fn check(self, isa: Isa) -> Result<(), NoBf16> {
        self.check_with(isa, has_bf16())
    }

    /// As [`Arithmetic::check`], but portable kernels run bf16, which is slower than their f32, only for those who asked for
    /// them by `ZEROKARA_ISA`: so no one waits by accident.
    ///
    /// # Errors
    ///
    /// [`NoBf16`], which says what the CPU lacks or what forbids it.
    pub fn offer(self, isa: Isa) -> Result<(), NoBf16> {
        let word = std::env::var_os("ZEROKARA_ISA");
        self.offer_with(isa, has_bf16(), word.is_some_and(|w| !w.is_empty()))
    }

    fn offer_with(self, isa: Isa, possible: bool, named: bool) -> Result<(), NoBf16> {
        match (self, isa) {
            (Arithmetic::Bf16, Isa::Portable) if !named => Err(NoBf16 { isa, possible }),
            _ => self.check_with(isa, possible),
        }
    }

    fn check_with(self, isa: Isa, possible: bool) -> Result<(), NoBf16> {
        let is_there = isa.machine().bf16 && (possible || isa != Isa::Avx512);
        match self {
            Arithmetic::Bf16 if !is_there => Err(NoBf16 { isa, possible }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_is_named() {
        let refusal = |isa, possible| {
            let check = Arithmetic::Bf16.check_with(isa, possible);
            check.unwrap_err().to_string()
        };
        assert!(
            refusal(Isa::Avx2, false).contains("this CPU lacks (it runs avx2 kernels): use f32")
        );
        assert!(refusal(Isa::Avx512, false).contains("this CPU lacks (it runs avx512 kernels)"));
        assert!(refusal(Isa::Avx2, true).contains("ZEROKARA_ISA forbids: it is avx2"));
        let offer = |isa, named| Arithmetic::Bf16.offer_with(isa, false, named);
        let unasked = offer(Isa::Portable, false).unwrap_err().to_string();
        assert!(unasked.contains("this CPU lacks (it runs portable kernels)"));
        assert_eq!(offer(Isa::Portable, true), Ok(()));
        assert!(offer(Isa::Avx2, true).is_err());
        assert_eq!(
            Arithmetic::F32.offer_with(Isa::Portable, false, false),
            Ok(())
        );
        for isa in Isa::ALL {
            for arithmetic in [Arithmetic::F32, Arithmetic::Direct] {
                assert_eq!(arithmetic.check_with(isa, false), Ok(()));
            }
        }
        assert_eq!(Arithmetic::Bf16.check_with(Isa::Avx512, true), Ok(()));
        assert_eq!(Arithmetic::Bf16.check(Isa::Portable), Ok(()));
        assert_eq!(Arithmetic::Bf16.check(Isa::Avx512).is_ok(), has_bf16());
    }
}
