//! Values in buffers as strided windows, and what the views do to them.

use crate::compile::fault::{Fault, planted};
use zerokara_kernels::plan;

/// A value: a window on a buffer, with the value's own logical shape. A layout is nothing but an order of strides:
/// images `[N, C, H, W]` whose channels lie innermost have strides `(HWC, 1, WC, C)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strided {
    pub buffer: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
}

impl Strided {
    /// A dense row-major value over a whole buffer.
    pub fn row_major(buffer: usize, shape: &[usize]) -> Self {
        Self {
            buffer,
            offset: 0,
            shape: shape.to_vec(),
            strides: crate::shape::row_major(shape),
        }
    }

    /// A dense value whose axes lie in memory in this order, slowest first.
    pub fn ordered(buffer: usize, shape: &[usize], order: &[usize]) -> Self {
        let inner: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let mut strides = vec![0; shape.len()];
        for (&axis, stride) in order.iter().zip(crate::shape::row_major(&inner)) {
            strides[axis] = stride;
        }
        Self {
            buffer,
            offset: 0,
            shape: shape.to_vec(),
            strides,
        }
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// As the kernels see it.
    pub fn view(&self) -> plan::View {
        plan::View {
            buffer: self.buffer,
            offset: self.offset,
            shape: self.shape.clone(),
            strides: self.strides.clone(),
        }
    }

    /// With an axis of length 1 in front.
    pub fn front(&self) -> Self {
        Self {
            shape: [&[1], &self.shape[..]].concat(),
            strides: [&[0], &self.strides[..]].concat(),
            ..self.clone()
        }
    }

    pub fn permute(&self, order: &[usize]) -> Self {
        Self {
            buffer: self.buffer,
            offset: self.offset,
            shape: order.iter().map(|&axis| self.shape[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
        }
    }

    pub fn broadcast(&self, shape: &[usize]) -> Self {
        let mut front = shape.len() - self.shape.len();
        if planted(Fault::BroadcastAlignsLeft) && shape.starts_with(&self.shape) {
            front = 0;
        }
        let strides = (0..shape.len())
            .map(|axis| match axis.checked_sub(front) {
                Some(own) if self.shape.get(own) == Some(&shape[axis]) => self.strides[own],
                _ => 0,
            })
            .collect();
        Self {
            buffer: self.buffer,
            offset: self.offset,
            shape: shape.to_vec(),
            strides,
        }
    }

    pub fn slice(&self, shape: &[usize], starts: &[usize], steps: &[isize]) -> Self {
        let empty = shape.contains(&0);
        let mut offset = self.offset as isize;
        let mut strides = Vec::with_capacity(shape.len());
        for axis in 0..shape.len() {
            if !empty && !planted(Fault::SliceForgetsStart) {
                offset += starts[axis] as isize * self.strides[axis];
            }
            let step = if planted(Fault::SliceForgetsDirection) {
                1
            } else {
                steps[axis]
            };
            // A step behind the only element may be of any length.
            strides.push(self.strides[axis].wrapping_mul(step));
        }
        Self {
            buffer: self.buffer,
            offset: offset as usize,
            shape: shape.to_vec(),
            strides,
        }
    }

    /// The same elements in row-major order under another shape, if strides can say it.
    pub fn reshape(&self, shape: &[usize]) -> Option<Self> {
        if self.len() == 0 {
            return Some(Self {
                strides: crate::shape::row_major(shape),
                shape: shape.to_vec(),
                ..self.clone()
            });
        }
        // Walk both shapes from the back, matching runs of axes with equal products; within a run of old axes the
        // strides must be those of one longer axis.
        let mut strides = vec![0isize; shape.len()];
        let old: Vec<(usize, isize)> = self
            .shape
            .iter()
            .copied()
            .zip(self.strides.iter().copied())
            .filter(|&(n, _)| n != 1)
            .collect();
        let (mut o, mut n) = (old.len(), shape.len());
        while n > 0 {
            if shape[n - 1] == 1 {
                n -= 1;
                strides[n] = 1;
                continue;
            }
            let (mut length, base) = old.get(o.wrapping_sub(1)).copied()?;
            o -= 1;
            let (mut wanted, first) = (shape[n - 1], n - 1);
            n -= 1;
            while length != wanted {
                if length < wanted {
                    let (more, stride) = old.get(o.wrapping_sub(1)).copied()?;
                    if stride != base * length as isize && !planted(Fault::ReshapeForgetsOrder) {
                        return None;
                    }
                    length *= more;
                    o -= 1;
                } else {
                    n = n.checked_sub(1)?;
                    wanted *= shape[n];
                }
            }
            let mut stride = base;
            for axis in (n..=first).rev() {
                strides[axis] = stride;
                stride *= shape[axis] as isize;
            }
        }
        Some(Self {
            buffer: self.buffer,
            offset: self.offset,
            shape: shape.to_vec(),
            strides,
        })
    }

    /// Whether the elements lie one after another in row-major order.
    pub fn is_row_major(&self) -> bool {
        let dense = crate::shape::row_major(&self.shape);
        self.len() == 0
            || (0..self.shape.len()).all(|a| self.shape[a] == 1 || self.strides[a] == dense[a])
    }

    /// The order of axes, slowest first, in which the elements lie without gaps; `None` if they do not.
    pub fn dense_order(&self) -> Option<Vec<usize>> {
        if planted(Fault::OrderForgotten) {
            return Some((0..self.shape.len()).collect());
        }
        let mut order: Vec<usize> = (0..self.shape.len()).collect();
        // A stable sort: axes of length 1 stay where they are named.
        order.sort_by_key(|&axis| {
            std::cmp::Reverse(if self.shape[axis] == 1 {
                isize::MAX
            } else {
                self.strides[axis]
            })
        });
        let mut expected = 1isize;
        for &axis in order.iter().rev() {
            if self.shape[axis] != 1 && self.strides[axis] != expected {
                return None;
            }
            expected *= self.shape[axis].max(1) as isize;
        }
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_of_dense_and_permuted() {
        let dense = Strided::row_major(0, &[2, 3, 4]);
        assert_eq!(dense.reshape(&[6, 4]).map(|s| s.strides), Some(vec![4, 1]));
        assert_eq!(
            dense.reshape(&[2, 1, 12]).map(|s| s.strides),
            Some(vec![12, 1, 1])
        );
        let permuted = dense.permute(&[1, 0, 2]);
        assert_eq!(permuted.reshape(&[6, 4]), None);
        assert_eq!(
            permuted.reshape(&[3, 2, 2, 2]).map(|s| s.strides),
            Some(vec![4, 12, 2, 1])
        );
        assert_eq!(
            Strided::row_major(0, &[]).reshape(&[1, 1]).map(|s| s.shape),
            Some(vec![1, 1])
        );
        assert_eq!(
            Strided::row_major(0, &[1]).reshape(&[]).map(|s| s.shape),
            Some(vec![])
        );
    }

    #[test]
    fn channels_last_is_dense_in_its_order() {
        let images = Strided::ordered(0, &[2, 3, 4, 5], &[0, 2, 3, 1]);
        assert_eq!(images.strides, [60, 1, 15, 3]);
        assert_eq!(images.dense_order(), Some(vec![0, 2, 3, 1]));
        assert!(!images.is_row_major());
        assert_eq!(images.broadcast(&[7, 2, 3, 4, 5]).dense_order(), None);
    }
}
