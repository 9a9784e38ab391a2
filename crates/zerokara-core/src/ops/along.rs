//! One axis of an array, between the axes before it and those behind: the index arithmetic of what works along an axis.

/// The lengths of a dense array seen as `[outer, length, inner]`, of which the middle one is the axis.
#[derive(Clone, Copy, Debug)]
pub struct Along {
    /// The product of the axes before.
    pub outer: usize,
    /// The axis.
    pub length: usize,
    /// The product of the axes behind: how far neighbours along the axis lie apart.
    pub inner: usize,
}

impl Along {
    /// Along this axis of an array of this shape.
    pub fn axis(axis: usize, shape: &[usize]) -> Self {
        Self {
            outer: shape[..axis].iter().product(),
            length: shape[axis],
            inner: shape[axis + 1..].iter().product(),
        }
    }

    /// The same with another length of the axis.
    pub fn with_length(self, length: usize) -> Self {
        Self { length, ..self }
    }

    /// The position of the element `[outer, at, inner]`.
    pub fn position(self, [outer, at, inner]: [usize; 3]) -> usize {
        (outer * self.length + at) * self.inner + inner
    }

    /// The index `[outer, at, inner]` of the element at this position.
    pub fn index(self, position: usize) -> [usize; 3] {
        let (before, inner) = (position / self.inner, position % self.inner);
        [before / self.length, before % self.length, inner]
    }
}
