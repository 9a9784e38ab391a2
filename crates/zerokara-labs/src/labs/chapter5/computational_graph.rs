//! Computational graphs (pages 123 to 140): values forwards, gradients backwards.

use crate::prelude::*;

lab!("computational_graph", chapter 5, pages "123–140",
    Choice::numbers("fruit", "100, 2, 150, 3", "price and number of apples, then of oranges"),
    Choice::number("tax", "1.1", "what the sum is multiplied with"),
    Choice::number("x", "2", "x in (x + y)²"),
    Choice::number("y", "3", "y in (x + y)²"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("apples");
    let fruit = lab.numbers("fruit");
    if fruit.len() != 4 {
        return Err(Error::new("fruit takes four numbers"));
    }
    let number = |value: f64| Tensor::scalar(value, DType::F64);
    let [apple, apples, orange, oranges] = [0, 1, 2, 3].map(|i| number(fruit[i]));
    let tax = number(lab.number("tax"));
    let price = &apple * &apples * &tax;
    lab.print(format!("price {price}"));
    lab.figure(
        GraphDrawing::new("Two apples with tax")
            .name(&apple, "apple")
            .name(&apples, "apples")
            .name(&tax, "tax")
            .result(&price, "price")
            .values()
            .gradients()
            .figure()?,
    );
    let raised = (&apple + 1.0) * &apples * &tax;
    let more = raised.item()? - price.item()?;
    let slope = grad(&price, &apple).item()?;
    lab.print(format!("apples dearer by 1: price up by {more:.4}; gradient {slope:.4}"));
    lab.fact(
        "the gradient says by how much the price rises when an apple costs 1 more",
        near(more, slope),
    )?;

    lab.section("fruit");
    let sum = &apple * &apples + &orange * &oranges;
    let total = &sum * &tax;
    let inputs = [&apple, &apples, &orange, &oranges, &tax];
    let names = ["apple", "apples", "orange", "oranges", "tax"];
    let mut drawing = GraphDrawing::new("Apples and oranges");
    for (input, name) in inputs.iter().zip(names) {
        drawing = drawing.name(input, name);
    }
    lab.figure(drawing.result(&total, "price").values().gradients().figure()?);
    let mut play = Play::new("shopping");
    for (name, high, step, value) in [
        ("apple", 300.0, 10.0, 100.0),
        ("apples", 10.0, 1.0, 2.0),
        ("orange", 300.0, 10.0, 150.0),
        ("oranges", 10.0, 1.0, 3.0),
        ("tax", 2.0, 0.01, 1.1),
    ] {
        play = play.slider(name, name, 0.0..=high, step, value).word(name, name);
    }
    lab.play(play.word("price", "price"));
    let slopes: Result<Vec<f64>> =
        gradients(&total, &inputs).iter().map(|slope| Ok(slope.item()?)).collect();
    let slopes = slopes?;
    lab.table(
        &["", "value", "∂price"],
        &(0..5)
            .map(|i| {
                vec![names[i].into(), inputs[i].to_string(), format!("{:.4}", slopes[i])]
            })
            .collect::<Vec<_>>(),
    );
    let t = tax.item()?;
    let rule = [
        fruit[1] * t,
        fruit[0] * t,
        fruit[3] * t,
        fruit[2] * t,
        fruit[0] * fruit[1] + fruit[2] * fruit[3],
    ];
    lab.fact(
        "each gradient is the product of what its input was multiplied with on the way",
        slopes.iter().zip(rule).all(|(&slope, rule)| near(slope, rule)),
    )?;
    // The book's numbers, whatever the options say.
    let v = [100.0, 2.0, 150.0, 3.0, 1.1].map(number);
    let book = (&v[0] * &v[1] + &v[2] * &v[3]) * &v[4];
    let found = gradients(&book, &[&v[0], &v[1], &v[2], &v[3], &v[4]]);
    let known = [2.2, 110.0, 3.3, 165.0, 650.0];
    let mut same = near(book.item()?, 715.0);
    for (slope, known) in found.iter().zip(known) {
        same &= near(slope.item()?, known);
    }
    lab.fact("for 715 the gradients are 2.2, 110, 3.3, 165 and 650", same)?;

    lab.section("by-hand");
    let (mut mul_apple, mut mul_orange, mut add, mut mul_tax) =
        (Mul::default(), Mul::default(), Add, Mul::default());
    let apple_price = mul_apple.forward(fruit[0], fruit[1]);
    let orange_price = mul_orange.forward(fruit[2], fruit[3]);
    let all = add.forward(apple_price, orange_price);
    let hand = mul_tax.forward(all, t);
    let (d_all, d_tax) = mul_tax.backward(1.0);
    let (d_apple_price, d_orange_price) = add.backward(d_all);
    let (d_orange, d_oranges) = mul_orange.backward(d_orange_price);
    let (d_apple, d_apples) = mul_apple.backward(d_apple_price);
    let by_hand = [d_apple, d_apples, d_orange, d_oranges, d_tax];
    lab.print(format!("price {hand:.4}\ngradients {by_hand:.4?}"));
    lab.fact(
        "layers written by hand give the same price and gradients as grad",
        near(hand, total.item()?) && by_hand.iter().zip(&slopes).all(|(&a, &b)| near(a, b)),
    )?;

    lab.section("chain");
    let (x, y) = (number(lab.number("x")), number(lab.number("y")));
    let t = &x + &y;
    let z = t.square();
    lab.figure(
        GraphDrawing::new("z = t², t = x + y")
            .name(&x, "x")
            .name(&y, "y")
            .result(&z, "z")
            .values()
            .gradients()
            .figure()?,
    );
    let (along_t, along_x) = (grad(&z, &t).item()?, grad(&z, &x).item()?);
    let t_by_x = grad(&t, &x).item()?;
    lab.table(
        &["step", "rule", "value"],
        &[
            vec!["∂z/∂z".into(), "1".into(), "1".into()],
            vec!["∂z/∂t".into(), "2t".into(), along_t.to_string()],
            vec!["∂t/∂x".into(), "1".into(), t_by_x.to_string()],
            vec!["∂z/∂x = ∂z/∂t · ∂t/∂x".into(), "2t · 1".into(), along_x.to_string()],
        ],
    );
    let s = x.item()? + y.item()?;
    lab.fact(
        "∂z/∂t is 2t, and ∂z/∂x = ∂z/∂t · ∂t/∂x = 2(x + y)",
        near(along_t, 2.0 * s) && near(along_x, along_t * t_by_x) && near(along_x, 2.0 * s),
    )?;
    let apart = &x * &x + &x * &y * 2.0 + &y * &y;
    lab.fact(
        "multiplied out, x² + 2xy + y² has the same gradient, summed over the paths of x",
        near(grad(&apart, &x).item()?, along_x),
    )?;

    lab.section("network");
    // One neuron, with every number.
    let names = ["x", "w", "b", "t", "½"];
    let [x, w, b, t, half] = [1.5, 0.8, -0.4, 1.0, 0.5].map(number);
    let y = (&w * &x + &b).sigmoid();
    let loss = (&y - &t).square() * &half;
    let mut drawing = GraphDrawing::new("A neuron and its loss");
    for (tensor, name) in [&x, &w, &b, &t, &half].into_iter().zip(names) {
        drawing = drawing.name(tensor, name);
    }
    lab.figure(drawing.result(&loss, "loss").values().gradients().figure()?);
    let y = y.item()?;
    lab.fact(
        "the neuron's ∂loss/∂w is (y − t) · y(1 − y) · x",
        near(grad(&loss, &w).item()?, (y - 1.0) * y * (1.0 - y) * 1.5),
    )?;
    let model = Sequential::new().linear(5).relu().linear(4);
    let x = Tensor::normal(lab.seed(), &Tensor::from(0), [6, 4]);
    let x = Tensor::from(x.eval()?);
    let labels = Tensor::from([1, 3, 0, 2, 1, 3]);
    model.build(&x, lab.seed())?;
    let loss = SoftmaxCrossEntropy::new()
        .loss(&model.forward(&x, &mut Context::train(lab.seed())), &labels);
    let graph = GraphDrawing::new("A network 4-5-4 and a batch of 6")
        .name(&x, "x")
        .name(&labels, "t")
        .result(&loss, "loss")
        .direction(Direction::Down)
        .values()
        .gradients();
    lab.figure(graph.figure()?);
    let parameters = model.named_parameters()?;
    let mut rows = Vec::new();
    for (name, parameter) in &parameters {
        let slope = grad(&loss, &parameter.tensor());
        rows.push(vec![
            name.clone(),
            format!("{:?}", parameter.meta().shape),
            format!("{:?}", slope.shape()?),
        ]);
    }
    lab.table(&["parameter", "shape", "shape of the gradient"], &rows);
    lab.fact(
        "every gradient has the shape of its parameter",
        rows.iter().all(|row| row[1] == row[2]),
    )?;
    Ok(())
}

/// The book's `MulLayer` (page 137): remembers its inputs, and swaps them on the way back.
#[derive(Default)]
struct Mul {
    x: f64,
    y: f64,
}

impl Mul {
    fn forward(&mut self, x: f64, y: f64) -> f64 {
        (self.x, self.y) = (x, y);
        x * y
    }

    fn backward(&self, dout: f64) -> (f64, f64) {
        (dout * self.y, dout * self.x)
    }
}

/// The book's `AddLayer` (page 138): passes the gradient on to both.
struct Add;

impl Add {
    fn forward(&mut self, x: f64, y: f64) -> f64 {
        x + y
    }

    fn backward(&self, dout: f64) -> (f64, f64) {
        (dout, dout)
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}
