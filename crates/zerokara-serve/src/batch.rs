//! Samples put together.

use zerokara_core::{Array, Arrays, Axis, Elements, ElementsMut, Meta, Port};
use zerokara_train::{Error, Result};

/// A sample of numbers between -1 and 1 that look like no pattern, and of zeros where whole numbers are wanted; a batch of
/// one. Nothing where a length is free.
pub(crate) fn probe(inputs: &[Port]) -> Result<Option<Arrays>> {
    let mut sample = Arrays::new();
    for port in inputs {
        let lengths: Option<Vec<usize>> = port.axes.iter().skip(1).map(Axis::fixed).collect();
        let Some(lengths) = lengths else {
            return Ok(None);
        };
        let shape = [&[1], &lengths[..]].concat();
        let mut array = Array::try_zeros(&Meta::new(shape, port.dtype))?;
        if let ElementsMut::F32(values) = array.elements_mut() {
            for (at, value) in values.iter_mut().enumerate() {
                *value = (at * 7919 % 1009) as f32 / 504.5 - 1.0;
            }
        }
        sample.insert(port.name.clone(), array);
    }
    Ok(Some(sample))
}

/// A batch of `size` samples: these, each a batch of one, and the last of them again and again. What a model computes of a
/// sample does not depend on the others.
pub(crate) fn stacked(samples: &[&Arrays], size: usize) -> Result<Arrays> {
    let Some(first) = samples.first() else {
        return Err(Error::new("there is no sample"));
    };
    let mut batch = Arrays::new();
    for (name, array) in first.iter() {
        let lengths = array.shape().get(1..).unwrap_or_default();
        let shape = [&[size], lengths].concat();
        let mut whole = Array::try_zeros(&Meta::new(shape, array.dtype()))?;
        for at in 0..size {
            let sample = samples[at.min(samples.len() - 1)];
            copy(sample.find(name)?, &mut whole, at)?;
        }
        batch.insert(name, whole);
    }
    Ok(batch)
}

/// Copies a batch of one to its place in another.
fn copy(from: &Array, to: &mut Array, at: usize) -> Result<()> {
    let place = at * from.len()..(at + 1) * from.len();
    match (from.elements(), to.elements_mut()) {
        (Elements::F32(from), ElementsMut::F32(to)) => to[place].copy_from_slice(from),
        (Elements::F64(from), ElementsMut::F64(to)) => to[place].copy_from_slice(from),
        (Elements::I64(from), ElementsMut::I64(to)) => to[place].copy_from_slice(from),
        (Elements::U8(from), ElementsMut::U8(to)) => to[place].copy_from_slice(from),
        (Elements::Bool(from), ElementsMut::Bool(to)) => to[place].copy_from_slice(from),
        _ => {
            return Err(Error::new(format!(
                "samples of a batch differ: one is {}",
                from.meta()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerokara_core::DType;

    #[test]
    fn a_batch_is_filled_up_with_its_last_sample() {
        let sample = |x: f32, n: i64| {
            let x = Array::new([1, 2], vec![x, -x]);
            Arrays::one("x", x).with("n", Array::new([1], vec![n]))
        };
        let (a, b) = (sample(1.0, 7), sample(2.0, 8));
        let batch = stacked(&[&a, &b], 4).unwrap();
        let x = batch.find("x").unwrap();
        assert_eq!((x.shape(), x.dtype()), (&[4, 2][..], DType::F32));
        assert_eq!(x.to_f64s(), [1.0, -1.0, 2.0, -2.0, 2.0, -2.0, 2.0, -2.0]);
        assert_eq!(batch.find("n").unwrap().to_f64s(), [7.0, 8.0, 8.0, 8.0]);
    }
}
