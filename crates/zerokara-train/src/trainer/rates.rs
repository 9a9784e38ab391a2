//! Which learning rate: a few steps at rates that grow from tiny to huge.

use super::{
    Trainer,
    fit::{check, prepared},
};
use crate::error::{Error, Result};
use zerokara_data::Dataset;

/// What the losses were at growing learning rates ([`Trainer::learning_rates`]).
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRates {
    /// Learning rate and loss of each step.
    pub steps: Vec<(f64, f64)>,
    /// Learning rate and the loss smoothed over the steps before.
    pub smoothed: Vec<(f64, f64)>,
    /// A tenth of the rate at which the smoothed loss was least: a good peak of the learning rate. `None` where the loss never fell.
    pub suggested: Option<f64>,
}

/// How much of the smoothed loss each step keeps.
const KEPT: f64 = 0.9;
/// A loss so many times the best one ends the search.
const HOPELESS: f64 = 4.0;
/// How far below the rate of the least loss the suggestion lies: there the loss falls, and not only holds.
const BELOW: f64 = 10.0;
/// By this share the smoothed loss must have fallen to say anything.
const LEAST_FALL: f64 = 0.02;

impl Trainer {
    /// Takes so many steps, the learning rate growing from `from` to `to` by equal factors, and tells the loss of each. The model is
    /// trained on the way, so that another one is needed for the training itself.
    ///
    /// The loss first stays, then falls, and rises where steps become too large; training does best where it falls
    /// (Smith, 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3).
    ///
    /// ```
    /// use zerokara_data::{Dataset, Split};
    /// use zerokara_nn::{Sequential, SoftmaxCrossEntropy};
    /// use zerokara_train::Trainer;
    /// let points: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
    /// let train = Split::new(points, &[1], (0..64).map(|i| i64::from(i >= 32)).collect())?;
    /// let data = Dataset::new("sides", train.clone(), train, ["left", "right"])?;
    ///
    /// let trainer = Trainer::new(Sequential::new().linear(2), SoftmaxCrossEntropy::new()).batch_size(16);
    /// let rates = trainer.learning_rates(&data, 1e-4, 10.0, 100)?;
    /// assert!(rates.suggested.is_some());
    /// # Ok::<(), zerokara_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the rates are not above 0 and growing, there are fewer than 10 steps, or the model does not fit the data.
    #[doc(alias("lr_find", "lr_finder", "learning_rate_finder"))]
    pub fn learning_rates(
        self,
        data: &Dataset,
        from: f64,
        to: f64,
        steps: usize,
    ) -> Result<LearningRates> {
        if !(from > 0.0 && to > from && to.is_finite()) {
            return Err(Error::new(format!(
                "learning rates from {from} to {to} cannot be tried; give two numbers above 0, the smaller first"
            )));
        }
        if steps < 10 {
            return Err(Error::new(format!(
                "{steps} steps are too few to see where the loss falls; take at least 10"
            )));
        }
        check(&self, data)?;
        let (loader, ..) = prepared(&self, data, &data.train)?;
        let batches = loader.len() as u64;
        let mut feeder = loader.feeder();
        let mut step = self.step(data)?;
        let mut found = LearningRates {
            steps: Vec::new(),
            smoothed: Vec::new(),
            suggested: None,
        };
        let factor = (to / from).powf(1.0 / (steps - 1) as f64);
        let (mut mean, mut epoch) = (0.0, 0);
        for number in 0..steps {
            if number as u64 / batches != epoch {
                epoch = number as u64 / batches;
                feeder.seek(zerokara_data::Position { epoch, batch: 0 })?;
            }
            let Some(feed) = feeder.next_feed()? else {
                break;
            };
            let rate = from * factor.powi(number as i32);
            let loss = match step.step(&feed.inputs, &feed.targets, rate) {
                Ok(output) if output.loss.is_finite() => output.loss,
                // Too large a rate is what was looked for.
                _ => break,
            };
            mean = KEPT * mean + (1.0 - KEPT) * loss;
            // As if the mean had not begun at 0.
            let smoothed = mean / (1.0 - KEPT.powi(number as i32 + 1));
            found.steps.push((rate, loss));
            found.smoothed.push((rate, smoothed));
            let best = found
                .smoothed
                .iter()
                .map(|s| s.1)
                .fold(f64::INFINITY, f64::min);
            if smoothed > HOPELESS * best {
                break;
            }
        }
        found.suggested = suggested(&found.smoothed);
        Ok(found)
    }
}

fn suggested(smoothed: &[(f64, f64)]) -> Option<f64> {
    let first = smoothed.first()?.1;
    let &(rate, least) = smoothed.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (least < first * (1.0 - LEAST_FALL)).then(|| {
        let rate = rate / BELOW;
        // One digit says as much as is known.
        let unit = 10f64.powf(rate.log10().floor());
        let digits = (rate / unit).round();
        format!("{:e}", digits * unit).parse().unwrap_or(rate)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_rate_of_the_least_loss_is_suggested() {
        let curve = [
            (1e-4, 2.0),
            (1e-3, 1.9),
            (1e-2, 1.0),
            (0.037, 0.5),
            (1.0, 3.0),
        ];
        assert_eq!(suggested(&curve), Some(4e-3));
        assert_eq!(suggested(&curve[..2]), Some(1e-4));
        assert_eq!(suggested(&[(0.1, 1.0), (0.2, 0.99), (0.4, 2.0)]), None);
        assert_eq!(suggested(&[]), None);
    }
}
