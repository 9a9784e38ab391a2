//! The steps while rules change them.

use crate::compile::{
    lower::{ExternalSource, Lowered, LoweredBuffer, LoweredStep},
    rewriting::Subject,
};
use zerokara_kernels::{isa::Isa, plan::Element};

/// Steps in the order in which they run, some of them gone.
pub struct Draft {
    lowered: Lowered,
    pub isa: Isa,
    is_gone: Vec<bool>,
    /// The steps that read and write each buffer, in order, among others that do so no longer.
    readers: Vec<Vec<usize>>,
    writers: Vec<Vec<usize>>,
    is_changed: bool,
}

/// What is put in the place of steps.
#[derive(Default)]
pub struct Patch {
    /// Steps by number, and what they become.
    pub steps: Vec<(usize, LoweredStep)>,
    /// Steps that go.
    pub gone: Vec<usize>,
    /// Lengths of new buffers of f32, which come behind those that are there.
    pub buffers: Vec<usize>,
    /// Buffers that nobody needs any more.
    pub emptied: Vec<usize>,
}

impl Draft {
    pub fn of(lowered: Lowered, isa: Isa) -> Self {
        let mut draft = Self {
            isa,
            is_gone: vec![false; lowered.steps.len()],
            readers: vec![Vec::new(); lowered.buffers.len()],
            writers: vec![Vec::new(); lowered.buffers.len()],
            lowered,
            is_changed: false,
        };
        for number in 0..draft.lowered.steps.len() {
            draft.note(number);
        }
        draft
    }

    fn note(&mut self, number: usize) {
        let step = &self.lowered.steps[number];
        let lists = [
            (&step.reads, &mut self.readers),
            (&step.writes, &mut self.writers),
        ];
        for (buffers, lists) in lists {
            for &buffer in buffers {
                let list: &mut Vec<usize> = &mut lists[buffer];
                if let Err(place) = list.binary_search(&number) {
                    list.insert(place, number);
                }
            }
        }
    }

    pub fn step(&self, number: usize) -> &LoweredStep {
        &self.lowered.steps[number]
    }

    pub fn buffer(&self, buffer: usize) -> &LoweredBuffer {
        &self.lowered.buffers[buffer]
    }

    /// The number of the first buffer that a patch brings.
    pub fn next_buffer(&self) -> usize {
        self.lowered.buffers.len()
    }

    /// The steps that read a buffer, in order.
    pub fn readers(&self, buffer: usize) -> impl Iterator<Item = usize> {
        let reads = move |&number: &usize| {
            !self.is_gone[number] && self.lowered.steps[number].reads.contains(&buffer)
        };
        self.readers[buffer].iter().copied().filter(reads)
    }

    /// The steps that write a buffer, in order.
    pub fn writers(&self, buffer: usize) -> impl Iterator<Item = usize> {
        let writes = move |&number: &usize| {
            !self.is_gone[number] && self.lowered.steps[number].writes.contains(&buffer)
        };
        self.writers[buffer].iter().copied().filter(writes)
    }

    /// The step that alone writes a buffer.
    pub fn only_writer(&self, buffer: usize) -> Option<usize> {
        let mut writers = self.writers(buffer);
        writers.next().filter(|_| writers.next().is_none())
    }

    /// Whether a buffer is one of the plan's outputs, which nobody has seen before.
    pub fn is_output(&self, buffer: usize) -> bool {
        let external = self.lowered.buffers[buffer].external;
        external.is_some_and(|number| {
            matches!(self.lowered.externals[number], ExternalSource::Output(_))
        })
    }

    /// The step that reads a buffer, once, if nobody else reads it, now or after the plan has run.
    pub fn only_reader(&self, buffer: usize) -> Option<usize> {
        let mut readers = self.readers(buffer);
        let reader = readers.next().filter(|_| readers.next().is_none())?;
        let reads = self.lowered.steps[reader].reads.iter();
        let is_once = reads.filter(|&&read| read == buffer).count() == 1;
        (is_once && self.lowered.buffers[buffer].external.is_none()).then_some(reader)
    }

    /// Whether what a step reads is still there when a later one runs.
    pub fn stays(&self, step: usize, until: usize) -> bool {
        let between = (step + 1..until).filter(|&number| !self.is_gone[number]);
        let mut written = between.flat_map(|number| &self.lowered.steps[number].writes);
        written.all(|buffer| !self.lowered.steps[step].reads.contains(buffer))
    }

    pub fn finish(mut self) -> Lowered {
        if self.is_changed {
            let mut gone = self.is_gone.iter();
            self.lowered.steps.retain(|_| gone.next() != Some(&true));
        }
        self.lowered
    }

    /// Whether a step finds written what it reads.
    fn check(&self, number: usize) -> Result<(), String> {
        let step = &self.lowered.steps[number];
        for &buffer in &step.reads {
            let is_written = |&&writer: &&usize| writer < number && !self.is_gone[writer];
            let is_there = self.lowered.buffers[buffer].external.is_some()
                || self.lowered.buffers[buffer].len == 0
                || self.writers[buffer]
                    .iter()
                    .any(|writer| is_written(&writer));
            if !is_there {
                return Err(format!("step {number} reads what nobody has written"));
            }
        }
        Ok(())
    }
}

impl Subject for Draft {
    type Patch = Patch;

    fn count(&self) -> usize {
        self.lowered.steps.len()
    }

    fn is_gone(&self, part: usize) -> bool {
        self.is_gone[part]
    }

    fn replace(&mut self, patch: Patch) -> Result<(), String> {
        self.is_changed = true;
        for len in patch.buffers {
            self.lowered.buffers.push(LoweredBuffer {
                element: Element::F32,
                len,
                external: None,
                local: None,
            });
            self.readers.push(Vec::new());
            self.writers.push(Vec::new());
        }
        for &number in &patch.gone {
            self.is_gone[number] = true;
        }
        let mut touched = Vec::new();
        for (number, step) in patch.steps {
            self.lowered.steps[number] = step;
            self.note(number);
            touched.push(number);
        }
        for buffer in patch.emptied {
            self.lowered.buffers[buffer].len = 0;
            if self.readers(buffer).next().is_some() {
                return Err(format!("buffer {buffer} is read, and nobody writes it"));
            }
        }
        touched
            .into_iter()
            .try_for_each(|number| self.check(number))
    }

    fn describe(&self, part: usize) -> String {
        format!("step {part}")
    }
}
