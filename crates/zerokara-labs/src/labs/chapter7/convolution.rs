//! Convolution (pages 207 to 218): a filter slides over an image; padding, stride, channels, and the output's size.

use crate::prelude::*;
use zerokara::core::op::ConvOptions;

lab!("convolution", chapter 7, pages "207–218",
    Choice::numbers("filter", "1,0,-1,2,0,-2,1,0,-1", "the filter for the digit, row by row: 1, 4, 9, .. numbers"),
    Choice::count("stride", "1", "the step of the filter on the digit"),
    Choice::number("padding", "1", "zeros around the digit"),
    Choice::count("digit", "1", "the number of the test image, from 1"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("example");
    let x = Tensor::from([[[
        [1.0, 2.0, 3.0, 0.0],
        [0.0, 1.0, 2.0, 3.0],
        [3.0, 0.0, 1.0, 2.0],
        [2.0, 3.0, 0.0, 1.0],
    ]]]);
    let w = Tensor::from([[[[2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 0.0, 2.0]]]]);
    let y = x.conv2d(&w, ConvOptions::default());
    lab.figure(drawing("The window at the top left gives 15", &x, &w, &y, 0..3)?);
    lab.fact(
        "the book's example gives 15, 16, 6, 15",
        y.to_vec::<f32>()? == [15.0, 16.0, 6.0, 15.0],
    )?;

    lab.section("bias");
    let biased = &y + 3.0;
    lab.print(format!("with the bias 3: {:?}", biased.to_vec::<f32>()?));
    lab.fact(
        "one bias is added to every place",
        biased.to_vec::<f32>()? == [18.0, 19.0, 9.0, 18.0],
    )?;

    lab.section("padding");
    let padding = |p| ConvOptions { padding: [p, p].into(), ..Default::default() };
    let same = x.conv2d(&w, padding(1));
    let padded = x.pad(&[0, 0, 1, 1], &[0, 0, 1, 1], 0.0);
    lab.figure(drawing("One ring of zeros: 4 × 4 stays 4 × 4", &padded, &w, &same, 0..3)?);
    lab.fact("a 3 × 3 filter with padding 1 keeps the size", same.shape()? == x.shape()?)?;
    let inner = same.narrow(2, 1, 2).narrow(3, 1, 2);
    lab.fact(
        "inside, the result is the one without padding",
        distance(&inner, &y)? == 0.0,
    )?;

    lab.section("stride");
    let wide: Vec<f32> = (0..49).map(|i| ((i % 7 + 1 + 3 * (i / 7)) % 4) as f32).collect();
    let wide = Tensor::new([1, 1, 7, 7], wide);
    let step = |s| ConvOptions { stride: [s, s], ..Default::default() };
    let strided = wide.conv2d(&w, step(2));
    lab.figure(drawing("Stride 2: 7 × 7 becomes 3 × 3", &wide, &w, &strided, 2..5)?);
    lab.play(
        Play::new("windows")
            .slider("padding", "padding", 0.0..=2.0, 1.0, 0.0)
            .slider("stride", "stride", 1.0..=3.0, 1.0, 2.0)
            .slider("at", "window", 1.0..=81.0, 1.0, 1.0)
            .numbers("image", rows(&wide, 7)?)
            .numbers("filter", rows(&w, 3)?),
    );
    let every = wide.conv2d(&w, step(1)).slice(2, .., 2).slice(3, .., 2);
    lab.fact(
        "stride 2 is every second place of stride 1",
        distance(&strided, &every)? == 0.0,
    )?;

    lab.section("sizes");
    let mut rows = Vec::new();
    let mut agree = true;
    for (h, w, p, s, fh, fw) in [
        (4, 4, 0, 1, 3, 3),
        (4, 4, 1, 1, 3, 3),
        (7, 7, 0, 2, 3, 3),
        (28, 31, 2, 3, 5, 5),
        (28, 28, 0, 1, 5, 5),
        (28, 28, 2, 2, 5, 5),
        (10, 10, 0, 3, 3, 3),
    ] {
        let image = Tensor::zeros([1, 1, h, w]);
        let options =
            ConvOptions { stride: [s, s], padding: [p, p].into(), ..Default::default() };
        let output = image.conv2d(&Tensor::zeros([1, 1, fh, fw]), options);
        let formula = |length: usize, filter: usize| {
            (length + 2 * p - filter) as f64 / s as f64 + 1.0
        };
        let [oh, ow] = [formula(h, fh), formula(w, fw)];
        agree &= output.shape()? == [1, 1, oh.floor() as usize, ow.floor() as usize];
        rows.push(vec![
            format!("{h} × {w}"),
            format!("{fh} × {fw}"),
            p.to_string(),
            s.to_string(),
            format!("{oh:.3}").trim_end_matches('0').trim_end_matches('.').to_string(),
            format!("{:?}", &output.shape()?[2..]),
        ]);
    }
    lab.table(&["input", "filter", "padding", "stride", "formula (rows)", "output"], &rows);
    lab.fact("every output has the size of the formula, rounded down", agree)?;
    let misfit = Tensor::zeros([1, 1, 2, 2]).conv2d(&w, ConvOptions::default());
    lab.fact("a filter larger than the padded image is an error", misfit.eval().is_err())?;

    lab.section("channels");
    let (images, filters) = (random(lab, [2, 3, 8, 8]), random(lab, [4, 3, 3, 3]));
    let together = images.conv2d(&filters, ConvOptions::default());
    lab.print(format!(
        "{:?} with filters {:?} gives {:?}",
        images.shape()?,
        filters.shape()?,
        together.shape()?
    ));
    let one =
        |c| images.narrow(1, c, 1).conv2d(&filters.narrow(1, c, 1), ConvOptions::default());
    let sum = one(0) + one(1) + one(2);
    lab.fact(
        "channels are convolved one by one and summed",
        distance(&together, &sum)? < 1e-4,
    )?;
    lab.fact(
        "as many channels leave as there are filters",
        together.shape()? == [2, 4, 6, 6],
    )?;

    lab.section("name");
    let mut impulse = vec![0.0f32; 25];
    impulse[12] = 1.0;
    let impulse = Tensor::new([1, 1, 5, 5], impulse);
    let slid = impulse.conv2d(&w, ConvOptions::default());
    let flipped = impulse.conv2d(&w.flip(&[2, 3]), ConvOptions::default());
    lab.figure(
        Matrices::new("A single 1, seen by the filter")
            .add(&w.eval()?.to_f64s(), [3, 3], "filter w")
            .sign("→")
            .add(&slid.eval()?.to_f64s(), [3, 3], "slid as it is")
            .add(&flipped.eval()?.to_f64s(), [3, 3], "flipped first")
            .figure(),
    );
    lab.fact(
        "what networks call convolution turns the answer to a 1 around",
        distance(&slid, &w.flip(&[2, 3]))? == 0.0,
    )?;
    lab.fact(
        "mathematical convolution, with the filter flipped, gives the filter",
        distance(&flipped, &w)? == 0.0,
    )?;

    lab.section("digit");
    let numbers: Vec<f32> = lab.numbers("filter").iter().map(|&v| v as f32).collect();
    let side = numbers.len().isqrt();
    if side * side != numbers.len() {
        return Err(Error::new(format!("{} numbers make no square filter", numbers.len())));
    }
    let (stride, pad) = (lab.count("stride"), lab.number("padding"));
    if pad.fract() != 0.0 || !(0.0..=28.0).contains(&pad) {
        return Err(Error::new(format!(
            "the padding is a whole number from 0 to 28, not {pad}"
        )));
    }
    let test = Mnist::load()?.test;
    let index = lab.count("digit") - 1;
    if index >= test.len() {
        return Err(Error::new(format!("there are {} test images", test.len())));
    }
    let pixels: Vec<f32> = test.sample(index).iter().map(|v| v / 255.0).collect();
    let options = ConvOptions {
        stride: [stride; 2],
        padding: [pad as usize; 2].into(),
        ..Default::default()
    };
    let filter = Tensor::new([1, 1, side, side], &numbers);
    let answer = Tensor::new([1, 1, 28, 28], &pixels).conv2d(&filter, options);
    let [h, w] = [answer.shape()?[2], answer.shape()?[3]];
    let values = answer.to_vec::<f32>()?;
    let scale = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let mut tiles = Tiles::new("A digit and the filter's answer").tile_size(150).columns(3);
    tiles = tile(tiles, Picture::from_pixels(&pixels, [1, 28, 28]), "input 28 × 28");
    let strongest = numbers.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    tiles =
        tile(tiles, Picture::from_weights(&numbers, [1, side, side], strongest), "filter");
    tiles = tile(
        tiles,
        Picture::from_weights(&values, [1, h, w], scale),
        &format!("output {h} × {w}"),
    );
    lab.figure(tiles.figure());
    lab.fact(
        "the four loops of the definition give the same",
        agrees(&values, &plain(&pixels, &numbers, side, stride, pad as usize), scale),
    )?;
    Ok(())
}

/// The definition, for one image of 28 × 28 and one square filter.
fn plain(x: &[f32], w: &[f32], side: usize, stride: usize, padding: usize) -> Vec<f32> {
    let size = (28 + 2 * padding - side) / stride + 1;
    let mut y = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..size {
            for k in 0..side {
                for l in 0..side {
                    let (i, j) = (row * stride + k, column * stride + l);
                    let inside = padding..padding + 28;
                    if inside.contains(&i) && inside.contains(&j) {
                        y[row * size + column] +=
                            x[(i - padding) * 28 + j - padding] * w[k * side + l];
                    }
                }
            }
        }
    }
    y
}

fn agrees(a: &[f32], b: &[f32], scale: f32) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * scale.max(1e-30))
}

/// `x ⊛ w = y`, with the window of the first output in these columns shaded.
fn drawing(
    title: &str,
    x: &Tensor,
    w: &Tensor,
    y: &Tensor,
    columns: std::ops::Range<usize>,
) -> Result<Figure> {
    let grid = |t: &Tensor| -> Result<_> {
        Ok((t.eval()?.to_f64s(), [t.shape()?[2], t.shape()?[3]]))
    };
    let ((x, x_shape), (w, w_shape), (y, y_shape)) = (grid(x)?, grid(w)?, grid(y)?);
    let place = usize::from(columns.start > 0);
    Ok(Matrices::new(title)
        .add(&x, x_shape, "input")
        .mark(0..3, columns, 1)
        .sign("⊛")
        .add(&w, w_shape, "filter")
        .sign("=")
        .add(&y, y_shape, "output")
        .mark(0..1, place..place + 1, 1)
        .figure())
}

fn tile(tiles: Tiles, picture: Option<Picture>, caption: &str) -> Tiles {
    match picture {
        Some(picture) => tiles.add(picture, caption),
        None => tiles,
    }
}

fn random(lab: &Session, shape: impl Into<Vec<usize>>) -> Tensor {
    Tensor::normal(lab.seed(), &Tensor::from(0), shape)
}

/// The largest difference between two tensors.
fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok((a - b).abs().max().item()?)
}

/// The numbers of a tensor, so many to a row.
fn rows(x: &Tensor, columns: usize) -> Result<Vec<Vec<f32>>> {
    Ok(x.to_vec::<f32>()?.chunks(columns).map(<[f32]>::to_vec).collect())
}
