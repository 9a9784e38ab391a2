//! Numbers and integers: which element type a number beside a tensor gives, which numbers a type refuses, what wraps, and
//! that 0 and -0 stay apart. In the interpreter, in eager evaluation and in programs.

use zerokara_core::{
    Array, Attribute, Attributes, DType, Precision, Program, Result, Tensor, grad, interpret,
    registry,
};

/// The value, which all engines must agree on to the bit.
fn value(t: &Tensor) -> Array {
    let interpreted = interpret(&[t], &[], Precision::AsWritten)
        .unwrap()
        .remove(0);
    let compiled = t.eval().unwrap();
    let program = Program::compile(&[], &[t], &[]).unwrap();
    let ran = program.run(&[]).unwrap().remove(0);
    for other in [&compiled, &ran] {
        let same = interpreted.is_identical(other);
        assert!(same, "{t:?}: {interpreted:?} and {other:?}");
    }
    interpreted
}

fn ints(values: impl IntoIterator<Item = i64>) -> Array {
    let values: Vec<i64> = values.into_iter().collect();
    Array::new([values.len()], values)
}

fn floats(values: impl IntoIterator<Item = f32>) -> Array {
    let values: Vec<f32> = values.into_iter().collect();
    Array::new([values.len()], values)
}

fn error(t: &Tensor) -> String {
    t.eval().expect_err("an error").to_string()
}

/// PyTorch: `torch.tensor([1, 2, 3]) * 0.9` is f32, `* 2` stays i64.
#[test]
fn a_real_number_makes_integers_floats() {
    let i = Tensor::from([1, 2, -3]);
    assert_eq!(value(&(&i * 0.9)), floats([0.9, 1.8, -3.0 * 0.9]));
    assert_eq!(value(&(&i + 0.5)), floats([1.5, 2.5, -2.5]));
    assert_eq!(value(&(0.5 - &i)), floats([-0.5, -1.5, 3.5]));
    assert_eq!(value(&(&i / 2.0)), floats([0.5, 1.0, -1.5]));
    assert_eq!(value(&(6.0 / i.clone())), floats([6.0, 3.0, -2.0]));
    // By its type, not by its value.
    assert_eq!(value(&(&i * 2.0)), floats([2.0, 4.0, -6.0]));
    assert_eq!(value(&(&i * f64::NAN)).dtype(), DType::F32);
    let truth = i.greater(&Tensor::from(0));
    assert_eq!(value(&(&truth * 0.5)), floats([0.5, 0.5, 0.0]));
}

#[test]
fn a_whole_number_keeps_integers() {
    let i = Tensor::from([1, 2, -3]);
    assert_eq!(value(&(&i * 2)), ints([2, 4, -6]));
    assert_eq!(value(&(10 - &i)), ints([9, 8, 13]));
    // Beyond what a float holds.
    assert_eq!(value(&(Tensor::from([1]) + i64::MAX)), ints([i64::MIN]));
    assert_eq!(
        value(&(Tensor::from([0]) + ((1 << 53) + 1))),
        ints([(1 << 53) + 1])
    );
    let truth = i.greater(&Tensor::from(0));
    assert_eq!(value(&(truth + 1)), ints([2, 2, 1]));
    assert_eq!(value(&(Tensor::from([1.5]) * 2)), floats([3.0]));
    assert_eq!(
        value(&(2 * Tensor::full([1], 0.1, DType::F64))).to_f64s(),
        [0.2]
    );
    // Integers are not divided, by whichever of both.
    assert!(error(&(&i / 2)).contains("divide"));
}

#[test]
fn gradients_do_not_feel_it() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]);
    let i = Tensor::from([3, 4]);
    let y = (&x * (&i * 0.5) * 2).sum();
    assert_eq!(grad(&y, &x).to_vec::<f32>()?, [3.0, 4.0]);
    Ok(())
}

#[test]
fn a_number_that_a_type_does_not_have_is_refused_by_name() {
    let i = Tensor::from([1, 2]);
    let truth = i.greater(&i);
    let wrong = [
        f64::NAN,
        f64::INFINITY,
        -f64::INFINITY,
        0.5,
        1e300,
        2f64.powi(63),
    ];
    for number in wrong {
        for (made, name) in [
            (Tensor::full([2], number, DType::I64), "fill"),
            (i.full_like(number), "fill"),
            (i.pad(&[1], &[0], number), "pad"),
            (i.masked_fill(&truth, number), "masked_fill"),
            (Tensor::scalar(number, DType::I64), "scalar"),
            (Tensor::from(Array::scalar(number, DType::I64)), "scalar"),
            (Tensor::full([2], number, DType::Bool), "fill"),
            (truth.pad(&[1], &[0], number), "pad"),
            (truth.masked_fill(&truth, number), "masked_fill"),
            (Tensor::scalar(number, DType::Bool), "scalar"),
        ] {
            let text = error(&made);
            for word in [name, &format!("{number:?}"), "numbers.rs"] {
                assert!(text.contains(word), "{word} is not in: {text}");
            }
            assert!(text.contains("i64") || text.contains("bool"), "{text}");
        }
        let mut array = ints([7, 8]);
        assert!(array.fill(number).is_err());
        assert_eq!(array, ints([7, 8]));
    }
    // What they have is taken, to the ends of the range.
    assert_eq!(
        value(&Tensor::full([1], -(2f64.powi(63)), DType::I64)),
        ints([i64::MIN])
    );
    assert_eq!(value(&i.pad(&[1], &[0], -3.0)), ints([-3, 1, 2]));
    assert_eq!(
        value(&i.masked_fill(&truth.logical_not(), 9.0)),
        ints([9, 9])
    );
    assert_eq!(value(&Tensor::scalar(1.0, DType::Bool)).to_f64s(), [1.0]);
    // Floats round to the nearest.
    assert_eq!(value(&Tensor::full([1], 0.1, DType::F32)), floats([0.1]));
    assert_eq!(
        value(&Tensor::full([1], 1e300, DType::F32)),
        floats([f32::INFINITY])
    );
}

#[test]
fn files_cannot_smuggle_such_numbers_in() {
    let attributes = Attributes::none().with("value", 0.5);
    let text = error(&registry::apply(
        "fill",
        &attributes,
        &[Tensor::from([1, 2])],
    ));
    assert!(text.contains("0.5 is no i64"), "{text}");
    let attributes = Attributes::none()
        .with("before", &[1usize][..])
        .with("after", &[0usize][..])
        .with("value", f64::NAN);
    let text = error(&registry::apply(
        "pad",
        &attributes,
        &[Tensor::from([1, 2])],
    ));
    assert!(text.contains("NaN is no i64"), "{text}");
}

/// Two's complement, as NumPy and PyTorch calculate, in debug and release builds.
#[test]
fn integers_wrap_around() {
    let (low, high) = (i64::MIN, i64::MAX);
    let a = Tensor::from([high, low, low, high, 1 << 62]);
    let b = Tensor::from([1, -1, low, high, 2]);
    assert_eq!(value(&(&a + &b)), ints([low, high, 0, -2, (1 << 62) + 2]));
    assert_eq!(
        value(&(&a - &b)),
        ints([high - 1, low + 1, 0, 0, (1 << 62) - 2])
    );
    assert_eq!(value(&(&a * &b)), ints([high, low, 0, 1, low]));
    assert_eq!(value(&-&a), ints([-high, low, low, -high, -(1 << 62)]));
    assert_eq!(
        value(&(&a + 1)),
        ints([low, low + 1, low + 1, low, (1 << 62) + 1])
    );
    assert_eq!(
        value(&(-1 * &a)),
        ints([-high, low, low, -high, -(1 << 62)])
    );
    assert_eq!(value(&(&a * low).slice(0, 1..2, 1)), ints([0]));
    // Comparisons are exact, beyond what floats hold.
    let (c, d) = (Tensor::from([(1 << 53) + 1]), Tensor::from([1 << 53]));
    assert_eq!(value(&c.greater(&d)).to_f64s(), [1.0]);
    assert_eq!(value(&c.equal(&d)).to_f64s(), [0.0]);
}

#[test]
fn indices_at_the_ends_of_the_range_are_errors() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    for index in [i64::MIN, i64::MIN + 1, -1, 2, i64::MAX] {
        let one = Tensor::from([index]);
        for (picked, name) in [
            (x.index_select(0, &one), "index_select"),
            (x.gather(0, &Tensor::from([[index, 0]])), "gather"),
            (
                Tensor::from([[1.0, 2.0]]).index_add(0, &one, 2),
                "index_add",
            ),
            (
                Tensor::from([[1.0]]).scatter_add(0, &Tensor::from([[index]]), 2),
                "scatter_add",
            ),
            (one.one_hot(2), "one_hot"),
            (Tensor::from([[1.0, 2.0]]).cross_entropy(&one), "one_hot"),
        ] {
            let text = error(&picked);
            assert!(
                text.contains(name) && text.contains(&index.to_string()),
                "{text}"
            );
            assert!(interpret(&[&picked], &[], Precision::AsWritten).is_err());
        }
        if index != -1 {
            assert!(error(&x.at(0, index)).contains("slice"));
        }
    }
    for step in [i64::MIN, i64::MAX] {
        let y = x.slice(0, .., step);
        let row = if step < 0 { [3.0, 4.0] } else { [1.0, 2.0] };
        assert_eq!(value(&y), Array::new([1, 2], row.map(|v: f64| v as f32)));
        let g = grad(&y.sum(), &x);
        assert_eq!(value(&g).to_f64s().iter().sum::<f64>(), 2.0);
    }
    assert_eq!(value(&x.slice(0, i64::MIN..i64::MAX, 1)), value(&x));
    assert!(error(&x.narrow(0, 0, usize::MAX)).contains("slice"));
    assert!(error(&x.narrow(0, usize::MAX, 1)).contains("slice"));
    assert_eq!(value(&x.narrow(0, usize::MAX, 0)).len(), 0);
}

/// Floats become integers by truncation, to the nearest end of the range; NaN becomes 0.
#[test]
fn casts_are_defined_for_all_numbers() {
    let wide = [
        f64::NAN,
        f64::INFINITY,
        -f64::INFINITY,
        1e300,
        -1e19,
        2.9,
        -2.9,
        -0.0,
    ];
    let to = [0, i64::MAX, i64::MIN, i64::MAX, i64::MIN, 2, -2, 0];
    assert_eq!(value(&Tensor::new([8], wide).cast(DType::I64)), ints(to));
    let narrow = Tensor::from(wide.map(|v| v as f32));
    assert_eq!(value(&narrow.cast(DType::I64)), ints(to));
    assert_eq!(
        value(&narrow.cast(DType::Bool)).to_f64s(),
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    );
    // Rounded once: through f64 it would be 2^60.
    let tie = (1i64 << 60) + (1 << 36) + 1;
    assert_eq!(
        value(&Tensor::from([tie]).cast(DType::F32)),
        floats([1.1529216e18])
    );
    assert_eq!(
        value(&Tensor::from([i64::MAX, i64::MIN]).cast(DType::F64)).to_f64s(),
        [2f64.powi(63), -(2f64.powi(63))]
    );
}

/// `1 / 0` and `1 / -0` in one graph, in every order and way to have a zero.
#[test]
fn zero_and_minus_zero_stay_apart() {
    for _ in 0..20 {
        for (first, second) in [(0.0, -0.0), (-0.0, 0.0)] {
            let x = Tensor::from([1.0, 1.0]);
            let expected = [1.0 / first, 1.0 / second].map(|v| v as f32);
            let filled = |zero| &x / x.full_like(zero);
            let scalar = |zero: f64| &x / zero;
            let full = |zero| &x / Tensor::full([2], zero, DType::F32);
            let padded = |zero| 1.0 / x.slice(0, 2.., 1).pad(&[0], &[2], zero);
            let data = |zero: f64| &x / Tensor::from(zero as f32);
            let replaced = |zero| 1.0 / x.masked_fill(&x.greater(&x.zeros_like()), zero);
            let reciprocal = |zero| x.full_like(zero).reciprocal();
            let ways: [&dyn Fn(f64) -> Tensor; 7] = [
                &filled,
                &scalar,
                &full,
                &padded,
                &data,
                &replaced,
                &reciprocal,
            ];
            for (number, way) in ways.iter().enumerate() {
                let both = Tensor::concat(&[&way(first), &way(second)], 0);
                let expected = [expected[0], expected[0], expected[1], expected[1]];
                assert_eq!(value(&both), floats(expected), "way {number}");
            }
        }
    }
    // A rectifier at -0 is no rectifier at 0.
    let x = Tensor::from([-1.0, 2.0]);
    let at = |zero| x.clamp(zero, f64::INFINITY);
    let both = Tensor::concat(&[&at(0.0), &at(-0.0)], 0);
    let _ = value(&both);
}

#[test]
fn attributes_are_told_apart_by_their_bits() {
    let float = |v: f64| Attributes::none().with("value", v);
    assert_ne!(float(0.0), float(-0.0));
    assert_eq!(
        float(f64::NAN),
        float(f64::from_bits(0xFFF8_0000_0000_1234))
    );
    assert_ne!(float(f64::NAN), float(f64::INFINITY));
    assert_ne!(Attribute::Int(0), Attribute::Float(0.0));
    assert_eq!(float(-1.5), float(-1.5));
}
