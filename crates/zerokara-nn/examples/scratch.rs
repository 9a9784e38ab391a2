//! scratch
use std::sync::Arc;
use std::time::Instant;
use zerokara_core::*;
use zerokara_nn::*;
fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or("two-layer-net".into());
    let dump = std::env::args().nth(2).is_some();
    let model: Arc<dyn Forward> = Arc::from(models::by_name(&name, 10).unwrap());
    let shape: Vec<usize> = if name == "resnet20" {
        vec![100, 3, 32, 32]
    } else {
        vec![100, 1, 28, 28]
    };
    let n: usize = shape.iter().product();
    let x = Array::new(
        shape.clone(),
        (0..n)
            .map(|i| ((i * 7919) % 255) as f32 / 255.0)
            .collect::<Vec<f32>>(),
    );
    let t = Array::new([100], (0..100).map(|i| i as i64 % 10).collect::<Vec<i64>>());
    model.build(&x, 1)?;
    let mut step = if name.contains("layer") {
        TrainStep::new(
            model,
            Arc::new(SoftmaxCrossEntropy::new()),
            Arc::new(Sgd::new(0.1)),
        )?
    } else {
        TrainStep::new(
            model,
            Arc::new(SoftmaxCrossEntropy::new()),
            Arc::new(Adam::new(0.001)),
        )?
    };
    if dump {
        println!("{}", step.dump(&x.meta(), &t.meta())?);
    }
    let lr = if name.contains("layer") { 0.1 } else { 0.001 };
    for _ in 0..5 {
        println!("{:?}", step.step(&x, &t, lr)?);
    }
    let mut rates = vec![];
    for _ in 0..20 {
        let s = Instant::now();
        let mut k = 0;
        while s.elapsed().as_secs_f64() < 0.1 {
            step.step(&x, &t, lr)?;
            k += 1;
        }
        rates.push(k as f64 * 100.0 / s.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "{name}: median {:.0} img/s, max {:.0}",
        rates[10], rates[19]
    );
    if dump {
        let mut all: std::collections::BTreeMap<usize, f64> = Default::default();
        let mut labels = vec![];
        for _ in 0..50 {
            labels = step.step_timed(&x, &t, lr)?.1;
            for (i, (_, d)) in labels.iter().enumerate() {
                *all.entry(i).or_default() += d.as_secs_f64() * 1e6 / 50.0;
            }
        }
        for (i, (l, _)) in labels.iter().enumerate() {
            println!("{:8.1} us {:?}", all[&i], l);
        }
    }
    Ok(())
}
