//! From NumPy's arrays to tensors (pages 11 to 19): shapes, types, broadcasting, elements, masks, sums, random numbers and
//! the book's first plots.

use crate::prelude::*;

lab!("arrays", chapter 1, pages "1–19",
    Choice::numbers("row", "10, 20", "the two numbers that each row is multiplied by"),
    Choice::count("samples", "20000", "random numbers to draw, up to 1,000,000").quick("5000"),
    Choice::number("step", "0.1", "distance of the points at which sin and cos are computed"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("arrays");
    let x = Tensor::from([1.0, 2.0, 3.0]);
    let y = Tensor::from([2.0, 4.0, 6.0]);
    lab.print(format!("x      {x}\ny      {y}"));
    lab.print(format!("x + y  {}\nx − y  {}", &x + &y, &x - &y));
    lab.print(format!("x * y  {}\nx / y  {}\nx / 2  {}", &x * &y, &x / &y, &x / 2.0));
    let quotient = (&x / &y).to_vec::<f32>()?;
    lab.fact("[1, 2, 3] / [2, 4, 6] is 0.5 for each element", quotient == [0.5; 3])?;
    let product = (&x * &y).to_vec::<f32>()?;
    lab.fact("x * y multiplies element by element", product == [2.0, 8.0, 18.0])?;

    lab.section("shapes");
    let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let b = Tensor::from([[3.0, 0.0], [0.0, 6.0]]);
    let numbers = Tensor::arange(0, 6, 1);
    let table = numbers.reshape([2, -1]);
    let rows = [("A", &a), ("arange(0, 6)", &numbers), ("reshape [2, −1]", &table)];
    let rows: Result<Vec<_>> = rows
        .iter()
        .map(|(name, t)| {
            let elements = t.to_string().replace('\n', "");
            Ok(vec![name.to_string(), format!("{:?}", t.shape()?), elements])
        })
        .collect();
    lab.table(&["tensor", "shape", "elements"], &rows?);
    lab.print(format!("A + B =\n{}\nA * B =\n{}", &a + &b, &a * &b));
    lab.fact(
        "reshaping keeps the order of the elements, transposing does not",
        table.to_vec::<i64>()? == [0, 1, 2, 3, 4, 5]
            && table.t().to_vec::<i64>()? == [0, 3, 1, 4, 2, 5],
    )?;
    let (by_elements, by_matrices) = (&a * &b, a.matmul(&b));
    lab.fact(
        "A * B is not the product of matrices, which is matmul",
        by_elements.to_vec::<f32>()? == [3.0, 0.0, 0.0, 24.0]
            && by_matrices.to_vec::<f32>()? == [3.0, 12.0, 9.0, 24.0],
    )?;

    lab.section("broadcasting");
    let [left, right] = lab.numbers("row")[..] else {
        return Err(Error::new("row: two numbers are needed"));
    };
    let row = Tensor::from([left as f32, right as f32]);
    let spread = row.broadcast_to(&[2, 2]);
    let product = &a * &row;
    let values = |t: &Tensor| t.to_vec::<f32>().map(|v| v.into_iter().map(f64::from));
    let matrix = |t: &Tensor| values(t).map(Vec::from_iter);
    let drawn = Matrices::new("A row is used for all rows")
        .add(&matrix(&a)?, [2, 2], "A")
        .sign("*")
        .add(&matrix(&spread)?, [2, 2], "the row, twice")
        .mark(0..1, 0..2, 1)
        .sign("=")
        .add(&matrix(&product)?, [2, 2], "A * row");
    lab.figure(drawn.figure());
    lab.fact(
        "A * row is A * (the row in each row)",
        product.to_vec::<f32>()? == (&a * &spread).to_vec::<f32>()?,
    )?;
    if lab.usual(&["row"]) {
        let expected = [10.0, 40.0, 30.0, 80.0];
        lab.fact(
            "with 10 and 20 it is [[10, 40], [30, 80]], as on page 14",
            product.to_vec::<f32>()? == expected,
        )?;
    }
    let unfit = &a + Tensor::from([1.0, 2.0, 3.0]);
    lab.fact("rows of 2 and of 3 numbers do not fit", unfit.eval().is_err())?;

    lab.section("elements");
    let x = Tensor::from([[51.0, 55.0], [14.0, 19.0], [0.0, 4.0]]);
    let flat = x.reshape([-1]);
    let chosen = flat.index_select(0, &Tensor::from([0, 2, 4]));
    let taken: [(&str, &str, Tensor); 6] = [
        ("X[0]", "x.at(0, 0)", x.at(0, 0)),
        ("X[0][1]", "x.at(0, 0).at(0, 1)", x.at(0, 0).at(0, 1)),
        ("X[1:, 0]", "x.slice(0, 1.., 1).at(1, 0)", x.slice(0, 1.., 1).at(1, 0)),
        ("X.flatten()", "x.reshape([-1])", flat.clone()),
        ("X.flatten()[::-1]", "flat.slice(0, .., -1)", flat.slice(0, .., -1)),
        ("X.flatten()[[0, 2, 4]]", "flat.index_select(0, &places)", chosen.clone()),
    ];
    let rows: Vec<_> = taken
        .iter()
        .map(|(n, z, t)| vec![n.to_string(), z.to_string(), t.to_string()])
        .collect();
    lab.table(&["NumPy", "Zerokara", "elements"], &rows);
    lab.fact(
        "X.flatten()[[0, 2, 4]] is [51, 14, 0]",
        chosen.to_vec::<f32>()? == [51.0, 14.0, 0.0],
    )?;
    let backwards = flat.slice(0, .., -1).to_vec::<f32>()?;
    lab.fact(
        "a step of −1 gives the elements backwards",
        backwards.iter().rev().copied().eq(flat.to_vec::<f32>()?),
    )?;

    lab.section("masks");
    let mask = x.greater(&Tensor::from(15.0));
    let large = x.masked_select(&mask);
    let cleared = x.masked_fill(&mask, 0.0);
    lab.print(format!(
        "x > 15 (1: true)
{}",
        mask.cast(DType::I64)
    ));
    lab.print(format!("x[x > 15] = {large}"));
    lab.fact("x[x > 15] is [51, 55, 19]", large.to_vec::<f32>()? == [51.0, 55.0, 19.0])?;
    let kept = matrix(&x)?;
    let drawn = Matrices::new("What a mask chooses")
        .add(&kept, [3, 2], "x")
        .mark(0..1, 0..2, 1)
        .mark(1..2, 1..2, 1)
        .sign("→")
        .add(&matrix(&cleared)?, [3, 2], "0 where x > 15");
    lab.figure(drawn.figure());

    lab.section("values");
    lab.print(format!(
        "x =
{x}"
    ));
    lab.print("x.masked_fill(x > 15, 0) =");
    lab.print(&cleared);
    lab.fact(
        "filling gives a new tensor, and x stays as it was",
        cleared.to_vec::<f32>()? == [0.0, 0.0, 14.0, 0.0, 0.0, 4.0]
            && x.to_vec::<f32>()? == [51.0, 55.0, 14.0, 19.0, 0.0, 4.0],
    )?;
    let weight = Parameter::new("w", &Tensor::from([1.0, 2.0]))?;
    let before = weight.value();
    weight.set(&(weight.tensor() * 3.0))?;
    lab.fact(
        "a parameter is a place: setting it changes what it holds",
        before.as_slice::<f32>()? == [1.0, 2.0]
            && weight.tensor().to_vec::<f32>()? == [3.0, 6.0],
    )?;

    lab.section("reductions");
    let [by_column, by_row] = [0, 1].map(|axis| x.sum_axes(&[axis], false));
    let row = |name: &str, of: [Tensor; 3]| {
        [vec![name.to_string()], of.iter().map(Tensor::to_string).collect()].concat()
    };
    lab.table(
        &["reduction", "all", "axis 0", "axis 1"],
        &[
            row("sum", [x.sum(), by_column.clone(), by_row.clone()]),
            row("mean", [x.mean(), x.mean_axes(&[0], false), x.mean_axes(&[1], false)]),
            row("max", [x.max(), x.max_axes(&[0], false), x.max_axes(&[1], false)]),
            row("argmax", [flat.argmax(0), x.argmax(0), x.argmax(1)]),
        ],
    );
    lab.fact(
        "the axis that is named is the one that goes: [3, 2] becomes [2] or [3]",
        by_column.shape()? == [2] && by_row.shape()? == [3],
    )?;
    let centred = &x - x.mean_axes(&[0], true);
    lab.fact(
        "x less its mean over axis 0, kept with length 1, has columns of mean 0",
        centred.mean_axes(&[0], false).abs().max().item()? < 1e-5,
    )?;

    lab.section("types");
    let third = |dtype: DType| -> Result<f64> {
        Ok((Tensor::full([1], 1.0, dtype) / Tensor::full([1], 3.0, dtype)).sum().item()?)
    };
    let error =
        |dtype| Ok::<_, Error>(format!("{:.1e}", (third(dtype)? - 1.0 / 3.0).abs()));
    let name = |t: &Tensor| t.dtype().map(|dtype| dtype.to_string());
    let (whole, double) = (Tensor::from([1, 2]), Tensor::new([2], [1.0_f64, 2.0]));
    let rows = [
        vec!["[1.0, 2.0]".into(), name(&Tensor::from([1.0, 2.0]))?, error(DType::F32)?],
        vec!["[1.0_f64, 2.0]".into(), name(&double)?, error(DType::F64)?],
        vec!["[1, 2]".into(), name(&whole)?, String::new()],
        vec!["x > 15".into(), name(&mask)?, String::new()],
    ];
    lab.table(&["what it is made from", "element type", "error of 1/3"], &rows);
    lab.fact(
        "types are not mixed: adding whole numbers to f32 is an error until they are cast",
        (&whole + Tensor::from([0.5, 0.5])).eval().is_err()
            && (whole.cast(DType::F32) + Tensor::from([0.5, 0.5])).to_vec::<f32>()?
                == [1.5, 2.5],
    )?;

    lab.section("random");
    let count = lab.count("samples");
    let draw = |step: i64| Tensor::normal(lab.seed(), &Tensor::from(step), [count]);
    let (first, again, next) = (draw(0), draw(0), draw(1));
    let samples: Vec<f64> = values(&first)?.collect();
    lab.fact(
        "the same key and step give the same numbers, another step gives others",
        first.to_vec::<f32>()? == again.to_vec::<f32>()?
            && first.to_vec::<f32>()? != next.to_vec::<f32>()?,
    )?;
    let (mean, std) = (first.mean().item()?, first.std().item()?);
    lab.print(format!("mean {mean:.4}"));
    lab.print(format!("standard deviation {std:.4}"));
    if count >= 1000 {
        // The mean of n numbers has the standard deviation 1/√n, and that of their deviation is smaller still.
        let bound = 6.0 / (count as f64).sqrt();
        lab.fact(
            "their mean is near 0 and their standard deviation near 1",
            mean.abs() < bound && (std - 1.0).abs() < bound,
        )?;
    }
    lab.figure(
        Plot::new("Normal random numbers")
            .size(640, 260)
            .axes("value", "numbers")
            .histogram("", &samples, (-4.0, 4.0), 40)
            .figure(),
    );

    lab.section("plots");
    let step = lab.number("step");
    if !(0.001..=3.0).contains(&step) {
        return Err(Error::new(format!("step: from 0.001 to 3, not {step}")));
    }
    let points = (6.0 / step).ceil() as i64;
    let x = Tensor::arange(0, points, 1).cast(DType::F64) * step;
    let (sin, cos) = (x.sin(), x.cos());
    let at = x.to_vec::<f64>()?;
    let curve = |y: &Tensor| -> Result<Vec<(f64, f64)>> {
        Ok(at.iter().copied().zip(y.to_vec::<f64>()?).collect())
    };
    lab.figures([
        Plot::new("sin").size(430, 300).axes("x", "y").line("", curve(&sin)?).figure(),
        Plot::new("sin and cos")
            .size(430, 300)
            .axes("x", "y")
            .line("sin", curve(&sin)?)
            .line("cos", curve(&cos)?)
            .dashed()
            .figure(),
    ]);
    let one = (sin.square() + cos.square() - 1.0).abs().max().item()?;
    lab.fact("sin² + cos² is 1 at every point", one < 1e-12)?;
    let slope = (grad(&sin.sum(), &x) - &cos).abs().max().item()?;
    lab.fact("the gradient of sin is cos", slope < 1e-12)?;
    Ok(())
}
