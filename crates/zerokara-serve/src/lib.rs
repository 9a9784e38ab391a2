//! Answers of Zerokara's models over HTTP, and the board of runs.
//!
//! A [`Server`] loads models, listens on an address, and answers JSON, pictures and rows of tables with what the models say
//! of them. Requests that come at the same time are computed together. `GET /openapi.json` describes all of it, `GET /` is a
//! page on which models can be tried.
//!
//! The way of a request: `guard` (who may ask), `body` (how much, for how long), `takes` (from JSON, pictures or rows to
//! inputs), `queue` (samples wait for others), `served` (a thread takes a batch and computes it), `answer` (from outputs to
//! JSON). Whatever is refused is refused with a status and a sentence (`refusal`).
//!
//! A [`Board`] shows the runs of a folder on a page, as they are trained (`board/`).

mod answer;
mod batch;
mod board;
mod body;
mod described;
mod given;
mod guard;
mod listening;
mod loaded;
mod metrics;
mod openapi;
mod options;
mod page;
mod queue;
mod refusal;
mod routes;
mod served;
mod server;
mod stream;
mod takes;
mod watch;

pub use board::{Board, BoardOptions};
pub use listening::{Ending, Stopper};
pub use options::{MOST_IN_A_BATCH, Options, new_token};
pub use served::Source;
pub use server::Server;
pub use watch::Change;
