//! Every operation against its samples in `goldens/`, which `tools/goldens.py` computes with PyTorch and NumPy: the
//! reference, the gradients, both by differences and to second order, and what is compiled.

use serde_json::Value;
use std::{fmt::Write, fs, path::PathBuf};
use zerokara_core::{
    Array, Attribute, Attributes, DType, Interpreter, Precision, Tensor, gradients, interpret,
    op::{Call, Gradient},
    registry::{self, REGISTRY},
};

/// Inputs and expected results of an operation.
struct Case {
    name: String,
    op: &'static str,
    attributes: Attributes,
    inputs: Vec<Array>,
    output: Array,
    /// The output's gradient, and those of the inputs.
    gradients: Option<(Array, Vec<Option<Array>>)>,
    kink: bool,
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("a number"),
        other => other.as_f64().expect("a number"),
    }
}

fn array(shape: &[usize], dtype: DType, data: &Value) -> Array {
    let numbers: Vec<f64> = data
        .as_array()
        .expect("a list")
        .iter()
        .map(number)
        .collect();
    if dtype == DType::I64 {
        let integers: Vec<i64> = data
            .as_array()
            .expect("a list")
            .iter()
            .map(|v| v.as_i64().expect("an integer"))
            .collect();
        return Array::new(shape, integers);
    }
    Array::new(shape, numbers).cast(dtype)
}

/// Floats come as f64: the caller narrows inputs, which are exact in f32, and compares outputs.
fn packed(value: &Value) -> Array {
    let shape: Vec<usize> = value["shape"]
        .as_array()
        .expect("a shape")
        .iter()
        .map(|v| v.as_u64().expect("a length") as usize)
        .collect();
    let dtype = DType::from_name(value["dtype"].as_str().expect("a type")).expect("a type");
    let wide = if dtype == DType::F32 {
        DType::F64
    } else {
        dtype
    };
    array(&shape, wide, &value["data"])
}

fn attribute(value: &Value) -> Attribute {
    match value {
        Value::Bool(v) => Attribute::Bool(*v),
        Value::String(v) => Attribute::Text(v.clone()),
        Value::Number(v) => v
            .as_i64()
            .map_or_else(|| Attribute::Float(number(value)), Attribute::Int),
        Value::Array(v) if v.iter().all(Value::is_i64) => {
            Attribute::Ints(v.iter().filter_map(Value::as_i64).collect())
        }
        Value::Array(v) => Attribute::Floats(v.iter().map(number).collect()),
        other => panic!("{other} is no attribute"),
    }
}

/// The attributes in the order in which the operation lists them.
fn attributes(op: &str, value: &Value) -> Attributes {
    let named: Vec<(&String, Attribute)> = value
        .as_object()
        .expect("attributes")
        .iter()
        .map(|(name, v)| (name, attribute(v)))
        .collect();
    let all = |order: &[String]| {
        order.iter().fold(Attributes::none(), |sum, name| {
            match named.iter().find(|(n, _)| *n == name) {
                Some((_, value)) => sum.with(name.clone(), value.clone()),
                None => sum,
            }
        })
    };
    let any: Vec<String> = named.iter().map(|(n, _)| n.to_string()).collect();
    let built = registry::build(op, &all(&any)).unwrap_or_else(|e| panic!("{e}"));
    let order: Vec<String> = built
        .attributes()
        .iter()
        .map(|(n, _)| n.to_string())
        .collect();
    assert_eq!(
        order.len(),
        any.len(),
        "{op}: attributes {any:?} instead of {order:?}"
    );
    all(&order)
}

fn cases(op: &'static str) -> Vec<Case> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "goldens", &format!("{op}.json")]
        .iter()
        .collect();
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("operation {op} has no samples: {}: {e}", path.display()));
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let list = list.as_array().expect("a list");
    let inputs_of = |case: &Value| -> Vec<Array> {
        let inputs = case["inputs"].as_array().expect("inputs");
        inputs
            .iter()
            .map(|v| {
                let a = packed(v);
                let narrow = v["dtype"] == "f32";
                if narrow { a.cast(DType::F32) } else { a }
            })
            .collect()
    };
    list.iter()
        .enumerate()
        .map(|(i, case)| {
            let inputs = inputs_of(case);
            let output = packed(&case["output"]);
            let gradients = case["gradients"].as_array().map(|list| {
                let of = |shape: &[usize], v: &Value| array(shape, DType::F64, v);
                let found = list
                    .iter()
                    .zip(&inputs)
                    .map(|(v, input)| (!v.is_null()).then(|| of(input.shape(), v)))
                    .collect();
                (of(output.shape(), &case["output_gradient"]), found)
            });
            Case {
                name: format!("{op} case {i}: {}", case["attributes"]),
                op,
                attributes: attributes(op, &case["attributes"]),
                inputs,
                output,
                gradients,
                kink: case["kink"] == true,
            }
        })
        .collect()
}

/// Runs a check on all cases of all operations, and fails with the list of those that fail it.
fn sweep(check: impl Fn(&Case) -> Result<(), String>) {
    let mut failures = String::new();
    let mut count = 0;
    for entry in REGISTRY {
        for case in cases(entry.name) {
            count += 1;
            if let Err(why) = check(&case) {
                let shapes: Vec<_> = case.inputs.iter().map(Array::meta).collect();
                let _ = writeln!(failures, "{} of {shapes:?}: {why}", case.name);
            }
        }
    }
    assert!(count > 3 * REGISTRY.len(), "only {count} cases");
    assert!(failures.is_empty(), "\n{failures}");
}

fn words<E: ToString>(error: E) -> String {
    error.to_string()
}

impl Case {
    fn leaves(&self) -> Vec<Tensor> {
        self.inputs.iter().cloned().map(Tensor::from).collect()
    }

    fn apply(&self, inputs: &[Tensor]) -> Tensor {
        registry::apply(self.op, &self.attributes, inputs)
    }

    /// The gradients of sum(output * output_gradient) with respect to tensors that the inputs were made of.
    fn gradients_of(&self, y: &Tensor, wrt: &[&Tensor]) -> Option<Vec<Tensor>> {
        let (g, _) = self.gradients.as_ref()?;
        let g = Tensor::from(g.cast(y.dtype().ok()?));
        Some(gradients(&(y * g).sum(), wrt))
    }

    /// Positions of the inputs that gradients flow to.
    fn differentiable(&self) -> Vec<usize> {
        match &self.gradients {
            Some((_, list)) => (0..list.len()).filter(|&i| list[i].is_some()).collect(),
            None => Vec::new(),
        }
    }
}

/// As a value of this type, in which large numbers may be infinite.
fn as_far_as(dtype: DType, expected: &Array) -> Array {
    match dtype {
        DType::F32 if expected.dtype() == DType::F64 => expected.cast(dtype).cast(DType::F64),
        _ => expected.clone(),
    }
}

/// The largest difference, with NaN equal to NaN and infinities equal to themselves; and the largest finite number.
fn distance(a: &Array, b: &Array) -> Result<(f64, f64), String> {
    if a.shape() != b.shape() {
        return Err(format!("shape {:?} instead of {:?}", a.shape(), b.shape()));
    }
    let mut worst = 0.0f64;
    let mut scale = 0.0f64;
    for (i, (a, b)) in a.to_f64s().into_iter().zip(b.to_f64s()).enumerate() {
        if a.is_nan() && b.is_nan() || a == b {
            scale = if b.is_finite() {
                scale.max(b.abs())
            } else {
                scale
            };
            continue;
        }
        let difference = (a - b).abs();
        if !difference.is_finite() {
            return Err(format!("element {i} is {a} instead of {b}"));
        }
        worst = worst.max(difference);
        scale = scale.max(b.abs());
    }
    Ok((worst, scale))
}

/// An error unless both are equal up to a tolerance, relative to their largest number or to `least`.
fn close(what: &str, a: &Array, b: &Array, tolerance: f64, least: f64) -> Result<(), String> {
    let (worst, scale) = distance(a, b).map_err(|e| format!("{what}: {e}"))?;
    let scale = scale.max(least);
    if worst <= tolerance * scale {
        Ok(())
    } else {
        Err(format!(
            "{what}: off by {worst:e} at a scale of {scale:e}\n{a}\ninstead of\n{b}"
        ))
    }
}

#[test]
fn the_registry_is_sorted() {
    assert!(REGISTRY.windows(2).all(|w| w[0].name < w[1].name));
    assert!(registry::build("no_such_operation", &Attributes::none()).is_err());
}

#[test]
fn name_and_attributes_give_the_operation_back() {
    sweep(|case| {
        let op = registry::build(case.op, &case.attributes)?;
        if op.name() != case.op || op.attributes() != case.attributes {
            return Err(format!("becomes {}({})", op.name(), op.attributes()));
        }
        Ok(())
    });
}

/// What an operation lists is what its entry says that it takes; what is at its default need not be given.
#[test]
fn entries_say_which_attributes_an_operation_takes() {
    sweep(|case| {
        let entry = registry::entry(case.op)?;
        let listed: Vec<&str> = case.attributes.iter().map(|(name, _)| name).collect();
        let taken = entry.takes().map(|declared| declared.name);
        let taken: Vec<&str> = taken.filter(|name| listed.contains(name)).collect();
        if taken != listed {
            return Err(format!("lists {listed:?}, and takes {taken:?} of them"));
        }
        let needed = entry.shortened(case.attributes.clone());
        let op = registry::build(case.op, &needed)?;
        if op.attributes() != case.attributes {
            return Err(format!("({needed}) becomes ({})", op.attributes()));
        }
        for (name, _) in needed.iter() {
            let missing = needed.iter().filter(|(other, _)| *other != name);
            let missing = missing.fold(Attributes::none(), |sum, (name, value)| {
                sum.with(name.to_string(), value.clone())
            });
            if registry::build(case.op, &missing).is_ok_and(|op| op.attributes() == case.attributes)
            {
                return Err(format!("{name} is written, and needed for nothing"));
            }
        }
        match registry::build(case.op, &case.attributes.clone().with("no_such", 1i64)) {
            Err(error) if error.contains("there is no attribute no_such") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err("takes any attribute".into()),
        }
    });
}

/// An operation whose rule gives gradients must have samples of them.
#[test]
fn every_gradient_rule_has_samples() {
    for entry in REGISTRY {
        let cases = cases(entry.name);
        let has_rule = cases.iter().any(|case| {
            let inputs = case.leaves();
            let output = case.apply(&inputs);
            if !output.meta().is_ok_and(|m| m.is_float()) {
                return false;
            }
            let op = registry::build(case.op, &case.attributes).expect("an operation");
            let gradient = output.full_like(1.0);
            let answer = op.gradient(&Call {
                inputs: &inputs,
                output: &output,
                gradient: &gradient,
            });
            match answer {
                Gradient::Of(list) => list.iter().any(Option::is_some),
                Gradient::Expand => true,
                Gradient::Zero | Gradient::Forbidden(_) => false,
            }
        });
        let sampled = cases
            .iter()
            .any(|case| !case.differentiable().is_empty() && !case.output.is_empty());
        assert_eq!(
            has_rule, sampled,
            "{}: a rule, but no samples of gradients",
            entry.name
        );
    }
}

#[test]
fn references_agree_with_pytorch() {
    sweep(|case| {
        let y = case.apply(&case.leaves());
        let written = y.dtype().map_err(words)?;
        for (precision, tolerance) in [(Precision::Double, 1e-10), (Precision::AsWritten, 2e-6)] {
            let value = interpret(&[&y], &[], precision).map_err(words)?.remove(0);
            if precision == Precision::AsWritten && value.dtype() != written {
                return Err(format!("gives {} instead of {written}", value.dtype()));
            }
            let expected = as_far_as(value.dtype(), &case.output);
            close(&format!("{precision:?}"), &value, &expected, tolerance, 0.0)?;
        }
        Ok(())
    });
}

#[test]
fn gradients_agree_with_pytorch() {
    sweep(|case| {
        let Some((_, expected)) = &case.gradients else {
            return Ok(());
        };
        let inputs = case.leaves();
        let y = case.apply(&inputs);
        let at = case.differentiable();
        let wrt: Vec<&Tensor> = at.iter().map(|&i| &inputs[i]).collect();
        let found = case.gradients_of(&y, &wrt).ok_or("no gradients")?;
        let found: Vec<&Tensor> = found.iter().collect();
        // In f32, a slope like y (1 - y) is only as exact as 1 - y is.
        for (precision, tolerance, least) in [
            (Precision::Double, 1e-9, 0.0),
            (Precision::AsWritten, 1e-5, 0.1),
        ] {
            let values = interpret(&found, &[], precision).map_err(words)?;
            for (&i, value) in at.iter().zip(&values) {
                let expected = expected[i].as_ref().ok_or("no gradient")?;
                let expected = as_far_as(value.dtype(), expected);
                let what = format!("gradient {i}, {precision:?}");
                close(&what, value, &expected, tolerance, least)?;
            }
        }
        Ok(())
    });
}

/// Central differences of a scalar with respect to some elements of a leaf, beside the gradient there.
fn differences(interpreter: &Interpreter, leaf: &Tensor, gradient: &Array) -> Result<(), String> {
    let point = leaf.eval().map_err(words)?.cast(DType::F64);
    let values = point.to_f64s();
    let gradient = gradient.to_f64s();
    let scale = gradient.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
    for i in (0..values.len()).step_by((values.len() / 12).max(1)) {
        let h = 1e-5 * values[i].abs().max(1e-2);
        let at = |h: f64| -> Result<f64, String> {
            let mut moved = values.clone();
            moved[i] += h;
            let moved = Array::new(point.shape(), moved);
            Ok(interpreter.with(&[(leaf, moved)]).map_err(words)?[0].to_f64s()[0])
        };
        // A fourth-order formula: the error of rounding stays below that of the comparison.
        let numeric = (8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h);
        if (numeric - gradient[i]).abs() > 2e-6 * scale.max(numeric.abs()) {
            return Err(format!(
                "the gradient is {} and the difference {numeric} at element {i}",
                gradient[i]
            ));
        }
    }
    Ok(())
}

#[test]
fn gradients_agree_with_differences() {
    sweep(|case| {
        if case.kink || case.gradients.is_none() {
            return Ok(());
        }
        let inputs = case.leaves();
        let y = case.apply(&inputs);
        let (g, _) = case.gradients.as_ref().ok_or("no gradients")?;
        let loss = (&y * Tensor::from(g.cast(y.dtype().map_err(words)?))).sum();
        let at = case.differentiable();
        let wrt: Vec<&Tensor> = at.iter().map(|&i| &inputs[i]).collect();
        let found = gradients(&loss, &wrt);
        let found: Vec<&Tensor> = found.iter().collect();
        let found = interpret(&found, &[], Precision::Double).map_err(words)?;
        let interpreter = Interpreter::new(&[&loss], &[], Precision::Double).map_err(words)?;
        for (leaf, gradient) in wrt.iter().zip(&found) {
            differences(&interpreter, leaf, gradient)?;
        }
        Ok(())
    });
}

/// Multiples of 1/8 between -1 and 1, other ones for other seeds.
fn weights(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count)
        .map(|i| ((i * 7 + seed * 5 + 3) % 17) as f32 / 8.0 - 1.0)
        .collect();
    Tensor::new(shape, numbers)
}

#[test]
fn second_gradients_agree_with_differences() {
    sweep(|case| {
        if case.kink || case.gradients.is_none() {
            return Ok(());
        }
        let inputs = case.leaves();
        let y = case.apply(&inputs);
        let dtype = y.dtype().map_err(words)?;
        let (g, _) = case.gradients.as_ref().ok_or("no gradients")?;
        let g = Tensor::from(g.cast(dtype));
        let at = case.differentiable();
        let mut wrt: Vec<&Tensor> = at.iter().map(|&i| &inputs[i]).collect();
        let first = gradients(&(&y * &g).sum(), &wrt);
        let mut loss = Tensor::from(0.0);
        for (i, gradient) in first.iter().enumerate() {
            let weights = weights(gradient.shape().map_err(words)?, i);
            loss = loss + (gradient * weights).sum();
        }
        wrt.push(&g);
        let second = gradients(&loss, &wrt);
        let second: Vec<&Tensor> = second.iter().collect();
        let second = interpret(&second, &[], Precision::Double).map_err(words)?;
        let interpreter = Interpreter::new(&[&loss], &[], Precision::Double).map_err(words)?;
        for (leaf, gradient) in wrt.iter().zip(&second) {
            // A leaf that the gradient does not depend on has no value to move.
            differences(&interpreter, leaf, gradient)?;
        }
        Ok(())
    });
}

/// Ways to lay an input out in memory, so that the operation reads it through a view.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Dense,
    Permuted,
    Sliced,
    Flipped,
    Broadcast,
}

/// A leaf, and a view of it that has the array's shape (and, but for `Broadcast`, its elements).
fn laid_out(layout: Layout, x: &Array) -> Result<(Tensor, Tensor), String> {
    let rank = x.shape().len();
    let made = |t: Tensor| -> Result<Tensor, String> {
        let value = interpret(&[&t], &[], Precision::AsWritten).map_err(words)?;
        Ok(Tensor::from(value[0].clone()))
    };
    let dense = Tensor::from(x.clone());
    Ok(match layout {
        Layout::Dense => (dense.clone(), dense),
        Layout::Permuted => {
            let reverse: Vec<i64> = (0..rank as i64).rev().collect();
            let leaf = made(dense.permute(&reverse))?;
            (leaf.clone(), leaf.permute(&reverse))
        }
        Layout::Sliced => {
            let leaf = made(dense.pad(&vec![1; rank], &vec![2; rank], 1.0))?;
            let mut view = leaf.clone();
            for (axis, &length) in x.shape().iter().enumerate() {
                view = view.narrow(axis as i64, 1, length);
            }
            (leaf, view)
        }
        Layout::Flipped => {
            let axes: Vec<i64> = (0..rank as i64).collect();
            let leaf = made(dense.flip(&axes))?;
            (leaf.clone(), leaf.flip(&axes))
        }
        // A repeated vector would leave nothing to normalise.
        Layout::Broadcast => match x.shape() {
            &[length, _, ..] if length > 1 => {
                let leaf = made(dense.narrow(0, 0, 1))?;
                (leaf.clone(), leaf.broadcast_to(x.shape()))
            }
            _ => (dense.clone(), dense),
        },
    })
}

/// The compiled value may be off by four times what the interpreter is off in f32, and a few units in the last place
/// of the largest number or of `least`.
fn as_good(
    what: &str,
    compiled: &Array,
    single: &Array,
    double: &Array,
    least: f64,
) -> Result<(), String> {
    if compiled.dtype() != single.dtype() {
        return Err(format!(
            "{what}: {} instead of {}",
            compiled.dtype(),
            single.dtype()
        ));
    }
    let double = &as_far_as(compiled.dtype(), double);
    let (allowed, _) = distance(single, double).map_err(|e| format!("{what}, interpreted: {e}"))?;
    let (error, scale) = distance(compiled, double).map_err(|e| format!("{what}: {e}"))?;
    let epsilon = match compiled.dtype() {
        DType::F32 => f32::EPSILON as f64,
        DType::F64 => 1e-13,
        _ => 0.0,
    };
    if error <= 4.0 * allowed + 16.0 * epsilon * scale.max(least) {
        Ok(())
    } else {
        Err(format!(
            "{what}: off by {error:e}, the interpreter by {allowed:e}, at a scale of {scale:e}\n{compiled}\ninstead of\n{double}"
        ))
    }
}

fn compiled_agrees(layout: Layout) {
    sweep(|case| {
        let laid: Vec<(Tensor, Tensor)> = case
            .inputs
            .iter()
            .map(|x| laid_out(layout, x))
            .collect::<Result<_, _>>()?;
        let (leaves, inputs): (Vec<Tensor>, Vec<Tensor>) = laid.into_iter().unzip();
        // Interpreted first: a value that is known is not computed again.
        let y = case.apply(&inputs);
        let single = interpret(&[&y], &[], Precision::AsWritten)
            .map_err(words)?
            .remove(0);
        let double = interpret(&[&y], &[], Precision::Double)
            .map_err(words)?
            .remove(0);
        as_good("output", &y.eval().map_err(words)?, &single, &double, 0.0)?;

        let y = case.apply(&inputs);
        let at = case.differentiable();
        let wrt: Vec<&Tensor> = at.iter().map(|&i| &leaves[i]).collect();
        for (i, gradient) in case
            .gradients_of(&y, &wrt)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let single = interpret(&[&gradient], &[], Precision::AsWritten)
                .map_err(words)?
                .remove(0);
            let double = interpret(&[&gradient], &[], Precision::Double)
                .map_err(words)?
                .remove(0);
            as_good(
                &format!("gradient {}", at[i]),
                &gradient.eval().map_err(words)?,
                &single,
                &double,
                0.1,
            )?;
        }
        Ok(())
    });
}

/// Rows that fill no vector, and all else that hangs on lanes.
#[test]
fn compiled_agrees_on_every_machine() {
    zerokara_kernels::testing::again_on_other_machines(&[
        "compiled_agrees_with_interpreted",
        "compiled_agrees_on_permuted_inputs",
        "compiled_agrees_on_sliced_inputs",
        "compiled_agrees_on_flipped_inputs",
        "compiled_agrees_on_broadcast_inputs",
    ]);
}

#[test]
fn compiled_agrees_with_interpreted() {
    compiled_agrees(Layout::Dense);
}

#[test]
fn compiled_agrees_on_permuted_inputs() {
    compiled_agrees(Layout::Permuted);
}

#[test]
fn compiled_agrees_on_sliced_inputs() {
    compiled_agrees(Layout::Sliced);
}

#[test]
fn compiled_agrees_on_flipped_inputs() {
    compiled_agrees(Layout::Flipped);
}

#[test]
fn compiled_agrees_on_broadcast_inputs() {
    compiled_agrees(Layout::Broadcast);
}

/// Graphs of f64 are compiled too, without kernels of their own.
#[test]
fn compiled_agrees_in_double_precision() {
    sweep(|case| {
        let leaves: Vec<Tensor> = case
            .inputs
            .iter()
            .map(|x| match x.dtype() {
                DType::F32 => Tensor::from(x.cast(DType::F64)),
                _ => Tensor::from(x.clone()),
            })
            .collect();
        let y = case.apply(&leaves);
        let at = case.differentiable();
        let wrt: Vec<&Tensor> = at.iter().map(|&i| &leaves[i]).collect();
        let mut tensors = case.gradients_of(&y, &wrt).unwrap_or_default();
        tensors.push(y);
        for tensor in tensors {
            let double = interpret(&[&tensor], &[], Precision::Double)
                .map_err(words)?
                .remove(0);
            let found = tensor.eval().map_err(words)?;
            let tolerance = match found.dtype() {
                DType::F32 => 1e-5,
                _ => 1e-12,
            };
            if tensor.dtype().map_err(words)? != found.dtype() {
                return Err(format!("gives {}", found.dtype()));
            }
            close("f64", &found, &double, tolerance, 0.1)?;
        }
        Ok(())
    });
}
