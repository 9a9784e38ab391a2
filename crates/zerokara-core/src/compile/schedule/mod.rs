//! The logical plan: what is computed, what of it together, and in which order.
//!
//! Here ends what is the same for every device. A [`Logical`] plan speaks of nodes, views and groups; it says nothing of layouts,
//! packing, instruction sets and machine code, which a back end adds: `lower/` for this CPU, `oracle/reference.rs` for the
//! reference loops.

pub mod fusion;
mod recompute;
mod times;

use super::Request;
use crate::{Result, graph::Graph};
use fusion::Schedule;

/// What a back end is given.
pub struct Logical {
    pub graph: Graph,
    pub request: Request,
    pub schedule: Schedule,
    /// For each node the one of the graph as it was asked for.
    pub origin: Vec<usize>,
}

impl Logical {
    /// The plan of a graph to which the rules have been applied.
    ///
    /// # Errors
    /// If no order is found for its operations.
    pub fn of(graph: Graph, mut request: Request) -> Result<Self> {
        let (graph, origin) = recompute::recompute(graph, &mut request);
        let schedule = fusion::schedule(&graph, &request)?;
        Ok(Self {
            graph,
            request,
            schedule,
            origin,
        })
    }
}
