//! Steps of training by plain tensors, without a program: ten thousand of them compile hardly anything and leave nothing
//! behind. The only test in its process, since it counts what the process has.

use zerokara_core::{DType, Parameter, Result, Runtime, Tensor, eval, grad};

/// The resident memory of this process in bytes, where the system tells.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[test]
fn ten_thousand_steps_of_adam_under_a_cosine_schedule() -> Result<()> {
    const STEPS: i32 = 10_000;
    let draw = |key, shape: &[usize]| -> Result<Tensor> {
        let value = Tensor::normal(key, &Tensor::from(0), shape).eval()?;
        Ok(Tensor::from(value))
    };
    let x = draw(1, &[16, 8])?;
    let wanted = draw(2, &[8, 3])?;
    let y = Tensor::from(x.matmul(&wanted).eval()?);
    let w = Parameter::new("w", &draw(3, &[8, 3])?)?;
    let m = Parameter::new("m", &Tensor::full([8, 3], 0.0, DType::F32))?;
    let v = Parameter::new("v", &Tensor::full([8, 3], 0.0, DType::F32))?;

    let compiled = Runtime::current()?.plans_compiled();
    let mut before = None;
    let mut first = 0.0;
    let mut last = 0.0;
    for t in 1..=STEPS {
        let old = w.tensor();
        let loss = (x.matmul(&old) - &y).square().mean();
        let g = grad(&loss, &old);
        let rate = 0.01 * (1.0 + (std::f64::consts::PI * t as f64 / STEPS as f64).cos());
        let mean = m.tensor() * 0.9 + &g * 0.1;
        let square = v.tensor() * 0.999 + &g * &g * 0.001;
        let step =
            &mean / (1.0 - 0.9f64.powi(t)) / ((&square / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
        let new = &old - step * rate;
        let mut values = eval(&[&loss, &new, &mean, &square])?.into_iter();
        last = values.next().map_or(f64::NAN, |loss| loss.to_f64s()[0]);
        for (cell, value) in [&w, &m, &v].into_iter().zip(values) {
            cell.set_array(value)?;
        }
        match t {
            1 => first = last,
            1000 => before = resident(),
            _ => {}
        }
    }
    assert!(last < 1e-6 * first, "from {first} to {last}");
    let compiled = Runtime::current()?.plans_compiled() - compiled;
    assert!(compiled <= 2, "{compiled} plans");
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 2 << 20, "grew by {grown} bytes");
    }
    Ok(())
}
