//! What the gradients of normalizations cost, and that they hold where statistics are taken over what varies little.

use zerokara_core::{Arithmetic, Isa, Parameter, Tensor, gradients, plan_text};

/// The lines of the plan of a loss' gradients, which name steps.
fn steps(y: &Tensor, wrt: &[&Parameter]) -> Vec<String> {
    let leaves: Vec<Tensor> = wrt.iter().map(|p| p.tensor()).collect();
    let loss = (y.square() * y).sum();
    let found = gradients(&loss, &leaves.iter().collect::<Vec<_>>());
    let found: Vec<&Tensor> = found.iter().collect();
    let text = plan_text(&found, &[], Isa::Avx2, Arithmetic::default()).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("  "));
    lines.map(str::to_string).collect()
}

fn parameter(name: &str, shape: &[usize]) -> Parameter {
    Parameter::new(name, &Tensor::full(shape, 0.5, zerokara_core::DType::F32)).unwrap()
}

/// Forward one walk for the statistics and one for the result; back one along the rows, one along the columns, and one for the
/// input's gradient; and the small gradients are handed out.
#[test]
fn gradients_of_rows_take_few_walks() {
    let (x, scale, shift) = (
        parameter("x", &[64, 32, 128]),
        parameter("scale", &[128]),
        parameter("shift", &[128]),
    );
    let affine = (scale.tensor(), shift.tensor());
    let layer = x.tensor().layer_norm(1, Some((&affine.0, &affine.1)), 1e-5);
    let found = steps(&layer, &[&x, &scale, &shift]);
    let large = |found: &[String]| found.iter().filter(|line| line.contains("128]")).count();
    assert!(found.len() <= 7, "{found:#?}");
    assert!(large(&found) <= 7, "{found:#?}");
    let rms = x.tensor().rms_norm(1, Some(&affine.0), 1e-5);
    let found = steps(&rms, &[&x, &scale]);
    assert!(found.len() <= 6, "{found:#?}");
}
