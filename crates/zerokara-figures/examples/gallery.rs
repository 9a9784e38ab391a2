//! Pictures of everything that this crate draws, to be looked at.
use zerokara_core::Tensor;
use zerokara_figures::*;
fn main() {
    let out = std::env::args().nth(1).unwrap();
    let mut html = format!(
        "<meta charset=utf-8><style>body{{background:var(--paper);color:var(--ink);margin:20px}}{STYLE}</style>"
    );
    let curve =
        |f: fn(f64) -> f64| (-50..=50).map(move |i| (f64::from(i) / 10.0, f(f64::from(i) / 10.0)));
    let mut figs = vec![];
    figs.push(
        Plot::new("Activation functions")
            .axes("x", "y")
            .line("sigmoid", curve(|x| 1.0 / (1.0 + (-x).exp())))
            .line("ReLU", curve(|x| x.max(0.0)))
            .dashed()
            .line("tanh", curve(f64::tanh))
            .y_range(-1.1, 1.1)
            .figure(),
    );
    figs.push(
        Plot::new("Contours")
            .axes("x", "y")
            .contours(
                "level",
                |x, y| x * x / 20.0 + y * y,
                &[0.5, 1.0, 2.0, 4.0, 8.0],
                (-10.0, 10.0),
                (-5.0, 5.0),
            )
            .path(
                "SGD",
                (0..20).map(|i| {
                    let i = f64::from(i);
                    (-7.0 + 0.3 * i, 2.0 * (-0.9f64).powf(i))
                }),
            )
            .x_range(-10.0, 10.0)
            .y_range(-5.0, 5.0)
            .equal()
            .figure(),
    );
    let v: Vec<f64> = (0..2000)
        .map(|i| ((f64::from(i) * 0.37).sin() + (f64::from(i) * 0.11).cos()) / 2.0)
        .collect();
    figs.push(
        Plot::new("Histogram")
            .axes("activation", "count")
            .histogram("layer 1", &v, (-1.0, 1.0), 30)
            .figure(),
    );
    figs.push(
        Plot::new("Loss")
            .axes("step", "loss")
            .log_y()
            .log_x()
            .curve(
                "train",
                &(1..500).map(|i| 2.3 / f64::from(i)).collect::<Vec<_>>(),
            )
            .curve(
                "test",
                &(1..500)
                    .map(|i| 2.3 / f64::from(i).sqrt())
                    .collect::<Vec<_>>(),
            )
            .figure(),
    );
    figs.push(
        Plot::new("Gradient field")
            .axes("x0", "x1")
            .arrows(
                "−gradient",
                (-4..=4).flat_map(|i| {
                    (-4..=4).map(move |j| {
                        [
                            f64::from(i) / 2.0,
                            f64::from(j) / 2.0,
                            -f64::from(i) / 10.0,
                            -f64::from(j) / 10.0,
                        ]
                    })
                }),
            )
            .x_range(-2.2, 2.2)
            .y_range(-2.2, 2.2)
            .equal()
            .dots("minimum", [(0.0, 0.0)])
            .figure(),
    );
    let mut tiles = Tiles::new("Digits").tile_size(56).columns(5);
    for i in 0..10 {
        tiles = tiles.add(
            Picture::from_weights(
                &(0..25)
                    .map(|k| ((k * (i + 1)) as f32 * 0.7).sin())
                    .collect::<Vec<_>>(),
                [1, 5, 5],
                1.0,
            )
            .unwrap(),
            format!("filter {i}"),
        );
    }
    figs.push(tiles.figure());
    let t = |x: f64| Tensor::from(x as f32);
    let (a, n, o, m, tax) = (t(100.0), t(2.0), t(150.0), t(3.0), t(1.1));
    let price = (&a * &n + &o * &m) * &tax;
    figs.push(
        GraphDrawing::new("Apples and oranges")
            .name(&a, "apple")
            .name(&n, "number")
            .name(&o, "orange")
            .name(&m, "number")
            .name(&tax, "tax")
            .result(&price, "price")
            .values()
            .gradients()
            .figure()
            .unwrap(),
    );
    let (x, y) = (t(2.0), t(3.0));
    let s = &x + &y;
    let z = &s * &s;
    figs.push(
        GraphDrawing::new("(x + y)²")
            .name(&x, "x")
            .name(&y, "y")
            .result(&z, "z")
            .values()
            .gradients()
            .figure()
            .unwrap(),
    );
    let w = zerokara_core::Parameter::new("linear1.weight", &Tensor::zeros([3, 2])).unwrap();
    let b = zerokara_core::Parameter::new("linear1.bias", &Tensor::zeros([2])).unwrap();
    let xx = Tensor::zeros([4, 3]);
    let h =
        zerokara_core::scope::in_layer("linear1", None, || xx.matmul(&w.tensor()) + &b.tensor());
    let r = zerokara_core::scope::in_layer("relu1", None, || h.relu());
    let loss = r.square().mean();
    figs.push(
        GraphDrawing::new("model")
            .direction(Direction::Down)
            .name(&xx, "x")
            .result(&loss, "loss")
            .figure()
            .unwrap(),
    );
    for (i, f) in figs.iter().enumerate() {
        std::fs::write(format!("{out}/{i}.svg"), f.file()).unwrap();
        html += &f.svg();
    }
    std::fs::write(format!("{out}/all.html"), html).unwrap();
}
