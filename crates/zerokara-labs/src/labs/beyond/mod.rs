//! Beyond the book.

pub(super) mod attention;
pub(super) mod embedding;
pub(super) mod gpt;
pub(super) mod landscape;
pub(super) mod recurrent;
pub(super) mod residual;
pub(super) mod saliency;
