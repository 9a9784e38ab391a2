//! Data sets, loaders and transforms of Zerokara.
