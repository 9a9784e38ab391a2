//! Charts as reports have them: what is shown of the axes, what marks and bars say, how long bars are.

use roxmltree::{Document, Node};
use zerokara_figures::{Bars, Figure, Heatmap, Parallel, Plot};

const WORDS: &str = "a < b & \"c\" > 'd' \u{1b}[31m";

/// Reads a picture; its elements are given to `body`.
fn read<T>(figure: &Figure, body: impl FnOnce(&[Node]) -> T) -> T {
    let svg = figure.svg();
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let document = Document::parse(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
    let nodes: Vec<Node> = document.descendants().filter(|n| n.is_element()).collect();
    body(&nodes)
}

fn number(node: &Node, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

/// All words of a node, its children's included.
fn words(node: &Node) -> String {
    let texts = node.descendants().filter(|n| n.is_text());
    let texts: String = texts.filter_map(|n| n.text()).collect();
    texts.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn texts(figure: &Figure) -> Vec<String> {
    read(figure, |nodes| {
        let texts = nodes.iter().filter(|n| n.has_tag_name("text"));
        texts.map(words).collect()
    })
}

/// What is told of each element that one points at; the first is of the whole picture.
fn told(figure: &Figure) -> Vec<String> {
    read(figure, |nodes| {
        let titles = nodes.iter().filter(|n| n.has_tag_name("title"));
        titles.skip(1).map(words).collect()
    })
}

/// The paths of this class.
fn paths(figure: &Figure, class: &str) -> Vec<String> {
    read(figure, |nodes| {
        let paths = nodes.iter().filter(|n| n.attribute("class") == Some(class));
        paths
            .filter_map(|n| n.attribute("d"))
            .map(str::to_string)
            .collect()
    })
}

/// The room between the axes: left, top, right, bottom.
fn room(figure: &Figure) -> [f64; 4] {
    let axes = places(&paths(figure, "axis")[0]);
    [axes[0], axes[1], axes[3], axes[2]]
}

/// The numbers of a path.
fn places(path: &str) -> Vec<f64> {
    let parts = path.split(['M', 'L', 'V', 'H', ' ']);
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[test]
fn lines_go_from_corner_to_corner() {
    let figure = Plot::new("").line("", [(0.0, 2.0), (10.0, 0.0)]).figure();
    let [left, top, right, bottom] = room(&figure);
    let line = places(&paths(&figure, "line c0")[0]);
    for (found, expected) in line.iter().zip([left, top, right, bottom]) {
        assert!((found - expected).abs() < 0.15, "{line:?}");
    }
}

#[test]
fn a_point_between_gaps_is_a_dot() {
    for gap in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let points = [0.5, 1.0, gap, 2.0, gap, 1.0];
        let points = points.iter().enumerate().map(|(x, &y)| (x as f64, y));
        let line = &paths(&Plot::new("").line("", points).figure(), "line c0")[0];
        assert_eq!(line.matches('M').count(), 3, "{line}");
        assert_eq!(line.matches('L').count(), 1, "{line}");
        assert_eq!(line.matches("h.01").count(), 2, "{line}");
    }
}

#[test]
fn what_is_in_focus_is_shown_and_the_rest_is_cut() {
    let points = [(1.0, 900.0), (2.0, 95.0), (3.0, 99.7)];
    let plot = Plot::new("").line("", points).y_focus(95.0, 99.7);
    let labels = texts(&plot.clone().y_limits(0.0, 100.0).figure());
    assert!(labels.contains(&"95".to_string()) && labels.contains(&"100".to_string()));
    assert!(!labels.iter().any(|l| l.starts_with('9') && l.len() > 2));
    // All alike: the axis is widened, but not beyond the limits.
    let same = Plot::new("").line("", [(1.0, 100.0), (2.0, 100.0)]);
    let line = |plot: Plot| places(&paths(&plot.figure(), "line c0")[0])[1];
    let top = |plot: &Plot| room(&plot.figure())[1];
    assert!(line(same.clone()) > top(&same) + 20.0);
    assert_eq!(line(same.clone().y_limits(0.0, 100.0)), top(&same));
    // What is not a number is no focus.
    assert_eq!(
        plot.clone().y_focus(f64::NAN, 1.0).figure(),
        Plot::new("").line("", points).figure()
    );
}

#[test]
fn epochs_are_marked_at_whole_numbers() {
    let labels = |plot: Plot| {
        let all = texts(&plot.figure());
        all.into_iter().filter(|l| l.contains('.')).count()
    };
    let plot = Plot::new("")
        .line("", [(1.0, 0.0), (3.0, 4.0)])
        .y_ticks([(0.0, "0")]);
    assert!(labels(plot.clone()) > 0);
    assert_eq!(labels(plot.whole_x()), 0);
}

#[test]
fn marks_say_their_values_and_differ_in_shape() {
    let plot = Plot::new("Loss").axes("step", "loss");
    let figure = ["train", "test", "third", "fourth"]
        .into_iter()
        .fold(plot, |plot, name| plot.path(name, [(1.0, 0.98)]))
        .figure();
    assert_eq!(told(&figure)[0], "step 1, train loss: 0.98");
    let shapes = (0..4).map(|color| {
        let path = &paths(&figure, &format!("dot c{color}"))[0];
        path.chars()
            .filter(|c| c.is_alphabetic())
            .collect::<String>()
    });
    let shapes: Vec<String> = shapes.collect();
    assert_eq!(shapes, ["Maaz", "Mhvhz", "Mlhz", "Mlllz"]);
    // Without names of axes, and of a series, there are the numbers.
    assert_eq!(
        told(&Plot::new("").dots("", [(1.0, 2.0)]).figure()),
        ["1, 2"]
    );
}

#[test]
fn a_marked_place_stands_where_its_number_does() {
    let plot = Plot::new("")
        .axes("epoch", "loss")
        .line("", [(1.0, 1.0), (9.0, 2.0)]);
    let figure = plot.clone().x_mark(3.0, "best").figure();
    let [left, top, right, bottom] = room(&figure);
    let line = places(&paths(&figure, "line thin grey dashed")[0]);
    let expected = [left + (right - left) / 4.0, top, bottom];
    for (found, expected) in line.iter().zip(expected) {
        assert!((found - expected).abs() < 0.15, "{line:?}");
    }
    assert!(texts(&figure).contains(&"best".to_string()));
    // It does not move the axes; what they do not reach is not drawn.
    let far = plot.x_mark(30.0, "best").figure();
    assert_eq!(room(&far), [left, top, right, bottom]);
    assert!(!texts(&far).contains(&"best".to_string()));
}

#[test]
fn legends_tell_last_values() {
    let plot = Plot::new("Loss")
        .line("train", [(1.0, 0.5), (2.0, 0.123_456), (3.0, f64::NAN)])
        .dots("others", [(1.0, 0.4)]);
    let told = |plot: &Plot, words: &str| texts(&plot.figure()).contains(&words.to_string());
    assert!(told(&plot, "train") && told(&plot, "Loss"));
    let plot = plot.last_values().no_title();
    assert!(told(&plot, "train 0.1235") && told(&plot, "others") && !told(&plot, "Loss"));
    assert!(plot.figure().svg().contains("<title>Loss</title>"));
}

#[test]
fn bars_are_as_long_as_their_values() {
    let figure = Bars::new("Speed")
        .width(720)
        .unit("images/s")
        .bar("Zerokara", [40_000.0])
        .bar(WORDS, [10_000.0])
        .grey()
        .bar("broken", [f64::NAN])
        .bar("nothing", [0.0])
        .bar("in parts", [5_000.0, -1.0, 15_000.0])
        .note("a half")
        .figure();
    let bars: Vec<(f64, f64)> = read(&figure, |nodes| {
        let bars = nodes.iter().filter(|n| n.has_tag_name("rect"));
        bars.map(|n| (number(n, "x"), number(n, "width"))).collect()
    });
    assert_eq!(bars.len(), 4);
    for (bar, share) in bars.iter().zip([1.0, 0.25, 0.125, 0.375]) {
        assert!((bar.1 - bars[0].1 * share).abs() < 0.15, "{bars:?}");
    }
    assert!(
        (bars[3].0 - (bars[2].0 + bars[2].1)).abs() < 0.15,
        "{bars:?}"
    );
    let right = 720.0 - bars[0].0 - bars[0].1;
    assert!(right > 90.0, "room for the number: {right}");
    let texts = texts(&figure);
    for expected in [
        "40,000 images/s",
        "10,000 images/s",
        "–",
        "0 images/s",
        "20,000 images/s a half",
    ] {
        assert!(texts.iter().any(|t| t == expected), "{expected}: {texts:?}");
    }
    assert_eq!(told(&figure)[0], "Zerokara: 40,000 images/s");
    Document::parse(&Bars::new(WORDS).figure().file()).unwrap();
}

#[test]
fn cells_say_what_they_are() {
    let names = ["cat", "a name that is longer than its cell"];
    let map = Heatmap::new("", [2, 2])
        .axes("answered", "label")
        .names(names, names)
        .cell([0, 0], 1_234.0, 0, 1.0)
        .cell([1, 0], 2.0, 7, f64::NAN)
        .cell([5, 0], 3.0, 0, 1.0)
        .right("recall", ["100", "0"])
        .below("precision", ["99", "–", "99.8"]);
    let figure = map.figure();
    assert_eq!(
        told(&figure),
        [
            "label cat, answered cat: 1,234",
            &format!("label {}, answered cat: 2", names[1])
        ]
    );
    let shades: Vec<(String, f64)> = read(&figure, |nodes| {
        let shades = nodes
            .iter()
            .filter(|n| n.attribute("fill-opacity").is_some());
        let of = |n: &Node| {
            (
                n.attribute("class").unwrap().to_string(),
                number(n, "fill-opacity"),
            )
        };
        shades.map(of).collect()
    });
    assert_eq!(
        shades,
        [("shade c0".to_string(), 0.5), ("shade c1".to_string(), 0.0)]
    );
    let texts = texts(&figure);
    for expected in ["1,234", "recall", "precision", "99.8", "label", "answered"] {
        assert!(texts.iter().any(|t| t == expected), "{expected}: {texts:?}");
    }
    // What leans stays within the picture.
    let [width, height] = [figure.size().0, figure.size().1];
    read(&figure, |nodes| {
        for node in nodes.iter().filter(|n| n.has_tag_name("text")) {
            assert!((0.0..=width).contains(&number(node, "x")));
            assert!((0.0..=height).contains(&number(node, "y")));
        }
    });
}

#[test]
fn many_cells_are_pixels() {
    let map = (0..100).fold(Heatmap::new(WORDS, [100, 100]), |map, k| {
        map.axes("answered", "label")
            .cell([k, (k * 7) % 100], 3.0, 1, 0.5)
    });
    let figure = map.figure();
    assert_eq!(told(&figure), [""; 0]);
    assert!(figure.svg().contains("data:image/png"));
    assert!(figure.svg().len() < 10_000);
    let texts = texts(&figure);
    assert_eq!(texts.iter().filter(|t| *t == "80").count(), 2, "{texts:?}");
    for shape in [[0, 0], [1, 0], [30, 1], [1_000_000, 2]] {
        read(&Heatmap::new("", shape).figure(), |_| {});
    }
}

#[test]
fn lines_over_parallel_axes_have_gaps_and_names() {
    let chart = || {
        Parallel::new(WORDS)
            .size(400, 200)
            .axis("a", [(0.0, "low"), (1.0, "high")])
            .axis("b", [(0.0, "0"), (0.01, "too near"), (1.0, "1")])
            .axis("c", [(0.5, WORDS)])
            .line("whole", [Some(0.0), Some(0.5), Some(1.0)])
            .strong()
            .line("gap", [Some(f64::NAN), None, Some(0.2)])
            .grey()
            .legend("best", Some(0))
    };
    for figure in [
        chart().figure(),
        chart().lying().figure(),
        Parallel::new("").figure(),
    ] {
        read(&figure, |_| ());
    }
    let figure = chart().figure();
    let whole = places(&paths(&figure, "line c0")[0]);
    assert_eq!(whole.len(), 6, "{whole:?}");
    assert!(
        whole[0] < whole[2] && whole[1] > whole[3] && whole[3] > whole[5],
        "{whole:?}"
    );
    assert!(told(&figure).contains(&"gap".to_string()));
    assert!(!texts(&figure).contains(&"too near".to_string()));
    let lying = places(&paths(&chart().lying().figure(), "line c0")[0]);
    assert!(lying[0] < lying[2] && lying[1] < lying[3], "{lying:?}");
}
