//! Which sum of products gives these numbers at these lengths.

use super::Size;
use std::sync::Arc;

/// The field in which coefficients are found: integers modulo this prime. A fraction is a number without an end in it, which
/// the check with the numbers themselves then finds out.
const PRIME: i128 = (1 << 61) - 1;

/// The degree up to which products are looked for: shapes of images and of pairs of a sequence's places.
const fn degree(names: usize) -> usize {
    if names <= 2 { 3 } else { 2 }
}

/// The lengths at which a model is traced, and what to read from them.
pub(super) struct Points<'a> {
    /// The names of the lengths.
    pub names: &'a [Arc<str>],
    /// For each trace the length of each name.
    pub lengths: Vec<Vec<usize>>,
    monomials: Vec<Vec<usize>>,
}

impl<'a> Points<'a> {
    /// The traces that tell which polynomial a number is, from `least` on: lengths that are all different, some even and
    /// some odd, so that half a length is no polynomial, and none a power of two, as sizes of layers often are.
    pub fn new(names: &'a [Arc<str>], least: usize) -> Self {
        let monomials = monomials(names.len());
        let count = (monomials.len() + 1..)
            .find(|&n| is_prime(n))
            .unwrap_or_default();
        let unlike = (least..).filter(|&n| is_prime(n) || (n % 2 == 0 && is_prime(n / 2)));
        let unlike: Vec<usize> = unlike.take(count * names.len()).collect();
        // Steps through a prime number of places that differ by name: no name's lengths follow from another's.
        let lengths = (0..count).map(|at| {
            let each = (0..names.len()).map(|name| {
                let place = at * (name + 1) % count;
                unlike[name + names.len() * place]
            });
            each.collect()
        });
        Self {
            names,
            lengths: lengths.collect(),
            monomials,
        }
    }

    /// The size that is each number at its trace. Of fewer traces than there are points only a number that is always the
    /// same, or is one of the lengths itself.
    pub fn fit(&self, numbers: &[i64]) -> Option<Size> {
        let first = *numbers.first()?;
        if numbers.iter().all(|&n| n == first) {
            return Some(first.into());
        }
        for (at, name) in self.names.iter().enumerate() {
            let mut pairs = numbers.iter().zip(&self.lengths);
            if pairs.all(|(&n, lengths)| n == lengths[at] as i64) {
                return Some(Size::of(name.clone()));
            }
        }
        if numbers.len() < self.lengths.len() {
            return None;
        }
        let products: Vec<Vec<i128>> = self
            .lengths
            .iter()
            .map(|lengths| {
                let product = |factors: &Vec<usize>| {
                    factors.iter().map(|&name| lengths[name] as i128).product()
                };
                self.monomials.iter().map(product).collect()
            })
            .collect();
        let coefficients = solve(&products, numbers)?;
        let right = |products: &Vec<i128>, number: i64| {
            let terms = products.iter().zip(&coefficients);
            let terms = terms.map(|(p, &c)| p.checked_mul(c));
            let sum = terms.reduce(|a, b| a?.checked_add(b?)).flatten();
            sum == Some(number.into())
        };
        if !products.iter().zip(numbers).all(|(p, &n)| right(p, n)) {
            return None;
        }
        let terms = coefficients.iter().zip(&self.monomials);
        let terms = terms.map(|(&coefficient, factors)| {
            let names = factors.iter().map(|&name| self.names[name].clone());
            Some((i64::try_from(coefficient).ok()?, names.collect()))
        });
        Size::new(terms.collect::<Option<Vec<(i64, Vec<Arc<str>>)>>>()?).ok()
    }
}

/// All products of so many lengths up to the degree, each a sorted list.
fn monomials(names: usize) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = vec![Vec::new()];
    let mut begin = 0;
    for _ in 0..degree(names) {
        let end = found.len();
        for at in begin..end {
            let from = found[at].last().copied().unwrap_or(0);
            for name in from..names {
                let mut longer = found[at].clone();
                longer.push(name);
                found.push(longer);
            }
        }
        begin = end;
    }
    found
}

fn is_prime(n: usize) -> bool {
    n >= 2
        && (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
}

/// The coefficients with which the products give the numbers, modulo [`PRIME`], each as the number nearest to 0.
fn solve(products: &[Vec<i128>], numbers: &[i64]) -> Option<Vec<i128>> {
    let count = products.first()?.len();
    let modulo = |n: i128| n.rem_euclid(PRIME);
    let mut rows: Vec<Vec<i128>> = (products.iter().zip(numbers))
        .map(|(row, &number)| {
            let row = row.iter().copied().chain([number.into()]);
            row.map(modulo).collect()
        })
        .collect();
    for column in 0..count {
        let pivot = (column..rows.len()).find(|&row| rows[row][column] != 0)?;
        rows.swap(column, pivot);
        let inverse = power(rows[column][column], PRIME - 2);
        for value in &mut rows[column] {
            *value = modulo(*value * inverse);
        }
        let lead = rows[column].clone();
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row[column];
            if at != column && factor != 0 {
                for (value, lead) in row.iter_mut().zip(&lead) {
                    *value = modulo(*value - factor * lead);
                }
            }
        }
    }
    let nearest = |n: i128| if n > PRIME / 2 { n - PRIME } else { n };
    Some(
        rows[..count]
            .iter()
            .map(|row| nearest(row[count]))
            .collect(),
    )
}

/// `base^exponent` modulo [`PRIME`].
fn power(mut base: i128, mut exponent: i128) -> i128 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % PRIME;
        }
        base = base * base % PRIME;
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(names: &[&str], formula: impl Fn(&[i64]) -> i64) -> Option<String> {
        let names: Vec<Arc<str>> = names.iter().map(|&n| n.into()).collect();
        let points = Points::new(&names, 11);
        let numbers = points.lengths.iter().map(|lengths| {
            let lengths: Vec<i64> = lengths.iter().map(|&n| n as i64).collect();
            formula(&lengths)
        });
        let size = points.fit(&numbers.collect::<Vec<_>>())?;
        Some(size.to_string())
    }

    #[test]
    fn polynomials_are_found_and_nothing_else() {
        for least in [11, 101] {
            let names: Vec<Arc<str>> = ["a", "b", "c"].map(Into::into).to_vec();
            for count in 1..=3 {
                let points = Points::new(&names[..count], least);
                let mut all = points.lengths.concat();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), points.lengths.len() * count);
            }
        }
        let found = |names: &[&str], f: &dyn Fn(&[i64]) -> i64| fitted(names, f);
        assert_eq!(found(&["n"], &|_| -3).as_deref(), Some("-3"));
        assert_eq!(found(&["n"], &|l| l[0]).as_deref(), Some("n"));
        assert_eq!(
            found(&["n"], &|l| 2 - 5 * l[0]).as_deref(),
            Some("-5*n + 2")
        );
        let square = |l: &[i64]| (l[0] + 1) * (l[0] + 1);
        assert_eq!(found(&["n"], &square).as_deref(), Some("n*n + 2*n + 1"));
        let product = |l: &[i64]| l[0] * (l[1] + 1);
        let said = found(&["batch", "length"], &product);
        assert_eq!(said.as_deref(), Some("batch*length + batch"));
        let cube = |l: &[i64]| 8 * l[0] * l[1] * l[1];
        let said = found(&["batch", "length"], &cube);
        assert_eq!(said.as_deref(), Some("8*batch*length*length"));
        let sum = |l: &[i64]| l[0] + l[1] - 2 * l[2];
        assert_eq!(
            found(&["a", "b", "c"], &sum).as_deref(),
            Some("a + b - 2*c")
        );
        assert_eq!(found(&["n"], &|l| l[0] / 2), None);
        assert_eq!(found(&["n"], &|l| (l[0] + 1) / 2), None);
        assert_eq!(found(&["n"], &|l| l[0].min(12)), None);
        assert_eq!(found(&["a", "b"], &|l| l[0].max(l[1])), None);
    }

    #[test]
    fn every_number_of_names_has_points_that_tell_all_products() {
        let names: Vec<Arc<str>> = ["a", "b", "c", "d", "e", "f"].map(Into::into).to_vec();
        for count in 1..=names.len() {
            for least in [11, 101] {
                let points = Points::new(&names[..count], least);
                for factors in &points.monomials {
                    let number = |lengths: &Vec<usize>| {
                        3 * factors.iter().map(|&f| lengths[f] as i64).product::<i64>() - 7
                    };
                    let numbers: Vec<i64> = points.lengths.iter().map(number).collect();
                    assert!(points.fit(&numbers).is_some(), "{count} {factors:?}");
                }
            }
        }
    }
}
