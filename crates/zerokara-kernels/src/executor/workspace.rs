//! What runs of a plan work in.

use std::{
    fmt, slice,
    sync::{Arc, atomic::AtomicU64},
};

use super::{External, RunError};
use crate::{
    access::Memory,
    plan::{Buffer, Element, Region},
    share::share,
    storage::Storage,
    tasks::{Room, Task},
};

/// The units of a stage as they are dealt to threads: of each task a part, the same one whatever stands beside it, so that
/// steps which work through the same rows one after another find them in the same cache.
#[derive(Default)]
pub(super) struct Deal {
    /// Task and unit.
    pub(super) units: Vec<(u32, u32)>,
    /// For each thread, where its part ends.
    pub(super) ends: Vec<usize>,
}

impl Deal {
    pub(super) fn new(tasks: &[Box<dyn Task>], order: &[usize], threads: usize) -> Self {
        let mut deal = Deal::default();
        for thread in 0..threads {
            for (place, &task) in order.iter().enumerate() {
                let units = tasks[task].units();
                // Where there are fewer units than threads, another thread begins with each task.
                let first = if units < threads { place % threads } else { 0 };
                let part = share(units, threads, (thread + threads - first) % threads);
                deal.units
                    .extend(part.map(|unit| (task as u32, unit as u32)));
            }
            deal.ends.push(deal.units.len());
        }
        deal
    }
}

/// All stages' units, dealt to so many threads; of which executor.
#[derive(Clone)]
pub(super) struct Dealt {
    pub(super) executor: u64,
    pub(super) threads: usize,
    pub(super) stages: Arc<[Deal]>,
}

/// How much of everything a run needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    pub(super) arena: usize,
    pub(super) prepared: usize,
    /// For each thread.
    pub(super) scratch: usize,
    pub(super) room: Room,
}

/// What one run at a time works in: the values between its steps, its threads' scratch, what its units leave to one another.
///
/// It is empty when it is made; the first run takes what it needs, and later ones allocate nothing. It serves any
/// [`Executor`](super::Executor), best always the same.
#[derive(Default)]
pub struct Workspace {
    arena: Option<Storage>,
    /// What [`Executor::run`](super::Executor::run) prepares, for itself alone.
    prepared: Option<Storage>,
    scratch: Option<Storage>,
    counters: Option<Storage>,
    partials: Option<Storage>,
    /// Of the buffers; rewritten in each run.
    addresses: Vec<*mut u8>,
    pub(super) dealt: Option<Dealt>,
    /// Whether a run was broken off, so that counters may not be 0.
    pub(super) is_torn: bool,
}

// SAFETY: its storages are its own, and the addresses are only followed during a run, which borrows what they lead to.
unsafe impl Send for Workspace {}
// SAFETY: a shared reference tells sizes alone.
unsafe impl Sync for Workspace {}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// A storage of at least this size: the one that is there, or a new one of zeros.
fn hold(slot: &mut Option<Storage>, element: Element, len: usize) -> Result<*mut u8, RunError> {
    if slot.as_ref().is_none_or(|storage| storage.len() < len) {
        // The old one makes room first.
        *slot = None;
        let bytes = len.saturating_mul(element.size());
        *slot = Some(Storage::try_zeros(element, len).ok_or(RunError::Memory { bytes })?);
    }
    Ok(slot
        .as_mut()
        .map_or(std::ptr::null_mut(), Storage::as_mut_ptr))
}

impl Workspace {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let all = [
            &self.arena,
            &self.prepared,
            &self.scratch,
            &self.counters,
            &self.partials,
        ];
        all.into_iter().flatten().map(Storage::bytes).sum()
    }

    /// Takes what a run of so many threads needs, if it is not there yet.
    pub(super) fn hold(&mut self, needs: &Needs, threads: usize) -> Result<(), RunError> {
        let scratch = needs.scratch.saturating_mul(threads);
        let Room { counters, partials } = needs.room;
        hold(&mut self.arena, Element::Bool, needs.arena)?;
        hold(&mut self.scratch, Element::Bool, scratch)?;
        hold(&mut self.counters, Element::I64, counters)?;
        hold(&mut self.partials, Element::F64, partials)?;
        if std::mem::replace(&mut self.is_torn, false)
            && let Some(counters) = self.counters.as_mut().and_then(Storage::i64s_mut)
        {
            counters.fill(0);
        }
        Ok(())
    }

    /// Its own place for what is prepared.
    pub(super) fn own_prepared(&mut self, needs: &Needs) -> Result<*mut u8, RunError> {
        hold(&mut self.prepared, Element::Bool, needs.prepared)
    }

    /// Finds where all buffers lie, after [`Workspace::hold`].
    pub(super) fn bind(
        &mut self,
        buffers: &[Buffer],
        externals: &mut [External<'_>],
        prepared: *mut u8,
    ) -> Result<(), RunError> {
        let arena = self
            .arena
            .as_mut()
            .map_or(std::ptr::null_mut(), Storage::as_mut_ptr);
        self.addresses.clear();
        for buffer in buffers {
            let address = match buffer.region {
                Region::Arena(offset) => arena.wrapping_add(offset),
                Region::Prepared(offset) => prepared.wrapping_add(offset),
                // Each slice of a chain puts its own address there.
                Region::Local(_) => std::ptr::null_mut(),
                Region::External(external) => {
                    let (storage, address) = match &mut externals[external] {
                        External::Read(storage) => (&**storage, storage.as_ptr().cast_mut()),
                        External::Write(storage) => {
                            let address = storage.as_mut_ptr();
                            (&**storage, address)
                        }
                    };
                    let expected = (buffer.element, buffer.len);
                    let given = (storage.element(), storage.len());
                    if given != expected {
                        return Err(RunError::ExternalMismatch {
                            external,
                            expected,
                            given,
                        });
                    }
                    address
                }
            };
            self.addresses.push(address);
        }
        Ok(())
    }

    /// What was held and bound, and the first thread's scratch.
    pub(super) fn memory(&mut self) -> (Memory<'_>, *mut u8) {
        let pointer = |slot: &mut Option<Storage>| {
            slot.as_mut()
                .map_or(std::ptr::null_mut(), Storage::as_mut_ptr)
        };
        let (scratch, partials) = (pointer(&mut self.scratch), pointer(&mut self.partials));
        let counters = match self.counters.as_mut().and_then(Storage::i64s_mut) {
            // SAFETY: the storage is borrowed mutably, and integers of 64 bits on a cache line are atomic ones as well.
            Some(all) => unsafe {
                slice::from_raw_parts(all.as_mut_ptr().cast::<AtomicU64>(), all.len())
            },
            None => &[],
        };
        let memory = Memory {
            buffers: &self.addresses,
            counters,
            partials: partials.cast(),
        };
        (memory, scratch)
    }
}

/// What the stages of [`Plan::preparation`](crate::plan::Plan::preparation) left, for any number of runs at once.
#[derive(Debug)]
pub struct Prepared {
    pub(super) executor: u64,
    storage: Storage,
}

impl Prepared {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.storage.bytes()
    }

    /// Where it lies; nobody writes there while it is shared.
    pub(super) fn address(&self) -> *mut u8 {
        self.storage.as_ptr().cast_mut()
    }

    /// A place to prepare in: that of an old one of the same executor, if there is one.
    pub(super) fn place(
        executor: u64,
        needs: &Needs,
        old: Option<Prepared>,
    ) -> Result<Prepared, RunError> {
        if let Some(old) = old.filter(|old| old.executor == executor) {
            return Ok(old);
        }
        let bytes = needs.prepared;
        let storage = Storage::try_zeros(Element::Bool, bytes);
        let storage = storage.ok_or(RunError::Memory { bytes })?;
        Ok(Prepared { executor, storage })
    }

    /// As [`address`](Self::address), to be written.
    pub(super) fn address_mut(&mut self) -> *mut u8 {
        self.storage.as_mut_ptr()
    }
}
