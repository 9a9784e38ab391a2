//! Rotary positions (Su et al., 2021): pairs of features are turned by angles that grow with the position, so that products of
//! queries and keys tell how far apart they are.

use super::prelude::*;

impl Tensor {
    /// The angles by which pairs of features go from position to position, `[length, pairs]` (f32): of position p and pair i
    /// `p / base^(i / pairs)`, from `start` on.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let angles = Tensor::angles(1, 2, 2, 100.0);
    /// assert_eq!(angles.to_vec::<f32>()?, [1.0, 0.1, 2.0, 0.2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn angles(start: i64, length: usize, pairs: usize, base: f64) -> Tensor {
        let slower = |pair: usize| base.powf(-(pair as f64) / pairs as f64) as f32;
        let speeds: Vec<f32> = (0..pairs).map(slower).collect();
        let end = start.saturating_add_unsigned(length as u64);
        let positions = Tensor::arange(start, end, 1).cast(DType::F32);
        positions.unsqueeze(1) * Tensor::from(speeds).unsqueeze(0)
    }

    /// Queries or keys `[N, L, H, D]` with feature i of the first half and feature i of the second turned as a pair by
    /// `p / base^(2 i / D)` at position p, which counts from `start` (Su et al., 2021). D must be even; else the tensor is
    /// invalid.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([1.0, 0.0]).reshape([1, 1, 1, 2]);
    /// let y = x.rotary(1, 10_000.0).to_vec::<f32>()?;
    /// assert!((y[0] - 1f32.cos()).abs() < 1e-6 && (y[1] - 1f32.sin()).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn rotary(&self, start: i64, base: f64) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        let &[_, length, _, width] = meta.shape.as_slice() else {
            return Tensor::refuse("rotary", &[self], format!("needs [N, L, H, D], not {meta}"));
        };
        if !width.is_multiple_of(2) {
            let reason = format!("{width} features are no pairs to turn");
            return Tensor::refuse("rotary", &[self], reason);
        }
        let half = width / 2;
        let angles = Tensor::angles(start, length, half, base)
            .cast(meta.dtype)
            .unsqueeze(1);
        let (cos, sin) = (angles.cos(), angles.sin());
        let (a, b) = (self.narrow(-1, 0, half), self.narrow(-1, half, half));
        let turned = [&a * &cos - &b * &sin, &b * &cos + &a * &sin];
        Tensor::concat(&[&turned[0], &turned[1]], -1)
    }
}
