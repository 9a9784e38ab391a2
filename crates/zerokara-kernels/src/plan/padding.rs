//! What lies around images.

/// Padding of images: how many lines lie above and left of the first, below and right of the last.
///
/// ```
/// use zerokara_kernels::plan::Padding;
/// assert_eq!(Padding::from([1, 2]), Padding { before: [1, 2], behind: [1, 2] });
/// assert_eq!(Padding::from([1, 2, 3, 4]), Padding { before: [1, 2], behind: [3, 4] });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Above and left.
    pub before: [usize; 2],
    /// Below and right.
    pub behind: [usize; 2],
}

impl Padding {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether as much lies above as below, and left as right.
    pub fn is_even(&self) -> bool {
        self.before == self.behind
    }

    /// What lies on both sides of an axis (0: down, 1: across); none if that cannot be counted.
    pub fn along(&self, axis: usize) -> Option<usize> {
        self.before[axis].checked_add(self.behind[axis])
    }
}

impl From<usize> for Padding {
    /// The same on all sides.
    fn from(all: usize) -> Self {
        [all, all].into()
    }
}

impl From<[usize; 2]> for Padding {
    /// Above and below, left and right.
    fn from(both: [usize; 2]) -> Self {
        Self {
            before: both,
            behind: both,
        }
    }
}

impl From<(usize, usize)> for Padding {
    /// Above and below, left and right.
    fn from((down, across): (usize, usize)) -> Self {
        [down, across].into()
    }
}

impl From<[usize; 4]> for Padding {
    /// Above, left, below, right: the order of ONNX.
    fn from([above, left, below, right]: [usize; 4]) -> Self {
        Self {
            before: [above, left],
            behind: [below, right],
        }
    }
}
