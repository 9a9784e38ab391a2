//! What an operation is: its rules, each of them required.

pub use crate::ops::depth_to_space::BlockOrder;
pub use crate::ops::grid_sample::{GridSampleOptions, Outside};
pub use crate::ops::local_response_norm::LocalResponseOptions;
pub use crate::ops::recurrent::Recurrence;
pub use crate::ops::resize::{AspectRatio, Coordinates, Interpolation, ResizeOptions, Rounding};
pub use crate::ops::roi_align::{RegionCoordinates, RegionPooling, RoiAlignOptions};
use crate::{Array, Attributes, Meta, Tensor};
use std::fmt::Debug;
pub use zerokara_kernels::plan::Cell;
use zerokara_kernels::plan::{Pooling, Reduction};
pub use zerokara_kernels::{
    code::{Binary, Code, Instruction, Unary},
    plan::Padding,
};

/// An operation: a pure function of tensors, known by its name and attributes.
///
/// One file in `ops/` holds an operation: its struct, these rules, its method on [`Tensor`], and the formula. Its
/// samples, with outputs and gradients from PyTorch or NumPy, lie in `goldens/<name>.json`; its constructor from
/// attributes is one line of the registry.
pub trait Op: Debug + Send + Sync + 'static {
    /// The name, as in the registry.
    fn name(&self) -> &'static str;

    /// The attributes; with the name they are the operation's identity.
    fn attributes(&self) -> Attributes;

    /// Shape and element type of the output, or why the operation does not apply to such inputs.
    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String>;

    /// What the compiler may do with it.
    fn kind(&self) -> Kind;

    /// The gradients with respect to the inputs, written in public operations.
    fn gradient(&self, call: &Call<'_>) -> Gradient;

    /// The plain loop that says what the operation means, for `f32` and `f64`. The output comes zeroed, with
    /// the shape that `infer` gave; where `infer` gives f32, it may come as f64 (the graph is rerun in double
    /// precision to check gradients), and then all floats do.
    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String>;

    /// For an operation of [`Kind::Composite`]: its definition in other public operations.
    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let _ = inputs;
        None
    }
}

/// An application of an operation, as its gradient rule sees it.
pub struct Call<'a> {
    /// The inputs.
    pub inputs: &'a [Tensor],
    /// The output.
    pub output: &'a Tensor,
    /// The gradient of the loss with respect to the output; its shape is the output's.
    pub gradient: &'a Tensor,
}

/// The answer of a gradient rule.
pub enum Gradient {
    /// One gradient per input, of the input's shape; `None` where nothing flows (integers, truth values).
    Of(Vec<Option<Tensor>>),
    /// Differentiate the definition that `expand` gives.
    Expand,
    /// The output does not vary with the inputs.
    Zero,
    /// The operation must not be differentiated, and why.
    Forbidden(&'static str),
}

impl Gradient {
    /// The gradient of an operation with one input.
    pub fn one(gradient: Tensor) -> Self {
        Gradient::Of(vec![Some(gradient)])
    }

    /// The gradients of an operation with two inputs.
    pub fn two(first: Tensor, second: Tensor) -> Self {
        Gradient::Of(vec![Some(first), Some(second)])
    }
}

/// What the compiler may do with an operation. Operations are open, kinds are closed: passes match on them.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A value that comes from outside: a constant, a parameter, an input.
    Leaf,
    /// The same number everywhere.
    Fill(f64),
    /// Elementwise: the code's `Load(i)` is input i; all inputs have the output's shape.
    Map(Code),
    /// Combination over some axes of the one input, which are removed or kept with length 1.
    Reduce {
        /// How to combine.
        reduction: Reduction,
        /// The axes, negative ones counted from the back; none: all.
        axes: Vec<i64>,
    },
    /// Another way to index the one input's elements.
    View(View),
    /// `output` starts as `fill`; then each input is written at its place along the axes: input i's element at
    /// `offsets[i]` plus its index.
    Assemble {
        /// What is not covered by any input.
        fill: f64,
        /// For each input, where its first element goes.
        offsets: Vec<Vec<usize>>,
    },
    /// A product summed over shared axes.
    Contract(Contract),
    /// Pooling windows.
    Window(Window),
    /// Softmax, or its logarithm, along the last axis.
    Softmax {
        /// Whether the logarithm.
        log: bool,
    },
    /// Attention: of queries `[N, L, H, D]`, keys `[N, S, G, D]`, values `[N, S, G, E]` and perhaps a mask `[N, H, L, S]` the
    /// means `[N, L, H, E]`; or of these and the output's gradient the three gradients, one behind another.
    Attention {
        /// Whether query i sees the keys up to number `position + i` alone.
        causal: bool,
        /// Where among the keys the first query stands.
        position: i64,
        /// What scores are multiplied by, if not by `1 / sqrt(D)`.
        scale: Option<f64>,
        /// Whether the gradients.
        gradient: bool,
    },
    /// A recurrent network over sequences, or a part of what its gradient needs.
    Recurrent {
        /// What a step does.
        cell: Cell,
        /// What is given.
        part: Recurrence,
    },
    /// Index of the largest or smallest element along an axis.
    ArgReduce {
        /// Smallest instead of largest.
        min: bool,
        /// The axis that is removed, negative counted from the back.
        axis: i64,
    },
    /// `take(x, indices)` along an axis; the second input holds the indices.
    Gather {
        /// The axis indexed.
        axis: usize,
    },
    /// One-hot rows of integer labels.
    OneHot,
    /// Uniform random numbers of a stream; the one input is the step's number.
    Random {
        /// The stream's key.
        key: u64,
    },
    /// Compiled by its definition in other operations.
    Composite,
    /// Compiled as a call of its reference loop.
    Host,
}

/// Ways to index another value's elements.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// The same elements in row-major order under another shape.
    Reshape,
    /// Output axis i is input axis `axes[i]`.
    Permute(Vec<usize>),
    /// Axes of length 1 repeated, new axes put in front.
    Broadcast,
    /// Output index j on an axis is input index `start + j * step`.
    Slice {
        /// First index on each axis.
        starts: Vec<usize>,
        /// Distance on each axis; negative walks backwards.
        steps: Vec<isize>,
    },
}

/// Products summed over shared axes.
#[derive(Clone, Debug, PartialEq)]
pub enum Contract {
    /// `[.., M, K] x [.., K, N] -> [.., M, N]`, leading axes equal.
    MatMul,
    /// Inputs `x [N, C, H, W]` and `w [O, C / groups, KH, KW]`.
    Conv(ConvOptions),
    /// Inputs the output's gradient `[N, O, Y, X]` and `w`; output `[N, C, H, W]`.
    ConvInputGradient(ConvOptions),
    /// Inputs `x` and the output's gradient; output `[O, C / groups, KH, KW]`.
    ConvWeightGradient(ConvOptions),
}

/// Options of a two-dimensional convolution, and the sizes that the gradients need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvOptions {
    /// Steps of the filter, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input: `[down, across].into()`, or `[above, left, below, right].into()`.
    pub padding: Padding,
    /// Distance between neighbouring elements of the filter.
    pub dilation: [usize; 2],
    /// Number of groups of channels.
    pub groups: usize,
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
            groups: 1,
        }
    }
}

/// Options of a convolution of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv1dOptions {
    /// Steps of the filter.
    pub stride: usize,
    /// Zeros before and behind the input. As many as the filter reaches back, and none behind, make the convolution causal:
    /// see [`Conv1dOptions::causal`].
    pub padding: [usize; 2],
    /// Distance between neighbouring elements of the filter.
    pub dilation: usize,
    /// Number of groups of channels.
    pub groups: usize,
}

impl Default for Conv1dOptions {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: [0, 0],
            dilation: 1,
            groups: 1,
        }
    }
}

impl Conv1dOptions {
    /// With the padding of a causal convolution by filters of this length: `dilation (kernel - 1)` zeros before the input, none
    /// behind it, so that output i sees the inputs up to `i stride` alone.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::Conv1dOptions};
    /// let x = Tensor::from([[[1.0, 2.0, 3.0]]]);
    /// let w = Tensor::from([[[10.0, 1.0]]]);
    /// let y = x.conv1d(&w, Conv1dOptions::default().causal(2));
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 12.0, 23.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    pub fn causal(self, kernel: usize) -> Self {
        let reach = kernel.saturating_sub(1).saturating_mul(self.dilation);
        Self {
            padding: [reach, 0],
            ..self
        }
    }
}

/// Options of a convolution of volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv3dOptions {
    /// Steps of the filter: in depth, down, across.
    pub stride: [usize; 3],
    /// Zeros around the input: in front, above, left, then behind, below, right (the order of ONNX).
    pub padding: [usize; 6],
    /// Distance between neighbouring elements of the filter.
    pub dilation: [usize; 3],
    /// Number of groups of channels.
    pub groups: usize,
}

impl Default for Conv3dOptions {
    fn default() -> Self {
        Self {
            stride: [1; 3],
            padding: [0; 6],
            dilation: [1; 3],
            groups: 1,
        }
    }
}

/// Options of a transposed convolution of sequences: those of the convolution that it is the transpose of, and
/// `output_padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose1dOptions {
    /// How far the copies of the filter lie apart in the output.
    pub stride: usize,
    /// What is cut off the output before and behind.
    pub padding: [usize; 2],
    /// Distance between neighbouring elements of the filter.
    pub dilation: usize,
    /// Number of groups of channels.
    pub groups: usize,
    /// By how much the output is longer at its end.
    pub output_padding: usize,
}

impl Default for ConvTranspose1dOptions {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: [0, 0],
            dilation: 1,
            groups: 1,
            output_padding: 0,
        }
    }
}

/// Options of a transposed convolution of images: those of the convolution that it is the transpose of, and
/// `output_padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose2dOptions {
    /// How far the copies of the filter lie apart in the output, down and across.
    pub stride: [usize; 2],
    /// What is cut off the output: `[down, across].into()`, or `[above, left, below, right].into()`.
    pub padding: Padding,
    /// Distance between neighbouring elements of the filter.
    pub dilation: [usize; 2],
    /// Number of groups of channels.
    pub groups: usize,
    /// By how much the output is longer below and right.
    pub output_padding: [usize; 2],
}

impl Default for ConvTranspose2dOptions {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
            groups: 1,
            output_padding: [0, 0],
        }
    }
}

/// Pooling and its gradients.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Input `x [N, C, H, W]` (and for `SelectAtMax` the values, of the same shape); output `[N, C, Y, X]`.
    Pool(Pooling, PoolOptions),
    /// Inputs: for max, `x` and the output's gradient; for average, the output's gradient. Output `[N, C, H, W]`.
    PoolGradient(Pooling, PoolOptions),
    /// Which element of each window is the first largest, as the compiler keeps it: inputs as those of `Pool` for max, output
    /// `[N, C, Y, X]`.
    Places(PoolOptions),
    /// Inputs `Places` and the output's gradient; output `[N, C, H, W]`, each gradient added at its place.
    Scatter(PoolOptions),
}

/// Options of a two-dimensional pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolOptions {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window, down and across.
    pub stride: [usize; 2],
    /// Padding around the input: `[down, across].into()`, or `[above, left, below, right].into()`.
    pub padding: Padding,
}

impl PoolOptions {
    /// Windows of this size, side by side, without padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: Padding::default(),
        }
    }
}

/// Options of a pooling along one, two or three axes: those behind batch and channels. All lists but the padding have a number
/// for each of these axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowOptions {
    /// Lengths of the window.
    pub kernel: Vec<usize>,
    /// Steps of the window.
    pub stride: Vec<usize>,
    /// What lies around the input: a number before each axis, then one behind each (the order of ONNX); none if empty.
    pub padding: Vec<usize>,
    /// Distance between neighbouring elements of the window; 1 if empty.
    pub dilation: Vec<usize>,
    /// Whether a last window that reaches beyond the padded input counts, if it begins before the padding behind.
    pub ceil: bool,
}

impl WindowOptions {
    /// Windows of these lengths, side by side, without padding.
    pub fn new(kernel: impl Into<Vec<usize>>) -> Self {
        let kernel = kernel.into();
        Self {
            stride: kernel.clone(),
            kernel,
            padding: Vec::new(),
            dilation: Vec::new(),
            ceil: false,
        }
    }
}

/// Code of one function of the first input.
pub fn unary(function: Unary) -> Kind {
    Kind::Map(Code {
        instructions: vec![Instruction::Load(0), Instruction::Unary(function, 0)],
        results: vec![1],
    })
}

/// Code of one function of the first two inputs.
pub fn binary(function: Binary) -> Kind {
    Kind::Map(Code {
        instructions: vec![
            Instruction::Load(0),
            Instruction::Load(1),
            Instruction::Binary(function, 0, 1),
        ],
        results: vec![2],
    })
}

/// Code of these instructions, whose last is the result.
pub fn map(instructions: impl Into<Vec<Instruction>>) -> Kind {
    let instructions = instructions.into();
    let results = vec![instructions.len() - 1];
    Kind::Map(Code {
        instructions,
        results,
    })
}
