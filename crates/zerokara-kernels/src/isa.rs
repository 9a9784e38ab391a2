//! Instruction sets: which one the kernels run on, and how one generic body is compiled for each.

use crate::machine::Machine;
use std::fmt;

/// An instruction set that kernels are compiled for.
///
/// Results depend on it (fused multiplication and the order of summation differ), so it is chosen once, and is
/// part of what identifies a plan. What choices may ask about it is its [`Machine`].
///
/// With the feature `testing` there are twins: the same body compiled for vectors that are arrays, with the lanes, the
/// registers and the roundings of the instruction set that they stand for. They have its description and so its plans,
/// give its bits, and run everywhere, slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the target guarantees; runs everywhere.
    Portable,
    /// x86-64 with AVX2 and FMA: 8 lanes, 16 registers.
    Avx2,
    /// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes, 32 registers.
    Avx512,
    /// Portable code that does what AVX2 does.
    #[cfg(any(test, feature = "testing"))]
    Avx2Twin,
    /// Portable code that does what AVX-512 does.
    #[cfg(any(test, feature = "testing"))]
    Avx512Twin,
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
                write!(f, "ZEROKARA_ISA is {word:?}, which is none of ")?;
                list(f, &Isa::ALL)
            }
            IsaError::Unavailable(isa) => {
                let isa = isa.name();
                write!(
                    f,
                    "ZEROKARA_ISA asks for {isa}, which this CPU lacks (it has "
                )?;
                list(f, &Isa::native())?;
                f.write_str(")")
            }
        }
    }
}

/// Names with commas between them.
fn list(f: &mut fmt::Formatter<'_>, all: &[Isa]) -> fmt::Result {
    for (i, isa) in all.iter().enumerate() {
        write!(f, "{}{}", if i > 0 { ", " } else { "" }, isa.name())?;
    }
    Ok(())
}

impl std::error::Error for IsaError {}

impl Isa {
    /// All instruction sets, the widest last.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The twins.
    #[cfg(any(test, feature = "testing"))]
    const TWINS: &[Isa] = &[Isa::Avx2Twin, Isa::Avx512Twin];
    #[cfg(not(any(test, feature = "testing")))]
    const TWINS: &[Isa] = &[];

    /// The widest instruction set of this CPU, or the one that the environment variable `ZEROKARA_ISA` names
    /// (`portable`, `avx2` or `avx512`, in tests also `avx2-twin` or `avx512-twin`; empty means unset).
    ///
    /// # Errors
    ///
    /// [`IsaError`] if the variable holds another word, or names an instruction set that this CPU lacks.
    pub fn detect() -> Result<Isa, IsaError> {
        match std::env::var_os("ZEROKARA_ISA") {
            Some(word) if !word.is_empty() => Isa::named(&word.to_string_lossy()),
            _ => Ok(Isa::native().pop().unwrap_or(Isa::Portable)),
        }
    }

    /// The instruction set of that name, if this CPU has it.
    ///
    /// # Errors
    ///
    /// [`IsaError`] if no instruction set has the name, or this CPU lacks it.
    pub fn named(name: &str) -> Result<Isa, IsaError> {
        let isa = Isa::ALL
            .iter()
            .chain(Isa::TWINS)
            .find(|isa| isa.name() == name)
            .ok_or_else(|| IsaError::Unknown(name.to_owned()))?;
        if isa.is_available() {
            Ok(*isa)
        } else {
            Err(IsaError::Unavailable(*isa))
        }
    }

    /// The instruction sets of this CPU, the widest last.
    pub fn native() -> Vec<Isa> {
        let mut all = Isa::ALL.to_vec();
        all.retain(|isa| isa.is_available());
        all
    }

    /// What can be run here: the instruction sets of this CPU, and the twins of those that it lacks, as far as there are
    /// twins: so in tests one for each of [`Isa::ALL`], whatever the CPU.
    pub fn available() -> Vec<Isa> {
        let here = |isa: Isa| match isa.is_available() {
            true => Some(isa),
            false => Isa::TWINS
                .iter()
                .copied()
                .find(|twin| twin.stands_for() == isa),
        };
        Isa::ALL.into_iter().filter_map(here).collect()
    }

    /// Whether it runs here: a twin does everywhere.
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
            Isa::Avx2 | Isa::Avx512 => false,
            #[cfg(any(test, feature = "testing"))]
            Isa::Avx2Twin | Isa::Avx512Twin => true,
        }
    }

    /// The instruction set that a twin stands for; any other stands for itself.
    pub const fn stands_for(self) -> Isa {
        match self {
            #[cfg(any(test, feature = "testing"))]
            Isa::Avx2Twin => Isa::Avx2,
            #[cfg(any(test, feature = "testing"))]
            Isa::Avx512Twin => Isa::Avx512,
            _ => self,
        }
    }

    /// The twin of an instruction set.
    #[cfg(any(test, feature = "testing"))]
    pub fn twin(self) -> Option<Isa> {
        let mut twins = Isa::TWINS.iter();
        twins.find(|twin| twin.stands_for() == self).copied()
    }

    /// Whether portable code takes its place.
    pub fn is_twin(self) -> bool {
        self.stands_for() != self
    }

    /// What choices may ask.
    pub const fn machine(self) -> Machine {
        Machine::of(self)
    }

    /// Numbers in one vector of [`crate::simd::Simd`].
    pub const fn lanes(self) -> usize {
        self.machine().lanes
    }

    /// The word that names it in `ZEROKARA_ISA`.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            #[cfg(any(test, feature = "testing"))]
            Isa::Avx2Twin => "avx2-twin",
            #[cfg(any(test, feature = "testing"))]
            Isa::Avx512Twin => "avx512-twin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn names_are_read_back() {
        assert_eq!(Isa::named("portable"), Ok(Isa::Portable));
        assert_eq!(Isa::named("sse9"), Err(IsaError::Unknown("sse9".into())));
        for &isa in Isa::ALL.iter().chain(Isa::TWINS) {
            let expected = if isa.is_available() {
                Ok(isa)
            } else {
                Err(IsaError::Unavailable(isa))
            };
            assert_eq!(Isa::named(isa.name()), expected);
        }
        let unknown = Isa::named("sse9").unwrap_err().to_string();
        assert!(
            unknown.ends_with("none of portable, avx2, avx512"),
            "{unknown}"
        );
        let lacking = IsaError::Unavailable(Isa::Avx512).to_string();
        assert!(lacking.contains("lacks (it has portable"), "{lacking}");
    }

    /// So that whoever runs a test on all that is available runs it for every description, on any CPU.
    #[test]
    fn tests_meet_every_description_on_any_cpu() {
        let met = Isa::available();
        assert_eq!(
            met.iter().map(|isa| isa.stands_for()).collect::<Vec<_>>(),
            Isa::ALL
        );
        for isa in Isa::ALL {
            assert_eq!(met.contains(&isa), isa.is_available());
            assert_eq!(isa.twin().is_some(), isa != Isa::Portable, "{isa:?}");
        }
        assert!(Isa::native().iter().all(|isa| !isa.is_twin()));
        assert!(
            Isa::TWINS
                .iter()
                .all(|isa| isa.is_twin() && isa.is_available())
        );
    }

    /// Says which instruction sets the tests of this run really met, past the capture of output.
    #[test]
    fn what_ran_is_said() {
        let said: Vec<String> = Isa::available()
            .into_iter()
            .map(|isa| match isa.is_twin() {
                false => format!("{} natively", isa.name()),
                true => format!(
                    "{} by its twin (this CPU lacks it)",
                    isa.stands_for().name()
                ),
            })
            .collect();
        let bf16 = match crate::plan::Arithmetic::Bf16.check(Isa::Avx512) {
            Ok(()) => "natively",
            Err(_) => "by its twin",
        };
        let said = format!(
            "instruction sets: {}; avx512 with bf16 {bf16}\n",
            said.join(", ")
        );
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
}
