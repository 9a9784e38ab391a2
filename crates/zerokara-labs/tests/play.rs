//! What can be played with on pages: the scripts compute what the library computes, and every control moves something.

mod browser;

use serde_json::{Value, json};
use std::sync::Arc;
use zerokara::{core::op::ConvOptions, prelude::*};
use zerokara_labs::Options;

const LABS: [&str; 9] = [
    "optimizers",
    "numerical-differentiation",
    "perceptron",
    "activations",
    "initial-values",
    "convolution",
    "im2col",
    "softmax",
    "computational-graph",
];

/// What each kind of thing is asked.
fn questions() -> Value {
    let optimizers = ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam"];
    let valley =
        optimizers.map(|name| json!({"optimizer": name, "rate": 0.1, "steps": 25}));
    let tangent = |difference: &str, bits: &str, h: f64| json!({"x": 5.0, "h": h, "difference": difference, "bits": bits});
    let fruit = json!({"apple": 120, "apples": 3, "orange": 80, "oranges": 5, "tax": 1.08});
    json!({
        "valley": valley,
        "tangent": slopes()
            .map(|(central, bits, h)| tangent(["forward", "central"][usize::from(central)], bits, h))
            .collect::<Vec<_>>(),
        "perceptron": [{"w1": 0.5, "w2": 0.5, "b": -0.7}, {"w1": -0.5, "w2": -0.5, "b": 0.7}],
        "sigmoid": [{"w": 2.0, "b": 0.5}],
        "windows": [{"padding": 1, "stride": 2, "at": 81}, {"padding": 0, "stride": 3, "at": 1}],
        "im2col": [{"row": 1}],
        "temperature": [{"temperature": 0.5}, {"temperature": 3.0}],
        "shopping": [fruit],
    })
}

/// Differences, numbers of bits and steps: from those that cut off too much to those that are lost in rounding.
fn slopes() -> impl Iterator<Item = (bool, &'static str, f64)> {
    let kinds = [(false, "64"), (true, "64"), (false, "32"), (true, "32")];
    kinds.into_iter().flat_map(|(central, bits)| {
        (0..=16).map(move |exponent| (central, bits, 10f64.powi(-exponent)))
    })
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap_or(f64::NAN)],
    }
}

fn near(found: &Value, expected: &[f64], within: f64, what: &str) {
    let found = numbers(found);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= within * b.abs().max(1.0), "{what}: {a} and {b}");
    }
}

/// Where the library's optimizer goes in the valley.
fn path(optimizer: &dyn Optimizer, steps: u64) -> Vec<f64> {
    let mut p = Tensor::new([2], vec![-7.0f64, 2.0]);
    let mut state: Vec<Tensor> = optimizer.state().iter().map(|_| p.zeros_like()).collect();
    let mut path = vec![-7.0, 2.0];
    for step in 1..=steps {
        let f = (p.square() * Tensor::new([2], vec![0.05f64, 1.0])).sum();
        let scalars: Vec<Tensor> = (optimizer.scalars(step, optimizer.learning_rate()))
            .iter()
            .map(|&s| Tensor::new([], vec![s]))
            .collect();
        let (new, kept) = optimizer.update(&p, &grad(&f, &p), &state, &scalars);
        p = Tensor::from(new.eval().unwrap());
        state = kept.iter().map(|s| Tensor::from(s.eval().unwrap())).collect();
        path.extend(p.to_vec::<f64>().unwrap());
    }
    path
}

/// 0.01x² + 0.1x and its slope by differences, with the library's arithmetic.
fn slope(central: bool, dtype: DType, h: f64) -> f64 {
    let f = |x: &Tensor| x * x * 0.01 + x * 0.1;
    let x = Tensor::from([5.0]).cast(dtype);
    let h = Tensor::new([1], vec![h]).cast(dtype);
    let y = match central {
        true => (f(&(&x + &h)) - f(&(&x - &h))) / (&h * 2.0),
        false => (f(&(&x + &h)) - f(&x)) / &h,
    };
    y.cast(DType::F64).to_vec::<f64>().unwrap()[0]
}

#[test]
fn scripts_compute_what_the_library_computes_and_controls_move() {
    let networks = tempfile::tempdir().unwrap();
    let options = Options::new().quick().quiet().networks(networks.path());
    let pages = LABS.map(|name| {
        let report = options.run(zerokara_labs::lab(name).unwrap()).unwrap();
        (name.to_string(), report.page())
    });
    let script =
        format!("const questions = {};\n{}", questions(), include_str!("browser/play.js"));
    let Some(found) = browser::look_at(&pages, &script) else {
        return;
    };
    let mut kinds = Vec::new();
    for (name, _) in &pages {
        let page = &found[name];
        assert_eq!(page["problems"], json!([]), "{name}: {page}");
        assert!(
            page["told"].as_str().is_none_or(|told| !told.is_empty()),
            "{name}: {page}"
        );
        if let Some(sorted) = page["sorted"].as_array() {
            let text =
                |value: &Value| value.as_str().unwrap_or("").replace(['−', ','], "-");
            let sorted: Vec<f64> =
                sorted.iter().filter_map(|v| text(v).trim().parse().ok()).collect();
            assert!(sorted.is_sorted(), "{name}: {sorted:?}");
        }
        for thing in page["things"].as_array().unwrap_or_else(|| panic!("{name}: {page}")) {
            let kind = thing["kind"].as_str().unwrap();
            assert_eq!(thing["still"], json!([]), "{name}: {kind} does not move");
            assert_eq!(thing["lost"], json!([]), "{name}: {kind}");
            assert_eq!(thing["unreachable"], json!([]), "{name}: {kind}");
            assert_eq!(thing["stories"], 0, "{name}: {kind} has a picture without words");
            assert_ne!(thing["dragged"], json!(false), "{name}: {kind}");
            check(kind, &thing["asked"]);
            kinds.push(kind.to_string());
        }
    }
    kinds.sort();
    let all = [
        "frames",
        "im2col",
        "perceptron",
        "shopping",
        "sigmoid",
        "tangent",
        "temperature",
        "valley",
        "windows",
    ];
    assert_eq!(kinds, all);
}

fn check(kind: &str, asked: &Value) {
    let array = |x: &Tensor| x.cast(DType::F64).to_vec::<f64>().unwrap();
    match kind {
        "valley" => {
            let all: [Arc<dyn Optimizer>; 6] = [
                Arc::new(Sgd::new(0.1)),
                Arc::new(Momentum::new(0.1).momentum(0.9)),
                Arc::new(Nesterov::new(0.1).momentum(0.9)),
                Arc::new(AdaGrad::new(0.1)),
                Arc::new(RmsProp::new(0.1)),
                Arc::new(Adam::new(0.1)),
            ];
            for (at, optimizer) in all.iter().enumerate() {
                near(&asked[at], &path(&**optimizer, 25), 1e-9, optimizer.name());
            }
        }
        "tangent" => {
            for (at, (central, bits, h)) in slopes().enumerate() {
                let (dtype, epsilon) = match bits {
                    "32" => (DType::F32, f64::from(f32::EPSILON)),
                    _ => (DType::F64, f64::EPSILON),
                };
                // In the difference, a rounding of f counts 1 / h times.
                let what = format!("central {central}, {bits} bits, h = {h:e}");
                let expected = [slope(central, dtype, h)];
                near(&asked[at]["slope"], &expected, 4.0 * epsilon / h, &what);
            }
            near(&asked[0]["exact"], &[0.2], 1e-15, "the true slope");
        }
        "perceptron" => {
            near(&asked[0]["answers"], &[0.0, 0.0, 0.0, 1.0], 0.0, "AND");
            near(&asked[1]["answers"], &[1.0, 1.0, 1.0, 0.0], 0.0, "NAND");
            assert_eq!(asked[0]["gate"]["en"], "AND");
        }
        "sigmoid" => {
            let x: Vec<f64> = (0..121).map(|i| -6.0 + f64::from(i) / 10.0).collect();
            let y = array(&(Tensor::new([121], x.clone()) * 2.0 + 0.5).sigmoid());
            let points: Vec<f64> = x.iter().zip(&y).flat_map(|(x, y)| [*x, *y]).collect();
            near(&asked[0], &points, 1e-12, "sigmoid");
        }
        "windows" => {
            // The lab's picture and filter.
            let image: Vec<f64> =
                (0..49).map(|i| f64::from((i % 7 + 1 + 3 * (i / 7)) % 4)).collect();
            let image = Tensor::new([1, 1, 7, 7], image);
            let filter = vec![2.0f64, 0.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 2.0];
            let filter = Tensor::new([1, 1, 3, 3], filter);
            for (at, (padding, stride)) in [(1, 2), (0, 3)].into_iter().enumerate() {
                let options = ConvOptions {
                    stride: [stride; 2],
                    padding: [padding; 2].into(),
                    ..Default::default()
                };
                let output = array(&image.conv2d(&filter, options));
                near(&asked[at]["output"], &output, 1e-12, "windows");
            }
        }
        "im2col" => {
            let image =
                Tensor::new([1, 1, 5, 5], (1..=25).map(f64::from).collect::<Vec<_>>());
            let windows = image.im2col([3, 3], [1, 1], [0, 0], [1, 1]);
            near(&asked[0]["windows"], &array(&windows), 0.0, "im2col");
        }
        "temperature" => {
            let scores = Tensor::new([3], vec![0.3f64, 2.9, 4.0]);
            for (at, temperature) in [0.5, 3.0].into_iter().enumerate() {
                let shares = array(&(&scores / temperature).softmax());
                near(&asked[at], &shares, 1e-12, "softmax");
            }
        }
        "shopping" => {
            let [apple, apples, orange, oranges, tax] =
                [120.0, 3.0, 80.0, 5.0, 1.08].map(|v: f64| Tensor::new([], vec![v]));
            let price = (&apple * &apples + &orange * &oranges) * &tax;
            near(&asked[0]["values"]["price"], &array(&price), 1e-12, "price");
            let inputs = [("apple", &apple), ("apples", &apples), ("orange", &orange)];
            for (name, input) in
                inputs.into_iter().chain([("oranges", &oranges), ("tax", &tax)])
            {
                let slope = array(&grad(&price, input));
                near(&asked[0]["gradients"][name], &slope, 1e-12, name);
            }
        }
        // Pictures that were made beforehand.
        "frames" => {}
        other => panic!("nothing is asked of {other}"),
    }
}
