//! Shapes, strides and the rules of broadcasting.

use crate::DType;
use std::fmt;

/// Shape and element type of a tensor: all that is known of it before it is computed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Length of each axis, slowest first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
}

impl Meta {
    /// A meta of this shape and element type.
    pub fn new(shape: impl Into<Vec<usize>>, dtype: DType) -> Self {
        Self {
            shape: shape.into(),
            dtype,
        }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements; the largest number if there are more.
    pub fn len(&self) -> usize {
        let product = |n: usize, &length: &usize| n.saturating_mul(length);
        self.shape.iter().fold(1, product)
    }

    /// The meta, if an array of it can be counted and addressed; else why not.
    pub fn countable(self) -> Result<Self, String> {
        if zerokara_kernels::plan::countable(&self.shape) {
            Ok(self)
        } else {
            Err(format!("{self} is too large for any memory"))
        }
    }

    /// Number of bytes of the elements; `None` if no machine has as many.
    pub fn bytes(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(self.dtype.size(), |n, &length| n.checked_mul(length))
            .filter(|&n| isize::try_from(n).is_ok())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the elements are floating-point numbers.
    pub fn is_float(&self) -> bool {
        matches!(self.dtype, DType::F32 | DType::F64)
    }
}

impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)
    }
}

/// Strides of a dense row-major array of this shape.
pub fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as isize;
    }
    strides
}

/// The shape that two shapes broadcast to (NumPy's rule: aligned at the last axis, each pair of lengths equal or
/// one of them 1), or `None` if they do not.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| {
        if i + s.len() < rank {
            1
        } else {
            s[i + s.len() - rank]
        }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// An axis counted from the front (`0..rank`) or, negative, from the back, as a number from the front.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    if (0..rank as i64).contains(&from_front) {
        Ok(from_front as usize)
    } else {
        Err(format!("axis {axis} is out of range for {rank} axes"))
    }
}

/// Axes as [`axis`] gives them, sorted, each at most once.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut found = list
        .iter()
        .map(|&a| axis(a, rank))
        .collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    if found.windows(2).any(|w| w[0] == w[1]) {
        return Err(format!("axes {list:?} name an axis twice"));
    }
    Ok(found)
}

/// Walks all indices of a shape in row-major order.
pub fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    let total: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    (0..total).map(move |n| {
        if n > 0 {
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        index.clone()
    })
}
