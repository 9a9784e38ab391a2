//! The checks of a plan, made once.

use std::{borrow::Cow, fmt};

use super::extent::{self, Conflict, Extent};
use crate::{
    map::prepare::check_code,
    plan::{Buffer, ChainStep, Layout, MapStep, Operand, Part, Plan, Region, Role, Step, View},
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

/// The views that a part of a step reads and writes, and elementwise code behind it.
struct Views<'a> {
    reads: Vec<&'a View>,
    writes: Vec<Cow<'a, View>>,
    /// Only on one and the same place may what is written be what is read.
    in_place: bool,
    /// With the views that it may read and write in place.
    epilogue: Option<(&'a MapStep, Vec<Cow<'a, View>>)>,
}

impl<'a> Views<'a> {
    /// Those of one part, with the epilogue that runs behind it.
    fn of(operands: &'a [Operand<&'a View>], part: Part, epilogue: Option<&'a MapStep>) -> Self {
        let own = || operands.iter().filter(move |o| o.part == part);
        let written = || own().filter(|o| o.role == Role::Write);
        let targets = || written().filter(|o| o.is_target).map(finished);
        Views {
            reads: own()
                .filter(|o| o.role == Role::Read)
                .map(|o| o.view)
                .collect(),
            writes: written().map(Operand::touched).collect(),
            in_place: written().any(|o| o.in_place),
            epilogue: epilogue.map(|map| (map, targets().collect())),
        }
    }
}

/// The elements of a target in the order in which an epilogue finds them. Where they may lie in any, whole images are finished
/// at a time, whatever the order of their elements.
fn finished<'a>(target: &'a Operand<&View>) -> Cow<'a, View> {
    match target.layout {
        Layout::Strided => Cow::Owned(View {
            shape: vec![target.view.elements()],
            strides: vec![1],
            ..target.view.clone()
        }),
        _ => target.touched(),
    }
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
            for operand in step.operands() {
                if operand.role == Role::Write
                    && let Region::External(external) = plan.buffers[operand.view.buffer].region
                {
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
    match buffer.region {
        Region::Arena(offset) | Region::Prepared(offset) => {
            if !offset.is_multiple_of(crate::storage::ALIGNMENT) {
                return Err(format!("its offset {offset} is no multiple of 64"));
            }
            let (what, whole) = match buffer.region {
                Region::Prepared(_) => ("preparation", plan.prepared_bytes),
                _ => ("arena", plan.arena_bytes),
            };
            let end = bytes.and_then(|bytes| offset.checked_add(bytes));
            if end.is_none_or(|end| end > whole) {
                return Err(format!("it ends after the {what} of {whole} bytes"));
            }
        }
        Region::Local(offset) => {
            let end = bytes.and_then(|bytes| offset.checked_add(bytes));
            if !offset.is_multiple_of(crate::storage::ALIGNMENT)
                || end.is_none_or(|end| end > isize::MAX as usize / 2)
            {
                return Err(format!(
                    "its offset {offset} is no multiple of 64, or too large"
                ));
            }
        }
        Region::External(external) => {
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

/// What a step that is no chain reads and writes, after checking each operand by itself.
fn checked_extents(step: &Step, buffers: &[Buffer]) -> Result<Extents, String> {
    let operands = step.operands();
    if let Some(Operand { view: first, .. }) = operands.first() {
        for operand in &operands {
            let part = match operand.part {
                Part::Own => "",
                Part::Epilogue => "its epilogue: ",
                Part::Statistics => "its statistics: ",
                Part::StatisticsEpilogue => "the epilogue of its statistics: ",
            };
            let fault = |message| format!("{part}{message}");
            extent::of(&operand.touched(), buffers).map_err(fault)?;
            operand.check(buffers, first).map_err(fault)?;
        }
    }
    let own = Views::of(&operands, Part::Own, step.epilogue());
    let (mut reads, mut writes) = step_extents(&own, buffers)?;
    if let Some(reduce) = step.statistics() {
        let epilogue = reduce.epilogue.as_ref();
        let mut views = Views::of(&operands, Part::Statistics, epilogue);
        views.reads = apart(&views.reads, &operands, &writes, buffers)?;
        let (own_reads, own_writes) = step_extents(&views, buffers)?;
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

/// Those of the views that statistics read which lie apart from what the step has written; the others must be the very views
/// that it wrote.
fn apart<'a>(
    reads: &[&'a View],
    operands: &[Operand<&View>],
    writes: &[Extent],
    buffers: &[Buffer],
) -> Result<Vec<&'a View>, String> {
    let mut apart = Vec::new();
    for &view in reads {
        let read = extent::of(view, buffers)?;
        let meets = |w: &Extent| read.as_ref().is_some_and(|r| r.meets(w));
        if !writes.iter().any(meets) {
            apart.push(view);
            continue;
        }
        let near = |o: &&Operand<&View>| o.role == Role::Write && o.part < Part::Statistics;
        let mut written = operands.iter().filter(near);
        if !written.any(|o| o.view.walks_as(view)) {
            return Err(
                "its statistics read what it writes otherwise than element by element".into(),
            );
        }
    }
    Ok(apart)
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
                if extent.meets(&other) && !(views.in_place && view.is_same(read)) {
                    return Err("an output overlaps an input".into());
                }
            }
            writes.push(extent);
        }
    }
    if let Some((map, targets)) = &views.epilogue {
        // Part by part the epilogue runs as the targets are finished: those it may read and write in place, element by
        // element; anything else it writes must be apart from all that the step reads.
        check_map(map).map_err(|message| format!("its epilogue: {message}"))?;
        let elements = map.shape.iter().product::<usize>();
        for target in targets {
            if elements != target.elements() {
                return Err(
                    "its epilogue runs over another number of elements than it writes".into(),
                );
            }
            let target_extent = extent::of(target, buffers)?;
            for view in map.inputs.iter().chain(&map.outputs) {
                let meets = match (extent::of(view, buffers)?, &target_extent) {
                    (Some(a), Some(b)) => a.meets(b),
                    _ => false,
                };
                if meets && !view.walks_as(target) {
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
            },
            buffers,
        )?;
        if own_writes.iter().any(|w| reads.iter().any(|r| w.meets(r))) {
            return Err("its epilogue writes what the step reads".into());
        }
        reads.extend(own_reads);
        writes.extend(own_writes);
    }
    Ok((reads, writes))
}

/// The contract of elementwise code, whose views were checked.
pub(super) fn check_map(map: &MapStep) -> Result<(), String> {
    check_code(&map.code, map.inputs.len(), map.outputs.len())?;
    expect_countable(&map.shape)
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
