//! Regions of images read as images of one size (ONNX `RoiAlign`; He et al., 2017).
//!
//! A region (left, top, right, bottom) is divided into bins, and each bin is read at some points between the elements of the image; a bin
//! is the mean of what is read, or the largest of its weighted elements. The gradient goes to the elements that were read, not to the
//! region. As of [`max_pool2d`](super::max_pool2d) there are three operations: the reading, its gradient, and for the gradient of that
//! the reading of other values at the same elements.

use super::{indices::within, prelude::*};

words!(
    /// Where the corners of regions lie.
    RegionCoordinates: "coordinate_transformation_mode" {
        /// Half an element is taken off, so that regions of images and of what convolutions make of them agree.
        HalfPixel = "half_pixel",
        /// Nothing is taken off, and a region is at least one element long.
        OutputHalfPixel = "output_half_pixel",
    }
);

words!(
    /// What a bin of a region is.
    RegionPooling: "mode" {
        /// The mean of its points.
        Average = "avg",
        /// The largest of the weighted elements of its points.
        Max = "max",
    }
);

/// Options of [`Tensor::roi_align`]. The names are those of ONNX.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiAlignOptions {
    /// Where the corners of regions lie.
    pub coordinate_transformation_mode: RegionCoordinates,
    /// What a bin is.
    pub mode: RegionPooling,
    /// Number of bins from top to bottom.
    pub output_height: usize,
    /// Number of bins from left to right.
    pub output_width: usize,
    /// Number of points of a bin along each axis; 0: as many as it has elements, rounded up.
    pub sampling_ratio: usize,
    /// What corners are multiplied by.
    pub spatial_scale: f64,
}

impl RoiAlignOptions {
    /// Means of so many bins, with the other options of ONNX's defaults.
    pub fn new([output_height, output_width]: [usize; 2]) -> Self {
        Self {
            coordinate_transformation_mode: RegionCoordinates::HalfPixel,
            mode: RegionPooling::Average,
            output_height,
            output_width,
            sampling_ratio: 0,
            spatial_scale: 1.0,
        }
    }
}

attributes!(group RoiAlignOptions: coordinate_transformation_mode, mode, output_height, output_width, sampling_ratio, spatial_scale);

/// Points of a bin along an axis at most.
const MOST_POINTS: f64 = 4096.0;

/// What one of the three operations computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// `(x, regions, images) -> y`.
    Forward,
    /// `(x, regions, images, g) -> g` brought to the elements that were read.
    Gradient,
    /// `(x, regions, images, v) -> v` read at the same elements.
    Select,
}

/// The operations.
#[derive(Debug)]
pub struct RoiAlign {
    options: RoiAlignOptions,
    role: Role,
}

attributes!(RoiAlign: options; beside role: Role);

/// Elements of an image with their weights.
type Terms = Vec<(usize, f64)>;

impl RoiAlignOptions {
    /// For the bins of a region along an axis: where their points lie.
    fn points(&self, begin: f64, end: f64, bins: usize) -> Result<Vec<Vec<f64>>, String> {
        let half_pixel = self.coordinate_transformation_mode == RegionCoordinates::HalfPixel;
        let offset = if half_pixel { 0.5 } else { 0.0 };
        let [begin, end] = [begin, end].map(|at| at * self.spatial_scale - offset);
        let length = if half_pixel {
            end - begin
        } else {
            (end - begin).max(1.0)
        };
        let bin = length / bins as f64;
        let points = match self.sampling_ratio {
            0 => bin.ceil().max(0.0),
            points => points as f64,
        };
        if points > MOST_POINTS {
            return Err(format!(
                "a bin of {bin} elements has more than {MOST_POINTS} points along an axis"
            ));
        }
        let point =
            |bin_at: usize, i: usize| begin + bin_at as f64 * bin + (i as f64 + 0.5) * bin / points;
        Ok((0..bins)
            .map(|at| (0..points as usize).map(|i| point(at, i)).collect())
            .collect())
    }

    /// The elements of an axis that a point reads.
    fn between(point: f64, length: usize) -> Option<[(usize, f64); 2]> {
        if !(-1.0..=length as f64).contains(&point) {
            return None;
        }
        let low = (point.max(0.0) as usize).min(length - 1);
        let high = (low + 1).min(length - 1);
        let share = if low == high {
            0.0
        } else {
            point.max(0.0) - low as f64
        };
        Some([(low, 1.0 - share), (high, share)])
    }

    /// Visits each bin of each region: its position in a plane of the output, the region, the image, and what its points read.
    fn walk(
        &self,
        [images, height, width]: [usize; 3],
        regions: &[f64],
        of: &[i64],
        mut visit: impl FnMut(usize, usize, usize, &[Terms]),
    ) -> Result<(), String> {
        for (region, (corners, &image)) in regions.chunks(4).zip(of).enumerate() {
            let image = within(image, images)?;
            let down = self.points(corners[1], corners[3], self.output_height)?;
            let across = self.points(corners[0], corners[2], self.output_width)?;
            for (row, down) in down.iter().enumerate() {
                for (column, across) in across.iter().enumerate() {
                    let read: Vec<Terms> = (down.iter())
                        .flat_map(|&y| across.iter().map(move |&x| (y, x)))
                        .map(
                            |(y, x)| match (Self::between(y, height), Self::between(x, width)) {
                                (Some(rows), Some(columns)) => (rows.iter())
                                    .flat_map(|&(i, a)| {
                                        columns.iter().map(move |&(j, b)| (i * width + j, a * b))
                                    })
                                    .collect(),
                                _ => Vec::new(),
                            },
                        )
                        .collect();
                    visit(row * self.output_width + column, region, image, &read);
                }
            }
        }
        Ok(())
    }

    /// What a bin is made of: elements of the plane with their weights.
    fn made_of(&self, plane: &[f64], read: &[Terms]) -> Terms {
        if self.mode == RegionPooling::Average {
            let count = read.len() as f64;
            let all = read
                .iter()
                .flatten()
                .map(|&(at, weight)| (at, weight / count));
            return all.collect();
        }
        // A point outside of the image reads 0.
        let nothing = read.iter().any(Vec::is_empty).then_some((0.0, None));
        let terms = read.iter().flatten();
        let products = terms.map(|&(at, weight)| {
            (
                if weight == 0.0 {
                    0.0
                } else {
                    plane[at] * weight
                },
                Some((at, weight)),
            )
        });
        let largest =
            nothing
                .into_iter()
                .chain(products)
                .reduce(|best, other| match other.0 > best.0 {
                    true => other,
                    false => best,
                });
        largest.and_then(|(_, term)| term).into_iter().collect()
    }
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        match self.role {
            Role::Forward => "roi_align",
            Role::Gradient => "roi_align_gradient",
            Role::Select => "roi_align_select",
        }
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, regions, images, other @ ..] = inputs else {
            return Err("takes images, regions, and the image of each region".into());
        };
        infer::floats(x, regions)?;
        super::indices::check(images)?;
        infer::rank(x, 4, "[N, C, H, W]")?;
        let options = &self.options;
        let &[count, 4] = &regions.shape[..] else {
            return Err(format!("needs regions [R, 4], not {:?}", regions.shape));
        };
        if images.shape != [count] {
            return Err(format!(
                "needs an image for each of {count} regions, not {:?}",
                images.shape
            ));
        }
        if options.output_height == 0 || options.output_width == 0 {
            return Err("a region has at least one row and one column of bins".into());
        }
        if !options.spatial_scale.is_finite() {
            return Err(format!(
                "corners are multiplied by a number, not by {}",
                options.spatial_scale
            ));
        }
        if x.shape[2] == 0 || x.shape[3] == 0 {
            return Err("there is nothing to read in images without elements".into());
        }
        let y = Meta::new(
            [
                count,
                x.shape[1],
                options.output_height,
                options.output_width,
            ],
            x.dtype,
        )
        .countable()?;
        match (self.role, other) {
            (Role::Forward, []) => Ok(y),
            (Role::Gradient, [g]) => infer::same(&y, g).map(|()| x.clone()),
            (Role::Select, [v]) => infer::same(x, v).map(|()| y),
            _ => Err("has another number of inputs".into()),
        }
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, regions, images, ..] = call.inputs else {
            return Gradient::Forbidden("roi_align takes three inputs");
        };
        let sibling = |role: Role| {
            let options = self.options;
            Some(Tensor::apply(
                RoiAlign { options, role },
                &[x, regions, images, call.gradient],
            ))
        };
        Gradient::Of(match self.role {
            Role::Forward => vec![sibling(Role::Gradient), None, None],
            // Almost everywhere, a small change of x does not change which element is largest.
            Role::Gradient => vec![None, None, None, sibling(Role::Select)],
            Role::Select => vec![None, None, None, sibling(Role::Gradient)],
        })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let &[n, channels, height, width] = inputs[0].shape() else {
            return Err("needs images [N, C, H, W]".into());
        };
        let (area, bins) = (
            height * width,
            self.options.output_height * self.options.output_width,
        );
        let (x, regions) = (inputs[0].to_f64s(), inputs[1].to_f64s());
        let other = inputs.get(3).map(|other| other.to_f64s());
        let mut values = vec![0.0; output.len()];
        if output.is_empty() {
            return Ok(());
        }
        self.options.walk(
            [n, height, width],
            &regions,
            inputs[2].slice::<i64>(),
            |bin, region, image, read| {
                for c in 0..channels {
                    let from = (image * channels + c) * area;
                    let to = (region * channels + c) * bins + bin;
                    for (at, weight) in self.options.made_of(&x[from..from + area], read) {
                        match (self.role, &other) {
                            (Role::Gradient, Some(g)) => values[from + at] += weight * g[to],
                            (_, Some(v)) => values[to] += weight * v[from + at],
                            // What has no weight is not read.
                            (_, None) if weight == 0.0 => {}
                            (_, None) => values[to] += weight * x[from + at],
                        }
                    }
                }
            },
        )?;
        *output = Array::new(output.shape(), values).cast(output.dtype());
        Ok(())
    }
}

impl Tensor {
    /// Regions `[R, 4]` (left, top, right, bottom) of images `[N, C, H, W]`, each of the image whose number `[R]` (i64) is given, read as images
    /// of one size `[R, C, output_height, output_width]`. The number of an image that does not exist, and a region too large for so many
    /// bins, are errors when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::RoiAlignOptions};
    /// let x = Tensor::from([[[[1.0, 2.0], [3.0, 4.0]]]]);
    /// let regions = Tensor::from([[0.0, 0.0, 2.0, 2.0]]);
    /// let y = x.roi_align(&regions, &Tensor::from([0]), RoiAlignOptions::new([1, 1]));
    /// assert_eq!(y.to_vec::<f32>()?, [2.5]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "RoiAlign")]
    #[track_caller]
    pub fn roi_align(&self, regions: &Tensor, images: &Tensor, options: RoiAlignOptions) -> Tensor {
        let role = Role::Forward;
        Tensor::apply(RoiAlign { options, role }, &[self, regions, images])
    }
}
