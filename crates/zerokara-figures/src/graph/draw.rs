//! From places to SVG.

use super::{Direction, Edge, Graph, GraphDrawing, Node, Shape, layout::Layout};
use crate::{
    Figure,
    figure::{Draw, Drawing, Words, px, text, width_of},
};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};
use svg::node::element::{Circle, Group, Path, Rectangle};
use zerokara_core::{Result, scope::Phase};

const MARGIN: f64 = 16.0;

impl GraphDrawing {
    /// The graph, drawn.
    ///
    /// # Errors
    /// The error of the first operation that could not apply; with values or gradients, if they cannot be computed.
    pub fn figure(&self) -> Result<Figure> {
        Ok(Figure::of(Drawable {
            title: self.title.clone(),
            direction: self.direction,
            tells_values: self.values || self.gradients,
            graph: self.graph()?,
        }))
    }
}

/// A graph with all its texts, which needs no tensors any more.
struct Drawable {
    title: String,
    direction: Direction,
    tells_values: bool,
    graph: Graph,
}

impl Draw for Drawable {
    fn draw(&self, words: Words) -> Drawing {
        let mut graph = self.graph.clone();
        for node in &mut graph.nodes {
            (node.label, node.detail) = (words(&node.label), words(&node.detail));
        }
        let title = words(&self.title);
        let layout = Layout::of(&graph, self.direction);
        let top = MARGIN + if title.is_empty() { 0.0 } else { 34.0 };
        let mut drawing = Pen {
            direction: self.direction,
            layout: &layout,
            origin: (MARGIN, top),
            body: Group::new(),
            told: HashSet::new(),
        };
        if !title.is_empty() {
            let title = text((0.0, 15.0), "start", "title", &title);
            drawing.body = drawing.body.add(title);
        }
        drawing.boxes();
        if graph.nodes.iter().any(|n| n.phase == Phase::Backward)
            && self.direction == Direction::Down
        {
            let copies = graph.nodes.iter().any(|n| n.shape == Shape::Copy);
            let told = words(match copies {
                true => "right: gradients, upwards; dashed: taken from the forward part",
                false => "right: gradients, upwards",
            });
            let told = text((0.0, 31.0), "start", "small", &told);
            drawing.body = drawing.body.add(told);
        }
        let mut count: HashMap<(usize, usize), usize> = HashMap::new();
        for edge in &graph.edges {
            *count.entry((edge.from, edge.to)).or_default() += 1;
        }
        let mut drawn: HashMap<(usize, usize), usize> = HashMap::new();
        for (at, edge) in graph.edges.iter().enumerate() {
            // Lines between the same two nodes part in the middle.
            let ends = (edge.from, edge.to);
            let count = count[&ends];
            let number = *drawn.entry(ends).and_modify(|n| *n += 1).or_default();
            let apart = (number as f64 - (count - 1) as f64 / 2.0) * 44.0;
            drawing.edge(at, edge, &graph.nodes, apart);
        }
        drawing.names();
        for (at, node) in graph.nodes.iter().enumerate() {
            drawing.node(at, node);
        }
        let mut sentences = vec![format!("A graph of {} nodes.", graph.nodes.len())];
        for edge in graph.edges.iter().filter(|_| self.tells_values).take(60) {
            let (from, to) = (&graph.nodes[edge.from].label, &graph.nodes[edge.to].label);
            sentences.push(match edge.below.as_str() {
                "" => format!("{from} to {to}: {}.", edge.above),
                gradient => format!("{from} to {to}: {}, gradient {gradient}.", edge.above),
            });
        }
        let sentences: Vec<String> = sentences.iter().map(|said| words(said)).collect();
        let width = (layout.width + 2.0 * MARGIN).max(width_of(&title, 14.0));
        let size = (width.ceil(), (layout.height + top + MARGIN).ceil());
        Drawing::new(&title, sentences.join(" "), size, &drawing.body)
    }
}

struct Pen<'a> {
    direction: Direction,
    layout: &'a Layout,
    origin: (f64, f64),
    body: Group,
    /// Values that are written, with their places.
    told: HashSet<((u64, u64), String)>,
}

impl Pen<'_> {
    fn add(&mut self, element: impl Into<svg::node::element::Element>) {
        self.body = std::mem::take(&mut self.body).add(element.into());
    }

    fn center(&self, node: usize) -> (f64, f64) {
        let (x, y) = self.layout.centers[node];
        (x + self.origin.0, y + self.origin.1)
    }

    /// A box around the nodes of each layer.
    fn boxes(&mut self) {
        for layer in &self.layout.boxes {
            let frame = Rectangle::new()
                .set("class", "group")
                .set("x", px(layer.corner.0 + self.origin.0))
                .set("y", px(layer.corner.1 + self.origin.1))
                .set("width", px(layer.size.0))
                .set("height", px(layer.size.1))
                .set("rx", 8);
            self.body = std::mem::take(&mut self.body).add(frame);
        }
    }

    /// The names of the boxes, above the lines.
    fn names(&mut self) {
        for layer in &self.layout.boxes {
            // At the left: the texts of lines stand at their right.
            let x = layer.corner.0 + self.origin.0 + 6.0;
            let y = layer.corner.1
                + self.origin.1
                + if layer.name_above {
                    11.0
                } else {
                    layer.size.1 - 5.0
                };
            let name = text((x, y), "start", "small layer", &layer.name);
            self.body = std::mem::take(&mut self.body).add(name);
        }
    }

    fn node(&mut self, at: usize, node: &Node) {
        let ((x, y), (w, h)) = (self.center(at), self.layout.sizes[at]);
        let mut class = "box".to_string();
        if node.phase == Phase::Backward {
            class += " back";
        }
        match node.shape {
            Shape::Name => {}
            Shape::Sign => self.add(
                Circle::new()
                    .set("class", class)
                    .set("cx", px(x))
                    .set("cy", px(y))
                    .set("r", 15),
            ),
            Shape::Box | Shape::Parameter | Shape::Copy => {
                let round = if node.shape == Shape::Box {
                    5.0
                } else {
                    h / 2.0
                };
                match node.shape {
                    Shape::Parameter => class += " kept",
                    Shape::Copy => class = "box copy".into(),
                    _ => {}
                }
                self.add(
                    Rectangle::new()
                        .set("class", class)
                        .set("x", px(x - w / 2.0))
                        .set("y", px(y - h / 2.0))
                        .set("width", px(w))
                        .set("height", px(h))
                        .set("rx", px(round)),
                );
            }
        }
        let first = if node.detail.is_empty() {
            y + 4.2
        } else {
            y - 2.0
        };
        self.add(text((x, first), "middle", "strong", &node.label));
        if !node.detail.is_empty() {
            self.add(text((x, first + 13.0), "middle", "small", &node.detail));
        }
    }

    fn edge(&mut self, at: usize, edge: &Edge, nodes: &[Node], apart: f64) {
        let (from, to) = (self.center(edge.from), self.center(edge.to));
        let mut points = vec![from];
        points.extend(
            self.layout.bends[at]
                .iter()
                .map(|b| (b.0 + self.origin.0, b.1 + self.origin.1)),
        );
        if apart != 0.0 {
            let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
            points.push(match self.direction {
                Direction::Right => (middle.0, middle.1 + apart),
                Direction::Down => (middle.0 + apart, middle.1),
            });
        }
        points.push(to);
        let last = points.len() - 1;
        let phases = [edge.from, edge.to].map(|n| nodes[n].phase == Phase::Backward);
        let mut class = if phases[1] { " back" } else { "" };
        let mut direction = self.direction;
        if direction == Direction::Down && phases[0] != phases[1] {
            // From column to column.
            let right = |node: usize, side: f64| {
                self.center(node).0 + side * self.layout.sizes[node].0 / 2.0
            };
            points = vec![
                (right(edge.from, 1.0) + 1.0, from.1),
                (right(edge.to, -1.0) - 2.0, to.1),
            ];
            class = " far";
            direction = Direction::Right;
        } else {
            points[0] = self.border(edge.from, nodes, points[1]);
            points[last] = self.border(edge.to, nodes, points[last - 1]);
        }

        // Lines to the right begin with a straight stretch, on which the texts stand.
        let words = width_of(&edge.above, 12.0).max(width_of(&edge.below, 12.0));
        if self.direction == Direction::Right && words > 0.0 && apart == 0.0 {
            let end = (points[0].0 + words + 8.0, points[0].1);
            points.insert(1, end);
        }
        let last = points.len() - 1;
        let (tip, before) = (points[last], points[last - 1]);
        let d = smooth(&points, direction);
        self.add(Path::new().set("class", format!("edge{class}")).set("d", d));
        self.add(
            Path::new()
                .set("class", format!("head{class}"))
                .set("d", head(direction, before, tip)),
        );

        // Texts lie on the first stretch, beside the node that the value comes from.
        let (a, b) = (points[0], points[1]);
        let (mx, my) = match apart == 0.0 {
            true => ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0),
            false => b,
        };
        // Two lines, the first of which keeps clear of the node.
        let my = match self.direction {
            Direction::Right => my,
            Direction::Down => my.max(a.1 + 13.0),
        };
        let (above, below, anchor) = match self.direction {
            Direction::Right => ((mx, my - 6.0), (mx, my + 15.0), "middle"),
            // On the side that the line turns away from.
            Direction::Down if b.0 > a.0 + 4.0 && apart == 0.0 => {
                let x = a.0 - 6.0;
                ((x, my - 2.0), (x, my + 12.0), "end")
            }
            Direction::Down => {
                let x = if apart == 0.0 { a.0 } else { mx } + 6.0;
                ((x, my - 2.0), (x, my + 12.0), "start")
            }
        };
        // A value that goes to several nodes is written once.
        let place = (px(above.0).to_bits(), px(above.1).to_bits());
        if !edge.above.is_empty() && self.told.insert((place, edge.above.clone())) {
            self.add(text(above, anchor, "value", &edge.above));
        }
        if !edge.below.is_empty() {
            self.add(text(below, anchor, "gradient", &edge.below));
        }
    }

    /// Where a line from the middle of a node towards `to` leaves the node.
    fn border(&self, at: usize, nodes: &[Node], to: (f64, f64)) -> (f64, f64) {
        let ((x, y), (w, h)) = (self.center(at), self.layout.sizes[at]);
        let (dx, dy) = (to.0 - x, to.1 - y);
        if nodes[at].shape == Shape::Sign && self.direction == Direction::Right && dx > 0.0 {
            return (x + 15.0, y);
        }
        if nodes[at].shape == Shape::Sign {
            let length = dx.hypot(dy).max(1e-9);
            return (x + dx / length * 15.0, y + dy / length * 15.0);
        }
        match self.direction {
            Direction::Right => (x + (w / 2.0 + 2.0) * dx.signum(), y),
            Direction::Down => (x + dx.clamp(-w / 3.0, w / 3.0), y + (h / 2.0) * dy.signum()),
        }
    }
}

/// The point of an arrow that comes from `before`.
fn head(direction: Direction, before: (f64, f64), tip: (f64, f64)) -> String {
    // Lines arrive straight along the direction of the graph.
    let (ux, uy) = match direction {
        Direction::Right if (tip.0 - before.0).abs() > 1.0 => {
            let (dx, dy) = ((tip.0 - before.0), (tip.1 - before.1) * 0.3);
            let length = dx.hypot(dy);
            (dx / length, dy / length)
        }
        Direction::Right => (1.0, 0.0),
        Direction::Down => (0.0, if tip.1 < before.1 { -1.0 } else { 1.0 }),
    };
    let (bx, by) = (tip.0 - ux * 7.0, tip.1 - uy * 7.0);
    format!(
        "M{} {}L{} {}L{} {}Z",
        px(tip.0),
        px(tip.1),
        px(bx - uy * 3.2),
        px(by + ux * 3.2),
        px(bx + uy * 3.2),
        px(by - ux * 3.2)
    )
}

/// A curve through the points that starts and ends along the direction of the graph.
fn smooth(points: &[(f64, f64)], direction: Direction) -> String {
    let mut d = format!("M{} {}", px(points[0].0), px(points[0].1));
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let ((ax, ay), (bx, by)) = match direction {
            Direction::Right => (((x0 + x1) / 2.0, y0), ((x0 + x1) / 2.0, y1)),
            Direction::Down => ((x0, (y0 + y1) / 2.0), (x1, (y0 + y1) / 2.0)),
        };
        let _ = write!(
            d,
            "C{} {} {} {} {} {}",
            px(ax),
            px(ay),
            px(bx),
            px(by),
            px(x1),
            px(y1)
        );
    }
    d
}
