//! Windows that fade signals in and out: sums of cosines of `2 pi t / N`, where N is the number of elements for periodic windows, and
//! one less for symmetric ones.

use super::prelude::*;
use std::f64::consts::TAU;

/// `c[0] - c[1] cos(2 pi t / N) + c[2] cos(4 pi t / N)`
#[track_caller]
fn cosines(name: &str, size: usize, periodic: bool, dtype: DType, [a, b, c]: [f64; 3]) -> Tensor {
    if !matches!(dtype, DType::F32 | DType::F64) {
        let reason = format!("a window is of floats, not {dtype}");
        return Tensor::refuse(name, &[], reason);
    }
    let mut numbers = match Array::try_zeros(&Meta::new([size], DType::F64)) {
        Ok(numbers) => numbers,
        Err(error) => return Tensor::refuse(name, &[], error.to_string()),
    };
    let period = if periodic {
        size
    } else {
        size.saturating_sub(1)
    };
    for (t, number) in numbers.slice_mut::<f64>().iter_mut().enumerate() {
        // One element alone is its own middle.
        let turns = if size == 1 {
            0.5
        } else {
            t as f64 / period as f64
        };
        *number = a - b * (TAU * turns).cos() + c * (2.0 * TAU * turns).cos();
    }
    Tensor::from(numbers.cast(dtype))
}

impl Tensor {
    /// Hann's window of so many elements, `1/2 - 1/2 cos(2 pi t / N)`: N is their number for a periodic window, as transforms of
    /// frames want it, else one less.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let window = Tensor::hann_window(4, true, DType::F64).to_vec::<f64>()?;
    /// assert!(window.iter().zip([0.0, 0.5, 1.0, 0.5]).all(|(w, e)| (w - e).abs() < 1e-12));
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn hann_window(size: usize, periodic: bool, dtype: DType) -> Tensor {
        cosines("hann_window", size, periodic, dtype, [0.5, 0.5, 0.0])
    }

    /// Hamming's window of so many elements, `25/46 - 21/46 cos(2 pi t / N)`, with N as in [`Tensor::hann_window`].
    #[track_caller]
    pub fn hamming_window(size: usize, periodic: bool, dtype: DType) -> Tensor {
        let parts = [25.0 / 46.0, 21.0 / 46.0, 0.0];
        cosines("hamming_window", size, periodic, dtype, parts)
    }

    /// Blackman's window of so many elements, `0.42 - 0.5 cos(2 pi t / N) + 0.08 cos(4 pi t / N)`, with N as in [`Tensor::hann_window`].
    #[track_caller]
    pub fn blackman_window(size: usize, periodic: bool, dtype: DType) -> Tensor {
        cosines("blackman_window", size, periodic, dtype, [0.42, 0.5, 0.08])
    }
}
