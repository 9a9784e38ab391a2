//! A network of three layers by matrix products (pages 53 to 65): letters, numbers, shapes, and the signal's way.

use crate::prelude::*;

lab!("matrix_network", chapter 3, pages "53–65",
    Choice::numbers("x", "1.0, 0.5", "the two inputs"),
    Choice::word("activation", &["sigmoid", "relu", "tanh"], "sigmoid", "of the hidden layers"),
);

fn run(lab: &mut Session) -> Result<()> {
    let [x1, x2] = lab.numbers("x")[..] else {
        return Err(Error::new("x: two numbers are needed"));
    };
    let x = Tensor::from([[x1 as f32, x2 as f32]]);

    lab.section("product");
    let w = [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]];
    let letters = product(&[["x1", "x2"]], &w.map(|row| row.map(|v| v.to_string())));
    lab.print(format!(
        "(x1 x2) · ⎛1 3 5⎞ = ({})\n          ⎝2 4 6⎠",
        letters[0].join("   ")
    ));
    let y = x.matmul(&Tensor::from(w));
    lab.print(format!("{x} · W = {y}"));
    let expected = [x1 + 2.0 * x2, 3.0 * x1 + 4.0 * x2, 5.0 * x1 + 6.0 * x2];
    lab.fact(
        "(x1 x2) W is (1x1 + 2x2, 3x1 + 4x2, 5x1 + 6x2)",
        letters[0] == ["1 x1 + 2 x2", "3 x1 + 4 x2", "5 x1 + 6 x2"]
            && close(&to_f64(&y)?, &expected),
    )?;
    lab.figure(neurons(x1, x2, w)?);

    lab.section("shapes");
    let (a, b) =
        (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[5.0, 6.0], [7.0, 8.0]]));
    let (ab, ba) = (a.matmul(&b), b.matmul(&a));
    lab.print(format!("A · B\n{ab}\nB · A\n{ba}"));
    lab.fact(
        "A · B is not B · A",
        ab.to_vec::<f32>()? == [19.0, 22.0, 43.0, 50.0]
            && ba.to_vec::<f32>()? == [23.0, 34.0, 31.0, 46.0],
    )?;
    let mut rows = Vec::new();
    let mut told = String::new();
    for (left, right) in
        [([2, 3], [3, 2]), ([3, 2], [2, 4]), ([1, 2], [2, 3]), ([2, 3], [2, 2])]
    {
        let y = Tensor::zeros(left).matmul(&Tensor::zeros(right));
        let shape = match y.shape() {
            Ok(shape) => format!("{shape:?}"),
            Err(error) => {
                told = error.to_string();
                "error".to_string()
            }
        };
        rows.push(vec![format!("{left:?}"), format!("{right:?}"), shape]);
    }
    lab.table(&["A", "B", "A · B"], &rows);
    lab.print(told.lines().next().unwrap_or_default());
    lab.fact(
        "[n, k] · [k, m] is [n, m], and what does not fit is an error",
        rows.iter().map(|row| row[2].as_str()).eq(["[2, 2]", "[3, 4]", "[1, 3]", "error"]),
    )?;

    lab.section("forward");
    let w1 = Tensor::from([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]);
    let b1 = Tensor::from([0.1, 0.2, 0.3]);
    let w2 = Tensor::from([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]);
    let b2 = Tensor::from([0.1, 0.2]);
    let w3 = Tensor::from([[0.1, 0.3], [0.2, 0.4]]);
    let b3 = Tensor::from([0.1, 0.2]);
    let word = lab.word("activation");
    let h = |a: &Tensor| match word {
        "relu" => a.relu(),
        "tanh" => a.tanh(),
        _ => a.sigmoid(),
    };
    let a1 = x.matmul(&w1) + &b1;
    let z1 = h(&a1);
    let a2 = z1.matmul(&w2) + &b2;
    let z2 = h(&a2);
    let y = z2.matmul(&w3) + &b3; // the output layer's activation is the identity
    let steps = [
        ("x", "", &x),
        ("a1", "x W1 + b1", &a1),
        ("z1", "h(a1)", &z1),
        ("a2", "z1 W2 + b2", &a2),
        ("z2", "h(a2)", &z2),
        ("y", "z2 W3 + b3", &y),
    ];
    let rows: Result<Vec<_>> = steps
        .iter()
        .map(|(name, how, value)| {
            let shape = format!("{:?}", value.shape()?);
            Ok(vec![name.to_string(), how.to_string(), shape, value.to_string()])
        })
        .collect();
    lab.table(&["", "", "shape", "value"], &rows?);
    let h = |a: f64| match lab.word("activation") {
        "relu" => a.max(0.0),
        "tanh" => a.tanh(),
        _ => 1.0 / (1.0 + (-a).exp()),
    };
    let layer = |x: &[f64], w: &Tensor, b: &Tensor| by_loops(x, w, b);
    let first: Vec<f64> = layer(&[x1, x2], &w1, &b1)?.into_iter().map(h).collect();
    let second: Vec<f64> = layer(&first, &w2, &b2)?.into_iter().map(h).collect();
    let plain = layer(&second, &w3, &b3)?;
    lab.fact(
        "products of matrices give what plain loops give",
        close(&to_f64(&y)?, &plain),
    )?;
    lab.figure(
        GraphDrawing::new("The first layer")
            .name(&x, "x")
            .name(&w1, "W1")
            .name(&b1, "b1")
            .result(&z1, "z1")
            .values()
            .figure()?,
    );

    lab.section("layers");
    let model = Sequential::new().linear(3).sigmoid().linear(2).sigmoid().linear(2);
    model.build(&x, lab.seed())?;
    let rows: Vec<_> = model
        .named_parameters()?
        .iter()
        .map(|(name, parameter)| {
            let shape = &parameter.meta().shape;
            vec![
                name.to_string(),
                format!("{shape:?}"),
                shape.iter().product::<usize>().to_string(),
            ]
        })
        .collect();
    lab.table(&["parameter", "shape", "numbers"], &rows);
    lab.fact(
        "a 2-3-2-2 network has 2·3 + 3 + 3·2 + 2 + 2·2 + 2 = 23 parameters",
        model.parameter_count()? == 23,
    )?;
    Ok(())
}

/// The product of a matrix of letters and one of numbers, in letters.
fn product<const N: usize, const K: usize, const M: usize>(
    a: &[[&str; K]; N],
    b: &[[String; M]; K],
) -> Vec<Vec<String>> {
    let entry = |row: &[&str; K], column: usize| {
        let terms: Vec<String> = row
            .iter()
            .zip(b)
            .map(|(letter, b)| format!("{} {letter}", b[column]))
            .collect();
        terms.join(" + ")
    };
    a.iter().map(|row| (0..M).map(|column| entry(row, column)).collect()).collect()
}

/// What the product does, neuron by neuron: each output is a sum of weighted inputs.
fn neurons(x1: f64, x2: f64, w: [[f32; 3]; 2]) -> Result<Figure> {
    let inputs = [Tensor::from(x1 as f32), Tensor::from(x2 as f32)];
    let mut drawing =
        GraphDrawing::new("Three neurons").name(&inputs[0], "x1").name(&inputs[1], "x2");
    for (j, (first, second)) in w[0].into_iter().zip(w[1]).enumerate() {
        let (w1, w2) = (Tensor::from(first), Tensor::from(second));
        let y = &inputs[0] * &w1 + &inputs[1] * &w2;
        drawing = drawing
            .name(&w1, format!("w1{}", j + 1))
            .name(&w2, format!("w2{}", j + 1))
            .result(&y, format!("y{}", j + 1));
    }
    Ok(drawing.values().figure()?)
}

/// A layer's sums, as the definition says them, in double precision.
fn by_loops(x: &[f64], w: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
    let (w, b) = (w.to_vec::<f32>()?, b.to_vec::<f32>()?);
    let mut a: Vec<f64> = b.iter().map(|&b| f64::from(b)).collect();
    for (j, a) in a.iter_mut().enumerate() {
        for (i, x) in x.iter().enumerate() {
            *a += x * f64::from(w[i * b.len() + j]);
        }
    }
    Ok(a)
}

fn to_f64(y: &Tensor) -> Result<Vec<f64>> {
    Ok(y.to_vec::<f32>()?.into_iter().map(f64::from).collect())
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    a.len() == b.len() && a.iter().zip(b).all(near)
}
