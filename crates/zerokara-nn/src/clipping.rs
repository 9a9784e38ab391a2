//! What is asked of gradients before they are used.

use zerokara_core::{Error, Result};

/// What is done to gradients that are too large.
#[doc(alias = "gradient_clipping")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clipping {
    /// Nothing.
    #[default]
    None,
    /// All gradients are scaled down together so that the norm of the whole is at most this, a number above 0.
    Norm(f64),
    /// Each element is moved into `[-limit, limit]`, where the limit is a number above 0.
    Value(f64),
}

impl Clipping {
    /// Whether gradients can be clipped so.
    ///
    /// # Errors
    /// If the limit is not a finite number above 0.
    pub fn check(self) -> Result<()> {
        let (what, limit) = match self {
            Clipping::None => return Ok(()),
            Clipping::Norm(limit) => ("norm", limit),
            Clipping::Value(limit) => ("value", limit),
        };
        match limit.is_finite() && limit > 0.0 {
            true => Ok(()),
            false => Err(Error::new(format!(
                "gradients cannot be clipped to a {what} of {limit}: it must be a number above 0"
            ))),
        }
    }
}

/// Whether the weights can be penalized so ([`TrainStep::l2_penalty`](crate::TrainStep::l2_penalty)).
///
/// # Errors
/// If the penalty is not a finite number from 0 on.
pub fn check_penalty(penalty: f64) -> Result<()> {
    match penalty.is_finite() && penalty >= 0.0 {
        true => Ok(()),
        false => Err(Error::new(format!(
            "the L2 penalty is {penalty}; it must be a number from 0 on"
        ))),
    }
}
