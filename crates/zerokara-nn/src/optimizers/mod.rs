//! Optimizers: how a gradient changes a parameter.
//!
//! An optimizer is a pure formula on tensors. What it remembers of a parameter are state tensors of the parameter's
//! shape; what changes from step to step (the learning rate, bias corrections) are scalars that are computed on the
//! host in double precision and given to the compiled step as inputs.

mod adaptive;
mod lion;
mod muon;
mod schedules;
mod sgd;

pub use adaptive::{AdaGrad, Adam, AdamW, Lamb, RAdam, RmsProp};
pub use lion::Lion;
pub use muon::Muon;
pub use schedules::Schedule;
pub use sgd::{Momentum, Nesterov, Sgd};

use std::sync::Arc;
use zerokara_core::{Error, Meta, Result, Tensor};

/// The numbers of an update; up to four are kept without allocating.
///
/// ```
/// use zerokara_nn::Scalars;
/// let scalars = Scalars::from([0.1, 0.9]);
/// assert_eq!(*scalars, [0.1, 0.9]);
/// assert_eq!(Scalars::from(vec![0.5; 9]).len(), 9);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scalars(Numbers);

#[derive(Clone, Debug, PartialEq)]
enum Numbers {
    Few([f64; Scalars::FEW], usize),
    Many(Vec<f64>),
}

impl Scalars {
    const FEW: usize = 4;
}

impl<const N: usize> From<[f64; N]> for Scalars {
    fn from(given: [f64; N]) -> Self {
        if N > Self::FEW {
            return Self(Numbers::Many(given.to_vec()));
        }
        let mut values = [0.0; Self::FEW];
        values[..N].copy_from_slice(&given);
        Self(Numbers::Few(values, N))
    }
}

impl From<Vec<f64>> for Scalars {
    fn from(given: Vec<f64>) -> Self {
        Self(Numbers::Many(given))
    }
}

impl std::ops::Deref for Scalars {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        match &self.0 {
            Numbers::Few(values, count) => &values[..*count],
            Numbers::Many(values) => values,
        }
    }
}

/// A parameter as an optimizer knows it before the first update.
#[derive(Clone, Copy, Debug)]
pub struct ParameterSpec<'a> {
    /// Its path in the model: `conv1.weight`.
    pub name: &'a str,
    /// Shape and element type.
    pub meta: &'a Meta,
}

/// A tensor that an optimizer remembers of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSpec {
    /// The name, as files have it behind the parameter's.
    pub name: &'static str,
    /// Shape and element type, which need not be the parameter's.
    pub meta: Meta,
    /// What it is filled with at the start.
    pub initial: f64,
}

/// State tensors of these names and first values, each of the parameter's shape.
fn alike(state: Vec<(&'static str, f64)>, of: &ParameterSpec<'_>) -> Vec<StateSpec> {
    let like = |(name, initial)| StateSpec {
        name,
        meta: of.meta.clone(),
        initial,
    };
    state.into_iter().map(like).collect()
}

/// How a gradient changes a parameter.
pub trait Optimizer: Send + Sync {
    /// The name, as reports show it.
    fn name(&self) -> &'static str;

    /// The learning rate that schedules scale.
    fn learning_rate(&self) -> f64;

    /// Name and value of each setting but the learning rate, as reports list them.
    fn settings(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Whether it can work with its settings. The training step asks before it is compiled.
    ///
    /// # Errors
    /// A learning rate that is no number from 0 on; a setting that is out of its range: `eps` above 0, so that nothing is
    /// divided by 0, `weight_decay` from 0 on, and shares that are kept from step to step (`momentum`, `alpha`, `beta1`,
    /// `beta2`) from 0 to below 1. What else [`Optimizer::settings`] lists has to be finite.
    fn check(&self) -> Result<()> {
        let settings = [("learning_rate", self.learning_rate())];
        for (name, value) in settings.into_iter().chain(self.settings()) {
            let (holds, range) = match name {
                "learning_rate" | "weight_decay" => (value >= 0.0, "from 0 on"),
                // In f32, what is less is 0 or nearly so.
                "eps" => (
                    value >= f64::from(f32::MIN_POSITIVE),
                    "above 0 that an f32 holds",
                ),
                "momentum" | "alpha" | "beta1" | "beta2" => {
                    ((0.0..1.0).contains(&value), "from 0 to below 1")
                }
                _ => (true, "that is finite"),
            };
            if !(value.is_finite() && holds) {
                let name = name.replace('_', " ");
                return Err(Error::new(format!(
                    "the optimizer {} has the {name} {value}; it must be a number {range}",
                    self.name()
                )));
            }
        }
        Ok(())
    }

    /// The names of the state tensors that each parameter has, each of the parameter's shape, with the number that they
    /// are filled with at the start.
    fn state(&self) -> Vec<(&'static str, f64)>;

    /// The state tensors of this parameter, where they are not all of its shape, or not the same for each parameter.
    fn states(&self, of: &ParameterSpec<'_>) -> Vec<StateSpec> {
        alike(self.state(), of)
    }

    /// The numbers that [`Optimizer::update`] takes as scalars in update number `update`, counted from 1. There are as
    /// many in every update; of most optimizers it is the learning rate alone.
    fn scalars(&self, update: u64, learning_rate: f64) -> Scalars {
        let _ = update;
        [learning_rate].into()
    }

    /// The new value of the parameter, and its new state.
    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>);

    /// As [`Optimizer::update`], for an optimizer whose formula differs from parameter to parameter.
    fn update_of(
        &self,
        of: &ParameterSpec<'_>,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let _ = of;
        self.update(parameter, gradient, state, scalars)
    }
}

/// The optimizer of this name with these settings, as [`Optimizer::name`] and [`Optimizer::settings`] give them; a setting
/// that is not given has its default. `None` if this crate has no such optimizer, or it has no such setting.
///
/// ```
/// use zerokara_nn::{Optimizer, optimizers};
/// let adam = optimizers::by_name("adam", 1e-3, &[("beta1".to_string(), 0.8)]).unwrap();
/// assert_eq!(adam.settings()[0], ("beta1", 0.8));
/// assert!(optimizers::by_name("adam", 1e-3, &[("momentum".to_string(), 0.8)]).is_none());
/// ```
pub fn by_name(
    name: &str,
    learning_rate: f64,
    settings: &[(String, f64)],
) -> Option<Arc<dyn Optimizer>> {
    Some(match name {
        "sgd" => Arc::new(Sgd::with(learning_rate, settings)?),
        "momentum" => Arc::new(Momentum::with(learning_rate, settings)?),
        "nesterov" => Arc::new(Nesterov::with(learning_rate, settings)?),
        "adagrad" => Arc::new(AdaGrad::with(learning_rate, settings)?),
        "rmsprop" => Arc::new(RmsProp::with(learning_rate, settings)?),
        "adam" => Arc::new(Adam::with(learning_rate, settings)?),
        "adamw" => Arc::new(AdamW::with(learning_rate, settings)?),
        "radam" => Arc::new(RAdam::with(learning_rate, settings)?),
        "lamb" => Arc::new(Lamb::with(learning_rate, settings)?),
        "muon" => Arc::new(Muon::with(learning_rate, settings)?),
        "lion" => Arc::new(Lion::with(learning_rate, settings)?),
        _ => return None,
    })
}

/// An optimizer that is chosen when the program runs.
impl<O: Optimizer + ?Sized> Optimizer for Arc<O> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn learning_rate(&self) -> f64 {
        (**self).learning_rate()
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        (**self).settings()
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }

    fn state(&self) -> Vec<(&'static str, f64)> {
        (**self).state()
    }

    fn states(&self, of: &ParameterSpec<'_>) -> Vec<StateSpec> {
        (**self).states(of)
    }

    fn scalars(&self, update: u64, learning_rate: f64) -> Scalars {
        (**self).scalars(update, learning_rate)
    }

    fn update(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        (**self).update(parameter, gradient, state, scalars)
    }

    fn update_of(
        &self,
        of: &ParameterSpec<'_>,
        parameter: &Tensor,
        gradient: &Tensor,
        state: &[Tensor],
        scalars: &[Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        (**self).update_of(of, parameter, gradient, state, scalars)
    }
}

/// `gradient + decay * parameter`: the gradient of the loss with the penalty `decay / 2 * |parameter|^2` (page 193 of
/// the book).
fn decayed(parameter: &Tensor, gradient: &Tensor, decay: f64) -> Tensor {
    if decay == 0.0 {
        gradient.clone()
    } else {
        gradient + parameter * decay
    }
}

/// An optimizer: its docs, type and name; its hyperparameters with their defaults, each with a builder (those before the
/// semicolon have none); the names of its state tensors, which begin as zeros; its formula, which sees the
/// hyperparameters, the parameter, the gradient, the state and the scalars; and, if the learning rate is not the only
/// scalar, the scalars of an update.
macro_rules! optimizer {
    (
        $(#[$doc:meta])*
        $type:ident, $name:literal,
        { $($hidden:ident: $hidden_default:literal),*; $($(#[$field_doc:meta])* $field:ident: $default:literal),+ },
        [$($state_name:literal),*],
        |$own:ident, $parameter:ident, $gradient:ident, $state:ident, $scalars:ident| $formula:expr
        $(, |$owned:ident, $update:ident, $learning_rate:ident| $scalar_values:expr)? $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $type {
            learning_rate: f64,
            $($hidden: f64,)*
            $($field: f64,)+
        }

        impl $type {
            #[doc = concat!(
                "With this learning rate",
                $(", ", stringify!($hidden), " ", stringify!($hidden_default),)*
                $(", ", stringify!($field), " ", stringify!($default),)+
                "."
            )]
            pub fn new(learning_rate: f64) -> Self {
                Self {
                    learning_rate,
                    $($hidden: $hidden_default,)*
                    $($field: $default,)+
                }
            }

            /// With these settings, the others as usual; `None` if one of them is none of this optimizer's.
            pub(super) fn with(learning_rate: f64, settings: &[(String, f64)]) -> Option<Self> {
                let mut made = Self::new(learning_rate);
                for (name, value) in settings {
                    match name.as_str() {
                        $(stringify!($hidden) => made.$hidden = *value,)*
                        $(stringify!($field) => made.$field = *value,)+
                        _ => return None,
                    }
                }
                Some(made)
            }

            $(
                $(#[$field_doc])*
                pub fn $field(mut self, $field: f64) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }

        impl Optimizer for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn settings(&self) -> Vec<(&'static str, f64)> {
                vec![
                    $((stringify!($hidden), self.$hidden),)*
                    $((stringify!($field), self.$field),)+
                ]
            }

            fn state(&self) -> Vec<(&'static str, f64)> {
                vec![$(($state_name, 0.0)),*]
            }

            $(
                fn scalars(&self, $update: u64, $learning_rate: f64) -> Scalars {
                    let $owned = self;
                    $scalar_values
                }
            )?

            fn update(
                &self,
                $parameter: &Tensor,
                $gradient: &Tensor,
                $state: &[Tensor],
                $scalars: &[Tensor],
            ) -> (Tensor, Vec<Tensor>) {
                let $own = self;
                $formula
            }
        }
    };
}
use optimizer;
