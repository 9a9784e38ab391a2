//! Chapter 2: perceptrons.
