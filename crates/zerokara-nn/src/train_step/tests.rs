//! Both programs of a step do the same where both can.

use super::*;
use crate::{
    AdaGrad, Adam, AdamW, Forward, Module, Momentum, Nesterov, RAdam, RmsProp, Sequential, Sgd,
    SoftmaxCrossEntropy,
};

#[test]
fn looking_at_everything_changes_nothing() {
    let optimizers: [Arc<dyn Optimizer>; 8] = [
        Arc::new(Sgd::new(0.1).weight_decay(0.01)),
        Arc::new(Momentum::new(0.1)),
        Arc::new(Nesterov::new(0.1)),
        Arc::new(AdaGrad::new(0.1)),
        Arc::new(RmsProp::new(0.01)),
        Arc::new(Adam::new(0.1)),
        Arc::new(AdamW::new(0.1)),
        Arc::new(RAdam::new(0.1)),
    ];
    let x: Vec<f32> = (0..48)
        .map(|i| ((i * 37) % 29) as f32 / 14.0 - 1.0)
        .collect();
    let x = Array::new([8, 6], x.as_slice());
    let t = Array::new([8], &[0i64, 1, 2, 0, 1, 2, 0, 1][..]);
    for optimizer in optimizers {
        for clipping in [Clipping::None, Clipping::Norm(0.1), Clipping::Value(0.01)] {
            let run = |careful: bool| {
                // No bias stands before the batch norm: its gradient would be what rounding leaves, of any sign.
                let model = Sequential::new().batch_norm1d().linear(5).relu().linear(3);
                model.build(&x, 1).unwrap();
                let model = Arc::new(model);
                let loss = Arc::new(SoftmaxCrossEntropy::new());
                let step = TrainStep::new(model.clone(), loss, optimizer.clone()).unwrap();
                let mut step = step.clipping(clipping);
                for _ in 0..6 {
                    step.norm = if careful { 0.0 } else { 1.0 };
                    assert!(step.step(&x, &t, optimizer.learning_rate()).unwrap().ok);
                }
                let kind = |kept: &programs::Kept<Pass, Runner>| match kept.kind {
                    Pass::Step(care) => care,
                    other => panic!("{other:?}"),
                };
                let used: Vec<Care> = step.programs.0.iter().map(kind).collect();
                assert_eq!(
                    used,
                    [if careful {
                        Care::Everything
                    } else {
                        Care::Bounds
                    }]
                );
                let states = step.optimizer_state();
                let states = states.into_iter().map(|(_, p)| p.value().to_f64s());
                let values = model.state().unwrap();
                let values = values.into_iter().map(|(_, v)| v.to_f64s());
                values.chain(states).flatten().collect::<Vec<f64>>()
            };
            for (a, b) in run(false).into_iter().zip(run(true)) {
                // The norm is summed in another way, and a step divided by its own size makes small gradients large.
                let near = (a - b).abs() <= 1e-4 * a.abs().max(1e-3);
                let alike = matches!(clipping, Clipping::Norm(_)) && near;
                assert!(
                    a == b || alike,
                    "{}, {clipping:?}: {a}, {b}",
                    optimizer.name()
                );
            }
        }
    }
}
