//! Rules on steps: steps that hand on values which nobody else reads become one.

mod conv_pool;
mod copies;
mod depthwise;
mod draft;
mod over_windows;
mod slices;

use super::{
    Sizes,
    lower::Lowered,
    rewriting::{Count, Rule, rewrite},
};
use crate::Result;
use draft::Draft;
use zerokara_kernels::isa::Isa;

const RULES: &[Rule<Draft>] = &[
    over_windows::WINDOWS,
    over_windows::TOTALS,
    conv_pool::POOLS,
    conv_pool::LAYS,
    conv_pool::MARKS,
    depthwise::FINISHES,
    copies::GOES,
];

/// The steps that compute the same with less traffic.
///
/// # Errors
/// If what a rule puts in the place of steps does not hold.
pub(super) fn join(lowered: Lowered, isa: Isa, sizes: Sizes, count: &mut Count) -> Result<Lowered> {
    let mut draft = Draft::of(lowered, isa);
    rewrite(&mut draft, RULES, count)?;
    Ok(slices::chain(draft.finish(), isa, sizes, count))
}

/// Name and meaning of each rule.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rules = RULES.iter().map(|rule| (rule.name, rule.says));
    rules.chain([(slices::NAME, slices::SAYS)])
}
