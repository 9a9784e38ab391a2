//! Cross entropy: one class, several labels, the next token.

use super::{Loss, made_by, unlike};
use crate::{
    Answer, Measure, Totals, is_answer,
    tasks::{first_largest, probabilities, row},
};
use zerokara_core::{Array, DType, Error, Labels, LossReduction, Meta, Result, Tensor};

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
    ignored: Option<i64>,
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

    /// Samples with this label count nowhere: neither in the loss and its mean nor in the measures. A batch of nothing else has
    /// the loss 0.
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Loss, SoftmaxCrossEntropy};
    /// let (x, t) = (Tensor::from([[0.0, 0.0], [9.0, 0.0]]), Tensor::from([1, -1]));
    /// let loss = SoftmaxCrossEntropy::new().ignore_index(-1).loss(&x, &t).item()?;
    /// assert!((loss - 2f64.ln()).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    pub fn ignore_index(mut self, label: i64) -> Self {
        self.ignored = Some(label);
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
        fault_of_weights(&self.weights, classes)
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
        let smoothing = (self.smoothing != 0.0).then_some(("label_smoothing", self.smoothing));
        let ignored = self.ignored.map(|label| ("ignore_index", label as f64));
        smoothing.into_iter().chain(ignored).collect()
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
        if let Some(label) = self.ignored {
            if targets.dtype != DType::I64 {
                return Tensor::invalid(Error::new(format!(
                    "{}: labels can be ignored, targets that are shares of classes cannot",
                    self.name()
                )));
            }
            let counted = Counted::of(target, label, &self.weights, scores.dtype);
            let losses = output.cross_entropy_of(target, &counted.how, self.smoothing);
            return counted.mean(&losses);
        }
        match self.weights.is_empty() {
            true => output.cross_entropy_smoothed(target, self.smoothing).mean(),
            false => self.weighted(output, target, classes, scores.dtype),
        }
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        sums_of_classes(output, target, self.ignored)
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        measures_of_classes(totals)
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        class(output, sample)
    }
}

/// Why these weights of classes cannot be.
pub(super) fn fault_of_weights(weights: &[f64], classes: usize) -> Option<String> {
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

/// Which labels count, and how much.
pub(super) struct Counted {
    /// For the losses of samples, which are not yet one.
    pub how: Labels,
    counts: Tensor,
}

impl Counted {
    /// All labels but one, with the weights of classes, if there are some.
    pub fn of(target: &Tensor, ignored: i64, weights: &[f64], dtype: DType) -> Self {
        let counts = target.not_equal(&(target.zeros_like() + ignored));
        let weights = (!weights.is_empty())
            .then(|| Tensor::from(Array::new([weights.len()], weights)).cast(dtype));
        let shares = match &weights {
            None => counts.cast(dtype),
            Some(weights) => {
                let labels = counts.select(target, &target.zeros_like());
                let shares = weights.index_select(0, &labels);
                counts.select(&shares, &shares.zeros_like())
            }
        };
        Self {
            how: Labels {
                weights,
                ignore: Some(ignored),
                reduction: LossReduction::None,
            },
            counts: shares,
        }
    }

    /// The mean of losses of which these count; 0 where none does.
    pub fn mean(&self, losses: &Tensor) -> Tensor {
        let count = self.counts.sum();
        losses.sum() / count.maximum(&count.full_like(f64::from(f32::MIN_POSITIVE)))
    }
}

/// The sums of which [`measures_of_classes`] are made.
pub(super) fn sums_of_classes(
    output: &Tensor,
    target: &Tensor,
    ignored: Option<i64>,
) -> Vec<(&'static str, Tensor)> {
    let labels = labels(target);
    let counts = ignored.map(|label| labels.not_equal(&(labels.zeros_like() + label)));
    let (labels, counts) = match counts {
        Some(counts) => {
            let labels = counts.select(&labels, &labels.zeros_like());
            (labels, Some(counts.cast(DType::F32)))
        }
        None => (labels, None),
    };
    let counted = |right: Tensor| match &counts {
        Some(counts) => (right * counts).sum(),
        None => right.sum(),
    };
    let mut sums = vec![("correct", counted(right(output, &labels)))];
    let (top, few) = TOP;
    let classes = output.shape().ok().and_then(|shape| shape.last().copied());
    if classes.is_some_and(|classes| classes > few) {
        sums.push(("top5", counted(among(output, &labels, top))));
    }
    sums.extend(counts.as_ref().map(|counts| ("counted", counts.sum())));
    sums
}

/// The share of right answers, and that of answers that are nearly so, of all that count.
pub(super) fn measures_of_classes(totals: &Totals) -> Vec<Measure> {
    let share = |sum, name| {
        let share = match totals.sum("counted") {
            Some(counted) => totals.sum(sum)? / counted.max(1.0),
            None => totals.mean(sum)?,
        };
        Some(Measure::share(name, share))
    };
    let accuracy = share("correct", "accuracy");
    accuracy.into_iter().chain(share("top5", "top5")).collect()
}

/// The class with the largest score.
pub(super) fn class(output: &Array, sample: usize) -> Result<Answer> {
    let scores = row(output, sample)?;
    scored(&scores)?;
    Ok(Answer::Class {
        class: first_largest(&scores),
        probabilities: probabilities(&scores),
    })
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
pub(super) fn scored(scores: &[f64]) -> Result<()> {
    match is_answer(scores) {
        true => Ok(()),
        false => Err(Error::new(
            "the model has no answer: a score is NaN, or all are minus infinity",
        )),
    }
}

/// Why these scores have no cross entropy with these targets: labels need one row of scores each, other targets as many
/// numbers as there are scores.
pub(super) fn misfit(output: &Tensor, scores: &Meta, targets: &Meta) -> Option<String> {
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
