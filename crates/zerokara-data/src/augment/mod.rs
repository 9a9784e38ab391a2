//! Small changes of images that leave their meaning, made anew in every epoch.

mod apply;
mod colour;
mod elastic;
mod erase;
mod geometry;
mod levels;
mod mix;
mod resample;
mod settings;

pub(crate) use levels::Levels;
pub(crate) use mix::write_shares;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use settings::{Elastic, Erase, Scale, Settings};
use std::fmt;

/// Changes each image by chance: where things are, what they look like, and with what they are mixed.
///
/// | | what changes |
/// |---|---|
/// | [`flip`](Self::flip), [`flip_vertical`](Self::flip_vertical) | left and right, top and bottom |
/// | [`shift`](Self::shift), [`shift_by`](Self::shift_by), [`rotate`](Self::rotate), [`scale`](Self::scale) | place, angle and size |
/// | [`crop`](Self::crop) | a part fills the image |
/// | [`elastic`](Self::elastic) | strokes bend |
/// | [`colour`](Self::colour) | brightness, contrast, saturation |
/// | [`erase`](Self::erase) | a rectangle is hidden |
/// | [`mixup`](Self::mixup), [`cutmix`](Self::cutmix) | two samples, and their classes, become one |
///
/// What is done to a sample depends on the seed, the epoch and the sample's number only, not on the batch it is in, save that
/// it is mixed with another of its batch. Each kind of change draws by itself, so that setting another leaves it as it
/// was. Pixels from outside the image are background, a stored 0.
///
/// Whatever is set is done in this order: colours; then everything that moves pixels, composed into one map from each
/// pixel to the place that it comes from, so that an image is interpolated once (bilinearly; it is not blurred first, so
/// that what becomes much smaller loses detail); then a rectangle is erased; then samples are mixed. Pixels that move by
/// whole pixels are copied.
///
/// # Example
///
/// ```
/// use zerokara_data::Augment;
///
/// let augment = Augment::new(1).shift(2).rotate(10.0)?;
/// // One image of 1 × 3 × 3 pixels, the sample number 7, in epoch 0.
/// let mut images = vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
/// augment.apply(&mut images, &[1, 3, 3], &[7], 0)?;
///
/// // What photographs of things are often trained with.
/// let photographs = Augment::new(1).flip().crop(0.25)?.colour(0.4)?.erase(0.25, 0.33)?.cutmix(1.0)?;
/// // As a file has it, and a report says it.
/// let text = serde_json::to_string(&photographs)?;
/// assert_eq!(serde_json::from_str::<Augment>(&text)?, photographs);
/// assert_eq!(augment.to_string(), "shift by up to 2, turn by up to 10°");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("transforms", "augmentation"))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Augment {
    settings: Settings,
}

impl From<Augment> for Settings {
    fn from(augment: Augment) -> Self {
        augment.settings
    }
}

impl TryFrom<Settings> for Augment {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self> {
        Augment { settings }.checked()
    }
}

/// In words, as reports say it: `shift by up to 2, turn by up to 10°`.
impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Augment {
    /// Changes nothing yet.
    pub fn new(seed: u64) -> Self {
        Augment {
            settings: Settings {
                seed,
                ..Settings::default()
            },
        }
    }

    /// Whether it changes anything.
    ///
    /// ```
    /// use zerokara_data::Augment;
    /// assert!(!Augment::new(1).changes());
    /// assert!(Augment::new(1).flip().changes());
    /// ```
    pub fn changes(&self) -> bool {
        *self != Augment::new(self.settings.seed)
    }

    fn checked(self) -> Result<Self> {
        self.settings.check()?;
        Ok(self)
    }

    /// Mirrors every other image, left to right.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// let seen = Augment::new(1).flip().preview(&[1.0, 2.0, 3.0], &[1, 1, 3], 20)?;
    /// assert!(seen.contains(&vec![1.0, 2.0, 3.0]) && seen.contains(&vec![3.0, 2.0, 1.0]));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("RandomHorizontalFlip"))]
    pub fn flip(mut self) -> Self {
        self.settings.flip = true;
        self
    }

    /// Mirrors every other image, top to bottom: for what has no above and below, such as cells under a microscope.
    #[doc(alias("RandomVerticalFlip"))]
    pub fn flip_vertical(mut self) -> Self {
        self.settings.flip_vertical = true;
        self
    }

    /// Shifts by a whole number of pixels from `-pixels` to `pixels`, along each axis by itself. Takes the place of
    /// [`shift_by`](Self::shift_by).
    pub fn shift(mut self, pixels: usize) -> Self {
        self.settings.shift = pixels;
        self.settings.shift_share = 0.0;
        self
    }

    /// Shifts by up to this share of the height along `y` and of the width along `x`, in whole pixels: 0.1 for images of
    /// 28 × 28 is as `shift(3)`. Takes the place of [`shift`](Self::shift).
    ///
    /// # Errors
    ///
    /// The share is not from 0 to 1.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// let image = vec![1.0; 28 * 28];
    /// let (by_share, by_pixels) = (Augment::new(1).shift_by(0.1)?, Augment::new(1).shift(3));
    /// assert_eq!(by_share.preview(&image, &[1, 28, 28], 5)?, by_pixels.preview(&image, &[1, 28, 28], 5)?);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn shift_by(mut self, share: f64) -> Result<Self> {
        self.settings.shift = 0;
        self.settings.shift_share = share;
        self.checked()
    }

    /// Turns about the centre by an angle from `-degrees` to `degrees`; values between pixels are interpolated
    /// linearly.
    ///
    /// # Errors
    ///
    /// The angle is negative or above 180.
    pub fn rotate(mut self, degrees: f64) -> Result<Self> {
        self.settings.degrees = degrees;
        self.checked()
    }

    /// Zooms about the centre, by a uniform factor between these two: above 1, the image grows beyond its edges; below, it
    /// shrinks and has background around it.
    ///
    /// # Errors
    ///
    /// A factor is not from 0.1 to 10, or the first is above the second.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// // Twice as large: what was one pixel from the centre is two away, between them lie means.
    /// let seen = Augment::new(1).scale(2.0, 2.0)?.preview(&[1.0, 2.0, 4.0], &[1, 1, 3], 1)?;
    /// assert_eq!(seen[0], [1.5, 2.0, 3.0]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("zoom", "RandomAffine"))]
    pub fn scale(mut self, from: f64, to: f64) -> Result<Self> {
        self.settings.scale = Some(Scale { from, to });
        self.checked()
    }

    /// Cuts a window out and makes it as large as the image was (Szegedy et al., "Going deeper with convolutions", 2015).
    ///
    /// The window's area is a uniform share `a` of the image's, from `share_from` to 1. Its sides are `sqrt(a r)` and
    /// `sqrt(a / r)` of the image's width and height, where the logarithm of `r` is uniform from that of 3/4 to that of
    /// 4/3, as far as the window is no longer than the image; so a square image has windows of an aspect ratio from 3/4 to
    /// 4/3. It lies anywhere inside with equal chances.
    ///
    /// # Errors
    ///
    /// The share is not above 0 and at most 1.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// // All windows of a ramp are ramps that are less steep.
    /// let ramp: Vec<f32> = (0..64).map(|at| (at % 8) as f32).collect();
    /// for seen in Augment::new(1).crop(0.25)?.preview(&ramp, &[1, 8, 8], 10)? {
    ///     assert!((3.0..7.01).contains(&(seen[7] - seen[0])));
    /// }
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("RandomResizedCrop"))]
    pub fn crop(mut self, share_from: f64) -> Result<Self> {
        self.settings.crop = Some(share_from);
        self.checked()
    }

    /// Sets a rectangle to background, with this chance (Zhong et al., "Random erasing data augmentation", 2020).
    ///
    /// Its area is uniform up to this share of the image's, its height from 0.3 to 1/0.3 times its width (as the image
    /// allows), in whole pixels, rounded down; it lies anywhere inside with equal chances.
    ///
    /// # Errors
    ///
    /// The chance is not from 0 to 1; the share is not above 0 and at most 1.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// for seen in Augment::new(1).erase(1.0, 0.25)?.preview(&[1.0; 64], &[1, 8, 8], 10)? {
    ///     assert!(seen.iter().filter(|&&x| x == 0.0).count() <= 16);
    /// }
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("RandomErasing", "Cutout"))]
    pub fn erase(mut self, chance: f64, share: f64) -> Result<Self> {
        self.settings.erase = Some(Erase { chance, share });
        self.checked()
    }

    /// Changes brightness, contrast and, of three channels, saturation, by factors `b`, `c` and `s` that are uniform from
    /// `1 - amount` to `1 + amount`.
    ///
    /// With black at 0 and white at 1, a value `x` becomes `b (c (s x + (1 - s) g) + (1 - c) m)`: `g` is the grey
    /// `0.299 R + 0.587 G + 0.114 B` of its pixel (ITU-R BT.601), `m` the mean grey of the image. Three channels are
    /// taken to be red, green and blue; others have no saturation, `s = 1`, and `m` is the mean of all values.
    ///
    /// Bytes stay from 0 to 255, also where they are normalized. Of f32, 0 is black and 1 is white; results stay from 0 to
    /// 1, or from the least to the largest value of the image where that is a wider range.
    ///
    /// # Errors
    ///
    /// The amount is not from 0 to 1.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// // One grey has no contrast: it becomes brighter or darker by up to a half.
    /// for seen in Augment::new(1).colour(0.5)?.preview(&[0.4; 4], &[1, 2, 2], 10)? {
    ///     assert!(seen[0] > 0.19 && seen[0] < 0.61 && seen == [seen[0]; 4]);
    /// }
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("color", "ColorJitter", "brightness", "contrast", "saturation"))]
    pub fn colour(mut self, amount: f64) -> Result<Self> {
        self.settings.colour = amount;
        self.checked()
    }

    /// Bends images as if they were of rubber (Simard, Steinkraus and Platt, "Best practices for convolutional neural networks
    /// applied to visual document analysis", 2003; there, digits with `alpha` 34 and `sigma` 4).
    ///
    /// Each pixel comes from a place that is displaced by `(G * U) alpha`, along each axis by itself: `U` is uniform from -1
    /// to 1 for every pixel, and `G` the bell of deviation `sigma` pixels, with the sum 1. Away from the edges, the
    /// displacements have the deviation `alpha / (2 sigma sqrt(3π))`; it is 1.4 pixels for the numbers above. None is larger
    /// than `alpha`.
    ///
    /// # Errors
    ///
    /// `alpha` is not from 0 to 1000, or `sigma` not from 0.1 to 100.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// // A stroke of a digit.
    /// let stroke: Vec<f32> = (0..784).map(|at| f32::from(u8::from(at % 28 == 14))).collect();
    /// let seen = Augment::new(1).elastic(34.0, 4.0)?.preview(&stroke, &[1, 28, 28], 3)?;
    /// assert!(seen[0] != stroke && seen[0] != seen[1]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("ElasticTransform"))]
    pub fn elastic(mut self, alpha: f64, sigma: f64) -> Result<Self> {
        self.settings.elastic = Some(Elastic { alpha, sigma });
        self.checked()
    }

    /// Mixes each sample `x` with another `x'` of its batch: `λ x + (1 - λ) x'`, with `λ` drawn from Beta(alpha, alpha) for
    /// each sample, and its target is `λ` of its class and `1 - λ` of the other's (Zhang et al., "mixup: beyond empirical risk
    /// minimization", 2018; `alpha` from 0.1 to 0.4 for photographs). For small `alpha` most samples are nearly one of
    /// the two; 1 draws `λ` uniformly.
    ///
    /// Targets then are shares of classes, f32 `[N, classes]`, which [`Loader::classes`](crate::Loader::classes) makes room
    /// for. A sample that is alone in its batch stays as it is. With [`cutmix`](Self::cutmix) besides, each sample is
    /// mixed one way or the other with equal chances.
    ///
    /// # Errors
    ///
    /// `alpha` is not a finite number above 0.
    ///
    /// ```
    /// use zerokara_data::{Augment, Loader, Split};
    ///
    /// let split = Split::new(vec![0u8, 255], &[1, 1, 1], vec![0, 1])?;
    /// let loader = Loader::new(&split, 2)?.augment(Augment::new(1).mixup(1.0)?)?.classes(2);
    /// let feed = loader.feed(0)?;
    /// let (x, t) = (feed.inputs.find("x")?.as_slice::<f32>()?, feed.targets.find("t")?.as_slice::<f32>()?);
    /// // As white as it is of the class of white.
    /// assert!((x[0] - t[1]).abs() < 1e-6 && (t[0] + t[1] - 1.0).abs() < 1e-6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mixup(mut self, alpha: f64) -> Result<Self> {
        self.settings.mixup = Some(alpha);
        self.checked()
    }

    /// Replaces a rectangle of each image by that of another of its batch, and its target by as much of the other's class
    /// (Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", 2019; there,
    /// `alpha` is 1).
    ///
    /// The rectangle has `sqrt(1 - λ)` of each side of the image, with `λ` drawn from Beta(alpha, alpha), and is centred on
    /// any pixel; what lies beyond the image is left out, and the shares are those of the pixels that are seen. All else is
    /// as for [`mixup`](Self::mixup).
    ///
    /// # Errors
    ///
    /// `alpha` is not a finite number above 0.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// // The first image is of class 0 and black, the second of class 1 and white.
    /// let mut images = [[0.0; 16], [1.0; 16]].concat();
    /// let shares = Augment::new(3).cutmix(1.0)?.mix(&mut images, &[1, 4, 4], &[0, 1], 2, &[0, 1], 0)?;
    /// let white = images[..16].iter().sum::<f32>() / 16.0;
    /// assert_eq!(shares[..2], [1.0 - white, white]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn cutmix(mut self, alpha: f64) -> Result<Self> {
        self.settings.cutmix = Some(alpha);
        self.checked()
    }

    /// Whether samples are mixed ([`mixup`](Self::mixup), [`cutmix`](Self::cutmix)), so that targets are shares of classes.
    pub fn mixes(&self) -> bool {
        self.settings.mixup.is_some() || self.settings.cutmix.is_some()
    }
}
