//! The layer that is being applied: its path and its line stand in errors, profiles and reports.

use std::{cell::RefCell, panic::Location, sync::Arc};

thread_local! {
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

struct Scope {
    path: Arc<str>,
    location: Option<&'static Location<'static>>,
}

/// Runs `body` as the layer of this name: tensors built in it carry the layer's path (`block1.conv1`) and, if given,
/// the line where the layer was made.
pub fn in_layer<T>(
    name: &str,
    location: Option<&'static Location<'static>>,
    body: impl FnOnce() -> T,
) -> T {
    SCOPES.with_borrow_mut(|scopes| {
        let path: Arc<str> = match scopes.last() {
            Some(outer) if name.is_empty() => outer.path.clone(),
            Some(outer) if !outer.path.is_empty() => format!("{}.{name}", outer.path).into(),
            _ => name.into(),
        };
        let location = location.or_else(|| scopes.last().and_then(|outer| outer.location));
        scopes.push(Scope { path, location });
    });
    let _leave = Leave;
    body()
}

/// Runs `body` so that tensors built in it carry this path and this line, whatever layer is being applied: what a rule
/// builds belongs to the operation that it is a rule of.
pub(crate) fn in_place_of<T>(
    path: Option<&Arc<str>>,
    location: &'static Location<'static>,
    body: impl FnOnce() -> T,
) -> T {
    SCOPES.with_borrow_mut(|scopes| {
        let path = path.cloned().unwrap_or_else(|| "".into());
        let location = Some(location);
        scopes.push(Scope { path, location });
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
