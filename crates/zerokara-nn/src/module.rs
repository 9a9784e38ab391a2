//! Modules: structs of named parts that hold parameters, and their forward pass.

use crate::{Context, GraphModule, Model, ParameterSlot, Place, model::INPUT};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use zerokara_core::{Array, Error, Meta, Metas, Parameter, Result, Tensor};

/// Something made of parts that hold parameters. `#[derive(Module)]` writes [`Module::visit`] for a struct.
///
/// The names of fields, joined by dots, are the paths of layers and parameters: `block1.conv1.weight`. `Option` and
/// `Box` add nothing to a path; vectors, arrays and tuples add the number of the element: `layers.0`.
pub trait Module: Send + Sync {
    /// Hands every part to the visitor, in order.
    fn visit(&self, visitor: &mut Visitor<'_>);

    /// The parameters that training changes, each once, with their paths, in the order of the fields.
    ///
    /// # Errors
    /// If the model has not been built.
    fn named_parameters(&self) -> Result<Vec<(String, Parameter)>> {
        let slots = slots(self)?;
        values(slots, |slot| slot.is_trainable())
    }

    /// The values that are part of the model but that no gradient changes (running statistics), with their paths.
    ///
    /// # Errors
    /// If the model has not been built.
    fn named_buffers(&self) -> Result<Vec<(String, Parameter)>> {
        let slots = slots(self)?;
        values(slots, |slot| !slot.is_trainable())
    }

    /// The parameters that training changes, each once.
    ///
    /// # Errors
    /// If the model has not been built.
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(self.named_parameters()?.into_iter().map(|p| p.1).collect())
    }

    /// The values that are part of the model but that no gradient changes.
    ///
    /// # Errors
    /// If the model has not been built.
    fn buffers(&self) -> Result<Vec<Parameter>> {
        Ok(self.named_buffers()?.into_iter().map(|p| p.1).collect())
    }

    /// Number of all elements of the parameters that training changes.
    ///
    /// # Errors
    /// If the model has not been built.
    fn parameter_count(&self) -> Result<usize> {
        Ok(self.parameters()?.iter().map(|p| p.meta().len()).sum())
    }

    /// The current values of all parameters and buffers by path: a snapshot, which costs no copy until the model moves
    /// on.
    ///
    /// # Errors
    /// If the model has not been built.
    fn state(&self) -> Result<Vec<(String, Array)>> {
        let all = values(slots(self)?, |_| true)?;
        Ok(all.into_iter().map(|(path, p)| (path, p.value())).collect())
    }

    /// Sets all parameters and buffers to the values of a snapshot; all or, on an error, none.
    ///
    /// # Errors
    /// If the model has not been built, or the snapshot lacks a value, has one too many, or has one of another shape.
    fn load_state(&self, state: &[(String, Array)]) -> Result<()> {
        let all = values(slots(self)?, |_| true)?;
        let mut given: HashMap<&str, &Array> = state.iter().map(|(p, a)| (p.as_str(), a)).collect();
        let mut found = Vec::with_capacity(all.len());
        for (path, parameter) in all {
            let value = given
                .remove(path.as_str())
                .ok_or_else(|| Error::new(format!("there is no value for {path}")))?;
            if value.meta() != *parameter.meta() {
                return Err(Error::new(format!(
                    "{path} is {} and cannot take a value of {}",
                    parameter.meta(),
                    value.meta()
                )));
            }
            found.push((parameter, value));
        }
        if let Some(path) = given.keys().min() {
            return Err(Error::new(format!("the model has no parameter {path}")));
        }
        for (parameter, value) in found {
            parameter.set_array(value.clone())?;
        }
        Ok(())
    }
}

/// A module with one input and one output.
#[doc(alias = "predict")]
pub trait Forward: Module {
    /// The output for this input. An input that does not fit gives an invalid tensor that carries the error.
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor;

    /// Makes the parameters: gives every layer its path, runs the forward pass on a tensor like the sample to learn the
    /// sizes, and initialises each parameter from the seed and its path. Parameters that exist already are kept. The
    /// sample's values do not matter.
    ///
    /// # Errors
    /// If the forward pass does not fit the sample, or leaves a layer out; then no parameter is made.
    fn build(&self, sample: &dyn Sample, seed: u64) -> Result<()> {
        let sample = Metas::one(INPUT, sample.sample_meta()?);
        self.build_for(&sample, seed)
    }

    /// The fewest samples like this one that the model can be trained on together, found by asking it: 1, or, where it
    /// takes statistics over the samples, 2. A model that takes neither says why when it is trained.
    ///
    /// ```
    /// use zerokara_core::{DType, Meta};
    /// use zerokara_nn::{Forward, Sequential};
    /// let model = Sequential::new().linear(8).batch_norm1d().relu().linear(2);
    /// let sample = Meta::new([1, 4], DType::F32);
    /// model.build(&sample, 0)?;
    /// assert_eq!(model.least_batch(&sample)?, 2);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the sample is invalid.
    fn least_batch(&self, sample: &dyn Sample) -> Result<usize> {
        self.least_batch_for(&Metas::one(INPUT, sample.sample_meta()?))
    }

    /// The graph that the model is made of, which may have more inputs and outputs.
    #[doc(hidden)]
    fn as_graph(&self) -> Option<&GraphModule> {
        None
    }
}

/// What tells the shape and element type of a model's input.
pub trait Sample {
    /// Shape and element type.
    ///
    /// # Errors
    /// If the tensor is invalid.
    fn sample_meta(&self) -> Result<Meta>;
}

impl Sample for Meta {
    fn sample_meta(&self) -> Result<Meta> {
        Ok(self.clone())
    }
}

impl Sample for Tensor {
    fn sample_meta(&self) -> Result<Meta> {
        self.meta().cloned()
    }
}

impl Sample for Array {
    fn sample_meta(&self) -> Result<Meta> {
        Ok(self.meta())
    }
}

/// What a visitor meets.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// The place of a layer.
    Layer(&'a Place),
    /// The slot of a parameter.
    Slot(&'a ParameterSlot),
}

/// Walks a module and calls back for every layer and every slot with its path.
pub struct Visitor<'a> {
    path: String,
    sink: &'a mut dyn FnMut(&str, Part<'_>),
}

impl<'a> Visitor<'a> {
    /// A visitor that reports to `sink`.
    pub fn new(sink: &'a mut dyn FnMut(&str, Part<'_>)) -> Self {
        Self {
            path: String::new(),
            sink,
        }
    }

    /// Visits a part under its name; an empty name adds nothing to the path.
    pub fn part(&mut self, name: &str, part: &dyn Module) {
        let length = self.path.len();
        if !self.path.is_empty() && !name.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        part.visit(self);
        self.path.truncate(length);
    }

    /// Reports the place of the layer that is being visited.
    pub fn layer(&mut self, place: &Place) {
        (self.sink)(&self.path, Part::Layer(place));
    }

    /// Reports a slot under the current path.
    pub fn slot(&mut self, slot: &ParameterSlot) {
        (self.sink)(&self.path, Part::Slot(slot));
    }
}

/// The slots of a module with their paths, each once.
pub(crate) fn slots<M: Module + ?Sized>(module: &M) -> Result<Vec<(String, ParameterSlot)>> {
    let mut found: Vec<(String, ParameterSlot)> = Vec::new();
    let mut known = HashSet::new();
    let mut paths = HashSet::new();
    let mut twice = None;
    let mut sink = |path: &str, part: Part<'_>| {
        if let Part::Slot(slot) = part
            && known.insert(slot.identity())
        {
            if !paths.insert(path.to_string()) {
                twice.get_or_insert(path.to_string());
            }
            found.push((path.to_string(), slot.share()));
        }
    };
    module.visit(&mut Visitor::new(&mut sink));
    match twice {
        Some(path) => Err(Error::new(format!(
            "two parameters have the name {path}; give the layers different names"
        ))),
        None => Ok(found),
    }
}

/// The parameters in those slots that are wanted, each once: two slots may hold one parameter.
fn values(
    slots: Vec<(String, ParameterSlot)>,
    wanted: impl Fn(&ParameterSlot) -> bool,
) -> Result<Vec<(String, Parameter)>> {
    let mut seen = HashSet::new();
    let mut found = Vec::with_capacity(slots.len());
    for (path, slot) in slots {
        let parameter = slot.parameter().ok_or_else(|| {
            Error::new(format!(
                "the model has not been built: {path} has no value yet; call build(&sample, seed) first"
            ))
        })?;
        if wanted(&slot) && seen.insert(parameter.id()) {
            found.push((path, parameter));
        }
    }
    Ok(found)
}

macro_rules! transparent {
    ($($type:ty),*) => {$(
        impl<M: Module + ?Sized> Module for $type {
            fn visit(&self, visitor: &mut Visitor<'_>) {
                (**self).visit(visitor);
            }
        }
    )*};
}
transparent!(Box<M>, Arc<M>);

impl<M: Forward + ?Sized> Forward for Box<M> {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        (**self).forward(x, cx)
    }

    fn as_graph(&self) -> Option<&GraphModule> {
        (**self).as_graph()
    }
}

impl<M: Module> Module for Option<M> {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        if let Some(module) = self {
            module.visit(visitor);
        }
    }
}

impl<M: Module> Module for [M] {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        for (at, module) in self.iter().enumerate() {
            visitor.part(&at.to_string(), module);
        }
    }
}

impl<M: Module> Module for Vec<M> {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.as_slice().visit(visitor);
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.as_slice().visit(visitor);
    }
}

macro_rules! tuples {
    ($($($name:ident . $at:tt),+;)*) => {$(
        impl<$($name: Module),+> Module for ($($name,)+) {
            fn visit(&self, visitor: &mut Visitor<'_>) {
                $(visitor.part(stringify!($at), &self.$at);)+
            }
        }
    )*};
}
tuples! {
    A.0;
    A.0, B.1;
    A.0, B.1, C.2;
    A.0, B.1, C.2, D.3;
    A.0, B.1, C.2, D.3, E.4;
    A.0, B.1, C.2, D.3, E.4, F.5;
}
