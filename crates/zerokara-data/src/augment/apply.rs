//! Changing the images of a batch.

use super::Augment;
use super::colour::Colour;
use super::elastic::Field;
use super::erase;
use super::geometry::Geometry;
use super::levels::Levels;
use super::mix::{self, Mix, write_shares};
use super::resample::Resampler;
use super::settings::Settings;
use crate::collate::in_parts;
use crate::error::{Error, Result};
use crate::labels::one_hot;
use crate::loader::Spread;

impl Augment {
    /// Changes images `[N, C, H, W]` in place; `shape` is `[C, H, W]`, `indices` are the numbers of the `N` samples.
    /// The background is 0. Samples are not mixed; [`mix`](Self::mix) does that.
    ///
    /// # Errors
    ///
    /// The shape is not `[C, H, W]`, or the number of values is not `N · C · H · W`.
    pub fn apply(
        &self,
        images: &mut [f32],
        shape: &[usize],
        indices: &[usize],
        epoch: u64,
    ) -> Result<()> {
        self.apply_with(images, shape, indices, epoch, Levels::plain(), &one_thread)
    }

    /// What the sample number 0 looks like in each of the first `count` epochs, if it is this image of the shape
    /// `[C, H, W]`. Samples are not mixed.
    ///
    /// # Errors
    ///
    /// The shape is not `[C, H, W]`, or the number of values is not `C · H · W`.
    ///
    /// ```
    /// use zerokara_data::Augment;
    ///
    /// let augment = Augment::new(1).shift(1);
    /// let seen = augment.preview(&[0.0, 1.0, 0.0], &[1, 1, 3], 8)?;
    /// assert_eq!(seen.len(), 8);
    /// let mut third = vec![0.0, 1.0, 0.0];
    /// augment.apply(&mut third, &[1, 1, 3], &[0], 2)?;
    /// assert_eq!(seen[2], third);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn preview(&self, image: &[f32], shape: &[usize], count: usize) -> Result<Vec<Vec<f32>>> {
        let look = |epoch| {
            let mut image = image.to_vec();
            self.apply(&mut image, shape, &[0], epoch)?;
            Ok(image)
        };
        (0..count as u64).map(look).collect()
    }

    /// Mixes images `[N, C, H, W]` in place with others of the batch ([`mixup`](Self::mixup), [`cutmix`](Self::cutmix)), and
    /// gives the shares of classes `[N, classes]`, each row with the sum 1; where nothing is mixed, these are ones at the
    /// labels. `shape` is `[C, H, W]`, `indices` are the numbers of the `N` samples. A
    /// [`Loader`](crate::Loader) does this after all other changes.
    ///
    /// # Errors
    ///
    /// The shape is not `[C, H, W]`; the number of values is not `N · C · H · W`, or that of labels not `N`; a label is not
    /// below `classes`.
    pub fn mix(
        &self,
        images: &mut [f32],
        shape: &[usize],
        labels: &[i64],
        classes: usize,
        indices: &[usize],
        epoch: u64,
    ) -> Result<Vec<f32>> {
        if labels.len() != indices.len() {
            return Err(Error::new(format!(
                "{} labels are not those of {} images",
                labels.len(),
                indices.len()
            )));
        }
        let mut shares = one_hot(labels, classes)?;
        if let Some(mixes) = self.mixed(images, shape, indices, epoch, &one_thread)? {
            write_shares(&mut shares, labels, classes, Some(&mixes));
        }
        Ok(shares)
    }

    /// [`apply`](Self::apply), with what black and white are, on several threads.
    pub(crate) fn apply_with(
        &self,
        images: &mut [f32],
        shape: &[usize],
        indices: &[usize],
        epoch: u64,
        levels: Levels<'_>,
        spread: &Spread<'_>,
    ) -> Result<()> {
        let [channels, height, width] = check_images(images, shape, indices)?;
        if images.is_empty() {
            return Ok(());
        }
        let sample = channels * height * width;
        let change = |first: usize, room: &mut [f32]| {
            let mut changer = Changer::new(&self.settings, [height, width], levels);
            for (image, &index) in room.chunks_exact_mut(sample).zip(&indices[first..]) {
                changer.change(image, index, epoch);
            }
        };
        in_parts(images, indices.len(), spread, &change);
        Ok(())
    }

    /// Mixes the images of a batch, and says how.
    pub(crate) fn mixed(
        &self,
        images: &mut [f32],
        shape: &[usize],
        indices: &[usize],
        epoch: u64,
        spread: &Spread<'_>,
    ) -> Result<Option<Vec<Mix>>> {
        let shape = check_images(images, shape, indices)?;
        if images.is_empty() {
            return Ok(None);
        }
        let mixes = mix::draw(&self.settings, indices, epoch, [shape[1], shape[2]]);
        if let Some(mixes) = &mixes {
            mix::apply(images, shape, mixes, spread);
        }
        Ok(mixes)
    }

    /// An error unless this is the shape of an image.
    pub(crate) fn check(shape: &[usize]) -> Result<[usize; 3]> {
        shape.try_into().map_err(|_| {
            Error::new(format!(
                "only images [C, H, W] can be changed by chance, not samples of shape {shape:?}"
            ))
        })
    }
}

fn one_thread(units: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..units).for_each(work);
}

/// An error unless there are as many values as so many images have.
fn check_images(images: &[f32], shape: &[usize], indices: &[usize]) -> Result<[usize; 3]> {
    let sizes = Augment::check(shape)?;
    let sample = sizes
        .iter()
        .try_fold(indices.len(), |product, &size| product.checked_mul(size));
    match sample == Some(images.len()) {
        true => Ok(sizes),
        false => Err(Error::new(format!(
            "{} values are not {} images of shape {shape:?}",
            images.len(),
            indices.len()
        ))),
    }
}

/// Changes images of one size, one after the other, in room that is used again for each.
struct Changer<'a> {
    settings: &'a Settings,
    size: [usize; 2],
    levels: Levels<'a>,
    resampler: Resampler,
    field: Option<Field>,
}

impl<'a> Changer<'a> {
    fn new(settings: &'a Settings, size: [usize; 2], levels: Levels<'a>) -> Self {
        let elastic = settings.elastic.filter(|elastic| elastic.alpha > 0.0);
        Changer {
            settings,
            size,
            levels,
            resampler: Resampler::new(size),
            field: elastic.map(|elastic| Field::new(elastic, size)),
        }
    }

    fn change(&mut self, image: &mut [f32], index: usize, epoch: u64) {
        let (settings, levels, size) = (self.settings, self.levels, self.size);
        let background = |channel| levels.black(channel);
        // Before pixels move, since what then comes from outside is background and has the colour of it.
        if let Some(colour) = Colour::draw(settings, index, epoch) {
            colour.apply(image, size[0] * size[1], levels);
        }
        let affine = Geometry::draw(settings, index, epoch, size).affine(size);
        let field = self.field.as_mut();
        let displacements = field.map(|field| field.draw(settings, index, epoch));
        if displacements.is_some() || !affine.is_identity() {
            self.resampler
                .run(image, &affine, displacements, background);
        }
        if let Some(rectangle) = erase::draw(settings, index, epoch, size) {
            erase::apply(image, size, rectangle, background);
        }
    }
}
