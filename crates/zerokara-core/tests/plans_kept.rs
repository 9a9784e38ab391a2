//! A plan is found again by its graph, whatever numbers its attributes hold. The only test in its process, since it counts
//! what the process has compiled.

use zerokara_core::{Result, Runtime, Tensor};

#[test]
fn a_nan_is_found_again() -> Result<()> {
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let numbers = [f64::NAN, 0.0, -0.0, f64::INFINITY, 2.0];
    let before = Runtime::current()?.plans_compiled();
    for _ in 0..10 {
        for number in numbers {
            let filled = (&x * x.full_like(number)).to_vec::<f32>()?;
            let padded = x.pad(&[1], &[0], number).to_vec::<f32>()?[0];
            let number = number as f32;
            let same = filled[2].to_bits() == (3.0 * number).to_bits();
            assert!(same || filled[2].is_nan() && number.is_nan());
            assert!(padded.to_bits() == number.to_bits() || padded.is_nan() && number.is_nan());
        }
    }
    let compiled = Runtime::current()?.plans_compiled() - before;
    assert_eq!(compiled, 2 * numbers.len());
    Ok(())
}
