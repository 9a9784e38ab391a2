//! Where the gradient of a max pooling meets the gradient of a convolution's filters, the large value between them, which is
//! mostly zeros, is never written: the filters' gradient is summed over windows, each of which gives its gradient to one
//! position ([`PooledGradient`]).

use super::{
    fault::{Fault, planted},
    lower::{Lowered, LoweredStep},
};
use std::collections::BTreeMap;
use zerokara_kernels::{
    conv,
    isa::Isa,
    plan::{OutputGradient, PooledGradient, Step},
};

/// The steps with those joined that meet in a value which nobody else reads.
pub(super) fn join(mut lowered: Lowered, isa: Isa) -> Lowered {
    let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, step) in lowered.steps.iter().enumerate() {
        for &b in &step.reads {
            readers.entry(b).or_default().push(number);
        }
    }
    let mut joined = vec![false; lowered.steps.len()];
    for writer in 0..lowered.steps.len() {
        let (before, after) = lowered.steps.split_at_mut(writer + 1);
        let from = &before[writer];
        let &[buffer] = &from.writes[..] else {
            continue;
        };
        let Some(&[reader]) = readers.get(&buffer).map(Vec::as_slice) else {
            continue;
        };
        let Some((to, between)) = after
            .get_mut(..reader.saturating_sub(writer))
            .and_then(<[_]>::split_last_mut)
        else {
            continue;
        };
        let held = &mut lowered.buffers[buffer];
        if held.external.is_some() || !stays(from, between) {
            continue;
        }
        if let Some(step) = sum_over_windows(&from.step, &to.step, isa) {
            to.step = step;
            to.reads.retain(|&b| b != buffer);
            to.reads.extend(&from.reads);
            held.len = 0;
            joined[writer] = true;
        }
    }
    let mut joined = joined.into_iter();
    lowered.steps.retain(|_| joined.next() != Some(true));
    lowered
}

/// Whether what a step reads is still there after these steps.
fn stays(step: &LoweredStep, then: &[LoweredStep]) -> bool {
    let mut written = then.iter().flat_map(|s| &s.writes);
    written.all(|b| !step.reads.contains(b))
}

/// The gradient of a convolution's filters, as a sum over the windows of its output's pooling.
fn sum_over_windows(from: &Step, to: &Step, isa: Isa) -> Option<Step> {
    let (Step::PoolGradient(pool), Step::ConvWeightGradient(filters)) = (from, to) else {
        return None;
    };
    let places = pool.places.clone()?;
    let reads = |view: &OutputGradient| matches!(view, OutputGradient::Stored(view) if view.buffer == pool.input_gradient.buffer);
    let fits = pool.epilogue.is_none()
        && reads(&filters.output_gradient)
        && conv::windows::pay(isa, &filters.geometry, &pool.geometry);
    if !fits {
        return None;
    }
    let mut filters = filters.clone();
    let mut gradient = pool.output_gradient.clone();
    if planted(Fault::WindowsSwapAxes) {
        gradient.strides.swap(1, 2);
    }
    filters.output_gradient = OutputGradient::Pooled(PooledGradient {
        geometry: pool.geometry,
        gradient,
        places,
    });
    Some(Step::ConvWeightGradient(filters))
}
