//! Steps that take bytes, on every description of a machine: widened in the first pass that reads them, to the bits of the
//! interpreter.

use super::*;

fn pixels(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 89 + 7) as u8).collect()
}

/// What a step makes of pixels: scaled, normalized, seen in several ways and reduced.
fn uses(pixels: &Tensor) -> Vec<Tensor> {
    let scaled = (pixels.cast(DType::F32) / 255.0 - 0.25) / 0.5;
    let last = pixels.shape().map_or(0, <[usize]>::len) as i64 - 1;
    let backwards = pixels.slice(last, .., -1).cast(DType::F32);
    let turned = pixels.permute((0..=last).rev().collect::<Vec<_>>());
    let every_second = pixels.slice(last, 1.., 2).cast(DType::F32) * 0.5;
    vec![
        scaled.clone(),
        scaled.mean_axes(&[last], false),
        &backwards + &scaled,
        turned.cast(DType::F32) - 128.0,
        turned,
        every_second,
        pixels.greater(&pixels.full_like(100.0)),
        pixels.cast(DType::Bool).cast(DType::F32),
        pixels + pixels,
        pixels.cast(DType::F64) / 3.0,
    ]
}

#[test]
fn compiled_steps_widen_bytes_to_the_same_bits_on_every_machine() -> Result<()> {
    for shape in [
        vec![1],
        vec![7],
        vec![3, 5],
        vec![2, 1, 28, 28],
        vec![5, 31],
        vec![3, 1, 17, 9],
        vec![0, 4],
        vec![2, 1031],
    ] {
        let n = shape.iter().product();
        let value = Array::new(shape.clone(), pixels(n));
        let input = Tensor::input("x", shape, DType::U8);
        let outputs = uses(&input);
        let outputs: Vec<&Tensor> = outputs.iter().collect();
        let expected = interpret(&outputs, &[(&input, value.clone())], Precision::AsWritten)?;
        for runtime in super::machines() {
            let isa = runtime.isa();
            let program = Program::compile_in(runtime, &[&input], &outputs, &[], Arithmetic::F32)?;
            for _ in 0..2 {
                let got = program.run(std::slice::from_ref(&value))?;
                for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                    // A mean is rounded once, from a sum whose order is the kernel's.
                    let close = got
                        .to_f64s()
                        .iter()
                        .zip(expected.to_f64s())
                        .all(|(a, b)| (a - b).abs() < 1e-6);
                    assert!(
                        got.is_identical(expected) || (i == 1 && close),
                        "{i} on {}: {got} {expected}",
                        isa.name()
                    );
                }
            }
        }
    }
    Ok(())
}
