//! Graphs from files at sizes that nobody draws: deep ones run, and those that would take all memory or days are refused
//! before anything is allocated.

use std::sync::Arc;
use zerokara_core::{Array, DType, Meta, Program, Result, Tensor};
use zerokara_formats::{ModelInfo, SafeTensors, model};
use zerokara_nn::{record::*, *};

type Formula = dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync;

/// A function of the input and of one number that is trained.
struct Function {
    w: ParameterSlot,
    f: Box<Formula>,
}

impl Module for Function {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("w", &self.w);
    }
}

impl Forward for Function {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        (self.f)(x, &self.w.tensor(&Meta::new([1], DType::F32), cx))
    }
}

/// The function as a model that was saved and read.
fn through_a_file(
    input: &[usize],
    f: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
) -> Result<GraphModule> {
    let function = Function {
        w: ParameterSlot::new(Initializer::Constant(0.5)),
        f: Box::new(f),
    };
    let sample = Meta::new(input, DType::F32);
    function.build(&sample, 0)?;
    let record = trace(&function, &sample)?;
    let bytes = model::to_file(&record, &ModelInfo::default())?.to_bytes()?;
    let (read, _) = model::from_file(SafeTensors::from_bytes(&bytes)?)?;
    assert_eq!(read, record);
    GraphModule::new(read)
}

#[test]
fn deep_graphs_of_a_file_run_and_train() {
    for (name, depth, features) in [("tanh", 7000, 1), ("tanh", 7000, 30), ("relu", 50_000, 3)] {
        let layer = if name == "tanh" {
            Tensor::tanh
        } else {
            Tensor::relu
        };
        let deep = move |x: &Tensor, w: &Tensor| (0..depth).fold(x * w, |y, _| layer(&y));
        let model = Arc::new(through_a_file(&[1, features], deep).unwrap());
        let given: Vec<f32> = (0..2 * features).map(|i| 0.2 + i as f32 * 0.01).collect();
        let x = Array::new([2, features], given.as_slice());
        let y = Predictor::new(model.clone()).unwrap().predict(&x).unwrap();
        // The mean of squares of f(w x), and its derivative with respect to w = 0.5.
        let mut slope = 0.0;
        for (x, y) in given.iter().zip(y.to_f64s()) {
            let x = f64::from(*x);
            let (value, d) = match name {
                "relu" => (0.5 * x, 1.0),
                _ => (0..depth).fold((0.5 * x, 1.0), |(y, d), _| {
                    (y.tanh(), d * (1.0 - y.tanh().powi(2)))
                }),
            };
            assert!((y - value).abs() < 2e-3 * value, "{name}: {y} {value}");
            slope += 2.0 * value * d * x / given.len() as f64;
        }
        let optimizer = Arc::new(Sgd::new(1.0));
        let mut step =
            TrainStep::new(model.clone(), Arc::new(MeanSquaredError::new()), optimizer).unwrap();
        let zeros = Array::zeros(&x.meta());
        assert!(step.step(&x, &zeros, 1.0).unwrap().ok);
        let w = model.parameters().unwrap()[0].value().to_f64s()[0];
        assert!(
            (w - (0.5 - slope)).abs() < 1e-2 * slope.max(1e-3),
            "{name}: {w} {slope}"
        );
    }
}

#[test]
fn a_deep_graph_of_additions_runs() {
    let deep = |x: &Tensor, w: &Tensor| (0..100_000).fold(x * w, |y, _| y + 1.0);
    let model = Arc::new(through_a_file(&[1, 1], deep).unwrap());
    let y = Predictor::new(model)
        .unwrap()
        .predict(&Array::new([1, 1], vec![2.0f32]))
        .unwrap();
    assert_eq!(y.to_f64s(), [100_001.0]);
}

#[test]
fn what_would_take_all_memory_or_days_is_refused() {
    fn filled(w: &Tensor, rows: usize, columns: usize) -> Tensor {
        w * Tensor::full([rows, columns], 2.0, DType::F32)
    }
    let refused = |f: fn(&Tensor, &Tensor) -> Tensor| {
        let error = through_a_file(&[1, 1], f).unwrap_err();
        error.to_string()
    };
    // 1e12 numbers, even where only their sum or their shape is wanted.
    let error = refused(|x, _| x + Tensor::full([1_000_000, 1_000_000], 1.0, DType::F32).sum());
    assert!(
        error.contains("ZEROKARA_MEMORY") && error.contains("4.0 TB"),
        "{error}"
    );
    let error = refused(|x, w| x + filled(w, 1_000_000, 1_000_000).sum());
    assert!(error.contains("ZEROKARA_MEMORY"), "{error}");
    let error =
        refused(|x, w| x + w * Tensor::full([1_000_000_000_000], 1.0, DType::F32).slice(0, ..1, 1));
    assert!(error.contains("ZEROKARA_MEMORY"), "{error}");
    // A product of 20,000 x 20,000 by itself: 1.6e13 multiplications and additions.
    let error = refused(|x, w| {
        let a = filled(w, 20_000, 20_000);
        x + a.matmul(&a).sum()
    });
    assert!(
        error.contains("ZEROKARA_WORK") && error.contains("matmul"),
        "{error}"
    );
    // Many smaller ones.
    let error = refused(|x, w| {
        let a = filled(w, 8000, 8000);
        x + (0..12).fold(a.clone(), |y, _| y.matmul(&a)).sum()
    });
    assert!(error.contains("ZEROKARA_WORK"), "{error}");
    // What is reasonable is not.
    through_a_file(&[1, 1], |x, w| {
        let a = filled(w, 2000, 2000);
        x + a.matmul(&a).sum()
    })
    .unwrap();
}

/// The limits are a runtime's, and an evaluation of a user's own may take any time, but not more memory.
#[test]
fn large_values_of_a_program_are_refused_with_their_line() {
    let huge = Tensor::full([1 << 20, 1 << 20], 1.0, DType::F32);
    let error = (&huge + 1.0).eval().unwrap_err().to_string();
    assert!(
        error.contains("ZEROKARA_MEMORY") && error.contains("TB"),
        "{error}"
    );
    let between = (&huge.matmul(&huge) + 1.0).sum();
    let error = between.eval().unwrap_err().to_string();
    assert!(
        error.contains("matmul") && error.contains("sizes.rs"),
        "{error}"
    );
    let x = Tensor::input("x", [1 << 20, 1 << 10], DType::F32);
    let product = x.matmul(&x.t());
    let error = Program::compile(&[&x], &[&product.sum()], &[]).unwrap_err();
    assert!(error.to_string().contains("sizes.rs"), "{error}");
}
