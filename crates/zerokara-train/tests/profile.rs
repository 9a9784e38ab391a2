//! What each layer costs: nothing is lost, nothing stands with the wrong layer.

use std::sync::Arc;
use zerokara_core::{Array, DType, Meta, StepTimes, scope::Phase};
use zerokara_nn::{Adam, Forward, SoftmaxCrossEntropy, Summary, TrainStep, models};
use zerokara_train::profile::{LayerCost, by_layer};

fn times(model: Arc<dyn Forward>, sample: &Meta) -> StepTimes {
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model, loss, Arc::new(Adam::new(1e-3))).unwrap();
    let mut x = Array::zeros(sample);
    for (i, v) in x.as_mut_slice::<f32>().unwrap().iter_mut().enumerate() {
        *v = ((i * 31) % 255) as f32 / 255.0;
    }
    let n = sample.shape[0];
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 10).collect();
    step.step_timed(&x, &Array::new([n], labels.as_slice()), 1e-3)
        .unwrap()
        .1
}

#[test]
fn every_layer_has_its_own_work() {
    const BATCH: usize = 20;
    for name in models::NAMES {
        let shape = if name == "resnet20" {
            [BATCH, 3, 32, 32]
        } else {
            [BATCH, 1, 28, 28]
        };
        let sample = Meta::new(shape, DType::F32);
        let model: Arc<dyn Forward> = models::by_name(name, 10).unwrap().into();
        model.build(&sample, 0).unwrap();
        let summary = Summary::of(&*model, &sample).unwrap();
        let steps = times(model, &sample);
        for step in &steps {
            let sum = |of: fn(&zerokara_core::Part) -> f64| step.parts.iter().map(of).sum::<f64>();
            assert!(
                (sum(|p| p.share) - 1.0).abs() < 1e-9,
                "{name}: {}",
                step.kernel
            );
            assert!(
                (sum(|p| p.flops_share) - 1.0).abs() < 1e-9,
                "{name}: {}",
                step.kernel
            );
        }
        let known: Vec<String> = summary.rows.iter().map(|row| row.path.clone()).collect();
        let layers = by_layer(&steps, &known);
        let find = |path: &str| layers.iter().find(|l: &&LayerCost| *l.name == *path);
        for row in summary.rows.iter().filter(|row| row.flops > 0) {
            let layer = find(&row.path).unwrap_or_else(|| panic!("{name} has no {}", row.path));
            let [forward, backward] = layer.passes;
            let near = (forward.flops / row.flops as f64 - 1.0).abs() < 0.01;
            assert!(
                near,
                "{name}, {}: {} of {}",
                row.path, forward.flops, row.flops
            );
            assert!(
                forward.seconds > 0.0 && backward.seconds > 0.0,
                "{name}, {}",
                row.path
            );
        }
        // The loss is a matter of a few numbers for each sample.
        let loss = find("loss").unwrap();
        let bytes = |l: &LayerCost| l.passes[1].bytes;
        let all: f64 = layers.iter().map(bytes).sum();
        assert!(bytes(loss) < 0.1 * all, "{name}: {layers:?}");
        assert!(loss.passes.iter().all(|cost| cost.flops == 0.0), "{name}");
        assert!(find("norm and update").unwrap().passes[0].seconds == 0.0);
        // Nothing is lost.
        let seconds: f64 = steps.iter().map(|s| s.duration.as_secs_f64()).sum();
        let sum: f64 = layers
            .iter()
            .flat_map(|l| l.passes)
            .map(|c| c.seconds)
            .sum();
        assert!((sum / seconds - 1.0).abs() < 1e-9, "{name}");
        let flops: u64 = steps.iter().map(|s| s.flops).sum();
        let sum: f64 = layers.iter().flat_map(|l| l.passes).map(|c| c.flops).sum();
        assert!((sum / flops as f64 - 1.0).abs() < 1e-9, "{name}");
        // The backward pass of a layer is not part of the forward pass.
        assert!(steps.iter().any(|s| s.label.phase == Phase::Backward));
    }
}
