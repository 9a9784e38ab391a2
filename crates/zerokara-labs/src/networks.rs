//! Trained networks that labs share: what is trained once is kept, by its name and seed.

use crate::Session;
use std::{fs, path::Path};
use zerokara::{
    Error, Result,
    prelude::*,
    train::metrics::{self, Epoch, Record},
};

/// A network that was trained, now or before.
pub struct Trained {
    /// The network.
    pub model: SavedModel,
    /// What was measured after each epoch.
    pub history: Vec<Epoch>,
}

impl Trained {
    /// The share of the test images that it gets right.
    pub fn test_accuracy(&self) -> f64 {
        self.history.last().and_then(|epoch| epoch.test_accuracy).unwrap_or(f64::NAN)
    }
}

impl Session<'_> {
    /// MNIST; in quick mode the first 2,000 training and 1,000 test images.
    ///
    /// # Errors
    /// If the data inside of the program are damaged.
    pub fn mnist(&self) -> Result<Dataset> {
        let mut mnist = Mnist::load()?;
        if self.quick() {
            (mnist.train, mnist.test) = (mnist.train.take(2_000), mnist.test.take(1_000));
        }
        Ok(mnist)
    }

    /// What this trainer makes of the data, with the lab's seed; taken from the folder of trained networks if it was made
    /// under this name before. The name must tell everything that matters: layers, optimizer, data, epochs.
    ///
    /// # Errors
    /// If training fails, or the folder cannot be written.
    pub fn trained(&self, name: &str, trainer: Trainer, data: &Dataset) -> Result<Trained> {
        let mut trainer = trainer.name(name).seed(self.seed()).catch_interrupts(false);
        if self.options.quiet {
            trainer = trainer.quiet();
        }
        let Some(folder) = &self.options.networks else {
            let run = trainer.fit(data)?;
            return Ok(Trained {
                model: run.model().clone(),
                history: run.history().to_vec(),
            });
        };
        let quick = self.pick("", "-quick");
        let kept = folder.join(format!("{name}-seed{}{quick}", self.seed()));
        if kept.is_dir() {
            return load(&kept);
        }
        // A training that is ended early leaves nothing under the name.
        let partial = folder.join(format!(".{name}-{}", std::process::id()));
        let problem = |what: &str, e: std::io::Error| {
            Error::new(format!("cannot {what} {}: {e}", partial.display()))
        };
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|e| problem("remove", e))?;
        }
        let run = trainer.run_folder(&partial).fit(data)?;
        match fs::rename(&partial, &kept) {
            Ok(()) => {}
            // Another process was faster; both made the same.
            Err(_) if kept.is_dir() => {
                fs::remove_dir_all(&partial).map_err(|e| problem("remove", e))?
            }
            Err(e) => return Err(problem("rename", e)),
        }
        Ok(Trained { model: run.model().clone(), history: run.history().to_vec() })
    }

    /// The book's TwoLayerNet with sigmoid, 784-50-10, after 5 epochs of Adam.
    ///
    /// # Errors
    /// As [`Session::trained`].
    pub fn two_layer_net(&self) -> Result<Trained> {
        let trainer =
            Trainer::new(models::TwoLayerNet::new(50, 10), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(2e-3))
                .epochs(5);
        self.trained("two-layer-net", trainer, &self.mnist()?)
    }

    /// The book's SimpleConvNet after 3 epochs of Adam (one in quick mode).
    ///
    /// # Errors
    /// As [`Session::trained`].
    pub fn simple_convnet(&self) -> Result<Trained> {
        let trainer =
            Trainer::new(models::SimpleConvNet::new(10), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(1e-3))
                .epochs(self.pick(3, 1));
        self.trained("simple-convnet", trainer, &self.mnist()?)
    }

    /// The book's DeepConvNet after 12 epochs of Adam with one cycle of the learning rate (one epoch in quick mode).
    ///
    /// # Errors
    /// As [`Session::trained`].
    pub fn deep_convnet(&self) -> Result<Trained> {
        let trainer =
            Trainer::new(models::DeepConvNet::new(10), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(2e-3))
                .schedule_over(Schedule::one_cycle)
                .epochs(self.pick(12, 1));
        self.trained("deep-convnet", trainer, &self.mnist()?)
    }
}

fn load(folder: &Path) -> Result<Trained> {
    let records = metrics::read(folder.join("metrics.jsonl"))
        .map_err(|e| Error::new(e.to_string()))?;
    let epochs = records.into_iter().filter_map(|record| match record {
        Record::Epoch(epoch) => Some(epoch),
        Record::Step(_) => None,
    });
    Ok(Trained {
        history: epochs.collect(),
        model: SavedModel::load(folder.join("model.safetensors"))?,
    })
}
