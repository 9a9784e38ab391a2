//! How picture files become samples of a data set.

use crate::split::Split;
use serde::{Deserialize, Serialize};

/// What is done to a picture so that it looks like the samples that a model was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pictures {
    /// A picture of one digit on whatever ground: found, cropped, made light on dark, scaled into the middle 20/28, its
    /// centre of mass in the middle, as the authors of MNIST did it.
    Digits,
    /// Stretched to the size, as it is.
    Plain,
    /// Scaled until it covers the size, and what lies over on both sides cut off: proportions stay.
    Crop,
}

/// Samples that are looked at.
const LOOKED_AT: usize = 1000;

impl Pictures {
    /// All, as a list.
    pub const ALL: [Self; 3] = [Self::Digits, Self::Plain, Self::Crop];

    /// `digits`, `plain` or `crop`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Plain => "plain",
            Self::Crop => "crop",
        }
    }

    /// What is done, as a participle.
    #[cfg(feature = "images")]
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Digits => "found and centred as digits",
            Self::Plain => "stretched",
            Self::Crop => "scaled and cut",
        }
    }

    /// What has this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|pictures| pictures.name() == name)
    }

    /// What the samples look like: [`Digits`](Self::Digits) if nine of ten are images of one channel on a ground of 0, as
    /// good as empty along the border, with their centre of mass in the middle, which only images have that were
    /// prepared so.
    ///
    /// ```
    /// # #[cfg(feature = "mnist")] {
    /// use zerokara_data::{Mnist, Pictures};
    ///
    /// assert_eq!(Pictures::of(&Mnist::load()?.train), Pictures::Digits);
    /// # }
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn of(split: &Split) -> Self {
        let &[1, height, width] = split.shape() else {
            return Self::Plain;
        };
        let looked_at = split.len().min(LOOKED_AT);
        // Samples that are made on demand are not made to be looked at.
        if split.first(0).is_none() || height < 8 || width < 8 {
            return Self::Plain;
        }
        let prepared = (0..looked_at)
            .filter(|&index| is_prepared(&split.sample(index), height, width))
            .count();
        match prepared * 10 >= looked_at * 9 {
            true => Self::Digits,
            false => Self::Plain,
        }
    }
}

fn is_prepared(values: &[f32], height: usize, width: usize) -> bool {
    let (mut mass, mut down, mut right, mut border) = (0.0, 0.0, 0.0, 0.0);
    for (at, &value) in values.iter().enumerate() {
        let (y, x) = (at / width, at % width);
        let value = f64::from(value);
        mass += value;
        down += value * y as f64;
        right += value * x as f64;
        if y < 2 || x < 2 || y + 2 >= height || x + 2 >= width {
            border += value.abs();
        }
    }
    // A digit moved by whole pixels has its centre at most half a pixel from where it should be.
    let central = |sum: f64, side: usize| (sum / mass - (side / 2) as f64).abs() <= 0.75;
    mass > 0.0 && border <= 0.02 * mass && central(down, height) && central(right, width)
}
