//! im2col (pages 222 to 226): windows become rows of a matrix, and a convolution becomes a matrix product.

use crate::prelude::*;
use std::time::Instant;
use zerokara::core::op::{ConvOptions, PoolOptions};

lab!("im2col", chapter 7, pages "221–228",
    Choice::count("batch", "32", "images in the timed batch").quick("4"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("matrix");
    let numbers: Vec<f32> = (1..=16).map(|n| n as f32).collect();
    let x = Tensor::new([1, 1, 4, 4], numbers);
    let col = unfold(&x, 3);
    lab.figure(
        Matrices::new("Each window becomes a row")
            .add(&x.eval()?.to_f64s(), [4, 4], "input")
            .mark(0..3, 0..3, 0)
            .mark(1..4, 1..4, 1)
            .sign("→")
            .add(&col.eval()?.to_f64s(), [4, 9], "im2col: windows × weights of a filter")
            .mark(0..1, 0..9, 0)
            .mark(3..4, 0..9, 1)
            .figure(),
    );
    let pixels: Vec<Vec<f32>> =
        (0..5).map(|row| (1..=5).map(|n| (5 * row + n) as f32).collect()).collect();
    lab.play(
        Play::new("im2col")
            .slider("row", "window", 1.0..=9.0, 1.0, 1.0)
            .numbers("image", pixels)
            .numbers("side", 3),
    );
    // A digit, with filters of 5 x 5: 24 x 24 windows of 25 pixels.
    let pixels: Vec<f32> =
        Mnist::load()?.test.sample(0).iter().map(|v| v / 255.0).collect();
    let digit = unfold(&Tensor::new([1, 1, 28, 28], &pixels), 5).t().to_vec::<f32>()?;
    if let (Some(image), Some(matrix)) = (
        Picture::from_pixels(&pixels, [1, 28, 28]),
        Picture::from_pixels(&digit, [1, 25, 576]),
    ) {
        lab.figure(Tiles::new("A digit").tile_size(112).add(image, "28 × 28").figure());
        let turned = Tiles::new("Its matrix for filters of 5 × 5, turned on its side")
            .tile_size(576);
        lab.figure(
            turned
                .add(matrix, "576 windows from left to right, 25 pixels of each downwards")
                .figure(),
        );
    }
    let first = [1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 9.0, 10.0, 11.0];
    lab.fact(
        "the first row is the window at the top left",
        col.narrow(0, 0, 1).to_vec::<f32>()? == first,
    )?;

    lab.section("shapes");
    let mut rows = Vec::new();
    for n in [1, 10] {
        let images = Tensor::normal(lab.seed(), &Tensor::from(0), [n, 3, 7, 7]);
        let col = unfold(&images, 5);
        let (before, after) = (images.meta()?.len(), col.meta()?.len());
        rows.push(vec![
            format!("{:?}", images.shape()?),
            format!("{:?}", col.shape()?),
            before.to_string(),
            after.to_string(),
            format!("{:.2}", after as f64 / before as f64),
        ]);
        lab.fact(
            format!("{n} × 3 × 7 × 7 with filters of 5 × 5 gives {} × 75", 9 * n),
            col.shape()? == [9 * n, 75],
        )?;
    }
    lab.table(&["images", "matrix", "numbers before", "after", "times"], &rows);

    lab.section("product");
    let images = Tensor::normal(lab.seed(), &Tensor::from(1), [2, 3, 7, 7]);
    let (w, b) = (
        Tensor::normal(lab.seed(), &Tensor::from(2), [4, 3, 5, 5]),
        Tensor::normal(lab.seed(), &Tensor::from(3), [4]),
    );
    let col = unfold(&images, 5);
    let col_w = w.reshape([4, -1]).t();
    let out = col.matmul(&col_w) + &b;
    let y = out.reshape([2, 3, 3, 4]).permute([0, 3, 1, 2]);
    lab.print(format!(
        "{:?} · {:?} = {:?}  →  reshape {:?}  →  transpose {:?}",
        col.shape()?,
        col_w.shape()?,
        out.shape()?,
        [2, 3, 3, 4],
        y.shape()?
    ));
    let direct = images.conv2d(&w, ConvOptions::default()) + b.reshape([-1, 1, 1]);
    lab.fact("the product is the convolution", distance(&y, &direct)? < 1e-4)?;
    let loss = |y: &Tensor| (y * y).sum() * 0.5;
    let by_matrix = gradients(&loss(&y), &[&images, &w, &b]);
    let by_kernel = gradients(&loss(&direct), &[&images, &w, &b]);
    for ((name, a), d) in ["dx", "dW", "db"].iter().zip(&by_matrix).zip(&by_kernel) {
        let scale = d.abs().max().item()?;
        lab.fact(format!("{name} is the same both ways"), distance(a, d)? < 1e-5 * scale)?;
    }

    lab.section("backward");
    let ones = Tensor::ones([1, 1, 4, 4]);
    let counts = unfold(&ones, 3).col2im([1, 1, 4, 4], [3, 3], [1, 1], [0, 0], [1, 1]);
    lab.figure(
        Matrices::new("How many windows hold each pixel")
            .add(&counts.eval()?.to_f64s(), [4, 4], "col2im of im2col of ones")
            .figure(),
    );
    let expected =
        [1.0, 2.0, 2.0, 1.0, 2.0, 4.0, 4.0, 2.0, 2.0, 4.0, 4.0, 2.0, 1.0, 2.0, 2.0, 1.0];
    lab.fact("col2im adds up, and is no inverse", counts.to_vec::<f32>()? == expected)?;
    let z = Tensor::normal(lab.seed(), &Tensor::from(4), [4, 9]);
    let there = (unfold(&x, 3) * &z).sum().item()?;
    let back =
        (&x * z.col2im([1, 1, 4, 4], [3, 3], [1, 1], [0, 0], [1, 1])).sum().item()?;
    lab.fact(
        "it is the transpose: ⟨im2col(x), z⟩ = ⟨x, col2im(z)⟩",
        (there - back).abs() < 1e-3,
    )?;

    lab.section("pooling");
    let volume = Tensor::normal(lab.seed(), &Tensor::from(5), [2, 3, 6, 6]);
    let windows = volume.im2col([2, 2], [2, 2], [0, 0], [1, 1]).reshape([-1, 4]);
    let largest = windows.max_axes(&[1], false).reshape([2, 3, 3, 3]).permute([0, 3, 1, 2]);
    let pooled = volume.max_pool2d(PoolOptions {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0].into(),
    });
    lab.fact(
        "the largest of each row is max pooling",
        distance(&largest, &pooled)? == 0.0,
    )?;

    lab.section("cost");
    let n = lab.count("batch");
    if n > 512 {
        return Err(Error::new(
            "at most 512 images fit: the matrix repeats every pixel 25 times",
        ));
    }
    let images = Tensor::normal(lab.seed(), &Tensor::from(6), [n, 16, 28, 28]);
    let w = Tensor::normal(lab.seed(), &Tensor::from(7), [16, 16, 5, 5]);
    images.eval()?;
    w.eval()?;
    let matrix = || unfold(&images, 5).matmul(&w.reshape([16, -1]).t());
    let kernel = || images.conv2d(&w, ConvOptions::default());
    let seconds = |f: &dyn Fn() -> Tensor| -> Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..lab.pick(5, 2) {
            let start = Instant::now();
            f().eval()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let megabytes = |t: Tensor| -> Result<String> {
        Ok(format!("{:.1} MB", t.meta()?.len() as f64 * 4e-6))
    };
    let times = [seconds(&matrix)?, seconds(&kernel)?];
    lab.table(
        &["way", "array between", "time"],
        &[
            vec![
                "im2col, product".into(),
                megabytes(unfold(&images, 5))?,
                format!("{:.1} ms", times[0] * 1e3),
            ],
            vec!["conv2d".into(), "none".into(), format!("{:.1} ms", times[1] * 1e3)],
        ],
    );
    let repeated = unfold(&images, 5).meta()?.len() as f64 / images.meta()?.len() as f64;
    lab.print(format!("the matrix holds every pixel {repeated:.1} times"));
    lab.fact("the matrix is many times as large as the images", repeated > 15.0)?;
    Ok(())
}

/// Square windows side by side by one pixel.
fn unfold(x: &Tensor, side: usize) -> Tensor {
    x.im2col([side, side], [1, 1], [0, 0], [1, 1])
}

/// The largest difference between two tensors.
fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok((a - b).abs().max().item()?)
}
