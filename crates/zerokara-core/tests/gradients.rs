//! What a gradient is taken with respect to.

use zerokara_core::{
    DType, Parameter, Program, Result, Tensor, grad,
    gradient_check::{CheckOptions, gradient_check},
    gradients,
};

/// A parameter is its cell: the gradient is that at the value in the loss, whatever was written since.
#[test]
fn a_parameter_that_was_set_is_the_same_parameter() -> Result<()> {
    let w = Parameter::new("w", &Tensor::from([3.0]))?;
    let loss = w.tensor().square().sum();
    w.set(&Tensor::from([5.0]))?;
    assert_eq!(grad(&loss, &w.tensor()).to_vec::<f32>()?, [6.0]);
    // Leaves of several values count as one: 3^2 + 5 * 7.
    let mixed = loss + (w.tensor() * 7.0).sum();
    w.set(&Tensor::from([1.0]))?;
    let slope = grad(&mixed, &w.tensor());
    assert_eq!(slope.to_vec::<f32>()?, [13.0]);
    assert_eq!(grad(&slope.sum(), &w.tensor()).to_vec::<f32>()?, [2.0]);
    // A program reads one value for both leaves.
    let slope = grad(&mixed, &w.tensor());
    let program = Program::compile(&[], &[&mixed, &slope], &[])?;
    w.set(&Tensor::from([2.0]))?;
    let found = program.run(&[])?;
    assert_eq!(found[0].to_f64s(), [18.0]);
    assert_eq!(found[1].to_f64s(), [11.0]);
    let update = [(w.clone(), w.tensor() - &slope)];
    Program::compile(&[], &[], &update)?.run(&[])?;
    assert_eq!(w.value().to_f64s(), [-9.0]);
    Ok(())
}

#[test]
fn what_the_loss_was_not_computed_from_is_an_error() -> Result<()> {
    let w = Parameter::new("w", &Tensor::from([3.0]))?;
    let other = Parameter::new("conv1.weight", &Tensor::from([3.0]))?;
    let loss = w.tensor().square().sum();
    let error = grad(&loss, &other.tensor()).eval().unwrap_err().to_string();
    assert!(error.contains("parameter conv1.weight"), "{error}");
    // One of several spoils all, so that nobody goes on with half of them.
    for slope in gradients(&loss, &[&w.tensor(), &other.tensor()]) {
        assert_eq!(slope.eval().unwrap_err().to_string(), error);
    }
    let line = line!() + 1;
    let x = Tensor::from([3.0]);
    let error = grad(&loss, &x).eval().unwrap_err().to_string();
    assert!(error.contains(&format!("gradients.rs:{line}:")), "{error}");
    let x = Tensor::input("pixels", [1], DType::F32);
    let error = grad(&loss, &x).eval().unwrap_err().to_string();
    assert!(error.contains("input pixels"), "{error}");
    // The same value is not the same tensor, but what was computed on the way is in the graph.
    let square = w.tensor().square();
    let slope = grad(&(&square * 2.0).sum(), &square);
    assert_eq!(slope.to_vec::<f32>()?, [2.0]);
    let both = gradients(&square.sum(), &[&square, &w.tensor()]);
    assert_eq!(both[1].to_vec::<f32>()?, [6.0]);
    Ok(())
}

#[test]
fn what_cannot_flow_is_zero() -> Result<()> {
    let w = Parameter::new("w", &Tensor::from([3.0, 4.0]))?;
    let n = Parameter::new("n", &Tensor::from([1i64, 0]))?;
    // Through `detach`, whether the value is known or not; a program still reads the cell.
    for detached in [w.tensor().detach(), (w.tensor() * 1.0).detach()] {
        let loss = (detached * 2.0).sum();
        assert_eq!(grad(&loss, &w.tensor()).to_vec::<f32>()?, [0.0, 0.0]);
        let program = Program::compile(&[], &[&loss], &[])?;
        w.set(&Tensor::from([1.0, 1.0]))?;
        assert_eq!(program.run(&[])?[0].to_f64s(), [4.0]);
        w.set(&Tensor::from([3.0, 4.0]))?;
    }
    let loss = w.tensor().index_select(0, &n.tensor()).sum();
    let found = gradients(&loss, &[&w.tensor(), &n.tensor()]);
    assert_eq!(found[0].to_vec::<f32>()?, [1.0, 1.0]);
    assert_eq!(found[1].eval()?.to_f64s(), [0.0, 0.0]);
    Ok(())
}

/// A derivative belongs to what it was taken of, also where it does not depend on it any more.
#[test]
fn higher_derivatives_of_what_is_linear_are_zero() -> Result<()> {
    let w = Parameter::new("w", &Tensor::from([3.0, 4.0]))?;
    let (x, y) = (w.tensor(), Tensor::from([5.0, 6.0]));
    let slope = grad(&(&x * &y).sum(), &x);
    assert_eq!(slope.to_vec::<f32>()?, [5.0, 6.0]);
    assert_eq!(grad(&slope.sum(), &x).to_vec::<f32>()?, [0.0, 0.0]);
    assert_eq!(grad(&slope.sum(), &y).to_vec::<f32>()?, [1.0, 1.0]);
    // Differences agree, of a parameter that is not in the loss as well.
    let other = Parameter::new("other", &Tensor::from([1.0]))?;
    let (loss, other) = (x.square().sum(), other.tensor());
    let report = gradient_check(&loss, &[&x, &other], &CheckOptions::default())?;
    assert_eq!(report.rows.len(), 2);
    Ok(())
}
