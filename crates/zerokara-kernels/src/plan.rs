//! The language in which a compiler speaks to the kernels: buffers, strided views, and steps.
//!
//! A [`Plan`] is a list of [`Stage`]s. The steps of one stage do not depend on one another, so that
//! all their units of work run in one parallel region; a barrier stands between stages. How a step
//! is cut into units, and the order in which it sums, depends on its shapes alone: the same plan
//! gives the same bits on one thread and on many.
//!
//! Everything a step touches is named by a [`View`] into a numbered buffer. The executor checks all
//! views against their buffers once, when it takes the plan, and then runs it without checks.

use crate::{arithmetic::Arithmetic, conv::ConvGeometry, map::Code, pooling::PoolGeometry};

/// The type of a buffer's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floating point, the type all fast kernels work in.
    F32,
    /// 64-bit floating point.
    F64,
    /// 64-bit signed integers: labels, indices, counters.
    I64,
    /// Unsigned bytes: pixels, characters, small numbers.
    U8,
    /// Truth values, one byte each, 0 or 1.
    Bool,
}

impl Element {
    /// All of them.
    pub const ALL: [Element; 5] = [
        Element::F32,
        Element::F64,
        Element::I64,
        Element::U8,
        Element::Bool,
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F64 | Element::I64 => 8,
            Element::U8 | Element::Bool => 1,
        }
    }

    /// Whether elementwise code takes and gives it: each of its values is one of f32.
    pub fn is_mapped(self) -> bool {
        matches!(self, Element::F32 | Element::U8 | Element::Bool)
    }

    /// The element type of this name: `f32`, `f64`, `i64`, `u8` or `bool`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Its name: `f32`, `f64`, `i64`, `u8` or `bool`.
    pub fn name(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F64 => "f64",
            Element::I64 => "i64",
            Element::U8 => "u8",
            Element::Bool => "bool",
        }
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the arena of a run, at this byte offset (a multiple of 64).
    Arena(usize),
    /// In what the stages of [`Plan::preparation`] leave to all runs, at this byte offset (a multiple of 64). They write
    /// nothing else, and nothing later writes there.
    Prepared(usize),
    /// The i-th storage handed to `Executor::run`: a parameter, an input, an output, a constant.
    External(usize),
    /// In memory of the thread that runs a slice of a [`ChainStep`], at this byte offset (a multiple of 64). Only the
    /// steps of one slice see it; what it holds before the slice writes to it is unspecified.
    Local(usize),
}

/// A run of elements that steps refer to by its index in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Type of its elements.
    pub element: Element,
    /// Number of its elements.
    pub len: usize,
    /// Where it lives.
    pub place: Place,
}

/// A strided window on a buffer: element `[i, j, ..]` is at `offset + i * strides[0] + j * strides[1] + ..`.
/// Offsets and strides count elements; a stride of 0 repeats (broadcasting), a negative one walks backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Position of element `[0, 0, ..]`.
    pub offset: usize,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Distance between neighbours on each axis.
    pub strides: Vec<isize>,
}

impl View {
    /// Whether the elements along the axes from `first` on are those of a dense view, in some order of these axes.
    pub fn is_dense_from(&self, first: usize) -> bool {
        let lengths = self.shape[first..].iter().copied();
        let mut axes: Vec<(isize, usize)> = self.strides[first..]
            .iter()
            .copied()
            .zip(lengths)
            .filter(|&(_, length)| length != 1)
            .collect();
        axes.sort_unstable();
        let mut expected = 1;
        axes.iter().all(|&(stride, length)| {
            let fits = stride == expected || length == 0;
            expected *= length as isize;
            fits
        })
    }
}

/// Steps that do not depend on one another and run in one parallel region.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// The steps, each cut into units of work by its shapes.
    pub steps: Vec<Step>,
}

/// A validated list of kernel calls over one arena.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All buffers that the steps name.
    pub buffers: Vec<Buffer>,
    /// Size of the arena in bytes.
    pub arena_bytes: usize,
    /// Size in bytes of what is prepared.
    pub prepared_bytes: usize,
    /// Number of storages that `Executor::run` takes.
    pub externals: usize,
    /// What to do, in order.
    pub stages: Vec<Stage>,
    /// So many stages at the start need not run again while the storages that they read hold the same values: what they
    /// write is [prepared](Place::Prepared).
    pub preparation: usize,
}

/// One kernel call.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // a plan has some hundreds of them
#[allow(missing_docs)] // each variant is the step of that name, documented there
pub enum Step {
    Map(MapStep),
    Reduce(ReduceStep),
    PackMatrix(PackMatrixStep),
    Gemm(GemmStep),
    PackFilters(PackFiltersStep),
    Conv(ConvStep),
    ConvPool(ConvPoolStep),
    ConvWeightGradient(ConvWeightGradientStep),
    Pool(PoolStep),
    PoolGradient(PoolGradientStep),
    Softmax(SoftmaxStep),
    ArgReduce(ArgReduceStep),
    Gather(GatherStep),
    OneHot(OneHotStep),
    Random(RandomStep),
    Host(HostStep),
    Chain(ChainStep),
}

/// Elementwise code over an iteration space: for every index, load the inputs there, run the code, store the outputs.
///
/// All views have the rank and shape of `shape`; inputs may have strides of 0 (broadcast). Elements are F32 or
/// Bool (Bool loads as 0.0 or 1.0 and stores `value != 0`). An output may be the very view of an input (in place).
#[derive(Clone, Debug)]
pub struct MapStep {
    /// The iteration space, slowest axis first.
    pub shape: Vec<usize>,
    /// Read by `Instruction::Load(i)`.
    pub inputs: Vec<View>,
    /// Written from the code's results, one view for each of `code.results`.
    pub outputs: Vec<View>,
    /// What to compute.
    pub code: Code,
}

/// How a reduction combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Sum; of nothing, 0.
    Sum,
    /// Sum divided by the number of elements; of nothing, NaN. The mean of equal numbers is that number.
    Mean,
    /// Largest; NaN if any is NaN; of nothing, -inf.
    Max,
    /// Smallest; NaN if any is NaN; of nothing, +inf.
    Min,
    /// Sum of the squared deviations from the mean, divided by the number of elements less `correction`, which must be
    /// smaller. Of equal numbers it is 0.
    Variance {
        /// 0 for the variance of the elements themselves, 1 for the unbiased estimate of a population's.
        correction: usize,
    },
}

/// Elementwise code whose results are reduced over some axes, each in its own way, in one walk.
///
/// A sum or a mean of a value whose variance is taken as well comes from the mean found for the variance.
#[derive(Clone, Debug)]
pub struct ReduceStep {
    /// The iteration space, slowest axis first.
    pub shape: Vec<usize>,
    /// For each axis, whether it is reduced.
    pub reduced: Vec<bool>,
    /// Read by the code, over the iteration space.
    pub inputs: Vec<View>,
    /// Computes the values to reduce: one result for each output.
    pub code: Code,
    /// How to combine each result.
    pub reductions: Vec<Reduction>,
    /// F32, over the iteration space, with stride 0 or length 1 on the reduced axes.
    pub outputs: Vec<View>,
    /// Runs on each finished part of the outputs; its iteration space is that of the axes that are not reduced.
    pub epilogue: Option<MapStep>,
}

impl ReduceStep {
    /// An output over the axes that are not reduced.
    pub fn kept(&self, output: &View) -> View {
        let kept = |axis: &usize| !self.reduced.get(*axis).copied().unwrap_or(false);
        let axes: Vec<usize> = (0..output.shape.len()).filter(kept).collect();
        View {
            shape: axes.iter().map(|&axis| output.shape[axis]).collect(),
            strides: axes
                .iter()
                .filter_map(|&axis| output.strides.get(axis).copied())
                .collect(),
            ..output.clone()
        }
    }
}

/// Rearranges the right operand of a matrix product, `[batch, k, n]` of any strides, into the panels
/// that the micro-kernel reads (see `gemm::packed_len`).
#[derive(Clone, Debug)]
pub struct PackMatrixStep {
    /// `[batch, k, n]`; the batch stride may be 0 only with batch 1.
    pub b: View,
    /// Rank 1, `batch * gemm::packed_len(isa, k, n)` long.
    pub packed: View,
}

/// `c[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]`, then the epilogue on what was written.
#[derive(Clone, Debug)]
pub struct GemmStep {
    /// `[batch, m, k]`, any strides; a batch stride of 0 repeats one matrix.
    pub a: View,
    /// `[batch, k, n]` read in place, or the panels made by a [`PackMatrixStep`].
    pub b: GemmRight,
    /// `[batch, m, n]`, dense row-major.
    pub c: View,
    /// Runs on each finished part of `c`; its iteration space, flattened, is that of `c`, flattened.
    pub epilogue: Option<MapStep>,
    /// Reduces the rows of each finished part while they are near, after the epilogue: over `[m, n]`, of which the columns
    /// are kept. Only for a single product that is cut by rows alone (see [`whole_rows`](crate::gemm::whole_rows)). It may
    /// read what the step writes, element by element.
    pub statistics: Option<Box<ReduceStep>>,
}

/// The right operand of a [`GemmStep`].
#[derive(Clone, Debug)]
pub enum GemmRight {
    /// Read where it lies; `gemm::wants_packing` says when that is fast.
    InPlace(View),
    /// Packed panels (rank-1 view); `repeat` when one matrix serves the whole batch.
    Packed {
        /// The panels.
        panels: View,
        /// One packed matrix for every member of the batch.
        repeat: bool,
    },
}

impl GemmRight {
    /// What is read.
    pub fn view(&self) -> &View {
        match self {
            GemmRight::InPlace(view) | GemmRight::Packed { panels: view, .. } => view,
        }
    }
}

/// Which of the two dense passes a convolution kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConvPass {
    /// From the input `[N, C, H, W]` to the output `[N, O, Y, X]`.
    Forward,
    /// From the output's gradient to the input's gradient: the transposed map.
    InputGradient,
}

/// Rearranges filters `[O, C / groups, KH, KW]` (any strides) for the convolution kernel of a pass.
#[derive(Clone, Debug)]
pub struct PackFiltersStep {
    /// Sizes and options of the convolution.
    pub geometry: ConvGeometry,
    /// The pass that will read the packed filters.
    pub pass: ConvPass,
    /// What that pass multiplies.
    pub arithmetic: Arithmetic,
    /// `[O, C / groups, KH, KW]`, any strides.
    pub filters: View,
    /// Rank 1, `conv::packed_len(isa, geometry, pass)` long.
    pub packed: View,
}

/// A convolution forward, or its gradient with respect to the input, on channels-last images.
#[derive(Clone, Debug)]
pub struct ConvStep {
    /// Sizes and options of the convolution.
    pub geometry: ConvGeometry,
    /// Forward or input gradient.
    pub pass: ConvPass,
    /// What is multiplied; as the filters were packed.
    pub arithmetic: Arithmetic,
    /// The images read: dense `[N, H, W, C]` forward, dense `[N, Y, X, O]` for the input gradient.
    pub source: View,
    /// Filters packed for this pass.
    pub packed: View,
    /// The images written, dense: `[N, Y, X, O]` forward, `[N, H, W, C]` for the input gradient.
    pub target: View,
    /// Runs on each finished part of `target`; iteration space as `target`'s, flattened.
    pub epilogue: Option<MapStep>,
    /// Reduces each finished part while it is near, after the epilogue: over `target`'s axes, of which the channels are
    /// kept. It may read what the step writes, element by element.
    pub statistics: Option<Box<ReduceStep>>,
}

/// A convolution forward on channels-last images and the max pooling of its output, which is never written;
/// [`conv::pools`](crate::conv::pools) says for which.
#[derive(Clone, Debug)]
pub struct ConvPoolStep {
    /// Sizes and options of the convolution.
    pub geometry: ConvGeometry,
    /// Those of the pooling.
    pub pool: PoolGeometry,
    /// Dense `[N, H, W, C]`.
    pub source: View,
    /// `[O, C, KH, KW]`, any strides.
    pub filters: View,
    /// `[N, Y, X, O]` (of the pooling), any strides.
    pub output: View,
    /// As [`PoolStep::places`], but with any strides.
    pub places: Option<View>,
    /// As [`PoolStep::added`].
    pub added: Option<View>,
    /// Whether windows whose results the epilogue [rectifies](crate::conv::finish::Finish) to zero are told as
    /// [`NOWHERE`](crate::pooling::NOWHERE), so that no gradient goes through them.
    pub marks: bool,
    /// Runs on each finished image of `output`.
    pub epilogue: Option<MapStep>,
}

/// Partial gradients with respect to the filters, each over a fixed share of the batch; a [`ReduceStep`] sums them.
#[derive(Clone, Debug)]
pub struct ConvWeightGradientStep {
    /// Sizes and options of the convolution.
    pub geometry: ConvGeometry,
    /// What is multiplied.
    pub arithmetic: Arithmetic,
    /// Dense `[N, H, W, C]`.
    pub input: View,
    /// What comes from the output, `[N, Y, X, O]`.
    pub output_gradient: OutputGradient,
    /// Dense `[conv::partials(geometry), KH, KW, C / groups, O]`.
    pub partials: View,
}

/// The gradient of a convolution's output.
#[derive(Clone, Debug)]
pub enum OutputGradient {
    /// Dense `[N, Y, X, O]`.
    Stored(View),
    /// That of a max pooling of the output, of which only one position of each window has a gradient;
    /// [`conv::sums_over_windows`](crate::conv::sums_over_windows) says for which.
    Pooled(Box<PooledGradient>),
}

/// The gradient of what a max pooling gave, `[N, Y, X, C]` (of the pooling), and which elements it took.
#[derive(Clone, Debug)]
pub struct PooledGradient {
    /// Sizes and options of the pooling.
    pub geometry: PoolGeometry,
    /// Any strides.
    pub gradient: View,
    /// What the pooling wrote to [`PoolStep::places`] or [`ConvPoolStep::places`], any strides.
    pub places: View,
    /// Where the sums of the gradient go, if these are wanted, for each partial gradient of the filters: dense
    /// `[conv::partials(geometry), C]`.
    pub totals: Option<View>,
}

impl OutputGradient {
    /// The views that are read.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        let (first, second) = match self {
            OutputGradient::Stored(view) => (view, None),
            OutputGradient::Pooled(pooled) => (&pooled.gradient, Some(&pooled.places)),
        };
        [first].into_iter().chain(second)
    }

    /// The views, that of the totals among them, to be changed.
    pub fn views_mut(&mut self) -> impl Iterator<Item = &mut View> {
        let views = match self {
            OutputGradient::Stored(view) => [Some(view), None, None],
            OutputGradient::Pooled(pooled) => [
                Some(&mut pooled.gradient),
                Some(&mut pooled.places),
                pooled.totals.as_mut(),
            ],
        };
        views.into_iter().flatten()
    }
}

/// How a pooling window is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The largest element of the window; padding never wins, the first NaN does.
    Max,
    /// The mean; padding counts as zeros if `count_padding`, else it is left out of the divisor. What a window covers
    /// beyond the padded image never counts.
    Average {
        /// Whether padding counts in the divisor.
        count_padding: bool,
    },
    /// The element of `values` at the place of the window's largest element of `input`.
    SelectAtMax,
}

/// Pooling of channels-last images.
#[derive(Clone, Debug)]
pub struct PoolStep {
    /// Sizes and options.
    pub geometry: PoolGeometry,
    /// What to compute of each window.
    pub pooling: Pooling,
    /// Dense `[N, H, W, C]`.
    pub input: View,
    /// For [`Pooling::SelectAtMax`]: dense `[N, H, W, C]`.
    pub values: Option<View>,
    /// For [`Pooling::Max`]: what is added to the output later, alike for all windows of a channel, `[N, Y, X, C]` with strides
    /// of 0 along Y and X. Of finite numbers the largest is the largest with or without it; where it is not finite, the first
    /// largest of the sums tells the place, and the output is the element there.
    pub added: Option<View>,
    /// `[N, Y, X, C]`, any strides.
    pub output: View,
    /// For [`Pooling::Max`], if the window has at most 256 elements: where to write which element of the window, row by
    /// row and within the image, was the first largest. Dense `[N, Y, X, C]`, one byte each, in a buffer of
    /// [`Element::Bool`].
    pub places: Option<View>,
    /// Runs on each finished part of `output`.
    pub epilogue: Option<MapStep>,
}

/// The gradient of pooling: for max, each window's gradient goes to the first largest element of the window
/// (row by row); for average, it is spread evenly.
#[derive(Clone, Debug)]
pub struct PoolGradientStep {
    /// Sizes and options.
    pub geometry: PoolGeometry,
    /// Max or Average.
    pub pooling: Pooling,
    /// Max only: the pooling's input, dense `[N, H, W, C]`, unless there are `places`.
    pub input: Option<View>,
    /// Max only: what the pooling wrote to [`PoolStep::places`].
    pub places: Option<View>,
    /// `[N, Y, X, C]`, any strides.
    pub output_gradient: View,
    /// Dense `[N, H, W, C]`.
    pub input_gradient: View,
    /// Runs on each finished part of `input_gradient`.
    pub epilogue: Option<MapStep>,
}

/// Softmax of each row.
#[derive(Clone, Debug)]
pub struct SoftmaxStep {
    /// Whether to give the logarithm.
    pub log: bool,
    /// Dense `[rows, columns]`.
    pub input: View,
    /// Dense `[rows, columns]`; may be the input.
    pub output: View,
}

/// Index of the first largest (or smallest) element of each row; a NaN counts as the largest (smallest).
#[derive(Clone, Debug)]
pub struct ArgReduceStep {
    /// Smallest instead of largest.
    pub min: bool,
    /// F32 `[rows, columns]`, any strides.
    pub input: View,
    /// I64 `[rows]`.
    pub output: View,
}

/// `output[o, i, r] = input[o, indices[i], r]`: picks along the middle axis.
#[derive(Clone, Debug)]
pub struct GatherStep {
    /// Any element type, `[outer, length, inner]`, inner axis dense.
    pub input: View,
    /// I64 `[count]`; an index out of range stops the run with an error.
    pub indices: View,
    /// `[outer, count, inner]`, inner axis dense.
    pub output: View,
}

/// `output[i, c] = on if labels[i] == c else off`.
#[derive(Clone, Debug)]
pub struct OneHotStep {
    /// I64 `[rows]`; a label out of range stops the run with an error.
    pub labels: View,
    /// F32 dense `[rows, classes]`.
    pub output: View,
    /// Value at the label's place.
    pub on: f32,
    /// Value elsewhere.
    pub off: f32,
}

/// Uniform random numbers in `[0, 1)` by Philox4x32-10 of (key, counter, element number).
#[derive(Clone, Debug)]
pub struct RandomStep {
    /// The stream.
    pub key: u64,
    /// I64, one element: the step's number, so that every step draws anew.
    pub counter: View,
    /// F32, dense row-major; element i is `random::uniform(key, counter, i)`.
    pub output: View,
}

/// The same few steps over slices of the batch, each slice by one thread from the first step to the last, so that what
/// one step leaves to the next ([`Place::Local`]) stays in that thread's cache and is never written to memory.
///
/// A slice's steps run in order. Slices must not write what others touch.
#[derive(Clone, Debug, Default)]
pub struct ChainStep {
    /// For each slice, its steps; none of them a chain.
    pub slices: Vec<Vec<Step>>,
}

/// A step without a kernel of its own, done by the caller's code on one thread.
#[derive(Clone)]
pub struct HostStep {
    /// What it is, for dumps.
    pub name: &'static str,
    /// Dense row-major views.
    pub inputs: Vec<View>,
    /// Dense row-major views.
    pub outputs: Vec<View>,
    /// The code.
    pub function: std::sync::Arc<dyn HostFunction>,
}

impl std::fmt::Debug for HostStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostStep")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish()
    }
}

/// Code that a [`HostStep`] runs.
pub trait HostFunction: Send + Sync {
    /// Computes `outputs` from `inputs`; an error stops the run.
    fn run(&self, inputs: &[Elements<'_>], outputs: &mut [ElementsMut<'_>]) -> Result<(), String>;
}

/// Elements read by a [`HostFunction`].
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Elements<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    Bool(&'a [u8]),
}

/// Elements written by a [`HostFunction`].
#[derive(Debug)]
#[allow(missing_docs)]
pub enum ElementsMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    I64(&'a mut [i64]),
    U8(&'a mut [u8]),
    Bool(&'a mut [u8]),
}

/// Whether the address space holds so many elements of any type; lengths of 0 count as 1, so that strides can be counted
/// as well.
pub fn countable(shape: &[usize]) -> bool {
    const MOST: usize = isize::MAX as usize / 16;
    let count = shape
        .iter()
        .try_fold(1usize, |n, &length| n.checked_mul(length.max(1)));
    count.is_some_and(|n| n <= MOST)
}

impl Step {
    /// All views that the step reads or writes, its epilogue's included.
    pub fn views_mut(&mut self) -> Vec<&mut View> {
        fn of_map(step: &mut MapStep) -> Vec<&mut View> {
            step.inputs.iter_mut().chain(&mut step.outputs).collect()
        }
        fn of_reduce(step: &mut ReduceStep) -> impl Iterator<Item = &mut View> {
            let own = step.inputs.iter_mut().chain(&mut step.outputs);
            own.chain(step.epilogue.iter_mut().flat_map(of_map))
        }
        fn with_epilogue<'a, const N: usize>(
            own: [Option<&'a mut View>; N],
            epilogue: &'a mut Option<MapStep>,
        ) -> Vec<&'a mut View> {
            let own = own.into_iter().flatten();
            own.chain(epilogue.iter_mut().flat_map(of_map)).collect()
        }
        match self {
            Step::Map(s) => of_map(s),
            Step::Reduce(s) => of_reduce(s).collect(),
            Step::PackMatrix(s) => vec![&mut s.b, &mut s.packed],
            Step::Gemm(s) => {
                let b = match &mut s.b {
                    GemmRight::InPlace(view) => view,
                    GemmRight::Packed { panels, .. } => panels,
                };
                let own = [Some(&mut s.a), Some(b), Some(&mut s.c)];
                let mut views = with_epilogue(own, &mut s.epilogue);
                views.extend(s.statistics.iter_mut().flat_map(|s| of_reduce(s)));
                views
            }
            Step::PackFilters(s) => vec![&mut s.filters, &mut s.packed],
            Step::Conv(s) => {
                let own = [&mut s.source, &mut s.packed, &mut s.target].map(Some);
                let mut views = with_epilogue(own, &mut s.epilogue);
                views.extend(s.statistics.iter_mut().flat_map(|s| of_reduce(s)));
                views
            }
            Step::ConvPool(s) => with_epilogue(
                [
                    Some(&mut s.source),
                    Some(&mut s.filters),
                    Some(&mut s.output),
                    s.places.as_mut(),
                    s.added.as_mut(),
                ],
                &mut s.epilogue,
            ),
            Step::ConvWeightGradient(s) => {
                let own = [&mut s.input, &mut s.partials].into_iter();
                own.chain(s.output_gradient.views_mut()).collect()
            }
            Step::Pool(s) => with_epilogue(
                [
                    Some(&mut s.input),
                    s.values.as_mut(),
                    Some(&mut s.output),
                    s.places.as_mut(),
                    s.added.as_mut(),
                ],
                &mut s.epilogue,
            ),
            Step::PoolGradient(s) => with_epilogue(
                [
                    s.input.as_mut(),
                    s.places.as_mut(),
                    Some(&mut s.output_gradient),
                    Some(&mut s.input_gradient),
                ],
                &mut s.epilogue,
            ),
            Step::Softmax(s) => vec![&mut s.input, &mut s.output],
            Step::ArgReduce(s) => vec![&mut s.input, &mut s.output],
            Step::Gather(s) => vec![&mut s.input, &mut s.indices, &mut s.output],
            Step::OneHot(s) => vec![&mut s.labels, &mut s.output],
            Step::Random(s) => vec![&mut s.counter, &mut s.output],
            Step::Host(s) => s.inputs.iter_mut().chain(&mut s.outputs).collect(),
            Step::Chain(s) => {
                let steps = s.slices.iter_mut().flatten();
                steps.flat_map(Step::views_mut).collect()
            }
        }
    }
}
