//! The checks of a plan, made once.

use std::{borrow::Cow, fmt};

use super::extent::{self, Conflict, Extent};
use crate::{
    map::prepare::check_code,
    plan::{
        Buffer, ChainStep, Element, MapStep, OutputGradient, Place, Plan, ReduceStep, Step, View,
    },
};

/// Why a plan is refused: the step, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Stage and step, if one is to blame.
    place: Option<(usize, usize)>,
    message: String,
}

impl PlanError {
    pub(super) fn plan(message: String) -> PlanError {
        PlanError {
            place: None,
            message,
        }
    }

    pub(super) fn step(stage: usize, step: usize, message: String) -> PlanError {
        PlanError {
            place: Some((stage, step)),
            message,
        }
    }

    /// Numbers of the stage and of the step in it, if one is to blame.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((stage, step)) => write!(f, "stage {stage}, step {step}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for PlanError {}

/// The views that a step reads and writes; its epilogue's among them.
pub(super) struct Views<'a> {
    pub(super) reads: Vec<&'a View>,
    pub(super) writes: Vec<Cow<'a, View>>,
    /// Only on one and the same place may what is written be what is read.
    pub(super) in_place: bool,
    /// With the views that it may read and write in place.
    pub(super) epilogue: Option<(&'a MapStep, Vec<Cow<'a, View>>)>,
    /// A reduction of each part that is written.
    pub(super) statistics: Option<&'a ReduceStep>,
}

fn views(step: &Step) -> Views<'_> {
    let mut v = Views {
        reads: vec![],
        writes: vec![],
        in_place: false,
        epilogue: None,
        statistics: None,
    };
    match step {
        Step::Map(s) => {
            v.reads.extend(&s.inputs);
            v.writes.extend(s.outputs.iter().map(Cow::Borrowed));
            v.in_place = true;
        }
        Step::Reduce(s) => v = of_reduce(s),
        Step::PackMatrix(s) => {
            v.reads.push(&s.b);
            v.writes.push(Cow::Borrowed(&s.packed));
        }
        Step::Gemm(s) => {
            v.reads.push(&s.a);
            v.reads.push(s.b.view());
            v.writes.push(Cow::Borrowed(&s.c));
            v.epilogue = with_target(&s.epilogue, &s.c);
            v.statistics = s.statistics.as_deref();
        }
        Step::PackFilters(s) => {
            v.reads.push(&s.filters);
            v.writes.push(Cow::Borrowed(&s.packed));
        }
        Step::Conv(s) => {
            v.reads.extend([&s.source, &s.packed]);
            v.writes.push(Cow::Borrowed(&s.target));
            v.epilogue = with_target(&s.epilogue, &s.target);
            v.statistics = s.statistics.as_deref();
        }
        Step::ConvWeightGradient(s) => {
            v.reads.push(&s.input);
            v.reads.extend(s.output_gradient.views());
            v.writes.push(Cow::Borrowed(&s.partials));
            if let OutputGradient::Pooled(pooled) = &s.output_gradient {
                v.writes.extend(pooled.totals.iter().map(Cow::Borrowed));
            }
        }
        Step::ConvPool(s) => {
            v.reads.extend([&s.source, &s.filters]);
            v.reads.extend(&s.added);
            v.writes.push(Cow::Borrowed(&s.output));
            v.writes.extend(s.places.iter().map(Cow::Borrowed));
            v.epilogue = by_image(&s.epilogue, &s.output);
        }
        Step::Pool(s) => {
            v.reads.push(&s.input);
            v.reads.extend(s.values.iter().chain(&s.added));
            v.writes.push(Cow::Borrowed(&s.output));
            v.writes.extend(s.places.iter().map(Cow::Borrowed));
            v.epilogue = by_image(&s.epilogue, &s.output);
        }
        Step::PoolGradient(s) => {
            v.reads.extend(s.input.iter().chain(&s.places));
            v.reads.push(&s.output_gradient);
            v.writes.push(Cow::Borrowed(&s.input_gradient));
            v.epilogue = with_target(&s.epilogue, &s.input_gradient);
        }
        Step::Softmax(s) => {
            v.reads.push(&s.input);
            v.writes.push(Cow::Borrowed(&s.output));
            v.in_place = true;
        }
        Step::ArgReduce(s) => {
            v.reads.push(&s.input);
            v.writes.push(Cow::Borrowed(&s.output));
        }
        Step::Gather(s) => {
            v.reads.extend([&s.input, &s.indices]);
            v.writes.push(Cow::Borrowed(&s.output));
        }
        Step::OneHot(s) => {
            v.reads.push(&s.labels);
            v.writes.push(Cow::Borrowed(&s.output));
        }
        Step::Random(s) => {
            v.reads.push(&s.counter);
            v.writes.push(Cow::Borrowed(&s.output));
        }
        Step::Host(s) => {
            v.reads.extend(&s.inputs);
            v.writes.extend(s.outputs.iter().map(Cow::Borrowed));
        }
        Step::Chain(s) => {
            for views in s.slices.iter().flatten().map(views) {
                v.reads.extend(views.reads);
                v.writes.extend(views.writes);
                // Its inputs and outputs count as the chain's.
                if let Some((map, _)) = views.epilogue {
                    v.reads.extend(&map.inputs);
                    v.writes.extend(map.outputs.iter().map(Cow::Borrowed));
                }
            }
        }
    }
    v
}

fn of_reduce(step: &ReduceStep) -> Views<'_> {
    // The reduced axes hold the same element again and again; it is written once.
    let kept = || {
        step.outputs
            .iter()
            .map(|output| Cow::Owned(step.kept(output)))
    };
    Views {
        reads: step.inputs.iter().collect(),
        writes: kept().collect(),
        in_place: false,
        epilogue: step.epilogue.as_ref().map(|map| (map, kept().collect())),
        statistics: None,
    }
}

fn with_target<'a>(
    epilogue: &'a Option<MapStep>,
    target: &'a View,
) -> Option<(&'a MapStep, Vec<Cow<'a, View>>)> {
    let map = epilogue.as_ref()?;
    Some((map, vec![Cow::Borrowed(target)]))
}

/// The same where whole images are finished at a time, in whatever order their elements lie.
fn by_image<'a>(
    epilogue: &'a Option<MapStep>,
    target: &View,
) -> Option<(&'a MapStep, Vec<Cow<'a, View>>)> {
    let flat = View {
        shape: vec![target.shape.iter().product()],
        strides: vec![1],
        ..target.clone()
    };
    let map = epilogue.as_ref()?;
    Some((map, vec![Cow::Owned(flat)]))
}

/// Bounds of the buffers, bounds and conflicts of all views; returns which externals are written.
pub(super) fn plan(plan: &Plan) -> Result<Vec<bool>, PlanError> {
    for (what, bytes) in [
        ("an arena", plan.arena_bytes),
        ("a preparation", plan.prepared_bytes),
    ] {
        if bytes > isize::MAX as usize / 2 {
            let message = format!("{what} of {bytes} bytes is too large");
            return Err(PlanError::plan(message));
        }
    }
    for (i, buffer) in plan.buffers.iter().enumerate() {
        check_buffer(buffer, plan)
            .map_err(|message| PlanError::plan(format!("buffer {i}: {message}")))?;
    }
    let mut written = vec![false; plan.externals];
    for (s, stage) in plan.stages.iter().enumerate() {
        // (step, extent) of what the steps read and write.
        let mut reads: Vec<(usize, Extent)> = Vec::new();
        let mut writes: Vec<(usize, Extent)> = Vec::new();
        for (i, step) in stage.steps.iter().enumerate() {
            let fault = |message: String| PlanError::step(s, i, message);
            let extents = match step {
                Step::Chain(chain) => chain_extents(chain, &plan.buffers),
                _ => checked_extents(step, &plan.buffers),
            };
            let (own_reads, own_writes) = extents.map_err(fault)?;
            if own_reads.iter().chain(&own_writes).any(Extent::is_local) {
                return Err(fault("only the steps of a chain have local buffers".into()));
            }
            // What is prepared is read by many runs at once, so that none of them may write it; and it must not come from
            // what belongs to one run.
            match s < plan.preparation {
                true if !own_writes.iter().all(Extent::is_prepared) => {
                    return Err(fault("the preparation writes what is not prepared".into()));
                }
                true if own_reads.iter().any(Extent::is_arena) => {
                    return Err(fault("the preparation reads what is a run's own".into()));
                }
                false if own_writes.iter().any(Extent::is_prepared) => {
                    return Err(fault("what is prepared is written by a run".into()));
                }
                _ => {}
            }
            let views = views(step);
            let epilogue = views.epilogue.iter().flat_map(|(map, _)| &map.outputs);
            let statistics = views.statistics.iter().flat_map(|reduce| {
                let epilogue = reduce.epilogue.iter().flat_map(|map| &map.outputs);
                reduce.outputs.iter().chain(epilogue)
            });
            let own = views.writes.iter().map(|v| &**v);
            for view in own.chain(epilogue).chain(statistics) {
                if let Place::External(external) = plan.buffers[view.buffer].place {
                    written[external] = true;
                }
            }
            reads.extend(own_reads.into_iter().map(|extent| (i, extent)));
            writes.extend(own_writes.into_iter().map(|extent| (i, extent)));
        }
        if let Some(met) = Extent::conflict(&mut reads, &mut writes) {
            // The later of the two is to blame.
            let (first, last) = (met.writer.min(met.other), met.writer.max(met.other));
            let message = if met.both_write || last == met.writer {
                format!("writes what step {first} of its stage touches")
            } else {
                format!("reads what step {first} of its stage writes")
            };
            return Err(PlanError::step(s, last, message));
        }
    }
    Ok(written)
}

fn check_buffer(buffer: &Buffer, plan: &Plan) -> Result<(), String> {
    let bytes = buffer.len.checked_mul(buffer.element.size());
    match buffer.place {
        Place::Arena(offset) | Place::Prepared(offset) => {
            if !offset.is_multiple_of(crate::storage::ALIGNMENT) {
                return Err(format!("its offset {offset} is no multiple of 64"));
            }
            let (what, whole) = match buffer.place {
                Place::Prepared(_) => ("preparation", plan.prepared_bytes),
                _ => ("arena", plan.arena_bytes),
            };
            let end = bytes.and_then(|bytes| offset.checked_add(bytes));
            if end.is_none_or(|end| end > whole) {
                return Err(format!("it ends after the {what} of {whole} bytes"));
            }
        }
        Place::Local(offset) => {
            let end = bytes.and_then(|bytes| offset.checked_add(bytes));
            if !offset.is_multiple_of(crate::storage::ALIGNMENT)
                || end.is_none_or(|end| end > isize::MAX as usize / 2)
            {
                return Err(format!(
                    "its offset {offset} is no multiple of 64, or too large"
                ));
            }
        }
        Place::External(external) => {
            if external >= plan.externals {
                return Err(format!("external {external} of {}", plan.externals));
            }
            if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
                return Err("it is larger than the address space".into());
            }
        }
    }
    Ok(())
}

type Extents = (Vec<Extent>, Vec<Extent>);

/// What a step that is no chain reads and writes.
fn checked_extents(step: &Step, buffers: &[Buffer]) -> Result<Extents, String> {
    step_extents(&views(step), buffers)
}

/// What a chain reads and writes beside its local buffers, after checking that its slices do not depend on one another.
fn chain_extents(chain: &ChainStep, buffers: &[Buffer]) -> Result<Extents, String> {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for (number, steps) in chain.slices.iter().enumerate() {
        for step in steps {
            if let Step::Chain(_) = step {
                return Err("a chain within a chain".into());
            }
            let (own_reads, own_writes) = checked_extents(step, buffers)
                .map_err(|message| format!("slice {number}: {message}"))?;
            let shared = |extent: &Extent| !extent.is_local();
            reads.extend(own_reads.into_iter().filter(shared).map(|e| (number, e)));
            writes.extend(own_writes.into_iter().filter(shared).map(|e| (number, e)));
        }
    }
    if let Some(Conflict { writer, other, .. }) = Extent::conflict(&mut reads, &mut writes) {
        return Err(format!(
            "slices {writer} and {other} touch the same elements"
        ));
    }
    let extents = |list: Vec<(usize, Extent)>| list.into_iter().map(|(_, extent)| extent).collect();
    Ok((extents(reads), extents(writes)))
}

/// Checks the views of one step by themselves.
fn step_extents(views: &Views<'_>, buffers: &[Buffer]) -> Result<Extents, String> {
    let mut reads = Vec::new();
    let mut writes = Vec::new();
    for view in &views.reads {
        reads.extend(extent::of(view, buffers)?);
    }
    for view in &views.writes {
        if let Some(extent) = extent::of(view, buffers)? {
            if !extent.is_injective(view) {
                return Err("an output's elements overlap one another".into());
            }
            if writes.iter().any(|other| extent.meets(other)) {
                return Err("two outputs overlap".into());
            }
            for read in &views.reads {
                let Some(other) = extent::of(read, buffers)? else {
                    continue;
                };
                if extent.meets(&other) && !(views.in_place && same_place(view, read)) {
                    return Err("an output overlaps an input".into());
                }
            }
            writes.push(extent);
        }
    }
    if let Some((map, targets)) = &views.epilogue {
        // Part by part the epilogue runs as the targets are finished: those it may read and write in place, element by
        // element; anything else it writes must be apart from all that the step reads.
        check_map(map, buffers).map_err(|message| format!("its epilogue: {message}"))?;
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        for target in targets {
            if elements(&map.shape) != elements(&target.shape) {
                return Err(
                    "its epilogue runs over another number of elements than it writes".into(),
                );
            }
            let target_extent = extent::of(target, buffers)?;
            let walks_target = |view: &View| {
                let dense = view.buffer == target.buffer
                    && view.offset == target.offset
                    && is_dense(view)
                    && is_dense(target);
                dense || same_place(view, target)
            };
            for view in map.inputs.iter().chain(&map.outputs) {
                let meets = match (extent::of(view, buffers)?, &target_extent) {
                    (Some(a), Some(b)) => a.meets(b),
                    _ => false,
                };
                if meets && !walks_target(view) {
                    return Err(
                        "its epilogue touches the target otherwise than element by element".into(),
                    );
                }
            }
        }
        let (own_reads, own_writes) = step_extents(
            &Views {
                reads: map.inputs.iter().collect(),
                writes: map.outputs.iter().map(Cow::Borrowed).collect(),
                in_place: true,
                epilogue: None,
                statistics: None,
            },
            buffers,
        )?;
        if own_writes.iter().any(|w| reads.iter().any(|r| w.meets(r))) {
            return Err("its epilogue writes what the step reads".into());
        }
        reads.extend(own_reads);
        writes.extend(own_writes);
    }
    if let Some(reduce) = views.statistics {
        let mut own = of_reduce(reduce);
        let mut apart = Vec::new();
        for view in own.reads {
            let read = extent::of(view, buffers)?;
            let meets = |w: &Extent| read.as_ref().is_some_and(|r| r.meets(w));
            if !writes.iter().any(meets) {
                apart.push(view);
                continue;
            }
            let epilogue = views.epilogue.iter().flat_map(|(map, _)| &map.outputs);
            let mut written = views.writes.iter().map(|v| &**v).chain(epilogue);
            let walks = written.any(|w| {
                let same = (w.buffer, w.offset) == (view.buffer, view.offset);
                let all = w.shape.iter().product::<usize>() == view.shape.iter().product();
                same && all && is_dense(w) && is_dense(view) || same_place(w, view)
            });
            if !walks {
                return Err(
                    "its statistics read what it writes otherwise than element by element".into(),
                );
            }
        }
        own.reads = apart;
        let (own_reads, own_writes) = step_extents(&own, buffers)?;
        let touched = || reads.iter().chain(&writes);
        if own_writes.iter().any(|w| touched().any(|t| w.meets(t))) {
            return Err("its statistics are written where the step reads or writes".into());
        }
        if own_reads.iter().any(|r| writes.iter().any(|w| r.meets(w))) {
            return Err("the epilogue of its statistics reads what it writes".into());
        }
        reads.extend(own_reads);
        writes.extend(own_writes);
    }
    Ok((reads, writes))
}

fn same_place(a: &View, b: &View) -> bool {
    a.buffer == b.buffer
        && a.offset == b.offset
        && a.shape == b.shape
        && a.shape
            .iter()
            .zip(a.strides.iter().zip(&b.strides))
            .all(|(&length, (x, y))| length == 1 || x == y)
}

/// Whether the elements are neighbours, in order.
pub(super) fn is_dense(view: &View) -> bool {
    let mut expected = 1;
    view.shape.contains(&0)
        || view
            .shape
            .iter()
            .zip(&view.strides)
            .rev()
            .all(|(&length, &stride)| {
                let fits = length == 1 || stride == expected;
                expected *= length as isize;
                fits
            })
}

/// The contract of elementwise code and its views.
pub(super) fn check_map(map: &MapStep, buffers: &[Buffer]) -> Result<(), String> {
    check_code(&map.code, map.inputs.len(), map.outputs.len())?;
    expect_countable(&map.shape)?;
    for view in map.inputs.iter().chain(&map.outputs) {
        expect_shape(view, &map.shape)?;
        extent::of(view, buffers)?;
        if !buffers[view.buffer].element.is_mapped() {
            return Err(format!(
                "elementwise code on {:?}; it takes F32, U8 and Bool",
                buffers[view.buffer].element
            ));
        }
    }
    Ok(())
}

/// An iteration space whose elements can be counted; its views may be fewer, or repeat.
pub(super) fn expect_countable(shape: &[usize]) -> Result<(), String> {
    let total = shape
        .iter()
        .try_fold(1usize, |total, &n| total.checked_mul(n.max(1)));
    match total {
        Some(total) if total <= isize::MAX as usize => Ok(()),
        _ => Err(format!(
            "the iteration space {shape:?} has more elements than can be counted"
        )),
    }
}

pub(super) fn expect_shape(view: &View, shape: &[usize]) -> Result<(), String> {
    if view.shape != shape {
        return Err(format!(
            "a view has shape {:?} instead of {shape:?}",
            view.shape
        ));
    }
    Ok(())
}

pub(super) fn expect_dense(view: &View, shape: &[usize], what: &str) -> Result<(), String> {
    if view.shape != shape {
        return Err(format!(
            "the {what} has shape {:?} instead of {shape:?}",
            view.shape
        ));
    }
    if !is_dense(view) {
        return Err(format!("the {what} is not dense"));
    }
    Ok(())
}

pub(super) fn expect_element(
    view: &View,
    buffers: &[Buffer],
    element: Element,
    what: &str,
) -> Result<(), String> {
    match buffers.get(view.buffer) {
        Some(buffer) if buffer.element == element => Ok(()),
        Some(buffer) => Err(format!(
            "the {what} holds {:?} instead of {element:?}",
            buffer.element
        )),
        None => Err(format!("buffer {} does not exist", view.buffer)),
    }
}
