//! A model as it is served: what it takes, and what its outputs say.

use crate::{
    answer::{Reads, json},
    batch::{probe, stacked},
    body::Kind,
    given::Given,
    refusal::{Outcome, Refusal},
    takes::Takes,
};
use serde_json::Value;
use zerokara_core::{Arrays, Axis};
use zerokara_data::{sample_from_bytes, size_of_image};
use zerokara_train::{Error, Result, SavedModel};

/// A model that answers.
pub(crate) struct Loaded {
    pub model: SavedModel,
    pub takes: Takes,
    pub reads: Reads,
    /// The numbers of samples that it computes together, ascending.
    sizes: Vec<usize>,
}

/// The samples of a request, each as a batch of one, and whether they came as a list.
pub(crate) struct Samples {
    pub inputs: Vec<Arrays>,
    pub is_list: bool,
}

impl Loaded {
    /// A model that computes up to so many samples together, each size compiled, so that no request waits for that.
    ///
    /// Whoever asks alone and whoever asks among others get the same bits. From some number of rows on a product of matrices
    /// adds in another order, so of the sizes only those are taken that give each sample the bits that it has alone. Where
    /// samples differ in length nothing can be tried before they come, and each is computed by itself.
    ///
    /// # Errors
    /// If the model cannot compute samples of its own shape.
    pub fn new(model: SavedModel, sizes: &[usize]) -> Result<Self> {
        let first = model.inputs().first().and_then(|port| port.axes.first());
        let sizes = match (first, probe(model.inputs())?) {
            // It was made for batches of this size alone.
            (Some(Axis::Fixed(samples)), _) => vec![*samples],
            (_, None) => vec![1],
            (_, Some(sample)) => alike(&model, &sample, sizes)?,
        };
        Ok(Self {
            takes: Takes::of(&model),
            reads: Reads::of(&model),
            model,
            sizes,
        })
    }

    /// The most samples of a batch.
    pub fn most(&self) -> usize {
        self.sizes.last().copied().unwrap_or(1)
    }

    /// What is answered for each of some samples, computed together.
    ///
    /// # Errors
    /// If the model cannot compute them.
    pub fn answers(&self, samples: &[&Arrays]) -> Result<Vec<Outcome<Value>>> {
        let size = self.sizes.iter().find(|&&size| size >= samples.len());
        let size = size.ok_or_else(|| Error::new("more samples than the model takes at once"))?;
        let outputs = self.model.predict_all(&stacked(samples, *size)?)?;
        let answer = |sample| self.reads.answer(&outputs, sample);
        let answers = (0..samples.len()).map(answer);
        let names = &self.model.card().class_names;
        Ok(answers.map(|answer| Ok(json(answer?, names))).collect())
    }

    /// The kind itself, if the model takes bodies of it.
    pub fn takes_kind(&self, kind: Kind) -> Outcome<Kind> {
        match kind {
            Kind::Json => {}
            Kind::Csv => drop(self.takes.columns()?),
            Kind::Picture | Kind::Form(_) => drop(self.takes.picture_shape()?),
        }
        Ok(kind)
    }

    /// The samples of a body of JSON; at most so many.
    pub fn json(&self, body: &[u8], most: usize) -> Outcome<Samples> {
        let given = Given::inputs(body)?;
        let (samples, is_list) = self.takes.samples(given)?;
        check_count(samples.len(), most)?;
        let inputs = samples
            .iter()
            .map(|one| self.takes.inputs(&self.model, one));
        Ok(Samples {
            inputs: inputs.collect::<Outcome<_>>()?,
            is_list,
        })
    }

    /// The samples of rows with a head that names their columns.
    pub fn csv(&self, body: &[u8], most: usize) -> Outcome<Samples> {
        let rows = self.takes.rows(body, most)?;
        check_count(rows.len(), most)?;
        let inputs = rows.iter().map(|row| self.takes.row(&self.model, row));
        Ok(Samples {
            inputs: inputs.collect::<Outcome<_>>()?,
            is_list: true,
        })
    }

    /// The sample of a picture, as `zerokara predict` makes it.
    pub fn picture(&self, file: &[u8], most_pixels: u64) -> Outcome<Arrays> {
        let shape = self.takes.picture_shape()?;
        let unfit = |e: zerokara_data::Error| Refusal::unfit(e.to_string());
        let [width, height] = size_of_image(file).map_err(unfit)?;
        let pixels = (width as u64).saturating_mul(height as u64);
        if pixels > most_pixels {
            return Err(Refusal::too_large(format!(
                "the picture has {width} x {height} pixels; up to {most_pixels} are taken"
            )));
        }
        let card = self.model.card();
        let pixels = sample_from_bytes(file, shape, card.pictures);
        let scale = card.normalization.divisor();
        let stored = pixels.map_err(unfit)?.into_iter().map(|p| p * scale);
        self.takes.stored(&self.model, stored.collect())
    }
}

/// Of these sizes those up to which a sample has the same outputs in a batch as alone.
fn alike(model: &SavedModel, sample: &Arrays, sizes: &[usize]) -> Result<Vec<usize>> {
    let alone = model.predict_all(sample)?;
    let mut found = Vec::new();
    for &size in sizes {
        let outputs = model.predict_all(&stacked(&[sample], size)?)?;
        let is_same = outputs.iter().all(|(name, output)| {
            let own = alone.get(name);
            (0..size).all(|at| own.is_some_and(|own| output.rows(at..at + 1).is_identical(own)))
        });
        match is_same || size == 1 {
            true => found.push(size),
            false => break,
        }
    }
    // None of the sizes need be 1.
    match found.is_empty() {
        true => Ok(vec![1]),
        false => Ok(found),
    }
}

fn check_count(samples: usize, most: usize) -> Outcome<()> {
    match samples {
        0 => Err(Refusal::unfit("there is no sample in the list")),
        samples if samples <= most => Ok(()),
        _ => Err(Refusal::too_large(format!(
            "there are {samples} samples; up to {most} are taken in one request"
        ))),
    }
}
