//! Resizing by interpolation (ONNX `Resize`), and its transpose.
//!
//! Each axis is resized by itself. Element j of the output lies at a place x of the input, which the coordinates' mode says, and is a
//! weighted sum of the input's elements around it:
//!
//! ```text
//! out[j] = sum over i of weight(i - x) in[i]
//! ```
//!
//! with the weights of the nearest element, of a line between two, of a cubic through four (Keys, 1981), and with `antialias`, where
//! an axis becomes shorter, those of the same curves made as much wider. The sum is linear: its gradient is the transpose, an
//! operation of its own, whose gradient is resizing again. What has no weight is not read.

use super::{along::Along, prelude::*};

words!(
    /// What an element of the output is made of.
    Interpolation: "mode" {
        /// The nearest element.
        Nearest = "nearest",
        /// Two elements along each axis.
        Linear = "linear",
        /// Four elements along each axis.
        Cubic = "cubic",
    }
);

words!(
    /// Where element j of the output lies in the input, for a scale s and lengths n of the input and m of the output.
    Coordinates: "coordinate_transformation_mode" {
        /// `(j + 1/2) / s - 1/2`: elements are areas, and the first begins where the axis does.
        HalfPixel = "half_pixel",
        /// As half pixels, but with the middle in the middle where the scale gives no whole length.
        HalfPixelSymmetric = "half_pixel_symmetric",
        /// As half pixels, but with a single element of the output at the first of the input.
        PytorchHalfPixel = "pytorch_half_pixel",
        /// `j (n - 1) / (m - 1)`: elements are points, and the last is the last.
        AlignCorners = "align_corners",
        /// `j / s`
        Asymmetric = "asymmetric",
        /// As aligned corners, of the region `roi` of the input; what lies outside the input is `extrapolation_value`.
        TfCropAndResize = "tf_crop_and_resize",
    }
);

words!(
    /// Which element is the nearest.
    Rounding: "nearest_mode" {
        /// Halves are rounded down.
        RoundPreferFloor = "round_prefer_floor",
        /// Halves are rounded up.
        RoundPreferCeil = "round_prefer_ceil",
        /// All is rounded down.
        Floor = "floor",
        /// All is rounded up.
        Ceil = "ceil",
    }
);

words!(
    /// What sizes mean.
    AspectRatio: "keep_aspect_ratio_policy" {
        /// The sizes of the output.
        Stretch = "stretch",
        /// What the output fits into, resized alike along all axes.
        NotLarger = "not_larger",
        /// What fits into the output, resized alike along all axes.
        NotSmaller = "not_smaller",
    }
);

/// Options of resizing. The names are those of ONNX.
///
/// ```
/// # use zerokara_core::{Tensor, op::{Interpolation, ResizeOptions}};
/// let x = Tensor::from([1.0, 3.0]);
/// let y = x.resize(ResizeOptions::scales(Interpolation::Linear, [2.0]));
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 1.5, 2.5, 3.0]);
/// let y = x.resize(ResizeOptions::sizes(Interpolation::Nearest, [4]));
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 1.0, 3.0, 3.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeOptions {
    /// What an element of the output is made of.
    pub mode: Interpolation,
    /// Where elements of the output lie.
    pub coordinate_transformation_mode: Coordinates,
    /// Which element is the nearest.
    pub nearest_mode: Rounding,
    /// The free coefficient of the cubic: -0.75 or -0.5 as a rule.
    pub cubic_coeff_a: f64,
    /// Whether what lies outside the input has no weight, and the other weights are more in turn; else the first and the last
    /// element go on outside.
    pub exclude_outside: bool,
    /// Whether weights reach farther where an axis becomes shorter, for lines and cubics.
    pub antialias: bool,
    /// What stands outside the input, where a region is cut out.
    pub extrapolation_value: f64,
    /// What sizes mean.
    pub keep_aspect_ratio_policy: AspectRatio,
    /// The axes (negative: from the back); all if empty.
    pub axes: Vec<i64>,
    /// A scale for each axis, or none.
    pub scales: Vec<f64>,
    /// A size for each axis, or none.
    pub sizes: Vec<usize>,
    /// The region that is cut out, in shares of the axes: where it begins on each, then where it ends.
    pub roi: Vec<f64>,
}

attributes!(group ResizeOptions: mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, exclude_outside, antialias, extrapolation_value, keep_aspect_ratio_policy, axes, scales, sizes, roi);

impl ResizeOptions {
    fn of(mode: Interpolation, axes: usize) -> Self {
        Self {
            mode,
            coordinate_transformation_mode: Coordinates::HalfPixel,
            nearest_mode: Rounding::RoundPreferFloor,
            cubic_coeff_a: -0.75,
            exclude_outside: false,
            antialias: false,
            extrapolation_value: 0.0,
            keep_aspect_ratio_policy: AspectRatio::Stretch,
            axes: (1..=axes as i64).rev().map(|axis| -axis).collect(),
            scales: Vec::new(),
            sizes: Vec::new(),
            roi: Vec::new(),
        }
    }

    /// By these scales of the last axes, with half pixels.
    pub fn scales(mode: Interpolation, scales: impl Into<Vec<f64>>) -> Self {
        let scales = scales.into();
        Self {
            scales: scales.clone(),
            ..Self::of(mode, scales.len())
        }
    }

    /// To these sizes of the last axes, with half pixels.
    pub fn sizes(mode: Interpolation, sizes: impl Into<Vec<usize>>) -> Self {
        let sizes = sizes.into();
        Self {
            sizes: sizes.clone(),
            ..Self::of(mode, sizes.len())
        }
    }

    /// What becomes of each axis that is named.
    fn lengths(&self, x: &[usize]) -> Result<Vec<Length>, String> {
        let axes: Vec<usize> = match self.axes.is_empty() {
            true => (0..x.len()).collect(),
            false => {
                shape::axes(&self.axes, x.len())?;
                let counted = self.axes.iter().map(|&axis| shape::axis(axis, x.len()));
                counted.collect::<Result<_, _>>()?
            }
        };
        let count = axes.len();
        if !matches!(
            (self.scales.len(), self.sizes.len()),
            (scales, sizes) if (scales, sizes) == (count, 0) || (scales, sizes) == (0, count)
        ) {
            return Err(format!(
                "needs a scale or a size for each of {count} axes, not {} and {}",
                self.scales.len(),
                self.sizes.len()
            ));
        }
        let crops = self.coordinate_transformation_mode == Coordinates::TfCropAndResize;
        if crops && self.roi.len() != 2 * count {
            return Err(format!(
                "a region has two ends for each of {count} axes, not {} numbers",
                self.roi.len()
            ));
        }
        if !self.roi.iter().all(|end| end.is_finite()) {
            return Err("the ends of a region are numbers".into());
        }
        if let Some(scale) = self.scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            return Err(format!("a scale is a number above 0, not {scale}"));
        }
        if !self.cubic_coeff_a.is_finite() {
            return Err(format!(
                "the cubic has a coefficient that is a number, not {}",
                self.cubic_coeff_a
            ));
        }
        let shares =
            (axes.iter().zip(&self.sizes)).map(|(&axis, &size)| size as f64 / x[axis] as f64);
        // Of axes without elements nothing follows.
        let shares: Vec<f64> = shares.filter(|share| share.is_finite()).collect();
        let alike = match self.keep_aspect_ratio_policy {
            _ if self.sizes.is_empty() => None,
            AspectRatio::Stretch => None,
            AspectRatio::NotLarger => shares.into_iter().reduce(f64::min),
            AspectRatio::NotSmaller => shares.into_iter().reduce(f64::max),
        };
        let lengths = axes.iter().enumerate().map(|(i, &axis)| {
            let input = x[axis];
            let (scale, output, exact) = match (self.scales.get(i), alike) {
                (Some(&scale), _) => {
                    let exact = input as f64 * scale;
                    (scale, whole(exact), exact)
                }
                (None, Some(scale)) => {
                    let exact = input as f64 * scale;
                    (scale, (exact + 0.5).floor(), exact)
                }
                (None, None) => {
                    let size = self.sizes[i] as f64;
                    (size / input.max(1) as f64, size, size)
                }
            };
            let output = output as usize;
            if (input == 0) != (output == 0) {
                return Err(format!(
                    "axis {axis} of length {input} cannot become {output} long"
                ));
            }
            let region = match crops {
                true => [self.roi[i], self.roi[count + i]],
                false => [0.0, 1.0],
            };
            Ok(Length {
                axis,
                input,
                output,
                scale,
                exact,
                region,
            })
        });
        lengths.collect()
    }

    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        let mut shape = x.to_vec();
        for length in self.lengths(x)? {
            shape[length.axis] = length.output;
        }
        Ok(shape)
    }
}

/// A length rounded down. Scales come from files in single precision, as 0.7 that is a little less: what is as near to a whole number as that
/// rounds is this number.
fn whole(length: f64) -> f64 {
    let nearest = length.round();
    match (length - nearest).abs() <= nearest * f64::from(f32::EPSILON) {
        true => nearest,
        false => length.floor(),
    }
}

/// What becomes of an axis.
#[derive(Debug)]
struct Length {
    axis: usize,
    input: usize,
    output: usize,
    scale: f64,
    /// The length of the output before it was made whole.
    exact: f64,
    region: [f64; 2],
}

/// What an element is made of.
#[derive(Clone, Debug, Default)]
struct Taps {
    /// Elements of the input with their weights.
    of: Vec<(usize, f64)>,
    /// Whether it lies outside the region.
    outside: bool,
}

impl Length {
    /// Where element j of the output lies in the input.
    fn place(&self, coordinates: Coordinates, j: usize) -> f64 {
        let (j, input) = (j as f64, self.input as f64);
        let [begin, end] = self.region;
        let half = (j + 0.5) / self.scale - 0.5;
        match coordinates {
            Coordinates::HalfPixel => half,
            Coordinates::HalfPixelSymmetric => {
                input / 2.0 * (1.0 - self.output as f64 / self.exact) + half
            }
            Coordinates::PytorchHalfPixel if self.exact == 1.0 => -0.5,
            Coordinates::PytorchHalfPixel => half,
            Coordinates::AlignCorners if self.exact == 1.0 => 0.0,
            Coordinates::AlignCorners => j * (input - 1.0) / (self.exact - 1.0),
            Coordinates::Asymmetric => j / self.scale,
            Coordinates::TfCropAndResize if self.exact == 1.0 => {
                (begin + end) / 2.0 * (input - 1.0)
            }
            Coordinates::TfCropAndResize => {
                begin * (input - 1.0) + j * (end - begin) * (input - 1.0) / (self.exact - 1.0)
            }
        }
    }

    /// What each element of the output is made of.
    fn table(&self, options: &ResizeOptions) -> Vec<Taps> {
        (0..self.output).map(|j| self.taps(options, j)).collect()
    }

    fn taps(&self, options: &ResizeOptions, j: usize) -> Taps {
        let x = self.place(options.coordinate_transformation_mode, j);
        let last = self.input as f64 - 1.0;
        if options.coordinate_transformation_mode == Coordinates::TfCropAndResize
            && !(0.0..=last).contains(&x)
        {
            return Taps {
                of: vec![(0, 1.0)],
                outside: true,
            };
        }
        // Beyond the ends all elements are the first or the last.
        let reach = 2.0 * self.input as f64 + 4.0;
        let x = if x.is_nan() {
            0.0
        } else {
            x.clamp(-reach, last + reach)
        };
        let floor = x.floor();
        let ratio = x - floor;
        if options.mode == Interpolation::Nearest {
            let up = match options.nearest_mode {
                Rounding::RoundPreferFloor => ratio > 0.5,
                Rounding::RoundPreferCeil => ratio >= 0.5,
                Rounding::Floor => false,
                Rounding::Ceil => ratio > 0.0,
            };
            let nearest = (floor + if up { 1.0 } else { 0.0 }).clamp(0.0, last);
            return Taps {
                of: vec![(nearest as usize, 1.0)],
                outside: false,
            };
        }
        let width = if options.antialias {
            self.scale.min(1.0)
        } else {
            1.0
        };
        let (support, weight): (f64, &dyn Fn(f64) -> f64) = match options.mode {
            Interpolation::Cubic => (2.0, &|d| cubic(d, options.cubic_coeff_a)),
            _ => (1.0, &|d: f64| (1.0 - d.abs()).max(0.0)),
        };
        let near = (support / width).ceil();
        let around = (-near as i64..=near as i64).map(|i| {
            let at = floor as i64 + i;
            (at, weight((i as f64 - ratio) * width))
        });
        let mut taps: Vec<(usize, f64)> = Vec::new();
        for (at, weight) in around.filter(|&(_, weight)| weight != 0.0) {
            let within = at.clamp(0, last as i64);
            if options.exclude_outside && within != at {
                continue;
            }
            match taps.last_mut() {
                Some((same, sum)) if *same == within as usize => *sum += weight,
                _ => taps.push((within as usize, weight)),
            }
        }
        // They sum to 1 already unless some are left out or the curve is stretched.
        if options.exclude_outside || width < 1.0 {
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        Taps {
            of: taps,
            outside: false,
        }
    }
}

/// The cubic of Keys at this distance.
pub fn cubic(distance: f64, a: f64) -> f64 {
    let d = distance.abs();
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

/// For each of so many elements of the input, which elements of the output it is part of.
fn transposed(table: &[Taps], input: usize) -> Vec<Taps> {
    let mut turned = vec![Taps::default(); input];
    for (j, taps) in table.iter().enumerate() {
        for &(i, weight) in &taps.of {
            turned[i].of.push((j, weight));
        }
    }
    turned
}

/// Values of this shape with an axis made by a table.
fn walked(x: &[f64], shape: &mut [usize], axis: usize, table: &[Taps]) -> Vec<f64> {
    let from = Along::axis(axis, shape);
    let to = from.with_length(table.len());
    shape[axis] = table.len();
    let mut y = vec![0.0; to.outer * to.length * to.inner];
    for (at, y) in y.iter_mut().enumerate() {
        let [outer, j, inner] = to.index(at);
        let terms = table[j]
            .of
            .iter()
            .map(|&(i, weight)| weight * x[from.position([outer, i, inner])]);
        *y = terms.sum();
    }
    y
}

/// The tensor with an axis made by a table.
fn made(x: &Tensor, axis: usize, table: &[Taps]) -> Option<Tensor> {
    let shape = x.shape().ok()?;
    let (input, output) = (shape[axis], table.len());
    let most = table.iter().map(|taps| taps.of.len()).max().unwrap_or(0);
    let first: Vec<Option<(usize, f64)>> =
        table.iter().map(|taps| taps.of.first().copied()).collect();
    if most == 1 && first.iter().all(|tap| matches!(tap, Some((_, 1.0)))) {
        let places: Vec<usize> = first.iter().flatten().map(|tap| tap.0).collect();
        if output == input && places.iter().copied().eq(0..input) {
            return Some(x.clone());
        }
        if output.is_multiple_of(input)
            && places
                .iter()
                .enumerate()
                .all(|(j, &i)| i == j / (output / input))
        {
            return Some(repeated(x, axis, output / input));
        }
        if let [first, second, ..] = places[..]
            && let Some(step) = second.checked_sub(first).filter(|&step| step > 0)
            && places
                .iter()
                .enumerate()
                .all(|(j, &i)| i == first + j * step)
        {
            let last = places[output - 1] as i64;
            return Some(x.slice(axis as i64, first as i64..=last, step as i64));
        }
        let places: Vec<i64> = places.iter().map(|&i| i as i64).collect();
        return Some(x.index_select(axis as i64, &Tensor::from(places)));
    }
    if output * most == input && is_repetition(table, most) {
        let mut lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        lengths[axis] = output as i64;
        lengths.insert(axis + 1, most as i64);
        return Some(
            x.reshape_exactly(&lengths)
                .sum_axes(&[axis as i64 + 1], false),
        );
    }
    if most == 0 {
        let mut shape = shape.to_vec();
        shape[axis] = output;
        return Some(x.sum().zeros_like().broadcast_to(&shape));
    }
    // What is picked are whole rows of the axes behind; where these are short, the axis is turned to the front.
    let row: usize = shape[axis + 1..].iter().product();
    let turned = row < SHORT_ROW && shape.len() > 1;
    let (x, at) = match turned {
        true => (x.permute(to_front(axis, shape.len())), 0),
        false => (x.clone(), axis),
    };
    let y = weighted(&x, at, table, most)?;
    Some(match turned {
        true => y.permute(from_front(axis, shape.len())),
        false => y,
    })
}

/// Rows of fewer elements are not worth being picked as they lie.
const SHORT_ROW: usize = 16;

/// An element is the sum of so many picked rows at most; of more, it is the sum over an axis of its own.
const MOST_ROWS: usize = 8;

/// The axes in the order in which this one is first.
fn to_front(axis: usize, rank: usize) -> Vec<i64> {
    let others = (0..rank).filter(|&other| other != axis);
    std::iter::once(axis)
        .chain(others)
        .map(|axis| axis as i64)
        .collect()
}

/// The order that takes [`to_front`] back.
fn from_front(axis: usize, rank: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (1..rank as i64).collect();
    order.insert(axis, 0);
    order
}

/// The weighted sums of a table, whose elements are made of so many at most.
fn weighted(x: &Tensor, axis: usize, table: &[Taps], most: usize) -> Option<Tensor> {
    let (rank, output, dtype) = (x.shape().ok()?.len(), table.len(), x.dtype().ok()?);
    let zero = Tensor::scalar(0.0, dtype);
    // The taps with these numbers, of all elements: `[output]`, or `[output, taps]`, and then axes of length 1.
    let terms = |taps: std::ops::Range<usize>, shape: &[usize]| {
        let given = || {
            table
                .iter()
                .flat_map(|all| taps.clone().map(|tap| all.of.get(tap).copied()))
        };
        let places: Vec<i64> = given()
            .map(|tap| tap.map_or(0, |tap| tap.0 as i64))
            .collect();
        let weights: Vec<f64> = given().map(|tap| tap.map_or(0.0, |tap| tap.1)).collect();
        let there: Vec<bool> = given().map(|tap| tap.is_some()).collect();
        let mut lengths = shape.to_vec();
        lengths.resize(shape.len() + rank - axis - 1, 1);
        let weights = Tensor::from(Array::new(lengths.as_slice(), weights)).cast(dtype);
        let terms = x.index_select(axis as i64, &Tensor::from(Array::new(shape, places))) * weights;
        match there.contains(&false) {
            true => Tensor::from(Array::new(lengths, there)).select(&terms, &zero),
            false => terms,
        }
    };
    if most > MOST_ROWS {
        return Some(terms(0..most, &[output, most]).sum_axes(&[axis as i64 + 1], false));
    }
    (0..most)
        .map(|tap| terms(tap..tap + 1, &[output]))
        .reduce(|sum, term| sum + term)
}

/// Whether each element is the sum of so many neighbours, and of none twice: the transpose of a repetition.
fn is_repetition(table: &[Taps], times: usize) -> bool {
    let neighbours = |j: usize| (j * times..(j + 1) * times).map(|i| (i, 1.0));
    (table.iter().enumerate()).all(|(j, taps)| neighbours(j).eq(taps.of.iter().copied()))
}

/// Each element of an axis so many times.
fn repeated(x: &Tensor, axis: usize, times: usize) -> Tensor {
    let Ok(shape) = x.shape() else {
        return x.clone();
    };
    let mut wide = shape.to_vec();
    wide.insert(axis + 1, times);
    let mut lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    lengths[axis] *= times as i64;
    x.unsqueeze(axis as i64 + 1)
        .broadcast_to(&wide)
        .reshape_exactly(&lengths)
}

/// Whether the elements of the output lie inside the region, in the shape of the output; none if all do.
fn inside(tables: &[(Length, Vec<Taps>)], shape: &[usize]) -> Option<Tensor> {
    let mut inside: Option<Tensor> = None;
    for (length, table) in tables {
        if table.iter().all(|taps| !taps.outside) {
            continue;
        }
        let mut lengths = vec![1; shape.len()];
        lengths[length.axis] = length.output;
        let along: Vec<bool> = table.iter().map(|taps| !taps.outside).collect();
        let along = Tensor::from(Array::new(lengths, along)).broadcast_to(shape);
        inside = Some(match inside {
            Some(others) => others.logical_and(&along),
            None => along,
        });
    }
    inside
}

/// About as many numbers a table takes for each element of the two axes.
const NUMBERS: usize = 16;

/// The axes that change, with what their elements are made of.
fn tables(options: &ResizeOptions, x: &[usize]) -> Result<Vec<(Length, Vec<Taps>)>, String> {
    let lengths = options.lengths(x)?.into_iter();
    let tables = lengths.filter(|length| length.input > 0).map(|length| {
        let elements = length.output.saturating_add(length.input);
        Array::check_room(&Meta::new([elements, NUMBERS], DType::F64))
            .map_err(|e| e.to_string())?;
        let table = length.table(options);
        Ok((length, table))
    });
    tables.collect()
}

/// For each element of the output whether it lies outside the region.
fn outside(tables: &[(Length, Vec<Taps>)], shape: &[usize]) -> impl Iterator<Item = bool> {
    let all = shape::indices(shape);
    all.map(|index| {
        tables
            .iter()
            .any(|(length, table)| table[index[length.axis]].outside)
    })
}

/// The operation `resize`.
#[derive(Debug)]
pub struct Resize {
    options: ResizeOptions,
}

attributes!(Resize: options);

impl Op for Resize {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        infer::float(x)?;
        Ok(Meta::new(self.options.shape(&x.shape)?, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let Ok(shape) = call.inputs[0].shape() else {
            return Gradient::Zero;
        };
        let op = ResizeGradient {
            options: self.options.clone(),
            input: shape.to_vec(),
        };
        Gradient::one(Tensor::apply(op, &[call.gradient]))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        if output.is_empty() {
            return Ok(());
        }
        let mut shape = inputs[0].shape().to_vec();
        let tables = tables(&self.options, &shape)?;
        let mut values = inputs[0].to_f64s();
        for (length, table) in &tables {
            values = walked(&values, &mut shape, length.axis, table);
        }
        for (value, outside) in values.iter_mut().zip(outside(&tables, &shape)) {
            if outside {
                *value = self.options.extrapolation_value;
            }
        }
        *output = Array::new(shape, values).cast(output.dtype());
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let mut y = inputs[0].clone();
        let shape = self.options.shape(y.shape().ok()?).ok()?;
        if shape.contains(&0) {
            return Some(y.without_elements(&shape));
        }
        let tables = match tables(&self.options, y.shape().ok()?) {
            Ok(tables) => tables,
            Err(reason) => return Some(Tensor::invalid(crate::Error::new(reason))),
        };
        for (length, table) in &tables {
            y = made(&y, length.axis, table)?;
        }
        Some(match inside(&tables, y.shape().ok()?) {
            Some(inside) => inside.select(&y, &y.full_like(self.options.extrapolation_value)),
            None => y,
        })
    }
}

/// The operation `resize_gradient`, on the output's gradient.
#[derive(Debug)]
pub struct ResizeGradient {
    options: ResizeOptions,
    /// The shape of what was resized.
    input: Vec<usize>,
}

attributes!(ResizeGradient: options, input);

impl Op for ResizeGradient {
    fn name(&self) -> &'static str {
        "resize_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [g] = infer::arity(inputs)?;
        infer::float(g)?;
        let input = Meta::new(self.input.as_slice(), g.dtype).countable()?;
        let resized = self.options.shape(&self.input)?;
        if resized != g.shape {
            return Err(format!(
                "{:?} is resized to {resized:?}, not to {:?}",
                self.input, g.shape
            ));
        }
        Ok(input)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        // What stands outside does not vary with the input.
        let options = ResizeOptions {
            extrapolation_value: 0.0,
            ..self.options.clone()
        };
        Gradient::one(call.gradient.resize(options))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        if output.is_empty() {
            return Ok(());
        }
        let tables = tables(&self.options, &self.input)?;
        let mut shape = inputs[0].shape().to_vec();
        let mut values = inputs[0].to_f64s();
        for (value, outside) in values.iter_mut().zip(outside(&tables, &shape)) {
            if outside {
                *value = 0.0;
            }
        }
        for (length, table) in &tables {
            let table = transposed(table, length.input);
            values = walked(&values, &mut shape, length.axis, &table);
        }
        *output = Array::new(shape, values).cast(output.dtype());
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let mut g = inputs[0].clone();
        if self.input.contains(&0) {
            return Some(g.without_elements(&self.input));
        }
        let tables = match tables(&self.options, &self.input) {
            Ok(tables) => tables,
            Err(reason) => return Some(Tensor::invalid(crate::Error::new(reason))),
        };
        if let Some(inside) = inside(&tables, g.shape().ok()?) {
            g = inside.select(&g, &g.zeros_like());
        }
        // The other way round, so that as little as possible is held of each.
        for (length, table) in tables.iter().rev() {
            g = made(&g, length.axis, &transposed(table, length.input))?;
        }
        Some(g)
    }
}

impl Tensor {
    /// Resized along axes by interpolation: see [`ResizeOptions`].
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::{Coordinates, Interpolation, ResizeOptions}};
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let options = ResizeOptions {
    ///     coordinate_transformation_mode: Coordinates::AlignCorners,
    ///     ..ResizeOptions::sizes(Interpolation::Linear, [3, 3])
    /// };
    /// assert_eq!(x.resize(options).to_vec::<f32>()?, [1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 3.5, 4.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("Resize", "interpolate", "upsample"))]
    #[track_caller]
    pub fn resize(&self, options: ResizeOptions) -> Tensor {
        Tensor::apply(Resize { options }, &[self])
    }
}
