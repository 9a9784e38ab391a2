//! Products of every kind against a plain loop in f64.

use super::tile::Panel;
use super::*;
use crate::{
    rounding::Sum,
    simd::{Avx512Twin, Outlined, Portable, bf16},
};

/// Numbers that look random: reproducible, in [-1, 1), most with many digits.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn scratch() -> Vec<f32> {
    vec![f32::NAN; SCRATCH_LEN]
}

/// How the operands of a case lie in memory.
#[derive(Clone, Copy, Debug)]
struct Layout {
    a: [isize; 3],
    b: [isize; 3],
    packed: bool,
}

fn check(isa: Isa, shape: GemmShape, layout: Layout) {
    let GemmShape { batch, m, n, k } = shape;
    let extent = |shape: [usize; 3], strides: [isize; 3]| -> usize {
        if shape.contains(&0) {
            return 0;
        }
        1 + (0..3)
            .map(|i| (shape[i] - 1) * strides[i] as usize)
            .sum::<usize>()
    };
    // One number before the operands, so that nothing is aligned; none behind.
    let a = numbers(1 + extent([batch, m, k], layout.a), 1);
    let b = numbers(1 + extent([batch, k, n], layout.b), 2);
    let at = |x: &[f32], strides: [isize; 3], i: [usize; 3]| {
        f64::from(x[1 + (0..3).map(|d| i[d] * strides[d] as usize).sum::<usize>()])
    };
    let ldc = n + 3;
    let mut c = vec![7.0f32; batch * m * ldc + 1];
    let left = Left {
        start: a[1..].as_ptr(),
        strides: layout.a,
    };
    let start = b[1..].as_ptr();
    let packed_len = packed_len(isa, k, n);
    let mut panels = vec![f32::NAN; batch * packed_len];
    let right = if layout.packed {
        let matrices = if layout.b[0] == 0 {
            batch.min(1)
        } else {
            batch
        };
        for i in 0..matrices {
            let to = panels[i * packed_len..].as_mut_ptr();
            let from = start.wrapping_offset(i as isize * layout.b[0]);
            for unit in 0..pack_units(isa, k, n) {
                // SAFETY: the operand is valid, and the panels have room.
                unsafe { pack_unit(isa, unit, k, n, from, [layout.b[1], layout.b[2]], to) };
            }
        }
        Right::Packed {
            start: panels.as_ptr(),
            stride: if layout.b[0] == 0 { 0 } else { packed_len },
        }
    } else {
        Right::InPlace {
            start,
            strides: layout.b,
        }
    };
    for unit in 0..units(isa, &shape) {
        let (to, strides) = (c[1..].as_mut_ptr(), [(m * ldc) as isize, ldc as isize]);
        // SAFETY: the operands are valid.
        unsafe { run_unit(isa, &shape, unit, left, right, to, strides, &mut scratch()) };
    }
    assert_eq!(c[0], 7.0);
    for batch in 0..batch {
        for i in 0..m {
            for j in 0..ldc {
                let got = c[1 + (batch * m + i) * ldc + j];
                if j >= n {
                    assert_eq!(got, 7.0, "written beyond a row");
                    continue;
                }
                let terms = (0..k)
                    .map(|l| at(&a, layout.a, [batch, i, l]) * at(&b, layout.b, [batch, l, j]));
                let sum: Sum = terms.collect();
                assert!(
                    sum.allows(got.into()),
                    "{isa:?} {shape:?} {layout:?} [{batch}, {i}, {j}]: {got} for {sum:?}"
                );
            }
        }
    }
}

fn layouts(shape: &GemmShape) -> Vec<Layout> {
    let (m, n, k) = (shape.m as isize, shape.n as isize, shape.k as isize);
    let a = [
        [m * k, k, 1],
        [m * k, 1, m],
        [2 * m * k + 7, 2 * k + 3, 2],
        [0, k + 1, 1],
    ];
    let b = [
        [k * n, n, 1],
        [k * n, 1, k],
        [3 * k * n + 5, 3 * n + 4, 3],
        [0, n + 2, 1],
        [0, 1, k + 5],
    ];
    let mut all = vec![];
    for (i, &a) in a.iter().enumerate() {
        for (j, &b) in b.iter().enumerate() {
            for packed in [false, true] {
                if i == 0 || j == 0 || i == j {
                    all.push(Layout { a, b, packed });
                }
            }
        }
    }
    all
}

fn sweep(isa: Isa) {
    for (batch, m, n, k) in [
        (1, 0, 5, 3),
        (1, 4, 0, 3),
        (0, 4, 2, 3),
        (2, 3, 5, 0),
        (1, 1, 1, 1),
        (1, 1, 33, 40),
        (1, 2, 10, 7),
        (1, 3, 9, 100),
        (3, 5, 17, 9),
        (1, 7, 24, 31),
        (1, 8, 16, 8),
        (1, 13, 48, 5),
        (2, 25, 50, 33),
        (1, 11, 100, 64),
        (1, 6, 41, 600),
    ] {
        let shape = GemmShape { batch, m, n, k };
        for layout in layouts(&shape) {
            check(isa, shape, layout);
        }
    }
    // Large enough for many units, of rows and of columns.
    for (m, n, k) in [
        (100, 50, 150),
        (10, 500, 300),
        (1, 700, 600),
        (150, 8, 300),
        // An odd number of vectors, where a unit of packing would end inside the last panel: of 8 lanes, of 16.
        (50, 40, 600),
        (50, 72, 300),
    ] {
        let shape = GemmShape { batch: 1, m, n, k };
        assert!(units(isa, &shape) > 1);
        for layout in &layouts(&shape)[..4] {
            check(isa, shape, *layout);
        }
    }
}

#[test]
fn products_agree_with_f64() {
    for isa in Isa::available() {
        sweep(isa);
    }
}

#[test]
fn every_tile_height_and_width_is_right() {
    for m in 1..=17 {
        for n in [1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49] {
            let shape = GemmShape {
                batch: 1,
                m,
                n,
                k: 12,
            };
            let (mi, ni, ki) = (m as isize, n as isize, 12);
            for packed in [false, true] {
                let layout = Layout {
                    a: [mi * ki, ki, 1],
                    b: [ki * ni, ni, 1],
                    packed,
                };
                for isa in Isa::available() {
                    check(isa, shape, layout);
                }
            }
        }
    }
}

#[test]
fn units_cover_the_result_once() {
    for isa in Isa::ALL {
        for (batch, m, n, k) in [
            (1, 100, 4320, 100),
            (3, 1, 1000, 500),
            (1, 1000, 10, 50),
            (2, 513, 77, 99),
        ] {
            let shape = GemmShape { batch, m, n, k };
            let mut seen = vec![0u8; batch * m * n];
            for unit in 0..units(isa, &shape) {
                let UnitRange {
                    batch,
                    rows,
                    columns,
                } = unit_range(isa, &shape, unit);
                for i in rows {
                    for j in columns.clone() {
                        seen[(batch * m + i) * n + j] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&count| count == 1), "{shape:?} on {isa:?}");
        }
    }
}

/// Strips of pairs of bf16: the products of rounded numbers are exact, and sums of them in f32 nearly so.
struct StripsOfPairs;

impl Outlined for StripsOfPairs {
    unsafe fn run<S: Simd>(&self) {
        let halves_of = |len: usize, seed: u32| -> Vec<u16> {
            numbers(len, seed).into_iter().map(bf16::round).collect()
        };
        let value = |half: u16| f64::from(f32::from_bits(u32::from(half) << 16));
        let pair =
            |first: u16, second: u16| f32::from_bits(u32::from(first) | u32::from(second) << 16);
        for width in 1..=if S::REGISTERS < 16 { 1 } else { 3 } {
            for (rows, depth, lines) in [(1, 1, 1), (5, 2, 3), (8, 7, 1), (9, 16, 2), (17, 3, 1)] {
                let columns = width * S::LANES;
                let left = halves_of(lines * rows * depth * 2, 1);
                let right = halves_of(lines * depth * 2 * columns, 2);
                let left_at = |l: usize, r: usize, k: usize| left[(l * rows + r) * depth * 2 + k];
                let right_at =
                    |l: usize, k: usize, c: usize| right[(l * depth * 2 + k) * columns + c];
                let (mut a, mut b) = (Vec::new(), Vec::new());
                for l in 0..lines {
                    for r in 0..rows {
                        let pairs =
                            (0..depth).map(|k| (left_at(l, r, 2 * k), left_at(l, r, 2 * k + 1)));
                        a.extend(pairs.map(|(x, y)| pair(x, y)));
                    }
                    for k in 0..depth {
                        b.extend(
                            (0..columns)
                                .map(|c| pair(right_at(l, 2 * k, c), right_at(l, 2 * k + 1, c))),
                        );
                    }
                }
                let mut sums = vec![1.0f32; lines * rows * columns];
                let strip = Strip {
                    rows,
                    lines: Lines {
                        count: lines,
                        left: (rows * depth) as isize,
                        panel: (depth * columns) as isize,
                        to: (rows * columns) as isize,
                    },
                    depth,
                    left: a.as_ptr(),
                    left_strides: [depth as isize, 1],
                    offsets: &[],
                    panel: Panel {
                        start: b.as_ptr(),
                        step: columns as isize,
                        width,
                        last: S::LANES,
                    },
                    to: sums.as_mut_ptr(),
                    to_row: columns as isize,
                    add: true,
                    ahead: Ahead::NOTHING,
                };
                // SAFETY: the caller vouches for the CPU; the vectors have the lengths told.
                unsafe { strip.run_in::<S, true>() };
                for (i, &sum) in sums.iter().enumerate() {
                    let (l, r, c) = (i / columns / rows, i / columns % rows, i % columns);
                    let terms =
                        (0..2 * depth).map(|k| value(left_at(l, r, k)) * value(right_at(l, k, c)));
                    let expected: Sum = std::iter::once(1.0).chain(terms).collect();
                    assert!(
                        expected.allows(sum.into()),
                        "{width} vectors, {rows} rows, {depth} pairs, [{i}]: {sum} for {expected:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn strips_of_pairs_of_bf16() {
    // SAFETY: only what this CPU has is run.
    unsafe {
        Portable::<8>::call(&StripsOfPairs);
        Avx512Twin::call(&StripsOfPairs);
        #[cfg(target_arch = "x86_64")]
        if crate::plan::Arithmetic::Bf16.check(Isa::Avx512).is_ok() {
            crate::simd::Avx512Bf16::call(&StripsOfPairs);
        }
    }
}
