//! What black and white are in images that may be normalized.

use crate::normalization::Normalization;

/// How stored values relate to those of the images that are changed.
#[derive(Clone, Copy)]
pub(crate) struct Levels<'a> {
    normalization: Option<&'a Normalization>,
    /// Stored values are bytes, from 0 to 255; else they are numbers that mostly lie from 0 to 1.
    bytes: bool,
}

impl<'a> Levels<'a> {
    pub(crate) fn new(normalization: Option<&'a Normalization>, bytes: bool) -> Self {
        Levels {
            normalization,
            bytes,
        }
    }

    /// Of numbers as they are stored.
    pub(super) fn plain() -> Self {
        Levels::new(None, false)
    }

    /// Whether no stored value lies beyond black and white.
    pub(super) fn is_bounded(self) -> bool {
        self.bytes
    }

    /// A stored 0, which is the background.
    pub(super) fn black(self, channel: usize) -> f32 {
        self.value(channel, 0.0)
    }

    /// The largest byte, or 1.
    pub(super) fn white(self, channel: usize) -> f32 {
        self.value(channel, if self.bytes { 255.0 } else { 1.0 })
    }

    fn value(self, channel: usize, stored: f32) -> f32 {
        match self.normalization {
            Some(normalization) => normalization.value(channel, stored),
            None => stored,
        }
    }
}
