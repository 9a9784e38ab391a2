//! What plans of eager evaluation hold, and what a computation may take. One test, since it sets the process's runtime.

use zerokara_core::{Array, DType, Program, Result, Runtime, Tensor};

/// An expression with plans of its own for each `k`, which needs two values as large as `x` in its arena.
fn expression(x: &Tensor, k: usize) -> Tensor {
    x.clamp(0.0, k as f64).cumsum(0).sum()
}

#[test]
fn memory_is_bounded() -> Result<()> {
    const BOUND: usize = 256 << 20;
    Runtime::new(2)?.install();
    let runtime = Runtime::current()?;
    // The sum over i of the running sum of ones is n (n + 1) / 2; x is half ones and half zeros.
    let ones = 2000;
    let make = |n: usize| {
        let mut x = vec![0.0f32; n];
        x[n - ones..].fill(1.0);
        Tensor::new([n], x)
    };
    let expected = (ones * (ones + 1) / 2) as f64;
    let x = make(10_000_000);
    for k in 1..=12 {
        assert_eq!(expression(&x, k).item()?, expected);
        assert!(runtime.plans_bytes() <= BOUND, "{}", runtime.plans_bytes());
    }
    assert!(runtime.plans_bytes() > 0);
    // All of them are still compiled.
    let compiled = runtime.plans_compiled();
    for k in [1, 12, 5] {
        assert_eq!(expression(&x, k).item()?, expected);
        assert!(runtime.plans_bytes() <= BOUND, "{}", runtime.plans_bytes());
    }
    assert_eq!(runtime.plans_compiled(), compiled);
    // One that needs more than the bound gives it back at once.
    let large = make(40_000_000);
    for _ in 0..2 {
        assert_eq!(expression(&large, 3).item()?, expected);
        assert!(runtime.plans_bytes() <= BOUND, "{}", runtime.plans_bytes());
    }
    drop((large, runtime));

    Runtime::new(1)?.with_memory_limit(60_000_000).install();
    assert_eq!(Runtime::current()?.memory_limit(), 60_000_000);
    let error = expression(&x, 1).item().unwrap_err().to_string();
    for part in ["40.0 MB", "60.0 MB", "ZEROKARA_MEMORY", "memory.rs:"] {
        assert!(error.contains(part), "{error}");
    }
    let error = (&x + 1.0)
        .eval()
        .map(drop)
        .and_then(|()| Tensor::zeros([20_000_000]).eval());
    assert!(error.unwrap_err().to_string().contains("80.0 MB"));
    let input = Tensor::input("x", [10_000_000], DType::F32);
    let error = Program::compile(&[&input], &[&expression(&input, 1)], &[]).unwrap_err();
    assert!(error.to_string().contains("ZEROKARA_MEMORY"), "{error}");
    // What is small enough runs.
    assert_eq!(Tensor::ones([100]).cumsum(0).sum().item()?, 5050.0);
    assert!(Array::try_zeros(&zerokara_core::Meta::new([20_000_000], DType::F32)).is_err());
    Ok(())
}
