//! The pool of threads that runs the parallel regions.
//!
//! A region is a number of units and one closure. Each thread has a share of the units, the same one for the same numbers,
//! so that it finds in its cache what it wrote there in the region before; who is done with its own takes from the
//! others' shares. For each share there is a ticket (a counter in one atomic word) that hands its units out. A region
//! never waits for a worker that sleeps. Which thread runs which unit is left to chance in the end: units must not
//! depend on it.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::JoinHandle,
};

use crate::share::share;

/// How often a worker looks for a new region before it parks: some tens of microseconds, longer than the
/// single-threaded work that stands between the stages of a plan.
const SPINS: u32 = 4000;

/// How often the caller looks whether the region is done before it lets others run on its core.
const CALLER_SPINS: u32 = 2000;

/// No unit can be taken while the low half of the ticket is this.
const CLOSED: u32 = u32::MAX;

/// The most threads that a pool has: more than any machine has cores for, and fewer than systems refuse.
pub const MOST_THREADS: usize = 1024;

/// Why there is no pool of so many threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// None, or more than [`MOST_THREADS`].
    Count(usize),
    /// The system granted fewer.
    Refused {
        /// Threads that were asked for.
        asked: usize,
        /// Threads that there would have been.
        granted: usize,
        /// The system's reason.
        why: String,
    },
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(asked) => write!(
                f,
                "{asked} threads are impossible: there can be 1 to {MOST_THREADS}, and more than there are cores do not help"
            ),
            Self::Refused {
                asked,
                granted,
                why,
            } => write!(
                f,
                "the system grants {granted} of {asked} threads ({why}); ask for fewer"
            ),
        }
    }
}

impl std::error::Error for PoolError {}

type Work<'a> = &'a (dyn Fn(usize, usize) + Sync + 'a);

/// Keeps what one thread writes out of the cache line that others read.
#[repr(align(128))]
struct Line<T>(T);

/// Hands out the units of one thread's share.
struct Share {
    /// Number of the region in the high half, next unit in the low half.
    ticket: AtomicU64,
    /// End of the share; written between the closing of one ticket and the opening of the next.
    end: AtomicU32,
}

struct Shared {
    /// One for each thread, the caller's first.
    shares: Box<[Line<Share>]>,
    /// The caller's `Work` on its stack; written while all tickets are closed.
    work: AtomicPtr<Work<'static>>,
    /// Units that are done.
    done: Line<AtomicUsize>,
    /// The first panic of the region.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Workers that are parked or about to be.
    sleepers: AtomicU32,
    sleep: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
}

fn region_of(ticket: u64) -> u32 {
    (ticket >> 32) as u32
}

impl Shared {
    /// The region that the ticket of this worker's share shows.
    fn region(&self, worker: usize) -> u32 {
        region_of(self.shares[worker].0.ticket.load(Ordering::Acquire))
    }

    /// Takes units until none is left, its own first; returns the region whose they were.
    fn take_part(&self, worker: usize) -> u32 {
        let region = self.region(worker);
        let threads = self.shares.len();
        let finished: usize = (worker..threads)
            .chain(0..worker)
            .map(|whose| self.take_from(whose, region, worker))
            .sum();
        if finished > 0 {
            self.done.0.fetch_add(finished, Ordering::Release);
        }
        region
    }

    /// Takes units of one share until none is left; returns how many.
    ///
    /// Taking a unit is a compare-exchange of the whole ticket. It succeeds only if the region is still open,
    /// so `end` and `work`, read between the two looks at the ticket, are that region's, and the caller, who
    /// waits for every unit taken, keeps `work` alive until it is done.
    fn take_from(&self, whose: usize, region: u32, worker: usize) -> usize {
        let Share { ticket: word, end } = &self.shares[whose].0;
        let mut finished = 0;
        let mut ticket = word.load(Ordering::Acquire);
        loop {
            let next = ticket as u32;
            // Acquire: whoever sees the next region's `end` also sees that this ticket is closed, so the exchange
            // below fails.
            let end = end.load(Ordering::Acquire);
            let work = self.work.load(Ordering::Acquire);
            if region_of(ticket) != region || next >= end || next == CLOSED {
                return finished;
            }
            match word.compare_exchange_weak(
                ticket,
                ticket + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    // SAFETY: the unit was taken from the open region that `work` belongs to, and its caller
                    // stays in `run` until this unit is counted as done.
                    let work: Work<'_> = unsafe { *work };
                    if let Err(payload) =
                        catch_unwind(AssertUnwindSafe(|| work(next as usize, worker)))
                    {
                        let mut slot = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                        slot.get_or_insert(payload);
                    }
                    finished += 1;
                    ticket = word.load(Ordering::Acquire);
                }
                Err(now) => ticket = now,
            }
        }
    }

    fn worker(&self, worker: usize) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            while self.region(worker) == seen {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                spins += 1;
                if spins < SPINS {
                    std::hint::spin_loop();
                } else {
                    self.park(worker, seen);
                    spins = 0;
                }
            }
            seen = self.take_part(worker);
        }
    }

    /// Sleeps until the region is another than `seen`.
    fn park(&self, worker: usize, seen: u32) {
        let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Pairs with the fence in `open`: either this sees the new ticket or the caller sees the sleeper.
        fence(Ordering::SeqCst);
        while self.region(worker) == seen && !self.stop.load(Ordering::SeqCst) {
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake_sleepers(&self) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }
}

/// Threads that share the units of parallel regions. It may be used from several threads at once: while it is
/// busy with one region, the others run theirs alone.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    busy: AtomicBool,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads())
            .finish()
    }
}

impl Pool {
    /// A pool of `threads` threads (from 1 to [`MOST_THREADS`]), the caller of [`run`](Pool::run) among them: it starts
    /// `threads - 1`. If the system grants fewer, the pool is that much smaller.
    pub fn new(threads: usize) -> Pool {
        Pool::start(threads.clamp(1, MOST_THREADS)).0
    }

    /// As [`new`](Pool::new), with exactly so many threads.
    ///
    /// # Errors
    /// If there can be no such pool, or the system grants fewer threads.
    pub fn exactly(threads: usize) -> Result<Pool, PoolError> {
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(PoolError::Count(threads));
        }
        match Pool::start(threads) {
            (pool, None) => Ok(pool),
            (pool, Some(why)) => Err(PoolError::Refused {
                asked: threads,
                granted: pool.threads(),
                why: why.to_string(),
            }),
        }
    }

    /// A pool of up to so many threads, and why there are no more.
    fn start(threads: usize) -> (Pool, Option<std::io::Error>) {
        let closed = |_| {
            Line(Share {
                ticket: AtomicU64::new(u64::from(CLOSED)),
                end: AtomicU32::new(0),
            })
        };
        let shared = Arc::new(Shared {
            shares: (0..threads).map(closed).collect(),
            work: AtomicPtr::new(std::ptr::null_mut()),
            done: Line(AtomicUsize::new(0)),
            panic: Mutex::new(None),
            sleepers: AtomicU32::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut workers = Vec::new();
        let mut refused = None;
        for worker in 1..threads {
            let shared = Arc::clone(&shared);
            let name = format!("zerokara-{worker}");
            match std::thread::Builder::new()
                .name(name)
                .spawn(move || shared.worker(worker))
            {
                Ok(handle) => workers.push(handle),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let pool = Pool {
            shared,
            workers,
            busy: AtomicBool::new(false),
        };
        (pool, refused)
    }

    /// A pool of one thread per core that this process may use.
    pub fn with_all_cores() -> Pool {
        Pool::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Number of threads that take part in a region, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(unit, worker)` for every unit below `units`, each once, and returns when all are done.
    /// `worker` is below [`threads`](Pool::threads), and no two calls run with the same worker at the same time.
    ///
    /// One unit, a pool of one thread, and a call while the pool is busy (from within a unit, or from another
    /// thread) run here and now, with worker 0.
    ///
    /// # Panics
    /// If a unit panics, with the first panic, after all other units are done.
    pub fn run(&self, units: usize, work: Work<'_>) {
        let threads = self.threads();
        self.run_shares(units, |thread| share(units, threads, thread).end, work);
    }

    /// As [`run`](Pool::run); the share of thread `t` ends before unit `ends(t)`, and begins where that of the thread
    /// before ends. The last ends at `units`.
    ///
    /// # Panics
    /// If a unit panics, with the first panic, after all other units are done.
    pub fn run_shares(&self, units: usize, ends: impl Fn(usize) -> usize, work: Work<'_>) {
        if units <= 1
            || self.workers.is_empty()
            || units >= CLOSED as usize
            || self.busy.swap(true, Ordering::Acquire)
        {
            return run_alone(units, work);
        }
        // Also if `ends` panics: no unit is open before it has been asked for all threads.
        let busy = Busy(&self.busy);
        let shared = &*self.shared;
        let threads = self.threads();
        let mut start = 0;
        for (thread, Line(dealt)) in shared.shares.iter().enumerate() {
            // Threads that the system did not grant have no share.
            let end = match thread + 1 < threads {
                true => ends(thread).clamp(start, units),
                false => units,
            };
            // The stores to `end` and `work` are releases: seeing one of them means seeing the tickets closed.
            dealt.end.store(end as u32, Ordering::Release);
            start = end;
        }
        // SAFETY: only the lifetime changes; nobody reads the reference after this function returns, since it
        // waits for all units and no unit can be taken once all are taken.
        let work: Work<'static> = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        let region = shared.region(0).wrapping_add(1);
        shared.done.0.store(0, Ordering::Relaxed);
        shared
            .work
            .store((&raw const work).cast_mut(), Ordering::Release);
        let mut start = 0;
        for Line(dealt) in &shared.shares {
            let ticket = u64::from(region) << 32 | start;
            dealt.ticket.store(ticket, Ordering::Release);
            start = u64::from(dealt.end.load(Ordering::Relaxed));
        }
        shared.wake_sleepers();
        shared.take_part(0);
        let mut spins = 0;
        while shared.done.0.load(Ordering::Acquire) < units {
            spins += 1;
            if spins < CALLER_SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        for Line(share) in &shared.shares {
            let closed = u64::from(region) << 32 | u64::from(CLOSED);
            share.ticket.store(closed, Ordering::Release);
        }
        let panic = shared
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(busy);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

/// Calls `work(unit, 0)` for every unit below `units`, each once, here and now.
///
/// # Panics
/// If a unit panics, with the first panic, after all other units are done.
pub(crate) fn run_alone(units: usize, work: Work<'_>) {
    let mut first = None;
    for unit in 0..units {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(unit, 0))) {
            first.get_or_insert(payload);
        }
    }
    if let Some(payload) = first {
        resume_unwind(payload);
    }
}

/// Marks a pool as free in the end, however that comes.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(
            self.shared
                .sleep
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // Workers catch the panics of units, so there is none to report.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads);
            for units in (0..40).chain([1000]) {
                let counts: Vec<AtomicUsize> = (0..units).map(|_| AtomicUsize::new(0)).collect();
                pool.run(units, &|unit, worker| {
                    assert!(worker < pool.threads());
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts.iter().all(|c| c.load(Ordering::Relaxed) == 1),
                    "{units} units, {threads} threads"
                );
            }
        }
    }

    #[test]
    fn shares_may_be_uneven_or_empty() {
        let pool = Pool::new(3);
        for ends in [[0, 0, 9], [9, 9, 9], [2, 3, 9], [0, 9, 9], [20, 1, 9]] {
            let counts: Vec<AtomicUsize> = (0..9).map(|_| AtomicUsize::new(0)).collect();
            pool.run_shares(9, |thread| ends[thread], &|unit, _| {
                counts[unit].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                counts.iter().all(|c| c.load(Ordering::Relaxed) == 1),
                "{ends:?}"
            );
        }
    }

    #[test]
    fn many_regions_with_and_without_pauses() {
        let pool = Pool::new(4);
        let sum = AtomicUsize::new(0);
        for i in 0..20_000 {
            pool.run(1 + i % 7, &|unit, _| {
                sum.fetch_add(unit + 1, Ordering::Relaxed);
            });
            if i % 1000 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1)); // lets the workers park
            }
        }
        let expected: usize = (0..20_000)
            .map(|i| {
                let u = 1 + i % 7;
                u * (u + 1) / 2
            })
            .sum();
        assert_eq!(sum.load(Ordering::Relaxed), expected);
    }

    #[test]
    fn no_two_units_share_a_worker_at_the_same_time() {
        let pool = Pool::new(4);
        let inside: Vec<AtomicBool> = (0..4).map(|_| AtomicBool::new(false)).collect();
        for _ in 0..500 {
            pool.run(16, &|_, worker| {
                assert!(!inside[worker].swap(true, Ordering::AcqRel));
                std::hint::spin_loop();
                inside[worker].store(false, Ordering::Release);
            });
        }
    }

    #[test]
    fn a_busy_pool_runs_inline() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        pool.run(8, &|_, _| {
            pool.run(8, &|unit, worker| {
                assert_eq!(worker, 0);
                sum.fetch_add(unit, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.load(Ordering::Relaxed), 8 * 28);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let own = AtomicUsize::new(0);
                        pool.run(5, &|unit, _| {
                            own.fetch_add(unit, Ordering::Relaxed);
                        });
                        assert_eq!(own.load(Ordering::Relaxed), 10);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let ran = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.run(10, &|unit, _| {
                ran.fetch_add(1, Ordering::Relaxed);
                if unit == 3 {
                    panic!("unit three");
                }
            });
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"unit three"));
        assert_eq!(ran.load(Ordering::Relaxed), 10);
        pool.run(10, &|_, _| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.load(Ordering::Relaxed), 20);
    }

    /// Alone, within a unit, and beside another region, all units run and the first panic is passed on, as in a region of
    /// many threads; so they do when the shares cannot be told.
    #[test]
    fn a_panic_of_units_that_run_alone_leaves_none_out() {
        let panics = |pool: &Pool, ran: &AtomicUsize| {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.run(10, &|unit, _| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    if unit == 3 || unit == 7 {
                        resume_unwind(Box::new(unit));
                    }
                });
            }));
            assert_eq!(caught.unwrap_err().downcast_ref(), Some(&3usize));
        };
        let ran = AtomicUsize::new(0);
        panics(&Pool::new(1), &ran);
        assert_eq!(ran.load(Ordering::Relaxed), 10);
        let pool = Pool::new(2);
        pool.run(4, &|_, _| panics(&pool, &ran));
        assert_eq!(ran.load(Ordering::Relaxed), 50);
        for _ in 0..100 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.run_shares(4, |_| resume_unwind(Box::new("ends")), &|_, _| {
                    ran.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"ends"));
        }
        assert_eq!(ran.load(Ordering::Relaxed), 50);
        assert!(!pool.busy.load(Ordering::Acquire));
        pool.run(5, &|_, _| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.load(Ordering::Relaxed), 55);
    }

    #[test]
    fn numbers_of_threads_that_cannot_be_are_refused() {
        for threads in [0, MOST_THREADS + 1, 2_000_000, usize::MAX] {
            let error = Pool::exactly(threads).unwrap_err();
            assert_eq!(error, PoolError::Count(threads));
            assert!(error.to_string().contains("1 to 1024"), "{error}");
        }
        assert_eq!(Pool::exactly(3).map(|pool| pool.threads()), Ok(3));
        assert_eq!(Pool::new(0).threads(), 1);
    }

    #[test]
    fn pools_come_and_go() {
        for i in 0..200 {
            let pool = Pool::new(1 + i % 4);
            if i % 2 == 0 {
                pool.run(3, &|_, _| {});
            }
        }
    }
}
