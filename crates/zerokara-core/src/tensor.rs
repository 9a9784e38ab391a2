//! Tensors: cheap handles on nodes of a lazy computational graph.

use crate::{
    Array, Attribute, DType, Error, Meta, Result, Runtime,
    array::Scalar,
    op::{Kind, Op},
    ops::leaf::Data,
    parameter::Parameter,
    scope,
};
use std::{
    collections::HashSet,
    fmt,
    panic::Location,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A multi-dimensional array that is computed when somebody looks at it.
///
/// Operations build a graph and compute nothing; [`Tensor::eval`], [`Tensor::to_vec`] and printing compile and run
/// what the tensor needs, and keep the value. A tensor's value never changes. An operation that cannot apply gives an
/// invalid tensor that carries the error, which `eval`, `shape` and `compile` return.
///
/// ```
/// use zerokara_core::Tensor;
/// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let y = (&x * &x).sum();
/// assert_eq!(y.item()?, 30.0);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// # Numbers beside tensors
///
/// The types decide which element type comes out, never the values, as in PyTorch: an `f64` (`0.9`, also `2.0`) leaves
/// floats as they are and makes f32 of integers and truth values; an `i64` (`2`) leaves floats and integers as they are
/// and makes i64 of truth values. Two tensors must be of one type; [`Tensor::cast`] one of them. Integers wrap around on
/// overflow, and are not divided but by [`Tensor::quotient`].
///
/// ```
/// use zerokara_core::Tensor;
/// let i = Tensor::from([1, 2]);
/// assert_eq!((&i * 0.9).to_vec::<f32>()?, [0.9, 1.8]);
/// assert_eq!((&i * 2 + 1).to_vec::<i64>()?, [3, 5]);
/// assert_eq!((Tensor::from([0.5]) * 2).to_vec::<f32>()?, [1.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("ndarray", "Variable", "AddLayer", "MulLayer"))]
#[derive(Clone)]
pub struct Tensor {
    pub(crate) node: Arc<Node>,
}

/// A node of the graph: an operation applied to tensors.
pub(crate) struct Node {
    /// Larger than the ids of all inputs: ids are a topological order.
    pub id: u64,
    pub op: Arc<dyn Op>,
    pub inputs: Vec<Tensor>,
    pub meta: Result<Meta>,
    pub location: &'static Location<'static>,
    pub path: Option<Arc<str>>,
    pub phase: scope::Phase,
    pub value: OnceLock<Array>,
    /// The parameter that this leaf reads.
    pub parameter: Option<Parameter>,
}

/// What a tensor was made of.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// Larger than the ids of all inputs: ids are a topological order, and the order of making.
    pub id: u64,
    /// The operation.
    pub op: &'a Arc<dyn Op>,
    /// What it was applied to.
    pub inputs: &'a [Tensor],
    /// The parameter that this leaf reads.
    pub parameter: Option<&'a Parameter>,
    /// The value, if it is known.
    pub value: Option<&'a Array>,
    /// The layer's path.
    pub path: Option<&'a str>,
    /// The part of a training step that it was built for.
    pub phase: scope::Phase,
    /// The line of the user's source.
    pub location: &'static Location<'static>,
}

impl NodeView<'_> {
    /// Whether it is a value that is given when a program runs.
    pub(crate) fn is_open(&self) -> bool {
        self.value.is_none() && self.op.kind() == Kind::Leaf
    }

    /// What an operation of [`Kind::Composite`](crate::op::Kind::Composite) is by its definition: the tensors between its inputs and
    /// its result, of other kinds, in no particular order. None for other operations.
    pub fn definition(&self) -> Vec<Tensor> {
        let mut found = Vec::new();
        let mut composites = vec![(self.op.clone(), self.inputs.to_vec())];
        let mut seen = HashSet::new();
        while let Some((op, inputs)) = composites.pop() {
            if op.kind() != Kind::Composite {
                continue;
            }
            let mut stack: Vec<Tensor> = op.expand(&inputs).into_iter().collect();
            while let Some(tensor) = stack.pop() {
                // What is older is an input, or what that was made of.
                if tensor.node.id <= self.id || !seen.insert(tensor.node.id) {
                    continue;
                }
                stack.extend(tensor.node.inputs.iter().cloned());
                match tensor.node.op.kind() {
                    Kind::Composite => {
                        composites.push((tensor.node.op.clone(), tensor.node.inputs.clone()));
                    }
                    _ => found.push(tensor),
                }
            }
        }
        found
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Tensor {
    /// A tensor of this shape over these elements, row by row; invalid if their number is not the product of the shape.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::new([2, 3], [1.0f32, 2.0, 3.0, 4.0, 5.0]);
    /// println!("{}", x.eval().unwrap_err()); // the shape, the number of elements, this line
    /// ```
    #[track_caller]
    pub fn new<T: Scalar>(shape: impl Into<Vec<usize>>, elements: impl AsRef<[T]>) -> Self {
        let storage = T::storage(elements.as_ref());
        Self::from(Array::made_by("tensor", shape.into(), storage))
    }

    /// A scalar of this element type, rounded to the nearest float; invalid if the number is none of an integer type or
    /// of the truth values 0 and 1.
    #[track_caller]
    pub fn scalar(value: f64, dtype: DType) -> Self {
        Self::from(Array::scalar(value, dtype))
    }

    #[track_caller]
    pub(crate) fn leaf(
        op: impl Op,
        meta: Meta,
        value: Option<Array>,
        parameter: Option<Parameter>,
    ) -> Self {
        let cell = OnceLock::new();
        if let Some(value) = value {
            let _ = cell.set(value);
        }
        let (path, location) = scope::current();
        let location = location.unwrap_or(Location::caller());
        let meta = meta.countable().map_err(|reason| {
            Error::graph(op.name().into(), Vec::new(), reason, location, path.clone())
        });
        Self {
            node: Arc::new(Node {
                id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                op: Arc::new(op),
                inputs: Vec::new(),
                meta,
                location,
                path,
                phase: scope::phase(),
                value: cell,
                parameter,
            }),
        }
    }

    /// A tensor that carries an error.
    #[track_caller]
    pub fn invalid(error: Error) -> Self {
        let leaf = Self::leaf(Data, Meta::new([0], DType::F32), None, None);
        let Node {
            id, op, location, ..
        } = &*leaf.node;
        Self {
            node: Arc::new(Node {
                id: *id,
                op: op.clone(),
                inputs: Vec::new(),
                meta: Err(error),
                location,
                path: None,
                phase: scope::phase(),
                value: OnceLock::new(),
                parameter: None,
            }),
        }
    }

    /// The result of an operation; if it cannot apply, an invalid tensor. The leftmost invalid input's error wins.
    #[track_caller]
    pub(crate) fn apply(op: impl Op, inputs: &[&Tensor]) -> Self {
        Self::apply_shared(Arc::new(op), inputs.iter().map(|&t| t.clone()).collect())
    }

    #[track_caller]
    pub(crate) fn apply_shared(op: Arc<dyn Op>, inputs: Vec<Tensor>) -> Self {
        let (path, location) = scope::applying(&*op);
        let location = location.unwrap_or(Location::caller());
        let metas: Result<Vec<Meta>> = inputs.iter().map(|t| t.meta().cloned()).collect();
        let meta = metas.and_then(|metas| {
            let meta = op.infer(&metas).and_then(Meta::countable);
            meta.map_err(|reason| {
                Error::graph(described(&*op), metas, reason, location, path.clone())
            })
        });
        Self {
            node: Arc::new(Node {
                id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                op,
                inputs,
                meta,
                location,
                path,
                phase: scope::phase(),
                value: OnceLock::new(),
                parameter: None,
            }),
        }
    }

    /// Shape and element type.
    ///
    /// # Errors
    /// The error of the first operation that could not apply.
    pub fn meta(&self) -> Result<&Meta> {
        self.node.meta.as_ref().map_err(Error::clone)
    }

    /// Length of each axis.
    ///
    /// # Errors
    /// The error of the first operation that could not apply.
    pub fn shape(&self) -> Result<&[usize]> {
        Ok(&self.meta()?.shape)
    }

    /// Element type.
    ///
    /// # Errors
    /// The error of the first operation that could not apply.
    pub fn dtype(&self) -> Result<DType> {
        Ok(self.meta()?.dtype)
    }

    /// The elements, row by row, computed if they are not yet known.
    ///
    /// # Errors
    /// The error of the first operation that could not apply; or if the elements are of another type.
    #[track_caller]
    pub fn to_vec<T: Scalar>(&self) -> Result<Vec<T>> {
        let value = self.eval()?;
        match T::of(&value) {
            Some(elements) => Ok(elements.to_vec()),
            None => {
                let reason = format!(
                    "the tensor holds {}, not {}; cast it first",
                    value.dtype(),
                    T::DTYPE
                );
                Err(Error::here("to_vec", reason))
            }
        }
    }

    /// The one element of a tensor with one element, as a number.
    ///
    /// # Errors
    /// The error of the first operation that could not apply; or if there is not exactly one element.
    #[track_caller]
    pub fn item(&self) -> Result<f64> {
        let value = self.eval()?;
        match (value.get_f64(0), value.len()) {
            (Some(item), 1) => Ok(item),
            _ => {
                let reason = format!("needs one element, not the shape {:?}", value.shape());
                Err(Error::here("item", reason))
            }
        }
    }

    /// What the tensor was made of, to be read by whoever saves, prints or replays a graph.
    pub fn node_view(&self) -> NodeView<'_> {
        let node = &*self.node;
        NodeView {
            id: node.id,
            op: &node.op,
            inputs: &node.inputs,
            parameter: node.parameter.as_ref(),
            value: node.value.get(),
            path: node.path.as_deref(),
            phase: node.phase,
            location: node.location,
        }
    }

    /// The nodes that are to be computed for its value; none if one of those, or of the values that they take, is refused.
    pub(crate) fn computed_by(
        &self,
        is_refused: impl Fn(&NodeView<'_>) -> bool,
    ) -> Option<HashSet<u64>> {
        let mut found = HashSet::new();
        let mut stack = vec![self];
        while let Some(tensor) = stack.pop() {
            let node = tensor.node_view();
            if is_refused(&node) {
                return None;
            }
            if node.value.is_none() && found.insert(node.id) {
                stack.extend(node.inputs);
            }
        }
        Some(found)
    }

    /// Whether both handles are on the same node.
    pub fn is(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.node, &other.node)
    }
}

/// The operation as errors name it: `conv2d(padding=[1, 1])`. Switches, such as whether a reshape takes a length of 0
/// literally, are the library's own words and no help to whom it tells what is wrong.
fn described(op: &dyn Op) -> String {
    let attributes = op.attributes();
    let told: Vec<String> = attributes
        .iter()
        .filter(|(_, value)| !matches!(value, Attribute::Bool(_)))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match told.is_empty() {
        true => op.name().into(),
        false => format!("{}({})", op.name(), told.join(", ")),
    }
}

impl Drop for Node {
    /// Frees a graph without recursion: deep chains must not overflow the stack.
    fn drop(&mut self) {
        let mut orphans: Vec<Tensor> = std::mem::take(&mut self.inputs);
        while let Some(tensor) = orphans.pop() {
            if let Some(mut node) = Arc::into_inner(tensor.node) {
                orphans.append(&mut node.inputs);
            }
        }
    }
}

impl From<Array> for Tensor {
    #[track_caller]
    fn from(array: Array) -> Self {
        match array.valid() {
            Ok(_) => Self::leaf(Data, array.meta(), Some(array), None),
            Err(error) => Self::invalid(error),
        }
    }
}

impl From<&Tensor> for Tensor {
    fn from(tensor: &Tensor) -> Self {
        tensor.clone()
    }
}

/// Bare floats make f32, integers i64.
macro_rules! literals {
    ($($type:ty),*) => {$(
        impl From<$type> for Tensor {
            #[track_caller]
            fn from(value: $type) -> Self {
                Self::new([], [value])
            }
        }
        impl From<Vec<$type>> for Tensor {
            #[track_caller]
            fn from(values: Vec<$type>) -> Self {
                Self::new([values.len()], values)
            }
        }
        impl From<&[$type]> for Tensor {
            #[track_caller]
            fn from(values: &[$type]) -> Self {
                Self::new([values.len()], values)
            }
        }
        impl<const A: usize> From<[$type; A]> for Tensor {
            #[track_caller]
            fn from(values: [$type; A]) -> Self {
                Self::new([A], values)
            }
        }
        impl<const A: usize, const B: usize> From<[[$type; B]; A]> for Tensor {
            #[track_caller]
            fn from(values: [[$type; B]; A]) -> Self {
                Self::new([A, B], values.as_flattened())
            }
        }
        impl<const A: usize, const B: usize, const C: usize> From<[[[$type; C]; B]; A]> for Tensor {
            #[track_caller]
            fn from(values: [[[$type; C]; B]; A]) -> Self {
                Self::new([A, B, C], values.as_flattened().as_flattened())
            }
        }
        impl<const A: usize, const B: usize, const C: usize, const D: usize> From<[[[[$type; D]; C]; B]; A]> for Tensor {
            #[track_caller]
            fn from(values: [[[[$type; D]; C]; B]; A]) -> Self {
                Self::new([A, B, C, D], values.as_flattened().as_flattened().as_flattened())
            }
        }
    )*};
}
literals!(f32, i64);

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meta() {
            Ok(meta) => write!(f, "Tensor({}: {meta})", self.node.op.name()),
            Err(error) => write!(f, "Tensor({}: invalid: {error})", self.node.op.name()),
        }
    }
}

impl Tensor {
    /// The value, computed if it is not yet known, by a compiled plan.
    ///
    /// # Errors
    /// The error of the first operation that could not apply; a value that an operation rejects, such as a label that
    /// is no class.
    pub fn eval(&self) -> Result<Array> {
        if let Some(value) = self.node.value.get() {
            return Ok(value.clone());
        }
        let runtime = Runtime::current()?;
        self.eval_in(&runtime)
    }

    /// As [`Tensor::eval`], on the threads and within the limits of this runtime, and with its
    /// [arithmetic](Runtime::precision). A value that is known already stays what it is.
    ///
    /// ```
    /// # use zerokara_core::{Runtime, Tensor};
    /// let runtime = Runtime::new(1)?;
    /// let sum = Tensor::ones([3]).sum().eval_in(&runtime)?;
    /// assert_eq!(sum.as_slice::<f32>()?, [3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::eval`].
    pub fn eval_in(&self, runtime: &Runtime) -> Result<Array> {
        if let Some(value) = self.node.value.get() {
            return Ok(value.clone());
        }
        let value = crate::eval_in(runtime, &[self])?.remove(0);
        Ok(self.node.value.get_or_init(|| value).clone())
    }
}
