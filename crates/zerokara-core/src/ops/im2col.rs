//! Images unfolded into a matrix, so that a convolution becomes a product of matrices (page 222 of the book):
//!
//! ```text
//! col[(n Y + y) X + x, (c KH + k) KW + l] = in[n, c, y s + k d - p, x s + l d - p]
//! ```
//!
//! Elements outside the images are zero. `col2im` adds the elements up at their places. Each is the other's gradient.

use super::{prelude::*, sliding::Sliding};
use crate::op::Padding;
use loops::Real;

/// Calls `visit(position in the images, position in the matrix)` for every element of the matrix that lies inside an image.
fn walk(
    filter: Sliding,
    images: &[usize],
    mut visit: impl FnMut(usize, usize),
) -> Result<(), String> {
    let &[n, c, h, w] = images else {
        return Err(format!("needs images [N, C, H, W], not {images:?}"));
    };
    let [rows, columns] = filter.output([h, w])?;
    let area = filter.kernel[0] * filter.kernel[1];
    for (at, i) in shape::indices(&[n, rows, columns, c]).enumerate() {
        let plane = (i[0] * c + i[3]) * h * w;
        for (element, position) in filter.window([h, w], [i[1], i[2]]) {
            visit(plane + position, at * area + element);
        }
    }
    Ok(())
}

/// The operation `im2col`.
#[derive(Debug)]
pub struct Im2col {
    filter: Sliding,
}

attributes!(Im2col: filter);

impl Op for Im2col {
    fn name(&self) -> &'static str {
        "im2col"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        infer::float(x)?;
        infer::rank(x, 4, "[N, C, H, W]")?;
        let [rows, columns] = self.filter.output([x.shape[2], x.shape[3]])?;
        let [kh, kw] = self.filter.kernel;
        Meta::new([x.shape[0], rows, columns, x.shape[1], kh, kw], x.dtype).countable()?;
        Ok(Meta::new(
            [x.shape[0] * rows * columns, x.shape[1] * kh * kw],
            x.dtype,
        ))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let Ok(&[n, c, h, w]) = call.inputs[0].shape() else {
            return Gradient::Zero;
        };
        Gradient::one(Tensor::apply(
            Col2im {
                filter: self.filter,
                images: [n, c, h, w],
            },
            &[call.gradient],
        ))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            walk(self.filter, inputs[0].shape(), |image, matrix| y[matrix] = x[image])
        })
    }
}

/// The operation `col2im`.
#[derive(Debug)]
pub struct Col2im {
    filter: Sliding,
    /// Shape of the images, which the matrix alone does not tell.
    images: [usize; 4],
}

attributes!(Col2im: filter, images);

impl Op for Col2im {
    fn name(&self) -> &'static str {
        "col2im"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [g] = infer::arity(inputs)?;
        let images = Meta::new(self.images, g.dtype);
        let unfolded = Im2col {
            filter: self.filter,
        }
        .infer(std::slice::from_ref(&images))?;
        if *g != unfolded {
            return Err(format!("images {:?} unfold to {unfolded}", self.images));
        }
        Ok(images)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(Tensor::apply(
            Im2col {
                filter: self.filter,
            },
            &[call.gradient],
        ))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::summed::<T>(output, |sums| {
            let x = inputs[0].slice::<T>();
            walk(self.filter, &self.images, |image, matrix| sums[image] += x[matrix].wide())
        }))
    }
}

impl Tensor {
    /// Images `[N, C, H, W]` unfolded into a matrix `[N Y X, C KH KW]` whose rows are the windows that a filter sees
    /// (page 222 of the book).
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]);
    /// let col = x.im2col([2, 2], [1, 1], [0, 0], [1, 1]);
    /// assert_eq!(col.to_vec::<f32>()?, [1.0, 2.0, 4.0, 5.0, 2.0, 3.0, 5.0, 6.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn im2col(
        &self,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: impl Into<Padding>,
        dilation: [usize; 2],
    ) -> Tensor {
        Tensor::apply(
            Im2col {
                filter: Sliding {
                    kernel,
                    stride,
                    padding: padding.into(),
                    dilation,
                },
            },
            &[self],
        )
    }

    /// The transpose of [`Tensor::im2col`]: the elements of a matrix `[N Y X, C KH KW]` added up at their places in
    /// images of this shape `[N, C, H, W]`.
    #[track_caller]
    pub fn col2im(
        &self,
        images: [usize; 4],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: impl Into<Padding>,
        dilation: [usize; 2],
    ) -> Tensor {
        let filter = Sliding {
            kernel,
            stride,
            padding: padding.into(),
            dilation,
        };
        Tensor::apply(Col2im { filter, images }, &[self])
    }
}
