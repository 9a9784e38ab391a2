//! Activation functions (pages 42 to 52): step, sigmoid and ReLU, their curves and slopes; why e^x.

use crate::prelude::*;
use zerokara::core::gradient_check::NumericalGradient;

lab!("activations", chapter 3, pages "42–52",
    Choice::numbers("weights", "0.5, 0.5, -0.7", "w1, w2 and b of the weighted sum"),
    Choice::numbers("steepness", "1, 4, 16", "factors of x in the sigmoids that approach the step"),
);

/// From -6 to 6.
fn xs() -> Vec<f64> {
    (-120..=120).map(|i| f64::from(i) / 20.0).collect()
}

fn run(lab: &mut Session) -> Result<()> {
    lab.section("neuron");
    let [w1, w2, b] = lab.numbers("weights")[..] else {
        return Err(Error::new("weights: three numbers are needed: w1, w2 and b"));
    };
    let inputs: Vec<[f64; 2]> = (0..=4)
        .flat_map(|i| (0..=4).map(move |j| [f64::from(i) / 4.0, f64::from(j) / 4.0]))
        .collect();
    let x = Tensor::new([25, 2], inputs.concat());
    let a = x.matmul(&Tensor::new([2, 1], [w1, w2])) + b;
    let (sums, outputs) = (a.to_vec::<f64>()?, a.step().to_vec::<f64>()?);
    let rows: Vec<_> = [0, 4, 12, 20, 24]
        .iter()
        .map(|&i| {
            let show = |v: f64| numbers::significant(v, 4);
            let [x1, x2] = inputs[i];
            vec![show(x1), show(x2), show(sums[i]), show(outputs[i])]
        })
        .collect();
    lab.table(&["x1", "x2", "a = b + w1 x1 + w2 x2", "y = h(a)"], &rows);
    lab.fact(
        "the step function of a is 1 just where b + w1 x1 + w2 x2 > 0",
        sums.iter().zip(&outputs).all(|(&a, &y)| y == if a > 0.0 { 1.0 } else { 0.0 }),
    )?;

    lab.section("step");
    let x = Tensor::from([-1.0, 0.0, 1.0, 2.0]);
    lab.print(format!("x       {x}\nstep(x) {}", x.step()));
    lab.fact(
        "step([-1, 0, 1, 2]) is [0, 0, 1, 1]",
        x.step().to_vec::<f32>()? == [0.0, 0.0, 1.0, 1.0],
    )?;
    let axis = Tensor::new([xs().len()], xs());
    let curve = |y: &Tensor| -> Result<Vec<(f64, f64)>> {
        Ok(xs().into_iter().zip(y.to_vec::<f64>()?).collect())
    };
    // The jump has no line: the curve is drawn in two parts.
    let (low, high): (Vec<_>, Vec<_>) =
        curve(&axis.step())?.into_iter().partition(|(_, y)| *y == 0.0);
    let step = || [&low[..], &[(0.0, f64::NAN)], &high[..]].concat();
    lab.figure(
        Plot::new("Step function")
            .axes("x", "y")
            .line("", step())
            .y_range(-0.1, 1.1)
            .figure(),
    );

    lab.section("sigmoid");
    let x = Tensor::from([-1.0, 1.0, 2.0]);
    lab.print(format!("x          {x}\nsigmoid(x) {:.6}", x.sigmoid().eval()?));
    let y = axis.sigmoid();
    let mirrored = (1.0 - (-&axis).sigmoid() - &y).abs().max().item()?;
    lab.fact("sigmoid(−x) = 1 − sigmoid(x)", mirrored < 1e-12)?;
    let values = y.to_vec::<f64>()?;
    lab.fact(
        "the sigmoid lies between 0 and 1, rises everywhere, and is 1/2 at 0",
        values.iter().all(|y| (0.0..1.0).contains(y))
            && values.windows(2).all(|w| w[0] < w[1])
            && values[120] == 0.5,
    )?;
    let mut plot = Plot::new("Sigmoids and the step").axes("x", "y").y_range(-0.1, 1.1);
    for k in lab.numbers("steepness").into_iter().take(5) {
        plot = plot.line(format!("sigmoid({k} x)"), curve(&(&axis * k).sigmoid())?);
    }
    lab.figure(plot.line("step", step()).grey().dashed().figure());
    lab.play(Play::new("sigmoid").slider("w", "slope w", -10.0..=10.0, 0.5, 2.0).slider(
        "b",
        "shift b",
        -10.0..=10.0,
        0.5,
        0.0,
    ));

    lab.section("relu");
    let x = Tensor::from([-2.0, -0.5, 0.0, 0.5, 2.0]);
    lab.print(format!("x       {x}\nrelu(x) {}", x.relu()));
    lab.fact(
        "relu(x) is x where x > 0, else 0",
        x.relu().to_vec::<f32>()? == [0.0, 0.0, 0.0, 0.5, 2.0],
    )?;
    lab.figure(Plot::new("ReLU").axes("x", "y").line("", curve(&axis.relu())?).figure());

    lab.section("linear");
    // Three layers without and with an activation, against the one layer that their weights multiply to.
    let normal = |draw: i64, shape: [usize; 2]| {
        Tensor::normal(lab.seed(), &Tensor::from(draw), shape)
    };
    let (x, w1, w2, w3) =
        (normal(0, [200, 3]), normal(1, [3, 3]), normal(2, [3, 3]), normal(3, [3, 3]));
    let one = x.matmul(&w1.matmul(&w2).matmul(&w3));
    let linear = x.matmul(&w1).matmul(&w2).matmul(&w3);
    let rectified = x.matmul(&w1).relu().matmul(&w2).relu().matmul(&w3);
    let apart = |y: &Tensor| -> Result<f64> {
        Ok(((y - &one).abs().max() / one.abs().max()).item()?)
    };
    let (without, with) = (apart(&linear)?, apart(&rectified)?);
    lab.table(
        &["three layers", "difference from one layer"],
        &[
            vec!["without activations".into(), format!("{without:.1e}")],
            vec!["with ReLU".into(), format!("{with:.1e}")],
        ],
    );
    lab.fact("layers without activations are one layer", without < 1e-5)?;
    lab.fact("layers with ReLU are not", with > 0.01)?;

    lab.section("exponential");
    let zero = Tensor::new([1], [0.0]);
    let rows: Result<Vec<_>> = [1.0, 1e-1, 1e-2, 1e-3, 1e-4]
        .iter()
        .map(|&h| {
            let central = NumericalGradient::new().step(h).of(|x| x.exp().sum(), &zero)?;
            let slope = central.to_vec::<f64>()?[0];
            Ok(vec![h.to_string(), format!("{slope:.12}"), format!("{:.1e}", slope - 1.0)])
        })
        .collect();
    lab.table(&["h", "(e^h − e^−h) / 2h", "error"], &rows?);
    let slope_at_0 = |base: f64| -> Result<f64> {
        let power = |x: &Tensor| (x * base.ln()).exp().sum();
        Ok(numerical_gradient(power, &zero)?.to_vec::<f64>()?[0])
    };
    lab.fact(
        "the slope of e^x at 0 is 1",
        (slope_at_0(std::f64::consts::E)? - 1.0).abs() < 1e-9,
    )?;
    // Halve the interval of bases in which the slope passes 1.
    let (mut low, mut high) = (2.0, 3.0);
    while high - low > 1e-10 {
        let middle = (low + high) / 2.0;
        match slope_at_0(middle)? < 1.0 {
            true => low = middle,
            false => high = middle,
        }
    }
    lab.print(format!(
        "slope of 2^x at 0: {:.6}\nslope of 3^x at 0: {:.6}\nthe base with slope 1: {low:.8}",
        slope_at_0(2.0)?,
        slope_at_0(3.0)?
    ));
    lab.fact(
        "the base whose power has slope 1 at 0 is e",
        (low - std::f64::consts::E).abs() < 1e-8,
    )?;
    let span = || (-40..=30).map(|i| f64::from(i) / 20.0);
    let power = |base: f64| span().map(move |x| (x, base.powf(x)));
    lab.figure(
        Plot::new("Powers and the line with slope 1")
            .axes("x", "y")
            .line("2^x", power(2.0))
            .line("e^x", power(std::f64::consts::E))
            .line("3^x", power(3.0))
            .line("1 + x", span().map(|x| (x, 1.0 + x)))
            .grey()
            .dashed()
            .dots("", [(0.0, 1.0)])
            .grey()
            .y_range(-1.0, 4.5)
            .figure(),
    );

    lab.section("slopes");
    let slope = |f: fn(&Tensor) -> Tensor| grad(&f(&axis).sum(), &axis);
    let (sigmoid, relu) = (slope(Tensor::sigmoid), slope(Tensor::relu));
    let steepest = sigmoid.max().item()?;
    let formula = (&sigmoid - &y * (1.0 - &y)).abs().max().item()?;
    lab.fact(
        "the sigmoid's slope is y (1 − y), at most 1/4",
        steepest == 0.25 && formula < 1e-12,
    )?;
    lab.fact(
        "the slope of ReLU is 0 or 1, that of the step 0 everywhere",
        relu.to_vec::<f64>()?.iter().all(|s| *s == 0.0 || *s == 1.0)
            && slope(Tensor::step).abs().max().item()? == 0.0,
    )?;
    let relu: Vec<(f64, f64)> = curve(&relu)?;
    let (left, right): (Vec<_>, Vec<_>) = relu.into_iter().partition(|(x, _)| *x <= 0.0);
    lab.figure(
        Plot::new("Slopes")
            .axes("x", "dy/dx")
            .line("sigmoid", curve(&sigmoid)?)
            .line("ReLU", [left, vec![(0.0, f64::NAN)], right].concat())
            .y_range(-0.1, 1.1)
            .figure(),
    );
    Ok(())
}
