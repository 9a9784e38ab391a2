//! `ZEROKARA_RULES` makes the first so many replacements of the compiler alone, and says which was the last.

use std::process::{Command, Output};
use zerokara_core::{DType, Precision, Program, Tensor, gradients, interpret, op::PoolOptions};

/// What a gradient of a rectified and pooled image is, compiled and by the reference loops.
#[test]
fn values_are_the_same_however_many_replacements_are_made() {
    let options = PoolOptions {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0].into(),
    };
    let numbers = (0..2 * 3 * 4 * 6).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0);
    let x = Tensor::new([2, 3, 4, 6], numbers.collect::<Vec<f32>>());
    let b = Tensor::new([3, 1, 1], [0.5f32, -0.25, 0.125]);
    let y = (&x * 1.5 + &b).relu().max_pool2d(options);
    let loss = (&y * &y).sum();
    let wanted = gradients(&loss, &[&x, &b]);
    let all: Vec<&Tensor> = [&loss].into_iter().chain(&wanted).collect();
    let expected = interpret(&all, &[], Precision::AsWritten).unwrap();
    let found = Program::compile(&[], &all, &[]).and_then(|program| program.run(&[]));
    match (found, std::env::var("ZEROKARA_RULES").as_deref()) {
        (Err(error), Ok("x")) => println!("{error}"),
        (found, _) => {
            for (found, expected) in found.unwrap().iter().zip(&expected) {
                assert_eq!(found.dtype(), DType::F32);
                for (a, b) in found.to_f64s().iter().zip(expected.to_f64s()) {
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
                }
            }
        }
    }
}

fn with_rules(number: &str) -> Output {
    let name = "values_are_the_same_however_many_replacements_are_made";
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("ZEROKARA_RULES", number)
        .output()
        .unwrap()
}

#[test]
fn the_last_replacement_is_told() {
    let mut told = Vec::new();
    for number in 0..20 {
        let output = with_rules(&number.to_string());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{number}: {said}");
        let lines = said.lines();
        told.extend(
            lines
                .filter_map(|line| line.strip_prefix(&format!("replacement {number}: ")))
                .map(|line| line.split(' ').next().unwrap_or_default().to_string()),
        );
    }
    for rule in [
        "places-of-pooling",
        "mask-before-scattering",
        "rectify-after-pooling",
        "add-after-pooling",
        "sum-before-scattering",
    ] {
        assert!(told.iter().any(|other| other == rule), "{rule}: {told:?}");
    }
    // Each number is told once in the one plan that is made, as long as there are so many.
    assert!((5..20).contains(&told.len()), "{told:?}");
}

#[test]
fn what_is_no_number_is_refused() {
    let output = with_rules("x");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("ZEROKARA_RULES must be a number of replacements, not \"x\""),
        "{said}"
    );
}
