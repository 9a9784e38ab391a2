//! What an answer hangs on: pixels of a picture, columns of a table.

use super::SavedModel;
use crate::error::{Error, Result};
use std::path::Path;
use zerokara_core::{Array, DType, Named, Tensor, grad};
use zerokara_data::{Columns, Split};
use zerokara_nn::{
    Context, Goal, Measure,
    tasks::{first_largest, probabilities},
};

/// What a model looks at in a picture ([`SavedModel::explain_picture`]).
#[derive(Clone, Debug, PartialEq)]
pub struct PictureExplanation {
    /// The class that is explained: the likeliest.
    pub class: usize,
    /// Its probability.
    pub probability: f64,
    /// For each pixel `[H, W]`, the mean probability that the class loses when a patch covers the pixel; negative where it gains.
    pub occlusion: Vec<f32>,
    /// For each pixel `[H, W]`, how strongly the class's score changes with it: the largest slope of its channels.
    pub saliency: Vec<f32>,
}

/// How much a column says ([`SavedModel::explain_table`]).
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnImportance {
    /// The column.
    pub column: String,
    /// By how much the measure gets worse when the column's cells are those of other rows, in the mean.
    pub importance: f64,
    /// The deviation of that over the repetitions.
    pub deviation: f64,
}

/// How much the columns of a table say, the most telling first.
#[derive(Clone, Debug, PartialEq)]
pub struct TableExplanation {
    /// The measure: `accuracy`, `rmse`.
    pub measure: &'static str,
    /// Its value with the cells as they are.
    pub value: f64,
    /// The columns.
    pub columns: Vec<ColumnImportance>,
}

/// A patch has this part of the picture's shorter side.
const PATCHES: usize = 6;
/// Pictures that are answered for together.
const TOGETHER: usize = 64;
/// Copies of a picture over whose slopes the mean is taken, and how noisy they are, in deviations of the inputs.
const COPIES: usize = 16;
const NOISE: f64 = 0.15;
/// How often a column is shuffled.
const REPEATS: u64 = 5;

impl SavedModel {
    /// What the model looks at in a picture of stored values `[C, H, W]`, such as bytes as numbers from 0 to 255.
    ///
    /// Occlusion (Zeiler and Fergus, 2014, <https://arxiv.org/abs/1311.2901>) covers one place after the other by a patch of the
    /// picture's mean colour. Saliency is the gradient of the score with respect to the pixels (Simonyan et al., 2013,
    /// <https://arxiv.org/abs/1312.6034>), averaged over slightly noisy copies (Smilkov et al., 2017,
    /// <https://arxiv.org/abs/1706.03825>).
    ///
    /// # Errors
    /// If the model does not tell classes of pictures, or the picture does not fit it.
    pub fn explain_picture(&self, sample: &[f32]) -> Result<PictureExplanation> {
        let &[channels, height, width] = &self.card.shape[..] else {
            return Err(Error::new(format!(
                "the model {} takes samples of shape {:?}, not pictures",
                self.card.name, self.card.shape
            )));
        };
        let answer = self.probabilities(sample)?;
        let class = first_largest(&answer);
        let probability = answer[class];
        let mut values = sample.to_vec();
        self.card.normalization.apply(&mut values, channels)?;
        let shape = [channels, height, width];
        Ok(PictureExplanation {
            class,
            probability,
            occlusion: self.occlusion(&values, shape, class, probability)?,
            saliency: self.saliency(&values, shape, class)?,
        })
    }

    fn occlusion(
        &self,
        values: &[f32],
        [channels, height, width]: [usize; 3],
        class: usize,
        probability: f64,
    ) -> Result<Vec<f32>> {
        let plane = height * width;
        let side = (height.min(width) / PATCHES).max(1);
        let step = (side / 2).max(1);
        let mean: Vec<f32> = values
            .chunks(plane)
            .map(|channel| channel.iter().sum::<f32>() / plane as f32)
            .collect();
        // Patches may lie half outside, so that the border is covered as often as the middle.
        let places: Vec<(usize, usize)> = (0..height + side)
            .step_by(step)
            .flat_map(|bottom| {
                (0..width + side)
                    .step_by(step)
                    .map(move |right| (bottom, right))
            })
            .collect();
        let (mut lost, mut times) = (vec![0.0f64; plane], vec![0.0f64; plane]);
        for places in places.chunks(TOGETHER) {
            let mut batch = Vec::with_capacity(places.len() * values.len());
            for &place in places {
                let mut covered = values.to_vec();
                for pixel in patch(place, side, [height, width]) {
                    for channel in 0..channels {
                        covered[channel * plane + pixel] = mean[channel];
                    }
                }
                batch.extend(covered);
            }
            let x = Array::new([places.len(), channels, height, width], batch);
            let scores = self.predict(&x)?.to_f64s();
            let classes = scores.len() / places.len();
            for (&place, scores) in places.iter().zip(scores.chunks(classes)) {
                let loss = probability - probabilities(scores)[class];
                for pixel in patch(place, side, [height, width]) {
                    lost[pixel] += loss;
                    times[pixel] += 1.0;
                }
            }
        }
        Ok(lost
            .iter()
            .zip(&times)
            .map(|(lost, times)| (lost / times.max(1.0)) as f32)
            .collect())
    }

    fn saliency(
        &self,
        values: &[f32],
        [channels, height, width]: [usize; 3],
        class: usize,
    ) -> Result<Vec<f32>> {
        let shape = [COPIES, channels, height, width];
        let step = Tensor::scalar(0.0, DType::I64);
        let noise = Tensor::normal(0x5a11, &step, shape) * NOISE;
        let x = Tensor::new([1, channels, height, width], values).broadcast_to(&shape) + noise;
        // What the gradient is taken with respect to is a value, and no expression.
        let x = Tensor::from(x.eval()?);
        let name = self.inputs.first().map_or("x", |input| &*input.name);
        let outputs = self
            .module
            .apply(&Named::one(name, x.clone()), &mut Context::evaluate());
        let scores = outputs.single();
        let slopes = grad(
            &scores.slice(1, class as i64..class as i64 + 1, 1).sum(),
            &x,
        );
        let slopes = slopes.to_vec::<f32>()?;
        let plane = height * width;
        let mut largest = vec![0.0f32; plane];
        for pixel in 0..plane {
            for channel in 0..channels {
                let all = slopes
                    .chunks(channels * plane)
                    .map(|copy| copy[channel * plane + pixel]);
                let mean = all.sum::<f32>() / COPIES as f32;
                largest[pixel] = largest[pixel].max(mean.abs());
            }
        }
        Ok(largest)
    }

    /// How much each column of a table says: by how much the model's first measure gets worse when the cells of a column are
    /// those of rows drawn by chance (permutation importance; Breiman, 2001; Fisher et al., 2019). Columns that say the same cover
    /// for one another, and each seems to say little.
    ///
    /// # Errors
    /// If the model takes no rows of a table, or the table lacks a column or the target.
    pub fn explain_table(&self, path: impl AsRef<Path>) -> Result<TableExplanation> {
        let Some(table) = self.table() else {
            return Err(Error::new(format!(
                "the model {} takes no rows of a table",
                self.card.name
            )));
        };
        let samples = self.samples(path)?;
        let target = self.card.target.as_str();
        let input = &*samples.input_ports()[0].name.clone();
        let (inputs, targets) = (samples.column(input)?, samples.column(target)?);
        let judged = |inputs: Array| -> Result<Measure> {
            let columns = Columns::new()
                .with(input, inputs)
                .with(target, targets.clone());
            let found = self.evaluate(&Split::of(columns)?.targets([target])?)?;
            found.measures.into_iter().next().ok_or_else(|| {
                Error::new("the model's task has no measure by which columns could be compared")
            })
        };
        let own = inputs.as_slice::<f32>()?;
        let whole = judged(inputs.clone())?;
        let width = table.width();
        let mut columns = Vec::new();
        for (at, (column, places)) in table.places().enumerate() {
            let mut worse = Vec::new();
            for repeat in 0..REPEATS {
                let mut values = own.to_vec();
                let drawn = samples.random_indices(samples.len(), at as u64, repeat);
                for (row, from) in values.chunks_mut(width).zip(drawn) {
                    row[places.clone()].copy_from_slice(&own[from * width..][places.clone()]);
                }
                let changed = judged(Array::new(inputs.shape(), values))?.value;
                worse.push(match whole.goal {
                    Goal::Higher => whole.value - changed,
                    Goal::Lower => changed - whole.value,
                });
            }
            let mean = worse.iter().sum::<f64>() / worse.len() as f64;
            let variance =
                worse.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / worse.len() as f64;
            columns.push(ColumnImportance {
                column: column.to_string(),
                importance: mean,
                deviation: variance.sqrt(),
            });
        }
        columns.sort_by(|a, b| b.importance.total_cmp(&a.importance));
        Ok(TableExplanation {
            measure: whole.name,
            value: whole.value,
            columns,
        })
    }
}

/// The pixels of the patch that ends before this row and column, as far as they lie in the picture.
fn patch(
    (bottom, right): (usize, usize),
    side: usize,
    [height, width]: [usize; 2],
) -> impl Iterator<Item = usize> {
    let rows = bottom.saturating_sub(side)..bottom.min(height);
    rows.flat_map(move |row| {
        (right.saturating_sub(side)..right.min(width)).map(move |column| row * width + column)
    })
}
