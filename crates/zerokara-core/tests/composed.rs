//! Functions that are made of operations against PyTorch, by the cases that `tools/goldens_losses.py` writes: values and
//! gradients in double precision, and as they are compiled.

use serde_json::Value;
use std::{fs, path::PathBuf};
use zerokara_core::{
    Array, Blocks, DType, Fourier, Labels, LossReduction, Precision, Tensor, gradients, interpret,
};

fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| match value {
        Value::String(word) => word.parse().expect("a number"),
        other => other.as_f64().expect("a number"),
    };
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(number)
        .collect()
}

fn array(value: &Value) -> Array {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).expect("a shape");
    let dtype = DType::from_name(value["dtype"].as_str().expect("a type")).expect("a type");
    Array::new(shape, numbers(&value["data"])).cast(dtype)
}

fn reduction(case: &Value) -> LossReduction {
    match case["attributes"]["reduction"].as_str() {
        Some("none") => LossReduction::None,
        Some("sum") => LossReduction::Sum,
        Some("batch_mean") => LossReduction::BatchMean,
        _ => LossReduction::Mean,
    }
}

fn blocks(settings: &Value) -> Blocks {
    let list = |name: &str| -> Vec<usize> {
        serde_json::from_value(settings[name].clone()).expect("a list of sizes")
    };
    Blocks {
        image: list("image"),
        block: list("block"),
        dilation: list("dilation"),
        stride: list("stride"),
        padding: list("padding"),
    }
}

/// The function of this name with the settings of a case.
fn apply(name: &str, case: &Value, x: &[Tensor]) -> Tensor {
    let settings = &case["attributes"];
    let number = |name: &str| settings[name].as_f64().expect("a number");
    let truth = |name: &str| settings[name].as_bool().expect("a truth value");
    let axis = || settings["axis"].as_i64().expect("an axis");
    let axes = || -> Vec<i64> { serde_json::from_value(settings["axes"].clone()).expect("axes") };
    let how = || Labels {
        weights: x.get(2).cloned(),
        ignore: settings["ignore"].as_i64(),
        reduction: reduction(case),
    };
    match name {
        "nll_loss" => x[0].nll_loss(&x[1], &how()),
        "cross_entropy_of" => x[0].cross_entropy_of(&x[1], &how(), number("smoothing")),
        "kl_divergence" => x[0].kl_divergence(&x[1], truth("log_target"), reduction(case)),
        "cosine_embedding_loss" => {
            x[0].cosine_embedding_loss(&x[1], &x[2], number("margin"), reduction(case))
        }
        "triplet_margin_loss" => {
            let (margin, p, swap) = (number("margin"), number("p"), truth("swap"));
            x[0].triplet_margin_loss(&x[1], &x[2], margin, p, swap, reduction(case))
        }
        "glu" => x[0].glu(axis()),
        "swiglu" => x[0].swiglu(axis()),
        "geglu" => x[0].geglu(axis()),
        "reglu" => x[0].reglu(axis()),
        "l1_axes" => x[0].l1_axes(&axes(), truth("keep")),
        "sum_square_axes" => x[0].sum_square_axes(&axes(), truth("keep")),
        "log_sum_axes" => x[0].log_sum_axes(&axes(), truth("keep")),
        "fold" => x[0].fold(&blocks(settings)),
        "unfold" => x[0].unfold(&blocks(settings)),
        "fourier" => {
            let how = Fourier {
                length: settings["length"].as_u64().map(|n| n as usize),
                inverse: truth("inverse"),
                one_sided: truth("one_sided"),
            };
            x[0].dft(axis(), &how)
        }
        "stft" => {
            let size = |name: &str| settings[name].as_u64().expect("a size") as usize;
            x[0].stft(size("frame"), size("step"), x.get(1), truth("one_sided"))
        }
        "window" => {
            let size = settings["size"].as_u64().expect("a size") as usize;
            let make = match settings["kind"].as_str() {
                Some("hann") => Tensor::hann_window,
                Some("hamming") => Tensor::hamming_window,
                _ => Tensor::blackman_window,
            };
            make(size, truth("periodic"), DType::F64)
        }
        "norm_axes" => x[0].norm_axes(&axes(), truth("keep")),
        other => panic!("{other} has cases, and is called by none"),
    }
}

fn close(what: &str, found: &Array, expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().filter(|x| x.is_finite());
    let scale = scale.fold(0.1f64, |scale, x| scale.max(x.abs()));
    for (found, &expected) in found.to_f64s().into_iter().zip(expected) {
        let same = found == expected || found.is_nan() && expected.is_nan();
        assert!(
            same || (found - expected).abs() <= tolerance * scale,
            "{what}: {found} instead of {expected}"
        );
    }
}

#[test]
fn composed_functions_agree_with_pytorch() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "goldens", "functions"]
        .iter()
        .collect();
    let mut count = 0;
    for file in fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        let name = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let text = fs::read_to_string(&path).expect("text");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        for (i, case) in cases.iter().enumerate() {
            let what = format!("{name} case {i}: {}", case["attributes"]);
            let leaves = || -> Vec<Tensor> {
                let inputs = case["inputs"].as_array().expect("inputs");
                inputs.iter().map(|x| Tensor::from(array(x))).collect()
            };
            let expected = numbers(&case["output"]["data"]);
            let shape: Vec<usize> =
                serde_json::from_value(case["output"]["shape"].clone()).expect("a shape");
            let y = apply(name, case, &leaves());
            assert_eq!(y.shape().expect("a shape"), shape, "{what}");
            let double = interpret(&[&y], &[], Precision::Double).expect(&what);
            close(&what, &double[0], &expected, 1e-10);
            close(&what, &y.eval().expect(&what), &expected, 1e-5);
            count += 1;
            let Some(slopes) = case["gradients"].as_array() else {
                continue;
            };
            let x = leaves();
            let g = Array::new(shape, numbers(&case["output_gradient"])).cast(DType::F32);
            let loss = (apply(name, case, &x) * Tensor::from(g)).sum();
            let with: Vec<usize> = (0..slopes.len())
                .filter(|&i| !slopes[i].is_null())
                .collect();
            let wrt: Vec<&Tensor> = with.iter().map(|&i| &x[i]).collect();
            let found = gradients(&loss, &wrt);
            let found: Vec<&Tensor> = found.iter().collect();
            let double = interpret(&found, &[], Precision::Double).expect(&what);
            for (at, (&i, double)) in with.iter().zip(&double).enumerate() {
                let expected = numbers(&slopes[i]);
                let what = format!("{what}, gradient {i}");
                close(&what, double, &expected, 1e-9);
                close(&what, &found[at].eval().expect(&what), &expected, 1e-5);
            }
        }
    }
    assert!(count > 200, "only {count} cases");
}

#[test]
fn losses_that_cannot_be() {
    let x = Tensor::ones([2, 3]).log_softmax();
    let (labels, how) = (Tensor::from([0, 2]), Labels::default());
    let fails = |y: Tensor, why: &str| {
        let error = y.eval().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    fails(x.nll_loss(&Tensor::from([0, 3]), &how), "out of range");
    fails(x.nll_loss(&Tensor::from([0]), &how), "one for each row");
    fails(x.nll_loss(&x, &how), "needs labels i64[2]");
    fails(
        x.cross_entropy_of(&Tensor::from([0, -1]), &how, 0.0),
        "label -1",
    );
    fails(x.cross_entropy_of(&labels, &how, 1.5), "smoothing");
    let weights = Some(Tensor::from([1.0, 2.0]));
    let uneven = Labels { weights, ..how };
    fails(x.nll_loss(&labels, &uneven), "weights must be f32[3]");
    fails(x.cross_entropy_of(&labels, &uneven, 0.1), "f32[3]");
    let mean = LossReduction::Mean;
    fails(
        x.triplet_margin_loss(&x, &x, 1.0, 0.0, false, mean),
        "above 0",
    );
    fails(x.kl_divergence(&labels, false, mean), "");
    fails(x.glu(1), "no two halves");
    fails(x.swiglu(2), "axis 2");
    let steps = x.reshape([2, 1, 3]);
    let one = |n: i64| Tensor::from([n]);
    let read = |labels: i64, steps_: i64, lengths: i64, blank: usize| {
        let labels = Tensor::from([[labels]]);
        steps.ctc_loss(&labels, &one(steps_), &one(lengths), blank, false)
    };
    fails(read(3, 2, 1, 0), "label 3 is none of 3 classes");
    fails(read(0, 2, 1, 0), "label 0 is the blank");
    fails(read(1, 3, 1, 0), "3 steps");
    fails(read(1, -1, 1, 0), "-1 steps");
    fails(read(1, 2, 2, 0), "2 labels");
    fails(read(1, 2, 1, 3), "blank 3 is none of 3 classes");
    assert!(read(9, 2, 0, 0).eval().is_ok());
    // Nothing counts.
    let none = Labels {
        ignore: Some(7),
        ..Labels::default()
    };
    let ignored = Tensor::from([7, 7]);
    assert!(x.nll_loss(&ignored, &none).item().unwrap().is_nan());
}

#[test]
fn signals_that_cannot_be() {
    let fails = |y: Tensor, why: &str| {
        let error = y.eval().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let image = |image: &[usize], block: &[usize]| Blocks {
        image: image.to_vec(),
        block: block.to_vec(),
        ..Blocks::default()
    };
    let columns = Tensor::ones([1, 4, 4]);
    fails(columns.fold(&image(&[3, 3], &[2])), "1 numbers do not go");
    fails(columns.fold(&image(&[3, 3], &[0, 1])), "at least 1");
    fails(columns.fold(&image(&[], &[])), "one axis or more");
    fails(columns.fold(&image(&[4, 3], &[2, 2])), "[N, C 4, 6]");
    fails(columns.fold(&image(&[usize::MAX; 2], &[2, 2])), "");
    fails(columns.unfold(&image(&[5], &[2])), "needs images [5]");
    let signal = Tensor::ones([1, 4, 1]);
    let how = |length, inverse, one_sided| Fourier {
        length,
        inverse,
        one_sided,
    };
    fails(signal.dft(2, &how(None, false, false)), "last axis");
    fails(signal.dft(7, &how(None, false, false)), "axis 7");
    fails(signal.dft(1, &how(Some(0), false, false)), "nothing");
    fails(signal.dft(1, &how(Some(1 << 60), false, false)), "");
    let both = signal.pad(&[0, 0, 0], &[0, 0, 1], 0.0);
    fails(both.dft(1, &how(None, false, true)), "no mirrored");
    fails(both.dft(1, &how(Some(usize::MAX), true, true)), "");
    fails(signal.stft(5, 1, None, true), "do not fit");
    fails(signal.stft(2, 0, None, true), "do not fit");
    fails(signal.stft(2, 1, Some(&signal), true), "window must be");
    fails(Tensor::hann_window(3, true, DType::I64), "floats");
    fails(Tensor::hann_window(usize::MAX, true, DType::F32), "");
    fails(Tensor::ones([2, 3]).det(), "square");
}
