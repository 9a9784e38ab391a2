//! The discrete Fourier transform of complex numbers, `y[k] = sum over t of x[t] e^(-2 pi i k t / n)`, and its inverse, with `+` and
//! divided by n. The last axis, of length 2, holds real and imaginary parts.
//!
//! The transform is linear, and its transpose is its own kind: the gradient of the forward one is n times the inverse of g, that of
//! the inverse the forward one of g divided by n. Lengths that are powers of 2 go by halves (Cooley and Tukey, 1965), others as
//! convolutions of such a length (Bluestein, 1970); in double precision.

use super::{along::Along, prelude::*};
use loops::Real;
use std::f64::consts::PI;

type Complex = [f64; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

fn turned(angle: f64) -> Complex {
    [angle.cos(), angle.sin()]
}

/// The transform with the angle `sign 2 pi k t / n`, in place, of a length that is a power of 2.
fn by_halves(x: &mut [Complex], sign: f64) {
    let n = x.len();
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = if bits == 0 {
            0
        } else {
            i.reverse_bits() >> (usize::BITS - bits)
        };
        if i < j {
            x.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let factors: Vec<Complex> = (0..half)
            .map(|k| turned(sign * PI * k as f64 / half as f64))
            .collect();
        for part in x.chunks_mut(2 * half) {
            let (low, high) = part.split_at_mut(half);
            for ((a, b), &factor) in low.iter_mut().zip(high).zip(&factors) {
                let product = times(*b, factor);
                *b = [a[0] - product[0], a[1] - product[1]];
                *a = [a[0] + product[0], a[1] + product[1]];
            }
        }
        half *= 2;
    }
}

/// The transform of any length.
fn transform(x: &mut [Complex], sign: f64) {
    let n = x.len();
    if n.is_power_of_two() || n == 0 {
        return by_halves(x, sign);
    }
    // k t = (k^2 + t^2 - (k - t)^2) / 2: a convolution with a chirp. The square is taken modulo 2 n, of which the angle is a
    // whole turn, so that it keeps its digits.
    let chirp: Vec<Complex> = (0..n as u128)
        .map(|k| turned(sign * PI * (k * k % (2 * n as u128)) as f64 / n as f64))
        .collect();
    let length = (2 * n - 1).next_power_of_two();
    let (mut a, mut b) = (vec![[0.0; 2]; length], vec![[0.0; 2]; length]);
    for k in 0..n {
        let [re, im] = chirp[k];
        a[k] = times(x[k], chirp[k]);
        b[k] = [re, -im];
        if k > 0 {
            b[length - k] = [re, -im];
        }
    }
    by_halves(&mut a, -1.0);
    by_halves(&mut b, -1.0);
    a.iter_mut().zip(&b).for_each(|(a, &b)| *a = times(*a, b));
    by_halves(&mut a, 1.0);
    for k in 0..n {
        let [re, im] = times(a[k], chirp[k]);
        x[k] = [re / length as f64, im / length as f64];
    }
}

/// The operation.
#[derive(Debug)]
pub struct Dft {
    axis: i64,
    inverse: bool,
}

attributes!(Dft: axis, inverse);

impl Dft {
    /// The axis that is transformed, which is not the last.
    fn axis(&self, rank: usize) -> Result<usize, String> {
        let axis = shape::axis(self.axis, rank)?;
        match axis + 1 == rank {
            true => Err("the last axis holds real and imaginary parts".into()),
            false => Ok(axis),
        }
    }
}

impl Op for Dft {
    fn name(&self) -> &'static str {
        "dft"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        if meta.shape.last() != Some(&2) {
            return Err("needs a last axis of length 2, real and imaginary parts".into());
        }
        self.axis(meta.rank())?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let g = call.gradient;
        let shape = g.shape().unwrap_or_default();
        let n = self.axis(shape.len()).map_or(1, |axis| shape[axis]) as f64;
        let other = Dft {
            axis: self.axis,
            inverse: !self.inverse,
        };
        let y = Tensor::apply(other, &[g]);
        Gradient::one(match self.inverse {
            true => &y / y.full_like(n),
            false => &y * y.full_like(n),
        })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        if output.is_empty() {
            return Ok(());
        }
        let shape = output.shape();
        let along = Along::axis(self.axis(shape.len())?, shape);
        let n = along.length as f64;
        let (sign, scale) = if self.inverse { (1.0, n) } else { (-1.0, 1.0) };
        loops::floats!(output.dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            let mut line = vec![[0.0; 2]; along.length];
            for outer in 0..along.outer {
                // Parts lie side by side behind the axis.
                for inner in (0..along.inner).step_by(2) {
                    let at = |t: usize| along.position([outer, t, inner]);
                    for (t, value) in line.iter_mut().enumerate() {
                        *value = [x[at(t)].wide(), x[at(t) + 1].wide()];
                    }
                    transform(&mut line, sign);
                    for (t, [re, im]) in line.iter().enumerate() {
                        y[at(t)] = T::narrow(re / scale);
                        y[at(t) + 1] = T::narrow(im / scale);
                    }
                }
            }
        });
        Ok(())
    }
}

/// How a signal is transformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fourier {
    /// The number of elements that are transformed: a shorter signal is filled up with zeros, a longer one cut off. None: its own
    /// length.
    pub length: Option<usize>,
    /// Back from frequencies to the signal.
    pub inverse: bool,
    /// Only the first `length / 2 + 1` frequencies of a real signal, of which the others are mirrored; together with
    /// `inverse`, the real signal of these.
    pub one_sided: bool,
}

impl Tensor {
    /// The discrete Fourier transform along an axis (negative: from the back). The last axis holds real and imaginary parts, or, if
    /// its length is 1, real numbers; that of the result has length 2, or 1 where the result is a real signal.
    ///
    /// ```
    /// # use zerokara_core::{Fourier, Tensor};
    /// let x = Tensor::from([[[1.0], [2.0], [3.0]]]); // one signal of three real numbers
    /// let y = x.dft(1, &Fourier { one_sided: true, ..Fourier::default() });
    /// assert_eq!(y.shape()?, [1, 2, 2]);
    /// let found = y.to_vec::<f32>()?;
    /// for (found, expected) in found.iter().zip([6.0, 0.0, -1.5, 0.8660254]) {
    ///     assert!((found - expected).abs() < 1e-6);
    /// }
    /// let how = Fourier { length: Some(3), inverse: true, one_sided: true };
    /// let again = y.dft(1, &how).to_vec::<f32>()?;
    /// assert!(again.iter().zip([1.0, 2.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-6));
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("fft", "rfft", "ifft", "irfft"))]
    #[track_caller]
    pub fn dft(&self, axis: i64, how: &Fourier) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        let refuse = |reason: &str| Tensor::refuse("dft", &[self], reason.into());
        let rank = meta.rank();
        let at = match shape::axis(axis, rank) {
            Ok(at) if at + 1 < rank => at,
            Ok(_) => return refuse("the last axis holds real and imaginary parts"),
            Err(_) => return self.invalid_axis("dft", axis),
        };
        let parts = meta.shape[rank - 1];
        if !matches!(parts, 1 | 2) {
            return refuse("needs a last axis of length 1 or 2, real numbers or both parts");
        }
        let back = how.inverse && how.one_sided;
        let length = match how.length {
            Some(length) => length,
            None if back => 2 * meta.shape[at].saturating_sub(1),
            None => meta.shape[at],
        };
        if length == 0 {
            return refuse("there is nothing to transform");
        }
        let half = length / 2 + 1;
        let axis = at as i64;
        let complex = match parts {
            1 => self.fitted(rank as i64 - 1, 2),
            _ => self.clone(),
        };
        let inverse = how.inverse;
        let op = Dft { axis, inverse };
        if back {
            return complex.fitted(axis, half).mirrored(axis, length, op);
        }
        if how.one_sided && parts == 2 {
            return refuse("complex signals have no mirrored frequencies");
        }
        let y = Tensor::apply(op, &[&complex.fitted(axis, length)]);
        match how.one_sided {
            true => y.narrow(axis, 0, half),
            false => y,
        }
    }

    /// The real signal of this length whose first frequencies these are.
    #[track_caller]
    fn mirrored(&self, axis: i64, length: usize, op: Dft) -> Tensor {
        let half = length / 2 + 1;
        let last = self.shape().map_or(0, <[usize]>::len) as i64 - 1;
        let whole = match length - half {
            0 => self.clone(),
            others => {
                let rest = self.narrow(axis, 1, others).flip(&[axis]);
                let (re, im) = (rest.narrow(last, 0, 1), rest.narrow(last, 1, 1));
                let mirror = Tensor::concat(&[&re, &-im], last);
                Tensor::concat(&[self, &mirror], axis)
            }
        };
        // The imaginary parts of frequencies that are their own mirrors have no part in a real signal.
        Tensor::apply(op, &[&whole]).narrow(last, 0, 1)
    }

    /// Filled up with zeros behind the last element of an axis, or cut off.
    #[track_caller]
    fn fitted(&self, axis: i64, length: usize) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let at = axis as usize;
        if shape[at] >= length {
            return match shape[at] == length {
                true => self.clone(),
                false => self.narrow(axis, 0, length),
            };
        }
        let (before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
        after[at] = length - shape[at];
        self.pad(&before, &after, 0.0)
    }

    /// The short-time Fourier transform: of signals `[N, L, 1]` (real) or `[N, L, 2]` (complex), frames of `frame_length` elements, `step`
    /// apart and multiplied by the window `[frame_length]` if there is one, each transformed: `[N, frames, frequencies, 2]`. With
    /// `one_sided`, only the first `frame_length / 2 + 1` frequencies of real signals.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let x = Tensor::ones([1, 16, 1]);
    /// let window = Tensor::hann_window(8, true, DType::F32);
    /// let y = x.stft(8, 4, Some(&window), true);
    /// assert_eq!(y.shape()?, [1, 3, 5, 2]);
    /// assert!((y.to_vec::<f32>()?[0] - 4.0).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn stft(
        &self,
        frame_length: usize,
        step: usize,
        window: Option<&Tensor>,
        one_sided: bool,
    ) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        let refuse = |reason: String| Tensor::refuse("stft", &[self], reason);
        let &[_, length, _] = meta.shape.as_slice() else {
            return refuse(format!("needs signals [N, L, 1] or [N, L, 2], not {meta}"));
        };
        if frame_length == 0 || step == 0 || frame_length > length {
            return refuse(format!(
                "frames of {frame_length} elements, {step} apart, do not fit signals of {length}"
            ));
        }
        let frames = (length - frame_length) / step + 1;
        let place = Meta::new([frames, frame_length], DType::I64);
        let mut places = match Array::try_zeros(&place) {
            Ok(places) => places,
            Err(error) => return refuse(error.to_string()),
        };
        for (at, place) in places.slice_mut::<i64>().iter_mut().enumerate() {
            *place = (at / frame_length * step + at % frame_length) as i64;
        }
        let mut parts = self.index_select(1, &Tensor::from(places));
        if let Some(window) = window {
            parts = match window.meta() {
                Ok(window_is) if *window_is != Meta::new([frame_length], meta.dtype) => {
                    let wanted = Meta::new([frame_length], meta.dtype);
                    return refuse(format!("the window must be {wanted}, not {window_is}"));
                }
                _ => parts * window.reshape_exactly(&[frame_length as i64, 1]),
            };
        }
        let how = Fourier {
            one_sided,
            ..Fourier::default()
        };
        parts.dft(2, &how)
    }
}
