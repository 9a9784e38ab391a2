//! Cuts the steps into stages and gives every buffer its place in the arena.

use super::{
    Sizes,
    fault::{Fault, planted},
    lower::{Lowered, LoweredBuffer},
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use zerokara_kernels::plan::{Buffer, Plan, Region, Stage, Step};

/// Buffers start at multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// The plan, and for each step in the order of the stages the node that it computes, and all that it computes.
pub(super) fn place(lowered: Lowered, sizes: Sizes) -> (Plan, Vec<(usize, Vec<usize>)>) {
    let constant = constant_steps(&lowered);
    let (stages, count, preparation) = stages(&lowered, &constant);
    let mut lives = lifetimes(&lowered, &stages);
    let (prepared, prepared_bytes) = prepared(&lowered, &constant, &lives);
    // What is prepared stays for all runs to come, in a place of its own.
    prepared.keys().for_each(|&b| lives[b] = None);
    let alias = share_in_place(&lowered, &stages, &mut lives);
    let (offsets, arena_bytes) = offsets(&lowered, &lives, sizes);

    let buffers = lowered
        .buffers
        .iter()
        .enumerate()
        .map(|(at, buffer)| Buffer {
            element: buffer.element,
            len: buffer.len,
            region: match (buffer.external, buffer.local, prepared.get(&at)) {
                (Some(external), ..) => Region::External(external),
                (None, Some(offset), _) => Region::Local(offset),
                (None, None, Some(&offset)) => Region::Prepared(offset),
                (None, None, None) => Region::Arena(offsets[at]),
            },
        })
        .collect();
    let mut plan = Plan {
        buffers,
        arena_bytes,
        prepared_bytes,
        externals: lowered.externals.len(),
        stages: vec![Stage::default(); count],
        preparation,
    };
    let mut computed = vec![Vec::new(); count];
    for (mut step, stage) in lowered.steps.into_iter().zip(stages) {
        for operand in step.step.operands_mut() {
            operand.view.buffer = root(&alias, operand.view.buffer);
        }
        computed[stage].push((step.node, step.computes()));
        plan.stages[stage].steps.push(step.step);
    }
    (plan, computed.concat())
}

/// The steps that compute the same again in every run of a program: they read nothing but what stays as it is.
fn constant_steps(lowered: &Lowered) -> Vec<bool> {
    let fixed = |b: usize| lowered.buffers[b].external.map(|e| lowered.fixed[e]);
    let mut known: Vec<bool> = (0..lowered.buffers.len())
        .map(|b| fixed(b).unwrap_or(false))
        .collect();
    let mut writers = vec![0; lowered.buffers.len()];
    for step in &lowered.steps {
        step.writes.iter().for_each(|&b| writers[b] += 1);
    }
    let mut constant = Vec::with_capacity(lowered.steps.len());
    for step in &lowered.steps {
        let own = |b: &usize| lowered.buffers[*b].external.is_none() && writers[*b] == 1;
        let is_constant = lowered.is_program
            && !matches!(step.step, Step::Host(_))
            && step.reads.iter().all(|&b| known[b])
            && step.writes.iter().all(own);
        if is_constant {
            step.writes.iter().for_each(|&b| known[b] = true);
        }
        constant.push(is_constant);
    }
    constant
}

/// Where the buffers that constant steps write lie, one after another, and the end of the last.
fn prepared(
    lowered: &Lowered,
    constant: &[bool],
    lives: &[Life],
) -> (BTreeMap<usize, usize>, usize) {
    let (mut offsets, mut end) = (BTreeMap::new(), 0);
    let steps = lowered.steps.iter().zip(constant);
    for (step, _) in steps.filter(|(_, is_constant)| **is_constant) {
        for &b in step.writes.iter().filter(|&&b| lives[b].is_some()) {
            if lowered.buffers[b].local.is_none() {
                offsets.entry(b).or_insert_with(|| {
                    let start = end;
                    end = size(&lowered.buffers[b]).saturating_add(start);
                    start
                });
            }
        }
    }
    (offsets, end)
}

/// Bytes of a buffer, as whole lines.
fn size(buffer: &LoweredBuffer) -> usize {
    let bytes = buffer.len.saturating_mul(buffer.element.size());
    bytes
        .checked_next_multiple_of(ALIGNMENT)
        .unwrap_or(usize::MAX)
}

/// The earliest stage of each step: after the writers of what it reads, and after the readers and writers of what it
/// writes; constant steps in stages of their own that come first. Also the number of all stages and of those.
fn stages(lowered: &Lowered, constant: &[bool]) -> (Vec<usize>, usize, usize) {
    // Stage after which a buffer was last written and read, as counts: 0 is never.
    let mut written = vec![0usize; lowered.buffers.len()];
    let mut read = vec![0usize; lowered.buffers.len()];
    let mut stages = vec![0; lowered.steps.len()];
    let mut preparation = 0;
    for now in [true, false] {
        let first = preparation;
        for (number, step) in lowered.steps.iter().enumerate() {
            if constant[number] != now {
                continue;
            }
            let mut stage = first;
            for &b in &step.reads {
                stage = stage.max(written[b]);
            }
            for &b in &step.writes {
                stage = stage.max(written[b]);
                if !planted(Fault::StoreBeforeReaders) {
                    stage = stage.max(read[b]);
                }
            }
            for &b in &step.reads {
                read[b] = read[b].max(stage + 1);
            }
            for &b in &step.writes {
                written[b] = stage + 1;
            }
            stages[number] = stage;
            if now {
                preparation = preparation.max(stage + 1);
            }
        }
    }
    let count = stages.iter().max().map_or(0, |&s| s + 1);
    (stages, count, preparation)
}

/// First and last stage in which a buffer holds something; `None` if no step touches it.
type Life = Option<(usize, usize)>;

fn lifetimes(lowered: &Lowered, stages: &[usize]) -> Vec<Life> {
    let mut lives: Vec<Life> = vec![None; lowered.buffers.len()];
    for (step, &stage) in lowered.steps.iter().zip(stages) {
        for &b in step.reads.iter().chain(&step.writes) {
            let (first, last) = lives[b].unwrap_or((stage, stage));
            let last = if planted(Fault::LivesEndTooEarly) {
                last
            } else {
                last.max(stage)
            };
            lives[b] = Some((first.min(stage), last));
        }
    }
    lives
}

fn root(alias: &HashMap<usize, usize>, mut at: usize) -> usize {
    while let Some(&next) = alias.get(&at) {
        at = next;
    }
    at
}

/// Elementwise steps write over an input that nobody needs afterwards, if both lie alike.
fn share_in_place(
    lowered: &Lowered,
    stages: &[usize],
    lives: &mut [Life],
) -> HashMap<usize, usize> {
    let mut alias: HashMap<usize, usize> = HashMap::new();
    let mut readers_in_stage: HashMap<(usize, usize), usize> = HashMap::new();
    for (step, &stage) in lowered.steps.iter().zip(stages) {
        let mut reads = step.reads.clone();
        reads.sort_unstable();
        reads.dedup();
        for b in reads {
            *readers_in_stage.entry((b, stage)).or_default() += 1;
        }
    }
    for (step, &stage) in lowered.steps.iter().zip(stages) {
        let Step::Map(map) = &step.step else { continue };
        // How often each buffer is read, and those that are written.
        let mut reads: HashMap<usize, usize> = HashMap::new();
        for input in &map.inputs {
            *reads.entry(root(&alias, input.buffer)).or_default() += 1;
        }
        let written = |alias: &HashMap<usize, usize>| -> HashSet<usize> {
            map.outputs.iter().map(|o| root(alias, o.buffer)).collect()
        };
        let mut writes = written(&alias);
        for output in &map.outputs {
            let to = output.buffer;
            if lowered.buffers[to].external.is_some() || alias.contains_key(&to) {
                continue;
            }
            let candidate = map.inputs.iter().find(|input| {
                let from = root(&alias, input.buffer);
                let buffer = &lowered.buffers[from];
                // The whole buffer, read at the very places that are written, by this step alone, for the last time.
                buffer.external.is_none()
                    && (lives[from].is_some_and(|(_, last)| last == stage)
                        || planted(Fault::SharesBufferStillRead))
                    && lives[to].is_some_and(|(first, _)| first == stage)
                    && buffer.element == lowered.buffers[to].element
                    && buffer.len == lowered.buffers[to].len
                    && output.shape.iter().product::<usize>() == buffer.len
                    && (input.offset, &input.strides) == (output.offset, &output.strides)
                    && reads.get(&from) == Some(&1)
                    && !writes.contains(&from)
                    && (readers_in_stage.get(&(input.buffer, stage)) == Some(&1)
                        || planted(Fault::SharesBufferReadTwice))
            });
            if let Some(input) = candidate {
                let from = root(&alias, input.buffer);
                alias.insert(to, from);
                writes = written(&alias);
                if let (Some((first, _)), Some((_, last))) = (lives[from], lives[to]) {
                    lives[from] = Some((first, last));
                }
                lives[to] = None;
            }
        }
    }
    alias
}

/// Offsets such that buffers which live at the same time do not overlap, and the end of the last.
fn offsets(lowered: &Lowered, lives: &[Life], sizes: Sizes) -> (Vec<usize>, usize) {
    let bytes: Vec<usize> = lowered.buffers.iter().map(size).collect();
    let placed: Vec<(usize, (usize, usize))> = (0..lowered.buffers.len())
        .filter(|&b| lowered.buffers[b].external.is_none())
        .filter_map(|b| Some((b, lives[b]?)))
        .collect();
    match placed.len() <= sizes.most_sought {
        true => largest_first(&bytes, placed),
        false => as_they_come(&bytes, placed),
    }
}

/// The largest first, each at the lowest gap.
fn largest_first(sizes: &[usize], mut order: Vec<(usize, (usize, usize))>) -> (Vec<usize>, usize) {
    order.sort_by_key(|&(b, _)| (std::cmp::Reverse(sizes[b]), b));
    let mut offsets = vec![0usize; sizes.len()];
    let mut total = 0usize;
    for (number, &(b, (first, last))) in order.iter().enumerate() {
        let mut taken: Vec<(usize, usize)> = order[..number]
            .iter()
            .filter(|&&(_, (f, l))| f <= last && first <= l)
            .map(|&(other, _)| (offsets[other], offsets[other].saturating_add(sizes[other])))
            .collect();
        taken.sort_unstable();
        let mut at = 0usize;
        for (start, end) in taken {
            if start >= at.saturating_add(sizes[b]) {
                break;
            }
            at = at.max(end);
        }
        offsets[b] = at;
        total = total.max(at.saturating_add(sizes[b]));
    }
    (offsets, total)
}

/// In the order of the stages, each in the smallest gap that is left by those whose time has passed.
fn as_they_come(sizes: &[usize], mut order: Vec<(usize, (usize, usize))>) -> (Vec<usize>, usize) {
    order.sort_by_key(|&(b, (first, _))| (first, std::cmp::Reverse(sizes[b]), b));
    let mut offsets = vec![0usize; sizes.len()];
    let mut total = 0usize;
    let mut gaps = Gaps::default();
    // What lives, by the last stage that it lives in.
    let mut living: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (b, (first, last)) in order {
        while let Some(&(end, gone)) = living.first()
            && (end < first || end == first && planted(Fault::FreesGapsTooEarly))
        {
            living.remove(&(end, gone));
            gaps.free(offsets[gone], sizes[gone]);
        }
        offsets[b] = gaps.take(sizes[b]).unwrap_or_else(|| {
            let end = total;
            total = end.saturating_add(sizes[b]);
            end
        });
        living.insert((last, b));
    }
    (offsets, total)
}

/// Stretches of the arena that nobody holds.
#[derive(Default)]
struct Gaps {
    /// Length of each, by where it starts.
    by_start: BTreeMap<usize, usize>,
    /// Length and start.
    by_length: BTreeSet<(usize, usize)>,
}

impl Gaps {
    fn remove(&mut self, start: usize) -> usize {
        let length = self.by_start.remove(&start).unwrap_or(0);
        self.by_length.remove(&(length, start));
        length
    }

    fn free(&mut self, mut start: usize, mut length: usize) {
        if length == 0 {
            return;
        }
        if let Some((&before, &own)) = self.by_start.range(..start).next_back()
            && before + own == start
        {
            self.remove(before);
            (start, length) = (before, own + length);
        }
        length += self.remove(start + length);
        self.by_start.insert(start, length);
        self.by_length.insert((length, start));
    }

    /// The start of a stretch of this length, cut off the smallest gap that has it.
    fn take(&mut self, length: usize) -> Option<usize> {
        let &(found, start) = self.by_length.range((length, 0)..).next()?;
        self.remove(start);
        self.free(start + length, found - length);
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives and sizes from a small generator; no two buffers that live at the same time overlap, in either way.
    #[test]
    fn buffers_that_live_together_lie_apart() {
        let mut state = 1u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for _ in 0..50 {
            let count = 1 + next(60);
            let sizes: Vec<usize> = (0..count).map(|_| ALIGNMENT * next(9)).collect();
            let lives: Vec<(usize, (usize, usize))> = (0..count)
                .map(|b| {
                    let first = next(20);
                    (b, (first, first + next(12)))
                })
                .collect();
            for (offsets, total) in [
                largest_first(&sizes, lives.clone()),
                as_they_come(&sizes, lives.clone()),
            ] {
                for &(a, (first, last)) in &lives {
                    assert!(offsets[a] + sizes[a] <= total);
                    for &(b, (f, l)) in &lives[..a] {
                        let together = f <= last && first <= l;
                        let apart = offsets[a] + sizes[a] <= offsets[b]
                            || offsets[b] + sizes[b] <= offsets[a];
                        assert!(!together || apart || sizes[a] == 0 || sizes[b] == 0);
                    }
                }
            }
        }
    }
}
