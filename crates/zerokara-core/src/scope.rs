//! The layer that is being applied, and the phase of the step that is being built: they stand in errors, profiles and
//! reports.

use crate::op::{Kind, Op, View};
use std::{cell::RefCell, collections::HashMap, panic::Location, sync::Arc};

thread_local! {
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

struct Scope {
    path: Arc<str>,
    location: Option<&'static Location<'static>>,
    phase: Phase,
    /// In what holds layers and is none itself: how often each operation was applied.
    applied: Option<HashMap<&'static str, usize>>,
}

/// The part of a training step that a tensor was built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The model's output and the loss.
    #[default]
    Forward,
    /// Gradients: what [`gradients`](crate::gradients) builds.
    Backward,
    /// What is done with the gradients: their norm, clipping, the optimizer's update.
    Update,
}

/// Tensors that this thread builds while the guard lives carry the phase.
///
/// ```
/// use zerokara_core::scope::{Phase, enter};
/// let _update = enter(Phase::Update);
/// ```
#[must_use = "the phase ends with the guard"]
pub fn enter(phase: Phase) -> PhaseGuard {
    SCOPES.with_borrow_mut(|scopes| {
        let (path, location) = match scopes.last() {
            Some(outer) => (outer.path.clone(), outer.location),
            None => ("".into(), None),
        };
        scopes.push(Scope {
            path,
            location,
            phase,
            applied: None,
        });
    });
    PhaseGuard(Leave)
}

/// Ends the phase of [`enter`] when it is dropped; guards are dropped in the reverse of their order.
pub struct PhaseGuard(#[allow(dead_code)] Leave);

/// Runs `body` as the layer of this name: tensors built in it carry the layer's path (`block1.conv1`) and, if given,
/// the line where the layer was made.
pub fn in_layer<T>(
    name: &str,
    location: Option<&'static Location<'static>>,
    body: impl FnOnce() -> T,
) -> T {
    let (path, location) = SCOPES.with_borrow(|scopes| {
        let path: Arc<str> = match scopes.last() {
            Some(outer) if name.is_empty() => outer.path.clone(),
            Some(outer) if !outer.path.is_empty() => format!("{}.{name}", outer.path).into(),
            _ => name.into(),
        };
        let outer = scopes.last().and_then(|outer| outer.location);
        (path, location.or(outer))
    });
    at_layer(path, location, body)
}

/// As [`in_layer`] for a layer that knows its whole path, whatever layers it is applied in.
pub fn at_layer<T>(
    path: Arc<str>,
    location: Option<&'static Location<'static>>,
    body: impl FnOnce() -> T,
) -> T {
    SCOPES.with_borrow_mut(|scopes| {
        let phase = scopes.last().map_or_else(Phase::default, |o| o.phase);
        scopes.push(Scope {
            path,
            location,
            phase,
            applied: None,
        });
    });
    let _leave = Leave;
    body()
}

/// Runs `body`, the forward pass of something that holds layers and is none itself: a model, with an empty name, or a
/// part of one. An operation that is applied in it outside of its layers is named like a layer, by what it is and
/// counted: the second `x.relu()` in `block1` stands as `block1.relu2` in errors, summaries and profiles.
///
/// ```
/// use zerokara_core::{Tensor, scope};
/// let x = Tensor::from([1.0, -2.0]);
/// let y = scope::in_container("block1", || x.relu().tanh().relu());
/// assert_eq!(y.node_view().path, Some("block1.relu2"));
/// ```
pub fn in_container<T>(name: &str, body: impl FnOnce() -> T) -> T {
    in_layer(name, None, || {
        SCOPES.with_borrow_mut(|scopes| {
            if let Some(scope) = scopes.last_mut() {
                scope.applied = Some(HashMap::new());
            }
        });
        body()
    })
}

/// Runs `body` so that tensors built in it carry this path and this line, whatever layer is being applied: what a rule
/// builds belongs to the operation that it is a rule of. The phase is the given one, or stays as it is.
pub(crate) fn in_place_of<T>(
    path: Option<&Arc<str>>,
    location: &'static Location<'static>,
    phase: Option<Phase>,
    body: impl FnOnce() -> T,
) -> T {
    SCOPES.with_borrow_mut(|scopes| {
        let path = path.cloned().unwrap_or_else(|| "".into());
        let outer = scopes.last().map_or_else(Phase::default, |o| o.phase);
        scopes.push(Scope {
            path,
            location: Some(location),
            phase: phase.unwrap_or(outer),
            applied: None,
        });
    });
    let _leave = Leave;
    body()
}

/// Leaves the layer also when its body panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        SCOPES.with_borrow_mut(|scopes| scopes.pop());
    }
}

/// The path of the layer that is being applied; empty outside of layers.
pub fn path() -> Arc<str> {
    current().0.unwrap_or_else(|| "".into())
}

pub(crate) fn current() -> (Option<Arc<str>>, Option<&'static Location<'static>>) {
    SCOPES.with_borrow(|scopes| match scopes.last() {
        Some(scope) => (
            Some(scope.path.clone()).filter(|p| !p.is_empty()),
            scope.location,
        ),
        None => (None, None),
    })
}

/// As [`current`], for an operation that is applied now.
pub(crate) fn applying(op: &dyn Op) -> (Option<Arc<str>>, Option<&'static Location<'static>>) {
    SCOPES.with_borrow_mut(|scopes| {
        let Some(scope) = scopes.last_mut() else {
            return (None, None);
        };
        let path = match &mut scope.applied {
            None => Some(scope.path.clone()).filter(|p| !p.is_empty()),
            // They are part of what takes them.
            Some(_) if matches!(op.kind(), Kind::View(View::Broadcast) | Kind::Fill(_)) => None,
            Some(applied) => {
                let count = applied.entry(op.name()).or_insert(0);
                *count += 1;
                let name = format!("{}{count}", op.name());
                Some(match scope.path.is_empty() {
                    true => name.into(),
                    false => format!("{}.{name}", scope.path).into(),
                })
            }
        };
        (path, scope.location)
    })
}

/// The phase that tensors built now belong to.
pub(crate) fn phase() -> Phase {
    SCOPES.with_borrow(|scopes| scopes.last().map_or_else(Phase::default, |o| o.phase))
}
