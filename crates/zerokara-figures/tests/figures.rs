//! What is in the pictures: read from the SVG.

use roxmltree::{Document, Node};
use zerokara_core::{DType, Parameter, Tensor, grad, scope::in_layer};
use zerokara_figures::{Detail, Direction, Figure, GraphDrawing, Picture, Plot, Tiles};

/// Reads a picture; its elements are given to `body`.
fn read<T>(figure: &Figure, body: impl FnOnce(&[Node]) -> T) -> T {
    let file = figure.file();
    let document = Document::parse(&file).unwrap_or_else(|e| panic!("{}: {e}", figure.title()));
    let nodes: Vec<Node> = document.descendants().filter(|n| n.is_element()).collect();
    body(&nodes)
}

fn has_class(node: &Node, class: &str) -> bool {
    node.attribute("class")
        .unwrap_or_default()
        .split(' ')
        .any(|c| c == class)
}

fn number(node: &Node, name: &str) -> f64 {
    node.attribute(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .parse()
        .unwrap()
}

/// The texts of this class, sorted.
fn texts(figure: &Figure, class: &str) -> Vec<String> {
    read(figure, |nodes| {
        let found = nodes
            .iter()
            .filter(|n| n.has_tag_name("text") && has_class(n, class));
        let mut found: Vec<String> = found
            .map(|n| n.text().unwrap_or_default().trim().to_string())
            .collect();
        found.sort();
        found
    })
}

/// Left, top, right and bottom of each rectangle of this class.
fn rectangles(figure: &Figure, class: &str) -> Vec<[f64; 4]> {
    read(figure, |nodes| {
        let found = nodes
            .iter()
            .filter(|n| n.has_tag_name("rect") && has_class(n, class));
        found
            .map(|n| {
                let (x, y) = (number(n, "x"), number(n, "y"));
                [x, y, x + number(n, "width"), y + number(n, "height")]
            })
            .collect()
    })
}

fn circles(figure: &Figure) -> Vec<(f64, f64)> {
    read(figure, |nodes| {
        let found = nodes.iter().filter(|n| n.has_tag_name("circle"));
        found.map(|n| (number(n, "cx"), number(n, "cy"))).collect()
    })
}

fn sorted(values: &[&str]) -> Vec<String> {
    let mut values: Vec<String> = values.iter().map(|v| v.to_string()).collect();
    values.sort();
    values
}

#[test]
fn every_kind_of_picture_is_well_formed_whatever_its_words() {
    let words = "a < b & \"c\" > 'd' ∂x";
    let picture = Picture::from_pixels(&[0.0, 0.5, 1.0, 0.2], [1, 2, 2]).unwrap();
    let x = Tensor::from(2.0);
    let figures = [
        Plot::new(words)
            .axes(words, words)
            .line(words, [(0.0, 0.0), (1.0, 2.0)])
            .dots(words, [(0.5, 0.5)])
            .path("", [(0.0, 1.0), (1.0, 1.0)])
            .bars("bars", [(0.2, 1.0)], 0.1)
            .arrows("arrows", [[0.0, 0.0, 0.5, 0.5]])
            .contours(
                "contours",
                |x, y| x * x + y * y,
                &[0.5],
                (-1.0, 1.0),
                (-1.0, 1.0),
            )
            .text(0.5, 0.5, words)
            .picture(picture.clone(), (0.0, 1.0), (0.0, 1.0))
            .x_ticks([(0.5, words)])
            .figure(),
        Plot::new("nothing").figure(),
        Tiles::new(words).add(picture, words).strong().figure(),
        Tiles::new("").figure(),
        GraphDrawing::new(words)
            .name(&x, words)
            .result(&x.exp(), words)
            .values()
            .gradients()
            .figure()
            .unwrap(),
    ];
    for figure in &figures {
        assert!(Document::parse(&figure.svg()).is_ok(), "{}", figure.title());
        read(figure, |nodes| {
            assert!(nodes[0].has_tag_name("svg"));
            for node in nodes.iter().flat_map(|n| n.attributes()) {
                assert!(
                    !node.value().contains("NaN"),
                    "{}: {}",
                    figure.title(),
                    node.value()
                );
            }
        });
    }
    assert_eq!(texts(&figures[0], "title"), [words]);
}

#[test]
fn a_histogram_counts() {
    // Of four quarters the last has its upper end; what lies outside is in none.
    let values = [0.0, 0.1, 0.25, 0.5, 0.99, 1.0, 1.5, -0.1, f64::NAN];
    let figure = Plot::new("").histogram("", &values, (0.0, 1.0), 4).figure();
    let bars = rectangles(&figure, "bar");
    let heights: Vec<f64> = bars.iter().map(|b| b[3] - b[1]).collect();
    let unit = heights[1];
    let counts: Vec<i64> = heights.iter().map(|h| (h / unit).round() as i64).collect();
    assert_eq!(counts, [2, 1, 1, 2]);
    assert!(
        heights
            .iter()
            .all(|h| (h / unit - (h / unit).round()).abs() < 0.01)
    );
}

/// Where the labels of the horizontal axis stand.
fn x_labels(figure: &Figure) -> Vec<(String, f64)> {
    read(figure, |nodes| {
        let found = nodes.iter().filter(|n| {
            n.has_tag_name("text")
                && n.attribute("text-anchor") == Some("middle")
                && n.attribute("class").is_none()
        });
        found
            .map(|n| {
                (
                    n.text().unwrap_or_default().trim().to_string(),
                    number(n, "x"),
                )
            })
            .collect()
    })
}

#[test]
fn ticks_are_round_and_equally_far_apart() {
    let figure = Plot::new("")
        .size(440, 320)
        .line("", [(0.0, 0.0), (9.7, 1.0)])
        .x_range(0.0, 10.0)
        .figure();
    let labels = x_labels(&figure);
    let names: Vec<&str> = labels.iter().map(|l| l.0.as_str()).collect();
    assert_eq!(names, ["0", "2", "4", "6", "8", "10"]);
    let steps: Vec<f64> = labels.windows(2).take(4).map(|w| w[1].1 - w[0].1).collect();
    assert!(
        steps.iter().all(|s| (s - steps[0]).abs() < 0.25),
        "{steps:?}"
    );
}

#[test]
fn equal_ratios_are_equally_far_apart_on_logarithmic_axes() {
    let points = [
        (1.0, 1.0),
        (10.0, 100.0),
        (100.0, 10_000.0),
        (0.0, 5.0),
        (-1.0, 3.0),
        (5.0, 0.0),
    ];
    let figure = Plot::new("").log_x().log_y().dots("", points).figure();
    // What is not positive has no place.
    let dots = circles(&figure);
    assert_eq!(dots.len(), 3);
    for axis in [|p: (f64, f64)| p.0, |p: (f64, f64)| p.1] {
        let steps = [axis(dots[1]) - axis(dots[0]), axis(dots[2]) - axis(dots[1])];
        assert!(
            (steps[0] - steps[1]).abs() < 0.25 && steps[0].abs() > 50.0,
            "{steps:?}"
        );
    }
}

#[test]
fn points_that_are_not_finite_are_gaps() {
    let points = [
        (0.0, 0.0),
        (1.0, 1.0),
        (2.0, f64::NAN),
        (3.0, 1.0),
        (4.0, f64::INFINITY),
        (f64::NAN, 0.5),
        (5.0, 0.0),
        (6.0, 1.0),
    ];
    let strokes = |points: &[(f64, f64)]| {
        let figure = Plot::new("").line("", points.iter().copied()).figure();
        read(&figure, |nodes| {
            let line = nodes
                .iter()
                .find(|n| n.has_tag_name("path") && has_class(n, "line"))
                .unwrap();
            line.attribute("d").unwrap_or_default().matches('M').count()
        })
    };
    assert_eq!(strokes(&points), 3);
    assert_eq!(strokes(&points[..2]), 1);
    assert_eq!(strokes(&[(0.0, f64::NAN)]), 0);
    assert_eq!(circles(&Plot::new("").dots("", points).figure()).len(), 5);
}

#[test]
fn apples_and_oranges_have_the_books_gradients() {
    let t = |x: f32| Tensor::from(x);
    let (apple, apples, orange, oranges, tax) = (t(100.0), t(2.0), t(150.0), t(3.0), t(1.1));
    let price = (&apple * &apples + &orange * &oranges) * &tax;
    let figure = GraphDrawing::new("Apples and oranges (page 137)")
        .name(&apple, "apple")
        .name(&orange, "orange")
        .result(&price, "price")
        .values()
        .gradients()
        .figure()
        .unwrap();
    assert_eq!(
        texts(&figure, "gradient"),
        sorted(&["2.2", "110", "3.3", "165", "1.1", "1.1", "1.1", "650", "1"])
    );
    assert_eq!(
        texts(&figure, "value"),
        sorted(&["100", "2", "150", "3", "200", "450", "650", "1.1", "715"])
    );
    // Two products, a sum, the product with the tax.
    assert_eq!(circles(&figure).len(), 4);
}

#[test]
fn a_value_that_is_used_twice_has_a_gradient_on_each_line() {
    let x = Tensor::from(3.0);
    let figure = GraphDrawing::new("x · x")
        .name(&x, "x")
        .result(&(&x * &x), "y")
        .values()
        .gradients()
        .figure()
        .unwrap();
    let found: Vec<f64> = texts(&figure, "gradient")
        .iter()
        .map(|t| t.parse().unwrap())
        .collect();
    assert_eq!(found, [1.0, 3.0, 3.0]);
    // dy/dx = 2x is the sum over the lines that leave x.
    assert_eq!(found[1] + found[2], 2.0 * 3.0);
    let lines = read(&figure, |nodes| {
        nodes.iter().filter(|n| has_class(n, "edge")).count()
    });
    assert_eq!(lines, 3);
}

/// Two layers with a way around the second, as in a residual network.
fn residual() -> (Tensor, Vec<Tensor>) {
    let x = Tensor::zeros([4, 3]);
    let parameter = |name: &str, shape: &[usize]| {
        Parameter::new(name, &Tensor::full(shape.to_vec(), 0.5, DType::F32))
            .unwrap()
            .tensor()
    };
    let (w1, b1) = (
        parameter("first.weight", &[3, 3]),
        parameter("first.bias", &[3]),
    );
    let (w2, b2) = (
        parameter("second.weight", &[3, 3]),
        parameter("second.bias", &[3]),
    );
    let h = in_layer("first", None, || x.matmul(&w1) + &b1);
    let z = in_layer("second", None, || (h.matmul(&w2) + &b2).relu());
    ((z + h).square().mean(), vec![w1, b1, w2, b2])
}

fn contains(outer: &[f64; 4], inner: &[f64; 4]) -> bool {
    outer[0] <= inner[0] && outer[1] <= inner[1] && inner[2] <= outer[2] && inner[3] <= outer[3]
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Nothing overlaps: nodes, and boxes of layers, which hold nodes wholly or not at all.
fn assert_apart(figure: &Figure) {
    let groups = rectangles(figure, "group");
    let mut nodes = rectangles(figure, "box");
    nodes.extend(
        circles(figure)
            .iter()
            .map(|&(x, y)| [x - 15.0, y - 15.0, x + 15.0, y + 15.0]),
    );
    for (at, node) in nodes.iter().enumerate() {
        assert!(
            nodes[..at].iter().all(|other| !overlap(node, other)),
            "{}",
            figure.title()
        );
        for group in &groups {
            assert!(
                contains(group, node) || !overlap(group, node),
                "{}",
                figure.title()
            );
        }
    }
    for (at, group) in groups.iter().enumerate() {
        assert!(
            groups[..at].iter().all(|other| !overlap(group, other)),
            "{}",
            figure.title()
        );
    }
}

#[test]
fn boxes_hold_the_nodes_of_their_layer_and_no_others() {
    let (loss, _) = residual();
    for direction in [Direction::Down, Direction::Right] {
        let figure = GraphDrawing::new("residual")
            .direction(direction)
            .result(&loss, "loss")
            .figure()
            .unwrap();
        assert_apart(&figure);
        let groups = rectangles(&figure, "group");
        assert_eq!(groups.len(), 2);
        let mut nodes = rectangles(&figure, "box");
        nodes.extend(circles(&figure).iter().map(|&(x, y)| [x, y, x, y]));
        let mut inside: Vec<usize> = groups
            .iter()
            .map(|group| nodes.iter().filter(|node| contains(group, node)).count())
            .collect();
        inside.sort_unstable();
        // Product, sum, weight and bias; the second has a rectifier too.
        assert_eq!(inside, [4, 5]);
    }
}

#[test]
fn the_backward_part_stands_beside_the_forward_part() {
    let (loss, parameters) = residual();
    let mut drawing = GraphDrawing::new("both")
        .direction(Direction::Down)
        .result(&loss, "loss");
    for (at, parameter) in parameters.iter().enumerate() {
        drawing = drawing.result(&grad(&loss, parameter), format!("gradient {at}"));
    }
    let figure = drawing.figure().unwrap();
    assert_apart(&figure);
    let (back, copies) = (rectangles(&figure, "back"), rectangles(&figure, "copy"));
    let kept = rectangles(&figure, "kept");
    assert!(!back.is_empty() && !copies.is_empty());
    assert_eq!(kept.len(), 4);
    let end = kept.iter().map(|r| r[2]).fold(0.0, f64::max);
    assert!(back.iter().chain(&copies).all(|r| r[0] > end));
    assert!((0..4).all(|at| texts(&figure, "strong").contains(&format!("gradient {at}"))));
    // The product's gradient with respect to the input needs the weight, by its name.
    assert!(
        texts(&figure, "strong")
            .iter()
            .any(|t| t == "weight" || t == "second.weight")
    );

    let operations = drawing.node_count().unwrap();
    let layers = drawing.detail(Detail::Layers);
    assert!(layers.node_count().unwrap() < operations / 2);
    let figure = layers.figure().unwrap();
    assert_apart(&figure);
    let names = texts(&figure, "strong");
    assert_eq!(
        names.iter().filter(|n| *n == "first").count(),
        2,
        "{names:?}"
    );
    assert!(texts(&figure, "small").iter().any(|t| t.starts_with("∂ ")));
}

#[test]
fn a_layer_that_is_left_and_entered_again_is_drawn_in_parts() {
    let x = Tensor::zeros([2]);
    let a = in_layer("a", None, || x.exp().log());
    let b = in_layer("b", None, || a.tanh().sigmoid());
    let y = in_layer("a", None, || (&b + &a).relu().abs());
    let figure = GraphDrawing::new("twice")
        .direction(Direction::Down)
        .result(&y, "y")
        .figure()
        .unwrap();
    assert_apart(&figure);
    assert!(texts(&figure, "small").iter().filter(|t| *t == "b").count() == 1);
}

#[test]
fn long_graphs_are_drawn_in_time() {
    // A thousand operations, each of which also reads the first value.
    let x = Tensor::zeros([2]);
    let mut y = x.clone();
    for _ in 0..500 {
        y = (&y + &x).tanh();
    }
    let start = std::time::Instant::now();
    let figure = GraphDrawing::new("long")
        .direction(Direction::Down)
        .result(&y, "y")
        .figure()
        .unwrap();
    assert_eq!(circles(&figure).len(), 500);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
