//! The loops that combine numbers, and the arithmetic of means and variances.

use crate::simd::{Lanes, multiversion};

/// A way to combine numbers.
pub(super) trait Combine: 'static {
    const START: f32;
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector;
    fn wide(a: f64, b: f64) -> f64;
}

pub(super) struct Sum;
impl Combine for Sum {
    const START: f32 = 0.0;
    #[inline(always)]
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { S::add(a, b) }
    }
    #[inline(always)]
    fn wide(a: f64, b: f64) -> f64 {
        a + b
    }
}

pub(super) struct Max;
impl Combine for Max {
    const START: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { S::select(S::ne(a, a), a, S::max(a, b)) }
    }
    #[inline(always)]
    fn wide(a: f64, b: f64) -> f64 {
        if a > b || a.is_nan() { a } else { b }
    }
}

pub(super) struct Min;
impl Combine for Min {
    const START: f32 = f32::INFINITY;
    #[inline(always)]
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { S::select(S::ne(a, a), a, S::min(a, b)) }
    }
    #[inline(always)]
    fn wide(a: f64, b: f64) -> f64 {
        if a < b || a.is_nan() { a } else { b }
    }
}

/// Combines each of `rows` rows of `length` neighbours.
#[inline(always)]
unsafe fn rows_body<S: Lanes, C: Combine>(p: *const f32, rows: usize, length: usize, to: *mut f64) {
    // SAFETY: the caller vouches for the CPU and the pointers; the array holds the widest vector.
    unsafe {
        let l = S::LANES;
        for row in 0..rows {
            let p = p.add(row * length);
            let mut i = 0;
            let mut total = f64::from(C::START);
            if length >= l {
                let mut sums = [S::splat(C::START); 4];
                while i + 4 * l <= length {
                    sums[0] = C::vectors::<S>(sums[0], S::load(p.add(i)));
                    sums[1] = C::vectors::<S>(sums[1], S::load(p.add(i + l)));
                    sums[2] = C::vectors::<S>(sums[2], S::load(p.add(i + 2 * l)));
                    sums[3] = C::vectors::<S>(sums[3], S::load(p.add(i + 3 * l)));
                    i += 4 * l;
                }
                while i + l <= length {
                    sums[0] = C::vectors::<S>(sums[0], S::load(p.add(i)));
                    i += l;
                }
                let sum = C::vectors::<S>(
                    C::vectors::<S>(sums[0], sums[1]),
                    C::vectors::<S>(sums[2], sums[3]),
                );
                let mut lanes = [0.0f32; 16];
                S::store(lanes.as_mut_ptr(), sum);
                for &x in &lanes[..l] {
                    total = C::wide(total, f64::from(x));
                }
            }
            while i < length {
                total = C::wide(total, f64::from(*p.add(i)));
                i += 1;
            }
            *to.add(row) = total;
        }
    }
}
multiversion! {
    pub(super) unsafe fn rows_of[C: Combine; C](p: *const f32, rows: usize, length: usize, to: *mut f64) = rows_body;
}

/// Combines each column of `rows` rows of `width` neighbours with a number.
#[inline(always)]
unsafe fn fold_rows_body<S: Lanes, C: Combine>(
    to: *mut f32,
    p: *const f32,
    width: usize,
    rows: usize,
) {
    // SAFETY: the caller vouches for the CPU and the pointers.
    unsafe {
        let l = S::LANES;
        let mut i = 0;
        while i + 4 * l <= width {
            let (to, p) = (to.add(i), p.add(i));
            let mut a = S::load(to);
            let mut b = S::load(to.add(l));
            let mut c = S::load(to.add(2 * l));
            let mut d = S::load(to.add(3 * l));
            for row in 0..rows {
                let p = p.add(row * width);
                a = C::vectors::<S>(a, S::load(p));
                b = C::vectors::<S>(b, S::load(p.add(l)));
                c = C::vectors::<S>(c, S::load(p.add(2 * l)));
                d = C::vectors::<S>(d, S::load(p.add(3 * l)));
            }
            S::store(to, a);
            S::store(to.add(l), b);
            S::store(to.add(2 * l), c);
            S::store(to.add(3 * l), d);
            i += 4 * l;
        }
        while i < width {
            let rest = (width - i).min(l);
            let mut a = S::load_partial(to.add(i), rest);
            for row in 0..rows {
                a = C::vectors::<S>(a, S::load_partial(p.add(row * width + i), rest));
            }
            S::store_partial(to.add(i), a, rest);
            i += rest;
        }
    }
}
multiversion! {
    pub(super) unsafe fn fold_rows[C: Combine; C](to: *mut f32, p: *const f32, width: usize, rows: usize) = fold_rows_body;
}

/// Sums each of `rows` rows of `length` neighbours in double precision.
#[inline(always)]
unsafe fn wide_rows_body<S: Lanes>(p: *const f32, rows: usize, length: usize, to: *mut f64) {
    const SUMS: usize = 16;
    let whole = length / SUMS * SUMS;
    for row in 0..rows {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            let p = p.add(row * length);
            let mut sums = [0.0; SUMS];
            for i in (0..whole).step_by(SUMS) {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum += f64::from(*p.add(i + j));
                }
            }
            let mut total = 0.0;
            if whole > 0 {
                total = sums.iter().sum();
            }
            for i in whole..length {
                total += f64::from(*p.add(i));
            }
            *to.add(row) = total;
        }
    }
}
multiversion! {
    pub(super) unsafe fn wide_rows[](p: *const f32, rows: usize, length: usize, to: *mut f64) = wide_rows_body;
}

/// Adds each column of `rows` rows of `width` neighbours to a sum in double precision.
#[inline(always)]
unsafe fn wide_columns_body<S: Lanes>(to: *mut f64, p: *const f32, width: usize, rows: usize) {
    for row in 0..rows {
        for i in 0..width {
            // SAFETY: the caller vouches for the pointers.
            unsafe { *to.add(i) += f64::from(*p.add(row * width + i)) };
        }
    }
}
multiversion! {
    pub(super) unsafe fn wide_columns[](to: *mut f64, p: *const f32, width: usize, rows: usize) = wide_columns_body;
}

/// Moves what `n` sums hold to those in double precision, and starts them anew.
#[inline(always)]
unsafe fn flush_body<S: Lanes, C: Combine>(sums: *mut f32, wide: *mut f64, n: usize) {
    for i in 0..n {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            *wide.add(i) = C::wide(*wide.add(i), f64::from(*sums.add(i)));
            *sums.add(i) = C::START;
        }
    }
}
multiversion! {
    pub(super) unsafe fn flush[C: Combine; C](sums: *mut f32, wide: *mut f64, n: usize) = flush_body;
}

/// Adds the differences of each column of `rows` rows of `width` neighbours from its shift, and the squares of those, to
/// sums.
#[inline(always)]
unsafe fn deviate_body<S: Lanes>(
    sums: *mut f32,
    squares: *mut f32,
    shifts: *const f32,
    p: *const f32,
    width: usize,
    rows: usize,
) {
    // SAFETY: the caller vouches for the CPU and the pointers.
    unsafe {
        let l = S::LANES;
        let mut i = 0;
        while i + 4 * l <= width {
            let (sums, squares, shifts, p) = (sums.add(i), squares.add(i), shifts.add(i), p.add(i));
            let mut s = [
                S::load(sums),
                S::load(sums.add(l)),
                S::load(sums.add(2 * l)),
                S::load(sums.add(3 * l)),
            ];
            let mut q = [
                S::load(squares),
                S::load(squares.add(l)),
                S::load(squares.add(2 * l)),
                S::load(squares.add(3 * l)),
            ];
            let k = [
                S::load(shifts),
                S::load(shifts.add(l)),
                S::load(shifts.add(2 * l)),
                S::load(shifts.add(3 * l)),
            ];
            for row in 0..rows {
                let p = p.add(row * width);
                let d = S::sub(S::load(p), k[0]);
                (s[0], q[0]) = (S::add(s[0], d), S::fma(d, d, q[0]));
                let d = S::sub(S::load(p.add(l)), k[1]);
                (s[1], q[1]) = (S::add(s[1], d), S::fma(d, d, q[1]));
                let d = S::sub(S::load(p.add(2 * l)), k[2]);
                (s[2], q[2]) = (S::add(s[2], d), S::fma(d, d, q[2]));
                let d = S::sub(S::load(p.add(3 * l)), k[3]);
                (s[3], q[3]) = (S::add(s[3], d), S::fma(d, d, q[3]));
            }
            S::store(sums, s[0]);
            S::store(sums.add(l), s[1]);
            S::store(sums.add(2 * l), s[2]);
            S::store(sums.add(3 * l), s[3]);
            S::store(squares, q[0]);
            S::store(squares.add(l), q[1]);
            S::store(squares.add(2 * l), q[2]);
            S::store(squares.add(3 * l), q[3]);
            i += 4 * l;
        }
        while i < width {
            let rest = (width - i).min(l);
            let k = S::load_partial(shifts.add(i), rest);
            let mut s = S::load_partial(sums.add(i), rest);
            let mut q = S::load_partial(squares.add(i), rest);
            for row in 0..rows {
                let d = S::sub(S::load_partial(p.add(row * width + i), rest), k);
                (s, q) = (S::add(s, d), S::fma(d, d, q));
            }
            S::store_partial(sums.add(i), s, rest);
            S::store_partial(squares.add(i), q, rest);
            i += rest;
        }
    }
}
multiversion! {
    pub(super) unsafe fn deviate(
        sums: *mut f32,
        squares: *mut f32,
        shifts: *const f32,
        p: *const f32,
        width: usize,
        rows: usize,
    ) = deviate_body;
}

/// The sum of the squared differences of `n` numbers from a shift.
#[inline(always)]
unsafe fn squares_body<S: Lanes>(p: *const f32, n: usize, shift: f32, to: *mut f64) {
    // SAFETY: the caller vouches for the CPU and the pointers; the array holds the widest vector.
    unsafe {
        let l = S::LANES;
        let k = S::splat(shift);
        let mut squares = [S::zero(); 2];
        let mut i = 0;
        while i + 2 * l <= n {
            let d = S::sub(S::load(p.add(i)), k);
            let e = S::sub(S::load(p.add(i + l)), k);
            squares = [S::fma(d, d, squares[0]), S::fma(e, e, squares[1])];
            i += 2 * l;
        }
        let mut lanes = [0.0f32; 16];
        S::store(lanes.as_mut_ptr(), S::add(squares[0], squares[1]));
        let mut total: f64 = lanes[..l].iter().map(|&x| f64::from(x)).sum();
        while i < n {
            let d = f64::from(*p.add(i)) - f64::from(shift);
            total += d * d;
            i += 1;
        }
        *to = total;
    }
}
multiversion! {
    pub(super) unsafe fn squares[](p: *const f32, n: usize, shift: f32, to: *mut f64) = squares_body;
}

/// The shift of numbers about this mean, one of which is `some`: a finite one, since the mean of infinite numbers would be
/// lost in differences from an infinite shift. A number that the mean cannot be told from is taken itself: the
/// differences of equal numbers are 0.
pub(super) fn shift_near(mean: f32, some: f32) -> f32 {
    let same = (mean - some).abs() <= some.abs() * 1e-6;
    match (mean.is_finite() && !same, some.is_finite()) {
        (true, _) => mean,
        (false, true) => some,
        (false, false) => 0.0,
    }
}

/// Mean of some numbers, and the sum of their squared deviations from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) squares: f64,
}

impl Moments {
    /// Of `n` numbers, from the sum of their differences from a shift and the sum of the squares of those. Divided by n,
    /// not multiplied by 1 / n, so that nothing is left of equal numbers.
    pub(super) fn shifted(n: usize, shift: f64, sum: f64, squares: f64) -> Moments {
        let squares = squares - sum * sum / n as f64;
        Moments {
            mean: shift + sum / n as f64,
            // Rounding may make it negative; a NaN stays.
            squares: if squares < 0.0 { 0.0 } else { squares },
        }
    }

    /// Of `n` numbers, from their sum and the sum of the squares of their differences from a shift.
    pub(super) fn around(n: usize, sum: f64, shift: f64, squares: f64) -> Moments {
        let mean = sum / n as f64;
        let squares = squares - (mean - shift) * (mean - shift) * n as f64;
        Moments {
            mean,
            squares: if squares < 0.0 { 0.0 } else { squares },
        }
    }

    /// Of `n` numbers with these moments and `m` others (Chan, Golub and LeVeque, 1979).
    pub(super) fn join(self, n: usize, other: Moments, m: usize) -> Moments {
        let share = m as f64 / (n + m) as f64;
        let difference = other.mean - self.mean;
        Moments {
            mean: if difference.is_finite() {
                self.mean + difference * share
            } else {
                // An infinite mean stays, unless the other is infinite the other way.
                self.mean + other.mean
            },
            squares: self.squares + other.squares + difference * difference * (n as f64 * share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// Whole numbers, of which all sums and squares are exact.
    fn numbers(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 + i / 9) % 64) as f32 - 20.0)
            .collect()
    }

    #[inline(always)]
    unsafe fn check_body<S: Lanes>() {
        for width in [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 200] {
            for rows in [1, 2, 5] {
                let x = numbers(width * rows);
                let of_row = |row: usize| x[row * width..][..width].iter().copied();
                let of_column = |column: usize| x[column..].iter().step_by(width).copied();
                let shift = |column: usize| (column % 5) as f32;
                let (mut sums, mut largest) = (vec![0.0; rows], vec![0.0; rows]);
                let (mut wide, mut around) = (vec![0.0; rows], vec![0.0; rows]);
                let mut wide_folded = vec![1.0; width + 1];
                // One number behind, which must stay.
                let fresh = || vec![1.0f32; width + 1];
                let (mut folded, mut least) = (fresh(), fresh());
                let (mut deviations, mut squares) = (fresh(), fresh());
                let shifts: Vec<f32> = (0..width).map(shift).collect();
                let p = x.as_ptr();
                // SAFETY: the caller vouches for the CPU; the vectors have these lengths.
                unsafe {
                    rows_body::<S, Sum>(p, rows, width, sums.as_mut_ptr());
                    rows_body::<S, Max>(p, rows, width, largest.as_mut_ptr());
                    wide_rows_body::<S>(p, rows, width, wide.as_mut_ptr());
                    wide_columns_body::<S>(wide_folded.as_mut_ptr(), p, width, rows);
                    for (row, to) in around.iter_mut().enumerate() {
                        squares_body::<S>(p.add(row * width), width, 3.0, to);
                    }
                    fold_rows_body::<S, Sum>(folded.as_mut_ptr(), p, width, rows);
                    fold_rows_body::<S, Min>(least.as_mut_ptr(), p, width, rows);
                    deviate_body::<S>(
                        deviations.as_mut_ptr(),
                        squares.as_mut_ptr(),
                        shifts.as_ptr(),
                        p,
                        width,
                        rows,
                    );
                }
                for row in 0..rows {
                    let at = || of_row(row).map(f64::from);
                    assert_eq!(sums[row], at().sum::<f64>(), "{rows} x {width}");
                    assert_eq!(largest[row], at().fold(f64::MIN, f64::max));
                    assert_eq!(wide[row], sums[row]);
                    assert_eq!(around[row], at().map(|x| (x - 3.0).powi(2)).sum::<f64>());
                }
                for column in 0..width {
                    let at = || of_column(column);
                    assert_eq!(folded[column], 1.0 + at().sum::<f32>(), "{rows} x {width}");
                    assert_eq!(wide_folded[column], f64::from(folded[column]));
                    assert_eq!(least[column], at().fold(1.0, f32::min));
                    let differences = at().map(|x| x - shift(column));
                    assert_eq!(deviations[column], 1.0 + differences.clone().sum::<f32>());
                    assert_eq!(
                        squares[column],
                        1.0 + differences.map(|x| x * x).sum::<f32>()
                    );
                }
                assert_eq!(wide_folded[width], 1.0);
                for all in [folded, least, deviations, squares] {
                    assert_eq!(all[width], 1.0, "{rows} x {width}");
                }
            }
        }
    }
    multiversion! { unsafe fn check() = check_body; }

    #[test]
    fn every_length_is_combined_whole() {
        for isa in Isa::available() {
            // SAFETY: the CPU has it.
            unsafe { check(isa) };
        }
    }
}
