//! Chapter 4: learning.

pub(super) mod gradient;
pub(super) mod loss;
pub(super) mod network_gradient;
pub(super) mod numerical_differentiation;
