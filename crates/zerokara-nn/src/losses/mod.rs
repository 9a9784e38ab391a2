//! Losses: what training makes small.

use crate::{
    Answer, Measure, Totals, is_answer,
    tasks::{first_largest, probabilities, row},
};
use std::sync::Arc;
use zerokara_core::{Array, DType, Error, Meta, Result, Tensor};

/// A loss: a number that says how far a model's output is from the targets, with the measures that go with it. It is a
/// [`Task`](crate::Task) for models of one output and data of one target.
pub trait Loss: Send + Sync {
    /// The name, as reports show it.
    fn name(&self) -> &'static str;

    /// Name and value of each setting, as reports list them.
    fn settings(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The weight of each class, if they differ.
    fn class_weights(&self) -> &[f64] {
        &[]
    }

    /// The mean loss of a batch, a scalar; an invalid tensor that says why where outputs and targets do not go together.
    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor;

    /// Sums over the batch from which [`Loss::metrics`] are made, float scalars: see [`Task::tally`](crate::Task::tally).
    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let _ = (output, target);
        Vec::new()
    }

    /// How well a model does, from the sums of all batches: see [`Task::measures`](crate::Task::measures).
    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        let _ = totals;
        Vec::new()
    }

    /// What the output for one sample of a batch says; numbers, unless the loss knows more.
    ///
    /// # Errors
    /// If it is no answer.
    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        Answer::numbers(output, sample)
    }
}

/// A loss that is chosen when the program runs.
impl<L: Loss + ?Sized> Loss for Arc<L> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        (**self).settings()
    }

    fn class_weights(&self) -> &[f64] {
        (**self).class_weights()
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        (**self).loss(output, target)
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        (**self).sums(output, target)
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        (**self).metrics(totals)
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        (**self).read(output, sample)
    }
}

/// Softmax with cross entropy: the book's `SoftmaxWithLoss` (page 152), for classification.
///
/// With logits `x [N, C]` and labels `t [N]` (i64) the mean of `-log softmax(x)[t]`; with targets `[N, C]` (floats) the
/// mean of `-sum over c of t[c] log softmax(x)[c]`. With label smoothing `s`, labels count as `1 - s` at their place
/// plus `s / C` everywhere (Szegedy et al., 2016).
///
/// Measures: `accuracy`, and `top5` where there are more than ten classes: the share of samples whose class is among the five
/// largest scores.
#[doc(alias("SoftmaxWithLoss", "cross_entropy_error", "CrossEntropyLoss"))]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoftmaxCrossEntropy {
    smoothing: f64,
    weights: Vec<f64>,
}

/// Places among the largest scores that count for `top5`, and the most classes for which that says little.
const TOP: (usize, usize) = (5, 10);

impl SoftmaxCrossEntropy {
    /// Without label smoothing, all classes alike.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this label smoothing, from 0 to 1.
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = smoothing;
        self
    }

    /// With a weight `w` for each class, so that rare ones count more: of labels
    /// `sum of -w[t] log softmax(x)[t] / sum of w[t]` over the batch, of other targets the mean of
    /// `-sum over c of w[c] t[c] log softmax(x)[c]`, as PyTorch has it. No weights, all classes alike.
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Loss, SoftmaxCrossEntropy};
    /// let (x, t) = (Tensor::from([[2.0, 0.0], [2.0, 0.0]]), Tensor::from([0, 1]));
    /// let loss = SoftmaxCrossEntropy::new().class_weights([1.0, 3.0]).loss(&x, &t).item()?;
    /// let (right, wrong) = ((1.0 + (-2f64).exp()).ln(), (1.0 + 2f64.exp()).ln());
    /// assert!((loss - (right + 3.0 * wrong) / 4.0).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("weight", "class_weight", "imbalanced"))]
    pub fn class_weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = weights.into();
        self
    }

    /// Why its settings cannot work.
    fn fault(&self, classes: usize) -> Option<String> {
        if !(0.0..=1.0).contains(&self.smoothing) {
            return Some(format!(
                "the label smoothing is a share from 0 to 1, not {}",
                self.smoothing
            ));
        }
        let weights = &self.weights;
        if weights.is_empty() {
            return None;
        }
        if weights.len() != classes {
            return Some(format!(
                "there are {} class weights for {classes} classes",
                weights.len()
            ));
        }
        let bad = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0));
        match bad {
            Some(bad) => Some(format!("a class weight is a number from 0 on, not {bad}")),
            None if weights.iter().all(|&w| w == 0.0) => Some("all class weights are 0".into()),
            None => None,
        }
    }

    /// The loss where classes have weights.
    fn weighted(&self, output: &Tensor, target: &Tensor, classes: usize, dtype: DType) -> Tensor {
        let weights = Array::new([classes], self.weights.as_slice());
        let weights = Tensor::from(weights).cast(dtype);
        let is_label = matches!(target.dtype(), Ok(DType::I64));
        let targets = match is_label {
            true => target.one_hot(classes).cast(dtype),
            false => target.clone(),
        };
        let smoothed = match self.smoothing {
            0.0 => targets.clone(),
            s => &targets * (1.0 - s) + s / classes as f64,
        };
        let shares = smoothed * weights.broadcast_like(&targets);
        let losses = -(output.log_softmax() * &shares);
        // A class without a share counts for nothing, also where its score is minus infinity.
        let nothing = shares.zeros_like();
        let losses = shares.equal(&nothing).select(&nothing, &losses);
        let losses = losses.sum_axes(&[-1], false);
        match is_label {
            true => losses.sum() / (&targets * weights.broadcast_like(&targets)).sum(),
            false => losses.mean(),
        }
    }
}

impl Loss for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        match self.smoothing {
            0.0 => Vec::new(),
            smoothing => vec![("label_smoothing", smoothing)],
        }
    }

    fn class_weights(&self) -> &[f64] {
        &self.weights
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let (Ok(scores), Ok(targets)) = (output.meta(), target.meta()) else {
            return output.cross_entropy(target).mean();
        };
        let classes = scores.shape.last().copied().unwrap_or(0);
        let fault = self.fault(classes);
        if let Some(why) = fault.or_else(|| misfit(output, scores, targets)) {
            return Tensor::invalid(Error::new(format!("{}: {why}", self.name())));
        }
        match self.weights.is_empty() {
            true => output.cross_entropy_smoothed(target, self.smoothing).mean(),
            false => self.weighted(output, target, classes, scores.dtype),
        }
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let mut sums = vec![("correct", right(output, target).sum())];
        let (top, few) = TOP;
        let classes = output.shape().ok().and_then(|shape| shape.last().copied());
        if classes.is_some_and(|classes| classes > few) {
            sums.push(("top5", among(output, target, top).sum()));
        }
        sums
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        let share = |sum, name| totals.mean(sum).map(|share| Measure::share(name, share));
        let accuracy = share("correct", "accuracy");
        accuracy.into_iter().chain(share("top5", "top5")).collect()
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        let scores = row(output, sample)?;
        scored(&scores)?;
        Ok(Answer::Class {
            class: first_largest(&scores),
            probabilities: probabilities(&scores),
        })
    }
}

/// The labels of targets that may be shares of classes.
fn labels(target: &Tensor) -> Tensor {
    match target.dtype() {
        Ok(DType::I64) => target.clone(),
        _ => target.argmax(-1),
    }
}

/// For each row of scores whether fewer than `top` are larger than the label's, as floats. A row with NaN is no answer.
fn among(output: &Tensor, target: &Tensor, top: usize) -> Tensor {
    let classes = output.shape().ok().and_then(|shape| shape.last().copied());
    let there = labels(target)
        .one_hot(classes.unwrap_or(0))
        .cast(DType::Bool);
    let lowest = output.full_like(f64::NEG_INFINITY);
    let own = there.select(output, &lowest).max_axes(&[-1], true);
    // Not "larger" but "not at most", so that NaN counts against the answer.
    let at_most = output.less_equal(&own.broadcast_like(output));
    let larger = at_most
        .logical_not()
        .cast(DType::F32)
        .sum_axes(&[-1], false);
    larger.less(&larger.full_like(top as f64)).cast(DType::F32)
}

/// For each row of scores whether the largest is at the label, as floats.
fn right(output: &Tensor, target: &Tensor) -> Tensor {
    output.argmax(-1).equal(&labels(target)).cast(DType::F32)
}

/// An error unless one of these scores is the largest.
fn scored(scores: &[f64]) -> Result<()> {
    match is_answer(scores) {
        true => Ok(()),
        false => Err(Error::new(
            "the model has no answer: a score is NaN, or all are minus infinity",
        )),
    }
}

/// Which layer made the output, to be put behind its shape.
fn made_by(output: &Tensor) -> String {
    match output.node_view().path {
        Some(layer) if !layer.is_empty() => format!(", made by layer {layer}"),
        _ => String::new(),
    }
}

/// Why these scores have no cross entropy with these targets: labels need one row of scores each, other targets as many
/// numbers as there are scores.
fn misfit(output: &Tensor, scores: &Meta, targets: &Meta) -> Option<String> {
    let rows = scores.shape.split_last().map(|(_, rows)| rows);
    let labels = targets.dtype == DType::I64;
    let fits = match labels {
        true => rows == Some(targets.shape.as_slice()),
        false => targets.shape == scores.shape,
    };
    if fits {
        return None;
    }
    let is = format!("the model's output is {scores}{}", made_by(output));
    let kind = if labels { "labels" } else { "targets" };
    let (Some(&samples), Some(&given)) = (scores.shape.first(), targets.shape.first()) else {
        return Some(format!(
            "{is}, but the {kind} are {targets}; it needs a batch of scores [N, C] and {kind} for it"
        ));
    };
    let axes = targets.shape.len() + usize::from(labels);
    Some(if samples != given && scores.rank() == axes {
        format!("{is}, for {samples} samples, but there are {given} {kind}")
    } else if scores.rank() > axes && axes == 2 {
        format!(
            "{is}, but {given} {kind} need one row of scores for each, [{given}, C]; a .flatten() before the first linear \
             layer makes rows of images"
        )
    } else if scores.rank() == 1 {
        format!(
            "{is}, but {kind} {targets} need one row of scores for each, [{given}, C]; as many outputs as classes make one"
        )
    } else {
        format!("{is}, which does not go with {kind} {targets}")
    })
}

/// Why this loss needs targets of the output's shape and type; nothing if they are. Broadcasting would make a wrong loss of
/// [N, 1] against [N].
fn unlike(name: &str, output: &Tensor, target: &Tensor) -> Option<Error> {
    let (Ok(y), Ok(t)) = (output.meta(), target.meta()) else {
        return None;
    };
    (y != t).then(|| {
        let layer = made_by(output);
        Error::new(format!(
            "{name}: the model's output is {y}{layer}; it needs targets of the same shape and type, not {t}"
        ))
    })
}

/// The mean of `(y - t)^2` over all elements, for regression. The book's sum of squared errors (page 88) is half the sum instead.
///
/// Networks learn best where targets have the mean 0 and the deviation 1. With [`scaled`](Self::scaled), the model's output `y` stands
/// for `mean + std y` in the targets' own unit, and the loss is the mean of `(y - (t - mean) / std)^2`; answers and measures are in
/// that unit, as the targets are.
///
/// Measures: `rmse`, the root of the mean squared error, `mae`, the mean of `|y - t|`, and `r2`, the share of the targets' variance
/// that is explained, `1 - sum (y - t)^2 / sum (t - mean of t)^2`.
///
/// ```
/// use zerokara_core::{Array, Tensor};
/// use zerokara_nn::{Answer, Loss, MeanSquaredError};
/// let loss = MeanSquaredError::new().scaled(100.0, 20.0);
/// let (y, t) = (Tensor::from([[0.5]]), Tensor::from([[130.0]]));
/// assert_eq!(loss.loss(&y, &t).item()?, 1.0); // (0.5 - 1.5)^2
/// assert_eq!(loss.read(&Array::new([1, 1], vec![0.5f32]), 0)?, Answer::Numbers(vec![110.0]));
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("sum_squared_error", "IdentityWithLoss", "MSELoss"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanSquaredError {
    mean: f64,
    std: f64,
}

impl Default for MeanSquaredError {
    fn default() -> Self {
        Self {
            mean: 0.0,
            std: 1.0,
        }
    }
}

impl MeanSquaredError {
    /// The loss of outputs in the targets' own unit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of outputs that stand for `mean + std y`: mean and deviation of the targets that are trained on.
    #[doc(alias("StandardScaler", "TransformedTargetRegressor"))]
    pub fn scaled(mut self, mean: f64, std: f64) -> Self {
        (self.mean, self.std) = (mean, std);
        self
    }

    fn is_scaled(&self) -> bool {
        (self.mean, self.std) != (0.0, 1.0)
    }

    /// The output in the targets' unit.
    fn restored(&self, output: &Tensor) -> Tensor {
        match self.is_scaled() {
            true => output * self.std + self.mean,
            false => output.clone(),
        }
    }
}

impl Loss for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        match self.is_scaled() {
            true => vec![("mean", self.mean), ("std", self.std)],
            false => Vec::new(),
        }
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        if !(self.mean.is_finite() && self.std.is_finite() && self.std > 0.0) {
            return Tensor::invalid(Error::new(format!(
                "{}: targets cannot be scaled by the mean {} and the deviation {}",
                self.name(),
                self.mean,
                self.std
            )));
        }
        if let Some(error) = unlike(self.name(), output, target) {
            return Tensor::invalid(error);
        }
        match self.is_scaled() {
            true => output.mean_squared_error(&((target - self.mean) / self.std)),
            false => output.mean_squared_error(target),
        }
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let difference = self.restored(output) - target;
        let elements = target.shape().map_or(0, |shape| shape.iter().product());
        // From near their mean, so that the sum of squares less the square of the sum keeps its digits.
        let shifted = (target - self.mean) / self.std;
        vec![
            ("squared_error", difference.square().sum()),
            ("absolute_error", difference.abs().sum()),
            ("elements", Tensor::from(elements as f32)),
            ("shifted", shifted.sum()),
            ("shifted_squares", shifted.square().sum()),
        ]
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        let mean = |name| Some(totals.sum(name)? / totals.sum("elements")?);
        let rmse = mean("squared_error").map(|e| Measure::error("rmse", e.sqrt()));
        let mae = mean("absolute_error").map(|e| Measure::error("mae", e));
        let r2 = || {
            let variance = mean("shifted_squares")? - mean("shifted")?.powi(2);
            let error = mean("squared_error")? / (self.std * self.std);
            // Where all targets are equal, there is nothing to explain.
            (variance > 1e-12).then(|| Measure::score("r2", 1.0 - error / variance))
        };
        rmse.into_iter().chain(mae).chain(r2()).collect()
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        match Answer::numbers(output, sample)? {
            Answer::Numbers(numbers) if self.is_scaled() => {
                let restored = numbers.into_iter().map(|y| self.mean + self.std * y);
                Ok(Answer::Numbers(restored.collect()))
            }
            answer => Ok(answer),
        }
    }
}

/// Binary cross entropy from logits, for several labels at once: with logits `x [N, L]` and targets `t [N, L]` (floats, 1
/// where a label is there, 0 where it is not) the mean over all elements of
/// `-t ln sigmoid(x) - (1 - t) ln (1 - sigmoid(x)) = softplus(x) - t x`.
///
/// A label is taken to be there where its logit is above 0. Measures: `f1`, of all labels together,
/// `2 right / (given + there)`, and `exact_match`, the share of samples that have all their labels right.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{BinaryCrossEntropy, Loss};
/// let (x, t) = (Tensor::from([[0.0, 2.0]]), Tensor::from([[1.0, 1.0]]));
/// let loss = BinaryCrossEntropy::new().loss(&x, &t).item()?;
/// assert!((loss - (2f64.ln() + (1.0 + (-2f64).exp()).ln()) / 2.0).abs() < 1e-6);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("BCEWithLogitsLoss", "multi_label"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BinaryCrossEntropy;

impl BinaryCrossEntropy {
    /// The loss.
    pub fn new() -> Self {
        Self
    }
}

impl Loss for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        match unlike(self.name(), output, target) {
            Some(error) => Tensor::invalid(error),
            None => (output.softplus() - output * target).mean(),
        }
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let given = output.greater(&output.zeros_like());
        let there = target.greater(&target.full_like(0.5));
        let number = |truth: &Tensor| truth.cast(DType::F32);
        let count = |truth: &Tensor| number(truth).sum();
        // Of each sample, whether all its labels are right.
        let axes: Vec<i64> = (1..output.shape().map_or(1, <[usize]>::len) as i64).collect();
        let right = number(&number(&given).equal(&number(&there)));
        let exact = match axes.is_empty() {
            true => right,
            false => right.min_axes(&axes, false),
        };
        vec![
            ("right", count(&given.logical_and(&there))),
            ("given", count(&given)),
            ("there", count(&there)),
            ("exact", exact.sum()),
        ]
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        let f1 = || {
            let all = totals.sum("given")? + totals.sum("there")?;
            // Where no label is there and none is given, nothing is wrong.
            Some(match all > 0.0 {
                true => 2.0 * totals.sum("right")? / all,
                false => 1.0,
            })
        };
        let f1 = f1().map(|f1| Measure::share("f1", f1));
        let exact = totals.mean("exact");
        let exact = exact.map(|share| Measure::share("exact_match", share));
        f1.into_iter().chain(exact).collect()
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        let logits = row(output, sample)?;
        if logits.iter().any(|x| x.is_nan()) {
            return Err(Error::new("the model has no answer: a logit is NaN"));
        }
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        Ok(Answer::Labels {
            probabilities: logits.into_iter().map(sigmoid).collect(),
        })
    }
}

/// Softmax with cross entropy at each place of a sequence, for models that say which token comes next: with logits
/// `x [N, T, V]` and tokens `t [N, T]` (i64), the mean of `-ln softmax(x)[t]` over all places whose token is not the
/// padding, which counts for nothing (-1 unless [`TokenCrossEntropy::padding`] says otherwise).
///
/// Measures: `perplexity`, `e` to the mean loss of a token, and `accuracy`, the share of tokens that are the likeliest.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Loss, TokenCrossEntropy};
/// let (x, t) = (Tensor::zeros([1, 3, 4]), Tensor::from([[2, 0, -1]]));
/// let loss = TokenCrossEntropy::new().loss(&x, &t).item()?;
/// assert!((loss - 4f64.ln()).abs() < 1e-6);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("next_token", "language_model", "ignore_index"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenCrossEntropy {
    padding: i64,
}

impl Default for TokenCrossEntropy {
    fn default() -> Self {
        Self { padding: -1 }
    }
}

impl TokenCrossEntropy {
    /// With the padding -1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that stands behind the end of shorter sequences.
    pub fn padding(mut self, token: i64) -> Self {
        self.padding = token;
        self
    }

    /// The loss at each place, 0 at paddings, and where there is none, as floats.
    fn places(&self, output: &Tensor, target: &Tensor) -> (Tensor, Tensor) {
        let counts = target.not_equal(&target.full_like(self.padding as f64));
        let tokens = counts.select(target, &target.zeros_like());
        let losses = output.cross_entropy(&tokens);
        let losses = counts.select(&losses, &losses.zeros_like());
        (losses, counts.cast(DType::F32))
    }
}

impl Loss for TokenCrossEntropy {
    fn name(&self) -> &'static str {
        "token_cross_entropy"
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        vec![("padding", self.padding as f64)]
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        if let (Ok(scores), Ok(tokens)) = (output.meta(), target.meta())
            && (scores.rank() != 3
                || tokens.dtype != DType::I64
                || scores.shape[..2] != tokens.shape[..])
        {
            let layer = made_by(output);
            return Tensor::invalid(Error::new(format!(
                "{}: the model's output is {scores}{layer}; it needs scores [N, T, V] for tokens [N, T] of i64, not {tokens}",
                self.name()
            )));
        }
        let (losses, counts) = self.places(output, target);
        let tokens = counts.sum().maximum(&Tensor::from(1.0f32));
        losses.sum() / tokens.cast(losses.dtype().unwrap_or(DType::F32))
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let (losses, counts) = self.places(output, target);
        vec![
            ("correct", (right(output, target) * &counts).sum()),
            ("token_loss", losses.sum()),
            ("tokens", counts.sum()),
        ]
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        let mean = |name| Some(totals.sum(name)? / totals.sum("tokens")?);
        let perplexity = mean("token_loss").map(|loss| Measure::error("perplexity", loss.exp()));
        let accuracy = mean("correct").map(|share| Measure::share("accuracy", share));
        perplexity.into_iter().chain(accuracy).collect()
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        let scores = row(output, sample)?;
        let &[_, places, vocabulary] = output.shape() else {
            return Err(Error::new(format!(
                "scores [N, T, V] are needed to tell what comes next, not {}",
                output.meta()
            )));
        };
        if places == 0 || vocabulary == 0 {
            return Err(Error::new("there is no token to go on from"));
        }
        let rows = scores.chunks_exact(vocabulary);
        rows.clone().try_for_each(scored)?;
        let last = rows.clone().next_back().unwrap_or_default();
        Ok(Answer::Tokens {
            next: rows.map(first_largest).collect(),
            probabilities: probabilities(last),
        })
    }
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 4] = [
    "softmax_cross_entropy",
    "mean_squared_error",
    "binary_cross_entropy",
    "token_cross_entropy",
];

/// The loss of this name with these settings, as [`Loss::name`] and [`Loss::settings`] give them: what a model's file
/// says that it was trained for. `None` if this crate has no such loss.
pub fn by_name(name: &str, settings: &[(String, f64)]) -> Option<Arc<dyn Loss>> {
    let setting = |name: &str| settings.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    Some(match name {
        "softmax_cross_entropy" => Arc::new(
            SoftmaxCrossEntropy::new().label_smoothing(setting("label_smoothing").unwrap_or(0.0)),
        ),
        "mean_squared_error" => {
            let (mean, std) = (
                setting("mean").unwrap_or(0.0),
                setting("std").unwrap_or(1.0),
            );
            Arc::new(MeanSquaredError::new().scaled(mean, std))
        }
        "binary_cross_entropy" => Arc::new(BinaryCrossEntropy),
        "token_cross_entropy" => {
            Arc::new(TokenCrossEntropy::new().padding(setting("padding").unwrap_or(-1.0) as i64))
        }
        _ => return None,
    })
}
