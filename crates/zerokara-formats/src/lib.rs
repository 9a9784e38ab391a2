//! File formats of Zerokara: safetensors.
