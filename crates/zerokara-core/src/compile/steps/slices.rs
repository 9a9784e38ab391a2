//! Depth first: steps that hand large values to one another are cut into slices of the batch, and each slice goes through
//! all of them in one thread's cache ([`ChainStep`]). A value that nobody else reads is then never written to memory.
//!
//! Only values that would be large against the cache are worth it, and only steps that read and write image by image can
//! take part: convolutions, pooling, elementwise steps, and sums over the batch, which become sums per slice and a sum of
//! these. The order of all sums depends on shapes alone.

use crate::compile::{
    Sizes,
    fault::{Fault, planted},
    lower::{Lowered, LoweredBuffer, LoweredStep, sum_over_first},
    rewriting::Count,
};
use std::collections::{BTreeMap, BTreeSet};
use zerokara_kernels::{
    conv,
    isa::Isa,
    plan::{
        ChainStep, ConvGeometry, ConvWeightGradientStep, Element, OutputGradient, ReduceStep,
        Reduction, Step, View, Walks,
    },
};

/// Numbers that a slice may sum up for itself: they are written, and read again, once for each slice.
const LARGEST_SUM: usize = 4096;

/// What is said of a chain where replacements are counted.
pub const NAME: &str = "chain-of-slices";
pub const SAYS: &str =
    "steps that work image by image take each slice of the batch through all of them";

/// The plan's steps with chains in place of what can be taken slice by slice. Which steps form a chain is told by all of them,
/// so that this is no pattern around one; but each chain is counted as a replacement.
pub fn chain(mut lowered: Lowered, isa: Isa, sizes: Sizes, count: &mut Count) -> Lowered {
    for mut group in groups(&lowered, isa, sizes) {
        if !count.allows(NAME, SAYS, || format!("steps {:?}", group.members)) {
            break;
        }
        // Earlier chains have moved the steps.
        let touches = |step: &LoweredStep| {
            let mut all = step.reads.iter().chain(&step.writes);
            all.any(|b| group.local.contains(b))
        };
        group.members = (0..lowered.steps.len())
            .filter(|&s| touches(&lowered.steps[s]))
            .collect();
        lowered = with_chain(lowered, &group);
    }
    lowered
}

/// Steps that become one chain.
struct Group {
    /// The members, by number, in order.
    members: BTreeSet<usize>,
    /// What they hand on to one another, and nobody else reads.
    local: BTreeSet<usize>,
    /// Images in the batch.
    batch: usize,
    /// Images in a slice.
    images: usize,
}

/// Images that a step works on one by one.
fn batch_of(step: &Step) -> Option<usize> {
    match step {
        Step::Conv(s) => Some(s.geometry.batch),
        Step::Pool(s) => Some(s.geometry.batch),
        Step::PoolGradient(s) => Some(s.geometry.batch),
        _ => None,
    }
}

fn groups(lowered: &Lowered, isa: Isa, sizes: Sizes) -> Vec<Group> {
    let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut writers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, step) in lowered.steps.iter().enumerate() {
        let reads: BTreeSet<usize> = step.reads.iter().copied().collect();
        let writes: BTreeSet<usize> = step.writes.iter().copied().collect();
        for b in reads {
            readers.entry(b).or_default().push(number);
        }
        for b in writes {
            writers.entry(b).or_default().push(number);
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for (number, step) in lowered.steps.iter().enumerate() {
        let Some(batch) = batch_of(&step.step) else {
            continue;
        };
        let private = |b: &&usize| {
            let buffer: &LoweredBuffer = &lowered.buffers[**b];
            let readers = readers.get(*b).map_or(&[][..], Vec::as_slice);
            buffer.external.is_none()
                && buffer.len * buffer.element.size() >= sizes.large_value
                && buffer.len.is_multiple_of(batch.max(1))
                && writers[*b] == [number]
                && !readers.is_empty()
                && readers.iter().all(|r| *r > number)
        };
        let local: BTreeSet<usize> = step.writes.iter().filter(private).copied().collect();
        for b in local {
            let mut group = Group {
                members: readers[&b].iter().copied().chain([number]).collect(),
                local: [b].into(),
                batch,
                images: 0,
            };
            // Joined to those that share a member.
            let (mut shared, apart): (Vec<Group>, Vec<Group>) = groups
                .into_iter()
                .partition(|g| !g.members.is_disjoint(&group.members));
            groups = apart;
            if shared.iter().all(|g| g.batch == batch) {
                for other in &shared {
                    group.members.extend(&other.members);
                    group.local.extend(&other.local);
                }
                if let Some(images) = images_in_slice(lowered, &group, isa, sizes) {
                    groups.push(Group { images, ..group });
                    continue;
                }
            }
            groups.append(&mut shared);
        }
    }
    groups
}

/// Images in a slice of the group, if it can be cut at all.
fn images_in_slice(lowered: &Lowered, group: &Group, isa: Isa, sizes: Sizes) -> Option<usize> {
    let bytes: usize = group
        .local
        .iter()
        .map(|&b| lowered.buffers[b].len * lowered.buffers[b].element.size() / group.batch.max(1))
        .sum();
    let images = (sizes.slice / bytes.max(1)).max(1);
    if group.batch.div_ceil(images) < sizes.least_slices {
        return None;
    }
    let sliceable = |&m: &usize| is_sliceable(lowered, m, group.batch, images, isa);
    let fits = group.members.iter().all(sliceable) && walks_images(lowered, group);
    (fits && split(lowered, group).is_some()).then_some(images)
}

/// Whether what the members hand to one another is read and written image by image, in the same order (not backwards,
/// shifted or interleaved), and none reads a sum over the batch that another makes.
fn walks_images(lowered: &Lowered, group: &Group) -> bool {
    let steps = || group.members.iter().map(|&m| &lowered.steps[m]);
    let is_sum =
        |step: &LoweredStep| matches!(step.step, Step::Reduce(_) | Step::ConvWeightGradient(_));
    let (sums, others): (Vec<_>, Vec<_>) = steps().partition(|step| is_sum(step));
    let written = |steps: &[&LoweredStep]| -> BTreeSet<usize> {
        steps
            .iter()
            .flat_map(|step| &step.writes)
            .copied()
            .collect()
    };
    let (summed, written) = (written(&sums), written(&others));
    if steps().any(|step| step.reads.iter().any(|b| summed.contains(b))) {
        return false;
    }
    let inside = |view: &View| {
        let (Some(&length), Some(&stride)) = (view.shape.first(), view.strides.first()) else {
            return false;
        };
        let rows = (length / group.batch) as isize;
        let (mut first, mut last) = (view.offset as isize, view.offset as isize);
        for (axis, (&length, &stride)) in view.shape.iter().zip(&view.strides).enumerate() {
            let length = if axis == 0 { rows } else { length as isize };
            let reach = (length - 1) * stride;
            first += reach.min(0);
            last += reach.max(0);
        }
        let len = lowered.buffers[view.buffer].len;
        let image = (len / group.batch) as isize;
        length.is_multiple_of(group.batch)
            && len.is_multiple_of(group.batch)
            && stride * rows == image
            && first >= 0
            && last < image
    };
    steps().all(|step| {
        let operands = step.step.operands();
        let mut views = operands.iter().map(|operand| operand.view);
        views.all(|view| !written.contains(&view.buffer) || inside(view))
    })
}

fn is_sliceable(lowered: &Lowered, number: usize, batch: usize, images: usize, isa: Isa) -> bool {
    let step = &lowered.steps[number].step;
    // Code runs over a whole number of rows for each image.
    let code = match step {
        Step::Map(s) => Some(&s.shape),
        Step::Reduce(s) => Some(&s.shape),
        _ => step.epilogue().map(|map| &map.shape),
    };
    let whole = |shape: &Vec<usize>| {
        let rows = shape.first();
        rows.is_some_and(|n| *n > 0 && n.is_multiple_of(batch))
    };
    if batch == 0 || !code.is_none_or(whole) || step.statistics().is_some() {
        return false;
    }
    match step {
        Step::Conv(s) => {
            // The filters were packed for the whole batch.
            let same = |images: usize| {
                let slice = ConvGeometry {
                    batch: images,
                    ..s.geometry
                };
                conv::packed_len(isa, &slice, s.pass) == conv::packed_len(isa, &s.geometry, s.pass)
            };
            s.geometry.batch == batch && same(images) && same((batch - 1) % images + 1)
        }
        Step::Pool(s) => s.geometry.batch == batch,
        Step::PoolGradient(s) => s.geometry.batch == batch,
        Step::ConvWeightGradient(s) => {
            let totals = match &s.output_gradient {
                OutputGradient::Stored(_) => None,
                OutputGradient::Pooled(pooled) => pooled.totals.as_ref(),
            };
            s.geometry.batch == batch
                && totals.is_none()
                && s.partials.shape[1..].iter().product::<usize>() <= LARGEST_SUM
                && sum_of_partials(lowered, s.partials.buffer).is_some()
        }
        Step::Reduce(s) => {
            let kept = s.shape.iter().zip(&s.reduced).filter(|(_, r)| !**r);
            s.reduced.first() == Some(&true)
                && s.epilogue.is_none()
                && s.reductions == [Reduction::Sum]
                && kept.map(|(n, _)| n).product::<usize>() <= LARGEST_SUM
        }
        Step::Map(_) => true,
        _ => false,
    }
}

/// The step that sums partial gradients, if one does, and it alone reads them.
fn sum_of_partials(lowered: &Lowered, buffer: usize) -> Option<usize> {
    let mut readers =
        (0..lowered.steps.len()).filter(|&s| lowered.steps[s].reads.contains(&buffer));
    let (reader, None) = (readers.next()?, readers.next()) else {
        return None;
    };
    match &lowered.steps[reader].step {
        Step::Reduce(s)
            if s.inputs.len() == 1
                && s.inputs[0].buffer == buffer
                && s.inputs[0].offset == 0
                && s.reduced.first() == Some(&true) =>
        {
            Some(reader)
        }
        _ => None,
    }
}

/// The other steps between the group's first and last: those that run before the chain, and those after. None if one of
/// them stands between two members.
fn split(lowered: &Lowered, group: &Group) -> Option<(Vec<usize>, Vec<usize>)> {
    let (first, last) = (*group.members.first()?, *group.members.last()?);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    // What the members and those after them have read and written so far.
    let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
    let mut written_after = BTreeSet::new();
    let mut read_after = BTreeSet::new();
    for number in first..=last {
        let step = &lowered.steps[number];
        let touches = |read: &BTreeSet<usize>, written: &BTreeSet<usize>| {
            step.reads.iter().any(|b| written.contains(b))
                || step
                    .writes
                    .iter()
                    .any(|b| written.contains(b) || read.contains(b))
        };
        if group.members.contains(&number) {
            if touches(&read_after, &written_after) {
                return None;
            }
            read.extend(&step.reads);
            written.extend(&step.writes);
        } else if touches(&read, &written) || touches(&read_after, &written_after) {
            read_after.extend(&step.reads);
            written_after.extend(&step.writes);
            after.push(number);
        } else {
            before.push(number);
        }
    }
    Some((before, after))
}

/// A run of images.
#[derive(Clone, Copy)]
struct Slice {
    number: usize,
    first: usize,
    images: usize,
    /// Images in every slice but perhaps the last.
    most: usize,
    batch: usize,
}

fn with_chain(mut lowered: Lowered, group: &Group) -> Lowered {
    let (Some((before, after)), Some(&first), Some(&last)) = (
        split(&lowered, group),
        group.members.first(),
        group.members.last(),
    ) else {
        return lowered;
    };
    let slices: Vec<Slice> = (0..group.batch)
        .step_by(group.images)
        .enumerate()
        .map(|(number, first)| Slice {
            number,
            first,
            images: group.images.min(group.batch - first),
            most: group.images,
            batch: group.batch,
        })
        .collect();
    let mut offset = 0;
    for &b in &group.local {
        let buffer = &mut lowered.buffers[b];
        buffer.len = buffer.len / group.batch * group.images;
        buffer.local = Some(offset);
        offset += (buffer.len * buffer.element.size()).next_multiple_of(64);
    }
    let mut chain = ChainStep {
        slices: vec![Vec::new(); slices.len()],
    };
    // Sums of what the slices summed up, to run after the chain.
    let mut sums = Vec::new();
    for &member in &group.members {
        let node = lowered.steps[member].node;
        let mut step = lowered.steps[member].step.clone();
        match &mut step {
            Step::Reduce(reduce) => {
                let sum = sum_per_slice(&mut lowered, reduce, &slices);
                sums.push(LoweredStep::new(Step::Reduce(sum), node));
            }
            Step::ConvWeightGradient(gradient) => {
                more_partials(&mut lowered, gradient, &slices);
            }
            _ => {}
        }
        for (steps, &slice) in chain.slices.iter_mut().zip(&slices) {
            steps.push(cut(&step, slice, &group.local));
        }
    }
    let computed = group.members.iter();
    let computed = computed.flat_map(|&m| lowered.steps[m].computes());
    let mut chain = LoweredStep::new(Step::Chain(chain), lowered.steps[first].node)
        .computing(computed.collect());
    // All slices touch the same buffers, and the local ones are nobody else's.
    for list in [&mut chain.reads, &mut chain.writes] {
        let once: BTreeSet<usize> = list.drain(..).collect();
        list.extend(once.difference(&group.local));
    }
    let mut steps: Vec<Option<LoweredStep>> = lowered.steps.into_iter().map(Some).collect();
    let mut order: Vec<LoweredStep> = Vec::new();
    order.extend(steps[..first].iter_mut().filter_map(Option::take));
    order.extend(before.iter().filter_map(|&s| steps[s].take()));
    order.push(chain);
    order.append(&mut sums);
    order.extend(after.iter().filter_map(|&s| steps[s].take()));
    order.extend(steps[last + 1..].iter_mut().filter_map(Option::take));
    lowered.steps = order;
    lowered
}

/// Makes a sum write one result for each slice, to a new buffer, and gives the sum of those.
fn sum_per_slice(lowered: &mut Lowered, reduce: &mut ReduceStep, slices: &[Slice]) -> ReduceStep {
    let target = reduce.kept(&reduce.outputs[0]);
    let len: usize = target.shape.iter().product();
    lowered.buffers.push(LoweredBuffer {
        element: Element::F32,
        len: slices.len() * len,
        external: None,
        local: None,
    });
    let buffer = lowered.buffers.len() - 1;
    let mut dense = crate::shape::row_major(&target.shape);
    let mut kept = dense.iter().copied();
    let strides = reduce
        .reduced
        .iter()
        .map(|&reduced| if reduced { 0 } else { kept.next().unwrap_or(0) })
        .collect();
    // Each slice adds its own offset.
    reduce.outputs[0] = View {
        buffer,
        offset: 0,
        shape: reduce.shape.clone(),
        strides,
    };
    let shape = [&[slices.len()], &target.shape[..]].concat();
    dense.insert(0, len as isize);
    let input = View {
        buffer,
        offset: 0,
        shape: shape.clone(),
        strides: dense,
    };
    let output = View {
        strides: [&[0], &target.strides[..]].concat(),
        shape,
        ..target
    };
    sum_over_first(input, output)
}

/// Gives each slice partial gradients of its own, and the step that sums them as many more.
fn more_partials(lowered: &mut Lowered, gradient: &ConvWeightGradientStep, slices: &[Slice]) {
    let buffer = gradient.partials.buffer;
    let of_slice = |slice: &Slice| partials(&gradient.geometry, slice.images);
    let total: usize = slices.iter().map(of_slice).sum();
    let each: usize = gradient.partials.shape[1..].iter().product();
    lowered.buffers[buffer].len = total * each;
    if let Some(sum) = sum_of_partials(lowered, buffer)
        && let Step::Reduce(reduce) = &mut lowered.steps[sum].step
    {
        reduce.shape[0] = total;
        reduce.inputs[0].shape[0] = total;
        let outputs = reduce.outputs.iter_mut();
        for output in outputs.filter(|output| output.strides[0] == 0) {
            output.shape[0] = total;
        }
    }
}

/// Partial gradients of so many images.
fn partials(geometry: &ConvGeometry, images: usize) -> usize {
    conv::partials(&ConvGeometry {
        batch: images,
        ..*geometry
    })
}

/// The step over one slice.
fn cut(step: &Step, slice: Slice, local: &BTreeSet<usize>) -> Step {
    let mut step = step.clone();
    for count in step.images_mut() {
        *count = *count / slice.batch * slice.images;
    }
    for operand in step.operands_mut() {
        if operand.walks == Walks::Images {
            cut_view(operand.view, slice, local);
        }
    }
    // Each slice sums up for itself.
    match &mut step {
        Step::ConvWeightGradient(s) => {
            let each: usize = s.partials.shape[1..].iter().product();
            s.partials.offset = slice.number * partials(&s.geometry, slice.most) * each;
            s.partials.shape[0] = conv::partials(&s.geometry);
        }
        Step::Reduce(s) => {
            let len = s.kept(&s.outputs[0]).elements();
            s.outputs[0].shape[0] = s.shape[0];
            s.outputs[0].offset = len * slice.number;
        }
        _ => {}
    }
    step
}

/// The part of a view that belongs to a slice. Local buffers hold no more than one slice.
fn cut_view(view: &mut View, slice: Slice, local: &BTreeSet<usize>) {
    let per_image = view.shape[0] / slice.batch;
    let first = match planted(Fault::SlicesStartAtTheFirst) {
        true => 0,
        false => slice.first * per_image,
    };
    view.shape[0] = slice.images * per_image;
    if !local.contains(&view.buffer) {
        view.offset = (view.offset as isize + first as isize * view.strides[0]) as usize;
    }
}
