//! Samples that wait for a model, and how many of them are taken together.

use crate::{loaded::Loaded, refusal::Outcome};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use zerokara_core::{Array, Arrays};

/// A sample that waits.
pub(crate) struct Job {
    /// The model that it was made for: one that has been loaded since may want other inputs.
    pub model: Arc<Loaded>,
    /// The model's inputs, a batch of one.
    pub inputs: Arrays,
    pub reply: oneshot::Sender<Outcome<Value>>,
    pub came: Instant,
}

impl Job {
    /// Whether one batch can hold both.
    fn goes_with(&self, other: &Job) -> bool {
        let alike = |(name, array): (&str, &Array)| {
            let other = other.inputs.get(name);
            other.is_some_and(|other| other.is_like(&array.meta()))
        };
        Arc::ptr_eq(&self.model, &other.model)
            && self.inputs.len() == other.inputs.len()
            && self.inputs.iter().all(alike)
    }
}

/// A queue of bounded length, whose workers sleep while it is empty.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

struct State {
    jobs: VecDeque<Job>,
    /// Nobody waits for more to come.
    is_hurried: bool,
    is_closed: bool,
}

impl Queue {
    /// A queue of at most so many samples.
    pub fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                is_hurried: false,
                is_closed: false,
            }),
            changed: Condvar::new(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most samples that it holds.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Number of samples that wait.
    pub fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Puts all of them at the end, or none where there is no room for all; says whether there was.
    pub fn put(&self, jobs: Vec<Job>) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.jobs.len() + jobs.len() > self.most {
            return false;
        }
        state.jobs.extend(jobs);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// From here on what is there is given out without waiting for more.
    pub fn hurry(&self) {
        self.lock().is_hurried = true;
        self.changed.notify_all();
    }

    /// Takes nothing more; what is there is still given out.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// The next samples that go together: as many as the model takes at once, or what has come when the first of them has
    /// waited for so long. Nothing once the queue is closed and empty.
    pub fn take(&self, wait: Duration) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.jobs.front() {
                None if state.is_closed => return None,
                None => {
                    let woken = self.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                Some(first) => {
                    let due = first.came + wait;
                    let is_full = state.jobs.len() >= first.model.most();
                    if is_full || state.is_hurried || state.is_closed || due <= now {
                        let jobs = state.alike();
                        // Whoever asked for these has gone.
                        if !jobs.is_empty() {
                            return Some(jobs);
                        }
                        continue;
                    }
                    let woken = self.changed.wait_timeout(state, due - now);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

impl State {
    /// Takes out the first sample that somebody waits for, and those behind it that go with it; the others keep their order.
    fn alike(&mut self) -> Vec<Job> {
        let mut taken: Vec<Job> = Vec::new();
        let mut passed = VecDeque::new();
        while let Some(job) = self.jobs.pop_front() {
            if job.reply.is_closed() {
                continue;
            }
            match taken.first() {
                Some(first) if !first.goes_with(&job) => passed.push_back(job),
                _ => taken.push(job),
            }
            if taken.len() == taken[0].model.most() {
                break;
            }
        }
        while let Some(job) = passed.pop_back() {
            self.jobs.push_front(job);
        }
        taken
    }
}
