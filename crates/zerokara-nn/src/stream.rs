//! Models that carry states from step to step.

use crate::{Model, Predictor};
use std::sync::Arc;
use zerokara_core::{Array, Arrays, Error, Result, record::BATCH};

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
/// let mut stream = Stream::new(rnn)?;
/// stream.set_state("h", Array::zeros(&Meta::new([1, 4], DType::F32)))?;
/// let x = Array::new([1, 3], vec![1.0f32, 2.0, 3.0]);
/// let first = stream.step(&Arrays::one("x", x.clone()))?;
/// let second = stream.step(&Arrays::one("x", x))?;
/// assert_ne!(first, second);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct Stream {
    model: Arc<dyn Model>,
    predictor: Predictor,
    states: Arrays,
}

impl Stream {
    /// Before the first step: no state has a value yet. Those of a model that was loaded, or says their shapes
    /// ([`Model::state_ports`]), begin as zeros.
    ///
    /// # Errors
    /// If the model has not been built.
    pub fn new(model: impl Model + 'static) -> Result<Self> {
        let model: Arc<dyn Model> = Arc::new(model);
        Ok(Self {
            predictor: Predictor::new(model.clone())?,
            model,
            states: Arrays::new(),
        })
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Model> {
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
        let outputs = self.predictor.predict_all(&given)?;
        let mut next = self.states.clone();
        for (state, output) in carried {
            next.insert(state, outputs.find(&output)?.clone());
        }
        self.states = next;
        Ok(outputs)
    }

    /// The first value of a state of a model that says its shape.
    fn begin(&self, state: &str, inputs: &Arrays) -> Result<Array> {
        let ports = self.model.state_ports();
        if self.model.recorded().is_none()
            && let Some(port) = ports.iter().find(|port| &*port.name == state)
        {
            let samples = inputs
                .values()
                .next()
                .and_then(|x| x.shape().first().copied());
            let length = |name: &str| samples.filter(|_| name == BATCH);
            return Array::try_zeros(&port.meta(length)?);
        }
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
}
