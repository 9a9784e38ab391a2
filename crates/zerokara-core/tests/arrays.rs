//! Arrays that cannot be made, and what takes them: errors with the user's line instead of panics.

use zerokara_core::{Array, DType, Meta, Parameter, Precision, Program, Tensor, interpret};

/// The error names these words and this line.
#[track_caller]
fn says(error: zerokara_core::Error, line: u32, words: &[&str]) {
    let text = error.to_string();
    let place = format!("arrays.rs:{line}:");
    for word in words.iter().copied().chain([place.as_str()]) {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    assert_eq!(error.location().map(|l| l.line()), Some(line));
}

#[test]
fn a_wrong_length_names_shape_count_and_line() {
    let (line, t) = (line!(), Tensor::new([2, 3], vec![1.0f32; 5]));
    says(
        t.eval().unwrap_err(),
        line,
        &["tensor: 5 elements", "[2, 3]", "takes 6"],
    );
    says(t.shape().unwrap_err(), line, &["5"]);
    says((&t + 1.0).sum().eval().unwrap_err(), line, &["5"]);
    let (line, a) = (line!(), Array::new([2, 3], vec![1i64]));
    says(
        a.valid().unwrap_err(),
        line,
        &["array: 1 element does not fill", "[2, 3]", "6"],
    );
    says(
        Tensor::from(a.clone()).eval().unwrap_err(),
        line,
        &["array", "[2, 3]"],
    );
    assert_eq!((a.len(), a.dtype(), a.shape()), (0, DType::I64, &[0][..]));
    assert!(a.to_f64s().is_empty() && a.get_f64(0).is_none());
    assert_ne!(a, a.clone());
    // Products that overflow, empty shapes, and scalars.
    for (shape, count) in [
        (vec![usize::MAX, 2], 2),
        (vec![1 << 32, 1 << 32], 0),
        (vec![0, usize::MAX], 1),
        (vec![], 0),
        (vec![], 2),
        (vec![0], 1),
        (vec![3, 0], 3),
    ] {
        let t = Tensor::new(shape.clone(), vec![0.5f64; count]);
        assert!(t.eval().is_err(), "{shape:?}");
    }
    let line = line!() + 1;
    let reshaped = Array::new([4], vec![0.0f32; 4]).reshaped([3]);
    says(
        reshaped.valid().unwrap_err(),
        line,
        &["reshaped", "4", "[3]"],
    );
    let (line, zeros) = (line!(), Array::zeros(&Meta::new([1 << 62], DType::F32)));
    says(zeros.valid().unwrap_err(), line, &["zeros", "too large"]);
    let (line, zeros) = (line!(), Array::zeros(&Meta::new([1 << 50], DType::F32)));
    says(zeros.valid().unwrap_err(), line, &["zeros", "of memory"]);
    // Right ones are as before.
    assert_eq!(Tensor::new([2, 0], [] as [f32; 0]).shape().unwrap(), [2, 0]);
    assert_eq!(
        Array::new([2, 1], vec![1.0f32, 2.0])
            .reshaped([1, 2])
            .shape(),
        [1, 2]
    );
}

#[test]
fn another_element_type_is_an_error() {
    let mut i = Array::new([2], vec![1i64, 2]);
    assert_eq!(i.as_slice::<i64>().unwrap(), [1, 2]);
    let (line, error) = (line!(), i.as_slice::<f32>().unwrap_err());
    says(error, line, &["i64, not f32"]);
    let (line, error) = (line!(), i.as_mut_slice::<f64>().unwrap_err());
    says(error, line, &["i64, not f64"]);
    let (line, error) = (line!(), i.as_bools().unwrap_err());
    says(error, line, &["i64, not bool"]);
    i.as_mut_slice::<i64>().unwrap()[0] = 7;
    assert_eq!(i.to_f64s(), [7.0, 2.0]);
    assert_eq!(i.cast(DType::Bool).as_bools().unwrap(), [1, 1]);
    let t = Tensor::from([1, 2]);
    let (line, error) = (line!(), t.to_vec::<f32>().unwrap_err());
    says(error, line, &["to_vec", "i64, not f32"]);
    let (line, error) = (line!(), t.item().unwrap_err());
    says(error, line, &["item", "[2]"]);
}

/// Whatever takes an invalid array returns the array's error.
#[test]
fn what_takes_an_invalid_array_returns_its_error() {
    let (line, bad) = (line!(), Array::new([3], vec![1.0f32]));
    let x = Tensor::input("x", [0], DType::F32);
    let program = Program::compile(&[&x], &[&x], &[]).unwrap();
    says(
        program.run(std::slice::from_ref(&bad)).unwrap_err(),
        line,
        &["[3]"],
    );
    let given = [(&x, bad.clone())];
    says(
        interpret(&[&x], &given, Precision::AsWritten).unwrap_err(),
        line,
        &["[3]"],
    );
    let p = Parameter::of_array("p", bad.clone());
    says(p.tensor().eval().unwrap_err(), line, &["[3]"]);
    let p = Parameter::new("p", &Tensor::zeros([0])).unwrap();
    says(p.set_array(bad.clone()).unwrap_err(), line, &["[3]"]);
    says(bad.cast(DType::I64).valid().unwrap_err(), line, &["[3]"]);
    says(bad.reshaped([0]).valid().unwrap_err(), line, &["[3]"]);
    says(bad.as_slice::<f32>().unwrap_err(), line, &["[3]"]);
    says(bad.clone().fill(1.0).unwrap_err(), line, &["[3]"]);
}

#[test]
fn inputs_of_the_interpreter_are_checked() {
    let x = Tensor::input("x", [2], DType::F32);
    let y = &x * 2.0;
    for wrong in [
        Array::new([3], vec![0.0f32; 3]),
        Array::new([2], vec![1i64, 2]),
        Array::new([2, 1], vec![0.0f32; 2]),
    ] {
        let error = interpret(&[&y], &[(&x, wrong)], Precision::AsWritten).unwrap_err();
        assert!(error.to_string().contains("must be f32[2]"), "{error}");
    }
}
