//! Numerical differentiation (pages 97 to 103): slopes from two values of a function, and how good they are.

use crate::prelude::*;
use zerokara::core::gradient_check::{Difference, NumericalGradient};

lab!("numerical_differentiation", chapter 4, pages "97–103",
    Choice::numbers("at", "5, 10", "where tangent lines touch 0.01x² + 0.1x"),
    Choice::number("x", "1", "where the slope of sin x is measured"),
);

/// The book's function (page 99).
fn parabola(x: &Tensor) -> Tensor {
    (x.square() * 0.01 + x * 0.1).sum()
}

fn run(lab: &mut Session) -> Result<()> {
    lab.section("step");
    let x = Tensor::from([5.0]);
    let forward = NumericalGradient::new().difference(Difference::Forward);
    let mut rows = Vec::new();
    for h in [1e-50, 1e-20, 1e-8, 1e-4, 1e-2] {
        let small = Tensor::new([1], [h]).cast(DType::F32);
        let slope = forward.clone().step(h).in_own_type().of(parabola, &x)?;
        let double = forward.clone().step(h).of(parabola, &x.cast(DType::F64))?;
        rows.push(vec![
            format!("{h:e}"),
            format!("{:.3e}", small.item()?),
            format!("{:.4}", (&x + &small).item()?),
            format!("{:.6}", slope.item()?),
            format!("{:.6}", double.item()?),
        ]);
    }
    lab.table(&["h", "h in f32", "5 + h in f32", "slope in f32", "slope in f64"], &rows);
    lab.fact("in 32 bits h = 1e-50 is 0", rows[0][1] == "0.000e0")?;
    lab.fact("and the slope is 0 / 0: NaN", rows[0][3] == "NaN")?;
    let five = Tensor::new([], [5.0_f64]);
    let lost = (&five + 1e-50).item()? == five.item()?;
    lab.fact(
        "in 64 bits h is kept, but 5 + h is 5 again, and the slope 0",
        lost && rows[0][4] == "0.000000",
    )?;
    lab.fact(
        "the book's h = 1e-4 gives 0.2 to six digits in 64 bits",
        rows[3][4] == "0.200001",
    )?;

    lab.section("differences");
    let at = lab.number("x");
    if at.abs() > 100.0 {
        return Err(Error::new("x: from -100 to 100"));
    }
    let x = Tensor::new([1], [at]);
    let steps: Vec<f64> = (0..=64).map(|i| 10.0_f64.powf(f64::from(i) / -4.0)).collect();
    let mut plot = Plot::new(format!("Error of the slope of sin x at {at}"))
        .axes("step h", "error")
        .log_x()
        .log_y()
        .y_range(1e-13, 10.0);
    let mut best = Vec::new();
    for (kind, difference) in
        [("forward", Difference::Forward), ("central", Difference::Central)]
    {
        for (bits, dtype, epsilon) in
            [(64, DType::F64, f64::EPSILON), (32, DType::F32, f64::from(f32::EPSILON))]
        {
            let x = x.cast(dtype);
            let truth = x.item()?.cos();
            let mut errors = Vec::new();
            for &h in &steps {
                let quotient =
                    NumericalGradient::new().difference(difference).step(h).in_own_type();
                let slope = quotient.of(|x| x.sin().sum(), &x)?.item()?;
                errors.push((slope - truth).abs());
            }
            // sin and its derivatives are at most 1; rounding errs by about epsilon in x and in f.
            lab.fact(
                match difference {
                    Difference::Forward => {
                        format!(
                            "forward, {bits} bits: the error is within h/2 + rounding/h"
                        )
                    }
                    Difference::Central => {
                        format!(
                            "central, {bits} bits: the error is within h²/6 + rounding/h"
                        )
                    }
                },
                steps.iter().zip(&errors).all(|(h, error)| {
                    let rounding = 4.0 * epsilon * (1.0 + at.abs()) / h;
                    let cut = match difference {
                        Difference::Forward => h / 2.0,
                        Difference::Central => h * h / 6.0,
                    };
                    *error <= cut + rounding
                }),
            )?;
            let points: Vec<(f64, f64)> = steps.iter().copied().zip(errors).collect();
            if let Some((h, error)) =
                points.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
            {
                best.push(vec![
                    format!("{kind}, {bits} bits"),
                    format!("{h:.0e}"),
                    format!("{error:.0e}"),
                ]);
            }
            let color = if difference == Difference::Forward { 0 } else { 1 };
            plot = plot.line(format!("{kind}, {bits} bits"), points).color(color);
            plot = if bits == 32 { plot.dashed() } else { plot };
        }
    }
    lab.table(&["difference", "best h", "error there"], &best);
    lab.figure(plot.figure());
    let error = |difference: Difference, h: f64| -> Result<f64> {
        let quotient = NumericalGradient::new().difference(difference).step(h);
        Ok((quotient.of(|x| x.sin().sum(), &x)?.item()? - at.cos()).abs())
    };
    // Where neither sin x nor cos x is small, they and h say all about the errors.
    if at.sin().abs() > 0.2 && at.cos().abs() > 0.2 {
        let gain = |difference| Ok(error(difference, 1e-2)? / error(difference, 1e-3)?);
        let (forward, central): (Result<f64>, Result<f64>) =
            (gain(Difference::Forward), gain(Difference::Central));
        let (forward, central) = (forward?, central?);
        lab.print(format!(
            "h from 1e-2 to 1e-3: errors shrink {forward:.1} times and {central:.1} times"
        ));
        lab.fact(
            "a tenth of the step makes the forward error a tenth, and the central a hundredth",
            (8.0..12.0).contains(&forward) && (95.0..105.0).contains(&central),
        )?;
    }

    lab.section("tangent");
    let points = lab.numbers("at");
    if points.len() > 5 || points.iter().any(|x| x.abs() > 1000.0) {
        return Err(Error::new("at: up to five numbers from -1000 to 1000"));
    }
    let end = points.iter().fold(20.0, |end: f64, x| end.max(x * 1.5));
    let start = points.iter().fold(0.0, |start: f64, x| start.min(x * 1.5));
    let sample = |f: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        let x = |i: i32| start + (end - start) * f64::from(i) / 100.0;
        (0..=100).map(|i| (x(i), f(x(i)))).collect()
    };
    let f = |x: f64| 0.01 * x * x + 0.1 * x;
    let mut plot =
        Plot::new("Tangent lines").axes("x", "f(x)").line("0.01x² + 0.1x", sample(&f));
    let mut rows = Vec::new();
    for &x in &points {
        let slope =
            NumericalGradient::new().step(1e-4).of(parabola, &Tensor::new([1], [x]))?;
        let slope = slope.item()?;
        let intercept = f(x) - slope * x;
        rows.push((x, slope, intercept));
        plot = plot
            .line(
                format!("{slope:.3}x {} {:.3}", sign(intercept), intercept.abs()),
                sample(&|at| slope * at + intercept),
            )
            .dashed()
            .dots("", [(x, f(x))])
            .color(0);
    }
    lab.table(
        &["x", "slope", "0.02x + 0.1", "intercept"],
        &rows
            .iter()
            .map(|(x, slope, intercept)| {
                vec![
                    x.to_string(),
                    format!("{slope:.12}"),
                    format!("{:.4}", 0.02 * x + 0.1),
                    format!("{intercept:.6}"),
                ]
            })
            .collect::<Vec<_>>(),
    );
    lab.figure(plot.figure());
    lab.play(
        Play::new("tangent")
            .slider("x", "x", 0.0..=20.0, 0.25, 5.0)
            .powers("h", "h", -16.0..=1.0, 0.5, 0.5)
            .select("difference", "difference", &["forward", "central"])
            .select("bits", "bits", &["64", "32"])
            .word("slope", "slope")
            .word("exact", "true slope")
            .word("error", "error"),
    );
    lab.fact(
        "the slopes are 0.02x + 0.1 and the intercepts −0.01x², to rounding",
        rows.iter().all(|(x, slope, intercept)| {
            let size = 1.0 + x.abs();
            (slope - (0.02 * x + 0.1)).abs() < 1e-11 * size * size
                && (intercept + 0.01 * x * x).abs() < 1e-11 * size.powi(3)
        }),
    )?;
    let two = NumericalGradient::new().step(1e-4);
    // Elements do not depend on each other, so the gradient of the sum is the slope at each.
    let slopes = two.of(parabola, &Tensor::new([2], [5.0, 10.0]))?.to_vec::<f64>()?;
    lab.fact(
        "at 5 and 10 the slopes are 0.2 and 0.3",
        (slopes[0] - 0.2).abs() < 1e-10 && (slopes[1] - 0.3).abs() < 1e-10,
    )?;

    lab.section("partial");
    // f(x₀, x₁) = x₀² + x₁², with one of the two held fast at (3, 4).
    let along_0 = |x0: &Tensor| (x0.square() + 4.0 * 4.0).sum();
    let along_1 = |x1: &Tensor| (x1.square() + 3.0 * 3.0).sum();
    let d0 = two.of(along_0, &Tensor::new([1], [3.0]))?.item()?;
    let d1 = two.of(along_1, &Tensor::new([1], [4.0]))?.item()?;
    let both = two.of(|x| x.square().sum(), &Tensor::new([2], [3.0, 4.0]))?;
    lab.print(format!("∂f/∂x₀ = {d0:.9}\n∂f/∂x₁ = {d1:.9}\nboth    {both}"));
    lab.fact(
        "at (3, 4) the partial derivatives of x₀² + x₁² are 6 and 8",
        (d0 - 6.0).abs() < 1e-8 && (d1 - 8.0).abs() < 1e-8,
    )?;
    let slice = |title: &str, axis: &str, fixed: f64, x: f64, slope: f64| {
        let f = move |x: f64| x * x + fixed * fixed;
        let range = (-50..=50).map(|i| f64::from(i) / 10.0);
        Plot::new(title)
            .size(310, 250)
            .axes(axis, "f")
            .y_range(0.0, 45.0)
            .line("f", range.clone().map(move |x| (x, f(x))))
            .line(
                format!("slope {slope:.2}"),
                range.map(move |at| (at, f(x) + slope * (at - x))),
            )
            .dashed()
            .dots("", [(x, f(x))])
            .color(0)
            .figure()
    };
    lab.figures([
        slice("Along x₀, with x₁ = 4", "x₀", 4.0, 3.0, d0),
        slice("Along x₁, with x₀ = 3", "x₁", 3.0, 4.0, d1),
    ]);
    Ok(())
}

fn sign(value: f64) -> char {
    if value < 0.0 { '−' } else { '+' }
}
