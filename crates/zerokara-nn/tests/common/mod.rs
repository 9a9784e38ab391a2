//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use serde_json::Value;
use zerokara_core::{Array, DType};

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
