//! Dropout.

use super::place_only;
use crate::{Context, Forward, Place};
use zerokara_core::Tensor;

/// Dropout (Srivastava et al., 2014; page 195 of the book): in training, each element becomes 0 with probability
/// `ratio`, else `x / (1 - ratio)`; in evaluation nothing changes.
///
/// The book scales by `1 - ratio` in evaluation instead; the expectation is the same. Which elements drop is a
/// function of the seed, the layer's path and the step.
#[derive(Clone, Debug)]
pub struct Dropout {
    place: Place,
    ratio: f64,
}

impl Dropout {
    /// Drops this share of the elements, `0 <= ratio < 1`.
    #[track_caller]
    pub fn new(ratio: f64) -> Self {
        Self {
            place: Place::new("Dropout"),
            ratio,
        }
    }
}

place_only!(Dropout);

impl Forward for Dropout {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        if !(0.0..1.0).contains(&self.ratio) {
            return self.place.invalid(format!(
                "the ratio of dropped elements is at least 0 and less than 1, not {}",
                self.ratio
            ));
        }
        if !cx.is_training() || self.ratio == 0.0 {
            return x.clone();
        }
        self.place.run(|| {
            let draws = cx.uniform_like(x);
            let kept = draws.greater_equal(&Tensor::from(self.ratio as f32));
            kept.select(&(x * (1.0 / (1.0 - self.ratio))), &x.zeros_like())
        })
    }
}
