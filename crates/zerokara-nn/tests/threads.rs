//! Steps and predictors beside threads that write parameters, and beside one another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use zerokara_core::{Array, Result, Runtime, Tensor};
use zerokara_nn::*;

/// A step that is built while another thread writes the parameters has their gradients all the same.
#[test]
fn steps_built_beside_a_writer_have_gradients() {
    const STEPS: usize = 3000;
    let x = Array::new([2, 3], vec![1.0f32; 6]);
    let t = Array::new([2, 1], vec![0.0f32; 2]);
    let model = Arc::new(Sequential::new().linear(1));
    model.build(&x, 1).unwrap();
    let parameters = model.parameters().unwrap();
    let set = |k: i32| {
        for parameter in &parameters {
            let mut value = Array::zeros(parameter.meta());
            value.fill(f64::from(k)).unwrap();
            parameter.set_array(value).unwrap();
        }
    };
    // The first step may come before the writer's first value.
    set(1);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut k = 0;
            while !is_over.load(Ordering::Relaxed) {
                k = k % 5 + 1;
                set(k);
                thread::yield_now();
            }
        });
        // The output is 4 to 20, so that the norm of the gradient, 2 y |(1, 1, 1, 1)|, is at least 16.
        for _ in 0..STEPS {
            let loss = Arc::new(MeanSquaredError::new());
            let sgd = Arc::new(Sgd::new(0.0));
            let mut step = TrainStep::new(model.clone(), loss, sgd).unwrap();
            let found = step.step(&x, &t, 0.0).unwrap();
            if !(found.ok && found.gradient_norm > 3.9) {
                is_over.store(true, Ordering::Relaxed);
                panic!("{found:?}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// One predictor for many threads and shapes, on a runtime of its own: all say what one says.
#[test]
fn a_predictor_for_many_threads() -> Result<()> {
    let model = Sequential::new()
        .conv2d(4, 3)
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(5);
    let model = Arc::new(model);
    let batch = |n: usize| {
        let numbers: Vec<f32> = (0..n * 144)
            .map(|i| ((i * 37) % 29) as f32 / 14.0)
            .collect();
        Array::new([n, 1, 12, 12], numbers)
    };
    model.build(&batch(1), 1)?;
    let batches: Vec<Array> = (1..=4).map(batch).collect();
    let expected: Vec<Vec<f64>> = batches
        .iter()
        .map(|x| Ok(Predictor::new(model.clone())?.predict(x)?.to_f64s()))
        .collect::<Result<_>>()?;
    let predictor = Predictor::new(model)?.runtime(Arc::new(Runtime::new(2)?));
    thread::scope(|scope| {
        for first in 0..8 {
            let (predictor, batches, expected) = (&predictor, &batches, &expected);
            scope.spawn(move || {
                for turn in first..first + 60 {
                    let found = predictor.predict(&batches[turn % 4]).unwrap();
                    assert_eq!(found.to_f64s(), expected[turn % 4]);
                }
            });
        }
    });
    Ok(())
}

/// A layer that is built, and whose output nobody uses.
#[derive(Module)]
struct Half {
    used: Linear,
    unused: Linear,
}

impl Forward for Half {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let _ = self.unused.forward(x, cx);
        self.used.forward(x, cx)
    }
}

#[test]
fn a_parameter_that_the_loss_does_not_use_is_named() -> Result<()> {
    let x = Array::new([2, 3], vec![1.0f32; 6]);
    let t = Array::new([2, 1], vec![0.0f32; 2]);
    let model = Arc::new(Half {
        used: Linear::new(1),
        unused: Linear::new(1),
    });
    model.build(&x, 1)?;
    let (loss, sgd) = (Arc::new(MeanSquaredError::new()), Arc::new(Sgd::new(0.1)));
    let mut step = TrainStep::new(model, loss, sgd)?;
    let error = step.step(&x, &t, 0.1).unwrap_err().to_string();
    assert!(error.contains("parameter unused.weight"), "{error}");
    Ok(())
}
