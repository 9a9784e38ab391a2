//! Pooling (pages 219 to 221): the largest value of each window.

use crate::prelude::*;
use zerokara::core::op::PoolOptions;

lab!("pooling", chapter 7, pages "219–221",
    Choice::count("digit", "1", "the number of the test image, from 1"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("example");
    let two = PoolOptions { kernel: [2, 2], stride: [2, 2], padding: [0, 0].into() };
    let x = Tensor::from([[[
        [1.0, 2.0, 1.0, 0.0],
        [0.0, 1.0, 2.0, 3.0],
        [3.0, 0.0, 1.0, 2.0],
        [2.0, 4.0, 0.0, 1.0],
    ]]]);
    let y = x.max_pool2d(two);
    let windows = |matrices: Matrices| {
        let corners = [(0, 0), (0, 2), (2, 0), (2, 2)].into_iter().enumerate();
        corners.fold(matrices, |m, (i, (r, c))| m.mark(r..r + 2, c..c + 2, i))
    };
    let places = |matrices: Matrices| {
        (0..4).fold(matrices, |m, i| m.mark(i / 2..i / 2 + 1, i % 2..i % 2 + 1, i))
    };
    let input = windows(Matrices::new("Windows of 2 × 2").add(
        &x.eval()?.to_f64s(),
        [4, 4],
        "input",
    ));
    lab.figure(
        places(input.sign("→").add(&y.eval()?.to_f64s(), [2, 2], "largest of each"))
            .figure(),
    );
    lab.fact(
        "the book's example gives 2, 3, 4, 2",
        y.to_vec::<f32>()? == [2.0, 3.0, 4.0, 2.0],
    )?;
    lab.fact(
        "the mean instead gives 1, 1.5, 2.25, 1",
        x.avg_pool2d(two, true).to_vec::<f32>()? == [1.0, 1.5, 2.25, 1.0],
    )?;

    lab.section("properties");
    let layer = MaxPool2d::new(2);
    let volume = Tensor::normal(lab.seed(), &Tensor::from(0), [1, 3, 6, 6]);
    layer.build(&volume, 0)?;
    lab.fact("it has nothing to learn", layer.parameter_count()? == 0)?;
    let pooled = layer.forward(&volume, &mut Context::evaluate());
    lab.fact(
        "channels stay apart: 3 go in and 3 come out",
        pooled.shape()? == [1, 3, 3, 3],
    )?;
    let alone = layer.forward(&volume.narrow(1, 1, 1), &mut Context::evaluate());
    let apart = (pooled.narrow(1, 1, 1) - alone).abs().max().item()?;
    lab.fact("a channel's output depends on that channel alone", apart == 0.0)?;

    lab.section("shift");
    let test = Mnist::load()?.test;
    let index = lab.count("digit") - 1;
    if index >= test.len() {
        return Err(Error::new(format!("there are {} test images", test.len())));
    }
    let pixels: Vec<f32> = test.sample(index).iter().map(|v| v / 255.0).collect();
    let image = Tensor::new([1, 1, 28, 28], &pixels);
    let mut rows = Vec::new();
    let mut tiles = Tiles::new("A digit, moved, and what pooling leaves of it")
        .tile_size(84)
        .columns(5);
    let mut lower = Vec::new();
    for shift in 0..5usize {
        // Moved to the right, with zeros from the left.
        let moved = image.narrow(3, 0, 28 - shift).pad(&[0, 0, 0, shift], &[0; 4], 0.0);
        let change = |of: &dyn Fn(&Tensor) -> Tensor| -> Result<f64> {
            let (before, after) = (of(&image), of(&moved));
            Ok(((after - &before).square().sum().sqrt() / before.square().sum().sqrt())
                .item()?)
        };
        let by = |size| {
            let options = PoolOptions {
                kernel: [size, size],
                stride: [size, size],
                padding: [0, 0].into(),
            };
            move |t: &Tensor| t.max_pool2d(options)
        };
        rows.push(vec![
            shift.to_string(),
            format!("{:.2}", change(&|t| t.clone())?),
            format!("{:.2}", change(&by(2))?),
            format!("{:.2}", change(&by(4))?),
        ]);
        if let Some(picture) = Picture::from_pixels(&moved.to_vec::<f32>()?, [1, 28, 28]) {
            tiles = tiles.add(picture, format!("by {shift}"));
        }
        lower.extend(Picture::from_pixels(&by(4)(&moved).to_vec::<f32>()?, [1, 7, 7]));
    }
    tiles =
        lower.into_iter().fold(tiles, |tiles, picture| tiles.add(picture, "4 × 4 pooled"));
    lab.figure(tiles.figure());
    lab.table(
        &["pixels moved", "change of the image", "after 2 × 2", "after 4 × 4"],
        &rows,
    );
    let a = Tensor::from([[[[9.0, 1.0, 2.0, 7.0], [0.0, 3.0, 1.0, 5.0]]]]);
    let b = Tensor::from([[[[1.0, 9.0, 7.0, 2.0], [3.0, 0.0, 5.0, 1.0]]]]);
    let difference = (a.max_pool2d(two) - b.max_pool2d(two)).abs().max().item()?;
    lab.fact("what moves within its window changes nothing", difference == 0.0)?;
    let c = Tensor::from([[[[1.0, 2.0, 7.0, 0.0], [3.0, 1.0, 5.0, 0.0]]]]);
    let difference = (a.max_pool2d(two) - c.max_pool2d(two)).abs().max().item()?;
    lab.fact("what leaves its window changes the output", difference > 0.0)?;

    lab.section("backward");
    let upstream = Tensor::from([[[[10.0, 20.0], [30.0, 40.0]]]]);
    let dx = grad(&(&y * &upstream).sum(), &x);
    let output =
        places(Matrices::new("The gradient goes where the largest value was").add(
            &upstream.eval()?.to_f64s(),
            [2, 2],
            "from above",
        ));
    lab.figure(
        windows(output.sign("→").add(&dx.eval()?.to_f64s(), [4, 4], "to the input"))
            .figure(),
    );
    let expected = [
        0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0, 0.0, 0.0, 0.0, 40.0, 0.0, 30.0, 0.0, 0.0,
    ];
    lab.fact(
        "only the largest of each window receives it",
        dx.to_vec::<f32>()? == expected,
    )?;
    Ok(())
}
