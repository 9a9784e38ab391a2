//! Softmax (pages 66 to 70): scores become probabilities, without an overflow.

use crate::prelude::*;

lab!("softmax", chapter 3, pages "66–70",
    Choice::numbers("scores", "0.3, 2.9, 4.0", "the scores of the classes"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("definition");
    let scores = lab.numbers("scores");
    let a = Tensor::from(scores.iter().map(|&s| s as f32).collect::<Vec<_>>());
    let exps = a.exp();
    let y = &exps / exps.sum();
    lab.print(format!("a          {a}\nexp(a)     {exps}\nsoftmax(a) {y}"));

    lab.section("properties");
    let y = a.softmax();
    let shares = y.to_vec::<f32>()?;
    lab.fact(
        "every output lies between 0 and 1",
        shares.iter().all(|p| (0.0..=1.0).contains(p)),
    )?;
    lab.fact("the outputs sum to 1", (y.sum().item()? - 1.0).abs() < 1e-6)?;
    lab.fact(
        "the largest score stays the largest",
        order(&scores) == order(&to_f64(&shares)),
    )?;
    let names = (0..scores.len()).map(|class| (class as f64, class.to_string()));
    let bars = |values: &[f64]| {
        values.iter().enumerate().map(|(i, &v)| (i as f64, v)).collect::<Vec<_>>()
    };
    lab.figures([
        Plot::new("Scores")
            .axes("class", "a")
            .bars("", bars(&scores), 0.7)
            .x_ticks(names.clone())
            .figure(),
        Plot::new("Softmax")
            .axes("class", "y")
            .bars("", bars(&to_f64(&shares)), 0.7)
            .color(1)
            .x_ticks(names)
            .figure(),
    ]);

    lab.play(
        Play::new("temperature")
            .powers("temperature", "temperature", -1.0..=1.5, 0.05, 0.0)
            .numbers("scores", scores.clone())
            .word("class", "class")
            .word("share", "softmax(a / temperature)"),
    );

    lab.section("overflow");
    let large = Tensor::from([1010.0, 1000.0, 990.0]);
    let naive = large.exp() / large.exp().sum();
    lab.print(format!("exp(1010) = {}\nnaive softmax {naive}", Tensor::from(1010.0).exp()));
    lab.fact(
        "the plain formula gives NaN for large scores",
        naive.to_vec::<f32>()?.iter().all(|p| p.is_nan()),
    )?;

    lab.section("shift");
    let shifted = &large - large.max();
    let y = shifted.exp() / shifted.exp().sum();
    lab.print(format!("a − max(a) {shifted}\nsoftmax    {y}"));
    let built_in = large.softmax();
    lab.fact("the library's softmax gives the same", distance(&y, &built_in)? < 1e-7)?;
    let rows: Result<Vec<_>> = [-50.0, -1.0, 0.0, 2.0, 50.0]
        .iter()
        .map(|&log_c: &f64| {
            let moved = (&a + log_c).exp();
            let y = &moved / moved.sum();
            Ok(vec![
                log_c.to_string(),
                y.to_string(),
                format!("{:.1e}", distance(&y, &a.softmax())?),
            ])
        })
        .collect();
    let rows = rows?;
    lab.table(&["log C", "softmax from exp(a + log C)", "difference"], &rows);
    lab.fact(
        "adding log C to all scores changes nothing",
        rows.iter().all(|row| row[2].parse::<f64>().is_ok_and(|d| d < 1e-6)),
    )?;
    Ok(())
}

/// The classes, smallest value first.
fn order(values: &[f64]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..values.len()).collect();
    classes.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    classes
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// The largest difference between two tensors.
fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok((a - b).abs().max().item()?)
}
