//! Several trainings at once.

use crate::Session;
use std::sync::{Mutex, PoisonError};
use zerokara::{Error, Result, prelude::Runtime};

impl Session<'_> {
    /// Does `count` independent pieces of work at once, each on one thread, behind a progress bar: `work(i)` for every `i`
    /// below `count`, in order of `i`. A small network trains faster so than with all threads at one step of it.
    ///
    /// The pieces share the threads of the runtime, so that programs within one run on its thread alone; and since the
    /// bits of a program do not depend on threads, those of the results do not either.
    ///
    /// # Errors
    /// The error of the first piece that has one.
    pub fn parallel<T: Send>(
        &self,
        what: &str,
        count: usize,
        work: impl Fn(usize) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let progress = self.progress(what, count);
        let results: Vec<Mutex<Option<Result<T>>>> =
            (0..count).map(|_| Mutex::new(None)).collect();
        Runtime::current()?.parallel(count, &|unit| {
            let result = work(unit);
            *results[unit].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            progress.step();
        });
        let results = results.into_iter().map(|cell| {
            let result = cell.into_inner().unwrap_or_else(PoisonError::into_inner);
            result
                .unwrap_or_else(|| Err(Error::new(format!("{what}: a piece was not done"))))
        });
        results.collect()
    }
}
