//! Tensors as text.

use zerokara_core::{Array, DType, Tensor};

fn shown(t: impl Into<Tensor>) -> String {
    t.into().to_string()
}

/// As many significant digits as every f32 holds.
#[test]
fn six_digits_of_f32() {
    for (number, text) in [
        (0.051082545, "0.0510825"),
        (0.1 + 0.2, "0.3"),
        (1.0 / 3.0, "0.333333"),
        (2.0 / 3.0 * 100.0, "66.6667"),
        (0.0, "0"),
        (-0.0, "-0"),
        (100.0, "100"),
        (9.999_999, "10"),
        (123456.7, "123457"),
        // Whole numbers are whole.
        (16777216.0, "16777216"),
        (1e8, "1e8"),
        (1.2345678e-5, "1.23457e-5"),
        (0.00025, "0.00025"),
        (3.4028235e38, "3.40282e38"),
        (1e-45, "1.4013e-45"),
        (f32::NAN, "NaN"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        assert_eq!(shown(number), text);
    }
}

/// Page 94 of the book.
#[test]
fn all_digits_of_f64() {
    for (number, text) in [
        (0.0510825457099338, "0.0510825457099338"),
        (0.510825457099338, "0.510825457099338"),
        (0.1 + 0.2, "0.3"),
        (123456789.5, "123456789.5"),
        (1e300, "1e300"),
    ] {
        let t = Tensor::scalar(number, DType::F64);
        assert_eq!(t.to_string(), text);
    }
    let t = Tensor::scalar(0.0510825457099338, DType::F64);
    assert_eq!(format!("{t:.16}"), "0.0510825457099338");
    assert_eq!(format!("{t:e}"), "5.10825457099338e-2");
    let sum = Tensor::scalar(0.1 + 0.2, DType::F64).eval().unwrap();
    assert_eq!(format!("{sum:?}"), "f64[] 0.30000000000000004");
}

#[test]
fn a_precision_is_what_rust_makes_of_it() {
    let x = Tensor::from([0.051082545, -2.0, 1e-9, 12345.678]);
    assert_eq!(format!("{x:.3}"), "[0.051, -2.000, 0.000, 12345.678]");
    assert_eq!(format!("{x:.0}"), "[0, -2, 0, 12346]");
    assert_eq!(format!("{x:.2e}"), "[5.11e-2, -2.00e0, 1.00e-9, 1.23e4]");
    assert_eq!(format!("{:+.1}", Tensor::from([1.0, -1.0])), "[+1.0, -1.0]");
    assert_eq!(
        format!("{:6.1}", Tensor::from([1.0, -1.0])),
        "[   1.0,   -1.0]"
    );
    assert_eq!(format!("{:8.2}", Tensor::from(0.5)), "    0.50");
    assert_eq!(format!("{:4}", Tensor::from([1, -20])), "[   1,  -20]");
    let exact = Array::new([2], vec![0.1f32, 65536.0]);
    assert_eq!(format!("{exact:?}"), "f32[2] [0.1, 65536]");
    assert_eq!(format!("{exact:.2?}"), "f32[2] [0.10, 65536.00]");
}

#[test]
fn columns_have_their_points_below_each_other() {
    let x = Tensor::from([[0.5, -0.25, 100.0], [12.0, 0.0510825, -3.125]]);
    let text = "[[  0.5,        -0.25,      100],\n [ 12,           0.0510825,  -3.125]]";
    assert_eq!(shown(&x), text);
    let i = Tensor::from([[1, -20], [300, 4]]);
    assert_eq!(shown(&i), "[[  1, -20],\n [300,   4]]");
    let truth = i.greater(&Tensor::from(2));
    assert_eq!(shown(&truth), "[[false, false],\n [ true,  true]]");
    let cube = Tensor::from([[[1, 2]], [[3, 4]]]);
    assert_eq!(shown(&cube), "[[[1, 2]],\n\n [[3, 4]]]");
    // A range that takes too many digits has exponents.
    let wide = Tensor::from([[1.0, 1e-9], [f32::NAN, 250000.0]]);
    assert_eq!(shown(&wide), "[[  1e0,     1e-9],\n [NaN,       2.5e5]]");
}

#[test]
fn large_arrays_are_shortened() {
    let x = Tensor::arange(0, 1000, 1);
    assert_eq!(shown(&x).split(", ").count(), 1000);
    let x = Tensor::arange(0, 1001, 1);
    assert_eq!(shown(&x), "[0, 1, 2, ..., 998, 999, 1000]");
    let x = Tensor::arange(0, 4000, 1).reshape([1000, 4]);
    let text = "[[   0,    1,    2,    3],\n [   4,    5,    6,    7],\n [   8,    9,   10,   11],\n ...,\n";
    assert!(shown(&x).starts_with(text), "{x}");
    assert!(shown(&x).ends_with(" [3996, 3997, 3998, 3999]]"), "{x}");
    // What is not shown has no say in how it is shown.
    let mut values = vec![0.5f32; 2000];
    values[1000] = 1e20;
    assert_eq!(shown(values), "[0.5, 0.5, 0.5, ..., 0.5, 0.5, 0.5]");
}

#[test]
fn nothing_is_shown_too() {
    assert_eq!(shown(Tensor::zeros([0])), "[]");
    assert_eq!(shown(Tensor::zeros([2, 0])), "[[],\n []]");
    assert_eq!(shown(Tensor::zeros([0, 3])), "[]");
    assert_eq!(shown(Tensor::zeros([1 << 40, 0])).lines().count(), 7);
    let bad = Array::new([2], vec![1.0f32]);
    assert!(format!("{bad}").contains("display.rs"), "{bad}");
    assert!(
        format!("{bad:?}").contains("1 element does not fill"),
        "{bad:?}"
    );
}
