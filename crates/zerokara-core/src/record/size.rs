//! Sizes that follow from the lengths which may be any: sums of products, exact in integers.

use crate::{Error, Named, Result};
use std::{fmt, sync::Arc};

/// How long the axes are whose lengths may be any.
pub type Lengths = Named<usize>;

/// A whole number that follows from lengths which may be any: a sum of products, as `2*length + 1`.
///
/// ```
/// use zerokara_core::{Named, record::Size};
/// let size = Size::new([(2, vec!["length"]), (1, vec![])])?;
/// assert_eq!(size.to_string(), "2*length + 1");
/// assert_eq!(size.value(&Named::from([("length", 10)]))?, 21);
/// assert_eq!(Size::from(7).known(), Some(7));
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Size(Vec<Term>);

/// A coefficient, not 0, and the sorted names of the lengths that it is multiplied by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    coefficient: i64,
    factors: Vec<Arc<str>>,
}

impl Size {
    /// The most terms of a size.
    pub const MOST_TERMS: usize = 64;
    /// The most factors of a term.
    pub const MOST_FACTORS: usize = 8;

    /// The sum of these terms: each a coefficient and the lengths that it is multiplied by.
    ///
    /// # Errors
    /// If there are more than [`Size::MOST_TERMS`], one has more than [`Size::MOST_FACTORS`], or two have the same factors.
    pub fn new<N: Into<Arc<str>>>(terms: impl IntoIterator<Item = (i64, Vec<N>)>) -> Result<Self> {
        let mut found: Vec<Term> = Vec::new();
        for (coefficient, factors) in terms {
            let mut factors: Vec<Arc<str>> = factors.into_iter().map(Into::into).collect();
            factors.sort_unstable();
            if found.len() == Self::MOST_TERMS || factors.len() > Self::MOST_FACTORS {
                return Err(Error::new(format!(
                    "a size has at most {} terms of {} factors",
                    Self::MOST_TERMS,
                    Self::MOST_FACTORS
                )));
            }
            if found.iter().any(|term| term.factors == factors) {
                return Err(Error::new(format!(
                    "two terms of a size have the factors {factors:?}"
                )));
            }
            if coefficient != 0 {
                found.push(Term {
                    coefficient,
                    factors,
                });
            }
        }
        // The highest first, as people write them.
        found.sort_by(|a, b| {
            let degrees = b.factors.len().cmp(&a.factors.len());
            degrees.then_with(|| a.factors.cmp(&b.factors))
        });
        Ok(Self(found))
    }

    /// The length of this name.
    pub fn of(name: impl Into<Arc<str>>) -> Self {
        Self(vec![Term {
            coefficient: 1,
            factors: vec![name.into()],
        }])
    }

    /// The terms: each a coefficient and the lengths that it is multiplied by.
    pub fn terms(&self) -> impl ExactSizeIterator<Item = (i64, &[Arc<str>])> {
        self.0
            .iter()
            .map(|term| (term.coefficient, &term.factors[..]))
    }

    /// The number, if it is the same for all lengths.
    pub fn known(&self) -> Option<i64> {
        match &self.0[..] {
            [] => Some(0),
            [term] if term.factors.is_empty() => Some(term.coefficient),
            _ => None,
        }
    }

    /// The one length that it is, if it is one.
    pub fn name(&self) -> Option<&Arc<str>> {
        match &self.0[..] {
            [term] if term.coefficient == 1 && term.factors.len() == 1 => term.factors.first(),
            _ => None,
        }
    }

    /// The number for these lengths.
    ///
    /// # Errors
    /// If a length is not known, or the number is too large for an integer.
    pub fn value(&self, lengths: &Lengths) -> Result<i64> {
        let mut sum = 0i64;
        for term in &self.0 {
            let mut product = Some(term.coefficient);
            for name in &term.factors {
                let length = lengths.get(name).ok_or_else(|| {
                    Error::new(format!(
                        "the size {self} takes a length {name:?}, which no input has"
                    ))
                })?;
                let length = i64::try_from(*length).ok();
                product = product.and_then(|p| p.checked_mul(length?));
            }
            let next = product.and_then(|product| sum.checked_add(product));
            sum = next.ok_or_else(|| {
                Error::new(format!("the size {self} is too large for any memory"))
            })?;
        }
        Ok(sum)
    }

    /// As [`Size::value`], of an axis.
    ///
    /// # Errors
    /// As [`Size::value`], or if the number is negative.
    pub fn length(&self, lengths: &Lengths) -> Result<usize> {
        let value = self.value(lengths)?;
        usize::try_from(value)
            .map_err(|_| Error::new(format!("the size {self} is {value}, which is no length")))
    }
}

impl From<i64> for Size {
    fn from(number: i64) -> Self {
        let terms = (number != 0).then_some(Term {
            coefficient: number,
            factors: Vec::new(),
        });
        Self(terms.into_iter().collect())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        for (at, term) in self.0.iter().enumerate() {
            let (sign, size) = (term.coefficient < 0, term.coefficient.unsigned_abs());
            f.write_str(match (at, sign) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            })?;
            let mut parts: Vec<String> = Vec::new();
            if size != 1 || term.factors.is_empty() {
                parts.push(size.to_string());
            }
            parts.extend(term.factors.iter().map(|name| name.to_string()));
            f.write_str(&parts.join("*"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_computed_exactly_or_refused() {
        let lengths = Lengths::from([("n", 3), ("m", usize::MAX)]);
        let size = Size::new([(-4, vec![]), (1, vec!["n", "n"]), (-2, vec!["n"])]).unwrap();
        assert_eq!(size.to_string(), "n*n - 2*n - 4");
        assert_eq!(size.value(&lengths).unwrap(), -1);
        let said = size.length(&lengths).unwrap_err().to_string();
        assert!(said.contains("is -1, which is no length"), "{said}");
        let said = Size::of("m").value(&lengths).unwrap_err().to_string();
        assert!(said.contains("too large"), "{said}");
        let cube = Size::new([(1, vec!["m"; 3])]).unwrap();
        assert!(cube.value(&lengths.with("m", 3_000_000)).is_err());
        let said = Size::of("k")
            .value(&Lengths::new())
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("a length \"k\", which no input has"),
            "{said}"
        );
        assert!(Size::new([(1, vec!["n", "m"]), (2, vec!["m", "n"])]).is_err());
        assert!(Size::new([(1, vec!["n"; 9])]).is_err());
        assert_eq!(Size::new::<&str>([(0, vec!["n"])]).unwrap(), Size::from(0));
    }
}
