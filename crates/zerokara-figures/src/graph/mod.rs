//! Computational graphs: which operations a tensor was made by, drawn from inputs to results.

mod clusters;
mod draw;
mod layout;

use crate::numbers::significant;
use std::collections::{BTreeMap, HashMap, HashSet};
use zerokara_core::{
    Result, Tensor, gradients,
    op::{Call, Gradient, Kind},
    scope::Phase,
};

/// Which way a graph runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From left to right, as the book draws graphs: for a few operations.
    #[default]
    Right,
    /// From top to bottom: for models.
    Down,
}

/// What a node of the drawing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Each operation; those of a layer stand in a box with its name.
    #[default]
    Operations,
    /// Each layer, with all of its operations and parameters in one node.
    Layers,
}

/// The drawing of a computational graph.
///
/// Values stand above the lines that carry them, gradients of the first result below. Repetition along an axis
/// (broadcasting) is not drawn as an operation. A graph that runs down and holds gradients has two columns: the
/// forward part from top to bottom, and beside it the backward part from bottom to top; what the latter takes from
/// the former is drawn there again by its name, with a dashed border.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_figures::GraphDrawing;
///
/// let (apple, number, tax) = (Tensor::from(100.0), Tensor::from(2.0), Tensor::from(1.1));
/// let price = &apple * &number * &tax;
/// let figure = GraphDrawing::new("Two apples")
///     .name(&apple, "apple").name(&number, "number").name(&tax, "tax")
///     .result(&price, "price")
///     .values()
///     .gradients()
///     .figure()?;
/// assert!(figure.svg().contains("220") && figure.svg().contains("2.2"));
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphDrawing {
    title: String,
    direction: Direction,
    detail: Detail,
    names: HashMap<u64, String>,
    results: Vec<(Tensor, String)>,
    values: bool,
    gradients: bool,
}

/// How a node is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A name without a border: an input, a constant, a result.
    Name,
    /// A value that is trained.
    Parameter,
    /// A circle around a sign.
    Sign,
    /// A box around the name of an operation or layer.
    Box,
    /// The name of a value that is made elsewhere in the drawing.
    Copy,
}

/// A layer's part in one phase of the step.
type Layer = (Phase, String);

/// A node of the drawing.
#[derive(Clone, Debug)]
struct Node {
    shape: Shape,
    label: String,
    /// A second line: attributes, shapes.
    detail: String,
    /// The layer that it belongs to, and the phase of the step.
    group: Option<Layer>,
    phase: Phase,
}

/// A line from one node to another.
#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    above: String,
    below: String,
}

#[derive(Clone, Debug, Default)]
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl GraphDrawing {
    /// A drawing without results yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            direction: Direction::default(),
            detail: Detail::default(),
            names: HashMap::new(),
            results: Vec::new(),
            values: false,
            gradients: false,
        }
    }

    /// Draws what this tensor was computed from.
    pub fn result(mut self, tensor: &Tensor, name: impl Into<String>) -> Self {
        self.results.push((tensor.clone(), name.into()));
        self
    }

    /// The name of an input or an intermediate value.
    pub fn name(mut self, tensor: &Tensor, name: impl Into<String>) -> Self {
        self.names.insert(tensor.node_view().id, name.into());
        self
    }

    /// Which way the graph runs; to the right unless set.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// What a node is; each operation unless set.
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Writes values above the lines: up to three numbers, else the shape.
    pub fn values(mut self) -> Self {
        self.values = true;
        self
    }

    /// Writes the gradient of the first result, which must be one number, below the lines.
    pub fn gradients(mut self) -> Self {
        self.gradients = true;
        self
    }

    /// How many nodes are drawn.
    ///
    /// # Errors
    /// As [`GraphDrawing::figure`].
    pub fn node_count(&self) -> Result<usize> {
        Ok(self.graph()?.nodes.len())
    }

    /// Whether values of this node are passed on as those of its first input.
    fn is_hidden(tensor: &Tensor) -> bool {
        let node = tensor.node_view();
        matches!(
            node.op.kind(),
            Kind::View(zerokara_core::op::View::Broadcast)
        ) && !node.inputs.is_empty()
    }

    /// The tensor whose node stands for this one.
    fn drawn(tensor: &Tensor) -> Tensor {
        let mut tensor = tensor.clone();
        while Self::is_hidden(&tensor) {
            let next = tensor.node_view().inputs[0].clone();
            tensor = next;
        }
        tensor
    }

    /// All drawn tensors, inputs before those that use them.
    fn tensors(&self) -> Result<Vec<Tensor>> {
        let mut found: BTreeMap<u64, Tensor> = BTreeMap::new();
        let mut open: Vec<Tensor> = Vec::new();
        for (result, _) in &self.results {
            result.meta()?;
            open.push(Self::drawn(result));
        }
        while let Some(tensor) = open.pop() {
            let node = tensor.node_view();
            if found.contains_key(&node.id) {
                continue;
            }
            if !matches!(node.op.kind(), Kind::Fill(_)) {
                open.extend(node.inputs.iter().map(Self::drawn));
            }
            found.insert(node.id, tensor.clone());
        }
        Ok(found.into_values().collect())
    }

    fn graph(&self) -> Result<Graph> {
        let tensors = self.tensors()?;
        let flow = self.flow(&tensors)?;
        let mut graph = Graph::default();
        // From tensors to nodes; with layers, many tensors share one.
        let mut place: HashMap<u64, usize> = HashMap::new();
        let mut layers: HashMap<Layer, usize> = HashMap::new();
        let mut known: HashSet<(usize, usize)> = HashSet::new();
        // The operation by which values leave a layer.
        let mut last: HashMap<Layer, u64> = HashMap::new();
        let mut copies: HashMap<(usize, usize, Option<Layer>), usize> = HashMap::new();
        for tensor in &tensors {
            let view = tensor.node_view();
            let node = self.node(tensor);
            let at = match (self.detail, layer_of(tensor)) {
                (Detail::Layers, Some(layer)) => {
                    let key = (view.phase, layer);
                    *layers.entry(key.clone()).or_insert_with(|| {
                        graph.nodes.push(Node {
                            shape: Shape::Box,
                            label: key.1.clone(),
                            detail: String::new(),
                            group: None,
                            phase: key.0,
                        });
                        graph.nodes.len() - 1
                    })
                }
                _ => {
                    graph.nodes.push(node);
                    graph.nodes.len() - 1
                }
            };
            place.insert(view.id, at);
            if self.detail == Detail::Layers && layer_of(tensor).is_some() {
                // A layer's second line is the shape of what leaves it.
                graph.nodes[at].detail = shape_text(tensor);
            }
            if view.parameter.is_none()
                && let Some(layer) = layer_of(tensor)
            {
                last.insert((view.phase, layer), view.id);
            }
            if matches!(view.op.kind(), Kind::Fill(_)) {
                continue;
            }
            let parts = match flow.get(&view.id) {
                Some(gradient) => vector_jacobian(tensor, gradient),
                None => Vec::new(),
            };
            for (number, input) in view.inputs.iter().enumerate() {
                let drawn = Self::drawn(input);
                let Some(&from) = place.get(&drawn.node_view().id) else {
                    continue;
                };
                let apart = self.direction == Direction::Down
                    && graph.nodes[from].phase == Phase::Forward
                    && graph.nodes[at].phase != Phase::Forward;
                let from = match apart && self.detail == Detail::Operations {
                    true => {
                        let group = graph.nodes[at].group.clone();
                        // One for all users in a box.
                        let user = if group.is_some() { usize::MAX } else { at };
                        *copies
                            .entry((from, user, group.clone()))
                            .or_insert_with(|| {
                                let label = copied(&drawn, &graph.nodes[from], &group, &last);
                                graph.nodes.push(Node {
                                    shape: Shape::Copy,
                                    label,
                                    detail: String::new(),
                                    group,
                                    phase: view.phase,
                                });
                                graph.nodes.len() - 1
                            })
                    }
                    false => from,
                };
                let both = (from, at);
                if from == at || (self.detail == Detail::Layers && !known.insert(both)) {
                    continue;
                }
                let part = parts.get(number).cloned().flatten();
                let part = part.and_then(|part| through_hidden(input, part));
                graph
                    .edges
                    .push(self.edge(from, at, &drawn, part.as_ref())?);
            }
        }
        let mut known_results: HashSet<usize> = HashSet::new();
        for (result, name) in &self.results {
            let drawn = Self::drawn(result);
            let id = drawn.node_view().id;
            let Some(&from) = place.get(&id) else {
                continue;
            };
            let view = drawn.node_view();
            let backward = self.direction == Direction::Down && view.phase != Phase::Forward;
            if backward && self.detail == Detail::Layers && layer_of(&drawn).is_some() {
                // The results of a layer's backward part stand in its node.
                let short = name.rsplit(['.', ' ']).next().unwrap_or_default();
                let detail = &mut graph.nodes[from].detail;
                if !known_results.insert(from) {
                    *detail += ", ";
                } else {
                    detail.clear();
                }
                *detail += &format!("∂ {short}");
                continue;
            }
            graph.nodes.push(Node {
                shape: Shape::Name,
                label: name.clone(),
                detail: if self.values {
                    String::new()
                } else {
                    shape_text(result)
                },
                // A gradient stands in the box of the layer that it is computed in.
                group: graph.nodes[from].group.clone().filter(|_| backward),
                phase: view.phase,
            });
            let to = graph.nodes.len() - 1;
            graph
                .edges
                .push(self.edge(from, to, &drawn, flow.get(&id))?);
        }
        Ok(graph)
    }

    fn edge(
        &self,
        from: usize,
        to: usize,
        value: &Tensor,
        gradient: Option<&Tensor>,
    ) -> Result<Edge> {
        Ok(Edge {
            from,
            to,
            above: if self.values {
                value_text(value)?
            } else {
                String::new()
            },
            below: gradient.map(value_text).transpose()?.unwrap_or_default(),
        })
    }

    /// The gradient of the first result with respect to each tensor, if it is to be drawn.
    fn flow(&self, tensors: &[Tensor]) -> Result<HashMap<u64, Tensor>> {
        let Some((result, _)) = self.results.first().filter(|_| self.gradients) else {
            return Ok(HashMap::new());
        };
        let differentiable = tensors
            .iter()
            .filter(|t| t.meta().is_ok_and(|m| m.is_float()));
        let wrt: Vec<&Tensor> = differentiable.collect();
        let found = gradients(result, &wrt);
        Ok(wrt.iter().map(|t| t.node_view().id).zip(found).collect())
    }

    fn node(&self, tensor: &Tensor) -> Node {
        let view = tensor.node_view();
        let named = self.names.get(&view.id).cloned();
        let group = layer_of(tensor).map(|layer| (view.phase, layer));
        let shape_line = if self.values {
            String::new()
        } else {
            shape_text(tensor)
        };
        let (shape, label, detail) = match (view.parameter, view.op.kind()) {
            (Some(parameter), _) => {
                let short = parameter
                    .name()
                    .rsplit('.')
                    .next()
                    .unwrap_or_default()
                    .to_string();
                let label = match &group {
                    Some(_) => short,
                    None => parameter.name().to_string(),
                };
                (Shape::Parameter, named.unwrap_or(label), shape_line)
            }
            (None, Kind::Fill(value)) => (
                Shape::Name,
                named.unwrap_or(significant(value, 5)),
                String::new(),
            ),
            (None, Kind::Leaf) => {
                let known = match tensor.meta() {
                    Ok(meta) if meta.len() == 1 && !self.values => value_text(tensor).ok(),
                    _ => None,
                };
                let told = view
                    .op
                    .attributes()
                    .iter()
                    .find(|(name, _)| *name == "name")
                    .map(|(_, v)| v.to_string());
                match named.or(told) {
                    Some(name) => (Shape::Name, name, shape_line),
                    None => (Shape::Name, known.unwrap_or_else(|| "·".into()), shape_line),
                }
            }
            _ => match sign(view.op.name()) {
                Some(sign) => (Shape::Sign, sign.to_string(), String::new()),
                None => {
                    let detail = match self.values {
                        true => told(tensor),
                        false => shape_line,
                    };
                    (Shape::Box, view.op.name().replace('_', " "), detail)
                }
            },
        };
        Node {
            shape,
            label,
            detail,
            group,
            phase: view.phase,
        }
    }
}

/// What flows back from an operation into each of its inputs: on one line into a node, where gradients of several lines
/// are summed.
fn vector_jacobian(tensor: &Tensor, gradient: &Tensor) -> Vec<Option<Tensor>> {
    let view = tensor.node_view();
    let call = Call {
        inputs: view.inputs,
        output: tensor,
        gradient,
    };
    match view.op.gradient(&call) {
        Gradient::Of(parts) => parts,
        Gradient::Expand => match view.op.expand(view.inputs) {
            Some(definition) => {
                let floats = |t: &&Tensor| t.meta().is_ok_and(|m| m.is_float());
                let wrt: Vec<&Tensor> = view.inputs.iter().filter(floats).collect();
                let mut found = gradients(&(definition * gradient).sum(), &wrt).into_iter();
                view.inputs
                    .iter()
                    .map(|t| if floats(&t) { found.next() } else { None })
                    .collect()
            }
            None => Vec::new(),
        },
        Gradient::Zero | Gradient::Forbidden(_) => Vec::new(),
    }
}

/// The gradient that leaves hidden nodes at the side of the tensor that is drawn for them.
fn through_hidden(input: &Tensor, gradient: Tensor) -> Option<Tensor> {
    let (mut tensor, mut gradient) = (input.clone(), gradient);
    while GraphDrawing::is_hidden(&tensor) {
        gradient = vector_jacobian(&tensor, &gradient)
            .into_iter()
            .next()
            .flatten()?;
        let next = tensor.node_view().inputs[0].clone();
        tensor = next;
    }
    Some(gradient)
}

/// How a value is called where it is used far from where it is made.
fn copied(
    tensor: &Tensor,
    node: &Node,
    group: &Option<Layer>,
    last: &HashMap<Layer, u64>,
) -> String {
    let view = tensor.node_view();
    // A weight that is only turned is called by its name.
    if let ("permute", [input]) = (view.op.name(), view.inputs)
        && input.node_view().parameter.is_some()
        && input.meta().is_ok_and(|m| m.rank() == 2)
    {
        return copied(input, node, group, last) + "ᵀ";
    }
    let layer = layer_of(tensor);
    let same = matches!((group, &layer), (Some((_, a)), Some(b)) if a == b);
    match (view.parameter, layer) {
        (Some(parameter), _) => match same {
            true => parameter
                .name()
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_string(),
            false => parameter.name().to_string(),
        },
        (None, Some(layer)) => {
            let leaves = last.get(&(view.phase, layer.clone())) == Some(&view.id);
            match (leaves, same) {
                (true, _) => layer,
                (false, true) => node.label.clone(),
                (false, false) => format!("{layer} {}", node.label),
            }
        }
        _ => node.label.clone(),
    }
}

/// The path of the layer whose part the tensor is; a parameter is part of the layer in whose name it stands.
fn layer_of(tensor: &Tensor) -> Option<String> {
    let view = tensor.node_view();
    match view.parameter {
        Some(parameter) => parameter
            .name()
            .rsplit_once('.')
            .map(|(layer, _)| layer.to_string()),
        None => view.path.filter(|p| !p.is_empty()).map(str::to_string),
    }
}

/// What is set about an operation, if it is short; what is off or empty is not told.
fn told(tensor: &Tensor) -> String {
    let attributes = tensor.node_view().op.attributes();
    let words: Vec<String> = attributes
        .iter()
        .map(|(name, value)| (name, value.to_string()))
        .filter(|(_, value)| !matches!(value.as_str(), "false" | "[]" | "0"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let text = words.join(", ");
    match text.chars().count() <= 28 {
        true => text,
        false => String::new(),
    }
}

/// The sign of an operation that has one.
fn sign(op: &str) -> Option<&'static str> {
    Some(match op {
        "add" => "+",
        "subtract" | "negate" => "−",
        "multiply" => "×",
        "divide" => "÷",
        "reciprocal" => "1/x",
        "square" => "x²",
        "sqrt" => "√",
        "exp" => "exp",
        "log" => "log",
        "sum" => "Σ",
        _ => return None,
    })
}

fn shape_text(tensor: &Tensor) -> String {
    match tensor.meta() {
        Ok(meta) if !meta.shape.is_empty() => format!("{:?}", meta.shape),
        _ => String::new(),
    }
}

/// Up to three numbers, or the shape of more.
fn value_text(tensor: &Tensor) -> Result<String> {
    if tensor.meta()?.len() > 3 {
        return Ok(shape_text(tensor));
    }
    let numbers = tensor.eval()?.to_f64s();
    let texts: Vec<String> = numbers.iter().map(|&v| significant(v, 5)).collect();
    Ok(match &texts[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    })
}
