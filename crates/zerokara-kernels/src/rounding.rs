//! How far a sum in f32 may lie from the exact one, for tests: from the number and the sizes of its terms, whatever they
//! are and whoever adds them up.

/// Largest error of a sum of so many terms whose absolute values add up to `size`.
///
/// Each term, and each sum on the way, is rounded by at most half of [`f32::EPSILON`] of its size, which is at most `size`.
/// These errors have either sign, so that n of them grow as √n does; the factor is twice what is expected of the largest
/// of many, and what one term less or more would change is far beyond it.
pub fn bound(terms: usize, size: f64) -> f64 {
    f64::from(f32::EPSILON) * (1.0 + (terms as f64).sqrt()) * size
}

/// An exact sum, and what its error in f32 is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// The sum.
    pub value: f64,
    /// The sum of the absolute values of its terms.
    pub size: f64,
    /// How many terms there are, one on top of the other.
    pub terms: usize,
}

impl Sum {
    /// Adds an exact number.
    pub fn add(&mut self, term: f64) {
        self.join(Sum {
            value: term,
            size: term.abs(),
            terms: 0,
        });
    }

    /// Adds what is a sum itself.
    pub fn join(&mut self, part: Sum) {
        self.value += part.value;
        self.size += part.size;
        self.terms = self.terms.max(part.terms) + 1;
    }

    /// The sum times a number.
    pub fn times(self, factor: f64) -> Sum {
        Sum {
            value: self.value * factor,
            size: self.size * factor.abs(),
            terms: self.terms + 1,
        }
    }

    /// The sum and one more number.
    pub fn plus(mut self, term: f64) -> Sum {
        self.add(term);
        self
    }

    /// The sum, or 0 if it is negative.
    pub fn rectified(self) -> Sum {
        Sum {
            value: self.value.max(0.0),
            ..self
        }
    }

    /// Largest error.
    pub fn bound(&self) -> f64 {
        bound(self.terms, self.size)
    }

    /// Whether a result is within the bound; infinities and NaN must be the same.
    pub fn allows(&self, got: f64) -> bool {
        match self.value.is_finite() {
            true => (got - self.value).abs() <= self.bound(),
            false => got == self.value || (got.is_nan() && self.value.is_nan()),
        }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<T: IntoIterator<Item = f64>>(terms: T) -> Sum {
        let mut sum = Sum::default();
        terms.into_iter().for_each(|term| sum.add(term));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums in f32, one number after the other, of either sign and of one.
    #[test]
    fn plain_sums_are_within_the_bound_and_sums_with_a_term_less_are_not() {
        for n in [1usize, 2, 3, 10, 100, 1000, 10_000] {
            for seed in 0..50u64 {
                let mut state = seed * 77 + n as u64;
                let mut next = || {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 40) as f32 / (1 << 23) as f32 - 1.0
                };
                for signed in [true, false] {
                    let x: Vec<f32> = (0..n)
                        .map(|_| if signed { next() } else { next().abs() })
                        .collect();
                    let plain: f32 = x.iter().sum();
                    let exact: Sum = x.iter().map(|&x| f64::from(x)).collect();
                    assert_eq!(exact.terms, n);
                    assert!(
                        exact.allows(plain.into()),
                        "{n} {signed}: {plain} {exact:?}"
                    );
                    let term = x.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
                    assert!(!exact.allows(f64::from(plain) + f64::from(term)), "{n}");
                }
            }
        }
        let infinite: Sum = [1.0, f64::INFINITY].into_iter().collect();
        assert!(infinite.allows(f64::INFINITY) && !infinite.allows(f64::NEG_INFINITY));
        let none = infinite.plus(f64::NEG_INFINITY);
        assert!(none.allows(f64::NAN));
        assert!(!Sum::default().allows(f64::NAN));
    }
}
