//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use serde_json::Value;
use std::collections::BTreeMap;
use zerokara_core::{Array, DType, Tensor, gradients};
use zerokara_nn::{Context, Forward};

/// A file of goldens.
pub fn goldens(name: &str) -> Value {
    let path = format!("{}/tests/goldens/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The numbers of a list.
pub fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// An array `{shape, data}`, f64.
pub fn array(value: &Value) -> Array {
    let shape: Vec<usize> = numbers(&value["shape"])
        .iter()
        .map(|&n| n as usize)
        .collect();
    Array::new(shape, numbers(&value["data"]).as_slice())
}

/// The array as integers or as they are.
pub fn array_of(value: &Value, integers: bool) -> Array {
    let found = array(value);
    if integers {
        found.cast(DType::I64)
    } else {
        found
    }
}

/// Fails unless the numbers agree to this share of the largest expected one.
#[track_caller]
pub fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{what}: element {i} is {f}, not {e}"
        );
    }
}

/// Parameters by name.
pub fn state(value: &Value) -> Vec<(String, Array)> {
    let entries = value.as_object().unwrap().iter();
    entries.map(|(k, v)| (k.clone(), array(v))).collect()
}

/// Checks a layer against PyTorch's: its output, its gradients, its running statistics.
pub fn check_layer(module: &dyn Forward, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let integers = case["integers"].as_bool().unwrap();
    let x = array_of(&case["x"], integers);
    module.build(&x, 1).unwrap();
    let mut values = state(&case["parameters"]);
    values.extend(state(&case["buffers"]));
    // An embedding of integers is f32; all other layers take the input's element type.
    let tolerance = if integers { 1e-6 } else { 1e-12 };
    if integers {
        values
            .iter_mut()
            .for_each(|(_, a)| *a = a.cast(zerokara_core::DType::F32));
    }
    module.load_state(&values).unwrap();

    let train = case["train"].as_bool().unwrap();
    let mut cx = if train {
        Context::train(0)
    } else {
        Context::evaluate()
    };
    let x = Tensor::from(x);
    let y = module.forward(&x, &mut cx);
    let expected = array(&case["output"]);
    assert_eq!(y.shape().unwrap(), expected.shape(), "{name}");
    let found = y.eval().unwrap().to_f64s();
    assert_close(&found, &expected.to_f64s(), tolerance, name);

    let cotangent = Tensor::from(array(&case["cotangent"])).cast(y.dtype().unwrap());
    let loss = (&y * cotangent).sum();
    let parameters = module.named_parameters().unwrap();
    let leaves: Vec<Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
    let wrt: Vec<&Tensor> = leaves.iter().chain([&x]).collect();
    let found = gradients(&loss, &wrt);
    let mut expected: Vec<(String, Array)> = Vec::new();
    for (path, _) in &parameters {
        expected.push((path.clone(), array(&case["gradients"][path])));
    }
    if !integers {
        expected.push(("x".into(), array(&case["x_gradient"])));
    }
    for ((path, expected), found) in expected.iter().zip(found) {
        let found = found.eval().unwrap().to_f64s();
        let what = format!("{name}: gradient of {path}");
        assert_close(&found, &expected.to_f64s(), tolerance, &what);
    }

    let updates: BTreeMap<String, Array> = cx
        .finish()
        .unwrap()
        .iter()
        .map(|(p, value)| (p.name().to_string(), value.eval().unwrap()))
        .collect();
    if train {
        for (path, expected) in state(&case["buffers_after"]) {
            let what = format!("{name}: {path}");
            let found = updates[&path].to_f64s();
            assert_close(&found, &expected.to_f64s(), tolerance, &what);
        }
    } else {
        assert!(updates.is_empty(), "{name}");
    }
}
