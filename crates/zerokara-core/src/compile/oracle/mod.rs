//! What the compiler is held against: random graphs, a second back end of reference loops, and planted faults that these must find.

pub(crate) mod fault;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod reference;
