//! Zerokara (ゼロから, "from zero"): deep learning in Rust, with nothing to install or download.
//!
//! A model is layers one after another; the sizes of inputs are learned from the data. A [`Trainer`](prelude::Trainer)
//! trains it, and shows how far it is; Ctrl-C ends it well.
//!
#![cfg_attr(feature = "mnist", doc = "```")]
#![cfg_attr(not(feature = "mnist"), doc = "```ignore")]
//! use zerokara::prelude::*;
//!
//! fn main() -> Result<()> {
//!     let mnist = Mnist::load()?; // inside the program: no download
//! #   let mut mnist = mnist;
//! #   mnist.train = mnist.train.take(1_000);
//! #   mnist.test = mnist.test.take(500);
//!     let model = Sequential::new()
//!         .conv2d(8, 5).relu().max_pool2d(2)
//!         .flatten()
//!         .linear(50).relu()
//!         .linear(10);
//!     let run = Trainer::new(model, SoftmaxCrossEntropy::new())
//!         .optimizer(Adam::new(3e-3))
//!         .epochs(2)
//!         .batch_size(50)
//!         .fit(&mnist)?; // a progress bar
//!     println!("test accuracy {:.4}", run.test_accuracy());
//! #   assert!(run.test_accuracy() > 0.7);
//! #   let folder = std::env::temp_dir().join(format!("zerokara-doctest-{}", std::process::id()));
//! #   std::fs::create_dir_all(&folder)?;
//! #   std::env::set_current_dir(&folder)?;
//!     run.model().save("digits.safetensors")
//! }
//! ```
//!
//! # Tensors and gradients
//!
//! A [`Tensor`](prelude::Tensor) is a lazy expression: looking at it computes it. Gradients are expressions again.
//!
//! ```
//! use zerokara::prelude::*;
//!
//! let x = Tensor::from([3.0, 4.0]); // f32
//! let f = (&x * &x).sum();
//! assert_eq!(grad(&f, &x).to_vec::<f32>()?, [6.0, 8.0]);
//! let by_differences = numerical_gradient(|x| (x * x).sum(), &x)?;
//! assert!((by_differences.to_vec::<f32>()?[0] - 6.0).abs() < 1e-3);
//!
//! let wrong = Tensor::zeros([2, 3]) + Tensor::zeros([4]);
//! println!("{}", wrong.eval().unwrap_err()); // the operation, the shapes, this line
//! # Ok::<(), zerokara::Error>(())
//! ```
//!
//! # Models of one's own
//!
//! ```
//! use zerokara::prelude::*;
//!
//! #[derive(Module, Clone)] // named parameters from the fields
//! struct Block { conv1: Conv2d, norm1: BatchNorm2d, conv2: Conv2d, norm2: BatchNorm2d }
//!
//! impl Forward for Block {
//!     fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
//!         let y = self.norm1.forward(&self.conv1.forward(x, cx), cx).relu();
//!         (self.norm2.forward(&self.conv2.forward(&y, cx), cx) + x).relu()
//!     }
//! }
//!
//! let conv = || Conv2d::new(4, 3).padding(1);
//! let block = Block { conv1: conv(), norm1: BatchNorm2d::new(), conv2: conv(), norm2: BatchNorm2d::new() };
//! block.build(&Tensor::zeros([1, 4, 8, 8]), 0)?;
//! assert_eq!(block.named_parameters()?[0].0, "conv1.weight");
//! # Ok::<(), zerokara::Error>(())
//! ```
//!
//! # Data and tasks of any kind
//!
//! Samples are named columns, and what is learned is a task: classes, several labels, numbers, tokens. A regression on a
//! table, from training to the saved file, which says what it was trained for:
//!
//! ```
//! use zerokara::prelude::*;
//!
//! let rows: Vec<f32> = (0..200).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
//! let prices: Vec<f32> = rows.chunks(2).map(|row| 3.0 * row[0] - row[1]).collect();
//! let table = Columns::new()
//!     .with("rooms", Array::new([100, 2], rows))
//!     .with("price", Array::new([100, 1], prices));
//! let (train, test) = Split::of(table)?.targets(["price"])?.validation(0.2, 1)?;
//! let data = Dataset::of("houses").train(train)?.test(test)?;
//!
//! let trainer = || Trainer::new(Sequential::new().linear(1), MeanSquaredError::new())
//!     .optimizer(Adam::new(0.1)).batch_size(20).epochs(40).quiet();
//! # let folder = std::env::temp_dir().join(format!("zerokara-houses-{}", std::process::id()));
//! let run = trainer().run_folder(&folder).fit(&data)?;
//! assert!(run.test().measure("rmse").unwrap() < 0.1);
//! let loaded = SavedModel::load(folder.join("model.safetensors"))?;
//! assert_eq!(loaded.evaluate(&data.test)?.measure("rmse"), run.test().measure("rmse"));
//! let again = trainer().resume(&folder).fit(&data)?; // had it been cut off, it would go on
//! assert_eq!(again.losses(), run.losses());
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), zerokara::Error>(())
//! ```
//!
//! Several labels at once:
//!
//! ```
//! use zerokara::prelude::*;
//!
//! let points: Vec<f32> = (0..400).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
//! let there = |p: &[f32]| [f32::from(p[0] > 0.5), f32::from(p[1] > 0.3)];
//! let labels: Vec<f32> = points.chunks(2).flat_map(there).collect();
//! let columns = Columns::new()
//!     .with("x", Array::new([200, 2], points))
//!     .with("t", Array::new([200, 2], labels));
//! let data = Dataset::of("corners").train(Split::of(columns.clone())?)?.test(Split::of(columns)?)?;
//! # let folder = std::env::temp_dir().join(format!("zerokara-labels-{}", std::process::id()));
//! let trainer = || Trainer::new(Sequential::new().linear(2), BinaryCrossEntropy::new())
//!     .optimizer(Adam::new(0.1)).batch_size(20).epochs(20).quiet();
//! let run = trainer().run_folder(&folder).fit(&data)?;
//! assert!(run.test().measure("f1").unwrap() > 0.9);
//! let loaded = SavedModel::load(folder.join("model.safetensors"))?;
//! assert_eq!(loaded.evaluate(&data.test)?.measure("f1"), run.test().measure("f1"));
//! let again = trainer().resume(&folder).fit(&data)?;
//! assert_eq!(again.losses(), run.losses());
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), zerokara::Error>(())
//! ```
//!
//! A model of two inputs, one of them a number that names something:
//!
//! ```
//! use zerokara::prelude::*;
//!
//! #[derive(Module)]
//! struct Judge { author: Embedding, picture: Linear, score: Linear }
//!
//! impl Model for Judge {
//!     fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
//!         let author = self.author.forward(&inputs.tensor("author"), cx);
//!         let picture = self.picture.forward(&inputs.tensor("picture"), cx).relu();
//!         Tensors::one("score", self.score.forward(&(author + picture), cx))
//!     }
//! }
//!
//! let judge = || Judge { author: Embedding::new(4, 8), picture: Linear::new(8), score: Linear::new(1) };
//! let pictures: Vec<f32> = (0..300).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
//! let authors: Vec<i64> = (0..100).map(|i| i % 4).collect();
//! let scores: Vec<f32> = pictures.chunks(3).zip(&authors).map(|(p, &a)| p[0] + a as f32).collect();
//! let columns = Columns::new()
//!     .with("author", Array::new([100], authors))
//!     .with("picture", Array::new([100, 3], pictures))
//!     .with("score", Array::new([100, 1], scores));
//! let data = Dataset::of("judged").train(Split::of(columns)?.targets(["score"])?)?;
//! # let folder = std::env::temp_dir().join(format!("zerokara-judge-{}", std::process::id()));
//! let trainer = || Trainer::new(judge(), MeanSquaredError::new())
//!     .optimizer(Adam::new(0.05)).batch_size(20).epochs(30).quiet();
//! let run = trainer().run_folder(&folder).fit(&data)?;
//! let loaded = SavedModel::load(folder.join("model.safetensors"))?;
//! let rmse = loaded.evaluate(&data.train)?.measure("rmse").unwrap();
//! assert!(rmse < 0.3, "{rmse}");
//! let again = trainer().resume(&folder).fit(&data)?;
//! assert_eq!(again.losses(), run.losses());
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), zerokara::Error>(())
//! ```
//!
//! A model of integer tokens that says which comes next:
//!
//! ```
//! use zerokara::prelude::*;
//!
//! // Sequences that count on from where they begin.
//! let tokens: Vec<i64> = (0..60).flat_map(|i| (0..6).map(move |at| (i + at) % 10)).collect();
//! let next: Vec<i64> = tokens.iter().map(|token| (token + 1) % 10).collect();
//! let columns = Columns::new()
//!     .with("tokens", Array::new([60, 6], tokens))
//!     .with("next", Array::new([60, 6], next));
//! let data = Dataset::of("counting").train(Split::of(columns)?.targets(["next"])?)?;
//! # let folder = std::env::temp_dir().join(format!("zerokara-tokens-{}", std::process::id()));
//! let trainer = || {
//!     let model = Sequential::new().add(Embedding::new(10, 16)).linear(10);
//!     Trainer::new(model, TokenCrossEntropy::new()).optimizer(Adam::new(0.05)).batch_size(20).epochs(20).quiet()
//! };
//! let run = trainer().run_folder(&folder).fit(&data)?;
//! let loaded = SavedModel::load(folder.join("model.safetensors"))?;
//! assert!(loaded.evaluate(&data.train)?.measure("perplexity").unwrap() < 1.5);
//! let again = trainer().resume(&folder).fit(&data)?;
//! assert_eq!(again.losses(), run.losses());
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), zerokara::Error>(())
//! ```
//!
//! # Files of tensors
//!
//! What lies in a safetensors file, of whatever program, are arrays with names. [`formats`] reads and writes them; a model file
//! is such a file with the model's graph in it.
//!
//! ```
//! use zerokara::{formats::SafeTensors, prelude::*};
//!
//! # let folder = std::env::temp_dir().join(format!("zerokara-tensors-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("means.safetensors");
//! let mut file = SafeTensors::default();
//! file.tensors.push(("mean".to_string(), Array::new([2], vec![0.5f32, 0.25])));
//! file.write(&path)?;
//! assert_eq!(SafeTensors::read(&path)?, file);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Speed while developing
//!
//! A program in development (`cargo run` without `--release`) has its dependencies compiled without optimisation, and
//! Zerokara is then a hundred times slower; a note says so when the program runs. Two lines in the program's `Cargo.toml`
//! optimise what it depends on, while its own code stays as quick to compile as before:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 3
//! ```
//!
//! # Rooms
//!
//! [`core`] has tensors, gradients and the compiler; [`nn`] layers, losses, optimizers and models; [`data`] data sets and
//! loaders; [`train`] the trainer and its reports; [`formats`] model files and safetensors. The command `zerokara` (crate `zerokara-cli`) does the same without a
//! line of Rust. Features: `mnist` (on by default) puts the data set into the program, `images` reads PNG and JPEG, `figures` draws
//! plots and computational graphs.

// The derive names the crate by its name, also in this crate's own tests.
extern crate self as zerokara;

// Shown here with all they hold, so that a search in this crate's documentation finds it, also by the book's names.
#[doc(inline)]
pub use zerokara_core as core;
#[doc(inline)]
pub use zerokara_data as data;
#[cfg(feature = "figures")]
#[doc(inline)]
pub use zerokara_figures as figures;
#[doc(inline)]
pub use zerokara_formats as formats;
#[doc(inline)]
pub use zerokara_nn as nn;
#[doc(inline)]
pub use zerokara_train as train;

pub use zerokara_train::{Error, Result};

/// What most programs use.
pub mod prelude {
    pub use crate::{Error, Result};
    pub use zerokara_core::gradient_check::{gradient_check, numerical_gradient};
    pub use zerokara_core::{
        Array, Arrays, DType, Meta, Metas, Parameter, Program, Runner, Runtime, Tensor, Tensors,
        eval, grad, gradients, value_and_grad,
    };
    #[cfg(feature = "mnist")]
    pub use zerokara_data::Mnist;
    pub use zerokara_data::{
        Augment, Columns, Dataset, Loader, NamedSet, Normalization, Pad, Split,
    };
    // The derive of this crate's users stands before the one among the names of `zerokara_nn`.
    pub use zerokara_derive::FacadeModule as Module;
    pub use zerokara_nn::*;
    pub use zerokara_train::{
        Callback, EarlyStopping, Evaluation, Every, Flow, Run, SavedModel, Trainer,
    };
}

/// The examples in the project's documents are compiled, and run where that is quick.
#[cfg(all(doctest, feature = "mnist"))]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../README.ja.md")]
    struct ReadmeInJapanese;
    #[doc = include_str!("../../../CONTRIBUTING.md")]
    struct Contributing;
    #[doc = include_str!("../../../docs/guide/en/src/introduction.md")]
    struct EnglishIntroduction;
    #[doc = include_str!("../../../docs/guide/en/src/chapter1.md")]
    struct EnglishChapter1;
    #[doc = include_str!("../../../docs/guide/en/src/chapter2.md")]
    struct EnglishChapter2;
    #[doc = include_str!("../../../docs/guide/en/src/chapter3.md")]
    struct EnglishChapter3;
    #[doc = include_str!("../../../docs/guide/en/src/chapter4.md")]
    struct EnglishChapter4;
    #[doc = include_str!("../../../docs/guide/en/src/chapter5.md")]
    struct EnglishChapter5;
    #[doc = include_str!("../../../docs/guide/en/src/chapter6.md")]
    struct EnglishChapter6;
    #[doc = include_str!("../../../docs/guide/en/src/chapter7.md")]
    struct EnglishChapter7;
    #[doc = include_str!("../../../docs/guide/en/src/chapter8.md")]
    struct EnglishChapter8;
    #[doc = include_str!("../../../docs/guide/en/src/notes.md")]
    struct EnglishNotes;
    #[doc = include_str!("../../../docs/guide/en/src/beyond.md")]
    struct EnglishBeyond;
    #[doc = include_str!("../../../docs/guide/ja/src/introduction.md")]
    struct JapaneseIntroduction;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter1.md")]
    struct JapaneseChapter1;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter2.md")]
    struct JapaneseChapter2;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter3.md")]
    struct JapaneseChapter3;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter4.md")]
    struct JapaneseChapter4;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter5.md")]
    struct JapaneseChapter5;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter6.md")]
    struct JapaneseChapter6;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter7.md")]
    struct JapaneseChapter7;
    #[doc = include_str!("../../../docs/guide/ja/src/chapter8.md")]
    struct JapaneseChapter8;
    #[doc = include_str!("../../../docs/guide/ja/src/notes.md")]
    struct JapaneseNotes;
    #[doc = include_str!("../../../docs/guide/ja/src/beyond.md")]
    struct JapaneseBeyond;
}
