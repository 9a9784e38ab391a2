//! The table of operations: a name and attributes give the operation back. Saved models, tests and documents read it.

use crate::ops::*;
use crate::{Attribute, Attributes, DType, Error, Tensor, op::Op};
use std::sync::Arc;

/// An attribute that an operation takes.
pub struct Declared {
    /// The name.
    pub name: &'static str,
    /// The version of the operation's definition that it came with.
    pub version: u32,
    absent: Absent,
}

/// What is, if an attribute is not given.
enum Absent {
    /// An error.
    Refused,
    /// The operation does without.
    Allowed,
    /// The default stands for it.
    Filled(fn() -> Attribute),
}

impl Declared {
    const fn new(name: &'static str, absent: Absent) -> Self {
        Self {
            name,
            version: 1,
            absent,
        }
    }

    /// An attribute that came with this version of the operation's definition.
    pub const fn since(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// What stands for it where it is not given, if something does.
    pub fn default(&self) -> Option<Attribute> {
        match self.absent {
            Absent::Filled(default) => Some(default()),
            Absent::Refused | Absent::Allowed => None,
        }
    }
}

/// An attribute that must be given.
const fn needed(name: &'static str) -> Declared {
    Declared::new(name, Absent::Refused)
}

/// An attribute without which the operation means something else: a shape, if no tensor gives it.
const fn optional(name: &'static str) -> Declared {
    Declared::new(name, Absent::Allowed)
}

/// An attribute with a default. One that an operation did not have at first says since which version of its definition it
/// has it: files that were written before load with the default.
const fn with_default(name: &'static str, default: fn() -> Attribute) -> Declared {
    Declared::new(name, Absent::Filled(default))
}

/// An operation's entry.
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// The attributes that it takes, in groups that operations share.
    takes: &'static [&'static [Declared]],
    /// The operation with these attributes, all of which are there.
    build: fn(&Attributes) -> Result<Arc<dyn Op>, String>,
}

impl Entry {
    /// The attributes that the operation takes.
    pub fn takes(&self) -> impl Iterator<Item = &'static Declared> + use<> {
        self.takes.iter().copied().flatten()
    }

    /// The version of its definition: it rises by one with attributes that are added.
    pub fn version(&self) -> u32 {
        self.takes().map(|a| a.version).max().unwrap_or(1)
    }

    /// The attributes, with defaults for those that are missing.
    ///
    /// # Errors
    /// If one is missing that has none, or the operation does not take one.
    pub fn complete(&self, attributes: &Attributes) -> Result<Attributes, String> {
        if let Some((name, _)) = attributes.iter().find(|(name, _)| !self.has(name)) {
            let all: Vec<&str> = self.takes().map(|a| a.name).collect();
            let takes = match all.is_empty() {
                true => "none".into(),
                false => all.join(", "),
            };
            return Err(format!("there is no attribute {name}; it takes {takes}"));
        }
        let mut complete = attributes.clone();
        for declared in self.takes() {
            match declared.absent {
                Absent::Filled(default) => complete = complete.or(declared.name, default()),
                Absent::Refused if !complete.has(declared.name) => {
                    return Err(format!("attribute {} is missing", declared.name));
                }
                Absent::Refused | Absent::Allowed => {}
            }
        }
        Ok(complete)
    }

    /// The attributes that must be written: those that are not what their default says.
    pub fn shortened(&self, mut attributes: Attributes) -> Attributes {
        attributes.retain(|name, value| {
            let declared = self.takes().find(|a| a.name == name);
            declared.and_then(Declared::default).as_ref() != Some(value)
        });
        attributes
    }

    fn has(&self, name: &str) -> bool {
        self.takes().any(|a| a.name == name)
    }
}

const KERNEL: Declared = needed("kernel");
const STRIDE: Declared = with_default("stride", || [1, 1].into());
const PADDING: Declared = with_default("padding", || [0, 0].into());
const DILATION: Declared = with_default("dilation", || [1, 1].into());
const GROUPS: Declared = with_default("groups", || 1usize.into());
const CONVOLUTION: &[Declared] = &[STRIDE, PADDING, DILATION, GROUPS];
const UNFOLDING: &[Declared] = &[KERNEL, STRIDE, PADDING, DILATION];
const POOLING: &[Declared] = &[KERNEL, needed("stride"), PADDING];
const COUNT_PADDING: &[Declared] = &[with_default("count_padding", || true.into())];
const SEQUENCES: &[Declared] = &[
    with_default("stride", || 1usize.into()),
    PADDING,
    with_default("dilation", || 1usize.into()),
    GROUPS,
];
const VOLUMES: &[Declared] = &[
    with_default("stride", || Attribute::Ints(vec![1; 3])),
    with_default("padding", || Attribute::Ints(vec![0; 6])),
    with_default("dilation", || Attribute::Ints(vec![1; 3])),
    GROUPS,
];
const WINDOWS: &[Declared] = &[
    KERNEL,
    needed("stride"),
    with_default("padding", || Attribute::Ints(Vec::new())),
    with_default("dilation", || Attribute::Ints(Vec::new())),
    with_default("ceil", || false.into()),
];
const RESIZING: &[Declared] = &[
    with_default("mode", || "nearest".into()),
    with_default("coordinate_transformation_mode", || "half_pixel".into()),
    with_default("nearest_mode", || "round_prefer_floor".into()),
    with_default("cubic_coeff_a", || (-0.75).into()),
    with_default("exclude_outside", || false.into()),
    with_default("antialias", || false.into()),
    with_default("extrapolation_value", || 0.0.into()),
    with_default("keep_aspect_ratio_policy", || "stretch".into()),
    with_default("axes", || Attribute::Ints(Vec::new())),
    with_default("scales", || Attribute::Ints(Vec::new())),
    with_default("sizes", || Attribute::Ints(Vec::new())),
    with_default("roi", || Attribute::Ints(Vec::new())),
];
const SAMPLING: &[Declared] = &[
    with_default("mode", || "linear".into()),
    with_default("padding_mode", || "zeros".into()),
    with_default("align_corners", || false.into()),
];
const REGIONS: &[Declared] = &[
    with_default("coordinate_transformation_mode", || "half_pixel".into()),
    with_default("mode", || "avg".into()),
    with_default("output_height", || 1usize.into()),
    with_default("output_width", || 1usize.into()),
    with_default("sampling_ratio", || 0usize.into()),
    with_default("spatial_scale", || 1.0.into()),
];
const REDUCTION: &[Declared] = &[
    with_default("axes", || Attribute::Ints(Vec::new())),
    with_default("keep", || false.into()),
];
const ATTENTION: &[Declared] = &[
    with_default("causal", || false.into()),
    with_default("position", || 0i64.into()),
    optional("scale"),
];
const RECTIFIED: &[Declared] = &[with_default("rectified", || false.into())];
const AXIS: &[Declared] = &[needed("axis")];
const ARGUMENT: &[Declared] = &[
    with_default("keep", || false.into()).since(2),
    with_default("last", || false.into()).since(2),
];
const BATCH_DIMS: &[Declared] = &[with_default("batch_dims", || 0usize.into())];
const JOINED: &[Declared] = &[with_default("reduction", || "none".into())];
const READING: &[Declared] = &[
    with_default("blank", || 0usize.into()),
    with_default("zero_infinity", || false.into()),
];
const DTYPE: &[Declared] = &[needed("dtype")];
const EPSILON: &[Declared] = &[needed("epsilon")];

/// One line per operation: `name [attributes] => constructor(attributes)`; without attributes `name => constructor`.
macro_rules! registry {
    ($($name:literal $([$($takes:expr),+])? => |$attributes:ident| $build:expr;)*) => {
        /// All operations, sorted by name.
        pub static REGISTRY: &[Entry] = &[$(Entry {
            name: $name,
            takes: &[$($($takes),+)?],
            build: |$attributes| Ok(Arc::new($build)),
        }),*];
    };
}

registry! {
    "abs" => |_a| piecewise::Abs;
    "acos" => |_a| trigonometric::Acos;
    "acosh" => |_a| hyperbolic::Acosh;
    "add" => |_a| arithmetic::Add;
    "affine_grid" [&[needed("size"), with_default("align_corners", || false.into())]] => |a| affine_grid::AffineGrid::from_attributes(a)?;
    "argmax" [AXIS, ARGUMENT] => |a| argmax::ArgReduce::from_attributes(false, a)?;
    "argmin" [AXIS, ARGUMENT] => |a| argmax::ArgReduce::from_attributes(true, a)?;
    "argsort" [AXIS, &[with_default("descending", || false.into())]] => |a| sort::Argsort::from_attributes(a)?;
    "asin" => |_a| trigonometric::Asin;
    "asinh" => |_a| hyperbolic::Asinh;
    "atan" => |_a| trigonometric::Atan;
    "atanh" => |_a| hyperbolic::Atanh;
    "attention" [ATTENTION] => |a| attention::Attention::from_attributes(a)?;
    "attention_gradient" [ATTENTION] => |a| attention::AttentionGradient(attention::Attention::from_attributes(a)?);
    "avg_pool" [WINDOWS, COUNT_PADDING] => |a| pool::AvgPool::from_attributes(a)?;
    "avg_pool2d" [POOLING, COUNT_PADDING] => |a| avg_pool2d::AvgPool2d::from_attributes(a)?;
    "avg_pool2d_gradient" [POOLING, COUNT_PADDING, &[needed("input")]] => |a| avg_pool2d::AvgPool2dGradient::from_attributes(a)?;
    "batch_norm" [EPSILON] => |a| normalize::BatchNorm::from_attributes(a)?;
    "bit_shift" [&[needed("right")]] => |a| bitwise::BitShift::from_attributes(a)?;
    "bitwise_and" => |_a| bitwise::Bitwise(bitwise::Bits::And);
    "bitwise_not" => |_a| bitwise::BitwiseNot;
    "bitwise_or" => |_a| bitwise::Bitwise(bitwise::Bits::Or);
    "bitwise_xor" => |_a| bitwise::Bitwise(bitwise::Bits::Xor);
    "broadcast" [&[optional("shape")]] => |a| broadcast::Broadcast::from_attributes(a)?;
    "cast" [DTYPE] => |a| cast::Cast::from_attributes(a)?;
    "ceil" => |_a| rounding::Ceil;
    "celu" [&[with_default("alpha", || 1.0.into())]] => |a| rectifiers::Celu::from_attributes(a)?;
    "center_crop_pad" [&[needed("lengths"), with_default("axes", || Attribute::Ints(Vec::new()))]] => |a| center_crop_pad::CenterCropPad::from_attributes(a)?;
    "clamp" [&[needed("low"), needed("high")]] => |a| extremes::Clamp::from_attributes(a)?;
    "cofactors" => |_a| det::Cofactors;
    "col2im" [UNFOLDING, &[needed("images")]] => |a| im2col::Col2im::from_attributes(a)?;
    "concat" [AXIS, &[needed("rank"), needed("lengths")]] => |a| concat::Concat::from_attributes(a)?;
    "conv1d" [SEQUENCES] => |a| conv1d::Conv1d::from_attributes(a)?;
    "conv2d" [CONVOLUTION] => |a| conv2d::Conv2d::from_attributes(a)?;
    "conv2d_input_gradient" [CONVOLUTION, &[needed("input")]] => |a| conv2d::Conv2dInputGradient::from_attributes(a)?;
    "conv2d_weight_gradient" [CONVOLUTION, &[needed("kernel")]] => |a| conv2d::Conv2dWeightGradient::from_attributes(a)?;
    "conv3d" [VOLUMES] => |a| conv3d::Conv3d::from_attributes(a)?;
    "conv_transpose1d" [SEQUENCES, &[with_default("output_padding", || 0usize.into())]] => |a| conv_transpose::ConvTranspose1d::from_attributes(a)?;
    "conv_transpose2d" [CONVOLUTION, &[with_default("output_padding", || [0, 0].into())]] => |a| conv_transpose::ConvTranspose2d::from_attributes(a)?;
    "cos" => |_a| trigonometric::Cos;
    "cosh" => |_a| hyperbolic::Cosh;
    "cross_entropy" [&[with_default("smoothing", || 0.0.into())]] => |a| cross_entropy::CrossEntropy::from_attributes(a)?;
    "ctc_loss" [READING] => |a| ctc::CtcLoss::from_attributes(a)?;
    "ctc_loss_curvature" [READING] => |a| ctc::CtcLossCurvature::from_attributes(a)?;
    "ctc_loss_gradient" [READING] => |a| ctc::CtcLossGradient::from_attributes(a)?;
    "cumprod" [AXIS, &[with_default("exclusive", || false.into()), with_default("reverse", || false.into())]] => |a| cumprod::Cumprod::from_attributes(a)?;
    "cumsum" [AXIS, &[with_default("exclusive", || false.into()).since(2), with_default("reverse", || false.into()).since(2)]] => |a| cumsum::Cumsum::from_attributes(a)?;
    "deform_conv" [CONVOLUTION, &[with_default("offset_groups", || 1usize.into())]] => |a| deform_conv::DeformConv::from_attributes(a)?;
    "depth_to_space" [&[needed("block"), with_default("mode", || "DCR".into())]] => |a| depth_to_space::DepthToSpace::from_attributes(a)?;
    "det" => |_a| det::Det;
    "dft" [AXIS, &[with_default("inverse", || false.into())]] => |a| dft::Dft::from_attributes(a)?;
    "divide" => |_a| arithmetic::Divide;
    "einsum" [&[needed("equation")]] => |a| einsum::Einsum::from_attributes(a)?;
    "elu" [&[needed("alpha")]] => |a| rectifiers::Elu::from_attributes(a)?;
    "equal" => |_a| comparison::Equal;
    "erf" => |_a| erf::Erf;
    "erfc" => |_a| erf::Erfc;
    "exp" => |_a| exp::Exp;
    "fill" [&[needed("value"), optional("shape"), optional("dtype")]] => |a| fill::Fill::from_attributes(a)?;
    "floor" => |_a| piecewise::Floor;
    "gather" [AXIS] => |a| gather::Gather::from_attributes(a)?;
    "gather_nd" [BATCH_DIMS] => |a| gather_nd::GatherNd::from_attributes(a)?;
    "gelu" => |_a| gelu::Gelu;
    "gelu_tanh" => |_a| gelu::GeluTanh;
    "greater" => |_a| comparison::Greater;
    "greater_equal" => |_a| comparison::GreaterEqual;
    "grid_sample" [SAMPLING] => |a| grid_sample::GridSample::from_attributes(a)?;
    "group_norm" [&[needed("groups")], EPSILON] => |a| group_norm::GroupNorm::from_attributes(a)?;
    "gru" => |_a| recurrent::Recurrent { cell: recurrent::Cell::Gru, part: recurrent::Recurrence::States };
    "gru_gates" => |_a| recurrent::Recurrent { cell: recurrent::Cell::Gru, part: recurrent::Recurrence::Gates };
    "gru_gradient" => |_a| recurrent::Recurrent { cell: recurrent::Cell::Gru, part: recurrent::Recurrence::Gradient };
    "hard_sigmoid" [&[with_default("alpha", || 0.2.into()), with_default("beta", || 0.5.into())]] => |a| gates::HardSigmoid::from_attributes(a)?;
    "hard_swish" => |_a| gates::HardSwish;
    "hardmax" [&[with_default("axis", || (-1i64).into())]] => |a| hardmax::Hardmax::from_attributes(a)?;
    "im2col" [UNFOLDING] => |a| im2col::Im2col::from_attributes(a)?;
    "index_add" [AXIS, &[needed("length")]] => |a| index_select::IndexAdd::from_attributes(a)?;
    "index_select" [AXIS] => |a| index_select::IndexSelect::from_attributes(a)?;
    "instance_norm" [EPSILON] => |a| group_norm::GroupNorm::of_instances(a)?;
    "is_finite" => |_a| logical::IsFinite;
    "is_inf" [&[with_default("negative", || true.into()), with_default("positive", || true.into())]] => |a| logical::IsInf::from_attributes(a)?;
    "is_nan" => |_a| logical::IsNan;
    "layer_norm" [&[needed("axes")], EPSILON] => |a| normalize::LayerNorm::from_attributes(a)?;
    "leaky_relu" [&[needed("slope")]] => |a| rectifiers::LeakyRelu::from_attributes(a)?;
    "less" => |_a| comparison::Less;
    "less_equal" => |_a| comparison::LessEqual;
    "linear_recurrence" [AXIS] => |a| linear_recurrence::LinearRecurrence::from_attributes(a)?;
    "local_response_norm" [&[needed("size"), with_default("alpha", || 1e-4.into()), with_default("beta", || 0.75.into()), with_default("bias", || 1.0.into())]] => |a| local_response_norm::LocalResponseNorm::from_attributes(a)?;
    "log" => |_a| log::Log;
    "log_softmax" => |_a| log_softmax::Softmax { log: true };
    "log_sum_exp" [REDUCTION] => |a| log_sum_exp::LogSumExp::from_attributes(a)?;
    "logical_and" => |_a| logical::Logical { or: false };
    "logical_not" => |_a| logical::LogicalNot;
    "logical_or" => |_a| logical::Logical { or: true };
    "logical_xor" => |_a| logical::LogicalXor;
    "lp_normalization" [&[with_default("axis", || (-1i64).into()), with_default("p", || 2usize.into())]] => |a| lp_normalization::LpNormalization::from_attributes(a)?;
    "lp_pool" [WINDOWS, &[with_default("p", || 2usize.into())]] => |a| pool::LpPool::from_attributes(a)?;
    "lstm" => |_a| recurrent::Recurrent { cell: recurrent::Cell::Lstm, part: recurrent::Recurrence::States };
    "lstm_gates" => |_a| recurrent::Recurrent { cell: recurrent::Cell::Lstm, part: recurrent::Recurrence::Gates };
    "lstm_gradient" => |_a| recurrent::Recurrent { cell: recurrent::Cell::Lstm, part: recurrent::Recurrence::Gradient };
    "matmul" => |_a| matmul::MatMul;
    "max" [REDUCTION] => |a| reduce::Reduce::from_attributes(reduce::Combine::Max, a)?;
    "max_pool" [WINDOWS] => |a| pool::MaxPool::from_attributes(a)?;
    "max_pool2d" [POOLING] => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Forward, a)?;
    "max_pool2d_gradient" [POOLING] => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Gradient, a)?;
    "max_pool2d_select" [POOLING] => |a| max_pool2d::MaxPool2d::from_attributes(max_pool2d::Role::Select, a)?;
    "max_pool_indices" [WINDOWS, &[with_default("column_major", || false.into())]] => |a| max_unpool::MaxPoolIndices::from_attributes(a)?;
    "max_unpool" [&[needed("size")]] => |a| max_unpool::MaxUnpool::from_attributes(a)?;
    "maximum" => |_a| extremes::Maximum;
    "mean" [REDUCTION] => |a| reduce::Mean::from_attributes(a)?;
    "mean_variance_normalization" [&[with_default("axes", || Attribute::Ints(vec![0, 2, 3]))]] => |a| lp_normalization::MeanVarianceNormalization::from_attributes(a)?;
    "min" [REDUCTION] => |a| reduce::Reduce::from_attributes(reduce::Combine::Min, a)?;
    "minimum" => |_a| extremes::Minimum;
    "mish" => |_a| gates::Mish;
    "modulo" [&[with_default("truncated", || false.into())]] => |a| modulo::Modulo::from_attributes(a)?;
    "multiply" => |_a| arithmetic::Multiply;
    "negate" => |_a| negate::Negate;
    "not_equal" => |_a| comparison::NotEqual;
    "one_hot" [&[needed("classes"), with_default("dtype", || DType::F32.into())]] => |a| one_hot::OneHot::from_attributes(a)?;
    "pad" [&[needed("before"), needed("after"), with_default("value", || 0.0.into())]] => |a| pad::Pad::from_attributes(a)?;
    "permute" [&[needed("axes")]] => |a| permute::Permute::from_attributes(a)?;
    "pow" => |_a| power::Pow;
    "powf" [&[needed("exponent")]] => |a| power::Powf::from_attributes(a)?;
    "prelu" => |_a| prelu::Prelu;
    "prod" [REDUCTION] => |a| prod::Prod::from_attributes(a)?;
    "quotient" [&[with_default("truncated", || false.into())]] => |a| modulo::Quotient::from_attributes(a)?;
    "reciprocal" => |_a| power::Reciprocal;
    "relu" => |_a| relu::Relu;
    "reshape" [&[needed("lengths"), with_default("exact", || false.into())]] => |a| reshape::Reshape::from_attributes(a)?;
    "resize" [RESIZING] => |a| resize::Resize::from_attributes(a)?;
    "resize_gradient" [RESIZING, &[needed("input")]] => |a| resize::ResizeGradient::from_attributes(a)?;
    "reverse_sequence" [&[with_default("batch_axis", || 1i64.into()), with_default("time_axis", || 0i64.into())]] => |a| reverse_sequence::ReverseSequence::from_attributes(a)?;
    "rms_norm" [&[needed("axes")], EPSILON] => |a| rms_norm::RmsNorm::from_attributes(a)?;
    "rnn" [RECTIFIED] => |a| recurrent::Recurrent { cell: recurrent::Cell::Rnn { rectified: a.bool("rectified")? }, part: recurrent::Recurrence::States };
    "rnn_gradient" [RECTIFIED] => |a| recurrent::Recurrent { cell: recurrent::Cell::Rnn { rectified: a.bool("rectified")? }, part: recurrent::Recurrence::Gradient };
    "roi_align" [REGIONS] => |a| roi_align::RoiAlign::from_attributes(roi_align::Role::Forward, a)?;
    "roi_align_gradient" [REGIONS] => |a| roi_align::RoiAlign::from_attributes(roi_align::Role::Gradient, a)?;
    "roi_align_select" [REGIONS] => |a| roi_align::RoiAlign::from_attributes(roi_align::Role::Select, a)?;
    "round" => |_a| rounding::Round;
    "rsqrt" => |_a| power::Rsqrt;
    "scatter_add" [AXIS, &[needed("length")]] => |a| gather::ScatterAdd::from_attributes(a)?;
    "scatter_elements" [&[with_default("axis", || 0i64.into())], JOINED] => |a| scatter_elements::ScatterElements::from_attributes(a)?;
    "scatter_nd" [BATCH_DIMS, JOINED] => |a| gather_nd::ScatterNd::from_attributes(a)?;
    "selu" [&[with_default("alpha", || rectifiers::Selu::ALPHA.into()), with_default("gamma", || rectifiers::Selu::GAMMA.into())]] => |a| rectifiers::Selu::from_attributes(a)?;
    "shrink" [&[with_default("lambd", || 0.5.into()), with_default("bias", || 0.0.into())]] => |a| thresholds::Shrink::from_attributes(a)?;
    "sigmoid" => |_a| sigmoid::Sigmoid;
    "sign" => |_a| piecewise::Sign;
    "silu" => |_a| gelu::Silu;
    "sin" => |_a| trigonometric::Sin;
    "sinh" => |_a| hyperbolic::Sinh;
    "slice" [&[needed("starts"), needed("lengths"), needed("steps")]] => |a| slice::Slice::from_attributes(a)?;
    "softmax" => |_a| log_softmax::Softmax { log: false };
    "softplus" => |_a| rectifiers::Softplus;
    "softsign" => |_a| gates::Softsign;
    "space_to_depth" [&[needed("block")]] => |a| depth_to_space::SpaceToDepth::from_attributes(a)?;
    "sqrt" => |_a| sqrt::Sqrt;
    "square" => |_a| power::Square;
    "step" => |_a| piecewise::Step;
    "stop_gradient" => |_a| stop_gradient::StopGradient;
    "subtract" => |_a| arithmetic::Subtract;
    "sum" [REDUCTION] => |a| reduce::Reduce::from_attributes(reduce::Combine::Sum, a)?;
    "swish" [&[with_default("alpha", || 1.0.into())]] => |a| gates::Swish::from_attributes(a)?;
    "tan" => |_a| trigonometric::Tan;
    "tanh" => |_a| tanh::Tanh;
    "thresholded_relu" [&[with_default("alpha", || 1.0.into())]] => |a| thresholds::ThresholdedRelu::from_attributes(a)?;
    "tile" [&[needed("repeats")]] => |a| tile::Tile::from_attributes(a)?;
    "top_k" [AXIS, &[needed("k"), with_default("largest", || true.into())]] => |a| sort::TopK::from_attributes(a)?;
    "trilu" [&[with_default("upper", || true.into()), with_default("k", || 0i64.into())]] => |a| trilu::Trilu::from_attributes(a)?;
    "uniform" [&[needed("key"), optional("shape")]] => |a| uniform::Uniform::from_attributes(a)?;
    "var" [REDUCTION, &[needed("correction")]] => |a| variance::Variance::from_attributes(a)?;
    "where" => |_a| where_::Where;
}

/// The entry of the operation of this name.
///
/// # Errors
/// If there is none.
pub fn entry(name: &str) -> Result<&'static Entry, String> {
    match REGISTRY.binary_search_by_key(&name, |entry| entry.name) {
        Ok(at) => Ok(&REGISTRY[at]),
        Err(_) => Err(format!("there is no operation named {name}")),
    }
}

/// The operation of this name with these attributes; a missing one is its default.
///
/// ```
/// use zerokara_core::{Attributes, registry};
/// let op = registry::build("conv2d", &Attributes::none().with("padding", [1, 1]))?;
/// assert_eq!(op.attributes().to_string(), "stride=[1, 1], padding=[1, 1], dilation=[1, 1], groups=1");
/// let error = registry::build("conv2d", &Attributes::none().with("pading", [1, 1])).unwrap_err();
/// assert_eq!(
///     error,
///     "operation conv2d: there is no attribute pading; it takes stride, padding, dilation, groups"
/// );
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// If there is no such operation, it does not take an attribute, or one is missing or wrong.
pub fn build(name: &str, attributes: &Attributes) -> Result<Arc<dyn Op>, String> {
    let entry = entry(name)?;
    let built = (entry.complete(attributes)).and_then(|attributes| (entry.build)(&attributes));
    built.map_err(|e| format!("operation {name}: {e}"))
}

/// The operation of this name with these attributes, applied to tensors: an invalid tensor if there is no such
/// operation or it cannot apply.
#[doc(hidden)]
#[track_caller]
pub fn apply(name: &str, attributes: &Attributes, inputs: &[Tensor]) -> Tensor {
    match build(name, attributes) {
        Ok(op) => Tensor::apply_shared(op, inputs.to_vec()),
        Err(reason) => Tensor::invalid(Error::new(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_that_came_later_has_its_default_in_older_files() {
        const TAKES: &[&[Declared]] = &[
            &[needed("kernel"), optional("shape")],
            &[with_default("slope", || 0.5.into()).since(3)],
        ];
        let entry = Entry {
            name: "example",
            takes: TAKES,
            build: |_| Err("it is an example".into()),
        };
        assert_eq!(entry.version(), 3);
        let old = Attributes::none().with("kernel", [2, 2]);
        let complete = entry.complete(&old).unwrap();
        assert_eq!(complete, old.clone().with("slope", 0.5));
        assert_eq!(entry.shortened(complete), old);
        let other = old.clone().with("slope", 0.25);
        assert_eq!(entry.complete(&other), Ok(other.clone()));
        assert_eq!(entry.shortened(other.clone()), other);
        let error = entry.complete(&Attributes::none()).unwrap_err();
        assert_eq!(error, "attribute kernel is missing");
        let error = entry.complete(&old.with("pading", 1i64)).unwrap_err();
        assert_eq!(
            error,
            "there is no attribute pading; it takes kernel, shape, slope"
        );
    }
}
