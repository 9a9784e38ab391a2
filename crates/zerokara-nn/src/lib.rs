//! Layers, losses, optimizers and models of Zerokara.
