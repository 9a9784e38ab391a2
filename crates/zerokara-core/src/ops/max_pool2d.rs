//! Max pooling: `out[n, c, y, x] = max over the window of in[n, c, y s + k - p, x s + l - p]`; padding never wins.
//!
//! The gradient goes to the first largest element of each window, row by row. Seen as a function of the output's
//! gradient, this scattering is linear, and its own gradient picks at the same places: so there are three operations,
//! `max_pool2d`, its gradient, and the picking.

use super::{
    prelude::*,
    sliding::{pooled_shape, windows},
};
use crate::op::{PoolOptions, Window};
use zerokara_kernels::plan::Pooling;

/// The position of the first largest element (NaN counts as largest) among these.
pub fn first_largest<T: num_traits::Float>(x: &[T], window: &[usize]) -> usize {
    let mut best = window[0];
    for &i in &window[1..] {
        if x[i] > x[best] || (x[i].is_nan() && !x[best].is_nan()) {
            best = i;
        }
    }
    best
}

/// What one of the three operations computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// `x -> largest of each window`.
    Forward,
    /// `(x, g) -> g` scattered to where x is largest.
    Gradient,
    /// `(x, v) -> v` picked where x is largest.
    Select,
}

/// The operations.
#[derive(Debug)]
pub struct MaxPool2d {
    options: PoolOptions,
    role: Role,
}

attributes!(MaxPool2d: options; beside role: Role);

impl MaxPool2d {
    /// One of the operations.
    pub fn of(role: Role, options: PoolOptions) -> Self {
        Self { options, role }
    }

    fn sibling(&self, role: Role, inputs: &[&Tensor]) -> Tensor {
        Tensor::apply(MaxPool2d::of(role, self.options), inputs)
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        match self.role {
            Role::Forward => "max_pool2d",
            Role::Gradient => "max_pool2d_gradient",
            Role::Select => "max_pool2d_select",
        }
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let x = inputs.first().ok_or("takes an input")?;
        infer::float(x)?;
        let pooled = Meta::new(pooled_shape(&self.options, &x.shape)?, x.dtype);
        match (self.role, inputs) {
            (Role::Forward, [_]) => Ok(pooled),
            (Role::Gradient, [_, g]) => infer::same(&pooled, g).map(|()| x.clone()),
            (Role::Select, [_, v]) => infer::same(x, v).map(|()| pooled),
            _ => Err("has another number of inputs".into()),
        }
    }

    fn kind(&self) -> Kind {
        Kind::Window(match self.role {
            Role::Forward => Window::Pool(Pooling::Max, self.options),
            Role::Gradient => Window::PoolGradient(Pooling::Max, self.options),
            Role::Select => Window::Pool(Pooling::SelectAtMax, self.options),
        })
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        match self.role {
            Role::Forward => Gradient::one(self.sibling(Role::Gradient, &[x, call.gradient])),
            // Almost everywhere, a small change of x does not change which element is largest.
            Role::Gradient => Gradient::Of(vec![
                None,
                Some(self.sibling(Role::Select, &[x, call.gradient])),
            ]),
            Role::Select => Gradient::Of(vec![
                None,
                Some(self.sibling(Role::Gradient, &[x, call.gradient])),
            ]),
        }
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let pooled = pooled_shape(&self.options, x.shape())?;
        loops::floats!(x.dtype(), T => {
            let (largest, y) = (x.slice::<T>(), output.slice_mut::<T>());
            let other = inputs.get(1).map_or(largest, |a| a.slice::<T>());
            windows(&self.options, x.shape(), &pooled, |at, window| {
                let best = first_largest(largest, window);
                match self.role {
                    Role::Forward | Role::Select => y[at] = other[best],
                    Role::Gradient => y[best] += other[at],
                }
            });
        });
        Ok(())
    }
}

impl Tensor {
    /// The largest element of each window of images `[N, C, H, W]`.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::PoolOptions};
    /// let x = Tensor::from([[[[1.0, 2.0], [4.0, 3.0]]]]);
    /// let y = x.max_pool2d(PoolOptions::new([2, 2]));
    /// assert_eq!(y.to_vec::<f32>()?, [4.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "Pooling")]
    #[track_caller]
    pub fn max_pool2d(&self, options: PoolOptions) -> Tensor {
        Tensor::apply(MaxPool2d::of(Role::Forward, options), &[self])
    }
}
