//! Data sets, loaders and transforms of Zerokara.
//!
//! A [`Dataset`] has up to three [`Split`]s: to train on, to validate on, to judge by. A split is a view on a [`Source`] of named
//! columns, which is in memory ([`Columns`]) or makes samples on demand ([`Lazy`]). A [`Loader`] cuts a split into batches, in order
//! or shuffled, and its [`Feeder`] gives them to a step as named arrays; labelled samples also come as plain numbers
//! ([`Batch`]), normalized, and augmented if wished. [`Preprocessing`] turns raw values into inputs, in training and after it.
//!
//! ```
//! # #[cfg(feature = "mnist")] {
//! use zerokara_data::{Loader, Mnist};
//!
//! let mnist = Mnist::load()?;
//! let (train, validation) = mnist.train.validation(5_000, 1)?;
//! let mut loader = Loader::new(&train, 100)?.shuffle(1);
//! for epoch in 0..2 {
//!     loader.set_epoch(epoch);
//!     for batch in &loader {
//!         assert_eq!(batch.shape, [100, 1, 28, 28]);
//!     }
//! }
//! # assert_eq!(validation.len(), 5_000);
//! # }
//! # Ok::<(), zerokara_data::Error>(())
//! ```
//!
//! Features: `mnist` (on by default) puts the MNIST data set into the program; `images` reads files of pictures, `arrays` those of NumPy.

mod ahead;
mod augment;
mod batch;
mod collate;
mod columns;
mod dataset;
#[cfg(feature = "images")]
mod decoders;
#[cfg(feature = "images")]
mod digit;
mod error;
mod feed;
mod gather;
pub mod idx;
#[cfg(feature = "images")]
mod image;
#[cfg(feature = "images")]
mod jpeg;
mod labels;
mod loader;
mod normalization;
#[cfg(feature = "arrays")]
pub mod npy;
mod open;
mod order;
mod parts;
#[cfg(feature = "images")]
mod picture;
mod pictures;
mod preprocessing;
mod random;
#[cfg(feature = "images")]
mod scale;
mod sets;
mod sheet;
mod source;
mod split;
mod text;

pub use augment::Augment;
pub use batch::Batch;
pub use collate::Pad;
pub use columns::Columns;
pub use dataset::Dataset;
#[cfg(feature = "mnist")]
pub use dataset::Mnist;
pub use error::{Error, Result};
pub use feed::{Feed, Feeder};
#[cfg(feature = "images")]
pub use image::{digit_from_image, sample_from_bytes, sample_from_image, size_of_image};
pub use labels::{flatten, multi_hot, one_hot};
pub use loader::{Batches, Loader, Position, Spread};
pub use normalization::Normalization;
pub use open::{ColumnUse, DataOptions, Learn, Learned, Reading};
#[cfg(feature = "images")]
pub use open::{ImageFile, ImageFiles};
pub use parts::{Amount, Rule};
pub use pictures::Pictures;
pub use preprocessing::{
    Categories, ColumnKind, Missing, Preprocessing, Raw, Table, Unit, Unseen, Vocabulary,
};
#[cfg(feature = "fetch")]
pub use sets::{Fetched, fetch_file};
pub use sets::{NamedSet, SetFile};
pub use sheet::{Cells, Content, Contents, Dialect, Sheet};
pub use source::{Failure, Lazy, Source};
pub use split::{Samples, Split};
pub use text::TextWindows;
