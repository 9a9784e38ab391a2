//! Gradients by differences, and the comparison of analytic gradients with them (page 163 of the book).

use crate::{
    Array, DType, Error, Interpreter, Precision, Result, Tensor, grad::gradients_or_zeros, op::Kind,
};
use std::fmt;
use zerokara_kernels::random;

/// The gradient of a scalar function by central differences, `(f(x + h) - f(x - h)) / 2h` for each element, computed
/// in f64 and given in the element type of `x`.
///
/// ```
/// use zerokara_core::{Tensor, gradient_check::numerical_gradient};
/// let x = Tensor::from([3.0, 4.0]);
/// let gradient = numerical_gradient(|x| (x * x).sum(), &x)?;
/// assert_eq!(gradient.to_string(), "[6, 8]");
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// # Errors
/// If the function's value is no scalar, or cannot be computed.
#[doc(alias = "numerical_diff")]
pub fn numerical_gradient(f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Result<Tensor> {
    NumericalGradient::new().of(f, x)
}

/// Which difference approximates the derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// `(f(x + h) - f(x)) / h`, with an error proportional to h.
    Forward,
    /// `(f(x + h) - f(x - h)) / 2h`, with an error proportional to h^2.
    Central,
}

/// Numerical differentiation with a step at will (page 99 of the book).
///
/// ```
/// use zerokara_core::{Tensor, gradient_check::{Difference, NumericalGradient}};
/// let x = Tensor::from([3.0]);
/// let square = |x: &Tensor| (x * x).sum();
/// // The book's bad example: a step so small that f32 rounds it to 0.
/// let bad = NumericalGradient::new().step(1e-50).in_own_type().of(square, &x)?;
/// assert!(bad.to_vec::<f32>()?[0].is_nan());
/// let forward = NumericalGradient::new().step(0.5).difference(Difference::Forward).of(square, &x)?;
/// assert_eq!(forward.to_vec::<f32>()?, [6.5]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NumericalGradient {
    step: Option<f64>,
    difference: Difference,
    precision: Precision,
}

impl Default for NumericalGradient {
    fn default() -> Self {
        Self::new()
    }
}

impl NumericalGradient {
    /// Central differences in f64, with a step that suits each element.
    pub fn new() -> Self {
        Self {
            step: None,
            difference: Difference::Central,
            precision: Precision::Double,
        }
    }

    /// With this step h for all elements.
    pub fn step(mut self, step: f64) -> Self {
        self.step = Some(step);
        self
    }

    /// With this kind of difference.
    pub fn difference(mut self, difference: Difference) -> Self {
        self.difference = difference;
        self
    }

    /// With all arithmetic in the tensors' own element types, the step and the quotient included.
    pub fn in_own_type(mut self) -> Self {
        self.precision = Precision::AsWritten;
        self
    }

    /// The gradient of `f` at `x`.
    ///
    /// # Errors
    /// If the function's value is no scalar, or cannot be computed; if `x` does not hold floats.
    pub fn of(&self, f: impl Fn(&Tensor) -> Tensor, x: &Tensor) -> Result<Tensor> {
        let x = Tensor::from(x.eval()?);
        let y = f(&x);
        scalar(&y)?;
        let dtype = x.dtype()?;
        if !matches!(dtype, DType::F32 | DType::F64) {
            return Err(Error::new(format!(
                "differences are taken of floating-point numbers, not of {dtype}"
            )));
        }
        let single = self.precision == Precision::AsWritten && dtype == DType::F32;
        let interpreter = Interpreter::new(&[&y, &x], &[], self.precision)?;
        let point = interpreter.outputs().remove(1);
        let mut values = point.to_f64s();
        let at = |values: &[f64]| -> Result<f64> { value(&interpreter, &x, values, &point) };
        let here = at(&values)?;
        let mut gradient = Vec::with_capacity(values.len());
        for i in 0..values.len() {
            let x = values[i];
            let h = self.step.unwrap_or_else(|| self.suitable_step(x, single));
            let h = if single { h as f32 as f64 } else { h };
            values[i] = x + h;
            let ahead = at(&values)?;
            let quotient = match self.difference {
                Difference::Forward => (ahead - here, h),
                Difference::Central => {
                    values[i] = x - h;
                    (ahead - at(&values)?, 2.0 * h)
                }
            };
            values[i] = x;
            gradient.push(if single {
                (quotient.0 as f32 / quotient.1 as f32) as f64
            } else {
                quotient.0 / quotient.1
            });
        }
        let gradient = Array::new(point.shape(), gradient).cast(dtype);
        Ok(Tensor::from(gradient))
    }

    /// Balances the error of the difference with that of rounding.
    fn suitable_step(&self, x: f64, single: bool) -> f64 {
        let epsilon = if single {
            f32::EPSILON as f64
        } else {
            f64::EPSILON
        };
        let relative = match self.difference {
            Difference::Forward => epsilon.sqrt(),
            Difference::Central => epsilon.cbrt(),
        };
        relative * x.abs().max(1.0)
    }
}

fn scalar(y: &Tensor) -> Result<()> {
    let meta = y.meta()?;
    if meta.len() == 1 && meta.is_float() {
        Ok(())
    } else {
        Err(Error::new(format!(
            "a gradient is taken of one floating-point number, not of {meta}"
        )))
    }
}

/// The first output, if `x` held these values.
fn value(interpreter: &Interpreter, x: &Tensor, values: &[f64], like: &Array) -> Result<f64> {
    let values = Array::new(like.shape(), values.to_vec()).cast(like.dtype());
    Ok(interpreter.with(&[(x, values)])?[0].to_f64s()[0])
}

/// What [`gradient_check`] compares.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Elements drawn from each parameter (all, if it has no more).
    pub entries: usize,
    /// Random directions along which each parameter as a whole is moved.
    pub directions: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Step of the differences. Where these are not sure, larger and smaller steps are tried.
    pub step: f64,
}

impl Default for CheckOptions {
    /// 30 elements and 3 directions of each parameter, step `1e-4`.
    fn default() -> Self {
        Self {
            entries: 30,
            directions: 3,
            seed: 0,
            step: 1e-4,
        }
    }
}

/// How well gradients agree with differences: one row for each parameter.
#[derive(Clone, Debug)]
pub struct Report {
    /// The parameters in the order given.
    pub rows: Vec<Row>,
}

/// How well one parameter's gradient agrees with differences.
#[derive(Clone, Debug)]
pub struct Row {
    /// The parameter's name, or `x0`, `x1`, .. for other tensors.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Elements and directions compared.
    pub checked: usize,
    /// Elements and directions at which the function has a kink (differences to both sides, or of several steps,
    /// disagree); these are not compared.
    pub kinks: usize,
    /// The largest relative error, `|a - n| / max(|a|, |n|, 1e-8)` for the gradient a and the difference n.
    pub worst: f64,
    /// The mean relative error.
    pub mean: f64,
}

impl Report {
    /// The largest relative error of all; NaN if any is NaN.
    pub fn worst(&self) -> f64 {
        self.rows
            .iter()
            .map(|row| row.worst)
            .fold(0.0, crate::ops::loops::maximum)
    }

    /// The share of elements and directions at which the function has a kink.
    pub fn kink_share(&self) -> f64 {
        let (kinks, all) = self.rows.iter().fold((0, 0), |(kinks, all), row| {
            (kinks + row.kinks, all + row.kinks + row.checked)
        });
        kinks as f64 / (all as f64).max(1.0)
    }

    /// Whether something was compared, and no relative error is above the tolerance.
    pub fn agrees(&self, tolerance: f64) -> bool {
        self.rows.iter().any(|row| row.checked > 0) && self.worst() <= tolerance
    }
}

impl fmt::Display for Report {
    /// A table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<String> = self.rows.iter().map(|r| format!("{:?}", r.shape)).collect();
        let wide = |words: &mut dyn Iterator<Item = usize>, least: usize| {
            words.max().unwrap_or(0).max(least)
        };
        let names = wide(&mut self.rows.iter().map(|r| r.name.chars().count()), 9);
        let sizes = wide(&mut shapes.iter().map(String::len), 5);
        writeln!(
            f,
            "{:names$}  {:sizes$}  {:>7}  {:>5}  {:>11}  {:>11}",
            "parameter", "shape", "checked", "kinks", "worst error", "mean error"
        )?;
        for (row, shape) in self.rows.iter().zip(&shapes) {
            writeln!(
                f,
                "{:names$}  {shape:sizes$}  {:>7}  {:>5}  {:>11.1e}  {:>11.1e}",
                row.name, row.checked, row.kinks, row.worst, row.mean
            )?;
        }
        Ok(())
    }
}

/// Compares the gradients of a scalar with central differences (of two steps, extrapolated), both computed in f64 by the
/// interpreter, at random elements of the parameters (leaves of the graph: `parameter.tensor()`, or tensors made of values) and along random
/// directions. Detached tensors are held where they are.
///
/// ```
/// use zerokara_core::{Tensor, gradient_check::{CheckOptions, gradient_check}};
/// let (x, w) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[0.5], [-1.5]]));
/// let loss = x.matmul(&w).tanh().sum();
/// let report = gradient_check(&loss, &[&w], &CheckOptions::default())?;
/// assert!(report.agrees(1e-7), "{report}");
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// # Errors
/// If the loss is no scalar or cannot be computed, an operation forbids differentiation, or a parameter is no leaf.
pub fn gradient_check(
    loss: &Tensor,
    parameters: &[&Tensor],
    options: &CheckOptions,
) -> Result<Report> {
    scalar(loss)?;
    for tensor in parameters {
        if !tensor.meta()?.is_float() || tensor.node.op.kind() != Kind::Leaf {
            return Err(Error::new(format!(
                "gradients are checked at leaves that hold floating-point numbers, not at {tensor:?}"
            )));
        }
    }
    let analytic = gradients_or_zeros(loss, parameters);
    let analytic =
        Interpreter::new(&analytic.iter().collect::<Vec<_>>(), &[], Precision::Double)?.outputs();
    let interpreter = Interpreter::new(&[loss], &[], Precision::Double)?.hold_detached();
    let mut rows = Vec::with_capacity(parameters.len());
    for (number, (&tensor, gradient)) in parameters.iter().zip(&analytic).enumerate() {
        let point = match tensor.node.value.get() {
            Some(value) => value.cast(DType::F64),
            None => return Err(Error::new("an input has no value to be checked at")),
        };
        let name = match &tensor.node.parameter {
            Some(parameter) => parameter.name().to_string(),
            None => format!("x{number}"),
        };
        let mut draws = Draws {
            key: options
                .seed
                .wrapping_mul(0x9E37_79B9)
                .wrapping_add(number as u64),
            next: 0,
        };
        let line = Line {
            interpreter: &interpreter,
            tensor,
            point: &point,
            here: interpreter.outputs()[0].to_f64s()[0],
            step: options.step,
        };
        rows.push(line.check(name, &gradient.to_f64s(), options, &mut draws)?);
    }
    Ok(Report { rows })
}

/// Uniform random numbers.
struct Draws {
    key: u64,
    next: u64,
}

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.next += 1;
        random::uniform(self.key, 0, self.next) as f64
    }

    /// Up to `count` different indices below `length`.
    fn indices(&mut self, count: usize, length: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..length).collect();
        let count = count.min(length);
        for i in 0..count {
            let j = i + (self.uniform() * (length - i) as f64) as usize;
            all.swap(i, j.min(length - 1));
        }
        all.truncate(count);
        all
    }
}

/// The loss along lines through the value of one parameter.
struct Line<'a> {
    interpreter: &'a Interpreter,
    tensor: &'a Tensor,
    point: &'a Array,
    /// The loss at the point.
    here: f64,
    step: f64,
}

/// Differences of two steps, and of the two sides, that are closer than this, relative to the derivative, agree.
const AGREEMENT: f64 = 1e-6;

/// Derivatives below this are compared as if they were this large.
const FLOOR: f64 = 1e-8;

/// How many times the step may grow, and shrink, by a factor of 4.
const LARGER: usize = 7;
const SMALLER: usize = 3;

/// What the differences of one step say: `(f(h) - f(-h)) / 2h`, and by how much the slopes to both sides differ.
#[derive(Clone, Copy)]
struct Slope {
    step: f64,
    central: f64,
    bend: f64,
}

impl Line<'_> {
    fn check(
        &self,
        name: String,
        gradient: &[f64],
        options: &CheckOptions,
        draws: &mut Draws,
    ) -> Result<Row> {
        let length = gradient.len();
        let mut directions = Vec::new();
        for i in draws.indices(options.entries, length) {
            let mut unit = vec![0.0; length];
            unit[i] = 1.0;
            directions.push(unit);
        }
        for _ in 0..if length > 1 { options.directions } else { 0 } {
            let direction: Vec<f64> = (0..length).map(|_| draws.uniform() - 0.5).collect();
            let norm = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
            directions.push(direction.iter().map(|d| d / norm.max(1e-30)).collect());
        }
        let mut errors = Vec::new();
        let mut kinks = 0;
        for direction in directions {
            let analytic: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            match self.derivative(&direction)? {
                Some(numeric) => {
                    let scale = analytic.abs().max(numeric.abs()).max(FLOOR);
                    errors.push((analytic - numeric).abs() / scale);
                }
                None => kinks += 1,
            }
        }
        Ok(Row {
            name,
            shape: self.point.shape().to_vec(),
            checked: errors.len(),
            kinks,
            worst: errors.iter().copied().fold(0.0, crate::ops::loops::maximum),
            mean: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
        })
    }

    /// The derivative along a direction by central differences; `None` at a kink.
    ///
    /// Of two steps h and h / 4, the errors of the central differences, which grow as h^2, cancel in
    /// `fine + (fine - coarse) / 15`. A kink within reach of the steps sets the two differences apart, and one at the
    /// point itself leaves a jump between the slopes to both sides that does not shrink with the step, as curvature does.
    /// Smaller steps get out of reach of a kink, larger ones drown the rounding of the loss.
    fn derivative(&self, direction: &[f64]) -> Result<Option<f64>> {
        let mut slopes = vec![
            self.slope(direction, self.step)?,
            self.slope(direction, self.step / 4.0)?,
        ];
        let (mut larger, mut smaller) = (0, 0);
        let mut best = (f64::INFINITY, None);
        loop {
            let at = if smaller > 0 { slopes.len() - 2 } else { 0 };
            let (coarse, fine) = (slopes[at], slopes[at + 1]);
            let scale = fine.central.abs().max(coarse.central.abs()).max(FLOOR);
            let noise = 4.0 * f64::EPSILON * self.here.abs() / fine.step;
            let apart = (fine.central - coarse.central).abs();
            let jump = (4.0 * fine.bend - coarse.bend).abs() / 3.0;
            let value = fine.central + (fine.central - coarse.central) / 15.0;
            if !(apart + jump).is_finite() || (fine.central == 0.0 && apart + jump == 0.0) {
                return Ok(Some(value));
            }
            let doubt = apart.max(jump);
            if doubt <= (AGREEMENT * scale).max(2.0 * noise) {
                if noise <= AGREEMENT * scale {
                    return Ok(Some(value));
                }
                // Hardly more than rounding: not to be compared, unless nothing better is found.
                let audible = noise <= 3.0 * AGREEMENT * scale;
                if doubt + noise < best.0 && (audible || larger == LARGER) {
                    best = (doubt + noise, Some(value));
                }
                if smaller > 0 || larger == LARGER {
                    return Ok(best.1);
                }
                larger += 1;
                let step = slopes[0].step * 4.0;
                slopes.insert(0, self.slope(direction, step)?);
            } else {
                if larger > 0 || smaller == SMALLER {
                    return Ok(best.1);
                }
                smaller += 1;
                let step = slopes[slopes.len() - 1].step / 4.0;
                slopes.push(self.slope(direction, step)?);
            }
        }
    }

    fn slope(&self, direction: &[f64], step: f64) -> Result<Slope> {
        let start = self.point.to_f64s();
        let at = |h: f64| -> Result<f64> {
            let moved: Vec<f64> = start
                .iter()
                .zip(direction)
                .map(|(x, d)| x + h * d)
                .collect();
            value(self.interpreter, self.tensor, &moved, self.point)
        };
        let (ahead, behind) = (at(step)?, at(-step)?);
        Ok(Slope {
            step,
            central: (ahead - behind) / (2.0 * step),
            bend: ((ahead - self.here) - (self.here - behind)) / step,
        })
    }
}
