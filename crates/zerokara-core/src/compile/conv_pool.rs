//! A convolution whose output only a max pooling reads computes what the pooling gives, and never writes its own output
//! ([`ConvPoolStep`]).

use super::{
    fault::{Fault, planted},
    lower::Lowered,
};
use zerokara_kernels::{
    arithmetic::Arithmetic,
    conv::lines::pooled,
    isa::Isa,
    plan::{ConvPass, ConvPoolStep, ConvStep, OutputGradient, PoolStep, Pooling, Step, View},
};

/// The steps with those joined that meet in a value which nobody else reads.
pub(super) fn join(mut lowered: Lowered, isa: Isa) -> Lowered {
    let readers = lowered.readers();
    let mut gone = vec![false; lowered.steps.len()];
    for number in 0..lowered.steps.len() {
        let from = &lowered.steps[number];
        let (Step::Conv(conv), &[buffer]) = (&from.step, &from.writes[..]) else {
            continue;
        };
        let [reader] = readers[buffer][..] else {
            continue;
        };
        let to = &lowered.steps[reader];
        let Step::Pool(pool) = &to.step else {
            continue;
        };
        let packed = conv.packed.buffer;
        let packs = |step: &Step| matches!(step, Step::PackFilters(s) if s.packed.buffer == packed);
        let Some(packing) = (0..number).find(|&s| packs(&lowered.steps[s].step)) else {
            continue;
        };
        let Step::PackFilters(filters) = &lowered.steps[packing].step else {
            continue;
        };
        let alone = lowered.buffers[buffer].external.is_none()
            && readers[packed] == [number]
            && from.stays(&lowered.steps[number + 1..reader])
            && lowered.steps[packing].stays(&lowered.steps[packing + 1..reader]);
        if !alone || !fits(conv, pool, isa) {
            continue;
        }
        let mut step = ConvPoolStep {
            geometry: conv.geometry,
            pool: pool.geometry,
            source: conv.source.clone(),
            filters: filters.filters.clone(),
            output: pool.output.clone(),
            places: pool.places.clone(),
            epilogue: pool.epilogue.clone(),
        };
        if planted(Fault::ConvPoolSwapsFilterAxes) {
            step.filters.strides.swap(2, 3);
        }
        let reads = [&from.reads[..], &lowered.steps[packing].reads].concat();
        let node = from.node;
        if let Some(places) = &mut step.places {
            lay_places_as(&pool.output.strides.clone(), places, &mut lowered);
        }
        let own = &mut lowered.steps[reader];
        own.step = Step::ConvPool(step);
        own.node = node;
        own.reads.retain(|&b| b != buffer);
        own.reads.extend(reads.into_iter().filter(|&b| b != packed));
        for (step, buffer) in [(number, buffer), (packing, packed)] {
            gone[step] = true;
            lowered.buffers[buffer].len = 0;
        }
    }
    lowered.without(&gone)
}

/// Whether the pooling takes all that the convolution gives, and the two are quicker together.
fn fits(conv: &ConvStep, pool: &PoolStep, isa: Isa) -> bool {
    conv.pass == ConvPass::Forward
        && conv.arithmetic == Arithmetic::F32
        && conv.epilogue.is_none()
        && conv.statistics.is_none()
        && pool.pooling == Pooling::Max
        && pooled::pays(isa, &conv.geometry, &pool.geometry)
}

/// Lets the places lie as the output does, channel by channel, where all who read them can.
fn lay_places_as(strides: &[isize], places: &mut View, lowered: &mut Lowered) {
    let buffer = places.buffer;
    let mut readers: Vec<&mut View> = Vec::new();
    let mut all = true;
    for step in &mut lowered.steps {
        let reads = step.reads.contains(&buffer);
        match &mut step.step {
            Step::ConvWeightGradient(s) if reads => match &mut s.output_gradient {
                OutputGradient::Pooled(pooled) => readers.push(&mut pooled.places),
                OutputGradient::Stored(_) => all = false,
            },
            _ => all &= !reads,
        }
    }
    if all && places.is_dense_from(0) && is_dense(strides, &places.shape) {
        for view in readers.into_iter().chain([places]) {
            view.strides = strides.to_vec();
        }
    }
}

/// Whether these strides walk a dense value, in some order of the axes.
fn is_dense(strides: &[isize], shape: &[usize]) -> bool {
    let view = View {
        buffer: 0,
        offset: 0,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    };
    view.is_dense_from(0)
}
