//! Operations whose shape hangs on values, and those made of numbers alone: against NumPy and the examples of ONNX.

use std::panic::{AssertUnwindSafe, catch_unwind};
use zerokara_core::{DType, Parameter, Reducer, Result, Suppression, Tensor, grad};

fn floats(t: &Tensor) -> Vec<f32> {
    t.to_vec().unwrap_or_else(|e| panic!("{e}"))
}

fn integers(t: &Tensor) -> Vec<i64> {
    t.to_vec().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn unique_values_and_slices() -> Result<()> {
    // numpy.unique([2, 1, 1, 3, 4, 3], return_index, return_inverse, return_counts)
    let x = Tensor::from([2.0, 1.0, 1.0, 3.0, 4.0, 3.0]);
    let sorted = x.unique(true, None);
    assert_eq!(floats(&sorted.values), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(integers(&sorted.first), [1, 0, 3, 4]);
    assert_eq!(integers(&sorted.inverse), [1, 0, 0, 2, 3, 2]);
    assert_eq!(integers(&sorted.counts), [2, 1, 2, 1]);
    let found = x.unique(false, None);
    assert_eq!(floats(&found.values), [2.0, 1.0, 3.0, 4.0]);
    assert_eq!(integers(&found.first), [0, 1, 3, 4]);
    assert_eq!(integers(&found.inverse), [0, 1, 1, 2, 3, 2]);
    assert_eq!(integers(&found.counts), [1, 2, 2, 1]);
    assert_eq!(
        floats(&grad(&sorted.values.sum(), &x)),
        [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    );
    // ONNX, test_unique_sorted_with_axis
    let rows = Tensor::from([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 3.0, 4.0]]);
    let unique = rows.unique(true, Some(0));
    assert_eq!(unique.values.shape()?, [2, 3]);
    assert_eq!(floats(&unique.values), [1.0, 0.0, 0.0, 2.0, 3.0, 4.0]);
    assert_eq!(integers(&unique.inverse), [0, 0, 1]);
    // ONNX, test_unique_sorted_with_negative_axis
    let rows = Tensor::from([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 3.0, 3.0]]);
    let unique = rows.unique(true, Some(-1));
    assert_eq!(floats(&unique.values), [0.0, 1.0, 0.0, 1.0, 3.0, 2.0]);
    assert_eq!(integers(&unique.first), [1, 0]);
    assert_eq!(integers(&unique.inverse), [1, 0, 0]);
    assert_eq!(integers(&unique.counts), [2, 1]);
    let ends = Tensor::from([f32::NAN, f32::INFINITY, -0.0, f32::NAN, 0.0, -1.5]);
    let unique = ends.unique(true, None);
    assert_eq!(integers(&unique.counts), [1, 2, 1, 2]);
    assert_eq!(integers(&unique.first), [5, 2, 1, 0]);
    let integers_ = Tensor::from([i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN]);
    let unique = integers_.unique(true, None);
    assert_eq!(integers(&unique.values), [i64::MIN, i64::MAX - 1, i64::MAX]);
    Ok(())
}

#[test]
fn conditions_and_places() -> Result<()> {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let truths = |numbers: &[i64]| Tensor::from(numbers).cast(DType::Bool);
    // ONNX, test_compress_0, _1, _default_axis, _negative_axis
    assert_eq!(
        floats(&x.compress(&truths(&[0, 1, 1]), Some(0))),
        [3.0, 4.0, 5.0, 6.0]
    );
    assert_eq!(
        floats(&x.compress(&truths(&[0, 1]), Some(1))),
        [2.0, 4.0, 6.0]
    );
    assert_eq!(
        floats(&x.compress(&truths(&[0, 1, 0, 0, 1]), None)),
        [2.0, 5.0]
    );
    assert_eq!(
        floats(&x.compress(&truths(&[0, 1]), Some(-1))),
        [2.0, 4.0, 6.0]
    );
    assert!(x.compress(&truths(&[0, 1, 1]), Some(1)).eval().is_err());
    assert!(x.compress(&truths(&[1]), Some(2)).eval().is_err());
    assert!(x.compress(&x, None).eval().is_err());
    assert_eq!(x.compress(&truths(&[]), Some(0)).shape()?, [0, 2]);
    // ONNX, test_nonzero_example
    let places = Tensor::from([[1, 0], [1, 1]]).cast(DType::Bool).non_zero();
    assert_eq!(integers(&places), [0, 1, 1, 0, 0, 1]);
    assert_eq!(Tensor::from(5.0).non_zero().shape()?, [0, 1]);
    assert_eq!(Tensor::zeros([2, 0, 3]).non_zero().shape()?, [3, 0]);
    let nan = Tensor::from([f32::NAN, -0.0]).non_zero();
    assert_eq!(integers(&nan), [0]);
    // A parameter has a value, an input of a program has none.
    let parameter = Parameter::new("x", &x)?;
    assert_eq!(parameter.tensor().non_zero().shape()?, [2, 6]);
    Ok(())
}

#[test]
fn numbers_alone() -> Result<()> {
    // ONNX, test_range_float_type_positive_delta, test_range_int32_type_negative_delta
    assert_eq!(
        floats(&Tensor::range(1.0, 5.0, 2.0, DType::F32)),
        [1.0, 3.0]
    );
    assert_eq!(
        integers(&Tensor::range(10.0, 6.0, -3.0, DType::I64)),
        [10, 7]
    );
    assert_eq!(Tensor::range(1.0, 1.0, 1.0, DType::F64).shape()?, [0]);
    assert!(Tensor::range(0.0, 1.0, 0.3, DType::I64).eval().is_err());
    assert!(Tensor::range(0.0, 1e300, 1.0, DType::F32).eval().is_err());
    assert!(
        Tensor::range(0.0, f64::NAN, 1.0, DType::F32)
            .eval()
            .is_err()
    );
    let eye = Tensor::diagonal_ones(3, 2, -1, DType::F32);
    assert_eq!(floats(&eye), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    // ONNX, test_onehot_with_axis, test_onehot_negative_indices
    let (on, off) = (Tensor::from(3.0), Tensor::from(1.0));
    let y = Tensor::from([[1, 9], [2, 4]]).one_hot_of(1, 10, &on, &off);
    assert_eq!(y.shape()?, [2, 10, 2]);
    let expected: Vec<f32> = (0..40)
        .map(|i| match (i / 20, i / 2 % 10, i % 2) {
            (0, 1, 0) | (0, 9, 1) | (1, 2, 0) | (1, 4, 1) => 3.0,
            _ => 1.0,
        })
        .collect();
    assert_eq!(floats(&y), expected);
    let y = Tensor::from([0, -7, -8]).one_hot_of(1, 10, &on, &off);
    assert_eq!(floats(&y.at(0, 0))[0], 3.0);
    assert_eq!(floats(&y.at(0, 1))[3], 3.0);
    assert_eq!(floats(&y.at(0, 2))[2], 3.0);
    assert_eq!(floats(&y.sum())[0], 36.0);
    Ok(())
}

#[test]
fn boxes_that_stay() {
    let six = [
        [0.0, 0.0, 1.0, 1.0],
        [0.0, 0.1, 1.0, 1.1],
        [0.0, -0.1, 1.0, 0.9],
        [0.0, 10.0, 1.0, 11.0],
        [0.0, 10.1, 1.0, 11.1],
        [0.0, 100.0, 1.0, 101.0],
    ];
    let boxes = Tensor::from([six]);
    let scores = Tensor::from([[[0.9, 0.75, 0.6, 0.95, 0.5, 0.3]]]);
    let usual = Suppression {
        most: 3,
        overlap: 0.5,
        score: Some(0.0),
        centred: false,
    };
    let taken = |how: &Suppression| integers(&boxes.non_max_suppression(&scores, how));
    // ONNX, test_nonmaxsuppression_suppress_by_IOU, _suppress_by_IOU_and_scores, _limit_output_size
    assert_eq!(taken(&usual), [0, 0, 3, 0, 0, 0, 0, 0, 5]);
    let scored = Suppression {
        score: Some(0.4),
        ..usual
    };
    assert_eq!(taken(&scored), [0, 0, 3, 0, 0, 0]);
    assert_eq!(taken(&Suppression { most: 2, ..usual }), [0, 0, 3, 0, 0, 0]);
    assert_eq!(taken(&Suppression { most: 0, ..usual }), [] as [i64; 0]);
    // _flipped_coordinates
    let flipped = six.map(|[a, b, c, d]| [c, d, a, b]);
    let found = Tensor::from([flipped]).non_max_suppression(&scores, &usual);
    assert_eq!(integers(&found), [0, 0, 3, 0, 0, 0, 0, 0, 5]);
    // _center_point_box_format
    let centred = [0.5, 0.6, 0.4, 10.5, 10.6, 100.5].map(|y| [0.5, y, 1.0, 1.0]);
    let how = Suppression {
        centred: true,
        ..usual
    };
    let found = Tensor::from([centred]).non_max_suppression(&scores, &how);
    assert_eq!(integers(&found), [0, 0, 3, 0, 0, 0, 0, 0, 5]);
    // _identical_boxes, _two_classes, _two_batches
    let same = Tensor::from([[[0.0, 0.0, 1.0, 1.0]; 10]]);
    let nine = Tensor::from([[[0.9; 10]]]);
    let found = same.non_max_suppression(&nine, &usual);
    assert_eq!(integers(&found), [0, 0, 0]);
    let two = Suppression { most: 2, ..usual };
    let classes = Tensor::concat(&[&scores, &scores], 1);
    let found = boxes.non_max_suppression(&classes, &two);
    assert_eq!(integers(&found), [0, 0, 3, 0, 0, 0, 0, 1, 3, 0, 1, 0]);
    let (images, both) = (
        Tensor::concat(&[&boxes, &boxes], 0),
        Tensor::concat(&[&scores, &scores], 0),
    );
    let found = images.non_max_suppression(&both, &two);
    assert_eq!(integers(&found), [0, 0, 3, 0, 0, 0, 1, 0, 3, 1, 0, 0]);
    assert!(boxes.non_max_suppression(&both, &two).eval().is_err());
    let beyond = Suppression {
        overlap: 1.5,
        ..usual
    };
    assert!(boxes.non_max_suppression(&scores, &beyond).eval().is_err());
}

/// Where several attain a maximum, each has its share of the gradient; of updates at one place, the last is there.
#[test]
fn gradients_of_scattering() {
    let (x, u) = (Tensor::from([5.0, 1.0]), Tensor::from([5.0, 5.0, 0.0]));
    let places = Tensor::from([0, 0, 1]);
    let y = x.scatter_elements(0, &places, &u, Reducer::Max).sum();
    assert_eq!(floats(&(grad(&y, &x) * 3.0)), [1.0, 3.0]);
    assert_eq!(floats(&(grad(&y, &u) * 3.0)), [1.0, 1.0, 0.0]);
    let y = x.scatter_elements(0, &places, &u, Reducer::None).sum();
    assert_eq!(floats(&grad(&y, &u)), [0.0, 1.0, 1.0]);
    assert_eq!(floats(&grad(&y, &x)), [0.0, 0.0]);
}

#[test]
fn equations_that_say_nothing() {
    let (x, v) = (Tensor::ones([2, 3]), Tensor::ones([3]));
    for (equation, operands, why) in [
        ("ij", vec![&x, &v], "1 terms do not go with 2 operands"),
        ("ij,j", vec![&x], "2 terms"),
        ("i", vec![&x], "does not name the 2 axes"),
        ("ijk...", vec![&x], "does not name the 2 axes"),
        ("ii", vec![&x], "axis 'i' is 2 and 3 long"),
        ("ij,i", vec![&x, &v], "axis 'i' is 2 and 3 long"),
        ("ij->ik", vec![&x], "no operand has axis 'k'"),
        ("ij->ii", vec![&x], "twice in the output"),
        ("i1->i", vec![&x], "letters from A to z"),
        ("......ij->i", vec![&x], "... twice"),
        ("ij->...", vec![&x], "no operand has what ..."),
        ("ä->", vec![&v], "letters from A to z"),
    ] {
        let error = Tensor::einsum(equation, &operands).eval().unwrap_err();
        assert!(error.to_string().contains(why), "{equation}: {error}");
    }
}

/// However many operands there are, they are joined.
#[test]
fn equations_of_many_operands() -> Result<()> {
    let x = Tensor::from([[0.0, 1.0], [1.0, 0.0]]);
    for count in [2usize, 20, 51] {
        let letters: Vec<char> = ('a'..='z').chain('A'..='Z').take(count + 1).collect();
        let terms: Vec<String> = letters.windows(2).map(|two| two.iter().collect()).collect();
        let (first, last) = (letters[0], letters[count]);
        let equation = format!("{}->{first}{last}", terms.join(","));
        let y = Tensor::einsum(&equation, &vec![&x; count]);
        let expected = match count % 2 {
            0 => [1.0, 0.0, 0.0, 1.0],
            _ => [0.0, 1.0, 1.0, 0.0],
        };
        assert_eq!(floats(&y), expected, "{count} operands");
    }
    Ok(())
}

/// Looks at tensors that numbers from outside would make too large, or that are empty along long axes.
#[test]
fn sizes_from_outside() {
    let look = |what: &str, build: &dyn Fn() -> Tensor| {
        let all = catch_unwind(AssertUnwindSafe(|| {
            let y = build();
            if y.meta().is_ok_and(|m| m.len() <= 1 << 20) {
                let _ = y.eval();
            }
        }));
        assert!(all.is_ok(), "{what} panics");
    };
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let i = Tensor::from([[1, 2, 0], [0, 1, 1]]);
    let (long, wide) = (
        Tensor::zeros([1 << 40, 0]),
        Tensor::zeros([0, 1 << 20, 1 << 20]),
    );
    for a in [i64::MIN, -3, -1, 0, 1, 2, 5, 1 << 40, i64::MAX] {
        let n = a as usize;
        for x in [&x, &i, &long, &wide] {
            look("prod", &|| x.prod_axes(&[a], true));
            look("log_sum_exp", &|| x.log_sum_exp_axes(&[a], false));
            look("cumprod", &|| x.cumprod_with(a, true, true));
            look("cumsum", &|| x.cumsum_with(a, true, true));
            look("linear_recurrence", &|| x.linear_recurrence(x, a));
            look("argmax", &|| x.argmax_with(a, true, true));
            look("argsort", &|| x.argsort(a, true));
            look("sort", &|| x.sort(a, true).0);
            look("top_k", &|| x.top_k(n, 1, true).0);
            look("top_k axis", &|| x.top_k(0, a, true).0);
            look("triu", &|| x.triu(a));
            look("tile", &|| x.tile([n, 1]));
            look("glu", &|| x.glu(a));
            look("unique", &|| x.unique(true, Some(a)).values);
            look("unique inverse", &|| x.unique(false, None).inverse);
            look("non_zero", &|| x.non_zero());
            look("compress", &|| x.compress(&x.is_nan(), Some(a)));
            look("reverse axes", &|| x.reverse_sequence(&i.at(0, 0), a, 0));
            look("gather_nd batch", &|| x.gather_nd(&i, n));
            look("einsum", &|| Tensor::einsum("ij,ij->i", &[x, x]));
            look("einsum of all", &|| Tensor::einsum("ij,kl->jl", &[x, x]));
        }
        let at = Tensor::from([[a, 0]]);
        look("reverse", &|| {
            x.reverse_sequence(&Tensor::from([a, 1]), 0, 1)
        });
        look("gather_nd", &|| x.gather_nd(&at, 0));
        for reducer in [Reducer::None, Reducer::Add, Reducer::Max] {
            let u = Tensor::from([7.0]);
            look("scatter_nd", &|| x.scatter_nd(&at, &u, reducer));
            look("scatter_elements", &|| {
                x.scatter_elements(1, &at, &Tensor::from([[1.0, 2.0]]), reducer)
            });
            look("scatter_elements axis", &|| {
                x.scatter_elements(a, &i, &x, reducer)
            });
        }
        let (on, off) = (Tensor::from(1.0), Tensor::from(0.0));
        look("one_hot_of", &|| at.one_hot_of(-1, n, &on, &off));
        look("one_hot_of axis", &|| at.one_hot_of(a, 3, &on, &off));
        look("diagonal_ones", &|| {
            Tensor::diagonal_ones(n, 3, a, DType::F32)
        });
        look("range", &|| Tensor::range(0.0, a as f64, 1.0, DType::I64));
        look("shift", &|| i.shift_left(&Tensor::from(a)));
        look("modulo", &|| i.modulo(&Tensor::from(a)));
    }
    let none = Tensor::zeros([1 << 40, 0, 4]);
    let how = Suppression::default();
    look("non_max_suppression", &|| {
        none.non_max_suppression(&Tensor::zeros([1 << 40, 1, 0]), &how)
    });
}
