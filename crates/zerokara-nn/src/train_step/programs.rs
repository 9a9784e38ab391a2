//! Compiled programs, one for each shape of what is given.

use crate::given::{Given, Shapes};
use zerokara_core::{Named, Program, Result};

/// Programs that are kept, one per shape: more shapes than this push out the one used longest ago.
const PROGRAMS: usize = 8;

/// A program, and what its outputs are.
pub(crate) struct Compiled {
    pub program: Program,
    /// The names of the task's sums, in the order of the program's last outputs.
    pub sums: Vec<&'static str>,
    /// The names of the model's outputs, where these are among the program's.
    pub outputs: Named<()>,
}

/// A program with what it was compiled for.
pub(crate) struct Kept<K> {
    pub kind: K,
    inputs: Shapes,
    targets: Shapes,
    pub compiled: Compiled,
}

/// Programs by what they take and of what kind they are, last used last.
pub(crate) struct Programs<K>(pub Vec<Kept<K>>);

impl<K: Copy + PartialEq> Programs<K> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// The program of this kind for arrays like these.
    pub fn get(
        &mut self,
        kind: K,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        compile: impl FnOnce(&Shapes, &Shapes) -> Result<Compiled>,
    ) -> Result<&mut Kept<K>> {
        let known = |kept: &Kept<K>| {
            kept.kind == kind && kept.inputs.fit(inputs) && kept.targets.fit(targets)
        };
        let kept = match self.0.iter().position(known) {
            Some(at) => self.0.remove(at),
            None => {
                for at in 0..inputs.count() {
                    inputs.at(at).1.valid()?;
                }
                for at in 0..targets.count() {
                    targets.at(at).1.valid()?;
                }
                let (inputs, targets) = (Shapes::of(inputs, "x"), Shapes::of(targets, "t"));
                Kept {
                    kind,
                    compiled: compile(&inputs, &targets)?,
                    inputs,
                    targets,
                }
            }
        };
        if self.0.len() == PROGRAMS {
            self.0.remove(0);
        }
        self.0.push(kept);
        let last = self.0.len() - 1;
        Ok(&mut self.0[last])
    }
}
