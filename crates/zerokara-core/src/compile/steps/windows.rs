//! Where the gradient of a max pooling meets the gradient of a convolution's filters, the large value between them, which is
//! mostly zeros, is never written: the filters' gradient is summed over windows, each of which gives its gradient to one
//! position ([`PooledGradient`]). The gradient of the bias, the sum of the same numbers, is taken along.

use crate::compile::{
    fault::{Fault, planted},
    lower::{Lowered, LoweredBuffer, LoweredStep},
};
use zerokara_kernels::{
    conv,
    isa::Isa,
    map::Instruction,
    plan::{
        ConvWeightGradientStep, Element, OutputGradient, PooledGradient, ReduceStep, Reduction,
        Step, View,
    },
};

/// The steps with those joined that meet in a value which nobody else reads.
pub(in crate::compile) fn join(mut lowered: Lowered, isa: Isa) -> Lowered {
    let readers = lowered.readers();
    let mut joined = vec![false; lowered.steps.len()];
    for writer in 0..lowered.steps.len() {
        let (before, after) = lowered.steps.split_at_mut(writer + 1);
        let from = &before[writer];
        if !matches!(from.step, Step::PoolGradient(_)) {
            continue;
        }
        let &[buffer] = &from.writes[..] else {
            continue;
        };
        let [reader] = readers[buffer][..] else {
            continue;
        };
        let Some((to, between)) = after
            .get_mut(..reader.saturating_sub(writer))
            .and_then(<[_]>::split_last_mut)
        else {
            continue;
        };
        let held = &mut lowered.buffers[buffer];
        if held.external.is_some() || !from.stays(between) {
            continue;
        }
        if let Some(step) = sum_over_windows(&from.step, &to.step, isa) {
            to.step = step;
            to.reads.retain(|&b| b != buffer);
            to.reads.extend(&from.reads);
            held.len = 0;
            joined[writer] = true;
            if let Some(first) = take_totals(&mut lowered, reader) {
                joined[first] = true;
            }
        }
    }
    lowered.without(&joined)
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
    filters.output_gradient = OutputGradient::Pooled(Box::new(PooledGradient {
        geometry: pool.geometry,
        gradient,
        places,
        totals: None,
    }));
    Some(Step::ConvWeightGradient(filters))
}

/// Lets a gradient of filters sum up the gradient that it reads, for the step behind it that computes the bias' gradient,
/// if that is what two reductions do: over the batch, then over the windows of an image. The first is left over, whose
/// number this gives.
fn take_totals(lowered: &mut Lowered, filters: usize) -> Option<usize> {
    let Step::ConvWeightGradient(ConvWeightGradientStep {
        geometry,
        output_gradient: OutputGradient::Pooled(pooled),
        ..
    }) = &lowered.steps[filters].step
    else {
        return None;
    };
    let gradient = pooled.gradient.clone();
    let shape = [conv::partials(geometry), geometry.out_channels];
    let (first, images) = lowered.steps.iter().enumerate().find_map(|(at, step)| {
        plain_sum(step)
            .filter(|sum| is_over_batch(sum, &gradient))
            .map(|sum| (at, sum))
    })?;
    let between = images.outputs[0].clone();
    let mut readers = lowered.steps.iter().enumerate();
    let second = readers
        .find(|(_, step)| step.reads.contains(&between.buffer))?
        .0;
    let alone = readers.all(|(_, step)| !step.reads.contains(&between.buffer))
        && lowered.buffers[between.buffer].external.is_none();
    let windows = plain_sum(&lowered.steps[second])?;
    // The channels are what the first leaves of the gradient's last axis, and the second of that.
    let channels = stride_of(images, &gradient, 3)?;
    let kept = windows.reduced.iter().position(|reduced| !reduced)?;
    let [input] = &windows.inputs[..] else {
        return None;
    };
    let fits = alone
        && second > filters
        && input.buffer == between.buffer
        && input.offset == between.offset
        && windows.reduced.iter().filter(|reduced| !**reduced).count() == 1
        && windows.shape[kept] == geometry.out_channels
        && is_whole(input, lowered.buffers[between.buffer].len)
        && input.strides[kept] == channels;
    if !fits {
        return None;
    }
    let mut sum = windows.clone();
    let buffer = lowered.buffers.len();
    lowered.buffers.push(LoweredBuffer {
        element: Element::F32,
        len: shape[0] * shape[1],
        external: None,
        local: None,
    });
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
    let last = &mut lowered.steps[second];
    last.step = Step::Reduce(sum);
    last.reads.retain(|&b| b != between.buffer);
    last.reads.push(buffer);
    lowered.buffers[between.buffer].len = 0;
    let host = &mut lowered.steps[filters];
    host.writes.push(buffer);
    if let Step::ConvWeightGradient(step) = &mut host.step
        && let OutputGradient::Pooled(pooled) = &mut step.output_gradient
    {
        pooled.totals = Some(totals);
    }
    Some(first)
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
