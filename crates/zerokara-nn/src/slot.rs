//! The slots of parameters: what a layer holds of a parameter before it is built.

use crate::{Context, Initializer, Module, Visitor, place::Path};
use std::{
    fmt,
    panic::Location,
    sync::{Arc, RwLock},
};
use zerokara_core::{Error, Meta, Parameter, Tensor};

/// The slot of a parameter: empty until the model is built, since only then the sizes of inputs are known.
///
/// A slot is a module, so a layer of one's own holds it in a field:
///
/// ```
/// use zerokara_core::{Meta, Tensor, DType};
/// use zerokara_nn::{Context, Forward, Initializer, Module, ParameterSlot};
///
/// #[derive(Module)]
/// struct Scale {
///     gain: ParameterSlot,
/// }
///
/// impl Forward for Scale {
///     fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
///         let Ok(&[_, features]) = x.shape() else { return x.clone() };
///         x * self.gain.tensor(&Meta::new([features], DType::F32), cx)
///     }
/// }
///
/// let scale = Scale { gain: ParameterSlot::new(Initializer::Constant(2.0)) };
/// let x = Tensor::from([[1.0, 2.0, 3.0]]);
/// scale.build(&x, 0)?;
/// let y = scale.forward(&x, &mut Context::evaluate());
/// assert_eq!(y.to_vec::<f32>()?, [2.0, 4.0, 6.0]);
/// assert_eq!(scale.named_parameters()?[0].0, "gain");
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// Cloning a slot copies the value into a new parameter; [`ParameterSlot::share`] ties two layers on purpose.
pub struct ParameterSlot(Arc<Slot>);

struct Slot {
    initializer: Initializer,
    trainable: bool,
    location: &'static Location<'static>,
    path: Path,
    parameter: RwLock<Option<Parameter>>,
}

impl ParameterSlot {
    /// An empty slot of a parameter that training changes.
    #[track_caller]
    pub fn new(initializer: Initializer) -> Self {
        Self::make(initializer, true, None)
    }

    /// An empty slot of a value that is part of the model but that no gradient changes, as running statistics are.
    #[track_caller]
    pub fn buffer(initializer: Initializer) -> Self {
        Self::make(initializer, false, None)
    }

    /// A slot that holds a parameter already.
    #[track_caller]
    pub fn of(parameter: Parameter, trainable: bool) -> Self {
        Self::make(Initializer::Constant(0.0), trainable, Some(parameter))
    }

    #[track_caller]
    fn make(initializer: Initializer, trainable: bool, parameter: Option<Parameter>) -> Self {
        Self(Arc::new(Slot {
            initializer,
            trainable,
            location: Location::caller(),
            path: Path::default(),
            parameter: RwLock::new(parameter),
        }))
    }

    /// The same slot again: both owners see one parameter, which appears once among a model's parameters, under the
    /// name of the owner that comes first.
    pub fn share(&self) -> Self {
        Self(self.0.clone())
    }

    /// Whether both are the same slot.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that this slot and what shares it have alone.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether gradients change the value.
    pub fn is_trainable(&self) -> bool {
        self.0.trainable
    }

    /// The parameter, once the model is built.
    pub fn parameter(&self) -> Option<Parameter> {
        let parameter = self.0.parameter.read();
        parameter.unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// The current value as a tensor. While the model is being built, a parameter of this shape and element type is
    /// made if there is none; otherwise an empty slot gives an invalid tensor that says so.
    pub fn tensor(&self, meta: &Meta, cx: &mut Context) -> Tensor {
        if let Some(parameter) = cx.find(self) {
            return parameter.tensor();
        }
        let Some(seed) = cx.build_seed() else {
            return Tensor::invalid(Error::new(format!(
                "{} has no value: build the model first, with build(&sample, seed)\n  at {}",
                self.label(),
                self.0.location
            )));
        };
        let path = self.0.path.get().unwrap_or_else(|| "".into());
        match self.0.initializer.sample(meta, seed, &path) {
            Ok(value) => {
                let parameter = Parameter::of_array(&*path, value);
                let tensor = parameter.tensor();
                cx.made(self.share(), parameter);
                tensor
            }
            Err(error) => Tensor::invalid(Error::new(format!(
                "{}: {error}\n  at {}",
                self.label(),
                self.0.location
            ))),
        }
    }

    pub(crate) fn set_path(&self, path: &str) {
        self.0.path.set(path);
    }

    pub(crate) fn fill(&self, parameter: Parameter) {
        let cell = self.0.parameter.write();
        *cell.unwrap_or_else(|e| e.into_inner()) = Some(parameter);
    }

    /// What to call the slot in messages.
    pub(crate) fn label(&self) -> String {
        match self.0.path.get() {
            Some(path) if !path.is_empty() => format!("parameter {path}"),
            _ => "a parameter".into(),
        }
    }
}

impl Module for ParameterSlot {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.slot(self);
    }
}

impl Clone for ParameterSlot {
    fn clone(&self) -> Self {
        let copy = |p: Parameter| Parameter::of_array(p.name(), p.value());
        Self(Arc::new(Slot {
            initializer: self.0.initializer,
            trainable: self.0.trainable,
            location: self.0.location,
            path: self.0.path.clone(),
            parameter: RwLock::new(self.parameter().map(copy)),
        }))
    }
}

impl fmt::Debug for ParameterSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parameter() {
            Some(parameter) => fmt::Debug::fmt(&parameter, f),
            None => write!(f, "{} (not built)", self.label()),
        }
    }
}
