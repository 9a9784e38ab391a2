//! Blocks of images of any number of axes: `unfold` takes them out, `fold` adds them up at their places (ONNX's Col2Im). Each is
//! the other's gradient. Both are index operations on fixed places; for images of two axes, `im2col` has a kernel.

use super::prelude::*;

/// Blocks that slide over images of any number of axes. A list of numbers may be empty: then it is ones, or zeros for the padding.
///
/// ```
/// use zerokara_core::{Blocks, Tensor};
/// let blocks = Blocks { image: vec![3, 3], block: vec![2, 2], ..Blocks::default() };
/// let columns = Tensor::ones([1, 4, 4]);
/// let y = columns.fold(&blocks);
/// assert_eq!(y.shape()?, [1, 1, 3, 3]);
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// The lengths of an image's axes.
    pub image: Vec<usize>,
    /// The lengths of a block's axes.
    pub block: Vec<usize>,
    /// Distances between a block's neighbouring elements.
    pub dilation: Vec<usize>,
    /// Distances between neighbouring blocks.
    pub stride: Vec<usize>,
    /// How far blocks reach beyond the image: before each axis, then behind each.
    pub padding: Vec<usize>,
}

impl Blocks {
    /// For each element of a block and each block, in this order, the element of the image, or one behind the last where it
    /// lies outside; and how many blocks there are.
    fn places(&self) -> Result<(Vec<i64>, usize), String> {
        let axes = self.image.len();
        let full = |list: &[usize], count: usize, usual: usize| match list.len() {
            0 => Ok(vec![usual; count]),
            n if n == count => Ok(list.to_vec()),
            n => Err(format!("{n} numbers do not go with images of {axes} axes")),
        };
        let block = full(&self.block, axes, 1)?;
        let dilation = full(&self.dilation, axes, 1)?;
        let stride = full(&self.stride, axes, 1)?;
        let padding = full(&self.padding, 2 * axes, 0)?;
        if axes == 0
            || [&block, &dilation, &stride]
                .iter()
                .any(|list| list.contains(&0))
        {
            return Err("blocks, dilations and strides are at least 1, on one axis or more".into());
        }
        let mut counts = Vec::new();
        for axis in 0..axes {
            let reach = (block[axis] - 1).checked_mul(dilation[axis]);
            let reach = reach.and_then(|reach| reach.checked_add(1));
            let length = self.image[axis].checked_add(padding[axis]);
            let length = length.and_then(|n| n.checked_add(padding[axes + axis]));
            let (Some(reach), Some(length)) = (reach, length) else {
                return Err("lengths are more than can be counted".into());
            };
            let room = length.checked_sub(reach);
            counts.push(room.map_or(0, |room| room / stride[axis] + 1));
        }
        let whole = [block.as_slice(), &counts].concat();
        let meta = Meta::new(whole, DType::I64).countable()?;
        Meta::new(self.image.as_slice(), DType::I64).countable()?;
        let outside: usize = self.image.iter().product();
        let mut places = Array::try_zeros(&meta).map_err(|error| error.to_string())?;
        for (place, index) in places
            .slice_mut::<i64>()
            .iter_mut()
            .zip(shape::indices(&meta.shape))
        {
            let mut at = Some(0usize);
            for axis in 0..axes {
                // Below the padding it lies before the image.
                let own = index[axis] * dilation[axis] + index[axes + axis] * stride[axis];
                let own = own.checked_sub(padding[axis]);
                let own = own.filter(|&own| own < self.image[axis]);
                at = at.zip(own).map(|(at, own)| at * self.image[axis] + own);
            }
            *place = at.unwrap_or(outside) as i64;
        }
        Ok((places.slice::<i64>().to_vec(), counts.iter().product()))
    }
}

impl Tensor {
    /// Columns `[N, C B, L]`, where B is the number of elements of a block and L the number of blocks, added up at their places in
    /// images `[N, C, image..]`: PyTorch's `fold` and ONNX's Col2Im.
    #[doc(alias("Col2Im", "col2im"))]
    #[track_caller]
    pub fn fold(&self, blocks: &Blocks) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        let refuse = |reason| Tensor::refuse("fold", &[self], reason);
        let (places, count) = match blocks.places() {
            Ok(found) => found,
            Err(reason) => return refuse(reason),
        };
        let &[n, columns, length] = meta.shape.as_slice() else {
            return refuse("needs columns [N, C B, L]".into());
        };
        let size: usize = blocks.block.iter().product();
        if length != count || columns % size != 0 {
            return refuse(format!(
                "needs columns [N, C {size}, {count}], not {:?}",
                meta.shape
            ));
        }
        let elements: usize = blocks.image.iter().product();
        let (samples, channels) = (n as i64, (columns / size) as i64);
        let flat = self.reshape_exactly(&[samples, channels, places.len() as i64]);
        // What lies outside is added up behind the last element, and left out.
        let sums = flat.index_add(2, &Tensor::from(places), elements + 1);
        let lengths = [samples, channels].into_iter();
        let lengths = lengths.chain(blocks.image.iter().map(|&n| n as i64));
        sums.narrow(2, 0, elements)
            .reshape_exactly(&lengths.collect::<Vec<_>>())
    }

    /// The blocks of images `[N, C, image..]` as columns `[N, C B, L]`, where B is the number of elements of a block and L the number of
    /// blocks; outside of the image there are zeros. PyTorch's `unfold`.
    ///
    /// ```
    /// # use zerokara_core::{Blocks, Tensor};
    /// let x = Tensor::from([[[1.0, 2.0, 3.0]]]);
    /// let blocks = Blocks { image: vec![3], block: vec![2], ..Blocks::default() };
    /// assert_eq!(x.unfold(&blocks).to_vec::<f32>()?, [1.0, 2.0, 2.0, 3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn unfold(&self, blocks: &Blocks) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        let refuse = |reason| Tensor::refuse("unfold", &[self], reason);
        let (places, count) = match blocks.places() {
            Ok(found) => found,
            Err(reason) => return refuse(reason),
        };
        let [n, channels, image @ ..] = meta.shape.as_slice() else {
            return refuse("needs images [N, C, ..]".into());
        };
        if image != blocks.image {
            return refuse(format!("needs images {:?}, not {image:?}", blocks.image));
        }
        let size: usize = blocks.block.iter().product();
        let elements: usize = image.iter().product();
        let flat = self.reshape_exactly(&[*n as i64, *channels as i64, elements as i64]);
        let flat = flat.pad(&[0, 0, 0], &[0, 0, 1], 0.0);
        let columns = flat.index_select(2, &Tensor::from(places));
        columns.reshape_exactly(&[*n as i64, (channels * size) as i64, count as i64])
    }
}
