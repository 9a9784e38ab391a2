//! Bytes as elements: what they are in memory, in arithmetic, and in views.

use zerokara_core::{Array, DType, Result, Tensor};

#[test]
fn arrays_of_bytes_print_and_convert() -> Result<()> {
    let a = Array::new([2, 2], vec![0u8, 7, 200, 255]);
    assert_eq!(
        (a.dtype(), a.meta().to_string().as_str()),
        (DType::U8, "u8[2, 2]")
    );
    assert_eq!(a.to_string().replace('\n', ""), "[[  0,   7], [200, 255]]");
    assert_eq!(a.as_slice::<u8>()?, [0, 7, 200, 255]);
    assert!(a.as_bools().is_err() && a.as_slice::<i64>().is_err());
    assert_eq!(a.cast(DType::I64).as_slice::<i64>()?, [0, 7, 200, 255]);
    assert_eq!(a.cast(DType::Bool).as_bools()?, [0, 1, 1, 1]);
    let wide = Array::new([4], vec![-1i64, 256, 300, 255]).cast(DType::U8);
    assert_eq!(wide.as_slice::<u8>()?, [255, 0, 44, 255]);
    let real = Array::new([5], vec![-1.0f32, 0.9, 254.5, 1e9, f32::NAN]).cast(DType::U8);
    assert_eq!(real.as_slice::<u8>()?, [0, 0, 254, 255, 0]);
    for wrong in [-1.0, 256.0, 0.5, f64::NAN] {
        let error = Array::scalar(wrong, DType::U8)
            .valid()
            .unwrap_err()
            .to_string();
        assert!(error.contains("whole numbers from 0 to 255"), "{error}");
    }
    Ok(())
}

#[test]
fn arithmetic_wraps_around_and_numbers_widen() -> Result<()> {
    let a = Tensor::new([3], [0u8, 100, 255]);
    let b = Tensor::new([3], [1u8, 200, 255]);
    assert_eq!((&a + &b).to_vec::<u8>()?, [1, 44, 254]);
    assert_eq!((&a - &b).to_vec::<u8>()?, [255, 156, 0]);
    assert_eq!((&a * &b).to_vec::<u8>()?, [0, 32, 1]);
    assert_eq!((-&a).to_vec::<u8>()?, [0, 156, 1]);
    assert_eq!(a.less(&b).eval()?.as_bools()?, [1, 1, 0]);
    assert_eq!(a.less(&b).select(&a, &b).to_vec::<u8>()?, [0, 100, 255]);
    // A number of theirs leaves them bytes; another makes them wider.
    assert_eq!((&a + 1).to_vec::<u8>()?, [1, 101, 0]);
    assert_eq!((&a + 256).to_vec::<i64>()?, [256, 356, 511]);
    assert_eq!((&a - 1 + -1).dtype()?, DType::I64);
    assert_eq!((&a / 255.0).to_vec::<f32>()?, [0.0, 100.0 / 255.0, 1.0]);
    // Beside wider numbers they are such; truth values stay apart.
    assert_eq!(
        (&a * &Tensor::from([2, 2, 2])).to_vec::<i64>()?,
        [0, 200, 510]
    );
    assert_eq!(
        (Tensor::from([0.5, 0.5, 0.5]) * &a).to_vec::<f32>()?,
        [0.0, 50.0, 127.5]
    );
    assert!((&a + &a.less(&b)).eval().is_err());
    // Sums are wider; what is one of them stays one.
    assert_eq!(a.sum().to_vec::<i64>()?, [355]);
    assert_eq!(a.max().to_vec::<u8>()?, [255]);
    assert_eq!(a.maximum(&a.flip(&[0])).to_vec::<u8>()?, [255, 100, 255]);
    for refused in [&a / &b, a.exp()] {
        let error = refused.eval().unwrap_err().to_string();
        assert!(error.contains("cast them first"), "{error}");
    }
    let places = Tensor::new([1, 2], [2u8, 0]);
    let error = a
        .index_select(0, &places.reshape([2]))
        .eval()
        .unwrap_err()
        .to_string();
    assert!(error.contains("cast them first"), "{error}");
    Ok(())
}

#[test]
fn views_and_assembly_keep_bytes() -> Result<()> {
    let x = Tensor::new([2, 3], [1u8, 2, 3, 4, 5, 6]);
    assert_eq!(x.t().to_vec::<u8>()?, [1, 4, 2, 5, 3, 6]);
    assert_eq!(x.slice(1, .., -2).to_vec::<u8>()?, [3, 1, 6, 4]);
    assert_eq!(
        x.reshape([3, 2]).t().reshape([-1]).to_vec::<u8>()?,
        [1, 3, 5, 2, 4, 6]
    );
    assert_eq!(
        x.broadcast_to(&[2, 2, 3]).to_vec::<u8>()?[6..],
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        Tensor::concat(&[&x, &x.slice(1, 1.., 1)], 1).to_vec::<u8>()?,
        [1, 2, 3, 2, 3, 4, 5, 6, 5, 6]
    );
    assert_eq!(
        x.pad(&[0, 1], &[2, 0], 9.0).to_vec::<u8>()?,
        [9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9, 9, 9, 9, 9]
    );
    assert!(x.pad(&[0, 1], &[2, 0], 256.0).eval().is_err());
    assert_eq!(
        x.index_select(1, &Tensor::from([2, 0])).to_vec::<u8>()?,
        [3, 1, 6, 4]
    );
    assert_eq!(
        Tensor::full([2], 255.0, DType::U8).to_vec::<u8>()?,
        [255, 255]
    );
    let empty = Tensor::new([0, 3], [0u8; 0]);
    assert_eq!((empty.cast(DType::F32) / 255.0).eval()?.shape(), [0, 3]);
    Ok(())
}

/// Truth values of numbers are 0 and 1 wherever they are read, in memory or in a register.
#[test]
fn truth_values_of_numbers_are_0_and_1() -> Result<()> {
    let x = Tensor::from([2.5, 0.0, -1.0, f32::NAN]);
    let truths = x.cast(DType::Bool);
    assert_eq!(
        (truths.cast(DType::F32) * 3.0).to_vec::<f32>()?,
        [3.0, 0.0, 3.0, 3.0]
    );
    let bytes = Tensor::new([3], [0u8, 2, 255]).cast(DType::Bool);
    assert_eq!(
        (bytes.cast(DType::F32) * 3.0).to_vec::<f32>()?,
        [0.0, 3.0, 3.0]
    );
    Ok(())
}
