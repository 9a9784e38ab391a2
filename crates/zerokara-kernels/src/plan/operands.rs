//! What each step reads and writes, declared once: from it follow the checks of a plan, the order of its steps, their
//! traffic, their text, and how they are cut into slices of the batch.

use super::{
    Buffer, ConvPass, Element, GemmRight, MapStep, OutputGradient, ReduceStep, Step, View,
};
use crate::conv::{depthwise, finish::Finish};
use std::borrow::Cow;

/// Whether a step reads an operand or writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Read,
    Write,
}

/// The part of a step that touches an operand. They follow one another in this order on each part of the work, so that
/// what one has written the next finds near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The step itself.
    Own,
    /// Elementwise code behind it.
    Epilogue,
    /// A reduction of what was written.
    Statistics,
    /// Elementwise code behind that.
    StatisticsEpilogue,
}

/// Which elements an operand may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Of this type.
    One(Element),
    /// Whatever elementwise code takes ([`Element::is_mapped`]).
    Mapped,
    /// Of any type.
    Any,
    /// Of the type of the step's first operand.
    Same,
}

/// How the elements of an operand may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// With any strides.
    Strided,
    /// Without gaps, row by row.
    Dense,
    /// The last axis without gaps.
    DenseRows,
    /// `[N, Y, X, C]`, the same along Y and X.
    OfChannels,
    /// With one element along the marked axes: of length 1, or of stride 0.
    Reduced(Vec<bool>),
    /// A single element, of any shape.
    Single,
    /// As the kernel that reads it wants it, one after another: it alone knows how many.
    Packed,
}

/// How an operand goes with the images that a step works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walks {
    /// Its first axis runs over them, image by image.
    Images,
    /// It is the same for all of them.
    Whole,
    /// It is a sum over them, or parts of one.
    Sums,
}

/// A view of a step, and what the step says of it.
#[derive(Clone, Debug)]
pub struct Operand<V> {
    /// What it is to the step.
    pub name: &'static str,
    /// Where it lies: `&View` or `&mut View`.
    pub view: V,
    /// Whether it is read or written.
    pub role: Role,
    /// By which part of the step.
    pub part: Part,
    /// Which elements it may have.
    pub takes: Takes,
    /// The lengths of its axes, those that are prescribed; none if their number is free as well.
    pub shape: Option<Vec<Option<usize>>>,
    /// How it may lie.
    pub layout: Layout,
    /// How it goes with images.
    pub walks: Walks,
    /// Whether the epilogue runs on what is written there.
    pub is_target: bool,
    /// Whether it may be the very place that the step reads, element by element.
    pub in_place: bool,
}

impl<V> Operand<V> {
    fn new(name: &'static str, view: V, role: Role) -> Self {
        Self {
            name,
            view,
            role,
            part: Part::Own,
            takes: Takes::One(Element::F32),
            shape: None,
            layout: Layout::Strided,
            walks: Walks::Whole,
            is_target: false,
            in_place: false,
        }
    }

    fn reads(name: &'static str, view: V) -> Self {
        Self::new(name, view, Role::Read)
    }

    fn writes(name: &'static str, view: V) -> Self {
        Self::new(name, view, Role::Write)
    }

    fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    fn holds(self, element: Element) -> Self {
        self.takes(Takes::One(element))
    }

    /// Has this shape.
    fn is(self, shape: &[usize]) -> Self {
        let shape: Vec<_> = shape.iter().copied().map(Some).collect();
        self.axes(&shape)
    }

    /// Has so many axes, some of a length that is prescribed.
    fn axes(self, shape: &[Option<usize>]) -> Self {
        let shape = Some(shape.to_vec());
        Self { shape, ..self }
    }

    fn lies(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    fn dense(self) -> Self {
        self.lies(Layout::Dense)
    }

    fn walks(self, walks: Walks) -> Self {
        Self { walks, ..self }
    }

    fn by_image(self) -> Self {
        self.walks(Walks::Images)
    }

    fn target(self) -> Self {
        Self {
            is_target: true,
            ..self
        }
    }

    fn in_place(self) -> Self {
        Self {
            in_place: true,
            ..self
        }
    }

    fn part(self, part: Part) -> Self {
        Self { part, ..self }
    }
}

/// The operands of elementwise code, as a part of a step.
macro_rules! of_map {
    ($all:ident, $map:expr, $part:expr $(, $mutable:tt)?) => {{
        let map = $map;
        for view in &$($mutable)? map.inputs {
            let input = Operand::reads("input", view).takes(Takes::Mapped);
            $all.push(input.is(&map.shape).by_image().part($part));
        }
        for view in &$($mutable)? map.outputs {
            let output = Operand::writes("output", view).takes(Takes::Mapped);
            $all.push(output.is(&map.shape).by_image().in_place().part($part));
        }
    }};
}

/// Those of a reduction with its epilogue, as two parts of a step.
macro_rules! of_reduce {
    ($all:ident, $reduce:expr, $part:expr, $behind:expr $(, $mutable:tt)?) => {{
        let reduce = $reduce;
        for view in &$($mutable)? reduce.inputs {
            let input = Operand::reads("input", view).takes(Takes::Mapped);
            $all.push(input.is(&reduce.shape).by_image().part($part));
        }
        for view in &$($mutable)? reduce.outputs {
            // On an axis that is reduced its length may be 1.
            let axes = reduce.shape.iter().zip(&reduce.reduced);
            let axes: Vec<_> = axes.map(|(&n, &reduced)| (!reduced).then_some(n)).collect();
            let output = Operand::writes("output", view).axes(&axes).walks(Walks::Sums);
            let layout = Layout::Reduced(reduce.reduced.clone());
            $all.push(output.lies(layout).target().part($part));
        }
        if let Some(map) = &$($mutable)? reduce.epilogue {
            of_map!($all, map, $behind $(, $mutable)?);
        }
    }};
}

/// What runs behind a step on what it wrote: its epilogue, its statistics.
macro_rules! behind {
    ($all:ident, $epilogue:expr $(, statistics $statistics:expr)? $(; $mutable:tt)?) => {{
        if let Some(map) = &$($mutable)? $epilogue {
            of_map!($all, map, Part::Epilogue $(, $mutable)?);
        }
        behind!(@ $all $(, $statistics)? $(; $mutable)?);
    }};
    (@ $all:ident, $statistics:expr $(; $mutable:tt)?) => {
        if let Some(reduce) = &$($mutable)? $statistics {
            of_reduce!($all, reduce, Part::Statistics, Part::StatisticsEpilogue $(, $mutable)?);
        }
    };
    (@ $all:ident $(; $mutable:tt)?) => {};
}

/// What poolings have in common, by themselves or behind a convolution.
macro_rules! pooled {
    ($all:ident, $step:ident, $output:ident, $places:expr $(, $mutable:tt)?) => {{
        if let Some(view) = &$($mutable)? $step.added {
            let added = Operand::reads("what is added", view).is(&$output);
            $all.push(added.lies(Layout::OfChannels).by_image());
        }
        let pooled = Operand::writes("output", &$($mutable)? $step.output).is(&$output);
        $all.push(pooled.by_image().target());
        if let Some(view) = &$($mutable)? $step.places {
            let places = Operand::writes("places", view).holds(Element::Bool).is(&$output);
            $all.push(places.lies($places).by_image());
        }
        behind!($all, $step.epilogue $(; $mutable)?);
    }};
}

/// What attention and its gradient read.
macro_rules! attended {
    ($all:ident, $inputs:expr $(, $mutable:tt)?) => {{
        let g = $inputs.geometry;
        $all.push(Operand::reads("queries", &$($mutable)? $inputs.query).is(&g.query()));
        $all.push(Operand::reads("keys", &$($mutable)? $inputs.key).is(&g.key()));
        $all.push(Operand::reads("values", &$($mutable)? $inputs.value).is(&g.value()));
        if let Some(view) = &$($mutable)? $inputs.mask {
            $all.push(Operand::reads("mask", view).takes(Takes::Mapped).is(&g.mask()));
        }
    }};
}

/// The one declaration, for views that are looked at and for views that are changed.
macro_rules! declared {
    ($step:expr, $of_step:ident $(, $mutable:tt)?) => {{
        let mut all = Vec::new();
        match $step {
            Step::Map(s) => of_map!(all, s, Part::Own $(, $mutable)?),
            Step::Reduce(s) => of_reduce!(all, s, Part::Own, Part::Epilogue $(, $mutable)?),
            Step::PackMatrix(s) => {
                all.push(Operand::reads("matrix", &$($mutable)? s.b).axes(&[None; 3]));
                all.push(Operand::writes("packed matrix", &$($mutable)? s.packed).lies(Layout::Packed));
            }
            Step::Gemm(s) => {
                let [batch, m, k] = lengths(&s.a);
                let [_, _, n] = lengths(&s.c);
                all.push(Operand::reads("left operand", &$($mutable)? s.a).axes(&[None; 3]));
                all.push(match &$($mutable)? s.b {
                    GemmRight::InPlace(view) => Operand::reads("right operand", view).is(&[batch, k, n]),
                    GemmRight::Packed { panels, .. } => {
                        Operand::reads("packed operand", panels).lies(Layout::Packed)
                    }
                });
                let result = Operand::writes("result", &$($mutable)? s.c);
                all.push(result.is(&[batch, m, n]).dense().target());
                behind!(all, s.epilogue, statistics s.statistics $(; $mutable)?);
            }
            Step::PackFilters(s) => {
                let shape = s.geometry.filters();
                all.push(Operand::reads("filters", &$($mutable)? s.filters).is(&shape));
                all.push(Operand::writes("packed filters", &$($mutable)? s.packed).lies(Layout::Packed));
            }
            Step::Conv(s) => {
                let (source, target) = match s.pass {
                    ConvPass::Forward => (s.geometry.input_images(), s.geometry.output_images()),
                    ConvPass::InputGradient => (s.geometry.output_images(), s.geometry.input_images()),
                };
                let (read, written) = match (depthwise::applies(&s.geometry), &s.finish) {
                    (true, Some(_)) => (Layout::Strided, Layout::Strided),
                    (true, None) => (Layout::Strided, Layout::Dense),
                    (false, _) => (Layout::Dense, Layout::Dense),
                };
                all.push(Operand::reads("source", &$($mutable)? s.source).is(&source).lies(read).by_image());
                all.push(Operand::reads("packed filters", &$($mutable)? s.packed).lies(Layout::Packed));
                if let Some(Finish { bias: Some(bias), .. }) = &$($mutable)? s.finish {
                    all.push(Operand::reads("bias", bias).is(&target[3..]));
                }
                let target = Operand::writes("target", &$($mutable)? s.target).is(&target);
                all.push(target.lies(written).by_image().target());
                behind!(all, s.epilogue, statistics s.statistics $(; $mutable)?);
            }
            Step::ConvPool(s) => {
                let (input, output) = (s.geometry.input_images(), s.pool.output_images());
                all.push(Operand::reads("source", &$($mutable)? s.source).is(&input).dense().by_image());
                all.push(Operand::reads("filters", &$($mutable)? s.filters).is(&s.geometry.filters()));
                pooled!(all, s, output, Layout::Strided $(, $mutable)?);
            }
            Step::ConvWeightGradient(s) => {
                let g = s.geometry;
                let [_, channels, height, width] = g.filters();
                let layout = match depthwise::applies(&g) {
                    true => Layout::Strided,
                    false => Layout::Dense,
                };
                let input = Operand::reads("input", &$($mutable)? s.input).is(&g.input_images());
                all.push(input.lies(layout.clone()).by_image());
                match &$($mutable)? s.output_gradient {
                    OutputGradient::Stored(view) => {
                        let gradient = Operand::reads("output's gradient", view).is(&g.output_images());
                        all.push(gradient.lies(layout).by_image());
                    }
                    OutputGradient::Pooled(pooled) => {
                        let output = pooled.geometry.output_images();
                        let gradient = Operand::reads("pooled gradient", &$($mutable)? pooled.gradient);
                        all.push(gradient.is(&output).by_image());
                        let places = Operand::reads("places", &$($mutable)? pooled.places);
                        all.push(places.holds(Element::Bool).is(&output).by_image());
                        if let Some(view) = &$($mutable)? pooled.totals {
                            let totals = Operand::writes("sums of the gradient", view);
                            all.push(totals.axes(&[None, Some(g.out_channels)]).dense().walks(Walks::Sums));
                        }
                    }
                }
                let shape = [None, Some(height), Some(width), Some(channels), Some(g.out_channels)];
                let partials = Operand::writes("partial gradients", &$($mutable)? s.partials);
                all.push(partials.axes(&shape).dense().walks(Walks::Sums));
            }
            Step::Pool(s) => {
                let (input, output) = (s.geometry.input_images(), s.geometry.output_images());
                all.push(Operand::reads("input", &$($mutable)? s.input).is(&input).dense().by_image());
                if let Some(view) = &$($mutable)? s.values {
                    all.push(Operand::reads("values", view).is(&input).dense().by_image());
                }
                pooled!(all, s, output, Layout::Dense $(, $mutable)?);
            }
            Step::PoolGradient(s) => {
                let (input, output) = (s.geometry.input_images(), s.geometry.output_images());
                if let Some(view) = &$($mutable)? s.input {
                    all.push(Operand::reads("input", view).is(&input).dense().by_image());
                }
                if let Some(view) = &$($mutable)? s.places {
                    let places = Operand::reads("places", view).holds(Element::Bool).is(&output);
                    all.push(places.dense().by_image());
                }
                let gradient = Operand::reads("output's gradient", &$($mutable)? s.output_gradient);
                all.push(gradient.is(&output).by_image());
                let target = Operand::writes("input's gradient", &$($mutable)? s.input_gradient);
                all.push(target.is(&input).dense().by_image().target());
                behind!(all, s.epilogue $(; $mutable)?);
            }
            Step::Softmax(s) => {
                let shape: [usize; 2] = lengths(&s.input);
                all.push(Operand::reads("input", &$($mutable)? s.input).axes(&[None; 2]).dense());
                all.push(Operand::writes("output", &$($mutable)? s.output).is(&shape).dense().in_place());
            }
            Step::Attention(s) => {
                attended!(all, s.inputs $(, $mutable)?);
                let output = Operand::writes("output", &$($mutable)? s.output);
                all.push(output.is(&s.inputs.geometry.output()).lies(Layout::DenseRows));
            }
            Step::AttentionGradient(s) => {
                attended!(all, s.inputs $(, $mutable)?);
                let g = s.inputs.geometry;
                let gradient = Operand::reads("output's gradient", &$($mutable)? s.output_gradient);
                all.push(gradient.is(&g.output()));
                let query = Operand::writes("queries' gradient", &$($mutable)? s.query_gradient);
                all.push(query.is(&g.query()).lies(Layout::DenseRows));
                let key = Operand::writes("keys' gradient", &$($mutable)? s.key_gradient);
                all.push(key.is(&g.key()).lies(Layout::DenseRows));
                let value = Operand::writes("values' gradient", &$($mutable)? s.value_gradient);
                all.push(value.is(&g.value()).lies(Layout::DenseRows));
            }
            Step::Recurrent(s) => {
                let g = s.geometry;
                let inputs = Operand::reads("inputs", &$($mutable)? s.inputs);
                all.push(inputs.is(&g.inputs()).lies(Layout::DenseRows));
                all.push(Operand::reads("packed weights", &$($mutable)? s.weight).lies(Layout::Packed));
                if let Some(view) = &$($mutable)? s.bias {
                    all.push(Operand::reads("bias", view).is(&[g.cell.products() * g.hidden]).dense());
                }
                for view in &$($mutable)? s.initial {
                    let initial = Operand::reads("first state", view).is(&[g.batch, g.hidden]);
                    all.push(initial.lies(Layout::DenseRows));
                }
                if let Some(view) = &$($mutable)? s.mask {
                    let mask = Operand::reads("mask", view).holds(Element::Bool);
                    all.push(mask.is(&[g.steps, g.batch]));
                }
                let role = match s.given {
                    true => Role::Read,
                    false => Role::Write,
                };
                let states = Operand::new("states", &$($mutable)? s.states, role);
                all.push(states.is(&g.states()).lies(Layout::DenseRows));
                if let Some(view) = &$($mutable)? s.gates {
                    all.push(Operand::writes("gates", view).is(&g.gates()).lies(Layout::DenseRows));
                }
            }
            Step::RecurrentGradient(s) => {
                let g = s.geometry;
                all.push(Operand::reads("packed weights", &$($mutable)? s.weight).lies(Layout::Packed));
                let states = Operand::reads("states", &$($mutable)? s.states);
                all.push(states.is(&g.states()).lies(Layout::DenseRows));
                if let Some(view) = &$($mutable)? s.gates {
                    all.push(Operand::reads("gates", view).is(&g.gates()).lies(Layout::DenseRows));
                }
                if let Some(view) = &$($mutable)? s.mask {
                    let mask = Operand::reads("mask", view).holds(Element::Bool);
                    all.push(mask.is(&[g.steps, g.batch]));
                }
                let given = Operand::reads("states' gradient", &$($mutable)? s.states_gradient);
                all.push(given.is(&g.states()).lies(Layout::DenseRows));
                let gradient = Operand::writes("gradient", &$($mutable)? s.gradient);
                all.push(gradient.is(&g.gradient()).lies(Layout::DenseRows));
            }
            Step::ArgReduce(s) => {
                let [rows, _] = lengths(&s.input);
                all.push(Operand::reads("input", &$($mutable)? s.input).axes(&[None; 2]));
                all.push(Operand::writes("output", &$($mutable)? s.output).holds(Element::I64).is(&[rows]));
            }
            Step::Gather(s) => {
                let ([outer, _, inner], [count]) = (lengths(&s.input), lengths(&s.indices));
                let input = Operand::reads("input", &$($mutable)? s.input).takes(Takes::Any);
                all.push(input.axes(&[None; 3]).lies(Layout::DenseRows));
                let indices = Operand::reads("indices", &$($mutable)? s.indices);
                all.push(indices.holds(Element::I64).axes(&[None]));
                let output = Operand::writes("output", &$($mutable)? s.output).takes(Takes::Same);
                all.push(output.is(&[outer, count, inner]).lies(Layout::DenseRows));
            }
            Step::OneHot(s) => {
                let [rows, _] = lengths(&s.output);
                all.push(Operand::reads("labels", &$($mutable)? s.labels).holds(Element::I64).is(&[rows]));
                all.push(Operand::writes("output", &$($mutable)? s.output).axes(&[None; 2]).dense());
            }
            Step::Random(s) => {
                let counter = Operand::reads("counter", &$($mutable)? s.counter).holds(Element::I64);
                all.push(counter.lies(Layout::Single));
                all.push(Operand::writes("output", &$($mutable)? s.output).dense());
            }
            Step::Host(s) => {
                for view in &$($mutable)? s.inputs {
                    all.push(Operand::reads("input", view).takes(Takes::Any).dense());
                }
                for view in &$($mutable)? s.outputs {
                    all.push(Operand::writes("output", view).takes(Takes::Any).dense());
                }
            }
            Step::Chain(s) => {
                let steps = (&$($mutable)? s.slices).into_iter().flatten();
                all.extend(steps.flat_map(Step::$of_step));
            }
        }
        all
    }};
}

/// The lengths of a view's axes; zeros if it has another number of axes, which is a fault of the view's own.
fn lengths<const N: usize>(view: &View) -> [usize; N] {
    <[usize; N]>::try_from(&view.shape[..]).unwrap_or([0; N])
}

impl Step {
    /// All that the step reads and writes, part by part.
    pub fn operands(&self) -> Vec<Operand<&View>> {
        declared!(self, operands)
    }

    /// The same, to be changed.
    pub fn operands_mut(&mut self) -> Vec<Operand<&mut View>> {
        declared!(self, operands_mut, mut)
    }

    /// The operands without those that a part of the step finds near, where an earlier part has just written.
    pub fn far_operands(&self) -> Vec<Operand<&View>> {
        if let Step::Chain(chain) = self {
            let steps = chain.slices.iter().flatten();
            return steps.flat_map(Step::far_operands).collect();
        }
        let all = self.operands();
        let is_near = |operand: &Operand<&View>| {
            all.iter().any(|before| {
                before.part < operand.part
                    && before.role == Role::Write
                    && before.view.buffer == operand.view.buffer
            })
        };
        let is_near: Vec<bool> = all.iter().map(is_near).collect();
        let both = all.into_iter().zip(is_near);
        both.filter_map(|(operand, near)| (!near).then_some(operand))
            .collect()
    }

    /// Elementwise code that runs behind the step.
    pub fn epilogue(&self) -> Option<&MapStep> {
        match self {
            Step::Reduce(s) => s.epilogue.as_ref(),
            Step::Gemm(s) => s.epilogue.as_ref(),
            Step::Conv(s) => s.epilogue.as_ref(),
            Step::ConvPool(s) => s.epilogue.as_ref(),
            Step::Pool(s) => s.epilogue.as_ref(),
            Step::PoolGradient(s) => s.epilogue.as_ref(),
            _ => None,
        }
    }

    /// A reduction that runs behind the step and its epilogue.
    pub fn statistics(&self) -> Option<&ReduceStep> {
        match self {
            Step::Gemm(s) => s.statistics.as_deref(),
            Step::Conv(s) => s.statistics.as_deref(),
            _ => None,
        }
    }

    /// The sizes that grow with the number of images, of steps that go through images one by one or sum over them.
    pub fn images_mut(&mut self) -> Vec<&mut usize> {
        let (sizes, epilogue) = match self {
            Step::Map(s) => return s.shape.first_mut().into_iter().collect(),
            Step::Reduce(s) => return s.shape.first_mut().into_iter().collect(),
            Step::ConvWeightGradient(s) => {
                let pooled = match &mut s.output_gradient {
                    OutputGradient::Stored(_) => None,
                    OutputGradient::Pooled(pooled) => Some(&mut pooled.geometry.batch),
                };
                let sizes = [&mut s.geometry.batch].into_iter().chain(pooled);
                return sizes.collect();
            }
            Step::Conv(s) => (vec![&mut s.geometry.batch], &mut s.epilogue),
            Step::ConvPool(s) => (
                vec![&mut s.geometry.batch, &mut s.pool.batch],
                &mut s.epilogue,
            ),
            Step::Pool(s) => (vec![&mut s.geometry.batch], &mut s.epilogue),
            Step::PoolGradient(s) => (vec![&mut s.geometry.batch], &mut s.epilogue),
            _ => return Vec::new(),
        };
        let rows = epilogue.iter_mut().filter_map(|map| map.shape.first_mut());
        sizes.into_iter().chain(rows).collect()
    }
}

impl Operand<&View> {
    /// The elements that are touched, each once: the view without the axes along which it has one.
    pub fn touched(&self) -> Cow<'_, View> {
        match &self.layout {
            Layout::Reduced(reduced) => Cow::Owned(self.view.kept(reduced)),
            _ => Cow::Borrowed(self.view),
        }
    }

    /// Whether type, shape and layout are as declared; `first` is the step's first operand.
    ///
    /// # Errors
    /// What is not, in words.
    pub fn check(&self, buffers: &[Buffer], first: &View) -> Result<(), String> {
        let element = |view: &View| match buffers.get(view.buffer) {
            Some(buffer) => Ok(buffer.element),
            None => Err(format!("buffer {} does not exist", view.buffer)),
        };
        let (name, view, own) = (self.name, self.view, element(self.view)?);
        let expected = match self.takes {
            Takes::One(element) => element,
            Takes::Same => element(first)?,
            Takes::Any => own,
            Takes::Mapped if own.is_mapped() => own,
            Takes::Mapped => {
                return Err(format!(
                    "elementwise code on {own:?}; it takes F32, U8 and Bool"
                ));
            }
        };
        if own != expected {
            return Err(format!("the {name} holds {own:?} instead of {expected:?}"));
        }
        if let Some(shape) = &self.shape {
            let fits =
                |(&own, expected): (&usize, &Option<usize>)| expected.is_none_or(|n| n == own);
            if view.shape.len() != shape.len() || !view.shape.iter().zip(shape).all(fits) {
                let lengths = shape
                    .iter()
                    .map(|n| n.map_or("_".into(), |n| n.to_string()));
                let expected: Vec<String> = lengths.collect();
                let (own, expected) = (&view.shape, expected.join(", "));
                return Err(format!(
                    "the {name} has shape {own:?} instead of [{expected}]"
                ));
            }
        }
        self.layout.check(name, view)
    }
}

impl Layout {
    fn check(&self, name: &str, view: &View) -> Result<(), String> {
        let still = |axis: usize| {
            let length = view.shape.get(axis);
            length.is_none_or(|&n| n <= 1) || view.strides.get(axis) == Some(&0)
        };
        match self {
            Layout::Strided => Ok(()),
            Layout::Dense | Layout::Packed if view.is_dense() => Ok(()),
            Layout::Dense | Layout::Packed => Err(format!("the {name} is not dense")),
            Layout::DenseRows => match (view.shape.last(), view.strides.last()) {
                (Some(&length), Some(&stride))
                    if length > 1 && stride != 1 && !view.shape.contains(&0) =>
                {
                    Err(format!("the inner axis of the {name} is not dense"))
                }
                _ => Ok(()),
            },
            Layout::OfChannels if still(1) && still(2) => Ok(()),
            Layout::OfChannels => Err(format!(
                "{name} must be the same for all windows of a channel"
            )),
            Layout::Reduced(reduced) => {
                let mut marked = reduced.iter().enumerate().filter(|(_, reduced)| **reduced);
                match marked.all(|(axis, _)| still(axis)) {
                    true => Ok(()),
                    false => Err(format!(
                        "the {name} of shape {:?} and strides {:?} has more than one element along an axis that is reduced",
                        view.shape, view.strides
                    )),
                }
            }
            Layout::Single if view.shape.iter().all(|&n| n == 1) => Ok(()),
            Layout::Single => Err(format!(
                "the {name} has shape {:?}, not one element",
                view.shape
            )),
        }
    }
}
