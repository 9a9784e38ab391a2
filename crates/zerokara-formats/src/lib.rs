//! File formats of Zerokara: safetensors, and the model files that are built on it.
//!
//! All files are written whole or not at all ([`atomic`]), and read with every length and offset checked: a file that is cut,
//! damaged or of another kind is an error that says so.

pub mod atomic;
mod json;
pub mod model;
pub mod safetensors;

pub use model::{ModelInfo, TaskInfo, load_model, model_from_bytes, save_model};
pub use safetensors::SafeTensors;
