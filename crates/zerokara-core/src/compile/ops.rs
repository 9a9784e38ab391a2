//! The compiler's own operations, which its rules put into the graph: copies, and where the largest elements of windows are.
//!
//! A max pooling and its gradient share which element of each window was the first largest, the window's *place*. It is a value
//! like others here: `max_pool2d_places(x)` gives it, and the gradient takes it, so that it needs `x` no more.

use crate::{
    Array, Attributes, DType, Meta, infer,
    op::{Call, Gradient, Kind, Op, PoolOptions, Window, map},
    ops::{
        loops,
        max_pool2d::first_largest,
        sliding::{pooled_shape, windows},
    },
    shape,
};
use num_traits::Float;
use zerokara_kernels::{code::Instruction, plan::Pooling};

/// The value unchanged, in a place of its own.
#[derive(Debug)]
pub(super) struct Copy;

const OWN: Gradient = Gradient::Forbidden("only the compiler makes it");

impl Op for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        map([Instruction::Load(0)])
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        OWN
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        *output = inputs[0].clone();
        Ok(())
    }
}

/// Most elements of a window whose places are told.
pub(super) const MOST_PLACES: usize = 256;

/// Whether windows are so small that their places can be told.
pub(super) fn has_places(options: &PoolOptions) -> bool {
    options.kernel[0].saturating_mul(options.kernel[1]) <= MOST_PLACES
}

/// The shape of the pooled images, if `added` is one number for each of their planes.
fn infer_pooled(options: &PoolOptions, x: &Meta, added: &[Meta]) -> Result<Vec<usize>, String> {
    infer::float(x)?;
    let pooled = pooled_shape(options, &x.shape)?.to_vec();
    for b in added {
        let is_alike = b.len() == 1 || matches!(b.shape[..], [.., 1, 1]);
        let fits = shape::broadcast(&b.shape, &pooled).is_some_and(|both| both == pooled);
        if b.dtype != x.dtype || !is_alike || !fits {
            return Err(format!("{b} cannot be added to the planes of {x}"));
        }
    }
    Ok(pooled)
}

/// For each window in order, calls `visit` with its number, its elements' positions, and which of them is its place: the first
/// largest of `x`, or where what is `added` to its plane is not finite, of the sums.
fn places<T: Float>(
    options: &PoolOptions,
    x: &[T],
    shape: &[usize],
    added: Option<(&[T], &[usize])>,
    mut visit: impl FnMut(usize, &[usize], usize),
) -> Result<(), String> {
    let pooled = pooled_shape(options, shape)?;
    let of_plane = |plane: usize| {
        let (b, lengths) = added?;
        let own = |back: usize| match lengths.len().checked_sub(back) {
            Some(axis) => lengths[axis],
            None => 1,
        };
        let (image, channel) = (plane / pooled[1], plane % pooled[1]);
        let channel = if own(3) == 1 { 0 } else { channel };
        let image = if own(4) == 1 { 0 } else { image };
        Some(b[image * own(3) + channel]).filter(|b| !b.is_finite())
    };
    let area = pooled[2] * pooled[3];
    windows(options, shape, &pooled, |at, window| {
        let best = match of_plane(at / area) {
            None => first_largest(x, window),
            Some(b) => {
                let sums: Vec<T> = window.iter().map(|&i| x[i] + b).collect();
                let all: Vec<usize> = (0..sums.len()).collect();
                window[first_largest(&sums, &all)]
            }
        };
        let place = window.iter().position(|&i| i == best).unwrap_or(0);
        visit(at, window, place);
    });
    Ok(())
}

/// `(x, b) -> max_pool2d(x + b) - b`, where `b` is alike for all of a plane: the element of each window that is the largest of
/// the sums. Of finite sums that is the largest of `x`.
#[derive(Debug)]
pub(super) struct PoolBeside(pub PoolOptions);

impl Op for PoolBeside {
    fn name(&self) -> &'static str {
        // What the user wrote.
        "max_pool2d"
    }

    fn attributes(&self) -> Attributes {
        self.0.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, b] = infer::arity(inputs)?;
        let pooled = infer_pooled(&self.0, x, std::slice::from_ref(b))?;
        Ok(Meta::new(pooled, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Window(Window::Pool(Pooling::Max, self.0))
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        OWN
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (x, b) = (inputs[0], inputs[1]);
        loops::floats!(x.dtype(), T => {
            let (x_, y) = (x.slice::<T>(), output.slice_mut::<T>());
            let added = Some((b.slice::<T>(), b.shape()));
            places(&self.0, x_, x.shape(), added, |at, window, place| y[at] = x_[window[place]])?;
        });
        Ok(())
    }
}

/// `x -> ` which element of each window, counted row by row within the image, is the first largest; with a second input as
/// [`PoolBeside`] chooses it.
#[derive(Debug)]
pub(super) struct Places(pub PoolOptions);

impl Op for Places {
    fn name(&self) -> &'static str {
        "max_pool2d_places"
    }

    fn attributes(&self) -> Attributes {
        self.0.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let ([x], added) = inputs.split_first_chunk().ok_or("takes an input")?;
        if added.len() > 1 || !has_places(&self.0) {
            return Err(format!(
                "tells places in windows of up to {MOST_PLACES} elements"
            ));
        }
        Ok(Meta::new(infer_pooled(&self.0, x, added)?, DType::I64))
    }

    fn kind(&self) -> Kind {
        Kind::Window(Window::Places(self.0))
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        OWN
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let y = output.slice_mut::<i64>();
        loops::floats!(x.dtype(), T => {
            let added = inputs.get(1).map(|b| (b.slice::<T>(), b.shape()));
            places(&self.0, x.slice::<T>(), x.shape(), added, |at, _, place| y[at] = place as i64)?;
        });
        Ok(())
    }
}

/// `(places, g) -> g` scattered to the places of its windows: the gradient of a max pooling.
#[derive(Debug)]
pub(super) struct Scatter {
    pub options: PoolOptions,
    /// Height and width of the images that were pooled.
    pub images: [usize; 2],
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        // What the user's graph has.
        "max_pool2d_gradient"
    }

    fn attributes(&self) -> Attributes {
        self.options.as_attributes().with("images", self.images)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [places, g] = infer::arity(inputs)?;
        infer::float(g)?;
        infer::rank(g, 4, "[N, C, Y, X]")?;
        let shape = [g.shape[0], g.shape[1], self.images[0], self.images[1]];
        let pooled = pooled_shape(&self.options, &shape)?;
        match places.dtype == DType::I64 && g.shape == pooled && places.shape == pooled {
            true => Ok(Meta::new(shape, g.dtype)),
            false => Err(format!("{places} does not tell the places of {g}")),
        }
    }

    fn kind(&self) -> Kind {
        Kind::Window(Window::Scatter(self.options))
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        OWN
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (places, g) = (inputs[0].slice::<i64>(), inputs[1]);
        let shape = output.shape().to_vec();
        let mut is_outside = false;
        loops::floats!(g.dtype(), T => {
            let (g_, y) = (g.slice::<T>(), output.slice_mut::<T>());
            windows(&self.options, &shape, g.shape(), |at, window| {
                match usize::try_from(places[at]).ok().and_then(|place| window.get(place)) {
                    Some(&place) => y[place] += g_[at],
                    None => is_outside = true,
                }
            });
        });
        match is_outside {
            true => Err("a place lies outside of its window".into()),
            false => Ok(()),
        }
    }
}

/// Inputs at their places among zeros, none on another.
#[derive(Debug)]
pub(super) struct Parts {
    /// For each input, where its first element goes.
    pub offsets: Vec<Vec<usize>>,
    pub shape: Vec<usize>,
}

impl Op for Parts {
    fn name(&self) -> &'static str {
        "parts"
    }

    fn attributes(&self) -> Attributes {
        let offsets = self.offsets.concat();
        let shape = Attributes::none().with("shape", self.shape.as_slice());
        shape.with("offsets", offsets.as_slice())
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let first = inputs.first().ok_or("takes a part")?;
        infer::float(first)?;
        let fits = |(x, offset): (&Meta, &Vec<usize>)| {
            let mut axes = x.shape.iter().zip(offset).zip(&self.shape);
            x.dtype == first.dtype
                && x.rank() == self.shape.len()
                && axes.all(|((n, from), all)| n + from <= *all)
        };
        match inputs.len() == self.offsets.len() && inputs.iter().zip(&self.offsets).all(fits) {
            true => Ok(Meta::new(self.shape.clone(), first.dtype)),
            false => Err("a part lies outside".into()),
        }
    }

    fn kind(&self) -> Kind {
        Kind::Assemble {
            fill: 0.0,
            offsets: self.offsets.clone(),
        }
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        OWN
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let strides = shape::row_major(&self.shape);
        for (x, offset) in inputs.iter().zip(&self.offsets) {
            let own = shape::row_major(x.shape());
            let place = |i: usize| -> usize {
                let index = own.iter().zip(x.shape()).map(|(&s, &n)| i / s as usize % n);
                let axes = index.zip(offset).zip(&strides);
                axes.map(|((i, from), &s)| (i + from) * s as usize).sum()
            };
            loops::copy(x, output, (0..x.len()).map(|i| (i, place(i))));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Precision, Tensor, gradients, interpret};

    fn applied(op: impl Op, inputs: &[&Array]) -> Array {
        let metas: Vec<Meta> = inputs.iter().map(|array| array.meta()).collect();
        let mut output = Array::zeros(&op.infer(&metas).unwrap());
        op.reference(inputs, &mut output).unwrap();
        output
    }

    /// Overlapping windows with padding, equal elements, infinities and NaN among them.
    fn images() -> (Array, PoolOptions) {
        let numbers = (0..2 * 3 * 5 * 4).map(|i| match i % 11 {
            3 => f32::INFINITY,
            7 if i % 2 == 0 => f32::NAN,
            n => ((n * 5) % 4) as f32 - 1.0,
        });
        let options = PoolOptions {
            kernel: [3, 2],
            stride: [2, 1],
            padding: [1, 1].into(),
        };
        let x = Array::new([2, 3, 5, 4], numbers.collect::<Vec<f32>>());
        (x, options)
    }

    #[test]
    fn scattering_at_places_is_the_gradient_of_pooling() {
        let (x, options) = images();
        let tensor = Tensor::from(x.clone());
        let y = tensor.max_pool2d(options);
        let numbers = (0..y.meta().unwrap().len()).map(|i| i as f32);
        let g = Array::new(y.shape().unwrap(), numbers.collect::<Vec<f32>>());
        let loss = (&y * Tensor::from(g.clone())).sum();
        let gradient = gradients(&loss, &[&tensor]).remove(0);
        let expected = interpret(&[&gradient], &[], Precision::AsWritten).unwrap();
        let places = applied(Places(options), &[&x]);
        let images = [5, 4];
        let found = applied(Scatter { options, images }, &[&places, &g]);
        assert_eq!(
            found.as_slice::<f32>().unwrap(),
            expected[0].as_slice::<f32>().unwrap()
        );
    }

    #[test]
    fn pooling_beside_what_is_added_is_pooling_of_the_sum() {
        let (x, options) = images();
        for added in [[0.5, -2.0, 3.0], [f32::INFINITY, f32::NAN, -1.0]] {
            let b = Array::new([3, 1, 1], added.to_vec());
            let sum = Tensor::from(x.clone()) + Tensor::from(b.clone());
            let pooled = sum.max_pool2d(options);
            let beside = Tensor::from(applied(PoolBeside(options), &[&x, &b]));
            let again = beside + Tensor::from(b.clone());
            let both = interpret(&[&pooled, &again], &[], Precision::AsWritten).unwrap();
            let bits = |array: &Array| -> Vec<f64> { array.to_f64s() };
            let same = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
            assert!(bits(&both[0]).iter().zip(&bits(&both[1])).all(same));
            // The places are those of the elements.
            let places = applied(Places(options), &[&x, &b]);
            let beside = applied(PoolBeside(options), &[&x, &b]);
            let images = [5, 4];
            let ones = Array::new(places.shape(), vec![1.0f32; places.len()]);
            let hits = applied(Scatter { options, images }, &[&places, &ones]);
            let (hits, x) = (hits.to_f64s(), x.to_f64s());
            let chosen = |y: &f64| {
                let hit = |(h, x): (&f64, &f64)| *h > 0.0 && (x == y || x.is_nan() && y.is_nan());
                hits.iter().zip(&x).any(hit)
            };
            assert!(beside.to_f64s().iter().all(chosen));
            assert_eq!(hits.iter().sum::<f64>(), places.len() as f64);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (x, options) = images();
        let b = Array::new([1, 4], vec![0.0f32; 4]);
        assert!(PoolBeside(options).infer(&[x.meta(), b.meta()]).is_err());
        let large = PoolOptions {
            kernel: [17, 16],
            stride: [1, 1],
            padding: [0, 0].into(),
        };
        assert!(Places(large).infer(&[x.meta()]).is_err());
        let images = [5, 4];
        let scatter = Scatter { options, images };
        assert!(scatter.infer(&[x.meta(), x.meta()]).is_err());
        // In a corner there are two elements of the window.
        let pooled = pooled_shape(&options, x.shape()).unwrap();
        let len = pooled.iter().product();
        let places = Array::new(pooled, vec![4i64; len]);
        let mut output = x.clone();
        let error = scatter.reference(
            &[&places, &Array::new(pooled, vec![1.0f32; len])],
            &mut output,
        );
        assert_eq!(error, Err("a place lies outside of its window".into()));
    }
}
