//! How often a program allocates when it runs: the counting allocator counts this thread's calls, which is the only
//! thread of the runtime here.

use allocation_counter::measure;
use zerokara_core::{Array, DType, Parameter, Program, Result, Runtime, Tensor, grad};

/// A runner allocates nothing; `run` one small list, that of the outputs.
#[test]
fn a_run_allocates_one_small_list() -> Result<()> {
    Runtime::new(1)?.install();
    let draw = |key, shape: &[usize]| Tensor::normal(key, &Tensor::from(0), shape) * 0.1;
    let mut parameters = Vec::new();
    let mut h = Tensor::input("x", [32, 20], DType::F32);
    let x = h.clone();
    for layer in 0..30u64 {
        let w = Parameter::new(format!("w{layer}"), &draw(layer, &[20, 20]))?;
        h = h.matmul(&w.tensor()).tanh();
        parameters.push(w);
    }
    let fixed = Parameter::new("fixed", &draw(99, &[20]))?;
    let loss = (h * fixed.tensor()).square().mean();
    let updates: Vec<(Parameter, Tensor)> = parameters
        .iter()
        .map(|p| (p.clone(), p.tensor() - grad(&loss, &p.tensor()) * 0.1))
        .collect();
    let step = Program::compile(&[&x], &[&loss, &loss.sqrt()], &updates)?;
    drop((updates, loss));
    let input = [Array::zeros(x.meta()?)];
    // The first runs size what is kept.
    step.run(&input)?;
    step.run(&input)?;
    let mut runner = step.runner();

    let mut outcome = Ok(());
    let count = measure(|| outcome = runner.run(&input).map(drop));
    outcome?;
    assert_eq!(count.count_total, 0, "{count:?}");
    drop(runner);

    let mut outputs = Ok(Vec::new());
    let count = measure(|| outputs = step.run(&input));
    assert_eq!(outputs?.len(), 2);
    assert!(count.count_total <= 1, "{count:?}");
    Ok(())
}
