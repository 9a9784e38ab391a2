//! Integers among floats in one plan: reductions of either sort of the same elements, and elementwise code around them, give what
//! plain loops give.

use zerokara_core::{Array, DType, Program, Result, Tensor, eval};

/// Numbers in `0..256` that look random.
fn numbers(count: usize) -> Vec<u8> {
    let next = |seed: &mut u32| {
        *seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        Some((*seed >> 24) as u8)
    };
    (0..count).scan(7u32, |seed, _| next(seed)).collect()
}

fn check(rows: usize, columns: usize) -> Result<()> {
    let bytes = numbers(rows * columns);
    let wide: Vec<i64> = bytes.iter().map(|&b| i64::from(b) - 100).collect();
    let x = Tensor::from(Array::new([rows, columns], bytes.clone()));
    let i = Tensor::from(Array::new([rows, columns], wide.clone()));
    let f = i.cast(DType::F32);
    let all = [
        x.sum_axes(&[1], false),
        x.max_axes(&[1], false),
        x.mean_axes(&[1], false),
        i.sum_axes(&[1], false),
        i.min_axes(&[1], false),
        i.mean_axes(&[1], false),
        (&i * 2 + 1).sum_axes(&[1], false),
        (&x + &x).prod_axes(&[1], false),
        f.sum_axes(&[1], false).cast(DType::I64),
        f.max_axes(&[1], false).cast(DType::I64),
        x.greater(&x.full_like(100.0))
            .cast(DType::I64)
            .sum_axes(&[1], true),
        (i.sum_axes(&[1], true).broadcast_like(&i) - &i).max_axes(&[1], false),
        i.argmax(1),
        x.argmin_with(1, false, true),
    ];
    let of = |row: usize| &wide[row * columns..][..columns];
    let of_bytes = |row: usize| &bytes[row * columns..][..columns];
    let each = |function: &dyn Fn(usize) -> i64| (0..rows).map(function).collect::<Vec<i64>>();
    let sum = |row: usize| of(row).iter().sum::<i64>();
    let largest = |row: usize| of(row).iter().copied().max().unwrap_or(0);
    let smallest = |row: usize| of(row).iter().copied().min().unwrap_or(0);
    let byte_sum = |row: usize| of_bytes(row).iter().map(|&b| i64::from(b)).sum::<i64>();
    let expected = [
        each(&byte_sum),
        each(&|row| largest(row) + 100),
        each(&|row| byte_sum(row) / columns as i64),
        each(&sum),
        each(&smallest),
        each(&|row| sum(row) / columns as i64),
        each(&|row| 2 * sum(row) + columns as i64),
        each(&|row| {
            let twice = of_bytes(row).iter().map(|b| b.wrapping_mul(2));
            twice.map(i64::from).fold(1, i64::wrapping_mul)
        }),
        each(&sum),
        each(&largest),
        each(&|row| of_bytes(row).iter().filter(|&&b| b > 100).count() as i64),
        each(&|row| sum(row) - smallest(row)),
        each(&|row| {
            let at = of(row).iter().position(|&n| n == largest(row));
            at.unwrap_or(0) as i64
        }),
        each(&|row| {
            let at = of(row).iter().rposition(|&n| n == smallest(row));
            at.unwrap_or(0) as i64
        }),
    ];
    let outputs: Vec<&Tensor> = all.iter().collect();
    let found = eval(&outputs)?;
    let program = Program::compile(&[], &outputs, &[])?.run(&[])?;
    for (at, expected) in expected.iter().enumerate() {
        for found in [&found[at], &program[at]] {
            let found = found.cast(DType::I64);
            assert_eq!(found.as_slice::<i64>()?, expected, "output {at}");
        }
    }
    Ok(())
}

#[test]
fn reductions_of_integers_among_floats() -> Result<()> {
    for (rows, columns) in [(1, 1), (3, 5), (17, 64), (2, 1000)] {
        check(rows, columns)?;
    }
    Ok(())
}
