//! Models that carry states from step to step.

use crate::{Context, Model};
use zerokara_core::{
    Array, Arrays, Error, Metas, Program, Result, Tensor, Tensors, scope::in_container,
};

/// Programs that are kept, one per shapes of the inputs.
const PROGRAMS: usize = 8;

/// Applies a model step by step and carries its states ([`Model::states`]) along: what a step gives for a state is what the
/// next one takes.
///
/// ```
/// use std::sync::Arc;
/// use zerokara_core::{Array, Arrays, DType, Meta, Metas, Tensors};
/// use zerokara_nn::{Context, Forward, Linear, Model, Module, Stream};
///
/// /// `h' = tanh(W [x, h])`, the book's recurrent layer.
/// #[derive(Module)]
/// struct Rnn { linear: Linear }
///
/// impl Model for Rnn {
///     fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
///         let (x, h) = (inputs.tensor("x"), inputs.tensor("h"));
///         let both = zerokara_core::Tensor::concat(&[&x, &h], 1);
///         Tensors::one("h", self.linear.forward(&both, cx).tanh())
///     }
///
///     fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
///         vec![("h".into(), "h".into())]
///     }
/// }
///
/// let rnn = Rnn { linear: Linear::new(4) };
/// rnn.build_for(&Metas::from([
///     ("x", Meta::new([1, 3], DType::F32)),
///     ("h", Meta::new([1, 4], DType::F32)),
/// ]), 0)?;
/// let mut stream = Stream::new(rnn);
/// stream.set_state("h", Array::zeros(&Meta::new([1, 4], DType::F32)))?;
/// let x = Array::new([1, 3], vec![1.0f32, 2.0, 3.0]);
/// let first = stream.step(&Arrays::one("x", x.clone()))?;
/// let second = stream.step(&Arrays::one("x", x))?;
/// assert_ne!(first, second);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct Stream<M> {
    model: M,
    states: Arrays,
    /// Programs by the metas of their inputs, last used last.
    programs: Vec<(Metas, Compiled)>,
}

struct Compiled {
    program: Program,
    outputs: Vec<String>,
}

impl<M: Model> Stream<M> {
    /// Before the first step: no state has a value yet. Those of a model that was loaded begin as zeros.
    pub fn new(model: M) -> Self {
        Self {
            model,
            states: Arrays::new(),
            programs: Vec::new(),
        }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The values that the next step takes for states.
    pub fn states(&self) -> &Arrays {
        &self.states
    }

    /// Gives a state the value that the next step takes.
    ///
    /// # Errors
    /// If the model has no such state, or the array is invalid.
    pub fn set_state(&mut self, name: &str, value: Array) -> Result<()> {
        value.valid()?;
        let states = self.model.states();
        if !states.iter().any(|(state, _)| &**state == name) {
            let names: Arrays = states
                .iter()
                .map(|(n, _)| (n.clone(), value.clone()))
                .collect();
            return Err(Error::new(format!(
                "the model has no state {name:?}; there are {}",
                names.list()
            )));
        }
        self.states.insert(name, value);
        Ok(())
    }

    /// Forgets all states, as before the first step.
    pub fn reset(&mut self) {
        self.states = Arrays::new();
    }

    /// The outputs for these inputs; then each state has its next value. An input that has the name of a state is taken in
    /// its place.
    ///
    /// # Errors
    /// If the inputs do not fit the model, or a state has no value yet; then no state changes.
    pub fn step(&mut self, inputs: &Arrays) -> Result<Arrays> {
        let mut given = inputs.clone();
        let carried = self.model.states();
        for (state, _) in &carried {
            if given.get(state).is_none() {
                let value = match self.states.get(state) {
                    Some(value) => value.clone(),
                    None => self.begin(state, inputs)?,
                };
                given.insert(state.clone(), value);
            }
        }
        let metas = given.map(|_, array| array.meta());
        let at = match self.programs.iter().position(|(known, _)| *known == metas) {
            Some(at) => at,
            None => {
                let compiled = self.compile(&given)?;
                if self.programs.len() == PROGRAMS {
                    self.programs.remove(0);
                }
                self.programs.push((metas, compiled));
                self.programs.len() - 1
            }
        };
        let entry = self.programs.remove(at);
        self.programs.push(entry);
        let last = self.programs.len() - 1;
        let compiled = &mut self.programs[last].1;
        let values: Vec<Array> = given.values().cloned().collect();
        let values = compiled.program.run(&values)?;
        let outputs: Arrays = compiled
            .outputs
            .iter()
            .map(String::as_str)
            .zip(values)
            .collect();
        let mut next = self.states.clone();
        for (state, output) in carried {
            next.insert(state, outputs.find(&output)?.clone());
        }
        self.states = next;
        Ok(outputs)
    }

    /// The first value of a state of a model that says its shape.
    fn begin(&self, state: &str, inputs: &Arrays) -> Result<Array> {
        let graph = self.model.recorded().ok_or_else(|| {
            Error::new(format!(
                "the state {state:?} has no value yet: set_state gives it one, or the inputs of the first step have it"
            ))
        })?;
        let signature = graph.signature();
        let mut known = signature.clone();
        known.inputs.retain(|port| inputs.get(&port.name).is_some());
        let lengths = known.lengths(&inputs.map(|_, array| array.meta()))?;
        let port = signature.inputs.iter().find(|port| &*port.name == state);
        let port = port.ok_or_else(|| Error::new(format!("there is no input {state:?}")))?;
        Array::try_zeros(&port.meta(|name| lengths.get(name).copied())?)
    }

    fn compile(&self, given: &Arrays) -> Result<Compiled> {
        let mut tensors = Tensors::new();
        for (name, array) in given.iter() {
            let meta = array.valid()?.meta();
            tensors.insert(name, Tensor::input(name, meta.shape, meta.dtype));
        }
        let mut outputs = Tensors::new();
        let mut cx = Context::evaluate();
        in_container("", || outputs = self.model.apply(&tensors, &mut cx));
        cx.finish()?;
        let inputs: Vec<&Tensor> = tensors.values().collect();
        let results: Vec<&Tensor> = outputs.values().collect();
        Ok(Compiled {
            program: Program::compile(&inputs, &results, &[])?,
            outputs: outputs.names().map(str::to_string).collect(),
        })
    }
}
