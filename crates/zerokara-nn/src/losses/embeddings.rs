//! Losses of embeddings: tasks for models of several outputs, whose distances are to say what is alike.

use crate::{Measure, Task, Totals};
use zerokara_core::{DType, Error, LossReduction, Tensor, Tensors};

/// The triplet loss (Schroff et al., 2015) of a model with the outputs `anchor`, `like` and `unlike`, embeddings `[N, D]` of three samples
/// each: the mean of `max(0, d(anchor, like) - d(anchor, unlike) + margin)`, where d is a norm of the difference. There are no
/// targets.
///
/// Measure: `accuracy`, the share of triplets whose like one is nearer than the unlike one.
///
/// ```
/// use zerokara_core::{Tensor, Tensors};
/// use zerokara_nn::{Task, TripletMargin};
/// let outputs = Tensors::one("anchor", Tensor::from([[0.0, 0.0]]))
///     .with("like", Tensor::from([[3.0, 4.0]]))
///     .with("unlike", Tensor::from([[0.0, 5.5]]));
/// let loss = TripletMargin::new().objective(&outputs, &Tensors::default()).item()?;
/// assert!((loss - 0.5).abs() < 1e-5);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "TripletMarginLoss")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletMargin {
    margin: f64,
    norm: f64,
    swap: bool,
}

impl Default for TripletMargin {
    fn default() -> Self {
        Self {
            margin: 1.0,
            norm: 2.0,
            swap: false,
        }
    }
}

impl TripletMargin {
    /// With the margin 1 and Euclidean distances.
    pub fn new() -> Self {
        Self::default()
    }

    /// By how much nearer the like one is to be.
    pub fn margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// The p of the norm: above 0, and infinity for the largest difference.
    pub fn norm(mut self, p: f64) -> Self {
        self.norm = p;
        self
    }

    /// Whether the unlike one's distance is that to the nearer of the other two (Balntas et al., 2016).
    pub fn swap(mut self, swap: bool) -> Self {
        self.swap = swap;
        self
    }

    fn losses(&self, outputs: &Tensors, margin: f64, reduction: LossReduction) -> Tensor {
        let [anchor, like, unlike] = ["anchor", "like", "unlike"].map(|name| outputs.tensor(name));
        anchor.triplet_margin_loss(&like, &unlike, margin, self.norm, self.swap, reduction)
    }
}

impl Task for TripletMargin {
    fn title(&self) -> &'static str {
        "triplet_margin"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        let swap = f64::from(u8::from(self.swap));
        vec![("margin", self.margin), ("norm", self.norm), ("swap", swap)]
    }

    fn objective(&self, outputs: &Tensors, _: &Tensors) -> Tensor {
        if !self.margin.is_finite() {
            return Tensor::invalid(Error::new(format!(
                "{}: the margin is a finite number, not {}",
                self.title(),
                self.margin
            )));
        }
        self.losses(outputs, self.margin, LossReduction::Mean)
    }

    fn tally(&self, outputs: &Tensors, _: &Tensors) -> Vec<(&'static str, Tensor)> {
        // Without a margin, nothing is lost where the like one is nearer or as near.
        let lost = self.losses(outputs, 0.0, LossReduction::None);
        let right = lost.less_equal(&lost.zeros_like()).cast(DType::F32);
        vec![("correct", right.sum())]
    }

    fn measures(&self, totals: &Totals) -> Vec<Measure> {
        let share = totals.mean("correct");
        let share = share.map(|share| Measure::share("accuracy", share));
        share.into_iter().collect()
    }
}

/// The loss of pairs of embeddings, of a model with the outputs `first` and `second`, `[N, D]`, and data with the target `[N]` (i64 or
/// floats): the mean of `1 - cos(first, second)` where the target is 1, the pair alike, and of `max(0, cos(first, second) -
/// margin)` where it is -1.
///
/// Measure: `similarity`, the mean cosine of the pairs that are alike less that of the others.
///
/// ```
/// use zerokara_core::{Tensor, Tensors};
/// use zerokara_nn::{CosineEmbedding, Task};
/// let outputs = Tensors::one("first", Tensor::from([[1.0, 0.0], [0.0, 2.0]]))
///     .with("second", Tensor::from([[3.0, 0.0], [0.0, 1.0]]));
/// let targets = Tensors::one("alike", Tensor::from([1, -1]));
/// let loss = CosineEmbedding::new().margin(0.25).objective(&outputs, &targets).item()?;
/// assert!((loss - 0.375).abs() < 1e-6);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "CosineEmbeddingLoss")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CosineEmbedding {
    margin: f64,
}

impl CosineEmbedding {
    /// With the margin 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cosine up to which pairs that are not alike cost nothing, from -1 to 1.
    pub fn margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }
}

impl Task for CosineEmbedding {
    fn title(&self) -> &'static str {
        "cosine_embedding"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("margin", self.margin)]
    }

    fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor {
        if !(-1.0..=1.0).contains(&self.margin) {
            return Tensor::invalid(Error::new(format!(
                "{}: the margin is a cosine from -1 to 1, not {}",
                self.title(),
                self.margin
            )));
        }
        let [first, second] = ["first", "second"].map(|name| outputs.tensor(name));
        let (alike, mean) = (targets.single(), LossReduction::Mean);
        first.cosine_embedding_loss(&second, &alike, self.margin, mean)
    }

    fn tally(&self, outputs: &Tensors, targets: &Tensors) -> Vec<(&'static str, Tensor)> {
        let [first, second] = ["first", "second"].map(|name| outputs.tensor(name));
        let target = targets.single();
        let ones = target.full_like(1.0);
        // 1 less the loss of pairs that are taken as alike is their cosine.
        let distance = first.cosine_embedding_loss(&second, &ones, 0.0, LossReduction::None);
        let cosine = distance.full_like(1.0) - &distance;
        let number = |truth: Tensor| truth.cast(DType::F32);
        let alike = number(target.equal(&ones));
        let unlike = number(target.equal(&target.full_like(-1.0)));
        let cosine = cosine.cast(DType::F32);
        vec![
            ("cosine_alike", (&cosine * &alike).sum()),
            ("alike", alike.sum()),
            ("cosine_unlike", (&cosine * &unlike).sum()),
            ("unlike", unlike.sum()),
        ]
    }

    fn measures(&self, totals: &Totals) -> Vec<Measure> {
        let mean = |sum, count| Some(totals.sum(sum)? / totals.sum(count)?.max(1.0));
        let similarity = || Some(mean("cosine_alike", "alike")? - mean("cosine_unlike", "unlike")?);
        let similarity = similarity().map(|value| Measure::score("similarity", value));
        similarity.into_iter().collect()
    }
}
