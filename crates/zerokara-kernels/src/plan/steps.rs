//! The kernel calls of a plan, each with its views.

use super::{
    AttentionGeometry, ConvGeometry, ConvPass, PoolGeometry, Pooling, RecurrentGeometry, View,
};
use crate::conv::finish::Finish;
use crate::{code::Code, plan::Arithmetic};

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
    Attention(AttentionStep),
    AttentionGradient(AttentionGradientStep),
    Recurrent(RecurrentStep),
    RecurrentGradient(RecurrentGradientStep),
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
        output.kept(&self.reduced)
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
    /// The images read: `[N, H, W, C]` forward, `[N, Y, X, O]` for the input gradient; dense, but of any strides if the convolution is
    /// [depthwise](crate::conv::depthwise).
    pub source: View,
    /// Filters packed for this pass.
    pub packed: View,
    /// What is done in registers, by depthwise convolutions without epilogue and statistics. Then `target` has any strides.
    pub finish: Option<Finish>,
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
    /// `[N, H, W, C]`; dense, but of any strides if the convolution is [depthwise](crate::conv::depthwise).
    pub input: View,
    /// What comes from the output, `[N, Y, X, O]`.
    pub output_gradient: OutputGradient,
    /// Dense `[conv::partials(geometry), KH, KW, C / groups, O]`.
    pub partials: View,
}

/// The gradient of a convolution's output.
#[derive(Clone, Debug)]
pub enum OutputGradient {
    /// `[N, Y, X, O]`; dense, but of any strides if the convolution is [depthwise](crate::conv::depthwise).
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
    /// [`Element::Bool`](super::Element::Bool).
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

/// Scaled dot-product attention, `softmax(scale q k^T + mask) v`, head by head; a query that sees nothing gives zeros.
#[derive(Clone, Debug)]
pub struct AttentionStep {
    /// What it reads.
    pub inputs: AttentionInputs,
    /// `[N, L, H, E]`, the last axis dense.
    pub output: View,
}

/// What attention is computed from.
#[derive(Clone, Debug)]
pub struct AttentionInputs {
    /// Sizes and options.
    pub geometry: AttentionGeometry,
    /// `[N, L, H, D]`, any strides.
    pub query: View,
    /// `[N, S, G, D]`, any strides.
    pub key: View,
    /// `[N, S, G, E]`, any strides.
    pub value: View,
    /// `[N, H, L, S]`, any strides: f32, added to the scores, or truth values, false where a key is not seen.
    pub mask: Option<View>,
}

/// The gradients of attention with respect to queries, keys and values. Scores are computed anew.
#[derive(Clone, Debug)]
pub struct AttentionGradientStep {
    /// What the attention had.
    pub inputs: AttentionInputs,
    /// `[N, L, H, E]`, any strides.
    pub output_gradient: View,
    /// `[N, L, H, D]`, the last axis dense.
    pub query_gradient: View,
    /// `[N, S, G, D]`, the last axis dense.
    pub key_gradient: View,
    /// `[N, S, G, E]`, the last axis dense.
    pub value_gradient: View,
}

/// The states of a recurrent network over sequences; [`Cell`](super::Cell) says what a step does.
#[derive(Clone, Debug)]
pub struct RecurrentStep {
    /// Sizes, and what a step does.
    pub geometry: RecurrentGeometry,
    /// What steps take from their inputs, `[T, N, P H]`, the last axis dense.
    pub inputs: View,
    /// R^T `[H, P H]`, packed as a [`PackMatrixStep`] does.
    pub weight: View,
    /// Added to the products with it, dense `[P H]`.
    pub bias: Option<View>,
    /// The first state, for h and for c, `[N, H]` with dense rows.
    pub initial: Vec<View>,
    /// Which samples go on at which step, truth values `[T, N]`, any strides; others stay where they are.
    pub mask: Option<View>,
    /// All states, the first in front, `[T + 1, N, S H]`, the last axis dense.
    pub states: View,
    /// Whether the states are given, and the gates alone are wanted: then each step goes on from the state that it is given, and
    /// there is no first state and no mask.
    pub given: bool,
    /// What the gradient needs of the steps, `[T, N, 4 H]`, the last axis dense: of an Lstm i, f, g, o, of a Gru r, z, n and what
    /// r was multiplied with.
    pub gates: Option<View>,
}

/// The gradients of a recurrent network with respect to the sums that its steps took.
#[derive(Clone, Debug)]
pub struct RecurrentGradientStep {
    /// Sizes, and what a step does.
    pub geometry: RecurrentGeometry,
    /// R `[P H, H]`, packed as a [`PackMatrixStep`] does; of a Gru those of n, r, z.
    pub weight: View,
    /// `[T + 1, N, S H]`, the last axis dense.
    pub states: View,
    /// `[T, N, 4 H]`, the last axis dense.
    pub gates: Option<View>,
    /// As [`RecurrentStep::mask`].
    pub mask: Option<View>,
    /// The gradients of the states, `[T + 1, N, S H]`, the last axis dense.
    pub states_gradient: View,
    /// `[T + 1, N, Q H]`, the last axis dense: behind the first row, of each step, the gradients of an Rnn's `x + p`, an Lstm's
    /// for i, f, g, o, a Gru's of p_n, for r, z, and of x_n. The first row begins with those of the first state.
    pub gradient: View,
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
/// one step leaves to the next ([`Region::Local`](super::Region::Local)) stays in that thread's cache and is never written to memory.
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
