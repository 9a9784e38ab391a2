//! Layers (pages 142 to 153): the backward pass of each against its formula and against differences.

use crate::prelude::*;

lab!("layers", chapter 5, pages "141–156",
    Choice::count("batch", "4", "samples in a batch, up to 64"),
    Choice::count("inputs", "5", "inputs of the affine layer, up to 64"),
    Choice::count("outputs", "3", "its outputs, up to 64"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("relu");
    let x = Tensor::new([2, 2], [1.0, -0.5, -2.0, 3.0]);
    let dout = Tensor::new([2, 2], [10.0, 20.0, 30.0, 40.0]);
    let backward = |y: &Tensor, x: &Tensor, dout: &Tensor| grad(&(y * dout).sum(), x);
    let dx = backward(&x.relu(), &x, &dout);
    let mask = x.greater(&x.zeros_like()).logical_not();
    let (chosen, out) = (x.masked_select(&mask), x.masked_fill(&mask, 0.0));
    lab.print(format!("x\n{x}\nmask (x ≤ 0)\n{mask}\nx[mask]\n{chosen}"));
    lab.print(format!("x after x[mask] = 0, the forward pass\n{out}"));
    lab.fact(
        "x[mask] are the numbers where the mask is true, row by row; setting them to 0 is the forward pass",
        chosen.to_vec::<f64>()? == [-0.5, -2.0] && distance(&out, &x.relu())? == 0.0,
    )?;
    lab.print(format!(
        "from above\n{dout}\npassed on (dout[mask] = 0)\n{}",
        dout.masked_fill(&mask, 0.0)
    ));
    lab.fact(
        "the gradient passes where x > 0, and stops where the mask is true",
        dx.to_vec::<f64>()? == [10.0, 0.0, 0.0, 40.0]
            && distance(&dx, &dout.masked_fill(&mask, 0.0))? == 0.0,
    )?;
    let seed = lab.seed();
    let random = |stream: i64, shape: [usize; 2]| -> Result<Tensor> {
        // Evaluated, so that it stays what it is when differences are taken in 64 bits.
        let drawn = Tensor::normal(seed, &Tensor::from(stream), shape).cast(DType::F64);
        Ok(Tensor::from(drawn.eval()?))
    };
    let (x, dout) = (random(0, [8, 12])?, random(1, [8, 12])?);
    let dx = backward(&x.relu(), &x, &dout);
    let by_formula = &dout * x.greater(&x.zeros_like()).cast(DType::F64);
    compare(
        lab,
        "ReLU",
        &[("x", &dx, &by_formula)],
        &[&|x| (x.relu() * &dout).sum()],
        &[&x],
    )?;
    let mut tiles = Tiles::new("ReLU, a batch of 8 rows").columns(4).tile_size(130);
    let mask = x.greater(&x.zeros_like()).cast(DType::F64);
    for (name, values) in [
        ("x", &x),
        ("where x > 0", &mask),
        ("gradient from above", &dout),
        ("gradient passed on", &dx),
    ] {
        let values: Vec<f32> = values.to_vec::<f64>()?.iter().map(|&v| v as f32).collect();
        if let Some(picture) = Picture::from_weights(&values, [1, 8, 12], 2.5) {
            tiles = tiles.add(picture, name);
        }
    }
    lab.figure(tiles.figure());

    lab.section("sigmoid-graph");
    let [at, minus_one, one] =
        [1.0, -1.0, 1.0].map(|value| Tensor::scalar(value, DType::F64));
    let turned = &at * &minus_one;
    let power = turned.exp();
    let sum = &power + &one;
    let y = sum.reciprocal();
    let nodes = [("× −1", &at, &turned), ("exp", &turned, &power), ("+ 1", &power, &sum)];
    let nodes = nodes.into_iter().chain([("1 / ·", &sum, &y)]);
    let rules = ["−1", "exp of its input", "1", "−y²"];
    // Each node hands back what comes from its right, times its own derivative.
    let mut rows = Vec::new();
    let mut by_the_rule = true;
    for ((name, from, to), rule) in nodes.zip(rules) {
        let (above, own, back) = (grad(&y, to), grad(to, from), grad(&y, from));
        by_the_rule &= distance(&back, &(&above * &own))? == 0.0;
        let cells = [to.item()?, own.item()?, above.item()?, back.item()?];
        let cells = cells.map(|value| format!("{value:.6}"));
        rows.push([&[name.into(), rule.into()], &cells[..]].concat());
    }
    lab.figure(
        GraphDrawing::new("Sigmoid, node by node")
            .name(&at, "x")
            .name(&minus_one, "−1")
            .name(&one, "1")
            .result(&y, "y")
            .values()
            .gradients()
            .figure()?,
    );
    lab.table(
        &["node", "rule", "value", "own derivative", "from above", "passed back"],
        &rows,
    );
    let (value, slope, e) = (y.item()?, grad(&y, &at).item()?, power.item()?);
    lab.fact(
        "each node passes back what it receives times its own derivative",
        by_the_rule,
    )?;
    lab.fact(
        "at the left end stands y² exp(−x), which is y (1 − y)",
        (slope - value * value * e).abs() < 1e-15
            && (slope - value * (1.0 - value)).abs() < 1e-15,
    )?;
    let (f, g, df, dg) = (1.0, 1.0 + e, 0.0, -e);
    lab.fact(
        "the quotient rule, (f′ g − f g′) / g² with f = 1 and g = 1 + exp(−x), gives the same",
        ((df * g - f * dg) / (g * g) - slope).abs() < 1e-15,
    )?;

    lab.section("e");
    let euler = std::f64::consts::E;
    let limit = |x: f64| (1.0 + x).powf(1.0 / x);
    let row = |x: f64| {
        vec![
            format!("{x:.0e}"),
            format!("{:.12}", limit(x)),
            format!("{:.1e}", (limit(x) - euler).abs()),
        ]
    };
    let tenths: Vec<f64> = (0..=8).map(|k| 10_f64.powi(-k)).collect();
    lab.table(
        &["x", "(1 + x)^(1/x)", "distance from e"],
        &tenths.iter().chain(&[1e-12, 1e-16]).map(|&x| row(x)).collect::<Vec<_>>(),
    );
    lab.print(format!("e = {euler:.12}"));
    lab.fact(
        "each tenth of x brings the power a tenth of the distance nearer: it is e x / 2 from below",
        tenths[1..7].iter().all(|x| ((euler - limit(*x)) / (euler * x / 2.0) - 1.0).abs() < x.max(0.01)),
    )?;
    lab.fact("x = 1e-16 is lost beside 1, and the power is 1", limit(1e-16) == 1.0)?;
    let steps = || (0..=160).map(|k| 10_f64.powf(-f64::from(k) / 10.0));
    let distances = steps().map(|x| (x, (limit(x) - euler).abs())).filter(|p| p.1 > 0.0);
    lab.figure(
        Plot::new("How far (1 + x)^(1/x) is from e")
            .axes("x", "distance from e")
            .log_x()
            .log_y()
            .line("e x / 2", steps().map(|x| (x, euler * x / 2.0)))
            .dashed()
            .dots("64-bit numbers", distances)
            .color(1)
            .figure(),
    );

    lab.section("sigmoid");
    let y = x.sigmoid();
    let dx = backward(&y, &x, &dout);
    let by_formula = &dout * &y * (1.0 - &y);
    compare(
        lab,
        "Sigmoid",
        &[("x", &dx, &by_formula)],
        &[&|x| (x.sigmoid() * &dout).sum()],
        &[&x],
    )?;
    let points: Vec<f64> = (-80..=80).map(|i| f64::from(i) / 10.0).collect();
    let at = Tensor::new([points.len()], &points);
    let curve = at.sigmoid();
    let slope = grad(&curve.sum(), &at);
    let over = |values: &Tensor| -> Result<Vec<(f64, f64)>> {
        Ok(points.iter().copied().zip(values.to_vec::<f64>()?).collect())
    };
    lab.figure(
        Plot::new("Sigmoid and its slope")
            .axes("x", "")
            .line("y", over(&curve)?)
            .line("y (1 − y)", over(&slope)?)
            .y_range(-0.02, 1.02)
            .figure(),
    );
    lab.fact(
        "the slope is largest at x = 0: there it is ¼",
        slope.max().item()? == 0.25 && slope.to_vec::<f64>()?[80] == 0.25,
    )?;

    lab.section("affine");
    let (n, i, o) = (lab.count("batch"), lab.count("inputs"), lab.count("outputs"));
    if n.max(i).max(o) > 64 {
        return Err(Error::new("batch, inputs and outputs go up to 64"));
    }
    let (x, w) = (random(2, [n, i])?, random(3, [i, o])?);
    let (b, dout) =
        (Tensor::from(random(4, [1, o])?.reshape([-1]).eval()?), random(5, [n, o])?);
    let y = x.matmul(&w) + &b;
    let found = gradients(&(&y * &dout).sum(), &[&x, &w, &b]);
    let ones = Tensor::full([1, n], 1.0, DType::F64);
    let formulas =
        [dout.matmul(&w.t()), x.t().matmul(&dout), ones.matmul(&dout).reshape([-1])];
    let shape = |t: &Tensor| -> Result<String> { Ok(format!("{:?}", t.shape()?)) };
    let rows: Result<Vec<Vec<String>>> = [
        ("X", "dX = dY Wᵀ", &x, &found[0]),
        ("W", "dW = Xᵀ dY", &w, &found[1]),
        ("B", "dB = sum of dY over the batch", &b, &found[2]),
    ]
    .iter()
    .map(|(name, rule, value, slope)| {
        Ok(vec![name.to_string(), shape(value)?, rule.to_string(), shape(slope)?])
    })
    .collect();
    lab.table(&["", "shape", "backward", "its shape"], &rows?);
    compare(
        lab,
        "Affine",
        &[
            ("X", &found[0], &formulas[0]),
            ("W", &found[1], &formulas[1]),
            ("B", &found[2], &formulas[2]),
        ],
        &[
            &|x| ((x.matmul(&w) + &b) * &dout).sum(),
            &|w| ((x.matmul(w) + &b) * &dout).sum(),
            &|b| ((x.matmul(&w) + b) * &dout).sum(),
        ],
        &[&x, &w, &b],
    )?;
    let loss = (&y * &dout).sum();
    lab.figure(
        GraphDrawing::new("Affine: shapes forwards (above) and backwards (below)")
            .name(&x, "X")
            .name(&w, "W")
            .name(&b, "B")
            .name(&dout, "dY")
            .result(&loss, "L")
            .values()
            .gradients()
            .figure()?,
    );

    lab.section("softmax");
    let a = Tensor::new([1, 3], [0.3, 2.9, 4.0]);
    let t = Tensor::from([1]);
    let y = a.softmax();
    let loss = a.cross_entropy(&t).mean();
    let da = grad(&loss, &a);
    lab.print(format!(
        "scores {a}\ny      {y}\nt      [[0, 1, 0]]\nloss   {loss}\ndA     {da}"
    ));
    let bars = |values: &Tensor| -> Result<Vec<(f64, f64)>> {
        Ok((0..3).map(f64::from).zip(values.to_vec::<f64>()?).collect())
    };
    let one_hot = t.one_hot(3).cast(DType::F64);
    let panel = |title: &str, values: &Tensor, color: usize| -> Result<Figure> {
        Ok(Plot::new(title)
            .size(240, 200)
            .axes("class", "")
            .bars("", bars(values)?, 0.7)
            .color(color)
            .x_ticks([(0.0, "0"), (1.0, "1"), (2.0, "2")])
            .y_range(-1.05, 1.05)
            .y_ticks([(-1.0, "−1"), (0.0, "0"), (1.0, "1")])
            .figure())
    };
    lab.figures([
        panel("y", &y, 0)?,
        panel("t", &one_hot, 1)?,
        panel("passed back: y − t", &da, 2)?,
    ]);
    lab.fact("one sample gets back y − t", distance(&da, &(&y - &one_hot))? < 1e-15)?;
    let (a, n) = (random(6, [n, 10])?, n as f64);
    let labels: Vec<i64> = (0..n as i64).map(|row| (row * 7 + 3) % 10).collect();
    let t = Tensor::from(labels);
    let da = grad(&a.cross_entropy(&t).mean(), &a);
    let by_formula = (a.softmax() - t.one_hot(10).cast(DType::F64)) / n;
    compare(
        lab,
        "Softmax-with-loss",
        &[("A", &da, &by_formula)],
        &[&|a| a.cross_entropy(&t).mean()],
        &[&a],
    )?;
    lab.fact(
        "a batch of N samples gets back (y − t) / N, and each row sums to 0",
        distance(&da, &by_formula)? < 1e-15
            && da.sum_axes(&[1], false).abs().max().item()? < 1e-14,
    )?;

    lab.section("pair");
    // Two unlike scores: sure and wrong.
    let a = Tensor::new([1, 2], [8.0, 0.0]);
    let target = Tensor::new([1, 2], [0.0, 1.0]);
    let softmax_squared = ((a.softmax() - &target).square().sum() * 0.5).mean();
    let identity_squared = ((&a - &target).square().sum() * 0.5).mean();
    let cross = a.cross_entropy(&target).mean();
    lab.table(
        &["output and loss", "passed back to the scores (8, 0), right is the second"],
        &[
            vec!["softmax, cross-entropy".into(), grad(&cross, &a).to_string()],
            vec!["identity, squared error".into(), grad(&identity_squared, &a).to_string()],
            vec!["softmax, squared error".into(), grad(&softmax_squared, &a).to_string()],
        ],
    );
    lab.fact(
        "with identity and squared error too, y − t goes back",
        distance(&grad(&identity_squared, &a), &(&a - &target))? == 0.0,
    )?;
    lab.fact(
        "softmax with squared error passes back less than a hundredth of that of cross-entropy",
        grad(&softmax_squared, &a).abs().max().item()?
            < 0.01 * grad(&cross, &a).abs().max().item()?,
    )?;
    let lead = |i: i32| f64::from(i) / 10.0;
    let scores: Vec<f64> = (-100..=100).flat_map(|i| [lead(i), 0.0]).collect();
    let scores = Tensor::new([201, 2], scores);
    let targets = Tensor::from(vec![1_i64; 201]).one_hot(2).cast(DType::F64);
    let slopes = |loss: Tensor| -> Result<Vec<(f64, f64)>> {
        let back = grad(&loss, &scores).at(1, 1).to_vec::<f64>()?;
        Ok((-100..=100).map(lead).zip(back).collect())
    };
    lab.figure(
        Plot::new("What reaches the right class's score")
            .axes("lead of the wrong class", "gradient")
            .line("cross-entropy", slopes(scores.cross_entropy(&targets).sum())?)
            .line(
                "squared error",
                slopes((scores.softmax() - &targets).square().sum() * 0.5)?,
            )
            .figure(),
    );
    Ok(())
}

type Function<'a> = &'a dyn Fn(&Tensor) -> Tensor;

/// Says how far each gradient is from its formula, and from central differences of the function at the tensor; states
/// that it is neither.
fn compare(
    lab: &mut Session,
    layer: &str,
    gradients: &[(&str, &Tensor, &Tensor)],
    functions: &[Function<'_>],
    at: &[&Tensor],
) -> Result<()> {
    let mut rows = Vec::new();
    let mut same = true;
    for (((name, found, formula), f), at) in gradients.iter().zip(functions).zip(at) {
        let numerical = numerical_gradient(f, at)?;
        let (to_formula, to_differences) =
            (distance(found, formula)?, distance(found, &numerical)?);
        same &= to_formula < 1e-12 && to_differences < 1e-7;
        rows.push(vec![
            format!("d{name}"),
            format!("{to_formula:.0e}"),
            format!("{to_differences:.0e}"),
        ]);
    }
    lab.table(&["gradient", "from the formula", "from differences"], &rows);
    lab.fact(
        format!("{layer}: backward agrees with its formula and with differences"),
        same,
    )
}

/// The largest difference between two tensors.
fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok((a - b).abs().max().item()?)
}
