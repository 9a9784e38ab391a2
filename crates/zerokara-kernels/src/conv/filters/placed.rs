//! The gradient of a convolution's output as a max pooling gives it: one number for each window, and its place.

use crate::plan::PoolGeometry;
/// The gradient of what was pooled, and where the pooling took it from.
#[derive(Clone, Copy, Debug)]
pub struct PlacedGradient<'a> {
    /// The pooling of the convolution's output.
    pub pool: &'a PoolGeometry,
    /// Element `[n, y, x, o]` is at `gradient + n * strides[0] + y * strides[1] + x * strides[2] + o * strides[3]`.
    pub gradient: *const f32,
    /// Distances between neighbours along N, Y, X and O.
    pub strides: [isize; 4],
    /// Which element of its window was the largest, at the same sum of `place_strides`.
    pub places: *const u8,
    /// Distances between neighbours along N, Y, X and O.
    pub place_strides: [isize; 4],
}

impl PlacedGradient<'_> {
    /// The gradient of output `[n, y, x, o]` of the convolution.
    ///
    /// # Safety
    ///
    /// Gradients and places must be valid for reading.
    pub(in crate::conv) unsafe fn gradient_at(&self, [n, y, x, o]: [usize; 4]) -> f32 {
        let pool = self.pool;
        let (row, column) = (y / pool.stride[0], x / pool.stride[1]);
        let (down, across) = (y % pool.stride[0], x % pool.stride[1]);
        let in_a_window = row < pool.output[0]
            && column < pool.output[1]
            && down < pool.kernel[0]
            && across < pool.kernel[1];
        if !in_a_window {
            return 0.0;
        }
        let at = |strides: [isize; 4]| -> isize {
            let index = [n, row, column, o].into_iter().zip(strides);
            index.map(|(i, stride)| i as isize * stride).sum()
        };
        // SAFETY: the caller vouches for both.
        unsafe {
            let place = usize::from(*self.places.offset(at(self.place_strides)));
            match place == down * pool.kernel[1] + across {
                true => *self.gradient.offset(at(self.strides)),
                false => 0.0,
            }
        }
    }
}
