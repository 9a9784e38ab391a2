//! Samples made by several threads ahead of their use, in order, and never more than there is room for.

use crate::error::Result;
use crate::source::{Draw, make};
use crate::split::Split;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use zerokara_core::Arrays;

/// Makes samples ahead. What is dropped early makes no further samples; a thread ends when the sample is made that it is at,
/// and nobody waits for it.
pub(crate) struct Ahead {
    shared: Arc<Shared>,
    threads: usize,
}

struct Shared {
    split: Split,
    /// The samples to make, in order.
    jobs: Vec<usize>,
    /// What they are drawn by, if they are.
    draw: Option<Draw>,
    /// Samples that are made and not yet taken, at most.
    room: usize,
    state: Mutex<State>,
    /// A sample was made.
    made: Condvar,
    /// There is room for another, or nothing is wanted any more.
    wanted: Condvar,
}

struct State {
    /// Samples that were taken.
    taken: usize,
    /// Those that follow and were begun: `None` where a thread is at it.
    begun: VecDeque<Option<Result<Arrays>>>,
    dropped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, job: usize) -> Result<Arrays> {
        let index = self.jobs[job];
        self.split.check_index(index)?;
        make(&**self.split.source(), self.split.place(index), self.draw)
    }

    /// Makes samples until there are none left to make.
    fn work(&self) {
        let mut state = self.state();
        loop {
            let job = state.taken + state.begun.len();
            if state.dropped || job == self.jobs.len() {
                return;
            }
            if state.begun.len() >= self.room {
                state = self
                    .wanted
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.begun.push_back(None);
            drop(state);
            let sample = self.make(job);
            state = self.state();
            let at = job - state.taken;
            state.begun[at] = Some(sample);
            if at == 0 {
                self.made.notify_all();
            }
        }
    }
}

impl Ahead {
    /// Begins to make these samples on so many threads; with none, or where the system grants none, each is made when it is
    /// taken.
    pub(crate) fn new(
        split: &Split,
        jobs: Vec<usize>,
        draw: Option<Draw>,
        threads: usize,
        room: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            split: split.clone(),
            draw,
            room: room.max(1),
            state: Mutex::new(State {
                taken: 0,
                begun: VecDeque::new(),
                dropped: false,
            }),
            made: Condvar::new(),
            wanted: Condvar::new(),
            jobs,
        });
        let mut running = 0;
        for _ in 0..threads.min(shared.jobs.len()) {
            let own = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("zerokara-data".into());
            running += usize::from(thread.spawn(move || own.work()).is_ok());
        }
        Ahead {
            shared,
            threads: running,
        }
    }

    /// The sample that comes next; none when all were taken.
    pub(crate) fn take(&mut self) -> Option<Result<Arrays>> {
        let shared = &*self.shared;
        let mut state = shared.state();
        if state.taken == shared.jobs.len() {
            return None;
        }
        if self.threads == 0 {
            let job = state.taken;
            state.taken += 1;
            drop(state);
            return Some(shared.make(job));
        }
        loop {
            if matches!(state.begun.front(), Some(Some(_))) {
                let sample = state.begun.pop_front().flatten();
                state.taken += 1;
                shared.wanted.notify_one();
                return sample;
            }
            state = shared
                .made
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.state().dropped = true;
        self.shared.wanted.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Failure, Lazy};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use zerokara_core::{Array, DType, Port};

    fn numbers(
        len: usize,
        make: impl Fn(usize) -> Result<i64, Failure> + Send + Sync + 'static,
    ) -> Split {
        let port = Port::new("n", DType::I64, [1]);
        let source = Lazy::new(len, [port], move |index| {
            Ok(Arrays::one("n", Array::new([1], vec![make(index)?])))
        });
        Split::of(source).unwrap()
    }

    fn number(sample: Option<Result<Arrays>>) -> i64 {
        sample.unwrap().unwrap().find("n").unwrap().to_f64s()[0] as i64
    }

    #[test]
    fn samples_come_in_order_whoever_is_quicker() {
        let split = numbers(200, |index| {
            std::thread::sleep(Duration::from_micros((index * 7919 % 13) as u64 * 50));
            Ok(index as i64)
        });
        for (threads, room) in [(0, 4), (1, 1), (4, 3), (8, 64)] {
            let jobs: Vec<usize> = (0..200).rev().collect();
            let mut ahead = Ahead::new(&split, jobs, None, threads, room);
            for expected in (0..200).rev() {
                assert_eq!(number(ahead.take()), expected);
            }
            assert!(ahead.take().is_none());
        }
    }

    #[test]
    fn no_more_is_made_than_there_is_room_for() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let split = numbers(1000, move |index| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(index as i64)
        });
        let mut ahead = Ahead::new(&split, (0..1000).collect(), None, 4, 10);
        for taken in 1..=50 {
            ahead.take().unwrap().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            assert!(made.load(Ordering::SeqCst) <= taken + 10);
        }
        drop(ahead);
        std::thread::sleep(Duration::from_millis(100));
        let then = made.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(made.load(Ordering::SeqCst), then);
    }

    #[test]
    fn errors_and_panics_name_the_sample_and_the_rest_goes_on() {
        let split = numbers(6, |index| match index {
            2 => Err("the file is gone".into()),
            3 => panic!("no such token {}", 77),
            4 => std::panic::panic_any(5u8),
            _ => Ok(index as i64),
        });
        let mut ahead = Ahead::new(&split, (0..6).collect(), None, 3, 6);
        assert_eq!((number(ahead.take()), number(ahead.take())), (0, 1));
        for expected in [
            "sample 2: the file is gone",
            "sample 3: the source panicked: no such token 77",
            "sample 4: the source panicked",
        ] {
            assert_eq!(ahead.take().unwrap().unwrap_err().to_string(), expected);
        }
        assert_eq!(number(ahead.take()), 5);
    }

    /// Dropping returns while a sample is being made that takes for ever.
    #[test]
    fn nobody_waits_for_a_sample_that_nobody_wants() {
        let split = numbers(10, |index| {
            if index > 0 {
                std::thread::sleep(Duration::from_secs(3600));
            }
            Ok(0)
        });
        let mut ahead = Ahead::new(&split, (0..10).collect(), None, 4, 10);
        assert_eq!(number(ahead.take()), 0);
        drop(ahead);
    }
}
