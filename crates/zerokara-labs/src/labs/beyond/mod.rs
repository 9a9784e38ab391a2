//! Beyond the book.

pub(super) mod embedding;
pub(super) mod landscape;
pub(super) mod residual;
pub(super) mod saliency;
