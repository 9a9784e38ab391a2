//! Instruction sets: which one the kernels run on, and how one generic body is compiled for each.

use std::fmt;

/// An instruction set that kernels are compiled for.
///
/// Results depend on it (fused multiplication and the order of summation differ), so it is chosen once, and is
/// part of what identifies a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the target guarantees; runs everywhere.
    Portable,
    /// x86-64 with AVX2 and FMA: 8 lanes, 16 registers.
    Avx2,
    /// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes, 32 registers.
    Avx512,
}

/// Why [`Isa::detect`] could not do what the environment variable asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsaError {
    /// `ZEROKARA_ISA` holds a word that names no instruction set.
    Unknown(String),
    /// `ZEROKARA_ISA` names an instruction set that this CPU lacks.
    Unavailable(Isa),
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IsaError::Unknown(word) => {
                write!(
                    f,
                    "ZEROKARA_ISA is {word:?}, which is none of portable, avx2, avx512"
                )
            }
            IsaError::Unavailable(isa) => {
                write!(
                    f,
                    "ZEROKARA_ISA asks for {}, which this CPU lacks (it has",
                    isa.name()
                )?;
                for isa in Isa::available() {
                    write!(f, " {}", isa.name())?;
                }
                write!(f, ")")
            }
        }
    }
}

impl std::error::Error for IsaError {}

impl Isa {
    /// All instruction sets, the widest last.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The widest instruction set of this CPU, or the one that the environment variable `ZEROKARA_ISA` names
    /// (`portable`, `avx2` or `avx512`; empty means unset).
    ///
    /// # Errors
    ///
    /// [`IsaError`] if the variable holds another word, or names an instruction set that this CPU lacks.
    pub fn detect() -> Result<Isa, IsaError> {
        match std::env::var_os("ZEROKARA_ISA") {
            Some(word) if !word.is_empty() => Isa::named(&word.to_string_lossy()),
            _ => Ok(Isa::widest()),
        }
    }

    /// The instruction set of that name, if this CPU has it.
    ///
    /// # Errors
    ///
    /// [`IsaError`] if no instruction set has the name, or this CPU lacks it.
    pub fn named(name: &str) -> Result<Isa, IsaError> {
        let isa = Isa::ALL
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| IsaError::Unknown(name.to_owned()))?;
        if isa.is_available() {
            Ok(isa)
        } else {
            Err(IsaError::Unavailable(isa))
        }
    }

    /// The widest instruction set of this CPU.
    fn widest() -> Isa {
        Isa::available().pop().unwrap_or(Isa::Portable)
    }

    /// The instruction sets of this CPU, the widest last.
    pub fn available() -> Vec<Isa> {
        Isa::ALL
            .into_iter()
            .filter(|isa| isa.is_available())
            .collect()
    }

    /// Whether this CPU has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Numbers in one vector of [`crate::simd::Simd`].
    pub fn lanes(self) -> usize {
        match self {
            Isa::Portable | Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }

    /// The word that names it in `ZEROKARA_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }
}

/// Compiles a generic body for every instruction set, behind one function that takes the [`Isa`] first.
///
/// The body is an `#[inline(always)] unsafe fn body<S: Simd>(..)`; everything it calls that should be compiled for
/// the instruction set must be `#[inline(always)]` too (closures are not). It may use the operations of
/// [`crate::simd::Simd`], or be plain loops for the compiler to vectorise.
///
/// ```ignore
/// #[inline(always)]
/// unsafe fn scale_body<S: Simd>(x: &mut [f32], by: f32) {
///     for x in x { *x = S::scalar_fma(*x, by, 1.0); }
/// }
/// multiversion! {
///     /// `x = x * by + 1`
///     pub(crate) unsafe fn scale(x: &mut [f32], by: f32) = scale_body;
/// }
/// // SAFETY: `isa` comes from `Isa::detect`, so this CPU has it.
/// unsafe { scale(isa, &mut x, 2.0) };
/// ```
///
/// Generic bodies take their further parameters after `S`, in square brackets, as declared and as used:
/// `unsafe fn name[const N: usize, T: Op; N, T](..) = body;` makes `name::<N, T>(isa, ..)` of `body::<S, N, T>`.
///
/// # Safety
///
/// The functions made are `unsafe`: the CPU must have the instruction set, beside what the body itself asks.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident $([$($generics:tt)*])? ($($arg:ident: $ty:ty),* $(,)?)
        $(-> $ret:ty)? = $body:ident;
    ) => {
        $crate::isa::multiversion! { @split ($(#[$meta])*) ($vis) $name ($($($generics)*)?) ($($arg: $ty),*) ($($ret)?) $body }
    };
    (@split ($(#[$meta:meta])*) ($vis:vis) $name:ident () $args:tt $ret:tt $body:ident) => {
        $crate::isa::multiversion! { @make ($(#[$meta])*) ($vis) $name () () $args $ret $body }
    };
    (@split ($(#[$meta:meta])*) ($vis:vis) $name:ident
        ($(const $c:ident: $ct:ty),* $(,)? ; $($used:ident),*) $args:tt $ret:tt $body:ident) => {
        $crate::isa::multiversion! { @make ($(#[$meta])*) ($vis) $name ($(const $c: $ct),*) ($($used),*) $args $ret $body }
    };
    (@split ($(#[$meta:meta])*) ($vis:vis) $name:ident
        ($($t:ident: $bound:path),+ $(, const $c:ident: $ct:ty)* ; $($used:ident),*) $args:tt $ret:tt $body:ident) => {
        $crate::isa::multiversion! { @make ($(#[$meta])*) ($vis) $name ($($t: $bound,)+ $(const $c: $ct),*) ($($used),*) $args $ret $body }
    };
    (@make ($(#[$meta:meta])*) ($vis:vis) $name:ident ($($declared:tt)*) ($($used:ident),*)
        ($($arg:ident: $ty:ty),*) ($($ret:ty)?) $body:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name<$($declared)*>(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2<$($declared)*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller vouches for the arguments, and this function for the features.
                unsafe { $body::<$crate::simd::Avx2, $($used),*>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512<$($declared)*>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller vouches for the arguments, and this function for the features.
                unsafe { $body::<$crate::simd::Avx512, $($used),*>($($arg),*) }
            }
            // SAFETY: the caller vouches for the arguments, and for the instruction set being available.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx2 => avx2::<$($used),*>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx512 => avx512::<$($used),*>($($arg),*),
                    _ => $body::<$crate::simd::Portable<8>, $($used),*>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Simd;

    #[test]
    fn names_are_read_back() {
        assert_eq!(Isa::named("portable"), Ok(Isa::Portable));
        assert_eq!(Isa::named("sse9"), Err(IsaError::Unknown("sse9".into())));
        for isa in Isa::ALL {
            let expected = if isa.is_available() {
                Ok(isa)
            } else {
                Err(IsaError::Unavailable(isa))
            };
            assert_eq!(Isa::named(isa.name()), expected);
        }
        assert_eq!(Isa::available()[0], Isa::Portable);
    }

    #[inline(always)]
    unsafe fn polynomial_body<S: Simd, const N: usize>(x: &mut [f32]) -> usize {
        for x in x.iter_mut() {
            let mut y = 0.0;
            for i in 0..N {
                y = S::scalar_fma(y, *x, i as f32);
            }
            *x = y;
        }
        S::LANES
    }
    multiversion! {
        unsafe fn polynomial[const N: usize; N](x: &mut [f32]) -> usize = polynomial_body;
    }

    #[test]
    fn one_body_runs_on_every_instruction_set() {
        for isa in Isa::available() {
            let mut x: Vec<f32> = (0..37).map(|i| i as f32).collect();
            // SAFETY: the CPU has it.
            let lanes = unsafe { polynomial::<4>(isa, &mut x) };
            assert_eq!(lanes, isa.lanes());
            for (i, &y) in x.iter().enumerate() {
                let i = i as f32;
                assert_eq!(y, i * i + 2.0 * i + 3.0);
            }
        }
    }
}
