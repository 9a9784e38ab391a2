//! What Zerokara draws: plots, bars, parallel coordinates, heatmaps, pictures of pixels and computational graphs, all as SVG.
//!
//! A [`Figure`] is one picture. Its colours are variables of a style sheet ([`STYLE`]), so that the page which shows it
//! decides between light and dark; [`Figure::file`] is the same picture as a file of its own, which follows the theme of
//! whoever looks at it. The palette is Okabe and Ito's, whose colours can be told apart by colour-blind readers too; pages
//! take theirs from the same variables.

pub mod axis;
mod bars;
mod figure;
#[cfg(feature = "graphs")]
mod graph;
mod heatmap;
pub mod html;
mod matrices;
pub mod numbers;
mod parallel;
mod picture;
#[cfg(feature = "plots")]
mod plot;
mod style;
mod tiles;

pub use bars::Bars;
pub use figure::Figure;
#[cfg(feature = "graphs")]
pub use graph::{Detail, Direction, GraphDrawing};
pub use heatmap::Heatmap;
pub use matrices::Matrices;
pub use parallel::Parallel;
pub use picture::Picture;
#[cfg(feature = "plots")]
pub use plot::Plot;
pub use style::{STYLE, color};
pub use tiles::Tiles;

/// A script for pages that show [`Plot`]s: `tellValues(element)` lets the curves in an element with `data-x` tell their values
/// to who points at them, or goes along them by arrow keys; `svg(name, attributes, ...children)` makes an element of SVG.
pub const SCRIPT: &str = include_str!("script.js");
