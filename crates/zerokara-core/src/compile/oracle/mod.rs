//! What the compiler is held against: planted faults, and random graphs that must find them.

pub(crate) mod fault;
#[cfg(test)]
mod fuzz;
