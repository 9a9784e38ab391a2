//! Images and volumes read at any places (ONNX `GridSample`; Jaderberg et al., 2015).
//!
//! For `x [N, C, H, W]` and a grid `[N, Y, X, 2]` of places (across, down), each from -1 at one border to 1 at the other:
//!
//! ```text
//! out[n, c, y, x'] = sum over i, j of x[n, c, i, j] k(i - down) k(j - across)
//! ```
//!
//! with k the nearest element, a line or a cubic (a = -0.75). Volumes `[N, C, D, H, W]` have places (across, down, in depth). Of
//! elements outside there is nothing, or the border goes on, or the image is reflected at it.
//!
//! Channels are moved behind the places, so that what is read for a place is one run of numbers. The gradient flows to the image and
//! to the places; that of a place which is rounded is 0.

use super::{prelude::*, resize::Interpolation};

words!(
    /// What stands outside of an image.
    Outside: "padding_mode" {
        /// Nothing: 0.
        Zeros = "zeros",
        /// The nearest element of the border.
        Border = "border",
        /// The image, reflected at its borders.
        Reflection = "reflection",
    }
);

/// Options of [`Tensor::grid_sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GridSampleOptions {
    /// What is read at a place.
    pub mode: Interpolation,
    /// What stands outside.
    pub padding_mode: Outside,
    /// Whether -1 and 1 are the middles of the first and the last element, else their outer borders.
    pub align_corners: bool,
}

impl Default for GridSampleOptions {
    /// As in PyTorch and ONNX: between elements by lines, nothing outside, borders at -1 and 1.
    fn default() -> Self {
        Self {
            mode: Interpolation::Linear,
            padding_mode: Outside::Zeros,
            align_corners: false,
        }
    }
}

attributes!(group GridSampleOptions: mode, padding_mode, align_corners);

/// The coefficient of the cubic.
const CUBIC: f64 = -0.75;

/// From how many elements on an f32 does not tell their numbers apart.
const COUNTED_BY_F32: usize = 1 << 24;

impl GridSampleOptions {
    /// The borders of an axis, at which it is reflected.
    fn borders(&self, length: usize) -> (f64, f64) {
        let last = length as f64 - 1.0;
        match self.align_corners {
            true => (0.0, last),
            false => (-0.5, last + 0.5),
        }
    }

    /// Where a place of the grid lies on an axis.
    fn place(&self, place: f64, length: usize) -> f64 {
        let length = length as f64;
        match self.align_corners {
            true => (place + 1.0) / 2.0 * (length - 1.0),
            false => ((place + 1.0) * length - 1.0) / 2.0,
        }
    }

    /// The place inside that stands for one that may lie outside.
    fn kept(&self, place: f64, length: usize) -> f64 {
        let last = length as f64 - 1.0;
        match self.padding_mode {
            Outside::Zeros => place,
            Outside::Border => place.clamp(0.0, last),
            Outside::Reflection => {
                let (low, high) = self.borders(length);
                let span = high - low;
                if span == 0.0 {
                    return 0.0;
                }
                let distance = (place - low).abs();
                let turns = (distance / span).floor();
                let rest = distance - turns * span;
                let even = turns - 2.0 * (turns / 2.0).floor() == 0.0;
                (low + if even { rest } else { span - rest }).clamp(0.0, last)
            }
        }
    }

    /// The elements of an axis that are read for a place, with their weights.
    fn taps(&self, place: f64, length: usize) -> Vec<(usize, f64)> {
        let place = self.place(place, length);
        let taps = match self.mode {
            Interpolation::Nearest => vec![(self.kept(place, length).round_ties_even(), 1.0)],
            Interpolation::Linear => {
                let place = self.kept(place, length);
                let share = place - place.floor();
                vec![(place.floor(), 1.0 - share), (place.floor() + 1.0, share)]
            }
            Interpolation::Cubic => {
                let share = place - place.floor();
                let tap = |i: i32| {
                    let at = self.kept(place.floor() + f64::from(i), length);
                    (at, super::resize::cubic(f64::from(i) - share, CUBIC))
                };
                (-1..=2).map(tap).collect()
            }
        };
        let inside = |&(at, _): &(f64, f64)| at >= 0.0 && at < length as f64;
        let taps = taps.into_iter().filter(inside);
        taps.map(|(at, weight)| (at as usize, weight)).collect()
    }
}

/// What is read for each place along an axis.
pub struct Tap {
    /// Which element, as a float; 0 where there is none.
    at: Tensor,
    /// Whether there is one.
    inside: Tensor,
    /// How much it counts; 1 if nothing is said.
    weight: Option<Tensor>,
}

impl GridSampleOptions {
    /// As [`Self::kept`], of tensors.
    fn kept_all(&self, place: &Tensor, length: usize) -> Tensor {
        let last = length as f64 - 1.0;
        match self.padding_mode {
            Outside::Zeros => place.clone(),
            Outside::Border => place.clamp(0.0, last),
            Outside::Reflection => {
                let (low, high) = self.borders(length);
                let span = high - low;
                if span == 0.0 {
                    return place.zeros_like();
                }
                let distance = (place - low).abs();
                let turns = (&distance / span).floor();
                let rest = distance - &turns * span;
                let even = (&turns - (&turns / 2.0).floor() * 2.0).equal(&turns.zeros_like());
                (even.select(&rest, &(-&rest + span)) + low).clamp(0.0, last)
            }
        }
    }

    /// As [`Self::place`], of tensors.
    fn place_of_all(&self, place: &Tensor, length: usize) -> Tensor {
        match self.align_corners {
            true => (place + 1.0) * ((length as f64 - 1.0) / 2.0),
            false => ((place + 1.0) * length as f64 - 1.0) / 2.0,
        }
    }

    /// As [`Self::taps`], of places on an axis, as tensors.
    pub(super) fn taps_at(&self, place: &Tensor, length: usize) -> Vec<Tap> {
        let tap = |at: Tensor, weight: Option<Tensor>| {
            let zero = at.zeros_like();
            let inside =
                (at.greater_equal(&zero)).logical_and(&at.less(&at.full_like(length as f64)));
            // Before anything is made of it, so that places which are no numbers read nothing.
            Tap {
                at: inside.select(&at, &zero),
                inside,
                weight,
            }
        };
        match self.mode {
            Interpolation::Nearest => {
                let place = self.kept_all(place, length);
                let floor = place.floor();
                let share = &place - &floor;
                let half = share.full_like(0.5);
                let odd = (&floor / 2.0).floor() * 2.0;
                let up = (share.greater(&half))
                    .logical_or(&share.equal(&half).logical_and(&odd.less(&floor)));
                vec![tap(up.select(&(&floor + 1.0), &floor), None)]
            }
            Interpolation::Linear => {
                let place = self.kept_all(place, length);
                let floor = place.floor();
                let share = &place - &floor;
                let rest = -&share + 1.0;
                vec![
                    tap(floor.clone(), Some(rest)),
                    tap(&floor + 1.0, Some(share)),
                ]
            }
            Interpolation::Cubic => {
                let floor = place.floor();
                let share = place - &floor;
                (-1..=2)
                    .map(|i| {
                        let at = self.kept_all(&(&floor + f64::from(i)), length);
                        let distance = (-&share + f64::from(i)).abs();
                        let (d, a) = (&distance, CUBIC);
                        let weight = match i {
                            0 | 1 => (d * (a + 2.0) - (a + 3.0)) * d * d + 1.0,
                            _ => ((d * a - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
                        };
                        tap(at, Some(weight))
                    })
                    .collect()
            }
        }
    }
}

/// Images or volumes `x [N, C, ..]` read at P places for each sample: for each axis behind the channels, the taps of all places, `[N, P]`. Gives
/// `[N, P, C]`.
pub fn read_at(x: &Tensor, taps: &[Vec<Tap>]) -> Option<Tensor> {
    let &[n, c, ref lengths @ ..] = x.shape().ok()? else {
        return None;
    };
    let &[_, places] = taps.first()?.first()?.at.shape().ok()? else {
        return None;
    };
    let (elements, dtype) = (lengths.iter().product::<usize>(), x.dtype().ok()?);
    let rows = x
        .reshape_exactly(&[n as i64, c as i64, elements as i64])
        .permute([0, 2, 1])
        .reshape_exactly(&[(n * elements) as i64, c as i64]);
    let counting = match n * elements > COUNTED_BY_F32 {
        true => DType::F64,
        false => dtype,
    };
    let images = (0..n).map(|image| (image * elements) as f64);
    let images = Array::new([n, 1], images.collect::<Vec<f64>>());
    let first = Tensor::from(images).cast(counting);
    let counts: Vec<usize> = taps.iter().map(Vec::len).collect();
    let zero = Tensor::scalar(0.0, dtype);
    let mut sum: Option<Tensor> = None;
    for chosen in shape::indices(&counts) {
        let taps: Vec<&Tap> = taps
            .iter()
            .zip(&chosen)
            .map(|(taps, &at)| &taps[at])
            .collect();
        let mut inside = taps[0].inside.clone();
        let mut weight = taps[0].weight.clone();
        let mut from = taps[0].at.cast(counting);
        for (tap, &length) in taps[1..].iter().zip(&lengths[1..]) {
            inside = inside.logical_and(&tap.inside);
            weight = weight.zip(tap.weight.as_ref()).map(|(a, b)| a * b);
            from = from * length as f64 + tap.at.cast(counting);
        }
        let from = (from + &first).cast(DType::I64);
        let read = rows.index_select(0, &from.reshape_exactly(&[(n * places) as i64]));
        let mut term = read.reshape_exactly(&[n as i64, places as i64, c as i64]);
        if let Some(weight) = weight {
            term = term * weight.unsqueeze(2);
        }
        let term = inside.unsqueeze(2).select(&term, &zero);
        sum = Some(match sum {
            Some(others) => others + term,
            None => term,
        });
    }
    sum
}

/// The operation.
#[derive(Debug)]
pub struct GridSample {
    options: GridSampleOptions,
}

attributes!(GridSample: options);

impl Op for GridSample {
    fn name(&self) -> &'static str {
        "grid_sample"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, grid] = infer::arity(inputs)?;
        infer::floats(x, grid)?;
        let axes = x.rank().saturating_sub(2);
        if !(2..=3).contains(&axes) {
            return Err(format!(
                "needs images [N, C, H, W] or volumes [N, C, D, H, W], not {:?}",
                x.shape
            ));
        }
        if grid.rank() != x.rank() || grid.shape[0] != x.shape[0] || grid.shape[axes + 1] != axes {
            return Err(format!(
                "the grid for {:?} holds {axes} numbers for each of its places, not {:?}",
                x.shape, grid.shape
            ));
        }
        if x.shape[2..].contains(&0) {
            return Err("there is nothing to read in images without elements".into());
        }
        if axes == 3 && self.options.mode == Interpolation::Cubic {
            return Err("cubics are for images, not for volumes".into());
        }
        let shape = [&x.shape[..2], &grid.shape[1..=axes]].concat();
        Ok(Meta::new(shape, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let lengths = &inputs[0].shape()[2..];
        let (channels, elements) = (inputs[0].shape()[1], lengths.iter().product::<usize>());
        let axes = lengths.len();
        let places: usize = output.shape()[2..].iter().product();
        let (x, grid) = (inputs[0].to_f64s(), inputs[1].to_f64s());
        loops::floats!(output.dtype(), T => {
            let y = output.slice_mut::<T>();
            for (at, place) in grid.chunks(axes).enumerate() {
                // The last axis has the first number.
                let taps: Vec<_> = (0..axes).map(|axis| self.options.taps(place[axes - 1 - axis], lengths[axis])).collect();
                let counts: Vec<usize> = taps.iter().map(Vec::len).collect();
                let (n, p) = (at / places, at % places);
                for c in 0..channels {
                    let plane = &x[(n * channels + c) * elements..][..elements];
                    let terms = shape::indices(&counts).map(|chosen| {
                        let (mut from, mut weight) = (0, 1.0);
                        for axis in 0..axes {
                            let (i, share) = taps[axis][chosen[axis]];
                            (from, weight) = (from * lengths[axis] + i, weight * share);
                        }
                        plane[from] * weight
                    });
                    y[(n * channels + c) * places + p] = terms.sum::<f64>() as T;
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, grid] = inputs else {
            return None;
        };
        let (shape, axes) = (x.shape().ok()?.to_vec(), x.shape().ok()?.len() - 2);
        let made = [&shape[..2], &grid.shape().ok()?[1..=axes]].concat();
        if shape[0] == 0 || shape[1] == 0 || made.contains(&0) {
            return Some((x.sum() + grid.sum()).without_elements(&made));
        }
        let (n, lengths) = (shape[0], &shape[2..]);
        let places: usize = made[2..].iter().product();
        let grid = grid.reshape_exactly(&[n as i64, places as i64, axes as i64]);
        let taps: Vec<Vec<Tap>> = (0..axes)
            .map(|axis| {
                let place = grid.at(-1, (axes - 1 - axis) as i64);
                let place = self.options.place_of_all(&place, lengths[axis]);
                self.options.taps_at(&place, lengths[axis])
            })
            .collect();
        let read = read_at(x, &taps)?;
        let lengths: Vec<i64> = made.iter().map(|&n| n as i64).collect();
        Some(read.permute([0, 2, 1]).reshape_exactly(&lengths))
    }
}

impl Tensor {
    /// The images `[N, C, H, W]` read at the places of a grid `[N, Y, X, 2]`, giving `[N, C, Y, X]`; or volumes `[N, C, D, H, W]` at a grid
    /// `[N, Z, Y, X, 3]`. A place is (across, down) or (across, down, in depth), from -1 to 1. [`Tensor::affine_grid`] makes such grids.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::GridSampleOptions};
    /// let x = Tensor::from([[[[1.0, 2.0], [3.0, 4.0]]]]);
    /// let grid = Tensor::from([[[[0.0, 0.0], [1.0, -1.0]]]]);
    /// let options = GridSampleOptions { align_corners: true, ..Default::default() };
    /// assert_eq!(x.grid_sample(&grid, options).to_vec::<f32>()?, [2.5, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "GridSample")]
    #[track_caller]
    pub fn grid_sample(&self, grid: &Tensor, options: GridSampleOptions) -> Tensor {
        Tensor::apply(GridSample { options }, &[self, grid])
    }
}
