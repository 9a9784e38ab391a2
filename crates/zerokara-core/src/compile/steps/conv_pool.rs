//! A convolution whose output only a max pooling reads computes what the pooling gives, and never writes its own output
//! ([`ConvPoolStep`]).

use crate::compile::{
    fault::{Fault, planted},
    lower::{Lowered, LoweredStep},
};
use zerokara_kernels::{
    arithmetic::Arithmetic,
    conv::{self, lines::pooled},
    isa::Isa,
    map::{Binary, Instruction},
    plan::{
        ConvPass, ConvPoolStep, ConvStep, MapStep, OutputGradient, PoolStep, Pooling, Step, View,
    },
};

/// The steps with those joined that meet in a value which nobody else reads.
pub(in crate::compile) fn join(mut lowered: Lowered, isa: Isa) -> Lowered {
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
            added: pool.added.clone(),
            marks: false,
            epilogue: pool.epilogue.clone(),
        };
        if planted(Fault::ConvPoolSwapsFilterAxes) {
            step.filters.strides.swap(2, 3);
        }
        let reads = [&from.reads[..], &lowered.steps[packing].reads].concat();
        let (node, mut all) = (from.node, from.computes());
        if let Some(places) = &mut step.places {
            lay_places_as(&step.output, places, &mut lowered);
        }
        step.marks = mark_windows(&step, &mut lowered, isa);
        let own = &mut lowered.steps[reader];
        own.step = Step::ConvPool(step);
        all.extend(own.computes());
        (own.node, own.all) = (node, all);
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
fn lay_places_as(output: &View, places: &mut View, lowered: &mut Lowered) {
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
    if all && places.is_dense_from(0) && output.is_dense_from(0) {
        for view in readers.into_iter().chain([places]) {
            view.strides.clone_from(&output.strides);
        }
    }
}

/// Takes the mask of the rectifier from the steps that write the gradient of a pooling's result, if the pooling can tell which
/// windows no gradient goes through, and all who read that gradient look at this.
fn mark_windows(step: &ConvPoolStep, lowered: &mut Lowered, isa: Isa) -> bool {
    let (Some(places), true) = (
        step.places.as_ref().map(|view| view.buffer),
        step.finish().is_some_and(|finish| finish.rectify),
    ) else {
        return false;
    };
    let readers = lowered.readers();
    let mut masks = Vec::new();
    for &reader in &readers[places] {
        let Step::ConvWeightGradient(filters) = &lowered.steps[reader].step else {
            return false;
        };
        let OutputGradient::Pooled(pooled) = &filters.output_gradient else {
            return false;
        };
        let gradient = pooled.gradient.buffer;
        let writes = |step: &LoweredStep| step.writes.contains(&gradient);
        let mut writers = (0..lowered.steps.len()).filter(|&s| writes(&lowered.steps[s]));
        let (Some(writer), None) = (writers.next(), writers.next()) else {
            return false;
        };
        let Step::Gemm(product) = &lowered.steps[writer].step else {
            return false;
        };
        let alone = lowered.buffers[gradient].external.is_none()
            && readers[gradient] == [reader]
            && (pooled.gradient.offset, &pooled.gradient.strides)
                == (step.output.offset, &step.output.strides)
            && product.statistics.is_none()
            && conv::windows::may_be_nowhere(isa, &filters.geometry, &pooled.geometry);
        let masked = |map: &MapStep| is_mask(map, &product.c, &step.output);
        if !alone || !product.epilogue.as_ref().is_some_and(masked) {
            return false;
        }
        masks.push(writer);
    }
    for &writer in &masks {
        let step = &mut lowered.steps[writer];
        if let Step::Gemm(product) = &mut step.step {
            product.epilogue = None;
            let (a, b) = (product.a.buffer, product.b.view().buffer);
            step.reads.retain(|&read| read == a || read == b);
        }
    }
    !planted(Fault::ConvPoolForgetsMarks) && !masks.is_empty()
}

/// Whether elementwise code on `target` is `if result > 0 { target } else { 0 }`, where `result` lies as `target` does.
fn is_mask(map: &MapStep, target: &View, result: &View) -> bool {
    let at = |value: usize| map.code.instructions.get(value);
    let zero = |value: usize| at(value) == Some(&Instruction::Constant(0.0));
    let loaded = |value: usize| match at(value) {
        Some(&Instruction::Load(i)) => map.inputs.get(i),
        _ => None,
    };
    let &[result_of_code] = &map.code.results[..] else {
        return false;
    };
    let Some(&Instruction::Select { condition, yes, no }) = at(result_of_code) else {
        return false;
    };
    let compared = match at(condition) {
        Some(&Instruction::Binary(Binary::Greater, x, y)) if zero(y) => loaded(x),
        Some(&Instruction::Binary(Binary::Less, x, y)) if zero(x) => loaded(y),
        _ => None,
    };
    let (Some(compared), Some(own), [written]) = (compared, loaded(yes), &map.outputs[..]) else {
        return false;
    };
    zero(no)
        && own == written
        && (own.buffer, own.offset) == (target.buffer, target.offset)
        && (compared.buffer, compared.offset) == (result.buffer, result.offset)
        && compared.strides == own.strides
        && compared.is_dense_from(0)
}
