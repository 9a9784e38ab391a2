//! The gradient of a network's loss with respect to its weights (pages 109 to 112).

use crate::prelude::*;

lab!("network_gradient", chapter 4, pages "111",
    Choice::numbers("weights",
        "0.47355232, 0.9977393, 0.84668094, 0.85557411, 0.03563661, 0.69422093",
        "the six weights, row by row"),
    Choice::numbers("x", "0.6, 0.9", "the two inputs"),
    Choice::word("class", &["0", "1", "2"], "2", "the right class"),
    Choice::number("rate", "0.5", "learning rate of the descent"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("forward");
    let (weights, inputs) = (lab.numbers("weights"), lab.numbers("x"));
    if weights.len() != 6 || inputs.len() != 2 {
        return Err(Error::new("weights takes six numbers, x two"));
    }
    let x = Tensor::new([1, 2], &inputs);
    let w = Tensor::new([2, 3], &weights);
    let class = lab.number("class") as i64;
    let t = Tensor::from([class]);
    let loss_of = |w: &Tensor| x.matmul(w).cross_entropy(&t).mean();
    let scores = x.matmul(&w);
    let y = scores.softmax();
    let loss = loss_of(&w);
    lab.print(format!("x      {x}\nscores {scores}\ny      {y}\nloss   {loss}"));
    let share = y.to_vec::<f64>()?[class as usize];
    // Of a hopeless answer y is 0, and only the form from scores is right.
    if share > 0.0 {
        lab.fact(
            format!("the loss is −log y{class}"),
            (loss.item()? + share.ln()).abs() < 1e-12 * (1.0 + loss.item()?),
        )?;
    }
    lab.figure(
        GraphDrawing::new("The network")
            .name(&x, "x")
            .name(&w, "W")
            .name(&t, "t")
            .result(&loss, "loss")
            .values()
            .gradients()
            .figure()?,
    );

    lab.section("gradient");
    let by_differences = numerical_gradient(loss_of, &w)?;
    let by_backpropagation = grad(&loss, &w);
    let (slow, fast) =
        (by_differences.to_vec::<f64>()?, by_backpropagation.to_vec::<f64>()?);
    // The formula: each input times the error of each output.
    let errors = &y - t.one_hot(3).cast(DType::F64);
    let formula = x.t().matmul(&errors).to_vec::<f64>()?;
    let rows: Vec<Vec<String>> = (0..6)
        .map(|i| {
            vec![
                format!("w{}{}", i / 3 + 1, i % 3 + 1),
                format!("{:.8}", weights[i]),
                format!("{:.8}", slow[i]),
                format!("{:.8}", fast[i]),
                format!("{:.8}", formula[i]),
                format!("{:.0e}", (slow[i] - fast[i]).abs()),
            ]
        })
        .collect();
    lab.table(
        &[
            "",
            "weight",
            "by differences",
            "by backpropagation",
            "xᵢ(yⱼ − tⱼ)",
            "difference",
        ],
        &rows,
    );
    let agree = |a: &[f64], b: &[f64], tolerance: f64| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < tolerance)
    };
    let size = 1.0 + inputs.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    lab.fact(
        "differences and backpropagation give the same gradient",
        agree(&slow, &fast, 1e-8 * size),
    )?;
    lab.fact("so does the formula xᵀ(y − t)", agree(&formula, &fast, 1e-14 * size))?;
    lab.fact(
        "each row sums to 0: what one class gains, the others lose",
        fast.chunks(3).all(|row| row.iter().sum::<f64>().abs() < 1e-14 * size),
    )?;
    // The book's example, whatever the options say.
    let (book_x, book_t) = (Tensor::new([1, 2], [0.6, 0.9]), Tensor::from([2]));
    let book_w = [0.47355232, 0.9977393, 0.84668094, 0.85557411, 0.03563661, 0.69422093];
    let book_w = Tensor::new([2, 3], book_w);
    let book_loss = book_x.matmul(&book_w).cross_entropy(&book_t).mean();
    let printed = [0.21924763, 0.14356247, -0.36281009, 0.32887144, 0.2153437, -0.54421514];
    lab.fact(
        "the book's loss is 0.9280685 and its dW as printed on page 111",
        (book_loss.item()? - 0.928_068_536_634_113).abs() < 1e-7
            && agree(&grad(&book_loss, &book_w).to_vec::<f64>()?, &printed, 1e-7),
    )?;
    let largest = fast.iter().fold(0.0, |m: f64, d| m.max(d.abs())) as f32;
    let mut tiles = Tiles::new("∂L/∂W (blue: negative)").tile_size(120).columns(3);
    for (name, values) in [("differences", &slow), ("backpropagation", &fast)] {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        if let Some(picture) = Picture::from_weights(&values, [1, 2, 3], largest) {
            tiles = tiles.add(picture, name);
        }
    }
    lab.figure(tiles.figure());

    lab.section("meaning");
    let h = 0.01;
    let mut rows = Vec::new();
    let mut close = true;
    for i in 0..6 {
        let mut moved = weights.clone();
        moved[i] += h;
        let change = loss_of(&Tensor::new([2, 3], moved)).item()? - loss.item()?;
        // The second derivative with respect to a score is y(1 − y), at most a quarter.
        let bend = h * h / 2.0 * inputs[i / 3].powi(2) / 4.0;
        close &= (change - h * fast[i]).abs() <= bend + 1e-14;
        rows.push(vec![
            format!("w{}{}", i / 3 + 1, i % 3 + 1),
            format!("{:+.6}", h * fast[i]).replace('-', "−"),
            format!("{change:+.6}").replace('-', "−"),
        ]);
    }
    lab.table(&["raised by 0.01", "change as predicted", "change of the loss"], &rows);
    lab.fact("the gradient predicts each change, up to a term of h²", close)?;

    lab.section("descent");
    let rate = lab.number("rate");
    let (mut w, mut losses, mut shares) = (w, Vec::new(), [vec![], vec![], vec![]]);
    for _ in 0..lab.pick(100, 40) {
        let loss = loss_of(&w);
        losses.push(loss.item()?);
        let y = x.matmul(&w).softmax().to_vec::<f64>()?;
        shares.iter_mut().zip(y).for_each(|(share, y)| share.push(y));
        w = Tensor::from((&w - grad(&loss, &w) * rate).eval()?);
    }
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    lab.print(format!("loss {first:.4} → {last:.4} in {} steps", losses.len()));
    // Along the loss no second derivative exceeds |x|² / 2; steps shorter than 2 over that go down.
    let bend = inputs.iter().map(|x| x * x).sum::<f64>() / 2.0;
    if rate > 0.0 && rate * bend < 2.0 {
        lab.fact(
            "every step lowers the loss, since the rate is below 4 / |x|²",
            losses.windows(2).all(|w| w[1] <= w[0]),
        )?;
    }
    let mut plot =
        Plot::new("Outputs").size(310, 250).axes("step", "probability").y_range(0.0, 1.0);
    for (class, share) in shares.iter().enumerate() {
        plot = plot.curve(format!("class {class}"), share);
    }
    lab.figures([
        Plot::new("Loss").size(310, 250).axes("step", "loss").curve("", &losses).figure(),
        plot.figure(),
    ]);
    Ok(())
}
