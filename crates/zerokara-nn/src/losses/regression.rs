//! Losses of numbers: how far outputs are from targets of the same shape.
//!
//! Networks learn best where targets have the mean 0 and the deviation 1. Each of these losses can be `scaled`: the model's output `y`
//! then stands for `mean + std y` in the targets' own unit, and the loss is of `y` and `(t - mean) / std`; answers and measures are in
//! the targets' unit.
//!
//! Measures of all of them: `rmse`, the root of the mean squared error, `mae`, the mean of `|y - t|`, and `r2`, the share of the
//! targets' variance that is explained, `1 - sum (y - t)^2 / sum (t - mean of t)^2`.

use super::{Loss, unlike};
use crate::{Answer, Measure, Totals};
use zerokara_core::{Array, Error, Result, Tensor};

/// Mean and deviation of the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    mean: f64,
    std: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            mean: 0.0,
            std: 1.0,
        }
    }
}

impl Scale {
    fn is_there(&self) -> bool {
        *self != Self::default()
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        match self.is_there() {
            true => vec![("mean", self.mean), ("std", self.std)],
            false => Vec::new(),
        }
    }

    /// The targets as the output is to be, or why the loss cannot be taken.
    fn applied(&self, name: &str, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        let Self { mean, std } = *self;
        if !(mean.is_finite() && std.is_finite() && std > 0.0) {
            return Err(Error::new(format!(
                "{name}: targets cannot be scaled by the mean {mean} and the deviation {std}"
            )));
        }
        if let Some(error) = unlike(name, output, target) {
            return Err(error);
        }
        Ok(match self.is_there() {
            true => (target - mean) / std,
            false => target.clone(),
        })
    }

    /// The output in the targets' unit.
    fn undone(&self, output: &Tensor) -> Tensor {
        match self.is_there() {
            true => output * self.std + self.mean,
            false => output.clone(),
        }
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let difference = self.undone(output) - target;
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
            Answer::Numbers(numbers) if self.is_there() => {
                let undone = numbers.into_iter().map(|y| self.mean + self.std * y);
                Ok(Answer::Numbers(undone.collect()))
            }
            answer => Ok(answer),
        }
    }
}

/// A loss of numbers: its docs, type and name; its settings with their defaults; why a setting cannot be, if it cannot; and its formula
/// for outputs and targets of the same scale.
macro_rules! regression {
    (
        $(#[$doc:meta])*
        $type:ident, $name:literal, { $($(#[$setting_doc:meta])* $setting:ident: $default:literal),* },
        |$checked:ident| $fault:expr,
        |$own:ident, $y:ident, $t:ident| $formula:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type {
            scale: Scale,
            $($setting: f64,)*
        }

        impl Default for $type {
            fn default() -> Self {
                Self { scale: Scale::default(), $($setting: $default,)* }
            }
        }

        impl $type {
            /// The loss of outputs in the targets' own unit.
            pub fn new() -> Self {
                Self::default()
            }

            /// Of outputs that stand for `mean + std y`: mean and deviation of the targets that are trained on.
            #[doc(alias("StandardScaler", "TransformedTargetRegressor"))]
            pub fn scaled(mut self, mean: f64, std: f64) -> Self {
                self.scale = Scale { mean, std };
                self
            }

            $(
                $(#[$setting_doc])*
                pub fn $setting(mut self, $setting: f64) -> Self {
                    self.$setting = $setting;
                    self
                }
            )*
        }

        impl Loss for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn settings(&self) -> Vec<(&'static str, f64)> {
                let own = [$((stringify!($setting), self.$setting)),*];
                own.into_iter().chain(self.scale.settings()).collect()
            }

            fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
                let $checked = self;
                let fault: Option<String> = $fault;
                if let Some(why) = fault {
                    return Tensor::invalid(Error::new(format!("{}: {why}", self.name())));
                }
                match self.scale.applied(self.name(), output, target) {
                    Err(error) => Tensor::invalid(error),
                    Ok(target) => {
                        let ($own, $y, $t) = (self, output, &target);
                        $formula
                    }
                }
            }

            fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
                self.scale.sums(output, target)
            }

            fn metrics(&self, totals: &Totals) -> Vec<Measure> {
                self.scale.metrics(totals)
            }

            fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
                self.scale.read(output, sample)
            }
        }
    };
}

regression!(
    /// The mean of `(y - t)^2` over all elements, for regression. The book's sum of squared errors (page 88) is half the sum instead.
    ///
    /// Networks learn best where targets have the mean 0 and the deviation 1. With [`scaled`](Self::scaled), the model's output `y`
    /// stands for `mean + std y` in the targets' own unit, and the loss is the mean of `(y - (t - mean) / std)^2`; answers and measures
    /// are in that unit, as the targets are.
    ///
    /// Measures: `rmse`, the root of the mean squared error, `mae`, the mean of `|y - t|`, and `r2`, the share of the targets'
    /// variance that is explained, `1 - sum (y - t)^2 / sum (t - mean of t)^2`.
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
    MeanSquaredError, "mean_squared_error", {},
    |_own| None,
    |_own, y, t| y.mean_squared_error(t)
);

regression!(
    /// The mean of `|y - t|` over all elements, for regression: what is learned is the median, which a few wild targets do not move.
    /// The derivative is 0 where output and target are equal. Scale and measures are those of [`MeanSquaredError`].
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Loss, MeanAbsoluteError};
    /// let (y, t) = (Tensor::from([1.0, 5.0]), Tensor::from([2.0, 2.0]));
    /// assert_eq!(MeanAbsoluteError::new().loss(&y, &t).item()?, 2.0); // (1 + 3) / 2
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("L1Loss", "MAE"))]
    MeanAbsoluteError, "mean_absolute_error", {},
    |_own| None,
    |_own, y, t| (y - t).abs().mean()
);

regression!(
    /// Huber's loss (1964), for regression with some wild targets: of `d = |y - t|` the mean of `d^2 / 2` up to `delta`, and beyond it of
    /// `delta (d - delta / 2)`, which goes on with the slope that was reached. `delta` is in the unit of the scaled targets. Scale and
    /// measures are those of [`MeanSquaredError`].
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Huber, Loss};
    /// let (y, t) = (Tensor::from([1.0, 5.0]), Tensor::from([2.0, 2.0]));
    /// assert_eq!(Huber::new().loss(&y, &t).item()?, 1.5); // (1 / 2 + (3 - 1 / 2)) / 2
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("HuberLoss", "SmoothL1Loss"))]
    Huber, "huber", {
        /// The distance from which on the loss grows in a straight line; 1 unless said.
        delta: 1.0
    },
    |own| (!(own.delta.is_finite() && own.delta > 0.0))
        .then(|| format!("delta is a number above 0, not {}", own.delta)),
    |own, y, t| {
        let distance = (y - t).abs();
        let near = distance.minimum(&distance.full_like(own.delta));
        (near.square() * 0.5 + (distance - &near) * own.delta).mean()
    }
);
