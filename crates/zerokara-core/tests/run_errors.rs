//! What can only be seen when values are there, or memory is asked for, is an error as well: with the operation, the layer
//! and the line.

use zerokara_core::{Array, DType, Meta, Program, Tensor, op::ConvOptions, op::PoolOptions, scope};

/// The error names these, and this file and line.
fn located(error: &zerokara_core::Error, line: u32, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    let place = format!("run_errors.rs:{line}:");
    assert!(
        text.ends_with(&text[text.find(&place).unwrap_or(text.len())..]) && text.contains(&place),
        "{text}, not line {line}"
    );
    assert_eq!(error.location().map(|l| l.line()), Some(line));
    assert!(!error.is_graph_error());
}

#[test]
fn a_label_out_of_range_is_located() {
    let logits = Tensor::from([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]);
    for wrong in [3i64, -1, i64::MAX] {
        // The same structure, so the same plan: each error still has its own line.
        let (first, one) = (line!(), logits.cross_entropy(&Tensor::from([0, wrong])));
        let (second, two) = (line!(), logits.cross_entropy(&Tensor::from([wrong, 0])));
        let words = ["one_hot: ", &wrong.to_string(), "below 3"];
        located(&one.eval().unwrap_err(), first, &words);
        located(&two.eval().unwrap_err(), second, &words);
    }
    assert!(logits.cross_entropy(&Tensor::from([0, 2])).eval().is_ok());
}

#[test]
fn an_index_out_of_range_is_located_in_its_layer() {
    let table = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let indices = Tensor::input("indices", [2], DType::I64);
    let line = line!() + 1;
    let rows = scope::in_layer("embedding1", None, || table.index_select(0, &indices));
    let program = Program::compile(&[&indices], &[&(rows * 2.0)], &[]).unwrap();
    let error = program.run(&[Array::new([2], vec![0i64, 2])]).unwrap_err();
    located(
        &error,
        line,
        &[
            "index_select: ",
            "index 2",
            "below 2",
            "(in layer embedding1)",
        ],
    );
    // And the program is as good as before.
    let good = program.run(&[Array::new([2], vec![1i64, 0])]).unwrap();
    assert_eq!(good[0].as_slice::<f32>().unwrap(), [6.0, 8.0, 2.0, 4.0]);
    let mut runner = program.runner();
    let error = runner
        .run_timed(&[Array::new([2], vec![-1i64, 0])])
        .unwrap_err();
    located(&error, line, &["index -1"]);
}

#[test]
fn what_a_reference_loop_rejects_is_located() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let (line, picked) = (line!(), x.gather(1, &Tensor::from([[0], [2]])));
    located(&picked.eval().unwrap_err(), line, &["gather: ", "2"]);
}

#[test]
fn an_error_in_a_gradient_is_located_where_the_operation_was_built() {
    let logits = Tensor::from([[1.0, 2.0, 3.0]]);
    let (line, loss) = (line!(), logits.cross_entropy(&Tensor::from([7])));
    let error = zerokara_core::grad(&loss.sum(), &logits)
        .eval()
        .unwrap_err();
    located(&error, line, &["one_hot: ", "7"]);
}

#[test]
fn sizes_beyond_all_memory_are_errors() {
    let huge = usize::MAX;
    let x = Tensor::ones([1, 1, 4, 4]);
    let w = Tensor::ones([1, 1, 3, 3]);
    let options = ConvOptions::default();
    let pool = |kernel, stride, padding: [usize; 2]| PoolOptions {
        kernel,
        stride,
        padding: padding.into(),
    };
    let cases: Vec<(&str, Tensor)> = vec![
        ("zeros", Tensor::zeros([huge, 2])),
        ("zeros, none", Tensor::zeros([huge, 0, 3])),
        ("zeros, half", Tensor::zeros([huge / 2])),
        ("input", Tensor::input("x", [huge, huge], DType::F32)),
        ("uniform", Tensor::uniform(1, &Tensor::from(0), [huge, 3])),
        ("normal", Tensor::normal(1, &Tensor::from(0), [huge])),
        ("broadcast", x.broadcast_to(&[huge / 4, 1, 4, 4])),
        ("pad", x.pad(&[0, 0, 0, huge], &[0, 0, 0, 1], 0.0)),
        (
            "pad, far",
            x.pad(&[0, 0, huge / 8, 0], &[0, 0, 0, huge / 8], 0.0),
        ),
        ("one_hot", Tensor::from([1, 2]).one_hot(huge)),
        ("reshape", x.reshape([i64::MAX, i64::MAX])),
        ("reshape, rest", x.reshape([i64::MAX, i64::MAX, -1])),
        (
            "conv padding",
            x.conv2d(
                &w,
                ConvOptions {
                    padding: [huge, 1].into(),
                    ..options
                },
            ),
        ),
        (
            "conv padding, half",
            x.conv2d(
                &w,
                ConvOptions {
                    padding: [huge / 2, huge / 2].into(),
                    ..options
                },
            ),
        ),
        (
            "conv dilation",
            x.conv2d(
                &w,
                ConvOptions {
                    dilation: [huge, 2],
                    ..options
                },
            ),
        ),
        (
            "conv stride",
            x.conv2d(
                &w,
                ConvOptions {
                    padding: [huge / 4, 0].into(),
                    stride: [0, 1],
                    ..options
                },
            ),
        ),
        (
            "max pool",
            x.max_pool2d(pool([huge, huge], [1, 1], [huge - 1, huge - 1])),
        ),
        (
            "average pool",
            x.avg_pool2d(pool([huge, 2], [1, 1], [huge / 2, 0]), true),
        ),
        (
            "im2col",
            x.im2col([huge, huge], [1, 1], [huge, huge], [huge, huge]),
        ),
        (
            "matmul",
            Tensor::input("a", [1 << 40, 1], DType::F32).matmul(&Tensor::ones([1, 1 << 30])),
        ),
    ];
    for (what, tensor) in cases {
        match tensor.eval() {
            Ok(value) => panic!("{what}: {value:?}"),
            Err(error) => assert!(error.location().is_some(), "{what}: {error}"),
        }
    }
    // What could be counted, but is not there.
    let error = Tensor::zeros([1 << 50]).eval().unwrap_err().to_string();
    assert!(error.contains("ZEROKARA_MEMORY"), "{error}");
    assert!(error.contains("run_errors.rs"), "{error}");
    let big = Meta::new([1 << 50], DType::F64);
    assert!(Array::try_zeros(&big).is_err());
    let big = Tensor::input("x", [4], DType::F32).broadcast_to(&[1 << 46, 4]) * 2.0;
    assert!(Program::compile(&[], &[&big], &[]).is_err());
}
