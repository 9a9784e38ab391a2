//! Shape rules that many operations share.

use crate::{DType, Meta};

/// The inputs, if there are as many as the operation takes.
pub fn arity<const N: usize>(inputs: &[Meta]) -> Result<&[Meta; N], String> {
    inputs
        .try_into()
        .map_err(|_| format!("takes {N} inputs, not {}", inputs.len()))
}

/// The rule of an elementwise function of one float tensor.
pub fn float_unary(inputs: &[Meta]) -> Result<Meta, String> {
    let [x] = arity(inputs)?;
    float(x)?;
    Ok(x.clone())
}

/// The rule of an elementwise function of two tensors of the same shape and type (not truth values).
pub fn number_binary(inputs: &[Meta]) -> Result<Meta, String> {
    let [a, b] = arity(inputs)?;
    same(a, b)?;
    if a.dtype == DType::Bool {
        return Err("needs numbers, not truth values; cast them first".into());
    }
    Ok(a.clone())
}

/// The rule of an elementwise function of two float tensors of the same shape and type.
pub fn float_binary(inputs: &[Meta]) -> Result<Meta, String> {
    let meta = number_binary(inputs)?;
    float(&meta)?;
    Ok(meta)
}

/// The rule of a comparison of two tensors of the same shape and type (not truth values).
pub fn comparison(inputs: &[Meta]) -> Result<Meta, String> {
    let [a, b] = arity(inputs)?;
    same(a, b)?;
    if a.dtype == DType::Bool {
        return Err("compares numbers, not truth values; cast them first".into());
    }
    Ok(Meta::new(a.shape.clone(), DType::Bool))
}

/// An error unless the tensor holds floats.
pub fn float(x: &Meta) -> Result<(), String> {
    if x.is_float() {
        Ok(())
    } else {
        Err(format!(
            "needs floating-point numbers, not {}; cast them first",
            x.dtype
        ))
    }
}

/// An error unless the tensor has this many axes, which stand for these names.
pub fn rank(x: &Meta, rank: usize, axes: &str) -> Result<(), String> {
    if x.rank() == rank {
        Ok(())
    } else {
        Err(format!("needs {rank} axes {axes}, not {:?}", x.shape))
    }
}

/// An error unless the element types are the same.
pub fn same_type(a: &Meta, b: &Meta) -> Result<(), String> {
    if a.dtype == b.dtype {
        Ok(())
    } else {
        Err(format!(
            "element types {} and {} differ; cast one of them",
            a.dtype, b.dtype
        ))
    }
}

/// An error unless the tensors hold floats of one type.
pub fn floats(a: &Meta, b: &Meta) -> Result<(), String> {
    float(a)?;
    same_type(a, b)
}

/// An error unless shapes and types are the same.
pub fn same(a: &Meta, b: &Meta) -> Result<(), String> {
    same_type(a, b)?;
    if a.shape != b.shape {
        return Err(format!(
            "shapes {:?} and {:?} do not broadcast together",
            a.shape, b.shape
        ));
    }
    Ok(())
}
