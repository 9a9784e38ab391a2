//! Tensors, gradients, compiler and interpreter of Zerokara.
