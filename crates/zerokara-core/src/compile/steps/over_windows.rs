//! Where the gradient of a max pooling meets the gradient of a convolution's filters, the large value between them, which is
//! mostly zeros, is never written: the filters' gradient is summed over windows, each of which gives its gradient to one
//! position ([`PooledGradient`]). The gradient of the bias, the sum of the same numbers, is taken along.

use super::draft::{Draft, Patch};
use crate::compile::{
    fault::{Fault, planted},
    lower::LoweredStep,
    rewriting::Rule,
};
use zerokara_kernels::{
    code::Instruction,
    conv,
    plan::{
        ConvWeightGradientStep, OutputGradient, PooledGradient, ReduceStep, Reduction, Step, View,
    },
};

pub const WINDOWS: Rule<Draft> = Rule {
    name: "filters-over-windows",
    says: "the gradient of filters is summed over the windows of a pooling, and its gradient is never spread",
    find: sum_over_windows,
};

pub const TOTALS: Rule<Draft> = Rule {
    name: "totals-of-windows",
    says: "who sums filters' gradients over windows also sums the bias' gradient",
    find: take_totals,
};

/// The gradient of a convolution's filters, as a sum over the windows of its output's pooling.
fn sum_over_windows(draft: &Draft, number: usize) -> Option<Patch> {
    let from = draft.step(number);
    let (Step::PoolGradient(pool), &[buffer]) = (&from.step, &from.writes[..]) else {
        return None;
    };
    let reader = draft.only_reader(buffer)?;
    let to = draft.step(reader);
    let Step::ConvWeightGradient(filters) = &to.step else {
        return None;
    };
    let places = pool.places.clone()?;
    let reads = |view: &OutputGradient| matches!(view, OutputGradient::Stored(view) if view.buffer == buffer);
    let fits = pool.epilogue.is_none()
        && reads(&filters.output_gradient)
        && conv::sums_over_windows(draft.isa, &filters.geometry, &pool.geometry);
    if !fits || !draft.stays(number, reader) {
        return None;
    }
    let mut filters = filters.clone();
    let mut gradient = pool.output_gradient.clone();
    if planted(Fault::WindowsSwapAxes) {
        gradient.strides.swap(1, 2);
    }
    filters.output_gradient = OutputGradient::Pooled(Box::new(PooledGradient {
        geometry: pool.geometry,
        gradient,
        places,
        totals: None,
    }));
    Some(Patch {
        steps: vec![(reader, to.with(Step::ConvWeightGradient(filters)))],
        gone: vec![number],
        emptied: vec![buffer],
        ..Patch::default()
    })
}

/// Lets a gradient of filters sum up the gradient that it reads, for the step behind it that computes the bias' gradient,
/// if that is what two reductions do: over the batch, then over the windows of an image. The first is left over.
fn take_totals(draft: &Draft, filters: usize) -> Option<Patch> {
    let Step::ConvWeightGradient(ConvWeightGradientStep {
        geometry,
        output_gradient: OutputGradient::Pooled(pooled),
        ..
    }) = &draft.step(filters).step
    else {
        return None;
    };
    if pooled.totals.is_some() {
        return None;
    }
    let gradient = pooled.gradient.clone();
    let shape = [conv::partials(geometry), geometry.out_channels];
    let is_first = |&step: &usize| {
        plain_sum(draft.step(step)).is_some_and(|sum| is_over_batch(sum, &gradient))
    };
    let first = draft.readers(gradient.buffer).find(is_first)?;
    let images = plain_sum(draft.step(first))?;
    let between = images.outputs[0].clone();
    let second = draft.only_reader(between.buffer)?;
    let windows = plain_sum(draft.step(second))?;
    // The channels are what the first leaves of the gradient's last axis, and the second of that.
    let channels = stride_of(images, &gradient, 3)?;
    let kept = windows.reduced.iter().position(|reduced| !reduced)?;
    let [input] = &windows.inputs[..] else {
        return None;
    };
    let fits = second > filters
        && input.buffer == between.buffer
        && input.offset == between.offset
        && windows.reduced.iter().filter(|reduced| !**reduced).count() == 1
        && windows.shape[kept] == geometry.out_channels
        && is_whole(input, draft.buffer(between.buffer).len)
        && input.strides[kept] == channels;
    if !fits {
        return None;
    }
    let mut sum = windows.clone();
    let buffer = draft.next_buffer();
    let totals = View {
        buffer,
        offset: 0,
        shape: shape.to_vec(),
        strides: vec![shape[1] as isize, 1],
    };
    for output in &mut sum.outputs {
        output.strides = vec![0, output.strides[kept]];
        output.shape = shape.to_vec();
    }
    sum.shape = shape.to_vec();
    sum.reduced = vec![true, false];
    sum.inputs = vec![totals.clone()];
    let last = draft.step(second).with(Step::Reduce(sum));
    let mut host = draft.step(filters).clone();
    if let Step::ConvWeightGradient(step) = &mut host.step
        && let OutputGradient::Pooled(pooled) = &mut step.output_gradient
    {
        pooled.totals = Some(totals);
    }
    host.name_operands();
    Some(Patch {
        steps: vec![(filters, host), (second, last)],
        gone: vec![first],
        buffers: vec![shape[0] * shape[1]],
        emptied: vec![between.buffer],
    })
}

/// A step that only sums up numbers as they are.
fn plain_sum(step: &LoweredStep) -> Option<&ReduceStep> {
    let Step::Reduce(sum) = &step.step else {
        return None;
    };
    let plain = matches!(sum.code.instructions[..], [Instruction::Load(0)])
        && sum.code.results == [0]
        && matches!(sum.reductions[..], [Reduction::Sum]);
    plain.then_some(sum)
}

/// Whether a view walks each of so many neighbours once.
fn is_whole(view: &View, len: usize) -> bool {
    let all: usize = view.shape.iter().product();
    view.offset == 0 && all == len && view.is_dense_from(0)
}

/// Whether a sum is over the batch alone of a value `[N, Y, X, C]`, and all that is done.
fn is_over_batch(sum: &ReduceStep, value: &View) -> bool {
    let [input] = &sum.inputs[..] else {
        return false;
    };
    let batch = axis_of(sum, value, 0);
    sum.epilogue.is_none()
        && (input.buffer, input.offset) == (value.buffer, value.offset)
        && (0..4).all(|axis| axis_of(sum, value, axis).is_some())
        && (0..sum.shape.len()).all(|axis| sum.reduced[axis] == (Some(axis) == batch))
}

/// The axis along which a sum walks this axis of a value, if there is no doubt.
fn axis_of(sum: &ReduceStep, value: &View, axis: usize) -> Option<usize> {
    let walks = |&own: &usize| {
        (sum.shape[own], sum.inputs[0].strides[own]) == (value.shape[axis], value.strides[axis])
    };
    let mut axes = (0..sum.shape.len()).filter(walks);
    axes.next().filter(|_| axes.next().is_none())
}

/// The distance in what a sum gives between neighbours along an axis of the value that it sums.
fn stride_of(sum: &ReduceStep, value: &View, axis: usize) -> Option<isize> {
    Some(sum.outputs[0].strides[axis_of(sum, value, axis)?])
}
