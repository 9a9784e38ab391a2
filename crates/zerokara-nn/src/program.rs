//! The compiled form of a graph, until the compiler of the core takes its place: runs the reference loops.

use crate::replay::replay;
use zerokara_core::{Array, Error, Parameter, Result, Tensor};

/// A graph that can be run again and again.
pub(crate) struct Program {
    inputs: Vec<Tensor>,
    roots: Vec<Tensor>,
    outputs: usize,
    parameters: Vec<Parameter>,
}

impl Program {
    /// The program of these inputs, outputs and updates.
    pub fn compile(
        inputs: &[&Tensor],
        outputs: &[&Tensor],
        updates: &[(Parameter, Tensor)],
    ) -> Result<Self> {
        let new_values = updates.iter().map(|(_, value)| value);
        let roots: Vec<Tensor> = outputs.iter().copied().chain(new_values).cloned().collect();
        for root in &roots {
            root.meta()?;
        }
        Ok(Self {
            inputs: inputs.iter().map(|&t| t.clone()).collect(),
            roots,
            outputs: outputs.len(),
            parameters: updates.iter().map(|(p, _)| p.clone()).collect(),
        })
    }

    /// The outputs for these values of the inputs and the current values of the parameters, which are then updated.
    pub fn run(&mut self, inputs: &[Array]) -> Result<Vec<Array>> {
        let given: Vec<(&Tensor, &Array)> = self.inputs.iter().zip(inputs).collect();
        if let Some((tensor, value)) = given.iter().find(|(t, a)| t.meta().ok() != Some(&a.meta()))
        {
            return Err(Error::new(format!(
                "the program takes {tensor:?}, not {}",
                value.meta()
            )));
        }
        let roots: Vec<&Tensor> = self.roots.iter().collect();
        let mut values = replay(&roots, &given, &mut |_, _| true)?.unwrap_or_default();
        let updates = values.split_off(self.outputs.min(values.len()));
        for (parameter, value) in self.parameters.iter().zip(updates) {
            parameter.set_array(value)?;
        }
        Ok(values)
    }
}
