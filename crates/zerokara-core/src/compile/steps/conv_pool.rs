//! A convolution whose output only a max pooling reads computes what the pooling gives, and never writes its own output
//! ([`ConvPoolStep`]).

use super::draft::{Draft, Patch};
use crate::compile::{
    fault::{Fault, planted},
    lower::LoweredStep,
    rewriting::Rule,
};
use zerokara_kernels::{
    code::{Binary, Instruction},
    conv,
    isa::Isa,
    plan::{
        Arithmetic, ConvPass, ConvPoolStep, ConvStep, MapStep, OutputGradient, PoolStep, Pooling,
        Step, View,
    },
};

pub const POOLS: Rule<Draft> = Rule {
    name: "convolution-that-pools",
    says: "a convolution that only a max pooling reads pools what it computes",
    find: pool_what_is_computed,
};

pub const LAYS: Rule<Draft> = Rule {
    name: "places-as-the-output",
    says: "places lie as the pooled output does, where all who read them can",
    find: lay_places_as_the_output,
};

pub const MARKS: Rule<Draft> = Rule {
    name: "marked-windows",
    says: "windows that a rectifier sets to zero have no place, and its mask is no step of its own",
    find: mark_windows,
};

/// A convolution and the pooling that alone reads it, as one step.
fn pool_what_is_computed(draft: &Draft, number: usize) -> Option<Patch> {
    let from = draft.step(number);
    let (Step::Conv(conv), &[buffer]) = (&from.step, &from.writes[..]) else {
        return None;
    };
    let reader = draft.only_reader(buffer)?;
    let to = draft.step(reader);
    let Step::Pool(pool) = &to.step else {
        return None;
    };
    let packed = conv.packed.buffer;
    let packing = draft.only_writer(packed)?;
    let Step::PackFilters(filters) = &draft.step(packing).step else {
        return None;
    };
    let alone = draft.only_reader(packed) == Some(number)
        && draft.stays(number, reader)
        && draft.stays(packing, reader);
    if !alone || !fits(conv, pool, draft.isa) {
        return None;
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
    let joined = LoweredStep::new(Step::ConvPool(step), from.node)
        .computing([from.computes(), to.computes()].concat());
    Some(Patch {
        steps: vec![(reader, joined)],
        gone: vec![number, packing],
        emptied: vec![buffer, packed],
        ..Patch::default()
    })
}

/// Whether the pooling takes all that the convolution gives, and the two are quicker together.
fn fits(conv: &ConvStep, pool: &PoolStep, isa: Isa) -> bool {
    conv.pass == ConvPass::Forward
        && conv.arithmetic == Arithmetic::F32
        && conv.epilogue.is_none()
        && conv.statistics.is_none()
        && pool.pooling == Pooling::Max
        && conv::pools(isa, &conv.geometry, &pool.geometry)
}

/// What reads places: gradients of filters over windows, and nothing else.
fn gradients_over_windows(draft: &Draft, places: usize) -> Option<Vec<usize>> {
    let is_over_windows = |&reader: &usize| match &draft.step(reader).step {
        Step::ConvWeightGradient(s) => matches!(s.output_gradient, OutputGradient::Pooled(_)),
        _ => false,
    };
    let mut readers = draft.readers(places);
    let all: Vec<usize> = readers.by_ref().take_while(is_over_windows).collect();
    (all.len() == draft.readers(places).count()).then_some(all)
}

/// The places lie as the output does, channel by channel, where all who read them can.
fn lay_places_as_the_output(draft: &Draft, number: usize) -> Option<Patch> {
    let mut own = draft.step(number).clone();
    let Step::ConvPool(step) = &mut own.step else {
        return None;
    };
    let (output, places) = (&step.output, step.places.as_mut()?);
    let readers = gradients_over_windows(draft, places.buffer)?;
    let fits = places.is_dense_from(0) && output.is_dense_from(0);
    if !fits || places.strides == output.strides {
        return None;
    }
    places.strides.clone_from(&output.strides);
    let strides = output.strides.clone();
    let mut steps = vec![(number, own)];
    for reader in readers {
        let mut other = draft.step(reader).clone();
        if let Step::ConvWeightGradient(filters) = &mut other.step
            && let OutputGradient::Pooled(pooled) = &mut filters.output_gradient
        {
            pooled.places.strides.clone_from(&strides);
        }
        steps.push((reader, other));
    }
    Some(Patch {
        steps,
        ..Patch::default()
    })
}

/// Takes the mask of the rectifier from the steps that write the gradient of a pooling's result, if the pooling can tell which
/// windows no gradient goes through, and all who read that gradient look at this.
fn mark_windows(draft: &Draft, number: usize) -> Option<Patch> {
    let mut own = draft.step(number).clone();
    let Step::ConvPool(step) = &mut own.step else {
        return None;
    };
    let places = step.places.as_ref()?.buffer;
    if step.marks || !step.finish().is_some_and(|finish| finish.rectify) {
        return None;
    }
    let mut masks = Vec::new();
    for reader in gradients_over_windows(draft, places)? {
        let Step::ConvWeightGradient(filters) = &draft.step(reader).step else {
            return None;
        };
        let OutputGradient::Pooled(pooled) = &filters.output_gradient else {
            return None;
        };
        let gradient = pooled.gradient.buffer;
        let writer = draft.only_writer(gradient)?;
        let mut masking = draft.step(writer).clone();
        let Step::Gemm(product) = &mut masking.step else {
            return None;
        };
        let alone = draft.only_reader(gradient) == Some(reader)
            && (pooled.gradient.offset, &pooled.gradient.strides)
                == (step.output.offset, &step.output.strides)
            && product.statistics.is_none()
            && conv::windows_may_be_nowhere(draft.isa, &filters.geometry, &pooled.geometry);
        let masked = |map: &MapStep| is_mask(map, &product.c, &step.output);
        if !alone || !product.epilogue.as_ref().is_some_and(masked) {
            return None;
        }
        product.epilogue = None;
        masking.name_operands();
        masks.push((writer, masking));
    }
    if masks.is_empty() {
        return None;
    }
    step.marks = !planted(Fault::ConvPoolForgetsMarks);
    masks.push((number, own));
    Some(Patch {
        steps: masks,
        ..Patch::default()
    })
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
