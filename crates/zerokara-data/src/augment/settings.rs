//! What is done to images, as files have it and as reports say it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The settings of an [`Augment`](super::Augment). What is not set is not written, so that programs that do not know a change
/// read all that do without it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub seed: u64,
    /// In pixels.
    #[serde(default)]
    pub shift: usize,
    /// As a share of height and width, in place of pixels.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shift_share: f64,
    #[serde(default)]
    pub degrees: f64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub flip: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub flip_vertical: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// The smallest share of the area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase: Option<Erase>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub colour: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<f64>,
}

/// Factors of the zoom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scale {
    pub from: f64,
    pub to: f64,
}

/// How often a rectangle is erased, and its largest share of the area.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Erase {
    pub chance: f64,
    pub share: f64,
}

/// How far pixels are displaced, and over how many pixels displacements are alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Elastic {
    pub alpha: f64,
    pub sigma: f64,
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn is_false(x: &bool) -> bool {
    !x
}

impl Settings {
    /// Says what is wrong with the settings, if anything is.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::new(message));
        let is_share = |x: f64| (0.0..=1.0).contains(&x);
        if !is_share(self.shift_share) {
            return refuse(format!(
                "images cannot be shifted by up to {} of their sides; give a share from 0 to 1",
                self.shift_share
            ));
        }
        if self.shift > 0 && self.shift_share > 0.0 {
            return refuse(format!(
                "images are shifted either by up to {} pixels or by up to {} of their sides; give one of the two",
                self.shift, self.shift_share
            ));
        }
        if !(0.0..=180.0).contains(&self.degrees) {
            return refuse(format!(
                "images cannot be turned by up to {} degrees; give an angle from 0 to 180",
                self.degrees
            ));
        }
        if let Some(Scale { from, to }) = self.scale
            && !(from <= to && 0.1 <= from && to <= 10.0)
        {
            return refuse(format!(
                "images cannot be scaled by factors from {from} to {to}; give two numbers from 0.1 to 10, the smaller first"
            ));
        }
        if let Some(share) = self.crop
            && !(share > 0.0 && share <= 1.0)
        {
            return refuse(format!(
                "windows of {share} of an image's area and more cannot be cropped; give a share above 0, at most 1"
            ));
        }
        if let Some(Erase { chance, share }) = self.erase {
            if !is_share(chance) {
                return refuse(format!(
                    "a rectangle cannot be erased with the chance {chance}; give a chance from 0 to 1"
                ));
            }
            if !(share > 0.0 && share <= 1.0) {
                return refuse(format!(
                    "a rectangle of up to {share} of the area cannot be erased; give a share above 0, at most 1"
                ));
            }
        }
        if !is_share(self.colour) {
            return refuse(format!(
                "colours cannot be changed by up to {}; give a share from 0 to 1",
                self.colour
            ));
        }
        if let Some(Elastic { alpha, sigma }) = self.elastic {
            if !(0.0..=1000.0).contains(&alpha) {
                return refuse(format!(
                    "images cannot be distorted with alpha {alpha}; give a number of pixels from 0 to 1000"
                ));
            }
            if !(0.1..=100.0).contains(&sigma) {
                return refuse(format!(
                    "distortions cannot be smoothed with sigma {sigma}; give a number of pixels from 0.1 to 100"
                ));
            }
        }
        for (name, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if let Some(alpha) = alpha
                && !(alpha > 0.0 && alpha.is_finite())
            {
                return refuse(format!(
                    "{name} cannot draw shares from Beta({alpha}, {alpha}); give a finite number above 0"
                ));
            }
        }
        Ok(())
    }
}

/// In words, as reports say it: `shift by up to 2, turn by up to 10°`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Shares as people say them: 0.07 is 7%, not 7.000000000000001%.
        let percent = |share: f64| format!("{}%", (share * 1e6).round() / 1e4);
        let mut told = Vec::new();
        if self.shift > 0 {
            told.push(format!("shift by up to {}", self.shift));
        }
        if self.shift_share > 0.0 {
            let share = percent(self.shift_share);
            told.push(format!("shift by up to {share} of each side"));
        }
        if self.degrees > 0.0 {
            told.push(format!("turn by up to {}°", self.degrees));
        }
        if self.flip {
            told.push("flip left to right".into());
        }
        if self.flip_vertical {
            told.push("flip top to bottom".into());
        }
        if let Some(Scale { from, to }) = self.scale {
            told.push(format!("scale by {from} to {to}"));
        }
        if let Some(share) = self.crop {
            told.push(format!("crop to {} of the area or more", percent(share)));
        }
        if let Some(Elastic { alpha, sigma }) = self.elastic {
            told.push(format!("distort with alpha {alpha} and sigma {sigma}"));
        }
        if self.colour > 0.0 {
            let amount = percent(self.colour);
            told.push(format!("change colours by up to {amount}"));
        }
        if let Some(Erase { chance, share }) = self.erase {
            let (chance, share) = (percent(chance), percent(share));
            told.push(format!("erase up to {share} of {chance} of the images"));
        }
        if let Some(alpha) = self.mixup {
            told.push(format!("mixup with alpha {alpha}"));
        }
        if let Some(alpha) = self.cutmix {
            told.push(format!("cutmix with alpha {alpha}"));
        }
        match told.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&told.join(", ")),
        }
    }
}
