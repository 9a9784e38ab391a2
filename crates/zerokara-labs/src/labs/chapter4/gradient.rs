//! Gradients and gradient descent (pages 104 to 109).

use crate::prelude::*;
use zerokara::core::gradient_check::NumericalGradient;
use zerokara::figures::numbers::significant;

lab!("gradient", chapter 4, pages "102–110",
    Choice::word("function", &["bowl", "valley", "saddle"], "bowl",
        "x₀² + x₁², x₀²/20 + x₁², or x₀² − x₁²"),
    Choice::numbers("rates", "0.1, 10, 1e-10", "learning rates, up to four"),
    Choice::numbers("start", "-3, 4", "where the descent begins"),
    Choice::count("steps", "100", "steps of the descent, up to 10,000"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("points");
    let c = match lab.word("function") {
        "valley" => [0.05, 1.0],
        "saddle" => [1.0, -1.0],
        _ => [1.0, 1.0],
    };
    let weights = Tensor::new([2], c);
    let f = |x: &Tensor| (&weights * x.square()).sum();
    let bowl = |x: &Tensor| x.square().sum();
    let mut rows = Vec::new();
    let mut exact = true;
    for (point, truth) in
        [([3.0, 4.0], [6.0, 8.0]), ([0.0, 2.0], [0.0, 4.0]), ([3.0, 0.0], [6.0, 0.0])]
    {
        let x = Tensor::new([2], point);
        let by_differences = numerical_gradient(bowl, &x)?;
        let by_backpropagation = grad(&bowl(&x), &x);
        exact &= by_backpropagation.to_vec::<f64>()? == truth
            && (&by_differences - &by_backpropagation).abs().max().item()? < 1e-8;
        rows.push(vec![
            format!("({}, {})", point[0], point[1]),
            text(&by_differences)?,
            text(&by_backpropagation)?,
        ]);
    }
    lab.table(&["point", "by differences", "by backpropagation"], &rows);
    lab.fact(
        "x₀² + x₁² has the gradients (6, 8) at (3, 4), (0, 4) at (0, 2) and (6, 0) at (3, 0)",
        exact,
    )?;

    lab.section("field");
    let value = |x: f64, y: f64| c[0] * x * x + c[1] * y * y;
    let levels: Vec<f64> = (-5..=5).map(|i| f64::from(i) * 1.6).collect();
    let mut points = Vec::new();
    for i in -5..=5 {
        points.extend((-5..=5).flat_map(|j| [f64::from(j) * 0.4, f64::from(i) * 0.4]));
    }
    let x = Tensor::new([121, 2], points);
    // Rows do not depend on each other: the gradient of the sum has each row's own.
    let slopes = grad(&f(&x), &x);
    let arrows = |length: f64| -> Result<Vec<[f64; 4]>> {
        let (at, slopes) = (x.to_vec::<f64>()?, slopes.to_vec::<f64>()?);
        let pairs = at.chunks(2).zip(slopes.chunks(2));
        Ok(pairs.map(|(x, d)| [x[0], x[1], -d[0] * length, -d[1] * length]).collect())
    };
    let plot = Plot::new("Against the gradient")
        .size(420, 380)
        .axes("x₀", "x₁")
        .x_range(-2.3, 2.3)
        .y_range(-2.3, 2.3)
        .equal()
        .contours("equal f", value, &levels, (-2.3, 2.3), (-2.3, 2.3))
        .arrows("−gradient", arrows(0.09)?);
    lab.figure(plot.figure());
    let analytic = (&x * &weights * 2.0 - &slopes).abs().max().item()?;
    lab.fact(
        "the gradient is (2c₀x₀, 2c₁x₁) at every point of the field",
        analytic < 1e-14,
    )?;

    lab.section("steepest");
    let x = Tensor::new([2], [3.0, 4.0]);
    let g = grad(&f(&x), &x).to_vec::<f64>()?;
    let steepest = (g[0] * g[0] + g[1] * g[1]).sqrt();
    let angle = g[1].atan2(g[0]).to_degrees();
    let h = 1e-5;
    let mut slopes = Vec::new();
    for degrees in -180..=180 {
        let (dy, dx) = f64::from(degrees).to_radians().sin_cos();
        let at = |t: f64| value(3.0 + t * dx, 4.0 + t * dy);
        slopes.push((f64::from(degrees), (at(h) - at(-h)) / (2.0 * h)));
    }
    lab.print(format!(
        "gradient ({}, {}), length {steepest:.4}, angle {angle:.2}°",
        g[0], g[1]
    ));
    lab.fact(
        "no direction climbs faster than the gradient's, none falls faster than the opposite",
        slopes.iter().all(|(_, slope)| slope.abs() <= steepest + 1e-8),
    )?;
    lab.fact(
        "the slope in a direction is the gradient's length times the cosine of the angle between",
        slopes.iter().all(|(degrees, slope)| {
            (slope - steepest * (degrees - angle).to_radians().cos()).abs() < 1e-7
        }),
    )?;
    lab.figure(
        Plot::new("Slope at (3, 4) by direction")
            .axes("direction (degrees)", "slope")
            .line("slope", slopes)
            .dots("gradient", [(angle, steepest)])
            .dots(
                "opposite",
                [(if angle > 0.0 { angle - 180.0 } else { angle + 180.0 }, -steepest)],
            )
            .figure(),
    );

    lab.section("descent");
    let (rates, start, steps) =
        (lab.numbers("rates"), lab.numbers("start"), lab.count("steps"));
    if start.len() != 2 || rates.len() > 4 || steps > 10_000 {
        return Err(Error::new(
            "start takes two numbers, rates up to four, steps up to 10000",
        ));
    }
    let (far, mut distances) =
        (start.iter().fold(1.0, |m: f64, x| m.max(x.abs())), Vec::new());
    let view = far * 1.25;
    let levels: Vec<f64> = (-5..=5).map(|i| f64::from(i) * view * view / 4.0).collect();
    let mut panels = Vec::new();
    let mut rows = Vec::new();
    for &rate in &rates {
        let name = significant(rate, 6);
        let mut path = vec![(start[0], start[1])];
        let mut x = Tensor::new([2], start.clone());
        for _ in 0..steps {
            x = Tensor::from((&x - grad(&f(&x), &x) * rate).eval()?);
            let now = x.to_vec::<f64>()?;
            path.push((now[0], now[1]));
        }
        let factors = c.map(|c| 1.0 - 2.0 * rate * c);
        // Rounding is relative to the larger of the two parts that are subtracted.
        let follows = |before: f64, after: f64, factor: f64| {
            let size = before.abs() * (1.0 + (1.0 - factor).abs());
            !after.is_finite() || (after - factor * before).abs() <= 1e-15 * size + 1e-300
        };
        lab.fact(
            format!(
                "with a rate of {name} each step multiplies x₀ by {} and x₁ by {}",
                significant(factors[0], 12),
                significant(factors[1], 12)
            ),
            path.windows(2).all(|w| {
                follows(w[0].0, w[1].0, factors[0]) && follows(w[0].1, w[1].1, factors[1])
            }),
        )?;
        let end = path[path.len() - 1];
        let largest = factors.iter().fold(0.0, |m: f64, f| m.max(f.abs()));
        rows.push(vec![
            name.clone(),
            format!("({}, {})", significant(end.0, 9), significant(end.1, 9)),
            match largest {
                l if l > 1.0 => "runs away".into(),
                1.0 => "never arrives".into(),
                l if l.powf(steps as f64) > 0.99 => "hardly moves".into(),
                _ => "arrives".into(),
            },
        ]);
        let distance = |(x, y): (f64, f64)| x.hypot(y);
        let line = path.iter().enumerate().map(|(i, &p)| (i as f64, distance(p)));
        distances.push((name.clone(), line.collect::<Vec<_>>()));
        // Beyond the frame nothing is to be seen of a path that runs away.
        let seen =
            path.iter().take_while(|p| p.0.abs() < 1e3 * far && p.1.abs() < 1e3 * far);
        panels.push(
            Plot::new(format!("Learning rate {name}"))
                .size(290, 290)
                .axes("x₀", "x₁")
                .x_range(-view, view)
                .y_range(-view, view)
                .equal()
                .no_legend()
                .contours("equal f", value, &levels, (-view, view), (-view, view))
                .path("path", seen.copied().collect::<Vec<_>>())
                .dots("start", [(start[0], start[1])])
                .figure(),
        );
    }
    lab.table(&["rate", "where it ends", ""], &rows);
    lab.figures(panels);
    let mut plot = Plot::new("Distance from (0, 0)").axes("step", "distance").log_y();
    for (name, line) in distances {
        plot = plot.line(format!("rate {name}"), line);
    }
    lab.figure(plot.figure());

    lab.section("book");
    let differences = NumericalGradient::new().step(1e-4);
    let (mut x, mut last) = (vec![-3.0, 4.0], Vec::new());
    for _ in 0..100 {
        let slope = differences.of(bowl, &Tensor::new([2], x.clone()))?.to_vec::<f64>()?;
        last = x.clone();
        x = x.iter().zip(slope).map(|(x, d)| x - 10.0 * d).collect();
    }
    let truth = 19.0_f64.powi(100);
    lab.print(format!("by differences, h = 1e-4   ({:.8e}, {:.8e})", x[0], x[1]));
    lab.print(format!(
        "in truth, (−19)¹⁰⁰ x       ({:.8e}, {:.8e})",
        -3.0 * truth,
        4.0 * truth
    ));
    lab.fact(
        "by differences a rate of 10 ends at the book's (−2.58983747e13, −1.29524862e12)",
        format!("{:.8e} {:.8e}", x[0], x[1]) == "-2.58983747e13 -1.29524862e12",
    )?;
    lab.fact(
        "and stands still there, since x + h is x",
        x == last && x.iter().all(|x| x + 1e-4 == *x),
    )?;
    Ok(())
}

/// A tensor in the book's round brackets.
fn text(x: &Tensor) -> Result<String> {
    let parts: Vec<String> =
        x.to_vec::<f64>()?.iter().map(|x| format!("{x:.10}")).collect();
    Ok(format!("({})", parts.join(", ")))
}
