//! `x[mask]` and `x[mask] = value` (page 142 of the book).

use zerokara_core::{
    Array, DType, Parameter, Precision, Program, Result, Tensor, grad,
    gradient_check::{CheckOptions, gradient_check},
    interpret,
};

/// The book's example.
fn x() -> Tensor {
    Tensor::from([[1.0, -0.5], [-2.0, 3.0]])
}

fn mask(x: &Tensor) -> Tensor {
    x.less_equal(&x.zeros_like())
}

#[test]
fn the_book_s_example() -> Result<()> {
    let x = x();
    let mask = mask(&x);
    assert_eq!(mask.to_string(), "[[false,  true],\n [ true, false]]");
    assert_eq!(x.masked_select(&mask).to_vec::<f32>()?, [-0.5, -2.0]);
    let out = x.masked_fill(&mask, 0.0);
    assert_eq!(out.to_vec::<f32>()?, [1.0, 0.0, 0.0, 3.0]);
    assert_eq!(out.shape()?, [2, 2]);
    let dout = Tensor::from([[10.0, 20.0], [30.0, 40.0]]);
    let dx = grad(&(&out * &dout).sum(), &x);
    assert_eq!(dx.to_vec::<f32>()?, [10.0, 0.0, 0.0, 40.0]);
    Ok(())
}

#[test]
fn gradients_flow_back_to_what_was_taken() -> Result<()> {
    let x = x();
    let mask = mask(&x);
    let y = (x.masked_select(&mask) * Tensor::from([5.0, 7.0])).sum();
    assert_eq!(grad(&y, &x).to_vec::<f32>()?, [0.0, 5.0, 7.0, 0.0]);
    let second = grad(
        &grad(&x.masked_select(&mask).square().sum(), &x)
            .square()
            .sum(),
        &x,
    );
    assert_eq!(second.to_vec::<f32>()?, [0.0, -4.0, -16.0, 0.0]);
    let loss = x.masked_select(&mask).exp().sum() + x.masked_fill(&mask, 2.0).square().sum();
    let report = gradient_check(&loss, &[&x], &CheckOptions::default())?;
    assert!(report.agrees(1e-6), "{report}");
    Ok(())
}

#[test]
fn all_types_none_all_scalars_and_broadcast_masks() -> Result<()> {
    let i = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    let odd = Tensor::from([1.0, 0.0, 1.0]).cast(DType::Bool);
    assert_eq!(i.masked_select(&odd).to_vec::<i64>()?, [1, 3, 4, 6]);
    assert_eq!(
        i.masked_fill(&odd, -1.0).to_vec::<i64>()?,
        [-1, 2, -1, -1, 5, -1]
    );
    let wide = i.cast(DType::F64);
    assert_eq!(
        wide.masked_select(&odd).to_vec::<f64>()?,
        [1.0, 3.0, 4.0, 6.0]
    );
    let truth = i.greater(&Tensor::from(3));
    assert_eq!(
        truth.masked_select(&odd).eval()?.to_f64s(),
        [0.0, 0.0, 1.0, 1.0]
    );
    let column = Tensor::from([[0.0], [1.0]]).cast(DType::Bool);
    assert_eq!(i.masked_select(&column).to_vec::<i64>()?, [4, 5, 6]);
    let none = i.greater(&Tensor::from(9));
    assert_eq!(i.masked_select(&none).shape()?, [0]);
    assert_eq!(i.masked_select(&none).to_vec::<i64>()?, [] as [i64; 0]);
    assert_eq!(
        i.masked_select(&none.logical_not()).to_vec::<i64>()?,
        [1, 2, 3, 4, 5, 6]
    );
    let one = Tensor::from(2.5);
    let holds = one.greater(&Tensor::from(0.0));
    assert_eq!(one.masked_select(&holds).to_vec::<f32>()?, [2.5]);
    assert_eq!(one.masked_fill(&holds, 1.0).item()?, 1.0);
    let empty = Tensor::zeros([0, 3]);
    assert_eq!(empty.masked_select(&odd).shape()?, [0]);
    // NaN and infinities that are replaced leave no trace.
    let bad = Tensor::from([f32::NAN, 1.0, f32::INFINITY]);
    let good = bad.masked_fill(&bad.is_finite().logical_not(), 0.0);
    assert_eq!(good.to_vec::<f32>()?, [0.0, 1.0, 0.0]);
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error_on_this_line() {
    let (x, wide) = (x(), Tensor::zeros([3, 2, 2]));
    for (wrong, words) in [
        (x.masked_select(&x), ["masked_select", "truth values"]),
        (x.masked_fill(&x, 0.0), ["masked_fill", "truth values"]),
        (
            x.masked_fill(&mask(&wide), 0.0),
            ["masked_fill", "[3, 2, 2]"],
        ),
        (
            x.masked_select(&mask(&Tensor::zeros([3]))),
            ["masked_select", "[3]"],
        ),
        (
            x.masked_select(&x.greater(&Tensor::zeros([5]))),
            ["greater", "[5]"],
        ),
    ] {
        let text = wrong.eval().unwrap_err().to_string();
        for word in words.into_iter().chain(["masks.rs"]) {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }
}

/// The mask has its values at the call; what it picks from need not.
#[test]
fn the_mask_is_evaluated_at_once() -> Result<()> {
    let x = Tensor::input("x", [2, 2], DType::F32);
    let text = x.masked_select(&mask(&x)).eval().unwrap_err().to_string();
    for word in [
        "masked_select",
        "depends on an input",
        "masked_fill",
        "masks.rs",
    ] {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    let w = Parameter::new("w", &self::x())?;
    let known = mask(&w.tensor());
    let picked = x.masked_select(&known) * w.tensor().masked_select(&known);
    let filled = x.masked_fill(&mask(&x), -1.0);
    let program = Program::compile(&[&x], &[&picked, &filled], &[])?;
    let given = Array::new([2, 2], vec![1.0f32, 2.0, -3.0, 4.0]);
    let found = program.run(std::slice::from_ref(&given))?;
    assert_eq!(found[0].to_f64s(), [-1.0, 6.0]);
    assert_eq!(found[1].to_f64s(), [1.0, 2.0, -1.0, 4.0]);
    let reference = interpret(&[&picked, &filled], &[(&x, given)], Precision::AsWritten)?;
    assert_eq!(reference, found);
    // Another value of the parameter has other places.
    w.set(&Tensor::from([[-1.0, 1.0], [1.0, 1.0]]))?;
    let now = w.tensor();
    assert_eq!(now.masked_select(&mask(&now)).to_vec::<f32>()?, [-1.0]);
    // A label that is no class fails the mask, and keeps its own error.
    let bad = Tensor::from([7]).one_hot(2).greater(&Tensor::from(0.0));
    let text = Tensor::zeros([1, 2])
        .masked_select(&bad)
        .eval()
        .unwrap_err()
        .to_string();
    assert!(text.contains("one_hot"), "{text}");
    Ok(())
}
