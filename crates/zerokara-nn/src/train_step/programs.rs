//! Compiled programs, one for each shape of what is given, and where they run.

use crate::given::{Given, Shapes};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zerokara_core::{
    Arithmetic, Error, Named, Parameter, Program, Result, Runner, Runtime, Tensor,
};

/// Programs that are kept, one per shape: more shapes than this push out the one used longest ago.
const PROGRAMS: usize = 8;

/// A program or what runs it, and what its outputs are.
#[derive(Clone)]
pub(crate) struct Compiled<P> {
    pub program: P,
    /// The names of the task's sums, in the order of the program's last outputs.
    pub sums: Arc<[&'static str]>,
    /// The names of the model's outputs, where these are among the program's.
    pub outputs: Arc<Named<()>>,
}

impl Compiled<Program> {
    /// What runs the program again and again on one thread.
    pub fn runner(self) -> Compiled<Runner> {
        Compiled {
            program: self.program.runner(),
            sums: self.sums,
            outputs: self.outputs,
        }
    }
}

/// A program with what it was compiled for.
pub(crate) struct Kept<K, P> {
    pub kind: K,
    inputs: Shapes,
    targets: Shapes,
    compiled: Compiled<P>,
}

/// Programs by what they take and of what kind they are, last used last.
pub(crate) struct Programs<K, P>(pub Vec<Kept<K, P>>);

impl<K, P> Default for Programs<K, P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + PartialEq, P> Programs<K, P> {
    /// The program of this kind for arrays like these, if it is there.
    fn find(
        &mut self,
        kind: K,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
    ) -> Option<&mut Compiled<P>> {
        let known = |kept: &Kept<K, P>| {
            kept.kind == kind && kept.inputs.fit(inputs) && kept.targets.fit(targets)
        };
        // Mostly it is the one that was used last.
        let at = self.0.iter().rposition(known)?;
        self.0[at..].rotate_left(1);
        Some(&mut self.0.last_mut()?.compiled)
    }

    fn keep(&mut self, kept: Kept<K, P>) {
        if self.0.len() == PROGRAMS {
            self.0.remove(0);
        }
        self.0.push(kept);
    }

    /// The program of this kind for arrays like these.
    pub fn get(
        &mut self,
        kind: K,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        compile: impl FnOnce(&Shapes, &Shapes) -> Result<Compiled<P>>,
    ) -> Result<&mut Compiled<P>> {
        if self.find(kind, inputs, targets).is_none() {
            self.keep(made(kind, inputs, targets, compile)?);
        }
        let last = self.0.last_mut();
        Ok(&mut last
            .ok_or_else(|| Error::new("no program was kept"))?
            .compiled)
    }
}

fn made<K, P>(
    kind: K,
    inputs: &(impl Given + ?Sized),
    targets: &(impl Given + ?Sized),
    compile: impl FnOnce(&Shapes, &Shapes) -> Result<Compiled<P>>,
) -> Result<Kept<K, P>> {
    for at in 0..inputs.count() {
        inputs.at(at).1.valid()?;
    }
    for at in 0..targets.count() {
        targets.at(at).1.valid()?;
    }
    let (inputs, targets) = (Shapes::of(inputs, "x"), Shapes::of(targets, "t"));
    Ok(Kept {
        kind,
        compiled: compile(&inputs, &targets)?,
        inputs,
        targets,
    })
}

/// Programs that many threads use; neither lock is held while one runs.
#[derive(Default)]
pub(crate) struct SharedPrograms {
    programs: Mutex<Programs<(), Program>>,
    /// Of whoever compiles, so that others who need the same wait for it.
    compiling: Mutex<()>,
}

impl SharedPrograms {
    /// The program for arrays like these.
    pub fn get(
        &self,
        inputs: &(impl Given + ?Sized),
        compile: impl FnOnce(&Shapes) -> Result<Compiled<Program>>,
    ) -> Result<Compiled<Program>> {
        let none = Named::new();
        if let Some(program) = lock(&self.programs).find((), inputs, &none) {
            return Ok(program.clone());
        }
        let _compiling = lock(&self.compiling);
        if let Some(program) = lock(&self.programs).find((), inputs, &none) {
            return Ok(program.clone());
        }
        let kept = made((), inputs, &none, |inputs, _| compile(inputs))?;
        let program = kept.compiled.clone();
        lock(&self.programs).keep(kept);
        Ok(program)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where programs run, and how convolutions multiply and sum in them.
#[derive(Clone)]
pub(crate) struct Site {
    pub runtime: Arc<Runtime>,
    /// As the runtime says, if nothing is told.
    arithmetic: Option<Arithmetic>,
}

impl Site {
    /// The default runtime.
    pub fn current() -> Result<Self> {
        Ok(Self {
            runtime: Runtime::current()?,
            arithmetic: None,
        })
    }

    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic.unwrap_or(self.runtime.arithmetic())
    }

    /// An error if the machine lacks the arithmetic.
    pub fn set_arithmetic(&mut self, arithmetic: Arithmetic) -> Result<()> {
        let refused = arithmetic.offer(self.runtime.isa());
        refused.map_err(|reason| Error::new(reason.to_string()))?;
        self.arithmetic = Some(arithmetic);
        Ok(())
    }

    pub fn compile(
        &self,
        inputs: &[&Tensor],
        outputs: &[&Tensor],
        updates: &[(Parameter, Tensor)],
    ) -> Result<Program> {
        let runtime = self.runtime.clone();
        Program::compile_in(runtime, inputs, outputs, updates, self.arithmetic())
    }
}
