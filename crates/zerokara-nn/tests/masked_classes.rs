//! Classes that a model masks with -inf: the loss is that of the others, and training goes on.

use std::sync::Arc;
use zerokara_core::{Array, Result, Tensor};
use zerokara_nn::*;

/// Scores of three classes, the last of which is never allowed.
#[derive(Module)]
struct Masked {
    scores: Linear,
}

impl Forward for Masked {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let scores = self.scores.forward(x, cx);
        let allowed = Tensor::from([[1.0, 1.0, 0.0]]).greater(&Tensor::from(0.5));
        allowed.select(&scores, &scores.full_like(f64::NEG_INFINITY))
    }
}

#[test]
fn a_model_with_masked_classes_learns_the_others() -> Result<()> {
    let x = Array::new([4, 1], vec![-2.0f32, -1.0, 1.0, 2.0]);
    let labels = Array::new([4], vec![0i64, 0, 1, 1]);
    let model = Arc::new(Masked {
        scores: Linear::new(3),
    });
    model.build(&x, 1)?;
    let before = model.state()?;
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut train = TrainStep::new(model.clone(), loss.clone(), Arc::new(Sgd::new(0.5)))?;
    let first = train.step(&x, &labels, 0.5)?;
    assert!(first.ok && first.loss.is_finite(), "{}", first.loss);
    for _ in 0..20 {
        assert!(train.step(&x, &labels, 0.5)?.ok);
    }
    let last = train.step(&x, &labels, 0.5)?;
    assert!(last.loss < 0.5 * first.loss, "{}", last.loss);
    assert_eq!(last.correct, Some(4));
    let found = EvalStep::new(model.clone(), loss.clone())?.run(&x, &labels)?;
    assert!(found.loss.is_finite());
    // What leads to the masked class has not moved.
    let after = model.state()?;
    for ((name, old), (_, new)) in before.iter().zip(&after) {
        let (old, new) = (old.to_f64s(), new.to_f64s());
        assert!(new.iter().all(|x| x.is_finite()), "{name}");
        let columns = old.len() / 3;
        let of_masked = |x: &[f64]| match name.ends_with("bias") {
            true => vec![x[2]],
            false => x[2 * columns..].to_vec(),
        };
        assert_eq!(of_masked(&old), of_masked(&new), "{name}");
    }
    // A sample of the masked class has an infinite loss: the step changes nothing.
    let wrong = Array::new([4], vec![0i64, 0, 1, 2]);
    let refused = train.step(&x, &wrong, 0.5)?;
    assert!(!refused.ok);
    assert_eq!(after, model.state()?);
    Ok(())
}
