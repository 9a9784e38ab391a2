//! Connectionist temporal classification (Graves et al., 2006): the loss of a sequence of labels that is read from more steps
//! than it has labels, where nobody says which step is which.
//!
//! A path names a class for each step; the labels are what is left of it when equal neighbours become one and blanks are taken
//! out. The loss is `-ln(sum over the labels' paths of e^(sum over its steps of x))`, with x the logarithms of the classes'
//! probabilities. The sums are those of the forward-backward recursion on the labels with blanks around them; in logarithms, and
//! in double precision.
//!
//! The gradient of `x[t, c]` is minus the share of the paths that are at c at step t: the derivative as it stands. PyTorch's
//! is the derivative with respect to the logits behind a `log_softmax`, with which the two agree.

use super::{indices, prelude::*};
use loops::Real;

/// A logarithm, with how it changes in a direction.
#[derive(Clone, Copy)]
struct Log {
    value: f64,
    slope: f64,
}

impl Log {
    const ZERO: Log = Log {
        value: f64::NEG_INFINITY,
        slope: 0.0,
    };

    /// The product of two numbers.
    fn times(self, other: Log) -> Log {
        Log {
            value: self.value + other.value,
            slope: self.slope + other.slope,
        }
    }

    /// The quotient of two numbers; of 0 by anything, 0.
    fn over(self, other: Log) -> Log {
        match self.value == f64::NEG_INFINITY {
            true => Log::ZERO,
            false => Log {
                value: self.value - other.value,
                slope: self.slope - other.slope,
            },
        }
    }

    /// The sum of two numbers.
    fn plus(self, other: Log) -> Log {
        let (large, small) = match self.value >= other.value {
            true => (self, other),
            false => (other, self),
        };
        if small.value == f64::NEG_INFINITY {
            return large;
        }
        let share = (small.value - large.value).exp();
        let whole = 1.0 + share;
        Log {
            value: large.value + share.ln_1p(),
            slope: (large.slope + share * small.slope) / whole,
        }
    }
}

/// What a sample's labels are read from.
struct Sample<'a> {
    /// The logarithm of the probability of a class at a step.
    x: &'a dyn Fn(usize, usize) -> Log,
    /// The number of steps.
    steps: usize,
    /// The labels with blanks around them.
    labels: Vec<usize>,
}

impl Sample<'_> {
    /// Whether a path may come to this place from two places before: over a blank between different labels.
    fn may_skip(&self, place: usize, blank: usize) -> bool {
        place >= 2 && self.labels[place] != blank && self.labels[place] != self.labels[place - 2]
    }

    /// For each step and place the sum over the beginnings of paths that are there, from the first step on; with `backwards`,
    /// over their ends. Both have the step itself.
    fn sums(&self, blank: usize, backwards: bool) -> Result<Vec<Log>, String> {
        let width = self.labels.len();
        let mut sums: Vec<Log> = Vec::new();
        let count = self.steps.checked_mul(width);
        let reserved = count.map(|count| sums.try_reserve_exact(count));
        match (count, reserved) {
            (Some(count), Some(Ok(()))) => sums.resize(count, Log::ZERO),
            _ => return Err("there is no memory for so many steps and labels".into()),
        }
        for i in 0..self.steps {
            let t = if backwards { self.steps - 1 - i } else { i };
            for place in 0..width {
                let before = match i {
                    0 => {
                        let near = if backwards { width - 1 - place } else { place };
                        if near <= 1 {
                            Log {
                                value: 0.0,
                                slope: 0.0,
                            }
                        } else {
                            Log::ZERO
                        }
                    }
                    _ => {
                        let last = if backwards { t + 1 } else { t - 1 } * width;
                        let mut sum = sums[last + place];
                        if !backwards {
                            if place >= 1 {
                                sum = sum.plus(sums[last + place - 1]);
                            }
                            if self.may_skip(place, blank) {
                                sum = sum.plus(sums[last + place - 2]);
                            }
                        } else {
                            if place + 1 < width {
                                sum = sum.plus(sums[last + place + 1]);
                            }
                            if place + 2 < width && self.may_skip(place + 2, blank) {
                                sum = sum.plus(sums[last + place + 2]);
                            }
                        }
                        sum
                    }
                };
                sums[t * width + place] = before.times((self.x)(t, self.labels[place]));
            }
        }
        Ok(sums)
    }

    /// The sum over all paths, of the beginnings up to the last step.
    fn total(&self, forward: &[Log]) -> Log {
        let width = self.labels.len();
        match self.steps {
            // Nothing is read from no steps.
            0 if width == 1 => Log {
                value: 0.0,
                slope: 0.0,
            },
            0 => Log::ZERO,
            steps => {
                let last = &forward[(steps - 1) * width..];
                match width {
                    1 => last[0],
                    _ => last[width - 1].plus(last[width - 2]),
                }
            }
        }
    }

    /// Whether there are steps enough for the labels, and a blank between equal ones.
    fn fits(&self) -> bool {
        let labels: Vec<usize> = self.labels.iter().copied().skip(1).step_by(2).collect();
        let repeats = labels.windows(2).filter(|pair| pair[0] == pair[1]).count();
        labels.len() + repeats <= self.steps
    }
}

/// What the three operations take.
#[derive(Clone, Copy, Debug)]
struct Reading {
    blank: usize,
    zero_infinity: bool,
}

attributes!(group Reading: blank, zero_infinity);

impl Reading {
    /// `[T, N, C]`, if inputs are as they should be.
    fn sizes(&self, inputs: &[Meta]) -> Result<[usize; 3], String> {
        let [x, labels, steps, lengths, ..] = inputs else {
            return Err(
                "takes logarithms of probabilities, labels, and the lengths of both".into(),
            );
        };
        infer::float(x)?;
        let &[t, n, c] = x.shape.as_slice() else {
            return Err(format!("needs steps [T, N, C], not {:?}", x.shape));
        };
        if self.blank >= c {
            return Err(format!("the blank {} is none of {c} classes", self.blank));
        }
        for other in [labels, steps, lengths] {
            indices::check(other)?;
        }
        if labels.rank() != 2 || labels.shape[0] != n {
            return Err(format!("needs labels [{n}, S], not {:?}", labels.shape));
        }
        if steps.shape != [n] || lengths.shape != [n] {
            return Err(format!(
                "needs {n} lengths each, not {:?} and {:?}",
                steps.shape, lengths.shape
            ));
        }
        Ok([t, n, c])
    }

    /// Calls `visit` with each sample's number and its forward and backward sums. `direction` is how x changes.
    fn each<T: Real>(
        &self,
        inputs: &[&Array],
        direction: Option<&[T]>,
        mut visit: impl FnMut(usize, &Sample<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let &[all_steps, samples, classes] = inputs[0].shape() else {
            return Err("needs steps [T, N, C]".into());
        };
        let x = inputs[0].slice::<T>();
        let [labels, steps, lengths] = [1, 2, 3].map(|i| inputs[i].slice::<i64>());
        let most = inputs[1].shape()[1];
        let length = |length: i64, most: usize, what: &str| {
            let fitting = usize::try_from(length).ok().filter(|&n| n <= most);
            fitting.ok_or_else(|| format!("a sample of {length} {what}, of which there are {most}"))
        };
        for sample in 0..samples {
            let steps = length(steps[sample], all_steps, "steps")?;
            let count = length(lengths[sample], most, "labels")?;
            let mut around = vec![self.blank];
            for &label in &labels[sample * most..][..count] {
                let label = indices::within(label, classes)
                    .map_err(|_| format!("label {label} is none of {classes} classes"))?;
                if label == self.blank {
                    return Err(format!("label {label} is the blank"));
                }
                around.extend([label, self.blank]);
            }
            let at = |t: usize, class: usize| {
                let place = (t * samples + sample) * classes + class;
                Log {
                    value: x[place].wide(),
                    slope: direction.map_or(0.0, |slopes| slopes[place].wide()),
                }
            };
            let sample_of = Sample {
                x: &at,
                steps,
                labels: around,
            };
            visit(sample, &sample_of)?;
        }
        Ok(())
    }

    /// For each sample, step and class, minus the share of paths that are there, times what `finish` makes of it and of the
    /// gradient of the sample's loss.
    fn shares<T: Real>(
        &self,
        inputs: &[&Array],
        direction: Option<&[T]>,
        output: &mut Array,
        finish: impl Fn(Log) -> f64,
    ) -> Result<(), String> {
        let &[_, samples, classes] = inputs[0].shape() else {
            return Err("needs steps [T, N, C]".into());
        };
        let g = inputs[4].slice::<T>();
        let mut shares = vec![0.0; output.len()];
        self.each(inputs, direction, |n, sample| {
            if !sample.fits() {
                return Ok(());
            }
            let forward = sample.sums(self.blank, false)?;
            let backward = sample.sums(self.blank, true)?;
            let total = sample.total(&forward);
            // No path has any share in nothing.
            if total.value == f64::NEG_INFINITY {
                return Ok(());
            }
            let width = sample.labels.len();
            for (at, (&before, &behind)) in forward.iter().zip(&backward).enumerate() {
                let (t, class) = (at / width, sample.labels[at % width]);
                // Both have the step itself.
                let both = before.times(behind).over((sample.x)(t, class)).over(total);
                if both.value > f64::NEG_INFINITY || both.value.is_nan() {
                    shares[(t * samples + n) * classes + class] -= finish(both) * g[n].wide();
                }
            }
            Ok(())
        })?;
        let y = output.slice_mut::<T>().iter_mut();
        y.zip(shares).for_each(|(y, share)| *y = T::narrow(share));
        Ok(())
    }
}

/// The operation `ctc_loss`, of logarithms of probabilities `[T, N, C]`, labels `[N, S]`, numbers of steps `[N]` and of labels `[N]`.
#[derive(Debug)]
pub struct CtcLoss {
    reading: Reading,
}

attributes!(CtcLoss: reading);

impl Op for CtcLoss {
    fn name(&self) -> &'static str {
        "ctc_loss"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, ..] = infer::arity::<4>(inputs)?;
        let [_, n, _] = self.reading.sizes(inputs)?;
        Ok(Meta::new([n], x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, labels, steps, lengths] = call.inputs else {
            return Gradient::Forbidden("ctc_loss takes four inputs");
        };
        let op = CtcLossGradient {
            reading: self.reading,
        };
        let to_x = Tensor::apply(op, &[x, labels, steps, lengths, call.gradient]);
        Gradient::Of(vec![Some(to_x), None, None, None])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(output.dtype(), T => {
            let y = output.slice_mut::<T>();
            self.reading.each::<T>(inputs, None, |n, sample| {
                let total = match sample.fits() {
                    true => sample.total(&sample.sums(self.reading.blank, false)?),
                    false => Log::ZERO,
                };
                let infinite = total.value == f64::NEG_INFINITY;
                y[n] = match infinite && self.reading.zero_infinity {
                    true => 0.0,
                    false => T::narrow(-total.value),
                };
                Ok(())
            })
        })
    }
}

/// The operation `ctc_loss_gradient`: its inputs, and the gradient `[N]` of the losses.
#[derive(Debug)]
pub struct CtcLossGradient {
    reading: Reading,
}

attributes!(CtcLossGradient: reading);

impl Op for CtcLossGradient {
    fn name(&self) -> &'static str {
        "ctc_loss_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, .., g] = infer::arity::<5>(inputs)?;
        let [_, n, _] = self.reading.sizes(inputs)?;
        infer::same(g, &Meta::new([n], x.dtype))?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    /// With h the output's gradient, that of x is the curvature of the loss in the direction h, which is symmetric.
    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, labels, steps, lengths, g] = call.inputs else {
            return Gradient::Forbidden("ctc_loss_gradient takes five inputs");
        };
        let reading = self.reading;
        let h = call.gradient;
        let curvature = CtcLossCurvature { reading };
        let to_x = Tensor::apply(curvature, &[x, labels, steps, lengths, g, h]);
        let ones = g.full_like(1.0);
        let shares = Tensor::apply(
            CtcLossGradient { reading },
            &[x, labels, steps, lengths, &ones],
        );
        let to_g = (shares * h).sum_axes(&[0, 2], false);
        Gradient::Of(vec![Some(to_x), None, None, None, Some(to_g)])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(output.dtype(), T => {
            self.reading.shares::<T>(inputs, None, output, |share| share.value.exp())
        })
    }
}

/// The operation `ctc_loss_curvature`: the inputs of the gradient, and a direction `[T, N, C]`, in which the gradient changes.
#[derive(Debug)]
pub struct CtcLossCurvature {
    reading: Reading,
}

attributes!(CtcLossCurvature: reading);

impl Op for CtcLossCurvature {
    fn name(&self) -> &'static str {
        "ctc_loss_curvature"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, .., g, h] = infer::arity::<6>(inputs)?;
        let [_, n, _] = self.reading.sizes(inputs)?;
        infer::same(g, &Meta::new([n], x.dtype))?;
        infer::same(h, x)?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Forbidden("the loss of connectionist temporal classification has two derivatives")
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(output.dtype(), T => {
            let direction = inputs[5].slice::<T>();
            self.reading.shares::<T>(inputs, Some(direction), output, |share| share.value.exp() * share.slope)
        })
    }
}

impl Tensor {
    /// The losses `[N]` of connectionist temporal classification: of logarithms of the classes' probabilities `[T, N, C]`, which
    /// [`Tensor::log_softmax`] gives, and labels `[N, S]` (i64), of which `lengths` says how many count for each sample, as
    /// `steps` does of the T steps. `blank` is the class that stands for no label. Labels for which there are too few steps have
    /// the loss infinity, and the gradient 0; with `zero_infinity` that loss is 0 as well.
    ///
    /// Each loss is of a whole sequence. PyTorch's mean divides each by the number of its labels first:
    /// `(losses / lengths.cast(DType::F32)).mean()`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// // Two steps, one sample, a blank and two classes, all equally probable: "a" is read from a_, _a and aa.
    /// let x = Tensor::zeros([2, 1, 3]).log_softmax();
    /// let (labels, steps, lengths) = (Tensor::from([[1]]), Tensor::from([2]), Tensor::from([1]));
    /// let loss = x.ctc_loss(&labels, &steps, &lengths, 0, false).to_vec::<f32>()?;
    /// assert!((loss[0] - 3f32.ln()).abs() < 1e-6); // 3 paths of 9
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "CTCLoss")]
    #[track_caller]
    pub fn ctc_loss(
        &self,
        labels: &Tensor,
        steps: &Tensor,
        lengths: &Tensor,
        blank: usize,
        zero_infinity: bool,
    ) -> Tensor {
        let reading = Reading {
            blank,
            zero_infinity,
        };
        Tensor::apply(CtcLoss { reading }, &[self, labels, steps, lengths])
    }
}
