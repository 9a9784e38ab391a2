//! The product over axes. Floats are multiplied in double precision and rounded once; integers wrap around. The product of no
//! elements is 1.
//!
//! The gradient of an element is that of the product times the product of all others, which is made of those before and those
//! behind: nothing is divided, so that it is right where elements are 0.

use super::{
    prelude::*,
    reduce::{Over, reduced_positions},
};
use loops::{Number, Real};

/// The operation.
#[derive(Debug)]
pub struct Prod {
    over: Over,
}

attributes!(Prod: over);

impl Op for Prod {
    fn name(&self) -> &'static str {
        "prod"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        self.over.infer_numbers(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        match x.shape().map(|shape| (shape, self.over.axes(shape.len()))) {
            Ok((shape, Ok(axes))) if !axes.is_empty() => {
                let others = others(x, shape, &axes);
                Gradient::one(self.over.spread(call.gradient, x) * others)
            }
            _ => Gradient::one(call.gradient.clone()),
        }
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axes = self.over.axes(x.shape().len())?;
        let places = reduced_positions(x.shape(), &axes);
        match x.dtype() {
            DType::I64 | DType::U8 => loops::integers!(x.dtype(), T => {
                let y = output.slice_mut::<T>();
                y.fill(1);
                places.zip(x.slice::<T>()).for_each(|(to, &x)| y[to] = y[to].times(x));
            }),
            dtype => loops::floats!(dtype, T => {
                let mut products = vec![1.0; output.len()];
                places.zip(x.slice::<T>()).for_each(|(to, &x)| products[to] *= x.wide());
                let y = output.slice_mut::<T>().iter_mut();
                y.zip(products).for_each(|(y, product)| *y = T::narrow(product));
            }),
        }
        Ok(())
    }
}

/// For each element the product of all others along these axes.
fn others(x: &Tensor, shape: &[usize], axes: &[usize]) -> Tensor {
    let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let as_lengths = |lengths: &[usize]| lengths.iter().map(|&n| n as i64).collect::<Vec<i64>>();
    let turned: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let (kept, reduced) = turned.split_at(shape.len() - axes.len());
    let flat = [kept, &[reduced.iter().product()]].concat();
    let mut back = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        back[from] = to as i64;
    }
    let rows = (x.permute(as_lengths(&order))).reshape_exactly(&as_lengths(&flat));
    let others = rows.cumprod_with(-1, true, false) * rows.cumprod_with(-1, true, true);
    others.reshape_exactly(&as_lengths(&turned)).permute(back)
}

impl Tensor {
    /// Product of all elements, a scalar.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, grad};
    /// let x = Tensor::from([2.0, 0.0, 3.0]);
    /// assert_eq!(x.prod().item()?, 0.0);
    /// assert_eq!(grad(&x.prod(), &x).to_vec::<f32>()?, [0.0, 6.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn prod(&self) -> Tensor {
        self.prod_axes(&[], false)
    }

    /// Product over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay with length 1.
    /// Integers wrap around; of bytes the product is i64.
    #[track_caller]
    pub fn prod_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        let over = Over::new(axes, keep);
        Tensor::apply(Prod { over }, &[&self.without_bytes()])
    }
}
